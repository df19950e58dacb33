/*
 * A VGA on buses of its own, and what a processor does to it. The mode tables are those that IBM's BIOS loads (PS/2 and PC
 * BIOS Interface Technical Reference, video parameter table).
 */
#ifndef TESTS_UNIT_VGA_BENCH_H
#define TESTS_UNIT_VGA_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/memory.h"
#include "devices/vga.h"

struct bench {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct clock *clock;
    struct vga *vga;
    struct pci_bus *pci; /* for those who need it */
};

struct mode {
    uint8_t misc, sequencer[5], crtc[25], attribute[21], graphics[9];
};

__attribute__((unused)) static const struct mode mode_3 = {
    0x67,
    {0x03, 0x00, 0x03, 0x00, 0x02},
    {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
    {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 0x08, 0},
    {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff},
};

__attribute__((unused)) static const struct mode mode_12 = {
    0xe3,
    {0x03, 0x01, 0x0f, 0x00, 0x06},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff},
    {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x01, 0, 0x0f, 0, 0},
    {0, 0, 0, 0, 0, 0, 0x05, 0x0f, 0xff},
};

__attribute__((unused)) static const struct mode mode_13 = {
    0x63,
    {0x03, 0x01, 0x0f, 0x00, 0x0e},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0f, 0, 0},
    {0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff},
};

__attribute__((unused)) static const struct mode mode_4 = {
    0x63,
    {0x03, 0x09, 0x03, 0x00, 0x02},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x14, 0x00, 0x96, 0xb9, 0xa2, 0xff},
    {0, 0x13, 0x15, 0x17, 2, 4, 6, 7, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x01, 0, 0x03, 0, 0},
    {0, 0, 0, 0, 0, 0x30, 0x0f, 0x0f, 0xff},
};

__attribute__((unused)) static const struct mode mode_6 = {
    0x63,
    {0x03, 0x01, 0x01, 0x00, 0x06},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0xc1, 0x00, 0x00, 0x00,
     0x00, 0x00, 0x00, 0x9c, 0x8e, 0x8f, 0x28, 0x00, 0x96, 0xb9, 0xc2, 0xff},
    {0,    0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17, 0x17,
     0x17, 0x17, 0x17, 0x17, 0x17, 1,    0,    1,    0,    0},
    {0, 0, 0, 0, 0, 0, 0x0d, 0x0f, 0xff},
};

/* ---- the processor's side */

static inline void out8(struct bench *bench, uint16_t port, uint8_t value)
{
    bus_write_locked(bench->ports, port, 1, value);
}

static inline void out16(struct bench *bench, uint16_t port, uint16_t value)
{
    bus_write_locked(bench->ports, port, 2, value);
}

static inline uint8_t in8(struct bench *bench, uint16_t port)
{
    return (uint8_t)bus_read_locked(bench->ports, port, 1);
}

static inline uint16_t in16(struct bench *bench, uint16_t port)
{
    return (uint16_t)bus_read_locked(bench->ports, port, 2);
}

/* Memory as a processor sees it: what is mapped, else the bus. */
static inline void poke(struct bench *bench, uint64_t address, uint8_t value)
{
    uint64_t length;
    bool writable;
    uint8_t *host = memory_at(bench->memory, address, &length, &writable);
    if (host)
        *host = value;
    else
        bus_write_locked(bench->mmio, address, 1, value);
}

static inline uint8_t peek(struct bench *bench, uint64_t address)
{
    uint64_t length;
    bool writable;
    const uint8_t *host = memory_at(bench->memory, address, &length, &writable);
    return host ? *host : (uint8_t)bus_read_locked(bench->mmio, address, 1);
}

static inline bool is_mapped(struct bench *bench, uint64_t address)
{
    uint64_t length;
    bool writable;
    return memory_at(bench->memory, address, &length, &writable) != NULL;
}

static inline void sequencer(struct bench *bench, uint8_t index, uint8_t value)
{
    out16(bench, 0x3c4, (uint16_t)(value << 8 | index));
}

static inline void graphics(struct bench *bench, uint8_t index, uint8_t value)
{
    out16(bench, 0x3ce, (uint16_t)(value << 8 | index));
}

static inline void crtc(struct bench *bench, uint8_t index, uint8_t value)
{
    out16(bench, 0x3d4, (uint16_t)(value << 8 | index));
}

static inline void attribute(struct bench *bench, uint8_t index, uint8_t value)
{
    in8(bench, 0x3da);
    out8(bench, 0x3c0, index | 0x20);
    out8(bench, 0x3c0, value);
}

static inline void set_mode(struct bench *bench, const struct mode *mode)
{
    out8(bench, 0x3c2, mode->misc);
    for (uint8_t i = 0; i < 5; i++)
        sequencer(bench, i, mode->sequencer[i]);
    for (uint8_t i = 0; i < 9; i++)
        graphics(bench, i, mode->graphics[i]);
    crtc(bench, 0x11, 0);
    for (uint8_t i = 0; i < 25; i++)
        crtc(bench, i, mode->crtc[i]);
    for (uint8_t i = 0; i < 21; i++)
        attribute(bench, i, mode->attribute[i]);
}

/* Every DAC entry another colour: red is the index's high bits, green the middle, blue the low. */
static inline void set_dac(struct bench *bench)
{
    out8(bench, 0x3c8, 0);
    for (unsigned i = 0; i < 256; i++) {
        out8(bench, 0x3c9, (uint8_t)(i >> 2));
        out8(bench, 0x3c9, (uint8_t)(i & 0x3f));
        out8(bench, 0x3c9, (uint8_t)(i * 5 & 0x3f));
    }
}

static inline uint32_t widen6(unsigned value)
{
    return value << 2 | value >> 4;
}

static inline uint32_t dac_color(unsigned i)
{
    return widen6(i >> 2) << 16 | widen6(i & 0x3f) << 8 | widen6(i * 5 & 0x3f);
}

static inline void dispi(struct bench *bench, uint16_t index, uint16_t value)
{
    out16(bench, 0x1ce, index);
    out16(bench, 0x1cf, value);
}

static inline uint16_t dispi_read(struct bench *bench, uint16_t index)
{
    out16(bench, 0x1ce, index);
    return in16(bench, 0x1cf);
}

static inline int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->memory = memory_create(1 << 20);
    bench->ports = bus_create("port", 0x10000);
    bench->mmio = bus_create("mmio", 1ull << 40);
    bench->clock = clock_create();
    clock_step(bench->clock, 0);
    bench->vga = vga_create(bench->memory, bench->ports, bench->mmio, bench->clock);
    *state = bench;
    return 0;
}

static inline int teardown(void **state)
{
    struct bench *bench = *state;
    vga_destroy(bench->vga);
    if (bench->pci)
        pci_destroy(bench->pci);
    bus_destroy(bench->ports);
    bus_destroy(bench->mmio);
    memory_destroy(bench->memory);
    clock_destroy(bench->clock);
    free(bench);
    return 0;
}

static inline struct text_screen *text(struct bench *bench)
{
    static struct text_screen screen;
    const struct display_source *source = vga_display(bench->vga);
    return source->text(source->device, &screen) ? &screen : NULL;
}

static inline struct surface render(struct bench *bench)
{
    struct surface surface = {0};
    const struct display_source *source = vga_display(bench->vga);
    surface_take(source, &surface);
    return surface;
}

static inline uint32_t pixel(const struct surface *surface, unsigned x, unsigned y)
{
    return surface->pixels[y * surface->width + x];
}

#endif

/*
 * A board for fuzz targets: buses, memory, PCI and a clock that the input moves. A target adds its chips and says where they
 * lie; chips_run() then does to them what any guest may: ports and MMIO of every width, configuration space, memory rewritten
 * meanwhile, time. What a chip asks for (a reset, an interrupt) is taken and has no effect.
 */
#ifndef TESTS_FUZZ_CHIPS_H
#define TESTS_FUZZ_CHIPS_H

#include <stdlib.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/memory.h"
#include "devices/pci.h"
#include "fuzz/fuzz.h"

enum {
    CHIPS_RAM = 1 << 20,
    CHIPS_STEPS_MOST = 2000,
    CHIPS_PORTS = 0xc000,    /* where BARs are put: of ports, */
    CHIPS_MEMORY = 0xfe0000, /* and (times 256) of memory */
    CHIPS_SLOT = 3,
};

struct chips_place {
    uint64_t base;
    unsigned size;
};

struct chips {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct pci_bus *pci;
    struct clock *clock;
    uint64_t now;
    const struct chips_place *port_places, *mmio_places; /* each ends with a size of 0 */
    /* What else may happen, as the target knows it; may be NULL. */
    void (*other)(struct chips *chips, struct input *input);
    void *opaque;
};

static inline void chips_line(void *target, int input, bool level)
{
    (void)target, (void)input, (void)level;
}

static inline void chips_ask(void *opaque)
{
    (void)opaque;
}

static inline void chips_message(void *opaque, const struct interrupt_message *message)
{
    (void)opaque, (void)message;
}

static inline struct irq_line chips_irq(void)
{
    return (struct irq_line){chips_line, NULL, 0};
}

static inline void chips_open(struct chips *chips)
{
    *chips = (struct chips){.memory = memory_create(CHIPS_RAM),
                            .ports = bus_create("port", 0x10000),
                            .mmio = bus_create("mmio", UINT64_MAX),
                            .clock = clock_create()};
    clock_step(chips->clock, 0);
    chips->pci = pci_create(chips->ports, chips->mmio, chips->memory);
    pci_on_message(chips->pci, chips_message, NULL);
}

static inline void chips_map_ram(struct chips *chips)
{
    memory_map(chips->memory, &(struct memory_range){0, CHIPS_RAM, memory_ram(chips->memory), true, "ram"});
}

/* After the chips. */
static inline void chips_close(struct chips *chips)
{
    pci_destroy(chips->pci);
    bus_destroy(chips->ports);
    bus_destroy(chips->mmio);
    clock_destroy(chips->clock);
    memory_destroy(chips->memory);
}

static inline void chips_pass(struct chips *chips, uint64_t nanoseconds)
{
    chips->now += nanoseconds;
    clock_step(chips->clock, chips->now);
}

static inline void chips_config(struct chips *chips, unsigned slot, unsigned offset, unsigned size,
                                uint32_t value)
{
    bus_write_locked(chips->ports, 0xcf8, 4, 0x80000000u | slot << 11 | (offset & 0xfc));
    bus_write_locked(chips->ports, 0xcfc + (offset & 3), size, value);
}

/* BARs 0 to 5 of the function, ports or memory, decoded, and bus mastering on. */
static inline void chips_place(struct chips *chips, unsigned slot, unsigned port_bars)
{
    for (unsigned bar = 0; bar < PCI_BARS; bar++)
        chips_config(chips, slot, 0x10 + 4 * bar, 4,
                     port_bars >> bar & 1 ? CHIPS_PORTS + 0x100 * bar
                                          : ((uint32_t)CHIPS_MEMORY + 0x100 * bar) << 8);
    chips_config(chips, slot, 4, 2, 7);
}

static inline uint64_t chips_take_address(const struct chips_place *places, struct input *input)
{
    unsigned count = 0;
    while (places[count].size)
        count++;
    const struct chips_place *place = &places[input_take(input, 1) % count];
    return place->base + input_take(input, place->size > 256 ? 2 : 1) % place->size;
}

static inline void chips_access(struct bus *bus, const struct chips_place *places, struct input *input)
{
    unsigned how = input_take(input, 1), size = 1u << (how >> 1) % (places->base >> 16 ? 4 : 3);
    uint64_t address = chips_take_address(places, input);
    if (how & 1)
        bus_read_locked(bus, address, size);
    else
        bus_write_locked(bus, address, size, input_take(input, 4) | (uint64_t)(how >> 6) << 61);
}

static inline void chips_step(struct chips *chips, struct input *input)
{
    uint8_t bytes[16];
    switch (input_take(input, 1) % 16) {
    case 0: chips_pass(chips, input_take(input, 2) * 1000ull); break;
    case 1: chips_pass(chips, input_take(input, 1) * 100000000ull); break;
    case 2:
        chips_config(chips, input_take(input, 1) % 8, input_take(input, 1), 1u << input_take(input, 1) % 3,
                     input_take(input, 4));
        break;
    case 3:
    case 4:
        for (unsigned i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)input_take(input, 1);
        memory_write(chips->memory, input_take(input, 2) << 2, bytes, sizeof(bytes));
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        if (chips->other)
            chips->other(chips, input);
        break;
    case 9:
    case 10:
    case 11:
        if (chips->mmio_places)
            chips_access(chips->mmio, chips->mmio_places, input);
        break;
    default:
        if (chips->port_places)
            chips_access(chips->ports, chips->port_places, input);
    }
}

static inline void chips_run(struct chips *chips, struct input *input)
{
    for (unsigned i = 0; i < CHIPS_STEPS_MOST && input->size; i++)
        chips_step(chips, input);
}

#endif

/*
 * A board with one PCI bus and the half of virtio that is the driver's: finds the structures through the capabilities, sets
 * queues up in guest memory, puts up chains and takes them back. Numbers: Virtual I/O Device (VIRTIO) Version 1.2, 2.7 and 4.1;
 * PCI Local Bus Specification 3.0, 6.7 and 6.8.
 */
#ifndef TESTS_UNIT_VIRTIO_BENCH_H
#define TESTS_UNIT_VIRTIO_BENCH_H

#include "unit/bench.h"

#include <string.h>

#include "devices/virtio.h"

enum {
    VB_RAM = 16 << 20,
    VB_SLOT = 5,
    VB_RINGS = 0x10000, /* 64 KiB a queue from here on */
    VB_RING_SIZE = 0x10000,
    VB_BUFFERS = 0x400000,  /* for the tests' own data */
    VB_PORTS = 0xc000,      /* where BAR 0 is put */
    VB_MSIX = 0xfeb00000,   /* BAR 1 */
    VB_MODERN = 0xfeb10000, /* BAR 4 */
    VB_LOG = 4096,
    VB_NEXT = 1,
    VB_WRITE = 2,
    VB_INDIRECT = 4,
};

struct virtio_bench {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct clock *clock;
    uint64_t now;
    struct pci_bus *pci;
    struct virtio_place place;
    bool line; /* the slot's interrupt line */
    unsigned messages;
    struct interrupt_message last;
    uint64_t common, interrupt_status, config, notify; /* guest addresses, from the capabilities */
    uint32_t multiplier;
    unsigned window; /* offset of the configuration access capability */
    uint16_t queue_size;
    uint16_t available[VIRTIO_QUEUES_MOST], used[VIRTIO_QUEUES_MOST]; /* the driver's own counts */
};

static inline void vb_line(void *target, int input, bool level)
{
    (void)input;
    ((struct virtio_bench *)target)->line = level;
}

static inline void vb_message(void *opaque, const struct interrupt_message *message)
{
    struct virtio_bench *bench = opaque;
    bench->messages++;
    bench->last = *message;
}

static inline void vb_open(struct virtio_bench *bench)
{
    *bench = (struct virtio_bench){.memory = memory_create(VB_RAM),
                                   .ports = bus_create("port", 0x10000),
                                   .mmio = bus_create("mmio", UINT64_MAX),
                                   .clock = clock_create(),
                                   .queue_size = 1};
    clock_step(bench->clock, 0);
    memory_map(bench->memory, &(struct memory_range){0, VB_RAM, memory_ram(bench->memory), true, "ram"});
    bench->pci = pci_create(bench->ports, bench->mmio, bench->memory);
    pci_on_message(bench->pci, vb_message, bench);
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        pci_route(bench->pci, i, &(struct irq_line){vb_line, bench, (int)i});
    bench->place = (struct virtio_place){.pci = bench->pci,
                                         .slot = VB_SLOT,
                                         .legacy = true,
                                         .modern = true,
                                         .vectors = 4,
                                         .clock = bench->clock};
}

/* After the device. */
static inline void vb_close(struct virtio_bench *bench)
{
    pci_destroy(bench->pci);
    bus_destroy(bench->ports);
    bus_destroy(bench->mmio);
    clock_destroy(bench->clock);
    memory_destroy(bench->memory);
}

static inline void vb_pass(struct virtio_bench *bench, uint64_t nanoseconds)
{
    bench->now += nanoseconds;
    clock_step(bench->clock, bench->now);
}

/* ---- PCI */

static inline uint32_t vb_config_read(struct virtio_bench *bench, unsigned offset, unsigned size)
{
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80000000u | VB_SLOT << 11 | (offset & 0xfc));
    return (uint32_t)bus_read_locked(bench->ports, 0xcfc + (offset & 3), size);
}

static inline void vb_config_write(struct virtio_bench *bench, unsigned offset, unsigned size, uint32_t value)
{
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80000000u | VB_SLOT << 11 | (offset & 0xfc));
    bus_write_locked(bench->ports, 0xcfc + (offset & 3), size, value);
}

static inline uint64_t vb_get(struct virtio_bench *bench, uint64_t address, unsigned size)
{
    return bus_read_locked(bench->mmio, address, size);
}

static inline void vb_set(struct virtio_bench *bench, uint64_t address, unsigned size, uint64_t value)
{
    bus_write_locked(bench->mmio, address, size, value);
}

/* Places the BARs, switches decoding and bus mastering on, reads the capabilities. Answers the offset of MSI-X's, or 0. */
static inline unsigned vb_find(struct virtio_bench *bench)
{
    unsigned msix = 0, steps = 0;
    vb_config_write(bench, 0x10, 4, VB_PORTS);
    vb_config_write(bench, 0x14, 4, VB_MSIX);
    vb_config_write(bench, 0x20, 4, VB_MODERN);
    vb_config_write(bench, 0x04, 2, 7);
    for (unsigned at = vb_config_read(bench, 0x34, 1); at && steps < 48; steps++) {
        unsigned id = vb_config_read(bench, at, 1), type = vb_config_read(bench, at + 3, 1);
        uint64_t where = VB_MODERN + (uint64_t)vb_config_read(bench, at + 8, 4);
        if (id == 0x11)
            msix = at;
        if (id == 0x09 && type == 1)
            bench->common = where;
        if (id == 0x09 && type == 2) {
            bench->notify = where;
            bench->multiplier = vb_config_read(bench, at + 16, 4);
        }
        if (id == 0x09 && type == 3)
            bench->interrupt_status = where;
        if (id == 0x09 && type == 4)
            bench->config = where;
        if (id == 0x09 && type == 5)
            bench->window = at;
        at = vb_config_read(bench, at + 1, 1);
    }
    return msix;
}

/* Vector n: a message with vector 40h + n to APIC 1. Vector 0 is for the configuration, n + 1 for queue n. */
static inline void vb_use_msix(struct virtio_bench *bench, unsigned capability)
{
    unsigned count = (vb_config_read(bench, capability + 2, 2) & 0x7ff) + 1;
    for (unsigned i = 0; i < count; i++) {
        vb_set(bench, VB_MSIX + 16 * i, 4, 0xfee01000);
        vb_set(bench, VB_MSIX + 16 * i + 4, 4, 0);
        vb_set(bench, VB_MSIX + 16 * i + 8, 4, 0x40 + i);
        vb_set(bench, VB_MSIX + 16 * i + 12, 4, 0);
    }
    vb_config_write(bench, capability + 2, 2, 0x8000);
}

/* ---- the device's state */

static inline void vb_status(struct virtio_bench *bench, uint8_t value)
{
    vb_set(bench, bench->common + 20, 1, value);
}

static inline uint8_t vb_status_read(struct virtio_bench *bench)
{
    return (uint8_t)vb_get(bench, bench->common + 20, 1);
}

static inline uint64_t vb_offered(struct virtio_bench *bench)
{
    uint64_t features;
    vb_set(bench, bench->common, 4, 1);
    features = vb_get(bench, bench->common + 4, 4) << 32;
    vb_set(bench, bench->common, 4, 0);
    return features | vb_get(bench, bench->common + 4, 4);
}

static inline void vb_accept(struct virtio_bench *bench, uint64_t features)
{
    vb_set(bench, bench->common + 8, 4, 0);
    vb_set(bench, bench->common + 12, 4, (uint32_t)features);
    vb_set(bench, bench->common + 8, 4, 1);
    vb_set(bench, bench->common + 12, 4, features >> 32);
}

static inline uint64_t vb_descriptors(unsigned queue)
{
    return VB_RINGS + (uint64_t)queue * VB_RING_SIZE;
}

static inline uint64_t vb_available(unsigned queue)
{
    return vb_descriptors(queue) + 0x4000;
}

static inline uint64_t vb_used(unsigned queue)
{
    return vb_descriptors(queue) + 0x8000;
}

static inline void vb_queue(struct virtio_bench *bench, unsigned queue, uint16_t size)
{
    uint8_t zeros[VB_RING_SIZE] = {0};
    memory_write(bench->memory, vb_descriptors(queue), zeros, sizeof(zeros));
    bench->available[queue] = bench->used[queue] = 0;
    bench->queue_size = size;
    vb_set(bench, bench->common + 22, 2, queue);
    vb_set(bench, bench->common + 24, 2, size);
    vb_set(bench, bench->common + 26, 2, queue + 1);
    vb_set(bench, bench->common + 32, 4, vb_descriptors(queue));
    vb_set(bench, bench->common + 36, 4, 0);
    vb_set(bench, bench->common + 40, 4, vb_available(queue));
    vb_set(bench, bench->common + 44, 4, 0);
    vb_set(bench, bench->common + 48, 4, vb_used(queue));
    vb_set(bench, bench->common + 52, 4, 0);
    vb_set(bench, bench->common + 28, 2, 1);
}

/* All in the order of 3.1.1. */
static inline void vb_start(struct virtio_bench *bench, uint64_t features, unsigned queues, uint16_t size)
{
    vb_status(bench, 0);
    vb_status(bench, 1);
    vb_status(bench, 3);
    vb_accept(bench, features | 1ull << 32);
    vb_status(bench, 11);
    assert_int_equal(vb_status_read(bench) & 63, 11); /* a reset may still go on */
    vb_set(bench, bench->common + 16, 2, 0);
    for (unsigned i = 0; i < queues; i++)
        vb_queue(bench, i, size);
    vb_status(bench, 15);
}

/* ---- rings */

static inline uint16_t vb_word(struct virtio_bench *bench, uint64_t address)
{
    uint16_t value;
    memory_read(bench->memory, address, &value, 2);
    return value;
}

static inline void vb_word_set(struct virtio_bench *bench, uint64_t address, uint16_t value)
{
    memory_write(bench->memory, address, &value, 2);
}

static inline void vb_descriptor(struct virtio_bench *bench, uint64_t table, unsigned index, uint64_t address,
                                 uint32_t length, uint16_t flags, uint16_t next)
{
    struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } descriptor = {address, length, flags, next};
    memory_write(bench->memory, table + 16 * index, &descriptor, 16);
}

static inline void vb_offer(struct virtio_bench *bench, unsigned queue, uint16_t head)
{
    uint16_t at = bench->available[queue]++;
    vb_word_set(bench, vb_available(queue) + 4 + 2 * (at % bench->queue_size), head);
    vb_word_set(bench, vb_available(queue) + 2, bench->available[queue]);
}

static inline void vb_notify(struct virtio_bench *bench, unsigned queue)
{
    vb_set(bench, bench->notify + (uint64_t)queue * bench->multiplier, 2, queue);
}

/* Takes the next chain back; false if there is none. */
static inline bool vb_take(struct virtio_bench *bench, unsigned queue, uint32_t *head, uint32_t *written)
{
    uint32_t element[2];
    if (vb_word(bench, vb_used(queue) + 2) == bench->used[queue])
        return false;
    memory_read(bench->memory, vb_used(queue) + 4 + 8 * (bench->used[queue]++ % bench->queue_size), element,
                8);
    *head = element[0];
    *written = element[1];
    return true;
}

#endif

/*
 * Port and MMIO maps: tables of {range, name, device, read, write}.
 *
 * What nobody claims reads as ones and ignores writes (`-d unimp` logs it). An access wider than the range's
 * `widest` is split into pieces of that width, lowest address first, as the ISA bus does; one that runs over the
 * end of a range is split into bytes, each looked up by itself. Ranges that are added must not overlap: that is a
 * bug of ours and asserts. Only movable ranges (PCI BARs, placed by the guest) may: then whoever was added with
 * bus_add() wins, and among movable ones the one that was added first.
 */
#ifndef CORE_BUS_H
#define CORE_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t bus_read_function(void *device, uint64_t offset, unsigned size);
typedef void bus_write_function(void *device, uint64_t offset, unsigned size, uint64_t value);

struct bus_range {
    uint64_t base;
    uint64_t size;
    const char *name; /* a literal, or lives as long as the range */
    void *device;
    bus_read_function *read;   /* NULL: reads as ones */
    bus_write_function *write; /* NULL: ignored */
    unsigned widest;           /* 1, 2, 4 or 8 bytes; 0 means 1 */
};

struct bus;

/* `name` is for logs ("port", "mmio"). Addresses are 0 to limit - 1. Never fails (memory exhaustion ends). */
struct bus *bus_create(const char *name, uint64_t limit);
void bus_destroy(struct bus *bus);

void bus_add(struct bus *bus, const struct bus_range *range);
void bus_add_movable(struct bus *bus, const struct bus_range *range);
/* Whether bus_add() may have this range. */
bool bus_is_free(const struct bus *bus, uint64_t base, uint64_t size);
/* Removes what was added for this device at this base; nothing there is harmless. */
void bus_remove(struct bus *bus, const void *device, uint64_t base);

/* For engines: take the machine lock, dispatch, release it. size is 1, 2, 4 or 8. The address wraps at limit. */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size);
void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

/* The same with the lock already held (monitor, DMA, tests). */
uint64_t bus_read_locked(struct bus *bus, uint64_t address, unsigned size);
void bus_write_locked(struct bus *bus, uint64_t address, unsigned size, uint64_t value);

/* Calls `each` for every range in address order; for `info mtree`. */
void bus_each(struct bus *bus, void (*each)(void *opaque, const struct bus_range *range), void *opaque);

#endif

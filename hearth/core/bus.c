/*
 * The port and MMIO maps. A small table in the order of precedence; a look-up remembers the last hit, since guests
 * hammer one device at a time.
 */
#include "core/bus.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/lock.h"
#include "core/log.h"

struct entry {
    struct bus_range range;
    bool movable;
};

struct bus {
    const char *name;
    uint64_t limit;
    struct entry *entries; /* fixed ones first, then movable ones in the order they came */
    size_t count, room;
    size_t last; /* the entry that answered last */
};

struct bus *bus_create(const char *name, uint64_t limit)
{
    struct bus *bus = allocate(sizeof(*bus));
    bus->name = name;
    bus->limit = limit;
    return bus;
}

void bus_destroy(struct bus *bus)
{
    free(bus->entries);
    free(bus);
}

static bool entry_covers(const struct entry *entry, uint64_t address)
{
    return address >= entry->range.base && address - entry->range.base < entry->range.size;
}

static bool ranges_overlap(const struct bus_range *a, const struct bus_range *b)
{
    return a->base < b->base + b->size && b->base < a->base + a->size;
}

static void entry_insert(struct bus *bus, size_t at, const struct bus_range *range, bool movable)
{
    if (bus->count == bus->room) {
        size_t room = bus->room ? 2 * bus->room : 64;
        struct entry *entries = allocate(room * sizeof(*entries));
        if (bus->count)
            memcpy(entries, bus->entries, bus->count * sizeof(*entries));
        free(bus->entries);
        bus->entries = entries;
        bus->room = room;
    }
    memmove(&bus->entries[at + 1], &bus->entries[at], (bus->count - at) * sizeof(*bus->entries));
    bus->entries[at] = (struct entry){.range = *range, .movable = movable};
    if (!bus->entries[at].range.widest)
        bus->entries[at].range.widest = 1;
    bus->count++;
    bus->last = 0;
}

void bus_add(struct bus *bus, const struct bus_range *range)
{
    size_t at = 0;
    assert(bus_is_free(bus, range->base, range->size));
    while (at < bus->count && !bus->entries[at].movable)
        at++;
    entry_insert(bus, at, range, false);
}

bool bus_is_free(const struct bus *bus, uint64_t base, uint64_t size)
{
    struct bus_range wanted = {.base = base, .size = size};
    if (!size || base >= bus->limit || size > bus->limit - base)
        return false;
    for (size_t at = 0; at < bus->count && !bus->entries[at].movable; at++)
        if (ranges_overlap(&bus->entries[at].range, &wanted))
            return false;
    return true;
}

void bus_add_movable(struct bus *bus, const struct bus_range *range)
{
    if (range->size && range->base < bus->limit && range->size <= bus->limit - range->base)
        entry_insert(bus, bus->count, range, true);
}

void bus_remove(struct bus *bus, const void *device, uint64_t base)
{
    for (size_t i = 0; i < bus->count; i++) {
        if (bus->entries[i].range.device != device || bus->entries[i].range.base != base)
            continue;
        memmove(&bus->entries[i], &bus->entries[i + 1], (bus->count - i - 1) * sizeof(*bus->entries));
        bus->count--;
        bus->last = 0;
        return;
    }
}

static const struct bus_range *range_at(struct bus *bus, uint64_t address)
{
    /* The last hit is right only if nothing of higher precedence covers the address: true of fixed ranges. */
    if (bus->last < bus->count && !bus->entries[bus->last].movable &&
        entry_covers(&bus->entries[bus->last], address))
        return &bus->entries[bus->last].range;
    for (size_t i = 0; i < bus->count; i++) {
        if (entry_covers(&bus->entries[i], address)) {
            bus->last = i;
            return &bus->entries[i].range;
        }
    }
    return NULL;
}

static uint64_t ones(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
}

static bool needs_split(const struct bus_range *range, uint64_t address, unsigned size, unsigned *piece)
{
    if (range->base + range->size - address < size)
        *piece = 1;
    else if (size > range->widest)
        *piece = range->widest;
    else
        return false;
    return true;
}

/* True if no range has any of the bytes: then the whole access is one that nobody claimed. */
static bool unclaimed(struct bus *bus, uint64_t address, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        if (range_at(bus, (address + i) % bus->limit))
            return false;
    return true;
}

uint64_t bus_read_locked(struct bus *bus, uint64_t address, unsigned size)
{
    address %= bus->limit;
    const struct bus_range *range = range_at(bus, address);
    unsigned piece = 1;

    if (range && !needs_split(range, address, size, &piece)) {
        if (!range->read)
            return ones(size);
        return range->read(range->device, address - range->base, size) & ones(size);
    }
    if (size == 1 || (!range && unclaimed(bus, address, size))) {
        log_guest(LOG_UNIMP, "%s %#llx: read of %u bytes, nobody there", bus->name,
                  (unsigned long long)address, size);
        return ones(size);
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i += piece)
        value |= bus_read_locked(bus, address + i, piece) << 8 * i;
    return value;
}

void bus_write_locked(struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
    address %= bus->limit;
    const struct bus_range *range = range_at(bus, address);
    unsigned piece = 1;

    value &= ones(size);
    if (range && !needs_split(range, address, size, &piece)) {
        if (range->write)
            range->write(range->device, address - range->base, size, value);
        return;
    }
    if (size == 1 || (!range && unclaimed(bus, address, size))) {
        log_guest(LOG_UNIMP, "%s %#llx: write of %u bytes, %#llx, nobody there", bus->name,
                  (unsigned long long)address, size, (unsigned long long)value);
        return;
    }
    for (unsigned i = 0; i < size; i += piece)
        bus_write_locked(bus, address + i, piece, value >> 8 * i);
}

uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size)
{
    machine_lock();
    uint64_t value = bus_read_locked(bus, address, size);
    machine_unlock();
    return value;
}

void bus_write(struct bus *bus, uint64_t address, unsigned size, uint64_t value)
{
    machine_lock();
    bus_write_locked(bus, address, size, value);
    machine_unlock();
}

static int by_base(const void *a, const void *b)
{
    const struct bus_range *left = a, *right = b;
    return left->base < right->base ? -1 : left->base > right->base;
}

void bus_each(struct bus *bus, void (*each)(void *opaque, const struct bus_range *range), void *opaque)
{
    size_t count = bus->count;
    struct bus_range *sorted = allocate((count + 1) * sizeof(*sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = bus->entries[i].range;
    qsort(sorted, count, sizeof(*sorted), by_base);
    for (size_t i = 0; i < count; i++)
        each(opaque, &sorted[i]);
    free(sorted);
}

/*
 * Guest physical memory. The map is a sorted array of ranges that never overlap; there are about twenty of them.
 */
#include "core/memory.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"

enum { RANGES_MOST = 128 };

struct memory {
    uint8_t *ram;
    uint64_t ram_size, mapped;
    struct memory_range ranges[RANGES_MOST];
    size_t count;
    uint64_t generation;
    struct memory_listener listener;
    struct {
        const uint8_t *host; /* NULL: there is no log */
        uint64_t size;
        uint64_t *pages; /* a bit each */
        bool known;      /* the engine tells */
    } log;
};

struct memory *memory_create_on(const struct backing *backing, uint64_t ram_size, char *error,
                                size_t error_size)
{
    struct memory *memory = allocate(sizeof(*memory));
    memory->ram = backing_map(backing, ram_size, &memory->mapped, error, error_size);
    if (!memory->ram) {
        free(memory);
        return NULL;
    }
    memory->ram_size = ram_size;
    return memory;
}

struct memory *memory_create(uint64_t ram_size)
{
    char error[256];
    return memory_create_on(&(struct backing){0}, ram_size, error, sizeof(error));
}

void memory_destroy(struct memory *memory)
{
    free(memory->log.pages);
    munmap(memory->ram, memory->mapped);
    free(memory);
}

uint8_t *memory_ram(struct memory *memory)
{
    return memory->ram;
}

uint64_t memory_ram_size(const struct memory *memory)
{
    return memory->ram_size;
}

/* The first range that ends after the address. */
static size_t position(const struct memory *memory, uint64_t address)
{
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct memory_range *range = &memory->ranges[middle];
        if (range->base + range->size - 1 < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void range_insert(struct memory *memory, size_t at, const struct memory_range *range)
{
    assert(memory->count < RANGES_MOST);
    memmove(&memory->ranges[at + 1], &memory->ranges[at], (memory->count - at) * sizeof(*range));
    memory->ranges[at] = *range;
    memory->count++;
}

static void range_delete(struct memory *memory, size_t at)
{
    memory->count--;
    memmove(&memory->ranges[at], &memory->ranges[at + 1], (memory->count - at) * sizeof(memory->ranges[0]));
}

/* Makes [base, base + size) a hole, splitting the ranges at its ends. */
static void cut(struct memory *memory, uint64_t base, uint64_t size)
{
    uint64_t end = base + size;
    size_t at = position(memory, base);

    while (at < memory->count && memory->ranges[at].base < end) {
        struct memory_range old = memory->ranges[at];
        uint64_t old_end = old.base + old.size;
        range_delete(memory, at);
        if (old.base < base) {
            struct memory_range head = old;
            head.size = base - old.base;
            range_insert(memory, at++, &head);
        }
        if (old_end > end) {
            struct memory_range tail = old;
            tail.base = end;
            tail.size = old_end - end;
            tail.host = old.host + (end - old.base);
            range_insert(memory, at++, &tail);
        }
    }
}

static void map_changing(struct memory *memory)
{
    if (memory->listener.map_changing)
        memory->listener.map_changing(memory->listener.opaque);
}

static void map_changed(struct memory *memory, uint64_t base, uint64_t size)
{
    memory->generation++;
    if (memory->listener.map_changed)
        memory->listener.map_changed(memory->listener.opaque, base, size);
}

void memory_map(struct memory *memory, const struct memory_range *range)
{
    assert(range->size && !(range->base % PAGE_SIZE) && !(range->size % PAGE_SIZE));
    map_changing(memory);
    cut(memory, range->base, range->size);
    range_insert(memory, position(memory, range->base), range);
    map_changed(memory, range->base, range->size);
}

void memory_unmap(struct memory *memory, uint64_t base, uint64_t size)
{
    map_changing(memory);
    cut(memory, base, size);
    map_changed(memory, base, size);
}

const struct memory_range *memory_ranges(const struct memory *memory, size_t *count)
{
    *count = memory->count;
    return memory->ranges;
}

uint64_t memory_generation(const struct memory *memory)
{
    return memory->generation;
}

uint8_t *memory_at(const struct memory *memory, uint64_t address, uint64_t *length, bool *writable)
{
    size_t at = position(memory, address);
    if (at == memory->count || memory->ranges[at].base > address)
        return NULL;
    const struct memory_range *range = &memory->ranges[at];
    *length = range->size - (address - range->base);
    *writable = range->writable;
    return range->host + (address - range->base);
}

/* How many bytes from here lie in no range. */
static uint64_t hole_length(const struct memory *memory, uint64_t address)
{
    size_t at = position(memory, address);
    return at == memory->count ? UINT64_MAX - address : memory->ranges[at].base - address;
}

bool memory_read(struct memory *memory, uint64_t address, void *to, uint64_t size)
{
    bool whole = size == 0 || size - 1 <= UINT64_MAX - address;
    for (uint8_t *next = to; size;) {
        uint64_t length = 0;
        bool writable;
        const uint8_t *host = address == UINT64_MAX ? NULL : memory_at(memory, address, &length, &writable);
        if (!host) {
            length = hole_length(memory, address);
            if (!length)
                length = size;
        }
        if (length > size)
            length = size;
        if (host)
            memcpy(next, host, length);
        else
            memset(next, 0xff, length);
        whole = whole && host;
        next += length;
        size -= length;
        address = length > UINT64_MAX - address ? UINT64_MAX : address + length;
    }
    return whole;
}

bool memory_write(struct memory *memory, uint64_t address, const void *from, uint64_t size)
{
    bool whole = true;
    for (const uint8_t *next = from; size;) {
        uint64_t length = 0;
        bool writable = false;
        uint8_t *host = memory_at(memory, address, &length, &writable);
        if (!host)
            length = hole_length(memory, address);
        if (!length || length > size)
            length = size;
        if (host && writable) {
            memcpy(host, next, length);
            memory_tell_written(memory, address, length);
        } else {
            whole = false;
        }
        next += length;
        size -= length;
        if (size && length > UINT64_MAX - address)
            return false;
        address += length;
    }
    return whole;
}

bool memory_backs(const struct memory *memory, uint64_t address, uint64_t size, bool writable)
{
    if (size && size - 1 > UINT64_MAX - address)
        return false;
    while (size) {
        uint64_t length;
        bool may_write;
        if (!memory_at(memory, address, &length, &may_write) || (writable && !may_write))
            return false;
        if (length >= size)
            return true;
        address += length;
        size -= length;
    }
    return true;
}

bool memory_read_16(struct memory *memory, uint64_t address, uint16_t *value)
{
    uint64_t length;
    bool writable;
    const uint8_t *host = memory_at(memory, address, &length, &writable);
    *value = UINT16_MAX;
    if (!host || address % 2)
        return false;
    *value = le16toh(__atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_ACQUIRE));
    return true;
}

/* What of [address, address + size) lies in one writable range, to be followed by written(); NULL: none. */
static uint8_t *writable_at(const struct memory *memory, uint64_t address, uint64_t size, uint64_t *length)
{
    bool writable = false;
    uint8_t *host = memory_at(memory, address, length, &writable);
    if (!host || !writable)
        return NULL;
    if (*length > size)
        *length = size;
    return host;
}

void memory_tell_written(struct memory *memory, uint64_t address, uint64_t size)
{
    uint64_t length;
    bool writable;
    for (uint64_t at = 0; memory->log.host && at < size; at += length) {
        const uint8_t *host = memory_at(memory, address + at, &length, &writable);
        if (!host)
            break;
        memory_log_mark(memory, host, length < size - at ? length : size - at);
    }
    if (memory->listener.written)
        memory->listener.written(memory->listener.opaque, address, size);
}

bool memory_write_16(struct memory *memory, uint64_t address, uint16_t value)
{
    uint64_t length;
    uint8_t *host = writable_at(memory, address, sizeof(value), &length);
    if (!host || address % 2)
        return false;
    __atomic_store_n((uint16_t *)(void *)host, htole16(value), __ATOMIC_RELEASE);
    memory_tell_written(memory, address, sizeof(value));
    return true;
}

bool memory_load(struct memory *memory, uint64_t address, int descriptor, uint64_t offset, uint64_t size)
{
    while (size) {
        uint64_t length = 0;
        uint8_t *host = writable_at(memory, address, size, &length);
        if (!host) {
            errno = EFAULT;
            return false;
        }
        ssize_t got = pread(descriptor, host, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got ? errno : 0;
            return false;
        }
        memory_tell_written(memory, address, (uint64_t)got);
        address += (uint64_t)got;
        offset += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return true;
}

void memory_clear(struct memory *memory, uint64_t address, uint64_t size)
{
    while (size) {
        uint64_t length = 0;
        uint8_t *host = writable_at(memory, address, size, &length);
        if (!host)
            return;
        memset(host, 0, length);
        memory_tell_written(memory, address, length);
        address += length;
        size -= length;
    }
}

static bool is_ram(const struct memory *memory, const uint8_t *host)
{
    return host >= memory->ram && host < memory->ram + memory->ram_size;
}

/* Where the host's pages are larger than the guest's (hugetlbfs), it refuses pieces of them: they stay. */
void memory_discard(struct memory *memory, uint64_t address, uint64_t size)
{
    uint64_t end = size > UINT64_MAX - address ? UINT64_MAX : address + size;
    address = (address + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
    end &= ~(uint64_t)(PAGE_SIZE - 1);
    while (address < end) {
        uint64_t length = 0;
        bool writable;
        uint8_t *host = memory_at(memory, address, &length, &writable);
        if (!host)
            length = hole_length(memory, address);
        if (length > end - address)
            length = end - address;
        if (host && is_ram(memory, host) && madvise(host, length, MADV_DONTNEED) == 0)
            memory_tell_written(memory, address, length);
        address += length;
    }
}

void memory_listen(struct memory *memory, const struct memory_listener *listener)
{
    memory->listener = listener ? *listener : (struct memory_listener){0};
}

/* ---- the log of writes */

bool memory_log_wants(const struct memory *memory, const uint8_t *host, uint64_t size)
{
    return memory->log.host && host < memory->log.host + memory->log.size && host + size > memory->log.host;
}

void memory_log_mark(struct memory *memory, const uint8_t *host, uint64_t size)
{
    if (!size || !memory_log_wants(memory, host, size))
        return;
    const uint8_t *start = memory->log.host, *end = start + memory->log.size;
    uint64_t first = host > start ? (uint64_t)(host - start) : 0;
    uint64_t last = (uint64_t)((host + size < end ? host + size : end) - start) - 1;
    for (uint64_t page = first / PAGE_SIZE; page <= last / PAGE_SIZE; page++)
        memory->log.pages[page / 64] |= 1ull << page % 64;
}

static bool log_tell(struct memory *memory)
{
    return memory->listener.log_changed && memory->listener.log_changed(memory->listener.opaque);
}

bool memory_log_take(struct memory *memory, const uint8_t *host, uint64_t size, uint64_t *pages)
{
    uint64_t words = (size / PAGE_SIZE + 63) / 64;
    if (!memory->log.host) {
        memory->log.host = host;
        memory->log.size = size;
        memory->log.pages = allocate(words * sizeof(*pages));
        memory->log.known = log_tell(memory);
        return false;
    }
    assert(memory->log.host == host && memory->log.size == size);
    if (!memory->log.known)
        return false;
    memory->listener.log_collect(memory->listener.opaque);
    for (uint64_t i = 0; i < words; i++) {
        pages[i] |= memory->log.pages[i];
        memory->log.pages[i] = 0;
    }
    return true;
}

void memory_log_stop(struct memory *memory, const uint8_t *host)
{
    if (memory->log.host != host)
        return;
    memory->log.host = NULL;
    log_tell(memory);
    free(memory->log.pages);
    memory->log.pages = NULL;
}

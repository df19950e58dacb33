#include "core/scatter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    BOUNCED_MOST = 1 << 20
}; /* bytes at a time: a guest that points many requests at video memory costs no more */

struct origin {
    uint64_t address;
    bool bounced;
};

struct scatter {
    struct memory *memory;
    bool to_memory;
    unsigned count, most;
    uint64_t size, bounced;
    struct iovec *pieces;
    struct origin *origins;
};

struct scatter *scatter_create(struct memory *memory, unsigned most)
{
    struct scatter *scatter = allocate(sizeof(*scatter));
    scatter->memory = memory;
    scatter->most = most;
    scatter->pieces = allocate(most * sizeof(*scatter->pieces));
    scatter->origins = allocate(most * sizeof(*scatter->origins));
    return scatter;
}

void scatter_destroy(struct scatter *scatter)
{
    if (!scatter)
        return;
    assert(!scatter->count);
    free(scatter->pieces);
    free(scatter->origins);
    free(scatter);
}

void scatter_begin(struct scatter *scatter, bool to_memory)
{
    assert(!scatter->count);
    scatter->to_memory = to_memory;
    scatter->size = scatter->bounced = 0;
}

static bool lies_in_ram(const struct memory *memory, const uint8_t *host)
{
    const uint8_t *ram = memory_ram((struct memory *)memory);
    return host >= ram && host < ram + memory_ram_size(memory);
}

static bool continues(const struct scatter *scatter, uint64_t address, const uint8_t *host)
{
    if (!scatter->count)
        return false;
    const struct iovec *last = &scatter->pieces[scatter->count - 1];
    const struct origin *origin = &scatter->origins[scatter->count - 1];
    return !origin->bounced && origin->address + last->iov_len == address &&
           (uint8_t *)last->iov_base + last->iov_len == host;
}

/* Is all of [address, address + size) memory of the right kind, and is there room for it? */
static bool range_fits(const struct scatter *scatter, uint64_t address, uint64_t size)
{
    unsigned count = scatter->count;
    uint64_t bounced = scatter->bounced;
    while (size) {
        uint64_t length;
        bool writable;
        const uint8_t *host = memory_at(scatter->memory, address, &length, &writable);
        if (!host || (scatter->to_memory && !writable))
            return false;
        count += count > scatter->count || !continues(scatter, address, host);
        if (count > scatter->most)
            return false;
        length = length < size ? length : size;
        if (!lies_in_ram(scatter->memory, host) && (bounced += length) > BOUNCED_MOST)
            return false;
        size -= length;
        address += length;
    }
    return true;
}

static void piece_add(struct scatter *scatter, uint64_t address, uint8_t *host, uint64_t size)
{
    bool bounced = !lies_in_ram(scatter->memory, host);
    scatter->size += size;
    if (!bounced && continues(scatter, address, host)) {
        scatter->pieces[scatter->count - 1].iov_len += size;
        return;
    }
    if (bounced) {
        scatter->bounced += size;
        host = allocate(size);
        if (!scatter->to_memory)
            memory_read(scatter->memory, address, host, size);
    }
    scatter->pieces[scatter->count] = (struct iovec){host, size};
    scatter->origins[scatter->count++] = (struct origin){address, bounced};
}

bool scatter_add(struct scatter *scatter, uint64_t address, uint64_t size)
{
    if (!size)
        return true;
    if (size - 1 > UINT64_MAX - address || !range_fits(scatter, address, size))
        return false;
    while (size) {
        uint64_t length;
        bool writable;
        uint8_t *host = memory_at(scatter->memory, address, &length, &writable);
        length = length < size ? length : size;
        piece_add(scatter, address, host, length);
        size -= length;
        address += length;
    }
    return true;
}

const struct iovec *scatter_pieces(const struct scatter *scatter, unsigned *count)
{
    *count = scatter->count;
    return scatter->pieces;
}

uint64_t scatter_size(const struct scatter *scatter)
{
    return scatter->size;
}

void scatter_cut(struct scatter *scatter, uint64_t size)
{
    for (uint64_t all = scatter->size; all > size;) {
        struct iovec *last = &scatter->pieces[scatter->count - 1];
        uint64_t off = all - size < last->iov_len ? all - size : last->iov_len;
        all -= off;
        last->iov_len -= off;
        if (last->iov_len)
            continue;
        scatter->count--;
        if (scatter->origins[scatter->count].bounced)
            free(last->iov_base);
    }
    scatter->size = scatter->size < size ? scatter->size : size;
}

void scatter_end(struct scatter *scatter, uint64_t moved)
{
    for (unsigned i = 0; i < scatter->count; i++) {
        const struct iovec *piece = &scatter->pieces[i];
        const struct origin *origin = &scatter->origins[i];
        uint64_t size = moved < piece->iov_len ? moved : piece->iov_len;
        if (scatter->to_memory && size && origin->bounced)
            memory_write(scatter->memory, origin->address, piece->iov_base, size);
        else if (scatter->to_memory && size)
            memory_tell_written(scatter->memory, origin->address, size);
        if (origin->bounced)
            free(piece->iov_base);
        moved -= size;
    }
    scatter->count = 0;
}

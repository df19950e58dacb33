/*
 * Split virtqueues: a table of descriptors, a ring of chains that the driver makes available and a ring of those that the
 * device has used.
 *
 * The driver may write to all of it at any time, on another CPU: each field is read once and checked after that. What
 * breaks the rules puts the device into DEVICE_NEEDS_RESET. Zero-length descriptors count as broken, as in QEMU.
 *
 * Left out: packed rings, in-order completion, reset of a single queue.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 2.7.
 */
#include "devices/virtio-internal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum descriptor_flags { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2, DESCRIPTOR_INDIRECT = 4 };

enum available_ring { AVAILABLE_FLAGS = 0, AVAILABLE_INDEX = 2, AVAILABLE_RING = 4, NO_INTERRUPT = 1 };
enum used_ring { USED_FLAGS = 0, USED_INDEX = 2, USED_RING = 4 };

struct descriptor {
    uint64_t address; /* all little-endian */
    uint32_t length;
    uint16_t flags, next;
};

struct used_element {
    uint32_t head, written; /* little-endian */
};

struct segment {
    uint64_t address;
    uint32_t length;
};

struct virtio_chain {
    struct virtio_queue *queue;
    unsigned era;
    uint16_t head;
    unsigned readables, count; /* the readable segments come first */
    uint64_t readable, writable;
    struct segment segments[];
};

/* ---- where things are */

static uint64_t available_entry(const struct virtio_queue *queue, uint16_t at)
{
    return queue->available + AVAILABLE_RING + 2ull * (at % queue->size);
}

static uint64_t used_element(const struct virtio_queue *queue, uint16_t at)
{
    return queue->used + USED_RING + sizeof(struct used_element) * (at % queue->size);
}

/* The driver's "interrupt me when the used index passes this", behind its ring. */
static uint64_t used_event(const struct virtio_queue *queue)
{
    return queue->available + AVAILABLE_RING + 2ull * queue->size;
}

/* The device's "notify me when the available index passes this". */
static uint64_t available_event(const struct virtio_queue *queue)
{
    return queue->used + USED_RING + sizeof(struct used_element) * queue->size;
}

/* Old drivers notify before DRIVER_OK. */
struct memory *virtio_queue_memory(const struct virtio_queue *queue)
{
    const struct virtio *virtio = queue->virtio;
    bool ready = virtio->status & STATUS_DRIVER_OK || !virtio_has(virtio, VIRTIO_F_VERSION_1);
    if (!queue->enabled || !ready || virtio->holds || virtio->status & STATUS_NEEDS_RESET)
        return NULL;
    return pci_memory(virtio->pci);
}

void virtio_queue_reset(struct virtio_queue *queue)
{
    struct virtio *virtio = queue->virtio;
    struct virtio_queue fresh = {.virtio = virtio,
                                 .index = queue->index,
                                 .size = virtio->setup.queue_size,
                                 .vector = VIRTIO_NO_VECTOR,
                                 .doorbell = queue->doorbell};
    *queue = fresh;
}

/* ---- from the driver */

static void broken(struct virtio_queue *queue, const char *why)
{
    virtio_fail(queue->virtio, "queue %u: %s", queue->index, why);
}

static bool wraps_around(const struct virtio_queue *queue)
{
    const uint64_t last = UINT64_MAX - VIRTIO_QUEUE_SIZE_MOST * sizeof(struct descriptor);
    return queue->descriptors > last || queue->available > last || queue->used > last;
}

/* How many chains wait; 0 also if the ring is broken. */
static unsigned available_count(struct virtio_queue *queue, struct memory *memory)
{
    uint16_t index;
    if (wraps_around(queue) || !memory_read_16(memory, queue->available + AVAILABLE_INDEX, &index)) {
        broken(queue, "the available ring is not in memory");
        return 0;
    }
    uint16_t count = index - queue->next_available;
    if (count > queue->size) {
        broken(queue, "more is available than the ring holds");
        return 0;
    }
    return count;
}

/* Looks again after having asked to be notified: the driver may have seen the old wish. */
static unsigned available_wait(struct virtio_queue *queue, struct memory *memory)
{
    if (!virtio_has(queue->virtio, VIRTIO_F_EVENT_IDX))
        return 0; /* it is never told not to notify */
    if (!memory_write_16(memory, available_event(queue), queue->next_available)) {
        broken(queue, "the used ring is not in memory");
        return 0;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return available_count(queue, memory);
}

struct walk {
    struct virtio_queue *queue;
    struct memory *memory;
    const char *error;
    unsigned readables, count;
    uint64_t readable, writable;
    struct segment segments[VIRTIO_QUEUE_SIZE_MOST];
};

static bool walk_fail(struct walk *walk, const char *error)
{
    walk->error = error;
    return false;
}

static bool segment_add(struct walk *walk, const struct descriptor *descriptor)
{
    bool writable = descriptor->flags & DESCRIPTOR_WRITE;
    if (!descriptor->length)
        return walk_fail(walk, "a descriptor of no bytes");
    if (walk->count == VIRTIO_QUEUE_SIZE_MOST)
        return walk_fail(walk, "a chain of too many descriptors");
    if (!writable && walk->writable)
        return walk_fail(walk, "a readable descriptor behind a writable one");
    if (!memory_backs(walk->memory, descriptor->address, descriptor->length, writable))
        return walk_fail(walk, "a descriptor outside memory");
    walk->segments[walk->count++] = (struct segment){descriptor->address, descriptor->length};
    if (writable) {
        walk->writable += descriptor->length;
    } else {
        walk->readable += descriptor->length;
        walk->readables++;
    }
    if (walk->readable + walk->writable > UINT32_MAX)
        return walk_fail(walk, "a chain of 4 GiB and more");
    return true;
}

static bool descriptor_read(struct walk *walk, uint64_t table, unsigned index, struct descriptor *descriptor)
{
    if (!memory_read(walk->memory, table + index * sizeof(*descriptor), descriptor, sizeof(*descriptor)))
        return walk_fail(walk, "a table of descriptors outside memory");
    descriptor->address = le64toh(descriptor->address);
    descriptor->length = le32toh(descriptor->length);
    descriptor->flags = le16toh(descriptor->flags);
    descriptor->next = le16toh(descriptor->next);
    return true;
}

static bool indirect_is_right(struct walk *walk, const struct descriptor *descriptor, bool inside)
{
    if (!virtio_has(walk->queue->virtio, VIRTIO_F_INDIRECT_DESC))
        return walk_fail(walk, "an indirect descriptor that was not agreed upon");
    if (inside)
        return walk_fail(walk, "an indirect descriptor in an indirect table");
    if (descriptor->flags & DESCRIPTOR_NEXT)
        return walk_fail(walk, "an indirect descriptor with a next one");
    if (!descriptor->length || descriptor->length % sizeof(struct descriptor) ||
        descriptor->length / sizeof(struct descriptor) > UINT16_MAX + 1u)
        return walk_fail(walk, "an indirect table of impossible length");
    if (!memory_backs(walk->memory, descriptor->address, descriptor->length, false))
        return walk_fail(walk, "an indirect table outside memory");
    return true;
}

/* Every step takes one of `left` descriptors, so a loop ends. */
static bool chain_walk(struct walk *walk, uint16_t head)
{
    uint64_t table = walk->queue->descriptors;
    unsigned size = walk->queue->size, left = size, next = head;
    bool inside = false;
    struct descriptor descriptor;

    for (;;) {
        if (next >= size)
            return walk_fail(walk, "a descriptor beyond the table's end");
        if (!left--)
            return walk_fail(walk, "a chain that runs in a circle");
        if (!descriptor_read(walk, table, next, &descriptor))
            return false;
        if (descriptor.flags & DESCRIPTOR_INDIRECT) {
            if (!indirect_is_right(walk, &descriptor, inside))
                return false;
            inside = true;
            table = descriptor.address;
            size = left = descriptor.length / sizeof(descriptor);
            next = 0;
            continue;
        }
        if (!segment_add(walk, &descriptor))
            return false;
        if (!(descriptor.flags & DESCRIPTOR_NEXT))
            return true;
        next = descriptor.next;
    }
}

static struct virtio_chain *chain_make(const struct walk *walk, uint16_t head)
{
    size_t segments = walk->count * sizeof(walk->segments[0]);
    struct virtio_chain *chain = allocate(sizeof(*chain) + segments);
    *chain = (struct virtio_chain){.queue = walk->queue,
                                   .era = walk->queue->virtio->era,
                                   .head = head,
                                   .readables = walk->readables,
                                   .count = walk->count,
                                   .readable = walk->readable,
                                   .writable = walk->writable};
    memcpy(chain->segments, walk->segments, segments);
    return chain;
}

/* The other CPUs of the guest could keep a device busy for ever. */
static bool turn_is_over(struct virtio_queue *queue)
{
    if (!queue->in_turn || queue->turn--)
        return false;
    queue->turn = 0;
    virtio_again(queue);
    return true;
}

struct virtio_chain *virtio_pop(struct virtio_queue *queue)
{
    struct memory *memory = virtio_queue_memory(queue);
    struct walk walk;
    uint16_t head;

    if (!memory || (!available_count(queue, memory) && !available_wait(queue, memory)))
        return NULL;
    if (turn_is_over(queue))
        return NULL;
    if (queue->held >= queue->size) {
        broken(queue, "more chains than there are descriptors");
        return NULL;
    }
    if (!memory_read_16(memory, available_entry(queue, queue->next_available), &head)) {
        broken(queue, "the available ring is not in memory");
        return NULL;
    }
    walk.queue = queue;
    walk.memory = memory;
    walk.readables = walk.count = 0;
    walk.readable = walk.writable = 0;
    if (!chain_walk(&walk, head)) {
        broken(queue, walk.error);
        return NULL;
    }
    queue->next_available++;
    queue->held++;
    return chain_make(&walk, head);
}

void virtio_unpop(struct virtio_chain *chain)
{
    struct virtio_queue *queue = chain->queue;
    if (chain->era == queue->virtio->era) {
        queue->next_available--;
        queue->held--;
    }
    free(chain);
}

/* ---- a chain's bytes */

static bool chain_copy(const struct virtio_chain *chain, bool writing, uint64_t offset, void *bytes,
                       uint64_t size)
{
    struct memory *memory = virtio_queue_memory(chain->queue);
    const struct segment *at = chain->segments + (writing ? chain->readables : 0);
    uint64_t total = writing ? chain->writable : chain->readable;
    uint8_t *next = bytes;
    bool whole = true;

    if (!memory || chain->era != chain->queue->virtio->era || offset > total || size > total - offset)
        return false;
    while (size && offset >= at->length)
        offset -= at++->length;
    for (; size; at++, offset = 0) {
        uint64_t length = at->length - offset < size ? at->length - offset : size;
        whole = (writing ? memory_write(memory, at->address + offset, next, length)
                         : memory_read(memory, at->address + offset, next, length)) &&
                whole;
        next += length;
        size -= length;
    }
    return whole;
}

uint64_t virtio_readable(const struct virtio_chain *chain)
{
    return chain->readable;
}

uint64_t virtio_writable(const struct virtio_chain *chain)
{
    return chain->writable;
}

bool virtio_read(const struct virtio_chain *chain, uint64_t offset, void *to, uint64_t size)
{
    return chain_copy(chain, false, offset, to, size);
}

bool virtio_write(const struct virtio_chain *chain, uint64_t offset, const void *from, uint64_t size)
{
    return chain_copy(chain, true, offset, (void *)from, size);
}

bool virtio_gather(const struct virtio_chain *chain, bool writable, uint64_t offset, uint64_t size,
                   struct scatter *scatter)
{
    const struct segment *at = chain->segments + (writable ? chain->readables : 0);
    uint64_t total = writable ? chain->writable : chain->readable;
    if (offset > total || size > total - offset)
        return false;
    while (size && offset >= at->length)
        offset -= at++->length;
    for (; size; at++, offset = 0) {
        uint64_t length = at->length - offset < size ? at->length - offset : size;
        if (!scatter_add(scatter, at->address + offset, length))
            return false;
        size -= length;
    }
    return true;
}

unsigned virtio_pieces(const struct virtio_chain *chain)
{
    return chain->count;
}

void virtio_discard(const struct virtio_chain *chain)
{
    struct memory *memory = virtio_queue_memory(chain->queue);
    if (!memory || chain->era != chain->queue->virtio->era)
        return;
    for (unsigned i = chain->readables; i < chain->count; i++)
        memory_discard(memory, chain->segments[i].address, chain->segments[i].length);
}

/* ---- to the driver */

void virtio_push(struct virtio_chain *chain, uint32_t written)
{
    struct virtio_queue *queue = chain->queue;
    struct used_element element = {htole32(chain->head), htole32(written)};
    if (chain->era == queue->virtio->era) {
        struct memory *memory = virtio_queue_memory(queue);
        queue->held--;
        if (memory && !memory_write(memory, used_element(queue, queue->next_used), &element, sizeof(element)))
            broken(queue, "the used ring is not in memory");
        queue->next_used++;
    }
    free(chain);
}

static bool interrupt_wanted(struct virtio_queue *queue, struct memory *memory)
{
    uint16_t was = queue->interrupted, now = queue->published, event, flags;
    queue->interrupted = now;
    if (virtio_has(queue->virtio, VIRTIO_F_EVENT_IDX))
        return memory_read_16(memory, used_event(queue), &event) &&
               (uint16_t)(now - event - 1) < (uint16_t)(now - was);
    return memory_read_16(memory, queue->available + AVAILABLE_FLAGS, &flags) && !(flags & NO_INTERRUPT);
}

void virtio_publish(struct virtio_queue *queue)
{
    struct memory *memory = virtio_queue_memory(queue);
    if (queue->published == queue->next_used || !memory)
        return;
    queue->published = queue->next_used;
    if (!memory_write_16(memory, queue->used + USED_INDEX, queue->published)) {
        broken(queue, "the used ring is not in memory");
        return;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (interrupt_wanted(queue, memory))
        virtio_interrupt_queue(queue);
}

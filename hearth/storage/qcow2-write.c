/*
 * Writing to a qcow2 image.
 *
 * A write to clusters that have no place of their own gets new ones, writes them whole (what the guest did not give is
 * taken from where the disk showed it before) and only then enters them into the table. Another write to the same cluster
 * waits for that; a read still sees what was there before.
 */
#include <errno.h>
#include <stdlib.h>

#include "storage/pieces.h"
#include "storage/qcow2.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Waits until nobody allocates the first of these clusters; answers how many of them are free of others then. Lock held. */
static uint64_t allocations_wait(struct qcow2 *qcow2, uint64_t first, uint64_t count)
{
    for (const struct qcow2_allocation *other = qcow2->allocations; other;) {
        if (first >= other->first && first < other->first + other->count) {
            pthread_cond_wait(&qcow2->allocation_ended, &qcow2->lock);
            other = qcow2->allocations;
            continue;
        }
        if (other->first > first && other->first - first < count)
            count = other->first - first;
        other = other->next;
    }
    return count;
}

static void allocation_begin(struct qcow2 *qcow2, struct qcow2_allocation *allocation, uint64_t first,
                             uint64_t count)
{
    *allocation = (struct qcow2_allocation){first, count, qcow2->allocations};
    qcow2->allocations = allocation;
}

static void allocation_end(struct qcow2 *qcow2, const struct qcow2_allocation *allocation)
{
    struct qcow2_allocation **at = &qcow2->allocations;
    while (*at != allocation)
        at = &(*at)->next;
    *at = allocation->next;
    pthread_cond_broadcast(&qcow2->allocation_ended);
}

/* How many clusters from this one on are to be allocated, of `count`. */
static uint64_t run_to_allocate(struct qcow2 *qcow2, uint64_t first, uint64_t count)
{
    uint64_t run = 1;
    struct qcow2_mapping mapping;
    while (run < count && run < QCOW2_RUN_MOST && !qcow2_map(qcow2, first + run, &mapping) &&
           !(mapping.kind == KIND_NORMAL && mapping.in_place))
        run++;
    return run;
}

static int in_place_write(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    struct iovec some[PIECES_AT_ONCE];
    for (uint64_t taken; size; size -= taken, offset += taken) {
        int count;
        taken = qcow2_take(cursor, size, some, &count);
        int result = qcow2->file->ops->write(qcow2->file, offset, some, (unsigned)count);
        if (result)
            return result;
    }
    return 0;
}

/* What the disk shows at [offset, offset + size), which new clusters are to show too. NULL: nothing, or zeros that the file
 * has there already. */
static int surroundings(struct qcow2 *qcow2, uint64_t offset, uint64_t size, bool fresh, uint8_t **bytes)
{
    struct qcow2_mapping mapping;
    uint64_t run;
    *bytes = NULL;
    if (!size)
        return 0;
    pthread_mutex_lock(&qcow2->lock);
    int result = qcow2_run(qcow2, offset, size, &mapping, &run);
    pthread_mutex_unlock(&qcow2->lock);
    bool zeros = mapping.kind == KIND_ZERO ||
                 (mapping.kind == KIND_UNALLOCATED && (!qcow2->backing || offset >= qcow2->backing->size));
    if (result || (zeros && run == size && fresh))
        return result;
    *bytes = malloc(size);
    if (!*bytes)
        return -ENOMEM;
    struct iovec piece = {*bytes, size};
    struct cursor cursor = {&piece, 1, 0};
    return qcow2_disk_read(qcow2, offset, &cursor, size);
}

static int part_write(struct qcow2 *qcow2, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    return bytes ? qcow2_file_write(qcow2, offset, bytes, size) : 0;
}

/* Fills clusters of the file from `place` on with what the disk is to show from `offset` on: the guest's bytes, and around
 * them what was there. */
static int clusters_fill(struct qcow2 *qcow2, uint64_t place, uint64_t offset, struct cursor *cursor,
                         uint64_t size, bool fresh)
{
    uint64_t head = offset % qcow2->cluster_size, end = offset + size,
             tail = least(-end % qcow2->cluster_size, qcow2->block.size - end);
    uint8_t *before, *after = NULL;
    int result = surroundings(qcow2, offset - head, head, fresh, &before);
    if (!result)
        result = surroundings(qcow2, end, tail, fresh, &after);
    if (!result)
        result = part_write(qcow2, place, before, head);
    if (!result)
        result = in_place_write(qcow2, place + head, cursor, size);
    if (!result)
        result = part_write(qcow2, place + head + size, after, tail);
    free(before);
    free(after);
    return result;
}

static int clusters_enter(struct qcow2 *qcow2, uint64_t first, uint64_t count, uint64_t place)
{
    int result = 0;
    qcow2->unsynced = true;
    for (uint64_t i = 0; i < count && !result; i++) {
        result = qcow2_map_set(qcow2, first + i, (place + i) * qcow2->cluster_size | ENTRY_COPIED);
        if (result)
            qcow2_free_now(qcow2, place + i, count - i);
    }
    return result;
}

/* Writes to clusters that have to be allocated. Lock held, and let go meanwhile; *size becomes what has been done. */
static int allocating_write(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t *size,
                            uint64_t clusters)
{
    struct qcow2_allocation allocation;
    uint64_t first = offset / qcow2->cluster_size, place, count;
    bool fresh;
    int result = qcow2_allocate(qcow2, run_to_allocate(qcow2, first, clusters), &place, &count, &fresh);
    if (result)
        return result;
    *size = least(*size, (first + count) * qcow2->cluster_size - offset);
    allocation_begin(qcow2, &allocation, first, count);
    pthread_mutex_unlock(&qcow2->lock);
    result = clusters_fill(qcow2, place * qcow2->cluster_size, offset, cursor, *size, fresh);
    pthread_mutex_lock(&qcow2->lock);
    if (result)
        qcow2_free_now(qcow2, place, count);
    else
        result = clusters_enter(qcow2, first, count, place);
    allocation_end(qcow2, &allocation);
    return result;
}

/* The beginning of [offset, offset + *size), as far as it goes in one piece; *size becomes that. Lock held. */
static int piece_write(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t *size)
{
    uint64_t first = offset / qcow2->cluster_size, last = (offset + *size - 1) / qcow2->cluster_size;
    uint64_t clusters = allocations_wait(qcow2, first, last - first + 1);
    struct qcow2_mapping mapping;
    uint64_t run;
    int result = qcow2_run(qcow2, offset, *size, &mapping, &run);
    if (result)
        return result;
    if (mapping.kind != KIND_NORMAL || !mapping.in_place)
        return allocating_write(qcow2, offset, cursor, size, clusters);
    *size = run;
    if (mapping.offset < qcow2->cluster_size)
        return -EIO; /* a table gone wrong must not cost the header */
    pthread_mutex_unlock(&qcow2->lock);
    result = in_place_write(qcow2, mapping.offset + offset % qcow2->cluster_size, cursor, run);
    pthread_mutex_lock(&qcow2->lock);
    return result;
}

int qcow2_disk_write(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    int result = 0;
    pthread_mutex_lock(&qcow2->lock);
    for (uint64_t next; size && !result; size -= next, offset += next) {
        next = size;
        result = piece_write(qcow2, offset, cursor, &next);
    }
    pthread_mutex_unlock(&qcow2->lock);
    return result;
}

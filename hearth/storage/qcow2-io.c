/* What block_ops asks of a qcow2 image: reading, flushing, discarding, zeros. Writing is in qcow2-write.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/pieces.h"
#include "storage/qcow2.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- the file below */

int qcow2_file_read(struct qcow2 *qcow2, uint64_t offset, void *to, size_t size)
{
    return qcow2->file->ops->read(qcow2->file, offset, &(struct iovec){to, size}, 1);
}

int qcow2_file_write(struct qcow2 *qcow2, uint64_t offset, const void *from, size_t size)
{
    return qcow2->file->ops->write(qcow2->file, offset, &(struct iovec){(void *)from, size}, 1);
}

int qcow2_file_sync(struct qcow2 *qcow2)
{
    return qcow2->file->ops->flush(qcow2->file);
}

uint64_t qcow2_take(struct cursor *cursor, uint64_t size, struct iovec *some, int *count)
{
    *count = cursor_peek(cursor, some, size);
    uint64_t taken = pieces_size(some, (unsigned)*count);
    cursor_advance(cursor, taken);
    return taken;
}

/* ---- reading */

/* What the disk shows where it has no cluster of its own. */
static int backing_read(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    struct block_device *backing = qcow2->backing;
    struct iovec some[PIECES_AT_ONCE];
    uint64_t in_backing = backing && offset < backing->size ? least(size, backing->size - offset) : 0;
    for (uint64_t left = in_backing, taken; left; left -= taken, offset += taken) {
        int count;
        taken = qcow2_take(cursor, left, some, &count);
        int result = backing->ops->read(backing, offset, some, (unsigned)count);
        if (result)
            return result;
    }
    cursor_clear(cursor, size - in_backing);
    return 0;
}

static int normal_read(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    struct iovec some[PIECES_AT_ONCE];
    for (uint64_t taken; size; size -= taken, offset += taken) {
        int count;
        taken = qcow2_take(cursor, size, some, &count);
        int result = qcow2->file->ops->read(qcow2->file, offset, some, (unsigned)count);
        if (result)
            return result;
    }
    return 0;
}

static int compressed_read(struct qcow2 *qcow2, const struct qcow2_mapping *mapping, uint64_t within,
                           struct cursor *cursor, uint64_t size)
{
    uint8_t *bytes = malloc(qcow2->cluster_size);
    int result = bytes ? qcow2_decompress(qcow2, mapping, bytes) : -ENOMEM;
    if (!result)
        cursor_put(cursor, bytes + within, size);
    free(bytes);
    return result;
}

int qcow2_run(struct qcow2 *qcow2, uint64_t offset, uint64_t most, struct qcow2_mapping *mapping,
              uint64_t *size)
{
    uint64_t cluster = offset / qcow2->cluster_size, within = offset % qcow2->cluster_size;
    int result = qcow2_map(qcow2, cluster, mapping);
    *size = least(most, qcow2->cluster_size - within);
    while (!result && *size < most && mapping->kind != KIND_COMPRESSED) {
        struct qcow2_mapping next;
        uint64_t clusters = (within + *size) / qcow2->cluster_size;
        if (qcow2_map(qcow2, cluster + clusters, &next) || next.kind != mapping->kind ||
            next.in_place != mapping->in_place ||
            (next.kind == KIND_NORMAL && next.offset != mapping->offset + clusters * qcow2->cluster_size))
            break;
        *size = least(most, *size + qcow2->cluster_size);
    }
    return result;
}

static int run_read(struct qcow2 *qcow2, const struct qcow2_mapping *mapping, uint64_t offset,
                    struct cursor *cursor, uint64_t size)
{
    uint64_t within = offset % qcow2->cluster_size;
    switch (mapping->kind) {
    case KIND_UNALLOCATED: return backing_read(qcow2, offset, cursor, size);
    case KIND_NORMAL: return normal_read(qcow2, mapping->offset + within, cursor, size);
    case KIND_COMPRESSED: return compressed_read(qcow2, mapping, within, cursor, size);
    default: cursor_clear(cursor, size); return 0;
    }
}

int qcow2_disk_read(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    int result = 0;
    for (uint64_t next; size && !result; size -= next, offset += next) {
        struct qcow2_mapping mapping;
        pthread_mutex_lock(&qcow2->lock);
        result = qcow2_run(qcow2, offset, size, &mapping, &next);
        pthread_mutex_unlock(&qcow2->lock);
        if (!result)
            result = run_read(qcow2, &mapping, offset, cursor, next);
    }
    return result;
}

static int qcow2_read(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count)
{
    struct qcow2 *qcow2 = qcow2_of(block);
    struct cursor cursor = {pieces, count, 0};
    pthread_rwlock_rdlock(&qcow2->in_use);
    int result = qcow2_disk_read(qcow2, offset, &cursor, pieces_size(pieces, count));
    pthread_rwlock_unlock(&qcow2->in_use);
    return result;
}

/* ---- flushing and freeing */

static int tables_flush(struct qcow2 *qcow2)
{
    pthread_mutex_lock(&qcow2->lock);
    int result = qcow2_tables_write(qcow2);
    pthread_mutex_unlock(&qcow2->lock);
    return result ? result : qcow2_file_sync(qcow2);
}

/* Nobody reads or writes a cluster that is about to be free. */
static int freed_flush(struct qcow2 *qcow2)
{
    pthread_rwlock_wrlock(&qcow2->in_use);
    int result = tables_flush(qcow2);
    pthread_mutex_lock(&qcow2->lock);
    if (!result)
        result = qcow2_freed_apply(qcow2);
    pthread_mutex_unlock(&qcow2->lock);
    pthread_rwlock_unlock(&qcow2->in_use);
    return result;
}

static bool freed_waiting(struct qcow2 *qcow2, unsigned least_count)
{
    pthread_mutex_lock(&qcow2->lock);
    bool waiting = qcow2->freed_count >= least_count;
    pthread_mutex_unlock(&qcow2->lock);
    return waiting;
}

static int qcow2_flush(struct block_device *block)
{
    struct qcow2 *qcow2 = qcow2_of(block);
    return freed_waiting(qcow2, 1) ? freed_flush(qcow2) : tables_flush(qcow2);
}

static int qcow2_write(struct block_device *block, uint64_t offset, const struct iovec *pieces,
                       unsigned count)
{
    struct qcow2 *qcow2 = qcow2_of(block);
    struct cursor cursor = {pieces, count, 0};
    pthread_rwlock_rdlock(&qcow2->in_use);
    int result = qcow2_disk_write(qcow2, offset, &cursor, pieces_size(pieces, count));
    pthread_rwlock_unlock(&qcow2->in_use);
    if (!result && freed_waiting(qcow2, QCOW2_FREED_MOST / 2))
        result = freed_flush(qcow2);
    return result;
}

/* ---- discarding, zeros */

/* The entry that shows zeros: none where nothing is behind, else one that the old version does not have. */
static bool entry_of_zeros(const struct qcow2 *qcow2, uint64_t *entry)
{
    *entry = qcow2->backing ? ENTRY_ZERO : 0;
    return !qcow2->backing || qcow2->version >= QCOW2_VERSION_3;
}

/* Whole clusters; in_use held exclusively. */
static int clusters_clear(struct qcow2 *qcow2, uint64_t first, uint64_t count, uint64_t entry)
{
    int result = 0;
    pthread_mutex_lock(&qcow2->lock);
    for (uint64_t i = 0; i < count && !result; i++) {
        struct qcow2_mapping mapping;
        result = qcow2_map(qcow2, first + i, &mapping);
        bool is_so = (mapping.kind == KIND_UNALLOCATED && !qcow2->backing) ||
                     (mapping.kind == KIND_ZERO && !mapping.offset);
        if (!result && !is_so)
            result = qcow2_map_set(qcow2, first + i, entry);
    }
    pthread_mutex_unlock(&qcow2->lock);
    return result;
}

/* Zeros as data, where a part of a cluster is meant. */
static int zeros_write(struct qcow2 *qcow2, uint64_t offset, uint64_t size)
{
    return size ? block_write_zeros(&qcow2->block, offset, size) : 0;
}

static int qcow2_zero(struct block_device *block, uint64_t offset, uint64_t size)
{
    struct qcow2 *qcow2 = qcow2_of(block);
    uint64_t end = offset + size, entry;
    uint64_t first = (offset + qcow2->cluster_size - 1) / qcow2->cluster_size,
             last = end / qcow2->cluster_size;
    if (end == block->size) /* what lies behind is nobody's */
        last = (end + qcow2->cluster_size - 1) / qcow2->cluster_size;
    if (first >= last || !entry_of_zeros(qcow2, &entry))
        return zeros_write(qcow2, offset, size);
    pthread_rwlock_wrlock(&qcow2->in_use);
    int result = clusters_clear(qcow2, first, last - first, entry);
    pthread_rwlock_unlock(&qcow2->in_use);
    if (!result)
        result = zeros_write(qcow2, offset, first * qcow2->cluster_size - offset);
    if (!result && last * qcow2->cluster_size < end)
        result = zeros_write(qcow2, last * qcow2->cluster_size, end - last * qcow2->cluster_size);
    if (!result && freed_waiting(qcow2, QCOW2_FREED_MOST / 2))
        result = freed_flush(qcow2);
    return result;
}

/* Parts of clusters stay. What is discarded reads as zeros, not as what a backing file has there. */
static int qcow2_discard(struct block_device *block, uint64_t offset, uint64_t size)
{
    struct qcow2 *qcow2 = qcow2_of(block);
    uint64_t end = offset + size, entry;
    uint64_t first = (offset + qcow2->cluster_size - 1) / qcow2->cluster_size * qcow2->cluster_size;
    if (end != block->size)
        end -= end % qcow2->cluster_size;
    return first < end && entry_of_zeros(qcow2, &entry) ? qcow2_zero(block, first, end - first) : 0;
}

/* ---- closing */

static void qcow2_close(struct block_device *block)
{
    struct qcow2 *qcow2 = qcow2_of(block);
    pthread_mutex_lock(&qcow2->lock);
    if (!block->read_only)
        qcow2_tables_write(qcow2); /* counts that fell with the last flush */
    pthread_mutex_unlock(&qcow2->lock);
    qcow2_release(qcow2);
}

const struct block_ops qcow2_ops = {.format = "qcow2",
                                    .read = qcow2_read,
                                    .write = qcow2_write,
                                    .flush = qcow2_flush,
                                    .discard = qcow2_discard,
                                    .zero = qcow2_zero,
                                    .close = qcow2_close};

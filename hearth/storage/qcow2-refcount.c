/*
 * Reference counts: which clusters of the file are in use, and by how many. A count has 1 to 64 bits.
 *
 * A block of counts that is missing (the file has never been that long) is made where the clusters that it counts begin;
 * a table that is too short moves, with the blocks for its new place, behind everything it counted before.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/qcow2.h"

static uint64_t counts_in_block(const struct qcow2 *qcow2)
{
    return qcow2->cluster_size * 8 >> qcow2->refcount_order;
}

static uint64_t count_most(const struct qcow2 *qcow2)
{
    unsigned bits = 1u << qcow2->refcount_order;
    return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
}

/* ---- a count within bytes as they are in the file: most significant byte first, below a byte the lowest bits first */

static uint64_t count_read(const struct qcow2 *qcow2, const uint8_t *bytes, uint64_t index)
{
    unsigned order = qcow2->refcount_order;
    if (order < 3)
        return bytes[index >> (3 - order)] >> ((index << order) & 7) & count_most(qcow2);
    uint64_t value = 0;
    for (unsigned size = 1u << (order - 3), i = 0; i < size; i++)
        value = value << 8 | bytes[index * size + i];
    return value;
}

static void count_write(const struct qcow2 *qcow2, uint8_t *bytes, uint64_t index, uint64_t value)
{
    unsigned order = qcow2->refcount_order;
    if (order < 3) {
        uint8_t *byte = &bytes[index >> (3 - order)];
        unsigned shift = (index << order) & 7;
        *byte = (uint8_t)((*byte & ~(count_most(qcow2) << shift)) | value << shift);
        return;
    }
    for (unsigned size = 1u << (order - 3), i = size; i-- > 0; value >>= 8)
        bytes[index * size + i] = (uint8_t)value;
}

/* The page with the count of a cluster and its index there; *page NULL if the cluster is beyond all blocks. */
static int count_find(struct qcow2 *qcow2, uint64_t cluster, struct qcow2_page **page, uint64_t *index)
{
    uint64_t block = cluster / counts_in_block(qcow2), within = cluster % counts_in_block(qcow2);
    uint64_t counts_in_page = (uint64_t)qcow2->page_size * 8 >> qcow2->refcount_order;
    *page = NULL;
    if (block >= qcow2->refcount_table_size || !qcow2->refcount_table[block])
        return 0;
    *index = within % counts_in_page;
    return qcow2_page_get(qcow2, PAGE_REFCOUNTS,
                          qcow2->refcount_table[block] + within / counts_in_page * qcow2->page_size, page);
}

int qcow2_refcount_get(struct qcow2 *qcow2, uint64_t cluster, uint64_t *count)
{
    struct qcow2_page *page;
    uint64_t index;
    int result = count_find(qcow2, cluster, &page, &index);
    *count = !result && page ? count_read(qcow2, (const uint8_t *)page->words, index) : 0;
    return result;
}

static int refcount_set(struct qcow2 *qcow2, uint64_t cluster, uint64_t count)
{
    struct qcow2_page *page;
    uint64_t index;
    int result = count_find(qcow2, cluster, &page, &index);
    if (result || !page)
        return result ? result : -EIO;
    count_write(qcow2, (uint8_t *)page->words, index, count);
    page->dirty = true;
    return 0;
}

int qcow2_refcount_change(struct qcow2 *qcow2, uint64_t cluster, bool up)
{
    uint64_t count;
    int result = qcow2_refcount_get(qcow2, cluster, &count);
    if (result)
        return result;
    if (up ? count == count_most(qcow2) : !count)
        return up ? -EMFILE : -EIO; /* a snapshot too many; an image whose counts are wrong */
    result = refcount_set(qcow2, cluster, up ? count + 1 : count - 1);
    if (!up && count == 1 && !result && cluster < qcow2->search_from)
        qcow2->search_from = cluster;
    return result;
}

/* ---- growing */

static int table_entry_write(struct qcow2 *qcow2, uint64_t block, uint64_t offset)
{
    uint64_t entry = htobe64(offset);
    int result = qcow2_file_sync(qcow2); /* first the block, then what points to it */
    if (!result)
        result = qcow2_file_write(qcow2, qcow2->refcount_table_offset + block * QCOW2_ENTRY_SIZE, &entry,
                                  sizeof(entry));
    if (!result)
        qcow2->refcount_table[block] = offset;
    return result;
}

/* Writes `blocks` blocks of counts at `first`, which count themselves and what follows: `used` clusters in all. */
static int blocks_write(struct qcow2 *qcow2, uint64_t first, uint64_t blocks, uint64_t used)
{
    uint8_t *bytes = malloc(qcow2->cluster_size);
    int result = bytes ? 0 : -ENOMEM;
    for (uint64_t block = 0; block < blocks && !result; block++) {
        memset(bytes, 0, qcow2->cluster_size);
        for (uint64_t i = 0; i < counts_in_block(qcow2) && used; i++, used--)
            count_write(qcow2, bytes, i, 1);
        qcow2_pages_forget(qcow2, (first + block) * qcow2->cluster_size, qcow2->cluster_size);
        result = qcow2_file_write(qcow2, (first + block) * qcow2->cluster_size, bytes, qcow2->cluster_size);
    }
    free(bytes);
    return result;
}

static void grown_to(struct qcow2 *qcow2, uint64_t end)
{
    if (qcow2->fresh_from < end)
        qcow2->fresh_from = end;
}

static int header_table_write(struct qcow2 *qcow2, uint64_t offset, uint32_t clusters)
{
    struct {
        uint64_t offset;
        uint32_t clusters;
    } __attribute__((packed)) fields = {htobe64(offset), htobe32(clusters)};
    int result = qcow2_file_sync(qcow2);
    if (!result)
        result = qcow2_file_write(qcow2, HEADER_REFCOUNT_OFFSET, &fields, sizeof(fields));
    return result ? result : qcow2_file_sync(qcow2);
}

/* A table half as long again, and at least one cluster longer, behind all that the old one could count. */
static int table_move(struct qcow2 *qcow2)
{
    uint64_t in_cluster = qcow2->cluster_size / QCOW2_ENTRY_SIZE, old_size = qcow2->refcount_table_size;
    uint64_t clusters = old_size / in_cluster * 3 / 2 + 1, blocks = 1,
             first = old_size * counts_in_block(qcow2);
    while (blocks * counts_in_block(qcow2) < blocks + clusters || clusters * in_cluster < old_size + blocks) {
        blocks += blocks * counts_in_block(qcow2) < blocks + clusters;
        clusters += clusters * in_cluster < old_size + blocks;
    }
    if (clusters * qcow2->cluster_size > QCOW2_REFCOUNT_TABLE_BYTES_MOST)
        return -EFBIG;
    uint64_t *table = calloc(clusters * in_cluster, sizeof(*table)),
             *on_disk = calloc(clusters * in_cluster, sizeof(*table));
    int result = table && on_disk ? blocks_write(qcow2, first, blocks, blocks + clusters) : -ENOMEM;
    if (!result) {
        memcpy(table, qcow2->refcount_table, old_size * sizeof(*table));
        for (uint64_t i = 0; i < blocks; i++)
            table[old_size + i] = (first + i) * qcow2->cluster_size;
        for (uint64_t i = 0; i < clusters * in_cluster; i++)
            on_disk[i] = htobe64(table[i]);
        result = qcow2_file_write(qcow2, (first + blocks) * qcow2->cluster_size, on_disk,
                                  clusters * qcow2->cluster_size);
    }
    if (!result)
        result = header_table_write(qcow2, (first + blocks) * qcow2->cluster_size, (uint32_t)clusters);
    free(on_disk);
    if (result) {
        free(table);
        return result;
    }
    uint64_t old_cluster = qcow2->refcount_table_offset / qcow2->cluster_size;
    free(qcow2->refcount_table);
    qcow2->refcount_table = table;
    qcow2->refcount_table_size = (uint32_t)(clusters * in_cluster);
    qcow2->refcount_table_offset = (first + blocks) * qcow2->cluster_size;
    grown_to(qcow2, first + blocks + clusters);
    qcow2_free_now(qcow2, old_cluster, old_size / in_cluster);
    return 0;
}

/* Makes the block that counts this cluster, if there is none. */
static int block_need(struct qcow2 *qcow2, uint64_t cluster)
{
    uint64_t block = cluster / counts_in_block(qcow2), first = block * counts_in_block(qcow2);
    if (block >= qcow2->refcount_table_size)
        return table_move(qcow2);
    if (qcow2->refcount_table[block])
        return 0;
    int result = blocks_write(qcow2, first, 1, 1);
    if (!result)
        result = table_entry_write(qcow2, block, first * qcow2->cluster_size);
    if (!result)
        grown_to(qcow2, first + 1);
    return result;
}

int qcow2_refcount_set(struct qcow2 *qcow2, uint64_t cluster, uint64_t count)
{
    uint64_t now;
    int result = qcow2_refcount_get(qcow2, cluster, &now);
    if (result || now == count)
        return result;
    if (count > count_most(qcow2))
        return -EMFILE;
    result = block_need(qcow2, cluster);
    return result ? result : refcount_set(qcow2, cluster, count);
}

/* ---- allocating and freeing */

/* The first free cluster from `cluster` on, with a block to count it. */
static int free_find(struct qcow2 *qcow2, uint64_t *cluster)
{
    for (;; ++*cluster) {
        uint64_t count;
        int result = block_need(qcow2, *cluster);
        if (!result)
            result = qcow2_refcount_get(qcow2, *cluster, &count);
        if (result || !count)
            return result;
    }
}

int qcow2_allocate(struct qcow2 *qcow2, uint64_t wanted, uint64_t *cluster, uint64_t *count, bool *fresh)
{
    uint64_t at = qcow2->search_from, there = 0;
    int result = free_find(qcow2, &at);
    if (!result && at > ENTRY_OFFSET / qcow2->cluster_size)
        result = -EFBIG;
    if (!result)
        result = refcount_set(qcow2, at, 1);
    if (result)
        return result;
    *cluster = at;
    *count = 1;
    /* The next ones, as far as they are free and can be counted without ado. */
    while (*count < wanted) {
        struct qcow2_page *page;
        uint64_t index;
        if (count_find(qcow2, at + *count, &page, &index) || !page)
            break;
        if (qcow2_refcount_get(qcow2, at + *count, &there) || there || refcount_set(qcow2, at + *count, 1))
            break;
        ++*count;
    }
    qcow2->search_from = at + *count;
    *fresh = at >= qcow2->fresh_from;
    grown_to(qcow2, at + *count);
    return 0;
}

void qcow2_free_now(struct qcow2 *qcow2, uint64_t cluster, uint64_t count)
{
    for (; count; count--, cluster++)
        if (qcow2_refcount_change(qcow2, cluster, false))
            return; /* they are lost, which harms nobody */
}

void qcow2_free_later(struct qcow2 *qcow2, uint64_t cluster, uint64_t count)
{
    struct qcow2_freed *last = qcow2->freed_count ? &qcow2->freed[qcow2->freed_count - 1] : NULL;
    if (last && last->cluster + last->count == cluster) {
        last->count += count;
        return;
    }
    if (!qcow2->freed)
        qcow2->freed = calloc(QCOW2_FREED_MOST, sizeof(*qcow2->freed));
    if (qcow2->freed && qcow2->freed_count < QCOW2_FREED_MOST)
        qcow2->freed[qcow2->freed_count++] = (struct qcow2_freed){cluster, count};
    /* else they are lost: qemu-img check finds them */
}

int qcow2_freed_apply(struct qcow2 *qcow2)
{
    int result = 0;
    for (unsigned i = 0; i < qcow2->freed_count; i++) {
        const struct qcow2_freed *freed = &qcow2->freed[i];
        qcow2_free_now(qcow2, freed->cluster, freed->count);
        for (uint64_t cluster = freed->cluster; cluster < freed->cluster + freed->count; cluster++) {
            uint64_t count;
            if (!qcow2->block.discards || !qcow2->file->ops->discard ||
                qcow2_refcount_get(qcow2, cluster, &count) || count)
                continue;
            result =
                qcow2->file->ops->discard(qcow2->file, cluster * qcow2->cluster_size, qcow2->cluster_size);
        }
    }
    qcow2->freed_count = 0;
    return result;
}

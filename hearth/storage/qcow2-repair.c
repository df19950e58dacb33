/*
 * Counting all references anew, for an image whose counts were left out of date (QEMU's lazy_refcounts and a crash). Counts
 * alone are mended: an image whose tables point to where they should not is refused.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "storage/qcow2.h"

enum { CLUSTERS_MOST = 1 << 28 };

struct counts {
    struct qcow2 *qcow2;
    uint32_t *of;
    uint64_t clusters;
};

static int count_bytes(struct counts *counts, uint64_t offset, uint64_t size)
{
    uint64_t cluster = offset / counts->qcow2->cluster_size,
             last = (offset + size - 1) / counts->qcow2->cluster_size;
    if (!size)
        return 0;
    if (last >= counts->clusters || last < cluster)
        return -EIO;
    for (; cluster <= last; cluster++)
        counts->of[cluster]++;
    return 0;
}

static int count_entry(struct counts *counts, uint64_t entry)
{
    struct qcow2_mapping mapping;
    if (!qcow2_entry_read(counts->qcow2, entry, &mapping))
        return -EIO;
    if (!mapping.offset)
        return 0;
    return count_bytes(counts, mapping.offset, mapping.kind == KIND_COMPRESSED ? mapping.size : 1);
}

static int count_table(struct counts *counts, uint64_t offset, uint64_t *table)
{
    struct qcow2 *qcow2 = counts->qcow2;
    int result = offset % qcow2->cluster_size ? -EIO : count_bytes(counts, offset, 1);
    if (!result)
        result = qcow2_file_read(qcow2, offset, table, qcow2->cluster_size);
    for (uint64_t i = 0; i < qcow2->cluster_size / QCOW2_ENTRY_SIZE && !result; i++)
        result = count_entry(counts, be64toh(table[i]));
    return result;
}

/* All that an L1 table leads to, and the table itself. */
static int count_l1(struct counts *counts, uint64_t offset, const uint64_t *l1, uint32_t size)
{
    uint64_t *table = malloc(counts->qcow2->cluster_size);
    int result = table ? count_bytes(counts, offset, (uint64_t)size * QCOW2_ENTRY_SIZE) : -ENOMEM;
    for (uint32_t i = 0; i < size && !result; i++)
        if (l1[i] & ENTRY_OFFSET)
            result = count_table(counts, l1[i] & ENTRY_OFFSET, table);
    free(table);
    return result;
}

static int count_snapshot(void *opaque, const struct qcow2_snapshot *snapshot)
{
    struct counts *counts = opaque;
    uint64_t *l1 = malloc((size_t)snapshot->l1_size * QCOW2_ENTRY_SIZE + 1);
    int result =
        l1 ? qcow2_file_read(counts->qcow2, snapshot->l1_offset, l1, snapshot->l1_size * QCOW2_ENTRY_SIZE)
           : -ENOMEM;
    for (uint32_t i = 0; i < snapshot->l1_size && !result; i++)
        l1[i] = be64toh(l1[i]);
    if (!result)
        result = count_l1(counts, snapshot->l1_offset, l1, snapshot->l1_size);
    free(l1);
    return result;
}

static int count_all(struct counts *counts)
{
    struct qcow2 *qcow2 = counts->qcow2;
    uint64_t end;
    int result = count_bytes(counts, 0, 1);
    if (!result)
        result = count_bytes(counts, qcow2->refcount_table_offset,
                             (uint64_t)qcow2->refcount_table_size * QCOW2_ENTRY_SIZE);
    for (uint32_t i = 0; i < qcow2->refcount_table_size && !result; i++)
        if (qcow2->refcount_table[i])
            result = count_bytes(counts, qcow2->refcount_table[i], 1);
    if (!result)
        result = count_l1(counts, qcow2->l1_offset, qcow2->l1, qcow2->l1_size);
    if (!result)
        result = qcow2_snapshots_each(qcow2, count_snapshot, counts, &end);
    if (!result && qcow2->snapshots)
        result = count_bytes(counts, qcow2->snapshots_offset, end - qcow2->snapshots_offset);
    return result;
}

int qcow2_repair(struct qcow2 *qcow2)
{
    struct counts counts = {.qcow2 = qcow2, .clusters = qcow2->fresh_from};
    if (counts.clusters > CLUSTERS_MOST)
        return -EFBIG;
    counts.of = calloc(counts.clusters, sizeof(*counts.of));
    int result = counts.of ? count_all(&counts) : -ENOMEM;
    for (uint64_t cluster = 0; cluster < counts.clusters && !result; cluster++)
        result = qcow2_refcount_set(qcow2, cluster, counts.of[cluster]);
    free(counts.of);
    return result;
}

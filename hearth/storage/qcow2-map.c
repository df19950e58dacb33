/* Where a cluster of the disk lies in the file: L1 in memory, L2 by pages. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/qcow2.h"

static uint64_t entries_in_table(const struct qcow2 *qcow2)
{
    return qcow2->cluster_size / QCOW2_ENTRY_SIZE;
}

static bool aligned(const struct qcow2 *qcow2, uint64_t offset)
{
    return offset % qcow2->cluster_size == 0;
}

/* ---- reading entries */

/* A compressed cluster's offset takes the low bits, up to as many as a sector number needs less; above them stands how many
 * sectors follow the one it begins in. */
static bool compressed_read(const struct qcow2 *qcow2, uint64_t entry, struct qcow2_mapping *mapping)
{
    unsigned offset_bits = 62 - (qcow2->cluster_bits - 8);
    uint64_t more = (entry & (ENTRY_COMPRESSED - 1)) >> offset_bits;
    mapping->kind = KIND_COMPRESSED;
    mapping->offset = entry & ((1ull << offset_bits) - 1);
    mapping->size = (more + 1) * SECTOR_SIZE - mapping->offset % SECTOR_SIZE;
    return mapping->offset <= ENTRY_OFFSET;
}

bool qcow2_entry_read(const struct qcow2 *qcow2, uint64_t entry, struct qcow2_mapping *mapping)
{
    *mapping = (struct qcow2_mapping){.kind = KIND_UNALLOCATED};
    if (entry & ENTRY_COMPRESSED)
        return compressed_read(qcow2, entry, mapping);
    mapping->offset = entry & ENTRY_OFFSET;
    mapping->in_place = mapping->offset && entry & ENTRY_COPIED;
    if (entry & ENTRY_ZERO && qcow2->version >= QCOW2_VERSION_3)
        mapping->kind = KIND_ZERO;
    else if (mapping->offset)
        mapping->kind = KIND_NORMAL;
    bool reserved = entry & L2_RESERVED || (entry & ENTRY_ZERO && qcow2->version < QCOW2_VERSION_3);
    return !reserved && aligned(qcow2, mapping->offset);
}

/* The L2 table for a cluster of the disk: its offset in the file, 0 if there is none. */
static int table_find(const struct qcow2 *qcow2, uint64_t cluster, uint64_t *table)
{
    uint64_t index = cluster / entries_in_table(qcow2);
    if (index >= qcow2->l1_size)
        return -EIO;
    uint64_t entry = qcow2->l1[index];
    *table = entry & ENTRY_OFFSET;
    return entry & L1_RESERVED || !aligned(qcow2, *table) ? -EIO : 0;
}

/* The page with the entry, and its index there. */
static int entry_find(struct qcow2 *qcow2, uint64_t table, uint64_t cluster, struct qcow2_page **page,
                      unsigned *index)
{
    uint64_t offset = table + cluster % entries_in_table(qcow2) * QCOW2_ENTRY_SIZE;
    *index = (unsigned)(offset % qcow2->page_size / QCOW2_ENTRY_SIZE);
    return qcow2_page_get(qcow2, PAGE_L2, offset, page);
}

int qcow2_map(struct qcow2 *qcow2, uint64_t cluster, struct qcow2_mapping *mapping)
{
    struct qcow2_page *page;
    unsigned index;
    uint64_t table;
    int result = table_find(qcow2, cluster, &table);
    *mapping = (struct qcow2_mapping){.kind = KIND_UNALLOCATED};
    if (result || !table)
        return result;
    result = entry_find(qcow2, table, cluster, &page, &index);
    if (result)
        return result;
    return qcow2_entry_read(qcow2, be64toh(page->words[index]), mapping) ? 0 : -EIO;
}

/* ---- writing them */

static void l1_set(struct qcow2 *qcow2, uint32_t index, uint64_t entry)
{
    qcow2->l1[index] = entry;
    if (qcow2->l1_dirty_from == qcow2->l1_dirty_to) {
        qcow2->l1_dirty_from = index;
        qcow2->l1_dirty_to = index + 1;
    } else {
        qcow2->l1_dirty_from = index < qcow2->l1_dirty_from ? index : qcow2->l1_dirty_from;
        qcow2->l1_dirty_to = index >= qcow2->l1_dirty_to ? index + 1 : qcow2->l1_dirty_to;
    }
}

/* A new table, a copy of `old` or (0) empty. What is dirty of the old one has been written. */
static int table_copy(struct qcow2 *qcow2, uint64_t old, uint64_t *table)
{
    uint64_t cluster, count;
    bool fresh;
    uint8_t *bytes = calloc(1, qcow2->cluster_size);
    int result = bytes ? qcow2_allocate(qcow2, 1, &cluster, &count, &fresh) : -ENOMEM;
    if (result) {
        free(bytes);
        return result;
    }
    *table = cluster * qcow2->cluster_size;
    qcow2_pages_forget(qcow2, *table, qcow2->cluster_size);
    if (old)
        result = qcow2_file_read(qcow2, old, bytes, qcow2->cluster_size);
    if (!result)
        result = qcow2_file_write(qcow2, *table, bytes, qcow2->cluster_size);
    qcow2->unsynced = true;
    free(bytes);
    if (result)
        qcow2_free_now(qcow2, cluster, 1);
    return result;
}

/* The table that the cluster's entry may be written in. */
static int table_own(struct qcow2 *qcow2, uint64_t cluster, uint64_t *table)
{
    uint32_t index = (uint32_t)(cluster / entries_in_table(qcow2));
    uint64_t old;
    int result = table_find(qcow2, cluster, &old);
    *table = old;
    if (result || (old && qcow2->l1[index] & ENTRY_COPIED))
        return result;
    if (old) /* the copy is made from the file */
        result = qcow2_tables_write(qcow2);
    if (!result)
        result = table_copy(qcow2, old, table);
    if (result)
        return result;
    l1_set(qcow2, index, *table | ENTRY_COPIED);
    if (old)
        qcow2_free_later(qcow2, old / qcow2->cluster_size, 1);
    return 0;
}

void qcow2_entry_free(struct qcow2 *qcow2, uint64_t entry)
{
    struct qcow2_mapping mapping;
    if (!qcow2_entry_read(qcow2, entry, &mapping) || !mapping.offset)
        return;
    uint64_t first = mapping.offset / qcow2->cluster_size, last = first;
    if (mapping.kind == KIND_COMPRESSED)
        last = (mapping.offset + mapping.size - 1) / qcow2->cluster_size;
    qcow2_free_later(qcow2, first, last - first + 1);
}

int qcow2_map_set(struct qcow2 *qcow2, uint64_t cluster, uint64_t entry)
{
    struct qcow2_page *page;
    unsigned index;
    uint64_t table;
    int result = table_own(qcow2, cluster, &table);
    if (!result)
        result = entry_find(qcow2, table, cluster, &page, &index);
    if (result)
        return result;
    uint64_t old = be64toh(page->words[index]);
    page->words[index] = htobe64(entry);
    page->dirty = true;
    bool same = !(old & ENTRY_COMPRESSED) && (old & ENTRY_OFFSET) == (entry & ENTRY_OFFSET);
    if (!same)
        qcow2_entry_free(qcow2, old);
    return 0;
}

/*
 * Internal snapshots: a list of L1 tables that share clusters with the active one.
 *
 * Left out: the state of a machine that a snapshot may hold.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/qcow2.h"

/* An entry of the list; its texts follow. */
struct entry {
    uint64_t l1_offset;
    uint32_t l1_size;
    uint16_t id_size, name_size;
    uint32_t seconds, nanoseconds;
    uint64_t clock;
    uint32_t state_size;
    uint32_t extra_size;
} __attribute__((packed));

struct extra {
    uint64_t state_size, disk_size;
} __attribute__((packed));

enum { EXTRA_MOST = 1024 };

static int text_read(struct qcow2 *qcow2, uint64_t offset, uint16_t size, char *text, size_t text_size)
{
    uint16_t shown = size < text_size - 1 ? size : (uint16_t)(text_size - 1);
    text[shown] = '\0';
    return shown ? qcow2_file_read(qcow2, offset, text, shown) : 0;
}

static int extra_read(struct qcow2 *qcow2, uint64_t offset, uint32_t size, struct qcow2_snapshot *snapshot)
{
    struct extra extra = {0};
    if (size > EXTRA_MOST)
        return -EIO;
    int result =
        size ? qcow2_file_read(qcow2, offset, &extra, size < sizeof(extra) ? size : sizeof(extra)) : 0;
    if (size >= sizeof(extra.state_size))
        snapshot->state_size = be64toh(extra.state_size);
    if (size >= sizeof(extra))
        snapshot->disk_size = be64toh(extra.disk_size);
    return result;
}

/* The entry at *offset; *offset goes on to the next. */
static int entry_read(struct qcow2 *qcow2, uint64_t *offset, struct qcow2_snapshot *snapshot)
{
    struct entry entry;
    int result = qcow2_file_read(qcow2, *offset, &entry, sizeof(entry));
    if (result)
        return result;
    *snapshot = (struct qcow2_snapshot){
        .l1_offset = be64toh(entry.l1_offset),
        .l1_size = be32toh(entry.l1_size),
        .seconds = be32toh(entry.seconds),
        .clock = be64toh(entry.clock),
        .state_size = be32toh(entry.state_size),
        .disk_size = qcow2->block.size,
    };
    uint64_t at = *offset + sizeof(entry), id_size = be16toh(entry.id_size),
             name_size = be16toh(entry.name_size);
    result = extra_read(qcow2, at, be32toh(entry.extra_size), snapshot);
    at += be32toh(entry.extra_size);
    if (!result)
        result = text_read(qcow2, at, (uint16_t)id_size, snapshot->id, sizeof(snapshot->id));
    if (!result)
        result = text_read(qcow2, at + id_size, (uint16_t)name_size, snapshot->name, sizeof(snapshot->name));
    *offset = (at + id_size + name_size + 7) / 8 * 8;
    bool sane = snapshot->l1_size <= QCOW2_L1_BYTES_MOST / QCOW2_ENTRY_SIZE &&
                snapshot->l1_offset % qcow2->cluster_size == 0;
    return !result && !sane ? -EIO : result;
}

int qcow2_snapshots_each(struct qcow2 *qcow2,
                         int (*each)(void *opaque, const struct qcow2_snapshot *snapshot), void *opaque,
                         uint64_t *end)
{
    uint64_t offset = qcow2->snapshots_offset;
    int result = offset % qcow2->cluster_size ? -EIO : 0;
    for (uint32_t i = 0; i < qcow2->snapshots && !result; i++) {
        struct qcow2_snapshot snapshot;
        result = entry_read(qcow2, &offset, &snapshot);
        if (!result)
            result = each(opaque, &snapshot);
    }
    *end = offset;
    return result;
}

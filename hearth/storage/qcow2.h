/*
 * The inside of the qcow2 format, for its files: qcow2-open.c (header, opening), qcow2-cache.c (pages of tables in memory),
 * qcow2-refcount.c (which clusters of the file are in use), qcow2-map.c (where a cluster of the disk lies in the file),
 * qcow2-io.c (reading and writing), qcow2-compressed.c, qcow2-snapshot.c, qcow2-repair.c.
 *
 * The file is a row of clusters. The disk's clusters are found through two levels of tables, L1 and L2; a reference count
 * for each of the file's clusters, in blocks found through the refcount table, says how many L2 entries (snapshots share
 * them) and tables point to it.
 *
 * The order in which things reach the file, whatever kills hearth or the host in between, is: data and reference counts
 * that grew, then L2, then L1, then reference counts that fell. So an entry never points to what the file does not hold
 * yet, and what is left over is at worst a cluster that nobody uses.
 *
 * Source: QEMU, docs/interop/qcow2.txt.
 */
#ifndef STORAGE_QCOW2_H
#define STORAGE_QCOW2_H

#include <pthread.h>

#include "storage/formats.h"

enum {
    QCOW2_VERSION_2 = 2,
    QCOW2_VERSION_3 = 3,
    QCOW2_CLUSTER_BITS_LEAST = 9,
    QCOW2_CLUSTER_BITS_MOST = 21,
    QCOW2_PAGE_MOST = 4096,  /* bytes of a table that are kept together */
    QCOW2_PAGES = 256,       /* of them in memory at the most */
    QCOW2_FREED_MOST = 4096, /* clusters that wait for the tables to be safe in the file */
    QCOW2_RUN_MOST = 32,     /* clusters that one write allocates at a time */
    QCOW2_ENTRY_SIZE = 8,
};
#define QCOW2_L1_BYTES_MOST             (32u << 20)
#define QCOW2_REFCOUNT_TABLE_BYTES_MOST (8u << 20)

/* Bits of L1 and L2 entries. */
#define ENTRY_COPIED     (1ull << 63) /* nobody else points there: it may be written in place */
#define ENTRY_COMPRESSED (1ull << 62)
#define ENTRY_ZERO       (1ull << 0) /* L2 of version 3 */
#define ENTRY_OFFSET     0x00fffffffffffe00ull
#define L1_RESERVED      (0x7f000000000001ffull)
#define L2_RESERVED      (0x3f000000000001feull) /* of entries that are not compressed */

enum qcow2_incompatible {
    INCOMPATIBLE_DIRTY = 1 << 0,
    INCOMPATIBLE_CORRUPT = 1 << 1,
    INCOMPATIBLE_DATA_FILE = 1 << 2,
    INCOMPATIBLE_COMPRESSION = 1 << 3,
    INCOMPATIBLE_EXTENDED_L2 = 1 << 4,
    INCOMPATIBLE_KNOWN = INCOMPATIBLE_DIRTY | INCOMPATIBLE_CORRUPT | INCOMPATIBLE_COMPRESSION,
};

/* Where the header's fields are, in bytes. */
enum qcow2_header {
    HEADER_MAGIC = 0,
    HEADER_VERSION = 4,
    HEADER_BACKING_OFFSET = 8,
    HEADER_BACKING_SIZE = 16,
    HEADER_CLUSTER_BITS = 20,
    HEADER_SIZE = 24,
    HEADER_CRYPT_METHOD = 32,
    HEADER_L1_SIZE = 36,
    HEADER_L1_OFFSET = 40,
    HEADER_REFCOUNT_OFFSET = 48,
    HEADER_REFCOUNT_CLUSTERS = 56,
    HEADER_SNAPSHOTS = 60,
    HEADER_SNAPSHOTS_OFFSET = 64,
    HEADER_V2_LENGTH = 72,
    HEADER_INCOMPATIBLE = 72,
    HEADER_COMPATIBLE = 80,
    HEADER_AUTOCLEAR = 88,
    HEADER_REFCOUNT_ORDER = 96,
    HEADER_LENGTH = 100,
    HEADER_V3_LENGTH = 104,
    HEADER_COMPRESSION = 104,
    HEADER_READ = 112,
};
#define QCOW2_MAGIC 0x514649fbu

/* What may follow the header. */
enum qcow2_extension {
    EXTENSION_END = 0,
    EXTENSION_BACKING_FORMAT = 0xe2792aca,
    EXTENSION_FEATURE_NAMES = 0x6803f857,
};

enum qcow2_compression { COMPRESSION_DEFLATE = 0, COMPRESSION_ZSTD = 1 };

enum page_kind { PAGE_L2, PAGE_REFCOUNTS };

struct qcow2_page {
    uint64_t offset; /* in the file; 0: unused */
    enum page_kind kind;
    bool dirty;
    uint64_t used;   /* when, on the cache's own clock */
    uint64_t *words; /* as in the file */
};

/* Clusters of the disk that a write is allocating: others that want the same wait for it. */
struct qcow2_allocation {
    uint64_t first, count;
    struct qcow2_allocation *next;
};

struct qcow2_freed {
    uint64_t cluster; /* of the file */
    uint64_t count;
};

struct qcow2 {
    struct block_device block;
    struct block_device *file;           /* what holds it */
    struct block_device *backing;        /* what unallocated clusters show; NULL: zeros */
    char *backing_name, *backing_format; /* as in the file; NULL: none */

    uint32_t version, cluster_bits, refcount_order, header_length;
    uint64_t cluster_size;
    uint32_t incompatible;
    _Atomic bool told; /* why compressed clusters can't be read */
    enum qcow2_compression compression;

    uint64_t *l1; /* in the host's byte order */
    uint32_t l1_size;
    uint64_t l1_offset;
    uint32_t l1_dirty_from, l1_dirty_to; /* entries not in the file yet */

    uint64_t *refcount_table; /* likewise */
    uint64_t refcount_table_offset;
    uint32_t refcount_table_size; /* entries */

    uint32_t snapshots;
    uint64_t snapshots_offset;

    /* Taken before `lock`. Shared while clusters of the file are read or written that an L2 entry led to or that have just
     * been allocated; exclusive while clusters may become free. */
    pthread_rwlock_t in_use;
    /* All below, and l1, refcount_table. */
    pthread_mutex_t lock;
    pthread_cond_t allocation_ended;
    struct qcow2_allocation *allocations;
    struct qcow2_page pages[QCOW2_PAGES];
    struct qcow2_page *last_page;
    uint32_t page_size;
    uint64_t page_clock;
    bool unsynced;             /* data or counts have been written that the tables must wait for */
    uint64_t search_from;      /* the first cluster of the file that may be free */
    uint64_t fresh_from;       /* from here on no cluster has ever been written: they read as zeros */
    struct qcow2_freed *freed; /* not counted down yet; QCOW2_FREED_MOST of them */
    unsigned freed_count;
};

static inline struct qcow2 *qcow2_of(struct block_device *block)
{
    return (struct qcow2 *)block;
}

/* ---- the file below. 0 or a negative errno. */
int qcow2_file_read(struct qcow2 *qcow2, uint64_t offset, void *to, size_t size);
int qcow2_file_write(struct qcow2 *qcow2, uint64_t offset, const void *from, size_t size);
/* What was written is on the medium. */
int qcow2_file_sync(struct qcow2 *qcow2);

/* ---- qcow2-cache.c: lock held */
/* The page that holds the table entry at this offset of the file; valid until the next call. `words` as in the file. */
int qcow2_page_get(struct qcow2 *qcow2, enum page_kind kind, uint64_t offset, struct qcow2_page **page);
/* A table has come to be where other things were: what is in memory of it is forgotten. */
void qcow2_pages_forget(struct qcow2 *qcow2, uint64_t offset, uint64_t size);
/* Everything to the file, in order. */
int qcow2_tables_write(struct qcow2 *qcow2);
void qcow2_pages_free(struct qcow2 *qcow2);

/* ---- qcow2-refcount.c: lock held */
int qcow2_refcount_get(struct qcow2 *qcow2, uint64_t cluster, uint64_t *count);
/* Makes the block of counts if there is none and one is needed. */
int qcow2_refcount_set(struct qcow2 *qcow2, uint64_t cluster, uint64_t count);
/* By one, up or down. */
int qcow2_refcount_change(struct qcow2 *qcow2, uint64_t cluster, bool up);
/* Up to `wanted` clusters in a row, counted once each; answers the first and how many, and whether they have never been
 * written: then they read as zeros. */
int qcow2_allocate(struct qcow2 *qcow2, uint64_t wanted, uint64_t *cluster, uint64_t *count, bool *fresh);
/* The tables in memory no longer point there; once those in the file do not either, they are counted down. */
void qcow2_free_later(struct qcow2 *qcow2, uint64_t cluster, uint64_t count);
/* Nothing ever pointed there. */
void qcow2_free_now(struct qcow2 *qcow2, uint64_t cluster, uint64_t count);
/* The tables are in the file: counts down what qcow2_free_later() was told of. in_use held exclusively. */
int qcow2_freed_apply(struct qcow2 *qcow2);

/* ---- qcow2-map.c: lock held */
enum qcow2_kind { KIND_UNALLOCATED, KIND_ZERO, KIND_NORMAL, KIND_COMPRESSED };
struct qcow2_mapping {
    enum qcow2_kind kind;
    bool in_place;   /* nobody else points there */
    uint64_t offset; /* in the file; of KIND_ZERO 0 if there is none */
    uint64_t size;   /* compressed: bytes */
};
int qcow2_map(struct qcow2 *qcow2, uint64_t cluster, struct qcow2_mapping *mapping);
/* Sets the entry of a cluster of the disk (without ENTRY_COPIED where it is shared); a table that snapshots share is copied
 * first. What the old entry pointed to is freed later, unless the new one does too. */
int qcow2_map_set(struct qcow2 *qcow2, uint64_t cluster, uint64_t entry);
/* Whatever an L2 entry points to loses a reference. */
void qcow2_entry_free(struct qcow2 *qcow2, uint64_t entry);
/* What an entry says; false if it makes no sense. */
bool qcow2_entry_read(const struct qcow2 *qcow2, uint64_t entry, struct qcow2_mapping *mapping);

/* ---- qcow2-open.c: frees all of it; what is not there yet is NULL */
void qcow2_release(struct qcow2 *qcow2);

/* ---- qcow2-io.c */
extern const struct block_ops qcow2_ops;
struct cursor;
/* A mapping, and for how many bytes from `offset` on, `most` at the most, it goes on like this: clusters of the disk that
 * follow each other in the file, or that have none. Lock held. */
int qcow2_run(struct qcow2 *qcow2, uint64_t offset, uint64_t most, struct qcow2_mapping *mapping,
              uint64_t *size);
/* What the disk shows. in_use held, lock not. */
int qcow2_disk_read(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size);
/* A part of a list of pieces as a list of its own, in `some`; the cursor goes on behind it. Answers how many bytes. */
uint64_t qcow2_take(struct cursor *cursor, uint64_t size, struct iovec *some, int *count);

/* ---- qcow2-write.c: in_use held, lock not */
int qcow2_disk_write(struct qcow2 *qcow2, uint64_t offset, struct cursor *cursor, uint64_t size);

/* ---- qcow2-compressed.c: a whole cluster */
int qcow2_decompress(struct qcow2 *qcow2, const struct qcow2_mapping *mapping, void *to);

/* ---- qcow2-snapshot.c */
struct qcow2_snapshot {
    char id[64], name[256];
    uint64_t l1_offset;
    uint32_t l1_size;
    uint32_t seconds;    /* since 1970 */
    uint64_t clock;      /* of the machine, ns */
    uint64_t state_size; /* of the machine, bytes */
    uint64_t disk_size;
};
/* *end: where the list ends in the file. Stops when `each` answers other than 0. */
int qcow2_snapshots_each(struct qcow2 *qcow2,
                         int (*each)(void *opaque, const struct qcow2_snapshot *snapshot), void *opaque,
                         uint64_t *end);

/* ---- qcow2-repair.c: lock held, or opening. Counts all references anew. */
int qcow2_repair(struct qcow2 *qcow2);

#endif

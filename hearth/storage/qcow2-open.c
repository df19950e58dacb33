/*
 * Opening a qcow2 image: its two top tables, which stay in memory, and what is behind it.
 *
 * Lazy reference counts are kept like others; an image that was left with them out of date is counted anew. Persistent
 * bitmaps are given up when the image is written to, as the specification wants of those who don't know them.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "storage/qcow2-opening.h"

enum { CHAIN_MOST = 64 };

static uint64_t file_length(const struct qcow2 *qcow2)
{
    struct block_device *file = qcow2->file;
    return file->ops->length ? file->ops->length(file) : file->size;
}

/* ---- the tables */

static bool table_read(struct opening *opening, const char *what, uint64_t offset, uint64_t entries,
                       uint64_t **table)
{
    struct qcow2 *qcow2 = opening->qcow2;
    uint64_t length = file_length(qcow2), size = entries * QCOW2_ENTRY_SIZE;
    if (offset % qcow2->cluster_size || offset > length || size > length - offset)
        return opening_refuse(opening, "its %s does not lie in the file", what);
    *table = malloc(size + QCOW2_ENTRY_SIZE);
    if (!*table)
        return opening_refuse(opening, "%s", strerror(ENOMEM));
    int result = qcow2_file_read(qcow2, offset, *table, size);
    if (result)
        return opening_read_failed(opening, what, result);
    for (uint64_t i = 0; i < entries; i++)
        (*table)[i] = be64toh((*table)[i]);
    return true;
}

/* Only who writes needs the counts. */
static bool refcounts_read(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    uint32_t clusters = opening_field32(opening, HEADER_REFCOUNT_CLUSTERS);
    if (qcow2->block.read_only)
        return true;
    qcow2->refcount_table_offset = opening_field64(opening, HEADER_REFCOUNT_OFFSET);
    if (!clusters || clusters > QCOW2_REFCOUNT_TABLE_BYTES_MOST / qcow2->cluster_size)
        return opening_refuse(opening,
                              "Image does not contain a reference count table, or one that is too large");
    qcow2->refcount_table_size = (uint32_t)(clusters * (qcow2->cluster_size / QCOW2_ENTRY_SIZE));
    if (!table_read(opening, "refcount table", qcow2->refcount_table_offset, qcow2->refcount_table_size,
                    &qcow2->refcount_table))
        return false;
    for (uint32_t i = 0; i < qcow2->refcount_table_size; i++)
        if (qcow2->refcount_table[i] % qcow2->cluster_size || qcow2->refcount_table[i] >= file_length(qcow2))
            return opening_refuse(opening,
                                  "its refcount table makes no sense; `qemu-img check -r all` may mend it");
    qcow2->fresh_from = (file_length(qcow2) + qcow2->cluster_size - 1) / qcow2->cluster_size;
    return true;
}

/* ---- what is behind it */

static bool is_cycle(const struct image_link *above, const struct image_link *link)
{
    for (; above; above = above->above)
        if (above->device == link->device && above->inode == link->inode)
            return true;
    return false;
}

static unsigned chain_length(const struct image_link *above)
{
    unsigned length = 0;
    for (; above; above = above->above)
        length++;
    return length;
}

/* Relative to the folder of the image that names it. */
static char *backing_path(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/');
    size_t folder = slash && name[0] != '/' && !block_is_remote(name) ? (size_t)(slash - image + 1) : 0;
    char *path = allocate(folder + strlen(name) + 1);
    memcpy(path, image, folder);
    strcpy(path + folder, name);
    return path;
}

static bool backing_open(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    const struct block_options *own = opening->options;
    struct image_link link = {.above = own->above};
    struct stat status;
    char error[BLOCK_ERROR_SIZE];

    if (!qcow2->backing_name)
        return true;
    if (stat(own->file, &status) == 0)
        link = (struct image_link){status.st_dev, status.st_ino, own->above};
    if (is_cycle(own->above, &link))
        return opening_refuse(opening, "it is its own backing file");
    if (chain_length(own->above) >= CHAIN_MOST)
        return opening_refuse(opening, "more than %d backing files in a row", CHAIN_MOST);
    char *path = backing_path(own->file, qcow2->backing_name);
    struct block_options options = {.file = path,
                                    .format = qcow2->backing_format,
                                    .read_only = true,
                                    .direct = own->direct,
                                    .above = &link};
    qcow2->backing = block_open(qcow2->block.pool, &options, error, sizeof(error));
    free(path);
    return qcow2->backing ? true : opening_refuse(opening, "Could not open backing file: %s", error);
}

/* ---- */

/* Before the first write: what we don't keep true is no longer said to be. */
static bool made_writable(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    uint64_t incompatible = htobe64(qcow2->incompatible & ~(uint64_t)INCOMPATIBLE_DIRTY), none = 0;
    int result = 0;
    if (qcow2->block.read_only || qcow2->version < QCOW2_VERSION_3)
        return true;
    if (qcow2->incompatible & INCOMPATIBLE_DIRTY) {
        result = qcow2_repair(qcow2);
        if (!result)
            result = qcow2_tables_write(qcow2);
        if (!result)
            result = qcow2_file_sync(qcow2);
        if (!result)
            result = qcow2_file_write(qcow2, HEADER_INCOMPATIBLE, &incompatible, sizeof(incompatible));
    }
    if (!result && opening_field64(opening, HEADER_AUTOCLEAR))
        result = qcow2_file_write(qcow2, HEADER_AUTOCLEAR, &none, sizeof(none));
    return result ? opening_refuse(opening, "it was not closed properly and cannot be mended: %s",
                                   strerror(-result))
                  : true;
}

void qcow2_release(struct qcow2 *qcow2)
{
    block_close(qcow2->backing);
    block_close(qcow2->file);
    qcow2_pages_free(qcow2);
    free(qcow2->l1);
    free(qcow2->refcount_table);
    free(qcow2->freed);
    free(qcow2->backing_name);
    free(qcow2->backing_format);
    pthread_rwlock_destroy(&qcow2->in_use);
    pthread_mutex_destroy(&qcow2->lock);
    pthread_cond_destroy(&qcow2->allocation_ended);
    free(qcow2);
}

static void locks_init(struct qcow2 *qcow2)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* Who frees clusters is not to wait for ever behind readers. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&qcow2->in_use, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&qcow2->lock, NULL);
    pthread_cond_init(&qcow2->allocation_ended, NULL);
}

struct block_device *qcow2_open(struct block_pool *pool, const struct block_options *options, char *error,
                                size_t error_size)
{
    struct block_options below = *options;
    below.container = true;
    below.format = NULL;
    struct block_device *file = file_open(pool, &below, error, error_size);
    if (!file)
        return NULL;
    file->no_flush = options->no_flush;
    file->discards = options->discards;
    struct qcow2 *qcow2 = allocate(sizeof(*qcow2));
    struct opening opening = {.qcow2 = qcow2, .options = options, .error = error, .error_size = error_size};
    locks_init(qcow2);
    qcow2->file = file;
    qcow2->block = (struct block_device){.ops = &qcow2_ops, .pool = pool, .read_only = file->read_only};
    if (opening_header(&opening) &&
        table_read(&opening, "L1 table", qcow2->l1_offset, qcow2->l1_size, &qcow2->l1) &&
        refcounts_read(&opening) && backing_open(&opening) && made_writable(&opening)) {
        qcow2->block.path = strdup(options->file);
        return &qcow2->block;
    }
    qcow2_release(qcow2);
    return NULL;
}

#include "storage/create.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "storage/qcow2.h"

enum { STEP = 4 << 20 };

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

static void progress(const struct create_options *options, uint64_t done, uint64_t all)
{
    if (options->progress)
        options->progress(options->opaque, done, all);
}

static bool failed(const char *path, const char *why, char *error, size_t error_size)
{
    snprintf(error, error_size, "%s: %s", path, why);
    return false;
}

/* -1 with `error` set. */
static int file_create(const char *path, const struct create_options *options, char *error, size_t error_size)
{
    if (!options->size || options->size > INT64_MAX - STEP) {
        failed(path, options->size ? "Image size must be less than 8 EiB!" : "an image needs a size", error,
               error_size);
        return -1;
    }
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
    if (descriptor < 0)
        failed(path, errno == EEXIST ? "is there already and is left as it is" : strerror(errno), error,
               error_size);
    return descriptor;
}

/* Removes what could not be finished. */
static bool file_end(int descriptor, const char *path, int result, char *error, size_t error_size)
{
    if (close(descriptor) < 0 && !result)
        result = -errno;
    if (!result)
        return true;
    unlink(path);
    return failed(path, strerror(-result), error, error_size);
}

/* ---- raw */

static int write_fully(int descriptor, const uint8_t *bytes, size_t size, uint64_t offset)
{
    while (size) {
        ssize_t put = pwrite(descriptor, bytes, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        bytes += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return 0;
}

/* Zeros, written: what only is reserved need not be there when it is wanted. */
static int zeros_write(int descriptor, const struct create_options *options, uint64_t size)
{
    uint8_t *zeros = allocate(STEP);
    int result = 0;
    for (uint64_t at = 0; at < size && !result; at += STEP) {
        result = write_fully(descriptor, zeros, size - at < STEP ? size - at : STEP, at);
        progress(options, size - at < STEP ? size : at + STEP, size);
    }
    free(zeros);
    if (!result && fdatasync(descriptor) < 0)
        result = -errno;
    return result;
}

bool raw_create(const char *path, const struct create_options *options, char *error, size_t error_size)
{
    uint64_t size = round_up(options->size, SECTOR_SIZE);
    int descriptor = file_create(path, options, error, error_size), result = 0;
    if (descriptor < 0)
        return false;
    if (ftruncate(descriptor, (off_t)size) < 0)
        result = -errno;
    if (!result && options->full)
        result = zeros_write(descriptor, options, size);
    return file_end(descriptor, path, result, error, error_size);
}

/* ---- qcow2: the header, a refcount table of one cluster, one block of counts, the L1 table */

enum { CLUSTER_HEADER, CLUSTER_TABLE, CLUSTER_COUNTS, CLUSTER_L1 };

static void put32(uint8_t *to, uint32_t value)
{
    value = htobe32(value);
    memcpy(to, &value, sizeof(value));
}

static void put64(uint8_t *to, uint64_t value)
{
    value = htobe64(value);
    memcpy(to, &value, sizeof(value));
}

/* Behind the header: the backing file's format, the end of the extensions, the backing file's name. */
static void header_backing(uint8_t *header, const struct create_options *options)
{
    uint8_t *at = header + HEADER_READ;
    if (!options->backing)
        return;
    if (options->backing_format) {
        size_t length = strlen(options->backing_format);
        put32(at, EXTENSION_BACKING_FORMAT);
        put32(at + 4, (uint32_t)length);
        memcpy(at + 8, options->backing_format, length);
        at += 8 + round_up(length, 8);
    }
    at += 8;
    put64(header + HEADER_BACKING_OFFSET, (uint64_t)(at - header));
    put32(header + HEADER_BACKING_SIZE, (uint32_t)strlen(options->backing));
    memcpy(at, options->backing, strlen(options->backing));
}

static void header_fill(uint8_t *header, const struct create_options *options, uint64_t cluster_size,
                        uint64_t l1_entries)
{
    put32(header + HEADER_MAGIC, QCOW2_MAGIC);
    put32(header + HEADER_VERSION, QCOW2_VERSION_3);
    put32(header + HEADER_CLUSTER_BITS, (uint32_t)__builtin_ctzll(cluster_size));
    put64(header + HEADER_SIZE, round_up(options->size, SECTOR_SIZE));
    put32(header + HEADER_L1_SIZE, (uint32_t)l1_entries);
    put64(header + HEADER_L1_OFFSET, CLUSTER_L1 * cluster_size);
    put64(header + HEADER_REFCOUNT_OFFSET, CLUSTER_TABLE * cluster_size);
    put32(header + HEADER_REFCOUNT_CLUSTERS, 1);
    put32(header + HEADER_REFCOUNT_ORDER, 4);
    put32(header + HEADER_LENGTH, HEADER_READ);
    header_backing(header, options);
}

static int layout_write(int descriptor, const struct create_options *options, uint64_t cluster_size)
{
    uint64_t mapped_by_table = cluster_size * (cluster_size / QCOW2_ENTRY_SIZE);
    uint64_t l1_entries = (options->size + mapped_by_table - 1) / mapped_by_table;
    uint64_t clusters = CLUSTER_L1 + round_up(l1_entries * QCOW2_ENTRY_SIZE, cluster_size) / cluster_size;
    uint64_t name = options->backing ? strlen(options->backing) : 0;
    if (l1_entries > QCOW2_L1_BYTES_MOST / QCOW2_ENTRY_SIZE || clusters > cluster_size / 2)
        return -EFBIG; /* too large for clusters so small */
    if (name > 1023 || HEADER_READ + 8 + 64 + name > cluster_size)
        return -ENAMETOOLONG;
    uint8_t *image = allocate(CLUSTER_L1 * cluster_size);
    header_fill(image, options, cluster_size, l1_entries);
    put64(image + CLUSTER_TABLE * cluster_size, CLUSTER_COUNTS * cluster_size);
    for (uint64_t i = 0; i < clusters; i++)
        image[CLUSTER_COUNTS * cluster_size + 2 * i + 1] = 1;
    int result = write_fully(descriptor, image, CLUSTER_L1 * cluster_size, 0);
    free(image);
    return !result && ftruncate(descriptor, (off_t)(clusters * cluster_size)) < 0 ? -errno : result;
}

static int disk_fill(struct block_device *block, const struct create_options *options)
{
    int result = 0;
    for (uint64_t at = 0, step; at < block->size && !result; at += step) {
        step = block->size - at < STEP ? block->size - at : STEP;
        result = block_write_zeros(block, at, step);
        progress(options, at + step, block->size);
    }
    return result ? result : block_flush(block);
}

static bool qcow2_fill(const char *path, const struct create_options *options, char *error, size_t error_size)
{
    struct block_options opening = {.file = path, .format = "qcow2"};
    struct block_device *block = block_open(NULL, &opening, error, error_size);
    int result = block ? disk_fill(block, options) : -EIO;
    block_close(block);
    if (!result)
        return true;
    unlink(path);
    return block ? failed(path, strerror(-result), error, error_size) : false;
}

bool qcow2_create(const char *path, const struct create_options *options, char *error, size_t error_size)
{
    uint64_t cluster_size = options->cluster_size ? options->cluster_size : 64 << 10;
    if (cluster_size & (cluster_size - 1) || cluster_size < 1u << QCOW2_CLUSTER_BITS_LEAST ||
        cluster_size > 1u << QCOW2_CLUSTER_BITS_MOST)
        return failed(path, "Cluster size must be a power of two between 512 and 2048k", error, error_size);
    int descriptor = file_create(path, options, error, error_size);
    if (descriptor < 0)
        return false;
    int result = layout_write(descriptor, options, cluster_size);
    if (!file_end(descriptor, path, result, error, error_size))
        return false;
    return !options->full || qcow2_fill(path, options, error, error_size);
}

/*
 * A qcow2 image's first cluster: the header, checked field by field before anything is believed, its extensions, and the name
 * of the backing file.
 *
 * Left out, and refused by name: encryption, external data files, extended L2 entries (subclusters).
 */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "storage/qcow2-opening.h"

enum { BACKING_NAME_MOST = 1023, SNAPSHOTS_MOST = 65536, EXTENSIONS_MOST = 64 };
enum { FEATURE_SIZE = 48, FEATURE_NAME = 2, FEATURE_NAME_SIZE = 46, FEATURE_INCOMPATIBLE = 0 };

bool opening_refuse(struct opening *opening, const char *format, ...)
{
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(opening->error, opening->error_size, "Could not open '%s': %s", opening->options->file, text);
    return false;
}

uint32_t opening_field32(const struct opening *opening, enum qcow2_header field)
{
    uint32_t value;
    memcpy(&value, opening->header + field, sizeof(value));
    return be32toh(value);
}

uint64_t opening_field64(const struct opening *opening, enum qcow2_header field)
{
    uint64_t value;
    memcpy(&value, opening->header + field, sizeof(value));
    return be64toh(value);
}

bool opening_read_failed(struct opening *opening, const char *what, int result)
{
    return opening_refuse(opening, "its %s cannot be read: %s", what, strerror(-result));
}

/* ---- the header */

static bool version_3_read(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    qcow2->refcount_order = 4;
    qcow2->header_length = HEADER_V2_LENGTH;
    if (qcow2->version == QCOW2_VERSION_2)
        return true;
    uint64_t incompatible = opening_field64(opening, HEADER_INCOMPATIBLE);
    qcow2->incompatible = (uint32_t)incompatible;
    qcow2->refcount_order = opening_field32(opening, HEADER_REFCOUNT_ORDER);
    qcow2->header_length = opening_field32(opening, HEADER_LENGTH);
    if (incompatible & INCOMPATIBLE_COMPRESSION && qcow2->header_length > HEADER_COMPRESSION)
        qcow2->compression = opening->header[HEADER_COMPRESSION];
    if (qcow2->header_length < HEADER_V3_LENGTH || qcow2->header_length % 8 ||
        qcow2->header_length > qcow2->cluster_size)
        return opening_refuse(opening, "its header has an impossible length of %u bytes",
                              qcow2->header_length);
    if (qcow2->refcount_order > 6)
        return opening_refuse(opening, "reference counts of 2^%u bits", qcow2->refcount_order);
    return true;
}

static bool sizes_check(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    uint64_t size = opening_field64(opening, HEADER_SIZE),
             mapped_by_table = qcow2->cluster_size * (qcow2->cluster_size / QCOW2_ENTRY_SIZE);
    qcow2->l1_size = opening_field32(opening, HEADER_L1_SIZE);
    qcow2->l1_offset = opening_field64(opening, HEADER_L1_OFFSET);
    if (size > INT64_MAX - SECTOR_SIZE)
        return opening_refuse(opening, "a disk of %llu bytes", (unsigned long long)size);
    qcow2->block.size = (size + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
    if (!size)
        return opening_refuse(opening, "its disk has no size");
    if (qcow2->l1_size > QCOW2_L1_BYTES_MOST / QCOW2_ENTRY_SIZE)
        return opening_refuse(opening, "Active L1 table too large");
    if (qcow2->l1_size < (qcow2->block.size + mapped_by_table - 1) / mapped_by_table)
        return opening_refuse(opening, "L1 table is too small");
    if (opening_field32(opening, HEADER_SNAPSHOTS) > SNAPSHOTS_MOST)
        return opening_refuse(opening, "more than %d snapshots", SNAPSHOTS_MOST);
    qcow2->snapshots = opening_field32(opening, HEADER_SNAPSHOTS);
    qcow2->snapshots_offset = opening_field64(opening, HEADER_SNAPSHOTS_OFFSET);
    return true;
}

static bool header_read(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    int result = qcow2_file_read(qcow2, 0, opening->header, sizeof(opening->header));
    if (result)
        return opening_read_failed(opening, "header", result);
    if (opening_field32(opening, HEADER_MAGIC) != QCOW2_MAGIC)
        return opening_refuse(opening, "Image is not in qcow2 format");
    qcow2->version = opening_field32(opening, HEADER_VERSION);
    if (qcow2->version != QCOW2_VERSION_2 && qcow2->version != QCOW2_VERSION_3)
        return opening_refuse(opening, "Unsupported qcow2 version %u", qcow2->version);
    qcow2->cluster_bits = opening_field32(opening, HEADER_CLUSTER_BITS);
    if (qcow2->cluster_bits < QCOW2_CLUSTER_BITS_LEAST || qcow2->cluster_bits > QCOW2_CLUSTER_BITS_MOST)
        return opening_refuse(opening, "Unsupported cluster size: 2^%u", qcow2->cluster_bits);
    qcow2->cluster_size = 1ull << qcow2->cluster_bits;
    qcow2->page_size =
        qcow2->cluster_size < QCOW2_PAGE_MOST ? (uint32_t)qcow2->cluster_size : QCOW2_PAGE_MOST;
    if (opening_field32(opening, HEADER_CRYPT_METHOD))
        return opening_refuse(opening, "it is encrypted, which hearth cannot read");
    return version_3_read(opening) && sizes_check(opening);
}

/* ---- what follows the header */

/* A table of names for feature bits, so that one may say what is missing. */
static void feature_names_read(struct opening *opening, const uint8_t *data, uint32_t size)
{
    uint64_t unknown = opening_field64(opening, HEADER_INCOMPATIBLE) & ~(uint64_t)INCOMPATIBLE_KNOWN;
    size_t length = 0;
    if (opening->qcow2->version < QCOW2_VERSION_3)
        return;
    for (; size >= FEATURE_SIZE && length < sizeof(opening->feature_names) - FEATURE_NAME_SIZE - 3;
         data += FEATURE_SIZE, size -= FEATURE_SIZE) {
        if (data[0] != FEATURE_INCOMPATIBLE || data[1] > 63 || !(unknown & 1ull << data[1]))
            continue;
        length += (size_t)snprintf(opening->feature_names + length, sizeof(opening->feature_names) - length,
                                   "%s%.*s", length ? ", " : "", FEATURE_NAME_SIZE,
                                   (const char *)data + FEATURE_NAME);
    }
}

static char *text_copy(const void *from, size_t size)
{
    char *text = allocate(size + 1);
    memcpy(text, from, size);
    return text;
}

/* The rest of the first cluster holds the extensions and the backing file's name. */
static bool extensions_read(struct opening *opening, const uint8_t *cluster)
{
    struct qcow2 *qcow2 = opening->qcow2;
    uint64_t at = qcow2->header_length, end = qcow2->cluster_size,
             name = opening_field64(opening, HEADER_BACKING_OFFSET);
    if (name && name > at && name < end)
        end = name;
    for (unsigned i = 0; i < EXTENSIONS_MOST && at + 8 <= end; i++) {
        uint32_t head[2];
        memcpy(head, cluster + at, sizeof(head));
        uint32_t type = be32toh(head[0]), size = be32toh(head[1]);
        at += sizeof(head);
        if (type == EXTENSION_END)
            break;
        if (size > end - at)
            return opening_refuse(opening, "Header extension too large");
        if (type == EXTENSION_BACKING_FORMAT && !qcow2->backing_format)
            qcow2->backing_format = text_copy(cluster + at, size);
        else if (type == EXTENSION_FEATURE_NAMES)
            feature_names_read(opening, cluster + at, size);
        at += (size + 7ull) / 8 * 8;
    }
    return true;
}

static bool backing_name_read(struct opening *opening, const uint8_t *cluster)
{
    uint64_t offset = opening_field64(opening, HEADER_BACKING_OFFSET),
             size = opening_field32(opening, HEADER_BACKING_SIZE),
             cluster_size = opening->qcow2->cluster_size;
    if (!offset || !size)
        return true;
    if (size > BACKING_NAME_MOST || offset > cluster_size || size > cluster_size - offset)
        return opening_refuse(opening, "the name of its backing file is too long");
    opening->qcow2->backing_name = text_copy(cluster + offset, size);
    return true;
}

static bool rest_read(struct opening *opening)
{
    struct qcow2 *qcow2 = opening->qcow2;
    uint8_t *cluster = allocate(qcow2->cluster_size);
    int result = qcow2_file_read(qcow2, 0, cluster, qcow2->cluster_size);
    bool good = result ? opening_read_failed(opening, "header", result)
                       : extensions_read(opening, cluster) && backing_name_read(opening, cluster);
    free(cluster);
    return good;
}

static bool features_check(struct opening *opening)
{
    static const char *const names[] = {[2] = "external data file", [4] = "extended L2 entries"};
    struct qcow2 *qcow2 = opening->qcow2;
    uint64_t unknown = qcow2->version < QCOW2_VERSION_3
                           ? 0
                           : opening_field64(opening, HEADER_INCOMPATIBLE) & ~(uint64_t)INCOMPATIBLE_KNOWN;
    unsigned bit = unknown ? (unsigned)__builtin_ctzll(unknown) : 0;
    if (unknown && opening->feature_names[0])
        return opening_refuse(opening, "Unsupported qcow2 feature(s): %s", opening->feature_names);
    if (unknown && bit < sizeof(names) / sizeof(names[0]) && names[bit])
        return opening_refuse(opening, "Unsupported qcow2 feature(s): %s", names[bit]);
    if (unknown)
        return opening_refuse(opening, "Unsupported qcow2 feature(s): bit %u", bit);
    if (qcow2->compression > COMPRESSION_ZSTD)
        return opening_refuse(opening, "unknown compression type %u", qcow2->compression);
    if (qcow2->incompatible & INCOMPATIBLE_CORRUPT && !qcow2->block.read_only)
        return opening_refuse(
            opening, "Image is corrupt; cannot be opened read/write; `qemu-img check -r all` may mend it");
    return true;
}

bool opening_header(struct opening *opening)
{
    return header_read(opening) && rest_read(opening) && features_check(opening);
}

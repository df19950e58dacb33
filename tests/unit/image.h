/* A block device in memory that can be told to fail, for tests. */
#ifndef TESTS_UNIT_IMAGE_H
#define TESTS_UNIT_IMAGE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/block.h"

struct image {
    struct block_device block;
    uint8_t *bytes;
    uint64_t bad_from, bad_to; /* bytes that cannot be read or written */
    bool flush_fails;
    unsigned flushes;
};

static inline int image_touches_bad(const struct image *image, uint64_t offset, size_t size)
{
    return offset < image->bad_to && offset + size > image->bad_from ? -EIO : 0;
}

static inline int image_read(struct block_device *block, uint64_t offset, const struct iovec *pieces,
                             unsigned count)
{
    struct image *image = (struct image *)block;
    for (unsigned i = 0; i < count; offset += pieces[i++].iov_len) {
        memcpy(pieces[i].iov_base, image->bytes + offset, pieces[i].iov_len);
        if (image_touches_bad(image, offset, pieces[i].iov_len))
            return -EIO;
    }
    return 0;
}

static inline int image_write(struct block_device *block, uint64_t offset, const struct iovec *pieces,
                              unsigned count)
{
    struct image *image = (struct image *)block;
    for (unsigned i = 0; i < count; offset += pieces[i++].iov_len) {
        if (image_touches_bad(image, offset, pieces[i].iov_len))
            return -EIO;
        memcpy(image->bytes + offset, pieces[i].iov_base, pieces[i].iov_len);
    }
    return 0;
}

static inline int image_flush(struct block_device *block)
{
    struct image *image = (struct image *)block;
    image->flushes++;
    return image->flush_fails ? -EIO : 0;
}

/* Sector n begins with n, and is filled with its low byte. */
static inline struct image *image_create(struct block_pool *pool, uint64_t sectors, unsigned sector_size)
{
    static const struct block_ops ops = {
        .format = "test", .read = image_read, .write = image_write, .flush = image_flush};
    struct image *image = calloc(1, sizeof(*image));
    image->block =
        (struct block_device){.ops = &ops, .pool = pool, .size = sectors * sector_size, .path = "image"};
    image->bytes = malloc(image->block.size);
    for (uint64_t i = 0; i < sectors; i++) {
        memset(image->bytes + i * sector_size, (int)i, sector_size);
        memcpy(image->bytes + i * sector_size, &i, 4);
    }
    return image;
}

static inline void image_free(struct image *image)
{
    free(image->bytes);
    free(image);
}

#endif

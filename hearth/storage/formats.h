/* The formats, for open.c. Each opens as block_open() says. */
#ifndef STORAGE_FORMATS_H
#define STORAGE_FORMATS_H

#include "storage/open.h"

enum { FORMAT_MAGIC_SIZE = 4 };
/* The name of the format that begins like this; NULL: none that is known, so it is raw. */
const char *format_by_magic(const uint8_t start[FORMAT_MAGIC_SIZE]);

/* Is it a name of something on another machine ("nbd:...")? */
bool block_is_remote(const char *file);
/* The bytes that a format lies in: a file, a host block device, or what another machine has. Opens as block_open() does, but
 * as it is. */
struct block_device *file_open(struct block_pool *pool, const struct block_options *options, char *error,
                               size_t error_size);

/* What is written lies in a file without a name and goes with it; below is `image`, which the result owns. NULL, and the image
 * closed, with one line in `error`. */
struct block_device *overlay_open(struct block_pool *pool, struct block_device *image, char *error,
                                  size_t error_size);

struct block_device *qcow2_open(struct block_pool *pool, const struct block_options *options, char *error,
                                size_t error_size);
struct block_device *nbd_open(struct block_pool *pool, const struct block_options *options, char *error,
                              size_t error_size);
struct block_device *raw_open(struct block_pool *pool, const struct block_options *options, char *error,
                              size_t error_size);

#endif

/* The formats, for open.c. Each opens as block_open() says. */
#ifndef STORAGE_FORMATS_H
#define STORAGE_FORMATS_H

#include "storage/open.h"

enum { FORMAT_MAGIC_SIZE = 4 };
/* The name of the format that begins like this; NULL: none that is known, so it is raw. */
const char *format_by_magic(const uint8_t start[FORMAT_MAGIC_SIZE]);

struct block_device *raw_open(struct block_pool *pool, const struct block_options *options, char *error,
                              size_t error_size);

#endif

/*
 * Which format an image has. Without format= the first bytes decide, which a guest that writes to a raw image may have
 * chosen: so a raw image that was opened like this takes no first sector that would be another format's (raw.c).
 */
#include "storage/open.h"

#include <stdio.h>
#include <string.h>

#include "storage/formats.h"

static const struct format {
    const char *name;
    struct block_device *(*open)(struct block_pool *pool, const struct block_options *options, char *error,
                                 size_t error_size);
} formats[] = {
    {"raw", raw_open},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static const struct format *format_find(const char *name)
{
    for (unsigned i = 0; i < FORMATS; i++)
        if (!strcmp(formats[i].name, name))
            return &formats[i];
    return NULL;
}

const char *format_by_magic(const uint8_t start[FORMAT_MAGIC_SIZE])
{
    static const uint8_t qcow2[FORMAT_MAGIC_SIZE] = {'Q', 'F', 'I', 0xfb};
    return memcmp(start, qcow2, sizeof(qcow2)) ? NULL : "qcow2";
}

bool block_format_known(const char *format)
{
    return format_find(format) != NULL;
}

struct block_device *block_open(struct block_pool *pool, const struct block_options *options, char *error,
                                size_t error_size)
{
    const struct format *format = format_find(options->format ? options->format : "raw");
    struct block_device *block;

    if (!format) {
        snprintf(error, error_size, "Unknown driver '%s'", options->format);
        return NULL;
    }
    block = format->open(pool, options, error, error_size);
    if (!block)
        return NULL;
    block->write_through = options->write_through;
    block->no_flush = options->no_flush;
    block->discards = options->discards;
    return block;
}

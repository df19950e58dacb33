/*
 * Which format an image has. Without format= the first bytes decide, which a guest that writes to a raw image may have
 * chosen: so a raw image that was opened like this takes no first sector that would be another format's (raw.c).
 */
#include "storage/open.h"

#include <stdio.h>
#include <string.h>

#include "storage/formats.h"

struct block_device *file_open(struct block_pool *pool, const struct block_options *options, char *error,
                               size_t error_size)
{
    return (block_is_remote(options->file) ? nbd_open : raw_open)(pool, options, error, error_size);
}

static const struct format {
    const char *name;
    struct block_device *(*open)(struct block_pool *pool, const struct block_options *options, char *error,
                                 size_t error_size);
} formats[] = {
    {"raw", file_open},
    {"qcow2", qcow2_open},
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

/* By the first bytes; NULL if they can't be read, which is for the opening to tell. */
static const char *format_probe(struct block_pool *pool, const struct block_options *options)
{
    struct block_options probing = {.file = options->file, .read_only = true, .container = true};
    uint8_t start[FORMAT_MAGIC_SIZE] = {0};
    char error[BLOCK_ERROR_SIZE];
    struct block_device *block = file_open(pool, &probing, error, sizeof(error));
    const char *format = NULL;
    if (block && block_read(block, 0, start, sizeof(start)) == 0)
        format = format_by_magic(start);
    block_close(block);
    return format;
}

struct block_device *block_open(struct block_pool *pool, const struct block_options *options, char *error,
                                size_t error_size)
{
    struct block_options plain = *options;
    struct block_device *block;

    if (!strncmp(plain.file, "file:", 5))
        plain.file += 5;
    const char *name = options->format ? options->format : format_probe(pool, &plain);
    const struct format *format = format_find(name ? name : "raw");
    error[0] = 0;
    if (!format) {
        snprintf(error, error_size, "Unknown driver '%s'", name);
        return NULL;
    }
    plain.read_only |= options->forget;
    block = format->open(pool, &plain, error, error_size);
    if (block && options->forget)
        block = overlay_open(pool, block, error, error_size);
    if (!block)
        return NULL;
    block->write_through = options->write_through;
    block->no_flush = options->no_flush;
    block->discards = options->discards;
    return block;
}

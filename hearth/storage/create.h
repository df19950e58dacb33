/*
 * New images. A file that is there already is left as it is and refused; one that could not be finished is removed.
 */
#ifndef STORAGE_CREATE_H
#define STORAGE_CREATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct create_options {
    uint64_t size; /* bytes; rounded up to whole sectors */
    bool
        full; /* every byte has its place on the host's disk from the start; else the file grows as it is written to */
    /* Called now and then with what has been done of what there is to do, bytes; may be NULL. */
    void (*progress)(void *opaque, uint64_t done, uint64_t all);
    void *opaque;
    /* qcow2 alone: */
    uint32_t cluster_size;                /* 0: 64 KiB */
    const char *backing, *backing_format; /* what it shows where nothing was written; NULL: zeros */
};

/* False with one line in `error` that names the file. */
bool raw_create(const char *path, const struct create_options *options, char *error, size_t error_size);
bool qcow2_create(const char *path, const struct create_options *options, char *error, size_t error_size);

#endif

/*
 * Opening an image: which format, and how the host is to treat it. What QEMU's -drive says, without the part that is the
 * guest's.
 */
#ifndef STORAGE_OPEN_H
#define STORAGE_OPEN_H

#include "storage/block.h"

struct block_options {
    const char *file;
    const char *format; /* "raw", ...; NULL: looked for in the file */
    bool read_only;
    bool read_only_fallback; /* where only that is allowed; the remark says so */
    bool direct;             /* past the host's page cache */
    bool write_through;      /* a write is on the medium when it is done */
    bool no_flush;           /* a flush is not worth anything: data may be lost with the host */
    bool discards;           /* what the guest discards is given back */
    bool forget;             /* the image is only read; what is written is gone when it is closed */

    /* For formats that open what is below or behind them. */
    bool container;                 /* its bytes are not a disk's, but another format's; it may grow */
    const struct image_link *above; /* images that are being opened with this one behind them */
};

struct image_link {
    uint64_t device, inode;
    const struct image_link *above;
};

/*
 * NULL with one line in `error` (it names the file); on success `error` is empty or holds a remark for the user. A writer
 * locks out other writers and readers, QEMU's among them. `pool` may be NULL where nothing is submitted.
 */
struct block_device *block_open(struct block_pool *pool, const struct block_options *options, char *error,
                                size_t error_size);
/* Is there a format of this name? */
bool block_format_known(const char *format);

#endif

/*
 * A block device: bytes that stay. Whoever shows it to a guest (IDE, floppy, virtio) knows only this header; the
 * format behind it (raw, later others) is a row of functions.
 *
 * Calls are synchronous and answer 0 or a negative errno, so that a device may one day put them into a queue and
 * act on the answer when it comes: a device keeps nothing on its stack across a call that it needs later.
 * Machine lock held.
 */
#ifndef STORAGE_BLOCK_H
#define STORAGE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECTOR_SIZE = 512, BLOCK_ERROR_SIZE = 512 };

struct block_device;

struct block_ops {
    const char *format; /* "raw" */
    /* All of it or an error; the range lies within the device. */
    int (*read)(struct block_device *block, uint64_t offset, void *to, size_t size);
    int (*write)(struct block_device *block, uint64_t offset, const void *from, size_t size);
    int (*flush)(struct block_device *block);
    void (*close)(struct block_device *block);
};

struct block_device {
    const struct block_ops *ops;
    uint64_t size; /* bytes, a multiple of SECTOR_SIZE, fixed at opening */
    bool read_only;
    char *path;  /* as the user named it; freed by block_close() */
    bool failed; /* the user has been told */
};

/* -EIO for a range that does not lie within the device, -EROFS for a write to a read-only one. */
int block_read(struct block_device *block, uint64_t offset, void *to, size_t size);
int block_write(struct block_device *block, uint64_t offset, const void *from, size_t size);
/* 0 only if all that was written is on the medium; once it has failed it never succeeds again. */
int block_flush(struct block_device *block);
/* Flushes and frees; NULL is harmless. */
void block_close(struct block_device *block);

/*
 * Opens a raw image or a host block device. NULL with one line in `error` (it names the file); on success `error`
 * is empty or holds a remark for the user. A writer locks out other writers and readers, QEMU's among them.
 */
struct block_device *raw_open(const char *path, bool read_only, char *error, size_t error_size);

#endif

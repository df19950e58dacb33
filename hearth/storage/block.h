/*
 * A block device: bytes that stay. Whoever shows it to a guest (IDE, floppy, virtio) knows only this header; the
 * format behind it (raw, qcow2, ...) is a row of functions.
 *
 * A device fills in a struct block_request and submits it; worker threads (storage/pool.c) carry it out, and `done` is
 * called on the event loop's thread with the machine lock held. Any number may be in flight; those that overlap happen in
 * any order, and only a flush says what is on the medium: all writes that were done before it was submitted.
 *
 * Machine lock held for every function but block_perform().
 */
#ifndef STORAGE_BLOCK_H
#define STORAGE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { SECTOR_SIZE = 512, BLOCK_ERROR_SIZE = 512, BLOCK_PIECES_MOST = 1024 };

struct block_device;
struct block_pool;

/* All of it or a negative errno. Called by worker threads, several at a time, without the machine lock; they may block. The
 * range lies within the device, is not empty, and the pieces add up to it. */
struct block_ops {
    const char *format; /* "raw" */
    int (*read)(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count);
    int (*write)(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count);
    int (*flush)(struct block_device *block);
    /* The range is not wanted any more and may read as anything; NULL: it is kept. */
    int (*discard)(struct block_device *block, uint64_t offset, uint64_t size);
    /* The range reads as zeros from now on; NULL: zeros are written. */
    int (*zero)(struct block_device *block, uint64_t offset, uint64_t size);
    /* For formats whose images lie in this one, which grows when it is written past its end: bytes as of now. NULL: it does
     * not grow. */
    uint64_t (*length)(struct block_device *block);
    void (*close)(struct block_device *block);
};

struct block_device {
    const struct block_ops *ops;
    struct block_pool *pool; /* whose threads do the work */
    uint64_t size;           /* bytes, a multiple of SECTOR_SIZE, fixed at opening */
    bool read_only;
    bool discards;      /* what the guest discards is given back to the host */
    bool write_through; /* each write is flushed: a drive has no write cache to tell of */
    bool no_flush;      /* a flush does nothing */
    char *path;         /* as the user named it; freed by block_close() */
    bool failed;        /* the user has been told */
    unsigned flying;    /* requests */
};

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

struct block_request {
    struct block_device *block;
    enum block_operation operation;
    uint64_t offset; /* any; guests' are multiples of SECTOR_SIZE */
    const struct iovec
        *pieces; /* stay, with what they point to, until done; none is empty; at most BLOCK_PIECES_MOST */
    unsigned count;
    uint64_t size; /* of BLOCK_DISCARD and BLOCK_ZERO, which have no pieces */
    void (*done)(struct block_request *request);
    void *opaque; /* the submitter's */
    /* Then: 0 or a negative errno; -EIO for a range that does not lie within the device, -EROFS for a write to one that
     * is read-only. The user has been told of what is the host's failure, once for each device. */
    int result;

    struct block_request *next; /* the pool's */
};

/* `done` is called later, never from within. The request is the caller's and stays until then. */
void block_submit(struct block_request *request);
/* Waits until nothing of this device is in flight, calling `done` for all that ends meanwhile. On the loop's thread. */
void block_drain(struct block_device *block);

/* The same at once, blocking: before the guest runs, or for tools. block_flush: once it has failed it never succeeds
 * again. */
int block_read(struct block_device *block, uint64_t offset, void *to, size_t size);
int block_write(struct block_device *block, uint64_t offset, const void *from, size_t size);
int block_flush(struct block_device *block);
/* Waits for what is in flight, flushes and frees; NULL is harmless. On the loop's thread. */
void block_close(struct block_device *block);

/* For the pool: does the request and sets its result. Any thread. */
void block_perform(struct block_request *request);
/* For formats: zeros through ops->write. Any thread. */
int block_write_zeros(struct block_device *block, uint64_t offset, uint64_t size);
/* For the pool: tells the user of a failure. */
void block_report(struct block_request *request);

#endif

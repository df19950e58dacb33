/*
 * Raw images and host block devices: byte n of the file is byte n of the disk.
 *
 * The file is read and written, never mapped, so that a file truncated behind our back is an I/O error and no SIGBUS.
 * Two machines on one image are kept apart by open file description locks on the bytes QEMU uses, so that it and
 * hearth respect each other (QEMU's docs/system/images, "image locking").
 */
#include "storage/block.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PIECES_AT_ONCE = 64 };

struct raw {
    struct block_device block;
    int descriptor;
    _Atomic uint64_t file_size; /* at opening; less than block.size if the last sector is not whole */
    pthread_mutex_t flush_lock;
    int flush_error; /* sticks: the kernel forgets dirty pages that it failed to write */
};

/* Each byte is a statement, held by a shared lock; who minds tests for it with an exclusive one. */
enum lock_byte {
    LOCK_READS = 100,      /* "I read" */
    LOCK_WRITES = 101,     /* "I write" */
    LOCK_NO_WRITERS = 201, /* "nobody else may write" */
};

static struct raw *raw_of(struct block_device *block)
{
    return (struct raw *)block;
}

/* How far a list of pieces has been gone through. */
struct cursor {
    const struct iovec *pieces;
    unsigned count;
    size_t skip; /* bytes of the first piece */
};

/* The next pieces, `most` bytes at the most. */
static int cursor_peek(const struct cursor *cursor, struct iovec *next, size_t most)
{
    int count = 0;
    for (unsigned i = 0; i < cursor->count && count < PIECES_AT_ONCE && most; i++) {
        size_t skip = i ? 0 : cursor->skip;
        next[count] =
            (struct iovec){(uint8_t *)cursor->pieces[i].iov_base + skip, cursor->pieces[i].iov_len - skip};
        if (next[count].iov_len > most)
            next[count].iov_len = most;
        most -= next[count++].iov_len;
    }
    return count;
}

static void cursor_advance(struct cursor *cursor, size_t size)
{
    size += cursor->skip;
    while (cursor->count && size >= cursor->pieces->iov_len) {
        size -= cursor->pieces->iov_len;
        cursor->pieces++;
        cursor->count--;
    }
    cursor->skip = size;
}

/* Past the end of the file its last sector is filled up with zeros. */
static void cursor_clear(struct cursor *cursor)
{
    struct iovec next[PIECES_AT_ONCE];
    int count;
    while ((count = cursor_peek(cursor, next, SIZE_MAX))) {
        for (int i = 0; i < count; i++) {
            memset(next[i].iov_base, 0, next[i].iov_len);
            cursor_advance(cursor, next[i].iov_len);
        }
    }
}

static int raw_read(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count)
{
    struct raw *raw = raw_of(block);
    uint64_t file_size = atomic_load(&raw->file_size);
    struct cursor cursor = {pieces, count, 0};
    struct iovec next[PIECES_AT_ONCE];
    int some;

    while (offset < file_size && (some = cursor_peek(&cursor, next, file_size - offset))) {
        ssize_t got = preadv(raw->descriptor, next, some, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) /* the file ends earlier than it did: truncated meanwhile */
            return got < 0 ? -errno : -EIO;
        cursor_advance(&cursor, (size_t)got);
        offset += (uint64_t)got;
    }
    cursor_clear(&cursor);
    return 0;
}

static void file_size_grow(struct raw *raw, uint64_t end)
{
    uint64_t size = atomic_load(&raw->file_size);
    while (size < end && !atomic_compare_exchange_weak(&raw->file_size, &size, end)) {
    }
}

static int raw_write(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count)
{
    struct raw *raw = raw_of(block);
    struct cursor cursor = {pieces, count, 0};
    struct iovec next[PIECES_AT_ONCE];
    int some;

    while ((some = cursor_peek(&cursor, next, SIZE_MAX))) {
        ssize_t put = pwritev(raw->descriptor, next, some, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        cursor_advance(&cursor, (size_t)put);
        offset += (uint64_t)put;
    }
    file_size_grow(raw, offset);
    return 0;
}

/* One at a time: the kernel tells of a failure once, to whoever asks first, and whoever asks next is not to be told that
 * all is well. */
static int raw_flush(struct block_device *block)
{
    struct raw *raw = raw_of(block);
    int result;

    pthread_mutex_lock(&raw->flush_lock);
    if (!raw->flush_error) {
        do
            result = fdatasync(raw->descriptor);
        while (result < 0 && errno == EINTR);
        if (result < 0)
            raw->flush_error = -errno;
    }
    result = raw->flush_error;
    pthread_mutex_unlock(&raw->flush_lock);
    return result;
}

static int raw_punch(struct raw *raw, int mode, uint64_t offset, uint64_t size)
{
    int result;
    do
        result = fallocate(raw->descriptor, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)size);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

/* A file system that cannot make holes keeps the data, which is as good. */
static int raw_discard(struct block_device *block, uint64_t offset, uint64_t size)
{
    int result = raw_punch(raw_of(block), FALLOC_FL_PUNCH_HOLE, offset, size);
    return result == -EOPNOTSUPP ? 0 : result;
}

static int raw_zero(struct block_device *block, uint64_t offset, uint64_t size)
{
    struct raw *raw = raw_of(block);
    int result = raw_punch(raw, block->discards ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, offset, size);
    return result == -EOPNOTSUPP ? block_write_zeros(block, offset, size) : result;
}

static void raw_close(struct block_device *block)
{
    struct raw *raw = raw_of(block);
    close(raw->descriptor);
    pthread_mutex_destroy(&raw->flush_lock);
    free(raw);
}

static const struct block_ops raw_ops = {.format = "raw",
                                         .read = raw_read,
                                         .write = raw_write,
                                         .flush = raw_flush,
                                         .discard = raw_discard,
                                         .zero = raw_zero,
                                         .close = raw_close};

/* ---- opening */

static bool lock_state(int descriptor, enum lock_byte byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
}

static bool lock_stated_by_another(int descriptor, enum lock_byte byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* States first and looks then, so that of two at once at most one succeeds. */
static bool image_lock(int descriptor, const char *path, bool read_only, char *error, size_t error_size)
{
    bool stated = lock_state(descriptor, LOCK_READS) && lock_state(descriptor, LOCK_NO_WRITERS) &&
                  (read_only || lock_state(descriptor, LOCK_WRITES));
    const char *refused = NULL;

    if (!stated && errno != EAGAIN && errno != EACCES) {
        snprintf(error, error_size,
                 "%s: the file system has no locks (%s): mind that nobody else uses the image", path,
                 strerror(errno));
        return true;
    }
    if (!stated || lock_stated_by_another(descriptor, LOCK_WRITES))
        refused = read_only ? "shared \"write\"" : "\"write\"";
    else if (!read_only && lock_stated_by_another(descriptor, LOCK_NO_WRITERS))
        refused = "\"write\"";
    if (refused)
        snprintf(error, error_size, "Failed to get %s lock: Is another process using the image [%s]?",
                 refused, path);
    return !refused;
}

static bool image_measure(struct raw *raw, const char *path, char *error, size_t error_size)
{
    struct stat status = {0};
    off_t end = lseek(raw->descriptor, 0, SEEK_END);
    const char *is = NULL;

    if (fstat(raw->descriptor, &status) < 0)
        is = strerror(errno);
    else if (S_ISDIR(status.st_mode))
        is = "it is a directory";
    else if (S_ISFIFO(status.st_mode))
        is = "it is a pipe";
    else if (S_ISCHR(status.st_mode))
        is = "it is a character device";
    else if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        is = "it is neither a file nor a block device";
    else if (end < 0)
        is = "its size cannot be found out";
    else if (end == 0)
        is = "it is empty; `hearth create` or `truncate -s` gives it a size";
    if (is) {
        snprintf(error, error_size, "Could not open '%s': %s", path, is);
        return false;
    }
    raw->file_size = (uint64_t)end;
    raw->block.size = ((uint64_t)end + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
    if (end % SECTOR_SIZE)
        snprintf(error, error_size,
                 "%s: %llu bytes are not a multiple of %d: the rest of the last sector reads as zeros", path,
                 (unsigned long long)end, SECTOR_SIZE);
    return true;
}

struct block_device *raw_open(struct block_pool *pool, const char *path, bool read_only, char *error,
                              size_t error_size)
{
    /* O_NONBLOCK: a pipe answers at once, to be refused; it means nothing to files. */
    int descriptor = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct raw *raw;

    error[0] = 0;
    if (descriptor < 0) {
        snprintf(error, error_size, "Could not open '%s': %s", path, strerror(errno));
        return NULL;
    }
    raw = calloc(1, sizeof(*raw));
    if (raw) {
        raw->block = (struct block_device){
            .ops = &raw_ops, .pool = pool, .read_only = read_only, .path = strdup(path)};
        raw->descriptor = descriptor;
        pthread_mutex_init(&raw->flush_lock, NULL);
    }
    if (!raw || !raw->block.path) {
        snprintf(error, error_size, "Could not open '%s': %s", path, strerror(ENOMEM));
    } else if (image_measure(raw, path, error, error_size) &&
               image_lock(descriptor, path, read_only, error, error_size)) {
        return &raw->block;
    }
    if (raw)
        free(raw->block.path);
    free(raw);
    close(descriptor);
    return NULL;
}

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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct raw {
    struct block_device block;
    int descriptor;
    uint64_t file_size; /* at opening; less than block.size if the last sector is not whole */
    int flush_error;    /* sticks: the kernel forgets dirty pages that it failed to write */
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

/* Reads [offset, offset + size) of the file; a file that ends early is -EIO. */
static int read_fully(int descriptor, uint64_t offset, uint8_t *to, size_t size)
{
    while (size) {
        ssize_t got = pread(descriptor, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EIO;
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static int raw_read(struct block_device *block, uint64_t offset, void *to, size_t size)
{
    const struct raw *raw = raw_of(block);
    size_t in_file = size;
    if (offset >= raw->file_size)
        in_file = 0;
    else if (size > raw->file_size - offset)
        in_file = (size_t)(raw->file_size - offset);
    memset((uint8_t *)to + in_file, 0, size - in_file);
    return read_fully(raw->descriptor, offset, to, in_file);
}

static int raw_write(struct block_device *block, uint64_t offset, const void *from, size_t size)
{
    struct raw *raw = raw_of(block);
    const uint8_t *next = from;
    uint64_t end = offset + size;
    while (size) {
        ssize_t put = pwrite(raw->descriptor, next, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        next += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    if (end > raw->file_size)
        raw->file_size = end;
    return 0;
}

static int raw_flush(struct block_device *block)
{
    struct raw *raw = raw_of(block);
    int result;
    if (raw->flush_error)
        return raw->flush_error;
    do
        result = fdatasync(raw->descriptor);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        raw->flush_error = -errno;
    return raw->flush_error;
}

static void raw_close(struct block_device *block)
{
    close(raw_of(block)->descriptor);
    free(block);
}

static const struct block_ops raw_ops = {
    .format = "raw", .read = raw_read, .write = raw_write, .flush = raw_flush, .close = raw_close};

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
    raw->block.size = (raw->file_size + SECTOR_SIZE - 1) / SECTOR_SIZE * SECTOR_SIZE;
    if (raw->file_size % SECTOR_SIZE)
        snprintf(error, error_size,
                 "%s: %llu bytes are not a multiple of %d: the rest of the last sector reads as zeros", path,
                 (unsigned long long)raw->file_size, SECTOR_SIZE);
    return true;
}

struct block_device *raw_open(const char *path, bool read_only, char *error, size_t error_size)
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
        raw->block = (struct block_device){.ops = &raw_ops, .read_only = read_only, .path = strdup(path)};
        raw->descriptor = descriptor;
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

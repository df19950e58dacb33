/*
 * Raw images and host block devices: byte n of the file is byte n of the disk.
 *
 * The file is read and written, never mapped, so that a file truncated behind our back is an I/O error and no SIGBUS.
 *
 * Past the page cache (O_DIRECT) goes what is whole pages of the file, through an aligned buffer if the guest's memory is
 * not; the rest goes through the cache, on a descriptor of its own. The kernel keeps the two coherent where they do not
 * share a page, and they never do.
 */
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

#include "core/log.h"
#include "storage/formats.h"
#include "storage/lock.h"
#include "storage/pieces.h"

/* Whole pages, for O_DIRECT: more than any disk asks for. */
enum { ALIGNMENT = 4096, BOUNCE_SIZE = 256 << 10 };

struct raw {
    struct block_device block;
    int descriptor;
    int direct;                 /* past the page cache, or -1 */
    _Atomic uint64_t file_size; /* at opening; less than block.size if the last sector is not whole */
    bool guessed;               /* the format: see guest_lies() */
    pthread_mutex_t flush_lock;
    int flush_error; /* sticks: the kernel forgets dirty pages that it failed to write */
};

static struct raw *raw_of(struct block_device *block)
{
    return (struct raw *)block;
}

typedef ssize_t vector_function(int descriptor, const struct iovec *pieces, int count, off_t offset);

/* preadv or pwritev, all of it. A file that ends earlier than it did has been truncated meanwhile. */
static int span_move(vector_function *move, int descriptor, uint64_t offset, struct cursor *cursor,
                     uint64_t size)
{
    struct iovec next[PIECES_AT_ONCE];
    int count;
    while ((count = cursor_peek(cursor, next, size))) {
        ssize_t moved = move(descriptor, next, count, (off_t)offset);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return moved < 0 ? -errno : -EIO;
        cursor_advance(cursor, (size_t)moved);
        offset += (uint64_t)moved;
        size -= (uint64_t)moved;
    }
    return 0;
}

/* ---- past the page cache */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool pieces_aligned(struct cursor cursor, uint64_t size)
{
    struct iovec next[PIECES_AT_ONCE];
    int count;
    while ((count = cursor_peek(&cursor, next, size))) {
        for (int i = 0; i < count; i++)
            if (((uintptr_t)next[i].iov_base | next[i].iov_len) % ALIGNMENT)
                return false;
        size -= pieces_size(next, (unsigned)count);
        cursor_advance(&cursor, pieces_size(next, (unsigned)count));
    }
    return true;
}

/* Whole pages of the file from or to memory that is not. */
static int bounce_move(vector_function *move, int descriptor, uint64_t offset, struct cursor *cursor,
                       uint64_t size)
{
    int result = 0;
    uint8_t *bounce = aligned_alloc(ALIGNMENT, least(size, BOUNCE_SIZE));
    if (!bounce)
        return -ENOMEM;
    for (uint64_t next; size && !result; size -= next, offset += next) {
        next = least(size, BOUNCE_SIZE);
        struct iovec piece = {bounce, next};
        struct cursor whole = {&piece, 1, 0};
        if (move == pwritev)
            cursor_get(cursor, bounce, next);
        result = span_move(move, descriptor, offset, &whole, next);
        if (!result && move == preadv)
            cursor_put(cursor, bounce, next);
    }
    free(bounce);
    return result;
}

static int raw_move(struct raw *raw, vector_function *move, uint64_t offset, struct cursor *cursor,
                    uint64_t size)
{
    uint64_t head = least(size, -offset % ALIGNMENT), middle = (size - head) / ALIGNMENT * ALIGNMENT;
    int result;
    if (raw->direct < 0 || !middle)
        return span_move(move, raw->descriptor, offset, cursor, size);
    result = span_move(move, raw->descriptor, offset, cursor, head);
    offset += head;
    if (!result && pieces_aligned(*cursor, middle))
        result = span_move(move, raw->direct, offset, cursor, middle);
    else if (!result)
        result = bounce_move(move, raw->direct, offset, cursor, middle);
    if (!result)
        result = span_move(move, raw->descriptor, offset + middle, cursor, size - head - middle);
    return result;
}

/* ---- what block_ops asks for */

/* Past the end of the file its last sector is filled up with zeros. */
static int raw_read(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count)
{
    struct raw *raw = raw_of(block);
    struct cursor cursor = {pieces, count, 0};
    uint64_t file_size = atomic_load(&raw->file_size), size = pieces_size(pieces, count);
    uint64_t in_file = offset < file_size ? least(size, file_size - offset) : 0;
    int result = raw_move(raw, preadv, offset, &cursor, in_file);
    if (!result)
        cursor_clear(&cursor, size - in_file);
    return result;
}

static void file_size_grow(struct raw *raw, uint64_t end)
{
    uint64_t size = atomic_load(&raw->file_size);
    while (size < end && !atomic_compare_exchange_weak(&raw->file_size, &size, end)) {
    }
}

/* Nobody said that the image is raw: a guest must not make it look like another format, which, opened the next time, could
 * name any file of the host as its backing file. */
static bool guest_lies(const struct raw *raw, uint64_t offset, struct cursor cursor, uint64_t size)
{
    uint8_t start[FORMAT_MAGIC_SIZE];
    if (!raw->guessed || offset || size < sizeof(start))
        return false;
    cursor_get(&cursor, start, sizeof(start));
    return format_by_magic(start) != NULL;
}

static int raw_write(struct block_device *block, uint64_t offset, const struct iovec *pieces, unsigned count)
{
    struct raw *raw = raw_of(block);
    struct cursor cursor = {pieces, count, 0};
    uint64_t size = pieces_size(pieces, count);
    if (guest_lies(raw, offset, cursor, size)) {
        warn("%s: the guest writes what looks like another image format; format=raw lets it", block->path);
        return -EPERM;
    }
    int result = raw_move(raw, pwritev, offset, &cursor, size);
    if (!result)
        file_size_grow(raw, offset + size);
    return result;
}

/* One at a time: the kernel tells of a failure once, to whoever asks first, and whoever asks next is not to be told that
 * all is well. */
static int raw_flush(struct block_device *block)
{
    struct raw *raw = raw_of(block);
    int result;

    if (block->no_flush)
        return 0;
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
    if (raw->direct >= 0)
        close(raw->direct);
    if (raw->descriptor >= 0)
        close(raw->descriptor);
    pthread_mutex_destroy(&raw->flush_lock);
    free(raw);
}

static uint64_t raw_length(struct block_device *block)
{
    return atomic_load(&raw_of(block)->file_size);
}

static const struct block_ops raw_ops = {.format = "raw",
                                         .read = raw_read,
                                         .write = raw_write,
                                         .flush = raw_flush,
                                         .discard = raw_discard,
                                         .zero = raw_zero,
                                         .length = raw_length,
                                         .close = raw_close};

/* ---- opening */

static bool image_measure(struct raw *raw, const char *path, bool container, char *error, size_t error_size)
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
    if (end % SECTOR_SIZE && !container)
        snprintf(error, error_size,
                 "%s: %llu bytes are not a multiple of %d: the rest of the last sector reads as zeros", path,
                 (unsigned long long)end, SECTOR_SIZE);
    return true;
}

/* O_NONBLOCK: a pipe answers at once, to be refused; it means nothing to files. */
static int descriptor_of(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static bool only_writing_refused(int error)
{
    return error == EACCES || error == EROFS || error == EPERM;
}

static bool descriptor_open(struct raw *raw, const struct block_options *options, char *error,
                            size_t error_size)
{
    raw->block.read_only = options->read_only;
    raw->descriptor = descriptor_of(options->file, options->read_only ? O_RDONLY : O_RDWR);
    if (raw->descriptor < 0 && options->read_only_fallback && only_writing_refused(errno)) {
        snprintf(error, error_size, "%s: opened for reading alone: %s", options->file, strerror(errno));
        raw->block.read_only = true;
        raw->descriptor = descriptor_of(options->file, O_RDONLY);
    }
    if (raw->descriptor < 0)
        snprintf(error, error_size, "Could not open '%s': %s", options->file, strerror(errno));
    return raw->descriptor >= 0;
}

static bool same_file(int a, int b)
{
    struct stat first, second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool direct_open(struct raw *raw, const struct block_options *options, char *error, size_t error_size)
{
    if (!options->direct)
        return true;
    raw->direct = descriptor_of(options->file, (raw->block.read_only ? O_RDONLY : O_RDWR) | O_DIRECT);
    if (raw->direct >= 0 && same_file(raw->direct, raw->descriptor))
        return true;
    snprintf(error, error_size, "Could not open '%s': %s; cache=writeback does without O_DIRECT",
             options->file, raw->direct < 0 ? strerror(errno) : "it has just been replaced");
    return false;
}

struct block_device *raw_open(struct block_pool *pool, const struct block_options *options, char *error,
                              size_t error_size)
{
    struct raw *raw = allocate(sizeof(*raw));
    error[0] = 0;
    raw->block = (struct block_device){.ops = &raw_ops, .pool = pool, .path = strdup(options->file)};
    raw->descriptor = raw->direct = -1;
    raw->guessed = !options->format && !options->container;
    pthread_mutex_init(&raw->flush_lock, NULL);
    if (descriptor_open(raw, options, error, error_size) &&
        image_measure(raw, options->file, options->container, error, error_size) &&
        direct_open(raw, options, error, error_size) &&
        image_lock(raw->descriptor, options->file, raw->block.read_only, error, error_size))
        return &raw->block;
    char *path = raw->block.path;
    raw_close(&raw->block);
    free(path);
    return NULL;
}

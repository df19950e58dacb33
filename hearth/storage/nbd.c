/*
 * Disks of another machine, by the NBD protocol through libnbd: nbd:HOST:PORT, nbd:unix:PATH, each with :exportname=NAME behind
 * it, and the URIs nbd://HOST[:PORT]/NAME, nbd+unix:///NAME?socket=PATH and what else libnbd knows (nbds://).
 *
 * One request is under way at a time. A server that is silent for PATIENCE seconds, or goes, is not asked again: all that
 * follows is an I/O error, which the guest sees.
 */
#include "storage/formats.h"

#include <stdio.h>
#include <string.h>

bool block_is_remote(const char *file)
{
    return !strncmp(file, "nbd:", 4) || !strncmp(file, "nbd+", 4) || !strncmp(file, "nbds", 4);
}

#ifdef HAVE_NBD

#include <errno.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "core/log.h"
#include "host/library.h"
#include "storage/pieces.h"

enum { PATIENCE = 30, CONNECT_PATIENCE = 10, POLL_MILLISECONDS = 1000, AT_ONCE = 1 << 20 };

/* What is used of the library, which is loaded when the first such disk is opened. */
struct functions {
    __typeof__(&nbd_create) create;
    __typeof__(&nbd_close) close;
    __typeof__(&nbd_get_error) get_error;
    __typeof__(&nbd_get_errno) get_errno;
    __typeof__(&nbd_set_export_name) set_export_name;
    __typeof__(&nbd_aio_connect_uri) connect_uri;
    __typeof__(&nbd_aio_connect_unix) connect_unix;
    __typeof__(&nbd_aio_connect_tcp) connect_tcp;
    __typeof__(&nbd_aio_is_connecting) is_connecting;
    __typeof__(&nbd_aio_is_ready) is_ready;
    __typeof__(&nbd_poll) poll;
    __typeof__(&nbd_aio_command_completed) completed;
    __typeof__(&nbd_get_size) size;
    __typeof__(&nbd_is_read_only) is_read_only;
    __typeof__(&nbd_can_flush) can_flush;
    __typeof__(&nbd_can_trim) can_trim;
    __typeof__(&nbd_can_zero) can_zero;
    __typeof__(&nbd_aio_pread) read;
    __typeof__(&nbd_aio_pwrite) write;
    __typeof__(&nbd_aio_flush) flush;
    __typeof__(&nbd_aio_trim) trim;
    __typeof__(&nbd_aio_zero) zero;
};

struct nbd {
    struct block_device block;
    struct functions library;
    struct nbd_handle *handle;
    pthread_mutex_t lock; /* around a request */
    bool gone;
    bool can_flush, can_trim, can_zero;
    uint8_t *bounce; /* AT_ONCE bytes */
};

static struct nbd *nbd_of(struct block_device *block)
{
    return (struct nbd *)block;
}

static bool functions_load(struct functions *at, char *error, size_t error_size)
{
    return library_load(
        "libnbd.so.0",
        LIBRARY_SYMBOLS(
            {"nbd_create", (void **)&at->create}, {"nbd_close", (void **)&at->close},
            {"nbd_get_error", (void **)&at->get_error}, {"nbd_get_errno", (void **)&at->get_errno},
            {"nbd_set_export_name", (void **)&at->set_export_name},
            {"nbd_aio_connect_uri", (void **)&at->connect_uri},
            {"nbd_aio_connect_unix", (void **)&at->connect_unix},
            {"nbd_aio_connect_tcp", (void **)&at->connect_tcp},
            {"nbd_aio_is_connecting", (void **)&at->is_connecting},
            {"nbd_aio_is_ready", (void **)&at->is_ready}, {"nbd_poll", (void **)&at->poll},
            {"nbd_aio_command_completed", (void **)&at->completed}, {"nbd_get_size", (void **)&at->size},
            {"nbd_is_read_only", (void **)&at->is_read_only}, {"nbd_can_flush", (void **)&at->can_flush},
            {"nbd_can_trim", (void **)&at->can_trim}, {"nbd_can_zero", (void **)&at->can_zero},
            {"nbd_aio_pread", (void **)&at->read}, {"nbd_aio_pwrite", (void **)&at->write},
            {"nbd_aio_flush", (void **)&at->flush}, {"nbd_aio_trim", (void **)&at->trim},
            {"nbd_aio_zero", (void **)&at->zero}),
        error, error_size);
}

/* ---- requests */

static time_t seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Waits for the command, or gives the server up. */
static int command_finish(struct nbd *nbd, int64_t cookie)
{
    const struct functions *library = &nbd->library;
    time_t end = seconds_now() + PATIENCE;
    int done = 0;
    if (cookie < 0)
        return -EIO;
    while (!(done = library->completed(nbd->handle, (uint64_t)cookie))) {
        if (library->poll(nbd->handle, POLL_MILLISECONDS) < 0 || seconds_now() > end) {
            nbd->gone = true;
            return -EIO;
        }
    }
    int error = done < 0 ? library->get_errno() : 0;
    return done < 0 ? -(error ? error : EIO) : 0;
}

static int piece_read(struct nbd *nbd, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    int result = command_finish(
        nbd, nbd->library.read(nbd->handle, nbd->bounce, size, offset, NBD_NULL_COMPLETION, 0));
    if (!result)
        cursor_put(cursor, nbd->bounce, size);
    return result;
}

static int piece_write(struct nbd *nbd, uint64_t offset, struct cursor *cursor, uint64_t size)
{
    cursor_get(cursor, nbd->bounce, size);
    return command_finish(nbd,
                          nbd->library.write(nbd->handle, nbd->bounce, size, offset, NBD_NULL_COMPLETION, 0));
}

typedef int piece_function(struct nbd *nbd, uint64_t offset, struct cursor *cursor, uint64_t size);

static int move(struct block_device *block, piece_function *piece, uint64_t offset,
                const struct iovec *pieces, unsigned count)
{
    struct nbd *nbd = nbd_of(block);
    struct cursor cursor = {pieces, count, 0};
    uint64_t left = pieces_size(pieces, count);
    int result = 0;
    pthread_mutex_lock(&nbd->lock);
    for (uint64_t size; left && !result; left -= size, offset += size) {
        size = left < AT_ONCE ? left : AT_ONCE;
        result = nbd->gone ? -EIO : piece(nbd, offset, &cursor, size);
    }
    pthread_mutex_unlock(&nbd->lock);
    return result;
}

static int nbd_block_read(struct block_device *block, uint64_t offset, const struct iovec *pieces,
                          unsigned count)
{
    return move(block, piece_read, offset, pieces, count);
}

static int nbd_block_write(struct block_device *block, uint64_t offset, const struct iovec *pieces,
                           unsigned count)
{
    return move(block, piece_write, offset, pieces, count);
}

static int nbd_block_flush(struct block_device *block)
{
    struct nbd *nbd = nbd_of(block);
    pthread_mutex_lock(&nbd->lock);
    int result = nbd->gone ? -EIO
                 : !nbd->can_flush
                     ? 0
                     : command_finish(nbd, nbd->library.flush(nbd->handle, NBD_NULL_COMPLETION, 0));
    pthread_mutex_unlock(&nbd->lock);
    return result;
}

enum { RANGE_MOST = 1 << 30 };

typedef __typeof__(&nbd_aio_trim) range_function;

static int range(struct nbd *nbd, range_function command, uint64_t offset, uint64_t size)
{
    int result = 0;
    pthread_mutex_lock(&nbd->lock);
    for (uint64_t step; size && !result; size -= step, offset += step) {
        step = size < RANGE_MOST ? size : RANGE_MOST;
        result = nbd->gone ? -EIO
                           : command_finish(nbd, command(nbd->handle, step, offset, NBD_NULL_COMPLETION, 0));
    }
    pthread_mutex_unlock(&nbd->lock);
    return result;
}

static int nbd_block_discard(struct block_device *block, uint64_t offset, uint64_t size)
{
    struct nbd *nbd = nbd_of(block);
    return nbd->can_trim ? range(nbd, nbd->library.trim, offset, size) : 0;
}

static int nbd_block_zero(struct block_device *block, uint64_t offset, uint64_t size)
{
    struct nbd *nbd = nbd_of(block);
    return nbd->can_zero ? range(nbd, nbd->library.zero, offset, size)
                         : block_write_zeros(block, offset, size);
}

static void nbd_block_close(struct block_device *block)
{
    struct nbd *nbd = nbd_of(block);
    if (nbd->handle)
        nbd->library.close(nbd->handle);
    pthread_mutex_destroy(&nbd->lock);
    free(nbd->bounce);
    free(nbd);
}

/* ---- connecting */

/* nbd:HOST:PORT or nbd:unix:PATH: taken apart in `text`. */
static int connect_old(struct nbd *nbd, char *text)
{
    static const char word[] = ":exportname=";
    const struct functions *library = &nbd->library;
    char *export = strstr(text, word);
    if (export) {
        *export = 0;
        if (library->set_export_name(nbd->handle, export + sizeof(word) - 1) < 0)
            return -1;
    }
    if (!strncmp(text, "unix:", 5))
        return library->connect_unix(nbd->handle, text + 5);
    char *port = strrchr(text, ':');
    if (port)
        *port++ = 0;
    return library->connect_tcp(nbd->handle, text, port ? port : "10809");
}

static bool connect_begin(struct nbd *nbd, const char *file)
{
    if (strncmp(file, "nbd:", 4) || !strncmp(file, "nbd://", 6))
        return nbd->library.connect_uri(nbd->handle, file) == 0;
    char *text = strdup(file + 4);
    int result = text ? connect_old(nbd, text) : -1;
    free(text);
    return result == 0;
}

/* NULL, or why not. */
static const char *connect_to(struct nbd *nbd, const char *file)
{
    const struct functions *library = &nbd->library;
    time_t end = seconds_now() + CONNECT_PATIENCE;
    if (!connect_begin(nbd, file))
        return library->get_error();
    while (library->is_connecting(nbd->handle) == 1) {
        if (library->poll(nbd->handle, POLL_MILLISECONDS) < 0)
            return library->get_error();
        if (seconds_now() > end)
            return "the server does not answer";
    }
    return library->is_ready(nbd->handle) == 1 ? NULL : "the server has refused";
}

static bool look_at_export(struct nbd *nbd, const struct block_options *options, char *error,
                           size_t error_size)
{
    const struct functions *library = &nbd->library;
    int64_t size = library->size(nbd->handle);
    bool read_only = library->is_read_only(nbd->handle) == 1;
    nbd->can_flush = library->can_flush(nbd->handle) == 1;
    nbd->can_trim = library->can_trim(nbd->handle) == 1;
    nbd->can_zero = library->can_zero(nbd->handle) == 1;
    nbd->block.size = size > 0 ? (uint64_t)size / SECTOR_SIZE * SECTOR_SIZE : 0;
    nbd->block.read_only = options->read_only || read_only;
    if (!nbd->block.size)
        snprintf(error, error_size, "%s: the export is empty", options->file);
    else if (read_only && !options->read_only && !options->read_only_fallback)
        snprintf(error, error_size, "%s: the server lets it be read only; readonly=on takes it so",
                 options->file);
    else if (read_only && !options->read_only)
        snprintf(error, error_size, "%s: the server lets it be read only, so it is write-protected",
                 options->file);
    return nbd->block.size && (!read_only || options->read_only || options->read_only_fallback);
}

struct block_device *nbd_open(struct block_pool *pool, const struct block_options *options, char *error,
                              size_t error_size)
{
    static const struct block_ops ops = {.format = "raw",
                                         .read = nbd_block_read,
                                         .write = nbd_block_write,
                                         .flush = nbd_block_flush,
                                         .discard = nbd_block_discard,
                                         .zero = nbd_block_zero,
                                         .close = nbd_block_close};
    struct nbd *nbd = allocate(sizeof(*nbd));
    const char *why = NULL;
    nbd->block = (struct block_device){.ops = &ops, .pool = pool, .path = strdup(options->file)};
    nbd->bounce = allocate(AT_ONCE);
    pthread_mutex_init(&nbd->lock, NULL);
    bool loaded = functions_load(&nbd->library, error, error_size);
    if (loaded && !((nbd->handle = nbd->library.create())))
        why = "out of memory";
    if (loaded && !why)
        why = connect_to(nbd, options->file);
    if (why)
        snprintf(error, error_size, "%s: %s", options->file, why);
    if (loaded && !why && look_at_export(nbd, options, error, error_size))
        return &nbd->block;
    char *path = nbd->block.path;
    nbd_block_close(&nbd->block);
    free(path);
    return NULL;
}

#else

struct block_device *nbd_open(struct block_pool *pool, const struct block_options *options, char *error,
                              size_t error_size)
{
    (void)pool;
    snprintf(error, error_size, "%s: hearth was built without libnbd, which this needs", options->file);
    return NULL;
}

#endif

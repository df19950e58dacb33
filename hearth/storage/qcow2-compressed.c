/*
 * Compressed clusters: raw deflate (zlib) or zstd. Neither library is there before the first of them is read. They are only
 * read; what is written to such a cluster is stored as it is.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#ifdef HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "core/log.h"
#include "host/library.h"
#include "storage/qcow2.h"

#ifdef HAVE_ZLIB
enum { WINDOW_BITS = 12 }; /* what QEMU compresses with; negative: without zlib's own header */

static bool inflate_cluster(void *to, size_t to_size, const void *from, size_t from_size, char *error,
                            size_t error_size)
{
    __typeof__(&inflateInit2_) init;
    __typeof__(&inflate) run;
    __typeof__(&inflateEnd) end;
    z_stream stream = {
        .next_in = (Bytef *)from, .avail_in = (uInt)from_size, .next_out = to, .avail_out = (uInt)to_size};
    if (!library_load("libz.so.1",
                      LIBRARY_SYMBOLS({"inflateInit2_", (void **)&init}, {"inflate", (void **)&run},
                                      {"inflateEnd", (void **)&end}),
                      error, error_size))
        return false;
    if (init(&stream, -WINDOW_BITS, ZLIB_VERSION, sizeof(stream)) != Z_OK)
        return false;
    int result = run(&stream, Z_FINISH);
    end(&stream);
    /* What follows the end in the last sector is no part of it. */
    return (result == Z_STREAM_END || result == Z_BUF_ERROR) && !stream.avail_out;
}
#endif

#ifdef HAVE_ZSTD
static bool zstd_cluster(void *to, size_t to_size, const void *from, size_t from_size, char *error,
                         size_t error_size)
{
    __typeof__(&ZSTD_createDStream) create;
    __typeof__(&ZSTD_decompressStream) run;
    __typeof__(&ZSTD_freeDStream) end;
    __typeof__(&ZSTD_isError) failed;
    ZSTD_inBuffer in = {from, from_size, 0};
    ZSTD_outBuffer out = {to, to_size, 0};
    size_t result = 1;
    if (!library_load("libzstd.so.1",
                      LIBRARY_SYMBOLS(
                          {"ZSTD_createDStream", (void **)&create}, {"ZSTD_decompressStream", (void **)&run},
                          {"ZSTD_freeDStream", (void **)&end}, {"ZSTD_isError", (void **)&failed}),
                      error, error_size))
        return false;
    ZSTD_DStream *stream = create();
    while (stream && out.pos < out.size && in.pos < in.size && !failed(result))
        result = run(stream, &out, &in);
    end(stream);
    return !failed(result) && out.pos == out.size;
}
#endif

typedef bool decompress_function(void *to, size_t to_size, const void *from, size_t from_size, char *error,
                                 size_t error_size);

static decompress_function *function_of(enum qcow2_compression compression)
{
#ifdef HAVE_ZLIB
    if (compression == COMPRESSION_DEFLATE)
        return inflate_cluster;
#endif
#ifdef HAVE_ZSTD
    if (compression == COMPRESSION_ZSTD)
        return zstd_cluster;
#endif
    return NULL;
}

/* Once for each image. */
static void tell(struct qcow2 *qcow2, const char *why)
{
    if (!atomic_exchange(&qcow2->told, true))
        warn("%s: a compressed cluster cannot be read: %s", qcow2->block.path, why);
}

int qcow2_decompress(struct qcow2 *qcow2, const struct qcow2_mapping *mapping, void *to)
{
    decompress_function *decompress = function_of(qcow2->compression);
    char error[128] = "";
    if (!decompress) {
        tell(qcow2, "this hearth was built without the library for it");
        return -ENOTSUP;
    }
    uint8_t *from = malloc(mapping->size);
    if (!from)
        return -ENOMEM;
    int result = qcow2_file_read(qcow2, mapping->offset, from, mapping->size);
    if (!result && !decompress(to, qcow2->cluster_size, from, mapping->size, error, sizeof(error)))
        result = -EIO;
    if (error[0])
        tell(qcow2, error);
    free(from);
    return result;
}

/*
 * Any bytes as a qcow2 image: opened for writing and for reading alone, then read, written, discarded, flushed. The last bytes
 * of the input choose what is done. Nothing may crash, hang, or touch memory that is not its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "storage/open.h"
#include "storage/pool.h"

enum { SCRIPT = 48, STEPS = 12, BYTES = 20 << 10 };

static void done(struct block_request *request)
{
    (void)request;
}

static void step(struct block_device *block, struct input *script)
{
    static uint8_t bytes[BYTES];
    unsigned what = input_take(script, 1);
    uint64_t sectors = block->size / SECTOR_SIZE, first = input_take(script, 2) % sectors;
    uint64_t count = 1 + input_take(script, 1) % (BYTES / SECTOR_SIZE);
    if (what & 0x80) /* near the end */
        first = sectors - 1 - first % (sectors < 64 ? sectors : 64);
    count = count < sectors - first ? count : sectors - first;
    struct iovec piece = {bytes, count * SECTOR_SIZE};
    struct block_request request = {.block = block,
                                    .operation = what % 5,
                                    .offset = first * SECTOR_SIZE,
                                    .pieces = &piece,
                                    .count = 1,
                                    .size = piece.iov_len,
                                    .done = done};
    block_perform(&request);
}

static void use(const char *path, bool read_only, struct input script)
{
    char error[BLOCK_ERROR_SIZE];
    struct block_options options = {
        .file = path, .format = "qcow2", .read_only = read_only, .discards = true};
    struct block_device *block = block_open(NULL, &options, error, sizeof(error));
    if (!block)
        return;
    for (unsigned i = 0; i < STEPS && script.size; i++)
        step(block, &script);
    block_close(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    if (size < SCRIPT)
        return 0;
    int file = memfd_create("image", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size - SCRIPT) < 0)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    struct input script = {data + size - SCRIPT, SCRIPT};
    use(path, true, script);
    use(path, false, script);
    close(file);
    return 0;
}

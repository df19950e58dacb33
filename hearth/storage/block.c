/*
 * What every block device has in common, whatever its format: the checks of a request against the device, and telling
 * the user, once, when the host fails.
 */
#include "storage/block.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "storage/pieces.h"
#include "storage/pool.h"

/* 0 to go on, or the answer. */
static int refusal(const struct block_request *request, uint64_t size)
{
    const struct block_device *block = request->block;
    if (request->operation != BLOCK_READ && block->read_only)
        return -EROFS;
    if (request->offset > block->size || size > block->size - request->offset)
        return -EIO;
    return 0;
}

int block_write_zeros(struct block_device *block, uint64_t offset, uint64_t size)
{
    static const uint8_t zeros[64 << 10];
    int result = 0;
    for (uint64_t next; size && !result; size -= next, offset += next) {
        next = size < sizeof(zeros) ? size : sizeof(zeros);
        result = block->ops->write(block, offset, &(struct iovec){(void *)zeros, next}, 1);
    }
    return result;
}

static int transfer(const struct block_request *request, uint64_t size)
{
    struct block_device *block = request->block;
    switch (request->operation) {
    case BLOCK_READ: return block->ops->read(block, request->offset, request->pieces, request->count);
    case BLOCK_WRITE: return block->ops->write(block, request->offset, request->pieces, request->count);
    case BLOCK_DISCARD:
        return block->discards && block->ops->discard ? block->ops->discard(block, request->offset, size) : 0;
    default:
        return block->ops->zero ? block->ops->zero(block, request->offset, size)
                                : block_write_zeros(block, request->offset, size);
    }
}

void block_perform(struct block_request *request)
{
    struct block_device *block = request->block;
    if (request->operation == BLOCK_FLUSH) {
        request->result = block->read_only ? 0 : block->ops->flush(block);
        return;
    }
    bool moves = request->operation == BLOCK_READ || request->operation == BLOCK_WRITE;
    uint64_t size = moves ? pieces_size(request->pieces, request->count) : request->size;
    request->result = refusal(request, size);
    if (!request->result && size)
        request->result = transfer(request, size);
    if (!request->result && block->write_through && request->operation != BLOCK_READ)
        request->result = block->ops->flush(block);
}

void block_report(struct block_request *request)
{
    static const char *const actions[] = {"read", "written", "flushed", "discarded", "filled with zeros"};
    struct block_device *block = request->block;
    if (request->result >= 0 || request->result == -EROFS || block->failed)
        return;
    block->failed = true;
    warn("%s: could not be %s: %s; the guest is told of a disk error", block->path,
         actions[request->operation], strerror(-request->result));
}

void block_submit(struct block_request *request)
{
    assert(request->count <= BLOCK_PIECES_MOST);
    request->block->flying++;
    pool_submit(request->block->pool, request);
}

void block_drain(struct block_device *block)
{
    while (block->flying)
        pool_wait(block->pool);
}

static int at_once(struct block_device *block, enum block_operation operation, uint64_t offset, void *bytes,
                   size_t size)
{
    struct iovec piece = {bytes, size};
    struct block_request request = {
        .block = block, .operation = operation, .offset = offset, .pieces = &piece, .count = 1};
    block_perform(&request);
    block_report(&request);
    return request.result;
}

int block_read(struct block_device *block, uint64_t offset, void *to, size_t size)
{
    return at_once(block, BLOCK_READ, offset, to, size);
}

int block_write(struct block_device *block, uint64_t offset, const void *from, size_t size)
{
    return at_once(block, BLOCK_WRITE, offset, (void *)from, size);
}

int block_flush(struct block_device *block)
{
    return at_once(block, BLOCK_FLUSH, 0, NULL, 0);
}

void block_close(struct block_device *block)
{
    if (!block)
        return;
    block_drain(block);
    block_flush(block);
    char *path = block->path;
    block->ops->close(block);
    free(path);
}

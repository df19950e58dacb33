/*
 * What every block device has in common, whatever its format: the checks of a request against the device, and telling
 * the user, once, when the host fails.
 */
#include "storage/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

static bool range_inside(const struct block_device *block, uint64_t offset, size_t size)
{
    return offset <= block->size && size <= block->size - offset;
}

static int answer(struct block_device *block, const char *action, int result)
{
    if (result < 0 && !block->failed) {
        block->failed = true;
        warn("%s: could not be %s: %s; the guest is told of a disk error", block->path, action,
             strerror(-result));
    }
    return result;
}

int block_read(struct block_device *block, uint64_t offset, void *to, size_t size)
{
    if (!range_inside(block, offset, size))
        return -EIO;
    return answer(block, "read", block->ops->read(block, offset, to, size));
}

int block_write(struct block_device *block, uint64_t offset, const void *from, size_t size)
{
    if (block->read_only)
        return -EROFS;
    if (!range_inside(block, offset, size))
        return -EIO;
    return answer(block, "written", block->ops->write(block, offset, from, size));
}

int block_flush(struct block_device *block)
{
    return block->read_only ? 0 : answer(block, "flushed", block->ops->flush(block));
}

void block_close(struct block_device *block)
{
    if (!block)
        return;
    block_flush(block);
    char *path = block->path;
    block->ops->close(block);
    free(path);
}

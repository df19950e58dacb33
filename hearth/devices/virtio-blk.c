/*
 * The virtio block device. Data goes between the image and guest memory in place; any number of requests may be in flight,
 * as many as a queue has descriptors.
 *
 * A driver that has not accepted flushes, or has chosen so, is written through for: a write is done when it is on the medium.
 * A reset while requests are in flight ends with the last of them; drivers of the legacy interface are not told of that (it
 * has no way to), their next requests only wait.
 *
 * Left out: secure erase, lifetime, zoned storage, SCSI commands.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 5.2.
 */
#include "devices/virtio-blk.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { CLASS_SCSI = 0x010000, ID_TRANSITIONAL = 0x1001 };

enum feature {
    F_SEG_MAX = 2,
    F_GEOMETRY = 4,
    F_READ_ONLY = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_CONFIG_WCE = 11,
    F_MQ = 12,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
};

enum type {
    TYPE_IN = 0,
    TYPE_OUT = 1,
    TYPE_FLUSH = 4,
    TYPE_GET_ID = 8,
    TYPE_DISCARD = 11,
    TYPE_WRITE_ZEROES = 13,
};

enum status { STATUS_OK, STATUS_IOERR, STATUS_UNSUPP };

enum {
    HEADS = 16,
    SECTORS_PER_TRACK = 63,
    CYLINDERS_MOST = 16383,
    RANGE_SECTORS_MOST = (1 << 22) - 1, /* of a discard: just under 2 GiB */
    RANGE_UNMAP = 1,                    /* the flag of a range of zeros that may become a hole */
    MAP_BORDERS = 16,                   /* of the memory map that a request may run over */
};

/* All little-endian. */
struct config {
    uint64_t capacity; /* sectors of 512 bytes */
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused_too[3];
} __attribute__((packed));

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};

struct range {
    uint64_t sector;
    uint32_t sectors, flags;
};

struct request {
    struct block_request block;
    struct virtio_blk *disk;
    struct virtio_queue *queue;
    struct virtio_chain *chain;
    struct scatter *scatter;      /* NULL: no data */
    bool is_stale;                /* a reset has come since */
    struct request *next, **link; /* of those in flight */
};

struct virtio_blk {
    struct virtio *virtio;
    struct virtio_blk_setup setup;
    struct config config;
    char serial[VIRTIO_BLK_SERIAL_SIZE];
    struct request *requests;
};

/* ---- ending a request */

static void answer(struct virtio_queue *queue, struct virtio_chain *chain, enum status status)
{
    uint8_t byte = (uint8_t)status;
    uint64_t size = virtio_writable(chain);
    virtio_push(chain, virtio_write(chain, size - 1, &byte, 1) ? (uint32_t)size : 0);
    virtio_publish(queue);
}

static void request_end(struct request *request, enum status status)
{
    struct virtio_blk *disk = request->disk;
    bool moved = status == STATUS_OK && request->block.operation == BLOCK_READ;
    if (request->scatter)
        scatter_end(request->scatter, moved ? scatter_size(request->scatter) : 0);
    scatter_destroy(request->scatter);
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
    if (request->is_stale) {
        virtio_push(request->chain, 0);
        virtio_release(disk->virtio);
    } else {
        answer(request->queue, request->chain, status);
    }
    free(request);
}

static bool writes_through(const struct virtio_blk *disk)
{
    if (!virtio_has(disk->virtio, F_FLUSH))
        return true;
    return virtio_has(disk->virtio, F_CONFIG_WCE) && !disk->config.writeback;
}

static void request_done(struct block_request *block)
{
    struct request *request = block->opaque;
    bool wrote = block->operation != BLOCK_READ && block->operation != BLOCK_FLUSH;
    if (!block->result && wrote && writes_through(request->disk)) {
        block->operation = BLOCK_FLUSH;
        block_submit(block);
        return;
    }
    request_end(request, block->result ? STATUS_IOERR : STATUS_OK);
}

/* ---- beginning one */

static struct request *request_begin(struct virtio_blk *disk, struct virtio_queue *queue,
                                     struct virtio_chain *chain, enum block_operation operation,
                                     uint64_t sector)
{
    struct request *request = allocate(sizeof(*request));
    *request = (struct request){.disk = disk, .queue = queue, .chain = chain, .next = disk->requests};
    request->block = (struct block_request){.block = disk->setup.block,
                                            .operation = operation,
                                            .offset = sector * SECTOR_SIZE,
                                            .done = request_done,
                                            .opaque = request};
    request->link = &disk->requests;
    if (request->next)
        request->next->link = &request->next;
    disk->requests = request;
    return request;
}

/* Whether the sectors are the disk's, whatever the numbers. */
static bool sectors_exist(const struct virtio_blk *disk, uint64_t sector, uint64_t size)
{
    uint64_t sectors = disk->setup.block->size / SECTOR_SIZE;
    return size % SECTOR_SIZE == 0 && sector <= sectors && size / SECTOR_SIZE <= sectors - sector;
}

static void move(struct virtio_blk *disk, struct virtio_queue *queue, struct virtio_chain *chain, bool in,
                 uint64_t sector)
{
    uint64_t offset = in ? 0 : sizeof(struct header);
    uint64_t size = in ? virtio_writable(chain) - 1 : virtio_readable(chain) - offset;
    bool exist = sectors_exist(disk, sector, size);
    if (!exist || !size) {
        answer(queue, chain, exist ? STATUS_OK : STATUS_IOERR);
        return;
    }
    struct request *request = request_begin(disk, queue, chain, in ? BLOCK_READ : BLOCK_WRITE, sector);
    unsigned most = virtio_pieces(chain) + MAP_BORDERS;
    request->scatter =
        scatter_create(disk->setup.memory, most < BLOCK_PIECES_MOST ? most : BLOCK_PIECES_MOST);
    scatter_begin(request->scatter, in);
    if (!virtio_gather(chain, in, offset, size, request->scatter)) {
        request_end(request, STATUS_IOERR);
        return;
    }
    request->block.pieces = scatter_pieces(request->scatter, &request->block.count);
    block_submit(&request->block);
}

/* Discard and write zeroes: one range. */
static void clear(struct virtio_blk *disk, struct virtio_queue *queue, struct virtio_chain *chain, bool zero)
{
    struct range range;
    uint32_t flags = zero ? RANGE_UNMAP : 0;
    if (virtio_readable(chain) != sizeof(struct header) + sizeof(range) ||
        !virtio_read(chain, sizeof(struct header), &range, sizeof(range))) {
        answer(queue, chain, STATUS_IOERR);
        return;
    }
    range = (struct range){le64toh(range.sector), le32toh(range.sectors), le32toh(range.flags)};
    if (range.flags & ~flags) {
        answer(queue, chain, STATUS_UNSUPP);
        return;
    }
    if (range.sectors > RANGE_SECTORS_MOST ||
        !sectors_exist(disk, range.sector, (uint64_t)range.sectors * SECTOR_SIZE)) {
        answer(queue, chain, STATUS_IOERR);
        return;
    }
    struct request *request =
        request_begin(disk, queue, chain, zero ? BLOCK_ZERO : BLOCK_DISCARD, range.sector);
    request->block.size = (uint64_t)range.sectors * SECTOR_SIZE;
    block_submit(&request->block);
}

static void identify(struct virtio_blk *disk, struct virtio_queue *queue, struct virtio_chain *chain)
{
    uint64_t room = virtio_writable(chain) - 1;
    virtio_write(chain, 0, disk->serial, room < sizeof(disk->serial) ? room : sizeof(disk->serial));
    answer(queue, chain, STATUS_OK);
}

static void dispatch(struct virtio_blk *disk, struct virtio_queue *queue, struct virtio_chain *chain,
                     const struct header *header)
{
    uint64_t sector = le64toh(header->sector);
    switch (le32toh(header->type)) {
    case TYPE_IN: move(disk, queue, chain, true, sector); break;
    case TYPE_OUT: move(disk, queue, chain, false, sector); break;
    case TYPE_FLUSH: block_submit(&request_begin(disk, queue, chain, BLOCK_FLUSH, 0)->block); break;
    case TYPE_GET_ID: identify(disk, queue, chain); break;
    case TYPE_DISCARD: clear(disk, queue, chain, false); break;
    case TYPE_WRITE_ZEROES: clear(disk, queue, chain, true); break;
    default: answer(queue, chain, STATUS_UNSUPP);
    }
}

static bool is_offered(const struct virtio_blk *disk, uint32_t type)
{
    if (type == TYPE_DISCARD)
        return virtio_has(disk->virtio, F_DISCARD);
    return type != TYPE_WRITE_ZEROES || virtio_has(disk->virtio, F_WRITE_ZEROES);
}

static void notified(void *device, unsigned index)
{
    struct virtio_blk *disk = device;
    struct virtio_queue *queue = virtio_queue(disk->virtio, index);
    struct virtio_chain *chain;
    while ((chain = virtio_pop(queue))) {
        struct header header;
        if (!virtio_read(chain, 0, &header, sizeof(header)) || !virtio_writable(chain)) {
            virtio_fail(disk->virtio, "a request without header or status");
            virtio_push(chain, 0);
            return;
        }
        if (is_offered(disk, le32toh(header.type)))
            dispatch(disk, queue, chain, &header);
        else
            answer(queue, chain, STATUS_UNSUPP);
    }
}

/* ---- the transport's other calls */

static void reset(void *device)
{
    struct virtio_blk *disk = device;
    for (struct request *request = disk->requests; request; request = request->next) {
        if (!request->is_stale)
            virtio_hold(disk->virtio);
        request->is_stale = true;
    }
    disk->config.writeback = 1;
}

static void config_write(void *device, unsigned offset, uint8_t value)
{
    struct virtio_blk *disk = device;
    if (offset == offsetof(struct config, writeback) && virtio_has(disk->virtio, F_CONFIG_WCE))
        disk->config.writeback = value & 1;
}

static const struct virtio_kind kind = {
    .name = "virtio-blk",
    .type = VIRTIO_BLOCK,
    .class_code = CLASS_SCSI,
    .transitional = ID_TRANSITIONAL,
    .ops = {.notified = notified, .reset = reset, .config_write = config_write},
};

/* ---- creation */

static uint64_t features_of(const struct virtio_blk_setup *setup)
{
    uint64_t features = 1 << F_SEG_MAX | 1 << F_GEOMETRY | 1 << F_BLK_SIZE | 1 << F_FLUSH;
    if (setup->block->read_only)
        return features | 1 << F_READ_ONLY | (setup->queues > 1) << F_MQ;
    return features | (uint64_t)setup->config_wce << F_CONFIG_WCE | (setup->queues > 1) << F_MQ |
           (uint64_t)setup->discard << F_DISCARD | (uint64_t)setup->write_zeroes << F_WRITE_ZEROES;
}

static void config_fill(struct config *config, const struct virtio_blk_setup *setup)
{
    uint64_t sectors = setup->block->size / SECTOR_SIZE;
    uint64_t cylinders = sectors / (HEADS * SECTORS_PER_TRACK);
    *config = (struct config){
        .capacity = htole64(sectors),
        .seg_max = htole32(setup->queue_size - 2u),
        .cylinders = htole16(cylinders < CYLINDERS_MOST ? (uint16_t)cylinders : CYLINDERS_MOST),
        .heads = HEADS,
        .sectors = SECTORS_PER_TRACK,
        .blk_size = htole32(SECTOR_SIZE),
        .writeback = 1,
        .num_queues = htole16((uint16_t)setup->queues),
        .max_discard_sectors = htole32(RANGE_SECTORS_MOST),
        .max_discard_seg = htole32(1),
        .discard_sector_alignment = htole32(1),
        .max_write_zeroes_sectors = htole32(RANGE_SECTORS_MOST),
        .max_write_zeroes_seg = htole32(1),
        .write_zeroes_may_unmap = 1,
    };
}

struct virtio_blk *virtio_blk_create(const struct virtio_place *place, const struct virtio_blk_setup *setup)
{
    struct virtio_blk *disk = allocate(sizeof(*disk));
    struct virtio_setup transport = {.device = disk,
                                     .features = features_of(setup),
                                     .queues = setup->queues,
                                     .queue_size = setup->queue_size,
                                     .config = (const uint8_t *)&disk->config,
                                     .config_size = sizeof(disk->config)};
    disk->setup = *setup;
    config_fill(&disk->config, setup);
    if (setup->serial)
        memcpy(disk->serial, setup->serial, strnlen(setup->serial, sizeof(disk->serial)));
    disk->virtio = virtio_create(place, &kind, &transport);
    return disk;
}

void virtio_blk_reset(struct virtio_blk *disk)
{
    assert(!disk->requests);
    virtio_reset(disk->virtio);
}

void virtio_blk_destroy(struct virtio_blk *disk)
{
    assert(!disk->requests);
    virtio_destroy(disk->virtio);
    free(disk);
}

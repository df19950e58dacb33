/* The virtio block device. */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include "devices/virtio.h"
#include "storage/block.h"

struct virtio_blk;

enum { VIRTIO_BLK_SERIAL_SIZE = 20 };

struct virtio_blk_setup {
    struct block_device *block;
    struct memory *memory;
    const char *serial; /* 20 characters count; NULL: none */
    unsigned queues;
    uint16_t queue_size;        /* a power of two from 4 on */
    bool discard, write_zeroes; /* offered */
    bool config_wce;            /* the driver may choose between writing back and writing through */
};

struct virtio_blk *virtio_blk_create(const struct virtio_place *place, const struct virtio_blk_setup *setup);
/* Nothing is in flight for both. */
void virtio_blk_reset(struct virtio_blk *disk);
void virtio_blk_destroy(struct virtio_blk *disk);

#endif

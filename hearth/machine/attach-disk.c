/* virtio-blk-pci, by -device or -drive if=virtio. */
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "devices/virtio-blk.h"
#include "machine/attach-parts.h"
#include "machine/boot-order.h"
#include "machine/drives.h"

enum { QUEUE_SIZE_DEFAULT = 256, QUEUE_SIZE_LEAST = 4, QUEUES_MOST = 63 };

struct disk {
    struct virtio_blk *device;
    struct drive *drive;
    struct pc *pc;
    char path[64]; /* SeaBIOS's name for it */
};

/* What the device itself has. */
static void disk_setup(struct pc *pc, struct settings *settings, struct virtio_blk_setup *setup)
{
    unsigned cpus = pc->config->cpus < QUEUES_MOST ? pc->config->cpus : QUEUES_MOST;
    uint64_t size = settings_number(settings, "queue-size", QUEUE_SIZE_DEFAULT, VIRTIO_QUEUE_SIZE_MOST);

    *setup = (struct virtio_blk_setup){
        .memory = pc->memory,
        .serial = settings_text(settings, "serial", NULL),
        .queues = (unsigned)settings_number(settings, "num-queues", cpus, QUEUES_MOST),
        .queue_size = (uint16_t)size,
        .discard = settings_switch(settings, "discard", true),
        .write_zeroes = settings_switch(settings, "write-zeroes", true),
        .config_wce = settings_switch(settings, "config-wce", true),
    };
    settings_text(settings, "iothread", NULL);  /* disks have threads of their own as it is */
    settings_text(settings, "bootindex", NULL); /* boot_order_add() reads it */
    if (!setup->queues)
        settings_refuse(settings, "num-queues is from 1 to %d", QUEUES_MOST);
    if (size < QUEUE_SIZE_LEAST || size & (size - 1))
        settings_refuse(settings, "queue-size is a power of two from %d to %d", QUEUE_SIZE_LEAST,
                        VIRTIO_QUEUE_SIZE_MOST);
}

static bool disk_boots(struct disk *disk, struct settings *settings, const struct virtio_place *place)
{
    char function[16] = "";
    if (place->function)
        snprintf(function, sizeof(function), ",%x", place->function);
    snprintf(disk->path, sizeof(disk->path), "/pci@i0cf8/scsi@%x%s/disk@0,0", place->slot, function);
    return boot_order_add(disk->pc, settings, 'c', disk->path);
}

static void *disk_attach(struct pc *pc, struct settings *settings)
{
    struct virtio_blk_setup setup;
    struct virtio_place place;
    struct disk disk = {.pc = pc, .drive = drive_take(pc, settings)};

    if (!disk.drive)
        return NULL;
    disk_setup(pc, settings, &setup);
    setup.block = drive_block(disk.drive);
    if (!setup.block)
        settings_refuse(settings, "the drive is empty: a disk needs file=");
    if (!attach_virtio(pc, settings, setup.queues + 1, &place) || !disk_boots(&disk, settings, &place)) {
        drive_give_back(disk.drive);
        return NULL;
    }
    disk.device = virtio_blk_create(&place, &setup);
    struct disk *kept = allocate(sizeof(*kept));
    *kept = disk;
    return kept;
}

static void disk_reset(void *device)
{
    virtio_blk_reset(((struct disk *)device)->device);
}

static void disk_detach(void *device)
{
    struct disk *disk = device;
    block_drain(drive_block(disk->drive));
    boot_order_remove(disk->pc, disk->path);
    virtio_blk_destroy(disk->device);
    drive_give_back(disk->drive);
    free(disk);
}

const struct driver virtio_blk_driver = {
    .name = "virtio-blk-pci",
    .alias = "virtio-blk",
    .bus = "PCI",
    .help =
        "disk; drive=ID, bootindex=, serial=, num-queues=, queue-size=, discard=, write-zeroes=, config-wce=",
    .create = disk_attach,
    .reset = disk_reset,
    .destroy = disk_detach,
};

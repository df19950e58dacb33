/* What the files of the virtio transport share. */
#ifndef DEVICES_VIRTIO_INTERNAL_H
#define DEVICES_VIRTIO_INTERNAL_H

#include "devices/virtio.h"

enum virtio_status {
    STATUS_ACKNOWLEDGE = 1,
    STATUS_DRIVER = 2,
    STATUS_DRIVER_OK = 4,
    STATUS_FEATURES_OK = 8,
    STATUS_NEEDS_RESET = 64,
    STATUS_FAILED = 128,
};

enum { VIRTIO_NO_VECTOR = 0xffff };

struct virtio_queue {
    struct virtio *virtio;
    unsigned index;
    uint16_t size;
    bool enabled; /* from then on the driver cannot change the rest */
    uint16_t vector;
    uint64_t descriptors, available, used; /* guest addresses */

    uint16_t next_available; /* of the available ring: popped so far */
    uint16_t next_used;      /* pushed so far */
    uint16_t published;      /* of them, shown to the driver */
    uint16_t interrupted;    /* value of `published` when the need for an interrupt was last looked at */
    unsigned held;           /* chains popped and not pushed yet */
    unsigned turn;           /* how many more may be popped within this notification */
    bool in_turn, again;     /* a notification is being served; it was cut short */
    struct doorbell *doorbell;
};

struct virtio {
    const struct virtio_kind *kind;
    struct virtio_setup setup;
    struct virtio_place place;
    struct pci_device *pci;
    struct timer *later; /* serves queues whose notification was cut short */

    uint64_t offered, wanted; /* features: by the device; by the driver, perhaps more than were offered */
    uint8_t status;
    uint8_t interrupt_status;
    uint8_t config_generation;
    uint16_t config_vector;
    unsigned holds;          /* of virtio_hold() */
    unsigned era;            /* counts resets: chains of an older one are stale */
    uint64_t notify_address; /* where the doorbells are, or PCI_UNMAPPED */

    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    unsigned window; /* the configuration access capability's offset; 0: none */
    struct virtio_queue queues[VIRTIO_QUEUES_MOST];
};

/* ---- virtio.c: status, features, interrupts */

void virtio_status_write(struct virtio *virtio, uint8_t value);
/* The driver's choice, a half at a time; it is final with FEATURES_OK or DRIVER_OK. */
void virtio_features_write(struct virtio *virtio, bool high, uint32_t features);
/* Everything but what the PCI bus resets. */
void virtio_device_reset(struct virtio *virtio);
void virtio_notified(struct virtio *virtio, unsigned queue);
void virtio_interrupt_queue(struct virtio_queue *queue);
uint8_t virtio_interrupt_status_read(struct virtio *virtio);
uint64_t virtio_config_read(const struct virtio *virtio, uint64_t offset, unsigned size);
void virtio_config_write(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value);

/* ---- virtio-queue.c */

void virtio_queue_reset(struct virtio_queue *queue);
/* The memory that the queue lies in, or NULL if nothing may be done with it now. */
struct memory *virtio_queue_memory(const struct virtio_queue *queue);

/* ---- virtio-pci.c */

void virtio_pci_create(struct virtio *virtio);
/* Doorbells for all enabled queues where the notifications are mapped, or for none. */
void virtio_pci_doorbells(struct virtio *virtio);

#endif

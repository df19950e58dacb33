/*
 * What a virtio device sees of the driver in the guest: queues of descriptor chains, features, a configuration space. Rings
 * and registers are in virtio-queue.c and virtio-pci.c.
 *
 * A device makes a `struct virtio` with virtio_create() and gets chains with virtio_pop(): guest memory that the device
 * reads, then guest memory that it writes. It keeps a chain as long as it likes and gives it back with virtio_push();
 * virtio_publish() then shows the driver all that was pushed, with one interrupt at most. A chain outlives a reset of the
 * device: what is read from it or written to it afterwards goes nowhere, and virtio_push() only frees it.
 *
 * Nothing that the driver does wrong reaches the device: its chains lie in guest memory and are of sane length, and a
 * driver that breaks the ring's rules finds the device in need of a reset.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, chapters 2 to 4. Machine lock held for every function.
 */
#ifndef DEVICES_VIRTIO_H
#define DEVICES_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/doorbell.h"
#include "core/scatter.h"
#include "devices/pci.h"

/* Device types (chapter 5). */
enum virtio_type {
    VIRTIO_NETWORK = 1,
    VIRTIO_BLOCK = 2,
    VIRTIO_CONSOLE = 3,
    VIRTIO_ENTROPY = 4,
    VIRTIO_BALLOON = 5,
    VIRTIO_INPUT = 18,
};

/* Numbers of the features that every device may have (chapter 6); a device's own are below 24, or from 50 on. */
enum virtio_feature {
    VIRTIO_F_ANY_LAYOUT = 27,
    VIRTIO_F_INDIRECT_DESC = 28,
    VIRTIO_F_EVENT_IDX = 29,
    VIRTIO_F_VERSION_1 = 32,
};

enum { VIRTIO_QUEUES_MOST = 64, VIRTIO_QUEUE_SIZE_MOST = 1024 };

struct virtio;
struct virtio_queue;

struct virtio_ops {
    /* The driver has put chains into this queue, or may have. */
    void (*notified)(void *device, unsigned queue);
    /* The driver is ready (DRIVER_OK), its features are settled. May be NULL. */
    void (*started)(void *device);
    /* Back to the state after creation; chains that are still held are to be pushed as ever. May be NULL. */
    void (*reset)(void *device);
    /* The driver has written this byte of the configuration space; NULL: it may not. */
    void (*config_write)(void *device, unsigned offset, uint8_t value);
};

/* What a kind of device is; lives as long as its devices. */
struct virtio_kind {
    const char *name; /* "virtio-rng", for `info pci` and logs */
    enum virtio_type type;
    uint32_t class_code;   /* class << 16 | subclass << 8 | interface */
    uint16_t transitional; /* PCI device id where the legacy interface is offered; 0: it never had one */
    struct virtio_ops ops;
};

/* Where a device goes and how it is seen. */
struct virtio_place {
    struct pci_bus *pci;
    unsigned slot, function;
    bool multifunction;
    bool legacy, modern; /* the interfaces offered; one at least */
    unsigned vectors;    /* of MSI-X; 0: none */
    struct clock *clock;
    const struct doorbells *doorbells; /* NULL: a notification is a write like others */
};

/* An instance: `device` is what the ops get, `config` its configuration space, which the device writes as it likes. */
struct virtio_setup {
    void *device;
    uint64_t features; /* of its own; indirect descriptors, event indices, version 1 are added */
    unsigned queues;
    uint16_t queue_size; /* of each, a power of two */
    const uint8_t *config;
    size_t config_size;
};

struct virtio *virtio_create(const struct virtio_place *place, const struct virtio_kind *kind,
                             const struct virtio_setup *setup);
/* Every chain has been pushed before. */
void virtio_destroy(struct virtio *virtio);
/* The machine's reset, after that of the PCI bus. */
void virtio_reset(struct virtio *virtio);

/* After a reset the device still has to do with what it began before: until virtio_release() the driver is told that the
 * reset goes on, and no chain is popped. May be called several times, and counts. */
void virtio_hold(struct virtio *virtio);
void virtio_release(struct virtio *virtio);

/* Whether the driver has accepted a feature. */
bool virtio_has(const struct virtio *virtio, unsigned feature);
/* DRIVER_OK, and nothing wrong since. */
bool virtio_is_ready(const struct virtio *virtio);
/* The configuration space is not what it was: the driver is told. */
void virtio_config_changed(struct virtio *virtio);
/* For what a driver does wrong within its requests: DEVICE_NEEDS_RESET, and no queue goes on. */
void virtio_fail(struct virtio *virtio, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- queues */

struct virtio_queue *virtio_queue(struct virtio *virtio, unsigned index);

struct virtio_chain;

/* The next chain, or NULL: then the driver is asked to notify of the next one. */
struct virtio_chain *virtio_pop(struct virtio_queue *queue);
/* The chain popped last goes back to where it was; it is freed. */
void virtio_unpop(struct virtio_chain *chain);
/* The device is done with the chain, of whose writable part it has filled `written` bytes. Frees it. */
void virtio_push(struct virtio_chain *chain, uint32_t written);
/* Shows the driver what was pushed; it is interrupted if it wants to be. */
void virtio_publish(struct virtio_queue *queue);

/* The device has left off for others' sake: `notified` is called again soon. */
void virtio_again(struct virtio_queue *queue);

/* Bytes that the device reads, and that it writes. */
uint64_t virtio_readable(const struct virtio_chain *chain);
uint64_t virtio_writable(const struct virtio_chain *chain);
/* Copies from the readable part or into the writable one; false, with nothing else harmed, if that is beyond its end or no
 * longer there. */
bool virtio_read(const struct virtio_chain *chain, uint64_t offset, void *to, uint64_t size);
bool virtio_write(const struct virtio_chain *chain, uint64_t offset, const void *from, uint64_t size);
/* Adds [offset, offset + size) of the readable part, or of the writable one, to a list for I/O in place. False if it does not
 * all fit. At most virtio_pieces() and one for each border of the memory map are added. */
bool virtio_gather(const struct virtio_chain *chain, bool writable, uint64_t offset, uint64_t size,
                   struct scatter *scatter);
unsigned virtio_pieces(const struct virtio_chain *chain);
/* Gives the guest memory of the writable part back to the host. */
void virtio_discard(const struct virtio_chain *chain);

#endif

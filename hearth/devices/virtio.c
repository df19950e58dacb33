/*
 * A virtio device's state: status, features, interrupts, configuration space.
 *
 * A notification is served at once, for as many chains as the queue has descriptors; what is more than that waits for the
 * event loop, so that a guest with several CPUs cannot hold the machine lock for ever.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, chapters 2, 3 and 6.
 */
#include "devices/virtio-internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"

enum interrupt_status { INTERRUPT_QUEUE = 1, INTERRUPT_CONFIG = 2 };

#define FEATURE(number) (1ull << (number))

/* ---- interrupts */

static void interrupt(struct virtio *virtio, uint16_t vector, enum interrupt_status why)
{
    if (pci_msix_enabled(virtio->pci)) {
        pci_signal(virtio->pci, vector);
        return;
    }
    virtio->interrupt_status |= why;
    pci_interrupt(virtio->pci, true);
}

void virtio_interrupt_queue(struct virtio_queue *queue)
{
    interrupt(queue->virtio, queue->vector, INTERRUPT_QUEUE);
}

static void interrupt_config(struct virtio *virtio)
{
    if (virtio->status & STATUS_DRIVER_OK)
        interrupt(virtio, virtio->config_vector, INTERRUPT_CONFIG);
}

/* Reading is acknowledging. */
uint8_t virtio_interrupt_status_read(struct virtio *virtio)
{
    uint8_t status = virtio->interrupt_status;
    virtio->interrupt_status = 0;
    pci_interrupt(virtio->pci, false);
    return status;
}

void virtio_fail(struct virtio *virtio, const char *format, ...)
{
    char why[128];
    va_list arguments;
    if (virtio->status & STATUS_NEEDS_RESET)
        return;
    va_start(arguments, format);
    vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
    log_guest(LOG_GUEST_ERROR, "%s: %s; the device needs a reset", virtio->kind->name, why);
    virtio->status |= STATUS_NEEDS_RESET;
    interrupt_config(virtio);
}

/* ---- features, reset */

bool virtio_has(const struct virtio *virtio, unsigned feature)
{
    return virtio->offered & virtio->wanted & FEATURE(feature);
}

bool virtio_is_ready(const struct virtio *virtio)
{
    return (virtio->status & (STATUS_DRIVER_OK | STATUS_NEEDS_RESET)) == STATUS_DRIVER_OK;
}

void virtio_features_write(struct virtio *virtio, bool high, uint32_t features)
{
    if (virtio->status & (STATUS_FEATURES_OK | STATUS_DRIVER_OK))
        return;
    if (high)
        virtio->wanted = (uint32_t)virtio->wanted | (uint64_t)features << 32;
    else
        virtio->wanted = (virtio->wanted & ~(uint64_t)UINT32_MAX) | features;
}

static bool features_are_right(const struct virtio *virtio)
{
    return !(virtio->wanted & ~virtio->offered) && virtio_has(virtio, VIRTIO_F_VERSION_1);
}

void virtio_device_reset(struct virtio *virtio)
{
    virtio->era++;
    virtio->status = virtio->interrupt_status = 0;
    virtio->wanted = 0;
    virtio->config_vector = VIRTIO_NO_VECTOR;
    virtio->device_feature_select = virtio->driver_feature_select = 0;
    virtio->queue_select = 0;
    pci_interrupt(virtio->pci, false);
    virtio_pci_doorbells(virtio);
    for (unsigned i = 0; i < virtio->setup.queues; i++)
        virtio_queue_reset(&virtio->queues[i]);
    timer_disarm(virtio->later);
    if (virtio->kind->ops.reset)
        virtio->kind->ops.reset(virtio->setup.device);
}

/* ---- notifications */

void virtio_notified(struct virtio *virtio, unsigned index)
{
    if (index >= virtio->setup.queues || !virtio_queue_memory(&virtio->queues[index]))
        return;
    struct virtio_queue *queue = &virtio->queues[index];
    queue->in_turn = true;
    queue->again = false;
    queue->turn = queue->size;
    virtio->kind->ops.notified(virtio->setup.device, index);
    queue->in_turn = false;
}

void virtio_again(struct virtio_queue *queue)
{
    queue->again = true;
    timer_arm(queue->virtio->later, clock_now(queue->virtio->place.clock));
}

static void later(void *opaque)
{
    struct virtio *virtio = opaque;
    for (unsigned i = 0; i < virtio->setup.queues; i++)
        if (virtio->queues[i].again)
            virtio_notified(virtio, i);
}

/* ---- status */

static void driver_ready(struct virtio *virtio)
{
    if (!virtio_has(virtio, VIRTIO_F_VERSION_1)) /* some old drivers forget to make it a bus master */
        pci_set(virtio->pci, PCI_COMMAND, 2, pci_get(virtio->pci, PCI_COMMAND, 2) | PCI_COMMAND_MASTER);
    virtio_pci_doorbells(virtio);
    if (virtio->kind->ops.started)
        virtio->kind->ops.started(virtio->setup.device);
    for (unsigned i = 0; i < virtio->setup.queues; i++) /* some notify before this, when nobody listens */
        virtio_notified(virtio, i);
}

/* Bits are only added; 0 resets. */
void virtio_status_write(struct virtio *virtio, uint8_t value)
{
    uint8_t risen = value & ~virtio->status;
    if (!value) {
        virtio_device_reset(virtio);
        return;
    }
    if (risen & STATUS_FEATURES_OK && !features_are_right(virtio))
        risen &= ~STATUS_FEATURES_OK;
    virtio->status |=
        risen & (STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_FEATURES_OK | STATUS_FAILED);
    if (risen & STATUS_DRIVER_OK)
        driver_ready(virtio);
}

void virtio_hold(struct virtio *virtio)
{
    virtio->holds++;
}

void virtio_release(struct virtio *virtio)
{
    if (--virtio->holds)
        return;
    for (unsigned i = 0; i < virtio->setup.queues; i++)
        virtio_notified(virtio, i);
}

/* ---- configuration space */

uint64_t virtio_config_read(const struct virtio *virtio, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        if (offset + i < virtio->setup.config_size)
            value |= (uint64_t)virtio->setup.config[offset + i] << 8 * i;
    return value;
}

void virtio_config_write(struct virtio *virtio, uint64_t offset, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size && virtio->kind->ops.config_write; i++)
        if (offset + i < virtio->setup.config_size)
            virtio->kind->ops.config_write(virtio->setup.device, (unsigned)offset + i,
                                           (uint8_t)(value >> 8 * i));
}

void virtio_config_changed(struct virtio *virtio)
{
    virtio->config_generation++;
    interrupt_config(virtio);
}

/* ---- */

struct virtio_queue *virtio_queue(struct virtio *virtio, unsigned index)
{
    assert(index < virtio->setup.queues);
    return &virtio->queues[index];
}

struct virtio *virtio_create(const struct virtio_place *place, const struct virtio_kind *kind,
                             const struct virtio_setup *setup)
{
    struct virtio *virtio = allocate(sizeof(*virtio));
    assert(setup->queues <= VIRTIO_QUEUES_MOST && setup->queue_size <= VIRTIO_QUEUE_SIZE_MOST);
    *virtio = (struct virtio){.kind = kind, .setup = *setup, .place = *place, .notify_address = PCI_UNMAPPED};
    virtio->offered = setup->features | FEATURE(VIRTIO_F_ANY_LAYOUT) | FEATURE(VIRTIO_F_INDIRECT_DESC) |
                      FEATURE(VIRTIO_F_EVENT_IDX);
    if (place->modern)
        virtio->offered |= FEATURE(VIRTIO_F_VERSION_1);
    virtio->config_vector = VIRTIO_NO_VECTOR;
    virtio->later = timer_create_on(place->clock, later, virtio);
    for (unsigned i = 0; i < setup->queues; i++) {
        virtio->queues[i] = (struct virtio_queue){.virtio = virtio, .index = i};
        virtio_queue_reset(&virtio->queues[i]);
    }
    virtio_pci_create(virtio);
    return virtio;
}

void virtio_destroy(struct virtio *virtio)
{
    virtio->status = 0;
    virtio_pci_doorbells(virtio);
    timer_destroy(virtio->later);
    free(virtio);
}

void virtio_reset(struct virtio *virtio)
{
    virtio_device_reset(virtio);
}

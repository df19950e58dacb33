/* Virtio input devices: a keyboard, a mouse, a tablet. */
#ifndef DEVICES_VIRTIO_INPUT_H
#define DEVICES_VIRTIO_INPUT_H

#include "core/input.h"
#include "devices/virtio.h"

struct virtio_input;

enum virtio_input_kind { VIRTIO_KEYBOARD, VIRTIO_MOUSE, VIRTIO_TABLET };

struct virtio_input_listener {
    /* The guest's driver has begun to listen, or has left off; what is sent in between gets there. */
    void (*listens)(void *opaque, struct virtio_input *input, bool now);
    void *opaque;
};

struct virtio_input *virtio_input_create(const struct virtio_place *place, enum virtio_input_kind kind,
                                         const struct virtio_input_listener *listener);
void virtio_input_reset(struct virtio_input *input);
void virtio_input_destroy(struct virtio_input *input);

struct input_sink virtio_input_sink(struct virtio_input *input);

#endif

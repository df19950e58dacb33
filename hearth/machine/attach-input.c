/* -device virtio-tablet-pci, virtio-mouse-pci, virtio-keyboard-pci: they are the machine's inputs while a guest drives them. */
#include "devices/virtio-input.h"
#include "machine/attach-parts.h"

enum { VECTORS_DEFAULT = 2 };

static void listens(void *opaque, struct virtio_input *input, bool now)
{
    struct pc *pc = opaque;
    struct input_sink sink = virtio_input_sink(input);
    if (now)
        inputs_add(&pc->inputs, &sink);
    else
        inputs_remove(&pc->inputs, input);
}

static void *input_attach(struct pc *pc, struct settings *settings, enum virtio_input_kind kind)
{
    struct virtio_place place;
    if (!attach_virtio(pc, settings, VECTORS_DEFAULT, &place))
        return NULL;
    place.legacy = false; /* there never was such an interface */
    return virtio_input_create(&place, kind, &(struct virtio_input_listener){listens, pc});
}

static void *keyboard_attach(struct pc *pc, struct settings *settings)
{
    return input_attach(pc, settings, VIRTIO_KEYBOARD);
}

static void *mouse_attach(struct pc *pc, struct settings *settings)
{
    return input_attach(pc, settings, VIRTIO_MOUSE);
}

static void *tablet_attach(struct pc *pc, struct settings *settings)
{
    return input_attach(pc, settings, VIRTIO_TABLET);
}

static void input_reset(void *device)
{
    virtio_input_reset(device);
}

static void input_detach(void *device)
{
    virtio_input_destroy(device);
}

const struct driver virtio_keyboard_driver = {
    .name = "virtio-keyboard-pci",
    .alias = "virtio-keyboard",
    .bus = "PCI",
    .help = "a keyboard, instead of the PS/2 one while a guest drives it",
    .create = keyboard_attach,
    .reset = input_reset,
    .destroy = input_detach,
};

const struct driver virtio_mouse_driver = {
    .name = "virtio-mouse-pci",
    .alias = "virtio-mouse",
    .bus = "PCI",
    .help = "a mouse, instead of the PS/2 one while a guest drives it",
    .create = mouse_attach,
    .reset = input_reset,
    .destroy = input_detach,
};

const struct driver virtio_tablet_driver = {
    .name = "virtio-tablet-pci",
    .alias = "virtio-tablet",
    .bus = "PCI",
    .help = "a pointer that knows where it is: it needs no grab in a viewer",
    .create = tablet_attach,
    .reset = input_reset,
    .destroy = input_detach,
};

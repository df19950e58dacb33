/* The virtio memory balloon: the guest gives memory back to the host when it is asked to. */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include <stdio.h>

#include "core/memory.h"
#include "devices/virtio.h"

struct virtio_balloon;

/* `reporting`: the guest may tell of free pages by itself. `on_oom`: it may take memory back when it has none left. */
struct virtio_balloon *virtio_balloon_create(const struct virtio_place *place, struct memory *memory,
                                             bool reporting, bool on_oom);
void virtio_balloon_reset(struct virtio_balloon *balloon);
void virtio_balloon_destroy(struct virtio_balloon *balloon);

/* How much memory the guest is to keep; all of it at most. */
void virtio_balloon_set(struct virtio_balloon *balloon, uint64_t bytes);
/* `info balloon`: how much it has, and what it said of it last; asks it to say it anew. */
void virtio_balloon_print(struct virtio_balloon *balloon, FILE *out);

#endif

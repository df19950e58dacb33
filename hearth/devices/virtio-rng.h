/* The virtio entropy device: random bytes of the host. */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "devices/virtio.h"

struct virtio_rng;

/* Gives at most `bytes` in each `milliseconds`; 0 bytes: no limit. */
struct virtio_rng *virtio_rng_create(const struct virtio_place *place, uint64_t bytes, uint64_t milliseconds);
void virtio_rng_reset(struct virtio_rng *rng);
void virtio_rng_destroy(struct virtio_rng *rng);

#endif

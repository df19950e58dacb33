/* The virtio network card. */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "devices/virtio.h"
#include "net/net.h"

struct virtio_net;

/* `port` may be NULL (no cable); `name` is copied. */
struct virtio_net *virtio_net_create(const struct virtio_place *place, struct net_port *port,
                                     const uint8_t address[NET_ADDRESS_SIZE], const char *name);
void virtio_net_reset(struct virtio_net *card);
void virtio_net_destroy(struct virtio_net *card);

#endif

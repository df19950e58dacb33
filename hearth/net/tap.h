/* -netdev tap,: frames to and from a network interface of the host. For net/backend.c alone. */
#ifndef NET_TAP_H
#define NET_TAP_H

#include "net/backend.h"

struct net_port *tap_open(const struct net_host *host, struct settings *settings);

#endif

/*
 * Backends for network cards, as -netdev and -nic describe them. Machine lock held.
 */
#ifndef NET_BACKEND_H
#define NET_BACKEND_H

#include <stdio.h>

#include "core/clock.h"
#include "core/settings.h"
#include "host/loop.h"
#include "net/net.h"

/* What a backend stands on; outlives it. */
struct net_host {
    struct loop *loop;
    struct clock *clock;
};

/* `type` is "user" or "tap"; the id is the caller's to read. NULL after settings_refuse(). */
struct net_port *net_open(const struct net_host *host, const char *type, struct settings *settings);
/* Whether this hearth was built with it. */
bool net_is_there(const char *type);
void net_close(struct net_port *port);

/* For `info network`: "net=10.0.2.0,restrict=off". */
void net_print(const struct net_port *port, FILE *out);
/* For `info usernet`: the connections; nothing where the backend has none. */
void net_print_connections(const struct net_port *port, FILE *out);

/* "tcp:[ADDRESS]:PORT-[ADDRESS]:PORT"; to remove, "tcp:[ADDRESS]:PORT". False with one line in error. */
bool net_forward_add(struct net_port *port, const char *rule, char *error, size_t error_size);
bool net_forward_remove(struct net_port *port, const char *rule, char *error, size_t error_size);

#endif

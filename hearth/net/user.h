/* The user network's parts, for net/user*.c alone. */
#ifndef NET_USER_H
#define NET_USER_H

#include <netinet/in.h>
#include <stdio.h>

#ifdef HAVE_SLIRP
#include <slirp/libslirp.h>
#endif

#include "net/backend.h"

enum { SEARCH_DOMAINS_MOST = 16 };

/* What stands behind -netdev user,. Texts are the settings'. */
struct user_plan {
    bool restricted, ipv4, ipv6;
    struct in_addr network, mask, host, dhcp, dns;
    struct in6_addr prefix6, host6, dns6;
    uint8_t prefix6_length;
    const char *hostname, *domain, *tftp, *tftp_server, *bootfile;
    const char *search[SEARCH_DOMAINS_MOST + 1];
};

/* False after settings_refuse(). */
bool user_plan_read(struct user_plan *plan, struct settings *settings);

struct forward {
    bool udp;
    struct in_addr host, guest;
    uint16_t host_port, guest_port;
};

/* `whole`: with the guest's end; else "tcp:[ADDRESS]:PORT". NULL, or what is wrong with it. */
const char *forward_read(struct forward *forward, const char *rule, bool whole);

struct net_port *user_open(const struct net_host *host, struct settings *settings);

#endif

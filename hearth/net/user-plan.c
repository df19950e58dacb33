/* The properties of -netdev user,: addresses of the guest's network, and port forwarding rules. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/user.h"

enum { HOST_OFFSET = 2, DNS_OFFSET = 3, DHCP_OFFSET = 15, PREFIX6_LENGTH = 64, PREFIX6_MOST = 126 };

/* ---- addresses */

static struct in_addr address_read(struct settings *settings, const char *key, struct in_addr fallback)
{
    const char *text = settings_text(settings, key, NULL);
    struct in_addr address = fallback;
    if (text && inet_pton(AF_INET, text, &address) != 1)
        settings_refuse(settings, "Parameter '%s' expects an IPv4 address such as 10.0.2.2", key);
    return address;
}

static struct in6_addr address6_read(struct settings *settings, const char *key, struct in6_addr fallback)
{
    const char *text = settings_text(settings, key, NULL);
    struct in6_addr address = fallback;
    if (text && inet_pton(AF_INET6, text, &address) != 1)
        settings_refuse(settings, "Parameter '%s' expects an IPv6 address such as fec0::2", key);
    return address;
}

/* The number of bits, or a mask: "24", "255.255.255.0". False for one with holes. */
static bool mask_read(const char *text, struct in_addr *mask)
{
    char *end;
    unsigned long bits = strtoul(text, &end, 10);
    if (*text && !*end && bits >= 4 && bits <= 30) {
        mask->s_addr = htonl(UINT32_MAX << (32 - bits));
        return true;
    }
    if (inet_pton(AF_INET, text, mask) != 1)
        return false;
    uint32_t inverse = ~ntohl(mask->s_addr);
    return inverse >= 3 && !(inverse & (inverse + 1));
}

static void network_read(struct user_plan *plan, struct settings *settings)
{
    const char *text = settings_text(settings, "net", "10.0.2.0/24");
    char network[INET_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);

    if (length < sizeof(network)) {
        memcpy(network, text, length);
        network[length] = '\0';
        if (inet_pton(AF_INET, network, &plan->network) == 1 &&
            mask_read(slash ? slash + 1 : "24", &plan->mask)) {
            plan->network.s_addr &= plan->mask.s_addr;
            return;
        }
    }
    settings_refuse(settings, "Parameter 'net' expects a network such as 10.0.2.0/24");
}

static struct in_addr offset_address(const struct user_plan *plan, uint32_t offset)
{
    return (struct in_addr){plan->network.s_addr | (htonl(offset) & ~plan->mask.s_addr)};
}

static void check_inside(const struct user_plan *plan, struct settings *settings, const char *key,
                         struct in_addr address)
{
    if ((address.s_addr & plan->mask.s_addr) != plan->network.s_addr)
        settings_refuse(settings, "'%s' does not lie in the network that 'net' names", key);
}

static void ipv4_read(struct user_plan *plan, struct settings *settings)
{
    network_read(plan, settings);
    plan->host = address_read(settings, "host", offset_address(plan, HOST_OFFSET));
    plan->dns = address_read(settings, "dns", offset_address(plan, DNS_OFFSET));
    plan->dhcp = address_read(settings, "dhcpstart", offset_address(plan, DHCP_OFFSET));
    check_inside(plan, settings, "host", plan->host);
    check_inside(plan, settings, "dns", plan->dns);
    check_inside(plan, settings, "dhcpstart", plan->dhcp);
    if (plan->host.s_addr == plan->dns.s_addr)
        settings_refuse(settings, "'host' and 'dns' are the same address");
    if (plan->host.s_addr == plan->dhcp.s_addr || plan->dns.s_addr == plan->dhcp.s_addr)
        settings_refuse(settings, "'dhcpstart' is the address of 'host' or 'dns'");
}

static struct in6_addr offset_address6(const struct user_plan *plan, uint8_t offset)
{
    struct in6_addr address = plan->prefix6;
    address.s6_addr[15] |= offset;
    return address;
}

static void ipv6_read(struct user_plan *plan, struct settings *settings)
{
    struct in6_addr prefix;
    inet_pton(AF_INET6, "fec0::", &prefix);
    plan->prefix6 = address6_read(settings, "ipv6-prefix", prefix);
    plan->prefix6_length = (uint8_t)settings_number(settings, "ipv6-prefixlen", PREFIX6_LENGTH, PREFIX6_MOST);
    plan->host6 = address6_read(settings, "ipv6-host", offset_address6(plan, HOST_OFFSET));
    plan->dns6 = address6_read(settings, "ipv6-dns", offset_address6(plan, DNS_OFFSET));
}

static void search_read(struct user_plan *plan, struct settings *settings)
{
    for (unsigned i = 0; settings_text_at(settings, "dnssearch", i); i++) {
        if (i < SEARCH_DOMAINS_MOST)
            plan->search[i] = settings_text_at(settings, "dnssearch", i);
        else
            settings_refuse(settings, "more than %d search domains", SEARCH_DOMAINS_MOST);
    }
}

bool user_plan_read(struct user_plan *plan, struct settings *settings)
{
    bool four = settings_has(settings, "ipv4"), six = settings_has(settings, "ipv6");
    *plan = (struct user_plan){0};
    plan->restricted = settings_switch(settings, "restrict", false);
    plan->ipv4 = settings_switch(settings, "ipv4", !six || !settings_switch(settings, "ipv6", true));
    plan->ipv6 = settings_switch(settings, "ipv6", !four || !plan->ipv4);
    if (!plan->ipv4 && !plan->ipv6)
        settings_refuse(settings, "IPv4 and IPv6 are both off");
    plan->hostname = settings_text(settings, "hostname", NULL);
    plan->domain = settings_text(settings, "domainname", NULL);
    plan->tftp = settings_text(settings, "tftp", NULL);
    plan->tftp_server = settings_text(settings, "tftp-server-name", NULL);
    plan->bootfile = settings_text(settings, "bootfile", NULL);
    ipv4_read(plan, settings);
    ipv6_read(plan, settings);
    search_read(plan, settings);
    return !settings_error(settings);
}

/* ---- port forwarding */

/* Copies up to the character, which is skipped. False if it does not come. */
static bool field_take(const char **at, char until, char *field, size_t size)
{
    const char *end = strchr(*at, until);
    if (!end || (size_t)(end - *at) >= size)
        return false;
    memcpy(field, *at, (size_t)(end - *at));
    field[end - *at] = '\0';
    *at = end + 1;
    return true;
}

static bool port_read(const char *text, unsigned long least, uint16_t *port)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number < least || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool forward_address_read(const char *text, struct in_addr *address)
{
    *address = (struct in_addr){INADDR_ANY};
    return !*text || inet_pton(AF_INET, text, address) == 1;
}

const char *forward_read(struct forward *forward, const char *rule, bool whole)
{
    char field[INET_ADDRSTRLEN];
    const char *at = rule;

    *forward = (struct forward){0};
    if (!field_take(&at, ':', field, sizeof(field)) ||
        (*field && strcmp(field, "tcp") && strcmp(field, "udp")))
        return "Bad protocol name";
    forward->udp = !strcmp(field, "udp");
    if (!field_take(&at, ':', field, sizeof(field)) || !forward_address_read(field, &forward->host))
        return "Bad host address";
    if (!whole)
        return port_read(at, 1, &forward->host_port) ? NULL : "Bad host port";
    if (!field_take(&at, '-', field, sizeof(field)) || !port_read(field, 0, &forward->host_port))
        return "Bad host port";
    if (!field_take(&at, ':', field, sizeof(field)) || !forward_address_read(field, &forward->guest))
        return "Bad guest address";
    return port_read(at, 1, &forward->guest_port) ? NULL : "Bad guest port";
}

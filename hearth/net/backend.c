#include "net/backend.h"

#include <string.h>

#include "net/tap.h"
#include "net/user.h"

struct net_port *net_open(const struct net_host *host, const char *type, struct settings *settings)
{
    if (!strcmp(type, "user"))
        return user_open(host, settings);
    if (!strcmp(type, "tap"))
        return tap_open(host, settings);
    settings_refuse(settings, "Parameter 'type' does not accept value '%s'; there are user and tap", type);
    return NULL;
}

bool net_is_there(const char *type)
{
#ifndef HAVE_SLIRP
    if (!strcmp(type, "user"))
        return false;
#endif
    return !strcmp(type, "user") || !strcmp(type, "tap");
}

void net_close(struct net_port *port)
{
    if (port)
        port->backend->close(port->opaque);
}

void net_print(const struct net_port *port, FILE *out)
{
    port->backend->print(port->opaque, out);
}

void net_print_connections(const struct net_port *port, FILE *out)
{
    if (port->backend->print_connections)
        port->backend->print_connections(port->opaque, out);
}

static bool has_forwards(const struct net_port *port, char *error, size_t error_size)
{
    if (port->backend->forward_add)
        return true;
    snprintf(error, error_size, "network '%s' is of type %s, which forwards no ports", port->id,
             port->backend->type);
    return false;
}

bool net_forward_add(struct net_port *port, const char *rule, char *error, size_t error_size)
{
    return has_forwards(port, error, error_size) &&
           port->backend->forward_add(port->opaque, rule, error, error_size);
}

bool net_forward_remove(struct net_port *port, const char *rule, char *error, size_t error_size)
{
    return has_forwards(port, error, error_size) &&
           port->backend->forward_remove(port->opaque, rule, error, error_size);
}

#include "machine/network.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { ID_SIZE = 16 };

struct link {
    struct net_port *port;
    char own_id[ID_SIZE]; /* where the user has given none */
    struct link *next;
};

struct network {
    struct net_host host;
    struct link *links;
    unsigned links_unnamed;
    struct settings *cards;
    struct settings *usual; /* of the default network */
};

/* ---- help */

static bool wants_help(const char *word)
{
    return word && (!strcmp(word, "help") || !strcmp(word, "?"));
}

static void models_print(void)
{
    puts("Available NIC models:\ne1000\nvirtio-net-pci");
}

bool network_help(const struct machine_config *config)
{
    for (struct settings *at = config->netdevs; at; at = settings_next(at)) {
        if (!wants_help(settings_text(at, "type", NULL)))
            continue;
        puts("Available netdev backend types:\nuser\ntap");
        return true;
    }
    for (struct settings *at = config->nics; at; at = settings_next(at)) {
        if (!wants_help(settings_text(at, "type", NULL)) && !wants_help(settings_text(at, "model", NULL)))
            continue;
        models_print();
        return true;
    }
    return false;
}

/* ---- backends */

static void settings_done(struct settings *settings)
{
    const char *error = settings_error(settings);
    if (error)
        die("%s", error);
}

static struct link *link_find(const struct network *network, const char *id)
{
    for (struct link *link = network->links; link; link = link->next)
        if (!strcmp(link->port->id, id))
            return link;
    return NULL;
}

static struct net_port *link_open(struct network *network, const char *type, struct settings *settings)
{
    struct link *link = allocate(sizeof(*link)), **end = &network->links;
    const char *id = settings_text(settings, "id", NULL);

    if (id && link_find(network, id))
        settings_refuse(settings, "Duplicate ID '%s' for netdev", id);
    if (!settings_text(settings, "type", NULL))
        settings_refuse(settings, "Parameter 'type' is missing");
    link->port = net_open(&network->host, type, settings);
    settings_done(settings);
    if (!id)
        snprintf(link->own_id, sizeof(link->own_id), "#net%03u", network->links_unnamed++);
    link->port->id = id ? id : link->own_id;
    while (*end)
        end = &(*end)->next;
    *end = link;
    return link->port;
}

/* ---- cards */

static const char *model_driver(const char *model)
{
    return !strcmp(model, "virtio") ? "virtio-net-pci" : model;
}

static void card_add(struct network *network, struct settings *described, const char *option,
                     const char *model, const struct net_port *port)
{
    struct settings *card = settings_create(option);
    const char *address = described ? settings_text(described, "mac", NULL) : NULL;
    address = described ? settings_text(described, "macaddr", address) : address;
    settings_add(card, "driver", model_driver(model));
    if (port)
        settings_add(card, "netdev", port->id);
    if (address)
        settings_add(card, "mac", address);
    settings_append(&network->cards, card);
}

static const char *model_of(struct settings *settings)
{
    const char *model = settings_text(settings, "model", "e1000");
    settings_text(settings, "mac", NULL);
    settings_text(settings, "macaddr", NULL);
    return model;
}

/* -nic TYPE,model=,mac=: backend and card in one. */
static void nic_open(struct network *network, struct settings *settings)
{
    const char *type = settings_text(settings, "type", ""), *model = model_of(settings);
    if (!strcmp(type, "none"))
        settings_done(settings);
    else
        card_add(network, settings, "-nic", model, link_open(network, type, settings));
}

static struct settings *net_next(struct settings *at, bool card)
{
    while (at) {
        const char *type = settings_text(at, "type", "");
        if (strcmp(type, "none") && !strcmp(type, "nic") == card)
            return at;
        at = settings_next(at);
    }
    return NULL;
}

/* -net nic and -net user: the first card and the first backend belong together, and so on. */
static void nets_open(struct network *network, struct settings *list)
{
    struct settings *card = net_next(list, true), *backend = net_next(list, false);
    while (card || backend) {
        const struct net_port *port = NULL;
        if (backend) {
            port = link_open(network, settings_text(backend, "type", ""), backend);
            backend = net_next(settings_next(backend), false);
        }
        if (card) {
            card_add(network, card, "-net nic", model_of(card), port);
            settings_done(card);
            card = net_next(settings_next(card), true);
        }
    }
}

/* The network that QEMU gives a machine of which nothing was said. */
static void default_open(struct network *network)
{
    settings_add(network->usual, "type", "user");
    card_add(network, NULL, "-nic", "e1000", link_open(network, "user", network->usual));
}

struct network *network_open(const struct machine_config *config, const struct net_host *host)
{
    struct network *network = allocate(sizeof(*network));
    network->host = *host;
    network->usual = settings_create("-nic");
    for (struct settings *at = config->netdevs; at; at = settings_next(at)) {
        if (!settings_has(at, "id"))
            settings_refuse(at, "Parameter 'id' is missing");
        link_open(network, settings_text(at, "type", ""), at);
    }
    for (struct settings *at = config->nics; at; at = settings_next(at))
        nic_open(network, at);
    nets_open(network, config->nets);
    if (!config->netdevs && !config->nics && !config->nets && !config->no_defaults && net_is_there("user"))
        default_open(network);
    return network;
}

struct net_port *network_port(struct network *network, const char *id)
{
    struct link *link = link_find(network, id);
    return link ? link->port : NULL;
}

struct settings *network_cards(struct network *network)
{
    return network->cards;
}

void network_check(const struct network *network)
{
    for (const struct link *link = network->links; link; link = link->next)
        if (!link->port->card.receive)
            warn("netdev %s has no peer", link->port->id);
}

void network_close(struct network *network)
{
    if (!network)
        return;
    for (struct link *link = network->links, *next; link; link = next) {
        next = link->next;
        net_close(link->port);
        free(link);
    }
    settings_free_all(network->cards);
    settings_free(network->usual);
    free(network);
}

/* ---- for the monitor */

void network_print(struct network *network, FILE *out)
{
    for (struct link *link = network->links; link; link = link->next) {
        const struct net_port *port = link->port;
        const char *indent = port->card.receive ? " \\ " : "";
        if (port->card.receive)
            fprintf(out, "%s: index=0,type=nic,%s%s\n", port->card.name, port->card.text,
                    port->link_down ? ",link=down" : "");
        fprintf(out, "%s%s: index=0,type=%s,", indent, port->id, port->backend->type);
        net_print(port, out);
        if (port->dropped)
            fprintf(out, ",dropped=%llu", (unsigned long long)port->dropped);
        fputc('\n', out);
    }
}

void network_print_connections(struct network *network, FILE *out)
{
    for (struct link *link = network->links; link; link = link->next) {
        fprintf(out, "%s:\n", link->port->id);
        net_print_connections(link->port, out);
    }
}

bool network_set_link(struct network *network, const char *name, bool up)
{
    for (struct link *link = network->links; link; link = link->next) {
        struct net_port *port = link->port;
        if (strcmp(port->id, name) && strcmp(port->card.name, name))
            continue;
        net_set_link(port, up);
        return true;
    }
    return false;
}

bool network_forward(struct network *network, const char *id, const char *rule, bool add, char *error,
                     size_t error_size)
{
    struct link *link = network->links;
    while (link && (id ? strcmp(link->port->id, id) : !link->port->backend->forward_add))
        link = link->next;
    if (!link) {
        snprintf(error, error_size, id ? "no network has the id '%s'" : "no user network is in use", id);
        return false;
    }
    return (add ? net_forward_add : net_forward_remove)(link->port, rule, error, error_size);
}

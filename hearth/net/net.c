#include "net/net.h"

#include <string.h>

static unsigned takes_segments(enum net_segments segments)
{
    switch (segments) {
    case NET_SEGMENTS_TCP4: return NET_TAKES_TCP4;
    case NET_SEGMENTS_TCP6: return NET_TAKES_TCP6;
    default: return 0;
    }
}

static void segment_send(void *opaque, uint8_t *frame, size_t size)
{
    static const struct net_offload whole = {.checksum_good = true};
    struct net_port *port = opaque;
    port->backend->send(port->opaque, frame, size, &whole);
}

void net_send(struct net_port *port, uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct net_offload rest = *offload;

    if (!port || port->link_down) {
        if (port)
            port->dropped++;
        return;
    }
    if (rest.segments && !(port->takes & takes_segments(rest.segments))) {
        net_segment(frame, size, offload, segment_send, port);
        return;
    }
    if (rest.checksum_partial && !(port->takes & NET_TAKES_PARTIAL)) {
        net_finish_checksum(frame, size, offload);
        rest.checksum_partial = false;
        rest.checksum_good = true;
    }
    port->backend->send(port->opaque, frame, size, &rest);
}

void net_drained(struct net_port *port)
{
    if (port)
        port->backend->drained(port->opaque);
}

static void card_changed(struct net_port *port)
{
    if (port->backend->card_changed)
        port->backend->card_changed(port->opaque);
}

void net_attach(struct net_port *port, const struct net_card *card)
{
    if (!port)
        return;
    port->card = card ? *card : (struct net_card){0};
    card_changed(port);
}

void net_card_takes(struct net_port *port, unsigned takes)
{
    if (!port || port->card.takes == takes)
        return;
    port->card.takes = takes;
    card_changed(port);
}

void net_set_link(struct net_port *port, bool up)
{
    if (port->link_down == !up)
        return;
    port->link_down = !up;
    if (port->card.link_changed)
        port->card.link_changed(port->card.card);
    if (up)
        net_drained(port);
}

bool net_receive(struct net_port *port, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    if (port->card.receive && !port->link_down && size >= NET_HEADER_SIZE)
        return port->card.receive(port->card.card, frame, size, offload);
    port->dropped++;
    return true;
}

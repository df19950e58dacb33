/*
 * The virtio network card: one pair of queues and the control queue; checksums and TCP segments left to the other side,
 * both ways; mergeable receive buffers; receive modes, the table of addresses, the card's own address, the link.
 *
 * Left out: several pairs of queues, VLAN filters, announcements, UDP fragmentation, a changed MTU.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 5.1.
 */
#include "devices/virtio-net.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    F_CSUM = 0,
    F_GUEST_CSUM = 1,
    F_MAC = 5,
    F_GUEST_TSO4 = 7,
    F_GUEST_TSO6 = 8,
    F_HOST_TSO4 = 11,
    F_HOST_TSO6 = 12,
    F_MRG_RXBUF = 15,
    F_STATUS = 16,
    F_CTRL_VQ = 17,
    F_CTRL_RX = 18,
    F_CTRL_MAC_ADDR = 23,
    FEATURES = 1 << F_CSUM | 1 << F_GUEST_CSUM | 1 << F_MAC | 1 << F_GUEST_TSO4 | 1 << F_GUEST_TSO6 |
               1 << F_HOST_TSO4 | 1 << F_HOST_TSO6 | 1 << F_MRG_RXBUF | 1 << F_STATUS | 1 << F_CTRL_VQ |
               1 << F_CTRL_RX | 1 << F_CTRL_MAC_ADDR,

    QUEUE_RECEIVE = 0,
    QUEUE_TRANSMIT = 1,
    QUEUE_CONTROL = 2,
    QUEUES = 3,
    QUEUE_SIZE = 256,
    ID_TRANSITIONAL = 0x1000,
    CLASS_ETHERNET = 0x020000,

    CONFIG_STATUS = NET_ADDRESS_SIZE,
    CONFIG_SIZE = 8,
    STATUS_LINK_UP = 1,

    HDR_NEEDS_CSUM = 1,
    HDR_DATA_VALID = 2,
    GSO_NONE = 0,
    GSO_TCPV4 = 1,
    GSO_TCPV6 = 4,
    GSO_ECN = 0x80,

    CTRL_RX = 0,
    CTRL_RX_PROMISC = 0,
    CTRL_RX_ALLMULTI = 1,
    CTRL_MAC = 1,
    CTRL_MAC_TABLE_SET = 0,
    CTRL_MAC_ADDR_SET = 1,
    CTRL_OK = 0,
    CTRL_ERR = 1,

    TABLE_MOST = 64,     /* of each kind; a longer table lets everything pass */
    CHAINS_MOST = 64,    /* a frame is spread over */
    FRAMES_A_TURN = 256, /* that a notification sends; a timer goes on */
    TCP_OFFSET = 12,     /* the byte whose high half is the header's length in words */
};

struct header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
    uint16_t num_buffers; /* only with F_MRG_RXBUF or version 1 */
};

struct table {
    unsigned count;
    bool overflow;
    uint8_t addresses[TABLE_MOST][NET_ADDRESS_SIZE];
};

struct virtio_net {
    struct virtio *virtio;
    struct net_port *port;
    struct clock *clock;
    struct timer *transmit_timer;
    uint8_t config[CONFIG_SIZE];
    uint8_t address[NET_ADDRESS_SIZE]; /* after reset */
    bool promiscuous, all_groups;
    struct table unicast, multicast;
    uint8_t frame[NET_FRAME_MOST];
};

static size_t header_size(const struct virtio_net *card)
{
    bool whole = virtio_has(card->virtio, F_MRG_RXBUF) || virtio_has(card->virtio, VIRTIO_F_VERSION_1);
    return whole ? sizeof(struct header) : sizeof(struct header) - sizeof(uint16_t);
}

/* ---- transmission */

/* False: a header that no driver makes. */
static bool offload_read(struct virtio_net *card, const struct header *header, size_t size,
                         struct net_offload *offload)
{
    size_t tcp = header->csum_start;
    *offload = (struct net_offload){0};
    if (header->flags & HDR_NEEDS_CSUM) {
        if ((size_t)header->csum_start + header->csum_offset + 2 > size)
            return false;
        offload->checksum_partial = true;
        offload->checksum_start = header->csum_start;
        offload->checksum_offset = header->csum_offset;
    }
    switch (header->gso_type & ~GSO_ECN) {
    case GSO_NONE: return true;
    case GSO_TCPV4: offload->segments = NET_SEGMENTS_TCP4; break;
    case GSO_TCPV6: offload->segments = NET_SEGMENTS_TCP6; break;
    default: return false;
    }
    if (!offload->checksum_partial || tcp + TCP_OFFSET >= size || !header->gso_size)
        return false;
    offload->segment_size = header->gso_size;
    offload->header_size = (uint16_t)(tcp + 4 * (card->frame[tcp + TCP_OFFSET] >> 4));
    return offload->header_size < size;
}

static void chain_send(struct virtio_net *card, const struct virtio_chain *chain)
{
    struct header header = {0};
    struct net_offload offload;
    size_t before = header_size(card);
    uint64_t size = virtio_readable(chain);

    if (size < before + NET_HEADER_SIZE || size > before + NET_FRAME_MOST) {
        log_guest(LOG_GUEST_ERROR, "virtio-net: a frame of %llu bytes", (unsigned long long)size);
        return;
    }
    size -= before;
    if (!virtio_read(chain, 0, &header, before) || !virtio_read(chain, before, card->frame, size))
        return;
    if (offload_read(card, &header, size, &offload))
        net_send(card->port, card->frame, size, &offload);
}

static void transmit(void *opaque)
{
    struct virtio_net *card = opaque;
    struct virtio_queue *queue = virtio_queue(card->virtio, QUEUE_TRANSMIT);
    struct virtio_chain *chain = NULL;
    unsigned left = FRAMES_A_TURN;

    while (left && (chain = virtio_pop(queue))) {
        chain_send(card, chain);
        virtio_push(chain, 0);
        left--;
    }
    virtio_publish(queue);
    if (!left)
        timer_arm(card->transmit_timer, clock_now(card->clock));
}

/* ---- reception */

static bool table_has(const struct table *table, const uint8_t *address)
{
    for (unsigned i = 0; i < table->count; i++)
        if (!memcmp(table->addresses[i], address, NET_ADDRESS_SIZE))
            return true;
    return table->overflow;
}

static bool address_passes(const struct virtio_net *card, const uint8_t *address)
{
    static const uint8_t broadcast[NET_ADDRESS_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    if (card->promiscuous || !memcmp(address, broadcast, sizeof(broadcast)))
        return true;
    if (address[0] & 1)
        return card->all_groups || table_has(&card->multicast, address);
    return !memcmp(address, card->config, NET_ADDRESS_SIZE) || table_has(&card->unicast, address);
}

static struct header header_make(const struct virtio_net *card, const struct net_offload *offload)
{
    static const uint8_t kinds[] = {[NET_SEGMENTS_NONE] = GSO_NONE,
                                    [NET_SEGMENTS_TCP4] = GSO_TCPV4,
                                    [NET_SEGMENTS_TCP6] = GSO_TCPV6,
                                    [NET_SEGMENTS_UDP] = GSO_NONE};
    struct header header = {.gso_type = kinds[offload->segments]};
    if (offload->checksum_partial) {
        header.flags = HDR_NEEDS_CSUM;
        header.csum_start = offload->checksum_start;
        header.csum_offset = offload->checksum_offset;
    } else if (offload->checksum_good && virtio_has(card->virtio, F_GUEST_CSUM)) {
        header.flags = HDR_DATA_VALID;
    }
    if (offload->segments) {
        header.gso_size = offload->segment_size;
        header.hdr_len = offload->header_size;
    }
    return header;
}

static void chains_give_up(struct virtio_net *card, struct virtio_chain **chains, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        virtio_push(chains[i], 0);
    card->port->dropped++;
    virtio_publish(virtio_queue(card->virtio, QUEUE_RECEIVE));
}

enum take { TAKEN, TOO_FEW, TOO_SMALL };

/* Chains with room for so many bytes. TOO_FEW: none were taken, more may come. TOO_SMALL: they will never do; the frame is
 * lost, and they go back empty. */
static enum take chains_take(struct virtio_net *card, uint64_t needed,
                             struct virtio_chain *chains[CHAINS_MOST], unsigned *taken)
{
    struct virtio_queue *queue = virtio_queue(card->virtio, QUEUE_RECEIVE);
    unsigned most = virtio_has(card->virtio, F_MRG_RXBUF) ? CHAINS_MOST : 1, count = 0;
    uint64_t room = 0;

    while (room < needed && count < most && (chains[count] = virtio_pop(queue)))
        room += virtio_writable(chains[count++]);
    *taken = count;
    if (room >= needed)
        return TAKEN;
    if (count == most) {
        chains_give_up(card, chains, count);
        return TOO_SMALL;
    }
    while (count)
        virtio_unpop(chains[--count]);
    return TOO_FEW;
}

static void chains_fill(struct virtio_net *card, struct virtio_chain **chains, unsigned count,
                        const struct net_offload *offload, const uint8_t *frame, size_t size)
{
    struct header header = header_make(card, offload);
    size_t before = header_size(card);
    header.num_buffers = (uint16_t)count;
    for (unsigned i = 0; i < count; i++) {
        uint64_t room = virtio_writable(chains[i]), at = 0;
        if (i == 0) {
            uint64_t piece = before < room ? before : room;
            virtio_write(chains[i], 0, &header, piece);
            at = piece;
        }
        uint64_t piece = room - at < size ? room - at : size;
        virtio_write(chains[i], at, frame, piece);
        virtio_push(chains[i], (uint32_t)(at + piece));
        frame += piece;
        size -= piece;
    }
    virtio_publish(virtio_queue(card->virtio, QUEUE_RECEIVE));
}

static bool receive(void *opaque, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct virtio_net *card = opaque;
    struct virtio_chain *chains[CHAINS_MOST];
    unsigned count;

    if (!virtio_is_ready(card->virtio) || !address_passes(card, frame))
        return true;
    if ((offload->segments || offload->checksum_partial) && !card->port->card.takes) {
        card->port->dropped++; /* it was read before the driver said what it takes */
        return true;
    }
    enum take take = chains_take(card, header_size(card) + size, chains, &count);
    if (take == TAKEN)
        chains_fill(card, chains, count, offload, frame, size);
    return take != TOO_FEW || !virtio_is_ready(card->virtio);
}

/* ---- control */

/* A count of 32 bits and so many addresses. False if the request ends before. */
static bool table_read(const struct virtio_chain *chain, uint64_t *at, struct table *table)
{
    uint32_t count;
    if (!virtio_read(chain, *at, &count, sizeof(count)))
        return false;
    *at += sizeof(count);
    if (count > (virtio_readable(chain) - *at) / NET_ADDRESS_SIZE)
        return false;
    table->overflow = count > TABLE_MOST;
    table->count = table->overflow ? 0 : count;
    if (table->count && !virtio_read(chain, *at, table->addresses, (uint64_t)count * NET_ADDRESS_SIZE))
        return false;
    *at += (uint64_t)count * NET_ADDRESS_SIZE;
    return true;
}

static bool mode_set(const struct virtio_chain *chain, bool *mode)
{
    uint8_t value;
    if (!virtio_read(chain, 2, &value, 1))
        return false;
    *mode = value;
    return true;
}

static bool tables_set(struct virtio_net *card, const struct virtio_chain *chain)
{
    struct table unicast = {0}, multicast = {0};
    uint64_t at = 2;
    if (!table_read(chain, &at, &unicast) || !table_read(chain, &at, &multicast))
        return false;
    card->unicast = unicast;
    card->multicast = multicast;
    return true;
}

static bool control_execute(struct virtio_net *card, const struct virtio_chain *chain)
{
    uint8_t command[2];
    if (!virtio_read(chain, 0, command, sizeof(command)))
        return false;
    if (command[0] == CTRL_RX && command[1] == CTRL_RX_PROMISC)
        return mode_set(chain, &card->promiscuous);
    if (command[0] == CTRL_RX && command[1] == CTRL_RX_ALLMULTI)
        return mode_set(chain, &card->all_groups);
    if (command[0] == CTRL_MAC && command[1] == CTRL_MAC_TABLE_SET)
        return tables_set(card, chain);
    if (command[0] == CTRL_MAC && command[1] == CTRL_MAC_ADDR_SET)
        return virtio_read(chain, 2, card->config, NET_ADDRESS_SIZE);
    return false;
}

static void control(struct virtio_net *card)
{
    struct virtio_queue *queue = virtio_queue(card->virtio, QUEUE_CONTROL);
    struct virtio_chain *chain;
    while ((chain = virtio_pop(queue))) {
        uint8_t answer = control_execute(card, chain) ? CTRL_OK : CTRL_ERR;
        virtio_push(chain, virtio_write(chain, 0, &answer, 1));
    }
    virtio_publish(queue);
}

/* ---- the device */

static void notified(void *device, unsigned queue)
{
    struct virtio_net *card = device;
    if (queue == QUEUE_TRANSMIT)
        transmit(card);
    else if (queue == QUEUE_CONTROL)
        control(card);
    else
        net_drained(card->port);
}

static void started(void *device)
{
    struct virtio_net *card = device;
    unsigned takes = 0;
    if (virtio_has(card->virtio, F_GUEST_CSUM))
        takes |= NET_TAKES_PARTIAL;
    if (takes && virtio_has(card->virtio, F_GUEST_TSO4))
        takes |= NET_TAKES_TCP4;
    if (takes && virtio_has(card->virtio, F_GUEST_TSO6))
        takes |= NET_TAKES_TCP6;
    net_card_takes(card->port, takes);
    net_drained(card->port);
}

static void status_set(struct virtio_net *card)
{
    card->config[CONFIG_STATUS] = card->port && !card->port->link_down ? STATUS_LINK_UP : 0;
}

static void reset(void *device)
{
    struct virtio_net *card = device;
    memcpy(card->config, card->address, NET_ADDRESS_SIZE);
    card->promiscuous = true;
    card->all_groups = false;
    card->unicast = card->multicast = (struct table){0};
    timer_disarm(card->transmit_timer);
    net_card_takes(card->port, 0);
    net_drained(card->port);
}

/* The legacy way to set the address. */
static void config_write(void *device, unsigned offset, uint8_t value)
{
    struct virtio_net *card = device;
    if (offset < NET_ADDRESS_SIZE)
        card->config[offset] = value;
}

static const struct virtio_kind kind = {
    .name = "virtio-net",
    .type = VIRTIO_NETWORK,
    .class_code = CLASS_ETHERNET,
    .transitional = ID_TRANSITIONAL,
    .ops = {.notified = notified, .started = started, .reset = reset, .config_write = config_write},
};

static void link_changed(void *opaque)
{
    struct virtio_net *card = opaque;
    status_set(card);
    virtio_config_changed(card->virtio);
}

struct virtio_net *virtio_net_create(const struct virtio_place *place, struct net_port *port,
                                     const uint8_t address[NET_ADDRESS_SIZE], const char *name)
{
    struct virtio_net *card = allocate(sizeof(*card));
    struct virtio_setup setup = {.device = card,
                                 .features = FEATURES,
                                 .queues = QUEUES,
                                 .queue_size = QUEUE_SIZE,
                                 .config = card->config,
                                 .config_size = CONFIG_SIZE};
    struct net_card end = {.receive = receive, .link_changed = link_changed, .card = card};
    const uint8_t *at = card->address;

    card->port = port;
    card->clock = place->clock;
    card->transmit_timer = timer_create_on(place->clock, transmit, card);
    memcpy(card->address, address, NET_ADDRESS_SIZE);
    reset(card);
    status_set(card);
    card->virtio = virtio_create(place, &kind, &setup);
    snprintf(end.name, sizeof(end.name), "%s", name);
    snprintf(end.text, sizeof(end.text), "model=virtio-net-pci,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", at[0],
             at[1], at[2], at[3], at[4], at[5]);
    net_attach(port, &end);
    return card;
}

void virtio_net_reset(struct virtio_net *card)
{
    virtio_reset(card->virtio);
}

void virtio_net_destroy(struct virtio_net *card)
{
    net_attach(card->port, NULL);
    virtio_destroy(card->virtio);
    timer_destroy(card->transmit_timer);
    free(card);
}

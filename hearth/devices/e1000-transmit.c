/*
 * What goes out: the transmit ring (manual, 3.3 and 3.4), checksums and TCP segmentation (3.5), VLAN tags (9).
 *
 * A doorbell carries out so much and no more; a timer goes on with the rest, so that a ring of 65,528 descriptors of
 * 64 KiB does not hold everybody up. Segments are cut behind the card, by a backend that needs it.
 */
#include <string.h>

#include "core/log.h"
#include "devices/e1000-state.h"

enum {
    CMD_EOP = 1 << 0,
    CMD_IC = 1 << 2, /* of a legacy descriptor; TSE of the others */
    CMD_TSE = 1 << 2,
    CMD_RS = 1 << 3,
    CMD_DEXT = 1 << 5,
    CMD_VLE = 1 << 6,
    TUCMD_TCP = 1 << 0,
    TUCMD_IP = 1 << 1,
    TUCMD_TSE = 1 << 2,
    OPTION_IXSM = 1 << 0,
    OPTION_TXSM = 1 << 1,
    STATUS_DD = 1 << 0,
    TYPE_CONTEXT = 0,
    TYPE_DATA = 1,
    STATUS_BYTE = 12, /* in the descriptor */

    DESCRIPTORS_MOST = 512, /* for a doorbell */
    BYTES_MOST = 1024 * 1024,

    IPV4_TOTAL_LENGTH = 2,
    IPV4_IDENTIFICATION = 4,
    IPV6_PAYLOAD_LENGTH = 4,
    IPV6_SIZE = 40,
    TCP_SEQUENCE = 4,
    TCP_FLAGS = 13,
    TCP_FIN_PSH = 0x09,
    TCP_CWR = 0x80,
    TCP_SIZE = 20,
    UDP_LENGTH = 4,
    UDP_SIZE = 8,
    IP_PACKET_MOST = 65535,
    HEADER_MOST = 255,
    IP_START_MOST = NET_HEADER_SIZE + VLAN_TAG_SIZE,
};

struct descriptor {
    uint64_t buffer;
    uint32_t length;
    uint8_t type, command;
    uint8_t offset, start; /* legacy: CSO, CSS */
    uint8_t options;
    uint16_t special;
    uint32_t low[4];
};

static unsigned get_16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static void put_16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static void add_32(uint8_t *bytes, uint32_t more)
{
    uint32_t value = ((uint32_t)get_16(bytes) << 16 | get_16(bytes + 2)) + more;
    put_16(bytes, value >> 16);
    put_16(bytes + 2, value & 0xffff);
}

/* ---- sending what has been gathered */

/* A sum over [start, end] (end 0: to the last byte) goes to `at`. */
static void sum_insert(uint8_t *frame, size_t size, unsigned start, unsigned end, unsigned at)
{
    if (!end || end >= size)
        end = (unsigned)size - 1;
    if (start > end || at + 2 > size)
        return;
    put_16(frame + at, net_checksum(net_sum(0, frame + start, end + 1 - start)));
}

/* `frame` has VLAN_TAG_SIZE bytes free before it. */
static uint8_t *tag_insert(struct e1000 *card, uint8_t *frame, size_t *size, struct net_offload *offload)
{
    uint8_t *start = frame - VLAN_TAG_SIZE;
    memmove(start, frame, VLAN_TAG_AT);
    put_16(start + VLAN_TAG_AT, *e1000_register(card, REG_VET));
    put_16(start + VLAN_TAG_AT + 2, card->gather.tag);
    *size += VLAN_TAG_SIZE;
    offload->checksum_start += offload->checksum_partial ? VLAN_TAG_SIZE : 0;
    offload->header_size += offload->segments ? VLAN_TAG_SIZE : 0;
    return start;
}

static void sent_count(struct e1000 *card, const uint8_t *frame, size_t size, size_t segments)
{
    static const unsigned limits[] = {64, 127, 255, 511, 1023};
    static const uint8_t broadcast[NET_ADDRESS_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    unsigned at = 0;
    while (at < 5 && size / segments + 4 > limits[at])
        at++;
    e1000_count(card, REG_PTC64 + 4 * at, segments);
    e1000_count(card, REG_GPTC, segments);
    e1000_count(card, REG_TPT, segments);
    e1000_count_bytes(card, REG_GOTCL, size);
    e1000_count_bytes(card, REG_TOTL, size);
    if (!memcmp(frame, broadcast, sizeof(broadcast)))
        e1000_count(card, REG_BPTC, segments);
    else if (frame[0] & 1)
        e1000_count(card, REG_MPTC, segments);
}

static void frame_send(struct e1000 *card, size_t size, const struct net_offload *wanted)
{
    struct net_offload offload = *wanted;
    uint8_t *frame = card->gather.frame;
    size_t segments = 1;

    if (offload.segments)
        segments = (size - offload.header_size + offload.segment_size - 1) / offload.segment_size;
    if (card->gather.tagged && *e1000_register(card, REG_CTRL) & CTRL_VME)
        frame = tag_insert(card, frame, &size, &offload);
    sent_count(card, frame, size, segments);
    if (!(*e1000_register(card, REG_RCTL) & RCTL_LBM) && !e1000_phy_loops(card)) {
        net_send(card->port, frame, size, &offload);
    } else if (!offload.segments) {
        net_finish_checksum(frame, size, &offload);
        e1000_receive(card, frame, size, &(struct net_offload){0});
    }
}

static void plain_send(struct e1000 *card)
{
    const struct e1000_context *context = &card->context;
    struct e1000_gather *gather = &card->gather;
    struct net_offload offload = {0};

    if (gather->options & OPTION_IXSM)
        sum_insert(gather->frame, gather->size, context->ip_start, context->ip_end, context->ip_offset);
    if (gather->options & OPTION_TXSM) {
        offload.checksum_partial =
            !context->transport_end && context->transport_offset >= context->transport_start;
        offload.checksum_start = context->transport_start;
        offload.checksum_offset = (uint16_t)(context->transport_offset - context->transport_start);
        if (!offload.checksum_partial)
            sum_insert(gather->frame, gather->size, context->transport_start, context->transport_end,
                       context->transport_offset);
    }
    frame_send(card, gather->size, &offload);
}

/* ---- segments */

static bool segments_make_sense(const struct e1000_context *context, size_t size)
{
    size_t header = context->header_length;
    return context->segment_size && header < size && context->ip_start >= NET_HEADER_SIZE &&
           context->ip_start + (context->ipv4 ? 20u : IPV6_SIZE) <= context->transport_start &&
           context->transport_start + (context->tcp ? (unsigned)TCP_SIZE : UDP_SIZE) <= header &&
           context->transport_offset >= context->transport_start &&
           context->transport_offset + 2u <= header && context->ip_offset + 2u <= header;
}

/* The lengths that drivers leave at zero, and what follows from them. */
static void lengths_fill(struct e1000 *card, size_t size)
{
    const struct e1000_context *context = &card->segment_context;
    uint8_t *frame = card->gather.frame, *ip = frame + context->ip_start;
    size_t transport_length = size - context->transport_start;

    if (context->ipv4)
        put_16(ip + IPV4_TOTAL_LENGTH, (unsigned)(size - context->ip_start));
    else
        put_16(ip + IPV6_PAYLOAD_LENGTH, (unsigned)(size - context->ip_start - IPV6_SIZE));
    if (card->gather.options & OPTION_IXSM) {
        put_16(frame + context->ip_offset, 0);
        sum_insert(frame, size, context->ip_start,
                   context->ip_end ? context->ip_end : context->transport_start - 1u, context->ip_offset);
    }
    if (!context->tcp)
        put_16(frame + context->transport_start + UDP_LENGTH, (unsigned)transport_length);
    if (card->gather.options & OPTION_TXSM) { /* the driver's sum of the pseudo header lacks the length */
        uint8_t *sum = frame + context->transport_offset;
        put_16(sum, (uint16_t)~net_checksum((uint32_t)(get_16(sum) + transport_length)));
    }
}

/* Sends what is there as segments; before the last of them, the header is put right for those that follow. */
static void segments_send(struct e1000 *card, bool last)
{
    const struct e1000_context *context = &card->segment_context;
    struct e1000_gather *gather = &card->gather;
    uint8_t saved[HEADER_MOST], *frame = gather->frame;
    size_t header = context->header_length;
    struct net_offload offload = {.checksum_partial = gather->options & OPTION_TXSM,
                                  .checksum_start = context->transport_start,
                                  .checksum_offset =
                                      (uint16_t)(context->transport_offset - context->transport_start)};
    if (!segments_make_sense(context, gather->size))
        return;
    size_t data = gather->size - header,
           segments = (data + context->segment_size - 1) / context->segment_size;
    if (segments > 1) {
        offload.segments = !context->tcp   ? NET_SEGMENTS_UDP
                           : context->ipv4 ? NET_SEGMENTS_TCP4
                                           : NET_SEGMENTS_TCP6;
        offload.segment_size = context->segment_size;
        offload.header_size = (uint16_t)header;
    }
    memcpy(saved, frame, header);
    if (!last && context->tcp)
        frame[context->transport_start + TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
    lengths_fill(card, gather->size);
    frame_send(card, gather->size, &offload);
    e1000_count(card, REG_TSCTC, last);
    memcpy(frame, saved, header);
    if (context->tcp) {
        add_32(frame + context->transport_start + TCP_SEQUENCE, (uint32_t)data);
        frame[context->transport_start + TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    }
    if (context->ipv4) {
        uint8_t *identification = frame + context->ip_start + IPV4_IDENTIFICATION;
        put_16(identification, get_16(identification) + (unsigned)segments);
    }
    gather->size = header;
}

/* ---- gathering */

/* How many bytes fit: of segments, as many whole ones as an IP packet has room for. */
static size_t gather_limit(const struct e1000 *card)
{
    const struct e1000_context *context = &card->segment_context;
    if (!card->gather.segments)
        return FRAME_JUMBO;
    if (!context->segment_size || context->ip_start > context->header_length ||
        context->ip_start > IP_START_MOST)
        return 0;
    size_t data = (size_t)(IP_PACKET_MOST - (context->header_length - context->ip_start));
    return context->header_length + data / context->segment_size * context->segment_size;
}

static void gather_data(struct e1000 *card, const struct descriptor *descriptor)
{
    struct e1000_gather *gather = &card->gather;
    size_t limit = gather_limit(card), left = descriptor->length;
    uint64_t from = descriptor->buffer;

    while (left && !gather->overrun) {
        if (gather->size >= limit && gather->segments && gather->size > card->segment_context.header_length)
            segments_send(card, false);
        if (gather->size >= limit) {
            gather->overrun = true;
            return;
        }
        size_t piece = left < limit - gather->size ? left : limit - gather->size;
        pci_dma_read(card->pci, from, gather->frame + gather->size, piece);
        gather->size += piece;
        from += piece;
        left -= piece;
    }
}

static void gather_begin(struct e1000 *card, const struct descriptor *descriptor)
{
    struct e1000_gather *gather = &card->gather;
    gather->begun = true;
    gather->overrun = false;
    gather->size = 0;
    gather->segments =
        descriptor->type == TYPE_DATA && descriptor->command & CMD_DEXT && descriptor->command & CMD_TSE;
    gather->options = descriptor->options;
    gather->tagged = descriptor->command & CMD_VLE;
    gather->tag = descriptor->special;
}

static void gather_end(struct e1000 *card, const struct descriptor *descriptor)
{
    struct e1000_gather *gather = &card->gather;
    gather->begun = false;
    if (!gather->segments) {
        gather->tagged = descriptor->command & CMD_VLE; /* these count in the last one */
        gather->tag = descriptor->special;
    }
    if (gather->overrun || gather->size < NET_HEADER_SIZE)
        return;
    if (!(descriptor->command & CMD_DEXT) && descriptor->command & CMD_IC)
        sum_insert(gather->frame, gather->size, descriptor->start, 0, descriptor->offset);
    if (gather->segments)
        segments_send(card, true);
    else
        plain_send(card);
}

static void data_execute(struct e1000 *card, const struct descriptor *descriptor)
{
    if (!card->gather.begun)
        gather_begin(card, descriptor);
    gather_data(card, descriptor);
    if (descriptor->command & CMD_EOP)
        gather_end(card, descriptor);
}

static void context_execute(struct e1000 *card, const struct descriptor *descriptor)
{
    const uint32_t *word = descriptor->low;
    struct e1000_context *context = descriptor->command & TUCMD_TSE ? &card->segment_context : &card->context;
    if (card->gather.begun)
        return; /* not in the middle of a packet */
    *context = (struct e1000_context){.ip_start = (uint8_t)word[0],
                                      .ip_offset = (uint8_t)(word[0] >> 8),
                                      .ip_end = (uint16_t)(word[0] >> 16),
                                      .transport_start = (uint8_t)word[1],
                                      .transport_offset = (uint8_t)(word[1] >> 8),
                                      .transport_end = (uint16_t)(word[1] >> 16),
                                      .header_length = (uint8_t)(word[3] >> 8),
                                      .segment_size = (uint16_t)(word[3] >> 16),
                                      .tcp = descriptor->command & TUCMD_TCP,
                                      .ipv4 = descriptor->command & TUCMD_IP};
}

/* ---- the ring */

static void descriptor_decode(struct descriptor *descriptor, const uint32_t word[4])
{
    *descriptor = (struct descriptor){.buffer = word[0] | (uint64_t)word[1] << 32,
                                      .command = (uint8_t)(word[2] >> 24),
                                      .special = (uint16_t)(word[3] >> 16)};
    memcpy(descriptor->low, word, sizeof(descriptor->low));
    if (descriptor->command & CMD_DEXT) {
        descriptor->type = word[2] >> 20 & 15;
        descriptor->length = word[2] & 0xfffff;
        descriptor->options = (uint8_t)(word[3] >> 8);
    } else {
        descriptor->type = TYPE_DATA;
        descriptor->length = word[2] & 0xffff;
        descriptor->offset = (uint8_t)(word[2] >> 16);
        descriptor->start = (uint8_t)(word[3] >> 8);
    }
}

/* Answers the bytes that it moved. */
static uint32_t descriptor_execute(struct e1000 *card, uint64_t at, const uint32_t word[4])
{
    struct descriptor descriptor;
    descriptor_decode(&descriptor, word);
    if (descriptor.type == TYPE_CONTEXT)
        context_execute(card, &descriptor);
    else if (descriptor.type == TYPE_DATA)
        data_execute(card, &descriptor);
    if (descriptor.command & CMD_RS) {
        uint8_t status = (uint8_t)(word[3] | STATUS_DD);
        pci_dma_write(card->pci, at + STATUS_BYTE, &status, 1);
        *e1000_register(card, REG_ICR) |= ICR_TXDW;
    }
    return descriptor.type == TYPE_DATA ? descriptor.length : 0;
}

static bool ring_has_work(struct e1000 *card, unsigned count)
{
    uint32_t head = *e1000_register(card, REG_TDH), tail = *e1000_register(card, REG_TDT);
    if (head >= count || tail >= count) {
        if (count && head != tail)
            log_guest(LOG_GUEST_ERROR, "e1000: TDH %u or TDT %u lie outside a ring of %u", head, tail, count);
        return false;
    }
    return *e1000_register(card, REG_TCTL) & TCTL_EN && head != tail;
}

void e1000_transmit(void *opaque)
{
    struct e1000 *card = opaque;
    unsigned count, descriptors = 0;
    uint64_t ring = e1000_ring(card, REG_TDBAL, &count), bytes = 0;
    uint32_t *head = e1000_register(card, REG_TDH), word[4];

    while (ring_has_work(card, count)) {
        uint64_t at = ring + (uint64_t)*head * DESCRIPTOR_SIZE;
        if (descriptors++ == DESCRIPTORS_MOST || bytes > BYTES_MOST) {
            timer_arm(card->transmit_timer, clock_now(card->clock));
            break;
        }
        if (!pci_dma_read(card->pci, at, word, sizeof(word))) {
            log_guest(LOG_GUEST_ERROR, "e1000: transmit descriptor at %#llx is in no memory",
                      (unsigned long long)at);
            break;
        }
        bytes += descriptor_execute(card, at, word);
        *head = *head + 1 < count ? *head + 1 : 0;
        if (!ring_has_work(card, count))
            *e1000_register(card, REG_ICR) |= ICR_TXQE;
    }
    if (descriptors)
        e1000_raise(card, 0);
}

void e1000_transmit_reset(struct e1000 *card)
{
    card->gather.begun = false;
    card->context = card->segment_context = (struct e1000_context){0};
}

/* What comes in: filters (manual, 3.2.1), the receive ring (3.2.3 to 3.2.6), checksums (3.2.9), VLAN tags (9). */
#include <string.h>

#include "core/log.h"
#include "devices/e1000-state.h"

enum {
    STATUS_DD = 1 << 0,
    STATUS_EOP = 1 << 1,
    STATUS_IXSM = 1 << 2,
    STATUS_VP = 1 << 3,
    STATUS_TCPCS = 1 << 5,
    STATUS_IPCS = 1 << 6,
    STATUS_PIF = 1 << 7, /* not of an exact address: the driver may want to look again */
    ERROR_TCPE = 1 << 5,
    ERROR_IPE = 1 << 6,

    FRAME_SHORT = 1514,
    CHECK_SIZE = 4, /* the check sequence, which is here of zeros */
    TAG_ID = 0xfff,
    TAG_CFI = 0x1000,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
};

/* A frame on its way in. */
struct arrival {
    const uint8_t *frame;
    size_t size;
    bool tagged;
    uint16_t tag;
    uint8_t status, errors;
    uint16_t checksum;
};

static unsigned get_16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* ---- filters */

/* The 12 bits of a multicast address that RCTL.MO selects, as a place in the table (13.5.1). */
static bool multicast_table_has(struct e1000 *card, const uint8_t *address)
{
    static const unsigned shifts[] = {4, 3, 2, 0};
    unsigned offset = *e1000_register(card, REG_RCTL) >> RCTL_MO_SHIFT & 3;
    unsigned hash = (address[4] | address[5] << 8) >> shifts[offset] & 0xfff;
    return e1000_register(card, REG_MTA)[hash >> 5] >> (hash & 31) & 1;
}

static bool address_is_own(struct e1000 *card, const uint8_t *address)
{
    const uint32_t *ra = e1000_register(card, REG_RAL);
    uint32_t low = address[0] | address[1] << 8 | address[2] << 16 | (uint32_t)address[3] << 24;
    uint32_t high = RAH_AV | address[4] | address[5] << 8;
    for (unsigned i = 0; i < 16; i++, ra += 2)
        if (ra[0] == low && ra[1] == high)
            return true;
    return false;
}

static bool address_passes(struct e1000 *card, struct arrival *arrival)
{
    static const uint8_t broadcast[NET_ADDRESS_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    uint32_t rctl = *e1000_register(card, REG_RCTL);
    bool group = arrival->frame[0] & 1;

    if (!memcmp(arrival->frame, broadcast, sizeof(broadcast)) && rctl & RCTL_BAM)
        return true;
    if (address_is_own(card, arrival->frame))
        return true;
    arrival->status |= STATUS_PIF;
    if (group)
        return rctl & RCTL_MPE || multicast_table_has(card, arrival->frame);
    return rctl & RCTL_UPE;
}

static bool vlan_passes(struct e1000 *card, const struct arrival *arrival)
{
    uint32_t rctl = *e1000_register(card, REG_RCTL);
    unsigned id = arrival->tag & TAG_ID;
    if (!(rctl & RCTL_VFE) || !arrival->tagged)
        return true;
    if (rctl & RCTL_CFIEN && !(arrival->tag & TAG_CFI) != !(rctl & RCTL_CFI))
        return false;
    return e1000_register(card, REG_VFTA)[id >> 5] >> (id & 31) & 1;
}

static bool size_passes(struct e1000 *card, const struct arrival *arrival)
{
    size_t most = *e1000_register(card, REG_RCTL) & RCTL_LPE ? FRAME_JUMBO : FRAME_SHORT;
    if (arrival->size <= most + (arrival->tagged ? VLAN_TAG_SIZE : 0))
        return true;
    e1000_count(card, REG_ROC, 1);
    return false;
}

/* ---- checksums */

static void checksum_report(struct arrival *arrival, uint8_t checked, uint8_t error, bool good)
{
    arrival->status |= checked;
    if (!good)
        arrival->errors |= error;
}

static void transport_check(struct arrival *arrival, size_t ip, bool good)
{
    const uint8_t *header = arrival->frame + ip;
    size_t length = get_16(header + 2), size = 4 * (header[0] & 15u);
    uint8_t protocol = header[9];
    bool fragment = get_16(header + 6) & 0x3fff;

    if (fragment || (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) || length < size + 8)
        return;
    if (length > arrival->size - ip)
        return;
    if (protocol == PROTOCOL_UDP && !get_16(header + size + 6))
        return; /* the sender has made none */
    if (!good) {
        uint32_t sum = net_sum((uint32_t)(length - size) + protocol, header + 12, 8);
        good = net_checksum(net_sum(sum, header + size, length - size)) == 0;
    }
    checksum_report(arrival, STATUS_TCPCS, ERROR_TCPE, good);
}

/* `good`: the sender's word for it. The card knows IPv4 alone. */
static void checksums_check(struct e1000 *card, struct arrival *arrival, bool good)
{
    uint32_t rxcsum = *e1000_register(card, REG_RXCSUM);
    unsigned version;
    size_t ip = net_ip_header(arrival->frame, arrival->size, &version);
    size_t start = rxcsum & RXCSUM_PCSS;

    if (!good && start < arrival->size)
        arrival->checksum = (uint16_t)net_sum(0, arrival->frame + start, arrival->size - start);
    if (!(rxcsum & (RXCSUM_IPOFL | RXCSUM_TUOFL)) || !ip || version != 4) {
        arrival->status |= STATUS_IXSM;
        return;
    }
    size_t header = 4 * (arrival->frame[ip] & 15u);
    if (header < 20 || ip + header > arrival->size)
        return;
    if (rxcsum & RXCSUM_IPOFL)
        checksum_report(arrival, STATUS_IPCS, ERROR_IPE,
                        good || net_checksum(net_sum(0, arrival->frame + ip, header)) == 0);
    if (rxcsum & RXCSUM_TUOFL)
        transport_check(arrival, ip, good);
}

/* ---- the ring */

static size_t buffer_size(struct e1000 *card)
{
    uint32_t rctl = *e1000_register(card, REG_RCTL);
    size_t size = (size_t)2048 >> (rctl >> RCTL_BSIZE_SHIFT & 3);
    return rctl & RCTL_BSEX && size < 2048 ? 16 * size : size;
}

/* Descriptors between head and tail, none where the pointers are nonsense. */
static unsigned descriptors_free(struct e1000 *card, unsigned count)
{
    uint32_t head = *e1000_register(card, REG_RDH), tail = *e1000_register(card, REG_RDT);
    if (head >= count || tail >= count)
        return 0;
    return head <= tail ? tail - head : count - head + tail;
}

/* The tag that is taken out stands behind the addresses. */
static void data_write(struct e1000 *card, const struct arrival *arrival, uint64_t to, size_t from,
                       size_t size)
{
    bool strip = arrival->status & STATUS_VP;
    static const uint8_t check[CHECK_SIZE];

    while (size) {
        size_t source = strip && from >= VLAN_TAG_AT ? from + VLAN_TAG_SIZE : from;
        size_t piece = strip && from < VLAN_TAG_AT ? VLAN_TAG_AT - from : arrival->size - source;
        const uint8_t *bytes = arrival->frame + source;
        if (source >= arrival->size) {
            bytes = check;
            piece = size;
        }
        if (piece > size)
            piece = size;
        pci_dma_write(card->pci, to, bytes, piece);
        to += piece;
        from += piece;
        size -= piece;
    }
}

/* Its second half alone, and in one piece: a driver on another CPU waits for DD in it. */
static void descriptor_write(struct e1000 *card, uint64_t at, const struct arrival *arrival, size_t size,
                             bool last)
{
    uint64_t half = size | (uint64_t)arrival->checksum << 16 | (uint64_t)STATUS_DD << 32;
    if (last)
        half |= (uint64_t)(arrival->status | STATUS_EOP) << 32 | (uint64_t)arrival->errors << 40;
    if (arrival->status & STATUS_VP)
        half |= (uint64_t)arrival->tag << 48;
    pci_dma_write(card->pci, at + 8, &half, sizeof(half));
}

static void ring_fill(struct e1000 *card, const struct arrival *arrival, size_t total, size_t room)
{
    unsigned count;
    uint64_t ring = e1000_ring(card, REG_RDBAL, &count);
    uint32_t *head = e1000_register(card, REG_RDH);

    for (size_t done = 0; done < total; done += room) {
        size_t piece = total - done < room ? total - done : room;
        uint64_t at = ring + (uint64_t)*head * DESCRIPTOR_SIZE, buffer = 0;
        pci_dma_read(card->pci, at, &buffer, sizeof(buffer));
        if (buffer) /* a null descriptor takes nothing (3.2.4) */
            data_write(card, arrival, buffer, done, piece);
        descriptor_write(card, at, arrival, piece, done + piece == total);
        *head = *head + 1 < count ? *head + 1 : 0;
    }
}

static void arrival_count(struct e1000 *card, const struct arrival *arrival, size_t total)
{
    static const unsigned limits[] = {64, 127, 255, 511, 1023};
    static const uint8_t broadcast[NET_ADDRESS_SIZE] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    unsigned at = 0;
    while (at < 5 && arrival->size + CHECK_SIZE > limits[at])
        at++;
    e1000_count(card, REG_PRC64 + 4 * at, 1);
    e1000_count(card, REG_GPRC, 1);
    e1000_count(card, REG_TPR, 1);
    e1000_count_bytes(card, REG_GORCL, total);
    e1000_count_bytes(card, REG_TORL, total);
    if (!memcmp(arrival->frame, broadcast, sizeof(broadcast)))
        e1000_count(card, REG_BPRC, 1);
    else if (arrival->frame[0] & 1)
        e1000_count(card, REG_MPRC, 1);
}

/* Raises what a received frame raises: RXT0, and RXDMT0 where few descriptors are left (RCTL.RDMTS). */
static void arrival_raise(struct e1000 *card)
{
    unsigned count, share = (*e1000_register(card, REG_RCTL) >> RCTL_RDMTS_SHIFT & 3) + 1;
    e1000_ring(card, REG_RDBAL, &count);
    bool few = descriptors_free(card, count) <= count >> share;
    e1000_raise(card, ICR_RXT0 | (few ? ICR_RXDMT0 : 0));
}

bool e1000_receive(void *opaque, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct e1000 *card = opaque;
    uint32_t rctl = *e1000_register(card, REG_RCTL);
    struct arrival arrival = {.frame = frame, .size = size};
    size_t room = buffer_size(card);
    unsigned count;

    if (!(rctl & RCTL_EN) || !(pci_get(card->pci, PCI_COMMAND, 2) & PCI_COMMAND_MASTER))
        return true;
    arrival.tagged = size >= NET_HEADER_SIZE + VLAN_TAG_SIZE &&
                     get_16(frame + VLAN_TAG_AT) == *e1000_register(card, REG_VET);
    if (arrival.tagged)
        arrival.tag = (uint16_t)get_16(frame + VLAN_TAG_AT + 2);
    if (!size_passes(card, &arrival) || !address_passes(card, &arrival) || !vlan_passes(card, &arrival))
        return true;
    if (arrival.tagged && *e1000_register(card, REG_CTRL) & CTRL_VME)
        arrival.status |= STATUS_VP;
    size_t total =
        size - (arrival.status & STATUS_VP ? VLAN_TAG_SIZE : 0) + (rctl & RCTL_SECRC ? 0 : CHECK_SIZE);
    size_t needed = (total + room - 1) / room;
    e1000_ring(card, REG_RDBAL, &count);
    if (needed >= count) { /* a whole ring is too small, or there is none */
        e1000_count(card, REG_MPC, 1);
        e1000_raise(card, ICR_RXO);
        return true;
    }
    if (descriptors_free(card, count) < needed)
        return false;
    checksums_check(card, &arrival, offload->checksum_good || offload->checksum_partial);
    ring_fill(card, &arrival, total, room);
    arrival_count(card, &arrival, total);
    arrival_raise(card);
    return true;
}

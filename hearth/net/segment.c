/*
 * Checksums and the cutting into segments that network cards do for their drivers.
 * Sources: RFC 791, 8200 (IP), 9293 (TCP), 768 (UDP), 1071 (the checksum).
 */
#include "net/net.h"

#include <string.h>

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_IPV6 = 0x86dd,
    VLAN_TAG_SIZE = 4,

    IPV4_SIZE = 20,
    IPV4_TOTAL_LENGTH = 2,
    IPV4_IDENTIFICATION = 4,
    IPV4_CHECKSUM = 10,
    IPV4_ADDRESSES = 12,
    IPV6_SIZE = 40,
    IPV6_PAYLOAD_LENGTH = 4,
    IPV6_ADDRESSES = 8,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,

    TCP_SIZE = 20,
    TCP_SEQUENCE = 4,
    TCP_FLAGS = 13,
    TCP_CHECKSUM = 16,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80,
    UDP_SIZE = 8,
    UDP_LENGTH = 4,
    UDP_CHECKSUM = 6,
};
enum { HEADERS_MOST = 320 };
enum { SEGMENTS_MOST = 2048 }; /* of 64 KiB in the smallest segments that hosts agree on */

static unsigned get_16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static void put_16(uint8_t *bytes, unsigned value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint32_t get_32(const uint8_t *bytes)
{
    return (uint32_t)get_16(bytes) << 16 | get_16(bytes + 2);
}

static void put_32(uint8_t *bytes, uint32_t value)
{
    put_16(bytes, value >> 16);
    put_16(bytes + 2, value & 0xffff);
}

/* ---- sums */

static uint32_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

/* Eight bytes at a time in the host's order; the sum of swapped words is the swapped sum (RFC 1071, 2). */
uint32_t net_sum(uint32_t sum, const uint8_t *bytes, size_t size)
{
    uint64_t total = 0;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        total += (word & 0xffffffff) + (word >> 32);
    }
    for (; size >= 2; bytes += 2, size -= 2) {
        uint16_t word;
        memcpy(&word, bytes, 2);
        total += word;
    }
    uint32_t folded = fold(total);
    folded = (folded & 0xff) << 8 | folded >> 8;
    return fold((uint64_t)sum + folded + (size ? (uint32_t)*bytes << 8 : 0));
}

uint16_t net_checksum(uint32_t sum)
{
    return (uint16_t)~fold(sum);
}

size_t net_ip_header(const uint8_t *frame, size_t size, unsigned *version)
{
    size_t at = NET_HEADER_SIZE;
    while (size >= at + VLAN_TAG_SIZE && get_16(frame + at - 2) == ETHERTYPE_VLAN)
        at += VLAN_TAG_SIZE;
    unsigned type = size >= at ? get_16(frame + at - 2) : 0;
    *version = type == ETHERTYPE_IPV4 ? 4 : type == ETHERTYPE_IPV6 ? 6 : 0;
    if (!*version || size < at + (*version == 4 ? IPV4_SIZE : IPV6_SIZE))
        return 0;
    return at;
}

void net_finish_checksum(uint8_t *frame, size_t size, const struct net_offload *offload)
{
    size_t at = (size_t)offload->checksum_start + offload->checksum_offset;
    if (!offload->checksum_partial || offload->checksum_start >= size || at + 2 > size)
        return;
    uint16_t checksum =
        net_checksum(net_sum(0, frame + offload->checksum_start, size - offload->checksum_start));
    /* Of UDP, none at all is said by 0, so 0 itself is FFFFh: the same number, and harmless for TCP. */
    put_16(frame + at, checksum ? checksum : 0xffff);
}

/* ---- segments */

struct cutting {
    uint8_t *frame; /* the header is copied before each segment's data, over data that has gone */
    size_t ip, transport, header;
    unsigned version;
    bool tcp;
    bool checksum;
    uint8_t headers[HEADERS_MOST];
};

static bool cutting_begin(struct cutting *cutting, uint8_t *frame, size_t size,
                          const struct net_offload *offload)
{
    unsigned version;
    cutting->frame = frame;
    cutting->header = offload->header_size;
    cutting->ip = net_ip_header(frame, size, &version);
    cutting->version = version;
    cutting->tcp = offload->segments != NET_SEGMENTS_UDP;
    cutting->checksum = offload->checksum_partial;
    cutting->transport = offload->checksum_start;
    if (!cutting->ip || cutting->header >= size || cutting->header > sizeof(cutting->headers))
        return false;
    if ((size - cutting->header) / SEGMENTS_MOST >= offload->segment_size)
        return false;
    if (cutting->transport < cutting->ip + (version == 4 ? IPV4_SIZE : IPV6_SIZE) ||
        cutting->transport + (cutting->tcp ? TCP_SIZE : UDP_SIZE) > cutting->header)
        return false;
    memcpy(cutting->headers, frame, cutting->header);
    return true;
}

static uint32_t pseudo_sum(const struct cutting *cutting, const uint8_t *ip, size_t length)
{
    bool four = cutting->version == 4;
    uint32_t sum = net_sum(0, ip + (four ? IPV4_ADDRESSES : IPV6_ADDRESSES), four ? 8 : 32);
    return sum + (uint32_t)length + (cutting->tcp ? PROTOCOL_TCP : PROTOCOL_UDP);
}

static void ip_fill(const struct cutting *cutting, uint8_t *frame, size_t size, unsigned number)
{
    uint8_t *ip = frame + cutting->ip;
    if (cutting->version == 6) {
        put_16(ip + IPV6_PAYLOAD_LENGTH, (unsigned)(size - cutting->ip - IPV6_SIZE));
        return;
    }
    put_16(ip + IPV4_TOTAL_LENGTH, (unsigned)(size - cutting->ip));
    put_16(ip + IPV4_IDENTIFICATION, get_16(ip + IPV4_IDENTIFICATION) + number);
    put_16(ip + IPV4_CHECKSUM, 0);
    size_t length = 4 * (ip[0] & 15u);
    if (cutting->ip + length <= cutting->transport)
        put_16(ip + IPV4_CHECKSUM, net_checksum(net_sum(0, ip, length)));
}

static void transport_fill(const struct cutting *cutting, uint8_t *frame, size_t size, size_t done, bool last)
{
    uint8_t *transport = frame + cutting->transport;
    size_t length = size - cutting->transport;
    size_t checksum = cutting->tcp ? TCP_CHECKSUM : UDP_CHECKSUM;
    if (cutting->tcp) {
        put_32(transport + TCP_SEQUENCE, get_32(transport + TCP_SEQUENCE) + (uint32_t)done);
        if (!last)
            transport[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (done)
            transport[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    } else {
        put_16(transport + UDP_LENGTH, (unsigned)length);
    }
    if (!cutting->checksum)
        return;
    put_16(transport + checksum, 0);
    uint16_t value =
        net_checksum(net_sum(pseudo_sum(cutting, frame + cutting->ip, length), transport, length));
    put_16(transport + checksum, value ? value : 0xffff);
}

void net_segment(uint8_t *frame, size_t size, const struct net_offload *offload,
                 void (*emit)(void *opaque, uint8_t *frame, size_t size), void *opaque)
{
    struct cutting cutting;
    if (!cutting_begin(&cutting, frame, size, offload))
        return; /* no card sends nonsense either */
    size_t data = size - cutting.header;
    unsigned number = 0;
    for (size_t done = 0; done < data; number++) {
        size_t piece = data - done < offload->segment_size ? data - done : offload->segment_size;
        uint8_t *start = frame + done;
        memcpy(start, cutting.headers, cutting.header);
        ip_fill(&cutting, start, cutting.header + piece, number);
        transport_fill(&cutting, start, cutting.header + piece, done, done + piece == data);
        emit(opaque, start, cutting.header + piece);
        done += piece;
    }
}

/* Checksums, segments, the port between card and backend; -netdev user's properties. Numbers: RFC 1071, 791, 9293, 768. */
#include "unit/unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/backend.h"
#include "net/user.h"

/* ---- sums */

static void sums(void **state)
{
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}; /* RFC 1071, 3 */
    uint8_t bytes[64];
    (void)state;
    assert_int_equal(net_sum(0, example, 8), 0xddf2);
    assert_int_equal(net_checksum(0xddf2), 0x220d);
    assert_int_equal(net_sum(0, example, 1), 0);
    assert_int_equal(net_sum(0, example, 3), 0xf201);
    assert_int_equal(net_sum(0, example, 0), 0);
    srandom(1);
    for (unsigned round = 0; round < 10000; round++) {
        size_t size = (size_t)random() % 40, start = (size_t)random() % 20;
        uint32_t slow = (uint32_t)random() & 0xffff, before = slow;
        for (unsigned i = 0; i < sizeof(bytes); i++)
            bytes[i] = random() % 3 ? 0xff : (uint8_t)random();
        for (size_t i = 0; i < size; i++)
            slow += i % 2 ? bytes[start + i] : bytes[start + i] << 8;
        while (slow >> 16)
            slow = (slow & 0xffff) + (slow >> 16);
        assert_int_equal(net_sum(before, bytes + start, size), slow);
    }
}

/* ---- a card and a backend that note what they get */

struct wire {
    struct net_port port;
    unsigned sent, received;
    size_t sizes[2048];
    uint8_t *frames; /* one behind the other */
    size_t total;
    struct net_offload offload;
    bool full;
    unsigned drained, changed;
};

static void wire_send(void *opaque, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct wire *wire = opaque;
    wire->sizes[wire->sent++] = size;
    wire->frames = realloc(wire->frames, wire->total + size);
    memcpy(wire->frames + wire->total, frame, size);
    wire->total += size;
    wire->offload = *offload;
}

static void wire_drained(void *opaque)
{
    ((struct wire *)opaque)->drained++;
}

static void wire_changed(void *opaque)
{
    ((struct wire *)opaque)->changed++;
}

static bool wire_receive(void *opaque, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct wire *wire = opaque;
    (void)frame, (void)size, (void)offload;
    wire->received += !wire->full;
    return !wire->full;
}

static const struct net_backend wire_backend = {
    .type = "wire", .send = wire_send, .drained = wire_drained, .card_changed = wire_changed};

static int setup(void **state)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    wire->port.backend = &wire_backend;
    wire->port.opaque = wire;
    *state = wire;
    return 0;
}

static int teardown(void **state)
{
    struct wire *wire = *state;
    free(wire->frames);
    free(wire);
    return 0;
}

static void port(void **state)
{
    struct wire *wire = *state;
    static const struct net_offload none;
    struct net_card card = {.receive = wire_receive, .card = wire};
    uint8_t frame[64] = {0};

    assert_true(net_receive(&wire->port, frame, 60, &none)); /* nobody there */
    assert_int_equal(wire->port.dropped, 1);
    net_attach(&wire->port, &card);
    assert_int_equal(wire->changed, 1);
    assert_true(net_receive(&wire->port, frame, 60, &none));
    assert_int_equal(wire->received, 1);
    wire->full = true;
    assert_false(net_receive(&wire->port, frame, 60, &none));
    assert_true(net_receive(&wire->port, frame, 13, &none)); /* no frame */
    net_set_link(&wire->port, false);
    assert_true(net_receive(&wire->port, frame, 60, &none));
    net_send(&wire->port, frame, 60, &none);
    assert_int_equal(wire->sent, 0);
    assert_int_equal(wire->port.dropped, 4);
    net_set_link(&wire->port, true);
    assert_int_equal(wire->drained, 1);
    net_send(&wire->port, frame, 60, &none);
    assert_int_equal(wire->sent, 1);
    net_card_takes(&wire->port, NET_TAKES_PARTIAL);
    net_card_takes(&wire->port, NET_TAKES_PARTIAL);
    assert_int_equal(wire->changed, 2);
    net_attach(&wire->port, NULL);
    net_send(NULL, frame, 60, &none);
    net_drained(NULL);
    net_attach(NULL, &card);
}

/* ---- segments */

static void put_16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get_16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get_32(const uint8_t *at)
{
    return (uint32_t)get_16(at) << 16 | get_16(at + 2);
}

enum { MSS = 1000, DATA = 2500, SEQUENCE = 0xfffffe00 };

/* Ethernet, a VLAN tag if there is one, IP, TCP or UDP, DATA bytes that count. Answers where IP begins. */
static size_t packet(uint8_t *frame, bool vlan, unsigned version, bool tcp, size_t *header)
{
    size_t ip = vlan ? 18 : 14, transport = ip + (version == 4 ? 20 : 40);
    *header = transport + (tcp ? 20 : 8);
    memset(frame, 0x11, 12);
    if (vlan)
        put_16(frame + 12, 0x8100), put_16(frame + 14, 5);
    put_16(frame + ip - 2, version == 4 ? 0x0800 : 0x86dd);
    memset(frame + ip, 0, *header - ip);
    if (version == 4) {
        frame[ip] = 0x45;
        put_16(frame + ip + 4, 0xffff); /* the identification wraps */
        frame[ip + 8] = 64;
        frame[ip + 9] = tcp ? 6 : 17;
        memcpy(frame + ip + 12, "\x0a\0\2\x0f\x0a\0\2\2", 8);
    } else {
        frame[ip] = 0x60;
        frame[ip + 6] = tcp ? 6 : 17;
        memset(frame + ip + 8, 0xfe, 32);
    }
    if (tcp) {
        put_16(frame + transport + 4, SEQUENCE >> 16);
        put_16(frame + transport + 6, SEQUENCE & 0xffff);
        frame[transport + 12] = 0x50;
        frame[transport + 13] = 0x99; /* CWR, ACK, PSH, FIN */
    }
    for (unsigned i = 0; i < DATA; i++)
        frame[*header + i] = (uint8_t)(i * 7);
    return ip;
}

/* The transport's checksum, over pseudo header and all: 0 if it is right. */
static unsigned transport_rest(const uint8_t *ip, size_t size, unsigned version, bool tcp)
{
    size_t header = version == 4 ? 20 : 40, length = size - header;
    uint32_t sum = net_sum(0, ip + (version == 4 ? 12 : 8), version == 4 ? 8 : 32);
    return net_checksum(net_sum(sum + (uint32_t)length + (tcp ? 6 : 17), ip + header, length));
}

static void check_segments(struct wire *wire, bool vlan, unsigned version, bool tcp)
{
    uint8_t frame[4096], *at;
    size_t header, ip = packet(frame, vlan, version, tcp, &header), done = 0;
    size_t transport = ip + (version == 4 ? 20 : 40);
    struct net_offload offload = {
        .checksum_partial = true,
        .checksum_start = (uint16_t)transport,
        .checksum_offset = tcp ? 16 : 6,
        .segments = !tcp           ? NET_SEGMENTS_UDP
                    : version == 4 ? NET_SEGMENTS_TCP4
                                   : NET_SEGMENTS_TCP6,
        .segment_size = MSS,
        .header_size = (uint16_t)header,
    };
    wire->sent = 0;
    wire->total = 0;
    net_send(&wire->port, frame, header + DATA, &offload);
    assert_int_equal(wire->sent, 3);
    at = wire->frames;
    for (unsigned i = 0; i < 3; i++) {
        size_t piece = i < 2 ? MSS : DATA - 2 * MSS;
        assert_int_equal(wire->sizes[i], header + piece);
        if (version == 4) {
            assert_int_equal(get_16(at + ip + 2), header - ip + piece);
            assert_int_equal(get_16(at + ip + 4), (0xffff + i) & 0xffff);
            assert_int_equal(net_checksum(net_sum(0, at + ip, 20)), 0);
        } else {
            assert_int_equal(get_16(at + ip + 4), header - ip - 40 + piece);
        }
        if (tcp) {
            assert_int_equal(get_32(at + transport + 4), (uint32_t)(SEQUENCE + done));
            assert_int_equal(at[transport + 13], i == 0 ? 0x90 : i == 1 ? 0x10 : 0x19);
        } else {
            assert_int_equal(get_16(at + transport + 4), 8 + piece);
        }
        assert_int_equal(transport_rest(at + ip, header - ip + piece, version, tcp), 0);
        for (size_t j = 0; j < piece; j++)
            assert_int_equal(at[header + j], (uint8_t)((done + j) * 7));
        done += piece;
        at += wire->sizes[i];
    }
}

static void segments(void **state)
{
    struct wire *wire = *state;
    for (unsigned i = 0; i < 8; i++)
        check_segments(wire, i & 1, i & 2 ? 6 : 4, i & 4);
}

static void segments_that_make_no_sense(void **state)
{
    struct wire *wire = *state;
    uint8_t frame[4096];
    size_t header;
    packet(frame, false, 4, true, &header);
    srandom(2);
    for (unsigned i = 0; i < 200000; i++) {
        struct net_offload offload = {
            .checksum_partial = random() & 1,
            .checksum_start = (uint16_t)(random() % (i & 1 ? 100 : 65536)),
            .checksum_offset = (uint16_t)(random() % (i & 2 ? 20 : 65536)),
            .segments = (enum net_segments)(random() % 4),
            .segment_size = (uint16_t)(random() % (i & 4 ? 3000 : 65536)),
            .header_size = (uint16_t)(random() % (i & 8 ? 300 : 65536)),
        };
        size_t size = 14 + (size_t)random() % 3000;
        uint8_t *exact = malloc(size); /* so that the sanitizer knows its end */
        memcpy(exact, frame, size);
        wire->sent = 0;
        wire->total = 0;
        net_send(&wire->port, exact, size, &offload);
        assert_true(wire->sent <= 2048);
        free(exact);
    }
    struct net_offload tiny = {
        .segments = NET_SEGMENTS_TCP4, .segment_size = 1, .header_size = 54, .checksum_start = 34};
    wire->sent = 0;
    net_send(&wire->port, frame, 4096, &tiny); /* more segments than any stack makes */
    assert_int_equal(wire->sent, 0);
}

static void partial_checksums(void **state)
{
    struct wire *wire = *state;
    uint8_t frame[4096];
    size_t header, ip = packet(frame, false, 4, false, &header);
    struct net_offload offload = {.checksum_partial = true, .checksum_start = 34, .checksum_offset = 6};
    uint32_t pseudo = net_sum(0, frame + ip + 12, 8) + 17 + 8 + DATA;
    put_16(frame + 38, 8 + DATA);
    put_16(frame + 40, net_sum(pseudo, frame, 0));
    net_send(&wire->port, frame, header + DATA, &offload);
    assert_false(wire->offload.checksum_partial);
    assert_int_equal(transport_rest(wire->frames + ip, header - ip + DATA, 4, false), 0);
    wire->port.takes = NET_TAKES_PARTIAL;
    net_send(&wire->port, frame, header + DATA, &offload);
    assert_true(wire->offload.checksum_partial);
    assert_int_equal(wire->offload.checksum_start, 34);
}

/* ---- -netdev user's properties */

static const char *plan_error(const char *text)
{
    static char error[512];
    struct user_plan plan;
    struct settings *settings = settings_parse("-netdev", text, "type");
    settings_text(settings, "type", NULL);
    bool good = user_plan_read(&plan, settings);
    snprintf(error, sizeof(error), "%s", good ? "" : settings_error(settings));
    settings_free(settings);
    return error;
}

static void plan_of(struct user_plan *plan, const char *text)
{
    struct settings *settings = settings_parse("-netdev", text, "type");
    settings_text(settings, "type", NULL);
    assert_true(user_plan_read(plan, settings));
    settings_free(settings); /* numbers alone are looked at */
}

static const char *dotted(struct in_addr address)
{
    return inet_ntoa(address);
}

static void plans(void **state)
{
    struct user_plan plan;
    (void)state;
    plan_of(&plan, "user");
    assert_string_equal(dotted(plan.network), "10.0.2.0");
    assert_string_equal(dotted(plan.mask), "255.255.255.0");
    assert_string_equal(dotted(plan.host), "10.0.2.2");
    assert_string_equal(dotted(plan.dns), "10.0.2.3");
    assert_string_equal(dotted(plan.dhcp), "10.0.2.15");
    assert_true(plan.ipv4 && plan.ipv6 && !plan.restricted && !plan.tftp);
    plan_of(&plan, "user,net=192.168.76.9/26,restrict=on,dhcpstart=192.168.76.40,dns=192.168.76.5");
    assert_string_equal(dotted(plan.network), "192.168.76.0");
    assert_string_equal(dotted(plan.mask), "255.255.255.192");
    assert_string_equal(dotted(plan.host), "192.168.76.2");
    assert_string_equal(dotted(plan.dns), "192.168.76.5");
    assert_true(plan.restricted);
    plan_of(&plan, "user,net=172.16.0.0/255.255.0.0,host=172.16.200.1");
    assert_string_equal(dotted(plan.mask), "255.255.0.0");
    plan_of(&plan, "user,ipv4=on");
    assert_true(plan.ipv4 && !plan.ipv6);
    plan_of(&plan, "user,ipv4=off");
    assert_true(!plan.ipv4 && plan.ipv6);
    plan_of(&plan, "user,ipv6=off");
    assert_true(plan.ipv4 && !plan.ipv6);
    plan_of(&plan, "user,ipv6=on");
    assert_true(!plan.ipv4 && plan.ipv6);
    assert_string_equal(plan_error("user,ipv4=off,ipv6=off"),
                        "-netdev user,ipv4=off,ipv6=off: IPv4 and IPv6 are both off");
    assert_string_equal(
        plan_error("user,net=10.0.2.0/31"),
        "-netdev user,net=10.0.2.0/31: Parameter 'net' expects a network such as 10.0.2.0/24");
    assert_non_null(strstr(plan_error("user,net=10.0.2.0/255.0.255.0"), "expects a network"));
    assert_non_null(strstr(plan_error("user,net=fish"), "expects a network"));
    assert_non_null(strstr(plan_error("user,net=10.0.2.0.0.0.0.0.0.0.0.0.0/24"), "expects a network"));
    assert_non_null(strstr(plan_error("user,host=10.0.3.2"), "'host' does not lie in the network"));
    assert_non_null(strstr(plan_error("user,host=10.0.2.3"), "are the same address"));
    assert_non_null(strstr(plan_error("user,dhcpstart=10.0.2.2"), "is the address of"));
    assert_non_null(strstr(plan_error("user,dns=ten"), "Parameter 'dns' expects an IPv4 address"));
    assert_non_null(strstr(plan_error("user,smb=/tmp"), "Invalid parameter 'smb'"));
}

static void forwards(void **state)
{
    struct forward forward;
    (void)state;
    assert_null(forward_read(&forward, "tcp::2222-:22", true));
    assert_int_equal(forward.host_port, 2222);
    assert_int_equal(forward.guest_port, 22);
    assert_int_equal(forward.host.s_addr, 0);
    assert_false(forward.udp);
    assert_null(forward_read(&forward, "udp:127.0.0.1:53-10.0.2.20:5353", true));
    assert_true(forward.udp);
    assert_string_equal(dotted(forward.host), "127.0.0.1");
    assert_string_equal(dotted(forward.guest), "10.0.2.20");
    assert_null(forward_read(&forward, "::0-:80", true)); /* tcp, and any port that is free */
    assert_null(forward_read(&forward, "tcp:127.0.0.1:2222", false));
    assert_string_equal(forward_read(&forward, "", true), "Bad protocol name");
    assert_string_equal(forward_read(&forward, "sctp::1-:1", true), "Bad protocol name");
    assert_string_equal(forward_read(&forward, "tcp:fish:1-:1", true), "Bad host address");
    assert_string_equal(forward_read(&forward, "tcp::-:1", true), "Bad host port");
    assert_string_equal(forward_read(&forward, "tcp::65536-:1", true), "Bad host port");
    assert_string_equal(forward_read(&forward, "tcp::1:1", true), "Bad host port");
    assert_string_equal(forward_read(&forward, "tcp::1-9999.1:1", true), "Bad guest address");
    assert_string_equal(forward_read(&forward, "tcp::1-:0", true), "Bad guest port");
    assert_string_equal(forward_read(&forward, "tcp::1-:2x", true), "Bad guest port");
    assert_string_equal(forward_read(&forward, "tcp::", false), "Bad host port");
}

/* ---- a tap's descriptor, here a socket: frames both ways, and back-pressure */

static void tap_by_descriptor(void **state)
{
    struct wire *wire = *state;
    struct net_card card = {.receive = wire_receive, .card = wire};
    struct net_host host = {loop_create(NULL), clock_create()};
    static const struct net_offload none;
    int ends[2];
    char text[64];
    uint8_t frame[NET_FRAME_MOST] = {0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    snprintf(text, sizeof(text), "tap,fd=%d", ends[0]);
    struct settings *settings = settings_parse("-netdev", text, "type");
    settings_text(settings, "type", NULL);
    struct net_port *tap = net_open(&host, "tap", settings);
    assert_non_null(tap);
    tap->id = "n0";
    net_attach(tap, &card);
    frame[0] = 0x42;
    net_send(tap, frame, 100, &none);
    assert_int_equal(read(ends[1], frame, sizeof(frame)), 100);
    assert_int_equal(frame[0], 0x42);
    clock_start(host.clock);
    wire->full = true;
    assert_int_equal(write(ends[1], frame, 20), 20);
    assert_int_equal(write(ends[1], frame, 2000), 2000);
    loop_run_once(host.loop);
    assert_int_equal(wire->received, 0);
    wire->full = false;
    net_drained(tap);
    assert_int_equal(wire->received, 1);
    loop_run_once(host.loop);
    assert_int_equal(wire->received, 2);
    net_close(tap);
    settings_free(settings);
    close(ends[1]);
    clock_destroy(host.clock);
    loop_destroy(host.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums),
        cmocka_unit_test_setup_teardown(port, setup, teardown),
        cmocka_unit_test_setup_teardown(segments, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_that_make_no_sense, setup, teardown),
        cmocka_unit_test_setup_teardown(partial_checksums, setup, teardown),
        cmocka_unit_test(plans),
        cmocka_unit_test(forwards),
        cmocka_unit_test_setup_teardown(tap_by_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

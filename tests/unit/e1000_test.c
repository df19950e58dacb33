/* The 82540EM. Numbers: Intel's Software Developer's Manual 317453, chapters 3, 5, 9 and 13. */
#include "unit/e1000_board.h"

/* ---- EEPROM, PHY, reset */

static void eecd(struct board *board, unsigned bits)
{
    set(board, EECD, 0x40 | bits); /* REQ */
}

/* A bit at the rising clock. */
static unsigned eecd_clock(struct board *board, bool out)
{
    unsigned bits = 2 | (out ? 4 : 0); /* CS, DI */
    eecd(board, bits);
    eecd(board, bits | 1);
    unsigned in = get(board, EECD) >> 3 & 1;
    eecd(board, bits);
    return in;
}

static uint16_t microwire_read(struct board *board, unsigned word)
{
    uint16_t value = 0;
    eecd(board, 0);
    eecd(board, 2);
    for (int bit = 8; bit >= 0; bit--)
        eecd_clock(board, (0x180u | word) >> bit & 1);
    for (unsigned i = 0; i < 16; i++)
        value = (uint16_t)(value << 1 | eecd_clock(board, false));
    eecd(board, 0);
    return value;
}

static void eeprom(void **state)
{
    struct board *board = *state;
    uint16_t sum = 0;
    eecd(board, 0);
    assert_int_equal(get(board, EECD) & 0x3c0, 0x1c0); /* REQ, GNT, present, 64 words */
    assert_int_equal(microwire_read(board, 0), 0x5452);
    assert_int_equal(microwire_read(board, 1), 0x1200);
    assert_int_equal(microwire_read(board, 2), 0x5634);
    for (unsigned i = 0; i < 64; i++) {
        uint16_t word = microwire_read(board, i);
        set(board, EERD, i << 8 | 1);
        assert_int_equal(get(board, EERD), (uint32_t)word << 16 | i << 8 | 0x10);
        sum = (uint16_t)(sum + word);
    }
    assert_int_equal(sum, 0xbaba);
    set(board, EERD, 0x4001);
    assert_int_equal(get(board, EERD) >> 16, 0xffff);
}

static uint32_t mdic(struct board *board, uint32_t value)
{
    set(board, MDIC, value);
    return get(board, MDIC);
}

static void phy(void **state)
{
    struct board *board = *state;
    assert_int_equal(mdic(board, 0x08220000), 0x18220141); /* read, PHY 1, register 2 */
    assert_int_equal(mdic(board, 0x08230000) & 0xfff0, 0x0c20);
    assert_int_equal(mdic(board, 0x08210000) & 0x0024, 0x0024);         /* negotiated, link */
    assert_int_equal(mdic(board, 0x08420000) & 0x50000000, 0x50000000); /* no PHY 2: ready, error */
    net_set_link(&board->port, false);
    assert_int_equal(get(board, STATUS) & 2, 0);
    assert_int_equal(mdic(board, 0x08210000) & 0x0024, 0);
    net_set_link(&board->port, true);
    assert_int_equal(get(board, ICR) & 4, 4);
    assert_int_equal(mdic(board, 0x08210000) & 0x0004, 0); /* it was lost */
    assert_int_equal(mdic(board, 0x08210000) & 0x0004, 4);
    assert_int_equal(mdic(board, 0x08310000) & 0xfc00, 0xac00); /* 1000 Mb/s, full duplex, up */
    mdic(board, 0x04209340);                                    /* reset by register 0 */
    assert_int_equal(mdic(board, 0x08200000) & 0xffff, 0x1140);
    mdic(board, 0x04201340); /* negotiates anew */
    assert_int_equal(get(board, ICR) & 4, 4);
    set(board, MDIC, 0x28220000); /* with an interrupt */
    assert_int_equal(get(board, ICR) & 0x200, 0x200);
}

static void resets(void **state)
{
    struct board *board = *state;
    set(board, RAL, 0);
    set(board, IMS, 0xff);
    set(board, CTRL, 1 << 26);
    assert_int_equal(get(board, CTRL) & 1 << 26, 0);
    assert_int_equal(get(board, RAL), 0x12005452);
    assert_int_equal(get(board, RAH), 0x80005634);
    assert_int_equal(get(board, IMS), 0);
    assert_int_equal(get(board, RCTL), 0);
    assert_int_equal(get(board, STATUS) & 0xc3, 0x83); /* 1000 Mb/s, link, full duplex */
    assert_int_equal(get(board, 0x10000), 0);
    bus_write(board->ports, IO, 4, RAH); /* by way of ports */
    assert_int_equal(bus_read(board->ports, IO, 4), RAH);
    assert_int_equal(bus_read(board->ports, IO + 4, 4), 0x80005634);
    bus_write(board->ports, IO + 4, 4, 0x12345678);
    assert_int_equal(get(board, RAH), 0x12345678);
    assert_int_equal(bus_read(board->mmio, BASE + RAH + 1, 1), 0x56);
    bus_write(board->mmio, BASE + RAH, 2, 0); /* registers are double words */
    assert_int_equal(get(board, RAH), 0x12345678);
}

/* ---- interrupts */

static void interrupts(void **state)
{
    struct board *board = *state;
    set(board, ICS, 0x11);
    assert_false(board->line);
    set(board, IMS, 0x10);
    assert_true(board->line);
    assert_int_equal(get(board, ICR), 0x11);
    assert_false(board->line);
    assert_int_equal(get(board, ICR), 0);
    set(board, ICS, 0x90);
    set(board, ICR, 0x10);
    assert_false(board->line);
    assert_int_equal(get(board, ICR), 0x80);
    set(board, ICS, 0x10);
    set(board, IMC, 0x10);
    assert_false(board->line);
    assert_int_equal(get(board, IMS), 0);
}

static void throttle(void **state)
{
    struct board *board = *state;
    set(board, ITR, 1000); /* 256 us */
    set(board, IMS, 0x80);
    set(board, ICS, 0x80);
    assert_int_equal(board->rises, 1);
    get(board, ICR);
    set(board, ICS, 0x80);
    assert_false(board->line);
    clock_step(board->clock, 1000000 + 255999);
    assert_false(board->line);
    clock_step(board->clock, 1000000 + 256000);
    assert_int_equal(board->rises, 2);
    get(board, ICR);
    set(board, ICS, 0x80);
    get(board, ICR); /* it was polled away meanwhile */
    clock_step(board->clock, 3000000);
    assert_int_equal(board->rises, 2);
}

/* ---- transmission */

static void tx(struct board *board, uint64_t buffer, uint32_t lower, uint32_t upper)
{
    uint32_t word[4] = {(uint32_t)buffer, (uint32_t)(buffer >> 32), lower, upper};
    memory_write(board->memory, TX_RING + 16 * (uint64_t)board->tx_tail, word, 16);
    board->tx_tail = (board->tx_tail + 1) % RING_LENGTH;
}

static void ring_bell(struct board *board)
{
    set(board, TDT, board->tx_tail);
}

static uint8_t tx_status(struct board *board, unsigned at)
{
    uint8_t status;
    memory_read(board->memory, TX_RING + 16 * (uint64_t)at + 12, &status, 1);
    return status;
}

static void data_fill(struct board *board, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(i * 3 + 1);
        memory_write(board->memory, TX_DATA + i, &byte, 1);
    }
}

static void legacy(void **state)
{
    struct board *board = *state;
    data_fill(board, 200);
    tx(board, TX_DATA, 0x02000000 | 60, 0);
    tx(board, TX_DATA + 60, 0x0b000000 | 40, 0); /* RS, IFCS, EOP */
    ring_bell(board);
    assert_int_equal(board->sent, 1);
    assert_int_equal(board->last_size, 100);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(board->last[i], (uint8_t)(i * 3 + 1));
    assert_int_equal(get(board, TDH), 2);
    assert_int_equal(tx_status(board, 0), 0);
    assert_int_equal(tx_status(board, 1), 1);
    assert_int_equal(get(board, ICR), 3); /* written back, queue empty */
    assert_int_equal(get(board, GPTC), 1);
    assert_int_equal(get(board, GPTC), 0);                   /* cleared by reading */
    tx(board, TX_DATA, 0x0d100000 | 60 | 16 << 16, 20 << 8); /* a checksum over 20 to the end, at 16 */
    ring_bell(board);
    assert_int_equal(board->last[16] << 8 | board->last[17],
                     (uint16_t)~net_sum(0, (uint8_t *)memory_ram(board->memory) + TX_DATA + 20, 40));
    set(board, CTRL, 1 << 30); /* VLAN mode */
    tx(board, TX_DATA, 0x49000000 | 60, 0xabc50000);
    ring_bell(board);
    assert_int_equal(board->last_size, 64);
    assert_memory_equal(board->last + 12, "\x81\x00\xab\xc5", 4);
    assert_int_equal(board->last[11], 11 * 3 + 1);
    assert_int_equal(board->last[16], 12 * 3 + 1);
}

static void nothing_goes_out(void **state)
{
    struct board *board = *state;
    data_fill(board, 100);
    set(board, TCTL, 0);
    tx(board, TX_DATA, 0x0b000000 | 60, 0);
    ring_bell(board);
    assert_int_equal(board->sent, 0);
    config_write(board, 4, 2, 3); /* no bus master */
    set(board, TCTL, 2);
    assert_int_equal(board->sent, 0);
    config_write(board, 4, 2, 7);
    net_set_link(&board->port, false);
    set(board, TCTL, 2);
    assert_int_equal(board->sent, 0);
    assert_int_equal(get(board, TDH), 1);
    assert_int_equal(board->port.dropped, 1);
}

/* A TCP/IPv4 frame's headers as Linux leaves them for the card: lengths 0, the pseudo header's sum without length. */
static void headers_fill(struct board *board)
{
    uint8_t header[54] = {
        [12] = 8,  [14] = 0x45, [22] = 64, [23] = 6,    [26] = 10, [28] = 2,    [29] = 15,
        [30] = 10, [32] = 2,    [33] = 2,  [34] = 0x80, [37] = 80, [46] = 0x50, [47] = 0x19};
    uint32_t pseudo = net_sum(0, header + 26, 8) + 6;
    header[50] = (uint8_t)(pseudo >> 8);
    header[51] = (uint8_t)pseudo;
    memory_write(board->memory, TX_DATA, header, sizeof(header));
}

static void context(struct board *board, bool segments, unsigned mss)
{
    uint64_t ip = 14 | 24 << 8 | 33ull << 16, tcp = 34 | 50 << 8;
    tx(board, ip | tcp << 32, 0x20000000u | (segments ? 7u : 3u) << 24, 54 << 8 | (uint32_t)mss << 16);
}

static void checksums_are_put_in(void **state)
{
    struct board *board = *state;
    headers_fill(board);
    uint8_t *header = memory_ram(board->memory) + TX_DATA;
    header[17] = 60; /* the driver gives lengths here */
    uint32_t pseudo = net_sum(0, header + 26, 8) + 6 + 40;
    header[50] = (uint8_t)(pseudo >> 8);
    header[51] = (uint8_t)pseudo;
    context(board, false, 0);
    tx(board, TX_DATA, 0x2b100000 | 74, 0x0300); /* EOP, IFCS, RS, DEXT; type data; IXSM, TXSM */
    ring_bell(board);
    assert_int_equal(board->sent, 1);
    assert_int_equal(net_checksum(net_sum(0, board->last + 14, 20)), 0);
    assert_int_equal(net_checksum(net_sum(net_sum(0, board->last + 26, 8) + 6 + 40, board->last + 34, 40)),
                     0);
    assert_false(board->last_offload.checksum_partial);
    tx(board, TX_DATA, 0x2b100000 | 74, 0); /* none wanted */
    ring_bell(board);
    assert_memory_equal(board->last, header, 74);
}

static void check_segmented(struct board *board, uint32_t data)
{
    static const struct net_offload none;
    uint32_t sum = 0;
    headers_fill(board);
    for (uint32_t i = 0; i < data; i++) {
        uint8_t byte = (uint8_t)(i * 5);
        memory_write(board->memory, TX_DATA + 54 + i, &byte, 1);
        sum += byte;
    }
    board->sent = 0;
    board->total = 0;
    board->data_sum = 0;
    context(board, true, 1460);
    tx(board, TX_DATA, 0x26100000 | 54, 0x0300);
    for (uint32_t done = 0; done < data; done += 100000) {
        uint32_t piece = data - done < 100000 ? data - done : 100000;
        tx(board, TX_DATA + 54 + done, (done + piece == data ? 0x2f100000 : 0x26100000) | piece, 0x0300);
    }
    ring_bell(board);
    assert_int_equal(board->data_sum, sum);
    uint32_t count = (data + 1459) / 1460;
    if (board->port.takes) /* every part has its header */
        assert_int_equal(board->total, data + 54 * board->sent);
    else
        assert_int_equal(board->sent, count);
    const uint8_t *last = board->last;
    uint32_t sequence = (uint32_t)last[38] << 24 | last[39] << 16 | last[40] << 8 | last[41];
    size_t size = board->last_size;
    assert_int_equal(sequence, data + 54 - size);
    assert_int_equal(last[47], 0x19); /* FIN and PSH in the last */
    assert_int_equal(last[16] << 8 | last[17], size - 14);
    assert_int_equal(net_checksum(net_sum(0, last + 14, 20)), 0);
    assert_int_equal(
        net_checksum(net_sum(net_sum(0, last + 26, 8) + 6 + (uint32_t)size - 34, last + 34, size - 34)), 0);
    if (!board->port.takes)
        assert_int_equal(last[18] << 8 | last[19], count - 1); /* identification */
    board->last_offload = none;
}

static void segmentation(void **state)
{
    struct board *board = *state;
    static const uint32_t sizes[] = {1, 1460, 1461, 20000, 64240, 64241, 65000, 200000, 400000};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        board->port.takes = 0;
        check_segmented(board, sizes[i]);
        board->port.takes = NET_TAKES_TCP4;
        check_segmented(board, sizes[i]);
    }
}

/* ---- reception */

static uint64_t rx(struct board *board, unsigned at)
{
    uint64_t half;
    memory_read(board->memory, RX_RING + 16 * (uint64_t)at + 8, &half, 8);
    return half;
}

static void reception(void **state)
{
    struct board *board = *state;
    set(board, IMS, 0x80);
    assert_true(arrives(board, own, 60, false));
    assert_true(board->line);
    assert_int_equal(get(board, RDH), 1);
    assert_int_equal(rx(board, 0) & 0xffff, 64);       /* with the check sequence */
    assert_int_equal(rx(board, 0) >> 32 & 0xff, 0x07); /* done, end, no checksums */
    assert_memory_equal(memory_ram(board->memory) + RX_DATA, own, 6);
    assert_int_equal(memory_ram(board->memory)[RX_DATA + 59], 59);
    assert_int_equal(get(board, GPRC), 1);
    set(board, RCTL, 0x04008002); /* SECRC: without */
    assert_true(arrives(board, own, 60, false));
    assert_int_equal(rx(board, 1) & 0xffff, 60);
    set(board, RCTL, 0x04038002); /* buffers of 256 bytes */
    assert_true(arrives(board, own, 600, false));
    assert_int_equal(get(board, RDH), 5);
    assert_int_equal(rx(board, 2) & 0xffff, 256);
    assert_int_equal(rx(board, 2) >> 32 & 3, 1);
    assert_int_equal(rx(board, 4) & 0xffff, 88);
    assert_int_equal(rx(board, 4) >> 32 & 3, 3);
    assert_int_equal(memory_ram(board->memory)[RX_DATA + 3 * 2048], (uint8_t)(256 ^ 1));
}

static void filters(void **state)
{
    struct board *board = *state;
    static const uint8_t other[] = {2, 0, 0, 0, 0, 1}, everybody[] = {255, 255, 255, 255, 255, 255},
                         group[] = {1, 0, 0x5e, 0, 0x12, 0x34};
    unsigned head = get(board, RDH);
    arrives(board, other, 60, false);
    arrives(board, group, 60, false);
    arrives(board, own, 1515, false); /* too long */
    assert_int_equal(get(board, RDH), head);
    arrives(board, everybody, 60, false);
    assert_int_equal(get(board, RDH), ++head);
    set(board, RCTL, 0x2);
    arrives(board, everybody, 60, false);
    assert_int_equal(get(board, RDH), head);
    set(board, RCTL, 0xa); /* promiscuous */
    arrives(board, other, 60, false);
    assert_int_equal(get(board, RDH), ++head);
    assert_int_equal(rx(board, head - 1) >> 32 & 0x80, 0x80); /* PIF */
    set(board, RCTL, 0x12);                                   /* all groups */
    arrives(board, group, 60, false);
    assert_int_equal(get(board, RDH), ++head);
    set(board, RCTL, 0x2);
    unsigned hash = (0x12 | 0x34 << 8) >> 4 & 0xfff;
    set(board, MTA + 4 * (hash >> 5), 1u << (hash & 31));
    arrives(board, group, 60, false);
    assert_int_equal(get(board, RDH), ++head);
    set(board, RCTL, 0x1002); /* other bits make the hash */
    arrives(board, group, 60, false);
    assert_int_equal(get(board, RDH), head);
    set(board, RAL + 8, 0x00000002);
    set(board, RAH + 8, 0x80000100);
    arrives(board, other, 60, false);
    assert_int_equal(get(board, RDH), ++head);
    set(board, RCTL, 0x22); /* long frames */
    arrives(board, own, 1515, false);
    assert_int_equal(get(board, RDH), ++head);
    set(board, RCTL, 0);
    arrives(board, own, 60, false);
    assert_int_equal(get(board, RDH), head);
}

static void vlan(void **state)
{
    struct board *board = *state;
    static const struct net_offload none;
    uint8_t frame[64];
    for (unsigned i = 0; i < 64; i++)
        frame[i] = (uint8_t)i;
    memcpy(frame, own, 6);
    memcpy(frame + 12, "\x81\x00\xa0\x07", 4);
    set(board, RCTL, 0x04048002); /* filter, without check sequence */
    net_receive(&board->port, frame, 64, &none);
    assert_int_equal(get(board, RDH), 0);
    set(board, VFTA, 1 << 7);
    net_receive(&board->port, frame, 64, &none);
    assert_int_equal(get(board, RDH), 1);
    assert_int_equal(rx(board, 0) & 0xffff, 64);
    set(board, CTRL, 1 << 30);
    net_receive(&board->port, frame, 64, &none);
    assert_int_equal(rx(board, 1) & 0xffff, 60);
    assert_int_equal(rx(board, 1) >> 48, 0xa007);
    assert_int_equal(rx(board, 1) >> 32 & 8, 8);
    const uint8_t *got = memory_ram(board->memory) + RX_DATA + 2048;
    assert_memory_equal(got, frame, 12);
    assert_memory_equal(got + 12, frame + 16, 48);
    set(board, RCTL, 0x00048002); /* with it: four zeros behind */
    memset(memory_ram(board->memory) + RX_DATA + 4096, 0xee, 100);
    net_receive(&board->port, frame, 64, &none);
    assert_int_equal(rx(board, 2) & 0xffff, 64);
    assert_memory_equal(memory_ram(board->memory) + RX_DATA + 4096 + 60, "\0\0\0\0\xee", 5);
}

static void received_checksums(void **state)
{
    struct board *board = *state;
    struct net_offload offload = {0};
    uint8_t frame[60] = {[12] = 8,  [14] = 0x45, [17] = 46, [22] = 64, [23] = 17,  [26] = 10,
                         [30] = 10, [35] = 1,    [37] = 2,  [39] = 26, [50] = 0x77};
    memcpy(frame, own, 6);
    uint16_t ip = net_checksum(net_sum(0, frame + 14, 20));
    frame[24] = (uint8_t)(ip >> 8), frame[25] = (uint8_t)ip;
    uint16_t udp = net_checksum(net_sum(net_sum(0, frame + 26, 8) + 17 + 26, frame + 34, 26));
    frame[40] = (uint8_t)(udp >> 8), frame[41] = (uint8_t)udp;
    set(board, RXCSUM, 0x300 | 14);
    net_receive(&board->port, frame, 60, &offload);
    assert_int_equal(rx(board, 0) >> 32 & 0xffff, 0x63); /* IP and UDP looked at, well */
    assert_int_equal(rx(board, 0) >> 16 & 0xffff, net_sum(0, frame + 14, 46));
    frame[50] = 0x78;
    net_receive(&board->port, frame, 60, &offload);
    assert_int_equal(rx(board, 1) >> 32 & 0xffff, 0x2063);
    frame[22] = 63;
    offload.checksum_good = true; /* the sender's word counts */
    net_receive(&board->port, frame, 60, &offload);
    assert_int_equal(rx(board, 2) >> 32 & 0xffff, 0x63);
    offload.checksum_good = false;
    net_receive(&board->port, frame, 60, &offload);
    assert_int_equal(rx(board, 3) >> 32 & 0xffff, 0x6063);
    frame[20] = 0x20; /* a fragment */
    net_receive(&board->port, frame, 60, &offload);
    assert_int_equal(rx(board, 4) >> 32 & 0x20, 0);
}

static void a_full_ring_holds_the_sender(void **state)
{
    struct board *board = *state;
    set(board, RDT, 2);
    unsigned drained = board->drained;
    get(board, ICR);
    assert_true(arrives(board, own, 60, false));
    assert_int_equal(get(board, ICR) & 0x90, 0x90); /* received, and few are left */
    assert_true(arrives(board, own, 60, false));
    assert_false(arrives(board, own, 60, false));
    set(board, RDT, 3);
    assert_int_equal(board->drained, drained + 1);
    assert_true(arrives(board, own, 60, false));
    assert_int_equal(get(board, RDH), 3);
    /* What does not fit in the whole ring would wait for ever: it is dropped, and counted as missed. */
    set(board, RDLEN, 128);
    set(board, RDH, 0);
    set(board, RDT, 7);
    set(board, RCTL, 0x04038022);
    assert_true(arrives(board, own, 256 * 8, false));
    assert_int_equal(get(board, MPC), 1);
    set(board, RDT, 100); /* outside: nothing is free */
    assert_false(arrives(board, own, 60, false));
    set(board, RDLEN, 0);
    assert_true(arrives(board, own, 60, false));
}

static void loopback(void **state)
{
    struct board *board = *state;
    data_fill(board, 100);
    memory_write(board->memory, TX_DATA, own, 6);
    mdic(board, 0x04205140); /* the PHY sends back what it gets */
    tx(board, TX_DATA, 0x0b000000 | 60, 0);
    ring_bell(board);
    assert_int_equal(board->sent, 0);
    assert_int_equal(get(board, RDH), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(eeprom),
        TEST(phy),
        TEST(resets),
        TEST(interrupts),
        TEST(throttle),
        TEST(legacy),
        TEST(nothing_goes_out),
        TEST(checksums_are_put_in),
        TEST(segmentation),
        TEST(reception),
        TEST(filters),
        TEST(vlan),
        TEST(received_checksums),
        TEST(a_full_ring_holds_the_sender),
        TEST(loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Numbers from the PC16550D data sheet. */
#include "unit/bench.h"

#include <string.h>

#include "devices/uart.h"

enum { BASE = 0x3f8, DATA = BASE, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

static struct bench bench;
static struct uart *uart;
static struct character_port host;
static uint8_t written[4096];
static size_t count;
static unsigned drained;

static void host_write(void *opaque, const uint8_t *bytes, size_t size)
{
    (void)opaque;
    for (size_t i = 0; i < size; i++)
        written[count++ % sizeof(written)] = bytes[i];
}

static void host_drained(void *opaque)
{
    (void)opaque;
    drained++;
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    count = drained = 0;
    host = (struct character_port){.write = host_write, .drained = host_drained};
    uart = uart_create(bench.ports, BASE, &bench.line, bench.clock, &host);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    uart_destroy(uart);
    bench_close(&bench);
    return 0;
}

static void type(const char *text)
{
    host.receive(host.device, (const uint8_t *)text, strlen(text));
}

static void registers_after_reset(void **state)
{
    (void)state;
    assert_int_equal(in(&bench, IER), 0x00);
    assert_int_equal(in(&bench, IIR_FCR), 0x01);
    assert_int_equal(in(&bench, LCR), 0x00);
    assert_int_equal(in(&bench, MCR), 0x00);
    assert_int_equal(in(&bench, LSR), 0x60);
    assert_int_equal(in(&bench, MSR), 0xb0); /* a cable is plugged in */
    out(&bench, SCR, 0x5a);
    assert_int_equal(in(&bench, SCR), 0x5a);
    out(&bench, IER, 0xff);
    assert_int_equal(in(&bench, IER), 0x0f);
    out(&bench, MCR, 0xff);
    assert_int_equal(in(&bench, MCR), 0x1f);
}

static void the_divisor_is_behind_dlab(void **state)
{
    (void)state;
    out(&bench, LCR, 0x80);
    out(&bench, DATA, 0x34);
    out(&bench, IER, 0x12);
    assert_int_equal(in(&bench, DATA), 0x34);
    assert_int_equal(in(&bench, IER), 0x12);
    out(&bench, LCR, 0x03);
    assert_int_equal(in(&bench, IER), 0x00);
    assert_int_equal(count, 0);
}

static void bytes_go_out_at_once(void **state)
{
    (void)state;
    for (const char *c = "hello"; *c; c++) {
        assert_int_equal(in(&bench, LSR), 0x60);
        out(&bench, DATA, *c);
    }
    assert_int_equal(count, 5);
    assert_memory_equal(written, "hello", 5);
}

static void transmitter_empty_interrupts_once(void **state)
{
    (void)state;
    out(&bench, IER, 0x02);
    assert_true(bench.probe.level);
    assert_int_equal(in(&bench, IIR_FCR), 0x02);
    assert_false(bench.probe.level); /* reading IIR takes it back */
    assert_int_equal(in(&bench, IIR_FCR), 0x01);
    unsigned before = bench.probe.rises;
    out(&bench, DATA, 'x');
    assert_int_equal(bench.probe.rises, before + 1);
    out(&bench, DATA, 'y'); /* falls and rises: an edge for each */
    assert_int_equal(bench.probe.rises, before + 2);
}

static void without_fifos_there_is_room_for_one(void **state)
{
    (void)state;
    assert_int_equal(host.room(host.device), 1);
    out(&bench, IER, 0x01);
    type("a");
    assert_true(bench.probe.level);
    assert_int_equal(host.room(host.device), 0);
    assert_int_equal(in(&bench, IIR_FCR), 0x04);
    assert_int_equal(in(&bench, LSR), 0x61);
    assert_int_equal(in(&bench, DATA), 'a');
    assert_int_equal(drained, 1 + 1); /* once when it was created */
    assert_false(bench.probe.level);
    assert_int_equal(in(&bench, LSR), 0x60);
}

static void fifos_have_trigger_levels(void **state)
{
    (void)state;
    static const unsigned levels[] = {1, 4, 8, 14};
    out(&bench, IER, 0x01);
    for (unsigned i = 0; i < 4; i++) {
        out(&bench, IIR_FCR, 0x07 | i << 6);
        assert_int_equal(host.room(host.device), 16);
        for (unsigned n = 1; n < levels[i]; n++) {
            type("x");
            assert_false(bench.probe.level);
        }
        type("x");
        assert_true(bench.probe.level);
        assert_int_equal(in(&bench, IIR_FCR), 0xc4);
        in(&bench, DATA);
        assert_false(bench.probe.level);
    }
}

static void fewer_bytes_time_out(void **state)
{
    (void)state;
    out(&bench, LCR, 0x83);
    out(&bench, DATA, 12); /* 9600 baud, 8N1: 1.0417 ms a character */
    out(&bench, IER, 0);
    out(&bench, LCR, 0x03);
    out(&bench, IIR_FCR, 0xc1);
    out(&bench, IER, 0x01);
    type("ab");
    bench_pass(&bench, 4 * MILLISECONDS);
    assert_false(bench.probe.level);
    bench_pass(&bench, MILLISECONDS);
    assert_true(bench.probe.level);
    assert_int_equal(in(&bench, IIR_FCR), 0xcc);
    assert_int_equal(in(&bench, DATA), 'a');
    assert_false(bench.probe.level);
    bench_pass(&bench, 5 * MILLISECONDS);
    assert_int_equal(in(&bench, IIR_FCR), 0xcc);
    assert_int_equal(in(&bench, DATA), 'b');
    bench_pass(&bench, SECONDS);
    assert_int_equal(in(&bench, IIR_FCR), 0xc1);
}

static void interrupts_have_priorities(void **state)
{
    (void)state;
    out(&bench, LCR, 0x03);
    out(&bench, MCR, 0x10); /* loopback: the modem lines fall */
    out(&bench, IER, 0x0f);
    out(&bench, DATA, 'a');
    out(&bench, DATA, 'b'); /* overrun */
    assert_int_equal(in(&bench, IIR_FCR), 0x06);
    assert_int_equal(in(&bench, LSR), 0x63);
    assert_int_equal(in(&bench, IIR_FCR), 0x04);
    assert_int_equal(in(&bench, DATA), 'b'); /* the register had been overwritten */
    assert_int_equal(in(&bench, IIR_FCR), 0x02);
    assert_int_equal(in(&bench, IIR_FCR), 0x00);
    assert_int_equal(in(&bench, MSR) & 0x0f, 0x0b); /* DCTS, DDSR, DDCD; RI was low before */
    assert_int_equal(in(&bench, IIR_FCR), 0x01);
}

static void a_full_fifo_keeps_its_first_bytes(void **state)
{
    (void)state;
    out(&bench, LCR, 0x03);
    out(&bench, IIR_FCR, 0x01);
    out(&bench, MCR, 0x10);
    for (unsigned i = 0; i < 20; i++)
        out(&bench, DATA, i);
    assert_int_equal(in(&bench, LSR), 0x63);
    assert_int_equal(in(&bench, LSR), 0x61);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(&bench, DATA), i);
    assert_int_equal(in(&bench, LSR), 0x60);
    assert_int_equal(count, 0); /* nothing left the chip */
}

static void loopback_joins_the_modem_lines(void **state)
{
    (void)state;
    static const uint8_t lines[][2] = {{0x11, 0x20}, {0x12, 0x10}, {0x14, 0x40}, {0x18, 0x80}, {0x1f, 0xf0}};
    for (unsigned i = 0; i < 5; i++) {
        out(&bench, MCR, lines[i][0]);
        assert_int_equal(in(&bench, MSR) & 0xf0, lines[i][1]);
    }
    out(&bench, MCR, 0x10);
    in(&bench, MSR);
    out(&bench, MCR, 0x10 | 0x04);
    assert_int_equal(in(&bench, MSR), 0x40); /* the ring's leading edge is no event */
    out(&bench, MCR, 0x1f);
    in(&bench, MSR);
    out(&bench, MCR, 0x10 | 0x08);
    assert_int_equal(in(&bench, MSR), 0x80 | 0x07); /* DCTS, DDSR, TERI: the ring's trailing edge */
    out(&bench, LCR, 0x00);                         /* five bits */
    out(&bench, DATA, 0xff);
    assert_int_equal(in(&bench, DATA), 0x1f);
    assert_int_equal(host.room(host.device), 0); /* cut off from the line */
    drained = 0;
    out(&bench, MCR, 0x00);
    assert_int_equal(drained, 1);
}

static void resetting_the_fifo_empties_it(void **state)
{
    (void)state;
    out(&bench, IIR_FCR, 0x01);
    type("abc");
    out(&bench, IIR_FCR, 0x03);
    assert_int_equal(in(&bench, LSR), 0x60);
    type("abc");
    out(&bench, IIR_FCR, 0x00);
    assert_int_equal(in(&bench, LSR), 0x60);
    assert_int_equal(in(&bench, IIR_FCR), 0x01);
}

static void firmware_finds_it(void **state)
{
    (void)state;
    out(&bench, IER, 0x02);
    assert_int_equal(in(&bench, IER), 0x02);
    assert_int_equal(in(&bench, IIR_FCR) & 0x3f, 0x02);
}

static void nobody_at_the_other_end(void **state)
{
    (void)state;
    struct uart *alone = uart_create(bench.ports, 0x2f8, &bench.line, bench.clock, NULL);
    out(&bench, 0x2f8, 'x');
    assert_int_equal(in(&bench, 0x2fd), 0x60);
    assert_int_equal(in(&bench, 0x2fe), 0x00);
    uart_destroy(alone);
}

static void anything_goes(void **state)
{
    (void)state;
    static const uint16_t ports[] = {DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR, BASE - 2};
    for (unsigned i = 0; i < 16; i++) {
        size_t room = host.room(host.device);
        assert_in_range(room, 0, 16);
        host.receive(host.device, (const uint8_t *)"0123456789abcdef", room);
        if (i == 8)
            bench_hammer(&bench, ports, sizeof(ports) / sizeof(ports[0]));
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(registers_after_reset),
        TEST(the_divisor_is_behind_dlab),
        TEST(bytes_go_out_at_once),
        TEST(transmitter_empty_interrupts_once),
        TEST(without_fifos_there_is_room_for_one),
        TEST(fifos_have_trigger_levels),
        TEST(fewer_bytes_time_out),
        TEST(interrupts_have_priorities),
        TEST(a_full_fifo_keeps_its_first_bytes),
        TEST(loopback_joins_the_modem_lines),
        TEST(resetting_the_fifo_empties_it),
        TEST(firmware_finds_it),
        TEST(nobody_at_the_other_end),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("uart", tests, NULL, NULL);
}

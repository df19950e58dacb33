/* Numbers from the Intel 8254 data sheet; port 61h as the PS/2 reference has it. One tick is 838.1 ns. */
#include "unit/bench.h"

#include <unistd.h>

#include "devices/pit.h"
#include "devices/port61.h"

enum { CHANNEL_0 = 0x40, CHANNEL_2 = 0x42, CONTROL = 0x43, PORT_61 = 0x61, FREQUENCY = 1193182 };

static struct bench bench;
static struct pit *pit;
static struct port61 *port61;

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    pit = pit_create(bench.ports, &bench.line, bench.clock);
    port61 = port61_create(bench.ports, pit, bench.clock);
    bench_pass(&bench, SECONDS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    port61_destroy(port61);
    pit_destroy(pit);
    bench_close(&bench);
    return 0;
}

/* To the middle of the n-th tick from now on. */
static void pass_ticks(uint64_t n)
{
    uint64_t tick = scale(bench.now, FREQUENCY, SECONDS) + n;
    bench_pass(&bench, scale(2 * tick + 1, SECONDS, 2 * FREQUENCY) - bench.now);
}

static void program(unsigned channel, uint8_t mode, uint16_t count)
{
    pass_ticks(1);
    out(&bench, CONTROL, channel << 6 | 0x30 | mode);
    out(&bench, CHANNEL_0 + channel, count);
    out(&bench, CHANNEL_0 + channel, count >> 8);
}

static uint16_t count_of(unsigned channel)
{
    out(&bench, CONTROL, channel << 6);
    uint8_t low = in(&bench, CHANNEL_0 + channel);
    return low | in(&bench, CHANNEL_0 + channel) << 8;
}

static uint8_t status_of(unsigned channel)
{
    out(&bench, CONTROL, 0xe0 | 2 << channel);
    return in(&bench, CHANNEL_0 + channel);
}

static bool output_of(unsigned channel)
{
    return status_of(channel) & 0x80;
}

static void the_bios_gets_its_18_ticks_a_second(void **state)
{
    (void)state;
    program(0, 0x04, 0);
    unsigned before = bench.probe.rises;
    bench_pass(&bench, 60 * SECONDS);
    assert_int_equal(bench.probe.rises - before, 60ull * FREQUENCY / 65536);
}

static void mode_0_rises_once_at_terminal_count(void **state)
{
    (void)state;
    program(0, 0x00, 100);
    assert_false(bench.probe.level);
    assert_int_equal(count_of(0), 100);
    pass_ticks(1);
    assert_int_equal(count_of(0), 100);
    pass_ticks(40);
    assert_int_equal(count_of(0), 60);
    unsigned before = bench.probe.rises;
    pass_ticks(59);
    assert_false(output_of(0));
    pass_ticks(1);
    assert_true(output_of(0));
    assert_true(bench.probe.level);
    pass_ticks(1);
    assert_int_equal(count_of(0), 0xffff);
    bench_pass(&bench, 10 * SECONDS);
    assert_int_equal(bench.probe.rises - before, 1);
}

static void mode_0_stops_at_the_first_of_two_bytes(void **state)
{
    (void)state;
    program(0, 0x00, 1000);
    pass_ticks(2000);
    assert_true(output_of(0));
    out(&bench, CHANNEL_0, 0x10);
    assert_false(output_of(0));
    pass_ticks(5000);
    assert_false(output_of(0));
    out(&bench, CHANNEL_0, 0x00);
    pass_ticks(16);
    assert_false(output_of(0));
    pass_ticks(1);
    assert_true(output_of(0));
}

static void mode_2_is_low_for_one_tick(void **state)
{
    (void)state;
    program(0, 0x04, 4);
    pass_ticks(1);
    static const uint16_t counts[] = {4, 3, 2, 1, 4, 3, 2, 1, 4};
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        assert_int_equal(count_of(0), counts[i]);
        assert_int_equal(output_of(0), counts[i] != 1);
        pass_ticks(1);
    }
}

static void mode_2_takes_a_new_count_when_the_period_ends(void **state)
{
    (void)state;
    program(0, 0x04, 1000);
    pass_ticks(401);
    assert_int_equal(count_of(0), 600);
    out(&bench, CHANNEL_0, 50);
    out(&bench, CHANNEL_0, 0);
    assert_int_equal(status_of(0) & 0x40, 0x40);
    assert_int_equal(count_of(0), 600);
    pass_ticks(599);
    assert_int_equal(count_of(0), 1);
    pass_ticks(1);
    assert_int_equal(count_of(0), 50);
    assert_int_equal(status_of(0) & 0x40, 0);
}

static void mode_3_is_a_square_wave(void **state)
{
    (void)state;
    program(0, 0x06, 6);
    pass_ticks(1);
    static const uint16_t even[] = {6, 4, 2, 6, 4, 2, 6};
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(count_of(0), even[i]);
        assert_int_equal(output_of(0), i % 6 < 3);
        pass_ticks(1);
    }
    program(0, 0x06, 5);
    pass_ticks(1);
    static const uint16_t odd[] = {4, 2, 0, 4, 2, 4, 2, 0};
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(count_of(0), odd[i]);
        assert_int_equal(output_of(0), i % 5 < 3);
        pass_ticks(1);
    }
    program(0, 0x06, 1193);
    unsigned before = bench.probe.rises;
    bench_pass(&bench, SECONDS);
    assert_in_range(bench.probe.rises - before, 1000, 1000);
}

static void mode_3_takes_a_new_count_at_the_half(void **state)
{
    (void)state;
    program(0, 0x06, 100);
    pass_ticks(1 + 10);
    out(&bench, CHANNEL_0, 20);
    out(&bench, CHANNEL_0, 0);
    pass_ticks(39);
    assert_true(output_of(0));
    pass_ticks(1);
    assert_false(output_of(0)); /* the low half is ten ticks long */
    pass_ticks(9);
    assert_false(output_of(0));
    pass_ticks(1);
    assert_true(output_of(0));
    pass_ticks(10);
    assert_false(output_of(0));
}

static void mode_4_strobes_low_once(void **state)
{
    (void)state;
    program(0, 0x08, 10);
    assert_true(output_of(0));
    unsigned before = bench.probe.rises;
    pass_ticks(10);
    assert_true(output_of(0));
    pass_ticks(1);
    assert_false(output_of(0));
    pass_ticks(1);
    assert_true(output_of(0));
    bench_pass(&bench, SECONDS);
    assert_int_equal(bench.probe.rises - before, 1);
}

static void modes_1_and_5_wait_for_the_gate(void **state)
{
    (void)state;
    program(2, 0x02, 20);
    pass_ticks(100);
    assert_true(output_of(2));
    out(&bench, PORT_61, 0x01);
    pass_ticks(1);
    assert_false(output_of(2));
    pass_ticks(19);
    assert_false(output_of(2));
    pass_ticks(1);
    assert_true(output_of(2));
    out(&bench, PORT_61, 0x00);
    assert_true(output_of(2));
    program(2, 0x0a, 20);
    out(&bench, PORT_61, 0x01);
    pass_ticks(20);
    assert_true(output_of(2));
    pass_ticks(1);
    assert_false(output_of(2));
    pass_ticks(1);
    assert_true(output_of(2));
}

static void the_gate_stops_the_counting(void **state)
{
    (void)state;
    out(&bench, PORT_61, 0x01);
    program(2, 0x00, 1000);
    pass_ticks(101);
    out(&bench, PORT_61, 0x00);
    assert_int_equal(count_of(2), 900);
    pass_ticks(500);
    assert_int_equal(count_of(2), 900);
    out(&bench, PORT_61, 0x01);
    pass_ticks(100);
    assert_int_equal(count_of(2), 800);
    /* In mode 3 the output goes high, and the rise starts a new period. */
    program(2, 0x06, 100);
    pass_ticks(1 + 60);
    assert_false(output_of(2));
    out(&bench, PORT_61, 0x00);
    assert_true(output_of(2));
    out(&bench, PORT_61, 0x01);
    pass_ticks(1);
    assert_int_equal(count_of(2), 100);
}

static void counts_in_bcd(void **state)
{
    (void)state;
    program(0, 0x01, 0x1234);
    pass_ticks(1);
    assert_int_equal(count_of(0), 0x1234);
    pass_ticks(35);
    assert_int_equal(count_of(0), 0x1199);
    pass_ticks(1199);
    assert_true(output_of(0));
    pass_ticks(1);
    assert_int_equal(count_of(0), 0x9999);
    program(0, 0x05, 0);
    unsigned before = bench.probe.rises;
    bench_pass(&bench, SECONDS);
    assert_int_equal(bench.probe.rises - before, FREQUENCY / 10000);
}

static void latches_hold(void **state)
{
    (void)state;
    program(0, 0x04, 1000);
    pass_ticks(1 + 10);
    out(&bench, CONTROL, 0x00);
    pass_ticks(100);
    out(&bench, CONTROL, 0x00); /* ignored: not yet read */
    assert_int_equal(in(&bench, CHANNEL_0), 990 & 0xff);
    assert_int_equal(in(&bench, CHANNEL_0), 990 >> 8);
    assert_int_equal(in(&bench, CHANNEL_0), 890 & 0xff);
    assert_int_equal(in(&bench, CHANNEL_0), 890 >> 8);
}

static void read_back_latches_status_then_count(void **state)
{
    (void)state;
    program(0, 0x04, 1000);
    pass_ticks(1 + 10);
    out(&bench, CONTROL, 0xc2); /* both, channel 0 */
    pass_ticks(5);
    assert_int_equal(in(&bench, CHANNEL_0), 0xb4); /* OUT high, both bytes, mode 2, binary */
    assert_int_equal(in(&bench, CHANNEL_0), 990 & 0xff);
    assert_int_equal(in(&bench, CHANNEL_0), 990 >> 8);
    out(&bench, CONTROL, 0x34);
    assert_int_equal(status_of(0), 0xf4); /* null count: nothing written yet */
}

static void one_byte_counts(void **state)
{
    (void)state;
    pass_ticks(1);
    out(&bench, CONTROL, 0x14);
    out(&bench, CHANNEL_0, 200);
    pass_ticks(1);
    assert_int_equal(in(&bench, CHANNEL_0), 200);
    out(&bench, CONTROL, 0x24);
    out(&bench, CHANNEL_0, 2);
    pass_ticks(1);
    assert_int_equal(in(&bench, CHANNEL_0), 2);
    pass_ticks(1);
    assert_int_equal(in(&bench, CHANNEL_0), 1);
}

static void firmware_measures_time_by_channel_2(void **state)
{
    (void)state;
    uint8_t old = in(&bench, PORT_61);
    out(&bench, PORT_61, (old & ~2) | 1);
    out(&bench, CONTROL, 0xb0);
    out(&bench, CHANNEL_2, 0x00);
    out(&bench, CHANNEL_2, 0x08);
    uint64_t began = bench.now;
    while (!(in(&bench, PORT_61) & 0x20))
        bench_pass(&bench, MICROSECONDS);
    assert_in_range(bench.now - began, 1716 * MICROSECONDS, 1720 * MICROSECONDS);
}

static void port_61_keeps_four_bits_and_toggles_one(void **state)
{
    (void)state;
    out(&bench, PORT_61, 0xff);
    assert_int_equal(in(&bench, PORT_61) & 0xcf, 0x0f);
    unsigned toggles = 0;
    uint8_t last = in(&bench, PORT_61) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        bench_pass(&bench, MICROSECONDS);
        uint8_t now = in(&bench, PORT_61) & 0x10;
        toggles += now != last;
        last = now;
    }
    assert_in_range(toggles, 65, 67); /* about every 15 microseconds */
}

static void short_counts_cost_the_host_little(void **state)
{
    (void)state;
    for (uint16_t count = 1; count < 100; count += 7) {
        program(0, 0x04, count);
        unsigned before = bench.probe.rises;
        bench_pass(&bench, SECONDS);
        assert_in_range(bench.probe.rises - before, 5000, 10000);
    }
    for (unsigned i = 0; i < 100000; i++)
        program(0, i & 15, i);
}

/* On a clock that runs, a host that comes late makes up for what it missed, and for no more. */
static void missed_edges_are_made_up_for(void **state)
{
    (void)state;
    struct bus *ports = bus_create("port", 0x10000);
    struct clock *clock = clock_create();
    struct probe probe = {0};
    struct pit *late = pit_create(ports, &(struct irq_line){probe_set, &probe, 0}, clock);
    bus_write_locked(ports, CONTROL, 1, 0x34);
    bus_write_locked(ports, CHANNEL_0, 1, 1193 & 0xff);
    bus_write_locked(ports, CHANNEL_0, 1, 1193 >> 8);
    unsigned before = probe.rises;
    clock_start(clock);
    usleep(50000);
    clock_run_due(clock);
    assert_int_equal(probe.rises - before, 1);
    uint64_t expected = 0;
    for (unsigned i = 0; i < 10000; i++) {
        usleep(200);
        clock_run_due(clock);
        expected = scale(clock_now(clock), FREQUENCY, SECONDS) / 1193;
        assert_in_range(probe.rises - before, 1, expected + 1);
        if (probe.rises - before >= expected - 1)
            break;
    }
    assert_in_range(probe.rises - before, expected - 1, expected + 1);
    for (unsigned i = 0; i < 50; i++) {
        usleep(200);
        clock_run_due(clock);
    }
    expected = scale(clock_now(clock), FREQUENCY, SECONDS) / 1193;
    assert_in_range(probe.rises - before, 1, expected + 1);
    pit_destroy(late);
    bus_destroy(ports);
    clock_destroy(clock);
}

static void anything_goes(void **state)
{
    (void)state;
    static const uint16_t ports[] = {0x40, 0x41, 0x42, 0x43, 0x61, 0x3e, 0x40, 0x43};
    bench_hammer(&bench, ports, sizeof(ports) / sizeof(ports[0]));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_bios_gets_its_18_ticks_a_second),
        TEST(mode_0_rises_once_at_terminal_count),
        TEST(mode_0_stops_at_the_first_of_two_bytes),
        TEST(mode_2_is_low_for_one_tick),
        TEST(mode_2_takes_a_new_count_when_the_period_ends),
        TEST(mode_3_is_a_square_wave),
        TEST(mode_3_takes_a_new_count_at_the_half),
        TEST(mode_4_strobes_low_once),
        TEST(modes_1_and_5_wait_for_the_gate),
        TEST(the_gate_stops_the_counting),
        TEST(counts_in_bcd),
        TEST(latches_hold),
        TEST(read_back_latches_status_then_count),
        TEST(one_byte_counts),
        TEST(firmware_measures_time_by_channel_2),
        TEST(port_61_keeps_four_bits_and_toggles_one),
        TEST(short_counts_cost_the_host_little),
        TEST(missed_edges_are_made_up_for),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("pit", tests, NULL, NULL);
}

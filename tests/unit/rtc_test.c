/* Numbers from the Motorola MC146818 data sheet. */
#include "unit/bench.h"

#include <time.h>

#include "devices/rtc.h"

enum { PIE = 0x40, AIE = 0x20, UIE = 0x10, SET = 0x80, BINARY = 0x04, HOURS_24 = 0x02 };

static struct bench bench;
static struct rtc *rtc;

static uint8_t cell(uint8_t index)
{
    out(&bench, 0x70, index);
    return in(&bench, 0x71);
}

static void set_cell(uint8_t index, uint8_t value)
{
    out(&bench, 0x70, index);
    out(&bench, 0x71, value);
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    rtc = rtc_create(bench.ports, &bench.line, bench.clock, 0);
    rtc_set_time(rtc, 951782399); /* Monday, 28 February 2000, 23:59:59 UTC */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rtc_destroy(rtc);
    bench_close(&bench);
    return 0;
}

static void expect(uint8_t century, uint8_t year, uint8_t month, uint8_t day, uint8_t week_day, uint8_t hour,
                   uint8_t minute, uint8_t second)
{
    assert_int_equal(cell(0x32), century);
    assert_int_equal(cell(0x09), year);
    assert_int_equal(cell(0x08), month);
    assert_int_equal(cell(0x07), day);
    assert_int_equal(cell(0x06), week_day);
    assert_int_equal(cell(0x04), hour);
    assert_int_equal(cell(0x02), minute);
    assert_int_equal(cell(0x00), second);
}

static void it_starts_at_the_hosts_time(void **state)
{
    (void)state;
    struct bus *ports = bus_create("port", 0x10000);
    time_t before = time(NULL);
    struct rtc *fresh = rtc_create(ports, &bench.line, bench.clock, 0);
    time_t after = time(NULL);
    struct tm read = {0};
    static const uint8_t index[] = {0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x32};
    int value[7];
    for (unsigned i = 0; i < 7; i++) {
        bus_write_locked(ports, 0x70, 1, index[i]);
        uint8_t bcd = bus_read_locked(ports, 0x71, 1);
        value[i] = (bcd >> 4) * 10 + (bcd & 15);
    }
    read.tm_sec = value[0], read.tm_min = value[1], read.tm_hour = value[2];
    read.tm_mday = value[3], read.tm_mon = value[4] - 1, read.tm_year = value[6] * 100 + value[5] - 1900;
    assert_in_range(timegm(&read), before, after);
    rtc_destroy(fresh);
    bus_destroy(ports);
}

/* What the clock does not count is told to it. */
static void a_pause_is_made_up_for(void **state)
{
    (void)state;
    set_cell(0x0b, HOURS_24 | UIE);
    rtc_pass(rtc, 3 * SECONDS + 500 * MILLISECONDS);
    expect(0x20, 0x00, 0x02, 0x29, 3, 0x00, 0x00, 0x02);
    assert_int_equal(bench.probe.rises, 1); /* not three */
    assert_int_equal(cell(0x0c) & 0x90, 0x90);
    bench_pass(&bench, 500 * MILLISECONDS);
    assert_int_equal(cell(0x00), 0x03);
    assert_int_equal(bench.probe.rises, 2);
}

static void the_calendar_goes_on(void **state)
{
    (void)state;
    expect(0x20, 0x00, 0x02, 0x28, 2, 0x23, 0x59, 0x59);
    bench_pass(&bench, SECONDS);
    expect(0x20, 0x00, 0x02, 0x29, 3, 0x00, 0x00, 0x00); /* 2000 was a leap year */
    bench_pass(&bench, 86400 * SECONDS);
    expect(0x20, 0x00, 0x03, 0x01, 4, 0x00, 0x00, 0x00);
    bench_pass(&bench, (365ull - 60) * 86400 * SECONDS);
    expect(0x20, 0x00, 0x12, 0x31, 1, 0x00, 0x00, 0x00);
}

static void the_century_turns(void **state)
{
    (void)state;
    rtc_set_time(rtc, 946684799); /* Friday, 31 December 1999, 23:59:59 */
    expect(0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59);
    bench_pass(&bench, SECONDS);
    expect(0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00);
}

static void binary_and_twelve_hours(void **state)
{
    (void)state;
    set_cell(0x0b, SET | BINARY | HOURS_24);
    set_cell(0x04, 23);
    set_cell(0x02, 59);
    set_cell(0x00, 58);
    set_cell(0x0b, BINARY | HOURS_24);
    assert_int_equal(cell(0x00), 58);
    bench_pass(&bench, SECONDS);
    assert_int_equal(cell(0x00), 59);
    set_cell(0x0b, SET);
    set_cell(0x04, 0x80 | 0x11); /* 11:59:59 pm */
    set_cell(0x02, 0x59);
    set_cell(0x00, 0x59);
    set_cell(0x07, 0x01), set_cell(0x08, 0x01), set_cell(0x09, 0x00), set_cell(0x32, 0x20);
    set_cell(0x0b, 0);
    bench_pass(&bench, SECONDS);
    assert_int_equal(cell(0x04), 0x12); /* 12 am */
    assert_int_equal(cell(0x07), 0x02);
    bench_pass(&bench, 12 * 3600 * SECONDS);
    assert_int_equal(cell(0x04), 0x92);
    bench_pass(&bench, 3600 * SECONDS);
    assert_int_equal(cell(0x04), 0x81);
}

static void set_holds_the_time(void **state)
{
    (void)state;
    set_cell(0x0b, SET | HOURS_24);
    bench_pass(&bench, 10 * SECONDS);
    assert_int_equal(cell(0x00), 0x59);
    assert_int_equal(cell(0x0a) & 0x80, 0);
    set_cell(0x0b, HOURS_24);
    bench_pass(&bench, SECONDS);
    assert_int_equal(cell(0x00), 0x00);
}

static void uip_announces_the_update(void **state)
{
    (void)state;
    bench_pass(&bench, 997 * MILLISECONDS);
    assert_int_equal(cell(0x0a) & 0x80, 0);
    bench_pass(&bench, 1 * MILLISECONDS); /* 244 + 1984 microseconds before the end */
    assert_int_equal(cell(0x0a) & 0x80, 0x80);
    assert_int_equal(cell(0x00), 0x59);
    bench_pass(&bench, 2 * MILLISECONDS);
    assert_int_equal(cell(0x0a) & 0x80, 0);
    assert_int_equal(cell(0x00), 0x00);
}

static void the_divider_restarts_half_a_second_before_an_update(void **state)
{
    (void)state;
    bench_pass(&bench, 300 * MILLISECONDS);
    set_cell(0x0a, 0x66);
    bench_pass(&bench, 5 * SECONDS);
    assert_int_equal(cell(0x00), 0x59);
    set_cell(0x0a, 0x26);
    bench_pass(&bench, 499 * MILLISECONDS);
    assert_int_equal(cell(0x00), 0x59);
    bench_pass(&bench, 2 * MILLISECONDS);
    assert_int_equal(cell(0x00), 0x00);
}

static void the_update_interrupt(void **state)
{
    (void)state;
    set_cell(0x0b, HOURS_24 | UIE);
    cell(0x0c);
    bench_pass(&bench, 999 * MILLISECONDS);
    assert_false(bench.probe.level);
    bench_pass(&bench, 1 * MILLISECONDS);
    assert_true(bench.probe.level);
    assert_int_equal(cell(0x0c) & 0x90, 0x90);
    assert_false(bench.probe.level);
    assert_int_equal(cell(0x0c), 0x00);
}

static void the_periodic_interrupt(void **state)
{
    (void)state;
    /* Rate, interrupts a second: table 5, with a 32.768 kHz crystal. */
    static const unsigned rates[16] = {0,   256, 128, 8192, 4096, 2048, 1024, 512,
                                       256, 128, 64,  32,   16,   8,    4,    2};
    for (unsigned rate = 0; rate < 16; rate++) {
        unsigned count = 0;
        set_cell(0x0a, 0x20 | rate);
        set_cell(0x0b, HOURS_24 | PIE);
        cell(0x0c);
        for (unsigned i = 0; i < 100000; i++) {
            bench_pass(&bench, 10 * MICROSECONDS);
            count += bench.probe.level;
            if (bench.probe.level)
                assert_int_equal(cell(0x0c) & 0xc0, 0xc0);
        }
        assert_in_range(count, rates[rate] ? rates[rate] - 1 : 0, rates[rate] + (rates[rate] ? 1 : 0));
    }
}

static void unacknowledged_it_interrupts_once(void **state)
{
    (void)state;
    set_cell(0x0a, 0x23);
    set_cell(0x0b, HOURS_24 | PIE);
    bench_pass(&bench, 10 * SECONDS);
    assert_int_equal(bench.probe.rises, 1);
}

static void the_alarm(void **state)
{
    (void)state;
    set_cell(0x05, 0x07), set_cell(0x03, 0x30), set_cell(0x01, 0x15);
    set_cell(0x0b, HOURS_24 | AIE);
    cell(0x0c);
    bench_pass(&bench, (7 * 3600 + 30 * 60 + 15) * SECONDS);
    assert_false(bench.probe.level);
    bench_pass(&bench, SECONDS);
    assert_true(bench.probe.level);
    assert_int_equal(cell(0x0c) & 0xa0, 0xa0);
    bench_pass(&bench, 86399 * SECONDS);
    assert_false(bench.probe.level);
    bench_pass(&bench, SECONDS);
    assert_true(bench.probe.level);
    cell(0x0c);
    set_cell(0x05, 0xff), set_cell(0x03, 0xc0); /* every hour and minute */
    bench_pass(&bench, 59 * SECONDS);
    assert_false(bench.probe.level);
    bench_pass(&bench, SECONDS);
    assert_true(bench.probe.level);
    cell(0x0c);
    set_cell(0x01, 0x75); /* never */
    bench_pass(&bench, 2 * 86400 * SECONDS);
    assert_false(bench.probe.level);
}

static void flags_come_without_their_enables(void **state)
{
    (void)state;
    set_cell(0x01, 0x02), set_cell(0x03, 0x00), set_cell(0x05, 0x00);
    cell(0x0c);
    bench_pass(&bench, 2 * SECONDS);
    assert_int_equal(cell(0x0c), 0x50);
    bench_pass(&bench, SECONDS);
    assert_int_equal(cell(0x0c), 0x70);
    assert_int_equal(bench.probe.rises, 0);
}

static void reset_keeps_time_and_memory(void **state)
{
    (void)state;
    rtc_set_cell(rtc, 0x10, 0x40);
    set_cell(0x0b, HOURS_24 | PIE | AIE | UIE);
    bench_pass(&bench, SECONDS);
    assert_true(bench.probe.level);
    rtc_reset(rtc);
    assert_false(bench.probe.level);
    assert_int_equal(cell(0x0b), HOURS_24);
    assert_int_equal(cell(0x0c), 0);
    assert_int_equal(cell(0x0d), 0x80);
    assert_int_equal(cell(0x10), 0x40);
    assert_int_equal(cell(0x07), 0x29);
}

static void memory_has_128_cells(void **state)
{
    (void)state;
    for (unsigned i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            set_cell(i, i ^ 0x5a);
    for (unsigned i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            assert_int_equal(cell(0x80 | i), i ^ 0x5a);
    rtc_set_cell(rtc, 1000, 1);
    assert_int_equal(rtc_cell(rtc, 1000), 0xff);
}

static void nonsense_in_the_cells_is_survived(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        set_cell(0x0b, value & (SET | BINARY | HOURS_24));
        for (unsigned i = 0; i < 10; i++)
            set_cell(i, value + 37 * i);
        set_cell(0x32, value);
        set_cell(0x0b, (value & (BINARY | HOURS_24)) | AIE | UIE);
        bench_pass(&bench, 3 * SECONDS);
        for (unsigned i = 0; i < 14; i++)
            cell(i);
    }
    set_cell(0x0b, HOURS_24);
    rtc_set_time(rtc, 951782399);
    expect(0x20, 0x00, 0x02, 0x28, 2, 0x23, 0x59, 0x59);
}

static void anything_goes(void **state)
{
    (void)state;
    static const uint16_t ports[] = {0x70, 0x71, 0x70, 0x71, 0x6f, 0x6e};
    bench_hammer(&bench, ports, sizeof(ports) / sizeof(ports[0]));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_starts_at_the_hosts_time),
        TEST(a_pause_is_made_up_for),
        TEST(the_calendar_goes_on),
        TEST(the_century_turns),
        TEST(binary_and_twelve_hours),
        TEST(set_holds_the_time),
        TEST(uip_announces_the_update),
        TEST(the_divider_restarts_half_a_second_before_an_update),
        TEST(the_update_interrupt),
        TEST(the_periodic_interrupt),
        TEST(unacknowledged_it_interrupts_once),
        TEST(the_alarm),
        TEST(flags_come_without_their_enables),
        TEST(reset_keeps_time_and_memory),
        TEST(memory_has_128_cells),
        TEST(nonsense_in_the_cells_is_survived),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("rtc", tests, NULL, NULL);
}

/* Numbers from Intel's IA-PC HPET Specification 1.0a, chapter 2.3. */
#include "unit/bench.h"

#include "devices/hpet.h"

enum {
    CONFIG = 0x10,
    STATUS = 0x20,
    COUNTER = 0xf0,
    TIMER0 = 0x100,
    COMPARATOR0 = 0x108,
    TIMER1 = 0x120,
    COMPARATOR1 = 0x128,
    LEVEL = 1 << 1,
    ENABLE = 1 << 2,
    PERIODIC = 1 << 3,
    SET = 1 << 6,
    BITS_32 = 1 << 8,
    ROUTE_20 = 20 << 9,
};

static struct bench bench;
static struct bus *mmio;
static struct hpet *hpet;
static struct irq_line lines[HPET_LINES];

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    mmio = bus_create("mmio", UINT64_MAX);
    lines[20] = bench.line;
    hpet = hpet_create(mmio, bench.clock, lines);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hpet_destroy(hpet);
    bus_destroy(mmio);
    bench_close(&bench);
    return 0;
}

static uint64_t get(unsigned offset, unsigned size)
{
    return bus_read_locked(mmio, 0xfed00000 + offset, size);
}

static void set(unsigned offset, uint64_t value, unsigned size)
{
    bus_write_locked(mmio, 0xfed00000 + offset, size, value);
}

static void it_says_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(get(0, 4), 0x80862201); /* Intel, 64 bits, timers 0 to 2, no legacy route, revision 1 */
    assert_int_equal(get(4, 4), 10000000);   /* femtoseconds */
    assert_int_equal(get(0, 8), 10000000ull << 32 | 0x80862201);
    for (unsigned timer = 0; timer < 3; timer++) {
        assert_int_equal(get(0x100 + 0x20 * timer, 4), 0x30); /* periodic and 64 bits it can */
        assert_int_equal(get(0x104 + 0x20 * timer, 4), 1 << 20);
    }
    assert_int_equal(get(0x160, 8), 0);
    set(0, UINT64_MAX, 8);
    assert_int_equal(get(0, 4), 0x80862201);
}

static void the_counter_counts_while_it_is_enabled(void **state)
{
    (void)state;
    bench_pass(&bench, SECONDS);
    assert_int_equal(get(COUNTER, 8), 0);
    set(CONFIG, 1, 4);
    bench_pass(&bench, SECONDS + 5);
    assert_int_equal(get(COUNTER, 8), 100000000);
    bench_pass(&bench, 5);
    assert_int_equal(get(COUNTER, 4), 100000001);
    set(CONFIG, 0, 4);
    bench_pass(&bench, SECONDS);
    assert_int_equal(get(COUNTER, 4), 100000001);
    set(COUNTER, 0x12345678fffffff0, 8);
    set(CONFIG, 1, 4);
    bench_pass(&bench, 320);
    assert_int_equal(get(COUNTER, 8), 0x1234567900000010);
    assert_int_equal(get(COUNTER + 4, 4), 0x12345679);
    assert_int_equal(get(CONFIG, 8), 1);
    set(CONFIG, 3, 4);
    assert_int_equal(get(CONFIG, 8), 1); /* the legacy route can't be had */
}

static void once_by_edge(void **state)
{
    (void)state;
    set(TIMER0, ENABLE | ROUTE_20, 4);
    set(COMPARATOR0, 1000, 8);
    set(CONFIG, 1, 4);
    bench_pass(&bench, 9990);
    assert_int_equal(bench.probe.rises, 0);
    bench_pass(&bench, 10);
    assert_int_equal(bench.probe.rises, 1);
    assert_false(bench.probe.level);
    assert_int_equal(get(STATUS, 4), 0);
    bench_pass(&bench, 100 * SECONDS);
    assert_int_equal(bench.probe.rises, 1);
}

/* A comparator that the counter has passed waits until it comes round. */
static void thirty_two_bits_come_round(void **state)
{
    (void)state;
    set(CONFIG, 1, 4);
    bench_pass(&bench, 10000);
    set(TIMER0, ENABLE | ROUTE_20 | BITS_32, 4);
    set(COMPARATOR0, 999, 4);
    bench_pass(&bench, 42 * SECONDS);
    assert_int_equal(bench.probe.rises, 0);
    bench_pass(&bench, SECONDS); /* 2^32 ticks are 42.95 s */
    assert_int_equal(bench.probe.rises, 1);
}

static void levels_stay_until_they_are_cleared(void **state)
{
    (void)state;
    set(TIMER0, ENABLE | LEVEL | ROUTE_20, 4);
    set(TIMER1, ENABLE | LEVEL | ROUTE_20, 4);
    set(COMPARATOR0, 10, 8);
    set(COMPARATOR1, 20, 8);
    set(CONFIG, 1, 4);
    bench_pass(&bench, 100);
    assert_true(bench.probe.level);
    assert_int_equal(get(STATUS, 4), 1);
    bench_pass(&bench, 100);
    assert_int_equal(get(STATUS, 4), 3);
    set(STATUS, 1, 4);
    assert_true(bench.probe.level); /* the other's */
    set(STATUS, 0, 4);
    assert_int_equal(get(STATUS, 4), 2);
    set(STATUS, 2, 4);
    assert_false(bench.probe.level);
    assert_int_equal(bench.probe.rises, 1);
}

static void without_the_enable_bit_only_the_status_tells(void **state)
{
    (void)state;
    set(TIMER0, LEVEL | ROUTE_20, 4);
    set(COMPARATOR0, 10, 8);
    set(CONFIG, 1, 4);
    bench_pass(&bench, 1000);
    assert_int_equal(get(STATUS, 4), 1);
    assert_int_equal(bench.probe.rises, 0);
}

/* As Linux sets it: the first time, then the period. */
static void periodic(void **state)
{
    (void)state;
    set(CONFIG, 1, 4);
    set(TIMER0, ENABLE | PERIODIC | SET | BITS_32 | ROUTE_20, 4);
    set(COMPARATOR0, 100000, 4);
    set(COMPARATOR0, 200000, 4);
    assert_int_equal(get(TIMER0, 4) & SET, 0);
    for (unsigned i = 0; i < 10; i++) {
        bench_pass(&bench, MILLISECONDS);
        assert_int_equal(bench.probe.rises, (i + 2) / 2);
    }
    bench_pass(&bench, 2 * SECONDS); /* each in its time */
    assert_int_equal(bench.probe.rises, 5 + 1000);
}

static void short_periods_are_held_back(void **state)
{
    (void)state;
    set(CONFIG, 1, 4);
    set(TIMER0, ENABLE | PERIODIC | SET | ROUTE_20, 4);
    set(COMPARATOR0, 1, 8);
    bench_pass(&bench, 10 * MILLISECONDS);
    assert_in_range(bench.probe.rises, 490, 510);
    set(COMPARATOR0, 0, 8); /* no period: none */
    bench_pass(&bench, MILLISECONDS);
    assert_in_range(bench.probe.rises, 490, 511);
}

static void a_route_that_is_not_there(void **state)
{
    (void)state;
    set(TIMER0, ENABLE | 5 << 9, 4);
    assert_int_equal(get(TIMER0, 4) & 0x3e00, 0);
    set(COMPARATOR0, 10, 8);
    set(CONFIG, 1, 4);
    bench_pass(&bench, 1000);
    assert_int_equal(bench.probe.rises, 0);
}

static void reset_stops_it(void **state)
{
    (void)state;
    set(TIMER0, ENABLE | LEVEL | ROUTE_20, 4);
    set(COMPARATOR0, 10, 8);
    set(CONFIG, 1, 4);
    bench_pass(&bench, 1000);
    hpet_reset(hpet);
    assert_false(bench.probe.level);
    assert_int_equal(get(CONFIG, 4), 0);
    assert_int_equal(get(COUNTER, 8), 0);
    assert_int_equal(get(COMPARATOR0, 8), UINT64_MAX);
}

static void anything_can_be_written(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t random = bench_random(&seed);
        unsigned size = 1u << (random >> 16 & 3), offset = random >> 8 & 0x1ff;
        if (random & 3)
            set(offset, random >> (random >> 60), size);
        else
            get(offset, size);
        if (!(random >> 56 & 15))
            bench_pass(&bench, (random >> 40) % (50 * MICROSECONDS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(the_counter_counts_while_it_is_enabled, setup, teardown),
        cmocka_unit_test_setup_teardown(once_by_edge, setup, teardown),
        cmocka_unit_test_setup_teardown(thirty_two_bits_come_round, setup, teardown),
        cmocka_unit_test_setup_teardown(levels_stay_until_they_are_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(without_the_enable_bit_only_the_status_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(periodic, setup, teardown),
        cmocka_unit_test_setup_teardown(short_periods_are_held_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_route_that_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_stops_it, setup, teardown),
        cmocka_unit_test_setup_teardown(anything_can_be_written, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

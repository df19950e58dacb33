/* Numbers: Intel 6300ESB I/O Controller Hub datasheet (300641), chapter 16; 33 MHz. */
#include "unit/bench.h"

#include "devices/i6300esb.h"

#define BASE 0xfebf0000u

enum {
    SLOT = 4,
    PRELOAD_1 = 0,
    PRELOAD_2 = 4,
    STATUS = 8,
    RELOAD = 12,
    UNIT = 992970 /* ns: 2^15 / 33 MHz */
};

static struct bench bench;
static struct bus *mmio;
static struct memory *memory;
static struct pci_bus *pci;
static struct i6300esb *watchdog;
static unsigned expired;

static void on_expired(void *opaque)
{
    (void)opaque;
    expired++;
}

static void config(unsigned offset, unsigned size, uint32_t value)
{
    bus_write_locked(bench.ports, 0xcf8, 4, 0x80000000u | SLOT << 11 | (offset & 0xfc));
    bus_write_locked(bench.ports, 0xcfc + (offset & 3), size, value);
}

static uint32_t config_read(unsigned offset, unsigned size)
{
    bus_write_locked(bench.ports, 0xcf8, 4, 0x80000000u | SLOT << 11 | (offset & 0xfc));
    return (uint32_t)bus_read_locked(bench.ports, 0xcfc + (offset & 3), size);
}

static void set(unsigned offset, unsigned size, uint32_t value)
{
    bus_write_locked(mmio, BASE + offset, size, value);
}

static uint32_t get(unsigned offset)
{
    return (uint32_t)bus_read_locked(mmio, BASE + offset, 4);
}

static void unlock(void)
{
    set(RELOAD, 2, 0x80);
    set(RELOAD, 2, 0x86);
}

static void preload(uint32_t first, uint32_t second)
{
    unlock();
    set(PRELOAD_1, 4, first);
    unlock();
    set(PRELOAD_2, 4, second);
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    mmio = bus_create("mmio", UINT64_MAX);
    memory = memory_create(1 << 20);
    pci = pci_create(bench.ports, mmio, memory);
    watchdog = i6300esb_create(&(struct i6300esb_wiring){
        .pci = pci, .slot = SLOT, .clock = bench.clock, .expired = {on_expired, NULL}});
    config(0x10, 4, BASE);
    config(4, 2, 2);
    expired = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    i6300esb_destroy(watchdog);
    pci_destroy(pci);
    memory_destroy(memory);
    bus_destroy(mmio);
    bench_close(&bench);
    return 0;
}

static void it_expires_after_two_stages(void **state)
{
    (void)state;
    assert_int_equal(config_read(0, 4), 0x25ab8086);
    preload(999, 499);
    assert_int_equal(get(PRELOAD_1), 999);
    config(0x68, 1, 2);
    bench_pass(&bench, 999ull * UNIT);
    assert_int_equal(get(STATUS), 0);
    bench_pass(&bench, 2ull * UNIT);
    assert_int_equal(get(STATUS), 1);
    set(STATUS, 4, 1);
    assert_int_equal(get(STATUS), 0);
    bench_pass(&bench, 498ull * UNIT);
    assert_int_equal(expired, 0);
    bench_pass(&bench, 2ull * UNIT);
    assert_int_equal(expired, 1);
    assert_int_equal(get(RELOAD), 1 << 9);
    bench_pass(&bench, 100 * SECONDS);
    assert_int_equal(expired, 1);
}

static void a_guest_that_lives_reloads_it(void **state)
{
    (void)state;
    preload(999, 499);
    config(0x68, 1, 2);
    for (unsigned i = 0; i < 20; i++) {
        bench_pass(&bench, SECONDS);
        unlock();
        set(RELOAD, 2, 0x100);
    }
    assert_int_equal(expired, 0);
    set(RELOAD, 2, 0x100); /* without the sequence it counts for nothing */
    bench_pass(&bench, SECONDS);
    set(RELOAD, 2, 0x100);
    bench_pass(&bench, SECONDS);
    assert_int_equal(expired, 1);
}

static void registers_are_shut_without_the_sequence(void **state)
{
    (void)state;
    set(PRELOAD_1, 4, 5);
    assert_int_equal(get(PRELOAD_1), 0xfffff);
    set(RELOAD, 2, 0x86);
    set(PRELOAD_1, 4, 5);
    assert_int_equal(get(PRELOAD_1), 0xfffff);
    unlock();
    set(PRELOAD_1, 4, 0xfff00005);
    assert_int_equal(get(PRELOAD_1), 5);
    set(PRELOAD_1, 4, 6);
    assert_int_equal(get(PRELOAD_1), 5);
}

static void the_lock_holds_until_reset(void **state)
{
    (void)state;
    preload(9, 9);
    config(0x68, 1, 3);
    config(0x68, 1, 0);
    assert_int_equal(config_read(0x68, 1), 3);
    bench_pass(&bench, SECONDS);
    assert_int_equal(expired, 1);
    pci_reset(pci);
    i6300esb_reset(watchdog);
    assert_int_equal(config_read(0x68, 1), 0);
    config(0x10, 4, BASE);
    config(4, 2, 2);
    assert_int_equal(get(RELOAD), 1 << 9); /* that it was the watchdog is remembered */
    unlock();
    set(RELOAD, 2, 0x200);
    assert_int_equal(get(RELOAD), 0);
}

static void without_an_output_nothing_is_done(void **state)
{
    (void)state;
    preload(9, 9);
    config(0x60, 2, 0x23);
    config(0x68, 1, 2);
    bench_pass(&bench, SECONDS);
    assert_int_equal(expired, 0);
    assert_int_equal(get(RELOAD), 1 << 9);
}

static void it_can_run_freely_and_fast(void **state)
{
    (void)state;
    preload(999, 999);
    config(0x60, 2, 4); /* 2^5 clocks, 0.97 us each */
    config(0x68, 1, 6);
    bench_pass(&bench, 20 * MILLISECONDS);
    assert_in_range(expired, 9, 11);
    config(0x68, 1, 0);
    bench_pass(&bench, SECONDS);
    assert_in_range(expired, 9, 11);
}

static void anything_can_be_written(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t random = bench_random(&seed);
        if (random & 1)
            set(random >> 8 & 15, 1u << (random >> 16) % 3, (uint32_t)(random >> 20) >> (random >> 59));
        else
            config(0x60 + (random >> 8 & 15), 1, random >> 16 & 0xff);
        get(random >> 24 & 15);
        if (!(random >> 56 & 15))
            bench_pass(&bench, (random >> 40) % MILLISECONDS);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(it_expires_after_two_stages),
        TEST(a_guest_that_lives_reloads_it),
        TEST(registers_are_shut_without_the_sequence),
        TEST(the_lock_holds_until_reset),
        TEST(without_an_output_nothing_is_done),
        TEST(it_can_run_freely_and_fast),
        TEST(anything_can_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit/unit.h"

#include <string.h>

#include "core/bus.h"

struct recorder {
    unsigned accesses;
    uint64_t offset[16], value[16];
    unsigned size[16];
};

static uint64_t recorder_read(void *device, uint64_t offset, unsigned size)
{
    struct recorder *recorder = device;
    recorder->offset[recorder->accesses] = offset;
    recorder->size[recorder->accesses++] = size;
    return 0x10 + offset;
}

static void recorder_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct recorder *recorder = device;
    recorder->offset[recorder->accesses] = offset;
    recorder->value[recorder->accesses] = value;
    recorder->size[recorder->accesses++] = size;
}

static struct bus_range range_of(struct recorder *recorder, uint64_t base, uint64_t size, unsigned widest)
{
    return (struct bus_range){base, size, "test", recorder, recorder_read, recorder_write, widest};
}

static void unclaimed_reads_ones(void **state)
{
    (void)state;
    struct bus *bus = bus_create("port", 0x10000);
    assert_int_equal(bus_read(bus, 0x80, 1), 0xff);
    assert_int_equal(bus_read(bus, 0x80, 2), 0xffff);
    assert_int_equal(bus_read(bus, 0xffff, 4), 0xffffffff);
    bus_write(bus, 0x80, 4, 0);
    bus_destroy(bus);
}

static void wide_accesses_are_split(void **state)
{
    (void)state;
    struct bus *bus = bus_create("port", 0x10000);
    struct recorder bytes = {0}, words = {0};
    struct bus_range byte_range = range_of(&bytes, 0x60, 4, 1), word_range = range_of(&words, 0x1f0, 8, 2);
    bus_add(bus, &byte_range);
    bus_add(bus, &word_range);
    assert_int_equal(bus_read(bus, 0x60, 4), 0x13121110);
    assert_int_equal(bytes.accesses, 4);
    bus_write(bus, 0x1f0, 4, 0xaabbccdd);
    assert_int_equal(words.accesses, 2);
    assert_int_equal(words.value[0], 0xccdd);
    assert_int_equal(words.value[1], 0xaabb);
    assert_int_equal(words.offset[1], 2);
    bus_destroy(bus);
}

static void straddling_goes_by_bytes(void **state)
{
    (void)state;
    struct bus *bus = bus_create("port", 0x10000);
    struct recorder low = {0}, high = {0};
    struct bus_range low_range = range_of(&low, 0x100, 2, 4), high_range = range_of(&high, 0x102, 1, 4);
    bus_add(bus, &low_range);
    bus_add(bus, &high_range);
    assert_int_equal(bus_read(bus, 0x101, 4), 0xffff1011); /* low's second, high's, two of nobody's */
    assert_int_equal(low.accesses, 1);
    assert_int_equal(high.accesses, 1);
    /* Nobody at the first byte, somebody further on. */
    assert_int_equal(bus_read(bus, 0xff, 2), 0x10ff);
    bus_destroy(bus);
}

static void fixed_ranges_win_over_movable(void **state)
{
    (void)state;
    struct bus *bus = bus_create("mmio", UINT64_MAX);
    struct recorder bar = {0}, fixed = {0}, second = {0};
    struct bus_range bar_range = range_of(&bar, 0xfee00000, 0x2000, 4);
    struct bus_range fixed_range = range_of(&fixed, 0xfee01000, 0x1000, 4);
    struct bus_range second_range = range_of(&second, 0xfee00000, 0x1000, 4);
    bus_add_movable(bus, &bar_range);
    bus_add_movable(bus, &second_range);
    bus_write(bus, 0xfee01000, 4, 1); /* warms the look-up's memory */
    bus_add(bus, &fixed_range);
    bus_write(bus, 0xfee01000, 4, 1);
    bus_write(bus, 0xfee00000, 4, 1);
    assert_int_equal(bar.accesses, 2);
    assert_int_equal(fixed.accesses, 1);
    assert_int_equal(second.accesses, 0);
    bus_remove(bus, &bar, 0xfee00000);
    bus_write(bus, 0xfee00000, 4, 1);
    assert_int_equal(second.accesses, 1);
    bus_destroy(bus);
}

static void impossible_bars_are_ignored(void **state)
{
    (void)state;
    struct bus *bus = bus_create("port", 0x10000);
    struct recorder bar = {0};
    struct bus_range range = range_of(&bar, 0xfff0, 0x20, 1);
    bus_add_movable(bus, &range);
    assert_int_equal(bus_read(bus, 0xfff8, 1), 0xff);
    assert_int_equal(bar.accesses, 0);
    bus_destroy(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unclaimed_reads_ones),        cmocka_unit_test(wide_accesses_are_split),
        cmocka_unit_test(straddling_goes_by_bytes),    cmocka_unit_test(fixed_ranges_win_over_movable),
        cmocka_unit_test(impossible_bars_are_ignored),
    };
    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}

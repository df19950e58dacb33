/* The backdoor with the numbers that Linux's vmmouse driver uses, in the order in which it does. */
#include "unit/bench.h"

#include <string.h>

#include "devices/vmmouse.h"

static struct bench bench;
static struct vmmouse *vmmouse;
static struct input_sink sink;
static uint32_t cpu[VMMOUSE_REGISTERS];
static bool at_the_port;
static unsigned reports;

static bool registers(void *opaque, uint32_t *values, bool store)
{
    (void)opaque;
    memcpy(store ? cpu : values, store ? values : cpu, sizeof(cpu));
    return at_the_port;
}

static void report(void *opaque)
{
    (void)opaque;
    reports++;
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    vmmouse = vmmouse_create(bench.ports, &(struct vmmouse_wiring){registers, report, NULL});
    sink = vmmouse_input(vmmouse);
    at_the_port = true;
    reports = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vmmouse_destroy(vmmouse);
    bench_close(&bench);
    return 0;
}

static uint32_t call(uint32_t command, uint32_t argument)
{
    cpu[VMMOUSE_EAX] = 0x564d5868;
    cpu[VMMOUSE_EBX] = argument;
    cpu[VMMOUSE_ECX] = command;
    cpu[VMMOUSE_EDX] = 0x5658;
    cpu[VMMOUSE_EAX] = (uint32_t)bus_read_locked(bench.ports, 0x5658, 4);
    return cpu[VMMOUSE_EAX];
}

static void enable(void)
{
    call(41, 0x45414552);
    assert_int_equal(call(40, 0), 1);
    assert_int_equal(call(39, 1), 0x3442554a);
    call(41, 0x53424152);
    assert_int_equal(call(40, 0), 0);
}

static void move(int x, int y, int wheel, unsigned buttons)
{
    sink.pointer(sink.device, &(struct pointer_event){true, x, y, wheel, buttons});
}

static void expect_packet(uint32_t buttons, uint32_t x, uint32_t y, int wheel)
{
    assert_int_equal(call(39, 4), buttons);
    assert_int_equal(cpu[VMMOUSE_EBX], x);
    assert_int_equal(cpu[VMMOUSE_ECX], y);
    assert_int_equal((int32_t)cpu[VMMOUSE_EDX], wheel);
}

static void is_found(void **state)
{
    (void)state;
    assert_int_equal(call(10, ~0x564d5868u), 6);
    assert_int_equal(cpu[VMMOUSE_EBX], 0x564d5868);
    assert_int_equal(call(40, 0), 0xffff0000); /* not enabled */
    assert_int_equal(call(0x77, 0), 0xffffffff);
}

static void is_silent_without_the_magic(void **state)
{
    (void)state;
    cpu[VMMOUSE_EAX] = 0x564d5867;
    cpu[VMMOUSE_ECX] = 10;
    assert_int_equal(bus_read_locked(bench.ports, 0x5658, 4), 0xffffffff);
    assert_int_equal(cpu[VMMOUSE_ECX], 10);
    cpu[VMMOUSE_EAX] = 0x564d5868;
    assert_int_equal(bus_read_locked(bench.ports, 0x5658, 2), 0xffff);
    assert_int_equal(bus_read_locked(bench.ports, 0x5659, 1), 0xff);
    at_the_port = false;
    assert_int_equal(call(10, 0), 0xffffffff);
}

static void positions(void **state)
{
    (void)state;
    assert_false(sink.wants_absolute(sink.device));
    enable();
    assert_true(sink.wants_absolute(sink.device));
    move(0, POSITION_MOST, 0, 0);
    assert_int_equal(reports, 1);
    assert_int_equal(call(40, 0), 4);
    expect_packet(0, 0, 0xffff, 0);
    move(100, 200, 0, 0), move(110, 210, 1, 0), move(120, 220, 1, 0); /* the last one counts */
    move(120, 220, 0, BUTTON_LEFT), move(120, 220, 0, 0), move(0x4000, 220, 0, BUTTON_RIGHT | BUTTON_MIDDLE);
    assert_int_equal(call(40, 0), 16);
    expect_packet(0, 120 * 0xffff / 0x7fff, 220 * 0xffff / 0x7fff, 2);
    expect_packet(0x20, 240, 440, 0);
    expect_packet(0, 240, 440, 0);
    expect_packet(0x18, 0x8000, 440, 0);
    assert_int_equal(call(40, 0), 0);
    call(41, 0x4c455252);
    assert_false(sink.wants_absolute(sink.device));
    call(41, 0x53424152);
    call(41, 0xf5);
    assert_false(sink.wants_absolute(sink.device));
}

static void out_of_step_is_an_error_until_it_is_enabled_anew(void **state)
{
    (void)state;
    enable();
    move(1, 1, 0, 0);
    assert_int_equal(call(39, 3), 0xffff0000);
    assert_int_equal(call(40, 0), 0xffff0000);
    enable();
    assert_int_equal(call(39, 4), 0xffff0000); /* there is none */
    enable();
    for (int i = 0; i < 1000; i++)
        move(i, i, 0, (unsigned)i & 1);
    assert_int_equal(call(40, 0), 256);
    vmmouse_reset(vmmouse);
    assert_int_equal(call(40, 0), 0xffff0000);
}

static void anything_goes(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t random = bench_random(&seed);
        static const uint32_t arguments[] = {0x45414552, 0xf5, 0x4c455252, 0x53424152, 1, 4};
        call(10 + random % 33, random & 64 ? arguments[(random >> 8) % 6] : (uint32_t)(random >> 32));
        if (random & 128)
            move((int)(random >> 16 & 0x7fff), (int)(random >> 40 & 0x7fff), (int)(random & 3) - 1,
                 random >> 12 & 31);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(is_found),      TEST(is_silent_without_the_magic),
        TEST(positions),     TEST(out_of_step_is_an_error_until_it_is_enabled_anew),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("vmmouse", tests, NULL, NULL);
}

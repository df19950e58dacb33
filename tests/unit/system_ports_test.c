/* Port 92h as the PS/2 reference has it; the debug ports as SeaBIOS and QEMU's test programs use them. */
#include "unit/bench.h"

#include "devices/debug.h"
#include "devices/port92.h"

static struct bench bench;
static int resets, exits, status;
static uint8_t last;

static void reset(void *opaque)
{
    (void)opaque;
    resets++;
}

static void exit_called(void *opaque, int value)
{
    (void)opaque;
    exits++;
    status = value;
}

static void host_write(void *opaque, const uint8_t *bytes, size_t size)
{
    (void)opaque;
    last = bytes[size - 1];
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    resets = exits = status = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bench_close(&bench);
    return 0;
}

static void port_92_reads_as_written_and_resets_on_a_rise(void **state)
{
    (void)state;
    struct port92 *port92 = port92_create(bench.ports, &bench.line, reset, NULL);
    assert_int_equal(in(&bench, 0x92) & 0x03, 0x02);
    assert_true(bench.probe.level);
    out(&bench, 0x92, 0x00);
    assert_false(bench.probe.level);
    assert_int_equal(in(&bench, 0x92), 0x00);
    out(&bench, 0x92, 0x01);
    assert_int_equal(resets, 1);
    out(&bench, 0x92, 0x03); /* it has not fallen in between */
    assert_int_equal(resets, 1);
    port92_reset(port92);
    assert_int_equal(in(&bench, 0x92), 0x02);
    assert_true(bench.probe.level);
    port92_destroy(port92);
}

static void debug_consoles_say_that_they_are_there(void **state)
{
    (void)state;
    struct character_port host = {.write = host_write};
    struct debug_console *console = debug_console_create(bench.ports, 0x402, &host);
    assert_int_equal(in(&bench, 0x402), 0xe9);
    out(&bench, 0x402, 'S');
    assert_int_equal(last, 'S');
    debug_console_destroy(console);
    assert_int_equal(in(&bench, 0x402), 0xff);
}

static void the_exit_port_makes_a_status(void **state)
{
    (void)state;
    struct debug_exit *device = debug_exit_create(bench.ports, 0xf4, 4, exit_called, NULL);
    out(&bench, 0xf4, 0x10);
    assert_int_equal(status, 0x21);
    bus_write_locked(bench.ports, 0xf4, 4, 0);
    assert_int_equal(exits, 2);
    assert_int_equal(status, 1);
    bus_write_locked(bench.ports, 0xf4, 4, 0xffffffff);
    assert_int_equal(status, -1);
    debug_exit_destroy(device);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(port_92_reads_as_written_and_resets_on_a_rise),
        TEST(debug_consoles_say_that_they_are_there),
        TEST(the_exit_port_makes_a_status),
    };
    return cmocka_run_group_tests_name("system_ports", tests, NULL, NULL);
}

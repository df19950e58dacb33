/* The controller at AF00h, by QEMU's docs/specs/acpi_cpu_hotplug; and the PIIX4's general-purpose events. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "devices/cpu-hotplug.h"

enum {
    SELECTOR = 0xaf00,
    DATA_2 = 0xaf00,
    FLAGS = 0xaf04,
    COMMAND = 0xaf05,
    DATA = 0xaf08,
    ENABLED = 1,
    INSERT = 2,
    REMOVE = 4,
    EJECT = 8,
};

struct board {
    struct bus *ports;
    struct cpus cpus;
    struct cpu_hotplug *hotplug;
    unsigned events, ejects, ejected;
};

static void event(void *opaque)
{
    ((struct board *)opaque)->events++;
}

static void eject(void *opaque, unsigned cpu)
{
    struct board *board = opaque;
    board->ejects++;
    board->ejected = cpu;
}

/* Six places, in sockets of three: the APIC identifiers are 0, 1, 2, 4, 5, 6. CPUs 0 and 1 are there. */
static int set_up(void **state)
{
    static struct board board;
    memset(&board, 0, sizeof(board));
    board.ports = bus_create("port", 0x10000);
    cpus_set_up(&board.cpus, &(struct topology){2, 1, 3, 1}, 2);
    board.hotplug = cpu_hotplug_create(
        board.ports, &(struct cpu_hotplug_wiring){&board.cpus, {event, &board}, eject, &board});
    *state = &board;
    return 0;
}

static int tear_down(void **state)
{
    struct board *board = *state;
    cpu_hotplug_destroy(board->hotplug);
    bus_destroy(board->ports);
    return 0;
}

static uint32_t in(struct board *board, uint16_t port, unsigned size)
{
    return (uint32_t)bus_read(board->ports, port, size);
}

static void out(struct board *board, uint16_t port, unsigned size, uint32_t value)
{
    bus_write(board->ports, port, size, value);
}

/* "Enumerate CPUs present/non present CPUs" of the specification. */
static void cpus_are_counted(void **state)
{
    struct board *board = *state;
    unsigned present = 0, iterator = 0;
    out(board, SELECTOR, 4, 0);
    out(board, COMMAND, 1, 0);
    do {
        present += in(board, FLAGS, 1) & ENABLED;
        out(board, SELECTOR, 4, ++iterator);
    } while (in(board, DATA, 4) != 0);
    assert_int_equal(iterator, 6);
    assert_int_equal(present, 2);
}

static void the_modern_interface_is_found(void **state)
{
    struct board *board = *state;
    out(board, SELECTOR, 4, 0);
    out(board, COMMAND, 1, 0);
    assert_int_equal(in(board, DATA_2, 4), 0);
    for (uint16_t reserved = 0xaf05; reserved < DATA; reserved++)
        assert_int_equal(in(board, reserved, 1), 0);
}

static void identifiers(void **state)
{
    static const uint8_t expected[] = {0, 1, 2, 4, 5, 6};
    struct board *board = *state;
    for (unsigned cpu = 0; cpu < 6; cpu++) {
        out(board, SELECTOR, 4, cpu);
        out(board, COMMAND, 1, 3);
        assert_int_equal(in(board, DATA, 4), expected[cpu]);
        assert_int_equal(in(board, DATA_2, 4), 0);
    }
}

static void a_cpu_comes(void **state)
{
    struct board *board = *state;
    board->cpus.present[4] = true;
    cpu_hotplug_came(board->hotplug, 4);
    assert_int_equal(board->events, 1);
    out(board, SELECTOR, 4, 0);
    out(board, COMMAND, 1, 0);
    assert_int_equal(in(board, DATA, 4), 4);
    assert_int_equal(in(board, FLAGS, 1), ENABLED | INSERT);
    out(board, FLAGS, 1, INSERT);
    assert_int_equal(in(board, FLAGS, 1), ENABLED);
    out(board, SELECTOR, 4, 0);
    out(board, COMMAND, 1, 0);
    assert_int_equal(in(board, DATA, 4), 0); /* nobody else */
    assert_int_equal(board->ejects, 0);
}

static void a_cpu_goes(void **state)
{
    struct board *board = *state;
    cpu_hotplug_go(board->hotplug, 1);
    assert_int_equal(board->events, 1);
    out(board, SELECTOR, 4, 0);
    out(board, COMMAND, 1, 0);
    assert_int_equal(in(board, DATA, 4), 1);
    assert_int_equal(in(board, FLAGS, 1), ENABLED | REMOVE);
    out(board, FLAGS, 1, REMOVE);
    assert_int_equal(in(board, FLAGS, 1), ENABLED);
    assert_int_equal(board->ejects, 0);
    out(board, FLAGS, 1, EJECT);
    assert_int_equal(board->ejects, 1);
    assert_int_equal(board->ejected, 1);
    board->cpus.present[1] = false;
    cpu_hotplug_gone(board->hotplug, 1);
    assert_int_equal(in(board, FLAGS, 1), 0);
    out(board, FLAGS, 1, EJECT); /* it is not there any more */
    out(board, SELECTOR, 4, 0);
    out(board, FLAGS, 1, EJECT); /* the first stays */
    assert_int_equal(board->ejects, 1);
}

static void selectors_that_are_none(void **state)
{
    struct board *board = *state;
    cpu_hotplug_go(board->hotplug, 1);
    for (uint64_t selector = 6; selector <= UINT32_MAX; selector = selector * 3 + 1) {
        out(board, SELECTOR, 4, (uint32_t)selector);
        for (uint16_t port = SELECTOR; port < SELECTOR + CPU_HOTPLUG_SIZE; port++)
            assert_int_equal(in(board, port, 1), 0);
        out(board, COMMAND, 1, 0);
        out(board, FLAGS, 1, 0xff);
        assert_int_equal(in(board, DATA, 4), 0);
    }
    assert_int_equal(board->ejects, 0);
    out(board, SELECTOR, 4, 1);
    assert_int_equal(in(board, FLAGS, 1), ENABLED | REMOVE); /* none of it had an effect */
}

static void random_accesses(void **state)
{
    struct board *board = *state;
    srand(1);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = (uint16_t)(SELECTOR + rand() % CPU_HOTPLUG_SIZE);
        unsigned size = 1u << rand() % 3;
        if (rand() % 2)
            out(board, port, size, rand() % 4 ? (uint32_t)rand() % 8 : (uint32_t)rand());
        else
            in(board, port, size);
        if (rand() % 100 == 0)
            cpu_hotplug_go(board->hotplug, (unsigned)rand() % 6);
    }
}

static void a_reset_forgets_what_waits(void **state)
{
    struct board *board = *state;
    board->cpus.present[4] = true;
    cpu_hotplug_came(board->hotplug, 4);
    cpu_hotplug_reset(board->hotplug);
    out(board, SELECTOR, 4, 4);
    assert_int_equal(in(board, FLAGS, 1), ENABLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpus_are_counted), TEST(the_modern_interface_is_found),
        TEST(identifiers),      TEST(a_cpu_comes),
        TEST(a_cpu_goes),       TEST(selectors_that_are_none),
        TEST(random_accesses),  TEST(a_reset_forgets_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Numbers from the Intel 82093AA data sheet: 3.0 (registers), and of its 3.2.4 what a pin does. */
#include "unit/bench.h"

#include <stdlib.h>
#include <string.h>

#include "devices/ioapic.h"

#define SELECT 0xfec00000u
#define WINDOW 0xfec00010u

enum {
    ID = 0,
    VERSION = 1,
    ARBITRATION = 2,
    TABLE = 0x10,
    LOGICAL = 1 << 11,
    REMOTE_IRR = 1 << 14,
    LEVEL = 1 << 15,
    MASKED = 1 << 16,
};

static struct bus *mmio;
static struct ioapic *ioapic;
static struct interrupt_message last;
static unsigned sent;

static void take(void *opaque, const struct interrupt_message *message)
{
    (void)opaque;
    last = *message;
    sent++;
}

static uint32_t get(unsigned number)
{
    bus_write_locked(mmio, SELECT, 4, number);
    return bus_read_locked(mmio, WINDOW, 4);
}

static void put(unsigned number, uint32_t value)
{
    bus_write_locked(mmio, SELECT, 4, number);
    bus_write_locked(mmio, WINDOW, 4, value);
}

static void pin(int number, bool level)
{
    struct irq_line line = ioapic_line(ioapic, number);

    irq_set(&line, level);
}

static void entry(unsigned number, uint32_t destination, uint32_t low)
{
    put(TABLE + 2 * number + 1, destination << 24);
    put(TABLE + 2 * number, low);
}

static int setup(void **state)
{
    (void)state;
    mmio = bus_create("mmio", UINT64_MAX);
    ioapic = ioapic_create(mmio, take, NULL);
    sent = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ioapic_destroy(ioapic);
    bus_destroy(mmio);
    return 0;
}

static void after_reset_everything_is_masked(void **state)
{
    (void)state;
    assert_int_equal(get(ID), 0);
    assert_int_equal(get(VERSION), 0x00170011);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        assert_int_equal(get(TABLE + 2 * i), MASKED);
        assert_int_equal(get(TABLE + 2 * i + 1), 0);
        pin(i, true);
    }
    assert_int_equal(sent, 0);
}

static void registers_keep_what_is_writable(void **state)
{
    (void)state;
    put(ID, UINT32_MAX);
    assert_int_equal(get(ID), 0x0f000000);
    assert_int_equal(get(ARBITRATION), 0x0f000000);
    put(VERSION, 0);
    assert_int_equal(get(VERSION), 0x00170011);
    put(TABLE + 2, UINT32_MAX);
    put(TABLE + 3, UINT32_MAX);
    assert_int_equal(get(TABLE + 2), 0x0001afff); /* not delivery status (12) and remote IRR (14) */
    assert_int_equal(get(TABLE + 3), 0xff000000u);
    assert_int_equal(get(TABLE + 48), 0);
    put(TABLE + 48, 1);
    assert_int_equal(get(0xff), 0);
}

static void an_edge_is_one_message(void **state)
{
    (void)state;
    entry(4, 0x13, 0x31);
    pin(4, true);
    assert_int_equal(sent, 1);
    assert_int_equal(last.vector, 0x31);
    assert_int_equal(last.destination, 0x13);
    assert_int_equal(last.delivery, DELIVERY_FIXED);
    assert_false(last.level);
    assert_false(last.logical);
    pin(4, true);
    assert_int_equal(sent, 1);
    pin(4, false);
    pin(4, true);
    assert_int_equal(sent, 2);
}

static void an_edge_at_a_masked_pin_is_lost(void **state)
{
    (void)state;
    entry(4, 3, 0x31 | MASKED);
    pin(4, true);
    entry(4, 3, 0x31);
    assert_int_equal(sent, 0);
}

static void a_level_waits_for_its_eoi(void **state)
{
    (void)state;
    entry(11, 0x81, 0x52 | LEVEL | LOGICAL | DELIVERY_LOWEST << 8);
    pin(11, true);
    assert_int_equal(sent, 1);
    assert_true(last.level && last.logical);
    assert_int_equal(last.delivery, DELIVERY_LOWEST);
    assert_int_equal(last.destination, 0x81);
    assert_true(get(TABLE + 22) & REMOTE_IRR);
    pin(11, false);
    pin(11, true);
    assert_int_equal(sent, 1);
    ioapic_end_of_interrupt(ioapic, 0x51);
    assert_int_equal(sent, 1);
    ioapic_end_of_interrupt(ioapic, 0x52); /* still asserted */
    assert_int_equal(sent, 2);
    pin(11, false);
    ioapic_end_of_interrupt(ioapic, 0x52);
    assert_int_equal(sent, 2);
    assert_false(get(TABLE + 22) & REMOTE_IRR);
}

static void an_asserted_level_is_sent_when_unmasked(void **state)
{
    (void)state;
    entry(10, 0, 0x61 | LEVEL | MASKED);
    pin(10, true);
    assert_int_equal(sent, 0);
    put(TABLE + 20, 0x61 | LEVEL);
    assert_int_equal(sent, 1);
    /* To edge and back: how drivers clear a remote IRR that stayed behind. */
    put(TABLE + 20, 0x61 | MASKED);
    assert_false(get(TABLE + 20) & REMOTE_IRR);
    put(TABLE + 20, 0x61 | LEVEL);
    assert_int_equal(sent, 2);
}

static void nmi_init_and_extint_are_edges(void **state)
{
    static const enum delivery modes[] = {DELIVERY_NMI, DELIVERY_INIT, DELIVERY_EXTINT};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        entry(i, 0, LEVEL | (uint32_t)modes[i] << 8);
        pin(i, true);
        assert_int_equal(sent, i + 1);
        assert_int_equal(last.delivery, modes[i]);
        assert_false(last.level);
        assert_false(get(TABLE + 2 * i) & REMOTE_IRR);
    }
    entry(5, 0, DELIVERY_SMI << 8);
    pin(5, true);
    entry(6, 0, 3 << 8); /* reserved */
    pin(6, true);
    assert_int_equal(sent, 3);
}

static void odd_accesses_do_no_harm(void **state)
{
    (void)state;
    srandom(1);
    for (int i = 0; i < 200000; i++) {
        unsigned kind = random() % 4;
        uint64_t address = SELECT + (random() % 3 ? 0x10u * (random() & 1) : random() % 0x1000u);

        if (kind == 0)
            pin(random() % IOAPIC_PINS, random() & 1);
        else if (kind == 1)
            bus_write_locked(mmio, address, 1u << random() % 4,
                             (uint64_t)random() << 16 ^ (uint64_t)random());
        else if (kind == 2)
            bus_read_locked(mmio, address, 1u << random() % 4);
        else
            ioapic_end_of_interrupt(ioapic, random());
        assert_true(last.delivery != DELIVERY_SMI);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(after_reset_everything_is_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(registers_keep_what_is_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(an_edge_is_one_message, setup, teardown),
        cmocka_unit_test_setup_teardown(an_edge_at_a_masked_pin_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_level_waits_for_its_eoi, setup, teardown),
        cmocka_unit_test_setup_teardown(an_asserted_level_is_sent_when_unmasked, setup, teardown),
        cmocka_unit_test_setup_teardown(nmi_init_and_extint_are_edges, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_accesses_do_no_harm, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

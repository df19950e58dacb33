/* Numbers from SDM volume 3A, chapter 10: table 10-1 (addresses), 10.4.7 (state after reset) and the sections named below. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/soft/lapic.h"

#define PAGE 0xfee00000ull

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    LVT_ERROR = 0x370,
    INITIAL = 0x380,
    COUNT = 0x390,
    DIVIDE = 0x3e0,
    MASKED = 1 << 16,
    PERIODIC = 1 << 17,
    DEADLINE = 2 << 17,
    ENABLE = 1 << 8,
    BASE = 0x1b,
    TSC_DEADLINE = 0x6e0,
};

static struct lapic *lapic;
static struct clock *clock_under_test;
static uint64_t tsc_offset;
static bool pending;
static unsigned signals, messages, ends;
static enum delivery signalled;
static uint8_t signal_vector, ended;
static struct interrupt_message message;
static enum shorthand shorthand;

static void on_interrupt(void *opaque, bool now)
{
    (void)opaque;
    pending = now;
}

static void on_signal(void *opaque, enum delivery delivery, uint8_t vector)
{
    (void)opaque;
    signals++;
    signalled = delivery;
    signal_vector = vector;
}

static void on_send(void *opaque, const struct interrupt_message *sent, enum shorthand to)
{
    (void)opaque;
    messages++;
    message = *sent;
    shorthand = to;
}

static void on_end(void *opaque, uint8_t vector)
{
    (void)opaque;
    ends++;
    ended = vector;
}

static void on_move(void *opaque)
{
    (void)opaque;
}

static uint32_t get(unsigned offset)
{
    return lapic_read(lapic, PAGE + offset, 4);
}

static void put(unsigned offset, uint32_t value)
{
    lapic_write(lapic, PAGE + offset, 4, value);
}

static void fixed(uint8_t vector, bool level)
{
    lapic_deliver(lapic, &(struct interrupt_message){.vector = vector, .level = level});
}

static int setup(void **state)
{
    (void)state;
    signals = messages = ends = 0;
    tsc_offset = 0;
    clock_under_test = clock_create();
    clock_step(clock_under_test, 1000);
    lapic = lapic_create(&(struct lapic_wiring){.clock = clock_under_test,
                                                .tsc_offset = &tsc_offset,
                                                .id = 5,
                                                .boot = true,
                                                .interrupt = on_interrupt,
                                                .signal = on_signal,
                                                .send = on_send,
                                                .end_of_interrupt = on_end,
                                                .moved = on_move});
    lapic_reset(lapic);
    put(SVR, ENABLE | 0xff);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lapic_destroy(lapic);
    clock_destroy(clock_under_test);
    return 0;
}

static void reset_state(void **state)
{
    uint64_t base;

    (void)state;
    lapic_reset(lapic);
    assert_int_equal(get(ID), 0x05000000);
    assert_int_equal(get(VERSION), 0x00050014);
    assert_int_equal(get(TPR), 0);
    assert_int_equal(get(DFR), UINT32_MAX);
    assert_int_equal(get(LDR), 0);
    assert_int_equal(get(SVR), 0xff);
    assert_int_equal(get(LVT_TIMER), MASKED);
    assert_int_equal(get(LVT_LINT0), 0x700); /* firmware's virtual wire */
    assert_int_equal(get(LVT_LINT1), MASKED);
    assert_int_equal(get(DIVIDE), 0);
    assert_true(lapic_msr_read(lapic, BASE, &base));
    assert_int_equal(base, 0xfee00900);
    put(LVT_TIMER, 0x40);
    assert_int_equal(get(LVT_TIMER), MASKED | 0x40); /* 10.4.7.2: while disabled by SVR */
    fixed(0x40, false);
    assert_int_equal(get(IRR + 0x20), 0);
}

/* 10.8.3 */
static void the_highest_class_is_served_first(void **state)
{
    (void)state;
    fixed(0x41, false);
    fixed(0x45, false);
    fixed(0x62, false);
    assert_true(pending);
    assert_int_equal(get(IRR + 0x20), 1u << 1 | 1u << 5);
    assert_int_equal(lapic_acknowledge(lapic), 0x62);
    assert_false(pending);
    assert_int_equal(get(PPR), 0x60);
    assert_int_equal(get(ISR + 0x30), 1u << 2);
    fixed(0x6f, false); /* of the same class: not before the EOI */
    assert_false(pending);
    fixed(0x70, false);
    assert_int_equal(lapic_acknowledge(lapic), 0x70);
    put(EOI, 0);
    assert_false(pending);
    put(EOI, 0);
    assert_int_equal(lapic_acknowledge(lapic), 0x6f);
    put(EOI, 0);
    assert_int_equal(lapic_acknowledge(lapic), 0x45);
    put(EOI, 0);
    put(TPR, 0x40);
    assert_false(pending);
    assert_int_equal(lapic_acknowledge(lapic), LAPIC_NO_VECTOR);
    lapic_set_cr8(lapic, 3);
    assert_int_equal(get(TPR), 0x30);
    assert_true(pending);
    assert_int_equal(lapic_acknowledge(lapic), 0x41);
    assert_int_equal(ends, 0);
}

static void eoi_of_a_level_is_broadcast(void **state)
{
    (void)state;
    fixed(0x51, true);
    assert_int_equal(get(TMR + 0x20), 1u << 17);
    assert_int_equal(lapic_acknowledge(lapic), 0x51);
    put(EOI, 0);
    assert_int_equal(ends, 1);
    assert_int_equal(ended, 0x51);
    put(EOI, 0);
    assert_int_equal(ends, 1);
    fixed(0x51, false);
    assert_int_equal(get(TMR + 0x20), 0);
}

/* 10.6.2.2 */
static void destinations(void **state)
{
    struct interrupt_message to = {.destination = 5};

    (void)state;
    assert_true(lapic_accepts(lapic, &to));
    to.destination = 4;
    assert_false(lapic_accepts(lapic, &to));
    to.destination = 0xff;
    assert_true(lapic_accepts(lapic, &to));
    to.logical = true;
    put(LDR, 0x24000000);
    to.destination = 0x04;
    assert_true(lapic_accepts(lapic, &to));
    to.destination = 0x58;
    assert_false(lapic_accepts(lapic, &to));
    put(DFR, 0);
    assert_int_equal(get(DFR), 0x0fffffff);
    to.destination = 0x26;
    assert_true(lapic_accepts(lapic, &to));
    to.destination = 0x16;
    assert_false(lapic_accepts(lapic, &to));
    to.destination = 0x2b;
    assert_false(lapic_accepts(lapic, &to));
}

/* 10.6.1 */
static void the_icr_sends(void **state)
{
    (void)state;
    put(ICR_HIGH, 0x03000000);
    put(ICR, 0x4000 | 0x55);
    assert_int_equal(messages, 1);
    assert_int_equal(message.destination, 3);
    assert_int_equal(message.vector, 0x55);
    assert_int_equal(shorthand, SHORTHAND_NONE);
    put(ICR, 0xc4500); /* INIT to all others */
    assert_int_equal(messages, 2);
    assert_int_equal(message.delivery, DELIVERY_INIT);
    assert_int_equal(shorthand, SHORTHAND_OTHERS);
    put(ICR, 0xc8500); /* its de-assert */
    put(ICR, 0x84500); /* INIT to all */
    put(ICR, 0x44500); /* INIT to self */
    assert_int_equal(messages, 2);
    put(ICR, 0xc4608);
    assert_int_equal(message.delivery, DELIVERY_STARTUP);
    assert_int_equal(message.vector, 8);
    put(ICR, 0x40077); /* self */
    assert_int_equal(lapic_acknowledge(lapic), 0x77);
    assert_int_equal(messages, 3);
    lapic_deliver(lapic, &(struct interrupt_message){.delivery = DELIVERY_STARTUP, .vector = 9});
    assert_int_equal(signals, 1);
    assert_int_equal(signalled, DELIVERY_STARTUP);
    assert_int_equal(signal_vector, 9);
}

/* 10.5.3 */
static void errors(void **state)
{
    (void)state;
    put(LVT_ERROR, 0xfe);
    put(ICR, 0x4000 | 3);
    assert_int_equal(messages, 0);
    assert_int_equal(get(ESR), 0);
    put(ESR, 0);
    assert_int_equal(get(ESR), 1 << 5);
    assert_int_equal(lapic_acknowledge(lapic), 0xfe);
    fixed(15, false);
    get(0x3f0 + 0);
    put(ESR, 0);
    assert_int_equal(get(ESR), 1 << 6 | 1 << 7);
    put(LVT_ERROR, 3); /* an error about errors ends there */
    fixed(15, false);
    put(ESR, 0);
    assert_int_equal(get(ESR), 1 << 6);
}

/* 10.5.1 */
static void lint0(void **state)
{
    (void)state;
    put(LVT_LINT0, 0x700);
    lapic_pin(lapic, 0, true);
    assert_true(pending);
    assert_int_equal(lapic_acknowledge(lapic), LAPIC_EXTERNAL);
    assert_true(pending);
    put(LVT_LINT0, 0x700 | MASKED);
    assert_false(pending);
    lapic_pin(lapic, 0, false);
    put(LVT_LINT0, 0x31);
    lapic_pin(lapic, 0, true);
    assert_int_equal(lapic_acknowledge(lapic), 0x31);
    assert_false(pending);
    put(EOI, 0);
    lapic_pin(lapic, 0, false);
    put(LVT_LINT0, 0x32 | 1 << 15);
    lapic_pin(lapic, 0, true);
    assert_true(get(LVT_LINT0) & 1 << 14);
    assert_int_equal(lapic_acknowledge(lapic), 0x32);
    assert_false(pending);
    put(EOI, 0);
    assert_int_equal(lapic_acknowledge(lapic), 0x32);
    lapic_pin(lapic, 0, false);
    put(EOI, 0);
    assert_false(pending);
    assert_false(get(LVT_LINT0) & 1 << 14);
    put(LVT_LINT1, 0x400);
    lapic_pin(lapic, 1, true);
    assert_int_equal(signalled, DELIVERY_NMI);
    assert_int_equal(signals, 1);
}

static void without_apic_the_pin_is_intr(void **state)
{
    (void)state;
    put(LVT_LINT0, MASKED);
    lapic_pin(lapic, 0, true);
    assert_false(pending);
    assert_true(lapic_msr_write(lapic, BASE, 0xfee00100));
    assert_true(pending);
    assert_false(lapic_enabled(lapic));
    assert_false(lapic_covers(lapic, PAGE));
    assert_int_equal(lapic_acknowledge(lapic), LAPIC_EXTERNAL);
    assert_true(lapic_msr_write(lapic, BASE, 0x12345900));
    assert_true(lapic_covers(lapic, 0x12345020));
    assert_false(lapic_covers(lapic, PAGE));
}

/* 10.5.4 */
static void one_shot(void **state)
{
    static const struct {
        uint32_t configuration;
        unsigned divisor;
    } cases[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    uint64_t now = 1000;

    (void)state;
    put(LVT_TIMER, 0x40);
    for (unsigned i = 0; i < 8; i++) {
        put(DIVIDE, cases[i].configuration);
        put(INITIAL, 1000000);
        assert_int_equal(get(COUNT), 1000000);
        now += 300000ull * cases[i].divisor;
        clock_step(clock_under_test, now);
        assert_int_equal(get(COUNT), 700000);
        now += 700000ull * cases[i].divisor - 1;
        clock_step(clock_under_test, now);
        assert_false(pending);
        clock_step(clock_under_test, ++now);
        assert_int_equal(lapic_acknowledge(lapic), 0x40);
        assert_int_equal(get(COUNT), 0);
        put(EOI, 0);
    }
    now += 100000000;
    clock_step(clock_under_test, now);
    assert_false(pending);
    put(INITIAL, 1000);
    put(INITIAL, 0);
    clock_step(clock_under_test, now + 100000);
    assert_false(pending);
}

static void periodic(void **state)
{
    (void)state;
    put(DIVIDE, 11);
    put(LVT_TIMER, 0x40 | PERIODIC);
    put(INITIAL, 100000);
    for (unsigned i = 1; i <= 5; i++) {
        clock_step(clock_under_test, 1000 + 100000 * i - 1);
        assert_false(pending);
        clock_step(clock_under_test, 1000 + 100000 * i + 1);
        assert_int_equal(lapic_acknowledge(lapic), 0x40);
        put(EOI, 0);
        assert_int_equal(get(COUNT), 99999);
    }
    put(LVT_TIMER, 0x40 | PERIODIC | MASKED);
    clock_step(clock_under_test, 1000 + 100000 * 6 + 10);
    assert_false(pending);
    assert_int_equal(get(COUNT), 99990);
    put(LVT_TIMER, 0x40 | PERIODIC);
    put(INITIAL, 1); /* does not hang */
    clock_step(clock_under_test, 2000000);
    assert_true(pending);
}

/* 10.5.4.1 */
static void tsc_deadline(void **state)
{
    uint64_t value;

    (void)state;
    assert_true(lapic_msr_write(lapic, TSC_DEADLINE, 5000)); /* ignored in this mode */
    assert_true(lapic_msr_read(lapic, TSC_DEADLINE, &value));
    assert_int_equal(value, 0);
    tsc_offset = 1000000;
    put(LVT_TIMER, 0x41 | DEADLINE);
    put(INITIAL, 1000);
    assert_int_equal(get(COUNT), 0);
    lapic_msr_write(lapic, TSC_DEADLINE, 1005000);
    clock_step(clock_under_test, 4999);
    assert_false(pending);
    lapic_msr_read(lapic, TSC_DEADLINE, &value);
    assert_int_equal(value, 1005000);
    clock_step(clock_under_test, 5000);
    assert_int_equal(lapic_acknowledge(lapic), 0x41);
    lapic_msr_read(lapic, TSC_DEADLINE, &value);
    assert_int_equal(value, 0);
    put(EOI, 0);
    lapic_msr_write(lapic, TSC_DEADLINE, 1); /* long past: at once */
    assert_int_equal(lapic_acknowledge(lapic), 0x41);
    put(EOI, 0);
    lapic_msr_write(lapic, TSC_DEADLINE, UINT64_MAX);
    clock_step(clock_under_test, 1ull << 62);
    assert_false(pending);
    lapic_msr_write(lapic, TSC_DEADLINE, 0);
    lapic_msr_write(lapic, TSC_DEADLINE, clock_now(clock_under_test) + 2000000);
    tsc_offset += 2000000;
    lapic_tsc_changed(lapic);
    assert_true(pending);
}

/* 10.12 */
static void x2apic(void **state)
{
    struct interrupt_message to = {.destination = 5};
    uint64_t value;

    (void)state;
    assert_false(lapic_msr_read(lapic, 0x802, &value));
    assert_true(lapic_msr_write(lapic, BASE, 0xfee00d00));
    assert_false(lapic_covers(lapic, PAGE));
    assert_true(lapic_msr_read(lapic, 0x802, &value));
    assert_int_equal(value, 5);
    assert_true(lapic_msr_read(lapic, 0x80d, &value));
    assert_int_equal(value, 1 << 5);
    assert_false(lapic_msr_write(lapic, 0x802, 5));
    assert_false(lapic_msr_write(lapic, 0x80d, 5));
    assert_false(lapic_msr_read(lapic, 0x80b, &value));
    assert_false(lapic_msr_read(lapic, 0x80e, &value));
    assert_false(lapic_msr_read(lapic, 0x831, &value));
    assert_false(lapic_msr_read(lapic, 0x83f, &value));
    assert_false(lapic_msr_read(lapic, 0x8ff, &value));
    assert_false(lapic_msr_write(lapic, 0x80b, 1));
    assert_false(lapic_msr_write(lapic, 0x808, 0x100));
    assert_true(lapic_msr_write(lapic, 0x83f, 0x44));
    assert_int_equal(lapic_acknowledge(lapic), 0x44);
    assert_true(lapic_msr_write(lapic, 0x80b, 0));
    assert_true(lapic_msr_write(lapic, 0x830, 0x1234500004055));
    assert_int_equal(message.destination, 0x12345);
    assert_true(lapic_msr_read(lapic, 0x830, &value));
    assert_int_equal(value, 0x1234500004055);
    assert_true(lapic_accepts(lapic, &to));
    to.destination = UINT32_MAX;
    assert_true(lapic_accepts(lapic, &to));
    to.logical = true;
    to.destination = 0x21;
    assert_true(lapic_accepts(lapic, &to));
    to.destination = 0x10020;
    assert_false(lapic_accepts(lapic, &to));
    assert_false(lapic_msr_write(lapic, BASE, 0xfee00900)); /* only by way of off */
    assert_true(lapic_msr_write(lapic, BASE, 0xfee00100));
    assert_false(lapic_msr_write(lapic, BASE, 0xfee00d00));
    assert_false(lapic_msr_write(lapic, BASE, 0xfee00500));
    assert_true(lapic_msr_write(lapic, BASE, 0xfee00900));
    assert_false(lapic_msr_write(lapic, BASE, 0xfee00901));
}

static void odd_accesses_do_no_harm(void **state)
{
    uint64_t now = 1000, value;

    (void)state;
    srandom(1);
    for (int i = 0; i < 300000; i++) {
        uint64_t number = (uint64_t)random() << 33 ^ (uint64_t)random() << 8 ^ (uint64_t)random();
        unsigned offset = random() % 4 ? 0x10u * (random() % 64) : random() % 4096u;

        switch (random() % 8) {
        case 0: lapic_read(lapic, PAGE + offset, 1u << random() % 4); break;
        case 1:
        case 2: lapic_write(lapic, PAGE + offset, 1u << random() % 4, number); break;
        case 3: lapic_msr_read(lapic, 0x800 + random() % 256, &value); break;
        case 4: lapic_msr_write(lapic, 0x800 + random() % 256, random() & 1 ? number : number & 0xff); break;
        case 5: clock_step(clock_under_test, now += random() % 1000); break;
        case 6: lapic_pin(lapic, random() % 2, random() & 1); break;
        case 7:
            if (random() % 64 == 0)
                lapic_msr_write(lapic, random() & 1 ? BASE : TSC_DEADLINE, number & 0xfffff);
            else
                fixed(random(), random() & 1);
        }
        if (pending)
            assert_int_not_equal(lapic_acknowledge(lapic), LAPIC_NO_VECTOR);
        else
            assert_int_equal(lapic_acknowledge(lapic), LAPIC_NO_VECTOR);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reset_state, setup, teardown),
        cmocka_unit_test_setup_teardown(the_highest_class_is_served_first, setup, teardown),
        cmocka_unit_test_setup_teardown(eoi_of_a_level_is_broadcast, setup, teardown),
        cmocka_unit_test_setup_teardown(destinations, setup, teardown),
        cmocka_unit_test_setup_teardown(the_icr_sends, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(lint0, setup, teardown),
        cmocka_unit_test_setup_teardown(without_apic_the_pin_is_intr, setup, teardown),
        cmocka_unit_test_setup_teardown(one_shot, setup, teardown),
        cmocka_unit_test_setup_teardown(periodic, setup, teardown),
        cmocka_unit_test_setup_teardown(tsc_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(x2apic, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_accesses_do_no_harm, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

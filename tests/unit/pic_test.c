/* Numbers from the Intel 8259A data sheet and, for ELCR, that of the 82371AB. */
#include "unit/bench.h"

#include <stdio.h>
#include <string.h>

#include "devices/pic.h"

enum { MASTER = 0x20, SLAVE = 0xa0, EOI = 0x20 };

static struct bench bench;
static struct pic *pic;

static void line(int irq, bool level)
{
    struct irq_line wire = pic_line(pic, irq);
    irq_set(&wire, level);
}

static void initialise(uint16_t port, uint8_t base, uint8_t icw4)
{
    out(&bench, port, 0x11);
    out(&bench, port + 1, base);
    out(&bench, port + 1, port == MASTER ? 0x04 : 0x02);
    out(&bench, port + 1, icw4);
}

static uint8_t in_service(uint16_t port)
{
    out(&bench, port, 0x0b);
    return in(&bench, port);
}

static uint8_t requested(uint16_t port)
{
    out(&bench, port, 0x0a);
    return in(&bench, port);
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    pic = pic_create(bench.ports, &bench.line);
    initialise(MASTER, 0x08, 0x01);
    initialise(SLAVE, 0x70, 0x01);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pic_destroy(pic);
    bench_close(&bench);
    return 0;
}

static void vectors_are_base_and_level(void **state)
{
    (void)state;
    for (int irq = 0; irq < 16; irq++) {
        if (irq == 2)
            continue;
        line(irq, true);
        assert_true(bench.probe.level);
        assert_int_equal(pic_acknowledge(pic), irq < 8 ? 0x08 + irq : 0x70 + irq - 8);
        assert_false(bench.probe.level);
        assert_int_equal(in_service(irq < 8 ? MASTER : SLAVE), 1 << irq % 8);
        if (irq >= 8)
            out(&bench, SLAVE, EOI);
        out(&bench, MASTER, EOI);
        line(irq, false);
        assert_int_equal(in_service(MASTER) | in_service(SLAVE), 0);
    }
}

static void the_cascade_input_ends_nowhere(void **state)
{
    (void)state;
    line(2, true);
    assert_false(bench.probe.level);
}

static void not_initialised_it_is_silent(void **state)
{
    (void)state;
    pic_reset(pic);
    line(1, true);
    assert_false(bench.probe.level);
    /* ICW1 resets the edge sense: what was high before has to rise again. */
    initialise(MASTER, 0x08, 0x01);
    assert_false(bench.probe.level);
    line(1, false);
    line(1, true);
    assert_true(bench.probe.level);
}

static void without_ic4_there_are_two_more_words(void **state)
{
    (void)state;
    out(&bench, MASTER, 0x10);
    out(&bench, MASTER + 1, 0x20);
    out(&bench, MASTER + 1, 0x04);
    out(&bench, MASTER + 1, 0xa5); /* already the mask */
    assert_int_equal(in(&bench, MASTER + 1), 0xa5);
    out(&bench, MASTER, 0x12); /* single: ICW2 alone */
    out(&bench, MASTER + 1, 0x20);
    out(&bench, MASTER + 1, 0x5a);
    assert_int_equal(in(&bench, MASTER + 1), 0x5a);
}

static void better_levels_interrupt_worse_ones(void **state)
{
    (void)state;
    line(3, true);
    assert_int_equal(pic_acknowledge(pic), 0x0b);
    line(4, true);
    assert_false(bench.probe.level);
    line(1, true);
    assert_true(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x09);
    assert_int_equal(in_service(MASTER), 0x0a);
    out(&bench, MASTER, EOI); /* the best in service: 1 */
    assert_int_equal(in_service(MASTER), 0x08);
    assert_false(bench.probe.level);
    out(&bench, MASTER, EOI);
    assert_true(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x0c);
}

static void masks_hold_requests_back(void **state)
{
    (void)state;
    out(&bench, MASTER + 1, 0x02);
    assert_int_equal(in(&bench, MASTER + 1), 0x02);
    line(1, true);
    assert_false(bench.probe.level);
    assert_int_equal(requested(MASTER), 0x02);
    out(&bench, MASTER + 1, 0x00);
    assert_true(bench.probe.level);
}

static void a_request_that_falls_is_spurious(void **state)
{
    (void)state;
    line(5, true);
    line(5, false);
    assert_false(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x0f);
    assert_int_equal(in_service(MASTER), 0);
}

static void edges_interrupt_once_and_levels_again(void **state)
{
    (void)state;
    line(10, true);
    assert_int_equal(pic_acknowledge(pic), 0x72);
    out(&bench, SLAVE, EOI);
    out(&bench, MASTER, EOI);
    assert_false(bench.probe.level);
    line(10, false);
    out(&bench, 0x4d1, 0x04);
    line(10, true);
    assert_int_equal(pic_acknowledge(pic), 0x72);
    out(&bench, SLAVE, EOI);
    out(&bench, MASTER, EOI);
    assert_true(bench.probe.level);
    line(10, false);
    assert_false(bench.probe.level);
}

static void the_boards_own_inputs_stay_edges(void **state)
{
    (void)state;
    out(&bench, 0x4d0, 0xff);
    out(&bench, 0x4d1, 0xff);
    assert_int_equal(in(&bench, 0x4d0), 0xf8);
    assert_int_equal(in(&bench, 0x4d1), 0xde);
}

static void the_slave_asks_through_the_master(void **state)
{
    (void)state;
    line(12, true);
    assert_int_equal(pic_acknowledge(pic), 0x74);
    assert_int_equal(in_service(MASTER), 0x04);
    line(8, true); /* better, but the master serves its input 2 */
    assert_false(bench.probe.level);
    out(&bench, MASTER, EOI);
    assert_true(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x70);
    assert_int_equal(in_service(SLAVE), 0x11);
    out(&bench, MASTER, EOI);
    out(&bench, SLAVE, EOI);
    out(&bench, SLAVE, EOI);
    /* A request of the slave that falls away takes the master's with it. */
    line(9, true);
    assert_true(bench.probe.level);
    line(9, false);
    assert_false(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x0f);
}

static void special_fully_nested_lets_the_slave_nest(void **state)
{
    (void)state;
    initialise(MASTER, 0x08, 0x11);
    line(12, true);
    assert_int_equal(pic_acknowledge(pic), 0x74);
    line(8, true);
    assert_true(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x70);
}

static void automatic_end_of_interrupt(void **state)
{
    (void)state;
    initialise(MASTER, 0x08, 0x03);
    initialise(SLAVE, 0x70, 0x03);
    line(9, true);
    line(11, true);
    assert_int_equal(pic_acknowledge(pic), 0x71);
    assert_int_equal(in_service(MASTER) | in_service(SLAVE), 0);
    assert_true(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x73);
    assert_false(bench.probe.level);
}

static void automatic_rotation(void **state)
{
    (void)state;
    initialise(MASTER, 0x08, 0x03);
    out(&bench, MASTER, 0x80); /* rotate in automatic EOI mode */
    line(0, true);
    line(1, true);
    assert_int_equal(pic_acknowledge(pic), 0x08);
    line(0, false);
    line(0, true); /* now the worst */
    assert_int_equal(pic_acknowledge(pic), 0x09);
    assert_int_equal(pic_acknowledge(pic), 0x08);
}

static void rotations_and_specific_commands(void **state)
{
    (void)state;
    out(&bench, MASTER, 0xc0 | 4); /* set priority: 4 is the worst, 5 the best */
    line(3, true);
    line(6, true);
    assert_int_equal(pic_acknowledge(pic), 0x0e);
    line(5, true);
    assert_int_equal(pic_acknowledge(pic), 0x0d);
    out(&bench, MASTER, 0x60 | 6); /* specific */
    assert_int_equal(in_service(MASTER), 0x20);
    out(&bench, MASTER, 0xa0); /* rotate on non-specific EOI: 5 becomes the worst */
    assert_int_equal(in_service(MASTER), 0);
    line(5, false);
    line(5, true);
    assert_int_equal(pic_acknowledge(pic), 0x0b);
    out(&bench, MASTER, 0xe0 | 3); /* rotate on specific EOI */
    line(3, false);
    line(3, true);
    assert_int_equal(pic_acknowledge(pic), 0x0d);
}

static void special_mask_mode(void **state)
{
    (void)state;
    line(2 + 1, true);
    assert_int_equal(pic_acknowledge(pic), 0x0b);
    line(6, true);
    assert_false(bench.probe.level);
    out(&bench, MASTER + 1, 0x08); /* mask what is being served */
    out(&bench, MASTER, 0x68);     /* set special mask mode */
    assert_true(bench.probe.level);
    assert_int_equal(pic_acknowledge(pic), 0x0e);
    out(&bench, MASTER, EOI); /* does not touch the masked level */
    assert_int_equal(in_service(MASTER), 0x08);
    out(&bench, MASTER, 0x48); /* back to normal */
    out(&bench, MASTER, EOI);
    assert_int_equal(in_service(MASTER), 0);
}

static void polling(void **state)
{
    (void)state;
    out(&bench, MASTER, 0x0c);
    assert_int_equal(in(&bench, MASTER), 0x00);
    line(4, true);
    out(&bench, MASTER, 0x0c);
    assert_int_equal(in(&bench, MASTER), 0x84);
    assert_false(bench.probe.level);
    assert_int_equal(in_service(MASTER), 0x10);
}

static void acknowledged_interrupts_are_counted(void **state)
{
    (void)state;
    char text[256] = "";
    FILE *out_file = fmemopen(text, sizeof(text), "w");
    for (int i = 0; i < 3; i++) {
        line(14, true);
        pic_acknowledge(pic);
        line(14, false);
        out(&bench, SLAVE, EOI);
        out(&bench, MASTER, EOI);
    }
    pic_print_counts(pic, out_file);
    fclose(out_file);
    assert_non_null(strstr(text, "14: 3\n"));
}

static void anything_goes(void **state)
{
    (void)state;
    static const uint16_t ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
    for (int irq = 1; irq < 16; irq += 2)
        line(irq, true);
    bench_hammer(&bench, ports, sizeof(ports) / sizeof(ports[0]));
    pic_acknowledge(pic);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(vectors_are_base_and_level),
        TEST(the_cascade_input_ends_nowhere),
        TEST(not_initialised_it_is_silent),
        TEST(without_ic4_there_are_two_more_words),
        TEST(better_levels_interrupt_worse_ones),
        TEST(masks_hold_requests_back),
        TEST(a_request_that_falls_is_spurious),
        TEST(edges_interrupt_once_and_levels_again),
        TEST(the_boards_own_inputs_stay_edges),
        TEST(the_slave_asks_through_the_master),
        TEST(special_fully_nested_lets_the_slave_nest),
        TEST(automatic_end_of_interrupt),
        TEST(automatic_rotation),
        TEST(rotations_and_specific_commands),
        TEST(special_mask_mode),
        TEST(polling),
        TEST(acknowledged_interrupts_are_counted),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("pic", tests, NULL, NULL);
}

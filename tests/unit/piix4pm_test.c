/*
 * Power management and the ISA bridge's part in it: the 82371AB datasheet (290562), chapters 7 and 11; the 82371SB
 * datasheet (290550), 2.2.13 and 2.5.4; ACPI 1.0b, 4.7.
 */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "devices/piix3.h"
#include "devices/piix4pm.h"

enum { PM = 0xb000, RAM_SIZE = 1 << 20 };

struct board {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct clock *clock;
    struct pci_bus *pci;
    struct piix3 *bridge;
    struct piix4pm *pm;
    struct pci_device *card;
    bool isa[16];
    unsigned resets, power_offs;
};

static void isa_set(void *target, int input, bool level)
{
    ((struct board *)target)->isa[input] = level;
}

static void count_one(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void config_write(struct board *board, unsigned function, unsigned offset, unsigned size,
                         uint32_t value)
{
    bus_write(board->ports, 0xcf8, 4, 0x80000800u | function << 8 | (offset & 0xfc));
    bus_write(board->ports, 0xcfc + (offset & 3), size, value);
}

static uint32_t config_read(struct board *board, unsigned function, unsigned offset, unsigned size)
{
    bus_write(board->ports, 0xcf8, 4, 0x80000800u | function << 8 | (offset & 0xfc));
    return (uint32_t)bus_read(board->ports, 0xcfc + (offset & 3), size);
}

static int setup(void **state)
{
    static const struct pci_identity card = {.name = "Card", .interrupt_pin = 1};
    struct board *board = calloc(1, sizeof(*board));
    struct irq_line isa[16], sci;
    board->memory = memory_create(RAM_SIZE);
    board->ports = bus_create("port", 0x10000);
    board->mmio = bus_create("mmio", 1ull << 40);
    board->clock = clock_create();
    clock_step(board->clock, 0);
    board->pci = pci_create(board->ports, board->mmio, board->memory);
    for (int i = 0; i < 16; i++)
        isa[i] = (struct irq_line){isa_set, board, i};
    board->bridge = piix3_create(board->pci, isa, &(struct callback){count_one, &board->resets});
    sci = piix3_sci(board->bridge);
    board->pm = piix4pm_create(board->pci, board->ports, board->clock, &sci,
                               &(struct callback){count_one, &board->power_offs});
    board->card = pci_add(board->pci, 3, 0, &card);
    *state = board;
    return 0;
}

static int teardown(void **state)
{
    struct board *board = *state;
    piix4pm_destroy(board->pm);
    piix3_destroy(board->bridge);
    pci_destroy(board->pci);
    clock_destroy(board->clock);
    bus_destroy(board->ports);
    bus_destroy(board->mmio);
    memory_destroy(board->memory);
    free(board);
    return 0;
}

/* As SeaBIOS does. */
static void enable(struct board *board)
{
    config_write(board, 3, 0x40, 4, PM | 1);
    config_write(board, 3, 0x80, 1, 1);
}

static void identification(void **state)
{
    struct board *board = *state;
    assert_int_equal(config_read(board, 0, 0, 4), 0x70008086);
    assert_int_equal(config_read(board, 0, 0xa, 2), 0x0601);
    assert_int_equal(config_read(board, 0, 0xe, 1), 0x80);
    assert_int_equal(config_read(board, 3, 0, 4), 0x71138086);
    assert_int_equal(config_read(board, 3, 0xa, 2), 0x0680);
    assert_int_equal(config_read(board, 3, 0x3d, 1), 1);
    assert_int_equal(config_read(board, 3, 0x58, 4) >> 25 & 1, 1);
}

static void registers_move_with_pmba(void **state)
{
    struct board *board = *state;
    config_write(board, 3, 0x40, 4, PM | 1);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0xffff);
    config_write(board, 3, 0x80, 1, 1);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0);
    assert_int_equal(config_read(board, 3, 0x40, 4), PM | 1);
    config_write(board, 3, 0x40, 4, 0x0600);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0xffff);
    assert_int_equal(bus_read(board->ports, 0x0604, 2), 0);
    config_write(board, 3, 0x80, 1, 0);
    assert_int_equal(bus_read(board->ports, 0x0604, 2), 0xffff);
}

static void timer_runs_at_3579545_hz(void **state)
{
    struct board *board = *state;
    enable(board);
    assert_int_equal(bus_read(board->ports, PM + 8, 4), 0);
    clock_step(board->clock, 1000000000);
    assert_int_equal(bus_read(board->ports, PM + 8, 4), 3579545);
    assert_int_equal(bus_read(board->ports, PM + 9, 1), 3579545 >> 8 & 0xff);
    clock_step(board->clock, 10000000000ull);
    assert_int_equal(bus_read(board->ports, PM + 8, 4), 35795450 & 0xffffff);
}

static void timer_overflow_interrupts(void **state)
{
    struct board *board = *state;
    enable(board);
    bus_write(board->ports, PM + 2, 2, 1);
    bus_write(board->ports, PM + 4, 2, 1);
    clock_step(board->clock, 2343482537); /* 8388608 ticks are 2343484772 ns */
    assert_false(board->isa[9]);
    assert_int_equal(bus_read(board->ports, PM, 2), 0);
    clock_step(board->clock, 2343584772);
    assert_true(board->isa[9]);
    assert_int_equal(bus_read(board->ports, PM, 2), 1);
    bus_write(board->ports, PM, 2, 1);
    assert_false(board->isa[9]);
    assert_int_equal(bus_read(board->ports, PM, 2), 0);
    clock_step(board->clock, 4687200000);
    assert_true(board->isa[9]);
}

static void power_button(void **state)
{
    struct board *board = *state;
    enable(board);
    bus_write(board->ports, PM + 2, 2, 0x100);
    piix4pm_press_power_button(board->pm);
    assert_false(board->isa[9]); /* SCI_EN is off */
    bus_write(board->ports, 0xb2, 1, 0xf1);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 1);
    assert_true(board->isa[9]);
    assert_int_equal(bus_read(board->ports, PM, 2), 0x100);
    bus_write(board->ports, PM, 2, 0x100);
    assert_false(board->isa[9]);
    bus_write(board->ports, 0xb2, 1, 0xf0);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0);
}

static void soft_off(void **state)
{
    struct board *board = *state;
    enable(board);
    bus_write(board->ports, PM + 4, 2, 0x3c00); /* reserved type 7 */
    bus_write(board->ports, PM + 4, 2, 0x0000);
    assert_int_equal(board->power_offs, 0);
    bus_write(board->ports, PM + 4, 2, 0x2400); /* a sleep with power on: awake at once */
    assert_int_equal(board->power_offs, 0);
    assert_int_equal(bus_read(board->ports, PM, 2), 0x8000);
    bus_write(board->ports, PM, 2, 0x8000);
    assert_int_equal(bus_read(board->ports, PM, 2), 0);
    bus_write(board->ports, PM + 4, 2, 0x2001);
    assert_int_equal(board->power_offs, 1);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0x0001);
    bus_write(board->ports, PM + 5, 1, 0x20);
    assert_int_equal(board->power_offs, 2);
}

static void no_event_no_hot_plug(void **state)
{
    struct board *board = *state;
    bus_write(board->ports, 0xafe0, 4, 0x12345678);
    assert_int_equal(bus_read(board->ports, 0xafe0, 4), 0x12340000);
    for (unsigned port = 0xae00; port < 0xae10; port += 4)
        assert_int_equal(bus_read(board->ports, port, 4), 0);
}

static void reset_control(void **state)
{
    struct board *board = *state;
    assert_int_equal(bus_read(board->ports, 0xcf9, 1), 0);
    bus_write(board->ports, 0xcf9, 1, 0x02);
    assert_int_equal(board->resets, 0);
    bus_write(board->ports, 0xcf9, 1, 0x06);
    assert_int_equal(board->resets, 1);
    bus_write(board->ports, 0xcf9, 1, 0x06); /* no rise of RCPU */
    assert_int_equal(board->resets, 1);
    bus_write(board->ports, 0xcf9, 1, 0);
    bus_write(board->ports, 0xcf9, 1, 0x04);
    assert_int_equal(board->resets, 2);
    bus_write(board->ports, 0xcf8, 4, 0x80000600); /* a configuration address is no reset */
    bus_write(board->ports, 0xcf8, 4, 0);
    assert_int_equal(board->resets, 2);
}

static void pirqs_are_routed(void **state)
{
    struct board *board = *state;
    assert_int_equal(config_read(board, 0, 0x60, 4), 0x80808080);
    pci_interrupt(board->card, true); /* slot 3, INTA#: PIRQC# */
    for (unsigned i = 0; i < 16; i++)
        assert_false(board->isa[i]);
    config_write(board, 0, 0x60, 4, 0x0b0b0a0a);
    assert_true(board->isa[11]);
    assert_false(board->isa[10]);
    config_write(board, 0, 0x62, 1, 0x05);
    assert_false(board->isa[11]);
    assert_true(board->isa[5]);
    for (unsigned reserved = 0; reserved < 16; reserved++) {
        config_write(board, 0, 0x62, 1, reserved);
        bool routable = reserved >= 3 && reserved != 8 && reserved != 13;
        for (unsigned i = 0; i < 16; i++)
            assert_int_equal(board->isa[i], routable && i == reserved);
    }
    config_write(board, 0, 0x62, 1, 0x8a);
    for (unsigned i = 0; i < 16; i++)
        assert_false(board->isa[i]);
}

static void sci_shares_irq_9(void **state)
{
    struct board *board = *state;
    enable(board);
    config_write(board, 0, 0x62, 1, 9);
    pci_interrupt(board->card, true);
    bus_write(board->ports, PM + 2, 2, 0x100);
    bus_write(board->ports, PM + 4, 2, 1);
    piix4pm_press_power_button(board->pm);
    pci_interrupt(board->card, false);
    assert_true(board->isa[9]);
    bus_write(board->ports, PM, 2, 0x100);
    assert_false(board->isa[9]);
}

static void reset_returns_to_power_on(void **state)
{
    struct board *board = *state;
    enable(board);
    config_write(board, 0, 0x62, 1, 9);
    pci_interrupt(board->card, true);
    bus_write(board->ports, PM + 2, 2, 0x121);
    bus_write(board->ports, PM + 4, 2, 1);
    piix4pm_press_power_button(board->pm);
    pci_reset(board->pci);
    piix3_reset(board->bridge);
    piix4pm_reset(board->pm);
    assert_false(board->isa[9]);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0xffff);
    enable(board);
    assert_int_equal(bus_read(board->ports, PM, 4), 0);
    assert_int_equal(bus_read(board->ports, PM + 4, 2), 0);
    assert_int_equal(config_read(board, 0, 0x62, 1), 0x80);
}

static void hammer(void **state)
{
    static const uint16_t bases[] = {0xcf8, 0xcfc, PM, PM + 0x20, 0xafe0, 0xae00, 0xb2, 0x600};
    struct board *board = *state;
    uint64_t now = 0;
    srandom(3);
    enable(board);
    for (unsigned i = 0; i < 1000000; i++) {
        unsigned port = bases[random() % 8] + (unsigned)random() % 16;
        uint32_t value = (uint32_t)random() ^ (uint32_t)random() << 16;
        if (i % 1000 == 0)
            clock_step(board->clock, now += (uint64_t)random());
        if (i % 100 == 0)
            bus_write(board->ports, 0xcf8, 4, 0x80000800 | (value & 0x3fc));
        if (random() % 2)
            bus_write(board->ports, port, 1u << random() % 3, value);
        else
            bus_read(board->ports, port, 1u << random() % 3);
        if (i % 5000 == 0)
            piix4pm_press_power_button(board->pm);
    }
    reset_returns_to_power_on(state);
}

/* A general-purpose event raises the SCI while it is enabled, until a one is written to it. */
static void general_purpose_events(void **state)
{
    struct board *board = *state;
    enable(board);
    bus_write(board->ports, PM + 4, 2, 1); /* SCI_EN */
    piix4pm_raise_event(board->pm, 2);
    assert_false(board->isa[9]);
    assert_int_equal(bus_read(board->ports, 0xafe0, 2), 4);
    bus_write(board->ports, 0xafe2, 2, 4);
    assert_true(board->isa[9]);
    bus_write(board->ports, 0xafe0, 1, 0xfb);
    assert_true(board->isa[9]);
    bus_write(board->ports, 0xafe0, 1, 4);
    assert_false(board->isa[9]);
    piix4pm_raise_event(board->pm, 9);
    assert_int_equal(bus_read(board->ports, 0xafe1, 1), 2);
    piix4pm_reset(board->pm);
    assert_int_equal(bus_read(board->ports, 0xafe0, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identification, setup, teardown),
        cmocka_unit_test_setup_teardown(registers_move_with_pmba, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_runs_at_3579545_hz, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_overflow_interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(power_button, setup, teardown),
        cmocka_unit_test_setup_teardown(soft_off, setup, teardown),
        cmocka_unit_test_setup_teardown(no_event_no_hot_plug, setup, teardown),
        cmocka_unit_test_setup_teardown(general_purpose_events, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_control, setup, teardown),
        cmocka_unit_test_setup_teardown(pirqs_are_routed, setup, teardown),
        cmocka_unit_test_setup_teardown(sci_shares_irq_9, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_returns_to_power_on, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

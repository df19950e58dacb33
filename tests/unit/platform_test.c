/* What is done to the chips before a kernel starts without firmware. Numbers: PCI 2.2, 6.2.5; 82441FX and 82371SB
 * datasheets; where SeaBIOS puts things. */
#include "unit/unit.h"

#include <stdlib.h>

#include "core/bus.h"
#include "core/memory.h"
#include "devices/i440fx.h"
#include "devices/pci.h"
#include "devices/piix3.h"
#include "firmware/platform.h"

enum { RAM_SIZE = 16 << 20 };

struct board {
    struct bus *ports, *mmio;
    struct memory *memory;
    struct pci_bus *pci;
    struct i440fx *bridge;
    struct piix3 *piix3;
    struct pci_device *card, *huge;
};

static uint64_t nothing_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset, (void)size;
    return 0;
}

static void line_set(void *target, int input, bool level)
{
    (void)target, (void)input, (void)level;
}

static void bar(struct pci_device *device, unsigned index, enum pci_bar_kind kind, uint64_t size)
{
    pci_add_bar(device, index,
                &(struct pci_bar){.kind = kind, .size = size, .name = "bar", .read = nothing_read});
}

static int set_up(void **state)
{
    static const struct pci_identity card = {
        .name = "card", .vendor = 0x1234, .device = 1, .class_code = 0x020000, .interrupt_pin = 1};
    static const uint8_t rom[2048];
    struct board *board = calloc(1, sizeof(*board));
    struct irq_line isa[16];
    struct callback reset = {0};
    for (int i = 0; i < 16; i++)
        isa[i] = (struct irq_line){line_set, NULL, i};
    board->ports = bus_create("port", 0x10000);
    board->mmio = bus_create("mmio", UINT64_MAX);
    board->memory = memory_create(RAM_SIZE);
    board->pci = pci_create(board->ports, board->mmio, board->memory);
    board->bridge = i440fx_create(board->pci, board->memory, NULL, 0);
    board->piix3 = piix3_create(board->pci, isa, &reset);
    board->card = pci_add(board->pci, 3, 0, &card);
    bar(board->card, 0, PCI_BAR_PORTS, 32);
    bar(board->card, 1, PCI_BAR_MEMORY, 0x1000);
    bar(board->card, 2, PCI_BAR_MEMORY, 1 << 20);
    pci_add_rom(board->card, rom, sizeof(rom));
    board->huge = pci_add(board->pci, 4, 0, &card);
    bar(board->huge, 0, PCI_BAR_PORTS, 64);
    bar(board->huge, 1, PCI_BAR_MEMORY, 1 << 30);
    pci_reset(board->pci);
    i440fx_reset(board->bridge);
    *state = board;
    return 0;
}

static int tear_down(void **state)
{
    struct board *board = *state;
    piix3_destroy(board->piix3);
    i440fx_destroy(board->bridge);
    pci_destroy(board->pci);
    memory_destroy(board->memory);
    bus_destroy(board->mmio);
    bus_destroy(board->ports);
    free(board);
    return 0;
}

static void base_addresses(void **state)
{
    struct board *board = *state;
    platform_set_up(board->ports, 0xc0000000, false);
    assert_int_equal(pci_bar_address(board->card, 0), 0xc000);
    assert_int_equal(pci_bar_address(board->card, 1), 0xfebff000);
    assert_int_equal(pci_bar_address(board->card, 2), 0xfea00000);
    assert_int_equal(pci_get(board->card, PCI_COMMAND, 2) & 3, 3);
    assert_int_equal(pci_get(board->card, PCI_ROM_BAR, 4) & 1, 0);
    assert_int_equal(pci_get(board->card, PCI_ROM_BAR, 4), 0xfe9ff000);
    assert_int_equal(pci_bar_address(board->huge, 0), 0xc040);  /* on a multiple of its size */
    assert_int_equal(pci_get(board->huge, PCI_BAR0 + 4, 4), 0); /* no room */
    assert_int_equal(pci_get(board->huge, PCI_COMMAND, 2) & 3, 1);
}

static void a_large_one_fits_when_there_is_room(void **state)
{
    struct board *board = *state;
    platform_set_up(board->ports, RAM_SIZE, false);
    assert_int_equal(pci_bar_address(board->huge, 1), 0x80000000u);
}

static void interrupts(void **state)
{
    struct board *board = *state;
    platform_set_up(board->ports, RAM_SIZE, false);
    assert_int_equal(pci_get(board->card, PCI_INTERRUPT_LINE, 1), 11); /* slot 3, pin A: PIRQC# */
    assert_int_equal(pci_get(board->huge, PCI_INTERRUPT_LINE, 1), 11); /* PIRQD# */
    bus_write_locked(board->ports, 0xcf8, 4, 0x80000860);
    assert_int_equal(bus_read_locked(board->ports, 0xcfc, 4), 0x0b0b0a0a);
}

static void shadow_ram(void **state)
{
    struct board *board = *state;
    uint8_t byte = 0x5a;
    assert_false(memory_write(board->memory, 0xf0000, &byte, 1));
    platform_set_up(board->ports, RAM_SIZE, false);
    for (uint32_t address = 0xc0000; address < 0x100000; address += 0x1000)
        assert_true(memory_write(board->memory, address, &byte, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(base_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_one_fits_when_there_is_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(interrupts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shadow_ram, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Configuration mechanism 1, BARs, ROM, interrupt pins. Numbers: PCI Local Bus Specification 2.2, chapters 3 and 6. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci.h"

enum { RAM_SIZE = 32 << 20 };

struct board {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct pci_bus *pci;
    struct pci_device *device;
    uint64_t last_offset, last_value;
    unsigned writes;
    bool lines[4];
    uint8_t picture[1 << 16] __attribute__((aligned(4096)));
};

static uint64_t board_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)size;
    return 0xa0 + offset;
}

static void board_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct board *board = device;
    (void)size;
    board->last_offset = offset;
    board->last_value = value;
    board->writes++;
}

static void board_line(void *target, int input, bool level)
{
    ((struct board *)target)->lines[input] = level;
}

static void address_set(struct board *board, unsigned slot, unsigned function, unsigned offset)
{
    bus_write(board->ports, 0xcf8, 4, 0x80000000u | slot << 11 | function << 8 | (offset & 0xfc));
}

static uint32_t config_read(struct board *board, unsigned slot, unsigned offset, unsigned size)
{
    address_set(board, slot, 0, offset);
    return (uint32_t)bus_read(board->ports, 0xcfc + (offset & 3), size);
}

static void config_write(struct board *board, unsigned slot, unsigned offset, unsigned size, uint32_t value)
{
    address_set(board, slot, 0, offset);
    bus_write(board->ports, 0xcfc + (offset & 3), size, value);
}

static int setup(void **state)
{
    static const struct pci_identity identity = {.name = "Test",
                                                 .vendor = 0x1234,
                                                 .device = 0x5678,
                                                 .class_code = 0x030102,
                                                 .revision = 9,
                                                 .subsystem_vendor = 0x1af4,
                                                 .subsystem = 0x1100,
                                                 .interrupt_pin = 1};
    static const uint8_t rom[3000] = {0x55, 0xaa, 6, [2999] = 0x77};
    struct board *board = aligned_alloc(4096, (sizeof(*board) + 4095) / 4096 * 4096);
    memset(board, 0, sizeof(*board));
    board->memory = memory_create(RAM_SIZE);
    memory_map(board->memory, &(struct memory_range){0, RAM_SIZE, memory_ram(board->memory), true, "ram"});
    board->ports = bus_create("port", 0x10000);
    board->mmio = bus_create("mmio", 1ull << 40);
    board->pci = pci_create(board->ports, board->mmio, board->memory);
    for (int i = 0; i < 4; i++)
        pci_route(board->pci, (unsigned)i, &(struct irq_line){board_line, board, i});
    board->device = pci_add(board->pci, 3, 0, &identity);
    pci_add_bar(board->device, 0,
                &(struct pci_bar){PCI_BAR_PORTS, 64, "io", board, board_read, board_write, 4, NULL, NULL});
    pci_add_bar(
        board->device, 1,
        &(struct pci_bar){PCI_BAR_MEMORY, 4096, "mem", board, board_read, board_write, 4, NULL, NULL});
    pci_add_bar(board->device, 2,
                &(struct pci_bar){.kind = PCI_BAR_PREFETCHABLE,
                                  .size = sizeof(board->picture),
                                  .name = "picture",
                                  .host = board->picture});
    pci_add_rom(board->device, rom, sizeof(rom));
    *state = board;
    return 0;
}

static int teardown(void **state)
{
    struct board *board = *state;
    pci_destroy(board->pci);
    bus_destroy(board->ports);
    bus_destroy(board->mmio);
    memory_destroy(board->memory);
    free(board);
    return 0;
}

static void mechanism_1(void **state)
{
    struct board *board = *state;
    bus_write(board->ports, 0xcf8, 4, 0x80000000);
    assert_int_equal(bus_read(board->ports, 0xcf8, 4), 0x80000000);
    assert_int_equal(config_read(board, 0, 0, 2), 0xffff);
    assert_int_equal(config_read(board, 3, 0, 4), 0x56781234);
    assert_int_equal(config_read(board, 3, 2, 2), 0x5678);
    assert_int_equal(config_read(board, 3, 8, 4), 0x03010209);
    assert_int_equal(config_read(board, 3, 0xb, 1), 0x03);
    assert_int_equal(config_read(board, 3, 0x2c, 4), 0x11001af4);
    assert_int_equal(config_read(board, 3, 0x3d, 1), 1);
    /* Bus 1, another function, and with the enable bit clear: nobody. */
    bus_write(board->ports, 0xcf8, 4, 0x80011800);
    assert_int_equal(bus_read(board->ports, 0xcfc, 4), 0xffffffff);
    bus_write(board->ports, 0xcf8, 4, 0x80001900);
    assert_int_equal(bus_read(board->ports, 0xcfc, 4), 0xffffffff);
    bus_write(board->ports, 0xcf8, 4, 0x00001800);
    assert_int_equal(bus_read(board->ports, 0xcfc, 4), 0xffffffff);
    /* Only double words reach the address register. */
    bus_write(board->ports, 0xcf8, 4, 0x80001800);
    bus_write(board->ports, 0xcf8, 2, 0);
    bus_write(board->ports, 0xcfb, 1, 0);
    assert_int_equal(bus_read(board->ports, 0xcf8, 4), 0x80001800);
    assert_int_equal(bus_read(board->ports, 0xcf8, 1), 0xff);
    /* Identification cannot be written. */
    config_write(board, 3, 0, 4, 0);
    assert_int_equal(config_read(board, 3, 0, 4), 0x56781234);
}

static void bars_are_sized(void **state)
{
    struct board *board = *state;
    for (unsigned offset = 0x10; offset <= 0x30; offset += 4)
        if (offset < 0x28 || offset == 0x30)
            config_write(board, 3, offset, 4, 0xffffffff);
    assert_int_equal(config_read(board, 3, 0x10, 4), 0xffffffc1);
    assert_int_equal(config_read(board, 3, 0x14, 4), 0xfffff000);
    assert_int_equal(config_read(board, 3, 0x18, 4), 0xffff0008);
    assert_int_equal(config_read(board, 3, 0x1c, 4), 0);
    assert_int_equal(config_read(board, 3, 0x30, 4), 0xfffff001); /* 3000 bytes: 4 KiB, enabled */
    config_write(board, 3, 0x30, 4, 0xfffffffe);
    assert_int_equal(config_read(board, 3, 0x30, 4), 0xfffff000);
}

static void ports_move(void **state)
{
    struct board *board = *state;
    config_write(board, 3, 0x10, 4, 0xc000);
    assert_int_equal(bus_read(board->ports, 0xc001, 1), 0xff);
    config_write(board, 3, 4, 2, 1);
    assert_int_equal(bus_read(board->ports, 0xc001, 1), 0xa1);
    bus_write(board->ports, 0xc03c, 4, 0x12345678);
    assert_int_equal(board->last_offset, 0x3c);
    assert_int_equal(board->last_value, 0x12345678);
    config_write(board, 3, 0x11, 1, 0xd0);
    assert_int_equal(bus_read(board->ports, 0xc001, 1), 0xff);
    assert_int_equal(bus_read(board->ports, 0xd001, 1), 0xa1);
    /* Sized with the decoder on, placed at 0 or past the ports' end: nowhere. */
    config_write(board, 3, 0x10, 4, 0xffffffff);
    assert_int_equal(pci_bar_address(board->device, 0), PCI_UNMAPPED);
    config_write(board, 3, 0x10, 4, 0x10000);
    assert_int_equal(pci_bar_address(board->device, 0), PCI_UNMAPPED);
    config_write(board, 3, 0x10, 4, 0);
    assert_int_equal(pci_bar_address(board->device, 0), PCI_UNMAPPED);
    config_write(board, 3, 0x10, 4, 0xffc0);
    assert_int_equal(pci_bar_address(board->device, 0), 0xffc0);
    config_write(board, 3, 4, 2, 0);
    assert_int_equal(bus_read(board->ports, 0xffc0, 1), 0xff);
}

static void fixed_ports_win(void **state)
{
    struct board *board = *state;
    config_write(board, 3, 4, 2, 1);
    config_write(board, 3, 0x10, 4, 0xcc0); /* CC0h to CFFh, over the configuration ports */
    assert_int_equal(config_read(board, 3, 0, 4), 0x56781234);
    assert_int_equal(bus_read(board->ports, 0xcf4, 1), 0xd4);
}

static void memory_moves(void **state)
{
    struct board *board = *state;
    uint8_t byte = 0;
    config_write(board, 3, 4, 2, 2);
    config_write(board, 3, 0x14, 4, 0xfebf0000);
    config_write(board, 3, 0x18, 4, 0xfd000000);
    config_write(board, 3, 0x30, 4, 0xfebe0001);
    assert_int_equal(bus_read(board->mmio, 0xfebf0010, 1), 0xb0);
    assert_int_equal(bus_read(board->mmio, 0xfebe0000, 2), 0xaa55);
    assert_int_equal(bus_read(board->mmio, 0xfebe0000 + 2999, 1), 0x77);
    assert_int_equal(bus_read(board->mmio, 0xfebe0fff, 1), 0);
    board->picture[5] = 0x42;
    assert_true(memory_read(board->memory, 0xfd000005, &byte, 1));
    assert_int_equal(byte, 0x42);
    config_write(board, 3, 0x30, 4, 0xfebe0000);
    assert_int_equal(bus_read(board->mmio, 0xfebe0000, 1), 0xff);
    config_write(board, 3, 4, 2, 0);
    assert_false(memory_read(board->memory, 0xfd000005, &byte, 1));
}

static void ram_is_not_displaced(void **state)
{
    struct board *board = *state;
    uint8_t byte = 0x11;
    memory_write(board->memory, 0x100000, &byte, 1);
    config_write(board, 3, 4, 2, 2);
    config_write(board, 3, 0x18, 4, 0x100000);
    board->picture[0] = 0x22;
    assert_true(memory_read(board->memory, 0x100000, &byte, 1));
    assert_int_equal(byte, 0x11);
    config_write(board, 3, 0x18, 4, 0xe0000000);
    assert_true(memory_read(board->memory, 0x100000, &byte, 1));
    assert_int_equal(byte, 0x11);
    assert_true(memory_read(board->memory, 0xe0000000, &byte, 1));
    assert_int_equal(byte, 0x22);
}

static void reset_unmaps(void **state)
{
    struct board *board = *state;
    config_write(board, 3, 4, 2, 7);
    config_write(board, 3, 0x10, 4, 0xc000);
    config_write(board, 3, 0x3c, 1, 11);
    pci_interrupt(board->device, true);
    pci_reset(board->pci);
    assert_int_equal(config_read(board, 3, 4, 2), 0);
    assert_int_equal(config_read(board, 3, 0x10, 4), 1);
    assert_int_equal(config_read(board, 3, 0x3c, 1), 0);
    assert_int_equal(bus_read(board->ports, 0xc000, 1), 0xff);
    assert_false(board->lines[2]);
}

static void pins_share_lines(void **state)
{
    struct board *board = *state;
    static const struct pci_identity other = {.name = "Other", .interrupt_pin = 1};
    struct pci_device *neighbour = pci_add(board->pci, 7, 0, &other); /* four slots on: the same PIRQ */
    pci_interrupt(board->device, true);
    pci_interrupt(neighbour, true);
    assert_true(board->lines[2]); /* slot 3, INTA#: (3 - 1 + 1 - 1) & 3 */
    pci_interrupt(board->device, false);
    pci_interrupt(board->device, false);
    assert_true(board->lines[2]);
    pci_interrupt(neighbour, false);
    assert_false(board->lines[2]);
}

static void dma_needs_the_master_bit(void **state)
{
    struct board *board = *state;
    uint32_t value = 0x12345678, got = 0;
    assert_false(pci_dma_write(board->device, 0x2000, &value, 4));
    config_write(board, 3, 4, 2, 4);
    assert_true(pci_dma_write(board->device, 0x2000, &value, 4));
    assert_true(pci_dma_read(board->device, 0x2000, &got, 4));
    assert_int_equal(got, value);
    assert_false(pci_dma_write(board->device, RAM_SIZE - 2, &value, 4));
    assert_false(pci_dma_read(board->device, 0xfffffffe, &got, 4));
    config_write(board, 3, 4, 2, 0);
    assert_false(pci_dma_read(board->device, 0x2000, &got, 4));
    assert_int_equal(got, 0xffffffff);
}

static void prints(void **state)
{
    struct board *board = *state;
    char *text = NULL;
    size_t size = 0;
    config_write(board, 3, 4, 2, 3);
    config_write(board, 3, 0x10, 4, 0xc040);
    config_write(board, 3, 0x14, 4, 0xfebf0000);
    config_write(board, 3, 0x3c, 1, 10);
    FILE *out = open_memstream(&text, &size);
    pci_print(board->pci, out);
    fclose(out);
    assert_non_null(strstr(text, "  Bus  0, device   3, function 0:\n    Test: PCI device 1234:5678\n"));
    assert_non_null(strstr(text, "      PCI subsystem 1af4:1100\n      IRQ 10, pin A\n"));
    assert_non_null(strstr(text, "      BAR0: I/O at 0xc040 [0xc07f].\n"));
    assert_non_null(strstr(text, "      BAR1: 32 bit memory at 0xfebf0000 [0xfebf0fff].\n"));
    assert_non_null(strstr(text, "      BAR2: 32 bit prefetchable memory at 0xffffffffffffffff"));
    free(text);
}

static void hammer(void **state)
{
    struct board *board = *state;
    uint32_t before;
    srandom(1);
    memory_write(board->memory, 0x5000, "keep", 4);
    for (unsigned i = 0; i < 1000000; i++) {
        uint32_t value = (uint32_t)random() ^ (uint32_t)random() << 16;
        unsigned size = 1u << random() % 3;
        switch (random() % 4) {
        case 0: bus_write(board->ports, 0xcf8, 4, 0x80001800 | (value & 0xff)); break;
        case 1: bus_write(board->ports, 0xcf0 + random() % 20, size, value); break;
        case 2: bus_write(board->ports, 0xcfc + random() % 4, size, value); break;
        default: bus_read(board->ports, 0xcf0 + random() % 20, size);
        }
    }
    assert_true(memory_read(board->memory, 0x5000, &before, 4));
    assert_memory_equal(&before, "keep", 4);
    assert_int_equal(config_read(board, 3, 0, 4), 0x56781234);
    pci_reset(board->pci);
    size_t count;
    memory_ranges(board->memory, &count);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mechanism_1, setup, teardown),
        cmocka_unit_test_setup_teardown(bars_are_sized, setup, teardown),
        cmocka_unit_test_setup_teardown(ports_move, setup, teardown),
        cmocka_unit_test_setup_teardown(fixed_ports_win, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(ram_is_not_displaced, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_unmaps, setup, teardown),
        cmocka_unit_test_setup_teardown(pins_share_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_needs_the_master_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(prints, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Shadowing through the PAM registers: the 82441FX datasheet (290549), 3.2.13, and the values SeaBIOS writes. */
#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "devices/i440fx.h"

enum { RAM_SIZE = 4 << 20, ROM_SIZE = 128 << 10 };

struct board {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct pci_bus *pci;
    struct i440fx *bridge;
    unsigned changes;
    uint8_t rom[ROM_SIZE] __attribute__((aligned(4096)));
};

static void map_changed(void *opaque, uint64_t base, uint64_t size)
{
    (void)base, (void)size;
    ((struct board *)opaque)->changes++;
}

static void config_write(struct board *board, unsigned offset, unsigned size, uint32_t value)
{
    bus_write(board->ports, 0xcf8, 4, 0x80000000u | (offset & 0xfc));
    bus_write(board->ports, 0xcfc + (offset & 3), size, value);
}

static uint32_t config_read(struct board *board, unsigned offset, unsigned size)
{
    bus_write(board->ports, 0xcf8, 4, 0x80000000u | (offset & 0xfc));
    return (uint32_t)bus_read(board->ports, 0xcfc + (offset & 3), size);
}

static struct board *board_create(uint64_t ram_size, size_t rom_size)
{
    struct board *board = aligned_alloc(4096, (sizeof(*board) + 4095) / 4096 * 4096);
    memset(board, 0, sizeof(*board));
    memset(board->rom, 0x90, sizeof(board->rom));
    board->memory = memory_create(ram_size);
    memset(memory_ram(board->memory), 0x11, ram_size);
    memory_listen(board->memory, &(struct memory_listener){.opaque = board, .map_changed = map_changed});
    board->ports = bus_create("port", 0x10000);
    board->mmio = bus_create("mmio", 1ull << 40);
    board->pci = pci_create(board->ports, board->mmio, board->memory);
    board->bridge = i440fx_create(board->pci, board->memory, board->rom, rom_size);
    return board;
}

static int setup(void **state)
{
    *state = board_create(RAM_SIZE, ROM_SIZE);
    return 0;
}

static int teardown(void **state)
{
    struct board *board = *state;
    i440fx_destroy(board->bridge);
    pci_destroy(board->pci);
    bus_destroy(board->ports);
    bus_destroy(board->mmio);
    memory_destroy(board->memory);
    free(board);
    return 0;
}

enum { NOTHING = -1, ROM = 0x90, RAM = 0x11 };

/* What is read at an address, and whether a write sticks. */
static void assert_at(struct board *board, uint32_t address, int what, bool writable)
{
    uint8_t before = 0, written, after = 0;
    bool there = memory_read(board->memory, address, &before, 1);
    assert_int_equal(there, what != NOTHING);
    if (!there)
        return;
    assert_int_equal(before, what);
    written = (uint8_t)~before;
    memory_write(board->memory, address, &written, 1);
    memory_read(board->memory, address, &after, 1);
    assert_int_equal(after != before, writable);
    memory_write(board->memory, address, &before, 1);
}

static void identification(void **state)
{
    struct board *board = *state;
    assert_int_equal(config_read(board, 0, 4), 0x12378086);
    assert_int_equal(config_read(board, 8, 4), 0x06000002);
    assert_int_equal(config_read(board, 4, 4), 0x02800006);
    assert_int_equal(config_read(board, 0x2c, 4), 0x11001af4);
    config_write(board, 4, 2, 0);
    assert_int_equal(config_read(board, 4, 2), 6);
}

static void after_reset_rom_is_seen(void **state)
{
    struct board *board = *state;
    assert_at(board, 0x00000, RAM, true);
    assert_at(board, 0x9ffff, RAM, true);
    assert_at(board, 0xa0000, NOTHING, false);
    assert_at(board, 0xbffff, NOTHING, false);
    assert_at(board, 0xc0000, NOTHING, false);
    assert_at(board, 0xdffff, NOTHING, false);
    assert_at(board, 0xe0000, ROM, false);
    assert_at(board, 0xfffff, ROM, false);
    for (unsigned pam = 0x59; pam <= 0x5f; pam++)
        assert_int_equal(config_read(board, pam, 1), 0);
}

static void seabios_unlocks_and_locks(void **state)
{
    struct board *board = *state;
    config_write(board, 0x58, 4, 0x33333000);
    config_write(board, 0x5c, 4, 0x33333333);
    assert_int_equal(config_read(board, 0x58, 4), 0x33333000);
    for (uint32_t address = 0xc0000; address < 0x100000; address += 0x4000)
        assert_at(board, address, RAM, true);
    config_write(board, 0x58, 4, 0x11111000);
    config_write(board, 0x5c, 4, 0x33111111);
    assert_at(board, 0xc0000, RAM, false);
    assert_at(board, 0xe7fff, RAM, false);
    assert_at(board, 0xe8000, RAM, true);
    assert_at(board, 0xeffff, RAM, true);
    assert_at(board, 0xf0000, RAM, false);
    assert_at(board, 0xfffff, RAM, false);
    pci_reset(board->pci);
    i440fx_reset(board->bridge);
    assert_at(board, 0xf61c8, ROM, false);
    assert_at(board, 0xc0000, NOTHING, false);
}

static void each_nibble_is_a_segment(void **state)
{
    static const struct {
        uint8_t pam, nibble;
        uint32_t base, size;
    } segments[] = {
        {0x59, 1, 0xf0000, 0x10000}, {0x5a, 0, 0xc0000, 0x4000}, {0x5a, 1, 0xc4000, 0x4000},
        {0x5b, 0, 0xc8000, 0x4000},  {0x5b, 1, 0xcc000, 0x4000}, {0x5c, 0, 0xd0000, 0x4000},
        {0x5c, 1, 0xd4000, 0x4000},  {0x5d, 0, 0xd8000, 0x4000}, {0x5d, 1, 0xdc000, 0x4000},
        {0x5e, 0, 0xe0000, 0x4000},  {0x5e, 1, 0xe4000, 0x4000}, {0x5f, 0, 0xe8000, 0x4000},
        {0x5f, 1, 0xec000, 0x4000},
    };
    struct board *board = *state;
    for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        uint32_t end = segments[i].base + segments[i].size;
        config_write(board, segments[i].pam, 1, 1u << 4 * segments[i].nibble);
        assert_at(board, segments[i].base, RAM, false);
        assert_at(board, end - 1, RAM, false);
        config_write(board, segments[i].pam, 1, 3u << 4 * segments[i].nibble);
        assert_at(board, segments[i].base, RAM, true);
        assert_at(board, end - 1, RAM, true);
        assert_at(board, segments[i].base - 1, segments[i].base <= 0xe0000 ? NOTHING : ROM, false);
        if (end < 0x100000)
            assert_at(board, end, end < 0xe0000 ? NOTHING : ROM, false);
        config_write(board, segments[i].pam, 1, 2u << 4 * segments[i].nibble);
        assert_at(board, segments[i].base, segments[i].base < 0xe0000 ? NOTHING : ROM, false);
        config_write(board, segments[i].pam, 1, 0);
    }
}

static void neighbours_alike_are_one_range(void **state)
{
    struct board *board = *state;
    size_t count;
    config_write(board, 0x58, 4, 0x33333000);
    config_write(board, 0x5c, 4, 0x33333333);
    const struct memory_range *ranges = memory_ranges(board->memory, &count);
    assert_int_equal(count, 2);
    assert_int_equal(ranges[1].base, 0xc0000);
    assert_int_equal(ranges[1].size, 0x40000);
    board->changes = 0;
    config_write(board, 0x5c, 4, 0x33333333);
    config_write(board, 0x50, 2, 0xffff);
    assert_int_equal(board->changes, 0);
}

static void small_machines_have_holes(void **state)
{
    struct board *board = board_create(0xd0000, 64 << 10);
    (void)state;
    assert_at(board, 0xe0000, NOTHING, false);
    assert_at(board, 0xf0000, ROM, false);
    config_write(board, 0x58, 4, 0x33333000);
    config_write(board, 0x5c, 4, 0x33333333);
    assert_at(board, 0xcffff, RAM, true);
    assert_at(board, 0xd0000, NOTHING, false);
    assert_at(board, 0xf0000, NOTHING, false);
    void *own = board;
    teardown(&own);
}

static void smram_locks(void **state)
{
    struct board *board = *state;
    assert_int_equal(config_read(board, 0x72, 1), 0x02);
    config_write(board, 0x72, 1, 0x4a);
    assert_int_equal(config_read(board, 0x72, 1), 0x4a);
    config_write(board, 0x72, 1, 0x5a); /* D_LCK closes D_OPEN */
    assert_int_equal(config_read(board, 0x72, 1), 0x1a);
    config_write(board, 0x72, 1, 0x60);
    assert_int_equal(config_read(board, 0x72, 1), 0x3a);
    pci_reset(board->pci);
    i440fx_reset(board->bridge);
    assert_int_equal(config_read(board, 0x72, 1), 0x02);
}

static void hammer(void **state)
{
    struct board *board = *state;
    srandom(2);
    for (unsigned i = 0; i < 1000000; i++)
        config_write(board, (unsigned)random() % 256 & ~3u, 4, (uint32_t)random());
    pci_reset(board->pci);
    i440fx_reset(board->bridge);
    after_reset_rom_is_seen(state);
    for (unsigned i = 0; i < ROM_SIZE; i++)
        assert_int_equal(board->rom[i], 0x90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identification, setup, teardown),
        cmocka_unit_test_setup_teardown(after_reset_rom_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(seabios_unlocks_and_locks, setup, teardown),
        cmocka_unit_test_setup_teardown(each_nibble_is_a_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(neighbours_alike_are_one_range, setup, teardown),
        cmocka_unit_test(small_machines_have_holes),
        cmocka_unit_test_setup_teardown(smram_locks, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

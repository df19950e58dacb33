/* Numbers from the Intel 8237A data sheet and IBM's wiring of it in the PC/AT. */
#include "unit/bench.h"

#include <string.h>

#include "core/memory.h"
#include "devices/dma.h"

enum {
    RAM = 0x40000,
    VERIFY = 0x00,
    TO_MEMORY = 0x04,
    FROM_MEMORY = 0x08,
    AUTO = 0x10,
    DOWN = 0x20,
    SINGLE = 0x40
};

static struct bench bench;
static struct memory *memory;
static struct dma *dma;
static uint8_t *ram;

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    memory = memory_create(RAM);
    ram = memory_ram(memory);
    memory_map(memory, &(struct memory_range){0, RAM, ram, true, "ram"});
    dma = dma_create(bench.ports, memory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dma_destroy(dma);
    memory_destroy(memory);
    bench_close(&bench);
    return 0;
}

/* As firmware does for channel 2: mask, flip-flop, address, count, mode, page, unmask. */
static void program_2(uint8_t mode, uint32_t address, uint16_t count)
{
    out(&bench, 0x0a, 0x06);
    out(&bench, 0x0c, 0);
    out(&bench, 0x04, address);
    out(&bench, 0x04, address >> 8);
    out(&bench, 0x0c, 0);
    out(&bench, 0x05, count);
    out(&bench, 0x05, count >> 8);
    out(&bench, 0x0b, mode | 2);
    out(&bench, 0x81, address >> 16);
    out(&bench, 0x0a, 0x02);
}

static uint16_t read_2(uint16_t port)
{
    out(&bench, 0x0c, 0);
    uint8_t low = in(&bench, port);
    return low | in(&bench, port) << 8;
}

static void bytes_reach_memory_up_to_terminal_count(void **state)
{
    (void)state;
    uint8_t bytes[512];
    bool terminal;
    memset(bytes, 0xa5, sizeof(bytes));
    program_2(SINGLE | TO_MEMORY, 0x17c00, 767);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 512, &terminal), 512);
    assert_false(terminal);
    assert_int_equal(in(&bench, 0x08) & 0x0f, 0);
    assert_int_equal(read_2(0x04), 0x7e00);
    assert_int_equal(read_2(0x05), 255);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 512, &terminal), 256);
    assert_true(terminal);
    assert_int_equal(in(&bench, 0x08) & 0x0f, 0x04);
    assert_int_equal(in(&bench, 0x08) & 0x0f, 0); /* reading it clears it */
    assert_int_equal(read_2(0x05), 0xffff);
    assert_int_equal(ram[0x17bff], 0);
    assert_int_equal(ram[0x17c00], 0xa5);
    assert_int_equal(ram[0x17eff], 0xa5);
    assert_int_equal(ram[0x17f00], 0);
    /* Without autoinitialisation terminal count masks the channel. */
    assert_int_equal(dma_to_memory(dma, 2, bytes, 512, &terminal), 0);
    assert_false(terminal);
}

static void autoinitialisation_starts_again(void **state)
{
    (void)state;
    uint8_t bytes[4] = {1, 2, 3, 4};
    bool terminal;
    program_2(SINGLE | AUTO | TO_MEMORY, 0x2000, 3);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(dma_to_memory(dma, 2, bytes, 4, &terminal), 4);
        assert_true(terminal);
        assert_int_equal(read_2(0x04), 0x2000);
        assert_int_equal(read_2(0x05), 3);
    }
    assert_memory_equal(ram + 0x2000, bytes, 4);
}

static void the_address_wraps_within_its_page(void **state)
{
    (void)state;
    uint8_t bytes[32];
    bool terminal;
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = i + 1;
    program_2(SINGLE | TO_MEMORY, 0x1fff0, 31);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 32, &terminal), 32);
    assert_memory_equal(ram + 0x1fff0, bytes, 16);
    assert_memory_equal(ram + 0x10000, bytes + 16, 16);
    assert_int_equal(ram[0x20000], 0);
}

static void it_counts_down_too(void **state)
{
    (void)state;
    uint8_t bytes[4] = {1, 2, 3, 4};
    bool terminal;
    program_2(SINGLE | DOWN | TO_MEMORY, 0x10001, 3);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 4, &terminal), 4);
    assert_int_equal(ram[0x10001], 1);
    assert_int_equal(ram[0x10000], 2);
    assert_int_equal(ram[0x1ffff], 3);
    assert_int_equal(ram[0x1fffe], 4);
}

static void memory_is_read(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    bool terminal;
    memcpy(ram + 0x3000, "diskette", 8);
    program_2(SINGLE | FROM_MEMORY, 0x3000, 7);
    assert_int_equal(dma_from_memory(dma, 2, bytes, 8, &terminal), 8);
    assert_true(terminal);
    assert_memory_equal(bytes, "diskette", 8);
}

static void verify_moves_nothing(void **state)
{
    (void)state;
    uint8_t bytes[8] = {1, 2, 3};
    bool terminal;
    program_2(SINGLE | VERIFY, 0x3000, 7);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 8);
    assert_true(terminal);
    assert_int_equal(ram[0x3000], 0);
}

static void closed_channels_move_nothing(void **state)
{
    (void)state;
    uint8_t bytes[8] = {1, 2, 3};
    bool terminal;
    program_2(SINGLE | FROM_MEMORY, 0x3000, 7);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 0); /* the other way */
    program_2(0xc0, 0x3000, 7);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 0); /* cascade */
    program_2(SINGLE | TO_MEMORY, 0x3000, 7);
    out(&bench, 0x08, 0x04);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 0); /* controller disabled */
    out(&bench, 0x08, 0x00);
    out(&bench, 0x0f, 0x04);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 0); /* masked */
    out(&bench, 0x0e, 0x00);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 8);
    program_2(SINGLE | TO_MEMORY, 0x3000, 7);
    out(&bench, 0x0d, 0x00); /* master clear masks all */
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 0);
}

static void words_wrap_within_128_kilobytes(void **state)
{
    (void)state;
    uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    bool terminal;
    out(&bench, 0xd8, 0);
    out(&bench, 0xc4, 0xfe); /* channel 5, word address FFFEh */
    out(&bench, 0xc4, 0xff);
    out(&bench, 0xc6, 3);
    out(&bench, 0xc6, 0);
    out(&bench, 0xd6, SINGLE | TO_MEMORY | 1);
    out(&bench, 0x8b, 0x03); /* bit 0 of the page does not count */
    out(&bench, 0xd4, 0x01);
    assert_int_equal(dma_to_memory(dma, 5, bytes, 9, &terminal), 8);
    assert_true(terminal);
    assert_memory_equal(ram + 0x3fffc, bytes, 4);
    assert_memory_equal(ram + 0x20000, bytes + 4, 4);
}

static void beyond_memory_nothing_happens(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    bool terminal;
    program_2(SINGLE | FROM_MEMORY, 0xff0000, 7);
    assert_int_equal(dma_from_memory(dma, 2, bytes, 8, &terminal), 8);
    assert_int_equal(bytes[7], 0xff);
    program_2(SINGLE | TO_MEMORY, RAM, 7);
    assert_int_equal(dma_to_memory(dma, 2, bytes, 8, &terminal), 8);
}

static void page_registers_read_back(void **state)
{
    (void)state;
    for (uint16_t port = 0x80; port < 0x90; port++)
        out(&bench, port, port ^ 0x33);
    for (uint16_t port = 0x80; port < 0x90; port++)
        assert_int_equal(in(&bench, port), port ^ 0x33);
}

static void anything_goes(void **state)
{
    (void)state;
    uint64_t seed = 1;
    static uint8_t bytes[70000];
    for (unsigned i = 0; i < 1000000; i++) {
        uint64_t random = bench_random(&seed);
        static const uint16_t bases[] = {0x00, 0x80, 0xc0, 0xd0};
        uint16_t port = bases[random & 3] + (random >> 2 & 15);
        bool terminal;
        if (random & 64)
            out(&bench, port, random >> 8);
        else
            in(&bench, port);
        if (random >> 57)
            continue;
        size_t count = (random >> 16) % sizeof(bytes);
        int channel = (random >> 40 & 7) == 4 ? 0 : random >> 40 & 7;
        if (random & 128)
            assert_in_range(dma_to_memory(dma, channel, bytes, count, &terminal), 0, count);
        else
            assert_in_range(dma_from_memory(dma, channel, bytes, count, &terminal), 0, count);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bytes_reach_memory_up_to_terminal_count),
        TEST(autoinitialisation_starts_again),
        TEST(the_address_wraps_within_its_page),
        TEST(it_counts_down_too),
        TEST(memory_is_read),
        TEST(verify_moves_nothing),
        TEST(closed_channels_move_nothing),
        TEST(words_wrap_within_128_kilobytes),
        TEST(beyond_memory_nothing_happens),
        TEST(page_registers_read_back),
        TEST(anything_goes),
    };
    return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}

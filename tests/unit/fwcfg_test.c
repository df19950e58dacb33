/* The firmware configuration device. Numbers: QEMU, docs/specs/fw_cfg. */
#include "unit/unit.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fwcfg.h"

enum { RAM_SIZE = 4 << 20, DESCRIPTOR = 0x8000, BUFFER = 0x10000 };
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

struct board {
    struct memory *memory;
    struct bus *ports;
    struct fwcfg *fwcfg;
};

static int setup(void **state)
{
    struct board *board = calloc(1, sizeof(*board));
    board->memory = memory_create(RAM_SIZE);
    memory_map(board->memory, &(struct memory_range){0, RAM_SIZE, memory_ram(board->memory), true, "ram"});
    board->ports = bus_create("port", 0x10000);
    board->fwcfg = fwcfg_create(board->ports, board->memory);
    fwcfg_add_number(board->fwcfg, FWCFG_CPUS, 2, 4);
    fwcfg_add_file(board->fwcfg, "etc/first", "0123456789", 10);
    fwcfg_add_file(board->fwcfg, "etc/second", "abc", 3);
    *state = board;
    return 0;
}

static int teardown(void **state)
{
    struct board *board = *state;
    fwcfg_destroy(board->fwcfg);
    bus_destroy(board->ports);
    memory_destroy(board->memory);
    free(board);
    return 0;
}

static void bytes_read(struct board *board, uint16_t key, void *to, unsigned count)
{
    bus_write(board->ports, 0x510, 2, key);
    for (unsigned i = 0; i < count; i++)
        ((uint8_t *)to)[i] = (uint8_t)bus_read(board->ports, 0x511, 1);
}

/* Runs one DMA operation; answers with the control field afterwards. */
static uint32_t dma(struct board *board, uint32_t control, uint32_t length, uint64_t address)
{
    struct {
        uint32_t control, length;
        uint64_t address;
    } descriptor = {htobe32(control), htobe32(length), htobe64(address)};
    uint32_t answer;
    memory_write(board->memory, DESCRIPTOR, &descriptor, sizeof(descriptor));
    bus_write(board->ports, 0x518, 4, htobe32(DESCRIPTOR));
    memory_read(board->memory, DESCRIPTOR, &answer, sizeof(answer));
    return be32toh(answer);
}

static void signature_and_numbers(void **state)
{
    struct board *board = *state;
    uint8_t got[6];
    bytes_read(board, 0, got, 5);
    assert_memory_equal(got, "QEMU\0", 5);
    bytes_read(board, 1, got, 4);
    assert_memory_equal(got, "\3\0\0\0", 4);
    bytes_read(board, 5, got, 4);
    assert_memory_equal(got, "\4\0\0\0", 4);
    bytes_read(board, 0x1234, got, 2);
    assert_memory_equal(got, "\0\0", 2);
    bytes_read(board, 0xffff, got, 2);
    assert_memory_equal(got, "\0\0", 2);
    assert_int_equal(bus_read(board->ports, 0x514, 4), 0x554d4551); /* "QEMU" */
    assert_int_equal(bus_read(board->ports, 0x518, 4), 0x47464320); /* " CFG" */
}

static void directory_lists_files(void **state)
{
    struct board *board = *state;
    uint8_t directory[4 + 2 * 64];
    bytes_read(board, 0x19, directory, sizeof(directory));
    assert_memory_equal(directory, "\0\0\0\2", 4);
    assert_memory_equal(directory + 4, "\0\0\0\x0a\0\x20\0\0etc/first\0", 18);
    assert_memory_equal(directory + 68, "\0\0\0\3\0\x21\0\0etc/second\0", 19);
    fwcfg_add_file(board->fwcfg, "etc/first", "zz", 2); /* again: replaced */
    bytes_read(board, 0x19, directory, sizeof(directory));
    assert_memory_equal(directory, "\0\0\0\2\0\0\0\2\0\x20", 10);
    bytes_read(board, 0x20, directory, 3);
    assert_memory_equal(directory, "zz\0", 3);
}

static void dma_reads_skips_and_selects(void **state)
{
    struct board *board = *state;
    uint8_t got[12];
    assert_int_equal(dma(board, SELECT | READ | 0x20 << 16, 4, BUFFER), 0);
    memory_read(board->memory, BUFFER, got, 4);
    assert_memory_equal(got, "0123", 4);
    assert_int_equal(dma(board, SKIP, 3, 0), 0);
    assert_int_equal(bus_read(board->ports, 0x511, 1), '7');
    memset(got, 0xee, sizeof(got));
    memory_write(board->memory, BUFFER, got, sizeof(got));
    assert_int_equal(dma(board, READ, 5, BUFFER), 0); /* two more, then zeros */
    memory_read(board->memory, BUFFER, got, 6);
    assert_memory_equal(got, "89\0\0\0\xee", 6);
    assert_int_equal(dma(board, SELECT | 0x21 << 16, 0, 0), 0);
    assert_int_equal(bus_read(board->ports, 0x511, 1), 'a');
    /* The high half of the address counts for one operation. */
    bus_write(board->ports, 0x514, 4, htobe32(1));
    bus_write(board->ports, 0x518, 4, htobe32(DESCRIPTOR));
    assert_int_equal(dma(board, SELECT | READ | 0x20 << 16, 1, BUFFER), 0);
}

static void dma_errors(void **state)
{
    struct board *board = *state;
    uint32_t word;
    assert_int_equal(dma(board, WRITE | SELECT | 0x20 << 16, 4, BUFFER), ERROR);
    assert_int_equal(dma(board, READ | SELECT | 0x20 << 16, 4, 0xfee00000), ERROR);
    assert_int_equal(dma(board, READ | SELECT | 0x20 << 16, 4, RAM_SIZE - 2), ERROR);
    assert_int_equal(dma(board, READ | SELECT | 0x20 << 16, 4, UINT64_MAX - 1), ERROR);
    assert_int_equal(dma(board, READ | SELECT | 0x20 << 16, 0xffffffff, BUFFER), ERROR);
    assert_int_equal(dma(board, READ | SELECT | 0x77 << 16, 0xffffffff, UINT64_MAX - 10), ERROR);
    assert_int_equal(dma(board, SKIP | SELECT | 0x20 << 16, 0xffffffff, 0), 0);
    assert_int_equal(bus_read(board->ports, 0x511, 1), 0);
    /* Over its own descriptor: the answer is what stands there in the end. */
    assert_int_equal(dma(board, READ | SELECT | 0x20 << 16, 10, DESCRIPTOR), 0);
    /* A descriptor that is not in memory, or only half. */
    bus_write(board->ports, 0x518, 4, htobe32(0xfee00000));
    bus_write(board->ports, 0x518, 4, htobe32(RAM_SIZE - 8));
    memory_read(board->memory, RAM_SIZE - 8, &word, 4);
    assert_int_equal(be32toh(word), ERROR);
}

static void hammer(void **state)
{
    struct board *board = *state;
    uint8_t got[10];
    srandom(4);
    for (unsigned i = 0; i < 1000000; i++) {
        uint32_t value = (uint32_t)random() ^ (uint32_t)random() << 16;
        unsigned port = 0x50e + (unsigned)random() % 16, size = 1u << random() % 3;
        if (i % 64 == 0)
            dma(board, value & (random() % 2 ? 0x30001f : 0xffff001f), (uint32_t)random() % 0x20000,
                value % (2 * RAM_SIZE));
        else if (random() % 2)
            bus_write(board->ports, port, size, value);
        else
            bus_read(board->ports, port, size);
    }
    fwcfg_reset(board->fwcfg);
    bytes_read(board, 0x20, got, 10);
    assert_memory_equal(got, "0123456789", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signature_and_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(directory_lists_files, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_reads_skips_and_selects, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

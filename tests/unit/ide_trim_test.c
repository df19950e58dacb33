/* DATA SET MANAGEMENT of an ATA disk. Numbers: ATA8-ACS-2 (T13/2015-D), 7.10. */
#include "unit/unit.h"

#include "unit/ide_board.h"

enum { SECTORS = 1000, BASE = 0x1f0, BM = BOARD_BUS_MASTER, RANGES = 0x10000 };

static struct board *board;
static struct image *disk;
static struct block_ops ops;
static uint64_t offsets[200], sizes[200];
static unsigned count;
static int answer;

static int discard(struct block_device *block, uint64_t offset, uint64_t size)
{
    (void)block;
    offsets[count] = offset;
    sizes[count++] = size;
    return answer;
}

static int setup(void **state)
{
    (void)state;
    board = board_create();
    disk = image_create(board->pool, SECTORS, 512);
    ops = *disk->block.ops;
    ops.discard = discard;
    disk->block.ops = &ops;
    disk->block.discards = true;
    disk->block.failed = true;
    ide_attach_disk(board->ide, 0, 0, &disk->block);
    bus_master_on(board);
    count = 0;
    answer = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_free(board);
    image_free(disk);
    return 0;
}

static void range(unsigned index, uint64_t sector, uint64_t length)
{
    uint64_t entry = sector | length << 48;
    memcpy(memory_ram(board->memory) + RANGES + 8 * index, &entry, 8);
}

static void command(unsigned features, unsigned sectors)
{
    out8(board, BASE + 6, 0xe0);
    out8(board, BASE + 1, features);
    out8(board, BASE + 2, sectors >> 8);
    out8(board, BASE + 2, sectors & 0xff);
    out8(board, BASE + 7, 0x06);
}

static void trim(unsigned sectors)
{
    command(1, sectors);
    assert_int_equal(in8(board, BASE + 7) & (ST_DRQ | ST_ERR), ST_DRQ);
    bus_master_table(board, 0, (struct prd[]){{RANGES, 0x80000000 | sectors * 512}}, 1);
    out8(board, BM, 1);
}

static void ranges_are_given_back(void **state)
{
    (void)state;
    range(0, 10, 5);
    range(1, 0, 0); /* none */
    range(2, 999, 1);
    range(64, 500, 100);
    trim(2);
    assert_int_equal(in8(board, BM + 2), 4);
    assert_int_equal(in8(board, BASE + 7), ST_DRDY | ST_DSC);
    assert_int_equal(count, 3);
    assert_int_equal(offsets[0], 10 * 512);
    assert_int_equal(sizes[0], 5 * 512);
    assert_int_equal(offsets[1], 999 * 512);
    assert_int_equal(offsets[2], 500 * 512);
    assert_int_equal(sizes[2], 100 * 512);
}

static void ranges_past_the_end(void **state)
{
    (void)state;
    range(0, 999, 2);
    trim(1);
    assert_int_equal(in8(board, BASE + 7) & ST_ERR, ST_ERR);
    assert_int_equal(in8(board, BASE + 1), 0x10); /* IDNF */
    range(0, 0xffffffffffff, 0xffff);
    trim(1);
    assert_int_equal(in8(board, BASE + 1), 0x10);
    assert_int_equal(count, 0);
}

static void what_is_refused(void **state)
{
    (void)state;
    command(0, 1); /* no TRIM */
    assert_int_equal(in8(board, BASE + 1), 4);
    command(1, 0);
    assert_int_equal(in8(board, BASE + 1), 4);
    command(1, 9); /* more than word 105 says */
    assert_int_equal(in8(board, BASE + 1), 4);
    disk->block.read_only = true;
    command(1, 1);
    assert_int_equal(in8(board, BASE + 1), 4);
    disk->block.read_only = disk->block.discards = false;
    command(1, 1);
    assert_int_equal(in8(board, BASE + 1), 4);
}

static void a_host_that_fails(void **state)
{
    (void)state;
    answer = -EIO;
    range(0, 1, 1);
    trim(1);
    assert_int_equal(in8(board, BASE + 1), 4);
    assert_int_equal(count, 1);
}

static void identify_tells_of_it(void **state)
{
    uint16_t words[256];
    (void)state;
    out8(board, BASE + 7, 0xec);
    data_in(board, BASE, words, 256);
    assert_int_equal(words[169], 1);
    assert_int_equal(words[105], 8);
    assert_int_equal(words[80], 0xf0);
    disk->block.discards = false;
    out8(board, BASE + 7, 0xec);
    data_in(board, BASE, words, 256);
    assert_int_equal(words[169], 0);
    assert_int_equal(words[80], 0x70);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(ranges_are_given_back), TEST(ranges_past_the_end),  TEST(what_is_refused),
        TEST(a_host_that_fails),     TEST(identify_tells_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

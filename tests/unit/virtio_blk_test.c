/*
 * The virtio block device with the driver of virtio_bench.h and an image in memory that answers when the test says so. Numbers:
 * Virtual I/O Device (VIRTIO) Version 1.2, 5.2.
 */
#include "unit/virtio_bench.h"

#include <stdlib.h>

#include "devices/virtio-blk.h"
#include "storage/pool.h"
#include "unit/image.h"

enum { SECTORS = 10000, QUEUE_SIZE = 64 };

enum {
    F_SEG_MAX = 2,
    F_READ_ONLY = 5,
    F_FLUSH = 9,
    F_CONFIG_WCE = 11,
    F_MQ = 12,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,
    F_INDIRECT = 28,
};
enum { IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, NOTHING = 0xee };
#define ALL (1ull << F_FLUSH | 1ull << F_CONFIG_WCE | 1ull << F_DISCARD | 1ull << F_WRITE_ZEROES)

/* Where the parts of a request lie; `tag` tells several apart. */
#define HEADER(tag) (VB_BUFFERS + 0x100ull * (tag))
#define STATUS(tag) (VB_BUFFERS + 0x100ull * (tag) + 0x80)
#define DATA        (VB_BUFFERS + 0x10000ull)

struct board {
    struct virtio_bench bench;
    struct block_pool *pool;
    struct image *image;
    struct virtio_blk *disk;
};

static void disk_open(struct board *board, bool read_only, uint64_t features)
{
    board->image->block.read_only = read_only;
    board->disk = virtio_blk_create(&board->bench.place, &(struct virtio_blk_setup){
                                                             .block = &board->image->block,
                                                             .memory = board->bench.memory,
                                                             .serial = "serial-of-more-than-20-letters",
                                                             .queues = 2,
                                                             .queue_size = QUEUE_SIZE,
                                                             .discard = true,
                                                             .write_zeroes = true,
                                                             .config_wce = true,
                                                         });
    vb_find(&board->bench);
    vb_start(&board->bench, features, 2, QUEUE_SIZE);
}

static int setup(void **state)
{
    struct board *board = calloc(1, sizeof(*board));
    vb_open(&board->bench);
    board->pool = pool_create(NULL, NULL);
    board->image = image_create(board->pool, SECTORS, 512);
    *state = board;
    return 0;
}

static int teardown(void **state)
{
    struct board *board = *state;
    pool_drain(board->pool);
    virtio_blk_destroy(board->disk);
    pool_destroy(board->pool);
    image_free(board->image);
    vb_close(&board->bench);
    free(board);
    return 0;
}

/* Puts a request up: header, `size` bytes at DATA if any, status. Does not notify. */
static void put_up(struct board *board, unsigned queue, unsigned tag, uint32_t type, uint64_t sector,
                   uint32_t size)
{
    struct virtio_bench *bench = &board->bench;
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header = {type, 0, sector};
    unsigned at = 3 * tag;
    uint64_t table = vb_descriptors(queue);
    uint8_t nothing = NOTHING;
    memory_write(bench->memory, HEADER(tag), &header, sizeof(header));
    memory_write(bench->memory, STATUS(tag), &nothing, 1);
    vb_descriptor(bench, table, at, HEADER(tag), 16, VB_NEXT, (uint16_t)(size ? at + 1 : at + 2));
    if (size)
        vb_descriptor(bench, table, at + 1, DATA, size,
                      VB_NEXT | (type == IN || type == GET_ID ? VB_WRITE : 0), (uint16_t)(at + 2));
    vb_descriptor(bench, table, at + 2, STATUS(tag), 1, VB_WRITE, 0);
    vb_offer(bench, queue, (uint16_t)at);
}

static unsigned status_of(struct board *board, unsigned tag)
{
    uint8_t status;
    memory_read(board->bench.memory, STATUS(tag), &status, 1);
    return status;
}

static unsigned ask(struct board *board, uint32_t type, uint64_t sector, uint32_t size)
{
    uint32_t head, written;
    put_up(board, 0, 0, type, sector, size);
    vb_notify(&board->bench, 0);
    pool_drain(board->pool);
    if (!vb_take(&board->bench, 0, &head, &written))
        return NOTHING;
    assert_int_equal(written, (type == IN || type == GET_ID ? size : 0) + 1);
    return status_of(board, 0);
}

static unsigned ask_range(struct board *board, uint32_t type, uint64_t sector, uint32_t sectors,
                          uint32_t flags)
{
    struct {
        uint64_t sector;
        uint32_t sectors, flags;
    } range = {sector, sectors, flags};
    memory_write(board->bench.memory, DATA, &range, sizeof(range));
    return ask(board, type, 0, sizeof(range));
}

static void says_what_it_is(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    disk_open(board, false, ALL);
    assert_int_equal(vb_config_read(bench, 0, 4), 0x10011af4);
    assert_int_equal(vb_config_read(bench, 8, 4), 0x01000000);
    assert_int_equal(vb_get(bench, bench->config, 4), SECTORS);
    assert_int_equal(vb_get(bench, bench->config + 4, 4), 0);
    assert_int_equal(vb_get(bench, bench->config + 12, 4), QUEUE_SIZE - 2);
    assert_int_equal(vb_get(bench, bench->config + 16, 2), SECTORS / (16 * 63));
    assert_int_equal(vb_get(bench, bench->config + 20, 4), 512);
    assert_int_equal(vb_get(bench, bench->config + 34, 2), 2);
    assert_int_equal(vb_offered(bench) & (ALL | 1 << F_SEG_MAX | 1 << F_MQ | 1 << F_READ_ONLY),
                     ALL | 1 << F_SEG_MAX | 1 << F_MQ);
    char serial[21] = "";
    assert_int_equal(ask(board, GET_ID, 0, 20), OK);
    memory_read(bench->memory, DATA, serial, 20);
    assert_string_equal(serial, "serial-of-more-than-");
    assert_int_equal(ask(board, GET_ID, 0, 3), OK);
}

static void reads_and_writes(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint8_t bytes[4096];
    disk_open(board, false, ALL);
    assert_int_equal(ask(board, IN, 300, 4096), OK);
    memory_read(bench->memory, DATA, bytes, sizeof(bytes));
    assert_memory_equal(bytes, board->image->bytes + 300 * 512, sizeof(bytes));
    memset(bytes, 0xc3, sizeof(bytes));
    memory_write(bench->memory, DATA, bytes, sizeof(bytes));
    assert_int_equal(ask(board, OUT, SECTORS - 8, 4096), OK);
    assert_memory_equal(bytes, board->image->bytes + (SECTORS - 8) * 512, sizeof(bytes));
    assert_int_equal(board->image->flushes, 0);
    assert_int_equal(ask(board, FLUSH, 0, 0), OK);
    assert_int_equal(board->image->flushes, 1);
    board->image->flush_fails = true;
    assert_int_equal(ask(board, FLUSH, 0, 0), IOERR);
    assert_int_equal(ask(board, IN, 1, 0), OK); /* nothing */
}

static void one_chain_in_many_pieces(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint64_t table = VB_BUFFERS + 0x8000;
    uint8_t bytes[1024], status;
    uint32_t head, written;
    disk_open(board, false, 1ull << F_FLUSH | 1ull << F_INDIRECT);
    uint8_t header[16] = {IN, 0, 0, 0, 0, 0, 0, 0, 77};
    memory_write(bench->memory, HEADER(0), header, 16);
    vb_descriptor(bench, table, 0, HEADER(0), 5, VB_NEXT, 1);
    vb_descriptor(bench, table, 1, HEADER(0) + 5, 11, VB_NEXT, 2);
    vb_descriptor(bench, table, 2, DATA + 9000, 1, VB_NEXT | VB_WRITE, 3);
    vb_descriptor(bench, table, 3, DATA, 1020, VB_NEXT | VB_WRITE, 4);
    vb_descriptor(bench, table, 4, DATA + 5000, 4, VB_WRITE, 5); /* the last byte is the status */
    vb_descriptor(bench, vb_descriptors(1), 9, table, 5 * 16, VB_INDIRECT, 0);
    vb_offer(bench, 1, 9);
    vb_notify(bench, 1);
    pool_drain(board->pool);
    assert_true(vb_take(bench, 1, &head, &written));
    assert_int_equal(head, 9);
    memory_read(bench->memory, DATA + 9000, bytes, 1);
    memory_read(bench->memory, DATA, bytes + 1, 1020);
    memory_read(bench->memory, DATA + 5000, bytes + 1021, 3);
    assert_memory_equal(bytes, board->image->bytes + 77 * 512, 1024);
    memory_read(bench->memory, DATA + 5003, &status, 1);
    assert_int_equal(status, OK);
}

static void ranges(void **state)
{
    struct board *board = *state;
    uint8_t *at = board->image->bytes + 100 * 512;
    disk_open(board, false, ALL);
    assert_int_equal(ask_range(board, WRITE_ZEROES, 100, 4, 1), OK);
    for (unsigned i = 0; i < 4 * 512; i++)
        assert_int_equal(at[i], 0);
    assert_int_equal(at[-1], 99);
    assert_int_equal(at[4 * 512], 104);
    assert_int_equal(ask_range(board, DISCARD, 0, SECTORS, 0), OK);
    assert_int_equal(ask_range(board, DISCARD, 0, 1, 1), UNSUPP);
    assert_int_equal(ask_range(board, WRITE_ZEROES, 0, 1, 2), UNSUPP);
    assert_int_equal(ask_range(board, DISCARD, 1, SECTORS, 0), IOERR);
    assert_int_equal(ask_range(board, DISCARD, UINT64_MAX, 2, 0), IOERR);
    assert_int_equal(ask_range(board, WRITE_ZEROES, 0, UINT32_MAX, 0), IOERR);
    assert_int_equal(ask(board, DISCARD, 0, 15), IOERR);
    assert_int_equal(ask(board, WRITE_ZEROES, 0, 32), IOERR);
    vb_start(&board->bench, 0, 2, QUEUE_SIZE);
    assert_int_equal(ask_range(board, DISCARD, 0, 1, 0), UNSUPP); /* not agreed upon */
    assert_int_equal(ask_range(board, WRITE_ZEROES, 0, 1, 0), UNSUPP);
}

static void nonsense(void **state)
{
    struct board *board = *state;
    disk_open(board, false, ALL);
    static const struct {
        uint64_t sector;
        uint32_t size;
    } bad[] = {{SECTORS, 512},
               {SECTORS - 1, 1024},
               {UINT64_MAX, 512},
               {1ull << 55, 512},
               {UINT64_MAX / 512, 1024},
               {UINT64_MAX, 0},
               {SECTORS + 1, 0},
               {0, 511},
               {0, 513},
               {0, 1},
               {0, (SECTORS + 1) * 512}};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ask(board, IN, bad[i].sector, bad[i].size), IOERR);
        assert_int_equal(ask(board, OUT, bad[i].sector, bad[i].size), IOERR);
    }
    static const uint32_t unknown[] = {2, 3, 5, 6, 7, 9, 10, 12, 14, 0x80000000, 0xffffffff};
    for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(ask(board, unknown[i], 0, 512), UNSUPP);
    assert_int_equal(vb_status_read(&board->bench) & 64, 0);
}

static void requests_without_header_or_status(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    disk_open(board, false, ALL);
    static const struct {
        uint32_t header;
        uint16_t flags; /* of the status byte */
    } bad[] = {{15, VB_WRITE}, {1, VB_WRITE}, {16, 0}};
    for (unsigned i = 0; i < 3; i++) {
        vb_start(bench, ALL, 2, QUEUE_SIZE);
        vb_descriptor(bench, vb_descriptors(0), 0, HEADER(0), bad[i].header, VB_NEXT, 1);
        vb_descriptor(bench, vb_descriptors(0), 1, STATUS(0), 1, bad[i].flags, 0);
        vb_offer(bench, 0, 0);
        vb_notify(bench, 0);
        assert_int_equal(vb_status_read(bench) & 64, 64);
    }
}

static void read_only_disks(void **state)
{
    struct board *board = *state;
    disk_open(board, true, 1ull << F_FLUSH);
    assert_int_equal(vb_offered(&board->bench) & (1 << F_READ_ONLY | 1 << F_DISCARD | 1 << F_WRITE_ZEROES),
                     1 << F_READ_ONLY);
    assert_int_equal(ask(board, IN, 0, 512), OK);
    assert_int_equal(ask(board, OUT, 0, 512), IOERR);
    assert_int_equal(ask(board, FLUSH, 0, 0), OK);
    assert_int_equal(board->image->bytes[600], 1);
}

static void writing_through(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    disk_open(board, false, 0); /* a driver that knows no flushes */
    assert_int_equal(ask(board, OUT, 0, 512), OK);
    assert_int_equal(board->image->flushes, 1);
    assert_int_equal(ask(board, IN, 0, 512), OK);
    assert_int_equal(board->image->flushes, 1);
    board->image->flush_fails = true;
    assert_int_equal(ask(board, OUT, 0, 512), IOERR);
    board->image->flush_fails = false;
    vb_start(bench, ALL, 2, QUEUE_SIZE); /* one that chooses */
    assert_int_equal(vb_get(bench, bench->config + 32, 1), 1);
    assert_int_equal(ask(board, OUT, 0, 512), OK);
    assert_int_equal(board->image->flushes, 2);
    vb_set(bench, bench->config + 32, 1, 0);
    assert_int_equal(ask(board, OUT, 0, 512), OK);
    assert_int_equal(board->image->flushes, 3);
    vb_set(bench, bench->config, 4, 0xffffffff); /* the rest is not the driver's */
    assert_int_equal(vb_get(bench, bench->config, 4), SECTORS);
}

static void host_errors(void **state)
{
    struct board *board = *state;
    disk_open(board, false, ALL);
    board->image->bad_from = 50 * 512;
    board->image->bad_to = 51 * 512;
    board->image->block.failed = true; /* said already */
    assert_int_equal(ask(board, IN, 50, 512), IOERR);
    assert_int_equal(ask(board, OUT, 49, 1024), IOERR);
    assert_int_equal(ask(board, IN, 51, 512), OK);
}

static void many_at_once(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint32_t head, written;
    disk_open(board, false, ALL);
    for (unsigned tag = 0; tag < 20; tag++)
        put_up(board, tag % 2, tag, IN, tag, 512);
    vb_notify(bench, 0);
    vb_notify(bench, 1);
    assert_int_equal(board->image->block.flying, 20);
    assert_int_equal(status_of(board, 5), NOTHING);
    pool_drain(board->pool);
    for (unsigned tag = 0; tag < 20; tag++) {
        assert_true(vb_take(bench, tag % 2, &head, &written));
        assert_int_equal(head, 3 * tag);
        assert_int_equal(status_of(board, tag), OK);
    }
}

/* The driver resets the device while writes and reads are under way: it is told to wait, and nothing of before reaches its
 * memory or the new rings. */
static void reset_in_flight(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint32_t head, written;
    disk_open(board, false, ALL);
    memory_write(bench->memory, DATA, "new", 3);
    put_up(board, 0, 0, OUT, 7, 512);
    put_up(board, 1, 1, IN, 8, 512);
    vb_notify(bench, 0);
    vb_notify(bench, 1);
    vb_status(bench, 0);
    assert_int_not_equal(vb_status_read(bench), 0);
    pool_drain(board->pool);
    assert_int_equal(vb_status_read(bench), 0);
    assert_int_equal(status_of(board, 0), NOTHING);
    assert_memory_equal(board->image->bytes + 7 * 512, "new", 3);
    /* A driver that does not wait: what it asks for comes after what was under way. */
    vb_start(bench, ALL, 2, QUEUE_SIZE);
    put_up(board, 0, 0, OUT, 7, 512);
    vb_notify(bench, 0);
    vb_status(bench, 0);
    vb_status(bench, 3);
    vb_accept(bench, ALL | 1ull << 32);
    vb_status(bench, 11);
    vb_queue(bench, 0, QUEUE_SIZE);
    vb_status(bench, 15);
    put_up(board, 0, 1, IN, 7, 512);
    vb_notify(bench, 0);
    assert_int_equal(board->image->block.flying, 1);
    pool_drain(board->pool);
    assert_true(vb_take(bench, 0, &head, &written));
    assert_int_equal(head, 3);
    assert_int_equal(status_of(board, 1), OK);
    assert_int_equal(status_of(board, 0), NOTHING);
}

/* Chains at random, with memory under them that is changed meanwhile; resets; answers that fail. */
static void hammer(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint64_t seed = 0x9e3779b97f4a7c15;
    disk_open(board, false, ALL);
    board->image->bad_from = 5000 * 512;
    board->image->bad_to = 5001 * 512;
    board->image->block.failed = true;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t random = bench_random(&seed), value = bench_random(&seed);
        unsigned queue = random & 1, tag = random >> 8 & 15, at = value % QUEUE_SIZE;
        switch (random >> 16 & 15) {
        case 0: pool_drain(board->pool); break;
        case 1:
            if (random >> 20 & 1)
                vb_start(bench, ALL & value, 2, QUEUE_SIZE);
            break;
        case 2:
            vb_descriptor(bench, vb_descriptors(queue), at, DATA + (value >> 8 & 0xffff),
                          value >> 24 & 0xffff, value >> 40 & 3, value >> 42 & 63);
            break;
        case 3: vb_offer(bench, queue, (uint16_t)at); break;
        case 4: memory_write(bench->memory, HEADER(tag) + (value & 15), &random, 1); break;
        case 5: vb_set(bench, bench->config + (value & 63), 1, value >> 8); break;
        default:
            put_up(board, queue, tag, (uint32_t)(value & 15), value >> 8 & 0x3fff,
                   (value >> 32 & 15) == 15 ? value >> 40 & 0xffff : (value >> 40 & 15) * 512);
        }
        vb_notify(bench, queue);
    }
    pool_drain(board->pool);
    vb_start(bench, ALL, 2, QUEUE_SIZE);
    assert_int_equal(ask(board, IN, 1, 512), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(one_chain_in_many_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_without_header_or_status, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only_disks, setup, teardown),
        cmocka_unit_test_setup_teardown(writing_through, setup, teardown),
        cmocka_unit_test_setup_teardown(host_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

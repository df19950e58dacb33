/*
 * The entropy device and the balloon, each with the driver of virtio_bench.h. Numbers: Virtual I/O Device (VIRTIO) Version 1.2,
 * 5.4 and 5.5.
 */
#include "unit/virtio_bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "devices/virtio-balloon.h"
#include "devices/virtio-rng.h"

enum { F_STATS = 1, F_REPORTING = 5, INFLATE = 0, STATS = 2, REPORTING = 3 };

struct board {
    struct virtio_bench bench;
    struct virtio_rng *rng;
    struct virtio_balloon *balloon;
};

static int open_board(void **state)
{
    struct board *board = calloc(1, sizeof(*board));
    vb_open(&board->bench);
    *state = board;
    return 0;
}

static int close_board(void **state)
{
    struct board *board = *state;
    if (board->rng)
        virtio_rng_destroy(board->rng);
    if (board->balloon)
        virtio_balloon_destroy(board->balloon);
    vb_close(&board->bench);
    free(board);
    return 0;
}

/* ---- entropy */

static void rng_open(struct board *board, uint64_t limit)
{
    board->rng = virtio_rng_create(&board->bench.place, limit, 1000);
    vb_find(&board->bench);
    vb_start(&board->bench, 0, 1, 8);
}

static uint32_t ask(struct board *board, uint32_t size)
{
    uint32_t head, written = 0;
    vb_descriptor(&board->bench, vb_descriptors(0), 0, VB_BUFFERS, size, VB_WRITE, 0);
    vb_offer(&board->bench, 0, 0);
    vb_notify(&board->bench, 0);
    return vb_take(&board->bench, 0, &head, &written) ? written : UINT32_MAX;
}

static void bytes_are_random(void **state)
{
    struct board *board = *state;
    uint8_t bytes[256], zeros = 0;
    rng_open(board, 0);
    assert_int_equal(ask(board, 256), 256);
    memory_read(board->bench.memory, VB_BUFFERS, bytes, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        zeros += !bytes[i];
    assert_true(zeros < 16);
    assert_int_equal(ask(board, 8 << 20), 4096); /* no more at once */
    assert_int_equal(vb_config_read(&board->bench, 0, 4), 0x10051af4);
}

static void the_limit_holds(void **state)
{
    struct board *board = *state;
    uint32_t head, written;
    rng_open(board, 100);
    assert_int_equal(ask(board, 64), 64);
    assert_int_equal(ask(board, 64), 36);
    assert_int_equal(ask(board, 64), UINT32_MAX);
    vb_pass(&board->bench, 900 * MILLISECONDS);
    vb_notify(&board->bench, 0); /* does not put it off */
    assert_false(vb_take(&board->bench, 0, &head, &written));
    vb_pass(&board->bench, 100 * MILLISECONDS);
    assert_true(vb_take(&board->bench, 0, &head, &written));
    assert_int_equal(written, 64);
}

static void readable_requests_get_nothing(void **state)
{
    struct board *board = *state;
    uint32_t head, written;
    rng_open(board, 0);
    vb_descriptor(&board->bench, vb_descriptors(0), 0, VB_BUFFERS, 64, 0, 0);
    vb_offer(&board->bench, 0, 0);
    vb_notify(&board->bench, 0);
    assert_true(vb_take(&board->bench, 0, &head, &written));
    assert_int_equal(written, 0);
}

/* ---- balloon */

static void balloon_open(struct board *board, uint64_t features, unsigned queues)
{
    board->balloon = virtio_balloon_create(&board->bench.place, board->bench.memory, true, false);
    vb_find(&board->bench);
    vb_start(&board->bench, features, queues, 128);
}

static const char *balloon_says(struct board *board, char text[256])
{
    FILE *out = fmemopen(text, 256, "w");
    virtio_balloon_print(board->balloon, out);
    fclose(out);
    return text;
}

static void send(struct virtio_bench *bench, unsigned queue, uint64_t address, uint32_t size, uint16_t flags)
{
    vb_descriptor(bench, vb_descriptors(queue), 0, address, size, flags, 0);
    vb_offer(bench, queue, 0);
    vb_notify(bench, queue);
}

static void pages_go_back(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint32_t pages[] = {0x800, 0x801, 0x802, 0x7ff, 0x900, 0xfffffff, 0, 0xfeb10};
    uint8_t byte;
    balloon_open(board, 0, 2);
    vb_config_write(bench, 0x04, 2, 7);
    for (uint64_t page = 0x7fe; page < 0x905; page++)
        memory_write(bench->memory, page << 12, "x", 1);
    pages[6] = 0x7fd; /* never written: as good as any */
    memory_write(bench->memory, VB_BUFFERS, pages, sizeof(pages));
    send(bench, INFLATE, VB_BUFFERS, sizeof(pages), 0);
    for (uint64_t page = 0x7fe; page < 0x905; page++) {
        bool gone = (page >= 0x7ff && page <= 0x802) || page == 0x900;
        memory_read(bench->memory, page << 12, &byte, 1);
        assert_int_equal(byte, gone ? 0 : 'x');
    }
    send(bench, 1, VB_BUFFERS, sizeof(pages), 0);
    assert_int_equal(vb_word(bench, vb_used(1) + 2), 1);
    assert_int_equal(vb_status_read(bench) & 64, 0);
}

static void the_target_is_told(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    char text[256] = "";
    balloon_open(board, 0, 2);
    virtio_balloon_set(board->balloon, 10 << 20);
    assert_true(bench->line);
    assert_int_equal(vb_get(bench, bench->interrupt_status, 1), 2);
    assert_int_equal(vb_get(bench, bench->config, 4), 6 << 8);
    vb_set(bench, bench->config + 4, 4, 5 << 8);
    assert_int_equal(vb_get(bench, bench->config, 4), 6 << 8); /* not the driver's */
    vb_set(bench, bench->config, 4, 77);
    assert_int_equal(vb_get(bench, bench->config, 4), 6 << 8);
    assert_string_equal(balloon_says(board, text), "balloon: actual=11\n");
    virtio_balloon_set(board->balloon, 1ull << 50);
    assert_int_equal(vb_get(bench, bench->config, 4), 0);
    vb_set(bench, bench->config + 4, 4, 0xffffffff);
    assert_string_equal(balloon_says(board, text), "balloon: actual=0\n");
}

static void statistics(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    static const uint8_t stats[] = {4,  0, 0, 0, 16, 0, 0, 0, 0, 0,     /* free: 1 MiB */
                                    99, 0, 1, 1, 1,  1, 1, 1, 1, 1,     /* of a later version */
                                    5,  0, 0, 0, 0,  1, 0, 0, 0, 0, 6}; /* total: 16 MiB; a piece of one */
    char text[256] = "";
    uint32_t head, written;
    balloon_open(board, 1 << F_STATS, 3);
    memory_write(bench->memory, VB_BUFFERS, stats, sizeof(stats));
    send(bench, STATS, VB_BUFFERS, sizeof(stats), 0);
    assert_false(vb_take(bench, STATS, &head, &written)); /* kept until others are wanted */
    assert_string_equal(balloon_says(board, text),
                        "balloon: actual=16 free_mem=1048576 total_mem=16777216\n");
    assert_true(vb_take(bench, STATS, &head, &written));
    send(bench, STATS, VB_BUFFERS, 10, 0);
    send(bench, STATS, VB_BUFFERS, 10, 0); /* one is enough */
    assert_true(vb_take(bench, STATS, &head, &written));
    assert_false(vb_take(bench, STATS, &head, &written));
    vb_status(bench, 0);
    assert_string_equal(balloon_says(board, text), "balloon: actual=16\n");
}

static void free_pages_are_reported(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint8_t byte;
    balloon_open(board, 1 << F_REPORTING, 4);
    memory_write(bench->memory, 0x800000, "x", 1);
    memory_write(bench->memory, 0x9fffff, "x", 1);
    memory_write(bench->memory, 0xa00000, "x", 1);
    send(bench, REPORTING, 0x800000, 0x200000, VB_WRITE);
    memory_read(bench->memory, 0x800000, &byte, 1);
    assert_int_equal(byte, 0);
    memory_read(bench->memory, 0x9fffff, &byte, 1);
    assert_int_equal(byte, 0);
    memory_read(bench->memory, 0xa00000, &byte, 1);
    assert_int_equal(byte, 'x');
}

/* Page numbers and statistics at random, also in chains of every kind. */
static void hammer(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint64_t seed = 0x2545f4914f6cdd1d;
    char text[256];
    balloon_open(board, 1 << F_STATS | 1 << F_REPORTING, 4);
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t random = bench_random(&seed), value = bench_random(&seed);
        unsigned queue = random % 4;
        memory_write(bench->memory, VB_BUFFERS + (random >> 8 & 0xfff), &value, 8);
        if (!(random >> 56))
            vb_start(bench, 1 << F_STATS | 1 << F_REPORTING, 4, 128);
        if (random >> 40 & 1)
            balloon_says(board, text);
        if (random >> 41 & 1)
            vb_set(bench, bench->config + (random >> 16 & 15), 1u << (random >> 20 & 3), value);
        vb_descriptor(bench, vb_descriptors(queue), 0, VB_BUFFERS + (random >> 24 & 0xff), (value >> 50) + 1,
                      (value >> 32 & VB_WRITE) | VB_NEXT, 1);
        vb_descriptor(bench, vb_descriptors(queue), 1, VB_BUFFERS, 64, VB_WRITE, 0);
        vb_offer(bench, queue, 0);
        vb_notify(bench, queue);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_are_random, open_board, close_board),
        cmocka_unit_test_setup_teardown(the_limit_holds, open_board, close_board),
        cmocka_unit_test_setup_teardown(readable_requests_get_nothing, open_board, close_board),
        cmocka_unit_test_setup_teardown(pages_go_back, open_board, close_board),
        cmocka_unit_test_setup_teardown(the_target_is_told, open_board, close_board),
        cmocka_unit_test_setup_teardown(statistics, open_board, close_board),
        cmocka_unit_test_setup_teardown(free_pages_are_reported, open_board, close_board),
        cmocka_unit_test_setup_teardown(hammer, open_board, close_board),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

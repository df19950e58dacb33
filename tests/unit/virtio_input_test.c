/*
 * Virtio input devices with the driver of virtio_bench.h. Numbers: Virtual I/O Device (VIRTIO) Version 1.2, 5.8; Linux,
 * include/uapi/linux/input-event-codes.h.
 */
#include "unit/virtio_bench.h"

#include <stdlib.h>

#include "devices/virtio-input.h"

enum { KEY = 1, REL = 2, ABS = 3, REP = 0x14, BTN_LEFT = 0x110, BTN_RIGHT = 0x111, CONFIG_DATA = 8 };

struct board {
    struct virtio_bench bench;
    struct virtio_input *input;
    struct input_sink sink;
    unsigned buffers;
    bool listens;
};

struct event {
    uint16_t type, code;
    int32_t value;
};

static void listens(void *opaque, struct virtio_input *input, bool now)
{
    struct board *board = opaque;
    board->listens = now;
    board->sink = virtio_input_sink(input);
}

static struct board *open_kind(enum virtio_input_kind kind)
{
    struct board *board = calloc(1, sizeof(*board));
    vb_open(&board->bench);
    board->bench.place.legacy = false;
    board->input =
        virtio_input_create(&board->bench.place, kind, &(struct virtio_input_listener){listens, board});
    vb_find(&board->bench);
    return board;
}

static void close_board(struct board *board)
{
    virtio_input_destroy(board->input);
    vb_close(&board->bench);
    free(board);
}

/* Puts up buffers for so many events. */
static void buffers(struct board *board, unsigned count)
{
    for (; count; count--, board->buffers++) {
        unsigned at = board->buffers % 64;
        vb_descriptor(&board->bench, vb_descriptors(0), at, VB_BUFFERS + 8 * at, 8, VB_WRITE, 0);
        vb_offer(&board->bench, 0, (uint16_t)at);
    }
    vb_notify(&board->bench, 0);
}

static void assert_event(struct board *board, unsigned type, unsigned code, int value)
{
    uint32_t head = 0, written = 0;
    struct event event;
    assert_true(vb_take(&board->bench, 0, &head, &written));
    assert_int_equal(written, 8);
    memory_read(board->bench.memory, VB_BUFFERS + 8 * head, &event, 8);
    assert_int_equal(event.type, type);
    assert_int_equal(event.code, code);
    assert_int_equal(event.value, value);
}

static void assert_no_event(struct board *board)
{
    uint32_t head = 0, written = 0;
    assert_false(vb_take(&board->bench, 0, &head, &written));
}

static unsigned show(struct board *board, unsigned select, unsigned subselect)
{
    vb_set(&board->bench, board->bench.config, 1, select);
    vb_set(&board->bench, board->bench.config + 1, 1, subselect);
    return (unsigned)vb_get(&board->bench, board->bench.config + 2, 1);
}

static uint64_t data(struct board *board, unsigned offset, unsigned size)
{
    return vb_get(&board->bench, board->bench.config + CONFIG_DATA + offset, size);
}

static void the_tablet_says_what_it_is(void **state)
{
    struct board *board = open_kind(VIRTIO_TABLET);
    (void)state;
    assert_int_equal(vb_config_read(&board->bench, 0, 4), 0x10521af4);
    assert_int_equal(show(board, 1, 0), 20);
    assert_int_equal(data(board, 0, 4), 0x72616568); /* "hear" */
    assert_int_equal(show(board, 0x11, KEY), BTN_LEFT / 8 + 1);
    assert_int_equal(data(board, BTN_LEFT / 8, 1), 0x1f);
    assert_int_equal(show(board, 0x11, ABS), 1);
    assert_int_equal(data(board, 0, 1), 3);
    assert_int_equal(show(board, 0x12, 1), 20);
    assert_int_equal(data(board, 4, 4), 0x7fff);
    assert_int_equal(show(board, 0x12, 2), 0);
    assert_int_equal(show(board, 0x11, REP), 0);
    assert_int_equal(show(board, 0x77, 0), 0);
    assert_int_equal(data(board, 0, 4), 0);
    close_board(board);
}

static void the_keyboard_says_what_it_is(void **state)
{
    struct board *board = open_kind(VIRTIO_KEYBOARD);
    (void)state;
    assert_int_equal(show(board, 0x11, KEY), 16);
    assert_int_equal(data(board, 0, 1), 0xfe);         /* all but 0 */
    assert_int_equal(data(board, 13, 1) & 0x80, 0x80); /* DELETE is 111 */
    assert_int_equal(show(board, 0x11, REP), 1);
    assert_int_equal(show(board, 0x11, ABS), 0);
    close_board(board);
}

static void it_is_used_while_its_driver_listens(void **state)
{
    struct board *board = open_kind(VIRTIO_TABLET);
    (void)state;
    assert_false(board->listens);
    vb_start(&board->bench, 0, 2, 64);
    assert_true(board->listens);
    assert_true(board->sink.wants_absolute(board->sink.device));
    vb_status(&board->bench, 0);
    assert_false(board->listens);
    assert_false(board->sink.wants_absolute(board->sink.device));
    close_board(board);
}

static void keys(void **state)
{
    struct board *board = open_kind(VIRTIO_KEYBOARD);
    (void)state;
    vb_start(&board->bench, 0, 2, 64);
    buffers(board, 8);
    board->sink.key(board->sink.device, 0x1e, true); /* A */
    assert_event(board, KEY, 30, 1);
    assert_event(board, 0, 0, 0);
    board->sink.key(board->sink.device, 0x1e, false);
    assert_event(board, KEY, 30, 0);
    assert_event(board, 0, 0, 0);
    board->sink.key(board->sink.device, 0xe053, true);
    assert_event(board, KEY, 111, 1);
    assert_event(board, 0, 0, 0);
    board->sink.key(board->sink.device, 0xe0ff, true); /* no such key */
    assert_no_event(board);
    close_board(board);
}

static void positions_buttons_and_the_wheel(void **state)
{
    struct board *board = open_kind(VIRTIO_TABLET);
    (void)state;
    vb_start(&board->bench, 0, 2, 64);
    buffers(board, 20);
    board->sink.pointer(board->sink.device, &(struct pointer_event){true, 100, 0x7fff, -1, BUTTON_LEFT});
    assert_event(board, KEY, BTN_LEFT, 1);
    assert_event(board, ABS, 0, 100);
    assert_event(board, ABS, 1, 0x7fff);
    assert_event(board, REL, 8, 1); /* away from the user */
    assert_event(board, 0, 0, 0);
    board->sink.pointer(board->sink.device, &(struct pointer_event){true, 0, 0, 0, BUTTON_RIGHT});
    assert_event(board, KEY, BTN_LEFT, 0);
    assert_event(board, KEY, BTN_RIGHT, 1);
    close_board(board);
}

static void the_mouse_takes_steps(void **state)
{
    struct board *board = open_kind(VIRTIO_MOUSE);
    (void)state;
    vb_start(&board->bench, 0, 2, 64);
    buffers(board, 20);
    assert_null(board->sink.wants_absolute);
    board->sink.pointer(board->sink.device, &(struct pointer_event){false, -3, 0, 0, 0});
    assert_event(board, REL, 0, -3);
    assert_event(board, 0, 0, 0);
    board->sink.pointer(board->sink.device, &(struct pointer_event){false, 0, 0, 0, 0});
    assert_no_event(board);
    close_board(board);
}

/* Without buffers they wait; beyond the ring whole reports are lost, and buttons are told of later. */
static void without_buffers_they_wait(void **state)
{
    struct board *board = open_kind(VIRTIO_TABLET);
    uint32_t head = 0, written = 0;
    unsigned seen = 0;
    (void)state;
    vb_start(&board->bench, 0, 2, 64);
    for (unsigned i = 0; i < 1000; i++)
        board->sink.pointer(board->sink.device, &(struct pointer_event){true, (int)i, 0, 0, 0});
    board->sink.pointer(board->sink.device, &(struct pointer_event){true, 0, 0, 0, BUTTON_LEFT}); /* lost */
    for (unsigned round = 0; round < 17; round++) {
        buffers(board, 30);
        while (vb_take(&board->bench, 0, &head, &written))
            seen += written == 8;
    }
    assert_int_equal(seen, 510); /* 170 reports of three */
    buffers(board, 8);
    board->sink.pointer(board->sink.device, &(struct pointer_event){true, 5, 5, 0, BUTTON_LEFT});
    assert_event(board, KEY, BTN_LEFT, 1);
    close_board(board);
}

static void buffers_too_small_and_the_lights(void **state)
{
    struct board *board = open_kind(VIRTIO_KEYBOARD);
    uint32_t head = 0, written = 0;
    (void)state;
    vb_start(&board->bench, 0, 2, 64);
    vb_descriptor(&board->bench, vb_descriptors(0), 0, VB_BUFFERS, 7, VB_WRITE, 0);
    vb_offer(&board->bench, 0, 0);
    board->sink.key(board->sink.device, 0x1e, true);
    assert_true(vb_take(&board->bench, 0, &head, &written));
    assert_int_equal(written, 0);
    vb_descriptor(&board->bench, vb_descriptors(1), 0, VB_BUFFERS, 8, 0, 0);
    vb_offer(&board->bench, 1, 0);
    vb_notify(&board->bench, 1);
    assert_true(vb_take(&board->bench, 1, &head, &written));
    close_board(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tablet_says_what_it_is),
        cmocka_unit_test(the_keyboard_says_what_it_is),
        cmocka_unit_test(it_is_used_while_its_driver_listens),
        cmocka_unit_test(keys),
        cmocka_unit_test(positions_buttons_and_the_wheel),
        cmocka_unit_test(the_mouse_takes_steps),
        cmocka_unit_test(without_buffers_they_wait),
        cmocka_unit_test(buffers_too_small_and_the_lights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

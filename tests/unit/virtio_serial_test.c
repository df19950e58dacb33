/*
 * The virtio console device with the driver of virtio_bench.h and character ports whose host ends are the test's. Numbers:
 * Virtual I/O Device (VIRTIO) Version 1.2, 5.3.
 */
#include "unit/virtio_bench.h"

#include <stdlib.h>

#include "devices/virtio-serial.h"

enum { F_MULTIPORT = 1, F_EMERGENCY_WRITE = 2, CONTROL_IN = 2, CONTROL_OUT = 3, QUEUE_SIZE = 32 };
enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

/* The host's end. */
struct end {
    struct character_port port;
    uint8_t got[1 << 20];
    size_t count, space;
    unsigned drained;
};

struct board {
    struct virtio_bench bench;
    struct virtio_serial *serial;
    struct virtio_serial_port *console, *agent;
    struct end ends[2];
};

static void end_write(void *host, const uint8_t *bytes, size_t count)
{
    struct end *end = host;
    assert_true(count <= end->space || count == 1); /* an emergency does not ask */
    for (size_t i = 0; i < count; i++)
        end->got[end->count++ % sizeof(end->got)] = bytes[i];
    end->space -= count < end->space ? count : end->space;
}

static size_t end_space(void *host)
{
    return ((struct end *)host)->space;
}

static void end_drained(void *host)
{
    ((struct end *)host)->drained++;
}

static int setup(void **state)
{
    struct board *board = calloc(1, sizeof(*board));
    vb_open(&board->bench);
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = &board->ends[i];
        end->space = SIZE_MAX / 2;
        end->port = (struct character_port){
            .write = end_write, .space = end_space, .drained = end_drained, .host = end};
    }
    board->serial = virtio_serial_create(&board->bench.place, 3);
    board->agent =
        virtio_serial_add(board->serial, VIRTIO_SERIAL_ANY, false, "org.agent", &board->ends[1].port);
    board->console = virtio_serial_add(board->serial, VIRTIO_SERIAL_ANY, true, NULL, &board->ends[0].port);
    vb_find(&board->bench);
    *state = board;
    return 0;
}

static int teardown(void **state)
{
    struct board *board = *state;
    if (board->agent)
        virtio_serial_remove(board->agent);
    virtio_serial_remove(board->console);
    virtio_serial_destroy(board->serial);
    vb_close(&board->bench);
    free(board);
    return 0;
}

static uint64_t buffer_of(unsigned queue, unsigned tag)
{
    return VB_BUFFERS + queue * 0x40000 + tag * 0x1000;
}

/* Puts a buffer of `size` bytes up, for the guest to read from or with what it writes. */
static void put_up(struct board *board, unsigned queue, unsigned tag, uint32_t size)
{
    vb_descriptor(&board->bench, vb_descriptors(queue), tag, buffer_of(queue, tag), size,
                  queue % 2 ? 0 : VB_WRITE, 0);
    vb_offer(&board->bench, queue, (uint16_t)tag);
    vb_notify(&board->bench, queue);
}

static void say(struct board *board, uint32_t port, uint16_t event, uint16_t value)
{
    struct {
        uint32_t port;
        uint16_t event, value;
    } message = {port, event, value};
    memory_write(board->bench.memory, buffer_of(CONTROL_OUT, 0), &message, sizeof(message));
    put_up(board, CONTROL_OUT, 0, sizeof(message));
}

/* The next control message; false if there is none. */
static bool hear(struct board *board, uint32_t *port, unsigned *event, char name[32])
{
    uint32_t head, written;
    struct {
        uint32_t port;
        uint16_t event, value;
        char text[56];
    } message = {0};
    if (!vb_take(&board->bench, CONTROL_IN, &head, &written))
        return false;
    memory_read(board->bench.memory, buffer_of(CONTROL_IN, head), &message, written);
    *port = message.port;
    *event = message.event | message.value << 8;
    memset(name, 0, 32);
    memcpy(name, message.text, written - 8);
    return true;
}

static void start(struct board *board)
{
    vb_start(&board->bench, 1 << F_MULTIPORT, 8, QUEUE_SIZE);
    for (unsigned tag = 0; tag < 16; tag++)
        put_up(board, CONTROL_IN, tag, 64);
    say(board, UINT32_MAX, DEVICE_READY, 1);
}

static void hear_all(struct board *board)
{
    uint32_t port;
    unsigned event;
    char name[32];
    while (hear(board, &port, &event, name))
        ;
}

static void ports_are_made_known(void **state)
{
    struct board *board = *state;
    uint32_t port;
    unsigned event;
    char name[32];
    assert_int_equal(vb_config_read(&board->bench, 0, 4), 0x10031af4);
    assert_int_equal(vb_get(&board->bench, board->bench.config + 4, 4), 3);
    assert_int_equal(vb_get(&board->bench, board->bench.common + 18, 2), 8);
    start(board);
    assert_true(hear(board, &port, &event, name) && port == 0 && event == (PORT_ADD | 1 << 8));
    assert_true(hear(board, &port, &event, name) && port == 1 && event == (PORT_ADD | 1 << 8));
    assert_false(hear(board, &port, &event, name));
    say(board, 0, PORT_READY, 1);
    assert_true(hear(board, &port, &event, name) && port == 0 && event == (CONSOLE_PORT | 1 << 8));
    assert_true(hear(board, &port, &event, name) && port == 0 && event == (PORT_OPEN | 1 << 8));
    say(board, 1, PORT_READY, 1);
    assert_true(hear(board, &port, &event, name) && port == 1 && event == (PORT_NAME | 1 << 8));
    assert_string_equal(name, "org.agent");
    assert_true(hear(board, &port, &event, name) && event == PORT_OPEN);
    board->ends[1].port.is_there = true;
    board->ends[1].port.moved(board->ends[1].port.device, true);
    assert_true(hear(board, &port, &event, name) && port == 1 && event == (PORT_OPEN | 1 << 8));
    board->ends[1].port.is_there = false;
    board->ends[1].port.moved(board->ends[1].port.device, false);
    assert_true(hear(board, &port, &event, name) && port == 1 && event == PORT_OPEN);
    virtio_serial_remove(board->agent);
    board->agent = NULL;
    assert_true(hear(board, &port, &event, name) && port == 1 && event == (PORT_REMOVE | 1 << 8));
}

static void news_waits_for_buffers(void **state)
{
    struct board *board = *state;
    uint32_t port;
    unsigned event;
    char name[32];
    vb_start(&board->bench, 1 << F_MULTIPORT, 8, QUEUE_SIZE);
    say(board, UINT32_MAX, DEVICE_READY, 1);
    say(board, 1, PORT_READY, 1);
    assert_false(hear(board, &port, &event, name));
    put_up(board, CONTROL_IN, 0, 64);
    assert_true(hear(board, &port, &event, name) && port == 0 && (event & 0xff) == PORT_ADD);
    assert_false(hear(board, &port, &event, name));
    put_up(board, CONTROL_IN, 1, 3); /* too small for a message: it gets what fits */
    uint32_t head, written;
    assert_true(vb_take(&board->bench, CONTROL_IN, &head, &written));
    assert_int_equal(written, 3);
}

static void numbers(void **state)
{
    struct board *board = *state;
    assert_null(virtio_serial_add(board->serial, 1, false, NULL, NULL));
    assert_null(virtio_serial_add(board->serial, 3, false, NULL, NULL));
    assert_null(virtio_serial_add(board->serial, -2, false, NULL, NULL));
    struct virtio_serial_port *port = virtio_serial_add(board->serial, 2, false, NULL, NULL);
    assert_non_null(port);
    assert_null(virtio_serial_add(board->serial, VIRTIO_SERIAL_ANY, false, NULL, NULL));
    virtio_serial_remove(port);
}

static void the_guest_writes(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    struct end *end = &board->ends[1];
    uint32_t head, written;
    start(board);
    memory_write(bench->memory, buffer_of(5, 0), "hello", 5);
    put_up(board, 5, 0, 5);
    assert_int_equal(end->count, 5);
    assert_memory_equal(end->got, "hello", 5);
    assert_true(vb_take(bench, 5, &head, &written));
    /* A host's end that is full: the rest waits in the guest. */
    end->space = 3;
    put_up(board, 5, 0, 5);
    assert_int_equal(end->count, 8);
    assert_false(vb_take(bench, 5, &head, &written));
    end->space = 100;
    end->port.spaced(end->port.device);
    assert_int_equal(end->count, 10);
    assert_true(vb_take(bench, 5, &head, &written));
    /* A long one goes in turns. */
    end->space = SIZE_MAX / 2;
    put_up(board, 5, 0, 1 << 20);
    assert_false(vb_take(bench, 5, &head, &written));
    for (unsigned i = 0; i < 32; i++)
        vb_pass(bench, 1);
    assert_true(vb_take(bench, 5, &head, &written));
    assert_int_equal(end->count, 10 + (1 << 20));
    /* Nobody at this port's host end, and a port that is not there: it goes nowhere. */
    put_up(board, 7, 0, 100);
    assert_true(vb_take(bench, 7, &head, &written));
}

static void the_guest_reads(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    struct character_port *port = &board->ends[1].port;
    uint32_t head, written;
    char text[6] = "";
    start(board);
    put_up(board, 4, 0, 8);
    put_up(board, 4, 1, 3);
    assert_int_equal(port->room(port->device), 0); /* not open */
    unsigned drained = board->ends[1].drained;
    say(board, 1, PORT_OPEN, 1);
    assert_true(board->ends[1].drained > drained);
    assert_int_equal(port->room(port->device), 8);
    port->receive(port->device, (const uint8_t *)"hello", 5);
    assert_true(vb_take(bench, 4, &head, &written));
    assert_int_equal(head, 0);
    assert_int_equal(written, 5);
    memory_read(bench->memory, buffer_of(4, 0), text, 5);
    assert_string_equal(text, "hello");
    assert_int_equal(port->room(port->device), 3);
    port->receive(port->device, (const uint8_t *)"abc", 3);
    assert_int_equal(port->room(port->device), 0);
    drained = board->ends[1].drained;
    put_up(board, 4, 2, 1);
    assert_true(board->ends[1].drained > drained);
    assert_int_equal(port->room(port->device), 1);
    vb_status(bench, 0); /* the buffer that is held goes nowhere */
    assert_int_equal(port->room(port->device), 0);
    port->receive(port->device, (const uint8_t *)"x", 1);
}

/* Without F_MULTIPORT there is port 0 alone, open. */
static void an_old_driver(void **state)
{
    struct board *board = *state;
    struct character_port *port = &board->ends[0].port;
    vb_start(&board->bench, 0, 2, QUEUE_SIZE);
    put_up(board, 0, 0, 8);
    assert_int_equal(port->room(port->device), 8);
    memory_write(board->bench.memory, buffer_of(1, 0), "hi", 2);
    put_up(board, 1, 0, 2);
    assert_memory_equal(board->ends[0].got, "hi", 2);
    vb_set(&board->bench, board->bench.config + 8, 4, '!');
    assert_memory_equal(board->ends[0].got, "hi!", 3);
}

static void hammer(void **state)
{
    struct board *board = *state;
    struct virtio_bench *bench = &board->bench;
    uint64_t seed = 0x9e3779b97f4a7c15;
    start(board);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t random = bench_random(&seed), value = bench_random(&seed);
        struct end *end = &board->ends[random >> 3 & 1];
        unsigned queue = random >> 8 & 7;
        switch (random >> 16 & 15) {
        case 0: say(board, (uint32_t)(value & 3), value >> 8 & 7, value >> 16 & 1); break;
        case 1: end->space = value & 0xffff; break;
        case 2: end->port.spaced(end->port.device); break;
        case 3: end->port.moved(end->port.device, end->port.is_there = value & 1); break;
        case 4:
        case 5: {
            uint8_t bytes[256] = {0};
            size_t room = end->port.room(end->port.device);
            end->port.receive(end->port.device, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
            break;
        }
        case 6:
            if (value & 1)
                vb_start(bench, value & 1 << F_MULTIPORT, 8, QUEUE_SIZE);
            break;
        case 7: hear_all(board); break;
        case 8: vb_pass(bench, 1); break;
        case 9: vb_set(bench, bench->config + (value & 15), 1u << (value >> 4 & 3), value >> 8); break;
        case 10:
            vb_descriptor(bench, vb_descriptors(queue), value % QUEUE_SIZE,
                          VB_BUFFERS + (value >> 8 & 0xffff), value >> 24 & 0x3ff, value >> 40 & 3,
                          value >> 42 & 31);
            break;
        default: put_up(board, queue, value % QUEUE_SIZE, (value >> 8 & 0xfff) + 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ports_are_made_known, setup, teardown),
        cmocka_unit_test_setup_teardown(news_waits_for_buffers, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guest_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guest_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

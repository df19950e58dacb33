/*
 * The virtio transport and its queues, with a device that answers each chain with its readable bytes turned round.
 * Numbers: Virtual I/O Device (VIRTIO) Version 1.2, chapters 2, 3 and 4.1; PCI Local Bus Specification 3.0, 6.8.2.
 */
#include "unit/virtio_bench.h"

#include <stdlib.h>

enum { QUEUES = 3, QUEUE_SIZE = 16, ECHO_MOST = 4096 };
enum { F_INDIRECT = 28, F_EVENT = 29, F_VERSION_1 = 32, F_OWN = 3 };

struct echo {
    struct virtio_bench bench;
    struct virtio *virtio;
    unsigned started, resets, notified, endless;
    uint8_t config[12];
    struct virtio_chain *kept; /* held back while `keep` is set */
    bool keep;
};

static void answer(struct virtio_chain *chain)
{
    uint8_t bytes[ECHO_MOST], turned[ECHO_MOST];
    uint64_t size = virtio_readable(chain) < ECHO_MOST ? virtio_readable(chain) : ECHO_MOST;
    virtio_read(chain, 0, bytes, size);
    for (uint64_t i = 0; i < size; i++)
        turned[i] = bytes[size - 1 - i];
    if (size > virtio_writable(chain))
        size = virtio_writable(chain);
    virtio_push(chain, virtio_write(chain, 0, turned, size) ? (uint32_t)size : 0);
}

static void echo_notified(void *device, unsigned index)
{
    struct echo *echo = device;
    struct virtio_queue *queue = virtio_queue(echo->virtio, index);
    struct virtio_chain *chain;
    echo->notified++;
    while ((chain = virtio_pop(queue))) {
        if (echo->endless) { /* another CPU puts up a new one for each that is taken */
            echo->endless--;
            vb_offer(&echo->bench, index, 0);
        }
        if (echo->keep && !echo->kept)
            echo->kept = chain;
        else
            answer(chain);
    }
    virtio_publish(queue);
}

static void echo_started(void *device)
{
    ((struct echo *)device)->started++;
}

static void echo_reset(void *device)
{
    struct echo *echo = device;
    echo->resets++;
    if (echo->kept)
        virtio_push(echo->kept, 0);
    echo->kept = NULL;
}

static void echo_config_write(void *device, unsigned offset, uint8_t value)
{
    ((struct echo *)device)->config[offset] = value;
}

static const struct virtio_kind kind = {
    .name = "echo",
    .type = VIRTIO_ENTROPY,
    .class_code = 0xff0000,
    .transitional = 0x1005,
    .ops = {echo_notified, echo_started, echo_reset, echo_config_write},
};

static int setup(void **state)
{
    struct echo *echo = calloc(1, sizeof(*echo));
    vb_open(&echo->bench);
    memcpy(echo->config, "configurator", 12);
    echo->virtio = virtio_create(&echo->bench.place, &kind,
                                 &(struct virtio_setup){.device = echo,
                                                        .features = 1 << F_OWN,
                                                        .queues = QUEUES,
                                                        .queue_size = QUEUE_SIZE,
                                                        .config = echo->config,
                                                        .config_size = sizeof(echo->config)});
    *state = echo;
    return 0;
}

static int teardown(void **state)
{
    struct echo *echo = *state;
    if (echo->kept)
        virtio_push(echo->kept, 0);
    virtio_destroy(echo->virtio);
    vb_close(&echo->bench);
    free(echo);
    return 0;
}

/* A chain of a readable and a writable buffer from descriptor `head` on. */
static void two(struct virtio_bench *bench, unsigned queue, uint16_t head, uint32_t out, uint32_t in)
{
    vb_descriptor(bench, vb_descriptors(queue), head, VB_BUFFERS, out, VB_NEXT, head + 1);
    vb_descriptor(bench, vb_descriptors(queue), head + 1, VB_BUFFERS + 0x1000, in, VB_WRITE, 0);
}

static void assert_reset_needed(struct virtio_bench *bench)
{
    assert_int_equal(vb_status_read(bench) & 64, 64);
}

static void echo_works(struct echo *echo)
{
    struct virtio_bench *bench = &echo->bench;
    uint32_t head = 99, written = 99;
    char text[6] = "";
    memory_write(bench->memory, VB_BUFFERS, "hello", 5);
    two(bench, 1, 4, 5, 64);
    vb_offer(bench, 1, 4);
    vb_notify(bench, 1);
    assert_true(vb_take(bench, 1, &head, &written));
    assert_int_equal(head, 4);
    assert_int_equal(written, 5);
    memory_read(bench->memory, VB_BUFFERS + 0x1000, text, 5);
    assert_string_equal(text, "olleh");
    assert_false(vb_take(bench, 1, &head, &written));
}

static void identity(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    unsigned msix = vb_find(bench);
    assert_int_equal(vb_config_read(bench, 0, 4), 0x10051af4);
    assert_int_equal(vb_config_read(bench, 8, 1), 0);
    assert_int_equal(vb_config_read(bench, 0x2c, 4), 0x00041af4);
    assert_int_equal(vb_config_read(bench, 6, 2) & 0x10, 0x10);
    assert_int_equal(vb_config_read(bench, msix + 2, 2), 3);
    assert_true(bench->common && bench->notify && bench->interrupt_status && bench->config && bench->window);
    assert_int_equal(vb_get(bench, bench->common + 18, 2), QUEUES);
    assert_int_equal(vb_offered(bench),
                     1ull << F_VERSION_1 | 1ull << F_EVENT | 1ull << F_INDIRECT | 1ull << 27 | 1ull << F_OWN);
}

static void modern_only(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    bench->place.slot = 6;
    bench->place.legacy = false;
    struct virtio *other = virtio_create(
        &bench->place, &kind, &(struct virtio_setup){.device = echo, .queues = 1, .queue_size = 8});
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80003000);
    assert_int_equal(bus_read_locked(bench->ports, 0xcfc, 4), 0x10441af4);
    bus_write_locked(bench->ports, 0xcf8, 4, 0x80003010);
    assert_int_equal(bus_read_locked(bench->ports, 0xcfc, 4), 0);
    virtio_destroy(other);
}

static void status_follows_the_driver(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_status(bench, 3);
    assert_int_equal(vb_status_read(bench), 3);
    vb_accept(bench, 1ull << F_VERSION_1 | 1ull << 5); /* not offered */
    vb_status(bench, 11);
    assert_int_equal(vb_status_read(bench), 3);
    vb_accept(bench, 1ull << F_OWN); /* no version 1 */
    vb_status(bench, 11);
    assert_int_equal(vb_status_read(bench), 3);
    vb_accept(bench, 1ull << F_VERSION_1 | 1ull << F_OWN);
    vb_status(bench, 11);
    assert_int_equal(vb_status_read(bench), 11);
    vb_accept(bench, 1ull << F_VERSION_1); /* too late */
    assert_true(virtio_has(echo->virtio, F_OWN));
    assert_int_equal(echo->started, 0);
    vb_status(bench, 15);
    vb_status(bench, 15);
    assert_int_equal(echo->started, 1);
    assert_int_equal(echo->notified, 0); /* no queue is enabled */
    vb_status(bench, 0);
    assert_int_equal(vb_status_read(bench), 0);
    assert_int_equal(echo->resets, 1);
    assert_false(virtio_has(echo->virtio, F_VERSION_1));
}

static void configuration_space(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    assert_int_equal(vb_get(bench, bench->config, 4), 'c' | 'o' << 8 | 'n' << 16 | 'f' << 24);
    assert_int_equal(vb_get(bench, bench->config + 10, 4), 'o' | 'r' << 8);
    assert_int_equal(vb_get(bench, bench->config + 100, 4), 0);
    vb_set(bench, bench->config + 11, 2, 'x' | 'y' << 8);
    assert_memory_equal(echo->config, "configuratox", 12);
    uint64_t generation = vb_get(bench, bench->common + 21, 1);
    virtio_config_changed(echo->virtio);
    assert_int_not_equal(vb_get(bench, bench->common + 21, 1), generation);
    assert_true(bench->line);
    assert_int_equal(vb_get(bench, bench->interrupt_status, 1), 2);
    assert_false(bench->line);
}

static void chains_come_back(void **state)
{
    struct echo *echo = *state;
    vb_find(&echo->bench);
    vb_start(&echo->bench, 0, QUEUES, QUEUE_SIZE);
    for (unsigned i = 0; i < 3 * QUEUE_SIZE; i++)
        echo_works(echo);
    assert_int_equal(vb_get(&echo->bench, echo->bench.interrupt_status, 1), 1);
}

/* Chains that were put up, and notified of, before DRIVER_OK. */
static void early_chains_are_seen(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint32_t head, written;
    vb_find(bench);
    vb_status(bench, 3);
    vb_accept(bench, 1ull << F_VERSION_1);
    vb_status(bench, 11);
    vb_queue(bench, 1, QUEUE_SIZE);
    two(bench, 1, 0, 1, 1);
    vb_offer(bench, 1, 0);
    vb_notify(bench, 1);
    assert_false(vb_take(bench, 1, &head, &written));
    vb_status(bench, 15);
    assert_true(vb_take(bench, 1, &head, &written));
}

static void many_segments(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint32_t head, written;
    char text[9] = "";
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    memory_write(bench->memory, VB_BUFFERS, "abcdefgh", 8);
    for (unsigned i = 0; i < 8; i++)
        vb_descriptor(bench, vb_descriptors(0), i, VB_BUFFERS + i, 1, VB_NEXT, (uint16_t)(i + 1));
    for (unsigned i = 8; i < 16; i++)
        vb_descriptor(bench, vb_descriptors(0), i, VB_BUFFERS + 0x100 + 7 * (15 - i), i == 15 ? 9 : 1,
                      VB_WRITE | (i < 15 ? VB_NEXT : 0), (uint16_t)(i + 1));
    vb_offer(bench, 0, 0);
    vb_notify(bench, 0);
    assert_true(vb_take(bench, 0, &head, &written));
    assert_int_equal(written, 8);
    for (unsigned i = 0; i < 8; i++)
        memory_read(bench->memory, VB_BUFFERS + 0x100 + 7 * (7 - i), &text[i], 1);
    assert_string_equal(text, "hgfedcba");
}

static void indirect(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint64_t table = VB_BUFFERS + 0x2000;
    uint32_t head, written;
    char text[4] = "";
    vb_find(bench);
    vb_start(bench, 1ull << F_INDIRECT, QUEUES, QUEUE_SIZE);
    memory_write(bench->memory, VB_BUFFERS, "abc", 3);
    vb_descriptor(bench, table, 0, VB_BUFFERS, 3, VB_NEXT, 20); /* a table may be longer than the queue */
    vb_descriptor(bench, table, 20, VB_BUFFERS + 0x1000, 3, VB_WRITE, 0);
    vb_descriptor(bench, vb_descriptors(0), 7, table, 21 * 16, VB_INDIRECT, 0);
    vb_offer(bench, 0, 7);
    vb_notify(bench, 0);
    assert_true(vb_take(bench, 0, &head, &written));
    assert_int_equal(head, 7);
    memory_read(bench->memory, VB_BUFFERS + 0x1000, text, 3);
    assert_string_equal(text, "cba");
}

static void interrupts_by_message(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    unsigned msix = vb_find(bench);
    vb_use_msix(bench, msix);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    echo_works(echo);
    assert_false(bench->line);
    assert_int_equal(bench->messages, 1);
    assert_int_equal(bench->last.vector, 0x42);
    assert_int_equal(bench->last.destination, 1);
    virtio_config_changed(echo->virtio);
    assert_int_equal(bench->last.vector, 0x40);
    /* Masked, each its own and as a whole: noted, and sent when that ends. */
    vb_set(bench, VB_MSIX + 2 * 16 + 12, 4, 1);
    echo_works(echo);
    echo_works(echo);
    assert_int_equal(bench->messages, 2);
    assert_int_equal(vb_get(bench, VB_MSIX + 0x800, 4), 1 << 2);
    vb_config_write(bench, msix + 2, 2, 0xc000);
    vb_set(bench, VB_MSIX + 2 * 16 + 12, 4, 0);
    assert_int_equal(bench->messages, 2);
    vb_config_write(bench, msix + 2, 2, 0x8000);
    assert_int_equal(bench->messages, 3);
    assert_int_equal(vb_get(bench, VB_MSIX + 0x800, 8), 0);
    /* A vector that is not there is none. */
    vb_set(bench, bench->common + 22, 2, 1);
    vb_set(bench, bench->common + 26, 2, 4);
    assert_int_equal(vb_get(bench, bench->common + 26, 2), 0xffff);
    echo_works(echo);
    assert_int_equal(bench->messages, 3);
    assert_false(bench->line);
}

static void interrupts_as_wanted(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    unsigned msix = vb_find(bench);
    vb_use_msix(bench, msix);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    vb_word_set(bench, vb_available(1), 1); /* no interrupts, please */
    echo_works(echo);
    assert_int_equal(bench->messages, 0);
    vb_start(bench, 1ull << F_EVENT, QUEUES, QUEUE_SIZE);
    vb_word_set(bench, vb_available(1), 1); /* has no meaning now */
    vb_word_set(bench, vb_available(1) + 4 + 2 * QUEUE_SIZE, 2);
    echo_works(echo); /* used index 1 */
    echo_works(echo);
    assert_int_equal(bench->messages, 0);
    echo_works(echo); /* passes 2 */
    assert_int_equal(bench->messages, 1);
    echo_works(echo);
    assert_int_equal(bench->messages, 1);
    assert_int_equal(vb_word(bench, vb_used(1) + 4 + 8 * QUEUE_SIZE), 4); /* notify from here on */
    for (unsigned i = 0; i < 5; i++) {
        two(bench, 1, 0, 1, 1);
        vb_offer(bench, 1, 0);
    }
    vb_word_set(bench, vb_available(1) + 4 + 2 * QUEUE_SIZE, 6);
    vb_notify(bench, 1);
    assert_int_equal(bench->messages, 2); /* one for five */
}

/* What the used ring says is ordered: a legacy driver, through ports. */
static void legacy(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint64_t rings = 0x20000;
    char text[4] = "";
    vb_find(bench);
    bus_write_locked(bench->ports, VB_PORTS + 18, 1, 3);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS, 4),
                     1u << F_EVENT | 1 << F_INDIRECT | 1 << 27 | 1 << F_OWN);
    bus_write_locked(bench->ports, VB_PORTS + 4, 4, 1 << F_OWN | 1 << 9);
    bus_write_locked(bench->ports, VB_PORTS + 14, 2, 2);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 12, 2), QUEUE_SIZE);
    bus_write_locked(bench->ports, VB_PORTS + 8, 4, rings >> 12);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 8, 4), rings >> 12);
    bus_write_locked(bench->ports, VB_PORTS + 18, 1, 7);
    assert_int_equal(echo->started, 1);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 20, 4), 'c' | 'o' << 8 | 'n' << 16 | 'f' << 24);
    memory_write(bench->memory, VB_BUFFERS, "xyz", 3);
    vb_descriptor(bench, rings, 0, VB_BUFFERS, 3, VB_NEXT, 1);
    vb_descriptor(bench, rings, 1, VB_BUFFERS + 0x1000, 3, VB_WRITE, 0);
    vb_word_set(bench, rings + 16 * QUEUE_SIZE + 4, 0);
    vb_word_set(bench, rings + 16 * QUEUE_SIZE + 2, 1);
    bus_write_locked(bench->ports, VB_PORTS + 16, 2, 2);
    assert_int_equal(vb_word(bench, rings + 0x1000 + 2), 1);
    memory_read(bench->memory, VB_BUFFERS + 0x1000, text, 3);
    assert_string_equal(text, "zyx");
    assert_true(bench->line);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 19, 1), 1);
    assert_false(bench->line);
    bus_write_locked(bench->ports, VB_PORTS + 16, 2, 60000); /* CVE-2011-2512: no such queue */
    bus_write_locked(bench->ports, VB_PORTS + 14, 2, 60000);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 12, 2), 0);
    bus_write_locked(bench->ports, VB_PORTS + 8, 4, 1);
    bus_write_locked(bench->ports, VB_PORTS + 18, 1, 0);
    assert_int_equal(echo->resets, 1);
    /* With MSI-X on, the vectors stand before the configuration space. */
    vb_use_msix(bench, vb_find(bench));
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 24, 4), 'c' | 'o' << 8 | 'n' << 16 | 'f' << 24);
    bus_write_locked(bench->ports, VB_PORTS + 20, 2, 1);
    assert_int_equal(bus_read_locked(bench->ports, VB_PORTS + 20, 2), 1);
}

static void through_configuration_space(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_config_write(bench, bench->window + 4, 1, 4);
    vb_config_write(bench, bench->window + 8, 4, 20);
    vb_config_write(bench, bench->window + 12, 4, 1);
    vb_config_write(bench, bench->window + 16, 1, 3);
    assert_int_equal(vb_status_read(bench), 3);
    assert_int_equal(vb_config_read(bench, bench->window + 16, 1), 3);
    vb_config_write(bench, bench->window + 8, 4, 0x2000);
    vb_config_write(bench, bench->window + 12, 4, 4);
    assert_int_equal(vb_config_read(bench, bench->window + 16, 4), 'c' | 'o' << 8 | 'n' << 16 | 'f' << 24);
    /* Nonsense: unaligned, of impossible length, beyond the BAR, in none. */
    static const uint32_t nonsense[][3] = {{4, 1, 4}, {4, 0, 3},   {4, 0x4000, 4}, {4, 0xfffffffc, 4},
                                           {6, 0, 4}, {255, 0, 4}, {2, 0, 4}};
    for (unsigned i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        vb_config_write(bench, bench->window + 4, 1, nonsense[i][0]);
        vb_config_write(bench, bench->window + 8, 4, nonsense[i][1]);
        vb_config_write(bench, bench->window + 12, 4, nonsense[i][2]);
        vb_config_write(bench, bench->window + 16, 4, 0xffffffff);
        vb_config_read(bench, bench->window + 16, 4);
    }
    assert_int_equal(vb_status_read(bench), 3);
}

static void enabled_queues_stand_still(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_set(bench, bench->common + 22, 2, 1);
    static const uint16_t bad[] = {0, 3, 17, 32, 0xffff};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vb_set(bench, bench->common + 24, 2, bad[i]);
        assert_int_equal(vb_get(bench, bench->common + 24, 2), QUEUE_SIZE);
    }
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    vb_set(bench, bench->common + 22, 2, 1);
    vb_set(bench, bench->common + 24, 2, 8);
    vb_set(bench, bench->common + 32, 4, 0x1234000);
    vb_set(bench, bench->common + 44, 4, 1);
    vb_set(bench, bench->common + 28, 2, 0);
    assert_int_equal(vb_get(bench, bench->common + 24, 2), QUEUE_SIZE);
    assert_int_equal(vb_get(bench, bench->common + 28, 2), 1);
    echo_works(echo);
    vb_set(bench, bench->common + 22, 2, 500);
    assert_int_equal(vb_get(bench, bench->common + 24, 2), 0);
    vb_set(bench, bench->common + 28, 2, 1);
    vb_notify(bench, 500);
}

static void without_mastery_nothing_moves(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint32_t head, written;
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    vb_config_write(bench, 4, 2, 3);
    two(bench, 1, 0, 1, 1);
    vb_offer(bench, 1, 0);
    vb_notify(bench, 1);
    assert_false(vb_take(bench, 1, &head, &written));
    vb_config_write(bench, 4, 2, 7);
    vb_notify(bench, 1);
    assert_true(vb_take(bench, 1, &head, &written));
}

/* Rows of descriptors that break the rules: each leaves the device in need of a reset, and well after that. */
static void broken_chains(void **state)
{
    static const struct {
        uint64_t address;
        uint32_t length;
        uint16_t flags, next;
    } bad[][2] = {
        {{VB_BUFFERS, 1, VB_NEXT, 0}, {0}},                         /* itself */
        {{VB_BUFFERS, 1, VB_NEXT, 1}, {VB_BUFFERS, 1, VB_NEXT, 0}}, /* a circle */
        {{VB_BUFFERS, 1, VB_NEXT, QUEUE_SIZE}, {0}},                /* beyond the table */
        {{VB_BUFFERS, 1, VB_NEXT, 0xffff}, {0}},
        {{VB_BUFFERS, 0, 0, 0}, {0}},          /* nothing */
        {{VB_BUFFERS, 0xffffffff, 0, 0}, {0}}, /* out of memory */
        {{VB_RAM - 1, 2, 0, 0}, {0}},
        {{0xfeb10000, 4, VB_WRITE, 0}, {0}}, /* the device's own registers */
        {{UINT64_MAX, 1, 0, 0}, {0}},
        {{UINT64_MAX - 3, 16, VB_WRITE, 0}, {0}},                        /* wraps around */
        {{VB_BUFFERS, 1, VB_WRITE | VB_NEXT, 1}, {VB_BUFFERS, 1, 0, 0}}, /* readable behind writable */
        {{VB_BUFFERS, 15, VB_INDIRECT, 0}, {0}},                         /* no whole descriptor */
        {{VB_BUFFERS, 0, VB_INDIRECT, 0}, {0}},
        {{VB_BUFFERS, 0xfffffff0, VB_INDIRECT, 0}, {0}},
        {{VB_RAM - 8, 16, VB_INDIRECT, 0}, {0}},
        {{VB_BUFFERS, 16, VB_INDIRECT | VB_NEXT, 1}, {VB_BUFFERS, 1, 0, 0}},
        {{0x80000, 32, VB_INDIRECT, 0}, {0}}, /* an indirect table that holds: one */
        {{0x90000, 32, VB_INDIRECT, 0}, {0}}, /* a circle */
    };
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_descriptor(bench, 0x80000, 0, VB_BUFFERS, 16, VB_INDIRECT, 0);
    vb_descriptor(bench, 0x90000, 0, VB_BUFFERS, 1, VB_NEXT, 1);
    vb_descriptor(bench, 0x90000, 1, VB_BUFFERS, 1, VB_NEXT, 0);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t head, written;
        vb_start(bench, 1ull << F_INDIRECT, QUEUES, QUEUE_SIZE);
        for (unsigned j = 0; j < 2; j++)
            vb_descriptor(bench, vb_descriptors(1), j, bad[i][j].address, bad[i][j].length, bad[i][j].flags,
                          bad[i][j].next);
        vb_offer(bench, 1, 0);
        vb_notify(bench, 1);
        assert_false(vb_take(bench, 1, &head, &written));
        assert_reset_needed(bench);
        assert_int_equal(vb_get(bench, bench->interrupt_status, 1), 2);
        two(bench, 0, 0, 1, 1); /* no other queue goes on either */
        vb_offer(bench, 0, 0);
        vb_notify(bench, 0);
        assert_false(vb_take(bench, 0, &head, &written));
    }
    vb_start(bench, 0, QUEUES, QUEUE_SIZE); /* without the feature */
    vb_descriptor(bench, vb_descriptors(1), 0, VB_BUFFERS, 16, VB_INDIRECT, 0);
    vb_offer(bench, 1, 0);
    vb_notify(bench, 1);
    assert_reset_needed(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    echo_works(echo);
}

static void broken_rings(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    vb_word_set(bench, vb_available(1) + 2, QUEUE_SIZE + 1); /* the index jumps */
    vb_notify(bench, 1);
    assert_reset_needed(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    vb_offer(bench, 1, QUEUE_SIZE); /* no such descriptor */
    vb_notify(bench, 1);
    assert_reset_needed(bench);
    static const unsigned addresses[] = {32, 40,
                                         48}; /* each area in a hole, and at the end of all addresses */
    for (unsigned i = 0; i < 6; i++) {
        vb_status(bench, 0);
        vb_status(bench, 3);
        vb_accept(bench, 1ull << F_VERSION_1 | 1ull << F_EVENT);
        vb_status(bench, 11);
        vb_set(bench, bench->common + 22, 2, 1);
        vb_set(bench, bench->common + 32, 4, vb_descriptors(1));
        vb_set(bench, bench->common + 40, 4, vb_available(1));
        vb_set(bench, bench->common + 48, 4, vb_used(1));
        vb_set(bench, bench->common + addresses[i % 3], 4, i < 3 ? 0xfeb10000 : 0xfffffffe);
        vb_set(bench, bench->common + addresses[i % 3] + 4, 4, i < 3 ? 0 : 0xffffffff);
        vb_set(bench, bench->common + 28, 2, 1);
        bench->available[1] = 0;
        vb_word_set(bench, vb_available(1) + 2, 0);
        vb_status(bench, 15);
        two(bench, 1, 0, 1, 1);
        vb_offer(bench, 1, 0);
        vb_notify(bench, 1);
        vb_notify(bench, 1);
        assert_reset_needed(bench);
    }
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    echo_works(echo);
}

/* One descriptor made available again and again while the device holds it. */
static void held_chains_are_bounded(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    struct virtio_chain *held[QUEUE_SIZE];
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    two(bench, 1, 0, 1, 1);
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        vb_offer(bench, 1, 0);
        held[i] = virtio_pop(virtio_queue(echo->virtio, 1));
        assert_non_null(held[i]);
    }
    vb_offer(bench, 1, 0);
    assert_null(virtio_pop(virtio_queue(echo->virtio, 1)));
    assert_reset_needed(bench);
    for (unsigned i = 0; i < QUEUE_SIZE; i++)
        virtio_push(held[i], 0);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    echo_works(echo);
}

static void chains_outlive_a_reset(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint32_t head, written;
    uint8_t byte = 0x55, got;
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    two(bench, 1, 0, 1, 1);
    vb_offer(bench, 1, 0);
    struct virtio_chain *chain = virtio_pop(virtio_queue(echo->virtio, 1));
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    memory_write(bench->memory, VB_BUFFERS + 0x1000, "\xaa", 1);
    assert_false(virtio_write(chain, 0, &byte, 1));
    assert_false(virtio_read(chain, 0, &byte, 1));
    virtio_push(chain, 1);
    virtio_publish(virtio_queue(echo->virtio, 1));
    assert_false(vb_take(bench, 1, &head, &written));
    memory_read(bench->memory, VB_BUFFERS + 0x1000, &got, 1);
    assert_int_equal(got, 0xaa);
    echo_works(echo);
}

static void chains_go_back(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_start(bench, 1ull << F_EVENT, QUEUES, QUEUE_SIZE);
    two(bench, 1, 4, 5, 64);
    vb_offer(bench, 1, 4);
    virtio_unpop(virtio_pop(virtio_queue(echo->virtio, 1)));
    virtio_unpop(virtio_pop(virtio_queue(echo->virtio, 1)));
    bench->available[1] = 0;
    echo_works(echo);
}

/* A queue that never runs empty is served in turns. */
static void turns_end(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    vb_find(bench);
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    two(bench, 1, 0, 1, 1);
    echo->endless = 100;
    echo->notified = 0;
    vb_offer(bench, 1, 0);
    vb_notify(bench, 1);
    assert_int_equal(echo->notified, 1);
    assert_int_equal(echo->endless, 100 - QUEUE_SIZE);
    for (unsigned i = 0; i < 10; i++)
        vb_pass(bench, 1);
    assert_int_equal(echo->endless, 0);
    assert_int_equal(vb_word(bench, vb_used(1) + 2), 101);
    unsigned notified = echo->notified;
    vb_pass(bench, SECONDS);
    assert_int_equal(echo->notified, notified);
}

/* Registers, rings, descriptors and configuration space at random, now and then a clean start. */
static void hammer(void **state)
{
    struct echo *echo = *state;
    struct virtio_bench *bench = &echo->bench;
    uint64_t seed = 0x2545f4914f6cdd1d;
    unsigned msix = vb_find(bench);
    vb_use_msix(bench, msix);
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t random = bench_random(&seed), value = bench_random(&seed);
        unsigned queue = random % QUEUES, size = 1u << (random >> 4) % 4;
        uint64_t inside = vb_descriptors(queue) + (random >> 8) % 0x300 + 0x4000 * ((random >> 20) % 3);
        switch (random >> 32 & 31) {
        case 0:
            vb_start(bench, random >> 40 & (1ull << F_INDIRECT | 1ull << F_EVENT), QUEUES, QUEUE_SIZE);
            break;
        case 1: vb_set(bench, bench->common + (random >> 8) % 64, size, value); break;
        case 2: vb_get(bench, VB_MODERN + (random >> 8) % 0x4000, size); break;
        case 3: vb_set(bench, VB_MSIX + (random >> 8) % 0x1000, size, value); break;
        case 4: vb_get(bench, VB_MSIX + (random >> 8) % 0x1000, size); break;
        case 5: bus_write_locked(bench->ports, VB_PORTS + (random >> 8) % 64, size & 7, value); break;
        case 6: bus_read_locked(bench->ports, VB_PORTS + (random >> 8) % 64, size & 7); break;
        case 7: vb_config_write(bench, bench->window + (random >> 8) % 20, 1, value); break;
        case 8: vb_config_read(bench, (random >> 8) % 256, 1); break;
        case 9: memory_write(bench->memory, inside, &value, size); break;
        case 10: vb_pass(bench, 1000); break;
        case 11: vb_config_write(bench, msix + 2 + (random >> 8) % 2, 1, value); break;
        case 12: virtio_config_changed(echo->virtio); break;
        case 13: echo->keep = random & 64; break;
        case 14: vb_find(bench); break;
        default:
            vb_descriptor(bench, vb_descriptors(queue), (random >> 8) % QUEUE_SIZE,
                          VB_BUFFERS + (value & 0xfff), (value >> 16 & 0x3ff) + 1, value >> 32 & 7,
                          (value >> 40) % (QUEUE_SIZE + 1));
            vb_offer(bench, queue, (value >> 48) % QUEUE_SIZE);
            vb_notify(bench, queue);
        }
    }
    vb_find(bench);
    vb_use_msix(bench, msix);
    echo->keep = false;
    vb_start(bench, 0, QUEUES, QUEUE_SIZE);
    echo_works(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(modern_only, setup, teardown),
        cmocka_unit_test_setup_teardown(status_follows_the_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(configuration_space, setup, teardown),
        cmocka_unit_test_setup_teardown(chains_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(early_chains_are_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(many_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(indirect, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupts_by_message, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupts_as_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(legacy, setup, teardown),
        cmocka_unit_test_setup_teardown(through_configuration_space, setup, teardown),
        cmocka_unit_test_setup_teardown(enabled_queues_stand_still, setup, teardown),
        cmocka_unit_test_setup_teardown(without_mastery_nothing_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(held_chains_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(chains_outlive_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(chains_go_back, setup, teardown),
        cmocka_unit_test_setup_teardown(turns_end, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

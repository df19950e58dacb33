/*
 * The virtio transport and its queues, with the device of virtio_echo.h.
 * Numbers: Virtual I/O Device (VIRTIO) Version 1.2, chapters 2, 3 and 4.1; PCI Local Bus Specification 3.0, 6.8.2.
 */
#include "unit/virtio_echo.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

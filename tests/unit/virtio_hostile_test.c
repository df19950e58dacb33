/* Drivers that break the rules: each leaves a virtio device in need of a reset at most, and well after that. */
#include "unit/virtio_echo.h"

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

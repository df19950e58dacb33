/* A virtio device that answers each chain with its readable bytes turned round. */
#ifndef UNIT_VIRTIO_ECHO_H
#define UNIT_VIRTIO_ECHO_H

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

static inline void answer(struct virtio_chain *chain)
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

static inline void echo_notified(void *device, unsigned index)
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

static inline void echo_started(void *device)
{
    ((struct echo *)device)->started++;
}

static inline void echo_reset(void *device)
{
    struct echo *echo = device;
    echo->resets++;
    if (echo->kept)
        virtio_push(echo->kept, 0);
    echo->kept = NULL;
}

static inline void echo_config_write(void *device, unsigned offset, uint8_t value)
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

static inline int setup(void **state)
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

static inline int teardown(void **state)
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
static inline void two(struct virtio_bench *bench, unsigned queue, uint16_t head, uint32_t out, uint32_t in)
{
    vb_descriptor(bench, vb_descriptors(queue), head, VB_BUFFERS, out, VB_NEXT, head + 1);
    vb_descriptor(bench, vb_descriptors(queue), head + 1, VB_BUFFERS + 0x1000, in, VB_WRITE, 0);
}

static inline void assert_reset_needed(struct virtio_bench *bench)
{
    assert_int_equal(vb_status_read(bench) & 64, 64);
}

static inline void echo_works(struct echo *echo)
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

#endif

/*
 * The virtio entropy device. The driver puts up writable buffers; they come back with random bytes of the host's kernel,
 * at most 4 KiB of them in each, so that a guest cannot make the machine wait.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 5.4.
 */
#include "devices/virtio-rng.h"

#include <stdlib.h>
#include <sys/random.h>

#include "core/log.h"

enum { CLASS_OTHER = 0xff0000, ID_TRANSITIONAL = 0x1005, QUEUE_SIZE = 8, REQUEST_MOST = 4096 };

struct virtio_rng {
    struct virtio *virtio;
    struct clock *clock;
    struct timer *period; /* armed while the limit is used up */
    uint64_t limit, nanoseconds;
    uint64_t left; /* of the limit, in this period */
    bool waiting;
};

static uint64_t allowance(const struct virtio_rng *rng)
{
    return rng->limit && rng->left < REQUEST_MOST ? rng->left : REQUEST_MOST;
}

static void fill(struct virtio_rng *rng, struct virtio_chain *chain)
{
    uint8_t bytes[REQUEST_MOST];
    uint64_t size = virtio_writable(chain) < allowance(rng) ? virtio_writable(chain) : allowance(rng);
    ssize_t got = getrandom(bytes, size, 0);
    uint32_t written = got > 0 && virtio_write(chain, 0, bytes, (uint64_t)got) ? (uint32_t)got : 0;
    rng->left -= rng->limit ? written : 0;
    virtio_push(chain, written);
}

static void notified(void *device, unsigned index)
{
    struct virtio_rng *rng = device;
    struct virtio_queue *queue = virtio_queue(rng->virtio, index);
    struct virtio_chain *chain;
    while (allowance(rng) && (chain = virtio_pop(queue)))
        fill(rng, chain);
    virtio_publish(queue);
    if (!allowance(rng) && !rng->waiting)
        timer_arm(rng->period, clock_now(rng->clock) + rng->nanoseconds);
    rng->waiting = !allowance(rng);
}

static void period_over(void *opaque)
{
    struct virtio_rng *rng = opaque;
    rng->left = rng->limit;
    rng->waiting = false;
    notified(rng, 0);
}

static const struct virtio_kind kind = {
    .name = "virtio-rng",
    .type = VIRTIO_ENTROPY,
    .class_code = CLASS_OTHER,
    .transitional = ID_TRANSITIONAL,
    .ops = {.notified = notified},
};

struct virtio_rng *virtio_rng_create(const struct virtio_place *place, uint64_t bytes, uint64_t milliseconds)
{
    struct virtio_rng *rng = allocate(sizeof(*rng));
    struct virtio_setup setup = {.device = rng, .queues = 1, .queue_size = QUEUE_SIZE};
    rng->clock = place->clock;
    rng->limit = rng->left = bytes;
    rng->nanoseconds = milliseconds * (NANOSECONDS_PER_SECOND / 1000);
    rng->period = timer_create_on(place->clock, period_over, rng);
    rng->virtio = virtio_create(place, &kind, &setup);
    return rng;
}

void virtio_rng_reset(struct virtio_rng *rng)
{
    virtio_reset(rng->virtio);
}

void virtio_rng_destroy(struct virtio_rng *rng)
{
    virtio_destroy(rng->virtio);
    timer_destroy(rng->period);
    free(rng);
}

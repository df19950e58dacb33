/* For network cards' targets: the other end of the cable, which sends frames in and takes those that come. */
#ifndef TESTS_FUZZ_CARDS_H
#define TESTS_FUZZ_CARDS_H

#include "fuzz/chips.h"
#include "net/net.h"

static inline void cards_send(void *opaque, const uint8_t *frame, size_t size,
                              const struct net_offload *offload)
{
    volatile uint8_t sum = 0;
    (void)opaque, (void)offload;
    for (size_t i = 0; i < size; i++) /* all of it can be read */
        sum = (uint8_t)(sum + frame[i]);
}

static inline void cards_nothing(void *opaque)
{
    (void)opaque;
}

static inline void cards_print(void *opaque, FILE *out)
{
    (void)opaque, (void)out;
}

static inline struct net_port cards_port(void)
{
    static const struct net_backend backend = {.type = "fuzz",
                                               .send = cards_send,
                                               .drained = cards_nothing,
                                               .close = cards_nothing,
                                               .print = cards_print};
    return (struct net_port){.backend = &backend, .id = "fuzz", .takes = NET_TAKES_PARTIAL};
}

static inline void cards_receive(struct net_port *port, struct input *input)
{
    static uint8_t frame[NET_FRAME_MOST];
    size_t size = NET_HEADER_SIZE + input_take(input, 2) % (NET_FRAME_MOST - NET_HEADER_SIZE);
    for (unsigned i = 0; i < 40; i++)
        frame[i] = (uint8_t)input_take(input, 1);
    struct net_offload offload = {.checksum_good = frame[0] & 1};
    net_receive(port, frame, size, &offload);
}

#endif

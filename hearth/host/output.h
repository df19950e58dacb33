/*
 * Bytes on their way to a descriptor that may not take them now: kept up to a bound, then the oldest are dropped. Never
 * blocks. Machine lock held.
 */
#ifndef HOST_OUTPUT_H
#define HOST_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_MOST = 1 << 20 };

struct output {
    const char *label; /* a literal, for the one message when bytes are dropped */
    uint8_t *ring;
    size_t size, first, count;
    bool dropped; /* some were, since it was empty last */
};

enum output_state { OUTPUT_EMPTY, OUTPUT_WAITS, OUTPUT_FAILED /* with errno */ };

void output_put(struct output *output, const void *bytes, size_t count);
/* Writes what the descriptor (non-blocking, or a regular file) takes. */
enum output_state output_drain(struct output *output, int descriptor);
/* Appends all of `from` and empties it. */
void output_move(struct output *output, struct output *from);
void output_free(struct output *output);

#endif

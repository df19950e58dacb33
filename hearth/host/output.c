/*
 * A ring that grows by doubling, since most ports never have anything waiting.
 */
#include "host/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"

enum { SIZE_LEAST = 4096 };

static void grow(struct output *output, size_t needed)
{
    size_t size = output->size ? output->size : SIZE_LEAST;
    while (size < needed && size < OUTPUT_MOST)
        size *= 2;
    if (size == output->size)
        return;
    uint8_t *ring = allocate(size);
    for (size_t i = 0; i < output->count; i++)
        ring[i] = output->ring[(output->first + i) % output->size];
    free(output->ring);
    output->ring = ring;
    output->size = size;
    output->first = 0;
}

static void drop_oldest(struct output *output, size_t count)
{
    output->first = (output->first + count) % output->size;
    output->count -= count;
    if (!output->dropped)
        warn("%s: whoever reads it is too slow, the oldest output is dropped", output->label);
    output->dropped = true;
}

void output_put(struct output *output, const void *bytes, size_t count)
{
    const uint8_t *from = bytes;
    if (count > OUTPUT_MOST) {
        from += count - OUTPUT_MOST;
        count = OUTPUT_MOST;
    }
    if (!count)
        return;
    grow(output, output->count + count);
    if (output->count + count > output->size)
        drop_oldest(output, output->count + count - output->size);
    size_t at = (output->first + output->count) % output->size;
    size_t straight = output->size - at < count ? output->size - at : count;
    memcpy(output->ring + at, from, straight);
    memcpy(output->ring, from + straight, count - straight);
    output->count += count;
}

static ssize_t put_out(int descriptor, const uint8_t *bytes, size_t count)
{
    ssize_t written = send(descriptor, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return written < 0 && errno == ENOTSOCK ? write(descriptor, bytes, count) : written;
}

enum output_state output_drain(struct output *output, int descriptor)
{
    while (output->count) {
        size_t straight = output->size - output->first;
        if (straight > output->count)
            straight = output->count;
        ssize_t written = put_out(descriptor, output->ring + output->first, straight);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? OUTPUT_WAITS : OUTPUT_FAILED;
        output->first = (output->first + (size_t)written) % output->size;
        output->count -= (size_t)written;
    }
    output->dropped = false;
    return OUTPUT_EMPTY;
}

void output_move(struct output *output, struct output *from)
{
    while (from->count) {
        size_t straight = from->size - from->first < from->count ? from->size - from->first : from->count;
        output_put(output, from->ring + from->first, straight);
        from->first = (from->first + straight) % from->size;
        from->count -= straight;
    }
    output_free(from);
}

void output_free(struct output *output)
{
    free(output->ring);
    *output = (struct output){.label = output->label};
}

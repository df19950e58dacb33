/*
 * The part of pseudo-terminals and sockets that is the same: bytes in as the device has room for them, bytes out as the
 * descriptor takes them.
 */
#include "host/character-host.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { INPUT_AT_ONCE = 4096 };

static void stream_ready(void *opaque, int descriptor, short events);

/* A device that takes no input, or is not there yet, has all the room: it is dropped. */
static size_t device_room(const struct character_stream *stream)
{
    const struct character_port *port = &stream->host.port;
    return port->receive && port->room ? port->room(port->device) : INPUT_AT_ONCE;
}

/* Watches for what can be done with the descriptor now. */
static void stream_watch(struct character_stream *stream)
{
    short events = (short)((device_room(stream) ? POLLIN : 0) | (stream->output.count ? POLLOUT : 0));
    if (stream->descriptor < 0 || events == stream->watched)
        return;
    stream->watched = events;
    loop_watch(stream->loop, stream->descriptor, events, stream_ready, stream);
}

static void stream_receive(struct character_stream *stream)
{
    uint8_t bytes[INPUT_AT_ONCE];
    size_t room = device_room(stream);
    if (!room)
        return;
    ssize_t count = read(stream->descriptor, bytes, room < sizeof(bytes) ? room : sizeof(bytes));
    const struct character_port *port = &stream->host.port;
    if (count > 0 && port->receive)
        port->receive(port->device, bytes, (size_t)count);
    else if (count <= 0 && (!count || (errno != EINTR && errno != EAGAIN)))
        stream->ended(stream);
}

static size_t stream_space(void *host)
{
    const struct character_stream *stream = host;
    return stream->descriptor < 0 ? SIZE_MAX : OUTPUT_MOST - stream->output.count;
}

static void stream_send(struct character_stream *stream)
{
    if (stream->descriptor >= 0 && output_drain(&stream->output, stream->descriptor) == OUTPUT_FAILED)
        stream->ended(stream);
}

/* What waited has gone out, some of it. */
static void stream_writable(struct character_stream *stream)
{
    const struct character_port *port = &stream->host.port;
    stream_send(stream);
    if (port->spaced)
        port->spaced(port->device);
}

static void stream_ready(void *opaque, int descriptor, short events)
{
    struct character_stream *stream = opaque;
    if (events & POLLIN)
        stream_receive(stream);
    else if (events & (POLLERR | POLLHUP | POLLNVAL))
        stream->ended(stream);
    if (stream->descriptor == descriptor && events & POLLOUT)
        stream_writable(stream);
    stream_watch(stream);
}

static void stream_write(void *host, const uint8_t *bytes, size_t count)
{
    struct character_stream *stream = host;
    if (stream->descriptor < 0)
        return;
    output_put(&stream->output, bytes, count);
    stream_send(stream);
    stream_watch(stream);
}

static void stream_drained(void *host)
{
    stream_watch(host);
}

void stream_init(struct character_stream *stream, const struct character_request *request)
{
    stream->loop = request->loop;
    stream->label = request->label;
    stream->descriptor = -1;
    stream->output.label = request->label;
    stream->host.port.write = stream_write;
    stream->host.port.space = stream_space;
    stream->host.port.drained = stream_drained;
    stream->host.port.host = stream;
}

void stream_connect(struct character_stream *stream, int descriptor)
{
    stream->descriptor = descriptor;
    stream->watched = 0;
    loop_watch(stream->loop, descriptor, 0, stream_ready, stream);
    character_moved(&stream->host, true);
    stream_watch(stream);
}

int stream_disconnect(struct character_stream *stream)
{
    int descriptor = stream->descriptor;
    if (descriptor >= 0)
        loop_unwatch(stream->loop, descriptor);
    stream->descriptor = -1;
    stream->watched = 0;
    output_free(&stream->output);
    character_moved(&stream->host, false);
    return descriptor;
}

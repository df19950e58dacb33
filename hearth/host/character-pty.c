/*
 * A pseudo-terminal: its name is said on stderr, whoever opens it talks to the device. While nobody has it open, what
 * is written goes nowhere.
 */
#include "host/character-host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core/log.h"

enum { LOOK_EVERY = 200 }; /* milliseconds between looks whether somebody has opened it */

struct pty_port {
    struct character_stream stream;
    int primary;
};

static bool is_open(int primary)
{
    struct pollfd state = {primary, POLLIN | POLLOUT, 0};
    return poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP);
}

static void look(void *opaque)
{
    struct pty_port *port = opaque;
    if (!is_open(port->primary))
        return;
    loop_every(port->stream.loop, 0, look, port);
    stream_connect(&port->stream, port->primary);
}

static void pty_ended(struct character_stream *stream)
{
    struct pty_port *port = (struct pty_port *)stream;
    stream_disconnect(stream);
    loop_every(stream->loop, LOOK_EVERY, look, port);
}

static void pty_close(struct character_host *host)
{
    struct pty_port *port = (struct pty_port *)host;
    loop_every(port->stream.loop, 0, look, port);
    stream_disconnect(&port->stream);
    close(port->primary);
    free(port);
}

/* Neither echo nor line editing: the device at the other end does what it wants. */
static void set_raw(const char *name)
{
    struct termios mode;
    int secondary = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (secondary < 0)
        return;
    if (!tcgetattr(secondary, &mode)) {
        cfmakeraw(&mode);
        tcsetattr(secondary, TCSANOW, &mode);
    }
    close(secondary);
}

struct character_port *character_open_pty(const struct character_request *request)
{
    char name[64];
    if (!character_settings_fit(request))
        return NULL;
    int primary = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (primary < 0 || grantpt(primary) || unlockpt(primary) || ptsname_r(primary, name, sizeof(name))) {
        int error = errno;
        if (primary >= 0)
            close(primary);
        return character_fail(request->error, request->error_size, "no pseudo-terminal to be had: %s",
                              strerror(error));
    }
    set_raw(name);
    struct pty_port *port = allocate(sizeof(*port));
    stream_init(&port->stream, request);
    port->stream.ended = pty_ended;
    port->stream.host.close = pty_close;
    port->primary = primary;
    warn("%s is on %s", request->label, name);
    loop_every(request->loop, LOOK_EVERY, look, port);
    return &port->stream.host.port;
}

/*
 * Character ports without a connection: the terminal, and a file that is only written.
 */
#include "host/character-host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"

/* ---- the terminal */

struct terminal_port {
    struct character_host host;
    struct terminal *terminal;
};

static void terminal_port_write(void *host, const uint8_t *bytes, size_t count)
{
    struct terminal_port *port = host;
    terminal_write(port->terminal, port, bytes, count);
}

static void terminal_port_drained(void *host)
{
    struct terminal_port *port = host;
    terminal_drained(port->terminal);
}

static void typed(void *opaque, const uint8_t *bytes, size_t count)
{
    struct terminal_port *port = opaque;
    if (port->host.port.receive)
        port->host.port.receive(port->host.port.device, bytes, count);
}

static size_t typed_room(void *opaque)
{
    struct terminal_port *port = opaque;
    if (!port->host.port.receive)
        return SIZE_MAX; /* nobody reads it: typed() drops it */
    return port->host.port.room ? port->host.port.room(port->host.port.device) : SIZE_MAX;
}

/* A monitor that shares the terminal greets when one first turns to it. */
static void focus(void *opaque, bool focused)
{
    struct terminal_port *port = opaque;
    if (!focused || port->host.is_connected)
        return;
    port->host.is_connected = true;
    if (port->host.connected)
        port->host.connected(port->host.connected_opaque);
}

static void terminal_port_close(struct character_host *host)
{
    struct terminal_port *port = (struct terminal_port *)host;
    terminal_remove(port->terminal, port);
    free(port);
}

struct character_port *character_open_terminal(const struct character_request *request)
{
    bool mux = settings_switch(request->settings, "mux", false);
    settings_switch(request->settings, "signal",
                    true); /* the terminal's owner decides: not while it is shared */
    if (!character_settings_fit(request))
        return NULL;
    struct terminal_port *port = allocate(sizeof(*port));
    port->terminal = request->terminal;
    port->host.close = terminal_port_close;
    port->host.port = (struct character_port){
        .write = terminal_port_write, .host = port, .is_there = true, .drained = terminal_port_drained};
    struct terminal_client client = {
        .name = request->label,
        .opaque = port,
        .input = typed,
        .room = typed_room,
        .focus = focus,
        .mux = mux,
    };
    if (terminal_add(request->terminal, &client))
        return &port->host.port;
    free(port);
    return character_fail(request->error, request->error_size,
                          "cannot use stdio by multiple character devices; mon:stdio shares it");
}

/* ---- a file */

struct file_port {
    struct character_host host;
    const char *label;
    int descriptor;
    bool failed;
};

static void file_port_write(void *host, const uint8_t *bytes, size_t count)
{
    struct file_port *port = host;
    while (count && !port->failed) {
        ssize_t written = write(port->descriptor, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            port->failed = true;
            warn("%s: its file takes no more: %s", port->label, strerror(errno));
            return;
        }
        bytes += written;
        count -= (size_t)written;
    }
}

static void file_port_close(struct character_host *host)
{
    struct file_port *port = (struct file_port *)host;
    close(port->descriptor);
    free(port);
}

struct character_port *character_open_file(const struct character_request *request)
{
    const char *path = settings_text(request->settings, "path", "");
    int how = settings_switch(request->settings, "append", false) ? O_APPEND : O_TRUNC;
    if (!character_settings_fit(request))
        return NULL;
    int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | how, 0666);
    if (descriptor < 0)
        return character_fail(request->error, request->error_size, "could not open '%s': %s", path,
                              strerror(errno));
    struct file_port *port = allocate(sizeof(*port));
    port->label = request->label;
    port->descriptor = descriptor;
    port->host.close = file_port_close;
    port->host.port = (struct character_port){.write = file_port_write, .host = port, .is_there = true};
    return &port->host.port;
}

/*
 * Host ends for character ports: reads the specification and hands over to the one that is meant.
 */
#include "host/character-host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

struct character_port *character_fail(char *error, size_t error_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return NULL;
}

static bool begins(const char **text, const char *with)
{
    size_t length = strlen(with);
    if (strncmp(*text, with, length))
        return false;
    *text += length;
    return true;
}

static void drop(void *host, const uint8_t *bytes, size_t count)
{
    (void)host;
    (void)bytes;
    (void)count;
}

static void nothing_to_close(struct character_host *host)
{
    free(host);
}

static struct character_port *open_nothing(void)
{
    struct character_host *host = allocate(sizeof(*host));
    host->close = nothing_to_close;
    host->port.write = drop;
    host->port.host = host;
    return &host->port;
}

struct character_port *character_open(struct loop *loop, struct terminal *terminal, const char *label,
                                      const char *specification, char *error, size_t error_size)
{
    const char *rest = specification;
    struct character_request request = {loop, terminal, label, specification, error, error_size};

    if (!strcmp(rest, "none") || !strcmp(rest, "null") || !strcmp(rest, "vc"))
        return open_nothing();
    if (!strcmp(rest, "stdio"))
        return character_open_terminal(&request, false);
    if (!strcmp(rest, "mon:stdio"))
        return character_open_terminal(&request, true);
    if (!strcmp(rest, "pty"))
        return character_open_pty(&request);
    if (begins(&rest, "file:"))
        return character_open_file(&request, rest);
    if (begins(&rest, "unix:"))
        return character_open_unix(&request, rest);
    if (begins(&rest, "tcp:"))
        return character_open_tcp(&request, rest);
    return character_fail(
        error, error_size,
        "'%s' is no character device; there are none, null, stdio, mon:stdio, pty, file:PATH, "
        "unix:PATH,server=on,wait=off and tcp:HOST:PORT,server=on,wait=off",
        specification);
}

void character_close(struct character_port *port)
{
    if (!port)
        return;
    struct character_host *host = port->host;
    host->close(host);
}

void character_on_connect(struct character_port *port, void (*connected)(void *opaque), void *opaque)
{
    struct character_host *host = port->host;
    host->connected = connected;
    host->connected_opaque = opaque;
    if (connected && host->is_connected)
        connected(opaque);
}

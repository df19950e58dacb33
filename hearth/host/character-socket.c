/*
 * Sockets: unix:PATH and tcp:HOST:PORT, as server (one connection at a time; the next waits in the backlog) or as
 * client. A server with wait=on holds hearth up until somebody has connected, as QEMU does. A stale socket file is
 * replaced, one that is in use or no socket at all is not; ours is removed at the end.
 */
#include "host/character-host.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"

struct socket_port {
    struct character_stream stream;
    int listener; /* -1: a client */
    char *path;   /* of ours to remove; NULL: none */
};

struct socket_options {
    const char *path, *host, *port;
    char address[256]; /* PATH or HOST:PORT, for messages */
    bool server, wait;
};

static bool options_read(const struct character_request *request, struct socket_options *options)
{
    struct settings *settings = request->settings;
    *options = (struct socket_options){.path = settings_text(settings, "path", NULL),
                                       .host = settings_text(settings, "host", ""),
                                       .port = settings_text(settings, "port", NULL)};
    options->server = settings_switch(settings, "server", false);
    options->wait = settings_switch(settings, "wait", true) && !settings_switch(settings, "nowait", false);
    settings_switch(settings, "nodelay", true);
    settings_switch(settings, "delay", false);
    if (options->path ? !*options->path : !options->port || !*options->port)
        settings_refuse(settings, "the address is missing: path=, or host= and port=");
    if (options->path)
        snprintf(options->address, sizeof(options->address), "%s", options->path);
    else
        snprintf(options->address, sizeof(options->address), "%s:%s", options->host, options->port);
    return character_settings_fit(request);
}

/* ---- connections */

static void accept_ready(void *opaque, int listener, short events);

static void take_connection(struct socket_port *port, int connection)
{
    int one = 1;
    fcntl(connection, F_SETFL, fcntl(connection, F_GETFL) | O_NONBLOCK);
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one,
               sizeof(one)); /* fails harmlessly on unix sockets */
    stream_connect(&port->stream, connection);
}

static void accept_ready(void *opaque, int listener, short events)
{
    struct socket_port *port = opaque;
    (void)events;
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0)
        return;
    loop_unwatch(port->stream.loop, listener);
    take_connection(port, connection);
}

static void socket_ended(struct character_stream *stream)
{
    struct socket_port *port = (struct socket_port *)stream;
    close(stream_disconnect(stream));
    if (port->listener >= 0)
        loop_watch(stream->loop, port->listener, POLLIN, accept_ready, port);
}

static void socket_close(struct character_host *host)
{
    struct socket_port *port = (struct socket_port *)host;
    if (port->stream.descriptor >= 0) {
        output_drain(&port->stream.output, port->stream.descriptor);
        close(stream_disconnect(&port->stream));
    }
    if (port->listener >= 0) {
        loop_unwatch(port->stream.loop, port->listener);
        close(port->listener);
    }
    if (port->path)
        unlink(port->path);
    free(port->path);
    free(port);
}

static struct socket_port *socket_port_create(const struct character_request *request)
{
    struct socket_port *port = allocate(sizeof(*port));
    stream_init(&port->stream, request);
    port->stream.ended = socket_ended;
    port->stream.host.close = socket_close;
    port->listener = -1;
    return port;
}

/* Listens on a bound socket. Takes the descriptor and the path. */
static struct character_port *serve(const struct character_request *request,
                                    const struct socket_options *options, int listener, char *path)
{
    if (listen(listener, 1)) {
        int error = errno;
        close(listener);
        free(path);
        return character_fail(request->error, request->error_size, "cannot listen on '%s': %s",
                              options->address, strerror(error));
    }
    struct socket_port *port = socket_port_create(request);
    port->listener = listener;
    port->path = path;
    if (options->wait) {
        warn("%s: waiting for a connection to %s (wait=off goes on without)", request->label,
             options->address);
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0) {
            take_connection(port, connection);
            return &port->stream.host.port;
        }
    }
    fcntl(listener, F_SETFL, O_NONBLOCK);
    loop_watch(request->loop, listener, POLLIN, accept_ready, port);
    return &port->stream.host.port;
}

static struct character_port *fail_closing(const struct character_request *request, int descriptor,
                                           const char *what, const char *address)
{
    int error = errno;
    if (descriptor >= 0)
        close(descriptor);
    return character_fail(request->error, request->error_size, "%s '%s': %s", what, address, strerror(error));
}

/* ---- unix */

/* Removes a socket file that nobody listens on any more. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) || !S_ISSOCK(status.st_mode))
        return;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return;
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(probe);
}

static struct character_port *open_unix(const struct character_request *request,
                                        const struct socket_options *options)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(options->path);
    if (length >= sizeof(address.sun_path))
        return character_fail(request->error, request->error_size,
                              "UNIX socket path '%s' is too long: it has %zu bytes, at most %zu are possible",
                              options->path, length, sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, options->path, length);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!options->server) {
        if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof(address)))
            return fail_closing(request, descriptor, "cannot connect to", options->path);
        struct socket_port *port = socket_port_create(request);
        take_connection(port, descriptor);
        return &port->stream.host.port;
    }
    remove_stale(&address);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof(address)))
        return fail_closing(request, descriptor, "cannot listen on", options->path);
    return serve(request, options, descriptor, strdup(options->path));
}

/* ---- tcp */

static int tcp_socket(const struct addrinfo *address, bool server)
{
    int one = 1;
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (!(server ? bind(descriptor, address->ai_addr, address->ai_addrlen)
                 : connect(descriptor, address->ai_addr, address->ai_addrlen)))
        return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

static struct character_port *open_tcp(const struct character_request *request,
                                       const struct socket_options *options)
{
    char host[sizeof(options->address)];
    snprintf(host, sizeof(host), "%s", options->host);
    char *name = host;
    if (name[0] == '[' && name[strlen(name) - 1] == ']') { /* [::1]:4444 */
        name[strlen(name) - 1] = 0;
        name++;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = options->server ? AI_PASSIVE : 0};
    struct addrinfo *found;
    int failed = getaddrinfo(name[0] ? name : NULL, options->port, &hints, &found);
    if (failed)
        return character_fail(request->error, request->error_size, "'%s': %s", options->address,
                              gai_strerror(failed));
    int descriptor = -1;
    for (struct addrinfo *address = found; address && descriptor < 0; address = address->ai_next)
        descriptor = tcp_socket(address, options->server);
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    if (descriptor < 0)
        return fail_closing(request, -1, options->server ? "cannot listen on" : "cannot connect to",
                            options->address);
    if (options->server)
        return serve(request, options, descriptor, NULL);
    struct socket_port *port = socket_port_create(request);
    take_connection(port, descriptor);
    return &port->stream.host.port;
}

struct character_port *character_open_socket(const struct character_request *request)
{
    struct socket_options options;
    if (!options_read(request, &options))
        return NULL;
    return options.path ? open_unix(request, &options) : open_tcp(request, &options);
}

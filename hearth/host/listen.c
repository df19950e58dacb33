#include "host/listen.h"

#include <arpa/inet.h>
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

enum { BACKLOG = 32 };

static void close_all(struct listener *listener)
{
    for (unsigned i = 0; i < listener->count; i++)
        close(listener->descriptor[i]);
    listener->count = 0;
}

/* ---- TCP */

static void port_put(struct addrinfo *address, unsigned port)
{
    if (address->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address->ai_addr)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)(void *)address->ai_addr)->sin_port = htons((uint16_t)port);
}

/* 0 or an errno. Families that this host has not got are passed over. */
static int bind_one(struct listener *listener, struct addrinfo *address, unsigned port)
{
    int one = 1, descriptor;
    if (listener->count == LISTENERS_MOST)
        return 0;
    descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return errno == EAFNOSUPPORT ? 0 : errno;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (address->ai_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    port_put(address, port);
    if (bind(descriptor, address->ai_addr, address->ai_addrlen) || listen(descriptor, BACKLOG)) {
        int error = errno;
        close(descriptor);
        return address->ai_family == AF_INET6 && error == EADDRNOTAVAIL ? 0 : error;
    }
    listener->descriptor[listener->count++] = descriptor;
    return 0;
}

static int bind_port(struct listener *listener, struct addrinfo *addresses, unsigned port)
{
    for (struct addrinfo *at = addresses; at; at = at->ai_next) {
        int error = bind_one(listener, at, port);
        if (error) {
            close_all(listener);
            return error;
        }
    }
    return listener->count ? 0 : EADDRNOTAVAIL;
}

/* The address as people write it, and the port that the kernel chose where 0 was asked for. */
static void describe(struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[48] = "", port[8] = "";
    getsockname(listener->descriptor[0], (struct sockaddr *)&address, &size);
    getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    listener->port = (unsigned)strtoul(port, NULL, 10);
    listener->loopback = !strncmp(host, "127.", 4) || !strcmp(host, "::1");
    snprintf(listener->address, sizeof(listener->address), "%s:%s", host, port);
}

bool listen_tcp(struct listener *listener, const char *host, unsigned port, unsigned last, char *error,
                size_t error_size)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *addresses;
    int failure = EINVAL;

    *listener = (struct listener){0};
    int lookup = getaddrinfo(*host ? host : NULL, "0", &hints, &addresses);
    if (lookup) {
        snprintf(error, error_size, "address resolution failed for %s:%u: %s", host, port,
                 gai_strerror(lookup));
        return false;
    }
    for (unsigned at = port; at <= last && failure; at++) {
        failure = bind_port(listener, addresses, at);
        if (failure && failure != EADDRINUSE)
            break;
    }
    freeaddrinfo(addresses);
    if (failure) {
        snprintf(error, error_size, "Failed to find an available port: %s", strerror(failure));
        return false;
    }
    describe(listener);
    return true;
}

/* ---- UNIX */

/* What is there and nobody listens on was left behind by somebody who died. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) || !S_ISSOCK(status.st_mode))
        return false;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused =
        connect(probe, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED;
    close(probe);
    return refused;
}

bool listen_unix(struct listener *listener, const char *path, char *error, size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *listener = (struct listener){0};
    if (!*path || strlen(path) >= sizeof(address.sun_path)) {
        snprintf(error, error_size, "a socket's path has from 1 to %zu bytes", sizeof(address.sun_path) - 1);
        return false;
    }
    strcpy(address.sun_path, path);
    if (is_stale(&address))
        unlink(path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof(address)) ||
        listen(descriptor, BACKLOG)) {
        snprintf(error, error_size, "Failed to bind socket to %s: %s", path, strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    listener->descriptor[listener->count++] = descriptor;
    listener->path = strdup(path);
    listener->loopback = true;
    snprintf(listener->address, sizeof(listener->address), "%s", path);
    return true;
}

/* ---- connections */

static void ready(void *opaque, int descriptor, short revents)
{
    struct listener *listener = opaque;
    int one = 1;
    (void)revents;
    int connection = accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0)
        return;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one,
               sizeof(one)); /* fails harmlessly on UNIX sockets */
    listener->accepted(listener->opaque, connection);
}

void listen_start(struct listener *listener, struct loop *loop,
                  void (*accepted)(void *opaque, int connection), void *opaque)
{
    listener->loop = loop;
    listener->accepted = accepted;
    listener->opaque = opaque;
    for (unsigned i = 0; i < listener->count; i++)
        loop_watch(loop, listener->descriptor[i], POLLIN, ready, listener);
}

void listen_stop(struct listener *listener)
{
    for (unsigned i = 0; i < listener->count; i++)
        if (listener->loop)
            loop_unwatch(listener->loop, listener->descriptor[i]);
    close_all(listener);
    if (listener->path)
        unlink(listener->path);
    free(listener->path);
    *listener = (struct listener){0};
}

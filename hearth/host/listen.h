/*
 * Listening sockets for who serves many connections (VNC, the page for browsers). Those of -serial and -monitor, one
 * connection at a time, are in character-socket.c.
 */
#ifndef HOST_LISTEN_H
#define HOST_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "host/loop.h"

enum { LISTENERS_MOST = 4 }; /* addresses of one name: IPv4 and IPv6 */

struct listener {
    struct loop *loop;
    int descriptor[LISTENERS_MOST];
    unsigned count;
    unsigned port;
    char address[64]; /* where it listens, for people: "127.0.0.1:5900", "::1:5900", "/path" */
    bool loopback;    /* only this host can connect: 127.x, ::1 or a path */
    char *path;       /* of ours to remove; NULL: TCP */
    void (*accepted)(void *opaque, int connection);
    void *opaque;
};

/* Binds every address of the host ("" is any of this host's), at the first port from `port` to `last` that is free.
 * False with one line in error; nothing stays open then. */
bool listen_tcp(struct listener *listener, const char *host, unsigned port, unsigned last, char *error,
                size_t error_size);
/* Replaces a stale socket; refuses one in use. */
bool listen_unix(struct listener *listener, const char *path, char *error, size_t error_size);

/* From now on `accepted` is called for each connection, which it owns; machine lock held. */
void listen_start(struct listener *listener, struct loop *loop,
                  void (*accepted)(void *opaque, int connection), void *opaque);
/* A listener that was never opened is harmless. */
void listen_stop(struct listener *listener);

#endif

/*
 * The guest's screen, keyboard and pointer over RFB (VNC), for viewers on the network and in browsers. The protocol is
 * libvncserver's, which is loaded when a server is made.
 *
 * Each viewer has a thread and a copy of the picture of its own, so that one that is slow, stuck or hostile hurts nobody
 * else; nothing is drawn while no viewer waits for anything.
 */
#ifndef DISPLAY_VNC_H
#define DISPLAY_VNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/input.h"
#include "core/settings.h"
#include "display/surface.h"
#include "host/loop.h"

struct vnc_server;

/* What the server shows; all outlive it. */
struct vnc_guest {
    struct loop *loop;
    const struct display_source *source;
    const struct input_sink *input;
    const char *name; /* of the guest; NULL without */
};

/*
 * HOST:N or unix:PATH under the key "vnc", with to=, websocket=, password= and share=, as -vnc has them: listens at once.
 * NULL with one line in error, without the option itself. Machine lock held.
 */
struct vnc_server *vnc_server_create(const struct vnc_guest *guest, struct settings *settings, char *error,
                                     size_t error_size);
/* One that does not listen: viewers come from vnc_server_take(). */
struct vnc_server *vnc_server_create_quiet(const struct vnc_guest *guest, char *error, size_t error_size);
/* Without the machine lock: viewers' threads may be waiting for it. NULL is harmless. */
void vnc_server_destroy(struct vnc_server *server);

/* Serves this connection, which it owns from now on; over a WebSocket its request is still to be read. */
void vnc_server_take(struct vnc_server *server, int connection, bool websocket);

/* Machine lock held for these. What viewers that come from now on have to know; "": none gets in. False if the server
 * was not told to ask for a password. */
bool vnc_server_set_password(struct vnc_server *server, const char *password);
/* `info vnc`. */
void vnc_server_print(struct vnc_server *server, FILE *out);

#endif

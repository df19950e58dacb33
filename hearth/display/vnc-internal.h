/* The inside of the VNC server: vnc.c (the server, on the event loop), vnc-client.c (a viewer's thread), vnc-greet.c,
 * vnc-messages.c. */
#ifndef DISPLAY_VNC_INTERNAL_H
#define DISPLAY_VNC_INTERNAL_H

#include <pthread.h>
#include <rfb/rfb.h>
#include <rfb/rfbregion.h>
#include <stdint.h>

#include "display/pace.h"
#include "display/typing.h"
#include "display/viewer.h"
#include "display/vnc.h"
#include "host/listen.h"

enum {
    PASSWORD_MOST = 8,
    VNC_WAIT_MOST = 20000, /* milliseconds that a viewer may take to read, or to go on with a message */
    VNC_CLIPBOARD_MOST = 65536,
};

/* Functions of libvncserver. */
struct vnc_library {
    __typeof__(rfbGetScreen) *get_screen;
    __typeof__(rfbScreenCleanup) *screen_cleanup;
    __typeof__(rfbNewClient) *new_client;
    __typeof__(rfbCloseClient) *close_client;
    __typeof__(rfbClientConnectionGone) *client_gone;
    __typeof__(rfbUpdateClient) *update_client;
    __typeof__(rfbNewFramebuffer) *new_framebuffer;
    __typeof__(rfbMarkRectAsModified) *mark_modified;
    __typeof__(rfbReadExactTimeout) *read_exact;
    __typeof__(rfbWriteExact) *write_exact;
    __typeof__(rfbEncryptBytes) *encrypt;
    __typeof__(rfbMakeXCursor) *make_cursor;
    __typeof__(rfbFreeCursor) *free_cursor;
    __typeof__(webSocketsHasDataInBuffer) *has_more;
    __typeof__(sraRgnCreateRect) *region_create;
    __typeof__(sraRgnOr) *region_or;
    __typeof__(sraRgnDestroy) *region_destroy;
};

/* What a viewer that wants the guest for itself gets. */
enum vnc_share { SHARE_ALLOW_EXCLUSIVE, SHARE_FORCE_SHARED, SHARE_IGNORE };

struct vnc_client {
    struct vnc_server *server;
    struct vnc_client *next;
    pthread_t thread;
    int connection; /* stays open until the thread has ended, so that it can always be shut down */
    bool websocket;
    int wake; /* an eventfd: something of the next five has changed */
    char peer[64];

    /* Under the server's lock. */
    bool quit;     /* the thread is to end */
    bool finished; /* it has ended */
    bool greeted, exclusive;
    bool wants; /* it waits for something new */
    struct changes pending;

    /* The thread's own. */
    rfbScreenInfoPtr screen;
    rfbClientPtr rfb;
    uint32_t *pixels;
    rfbCursorPtr cursor;
    bool asked;                        /* for an update that it has not got yet */
    bool may_switch, told, told_steps; /* whether its pointer sends positions or steps */

    struct viewer viewer; /* under the machine lock */
};

struct vnc_server {
    struct vnc_library library;
    struct vnc_guest guest;
    char name[128];
    struct listener listener, websocket;
    enum vnc_share share;
    bool asks_password, lossy;

    pthread_mutex_t
        lock; /* what viewers' threads share with the event loop's: all of the following. Taken last. */
    char password[PASSWORD_MOST + 1]; /* "": nobody gets in */
    const struct surface *picture;    /* the view's */
    struct vnc_client *clients;
    unsigned count;

    /* The event loop's; machine lock held. */
    struct display_view *view; /* while there are viewers */
    struct pace pace;
    unsigned look_every;
    struct typing typing;    /* all viewers' keys */
    struct input_sink input; /* what viewers are given: keys wait their turn, pointers go straight on */
    char *clipboard;
    size_t clipboard_length;
};

/* vnc-library.c */
bool vnc_library_load(struct vnc_library *library, char *error, size_t error_size);

/* vnc-client.c: what the thread does. */
void *vnc_client_run(void *client);

/* vnc-messages.c: reads one message and does what it says; false if the viewer is to be dropped. */
bool vnc_message(struct vnc_client *client);
/* Lets the viewer know when the guest wants positions or steps from its pointer. False if it is gone. */
bool vnc_pointer_tell(struct vnc_client *client);

/* vnc-greet.c: version, security, ClientInit; false if the viewer does not get in. */
bool vnc_greet(struct vnc_client *client);

/* vnc.c: a key or a movement of the pointer has come: one looks soon. Machine lock held. */
void vnc_server_typed(struct vnc_server *server);
/* The viewer's clipboard. Machine lock held. */
void vnc_server_clip(struct vnc_server *server, const char *text, size_t length);
/* Whether this one may stay, now that it has said what it wants. */
bool vnc_server_share(struct vnc_client *client, bool shared);

#endif

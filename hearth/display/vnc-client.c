/*
 * One viewer: a thread with a libvncserver "screen" of its own that has no other client. The thread copies what has changed
 * from the server's picture when the viewer has asked for it and sends it in its own time; a viewer that does not read
 * blocks nothing but this thread, and is dropped after twenty seconds.
 */
#ifdef HAVE_VNC
#include "display/vnc-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/lock.h"
#include "core/log.h"

enum {
    BITS = 8,
    SAMPLES = 3,
    PIXEL_BYTES = 4,
    RED_SHIFT = 16,
    GREEN_SHIFT = 8,
    BLUE_SHIFT = 0,
};

static struct vnc_client *client_of(rfbClientPtr rfb)
{
    return rfb->screen->screenData;
}

/* ---- the picture */

static void format_set(struct vnc_client *client)
{
    client->screen->serverFormat.depth = BITS * SAMPLES;
    client->screen->serverFormat.trueColour = 1;
    client->screen->serverFormat.redShift = RED_SHIFT;
    client->screen->serverFormat.greenShift = GREEN_SHIFT;
    client->screen->serverFormat.blueShift = BLUE_SHIFT;
}

/* The server's picture has another size: an empty one of that size, all of which is new. */
static void resize(struct vnc_client *client, unsigned width, unsigned height)
{
    uint32_t *before = client->pixels;
    client->pixels = allocate((unsigned long)width * height * PIXEL_BYTES);
    if (!before && client->screen->width == (int)width && client->screen->height == (int)height) {
        client->screen->frameBuffer = (char *)client->pixels; /* the first one: the viewer knows its size */
        return;
    }
    client->server->library.new_framebuffer(client->screen, (char *)client->pixels, (int)width, (int)height,
                                            BITS, SAMPLES, PIXEL_BYTES);
    format_set(client);
    client->screen->setTranslateFunction(client->rfb);
    free(before);
}

static void copy(struct vnc_client *client, const struct rectangle *part)
{
    const struct surface *picture = client->server->picture;
    for (unsigned y = part->top; y < part->bottom; y++)
        memcpy(&client->pixels[(size_t)y * picture->width + part->left],
               &picture->pixels[(size_t)y * picture->width + part->left],
               (part->right - part->left) * PIXEL_BYTES);
}

/* Takes over what has changed, and lets the server know that somebody waits for more. The library's calls are made without
 * the lock: they may write to the viewer. */
static void picture_take(struct vnc_client *client)
{
    struct vnc_server *server = client->server;
    struct changes news = {0};
    for (;;) {
        pthread_mutex_lock(&server->lock);
        unsigned width = server->picture->width, height = server->picture->height;
        if (client->pixels && (int)width == client->screen->width && (int)height == client->screen->height)
            break;
        pthread_mutex_unlock(&server->lock);
        resize(client, width, height);
        news.resized = true;
    }
    if (news.resized)
        changes_add(&news, &(struct rectangle){0, 0, server->picture->width, server->picture->height});
    else
        news = client->pending;
    for (unsigned i = 0; i < news.count; i++)
        copy(client, &news.at[i]);
    client->pending = (struct changes){0};
    client->wants = true;
    pthread_mutex_unlock(&server->lock);
    for (unsigned i = 0; i < news.count; i++)
        server->library.mark_modified(client->screen, (int)news.at[i].left, (int)news.at[i].top,
                                      (int)news.at[i].right, (int)news.at[i].bottom);
}

static void update_sent(rfbClientPtr rfb, int result)
{
    struct vnc_client *client = client_of(rfb);
    (void)result;
    pthread_mutex_lock(&client->server->lock);
    client->asked = client->wants = false;
    pthread_mutex_unlock(&client->server->lock);
}

/* A dot, so that one sees one's own pointer where the guest shows none or is late. */
static rfbCursorPtr cursor_make(struct vnc_client *client)
{
    static char shape[] = "     "
                          " xxx "
                          " xxx "
                          " xxx "
                          "     ",
                mask[] = "xxxxx"
                         "xxxxx"
                         "xxxxx"
                         "xxxxx"
                         "xxxxx";
    rfbCursorPtr cursor = client->server->library.make_cursor(5, 5, shape, mask);
    cursor->xhot = cursor->yhot = 2;
    return cursor;
}

static rfbCursorPtr cursor_get(rfbClientPtr rfb)
{
    return client_of(rfb)->cursor;
}

/* ---- the thread */

static void screen_make(struct vnc_client *client)
{
    struct vnc_server *server = client->server;
    pthread_mutex_lock(&server->lock);
    int width = (int)server->picture->width, height = (int)server->picture->height;
    pthread_mutex_unlock(&server->lock);

    rfbScreenInfoPtr screen =
        server->library.get_screen(NULL, NULL, width, height, BITS, SAMPLES, PIXEL_BYTES);
    if (!screen)
        return;
    client->screen = screen;
    format_set(client);
    client->cursor = cursor_make(client);
    screen->screenData = client;
    screen->desktopName = server->name;
    screen->cursor = NULL; /* it would be drawn into the picture of viewers that cannot draw it themselves */
    screen->getCursorPtr = cursor_get;
    screen->displayFinishedHook = update_sent;
    screen->deferUpdateTime = 0;
    screen->maxClientWait = VNC_WAIT_MOST;
}

/* libvncserver takes any connection for a WebSocket whose peer speaks first: behind a plain port that would let every web
 * page in that reaches it, and costs each viewer a tenth of a second. So it is shown a socket on which somebody has said
 * "RFB " already, and then that socket's place is given to the real one. */
static int disguise(int connection, int *other)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
        return -1;
    *other = pair[1];
    if (write(pair[1], "RFB ", 4) == 4)
        return pair[0];
    close(pair[0]);
    close(pair[1]);
    (void)connection;
    return -1;
}

static rfbClientPtr plain_client(struct vnc_client *client)
{
    int other, descriptor = disguise(client->connection, &other);
    if (descriptor < 0)
        return NULL;
    rfbClientPtr rfb =
        descriptor < FD_SETSIZE ? client->server->library.new_client(client->screen, descriptor) : NULL;
    close(other);
    if (rfb && dup3(client->connection, rfb->sock, O_CLOEXEC) >= 0)
        return rfb;
    if (descriptor >= FD_SETSIZE)
        close(descriptor);
    client->rfb = rfb;
    return NULL;
}

static bool client_open(struct vnc_client *client)
{
    screen_make(client);
    if (!client->screen)
        return false;
    if (client->websocket) {
        int descriptor = fcntl(client->connection, F_DUPFD_CLOEXEC, 0);
        if (descriptor >= FD_SETSIZE)
            close(descriptor);
        else if (descriptor >= 0)
            client->rfb = client->server->library.new_client(client->screen, descriptor);
        /* A port for browsers is for them alone. */
        if (client->rfb && !client->rfb->wsctx)
            return false;
    } else {
        client->rfb = plain_client(client);
    }
    return client->rfb && client->rfb->sock >= 0;
}

static void client_close(struct vnc_client *client)
{
    const struct vnc_library *library = &client->server->library;
    if (client->rfb && client->rfb->sock >= 0)
        library->close_client(client->rfb);
    if (client->rfb)
        library->client_gone(client->rfb);
    if (client->screen)
        library->screen_cleanup(client->screen);
    if (client->cursor)
        library->free_cursor(client->cursor);
    free(client->pixels);
    machine_lock();
    viewer_release(&client->viewer);
    machine_unlock();
}

/* One message at least; over a WebSocket all that has come with it, which poll() does not see. */
static bool messages_read(struct vnc_client *client)
{
    do {
        if (!vnc_message(client))
            return false;
    } while (client->server->library.has_more(client->rfb));
    return true;
}

/* Waits for the viewer or the server, and does what there is to do. False when this is over. */
static bool turn(struct vnc_client *client)
{
    struct pollfd polled[2] = {{client->rfb->sock, POLLIN, 0}, {client->wake, POLLIN, 0}};
    uint64_t value;
    if (poll(polled, 2, -1) < 0 && errno != EINTR)
        return false;
    if (polled[1].revents)
        while (read(client->wake, &value, sizeof(value)) < 0 && errno == EINTR) {
        }
    pthread_mutex_lock(&client->server->lock);
    bool quit = client->quit;
    pthread_mutex_unlock(&client->server->lock);
    if (quit || (polled[0].revents && !messages_read(client)) || !vnc_pointer_tell(client))
        return false;
    if (client->asked)
        picture_take(client);
    /* The first message may have told of another size alone. */
    for (unsigned i = 0; i < 2 && client->asked && client->rfb->sock >= 0; i++)
        client->server->library.update_client(client->rfb);
    return client->rfb->sock >= 0;
}

void *vnc_client_run(void *opaque)
{
    struct vnc_client *client = opaque;
    if (client_open(client) && vnc_greet(client))
        while (turn(client)) {
        }
    client_close(client);
    pthread_mutex_lock(&client->server->lock);
    client->finished = true;
    pthread_mutex_unlock(&client->server->lock);
    return NULL;
}
#endif

/*
 * One viewer: a thread with a libvncserver "screen" of its own that has no other client. The thread copies what has changed
 * from the server's picture when the viewer has asked for it and sends it in its own time; a viewer that does not read
 * blocks nothing but this thread, and is dropped after twenty seconds.
 *
 * QEMU's extensions: key events with scan codes (-258), pointer events as steps where the guest has no absolute pointer
 * (-257). Left out: its audio and LED state; scaling and file transfer are libvncserver's own matter.
 * Source: RFC 6143; the RFB protocol (rfbproto), "QEMU Extended Key Event", "QEMU Pointer Motion Change".
 */
#ifdef HAVE_VNC
#include "display/vnc-internal.h"

#include <arpa/inet.h>
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
    WAIT_MOST = 20000, /* milliseconds that a viewer may take to read or to finish a message */

    ENCODING_POINTER_CHANGE = -257,
    ENCODING_EXTENDED_KEYS = -258,
    MESSAGE_QEMU = 255,
    QEMU_KEY = 0,
    QEMU_KEY_SIZE = 11, /* without the message's type */
    STEPS_ZERO = 0x7fff,
};

static struct vnc_client *client_of(rfbClientPtr rfb)
{
    return rfb->screen->screenData;
}

/* ---- input */

static void hear_key(rfbBool down, rfbKeySym keysym, rfbClientPtr rfb)
{
    struct vnc_client *client = client_of(rfb);
    machine_lock();
    viewer_keysym(&client->viewer, keysym, down);
    vnc_server_typed(client->server);
    machine_unlock();
}

static void hear_pointer(int mask, int x, int y, rfbClientPtr rfb)
{
    struct vnc_client *client = client_of(rfb);
    machine_lock();
    if (client->told && client->told_steps)
        viewer_steps(&client->viewer, x - STEPS_ZERO, y - STEPS_ZERO, (unsigned)mask);
    else
        viewer_pointer(&client->viewer, x, y, rfb->screen->width, rfb->screen->height, (unsigned)mask);
    vnc_server_typed(client->server);
    machine_unlock();
}

static void hear_text(char *text, int length, rfbClientPtr rfb)
{
    if (length <= 0)
        return;
    machine_lock();
    vnc_server_clip(client_of(rfb)->server, text, (size_t)length);
    machine_unlock();
}

/* ---- QEMU's messages */

/* A rectangle without contents tells the viewer that the server understands. */
static void tell(rfbClientPtr rfb, int encoding, unsigned x)
{
    const struct vnc_client *client = client_of(rfb);
    struct {
        rfbFramebufferUpdateMsg update;
        rfbFramebufferUpdateRectHeader rectangle;
    } __attribute__((packed)) message = {
        .update = {.type = rfbFramebufferUpdate, .nRects = htons(1)},
        .rectangle = {.r = {htons((uint16_t)x), 0, htons((uint16_t)rfb->screen->width),
                            htons((uint16_t)rfb->screen->height)},
                      .encoding = htonl((uint32_t)encoding)},
    };
    if (client->server->library.write_exact(rfb, (const char *)&message, sizeof(message)) < 0)
        client->server->library.close_client(rfb);
}

static rfbBool extension_new_client(rfbClientPtr rfb, void **data)
{
    (void)rfb;
    *data = NULL;
    return TRUE;
}

static rfbBool extension_enable(rfbClientPtr rfb, void **data, int encoding)
{
    (void)data;
    if (encoding == ENCODING_POINTER_CHANGE)
        client_of(rfb)->may_switch = true;
    else if (encoding == ENCODING_EXTENDED_KEYS)
        tell(rfb, encoding, 0);
    else
        return FALSE;
    return TRUE;
}

static rfbBool extension_message(rfbClientPtr rfb, void *data, const rfbClientToServerMsg *message)
{
    struct vnc_client *client = client_of(rfb);
    uint8_t rest[QEMU_KEY_SIZE]; /* submessage, down (16 bits), keysym and code (32 each) */
    uint32_t keysym, code;
    (void)data;

    if (message->type != MESSAGE_QEMU ||
        client->server->library.read_exact(rfb, (char *)rest, sizeof(rest), WAIT_MOST) <= 0 ||
        rest[0] != QEMU_KEY)
        return FALSE; /* the library drops the viewer */
    memcpy(&keysym, &rest[3], sizeof(keysym));
    memcpy(&code, &rest[7], sizeof(code));
    uint16_t key = key_for_xt(ntohl(code));
    machine_lock();
    if (key)
        viewer_key(&client->viewer, key, rest[1] || rest[2]);
    else
        viewer_keysym(&client->viewer, ntohl(keysym), rest[1] || rest[2]);
    vnc_server_typed(client->server);
    machine_unlock();
    return TRUE;
}

void vnc_extension_init(rfbProtocolExtension *extension)
{
    static int encodings[] = {ENCODING_POINTER_CHANGE, ENCODING_EXTENDED_KEYS, 0};
    *extension = (rfbProtocolExtension){
        .newClient = extension_new_client,
        .pseudoEncodings = encodings,
        .enablePseudoEncoding = extension_enable,
        .handleMessage = extension_message,
    };
}

/* Whether the pointer is to send positions or steps follows what the guest listens to. */
static void pointer_tell(struct vnc_client *client)
{
    const struct input_sink *input = client->viewer.input;
    if (!client->may_switch)
        return;
    machine_lock();
    bool steps = !(input->wants_absolute && input->wants_absolute(input->device));
    machine_unlock();
    if (client->told && client->told_steps == steps)
        return;
    client->told = true;
    client->told_steps = steps;
    tell(client->rfb, ENCODING_POINTER_CHANGE, !steps);
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

static void update_asked(rfbClientPtr rfb, rfbFramebufferUpdateRequestMsg *message)
{
    (void)message;
    client_of(rfb)->asked = true;
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
    screen->kbdAddEvent = hear_key;
    screen->ptrAddEvent = hear_pointer;
    screen->setXCutText = hear_text;
    screen->setXCutTextUTF8 = hear_text;
    screen->displayFinishedHook = update_sent;
    screen->deferUpdateTime = 0;
    screen->maxClientWait = WAIT_MOST;
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
    if (client->rfb)
        client->rfb->clientFramebufferUpdateRequestHook = update_asked;
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
    if (quit || client->server->library.check_descriptors(client->screen, 0) < 0 || client->rfb->sock < 0)
        return false;
    pointer_tell(client);
    if (client->asked && client->rfb->sock >= 0)
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

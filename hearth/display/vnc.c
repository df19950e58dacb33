/*
 * The server on the event loop: listens, makes a thread for each viewer, looks at the guest's screen while one of them
 * waits and tells them what has changed.
 *
 * Locks: the machine's is taken first, the server's (which guards the list of viewers and the picture) last and for
 * moments only; the viewers' threads hold it while they copy what has changed, never while they write.
 */
#include "display/vnc.h"

#ifdef HAVE_VNC
#include "display/vnc-internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <netdb.h>
#include <unistd.h>

#include "core/lock.h"
#include "core/log.h"

enum {
    PORT_BASE = 5900,
    WEBSOCKET_PORT_BASE = 5700,
    PORT_MOST = 65535,
    CLIENTS_MOST = 32,
    STACK_SIZE = 512 * 1024,
};

/* ---- looking at the guest */

static void look(void *opaque);

static void look_at_pace(struct vnc_server *server)
{
    unsigned every = server->view ? pace_interval(&server->pace) : 0;
    if (every == server->look_every)
        return;
    server->look_every = every;
    loop_every(server->guest.loop, every, look, server);
}

static void wake(const struct vnc_client *client)
{
    uint64_t one = 1;
    while (write(client->wake, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

static void changes_note(struct vnc_client *client, const struct changes *changes)
{
    for (unsigned i = 0; i < changes->count; i++)
        changes_add(&client->pending, &changes->at[i]);
    if (changes->count && client->wants)
        wake(client);
}

/* Brings the picture up to date and tells the viewers. The lock is held: they copy from it. */
static void picture_update(struct vnc_server *server)
{
    struct changes changes;
    server->picture = server->guest.source->view_look(server->view, &changes);
    if (changes.count)
        pace_changed(&server->pace);
    for (struct vnc_client *client = server->clients; client; client = client->next)
        changes_note(client, &changes);
}

static void client_free(struct vnc_client *client)
{
    close(client->connection);
    close(client->wake);
    free(client);
}

/* Those whose threads have ended; they wait for no lock any more. */
static void clients_bury(struct vnc_server *server)
{
    for (struct vnc_client **link = &server->clients; *link;) {
        struct vnc_client *client = *link;
        if (!client->finished) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        server->count--;
        pthread_join(client->thread, NULL);
        client_free(client);
    }
}

static void look(void *opaque)
{
    struct vnc_server *server = opaque;
    bool waited_for = false;
    pthread_mutex_lock(&server->lock);
    clients_bury(server);
    for (struct vnc_client *client = server->clients; client; client = client->next)
        waited_for = waited_for || client->wants;
    if (waited_for)
        picture_update(server);
    if (!server->clients) {
        server->guest.source->view_close(server->view);
        server->view = NULL;
        server->picture = NULL;
    }
    pthread_mutex_unlock(&server->lock);
    look_at_pace(server);
}

void vnc_server_typed(struct vnc_server *server)
{
    pace_typed(&server->pace);
    look_at_pace(server);
}

/* ---- the clipboard */

void vnc_server_clip(struct vnc_server *server, const char *text, size_t length)
{
    free(server->clipboard);
    server->clipboard = allocate(length + 1);
    memcpy(server->clipboard, text, length);
    server->clipboard_length = length;
}

static void clipboard_type(void *opaque)
{
    struct vnc_server *server = opaque;
    if (server->clipboard)
        typing_add_text(&server->typing, server->clipboard, server->clipboard_length);
}

static void input_key(void *device, uint16_t key, bool down)
{
    struct vnc_server *server = device;
    typing_add_event(&server->typing, key, down);
}

static void input_pointer(void *device, const struct pointer_event *event)
{
    const struct input_sink *input = ((struct vnc_server *)device)->guest.input;
    if (input->pointer)
        input->pointer(input->device, event);
}

static bool input_wants_absolute(void *device)
{
    const struct input_sink *input = ((struct vnc_server *)device)->guest.input;
    return input->wants_absolute && input->wants_absolute(input->device);
}

/* ---- viewers */

static void client_dismiss(struct vnc_client *client)
{
    client->quit = true;
    shutdown(client->connection, SHUT_RDWR); /* whatever it waits for ends */
    wake(client);
}

bool vnc_server_share(struct vnc_client *client, bool shared)
{
    struct vnc_server *server = client->server;
    bool stays = true;
    pthread_mutex_lock(&server->lock);
    for (struct vnc_client *other = server->clients; other; other = other->next) {
        if (other == client || !other->greeted || server->share != SHARE_ALLOW_EXCLUSIVE)
            continue;
        if (!shared)
            client_dismiss(other);
        else if (other->exclusive && !other->quit)
            stays = false;
    }
    if (server->share == SHARE_FORCE_SHARED && !shared)
        stays = false;
    client->greeted = stays;
    client->exclusive = !shared;
    pthread_mutex_unlock(&server->lock);
    return stays;
}

/* Makes room for one more: whoever has been greeting longest (the last of the list) goes, if there is one. */
static bool room_make(struct vnc_server *server)
{
    struct vnc_client *oldest = NULL;
    clients_bury(server);
    if (server->count < CLIENTS_MOST)
        return true;
    for (struct vnc_client *client = server->clients; client; client = client->next)
        if (!client->greeted && !client->quit)
            oldest = client;
    if (oldest)
        client_dismiss(oldest);
    return oldest && server->count < 2 * CLIENTS_MOST;
}

static void peer_describe(struct vnc_client *client)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[48], port[8];
    if (getpeername(client->connection, (struct sockaddr *)&address, &size) || address.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(client->peer, sizeof(client->peer), "local");
    else
        snprintf(client->peer, sizeof(client->peer), "%s:%s", host, port);
}

static bool client_start(struct vnc_client *client)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = pthread_create(&client->thread, &attributes, vnc_client_run, client);
    pthread_attr_destroy(&attributes);
    if (!error)
        pthread_setname_np(client->thread, "VNC viewer");
    return !error;
}

static void client_add(struct vnc_server *server, struct vnc_client *client)
{
    if (!client_start(client)) {
        client_free(client);
        return;
    }
    client->next = server->clients;
    server->clients = client;
    server->count++;
}

void vnc_server_take(struct vnc_server *server, int connection, bool websocket)
{
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_lock(&server->lock);
    if (event < 0 || !room_make(server)) {
        pthread_mutex_unlock(&server->lock);
        close(connection);
        if (event >= 0)
            close(event);
        return;
    }
    if (!server->view)
        server->view = server->guest.source->view_open(server->guest.source->device);
    picture_update(server);
    struct vnc_client *client = allocate(sizeof(*client));
    *client = (struct vnc_client){
        .server = server, .connection = connection, .websocket = websocket, .wake = event};
    client->viewer = (struct viewer){.input = &server->input, .paste = clipboard_type, .opaque = server};
    peer_describe(client);
    client_add(server, client);
    pthread_mutex_unlock(&server->lock);
    vnc_server_typed(server); /* one who comes wants to see something */
}

static void accepted_plain(void *opaque, int connection)
{
    vnc_server_take(opaque, connection, false);
}

static void accepted_websocket(void *opaque, int connection)
{
    vnc_server_take(opaque, connection, true);
}

/* ---- HOST:N and what follows it */

static bool number_read(const char *text, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return false;
    *number = value > PORT_MOST ? PORT_MOST + 1 : (unsigned)value;
    return true;
}

/* "HOST:N" into the host, without the brackets of an IPv6 address, and N. NULL or what is wrong. */
static const char *address_split(const char *text, char *host, size_t host_size, const char **display)
{
    const char *colon = strrchr(text, ':');
    if (!colon)
        return "no vnc port specified";
    size_t length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && colon[-1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= host_size)
        return "the host's name is too long";
    memcpy(host, text, length);
    host[length] = '\0';
    *display = colon + 1;
    return NULL;
}

static bool listen_tcp_display(struct vnc_server *server, struct settings *settings, const char *address,
                               char host[256], char *error, size_t error_size)
{
    const char *display = NULL, *to = settings_text(settings, "to", NULL);
    const char *why = address_split(address, host, 256, &display);
    unsigned number = 0, last = 0;
    if (why) {
        snprintf(error, error_size, "%s", why);
        return false;
    }
    if (!number_read(display, &number) || (to && !number_read(to, &last))) {
        snprintf(error, error_size, "can't convert to a number: %s",
                 number_read(display, &number) ? to : display);
        return false;
    }
    if (number > PORT_MOST - PORT_BASE) {
        snprintf(error, error_size, "port %s out of range", display);
        return false;
    }
    last = !to || last < number ? number : last > PORT_MOST - PORT_BASE ? PORT_MOST - PORT_BASE : last;
    if (!listen_tcp(&server->listener, host, PORT_BASE + number, PORT_BASE + last, error, error_size))
        return false;
    if (to)
        printf("VNC server running on %s\n", server->listener.address);
    if (to)
        fflush(stdout);
    return true;
}

/* websocket=PORT, websocket=on: 5700 and the display's number. */
static bool listen_websocket(struct vnc_server *server, struct settings *settings, const char *host,
                             char *error, size_t error_size)
{
    const char *text = settings_text(settings, "websocket", NULL);
    unsigned port;
    if (!text || !strcmp(text, "off"))
        return true;
    if (!server->listener.port) {
        snprintf(error, error_size, "websocket= needs a display on a network address");
        return false;
    }
    if (!strcmp(text, "on"))
        port = server->listener.port - PORT_BASE + WEBSOCKET_PORT_BASE;
    else if (!number_read(text, &port) || port > PORT_MOST) {
        snprintf(error, error_size, "websocket=%s: on, off or a port is expected", text);
        return false;
    }
    return listen_tcp(&server->websocket, host, port, port, error, error_size);
}

static bool listeners_open(struct vnc_server *server, struct settings *settings, char *error,
                           size_t error_size)
{
    const char *address = settings_text(settings, "vnc", "");
    char host[256] = "";
    if (!strncmp(address, "unix:", 5)) {
        settings_text(settings, "to", NULL);
        if (!listen_unix(&server->listener, address + 5, error, error_size))
            return false;
    } else if (!listen_tcp_display(server, settings, address, host, error, error_size)) {
        return false;
    }
    return listen_websocket(server, settings, host, error, error_size);
}

static bool share_read(struct vnc_server *server, struct settings *settings, char *error, size_t error_size)
{
    static const char *const names[] = {"allow-exclusive", "force-shared", "ignore"};
    const char *text = settings_text(settings, "share", names[SHARE_ALLOW_EXCLUSIVE]);
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(text, names[i])) {
            server->share = (enum vnc_share)i;
            return true;
        }
    snprintf(error, error_size, "unknown vnc share= option");
    return false;
}

/* ---- */

struct vnc_server *vnc_server_create_quiet(const struct vnc_guest *guest, char *error, size_t error_size)
{
    struct vnc_server *server = allocate(sizeof(*server));
    server->guest = *guest;
    if (!vnc_library_load(&server->library, error, error_size)) {
        free(server);
        return NULL;
    }
    pthread_mutex_init(&server->lock, NULL);
    snprintf(server->name, sizeof(server->name), guest->name ? "hearth (%s)" : "hearth", guest->name);
    typing_init(&server->typing, guest->loop, guest->input);
    server->input = (struct input_sink){server, input_key, input_pointer, input_wants_absolute};
    /* What it sets up at the first call is set up before there are threads. */
    server->library.screen_cleanup(server->library.get_screen(NULL, NULL, 4, 4, 8, 3, 4));
    return server;
}

struct vnc_server *vnc_server_create(const struct vnc_guest *guest, struct settings *settings, char *error,
                                     size_t error_size)
{
    struct vnc_server *server = vnc_server_create_quiet(guest, error, error_size);
    if (!server)
        return NULL;
    server->asks_password = settings_switch(settings, "password", false);
    server->lossy = settings_switch(settings, "lossy", false);
    /* What QEMU's has besides and would change nothing here. */
    settings_has(settings, "lossy"), settings_has(settings, "non-adaptive"),
        settings_has(settings, "key-delay-ms");
    if (!share_read(server, settings, error, error_size) ||
        !listeners_open(server, settings, error, error_size)) {
        machine_unlock();
        vnc_server_destroy(server);
        machine_lock();
        return NULL;
    }
    listen_start(&server->listener, guest->loop, accepted_plain, server);
    listen_start(&server->websocket, guest->loop, accepted_websocket, server);
    if (!server->listener.loopback && !server->asks_password)
        warn("-vnc: whoever reaches %s can use the guest; password=on asks for a password, 127.0.0.1:N lets "
             "in this "
             "host alone",
             server->listener.address);
    return server;
}

void vnc_server_destroy(struct vnc_server *server)
{
    if (!server)
        return;
    machine_lock();
    listen_stop(&server->listener);
    listen_stop(&server->websocket);
    typing_stop(&server->typing);
    loop_every(server->guest.loop, 0, look, server);
    machine_unlock();

    pthread_mutex_lock(&server->lock);
    for (struct vnc_client *client = server->clients; client; client = client->next)
        client_dismiss(client);
    pthread_mutex_unlock(&server->lock);
    for (struct vnc_client *client = server->clients, *next; client; client = next) {
        next = client->next;
        pthread_join(client->thread, NULL);
        client_free(client);
    }
    machine_lock();
    if (server->view)
        server->guest.source->view_close(server->view);
    machine_unlock();
    pthread_mutex_destroy(&server->lock);
    free(server->clipboard);
    free(server);
}

bool vnc_server_set_password(struct vnc_server *server, const char *password)
{
    if (!server->asks_password)
        return false;
    pthread_mutex_lock(&server->lock);
    snprintf(server->password, sizeof(server->password), "%s", password);
    pthread_mutex_unlock(&server->lock);
    return true;
}

void vnc_server_print(struct vnc_server *server, FILE *out)
{
    fprintf(out, "default:\n");
    if (server->listener.count)
        fprintf(out, "  Server: %s\n    Auth: %s\n", server->listener.address,
                server->asks_password ? "vnc" : "none");
    if (server->websocket.count)
        fprintf(out, "  WebSocket: %s\n", server->websocket.address);
    pthread_mutex_lock(&server->lock);
    for (struct vnc_client *client = server->clients; client; client = client->next)
        if (client->greeted && !client->finished)
            fprintf(out, "  Client: %s\n", client->peer);
    pthread_mutex_unlock(&server->lock);
}

#else /* built without libvncserver */
struct vnc_server *vnc_server_create_quiet(const struct vnc_guest *guest, char *error, size_t error_size)
{
    (void)guest;
    snprintf(error, error_size, "libvncserver was not there when hearth was built");
    return NULL;
}

struct vnc_server *vnc_server_create(const struct vnc_guest *guest, struct settings *settings, char *error,
                                     size_t error_size)
{
    (void)settings;
    return vnc_server_create_quiet(guest, error, error_size);
}

void vnc_server_destroy(struct vnc_server *server)
{
    (void)server;
}

void vnc_server_take(struct vnc_server *server, int connection, bool websocket)
{
    (void)server, (void)connection, (void)websocket;
}

bool vnc_server_set_password(struct vnc_server *server, const char *password)
{
    (void)server, (void)password;
    return false;
}

void vnc_server_print(struct vnc_server *server, FILE *out)
{
    (void)server, (void)out;
}
#endif

/*
 * How a viewer gets in: version, security type, password, ClientInit. Done here rather than by libvncserver, which keeps
 * the list of security types for all servers of a process and without a lock.
 * Source: RFC 6143, 7.1 and 7.2; for 3.3 and 3.7 its appendix A.
 */
#ifdef HAVE_VNC
#include "display/vnc-internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

enum {
    VERSION_SIZE = 12,
    MINOR_OLDEST = 3,
    MINOR_WITH_LIST = 7,
    MINOR_WITH_REASONS = 8,
    SECURITY_NONE = 1,
    SECURITY_PASSWORD = 2,
    CHALLENGE_SIZE = 16,
    PATIENCE = 10000, /* milliseconds for each piece */
};

static bool receive(struct vnc_client *client, void *to, int size)
{
    return client->server->library.read_exact(client->rfb, to, size, PATIENCE) > 0;
}

static bool send_bytes(struct vnc_client *client, const void *bytes, int size)
{
    return client->server->library.write_exact(client->rfb, bytes, size) > 0;
}

static bool send_32(struct vnc_client *client, uint32_t value)
{
    value = htonl(value);
    return send_bytes(client, &value, sizeof(value));
}

/* The minor version that both speak; 0 if there is none. */
static int version_agree(struct vnc_client *client)
{
    char text[VERSION_SIZE + 1] = "";
    int major, minor;
    if (!receive(client, text, VERSION_SIZE) || sscanf(text, "RFB %3d.%3d\n", &major, &minor) != 2 ||
        major != 3 || minor < MINOR_OLDEST)
        return 0;
    return minor >= MINOR_WITH_REASONS ? MINOR_WITH_REASONS : minor == MINOR_WITH_LIST ? minor : MINOR_OLDEST;
}

static bool security_agree(struct vnc_client *client, int minor, uint8_t type)
{
    uint8_t list[2] = {1, type}, chosen;
    if (minor < MINOR_WITH_LIST)
        return send_32(client, type);
    return send_bytes(client, list, sizeof(list)) && receive(client, &chosen, 1) && chosen == type;
}

static bool refuse(struct vnc_client *client, int minor)
{
    static const char reason[] = "Authentication failed";
    if (send_32(client, 1) && minor >= MINOR_WITH_REASONS && send_32(client, sizeof(reason) - 1))
        send_bytes(client, reason, sizeof(reason) - 1);
    return false;
}

static bool password_check(struct vnc_client *client, int minor)
{
    struct vnc_server *server = client->server;
    uint8_t challenge[CHALLENGE_SIZE], response[CHALLENGE_SIZE], difference = 0;
    char password[PASSWORD_MOST + 1];

    if (getrandom(challenge, sizeof(challenge), 0) != sizeof(challenge) ||
        !send_bytes(client, challenge, sizeof(challenge)) || !receive(client, response, sizeof(response)))
        return false;
    pthread_mutex_lock(&server->lock);
    memcpy(password, server->password, sizeof(password));
    pthread_mutex_unlock(&server->lock);
    server->library.encrypt(challenge, password);
    for (unsigned i = 0; i < CHALLENGE_SIZE; i++)
        difference |= challenge[i] ^ response[i];
    return !difference && password[0] ? send_32(client, 0) : refuse(client, minor);
}

/* ServerInit; from here on updates are the library's. */
static bool server_init(struct vnc_client *client)
{
    rfbServerInitMsg message = {
        .framebufferWidth = htons((uint16_t)client->screen->width),
        .framebufferHeight = htons((uint16_t)client->screen->height),
        .format = client->screen->serverFormat,
        .nameLength = htonl((uint32_t)strlen(client->server->name)),
    };
    message.format.redMax = htons(message.format.redMax);
    message.format.greenMax = htons(message.format.greenMax);
    message.format.blueMax = htons(message.format.blueMax);
    client->rfb->state = RFB_NORMAL;
    return send_bytes(client, &message, sz_rfbServerInitMsg) &&
           send_bytes(client, client->server->name, (int)strlen(client->server->name));
}

bool vnc_greet(struct vnc_client *client)
{
    bool asks = client->server->asks_password;
    uint8_t shared;
    /* Over a WebSocket the library has sent this itself, behind its own greeting. */
    if (!client->websocket && !send_bytes(client, "RFB 003.008\n", VERSION_SIZE))
        return false;
    int minor = version_agree(client);
    if (!minor || !security_agree(client, minor, asks ? SECURITY_PASSWORD : SECURITY_NONE))
        return false;
    if (asks ? !password_check(client, minor) : minor >= MINOR_WITH_REASONS && !send_32(client, 0))
        return false;
    if (!receive(client, &shared, 1) || !vnc_server_share(client, shared))
        return false;
    return server_init(client);
}
#endif

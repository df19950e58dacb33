/*
 * The user network: a router, a DHCP server and a DNS forwarder inside hearth that turn the guest's connections into
 * sockets of this process, by libslirp. No root, no set-up.
 *
 * libslirp and glib behind it are loaded when the guest sends its first frame, or at once for hostfwd=, so that runs
 * without network use do not pay for them. It has one thread's worth of state: the machine lock guards it.
 */
#include "net/user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "host/library.h"

#ifdef HAVE_SLIRP

enum {
    BACKLOG_BYTES_MOST = 1024 * 1024, /* waits for the card; past this libslirp is not asked for more */
    RULE_SIZE = 64,
    NANOSECONDS_PER_MILLISECOND = 1000000,
};

/* A frame that the card had no room for. */
struct waiting {
    struct waiting *next;
    size_t size;
    uint8_t bytes[];
};

struct net_user {
    struct net_port port;
    struct net_host host;
    struct user_plan plan;
    struct settings *settings;
    Slirp *slirp; /* NULL until it is needed */
    bool failed;  /* libslirp could not be had, which was said */
    bool awake;   /* the loop will come round to prepare() without being woken */
    bool filled;  /* slirp_pollfds_fill() was called this round */
    struct waiting *first, **last;
    size_t backlog;
};

static struct {
    __typeof__(slirp_new) *create;
    __typeof__(slirp_cleanup) *cleanup;
    __typeof__(slirp_input) *input;
    __typeof__(slirp_pollfds_fill) *pollfds_fill;
    __typeof__(slirp_pollfds_poll) *pollfds_poll;
    __typeof__(slirp_add_hostfwd) *add_hostfwd;
    __typeof__(slirp_remove_hostfwd) *remove_hostfwd;
    __typeof__(slirp_add_exec) *add_exec;
    __typeof__(slirp_connection_info) *connection_info;
} library;

static bool library_open(char *error, size_t error_size)
{
    return library_load("libslirp.so.0",
                        LIBRARY_SYMBOLS({"slirp_new", (void **)&library.create},
                                        {"slirp_cleanup", (void **)&library.cleanup},
                                        {"slirp_input", (void **)&library.input},
                                        {"slirp_pollfds_fill", (void **)&library.pollfds_fill},
                                        {"slirp_pollfds_poll", (void **)&library.pollfds_poll},
                                        {"slirp_add_hostfwd", (void **)&library.add_hostfwd},
                                        {"slirp_remove_hostfwd", (void **)&library.remove_hostfwd},
                                        {"slirp_add_exec", (void **)&library.add_exec},
                                        {"slirp_connection_info", (void **)&library.connection_info}),
                        error, error_size);
}

/* ---- what libslirp asks of us */

/* So that new sockets and timeouts get into the loop's poll(); once a round is enough. */
static void user_wake(struct net_user *user)
{
    if (user->awake)
        return;
    user->awake = true;
    loop_wake(user->host.loop);
}

static void backlog_add(struct net_user *user, const uint8_t *bytes, size_t size)
{
    struct waiting *waiting = malloc(sizeof(*waiting) + size);
    if (!waiting) {
        user->port.dropped++;
        return;
    }
    waiting->next = NULL;
    waiting->size = size;
    memcpy(waiting->bytes, bytes, size);
    *user->last = waiting;
    user->last = &waiting->next;
    user->backlog += size;
}

static ssize_t packet_to_guest(const void *bytes, size_t size, void *opaque)
{
    static const struct net_offload good = {.checksum_good = true};
    struct net_user *user = opaque;
    uint8_t padded[NET_FRAME_LEAST] = {0};
    size_t length = size;

    if (size < NET_FRAME_LEAST) {
        memcpy(padded, bytes, size);
        bytes = padded;
        size = NET_FRAME_LEAST;
    }
    if (user->backlog > 2 * BACKLOG_BYTES_MOST)
        user->port.dropped++;
    else if (user->first || !net_receive(&user->port, bytes, size, &good))
        backlog_add(user, bytes, size);
    return (ssize_t)length;
}

static void guest_error(const char *text, void *opaque)
{
    (void)opaque;
    log_guest(LOG_GUEST_ERROR, "user network: %s", text);
}

static int64_t now(void *opaque)
{
    struct net_user *user = opaque;
    return (int64_t)clock_now(user->host.clock);
}

/* libslirp's own timers: router advertisements. */
static void *timer_new(SlirpTimerCb fire, void *fire_opaque, void *opaque)
{
    struct net_user *user = opaque;
    return timer_create_on(user->host.clock, fire, fire_opaque);
}

static void timer_free(void *timer, void *opaque)
{
    (void)opaque;
    timer_destroy(timer);
}

static void timer_mod(void *timer, int64_t milliseconds, void *opaque)
{
    (void)opaque;
    timer_arm(timer, (uint64_t)milliseconds * NANOSECONDS_PER_MILLISECOND);
}

static void descriptor_ignore(int descriptor, void *opaque)
{
    (void)descriptor;
    (void)opaque;
}

static void notify(void *opaque)
{
    user_wake(opaque);
}

static const SlirpCb callbacks = {
    .send_packet = packet_to_guest,
    .guest_error = guest_error,
    .clock_get_ns = now,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = descriptor_ignore,
    .unregister_poll_fd = descriptor_ignore,
    .notify = notify,
};

/* ---- sockets, in the event loop */

static int add_poll(int descriptor, int events, void *opaque)
{
    struct net_user *user = opaque;
    short wanted = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                           (events & SLIRP_POLL_PRI ? POLLPRI : 0));
    return loop_poll_add(user->host.loop, descriptor, wanted);
}

static int get_events(int index, void *opaque)
{
    struct net_user *user = opaque;
    short got = loop_poll_events(user->host.loop, index);
    return (got & POLLIN ? SLIRP_POLL_IN : 0) | (got & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (got & POLLPRI ? SLIRP_POLL_PRI : 0) | (got & POLLERR ? SLIRP_POLL_ERR : 0) |
           (got & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* While the machine is paused, or its card takes nothing, the sockets wait. */
static void prepare(void *opaque, struct loop *loop, int *timeout)
{
    struct net_user *user = opaque;
    uint32_t milliseconds = *timeout < 0 ? UINT32_MAX : (uint32_t)*timeout;
    (void)loop;

    user->awake = false;
    user->filled = user->slirp && clock_runs(user->host.clock) && user->backlog <= BACKLOG_BYTES_MOST;
    if (!user->filled)
        return;
    library.pollfds_fill(user->slirp, &milliseconds, add_poll, user);
    *timeout = milliseconds > INT32_MAX ? -1 : (int)milliseconds;
}

static void polled(void *opaque, struct loop *loop)
{
    struct net_user *user = opaque;
    (void)loop;
    user->awake = true; /* prepare() follows */
    if (user->filled)
        library.pollfds_poll(user->slirp, 0, get_events, user);
    user->filled = false;
}

/* ---- starting it */

static bool forward_start(struct net_user *user, const char *rule, char *error, size_t error_size)
{
    struct forward forward;
    const char *bad = forward_read(&forward, rule, true);
    if (bad) {
        snprintf(error, error_size, "Invalid host forwarding rule '%.100s' (%s)", rule, bad);
        return false;
    }
    if (!forward.guest.s_addr)
        forward.guest = user->plan.dhcp;
    errno = 0;
    if (library.add_hostfwd(user->slirp, forward.udp, forward.host, forward.host_port, forward.guest,
                            forward.guest_port) == 0) {
        user_wake(user);
        return true;
    }
    snprintf(error, error_size, "Could not set up host forwarding rule '%.100s': %s", rule,
             strerror(errno ? errno : EINVAL));
    return false;
}

/* "tcp:ADDRESS:PORT-cmd:COMMAND" */
static bool guest_forward_start(struct net_user *user, const char *rule, char *error, size_t error_size)
{
    static const char command_mark[] = "-cmd:";
    char as_forward[RULE_SIZE];
    struct forward forward;
    const char *command = strstr(rule, command_mark);
    int length = snprintf(as_forward, sizeof(as_forward), "%s%.*s", strncmp(rule, "tcp:", 4) ? "tcp:" : "",
                          command ? (int)(command - rule) : 0, rule);
    if (!command || (size_t)length >= sizeof(as_forward) || forward_read(&forward, as_forward, false)) {
        snprintf(error, error_size,
                 "Invalid guest forwarding rule '%.100s'; tcp:ADDRESS:PORT-cmd:COMMAND is one", rule);
        return false;
    }
    if (library.add_exec(user->slirp, command + sizeof(command_mark) - 1, &forward.host, forward.host_port) ==
        0)
        return true;
    snprintf(error, error_size, "Conflicting or invalid address in guest forwarding rule '%.100s'", rule);
    return false;
}

static bool forwards_start(struct net_user *user, char *error, size_t error_size)
{
    const char *rule;
    for (unsigned i = 0; (rule = settings_text_at(user->settings, "hostfwd", i)); i++)
        if (!forward_start(user, rule, error, error_size))
            return false;
    for (unsigned i = 0; (rule = settings_text_at(user->settings, "guestfwd", i)); i++)
        if (!guest_forward_start(user, rule, error, error_size))
            return false;
    return true;
}

static bool user_start(struct net_user *user, char *error, size_t error_size)
{
    const struct user_plan *plan = &user->plan;
    SlirpConfig config = {
        .version = 1,
        .restricted = plan->restricted,
        .in_enabled = plan->ipv4,
        .vnetwork = plan->network,
        .vnetmask = plan->mask,
        .vhost = plan->host,
        .in6_enabled = plan->ipv6,
        .vprefix_addr6 = plan->prefix6,
        .vprefix_len = plan->prefix6_length,
        .vhost6 = plan->host6,
        .vhostname = plan->hostname,
        .tftp_server_name = plan->tftp_server,
        .tftp_path = plan->tftp,
        .bootfile = plan->bootfile,
        .vdhcp_start = plan->dhcp,
        .vnameserver = plan->dns,
        .vnameserver6 = plan->dns6,
        .vdnssearch = plan->search[0] ? (const char **)plan->search : NULL,
        .vdomainname = plan->domain,
    };
    struct loop_poller poller = {user, prepare, polled};

    if (!library_open(error, error_size))
        return false;
    user->slirp = library.create(&config, &callbacks, user);
    if (!user->slirp) {
        snprintf(error, error_size, "libslirp refuses these addresses");
        return false;
    }
    loop_add_poller(user->host.loop, &poller);
    return forwards_start(user, error, error_size);
}

static bool user_needed(struct net_user *user)
{
    char error[256];
    if (user->slirp || user->failed)
        return user->slirp != NULL;
    if (user_start(user, error, sizeof(error)))
        return true;
    warn("the user network stays silent: %s", error);
    user->failed = true;
    return false;
}

/* ---- the backend */

static void user_send(void *opaque, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct net_user *user = opaque;
    (void)offload; /* a TCP segment of 64 KiB is as good as small ones */
    if (!user_needed(user)) {
        user->port.dropped++;
        return;
    }
    library.input(user->slirp, frame, (int)size);
    user_wake(user);
}

static void user_drained(void *opaque)
{
    static const struct net_offload good = {.checksum_good = true};
    struct net_user *user = opaque;
    bool was_full = user->backlog > BACKLOG_BYTES_MOST;
    struct waiting *waiting;

    while ((waiting = user->first) && net_receive(&user->port, waiting->bytes, waiting->size, &good)) {
        user->first = waiting->next;
        user->backlog -= waiting->size;
        if (!user->first)
            user->last = &user->first;
        free(waiting);
    }
    if (was_full)
        user_wake(user);
}

static void user_close(void *opaque)
{
    struct net_user *user = opaque;
    loop_remove_poller(user->host.loop, user);
    if (user->slirp)
        library.cleanup(user->slirp);
    for (struct waiting *next; user->first; user->first = next) {
        next = user->first->next;
        free(user->first);
    }
    free(user);
}

static void user_print(void *opaque, FILE *out)
{
    struct net_user *user = opaque;
    char network[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &user->plan.network, network, sizeof(network));
    fprintf(out, "net=%s,restrict=%s", network, user->plan.restricted ? "on" : "off");
}

static void user_print_connections(void *opaque, FILE *out)
{
    struct net_user *user = opaque;
    char *text = user->slirp ? library.connection_info(user->slirp) : NULL;
    if (text)
        fputs(text, out);
    free(text); /* glib's g_free() is free() */
}

static bool user_forward_add(void *opaque, const char *rule, char *error, size_t error_size)
{
    struct net_user *user = opaque;
    if (!user->slirp && !user_start(user, error, error_size))
        return false;
    return forward_start(user, rule, error, error_size);
}

static bool user_forward_remove(void *opaque, const char *rule, char *error, size_t error_size)
{
    struct net_user *user = opaque;
    struct forward forward;
    const char *bad = forward_read(&forward, rule, false);
    if (bad)
        snprintf(error, error_size, "Invalid host forwarding rule '%.100s' (%s)", rule, bad);
    else if (!user->slirp ||
             library.remove_hostfwd(user->slirp, forward.udp, forward.host, forward.host_port))
        snprintf(error, error_size, "host forwarding rule for %.100s not found", rule);
    else
        return true;
    return false;
}

static const struct net_backend user_backend = {
    .type = "user",
    .send = user_send,
    .drained = user_drained,
    .close = user_close,
    .print = user_print,
    .print_connections = user_print_connections,
    .forward_add = user_forward_add,
    .forward_remove = user_forward_remove,
};

struct net_port *user_open(const struct net_host *host, struct settings *settings)
{
    struct net_user *user = allocate(sizeof(*user));
    char error[256];
    bool at_once = settings_has(settings, "hostfwd");

    at_once = settings_has(settings, "guestfwd") || at_once;
    user->host = *host;
    user->settings = settings;
    user->last = &user->first;
    user->port =
        (struct net_port){.backend = &user_backend, .opaque = user, .takes = NET_TAKES_TCP4 | NET_TAKES_TCP6};
    if (!user_plan_read(&user->plan, settings)) {
        free(user);
        return NULL;
    }
    if (at_once && !user_start(user, error, sizeof(error))) {
        settings_refuse(settings, "%s", error);
        user_close(user);
        return NULL;
    }
    return &user->port;
}

#else

struct net_port *user_open(const struct net_host *host, struct settings *settings)
{
    (void)host;
    settings_refuse(settings,
                    "network backend 'user' is not compiled into this binary (libslirp was not there)");
    return NULL;
}

#endif

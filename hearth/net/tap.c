/*
 * A tap device: its other side is a network interface of the host, which whoever set it up has put into a bridge or given
 * an address. Or a descriptor that the caller opened: a tap, or a datagram socket that carries one frame a message.
 *
 * Left out: vhost, several queues, scripts that set the interface up.
 * Source: Linux, Documentation/networking/tuntap.rst; the header of VIRTIO 1.0, 5.1.6.
 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/log.h"

enum { FRAMES_A_ROUND = 64 };

struct tap {
    struct net_port port;
    struct net_host host;
    int descriptor;
    int index;           /* of loop_poll_add(); -1: not polled in this round */
    bool has_header;     /* a struct virtio_net_hdr stands before each frame */
    char name[IFNAMSIZ]; /* of the interface; empty for a socket */
    size_t size;         /* of the frame that waits for the card, 0 for none */
    struct net_offload offload;
    uint8_t frame[NET_FRAME_MOST];
};

/* ---- card to host */

static void header_fill(struct virtio_net_hdr *header, const struct net_offload *offload)
{
    static const uint8_t kinds[] = {[NET_SEGMENTS_NONE] = VIRTIO_NET_HDR_GSO_NONE,
                                    [NET_SEGMENTS_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4,
                                    [NET_SEGMENTS_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6,
                                    [NET_SEGMENTS_UDP] = VIRTIO_NET_HDR_GSO_NONE};
    *header = (struct virtio_net_hdr){.gso_type = kinds[offload->segments]};
    if (offload->checksum_partial) {
        header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header->csum_start = offload->checksum_start;
        header->csum_offset = offload->checksum_offset;
    }
    if (offload->segments) {
        header->gso_size = offload->segment_size;
        header->hdr_len = offload->header_size;
    }
}

/* What the host cannot take now is lost, as on a cable. */
static void tap_send(void *opaque, const uint8_t *frame, size_t size, const struct net_offload *offload)
{
    struct tap *tap = opaque;
    struct virtio_net_hdr header;
    struct iovec pieces[] = {{&header, sizeof(header)}, {(void *)frame, size}};
    ssize_t done;

    header_fill(&header, offload);
    do
        done = writev(tap->descriptor, pieces + !tap->has_header, 1 + tap->has_header);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        tap->port.dropped++;
}

/* ---- host to card */

static struct net_offload offload_of(const struct virtio_net_hdr *header)
{
    struct net_offload offload = {.checksum_good = header->flags & VIRTIO_NET_HDR_F_DATA_VALID};
    if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        offload.checksum_partial = true;
        offload.checksum_start = header->csum_start;
        offload.checksum_offset = header->csum_offset;
    }
    switch (header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_TCPV4: offload.segments = NET_SEGMENTS_TCP4; break;
    case VIRTIO_NET_HDR_GSO_TCPV6: offload.segments = NET_SEGMENTS_TCP6; break;
    default: return offload;
    }
    offload.segment_size = header->gso_size;
    offload.header_size = header->hdr_len;
    return offload;
}

/* False: nothing has come. */
static bool frame_read(struct tap *tap)
{
    struct virtio_net_hdr header = {0};
    size_t before = tap->has_header ? sizeof(header) : 0;
    struct iovec pieces[] = {{&header, sizeof(header)}, {tap->frame, sizeof(tap->frame)}};
    ssize_t got;

    do
        got = readv(tap->descriptor, pieces + !tap->has_header, 1 + tap->has_header);
    while (got < 0 && errno == EINTR);
    if (got <= (ssize_t)before)
        return false;
    tap->size = (size_t)got - before;
    tap->offload = offload_of(&header);
    if (tap->size < NET_FRAME_LEAST) {
        memset(tap->frame + tap->size, 0, NET_FRAME_LEAST - tap->size);
        tap->size = NET_FRAME_LEAST;
    }
    return true;
}

/* False: the card has no room. */
static bool frame_deliver(struct tap *tap)
{
    if (tap->size && !net_receive(&tap->port, tap->frame, tap->size, &tap->offload))
        return false;
    tap->size = 0;
    return true;
}

static void prepare(void *opaque, struct loop *loop, int *timeout)
{
    struct tap *tap = opaque;
    (void)timeout;
    tap->index =
        clock_runs(tap->host.clock) && !tap->size ? loop_poll_add(loop, tap->descriptor, POLLIN) : -1;
}

static void polled(void *opaque, struct loop *loop)
{
    struct tap *tap = opaque;
    short events = loop_poll_events(loop, tap->index);
    tap->index = -1;
    if (!(events & (POLLIN | POLLERR | POLLHUP)) || tap->size)
        return;
    for (unsigned i = 0; i < FRAMES_A_ROUND; i++) {
        if (frame_read(tap)) {
            if (!frame_deliver(tap))
                return;
        } else if (errno != EAGAIN && (events & (POLLERR | POLLHUP))) {
            warn("-netdev tap,id=%s: the interface is gone", tap->port.id);
            loop_remove_poller(loop, tap);
            return;
        } else {
            return;
        }
    }
}

static void tap_drained(void *opaque)
{
    struct tap *tap = opaque;
    if (tap->size && frame_deliver(tap))
        loop_wake(tap->host.loop);
}

/* ---- opening */

static void tap_card_changed(void *opaque)
{
    struct tap *tap = opaque;
    unsigned takes = tap->port.card.takes;
    unsigned long flags = takes & NET_TAKES_PARTIAL ? TUN_F_CSUM : 0;
    if (flags && takes & NET_TAKES_TCP4)
        flags |= TUN_F_TSO4;
    if (flags && takes & NET_TAKES_TCP6)
        flags |= TUN_F_TSO6;
    if (tap->has_header)
        ioctl(tap->descriptor, TUNSETOFFLOAD, flags); /* a kernel that cannot sends whole frames */
}

static void tap_close(void *opaque)
{
    struct tap *tap = opaque;
    loop_remove_poller(tap->host.loop, tap);
    if (tap->descriptor >= 0)
        close(tap->descriptor);
    free(tap);
}

static void tap_print(void *opaque, FILE *out)
{
    struct tap *tap = opaque;
    if (tap->name[0])
        fprintf(out, "ifname=%s,script=no,downscript=no", tap->name);
    else
        fprintf(out, "fd=%d", tap->descriptor);
}

static const struct net_backend tap_backend = {
    .type = "tap",
    .send = tap_send,
    .drained = tap_drained,
    .card_changed = tap_card_changed,
    .close = tap_close,
    .print = tap_print,
};

/* A tap says so and whether it has headers; what is none carries bare frames. */
static void descriptor_take(struct tap *tap, int descriptor)
{
    struct ifreq request = {0};
    tap->descriptor = descriptor;
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    if (ioctl(descriptor, TUNGETIFF, &request) < 0)
        return;
    memcpy(tap->name, request.ifr_name, IFNAMSIZ);
    tap->has_header = request.ifr_flags & IFF_VNET_HDR;
    if (tap->has_header) {
        int size = sizeof(struct virtio_net_hdr);
        ioctl(descriptor, TUNSETVNETHDRSZ, &size);
    }
}

static void interface_open(struct tap *tap, const char *name, struct settings *settings)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    if (descriptor < 0) {
        settings_refuse(settings, "could not open /dev/net/tun: %s%s", strerror(errno),
                        errno == ENOENT ? "; modprobe tun" : "");
        return;
    }
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (ioctl(descriptor, TUNSETIFF, &request) < 0) {
        settings_refuse(
            settings, "could not configure %s: %s%s", *name ? name : "a tap device", strerror(errno),
            errno == EPERM ? "; `ip tuntap add dev NAME mode tap user YOU`, as root, makes one for you" : "");
        close(descriptor);
        return;
    }
    descriptor_take(tap, descriptor);
}

static void script_check(struct settings *settings, const char *key)
{
    if (strcmp(settings_text(settings, key, "no"), "no"))
        settings_refuse(settings, "hearth runs no scripts: set the interface up first, and say %s=no", key);
}

struct net_port *tap_open(const struct net_host *host, struct settings *settings)
{
    const char *name = settings_text(settings, "ifname", "");
    bool by_descriptor = settings_has(settings, "fd");
    int given = (int)settings_number(settings, "fd", 0, INT16_MAX);
    struct tap *tap;

    script_check(settings, "script");
    script_check(settings, "downscript");
    if (settings_switch(settings, "vhost", false))
        settings_refuse(settings, "hearth does without vhost");
    if (strlen(name) >= IFNAMSIZ)
        settings_refuse(settings, "names of interfaces have %d characters at most", IFNAMSIZ - 1);
    if (by_descriptor && fcntl(given, F_GETFD) < 0)
        settings_refuse(settings, "fd=%d is not open", given);
    if (settings_error(settings))
        return NULL;

    tap = allocate(sizeof(*tap));
    tap->host = *host;
    tap->descriptor = -1;
    tap->index = -1;
    if (by_descriptor)
        descriptor_take(tap, given);
    else
        interface_open(tap, name, settings);
    if (tap->descriptor < 0) {
        free(tap);
        return NULL;
    }
    tap->port = (struct net_port){.backend = &tap_backend, .opaque = tap};
    if (tap->has_header)
        tap->port.takes = NET_TAKES_PARTIAL | NET_TAKES_TCP4 | NET_TAKES_TCP6;
    loop_add_poller(host->loop, &(struct loop_poller){tap, prepare, polled});
    return &tap->port;
}

/*
 * The wire between a network card and the backend at its other end (libslirp's user network, a tap): Ethernet frames
 * without their check sequence, both ways. Machine lock held on both ways; a frame's bytes are the sender's and are not
 * looked at after the call.
 *
 * A backend may hand frames to the card from within net_send(): the card is ready for that.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    NET_ADDRESS_SIZE = 6,
    NET_HEADER_SIZE = 14,
    NET_FRAME_LEAST = 60, /* what a shorter one is padded to on a cable */
    NET_FRAME_MOST =
        65535 + 14 + 8, /* an IP packet of the greatest size, the Ethernet header, two VLAN tags */
};

/* TCP or UDP data that is to be cut into several packets. */
enum net_segments { NET_SEGMENTS_NONE, NET_SEGMENTS_TCP4, NET_SEGMENTS_TCP6, NET_SEGMENTS_UDP };

/* What the sender left to do, or has done already. All zeros: an ordinary frame. */
struct net_offload {
    bool checksum_good; /* of IP, TCP and UDP: nobody needs to check them again */
    /* The sum from checksum_start to the end is still to be put in at checksum_start + checksum_offset, where that of the
     * pseudo header stands. */
    bool checksum_partial;
    uint16_t checksum_start, checksum_offset;
    /* Segments: of segment_size bytes each behind a copy of the first header_size ones. The IP header's length and
     * checksum are those of the whole. */
    enum net_segments segments;
    uint16_t segment_size, header_size;
};

/* What one side takes as it is; the other side, or net_send(), does the rest. */
enum net_takes {
    NET_TAKES_PARTIAL = 1 << 0, /* checksum_partial */
    NET_TAKES_TCP4 = 1 << 1,    /* the kinds of segments */
    NET_TAKES_TCP6 = 1 << 2,
};

struct net_port {
    /* Set by the backend. */
    const struct net_backend *backend;
    void *opaque; /* the backend's */
    const char *id;
    unsigned takes; /* enum net_takes */

    /* Set by the card; all zeros while there is none. */
    struct net_card {
        /* False: there is no room now; the backend keeps the frame and waits for net_drained(). */
        bool (*receive)(void *card, const uint8_t *frame, size_t size, const struct net_offload *offload);
        void (*link_changed)(void *card); /* may be NULL */
        void *card;
        unsigned takes;
        char name[40]; /* "e1000.0" */
        char text[96]; /* for `info network`: "model=e1000,macaddr=52:54:00:12:34:56" */
    } card;

    bool link_down;   /* set_link off: nothing goes either way */
    uint64_t dropped; /* frames that found nobody, or no link */
};

/* What a kind of backend does; for net_ functions alone. The last five are as in net/backend.h and may be NULL, but close
 * and print. */
struct net_backend {
    const char *type; /* "user", "tap" */
    /* From the card; what it does not take as it is, is done. Never blocks; may drop. */
    void (*send)(void *backend, const uint8_t *frame, size_t size, const struct net_offload *offload);
    void (*drained)(void *backend);
    void (*card_changed)(void *backend); /* another card, or it takes something else now; may be NULL */
    void (*close)(void *backend);
    void (*print)(void *backend, FILE *out);
    void (*print_connections)(void *backend, FILE *out);
    bool (*forward_add)(void *backend, const char *rule, char *error, size_t error_size);
    bool (*forward_remove)(void *backend, const char *rule, char *error, size_t error_size);
};

/* For cards. `frame` is 14 to NET_FRAME_MOST bytes and may be changed (checksums are put in). */
void net_send(struct net_port *port, uint8_t *frame, size_t size, const struct net_offload *offload);
/* The card has room again. */
void net_drained(struct net_port *port);
/* NULL: the card goes. The struct is copied. */
void net_attach(struct net_port *port, const struct net_card *card);
/* `set_link`: frames pass, or are dropped; the card hears of it. */
void net_set_link(struct net_port *port, bool up);
/* What the card takes from now on (enum net_takes). */
void net_card_takes(struct net_port *port, unsigned takes);

/* For backends. Frames that nobody can have, now or later, are dropped, and the answer is true. */
bool net_receive(struct net_port *port, const uint8_t *frame, size_t size, const struct net_offload *offload);

/* The sum of 16-bit words in network order, folded; `sum` is what went before. Of an odd count the last byte is high. */
uint32_t net_sum(uint32_t sum, const uint8_t *bytes, size_t size);
/* The checksum from such a sum. */
uint16_t net_checksum(uint32_t sum);

/* Where the IP header is in a frame, behind VLAN tags; 0 if it has none that is whole. *version: 4 or 6. */
size_t net_ip_header(const uint8_t *frame, size_t size, unsigned *version);

/* Puts in the checksum that offload->checksum_partial asks for. */
void net_finish_checksum(uint8_t *frame, size_t size, const struct net_offload *offload);
/* Cuts into segments, each whole with its checksums, and hands them to `emit`. */
void net_segment(uint8_t *frame, size_t size, const struct net_offload *offload,
                 void (*emit)(void *opaque, uint8_t *frame, size_t size), void *opaque);

#endif

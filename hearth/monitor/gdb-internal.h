/*
 * Between the parts of gdb's server: gdb.c takes packets and answers queries, gdb-state.c registers and memory, gdb-run.c
 * breakpoints and running.
 */
#ifndef MONITOR_GDB_INTERNAL_H
#define MONITOR_GDB_INTERNAL_H

#include <stdint.h>

#include "machine/machine.h"
#include "monitor/gdb.h"

enum {
    PACKET_MOST = 16384,
    INTERRUPT = 0x03,
    SIGNAL_INT = 2,
    SIGNAL_TRAP = 5,
    ERROR_FAULT = 14,
    ERROR_INVALID = 22
};

enum parser { BETWEEN, IN_PACKET, IN_SUM1, IN_SUM2 };

struct gdb {
    struct machine *machine;
    struct character_port *port;
    struct machine_listener listener;
    bool connected, no_acks, overlong;
    bool waiting;  /* gdb waits for a stop reply */
    bool asked;    /* it was asked for by an interrupt */
    bool physical; /* addresses are physical */
    unsigned cpu;  /* of g, m and their like: Hg */
    unsigned next_thread;
    struct engine_debug points;
    char *description;          /* target.xml */
    uint8_t bytes[PACKET_MOST]; /* of memory, on their way */

    enum parser parser;
    uint8_t sum;
    char packet[PACKET_MOST + 1];
    size_t length;
    char reply[2 * PACKET_MOST + 1];
    size_t reply_length;
};

/* ---- gdb.c: the reply under way */

void gdb_reply(struct gdb *gdb, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gdb_reply_hex(struct gdb *gdb, const void *bytes, size_t size);
void gdb_reply_error(struct gdb *gdb, int number);
void gdb_reply_send(struct gdb *gdb);

/* ---- gdb.c: what is in the packet; each moves *at behind what it has taken */

bool gdb_take(const char **at, char wanted);
bool gdb_take_text(const char **at, const char *text);
bool gdb_take_number(const char **at, uint64_t *value);
/* Hexadecimal bytes; answers how many, stopping at what is none. */
size_t gdb_take_hex(const char *text, uint8_t *bytes, size_t most);

/* ---- gdb-state.c: the packets g, G, p, P, m, M and X, from their second byte on */

void gdb_state_get(struct gdb *gdb, unsigned cpu, struct cpu_state *state);
void gdb_registers_read(struct gdb *gdb);
void gdb_registers_write(struct gdb *gdb, const char *at);
void gdb_register_read(struct gdb *gdb, const char *at);
void gdb_register_write(struct gdb *gdb, const char *at);
void gdb_memory_read(struct gdb *gdb, const char *at);
void gdb_memory_write(struct gdb *gdb, const char *at, bool binary);

/* ---- gdb-run.c */

void gdb_stop_reply(struct gdb *gdb, unsigned cpu, int signal, const struct debug_hit *hit);
void gdb_point_change(struct gdb *gdb, const char *at, bool insert); /* Z and z */
void gdb_resume(struct gdb *gdb, bool step);                         /* c and s */
void gdb_resume_each(struct gdb *gdb, const char *at);               /* vCont */
void gdb_let_go(struct gdb *gdb);                                    /* no points, no CPU held */
void gdb_happened(void *gdb, const struct machine_happening *happening);

#endif

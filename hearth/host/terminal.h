/*
 * The terminal hearth was started from: one owner of standard input and output for the terminal display, -serial stdio,
 * -monitor stdio and -nographic. Several clients may share it (a mux): one has the focus and gets what is typed, Ctrl-A c
 * hands the focus to the next. Standard input may be closed, a pipe or a file: then there is no raw mode and nothing to
 * restore. Machine lock held for every function but terminal_restore().
 */
#ifndef HOST_TERMINAL_H
#define HOST_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/loop.h"

struct terminal;

/* What Ctrl-A x, Ctrl-A b and Ctrl-A s do; any may be NULL (then the key does nothing). */
struct terminal_escapes {
    void *opaque;
    void (*quit)(void *opaque);
    void (*send_break)(void *opaque);
};

struct terminal_client {
    const char *name; /* a literal: "serial", "monitor", "screen" */
    void *opaque;
    /* What was typed while this client has the focus; at most what `room` answered (NULL: any number). */
    void (*input)(void *opaque, const uint8_t *bytes, size_t count);
    size_t (*room)(void *opaque);
    void (*focus)(void *opaque, bool focused);                      /* may be NULL */
    void (*resized)(void *opaque, unsigned columns, unsigned rows); /* may be NULL */
    /* Help for the Ctrl-A keys, where it cannot simply be written (whole_screen); may be NULL. */
    void (*help)(void *opaque, const char *text);
    bool mux;          /* the Ctrl-A keys work, and Ctrl-C and the like are sent instead of ending hearth */
    bool whole_screen; /* while it has the focus, what the others write waits */
};

/* Touches nothing yet; the first client does. */
struct terminal *terminal_create(struct loop *loop);
/* Writes out what waits (for at most a fifth of a second), gives the terminal back as it was found. */
void terminal_destroy(struct terminal *terminal);

void terminal_set_escapes(struct terminal *terminal, const struct terminal_escapes *escapes);

/* The first client has the focus. False if `client` or one there already does not share (mux false). */
bool terminal_add(struct terminal *terminal, const struct terminal_client *client);
void terminal_remove(struct terminal *terminal, const void *opaque);
/* Gives the focus to this client. */
void terminal_focus(struct terminal *terminal, const void *opaque);

/* Never blocks; what standard output does not take is kept, up to a bound. */
void terminal_write(struct terminal *terminal, const void *opaque, const void *bytes, size_t count);
/* For a client with whole_screen: writes `enter`, and remembers what undoes it (literals) for terminal_leave() and
 * terminal_restore(), whichever comes first. */
void terminal_enter(struct terminal *terminal, const char *enter, const char *leave);
void terminal_leave(struct terminal *terminal);
/* Bytes that are kept because standard output does not take them. */
size_t terminal_pending(const struct terminal *terminal);
/* A client's `room` has grown. */
void terminal_drained(struct terminal *terminal);

/* Both ends are a terminal; its size (80x25 when it does not say). */
bool terminal_is_interactive(const struct terminal *terminal);
void terminal_size(const struct terminal *terminal, unsigned *columns, unsigned *rows);

/* Puts the terminal back as it was: for log_before_exit and fatal signals. Async-signal-safe, any thread, idempotent. */
void terminal_restore(void);

#endif

/*
 * What all host ends of character ports share; for host/character*.c alone.
 */
#ifndef HOST_CHARACTER_HOST_H
#define HOST_CHARACTER_HOST_H

#include "host/character.h"
#include "core/settings.h"
#include "host/output.h"

/* First in the struct of each kind; port.host points at it. */
struct character_host {
    struct character_port port;
    void (*close)(struct character_host *host); /* frees it too */
    bool is_connected;                          /* somebody is to be greeted, or has been */
    void (*connected)(void *opaque);
    void *connected_opaque;
};

struct character_request {
    struct loop *loop;
    struct terminal *terminal;
    const char *label;
    struct settings *settings;
    char *error;
    size_t error_size;
};

/* Puts one line into error; NULL. */
struct character_port *character_fail(char *error, size_t error_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* After a back end has asked for the settings that it knows: false, with the error, if there are others. */
bool character_settings_fit(const struct character_request *request);

/* Somebody has come to the host's end or left it. */
void character_moved(struct character_host *host, bool is_there);

typedef struct character_port *character_open_function(const struct character_request *request);
character_open_function character_open_terminal, character_open_file, character_open_pty,
    character_open_socket;

/* ---- a descriptor that bytes go to and come from: character-stream.c */

struct character_stream {
    struct character_host host;
    struct loop *loop;
    const char *label;
    int descriptor; /* -1: nobody there; what is written meanwhile is dropped */
    short watched;  /* poll() events, 0 for none */
    struct output output;
    void (*ended)(struct character_stream *stream); /* the other side has gone; closes the descriptor */
};

void stream_init(struct character_stream *stream, const struct character_request *request);
/* Takes the (non-blocking) descriptor and calls host.connected. */
void stream_connect(struct character_stream *stream, int descriptor);
/* Lets go of the descriptor, without closing it, and of what waited for it. Returns it. */
int stream_disconnect(struct character_stream *stream);

#endif

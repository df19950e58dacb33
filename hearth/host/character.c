/*
 * Host ends for character ports: specifications become settings, and those are handed over to the back end that is meant.
 */
#include "host/character-host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

struct character_port *character_fail(char *error, size_t error_size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return NULL;
}

bool character_settings_fit(const struct character_request *request)
{
    settings_text(request->settings, "backend", NULL);
    settings_text(request->settings, "id", NULL);
    const char *error = settings_error(request->settings);
    if (error)
        snprintf(request->error, request->error_size, "%s", error);
    return !error;
}

/* ---- specifications */

static bool begins(const char **text, const char *with)
{
    size_t length = strlen(with);
    if (strncmp(*text, with, length))
        return false;
    *text += length;
    return true;
}

static void address_split(struct settings *settings, char *address)
{
    char *port = strrchr(address, ':');
    if (!port || !port[1]) {
        settings_refuse(settings, "a port is missing, as in tcp:127.0.0.1:4444");
        return;
    }
    *port++ = '\0';
    settings_add(settings, "host", address);
    settings_add(settings, "port", port);
}

/* ADDRESS[,key=value...]; the address is taken as it is, whatever signs it has but a comma. */
static struct settings *socket_settings(const char *option, const char *rest, bool is_tcp)
{
    size_t length = strcspn(rest, ",");
    char *address = strndup(rest, length);
    struct settings *settings = settings_parse(option, rest + length + (rest[length] == ','), NULL);
    settings_add(settings, "backend", "socket");
    if (is_tcp)
        address_split(settings, address);
    else
        settings_add(settings, "path", address);
    free(address);
    return settings;
}

static struct settings *backend_settings(const char *option, const char *backend, const char *key,
                                         const char *value)
{
    struct settings *settings = settings_create(option);
    settings_add(settings, "backend", backend);
    if (key)
        settings_add(settings, key, value);
    return settings;
}

/* NULL: it is none. */
static struct settings *specification_parse(const char *option, const char *rest)
{
    if (!strcmp(rest, "none") || !strcmp(rest, "null") || !strcmp(rest, "vc"))
        return backend_settings(option, "null", NULL, NULL);
    if (!strcmp(rest, "mon:stdio"))
        return backend_settings(option, "stdio", "mux", "on");
    if (!strcmp(rest, "stdio") || !strcmp(rest, "pty"))
        return backend_settings(option, rest, NULL, NULL);
    if (begins(&rest, "file:"))
        return backend_settings(option, "file", "path", rest);
    if (begins(&rest, "unix:"))
        return socket_settings(option, rest, false);
    return begins(&rest, "tcp:") ? socket_settings(option, rest, true) : NULL;
}

/* ---- back ends */

static void drop(void *host, const uint8_t *bytes, size_t count)
{
    (void)host;
    (void)bytes;
    (void)count;
}

static void nothing_to_close(struct character_host *host)
{
    free(host);
}

static struct character_port *open_nothing(const struct character_request *request)
{
    if (!character_settings_fit(request))
        return NULL;
    struct character_host *host = allocate(sizeof(*host));
    host->close = nothing_to_close;
    host->port = (struct character_port){.write = drop, .host = host, .is_there = true};
    return &host->port;
}

static const struct backend {
    const char *name;
    character_open_function *open;
} backends[] = {
    {"null", open_nothing},        {"vc", open_nothing},        {"stdio", character_open_terminal},
    {"file", character_open_file}, {"pty", character_open_pty}, {"socket", character_open_socket},
};

static struct character_port *backend_open(const struct character_request *request)
{
    const char *name = settings_text(request->settings, "backend", "");
    for (unsigned i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
        if (!strcmp(backends[i].name, name))
            return backends[i].open(request);
    return character_fail(request->error, request->error_size,
                          "-chardev %s: there are null, stdio, pty, file and socket", name);
}

/* ---- those of -chardev */

struct named {
    const char *id;
    struct settings *settings;
    struct character_port *port; /* NULL: a device has taken it */
    struct named *next;
};

struct characters {
    struct loop *loop;
    struct terminal *terminal;
    struct named *named;
};

static bool named_open(struct characters *characters, struct settings *settings, char *error,
                       size_t error_size)
{
    struct named *named = allocate(sizeof(*named));
    struct character_request request = {.loop = characters->loop,
                                        .terminal = characters->terminal,
                                        .settings = settings,
                                        .error = error,
                                        .error_size = error_size};

    named->settings = settings;
    named->id = request.label = settings_text(settings, "id", NULL);
    named->next = characters->named;
    characters->named = named;
    if (!named->id)
        settings_refuse(settings, "Parameter 'id' is missing");
    for (const struct named *other = named->next; named->id && other; other = other->next)
        if (!strcmp(other->id, named->id))
            settings_refuse(settings, "Duplicate ID '%s' for chardev", named->id);
    named->port = backend_open(&request);
    return named->port;
}

struct characters *characters_create(struct loop *loop, struct terminal *terminal, struct settings *chardevs,
                                     char *error, size_t error_size)
{
    struct characters *characters = allocate(sizeof(*characters));
    characters->loop = loop;
    characters->terminal = terminal;
    for (; chardevs; chardevs = settings_next(chardevs)) {
        if (named_open(characters, chardevs, error, error_size))
            continue;
        characters_destroy(characters);
        return NULL;
    }
    return characters;
}

void characters_destroy(struct characters *characters)
{
    if (!characters)
        return;
    for (struct named *named = characters->named, *next; named; named = next) {
        next = named->next;
        character_close(named->port);
        free(named);
    }
    free(characters);
}

/* One that is shared (the terminal) is opened anew for each. */
struct character_port *character_take(struct characters *characters, const char *label, const char *id,
                                      char *error, size_t error_size)
{
    struct named *named = characters->named;
    while (named && strcmp(named->id, id))
        named = named->next;
    if (!named)
        return character_fail(error, error_size, "chardev '%s' not found", id);
    struct character_port *port = named->port;
    named->port = NULL;
    if (port)
        return port;
    if (!settings_switch(named->settings, "mux", false))
        return character_fail(error, error_size, "chardev '%s' is in use by another device", id);
    return backend_open(&(struct character_request){characters->loop, characters->terminal, label,
                                                    named->settings, error, error_size});
}

struct character_port *character_open(struct characters *characters, const char *label,
                                      const char *specification, char *error, size_t error_size)
{
    const char *rest = specification;
    char option[320];
    if (begins(&rest, "chardev:"))
        return character_take(characters, label, rest, error, error_size);
    snprintf(option, sizeof(option), "%s: '%s'", label, specification);
    struct settings *settings = specification_parse(option, specification);
    if (!settings)
        return character_fail(
            error, error_size,
            "'%s' is no character device; there are none, null, stdio, mon:stdio, pty, file:PATH, "
            "unix:PATH,server=on,wait=off, tcp:HOST:PORT,server=on,wait=off and chardev:ID",
            specification);
    struct character_port *port = backend_open(&(struct character_request){
        characters->loop, characters->terminal, label, settings, error, error_size});
    settings_free(settings);
    return port;
}

bool character_uses_terminal(struct settings *chardevs, const char *specification)
{
    if (!specification)
        return false;
    if (begins(&specification, "chardev:")) {
        struct settings *settings = settings_find(chardevs, specification);
        return settings && !strcmp(settings_text(settings, "backend", ""), "stdio");
    }
    return !strcmp(specification, "stdio") || !strcmp(specification, "mon:stdio");
}

/* ---- */

void character_close(struct character_port *port)
{
    if (!port)
        return;
    struct character_host *host = port->host;
    host->close(host);
}

void character_moved(struct character_host *host, bool is_there)
{
    host->port.is_there = host->is_connected = is_there;
    if (host->port.moved)
        host->port.moved(host->port.device, is_there);
    if (is_there && host->connected)
        host->connected(host->connected_opaque);
}

void character_on_connect(struct character_port *port, void (*connected)(void *opaque), void *opaque)
{
    struct character_host *host = port->host;
    host->connected = connected;
    host->connected_opaque = opaque;
    if (connected && host->is_connected)
        connected(opaque);
}

/*
 * -chardev, -mon, and what refers to them. A character device is a host end by name: here each becomes the text that -serial would
 * have for it, when all options have been read, since they come in any order.
 */
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "options/parse.h"

enum { TEXT_MOST = 512 };

void parse_chardev(const struct context *context)
{
    settings_append(&context->config->chardevs, settings_parse(context->option, context->value, "backend"));
}

void parse_mon(const struct context *context)
{
    settings_append(&context->config->mons, settings_parse(context->option, context->value, "chardev"));
}

static void socket_text(struct settings *settings, char *text)
{
    const char *path = settings_text(settings, "path", NULL), *host = settings_text(settings, "host", NULL);
    const char *port = settings_text(settings, "port", NULL);
    bool server = settings_switch(settings, "server", false);
    bool wait = settings_switch(settings, "wait", true) && !settings_switch(settings, "nowait", false);
    const char *wanted = server && !wait ? ",server=on,wait=off" : server ? ",server=on" : "";

    settings_text(settings, "reconnect", NULL);
    settings_text(settings, "nodelay", NULL);
    if (!path && !port)
        settings_refuse(settings, "a socket needs path=, or host= and port=");
    else if (path)
        snprintf(text, TEXT_MOST, "unix:%.300s%s", path, wanted);
    else
        snprintf(text, TEXT_MOST, "tcp:%.200s:%.20s%s", host ? host : "", port, wanted);
}

/* What -serial would have for this character device. */
static void backend_text(struct settings *settings, char *text)
{
    const char *backend = settings_text(settings, "backend", "");
    bool mux = settings_switch(settings, "mux", false);
    const char *path = NULL;

    settings_text(settings, "id", NULL);
    settings_text(settings, "signal", NULL); /* Ctrl-C goes to the guest here either way */
    if (!strcmp(backend, "socket"))
        socket_text(settings, text);
    else if (!strcmp(backend, "stdio"))
        snprintf(text, TEXT_MOST, "%s", mux ? "mon:stdio" : "stdio");
    else if (!strcmp(backend, "null") || !strcmp(backend, "pty"))
        snprintf(text, TEXT_MOST, "%s", backend);
    else if (!strcmp(backend, "vc"))
        snprintf(text, TEXT_MOST, "null");
    else if (strcmp(backend, "file"))
        settings_refuse(
            settings, "'%s' is not a valid char driver name; there are socket, stdio, file, pty, null and vc",
            backend);
    else if (!(path = settings_text(settings, "path", NULL)))
        settings_refuse(settings, "a file needs path=");
    else
        snprintf(text, TEXT_MOST, "file:%.480s", path);
}

const char *chardev_text(struct machine_config *config, const char *id)
{
    char text[TEXT_MOST] = "";
    struct settings *settings = settings_find(config->chardevs, id), *kept;
    if (!settings)
        return NULL;
    backend_text(settings, text);
    value_done(settings);
    kept = settings_create("-chardev");
    settings_add(kept, "text", text);
    settings_append(&config->values, kept);
    return settings_text(kept, "text", NULL);
}

static void resolve(struct machine_config *config, const char *option, const char **end)
{
    const char *text;
    if (!*end || strncmp(*end, "chardev:", 8))
        return;
    text = chardev_text(config, *end + 8);
    if (!text)
        die("%s %s: there is no -chardev with id=%s", option, *end, *end + 8);
    *end = text;
}

static void mon_resolve(struct machine_config *config, struct settings *settings)
{
    const char *id = settings_text(settings, "chardev", ""),
               *mode = settings_text(settings, "mode", "readline");
    const char *text = chardev_text(config, id);

    settings_text(settings, "id", NULL);
    settings_text(settings, "pretty", NULL);
    if (!text)
        settings_refuse(settings, "there is no -chardev with id=%s", id);
    else if (!strcmp(mode, "readline"))
        config->monitor = text;
    else if (strcmp(mode, "control"))
        settings_refuse(settings, "mode is readline or control");
    else if (config->qmps == QMPS_MOST)
        settings_refuse(settings, "at most %d QMP monitors", QMPS_MOST);
    else
        config->qmp[config->qmps++] = text;
    value_done(settings);
}

void characters_resolve(struct machine_config *config)
{
    for (unsigned i = 0; i < SERIALS; i++)
        resolve(config, "-serial", &config->serial[i]);
    resolve(config, "-monitor", &config->monitor);
    resolve(config, "-debugcon", &config->debugcon);
    resolve(config, "-gdb", &config->gdb);
    for (unsigned i = 0; i < config->qmps; i++)
        resolve(config, "-qmp", &config->qmp[i]);
    for (struct settings *mon = config->mons; mon; mon = settings_next(mon))
        mon_resolve(config, mon);
}

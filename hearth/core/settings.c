#include "core/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { ERROR_SIZE = 512 };

struct property {
    char *key, *value;
    bool known;
    struct property *next;
};

struct settings {
    char *option, *text; /* as typed; text may be NULL */
    const char *first;
    struct property *properties;
    char error[ERROR_SIZE];
    struct settings *next;
};

struct settings *settings_create(const char *option)
{
    struct settings *settings = allocate(sizeof(*settings));
    settings->option = strdup(option);
    return settings;
}

void settings_add(struct settings *settings, const char *key, const char *value)
{
    struct property *property = allocate(sizeof(*property)), **at = &settings->properties;
    *property = (struct property){.key = strdup(key), .value = strdup(value)};
    while (*at)
        at = &(*at)->next;
    *at = property;
}

/* Copies up to a single comma, `,,` as one. Answers where the next piece starts, or the end. */
static const char *piece_copy(const char *from, char *to)
{
    while (*from && (*from != ',' || from[1] == ',')) {
        from += *from == ',';
        *to++ = *from++;
    }
    *to = '\0';
    return *from ? from + 1 : from;
}

static void piece_add(struct settings *settings, char *piece, bool is_first)
{
    char *equals = strchr(piece, '=');
    if (equals) {
        *equals = '\0';
        settings_add(settings, piece, equals + 1);
    } else if (is_first && settings->first) {
        settings_add(settings, settings->first, piece);
    } else if (*piece) {
        settings_add(settings, piece, "on");
    }
}

struct settings *settings_parse(const char *option, const char *text, const char *first)
{
    struct settings *settings = settings_create(option);
    char *piece = allocate(strlen(text) + 1);
    settings->text = strdup(text);
    settings->first = first;
    for (const char *at = text; *at;) {
        bool is_first = at == text;
        at = piece_copy(at, piece);
        piece_add(settings, piece, is_first);
    }
    free(piece);
    return settings;
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    for (struct property *property = settings->properties, *next; property; property = next) {
        next = property->next;
        free(property->key);
        free(property->value);
        free(property);
    }
    free(settings->option);
    free(settings->text);
    free(settings);
}

void settings_append(struct settings **list, struct settings *settings)
{
    while (*list)
        list = &(*list)->next;
    *list = settings;
}

struct settings *settings_next(const struct settings *settings)
{
    return settings->next;
}

struct settings *settings_find(struct settings *list, const char *id)
{
    for (; list; list = list->next) {
        const char *own = settings_text(list, "id", NULL);
        if (own && !strcmp(own, id))
            return list;
    }
    return NULL;
}

void settings_free_all(struct settings *list)
{
    for (struct settings *next; list; list = next) {
        next = list->next;
        settings_free(list);
    }
}

/* ---- asking; the last one counts where a key was given twice */

static const char *value_of(struct settings *settings, const char *key)
{
    const char *value = NULL;
    for (struct property *property = settings->properties; property; property = property->next) {
        if (strcmp(property->key, key))
            continue;
        property->known = true;
        value = property->value;
    }
    return value;
}

bool settings_has(struct settings *settings, const char *key)
{
    return value_of(settings, key) != NULL;
}

const char *settings_text(struct settings *settings, const char *key, const char *fallback)
{
    const char *value = value_of(settings, key);
    return value ? value : fallback;
}

const char *settings_text_at(struct settings *settings, const char *key, unsigned index)
{
    value_of(settings, key); /* marks them all as known */
    for (struct property *property = settings->properties; property; property = property->next)
        if (!strcmp(property->key, key) && index-- == 0)
            return property->value;
    return NULL;
}

uint64_t settings_number(struct settings *settings, const char *key, uint64_t fallback, uint64_t most)
{
    const char *value = value_of(settings, key);
    char *end;
    if (!value)
        return fallback;
    unsigned long long number = strtoull(value, &end, 0);
    if (*value < '0' || *value > '9' || *end || number > most) {
        settings_refuse(settings, "Parameter '%s' expects a number up to %llu", key,
                        (unsigned long long)most);
        return fallback;
    }
    return number;
}

bool settings_switch(struct settings *settings, const char *key, bool fallback)
{
    static const char *const on[] = {"on", "yes", "true", "y"}, *const off[] = {"off", "no", "false", "n"};
    const char *value = value_of(settings, key);
    if (!value)
        return fallback;
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        if (!strcmp(value, on[i]))
            return true;
        if (!strcmp(value, off[i]))
            return false;
    }
    settings_refuse(settings, "Parameter '%s' expects 'on' or 'off'", key);
    return fallback;
}

uint64_t settings_size(struct settings *settings, const char *key, uint64_t unit, uint64_t fallback)
{
    const char *value = value_of(settings, key);
    uint64_t bytes;
    if (!value)
        return fallback;
    if (size_parse(value, unit, &bytes))
        return bytes;
    settings_refuse(settings,
                    "Parameter '%s' expects a non-negative number below 2^64; use k, M, G or T for kilo-, "
                    "mega-, giga- and terabytes",
                    key);
    return fallback;
}

const char *settings_unasked(struct settings *settings, const char **value)
{
    for (struct property *property = settings->properties; property; property = property->next) {
        if (property->known)
            continue;
        property->known = true;
        *value = property->value;
        return property->key;
    }
    return NULL;
}

/* ---- errors */

void settings_refuse(struct settings *settings, const char *format, ...)
{
    char text[ERROR_SIZE / 2];
    va_list arguments;
    if (settings->error[0])
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(settings->error, sizeof(settings->error), "%s%s%.200s: %s", settings->option,
             settings->text ? " " : "", settings->text ? settings->text : "", text);
}

bool settings_refused(const struct settings *settings)
{
    return settings->error[0];
}

const char *settings_error(struct settings *settings)
{
    const char *kind = settings_text(settings, "driver", NULL);
    for (struct property *property = settings->properties; property; property = property->next) {
        if (property->known)
            continue;
        if (kind)
            settings_refuse(settings, "Property '%s.%s' not found", kind, property->key);
        else
            settings_refuse(settings, "Invalid parameter '%s'", property->key);
    }
    return settings->error[0] ? settings->error : NULL;
}

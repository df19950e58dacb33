/* Drives. The short forms are -drive with what they stand for filled in; machine/drives.c knows the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/parse.h"

void parse_drive(const struct context *context)
{
    settings_append(&context->config->drives, settings_parse(context->option, context->value, NULL));
}

void parse_snapshot(const struct context *context)
{
    context->config->snapshot = true;
}

/* The file's name stands as it is: a comma in it means nothing. */
static void short_form(const struct context *context, const char *interface, unsigned index,
                       const char *media)
{
    char number[16], shown[256];
    snprintf(shown, sizeof(shown), "%s %s", context->option, context->value);
    snprintf(number, sizeof(number), "%u", index);
    struct settings *settings = settings_create(shown);
    settings_add(settings, "file", context->value);
    settings_add(settings, "if", interface);
    settings_add(settings, "index", number);
    settings_add(settings, "media", media);
    settings_append(&context->config->drives, settings);
}

static unsigned letter_of(const struct context *context)
{
    return (unsigned)(context->option[strlen(context->option) - 1] - 'a');
}

void parse_fd(const struct context *context)
{
    short_form(context, "floppy", letter_of(context), "disk");
}

void parse_hd(const struct context *context)
{
    short_form(context, "ide", letter_of(context), "disk");
}

void parse_cdrom(const struct context *context)
{
    short_form(context, "ide", 2, "cdrom");
}

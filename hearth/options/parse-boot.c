/* What is started, from disks or without them. */
#include <string.h>

#include "options/parse.h"

static const char *boot_letters(const struct context *context, const char *letters)
{
    unsigned seen = 0;
    for (const char *letter = letters; letter && *letter; letter++) {
        if (*letter < 'a' || *letter > 'p')
            refuse(context, "Invalid boot device '%c'", *letter);
        if (seen & 1u << (*letter - 'a'))
            refuse(context, "Boot device '%c' was given twice", *letter);
        seen |= 1u << (*letter - 'a');
    }
    return letters;
}

void parse_boot(const struct context *context)
{
    struct machine_config *config = context->config;
    struct settings *settings = value_parse(context, "order");
    config->boot_order = boot_letters(context, settings_text(settings, "order", config->boot_order));
    config->boot_once = boot_letters(context, settings_text(settings, "once", config->boot_once));
    config->boot_menu = settings_switch(settings, "menu", config->boot_menu);
    settings_switch(settings, "strict", false);
    value_done(settings);
}

void parse_bios(const struct context *context)
{
    context->config->bios = context->value;
}

void parse_kernel(const struct context *context)
{
    context->config->kernel = context->value;
}

void parse_initrd(const struct context *context)
{
    context->config->initrd = context->value;
}

void parse_append(const struct context *context)
{
    context->config->append = context->value;
}

/* What one sees of the guest: screens, serial lines, the monitor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/parse.h"

void parse_display(const struct context *context)
{
    if (!strcmp(context->value, "terminal") || !strcmp(context->value, "curses"))
        context->config->display = DISPLAY_TERMINAL;
    else if (!strcmp(context->value, "none"))
        context->config->display = DISPLAY_NONE;
    else
        refuse(context, "there are the displays terminal and none");
}

void parse_vnc(const struct context *context)
{
    context->config->vnc = strcmp(context->value, "none") ? value_parse(context, "vnc") : NULL;
}

void parse_nographic(const struct context *context)
{
    context->config->nographic = true;
}

void parse_vga(const struct context *context)
{
    if (strcmp(context->value, "std") && strcmp(context->value, "none"))
        refuse(context, "there are the adapters std and none");
    context->config->no_vga = !strcmp(context->value, "none");
}

void parse_serial(const struct context *context)
{
    struct machine_config *config = context->config;
    if (config->serials == SERIALS)
        refuse(context, "a PC has %d serial ports", SERIALS);
    config->serial[config->serials++] = context->value;
}

void parse_monitor(const struct context *context)
{
    context->config->monitor = context->value;
}

void parse_qmp(const struct context *context)
{
    struct machine_config *config = context->config;
    if (config->qmps == QMPS_MOST)
        refuse(context, "at most %d of these", QMPS_MOST);
    config->qmp[config->qmps++] = context->value;
}

void parse_gdb(const struct context *context)
{
    context->config->gdb = context->value;
}

void parse_gdb_default(const struct context *context)
{
    context->config->gdb = "tcp::1234";
}

void parse_chardev(const struct context *context)
{
    settings_append(&context->config->chardevs, settings_parse(context->option, context->value, "backend"));
}

/* A monitor on the host end that -chardev has made. */
void parse_mon(const struct context *context)
{
    struct settings *settings = value_parse(context, "chardev");
    const char *id = settings_text(settings, "chardev", NULL),
               *mode = settings_text(settings, "mode", "readline");
    settings_switch(settings, "pretty", false);
    settings_switch(settings, "default", false);
    settings_text(settings, "id", NULL);
    value_done(settings);
    if (!id)
        refuse(context, "chardev: no such property; it names a -chardev by its id");
    char text[256];
    snprintf(text, sizeof(text), "chardev:%s", id);
    settings_add(settings, "text", text); /* so that it lives as long as they do */
    struct context end = {context->config, context->option, settings_text(settings, "text", NULL)};
    if (!strcmp(mode, "control"))
        parse_qmp(&end);
    else if (!strcmp(mode, "readline"))
        parse_monitor(&end);
    else
        refuse(context, "mode is readline or control");
}

void parse_debugcon(const struct context *context)
{
    context->config->debugcon = context->value;
}

void parse_global(const struct context *context)
{
    static const char debugcon[] = "isa-debugcon.iobase=";
    char *end;
    if (strncmp(context->value, debugcon, sizeof(debugcon) - 1))
        refuse(context, "only isa-debugcon.iobase is known here");
    unsigned long port = strtoul(context->value + sizeof(debugcon) - 1, &end, 0);
    if (*end || port > UINT16_MAX)
        refuse(context, "Parameter 'iobase' expects a port from 0 to 0xffff");
    context->config->debugcon_port = (uint16_t)port;
}

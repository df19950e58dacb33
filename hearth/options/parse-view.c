/* What one sees of the guest: screens, serial lines, the monitor. */
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

/* Parts that are described by settings; machine/attach.c knows what there is. */
#include "options/parse.h"

void parse_netdev(const struct context *context)
{
    settings_append(&context->config->netdevs, settings_parse(context->option, context->value, "type"));
}

void parse_nic(const struct context *context)
{
    settings_append(&context->config->nics, settings_parse(context->option, context->value, "type"));
}

void parse_net(const struct context *context)
{
    settings_append(&context->config->nets, settings_parse(context->option, context->value, "type"));
}

void parse_device(const struct context *context)
{
    settings_append(&context->config->devices, settings_parse(context->option, context->value, "driver"));
}

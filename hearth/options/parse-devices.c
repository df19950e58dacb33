/* Parts that are described by settings; machine/attach.c knows what there is. */
#include "options/parse.h"

void parse_device(const struct context *context)
{
    settings_append(&context->config->devices, settings_parse(context->option, context->value, "driver"));
}

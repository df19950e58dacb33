/* Commands for the networks: hostfwd_add, hostfwd_remove, set_link, info network, info usernet. */
#include <string.h>

#include "monitor/commands.h"

enum { WORD_SIZE = 128 };

static void forward(struct call *call, bool add)
{
    char first[WORD_SIZE], second[WORD_SIZE], error[256];
    bool named;

    if (!argument_word(call, "rule", first, sizeof(first)))
        return;
    named = argument_left(call);
    if (named && !argument_word(call, "rule", second, sizeof(second)))
        return;
    if (!machine_forward(call->machine, named ? first : NULL, named ? second : first, add, error,
                         sizeof(error)))
        call_error(call, "%s", error);
    else if (!add)
        fprintf(call->out, "host forwarding rule for %s removed\n", named ? second : first);
}

void command_hostfwd_add(struct call *call)
{
    forward(call, true);
}

void command_hostfwd_remove(struct call *call)
{
    forward(call, false);
}

void command_set_link(struct call *call)
{
    char name[WORD_SIZE], word[8];
    if (!argument_word(call, "name", name, sizeof(name)) ||
        !argument_word(call, "on or off", word, sizeof(word)))
        return;
    if (strcmp(word, "on") && strcmp(word, "off"))
        call_error(call, "set_link: on or off");
    else if (!machine_set_link(call->machine, name, !strcmp(word, "on")))
        call_error(call, "Device '%s' not found", name);
}

void info_network(struct call *call)
{
    machine_print_network(call->machine, call->out);
}

void info_usernet(struct call *call)
{
    machine_print_connections(call->machine, call->out);
}

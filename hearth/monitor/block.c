/* Commands about drives: eject, change, info block. */
#include "monitor/commands.h"

#include <string.h>

enum { TEXT_SIZE = 1024 };

void command_eject(struct call *call)
{
    char word[TEXT_SIZE], error[TEXT_SIZE];
    bool force = false;
    if (!argument_word(call, "device", word, sizeof(word)))
        return;
    if (!strcmp(word, "-f")) {
        force = true;
        if (!argument_word(call, "device", word, sizeof(word)))
            return;
    }
    if (!machine_eject(call->machine, word, force, error, sizeof(error)))
        call_error(call, "%s", error);
}

static bool access_named(const char *word, struct medium *medium)
{
    static const char *const names[] = {
        [MEDIUM_RETAIN] = "retain", [MEDIUM_READ_ONLY] = "read-only", [MEDIUM_READ_WRITE] = "read-write"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(names[i], word)) {
            medium->access = i;
            return true;
        }
    }
    return false;
}

void command_change(struct call *call)
{
    char id[TEXT_SIZE], file[TEXT_SIZE], format[TEXT_SIZE], access[TEXT_SIZE], error[TEXT_SIZE];
    struct medium medium = {.file = file};

    if (!argument_word(call, "device", id, sizeof(id)))
        return;
    if (!strcmp(id, "vnc")) {
        command_change_vnc(call);
        return;
    }
    if (!strcmp(id, "-f")) {
        medium.force = true;
        if (!argument_word(call, "device", id, sizeof(id)))
            return;
    }
    if (!argument_word(call, "target", file, sizeof(file)))
        return;
    if (argument_left(call)) {
        if (!argument_word(call, "format", format, sizeof(format)))
            return;
        medium.format = format;
    }
    if (argument_left(call)) {
        if (!argument_word(call, "read-only-mode", access, sizeof(access)))
            return;
        if (!access_named(access, &medium)) {
            call_error(call, "invalid parameter value: '%s' is none of retain, read-only, read-write",
                       access);
            return;
        }
    }
    if (!machine_change(call->machine, id, &medium, error, sizeof(error)))
        call_error(call, "%s", error);
}

void info_block(struct call *call)
{
    machine_print_block(call->machine, call->out);
}

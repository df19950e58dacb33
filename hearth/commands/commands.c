#include "commands/commands.h"

#include <stddef.h>
#include <string.h>

bool command_run(int argc, char **argv, int *status)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {{"check", command_check}, {"create", command_create}, {"host", command_host}};
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name))
            continue;
        *status = commands[i].run(argc - 1, argv + 1);
        return true;
    }
    return false;
}

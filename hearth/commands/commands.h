/*
 * What hearth does beside running a guest: `hearth check`, `hearth create`, `hearth host`. Each takes its own arguments (argv[0] is
 * its name) and answers an exit status.
 */
#ifndef COMMANDS_COMMANDS_H
#define COMMANDS_COMMANDS_H

#include <stdbool.h>

/* The command that the first argument names is run and *status is its answer; false if it names none. */
bool command_run(int argc, char **argv, int *status);

int command_check(int argc, char **argv);
int command_create(int argc, char **argv);
int command_host(int argc, char **argv);

#endif

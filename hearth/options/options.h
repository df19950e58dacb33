/* The QEMU-compatible command line. Errors are QEMU's: "PROGRAM: [-opt val: ]text" on stderr, exit status 1. */
#ifndef OPTIONS_OPTIONS_H
#define OPTIONS_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "options/config.h"

#define HEARTH_VERSION "0.1.0"

/* Fills *config from the arguments; ends the program itself for -help, -version and for errors. */
void options_parse(struct machine_config *config, int argc, char **argv);

/* Frees what options_parse() made; the strings are gone then. */
void options_free(struct machine_config *config);

void options_help(FILE *out, const char *program);
void options_version(FILE *out);

#endif

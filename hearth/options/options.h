/* The QEMU-compatible command line. Errors are QEMU's: "PROGRAM: [-opt val: ]text" on stderr, exit status 1. */
#ifndef OPTIONS_OPTIONS_H
#define OPTIONS_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "options/config.h"

#define HEARTH_VERSION "0.1.0"

/* Fills *config from the arguments; ends the program itself for -help, -version and for errors. */
void options_parse(struct machine_config *config, int argc, char **argv);

/*
 * A size as QEMU reads it: digits with an optional fraction and suffix b, k, M, G, T, P or E; without one the unit is
 * `unit` bytes. False for anything else and for 2^64 and more.
 */
bool size_parse(const char *text, uint64_t unit, uint64_t *bytes);

void options_help(FILE *out, const char *program);
void options_version(FILE *out);

#endif

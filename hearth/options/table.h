/* The option table for those who show it: options.c's help, forms.c's man page and completions. */
#ifndef OPTIONS_TABLE_H
#define OPTIONS_TABLE_H

#include <stddef.h>

#include "options/parse.h"

struct option {
    const char *name;     /* NULL: a heading, which is in `argument` */
    const char *argument; /* NULL: takes none */
    parse_function *parse;
    const char *help; /* NULL: another name of the row above */
};

extern const struct option options[];
extern const size_t options_count;

#endif

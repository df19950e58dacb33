/* JSON by jansson, which is loaded when it is first needed: json_open() comes before everything else. */
#ifndef MONITOR_JSON_H
#define MONITOR_JSON_H

#include <stdbool.h>
#include <stddef.h>

#ifdef HAVE_JANSSON
#include <jansson.h>

/* False with one line if the library is not there. Later calls are free. */
bool json_open(char *error, size_t error_size);
/* A string of any bytes: what is not UTF-8 becomes question marks. */
json_t *json_text(const char *text);
#endif

#endif

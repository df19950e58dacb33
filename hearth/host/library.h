/*
 * Shared libraries that not every run needs: loaded at first use, since mapping and relocating them at each start costs
 * milliseconds and memory. The caller keeps function pointers of the header's own types:
 *
 *     static struct { json_t *(*object)(void); } jansson;
 *     library_load("libjansson.so.4", LIBRARY_SYMBOLS({"json_object", (void **)&jansson.object}), error, sizeof(error))
 */
#ifndef HOST_LIBRARY_H
#define HOST_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct library_symbol {
    const char *name;
    void **function; /* where its address goes */
};

#define LIBRARY_SYMBOLS(...)                                                                                 \
    (const struct library_symbol[]){__VA_ARGS__},                                                            \
        sizeof((const struct library_symbol[]){__VA_ARGS__}) / sizeof(struct library_symbol)

/* Loads it for good and looks all symbols up. False with one line that names the library. */
bool library_load(const char *soname, const struct library_symbol *symbols, size_t count, char *error,
                  size_t error_size);

#endif

/*
 * KIND,key=value,key=value: how the command line and the monitor describe a part (-device, -drive, -netdev, -object, device_add).
 * The parser only takes the text apart; whoever makes the part asks for what it knows, and what nobody asked for is an
 * error then. `,,` is a comma in a value; a word without `=` that is not the first is key=on, as in QEMU.
 *
 * The first error is kept and later ones are dropped, so that a reader asks for all it wants and looks once.
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct settings;

/* `option` is for messages, with its dash ("-device"); `first` is the key of a first word without one ("driver"). Never
 * fails; what is wrong with the text is its error. */
struct settings *settings_parse(const char *option, const char *text, const char *first);
/* An empty one, to be filled by settings_add(): what QMP brings. */
struct settings *settings_create(const char *option);
void settings_add(struct settings *settings, const char *key, const char *value);
void settings_free(struct settings *settings);

/* Parts of one kind in the order of the command line: the list's owner frees them all with settings_free_all(). */
void settings_append(struct settings **list, struct settings *settings);
struct settings *settings_next(const struct settings *settings);
/* The one with this id=, or NULL. */
struct settings *settings_find(struct settings *list, const char *id);
void settings_free_all(struct settings *list);

/* Each marks the key as known. Without the key they answer `fallback`. Texts live as long as the settings. */
bool settings_has(struct settings *settings, const char *key);
const char *settings_text(struct settings *settings, const char *key, const char *fallback);
/* Of a key that may be given several times: the index-th, NULL behind the last. */
const char *settings_text_at(struct settings *settings, const char *key, unsigned index);
uint64_t settings_number(struct settings *settings, const char *key, uint64_t fallback, uint64_t most);
bool settings_switch(struct settings *settings, const char *key, bool fallback);
/* A size as size_parse() reads it; a bare number counts `unit` bytes. */
uint64_t settings_size(struct settings *settings, const char *key, uint64_t unit, uint64_t fallback);

/* In the order typed, those that nobody has asked for yet, each once and then known: the key, its value in *value; NULL: no
 * more. For parts with keys that are not one name each (-cpu's features, -numa's cpus= given twice). */
const char *settings_unasked(struct settings *settings, const char **value);

/* Makes this the error if there is none yet. */
void settings_refuse(struct settings *settings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Has anything been refused yet? */
bool settings_refused(const struct settings *settings);
/* NULL, or one line "-device rng,foo=1: Property 'rng.foo' not found" ("-m size=1,foo=1: Invalid parameter 'foo'" where no
 * driver= is): the first error, or a key that nobody has asked for. */
const char *settings_error(struct settings *settings);

/*
 * A size as QEMU reads it: digits with an optional fraction and suffix b, k, M, G, T, P or E; without one the unit is
 * `unit` bytes. False for anything else and for 2^64 and more.
 */
bool size_parse(const char *text, uint64_t unit, uint64_t *bytes);

#endif

/*
 * Keys by name and by character: the names that QEMU's `sendkey` takes, and a US keyboard's characters. A key is its
 * scan code set 1 make code, as core/input.h has it.
 */
#ifndef DISPLAY_KEYS_H
#define DISPLAY_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYS_AT_ONCE = 16 };

/* Modifiers for key presses made from characters. */
enum key_modifier { MODIFIER_SHIFT = 1, MODIFIER_CONTROL = 2, MODIFIER_ALT = 4 };

struct key_press {
    uint16_t key; /* 0: no such key */
    unsigned modifiers;
};

/* The key of one name ("a", "f1", "kp_add", "0x1e"), `length` bytes long; 0 if there is none. */
uint16_t key_named(const char *name, size_t length);
/* The name of a key, NULL if it has none. */
const char *key_name(uint16_t key);
/* For completion and help: the index-th name, NULL past the end. */
const char *key_name_at(unsigned index);

/*
 * "ctrl-alt-delete" to codes in the order in which they go down. Returns their number; 0 if a name is unknown or there
 * are more than KEYS_AT_ONCE; then *bad and *bad_length show the part that was not understood.
 */
unsigned keys_parse(const char *combination, uint16_t keys[KEYS_AT_ONCE], const char **bad,
                    size_t *bad_length);

/* What to press on a US keyboard for an ASCII character (also Enter, Tab, Backspace, Escape and Ctrl-letters). */
struct key_press key_for_character(unsigned char character);

/* Presses the modifiers and then the key, or releases them in the opposite order. */
struct input_sink;
void key_press_send(const struct key_press *press, const struct input_sink *sink, bool down);

#endif

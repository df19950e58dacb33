/*
 * Sequences of xterm and its kin, the Linux console, rxvt, VT220. Characters outside ASCII have no key on a US keyboard
 * and are passed over. Source: ECMA-48 (control sequences), xterm's ctlseqs ("PC-Style Function Keys"), console_codes(4).
 */
#include "display/terminal-keys.h"

#include <string.h>

enum { ESCAPE = 0x1b };

struct named_sequence {
    uint8_t final; /* of ESC [ x or ESC O x, or the number before ~ */
    const char *name;
};

static const struct named_sequence by_letter[] = {
    {'A', "up"},   {'B', "down"}, {'C', "right"}, {'D', "left"}, {'E', "kp_5"}, {'F', "end"},
    {'H', "home"}, {'P', "f1"},   {'Q', "f2"},    {'R', "f3"},   {'S', "f4"},   {'M', "kp_enter"},
};

static const struct named_sequence by_number[] = {
    {1, "home"}, {2, "insert"}, {3, "delete"}, {4, "end"},  {5, "pgup"}, {6, "pgdn"}, {7, "home"},
    {8, "end"},  {11, "f1"},    {12, "f2"},    {13, "f3"},  {14, "f4"},  {15, "f5"},  {17, "f6"},
    {18, "f7"},  {19, "f8"},    {20, "f9"},    {21, "f10"}, {23, "f11"}, {24, "f12"},
};

static const struct named_sequence by_linux_letter[] = {
    {'A', "f1"}, {'B', "f2"}, {'C', "f3"}, {'D', "f4"}, {'E', "f5"},
};

static uint16_t find(const struct named_sequence *table, size_t count, unsigned final)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].final == final)
            return key_named(table[i].name, strlen(table[i].name));
    return 0;
}

#define FIND(table, final) find(table, sizeof(table) / sizeof(table[0]), final)

static void press(const struct terminal_keys *keys, uint16_t key, unsigned modifiers)
{
    if (key)
        keys->pressed(keys->opaque, &(struct key_press){key, modifiers});
}

/* xterm's modifier parameter: 1 and Shift 1, Alt 2, Ctrl 4. */
static unsigned modifiers_of(unsigned parameter)
{
    unsigned bits = parameter ? parameter - 1 : 0;
    return (bits & 1 ? MODIFIER_SHIFT : 0) | (bits & 2 ? MODIFIER_ALT : 0) |
           (bits & 4 ? MODIFIER_CONTROL : 0);
}

/* ESC [ parameters final; `at` is the first byte behind the bracket. */
static void control_sequence(const struct terminal_keys *keys, unsigned at, unsigned modifiers)
{
    unsigned parameters[2] = {0}, which = 0;
    uint8_t final = keys->sequence[keys->length - 1];
    for (; at + 1 < keys->length; at++) {
        uint8_t byte = keys->sequence[at];
        if (byte >= '0' && byte <= '9' && parameters[which] < 1000)
            parameters[which] = parameters[which] * 10 + byte - '0';
        else if (byte == ';' && which == 0)
            which = 1;
    }
    modifiers |= modifiers_of(parameters[1]);
    switch (final) {
    case '~': press(keys, FIND(by_number, parameters[0]), modifiers); break;
    case '^': press(keys, FIND(by_number, parameters[0]), modifiers | MODIFIER_CONTROL); break;
    case '$': press(keys, FIND(by_number, parameters[0]), modifiers | MODIFIER_SHIFT); break;
    case 'Z': press(keys, key_for_character('\t').key, modifiers | MODIFIER_SHIFT); break;
    default: press(keys, FIND(by_letter, final), modifiers); break;
    }
}

static void character(const struct terminal_keys *keys, uint8_t byte, unsigned modifiers)
{
    struct key_press typed = key_for_character(byte);
    press(keys, typed.key, typed.modifiers | modifiers);
}

/* Looks at what has been gathered, which begins with Escape. True when it is whole (and has been pressed). */
static bool sequence_ends(const struct terminal_keys *keys)
{
    const uint8_t *byte = keys->sequence;
    unsigned modifiers = 0, at = 1;
    if (keys->length > at && byte[at] == ESCAPE) { /* Alt and a key that is a sequence itself */
        modifiers = MODIFIER_ALT;
        at++;
    }
    if (keys->length == at)
        return false;
    uint8_t introducer = byte[at++], last = byte[keys->length - 1];
    if (introducer != '[' && introducer != 'O') {
        if (introducer < 0x80)
            character(keys, introducer, MODIFIER_ALT);
        return true;
    }
    if (keys->length == at)
        return false;
    if (introducer == '[' && byte[at] == '[') { /* the Linux console's F1 to F5 */
        if (keys->length == at + 1)
            return false;
        press(keys, FIND(by_linux_letter, last), modifiers);
        return true;
    }
    if ((last >= 0x40 && last < 0x7f) || last == '$') {
        control_sequence(keys, at, modifiers);
        return true;
    }
    return last < 0x20; /* no sequence of a key has control characters in it: dropped */
}

static void feed_byte(struct terminal_keys *keys, uint8_t byte)
{
    if (keys->length) {
        /* One that is too long is no key's: its last byte is still looked at to find its end. */
        if (keys->length == SEQUENCE_MOST)
            keys->length--;
        keys->sequence[keys->length++] = byte;
        if (sequence_ends(keys))
            keys->length = 0;
    } else if (byte == ESCAPE) {
        keys->sequence[keys->length++] = byte;
    } else if (keys->utf8_left && (byte & 0xc0) == 0x80) {
        keys->utf8_left--;
    } else if (byte >= 0x80) {
        keys->utf8_left = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
    } else {
        keys->utf8_left = 0;
        character(keys, byte, 0);
    }
}

void terminal_keys_feed(struct terminal_keys *keys, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        feed_byte(keys, bytes[i]);
}

void terminal_keys_settle(struct terminal_keys *keys)
{
    unsigned length = keys->length;
    keys->length = 0;
    if (length == 1) {
        character(keys, ESCAPE, 0);
    } else if (length == 2) { /* Alt-[, Alt-O, or Escape twice */
        if (keys->sequence[1] == ESCAPE)
            character(keys, ESCAPE, 0);
        character(keys, keys->sequence[1], keys->sequence[1] == ESCAPE ? 0 : MODIFIER_ALT);
    }
}

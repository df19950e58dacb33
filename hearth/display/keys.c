/*
 * Key names and a US keyboard's characters. Two tables: names -> scan codes, characters -> key and Shift.
 * Source: IBM PS/2 Hardware Interface Technical Reference, Keyboards, "Scan Code Set 1" (make codes); the names are those
 * that QEMU's sendkey documents.
 */
#include "display/keys.h"

#include <stdlib.h>
#include <string.h>

#include "core/input.h"

enum {
    KEY_CONTROL = 0x1d,
    KEY_SHIFT = 0x2a,
    KEY_ALT = 0x38,
    KEY_MOST = 0xe1ff, /* the largest code that a number may name */
};

static const struct {
    const char *name;
    uint16_t key;
} names[] = {
    /* in the order of the keyboard; the first name of a key is the one that key_name() gives */
    {"esc", 0x01},
    {"1", 0x02},
    {"2", 0x03},
    {"3", 0x04},
    {"4", 0x05},
    {"5", 0x06},
    {"6", 0x07},
    {"7", 0x08},
    {"8", 0x09},
    {"9", 0x0a},
    {"0", 0x0b},
    {"minus", 0x0c},
    {"equal", 0x0d},
    {"backspace", 0x0e},
    {"tab", 0x0f},
    {"q", 0x10},
    {"w", 0x11},
    {"e", 0x12},
    {"r", 0x13},
    {"t", 0x14},
    {"y", 0x15},
    {"u", 0x16},
    {"i", 0x17},
    {"o", 0x18},
    {"p", 0x19},
    {"bracket_left", 0x1a},
    {"bracket_right", 0x1b},
    {"ret", 0x1c},
    {"ctrl", KEY_CONTROL},
    {"a", 0x1e},
    {"s", 0x1f},
    {"d", 0x20},
    {"f", 0x21},
    {"g", 0x22},
    {"h", 0x23},
    {"j", 0x24},
    {"k", 0x25},
    {"l", 0x26},
    {"semicolon", 0x27},
    {"apostrophe", 0x28},
    {"grave_accent", 0x29},
    {"shift", KEY_SHIFT},
    {"backslash", 0x2b},
    {"z", 0x2c},
    {"x", 0x2d},
    {"c", 0x2e},
    {"v", 0x2f},
    {"b", 0x30},
    {"n", 0x31},
    {"m", 0x32},
    {"comma", 0x33},
    {"dot", 0x34},
    {"slash", 0x35},
    {"shift_r", 0x36},
    {"kp_multiply", 0x37},
    {"asterisk", 0x37},
    {"alt", KEY_ALT},
    {"spc", 0x39},
    {"caps_lock", 0x3a},
    {"f1", 0x3b},
    {"f2", 0x3c},
    {"f3", 0x3d},
    {"f4", 0x3e},
    {"f5", 0x3f},
    {"f6", 0x40},
    {"f7", 0x41},
    {"f8", 0x42},
    {"f9", 0x43},
    {"f10", 0x44},
    {"num_lock", 0x45},
    {"scroll_lock", 0x46},
    {"kp_7", 0x47},
    {"kp_8", 0x48},
    {"kp_9", 0x49},
    {"kp_subtract", 0x4a},
    {"kp_4", 0x4b},
    {"kp_5", 0x4c},
    {"kp_6", 0x4d},
    {"kp_add", 0x4e},
    {"kp_1", 0x4f},
    {"kp_2", 0x50},
    {"kp_3", 0x51},
    {"kp_0", 0x52},
    {"kp_decimal", 0x53},
    {"sysrq", 0x54},
    {"less", 0x56},
    {"f11", 0x57},
    {"f12", 0x58},
    {"hiragana", 0x70},
    {"ro", 0x73},
    {"henkan", 0x79},
    {"muhenkan", 0x7b},
    {"yen", 0x7d},
    {"kp_enter", 0xe01c},
    {"ctrl_r", 0xe01d},
    {"kp_divide", 0xe035},
    {"print", KEY_PRINT_SCREEN},
    {"alt_r", 0xe038},
    {"home", 0xe047},
    {"up", 0xe048},
    {"pgup", 0xe049},
    {"left", 0xe04b},
    {"right", 0xe04d},
    {"end", 0xe04f},
    {"down", 0xe050},
    {"pgdn", 0xe051},
    {"insert", 0xe052},
    {"delete", 0xe053},
    {"meta_l", 0xe05b},
    {"meta_r", 0xe05c},
    {"compose", 0xe05d},
    {"menu", 0xe05d},
    {"power", 0xe05e},
    {"sleep", 0xe05f},
    {"wake", 0xe063},
    {"pause", KEY_PAUSE},
};

enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* The keys that print something, by the two characters on them. */
static const struct {
    char plain, shifted;
    uint16_t key;
} characters[] = {
    {'1', '!', 0x02}, {'2', '@', 0x03},  {'3', '#', 0x04}, {'4', '$', 0x05}, {'5', '%', 0x06},
    {'6', '^', 0x07}, {'7', '&', 0x08},  {'8', '*', 0x09}, {'9', '(', 0x0a}, {'0', ')', 0x0b},
    {'-', '_', 0x0c}, {'=', '+', 0x0d},  {'q', 'Q', 0x10}, {'w', 'W', 0x11}, {'e', 'E', 0x12},
    {'r', 'R', 0x13}, {'t', 'T', 0x14},  {'y', 'Y', 0x15}, {'u', 'U', 0x16}, {'i', 'I', 0x17},
    {'o', 'O', 0x18}, {'p', 'P', 0x19},  {'[', '{', 0x1a}, {']', '}', 0x1b}, {'a', 'A', 0x1e},
    {'s', 'S', 0x1f}, {'d', 'D', 0x20},  {'f', 'F', 0x21}, {'g', 'G', 0x22}, {'h', 'H', 0x23},
    {'j', 'J', 0x24}, {'k', 'K', 0x25},  {'l', 'L', 0x26}, {';', ':', 0x27}, {'\'', '"', 0x28},
    {'`', '~', 0x29}, {'\\', '|', 0x2b}, {'z', 'Z', 0x2c}, {'x', 'X', 0x2d}, {'c', 'C', 0x2e},
    {'v', 'V', 0x2f}, {'b', 'B', 0x30},  {'n', 'N', 0x31}, {'m', 'M', 0x32}, {',', '<', 0x33},
    {'.', '>', 0x34}, {'/', '?', 0x35},  {' ', ' ', 0x39},
};

/* Control characters that have a key of their own. */
static const struct {
    unsigned char character;
    uint16_t key;
} controls[] = {
    {'\b', 0x0e}, {'\t', 0x0f}, {'\n', 0x1c}, {'\r', 0x1c}, {0x1b, 0x01}, {0x7f, 0x0e},
};

uint16_t key_named(const char *name, size_t length)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (strlen(names[i].name) == length && !memcmp(names[i].name, name, length))
            return names[i].key;
    char number[16], *end;
    if (length < 3 || length >= sizeof(number) || name[0] != '0' || (name[1] | 0x20) != 'x')
        return 0;
    memcpy(number, name, length);
    number[length] = 0;
    unsigned long key = strtoul(number, &end, 16);
    return *end || key > KEY_MOST ? 0 : (uint16_t)key;
}

const char *key_name(uint16_t key)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (names[i].key == key)
            return names[i].name;
    return NULL;
}

const char *key_name_at(unsigned index)
{
    return index < NAMES ? names[index].name : NULL;
}

unsigned keys_parse(const char *combination, uint16_t keys[KEYS_AT_ONCE], const char **bad,
                    size_t *bad_length)
{
    unsigned count = 0;
    for (const char *part = combination;; part++) {
        size_t length = strcspn(part, "-");
        *bad = part;
        *bad_length = length;
        uint16_t key = key_named(part, length);
        if (!key || count == KEYS_AT_ONCE)
            return 0;
        keys[count++] = key;
        part += length;
        if (!*part)
            return count;
    }
}

struct key_press key_for_character(unsigned char character)
{
    for (unsigned i = 0; i < sizeof(controls) / sizeof(controls[0]); i++)
        if (controls[i].character == character)
            return (struct key_press){controls[i].key, 0};
    for (unsigned i = 0; character >= ' ' && i < sizeof(characters) / sizeof(characters[0]); i++) {
        if (characters[i].plain == character)
            return (struct key_press){characters[i].key, 0};
        if (characters[i].shifted == character)
            return (struct key_press){characters[i].key, MODIFIER_SHIFT};
    }
    if (character >= ' ')
        return (struct key_press){0};
    /* Ctrl-A to Ctrl-Z by their letters; 0 and 1Ch to 1Fh by the character 40h above, as ASCII has them. */
    unsigned char plain = character >= 1 && character <= 26 ? character + 'a' - 1 : character + '@';
    struct key_press press = key_for_character(plain);
    press.modifiers |= MODIFIER_CONTROL;
    return press;
}

void key_press_send(const struct key_press *press, const struct input_sink *sink, bool down)
{
    static const struct {
        enum key_modifier modifier;
        uint16_t key;
    } modifiers[] = {{MODIFIER_CONTROL, KEY_CONTROL}, {MODIFIER_ALT, KEY_ALT}, {MODIFIER_SHIFT, KEY_SHIFT}};
    enum { MODIFIERS = sizeof(modifiers) / sizeof(modifiers[0]) };

    if (!press->key)
        return;
    if (!down)
        sink->key(sink->device, press->key, false);
    for (unsigned i = 0; i < MODIFIERS; i++) {
        unsigned at = down ? i : MODIFIERS - 1 - i;
        if (press->modifiers & modifiers[at].modifier)
            sink->key(sink->device, modifiers[at].key, down);
    }
    if (down)
        sink->key(sink->device, press->key, true);
}

/*
 * The keyboard: commands, a buffer of 16 bytes with its overrun mark, scan code sets 1 and 2.
 *
 * Left out: set 3 with its commands F7h to FDh (answered RESEND, as keyboards without it do), typematic repetition,
 * the lights (taken, shown nowhere), and the shifts that a keyboard fakes around cursor keys while Num Lock is on.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-Key)"; for the translation the
 * same, "Keyboard and Auxiliary Device Controller", scan code tables.
 */
#include "devices/ps2-keyboard.h"

#include <string.h>

#include "core/input.h"

enum {
    SET_LIGHTS = 0xed,
    ECHO = 0xee,
    SELECT_SET = 0xf0,
    READ_ID = 0xf2,
    SET_TYPEMATIC = 0xf3,
    ENABLE = 0xf4,
    DEFAULT_DISABLE = 0xf5,
    SET_DEFAULT = 0xf6,
    RESEND = 0xfe,
    RESET = 0xff,

    ACKNOWLEDGE = 0xfa,
    SELF_TEST_PASSED = 0xaa,
    ID_LOW = 0xab,
    ID_HIGH = 0x83,
    OVERRUN_SET_1 = 0xff,
    OVERRUN_SET_2 = 0x00,

    PREFIX = 0xe0,
    PREFIX_PAUSE = 0xe1,
    BREAK_SET_1 = 0x80,
    BREAK_SET_2 = 0xf0,

    /* Scan codes of set 1. */
    LEFT_SHIFT = 0x2a,
    CONTROL = 0x1d,
    PRINT_SCREEN = 0x37,
    NUM_LOCK = 0x45,
    BREAK = 0x46,
    F7 = 0x41,
    SYSTEM_REQUEST = 0x54,
    /* The two of set 2 above 7Fh. */
    F7_SET_2 = 0x83,
    SYSTEM_REQUEST_SET_2 = 0x84,
};

/* Set 2 to set 1, for codes below 80h. */
static const uint8_t translation[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59, /* 00 */
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b, /* 10 */
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d, /* 20 */
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f, /* 30 */
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61, /* 40 */
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, /* 50 */
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, /* 60 */
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, /* 70 */
};

uint8_t ps2_translate(uint8_t code)
{
    if (code < sizeof(translation))
        return translation[code];
    if (code == F7_SET_2)
        return F7;
    return code == SYSTEM_REQUEST_SET_2 ? SYSTEM_REQUEST : code;
}

static uint8_t set_2_of(uint8_t set_1)
{
    if (set_1 == F7)
        return F7_SET_2;
    if (set_1 == SYSTEM_REQUEST)
        return SYSTEM_REQUEST_SET_2;
    for (unsigned code = 1; code < sizeof(translation); code++)
        if (translation[code] == set_1)
            return code;
    return 0;
}

/* ---- towards the controller */

static void reply(struct ps2_keyboard *keyboard, uint8_t byte)
{
    if (keyboard->replies < PS2_KEYBOARD_REPLIES)
        keyboard->reply[keyboard->replies++] = byte;
}

bool ps2_keyboard_read(struct ps2_keyboard *keyboard, uint8_t *byte)
{
    if (keyboard->replies) {
        *byte = keyboard->reply[0];
        memmove(keyboard->reply, keyboard->reply + 1, --keyboard->replies);
    } else if (keyboard->count) {
        *byte = keyboard->queue[keyboard->first];
        keyboard->first = (keyboard->first + 1) % PS2_KEYBOARD_QUEUE;
        keyboard->count--;
    } else {
        return false;
    }
    keyboard->last = *byte;
    return true;
}

/* The bytes of one key, gathered so that the buffer takes all of them or none. */
struct sequence {
    uint8_t byte[8];
    unsigned length;
};

static void sequence_add(struct sequence *sequence, unsigned set, bool prefix, uint8_t code, bool down)
{
    if (prefix)
        sequence->byte[sequence->length++] = PREFIX;
    if (!down && set == 2)
        sequence->byte[sequence->length++] = BREAK_SET_2;
    if (set == 2)
        sequence->byte[sequence->length++] = set_2_of(code);
    else
        sequence->byte[sequence->length++] = down ? code : code | BREAK_SET_1;
}

static void sequence_send(struct ps2_keyboard *keyboard, const struct sequence *sequence)
{
    static const unsigned most = PS2_KEYBOARD_QUEUE - 1; /* the last place is for the overrun mark */
    if (keyboard->count > most)
        return;
    bool fits = keyboard->count + sequence->length <= most;
    unsigned end = keyboard->first + keyboard->count;
    if (!fits) {
        /* Fill up, so that nothing more comes in before the mark has gone out. */
        keyboard->queue[end % PS2_KEYBOARD_QUEUE] = keyboard->set == 1 ? OVERRUN_SET_1 : OVERRUN_SET_2;
        keyboard->count++;
        return;
    }
    for (unsigned i = 0; i < sequence->length; i++)
        keyboard->queue[(end + i) % PS2_KEYBOARD_QUEUE] = sequence->byte[i];
    keyboard->count += sequence->length;
}

/* Pause comes as make and break in one, and has nothing to say when it is let go. */
static void sequence_pause(struct sequence *sequence, const struct ps2_keyboard *keyboard)
{
    unsigned set = keyboard->set;
    if (keyboard->control_down) {
        sequence_add(sequence, set, true, BREAK, true);
        sequence_add(sequence, set, true, BREAK, false);
        return;
    }
    for (int down = 1; down >= 0; down--) {
        sequence->byte[sequence->length++] = PREFIX_PAUSE;
        sequence_add(sequence, set, false, CONTROL, down);
        sequence_add(sequence, set, false, NUM_LOCK, down);
    }
}

void ps2_keyboard_key(struct ps2_keyboard *keyboard, uint16_t key, bool down)
{
    struct sequence sequence = {.length = 0};
    uint8_t code = key & 0x7f;
    if (code == CONTROL && key != KEY_PAUSE)
        keyboard->control_down = down;
    if (!keyboard->scanning)
        return;
    if (key == KEY_PAUSE) {
        if (down)
            sequence_pause(&sequence, keyboard);
    } else if (key == KEY_PRINT_SCREEN) {
        sequence_add(&sequence, keyboard->set, true, down ? LEFT_SHIFT : PRINT_SCREEN, down);
        sequence_add(&sequence, keyboard->set, true, down ? PRINT_SCREEN : LEFT_SHIFT, down);
    } else if (keyboard->set == 1 || set_2_of(code)) {
        sequence_add(&sequence, keyboard->set, key >= KEY_EXTENDED, code, down);
    }
    if (sequence.length)
        sequence_send(keyboard, &sequence);
}

/* ---- commands */

static void set_defaults(struct ps2_keyboard *keyboard)
{
    keyboard->first = keyboard->count = 0;
    keyboard->set = 2;
}

void ps2_keyboard_power_on(struct ps2_keyboard *keyboard)
{
    set_defaults(keyboard);
    keyboard->scanning = true;
    keyboard->control_down = false;
    keyboard->command = 0;
    keyboard->replies = 0;
}

static void select_set(struct ps2_keyboard *keyboard, uint8_t set)
{
    if (set > 2) {
        reply(keyboard, RESEND);
        return;
    }
    reply(keyboard, ACKNOWLEDGE);
    if (set)
        keyboard->set = set;
    else
        reply(keyboard, keyboard->set);
}

static void argument(struct ps2_keyboard *keyboard, uint8_t command, uint8_t byte)
{
    if (command == SELECT_SET)
        select_set(keyboard, byte);
    else
        reply(keyboard, ACKNOWLEDGE); /* lights, typematic rate */
}

static void command(struct ps2_keyboard *keyboard, uint8_t byte)
{
    switch (byte) {
    case SET_LIGHTS:
    case SELECT_SET:
    case SET_TYPEMATIC: keyboard->command = byte; break;
    case ECHO: reply(keyboard, ECHO); return;
    case READ_ID:
        reply(keyboard, ACKNOWLEDGE);
        reply(keyboard, ID_LOW);
        reply(keyboard, ID_HIGH);
        return;
    case ENABLE:
        keyboard->first = keyboard->count = 0;
        keyboard->scanning = true;
        break;
    case DEFAULT_DISABLE:
        set_defaults(keyboard);
        keyboard->scanning = false;
        break;
    case SET_DEFAULT: set_defaults(keyboard); break;
    case RESEND: reply(keyboard, keyboard->last); return;
    case RESET:
        ps2_keyboard_power_on(keyboard);
        reply(keyboard, ACKNOWLEDGE);
        reply(keyboard, SELF_TEST_PASSED);
        return;
    default: reply(keyboard, RESEND); return;
    }
    reply(keyboard, ACKNOWLEDGE);
}

void ps2_keyboard_write(struct ps2_keyboard *keyboard, uint8_t byte)
{
    uint8_t pending = keyboard->command;
    keyboard->command = 0;
    keyboard->replies = 0; /* a new byte from the controller ends what was being said */
    if (pending && byte < 0x80)
        argument(keyboard, pending, byte);
    else
        command(keyboard, byte);
}

/* keyboard.c: a PS/2 keyboard behind an 8042, which translates to scan code set 1 (IBM PS/2 technical reference).
 * US layout. Left out: the lights, and keys that a shell has no use for. */
#include "asm.h"
#include "console.h"
#include "const.h"
#include "keyboard.h"

#define DATA               0x60
#define STATUS             0x64
#define STATUS_OUTPUT_FULL 0x01
#define STATUS_FROM_MOUSE  0x20
#define BYTES_AT_ONCE      16

#define RELEASED         0x80
#define EXTENDED         0xE0
#define CODE_CONTROL     0x1D
#define CODE_SHIFT_LEFT  0x2A
#define CODE_SHIFT_RIGHT 0x36
#define CODE_CAPS_LOCK   0x3A

PRIVATE const char plain[] = "\0\033"
                             "1234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
PRIVATE const char shifted[] = "\0\033"
                               "!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

PRIVATE struct {
    int extended, shift, control, caps;
} keyboard;

PUBLIC void keyboard_init(void)
{
    for (int i = 0; i < BYTES_AT_ONCE && (in_u8(STATUS) & STATUS_OUTPUT_FULL); i++)
        in_u8(DATA); /* what was typed before; a full buffer would send no interrupt */
}

PRIVATE void extended_key(u8 code)
{
    static const struct {
        u8 code;
        u16 key;
    } keys[] = {{0x48, KEY_UP},  {0x50, KEY_DOWN},   {0x4B, KEY_LEFT}, {0x4D, KEY_RIGHT}, {0x47, KEY_HOME},
                {0x4F, KEY_END}, {0x53, KEY_DELETE}, {0x1C, '\n'},     {0x35, '/'}};
    for (u32 i = 0; i < count_of(keys); i++)
        if (keys[i].code == code)
            console_key(keys[i].key);
}

PRIVATE void plain_key(u8 code)
{
    if (code >= sizeof plain - 1)
        return;
    char c = plain[code];
    int letter = c >= 'a' && c <= 'z';
    if (keyboard.shift ^ (letter && keyboard.caps))
        c = shifted[code];
    if (keyboard.control && letter)
        c = plain[code] - 'a' + 1;
    if (c)
        console_key(c);
}

PRIVATE void scan_code(u8 code)
{
    if (code == EXTENDED) {
        keyboard.extended = 1;
        return;
    }
    int extended = keyboard.extended, pressed = !(code & RELEASED);
    keyboard.extended = 0;
    code &= ~RELEASED;
    if (code == CODE_CONTROL)
        keyboard.control = pressed;
    else if (!extended && (code == CODE_SHIFT_LEFT || code == CODE_SHIFT_RIGHT))
        keyboard.shift = pressed;
    else if (!extended && code == CODE_CAPS_LOCK)
        keyboard.caps ^= pressed;
    else if (pressed && extended)
        extended_key(code);
    else if (pressed)
        plain_key(code);
}

PUBLIC void keyboard_interrupt(void)
{
    for (int i = 0; i < BYTES_AT_ONCE; i++) {
        u8 status = in_u8(STATUS);
        if (!(status & STATUS_OUTPUT_FULL))
            return;
        u8 code = in_u8(DATA);
        if (!(status & STATUS_FROM_MOUSE))
            scan_code(code);
    }
}

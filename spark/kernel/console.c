/* console.c: screen, serial port and log as one. The screen is the 80 by 25 text mode that the BIOS left us
 * (CRTC registers: IBM VGA technical reference); disp_str does the writing. */
#include "asm.h"
#include "console.h"
#include "lib.h"
#include "lock.h"
#include "serial.h"

#define CRTC_INDEX       0x3D4
#define CRTC_DATA        0x3D5
#define CRTC_CURSOR_HIGH 0x0E
#define CRTC_CURSOR_LOW  0x0F

#define COLUMNS      80
#define ROWS         25
#define ROW_BYTES    (COLUMNS * 2)
#define VIDEO        ((volatile u16 *)0xB8000)
#define BRIGHT_WHITE 0x0F

#define LOG_SIZE (16 * KB)
#define KEYS     128

PRIVATE struct {
    struct lock lock;
    char log[LOG_SIZE];
    u32 log_length;
    int log_stopped;
    volatile u32 key_in, key_out; /* counters; their difference is how many keys wait */
    int keys[KEYS];
} console;

PRIVATE void cursor_move(void)
{
    u32 position = disp_pos / 2;
    out_u8(CRTC_INDEX, CRTC_CURSOR_HIGH);
    out_u8(CRTC_DATA, position >> 8);
    out_u8(CRTC_INDEX, CRTC_CURSOR_LOW);
    out_u8(CRTC_DATA, position);
}

PUBLIC void console_init(u32 screen_position)
{
    disp_pos = screen_position < ROWS * ROW_BYTES ? screen_position : 0;
    serial_init();
    cursor_move();
}

PUBLIC void console_lock(void)
{
    lock_take(&console.lock);
}

/* The cursor is moved once for a whole message: each move takes four slow port writes. */
PUBLIC void console_unlock(void)
{
    if (lock_depth(&console.lock) == 1)
        cursor_move();
    lock_give(&console.lock);
}

PUBLIC void console_break_lock(void)
{
    lock_break(&console.lock);
}

PUBLIC void console_put(char c)
{
    if (c == '\b') {
        if (disp_pos)
            disp_pos -= 2;
    } else if (c == '\r') {
        disp_pos -= disp_pos % ROW_BYTES;
    } else {
        char text[2] = {c, 0};
        disp_str(text);
    }
    if (c == '\n')
        serial_put('\r');
    serial_put(c);
    if (!console.log_stopped && console.log_length < LOG_SIZE)
        console.log[console.log_length++] = c;
}

PUBLIC void console_clear(void)
{
    console_lock();
    for (u32 i = 0; i < ROWS * COLUMNS; i++)
        VIDEO[i] = BRIGHT_WHITE << 8 | ' ';
    disp_pos = 0;
    console_unlock();
}

PUBLIC void console_color(u8 attribute)
{
    for (u32 i = 0; i < ROWS * COLUMNS; i++)
        VIDEO[i] = attribute << 8 | (VIDEO[i] & 0xFF);
}

PUBLIC void console_log_stop(void)
{
    console.log_stopped = 1;
}

PUBLIC void console_log_show(void)
{
    console_lock();
    for (u32 i = 0; i < console.log_length; i++)
        console_put(console.log[i]);
    if (console.log_length == LOG_SIZE)
        kprintf("\n(the log is full: what came later is not in it)\n");
    console_unlock();
}

PUBLIC int console_takes_keys(void)
{
    return console.key_in - console.key_out < KEYS;
}

PUBLIC void console_key(int key)
{
    if (console_takes_keys())
        console.keys[console.key_in++ % KEYS] = key;
}

PUBLIC int console_get_key(void)
{
    if (console.key_in == console.key_out)
        return -1;
    int was_full = !console_takes_keys(), key = console.keys[console.key_out++ % KEYS];
    if (was_full)
        serial_listen();
    return key;
}

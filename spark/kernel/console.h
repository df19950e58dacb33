/* console.h: what spark says goes to the screen, to the first serial port, and into the log that dmesg shows;
 * what is typed comes from the keyboard and from that port. */
#ifndef SPARK_CONSOLE_H
#define SPARK_CONSOLE_H

#include "type.h"

void console_init(u32 screen_position);
void console_lock(void); /* one CPU at a time; interrupts are off until console_unlock; may nest */
void console_unlock(void);
void console_put(
    char c); /* between lock and unlock. \n a new row, \b one to the left, \r to the start of the row */
void console_clear(void);
void console_color(u8 attribute); /* the whole screen, as it stands */
void console_break_lock(void);    /* a CPU that holds the lock has crashed */

void console_log_stop(void); /* from here on, what is printed is a dialogue, not the log */
void console_log_show(void);

/* Keys that are no characters */
enum { KEY_UP = 0x100, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE };

int console_takes_keys(void); /* 0: the next key would be lost */
void console_key(int key);    /* from an interrupt: a key was pressed */
int console_get_key(void);    /* -1: none is waiting */

#endif

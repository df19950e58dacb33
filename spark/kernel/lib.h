/* lib.h: memory, text and numbers, and the functions that are written in assembly */
#ifndef SPARK_LIB_H
#define SPARK_LIB_H

#include "const.h"
#include "type.h"

/* string.asm, screen.asm, myadd.asm */
void *memcpy(void *dst, void *src, int size);
void *memset(void *dst, int value, int size);
void disp_str(char *info); /* at disp_pos, bright white; 0Ah begins a row */
int myadd(int a, int b, int *res);
extern u32 disp_pos; /* in bytes from the top left corner of the screen */

int memory_compare(const void *a, const void *b, u32 size); /* 0: the same */
u32 text_length(const char *text);
int text_equal(const char *a, const char *b);
int text_begins(const char *text, const char *start);
/* A hexadecimal number (0x or a final h may be there); 0 if it is none or has more than 32 bits. */
int text_to_hex(const char *text, u32 *value);

u64 divide_u64(u64 dividend, u32 divisor, u32 *remainder); /* remainder may be NULL */

/* kprintf knows %s %c %d %u %x %X %p %%, with a width, `-` and `0` before it, and `ll` for 64 bits. */
void kprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

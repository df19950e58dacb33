/*
 * Code page 437, what a PC's text screen is written in: as Unicode, and as the nearest ASCII.
 */
#ifndef DISPLAY_CODEPAGE_H
#define DISPLAY_CODEPAGE_H

#include <stddef.h>
#include <stdint.h>

/* The code point of what the character looks like on the screen (0 and FFh: a space). */
uint16_t codepage_unicode(uint8_t character);
char codepage_ascii(uint8_t character);

/* Writes at most 3 bytes (no terminating zero) and answers how many; any code point below 10000h. */
size_t utf8_encode(uint16_t code, char *bytes);

#endif

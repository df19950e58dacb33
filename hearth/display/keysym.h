/* Keysyms, as X and RFB name keys, to keys of a US keyboard. */
#ifndef DISPLAY_KEYSYM_H
#define DISPLAY_KEYSYM_H

#include "display/keys.h"

enum { KEYSYM_LEVEL_3 = 0xfe03, KEYSYM_MODE_SWITCH = 0xff7e }; /* AltGr */

/* The key, and Shift if the character needs it on a US keyboard; key 0 if there is none. */
struct key_press key_for_keysym(uint32_t keysym);
/* The key of RFB's extended key event: an XT scan code, with 80h for the prefix E0h. 0 if it is none. */
uint16_t key_for_xt(uint32_t code);

#endif

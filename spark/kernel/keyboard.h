#ifndef SPARK_KEYBOARD_H
#define SPARK_KEYBOARD_H

void keyboard_init(void);
void keyboard_interrupt(void); /* IRQ 1 */

#endif

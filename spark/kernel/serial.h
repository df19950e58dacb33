/* serial.h: the first serial port, 115200 8N1, beside the screen and the keyboard */
#ifndef SPARK_SERIAL_H
#define SPARK_SERIAL_H

void serial_init(void);
int serial_present(void);
void serial_put(char c);
void serial_interrupt(void); /* IRQ 4 */
void serial_listen(void);    /* the console takes keys again */

#endif

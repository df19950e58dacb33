/* timer.h: the 8254 timer */
#ifndef SPARK_TIMER_H
#define SPARK_TIMER_H

#include "type.h"

#define TIMER_HZ 100

void timer_init(void);
void timer_interrupt(void);         /* IRQ 0 */
u32 timer_ticks(void);              /* since timer_init, TIMER_HZ a second */
void timer_delay(u32 microseconds); /* by the counter itself: works with interrupts off */

#endif

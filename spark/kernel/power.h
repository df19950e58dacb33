/* power.h: off, and on again */
#ifndef SPARK_POWER_H
#define SPARK_POWER_H

void power_init(void);
void power_off(void); /* comes back only if the machine has no switch that spark knows */
void power_reboot(void) __attribute__((noreturn));
void power_button_check(void); /* switches off if the button was pressed */

#endif

/* lapic.h: the interrupt controller inside each CPU */
#ifndef SPARK_LAPIC_H
#define SPARK_LAPIC_H

#include "type.h"

int lapic_map(u32 address); /* once, before all else; 0: it cannot be mapped */
void lapic_enable(int first_cpu);
u32 lapic_id(void);
void lapic_end_of_interrupt(void);
void lapic_send_init(u32 apic_id);
void lapic_send_startup(u32 apic_id, u32 page_address); /* the CPU begins there, in real mode; below 1 MB */
void lapic_send_interrupt(u32 apic_id, u32 vector);

#endif

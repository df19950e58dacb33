/* interrupts.h: the IDT, the two 8259A, and what happens when an interrupt comes */
#ifndef SPARK_INTERRUPTS_H
#define SPARK_INTERRUPTS_H

#include "type.h"

/* The stack as vectors.asm leaves it */
struct frame {
    u32 gs, fs, es, ds;
    u32 edi, esi, ebp, esp_unused, ebx, edx, ecx, eax; /* PUSHAD */
    u32 vector, error;
    u32 eip, cs, eflags; /* pushed by the CPU */
};

#define VECTOR_IRQ0     0x20
#define VECTOR_WAKE     0xF0 /* an IPI: there is work */
#define VECTOR_SPURIOUS 0xFF /* of the local APIC */

#define IRQ_TIMER    0
#define IRQ_KEYBOARD 1
#define IRQ_CASCADE  2
#define IRQ_SERIAL   4
#define IRQ_LINES    16

void interrupts_init(void);
void interrupts_load(void); /* on a further CPU */
void interrupts_listen(u32 irq, void (*handler)(void));
void interrupts_mask_all(void);
u32 interrupts_count(u32 vector); /* how often it came */

/* The name of an exception, `#PF page fault`; NULL from vector 32 on */
const char *exception_name(u32 vector);

#endif

/* protect.h: segments and gates (Intel's manual, volume 3, chapters 3, 6 and 7) */
#ifndef SPARK_PROTECT_H
#define SPARK_PROTECT_H

#include "type.h"
#include "const.h"

/* A segment descriptor. Base and limit lie in pieces because the 80286 had room for 24 and 16 bits of them. */
typedef struct s_descriptor {
    u16 limit_low;
    u16 base_low;
    u8 base_mid;
    u8 attr1;            /* P(1) DPL(2) S(1) TYPE(4) */
    u8 limit_high_attr2; /* G(1) D(1) 0(1) AVL(1) limit_high(4) */
    u8 base_high;
} DESCRIPTOR;

/* A gate of the IDT */
typedef struct s_gate {
    u16 offset_low;
    u16 selector;
    u8 dcount;
    u8 attr; /* P(1) DPL(2) 0(1) TYPE(4) */
    u16 offset_high;
} GATE;

/* The loader's selectors, which stay ours: its GDT is copied, and grows at the end */
#define SELECTOR_KERNEL_CS 0x08
#define SELECTOR_KERNEL_DS 0x10
#define SELECTOR_KERNEL_GS 0x1B /* the screen; index 3, RPL 3 */
#define SELECTOR_TSS       0x20
#define SELECTOR_TSS_FAULT 0x28 /* the task that a double fault switches to */

#define DA_386TSS     0x89 /* present, DPL 0, available 32-bit TSS */
#define DA_386IGATE   0x8E /* present, DPL 0, 32-bit interrupt gate: clears IF */
#define DA_TASKGATE   0x85 /* present, DPL 0, task gate */
#define DA_GATE_RING3 0x60 /* DPL 3 */

/* The task state segment. Only a double fault switches tasks here. */
typedef struct s_tss {
    u32 backlink;
    u32 esp0, ss0, esp1, ss1, esp2, ss2;
    u32 cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
    u32 es, cs, ss, ds, fs, gs;
    u32 ldt;
    u16 trap, iobase;
} TSS;

extern u8 gdt_ptr[6]; /* what SGDT and LGDT read and write: limit 16 bits, base 32 */
extern DESCRIPTOR gdt[GDT_SIZE];
extern u8 idt_ptr[6];
extern GATE idt[IDT_SIZE];

u32 descriptor_base(const DESCRIPTOR *descriptor);
u32 descriptor_limit(const DESCRIPTOR *descriptor); /* in bytes, whatever the granularity */
void descriptor_set(DESCRIPTOR *descriptor, u32 base, u32 limit, u8 attr1);
void tss_init(void);
TSS *tss_faulting(void); /* where the CPU put the registers when the double fault switched tasks */

#endif

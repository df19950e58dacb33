/* protect.c: segment descriptors and the two task state segments */
#include "asm.h"
#include "lib.h"
#include "protect.h"

#define LIMIT_GRANULAR 0x80 /* the limit counts pages */
#define FAULT_STACK    4096

PUBLIC u8 gdt_ptr[6];
PUBLIC DESCRIPTOR gdt[GDT_SIZE];

PRIVATE TSS tss;       /* where the CPU saves what ran when the double fault came */
PRIVATE TSS fault_tss; /* what it loads then */
PRIVATE u8 fault_stack[FAULT_STACK] __attribute__((aligned(16)));

PUBLIC u32 descriptor_base(const DESCRIPTOR *descriptor)
{
    return descriptor->base_low | descriptor->base_mid << 16 | (u32)descriptor->base_high << 24;
}

PUBLIC u32 descriptor_limit(const DESCRIPTOR *descriptor)
{
    u32 limit = descriptor->limit_low | (descriptor->limit_high_attr2 & 0x0F) << 16;
    return descriptor->limit_high_attr2 & LIMIT_GRANULAR ? limit << PAGE_SHIFT | (PAGE_SIZE - 1) : limit;
}

PUBLIC void descriptor_set(DESCRIPTOR *descriptor, u32 base, u32 limit, u8 attr1)
{
    descriptor->limit_low = limit;
    descriptor->base_low = base;
    descriptor->base_mid = base >> 16;
    descriptor->attr1 = attr1;
    descriptor->limit_high_attr2 = limit >> 16 & 0x0F;
    descriptor->base_high = base >> 24;
}

PUBLIC TSS *tss_faulting(void)
{
    return &tss;
}

/* When the stack is what is broken, the CPU cannot push a frame on it. A task gate makes it switch to another
 * stack first, and the broken registers are kept in the old task's TSS. */
PUBLIC void tss_init(void)
{
    extern void double_fault_task(void);
    fault_tss.cr3 = read_cr3();
    fault_tss.eip = (u32)double_fault_task;
    fault_tss.eflags = 2;
    fault_tss.esp = (u32)fault_stack + sizeof fault_stack;
    fault_tss.cs = SELECTOR_KERNEL_CS;
    fault_tss.ds = fault_tss.es = fault_tss.fs = fault_tss.ss = SELECTOR_KERNEL_DS;
    fault_tss.gs = SELECTOR_KERNEL_GS;
    tss.iobase = fault_tss.iobase = sizeof(TSS);
    descriptor_set(&gdt[SELECTOR_TSS / 8], (u32)&tss, sizeof tss - 1, DA_386TSS);
    descriptor_set(&gdt[SELECTOR_TSS_FAULT / 8], (u32)&fault_tss, sizeof fault_tss - 1, DA_386TSS);
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
}

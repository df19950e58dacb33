/* faults.c: every exception, caused the way it comes about in life where the CPU lets us; the others, which need
 * hardware or a CPU feature that may not be there, enter through their gate's code with an error code made up */
#include "asm.h"
#include "faults.h"
#include "interrupts.h"
#include "lib.h"
#include "paging.h"
#include "protect.h"

#define CR0_TS          0x08
#define SELECTOR_SPARE  0x40 /* a descriptor that nothing else uses */
#define SELECTOR_BEYOND 0xFFF8
#define ABSENT_DATA     0x12 /* data, writable, not present */
#define FAR_ADDRESS     0xFFFFE000u

extern u8 StackGuard[];
void interrupt_simulate(u32 vector, u32 error); /* vectors.asm */

PRIVATE void cause_de(void)
{
    __asm__ volatile("xorl %%ecx, %%ecx; movl $1, %%eax; xorl %%edx, %%edx; divl %%ecx"
                     :
                     :
                     : "eax", "ecx", "edx");
}

PRIVATE void cause_db(void)
{
    __asm__ volatile("pushfl; orl $0x100, (%%esp); popfl; nop" : : : "memory", "cc"); /* TF */
}

PRIVATE void cause_nmi(void)
{
    __asm__ volatile("int $2");
}

PRIVATE void cause_bp(void)
{
    __asm__ volatile("int3");
}

PRIVATE void cause_of(void)
{
    __asm__ volatile("movb $0x7f, %%al; addb $1, %%al; into" : : : "eax", "cc");
}

PRIVATE void cause_br(void)
{
    static const int bounds[2] = {1, 5};
    __asm__ volatile("boundl %0, %1" : : "r"(9), "m"(bounds));
}

PRIVATE void cause_ud(void)
{
    __asm__ volatile("ud2");
}

PRIVATE void cause_nm(void)
{
    write_cr0(read_cr0() | CR0_TS);
    __asm__ volatile("fnop");
}

/* A stack that is not mapped: the page fault cannot be delivered, nor can anything else. */
PRIVATE void cause_df(void)
{
    __asm__ volatile("movl %0, %%esp; pushl $0" : : "r"((u32)StackGuard + 8 + PAGE_SIZE / 2));
}

PRIVATE void cause_ts(void)
{
    __asm__ volatile("pushfl; orl $0x4000, (%%esp); popfl; iretl"
                     :
                     :
                     : "memory", "cc"); /* NT: back to no task at all */
}

PRIVATE void load_spare(u8 attr1)
{
    descriptor_set(&gdt[SELECTOR_SPARE / 8], 0, 0xFFFF, attr1);
}

PRIVATE void cause_np(void)
{
    load_spare(ABSENT_DATA);
    __asm__ volatile("movw %w0, %%fs" : : "r"(SELECTOR_SPARE));
}

PRIVATE void cause_ss(void)
{
    load_spare(ABSENT_DATA);
    __asm__ volatile("movw %w0, %%ss" : : "r"(SELECTOR_SPARE));
}

PRIVATE void cause_gp(void)
{
    __asm__ volatile("movw %w0, %%fs" : : "r"(SELECTOR_BEYOND));
}

PRIVATE void cause_pf(void)
{
    *(volatile u32 *)FAR_ADDRESS = 1;
}

#define SIMULATED NULL

PRIVATE const struct {
    const char *name;
    void (*cause)(void); /* SIMULATED: enters as if the CPU had found it */
    u32 error;
} faults[] = {
    {"de", cause_de, 0},  {"db", cause_db, 0},  {"nmi", cause_nmi, 0}, {"bp", cause_bp, 0},
    {"of", cause_of, 0},  {"br", cause_br, 0},  {"ud", cause_ud, 0},   {"nm", cause_nm, 0},
    {"df", cause_df, 0},  {"9", SIMULATED, 0},  {"ts", cause_ts, 0},   {"np", cause_np, 0},
    {"ss", cause_ss, 0},  {"gp", cause_gp, 0},  {"pf", cause_pf, 0},   {"15", SIMULATED, 0},
    {"mf", SIMULATED, 0}, {"ac", SIMULATED, 0}, {"mc", SIMULATED, 0},  {"xm", SIMULATED, 0},
    {"ve", SIMULATED, 0}, {"cp", SIMULATED, 1}, {"22", SIMULATED, 0},  {"23", SIMULATED, 0},
    {"24", SIMULATED, 0}, {"25", SIMULATED, 0}, {"26", SIMULATED, 0},  {"27", SIMULATED, 0},
    {"hv", SIMULATED, 0}, {"vc", SIMULATED, 0}, {"sx", SIMULATED, 0},  {"31", SIMULATED, 0},
};

PUBLIC int fault_cause(const char *name)
{
    for (u32 vector = 0; vector < count_of(faults); vector++) {
        if (!text_equal(faults[vector].name, name))
            continue;
        if (faults[vector].cause)
            faults[vector].cause();
        else
            interrupt_simulate(vector, faults[vector].error);
        kprintf("the CPU let it pass\n"); /* an emulator that does not check */
        return 1;
    }
    return 0;
}

PUBLIC void fault_list(void)
{
    kprintf("fault NAME, where NAME is one of:\n");
    for (u32 vector = 0; vector < count_of(faults); vector++)
        kprintf("  %-4s%-30s%s", faults[vector].name, exception_name(vector), vector & 1 ? "\n" : "");
}

/* asm.h: single instructions that C has no words for */
#ifndef SPARK_ASM_H
#define SPARK_ASM_H

#include "type.h"

static inline u8 in_u8(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u16 in_u16(u16 port)
{
    u16 value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u32 in_u32(u16 port)
{
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void out_u8(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out_u16(u16 port, u16 value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out_u32(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

#define READ_REGISTER(name)                                                                                  \
    static inline u32 read_##name(void)                                                                      \
    {                                                                                                        \
        u32 value;                                                                                           \
        __asm__ volatile("movl %%" #name ", %0" : "=r"(value));                                              \
        return value;                                                                                        \
    }
READ_REGISTER(cr0)
READ_REGISTER(cr2)
READ_REGISTER(cr3)
READ_REGISTER(cr4)
READ_REGISTER(esp)
READ_REGISTER(ebp)
READ_REGISTER(cs)
READ_REGISTER(ds)
READ_REGISTER(es)
READ_REGISTER(fs)
READ_REGISTER(gs)
READ_REGISTER(ss)

static inline void write_cr0(u32 value)
{
    __asm__ volatile("movl %0, %%cr0" : : "r"(value) : "memory");
}

static inline void write_cr3(u32 value)
{
    __asm__ volatile("movl %0, %%cr3" : : "r"(value) : "memory");
}

static inline void write_cr4(u32 value)
{
    __asm__ volatile("movl %0, %%cr4" : : "r"(value));
}

static inline u32 read_eflags(void)
{
    u32 value;
    __asm__ volatile("pushfl; popl %0" : "=r"(value));
    return value;
}

static inline void write_eflags(u32 value)
{
    __asm__ volatile("pushl %0; popfl" : : "r"(value) : "memory", "cc");
}

/* Interrupts off; returns the flags as they were, for interrupts_restore. */
static inline u32 interrupts_off(void)
{
    u32 flags = read_eflags();
    __asm__ volatile("cli" : : : "memory");
    return flags;
}

static inline void interrupts_restore(u32 flags)
{
    write_eflags(flags);
}

static inline void cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(subleaf));
}

static inline u64 read_tsc(void)
{
    u64 value;
    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

static inline u64 read_msr(u32 number)
{
    u64 value;
    __asm__ volatile("rdmsr" : "=A"(value) : "c"(number));
    return value;
}

static inline void cpu_pause(void)
{
    __asm__ volatile("rep; nop" : : : "memory");
}

static inline u32 atomic_swap(volatile u32 *at, u32 value)
{
    __asm__ volatile("xchgl %0, %1" : "+r"(value), "+m"(*at) : : "memory");
    return value;
}

/* XADD came with the 80486; every machine with a second CPU has it. Returns the value before. */
static inline u32 atomic_add(volatile u32 *at, u32 value)
{
    __asm__ volatile("lock xaddl %0, %1" : "+r"(value), "+m"(*at) : : "memory", "cc");
    return value;
}

#endif

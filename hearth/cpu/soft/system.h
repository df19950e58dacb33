/*
 * The privileged instructions, on decoded operands. Handlers are thin: they say MAY_FAULT, call one of these, and go
 * on. All checks (mode, CPL, operands) are in here, in the order of SDM volume 2; each raises #UD, #GP(..) and so on by
 * itself and says why. `size` is the operand size in bytes (2, 4, later 8). Where registers are implied (CPUID, RDMSR,
 * RDTSC) they are read and written in cpu->gpr.
 *
 * After those marked with (*) the block must end and the run loop look again at mode, interrupts and the next RIP.
 */
#ifndef SOFT_SYSTEM_H
#define SOFT_SYSTEM_H

#include "cpu/soft/cpu.h"

/* ---- tables ---- */

/* LGDT, LIDT, SGDT, SIDT m16&32 (m16&64 in 64-bit code, whatever `size`) at segment:offset. With 16-bit operands 24
 * bits of the base are loaded. */
void system_load_gdt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size);
void system_load_idt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size);
void system_store_gdt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size);
void system_store_idt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size);

/* #UD outside of protected mode: call before the operand of LLDT, LTR, SLDT, STR, LAR, LSL, VERR, VERW, ARPL is read. */
void system_need_protected(struct cpu *cpu);
/* LLDT, LTR: the same and CPL 0; also before the operand is read. */
void system_need_protected_ring0(struct cpu *cpu);
/* Everything that is #GP(0) unless CPL is 0: LMSW, MOV CR, CLTS, HLT, INVLPG...; the functions below call it. */
void system_need_ring0(struct cpu *cpu, const char *instruction);

void system_lldt(struct cpu *cpu, uint16_t selector);
void system_ltr(struct cpu *cpu, uint16_t selector);
uint16_t system_sldt(struct cpu *cpu); /* calls system_need_protected() */
uint16_t system_str(struct cpu *cpu);

/* These answer ZF; *value is what goes to the register (masked to the operand size by the caller) when true. */
bool system_lar(struct cpu *cpu, uint16_t selector, uint32_t *value);
bool system_lsl(struct cpu *cpu, uint16_t selector, uint32_t *value);
bool system_verr(struct cpu *cpu, uint16_t selector);
bool system_verw(struct cpu *cpu, uint16_t selector);
/* ARPL: true (ZF) if *destination was changed. */
bool system_arpl(struct cpu *cpu, uint16_t *destination, uint16_t source);

/* ---- control and debug registers ---- */

uint64_t system_read_cr(struct cpu *cpu, unsigned number);
void system_write_cr(struct cpu *cpu, unsigned number, uint64_t value); /* (*) */
uint64_t system_read_dr(struct cpu *cpu, unsigned number);
void system_write_dr(struct cpu *cpu, unsigned number, uint64_t value); /* (*) */
uint64_t system_smsw(struct cpu *cpu);             /* all of CR0; the caller takes 16 or 32 bits */
void system_lmsw(struct cpu *cpu, uint16_t value); /* (*) */
void system_clts(struct cpu *cpu);                 /* (*) */
void system_invlpg(struct cpu *cpu,
                   uint64_t linear); /* (*) linear: segment base + offset, no segment check */
void system_wbinvd(struct cpu *cpu); /* WBINVD and INVD */
/* INVPCID; the 16-byte descriptor lies at segment:offset. (*) */
void system_invpcid(struct cpu *cpu, uint64_t type, enum segment_name name, uint64_t offset);

/* ---- identification, model-specific registers, counters ---- */

void system_cpuid(struct cpu *cpu);
/* identify.c: what this engine can do, for cpu/cpuid.h. */
struct cpu_abilities;
void identify_abilities(struct cpu_abilities *able);
void system_rdmsr(struct cpu *cpu);
void system_wrmsr(struct cpu *cpu); /* (*) */
void msr_reset(struct cpu *cpu);
void system_rdtsc(struct cpu *cpu);
void system_rdtscp(struct cpu *cpu);
void system_rdpmc(struct cpu *cpu);
uint64_t system_tsc(struct cpu *cpu);

/* ---- fast system calls: they set RIP as far branches do, `next` is that of the following instruction ---- */

void system_syscall(struct cpu *cpu, uint64_t next); /* (*) */
void system_sysret(struct cpu *cpu, unsigned size);  /* (*) 8 with REX.W: to 64-bit code */
void system_sysenter(struct cpu *cpu);               /* (*) */
void system_sysexit(struct cpu *cpu);                /* (*) */
void system_swapgs(struct cpu *cpu);                 /* #UD outside of 64-bit code */
/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE; `size` 4 or 8. */
uint64_t system_read_base(struct cpu *cpu, enum segment_name name);
void system_write_base(struct cpu *cpu, enum segment_name name, uint64_t value);

/* VMCALL and VMMCALL. (*) */
void system_hypercall(struct cpu *cpu);

/* ---- flags and interrupts ---- */

/* STAC and CLAC. */
void system_alignment_flag(struct cpu *cpu, bool set);

void system_cli(struct cpu *cpu);
void system_sti(struct cpu *cpu); /* (*) sets interrupt_shadow when IF was clear */
void system_pause(struct cpu *cpu);
void system_hlt(
    struct cpu *cpu); /* (*) sets cpu->halted; cpu->rip shall be made the next instruction's by the caller */
/* PUSHF: the image to push. Raises #GP(0) in v86 mode where it must. */
uint64_t system_pushf(struct cpu *cpu, unsigned size);
/* POPF: check() before the stack is read, then write() with what was popped. (*) */
void system_popf_check(struct cpu *cpu, unsigned size);
void system_popf(struct cpu *cpu, uint64_t value, unsigned size);

/* ---- debug registers at work: debug.c ---- */

/* Are there breakpoints on execution (then blocks are of one instruction and start with the next call)? */
static inline bool debug_watches_code(const struct cpu *cpu)
{
    return (cpu->dr[7] & 0xff) != 0 || cpu->debugging;
}
/* A debugger's: before an instruction; true if it is not to run, since a point is there. */
bool debugger_before(struct cpu *cpu);
/* Running goes on after what was told. */
void debugger_leave(struct cpu *cpu);
/* Bytes that the instruction reads or writes. */
void debugger_watch(struct cpu *cpu, uint64_t linear, unsigned size, bool write);
bool debugger_watches(const struct cpu *cpu, uint64_t page);
/* Before an instruction, cpu->rip exact and cpu->op NULL: raises #DB if a breakpoint is there and RF is clear; clears RF. */
void debug_before(struct cpu *cpu);
/* For the instruction under way: it traps by the TF that it leaves, not by the one that it found. */
void debug_step_after(struct cpu *cpu);
/* The data breakpoints that wait go into DR6; for INT1. */
void debug_take_pending(struct cpu *cpu);
/* After an instruction that ran with TF set (`stepped`) or when cpu->debug_pending is not 0, cpu->rip exact and cpu->op
 * NULL: raises #DB as a trap. */
void debug_after(struct cpu *cpu, bool stepped);

#endif

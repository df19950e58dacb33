/*
 * The privileged instructions, but for CPUID and model-specific registers (identify.c, msr.c) and fast system calls (fast.c).
 *
 * The time stamp counter runs at 1 GHz, with the machine's clock. Left out: machine checks, performance counters.
 * Source: SDM volume 2, the operation of each instruction; volume 3A, 2.5 (control registers), 4.1.2 and 9.8.5 (switching
 * paging and IA-32e mode), 4.10.4 (INVPCID), 5.10 (LAR...), 17.2 (debug registers), 20.3 (VME).
 */
#include "cpu/soft/system.h"

#include <sched.h>

#include "cpu/soft/descriptor.h"
#include "cpu/soft/device.h"
#include "cpu/soft/features.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/turns.h"

/* ---- checks ---- */

void system_need_ring0(struct cpu *cpu, const char *instruction)
{
    if (cpl(cpu) == 0)
        return;
    fault_because(cpu, "%s is for CPL 0; CPL is %u", instruction, cpl(cpu));
    fault_error(cpu, VECTOR_GP, 0);
}

void system_need_protected(struct cpu *cpu)
{
    if (in_protected_mode(cpu))
        return;
    fault_because(cpu, "this instruction does not exist in real and v86 mode");
    fault(cpu, VECTOR_UD);
}

void system_need_protected_ring0(struct cpu *cpu)
{
    system_need_protected(cpu);
    system_need_ring0(cpu, "LLDT and LTR");
}

/* CR4.UMIP: what tells of the system's registers is its own. */
static void need_system(struct cpu *cpu, const char *instruction)
{
    if ((cpu->cr4 & CR4_UMIP) && (cpu->cr0 & CR0_PE))
        system_need_ring0(cpu, instruction);
}

/* ---- descriptor tables ---- */

static _Noreturn void refuse(struct cpu *cpu, const char *why)
{
    fault_because(cpu, "%s", why);
    fault_error(cpu, VECTOR_GP, 0);
}

static struct table_register table_load(struct cpu *cpu, enum segment_name name, uint64_t offset,
                                        unsigned size)
{
    struct table_register table;

    table.limit = load(cpu, name, offset, 2);
    if (in_64bit_code(cpu)) {
        table.base = load(cpu, name, offset + 2, 8);
        if (!canonical(table.base))
            refuse(cpu, "LGDT or LIDT: the base is not canonical");
        return table;
    }
    table.base = load(cpu, name, offset + 2, 4);
    if (size == 2)
        table.base &= 0xffffff;
    return table;
}

void system_load_gdt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size)
{
    system_need_ring0(cpu, "LGDT");
    cpu->gdtr = table_load(cpu, name, offset, size);
}

void system_load_idt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size)
{
    system_need_ring0(cpu, "LIDT");
    cpu->idtr = table_load(cpu, name, offset, size);
}

static void table_store(struct cpu *cpu, const struct table_register *table, enum segment_name name,
                        uint64_t offset)
{
    uint8_t image[10]; /* 16-bit limit, base of 32 or 64 bits */

    need_system(cpu, "SGDT or SIDT");
    memcpy(image, &table->limit, 2);
    memcpy(image + 2, &table->base, 8);
    store_bytes(cpu, name, offset, image, in_64bit_code(cpu) ? 10 : 6);
}

void system_store_gdt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size)
{
    (void)size; /* since the 386 all 32 bits of the base are stored */
    table_store(cpu, &cpu->gdtr, name, offset);
}

void system_store_idt(struct cpu *cpu, enum segment_name name, uint64_t offset, unsigned size)
{
    (void)size;
    table_store(cpu, &cpu->idtr, name, offset);
}

void system_lldt(struct cpu *cpu, uint16_t selector)
{
    system_need_protected_ring0(cpu);
    ldtr_load(cpu, selector, VECTOR_GP);
}

void system_ltr(struct cpu *cpu, uint16_t selector)
{
    struct segment tss;
    uint64_t raw, upper;

    system_need_protected_ring0(cpu);
    raw = task_descriptor(cpu, selector, VECTOR_GP);
    upper = descriptor_upper(cpu, selector, "TR");
    descriptor_to_system_segment(cpu, raw, upper, selector, &tss);
    descriptor_change(cpu, selector, TYPE_BUSY, 0);
    cpu->tr = tss;
    cpu->tr.rights |= TYPE_BUSY;
}

uint16_t system_sldt(struct cpu *cpu)
{
    system_need_protected(cpu);
    need_system(cpu, "SLDT");
    return cpu->ldtr.selector;
}

uint16_t system_str(struct cpu *cpu)
{
    system_need_protected(cpu);
    need_system(cpu, "STR");
    return cpu->tr.selector;
}

/* ---- looking at descriptors ---- */

/* Does this privilege see the descriptor? Conforming code is seen by all. */
static bool visible(const struct cpu *cpu, uint16_t selector, uint64_t raw)
{
    if (raw_is_code(raw) && raw_is_conforming(raw))
        return true;
    return cpl(cpu) <= raw_dpl(raw) && (selector & SELECTOR_RPL) <= raw_dpl(raw);
}

enum seen_types {
    SEEN_TSS = 1 << TYPE_TSS16 | 1 << TYPE_TSS16_BUSY | 1 << TYPE_TSS32 | 1 << TYPE_TSS32_BUSY,
    SEEN_BY_LSL = SEEN_TSS | 1 << TYPE_LDT,
    SEEN_BY_LAR = SEEN_BY_LSL | 1 << TYPE_CALL_GATE16 | 1 << TYPE_TASK_GATE | 1 << TYPE_CALL_GATE32,
    SEEN_IN_LONG_MODE = 1 << TYPE_LDT | 1 << TYPE_TSS32 | 1 << TYPE_TSS32_BUSY | 1 << TYPE_CALL_GATE32,
    LAR_MASK = 0x00ffff00, /* bits 19 to 16, the limit's, are undefined; hardware shows them as they are */
};

/* `types`: bit n set: system descriptors of type n will do. */
static bool look(struct cpu *cpu, uint16_t selector, uint32_t types, uint64_t *raw)
{
    system_need_protected(cpu);
    if (!descriptor_read(cpu, selector, raw))
        return false;
    if (in_long_mode(cpu))
        types &= SEEN_IN_LONG_MODE;
    if (!raw_is_segment(*raw) && !(types >> raw_type(*raw) & 1))
        return false;
    return visible(cpu, selector, *raw);
}

bool system_lar(struct cpu *cpu, uint16_t selector, uint32_t *value)
{
    uint64_t raw;

    if (!look(cpu, selector, SEEN_BY_LAR, &raw))
        return false;
    *value = raw >> 32 & LAR_MASK;
    return true;
}

bool system_lsl(struct cpu *cpu, uint16_t selector, uint32_t *value)
{
    struct segment segment;
    uint64_t raw;

    if (!look(cpu, selector, SEEN_BY_LSL, &raw))
        return false;
    descriptor_to_segment(raw, selector, &segment);
    *value = segment.limit;
    return true;
}

bool system_verr(struct cpu *cpu, uint16_t selector)
{
    uint64_t raw;

    return look(cpu, selector, 0, &raw) && (!raw_is_code(raw) || (raw_type(raw) & RIGHTS_WRITABLE));
}

bool system_verw(struct cpu *cpu, uint16_t selector)
{
    uint64_t raw;

    return look(cpu, selector, 0, &raw) && raw_is_writable_data(raw);
}

bool system_arpl(struct cpu *cpu, uint16_t *destination, uint16_t source)
{
    system_need_protected(cpu);
    if ((*destination & SELECTOR_RPL) >= (source & SELECTOR_RPL))
        return false;
    *destination = (*destination & ~SELECTOR_RPL) | (source & SELECTOR_RPL);
    return true;
}

/* ---- control registers ---- */

enum {
    CR0_WRITABLE_LOW = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD,
    CR4_RELOADS = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP, /* a change reads the PAE pointers anew */
    CR0_RELOADS = CR0_CD | CR0_NW,
    CR8_PRIORITY = 0xf,
    LMSW_BITS = CR0_PE | CR0_MP | CR0_EM | CR0_TS,
};

#define CR3_RESERVED (UINT64_MAX << PHYSICAL_BITS)
#define CR3_KEEP     (1ull << 63) /* with PCIDE: translations may stay */
#define CR3_PCID     0xfffull

/* What CR4 may hold is what CPUID tells of. */
static uint64_t cr4_supported(const struct cpu *cpu)
{
    const uint32_t *has = cpu->soft->cpuid.model.features.word;

    return CR4_PCE | (has[WORD_1_EDX] & FEATURE_VME ? CR4_VME | CR4_PVI : 0) |
           (has[WORD_1_EDX] & FEATURE_TSC ? CR4_TSD : 0) | (has[WORD_1_EDX] & FEATURE_DE ? CR4_DE : 0) |
           (has[WORD_1_EDX] & FEATURE_PSE ? CR4_PSE : 0) | (has[WORD_1_EDX] & FEATURE_PGE ? CR4_PGE : 0) |
           (has[WORD_1_EDX] & FEATURE_PAE ? CR4_PAE : 0) | (has[WORD_1_EDX] & FEATURE_MCE ? CR4_MCE : 0) |
           (has[WORD_1_EDX] & FEATURE_FXSR ? CR4_OSFXSR : 0) |
           (has[WORD_1_EDX] & FEATURE_SSE ? CR4_OSXMMEXCPT : 0) |
           (has[WORD_1_ECX] & FEATURE_PCID ? CR4_PCIDE : 0) |
           (has[WORD_1_ECX] & FEATURE_XSAVE ? CR4_OSXSAVE : 0) |
           (has[WORD_7_EBX] & FEATURE_FSGSBASE ? CR4_FSGSBASE : 0) |
           (has[WORD_7_EBX] & FEATURE_SMEP ? CR4_SMEP : 0) | (has[WORD_7_EBX] & FEATURE_SMAP ? CR4_SMAP : 0) |
           (has[WORD_7_ECX] & FEATURE_UMIP ? CR4_UMIP : 0);
}

static _Noreturn void no_such_register(struct cpu *cpu, const char *kind, unsigned number)
{
    fault_because(cpu, "there is no %s%u", kind, number);
    fault(cpu, VECTOR_UD);
}

/* #UD for a register that is not there, then #GP. */
static void control_register(struct cpu *cpu, unsigned number, const char *instruction)
{
    if (number != 0 && number != 2 && number != 3 && number != 4 && number != 8)
        no_such_register(cpu, "CR", number);
    system_need_ring0(cpu, instruction);
}

uint64_t system_read_cr(struct cpu *cpu, unsigned number)
{
    control_register(cpu, number, "MOV from a control register");
    switch (number) {
    case 0: return cpu->cr0;
    case 2: return cpu->cr2;
    case 3: return cpu->cr3;
    case 4: return cpu->cr4;
    default: return lapic_cr8(cpu->lapic);
    }
}

/* Leaving protected mode: segments keep base and limit, but types and privilege mean nothing any more. */
static void leave_protected_mode(struct cpu *cpu)
{
    enum { REAL = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED };

    for (int i = 0; i < SEG_COUNT; i++)
        cpu->segment[i].rights = (cpu->segment[i].rights & (RIGHTS_DB | RIGHTS_G)) | REAL;
}

/* Paging goes on with LME set, or off in IA-32e mode: answers LMA's new value, or refuses. */
static uint64_t long_mode_switch(struct cpu *cpu, uint64_t old, uint64_t new)
{
    bool wide = cpu->segment[SEG_CS].rights & RIGHTS_L;

    if (((old ^ new) & CR0_PG) && (new &CR0_PG) && (cpu->efer & EFER_LME)) {
        if (!(cpu->cr4 & CR4_PAE))
            refuse(cpu, "MOV CR0: PG (31) set with EFER.LME set and CR4.PAE clear");
        if (wide)
            refuse(cpu, "MOV CR0: PG (31) set with EFER.LME set in a code segment with L set");
        return EFER_LMA;
    }
    if (!(new &CR0_PG) && in_64bit_code(cpu))
        refuse(cpu, "MOV CR0: PG (31) cleared in 64-bit code");
    if (!(new &CR0_PG) && (cpu->cr4 & CR4_PCIDE))
        refuse(cpu, "MOV CR0: PG (31) cleared with CR4.PCIDE set");
    return new &CR0_PG ? cpu->efer &EFER_LMA : 0;
}

/* Is this PAE paging, but not that of IA-32e mode? Then CR3 leads to four pointers that are read now. */
static void reload_pointers(struct cpu *cpu, uint64_t cr0, uint64_t cr4, uint64_t efer, uint64_t cr3)
{
    if ((cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA) && !paging_load_pointers(cpu, cr3))
        refuse(cpu, "a page directory pointer has a reserved bit set");
}

static void write_cr0(struct cpu *cpu, uint64_t value)
{
    uint64_t old = cpu->cr0, new = (value & (CR0_WRITABLE_LOW | CR0_PG)) | CR0_ET, active;

    if (value >> 32)
        refuse(cpu, "MOV CR0: bits above 31 set");
    if ((new &CR0_PG) && !(new &CR0_PE))
        refuse(cpu, "MOV CR0: PG (31) set with PE (0) clear");
    if ((new &CR0_NW) && !(new &CR0_CD))
        refuse(cpu, "MOV CR0: NW (29) set with CD (30) clear");
    active = long_mode_switch(cpu, old, new);
    if ((old ^ new) & (CR0_PG | CR0_RELOADS))
        reload_pointers(cpu, new, cpu->cr4, active, cpu->cr3);
    cpu->cr0 = new;
    cpu->efer = (cpu->efer & ~(uint64_t)EFER_LMA) | active;
    if ((old & CR0_PE) && !(new &CR0_PE))
        leave_protected_mode(cpu);
    paging_mode_changed(cpu, old, cpu->cr4);
    segments_changed(cpu);
}

static void write_cr3(struct cpu *cpu, uint64_t value)
{
    bool keep = (cpu->cr4 & CR4_PCIDE) && (value & CR3_KEEP);

    value &= keep ? ~CR3_KEEP : UINT64_MAX;
    if (in_long_mode(cpu) && (value & CR3_RESERVED))
        refuse(cpu, "MOV CR3: reserved bits set");
    reload_pointers(cpu, cpu->cr0, cpu->cr4, cpu->efer, value);
    cpu->cr3 = value;
    tlb_flush(cpu, false);
}

static void write_cr4(struct cpu *cpu, uint64_t value)
{
    uint64_t old = cpu->cr4, unknown = value & ~cr4_supported(cpu);

    if (unknown) {
        fault_because(cpu, "MOV CR4: bits 0x%llx are not of this CPU", (unsigned long long)unknown);
        fault_error(cpu, VECTOR_GP, 0);
    }
    if (in_long_mode(cpu) && !(value & CR4_PAE))
        refuse(cpu, "MOV CR4: PAE (5) cleared in IA-32e mode");
    if (!(old & CR4_PCIDE) && (value & CR4_PCIDE) && (!in_long_mode(cpu) || (cpu->cr3 & CR3_PCID)))
        refuse(cpu, "MOV CR4: PCIDE (17) set outside of IA-32e mode, or with bits of CR3 set");
    if ((old ^ value) & CR4_RELOADS)
        reload_pointers(cpu, cpu->cr0, value, cpu->efer, cpu->cr3);
    cpu->cr4 = value;
    paging_mode_changed(cpu, cpu->cr0, old);
}

static void write_cr8(struct cpu *cpu, uint64_t value)
{
    if (value & ~(uint64_t)CR8_PRIORITY)
        refuse(cpu, "MOV CR8: bits above 3 set");
    cpu_lock(cpu);
    lapic_set_cr8(cpu->lapic, value);
    cpu_unlock(cpu);
}

void system_write_cr(struct cpu *cpu, unsigned number, uint64_t value)
{
    control_register(cpu, number, "MOV to a control register");
    switch (number) {
    case 0: write_cr0(cpu, value); break;
    case 2: cpu->cr2 = value; break;
    case 3: write_cr3(cpu, value); break;
    case 4: write_cr4(cpu, value); break;
    default: write_cr8(cpu, value); break;
    }
}

uint64_t system_smsw(struct cpu *cpu)
{
    need_system(cpu, "SMSW");
    return cpu->cr0;
}

void system_lmsw(struct cpu *cpu, uint16_t value)
{
    uint64_t keep_pe = cpu->cr0 & CR0_PE; /* LMSW can set PE, never clear it */

    system_need_ring0(cpu, "LMSW");
    write_cr0(cpu, (cpu->cr0 & ~(uint64_t)LMSW_BITS) | (value & LMSW_BITS) | keep_pe);
}

void system_clts(struct cpu *cpu)
{
    system_need_ring0(cpu, "CLTS");
    cpu->cr0 &= ~(uint64_t)CR0_TS;
}

void system_invlpg(struct cpu *cpu, uint64_t linear)
{
    system_need_ring0(cpu, "INVLPG");
    tlb_flush_page(cpu, linear);
}

enum invpcid_type { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

void system_invpcid(struct cpu *cpu, uint64_t type, enum segment_name name, uint64_t offset)
{
    uint64_t pcid, linear;

    system_need_ring0(cpu, "INVPCID");
    pcid = load(cpu, name, offset, 8);
    linear = load(cpu, name, offset + 8, 8);
    if (type > INVPCID_ALL_BUT_GLOBAL || pcid > CR3_PCID)
        refuse(cpu, "INVPCID: a type above 3, or reserved bits in the descriptor");
    if (type <= INVPCID_CONTEXT && pcid && !(cpu->cr4 & CR4_PCIDE))
        refuse(cpu, "INVPCID: a PCID other than 0 with CR4.PCIDE clear");
    if (type == INVPCID_ADDRESS && !canonical(linear))
        refuse(cpu, "INVPCID: the address is not canonical");
    if (type == INVPCID_ADDRESS)
        tlb_flush_page(cpu, linear);
    else
        tlb_flush(cpu, type == INVPCID_ALL);
}

void system_wbinvd(struct cpu *cpu)
{
    system_need_ring0(cpu, "WBINVD and INVD");
}

/* ---- debug registers ---- */

enum dr_bits {
    DR6_ONES = (int)0xffff0ff0,
    DR6_WRITABLE = 0xe00f,
    DR6_BD = 1 << 13,
    DR7_ONES = 1 << 10,
    DR7_GD = 1 << 13,
};
#define DR7_WRITABLE 0xffff23ffu

/* 4 and 5 are other names of 6 and 7, unless CR4.DE forbids them. */
static unsigned debug_register(struct cpu *cpu, unsigned number)
{
    if ((number == 4 || number == 5) && (cpu->cr4 & CR4_DE))
        no_such_register(cpu, "DR", number);
    if (number > 7)
        no_such_register(cpu, "DR", number);
    system_need_ring0(cpu, "MOV with a debug register");
    if (cpu->dr[7] & DR7_GD) {
        cpu->dr[6] |= DR6_BD;
        cpu->dr[7] &= ~(uint64_t)DR7_GD;
        fault_because(cpu, "debug registers are guarded: DR7.GD (13) set");
        fault(cpu, VECTOR_DB);
    }
    return number == 4 ? 6 : number == 5 ? 7 : number;
}

uint64_t system_read_dr(struct cpu *cpu, unsigned number)
{
    number = debug_register(cpu, number);
    if (number == 6)
        return (cpu->dr[6] & DR6_WRITABLE) | (uint32_t)DR6_ONES;
    if (number == 7)
        return cpu->dr[7] | DR7_ONES;
    return cpu->dr[number];
}

void system_write_dr(struct cpu *cpu, unsigned number, uint64_t value)
{
    number = debug_register(cpu, number);
    if (number >= 6 && value >> 32)
        refuse(cpu, "MOV to DR6 or DR7: bits above 31 set");
    if (number == 6)
        cpu->dr[6] = (value & DR6_WRITABLE) | (uint32_t)DR6_ONES;
    else if (number == 7)
        cpu->dr[7] = (value & DR7_WRITABLE) | DR7_ONES;
    else
        cpu->dr[number & 3] = value;
    if (number != 6)
        tlb_flush(cpu, true); /* watched pages have no fast tags */
}

/* ---- time stamp and performance counters ---- */

uint64_t system_tsc(struct cpu *cpu)
{
    if (cpu->soft->turns)
        turn_clock(cpu);
    return clock_now(cpu->machine->clock) + cpu->tsc_offset;
}

static void set_edx_eax(struct cpu *cpu, uint64_t value)
{
    cpu->gpr[RAX] = (uint32_t)value;
    cpu->gpr[RDX] = value >> 32;
}

void system_rdtsc(struct cpu *cpu)
{
    if (cpu->cr4 & CR4_TSD)
        system_need_ring0(cpu, "RDTSC with CR4.TSD set");
    set_edx_eax(cpu, system_tsc(cpu));
}

void system_rdtscp(struct cpu *cpu)
{
    system_rdtsc(cpu);
    cpu->gpr[RCX] = (uint32_t)cpu->msr.tsc_aux;
}

void system_rdpmc(struct cpu *cpu)
{
    fault_because(cpu, "RDPMC: this CPU has no performance counters");
    fault_error(cpu, VECTOR_GP, 0);
}

/* ---- flags and interrupts ---- */

static unsigned iopl(const struct cpu *cpu)
{
    return (cpu->rflags & FLAG_IOPL) >> FLAG_IOPL_SHIFT;
}

static bool in_v86(const struct cpu *cpu)
{
    return (cpu->cr0 & CR0_PE) && (cpu->rflags & FLAG_VM);
}

/* CLI and STI act on VIF: v86 mode with VME, ring 3 with PVI, where IOPL does not let them at IF. */
static bool virtual_interrupt_flag(const struct cpu *cpu)
{
    if (!(cpu->cr0 & CR0_PE))
        return false;
    if (in_v86(cpu))
        return iopl(cpu) < 3 && (cpu->cr4 & CR4_VME);
    return cpl(cpu) == 3 && iopl(cpu) < 3 && (cpu->cr4 & CR4_PVI);
}

static void need_iopl(struct cpu *cpu, const char *instruction)
{
    if (!(cpu->cr0 & CR0_PE) || cpl(cpu) <= iopl(cpu))
        return;
    fault_because(cpu, "%s at CPL %u with IOPL %u", instruction, cpl(cpu), iopl(cpu));
    fault_error(cpu, VECTOR_GP, 0);
}

void system_cli(struct cpu *cpu)
{
    if (virtual_interrupt_flag(cpu)) {
        cpu->rflags &= ~(uint64_t)FLAG_VIF;
        return;
    }
    need_iopl(cpu, "CLI");
    cpu->rflags &= ~(uint64_t)FLAG_IF;
}

void system_sti(struct cpu *cpu)
{
    if (virtual_interrupt_flag(cpu)) {
        if (cpu->rflags & FLAG_VIP) {
            fault_because(cpu, "STI with a virtual interrupt pending (VIP set)");
            fault_error(cpu, VECTOR_GP, 0);
        }
        cpu->rflags |= FLAG_VIF;
        return;
    }
    need_iopl(cpu, "STI");
    cpu->interrupt_shadow |= !(cpu->rflags & FLAG_IF);
    cpu->rflags |= FLAG_IF;
}

void system_alignment_flag(struct cpu *cpu, bool set)
{
    if (cpl(cpu) != 0 || (cpu->rflags & FLAG_VM)) {
        fault_because(cpu, "STAC and CLAC are for CPL 0; CPL is %u", cpl(cpu));
        fault(cpu, VECTOR_UD);
    }
    cpu->rflags = set ? cpu->rflags | FLAG_AC : cpu->rflags & ~(uint64_t)FLAG_AC;
}

/* The CPU that is waited for may have no host CPU while this one spins. */
void system_pause(struct cpu *cpu)
{
    enum { PAUSES_IN_A_ROW = 64 };

    if (cpu->soft->turns && cpu->machine->cpus > 1)
        turn_end(cpu);
    if (!cpu->soft->parallel || ++cpu->pauses % PAUSES_IN_A_ROW)
        return;
    gate_leave(cpu);
    sched_yield();
    gate_enter(cpu);
}

void system_hlt(struct cpu *cpu)
{
    system_need_ring0(cpu, "HLT");
    cpu->halted = true;
}

/* v86 mode with IOPL below 3: only the 16-bit forms, and only with VME. */
void system_popf_check(struct cpu *cpu, unsigned size)
{
    if (!in_v86(cpu) || iopl(cpu) == 3 || (size == 2 && (cpu->cr4 & CR4_VME)))
        return;
    fault_because(cpu, "PUSHF or POPF in v86 mode with IOPL %u", iopl(cpu));
    fault_error(cpu, VECTOR_GP, 0);
}

uint64_t system_pushf(struct cpu *cpu, unsigned size)
{
    uint64_t flags;

    system_popf_check(cpu, size);
    flags = flags_get(cpu) & ~(uint64_t)(FLAG_VM | FLAG_RF);
    if (in_v86(cpu) && iopl(cpu) < 3)
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
    return flags;
}

/* POPF in v86 mode with VME: IF is VIF. */
static void popf_virtual(struct cpu *cpu, uint64_t value, uint64_t mask)
{
    if ((value & FLAG_TF) || ((value & FLAG_IF) && (cpu->rflags & FLAG_VIP))) {
        fault_because(cpu, "POPF in v86 mode sets TF, or IF while VIP is set");
        fault_error(cpu, VECTOR_GP, 0);
    }
    value |= value & FLAG_IF ? FLAG_VIF : 0;
    flags_set(cpu, (flags_get(cpu) & ~(mask | FLAG_VIF)) | (value & (mask | FLAG_VIF)));
}

void system_popf(struct cpu *cpu, uint64_t value, unsigned size)
{
    uint64_t mask = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT | (size == 2 ? 0 : FLAG_AC | FLAG_ID);

    if (in_v86(cpu) && iopl(cpu) < 3) {
        popf_virtual(cpu, value, mask);
        return;
    }
    if (!(cpu->cr0 & CR0_PE) || cpl(cpu) <= iopl(cpu))
        mask |= FLAG_IF;
    if (cpl(cpu) == 0)
        mask |= FLAG_IOPL;
    if (size != 2)
        cpu->rflags &= ~(uint64_t)FLAG_RF;
    flags_set(cpu, (flags_get(cpu) & ~mask) | (value & mask));
}

/*
 * SYSCALL, SYSENTER and their ways back, which take flat segments out of MSRs and read no descriptor; SWAPGS; the bases of
 * FS and GS.
 *
 * As on AMD: SYSENTER and SYSEXIT do not exist in IA-32e mode, SYSCALL does in all protected modes, and SYSRET to an
 * address that is not canonical faults at that address, in ring 3. Both trap by the TF that they leave.
 * Source: AMD64 APM volume 3 (SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS); volume 2, 6.1; SDM volume 2 (RDFSBASE).
 */
#include "cpu/soft/descriptor.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/system.h"

enum {
    FLAT = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED | RIGHTS_G,
    FLAT_DATA = FLAT | RIGHTS_DB,
    FLAT_CODE32 = FLAT | RIGHTS_DB | RIGHTS_CODE,
    FLAT_CODE64 = FLAT | RIGHTS_L | RIGHTS_CODE,
    /* Of MSRs: selectors, and where they are. */
    STAR_SYSCALL = 32,
    STAR_SYSRET = 48,
    NEXT_SELECTOR = 8,
    SYSEXIT_CODE = 16,
};

static void install_flat(struct cpu *cpu, enum segment_name name, uint16_t selector, unsigned level,
                         uint32_t rights)
{
    struct segment segment = {.selector = (selector & ~SELECTOR_RPL) | level,
                              .rights = rights | level << RIGHTS_DPL_SHIFT,
                              .limit = UINT32_MAX};

    segment_install(cpu, name, &segment);
}

static void go_to(struct cpu *cpu, uint64_t rip)
{
    cpu->rip = rip;
    cpu->op = NULL;
    segments_changed(cpu);
}

static void need_enabled(struct cpu *cpu)
{
    if (cpu->efer & EFER_SCE)
        return;
    fault_because(cpu, "SYSCALL and SYSRET are off: EFER.SCE (0) clear");
    fault(cpu, VECTOR_UD);
}

void system_syscall(struct cpu *cpu, uint64_t next)
{
    uint16_t selector = cpu->msr.star >> STAR_SYSCALL;
    uint64_t flags, target;
    bool wide = in_64bit_code(cpu);

    need_enabled(cpu);
    if (!in_protected_mode(cpu))
        fault(cpu, VECTOR_UD);
    flags = flags_get(cpu) & ~(uint64_t)FLAG_RF;
    if (in_long_mode(cpu)) {
        target = wide ? cpu->msr.lstar : cpu->msr.cstar;
        cpu->gpr[RCX] = wide ? next : (uint32_t)next;
        cpu->gpr[R11] = flags;
        flags_set(cpu, (flags & ~cpu->msr.fmask) | FLAG_1);
        install_flat(cpu, SEG_CS, selector, 0, FLAT_CODE64);
    } else {
        target = (uint32_t)cpu->msr.star;
        cpu->gpr[RCX] = (uint32_t)next;
        flags_set(cpu, flags & ~(uint64_t)(FLAG_IF | FLAG_VM));
        install_flat(cpu, SEG_CS, selector, 0, FLAT_CODE32);
    }
    install_flat(cpu, SEG_SS, (selector & ~SELECTOR_RPL) + NEXT_SELECTOR, 0, FLAT_DATA);
    debug_step_after(cpu);
    go_to(cpu, target);
}

void system_sysret(struct cpu *cpu, unsigned size)
{
    enum { RETURNED = 0x3c7fd7 }; /* all but RF, VM */
    uint16_t selector = cpu->msr.star >> STAR_SYSRET;
    bool wide = size == 8 && in_long_mode(cpu);

    need_enabled(cpu);
    if (!in_protected_mode(cpu)) {
        fault_because(cpu, "SYSRET in real or v86 mode");
        fault_error(cpu, VECTOR_GP, 0);
    }
    system_need_ring0(cpu, "SYSRET");
    if (in_long_mode(cpu))
        flags_set(cpu, (cpu->gpr[R11] & RETURNED) | FLAG_1);
    else
        flags_set(cpu, flags_get(cpu) | FLAG_IF);
    install_flat(cpu, SEG_CS, wide ? selector + 2 * NEXT_SELECTOR : selector, 3,
                 wide ? FLAT_CODE64 : FLAT_CODE32);
    /* The rest of SS stays as it is on AMD; all systems have a flat one there. */
    install_flat(cpu, SEG_SS, selector + NEXT_SELECTOR, 3, FLAT_DATA);
    debug_step_after(cpu);
    go_to(cpu, wide ? cpu->gpr[RCX] : (uint32_t)cpu->gpr[RCX]);
}

static void need_legacy(struct cpu *cpu)
{
    if (in_long_mode(cpu)) {
        fault_because(cpu, "SYSENTER and SYSEXIT do not exist in long mode on this CPU");
        fault(cpu, VECTOR_UD);
    }
    if (!(cpu->cr0 & CR0_PE) || selector_null(cpu->msr.sysenter_cs)) {
        fault_because(cpu, "SYSENTER or SYSEXIT in real mode, or with SYSENTER_CS null");
        fault_error(cpu, VECTOR_GP, 0);
    }
}

void system_sysenter(struct cpu *cpu)
{
    uint16_t selector = cpu->msr.sysenter_cs;

    need_legacy(cpu);
    flags_set(cpu, flags_get(cpu) & ~(uint64_t)(FLAG_VM | FLAG_IF | FLAG_RF));
    install_flat(cpu, SEG_CS, selector, 0, FLAT_CODE32);
    install_flat(cpu, SEG_SS, (selector & ~SELECTOR_RPL) + NEXT_SELECTOR, 0, FLAT_DATA);
    cpu->gpr[RSP] = (uint32_t)cpu->msr.sysenter_esp;
    go_to(cpu, (uint32_t)cpu->msr.sysenter_eip);
}

void system_sysexit(struct cpu *cpu)
{
    uint16_t selector = cpu->msr.sysenter_cs;

    need_legacy(cpu);
    system_need_ring0(cpu, "SYSEXIT");
    install_flat(cpu, SEG_CS, selector + SYSEXIT_CODE, 3, FLAT_CODE32);
    install_flat(cpu, SEG_SS, selector + SYSEXIT_CODE + NEXT_SELECTOR, 3, FLAT_DATA);
    cpu->gpr[RSP] = (uint32_t)cpu->gpr[RCX];
    go_to(cpu, (uint32_t)cpu->gpr[RDX]);
}

void system_swapgs(struct cpu *cpu)
{
    uint64_t base = cpu->segment[SEG_GS].base;

    if (!in_64bit_code(cpu))
        fault(cpu, VECTOR_UD);
    system_need_ring0(cpu, "SWAPGS");
    cpu->segment[SEG_GS].base = cpu->msr.kernel_gs_base;
    cpu->msr.kernel_gs_base = base;
}

static void need_bases(struct cpu *cpu)
{
    if (in_64bit_code(cpu) && (cpu->cr4 & CR4_FSGSBASE))
        return;
    fault_because(cpu, "RDFSBASE and its like need 64-bit code and CR4.FSGSBASE (16)");
    fault(cpu, VECTOR_UD);
}

uint64_t system_read_base(struct cpu *cpu, enum segment_name name)
{
    need_bases(cpu);
    return cpu->segment[name].base;
}

void system_write_base(struct cpu *cpu, enum segment_name name, uint64_t value)
{
    need_bases(cpu);
    if (!canonical(value)) {
        fault_because(cpu, "WRFSBASE or WRGSBASE: the base is not canonical");
        fault_error(cpu, VECTOR_GP, 0);
    }
    cpu->segment[name].base = value;
}

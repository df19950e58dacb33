/*
 * The model-specific registers: those that Linux, the BSDs and Windows look for in an AMD family 15, and #GP for all others.
 *
 * MTRRs keep what is written and mean nothing here, as memory types do. MISC_ENABLE and the like hold their values; of
 * DEBUGCTL no bit does anything. Left out: machine checks (no banks), performance counters.
 * Source: SDM volume 4, chapter 2; volume 3A, 11.11 (MTRRs), 11.12.4 (PAT); AMD64 APM volume 2, appendix A.
 */
#include "cpu/soft/access.h"
#include "cpu/soft/device.h"
#include "cpu/soft/features.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/system.h"

enum msr {
    MSR_TIME_STAMP_COUNTER = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b, /* lapic.c */
    MSR_EBL_CR_POWERON = 0x2a,
    MSR_FEATURE_CONTROL = 0x3a,
    MSR_TSC_ADJUST = 0x3b,
    MSR_BIOS_UPDT_TRIG = 0x79,
    MSR_BIOS_SIGN_ID = 0x8b, /* microcode revision: none loaded */
    MSR_PLATFORM_INFO = 0xce,
    MSR_MTRRCAP = 0xfe,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_DEBUGCTL = 0x1d9,
    MSR_LAST_BRANCH_FROM = 0x1db, /* and three more: last exceptions' and branches' addresses */
    MSR_LAST_INT_TO = 0x1de,
    MSR_MTRR_BASE0 = 0x200, /* base and mask in turn */
    MSR_MTRR_FIXED_64K = 0x250,
    MSR_MTRR_FIXED_16K = 0x258, /* two */
    MSR_MTRR_FIXED_4K = 0x268,  /* eight */
    MSR_PAT = 0x277,
    MSR_MTRR_DEFAULT = 0x2ff,
    MSR_TSC_DEADLINE = 0x6e0, /* lapic.c */
};
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_FMASK          0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define MSR_EVENT_SELECT0                                                                                    \
    0xc0010000u /* four, and their counters: without effect, as on a host that keeps its own */
#define MSR_SYSCFG       0xc0010010u
#define MSR_HWCR         0xc0010015u
#define MSR_TOP_MEM      0xc001001au
#define MSR_TOP_MEM2     0xc001001du
#define MSR_NB_CFG       0xc001001fu
#define MSR_INT_PENDING  0xc0010055u
#define MSR_VM_CR        0xc0010114u
#define MSR_PATCH_LOADER 0xc0010020u

enum mtrr_bits {
    MTRRCAP = MTRRS_VARIABLE | 1 << 8 | 1 << 10, /* fixed ranges, write combining */
    MTRR_DEFAULT_TYPE = 0xff,
    MTRR_DEFAULT_WRITABLE = 0xcff, /* E, FE, type */
    MTRR_MASK_VALID = 1 << 11,
    MTRR_BASE_RESERVED = 0xf00,
    MTRR_MASK_RESERVED = 0x7ff,
};
enum { COUNTERS = 4 };
enum apic_base_bits { APIC_BASE_X2APIC = 1 << 10 };
enum misc_enable { MISC_FAST_STRINGS = 1 << 0 };
#define RESET_PAT       0x0007040600070406u
#define BEYOND_PHYSICAL (UINT64_MAX << PHYSICAL_BITS)

/* ---- registers that are but a value ---- */

static uint64_t *mtrr_place(struct msrs *msr, uint32_t number)
{
    if (number >= MSR_MTRR_BASE0 && number < MSR_MTRR_BASE0 + 2 * MTRRS_VARIABLE)
        return &msr->mtrr_variable[number - MSR_MTRR_BASE0];
    if (number == MSR_MTRR_FIXED_64K)
        return &msr->mtrr_fixed[0];
    if (number == MSR_MTRR_FIXED_16K || number == MSR_MTRR_FIXED_16K + 1)
        return &msr->mtrr_fixed[1 + number - MSR_MTRR_FIXED_16K];
    if (number >= MSR_MTRR_FIXED_4K && number < MSR_MTRR_FIXED_4K + 8)
        return &msr->mtrr_fixed[3 + number - MSR_MTRR_FIXED_4K];
    return number == MSR_MTRR_DEFAULT ? &msr->mtrr_default : NULL;
}

static uint64_t *place(struct cpu *cpu, uint32_t number)
{
    struct msrs *msr = &cpu->msr;

    switch (number) {
    case MSR_PAT: return &msr->pat;
    case MSR_STAR: return &msr->star;
    case MSR_LSTAR: return &msr->lstar;
    case MSR_CSTAR: return &msr->cstar;
    case MSR_FMASK: return &msr->fmask;
    case MSR_FS_BASE: return &cpu->segment[SEG_FS].base;
    case MSR_GS_BASE: return &cpu->segment[SEG_GS].base;
    case MSR_KERNEL_GS_BASE: return &msr->kernel_gs_base;
    case MSR_TSC_AUX: return &msr->tsc_aux;
    case MSR_SYSENTER_CS: return &msr->sysenter_cs;
    case MSR_SYSENTER_ESP: return &msr->sysenter_esp;
    case MSR_SYSENTER_EIP: return &msr->sysenter_eip;
    case MSR_MISC_ENABLE: return &msr->misc_enable;
    case MSR_DEBUGCTL: return &msr->debug_control;
    case MSR_SYSCFG: return &msr->system_configuration;
    case MSR_HWCR: return &msr->hardware_configuration;
    default: return mtrr_place(msr, number);
    }
}

/* Those that read as zero, and where nothing is kept of what is written. */
static bool reads_zero(uint32_t number)
{
    switch (number) {
    case MSR_PLATFORM_ID:
    case MSR_EBL_CR_POWERON:
    case MSR_FEATURE_CONTROL:
    case MSR_BIOS_UPDT_TRIG:
    case MSR_BIOS_SIGN_ID:
    case MSR_PLATFORM_INFO:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_PATCH_LOADER:
    case MSR_TOP_MEM:
    case MSR_TOP_MEM2:
    case MSR_NB_CFG:
    case MSR_INT_PENDING:
    case MSR_VM_CR: return true;
    default:
        return (number >= MSR_LAST_BRANCH_FROM && number <= MSR_LAST_INT_TO) ||
               number - MSR_EVENT_SELECT0 < 2 * COUNTERS;
    }
}

/* ---- what may be written ---- */

static bool memory_type_valid(unsigned type)
{
    return type <= 6 && type != 2 && type != 3;
}

/* Each byte is a memory type; 7 (UC-) is of PAT alone. */
static bool types_valid(uint64_t value, bool pat)
{
    for (int i = 0; i < 64; i += 8) {
        unsigned type = value >> i & 0xff;

        if (!memory_type_valid(type) && !(pat && type == 7))
            return false;
    }
    return true;
}

static bool mtrr_valid(uint32_t number, uint64_t value)
{
    if (number == MSR_MTRR_DEFAULT)
        return !(value & ~(uint64_t)MTRR_DEFAULT_WRITABLE) && memory_type_valid(value & MTRR_DEFAULT_TYPE);
    if (number >= MSR_MTRR_FIXED_64K)
        return types_valid(value, false);
    if (value & BEYOND_PHYSICAL)
        return false;
    if (number & 1)
        return !(value & MTRR_MASK_RESERVED);
    return !(value & MTRR_BASE_RESERVED) && memory_type_valid(value & MTRR_DEFAULT_TYPE);
}

/* #GP unless this may go to the register. */
static bool writable(uint32_t number, uint64_t value)
{
    switch (number) {
    case MSR_PAT: return types_valid(value, true);
    case MSR_LSTAR:
    case MSR_CSTAR:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP: return canonical(value);
    case MSR_FMASK:
    case MSR_TSC_AUX: return !(value >> 32);
    default: return number < MSR_MTRR_BASE0 || number > MSR_MTRR_DEFAULT || mtrr_valid(number, value);
    }
}

/* ---- EFER ---- */

static uint64_t efer_supported(const struct cpu *cpu)
{
    uint32_t has = cpu->soft->cpuid.model.features.word[WORD_8000_0001_EDX];

    return (has & FEATURE_SYSCALL ? EFER_SCE : 0) | (has & FEATURE_LM ? EFER_LME | EFER_LMA : 0) |
           (has & FEATURE_NX ? EFER_NXE : 0);
}

static bool efer_write(struct cpu *cpu, uint64_t value)
{
    uint64_t changed = cpu->efer ^ value;

    if (value & ~efer_supported(cpu))
        return false;
    if ((changed & EFER_LME) && (cpu->cr0 & CR0_PG))
        return false;
    cpu->efer = (value & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
    if (changed & EFER_NXE)
        tlb_flush(cpu, true);
    return true;
}

/* ---- the time stamp counter ---- */

static bool has_tsc_adjust(const struct cpu *cpu)
{
    return cpu->soft->cpuid.model.features.word[WORD_7_EBX] & FEATURE_TSC_ADJUST;
}

/* What is added to the counter is added to TSC_ADJUST. */
static void tsc_add(struct cpu *cpu, uint64_t difference)
{
    cpu_lock(cpu);
    cpu->tsc_offset += difference;
    cpu->msr.tsc_adjust += difference;
    lapic_tsc_changed(cpu->lapic);
    cpu_unlock(cpu);
}

/* ---- RDMSR and WRMSR ---- */

/* What the model's CPUID does not tell of, its APIC has not got. */
static bool apic_has(const struct cpu *cpu, uint32_t number, uint64_t value)
{
    uint32_t features = cpu->soft->cpuid.model.features.word[WORD_1_ECX];

    if (number == MSR_TSC_DEADLINE)
        return features & FEATURE_DEADLINE;
    return number != MSR_APIC_BASE || !(value & APIC_BASE_X2APIC) || (features & FEATURE_X2APIC);
}

static bool apic_read(struct cpu *cpu, uint32_t number, uint64_t *value)
{
    bool there;

    if (!apic_has(cpu, number, 0))
        return false;
    cpu_lock(cpu);
    there = lapic_msr_read(cpu->lapic, number, value);
    cpu_unlock(cpu);
    return there;
}

static bool apic_write(struct cpu *cpu, uint32_t number, uint64_t value)
{
    bool there;

    if (!apic_has(cpu, number, value))
        return false;
    cpu_lock(cpu);
    there = lapic_msr_write(cpu->lapic, number, value);
    cpu_unlock(cpu);
    return there;
}

static bool msr_read(struct cpu *cpu, uint32_t number, uint64_t *value)
{
    const uint64_t *kept = place(cpu, number);

    *value = 0;
    if (kept)
        *value = *kept;
    else if (number == MSR_TIME_STAMP_COUNTER)
        *value = system_tsc(cpu);
    else if (number == MSR_TSC_ADJUST && has_tsc_adjust(cpu))
        *value = cpu->msr.tsc_adjust;
    else if (number == MSR_EFER)
        *value = cpu->efer;
    else if (number == MSR_MTRRCAP)
        *value = MTRRCAP;
    else if (lapic_has_msr(number))
        return apic_read(cpu, number, value);
    else
        return reads_zero(number);
    return true;
}

static bool msr_write(struct cpu *cpu, uint32_t number, uint64_t value)
{
    uint64_t *kept = place(cpu, number);

    if (kept) {
        if (!writable(number, value))
            return false;
        *kept = value;
        return true;
    }
    if (number == MSR_EFER)
        return efer_write(cpu, value);
    if (number == MSR_TIME_STAMP_COUNTER) {
        tsc_add(cpu, value - system_tsc(cpu));
        return true;
    }
    if (number == MSR_TSC_ADJUST && has_tsc_adjust(cpu)) {
        tsc_add(cpu, value - cpu->msr.tsc_adjust);
        return true;
    }
    if (lapic_has_msr(number))
        return apic_write(cpu, number, value);
    return reads_zero(number) && number != MSR_PLATFORM_INFO && number != MSR_MCG_CAP;
}

void system_rdmsr(struct cpu *cpu)
{
    uint64_t value;

    system_need_ring0(cpu, "RDMSR");
    if (!msr_read(cpu, cpu->gpr[RCX], &value)) {
        fault_because(cpu, "RDMSR of 0x%x, which this CPU has not got", (uint32_t)cpu->gpr[RCX]);
        fault_error(cpu, VECTOR_GP, 0);
    }
    cpu->gpr[RAX] = (uint32_t)value;
    cpu->gpr[RDX] = value >> 32;
}

void system_wrmsr(struct cpu *cpu)
{
    uint64_t value = (uint32_t)cpu->gpr[RAX] | cpu->gpr[RDX] << 32;

    system_need_ring0(cpu, "WRMSR");
    if (!msr_write(cpu, cpu->gpr[RCX], value)) {
        fault_because(cpu, "WRMSR to 0x%x, which does not take 0x%llx on this CPU", (uint32_t)cpu->gpr[RCX],
                      (unsigned long long)value);
        fault_error(cpu, VECTOR_GP, 0);
    }
}

void msr_reset(struct cpu *cpu)
{
    cpu->msr = (struct msrs){.pat = RESET_PAT, .misc_enable = MISC_FAST_STRINGS};
}

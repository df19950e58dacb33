/*
 * A vCPU's architectural state: between cpu_state and KVM's structures, and the state after RESET.
 *
 * Left out: what cpu_state does not name (AVX's upper halves, MSRs, an exception on its way) is kept by
 * vcpu_set_state() as it is; vcpu_reset() resets that too.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, KVM_GET_REGS to KVM_SET_VCPU_EVENTS; Intel SDM vol. 1, table
 * 10-2 (the FXSAVE area), vol. 3A, table 9-1 (after RESET), vol. 4 (MSRs).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "core/log.h"
#include "cpu/kvm/kvm.h"

enum { APIC_BASE_ENABLED = 1 << 11 };

/* The FXSAVE area. */
enum {
    FX_CONTROL = 0,
    FX_STATUS = 2,
    FX_TAG = 4,
    FX_OPCODE = 6,
    FX_INSTRUCTION = 8,
    FX_DATA = 16,
    FX_MXCSR = 24,
    FX_MXCSR_MASK = 28,
    FX_REGISTERS = 32,
    FX_XMM = 160,

    MXCSR_BITS = 0xffff,
};

/* The MSRs that a reset has to put back. */
static const struct {
    uint32_t first, count;
} msr_ranges[] = {
    {0x00000010, 1},  /* IA32_TIME_STAMP_COUNTER */
    {0x0000003b, 1},  /* IA32_TSC_ADJUST */
    {0x00000048, 1},  /* IA32_SPEC_CTRL */
    {0x00000174, 3},  /* IA32_SYSENTER_CS, _ESP, _EIP */
    {0x000001a0, 1},  /* IA32_MISC_ENABLE */
    {0x00000200, 16}, /* IA32_MTRR_PHYSBASE0 to PHYSMASK7 */
    {0x00000250, 1},  /* IA32_MTRR_FIX64K_00000 */
    {0x00000258, 2},  /* IA32_MTRR_FIX16K_80000, _A0000 */
    {0x00000268, 8},  /* IA32_MTRR_FIX4K_C0000 to _F8000 */
    {0x00000277, 1},  /* IA32_PAT */
    {0x000002ff, 1},  /* IA32_MTRR_DEF_TYPE */
    {0x000006e0, 1},  /* IA32_TSC_DEADLINE */
    {0x00000da0, 1},  /* IA32_XSS */
    {0x00000011,
     2}, /* KVM's wall clock and system time, old numbers: the guest's memory is written through them */
    {0x4b564d00, 2}, /* and new */
    {0xc0000081, 4}, /* IA32_STAR, LSTAR, CSTAR, FMASK */
    {0xc0000102, 2}, /* IA32_KERNEL_GS_BASE, TSC_AUX */
};

/* ---- RESET */

static bool get(struct vcpu *vcpu, unsigned long request, void *into)
{
    return kvm_call(vcpu->descriptor, request, into) == 0;
}

static bool msr_call(struct vcpu *vcpu, unsigned long request, struct kvm_msr_entry *entry)
{
    uint64_t room[(sizeof(struct kvm_msrs) + sizeof(*entry)) / sizeof(uint64_t)] = {0};
    struct kvm_msrs *one = (struct kvm_msrs *)room;

    one->nmsrs = 1;
    one->entries[0] = *entry;
    if (kvm_call(vcpu->descriptor, request, one) != 1)
        return false;
    *entry = one->entries[0];
    return true;
}

/* One by one: which of them a host has differs, and KVM stops at the first that it has not. */
static void note_msrs(struct vcpu *vcpu, struct power_on *on)
{
    for (unsigned range = 0; range < sizeof(msr_ranges) / sizeof(msr_ranges[0]); range++)
        for (uint32_t i = 0; i < msr_ranges[range].count && on->msrs < POWER_ON_MSRS; i++) {
            struct kvm_msr_entry entry = {.index = msr_ranges[range].first + i};
            if (msr_call(vcpu, KVM_GET_MSRS, &entry))
                on->msr[on->msrs++] = entry;
        }
    if (on->msrs && on->msr[0].index == msr_ranges[0].first)
        on->msr[0].data = 0; /* the time stamp counter has run already */
}

void power_on_note(struct vcpu *vcpu)
{
    struct power_on *on = &vcpu->power_on;

    get(vcpu, KVM_GET_REGS, &on->regs);
    get(vcpu, KVM_GET_SREGS, &on->sregs);
    get(vcpu, KVM_GET_FPU, &on->fpu);
    get(vcpu, KVM_GET_DEBUGREGS, &on->debug);
    get(vcpu, KVM_GET_VCPU_EVENTS, &on->events);
    on->events.flags &= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    on->has_xsave = kvm_has(vcpu->engine->kvm, KVM_CAP_XSAVE) && get(vcpu, KVM_GET_XSAVE, on->xsave);
    on->has_xcrs = kvm_has(vcpu->engine->kvm, KVM_CAP_XCRS) && get(vcpu, KVM_GET_XCRS, &on->xcrs);
    if (vcpu->engine->abilities.irqchip) {
        get(vcpu, KVM_GET_MP_STATE, &on->mp_state);
        get(vcpu, KVM_GET_LAPIC, &on->lapic);
    } else {
        on->sregs.apic_base &= ~(uint64_t)APIC_BASE_ENABLED; /* or CPUID shows an APIC */
    }
    note_msrs(vcpu, on);
}

static void put(struct vcpu *vcpu, unsigned long request, const void *from, const char *what)
{
    if (kvm_call(vcpu->descriptor, request, (void *)from) < 0)
        warn("kvm: CPU %u does not take its %s: %s", vcpu->index, what, strerror(errno));
}

static void forget_wishes(struct vcpu *vcpu)
{
    vcpu->halted = false;
    atomic_store(&vcpu->nmi, false);
    vcpu->run->ready_for_interrupt_injection = 0;
    vcpu->run->if_flag = 0;
    vcpu->run->cr8 = 0;
}

void vcpu_reset(struct vcpu *vcpu)
{
    struct power_on *on = &vcpu->power_on;
    struct engine *engine = vcpu->engine;

    if (vcpu->index == 0) {
        chips_reset(engine);
        engine->stopped_at = __rdtsc(); /* its counter starts at 0 now, also while time stands */
    }
    forget_wishes(vcpu);
    put(vcpu, KVM_SET_VCPU_EVENTS, &on->events, "events");
    put(vcpu, KVM_SET_SREGS, &on->sregs, "segments");
    put(vcpu, KVM_SET_REGS, &on->regs, "registers");
    put(vcpu, KVM_SET_DEBUGREGS, &on->debug, "debug registers");
    if (on->has_xcrs)
        put(vcpu, KVM_SET_XCRS, &on->xcrs, "XCR0");
    if (on->has_xsave)
        put(vcpu, KVM_SET_XSAVE, on->xsave, "vector registers");
    else
        put(vcpu, KVM_SET_FPU, &on->fpu, "x87 state");
    for (unsigned i = 0; i < on->msrs; i++)
        msr_call(vcpu, KVM_SET_MSRS,
                 &(struct kvm_msr_entry){.index = on->msr[i].index, .data = on->msr[i].data});
    if (engine->abilities.irqchip) {
        put(vcpu, KVM_SET_LAPIC, &on->lapic, "local APIC");
        put(vcpu, KVM_SET_MP_STATE, &on->mp_state, "activity");
    }
}

/* A local APIC that is switched off is sent nothing, not even INIT. */
void vcpu_unplug(struct vcpu *vcpu)
{
    struct kvm_sregs sregs;

    vcpu_reset(vcpu);
    if (kvm_call(vcpu->descriptor, KVM_GET_SREGS, &sregs) < 0)
        return;
    sregs.apic_base &= ~(uint64_t)APIC_BASE_ENABLED;
    put(vcpu, KVM_SET_SREGS, &sregs, "segments");
}

/* ---- cpu_state */

static struct segment segment_from(const struct kvm_segment *from)
{
    struct segment to = {.selector = from->selector, .limit = from->limit, .base = from->base};
    to.rights = from->type | from->s * RIGHTS_S | (uint32_t)from->dpl << RIGHTS_DPL_SHIFT |
                from->present * RIGHTS_PRESENT | from->avl * RIGHTS_AVL | from->l * RIGHTS_L |
                from->db * RIGHTS_DB | from->g * RIGHTS_G | (from->unusable ? RIGHTS_UNUSABLE : 0);
    return to;
}

static struct kvm_segment segment_to(const struct segment *from)
{
    uint32_t rights = from->rights;
    return (struct kvm_segment){
        .base = from->base,
        .limit = from->limit,
        .selector = from->selector,
        .type = rights & RIGHTS_TYPE,
        .s = (rights & RIGHTS_S) != 0,
        .dpl = (rights & RIGHTS_DPL) >> RIGHTS_DPL_SHIFT,
        .present = (rights & RIGHTS_PRESENT) != 0,
        .avl = (rights & RIGHTS_AVL) != 0,
        .l = (rights & RIGHTS_L) != 0,
        .db = (rights & RIGHTS_DB) != 0,
        .g = (rights & RIGHTS_G) != 0,
        .unusable = (rights & RIGHTS_UNUSABLE) != 0,
    };
}

/* cpu_state's registers in its order; r8 to r15 follow each other in both. */
static const size_t gpr_offset[GPR_COUNT] = {
    [RAX] = offsetof(struct kvm_regs, rax), [RCX] = offsetof(struct kvm_regs, rcx),
    [RDX] = offsetof(struct kvm_regs, rdx), [RBX] = offsetof(struct kvm_regs, rbx),
    [RSP] = offsetof(struct kvm_regs, rsp), [RBP] = offsetof(struct kvm_regs, rbp),
    [RSI] = offsetof(struct kvm_regs, rsi), [RDI] = offsetof(struct kvm_regs, rdi),
    [R8] = offsetof(struct kvm_regs, r8),   [R9] = offsetof(struct kvm_regs, r9),
    [R10] = offsetof(struct kvm_regs, r10), [R11] = offsetof(struct kvm_regs, r11),
    [R12] = offsetof(struct kvm_regs, r12), [R13] = offsetof(struct kvm_regs, r13),
    [R14] = offsetof(struct kvm_regs, r14), [R15] = offsetof(struct kvm_regs, r15),
};

static void get_regs(struct vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_regs regs = {0};
    get(vcpu, KVM_GET_REGS, &regs);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        memcpy(&state->gpr[i], (char *)&regs + gpr_offset[i], sizeof(state->gpr[i]));
    state->rip = regs.rip;
    state->rflags = regs.rflags;
}

static void set_regs(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_regs regs = {.rip = state->rip, .rflags = state->rflags};
    for (unsigned i = 0; i < GPR_COUNT; i++)
        memcpy((char *)&regs + gpr_offset[i], &state->gpr[i], sizeof(state->gpr[i]));
    put(vcpu, KVM_SET_REGS, &regs, "registers");
}

static void get_sregs(struct vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_sregs sregs = {0};
    get(vcpu, KVM_GET_SREGS, &sregs);
    state->segment[SEG_ES] = segment_from(&sregs.es);
    state->segment[SEG_CS] = segment_from(&sregs.cs);
    state->segment[SEG_SS] = segment_from(&sregs.ss);
    state->segment[SEG_DS] = segment_from(&sregs.ds);
    state->segment[SEG_FS] = segment_from(&sregs.fs);
    state->segment[SEG_GS] = segment_from(&sregs.gs);
    state->ldtr = segment_from(&sregs.ldt);
    state->tr = segment_from(&sregs.tr);
    state->gdtr = (struct table_register){sregs.gdt.base, sregs.gdt.limit};
    state->idtr = (struct table_register){sregs.idt.base, sregs.idt.limit};
    state->cr0 = sregs.cr0;
    state->cr2 = sregs.cr2;
    state->cr3 = sregs.cr3;
    state->cr4 = sregs.cr4;
    state->cr8 = sregs.cr8;
    state->efer = sregs.efer;
}

static void set_sregs(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_sregs sregs = {0};
    get(vcpu, KVM_GET_SREGS, &sregs); /* keeps the APIC's base and an interrupt on its way */
    sregs.es = segment_to(&state->segment[SEG_ES]);
    sregs.cs = segment_to(&state->segment[SEG_CS]);
    sregs.ss = segment_to(&state->segment[SEG_SS]);
    sregs.ds = segment_to(&state->segment[SEG_DS]);
    sregs.fs = segment_to(&state->segment[SEG_FS]);
    sregs.gs = segment_to(&state->segment[SEG_GS]);
    sregs.ldt = segment_to(&state->ldtr);
    sregs.tr = segment_to(&state->tr);
    sregs.gdt = (struct kvm_dtable){.base = state->gdtr.base, .limit = state->gdtr.limit};
    sregs.idt = (struct kvm_dtable){.base = state->idtr.base, .limit = state->idtr.limit};
    sregs.cr0 = state->cr0;
    sregs.cr2 = state->cr2;
    sregs.cr3 = state->cr3;
    sregs.cr4 = state->cr4;
    sregs.cr8 = state->cr8;
    sregs.efer = state->efer;
    put(vcpu, KVM_SET_SREGS, &sregs, "segments and control registers");
}

static void get_fpu(struct vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_fpu fpu = {0};
    const uint32_t mask = MXCSR_BITS;
    uint8_t *fx = state->fx;

    get(vcpu, KVM_GET_FPU, &fpu);
    memset(fx, 0, sizeof(state->fx));
    memcpy(fx + FX_CONTROL, &fpu.fcw, sizeof(fpu.fcw));
    memcpy(fx + FX_STATUS, &fpu.fsw, sizeof(fpu.fsw));
    fx[FX_TAG] = fpu.ftwx;
    memcpy(fx + FX_OPCODE, &fpu.last_opcode, sizeof(fpu.last_opcode));
    memcpy(fx + FX_INSTRUCTION, &fpu.last_ip, sizeof(fpu.last_ip));
    memcpy(fx + FX_DATA, &fpu.last_dp, sizeof(fpu.last_dp));
    memcpy(fx + FX_MXCSR, &fpu.mxcsr, sizeof(fpu.mxcsr));
    memcpy(fx + FX_MXCSR_MASK, &mask, sizeof(mask));
    memcpy(fx + FX_REGISTERS, fpu.fpr, sizeof(fpu.fpr));
    memcpy(fx + FX_XMM, fpu.xmm, sizeof(fpu.xmm));
}

static void set_fpu(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_fpu fpu = {.ftwx = state->fx[FX_TAG]};
    const uint8_t *fx = state->fx;

    memcpy(&fpu.fcw, fx + FX_CONTROL, sizeof(fpu.fcw));
    memcpy(&fpu.fsw, fx + FX_STATUS, sizeof(fpu.fsw));
    memcpy(&fpu.last_opcode, fx + FX_OPCODE, sizeof(fpu.last_opcode));
    memcpy(&fpu.last_ip, fx + FX_INSTRUCTION, sizeof(fpu.last_ip));
    memcpy(&fpu.last_dp, fx + FX_DATA, sizeof(fpu.last_dp));
    memcpy(&fpu.mxcsr, fx + FX_MXCSR, sizeof(fpu.mxcsr));
    fpu.mxcsr &= MXCSR_BITS;
    memcpy(fpu.fpr, fx + FX_REGISTERS, sizeof(fpu.fpr));
    memcpy(fpu.xmm, fx + FX_XMM, sizeof(fpu.xmm));
    put(vcpu, KVM_SET_FPU, &fpu, "x87 and SSE state");
}

/* The exit has left the registers as they were before the instruction; KVM finishes that when it is entered again. */
bool access_registers(struct engine *engine, uint64_t gpr[GPR_COUNT], bool store)
{
    for (unsigned index = 0; index < engine->vcpus_made; index++) {
        struct vcpu *vcpu = &engine->vcpus[index];
        struct kvm_regs regs = {0};
        if (atomic_load(&vcpu->thread) != gettid())
            continue;
        get(vcpu, KVM_GET_REGS, &regs);
        for (unsigned i = 0; i < GPR_COUNT; i++) {
            char *reg = (char *)&regs + gpr_offset[i];
            memcpy(store ? reg : (char *)&gpr[i], store ? (char *)&gpr[i] : reg, sizeof(gpr[i]));
        }
        if (store)
            put(vcpu, KVM_SET_REGS, &regs, "registers");
        return true;
    }
    return false;
}

void vcpu_get_state(struct vcpu *vcpu, struct cpu_state *state)
{
    struct kvm_debugregs debug = {0};
    struct kvm_vcpu_events events = {0};
    struct kvm_mp_state activity = {.mp_state = KVM_MP_STATE_RUNNABLE};

    memset(state, 0, sizeof(*state));
    get_regs(vcpu, state);
    get_sregs(vcpu, state);
    get_fpu(vcpu, state);
    get(vcpu, KVM_GET_DEBUGREGS, &debug);
    memcpy(state->dr, debug.db, sizeof(debug.db));
    state->dr[6] = debug.dr6;
    state->dr[7] = debug.dr7;
    get(vcpu, KVM_GET_VCPU_EVENTS, &events);
    state->interrupt_shadow = events.interrupt.shadow != 0;
    if (vcpu->engine->abilities.irqchip)
        get(vcpu, KVM_GET_MP_STATE, &activity);
    state->halted = vcpu->halted || activity.mp_state == KVM_MP_STATE_HALTED;
}

static void set_shadow(struct vcpu *vcpu, bool shadow)
{
    struct kvm_vcpu_events events = {0};
    get(vcpu, KVM_GET_VCPU_EVENTS, &events);
    events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
    events.interrupt.shadow = shadow ? KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
    put(vcpu, KVM_SET_VCPU_EVENTS, &events, "interrupt shadow");
}

/* A CPU that waits for its start-up message goes on waiting: cpu_state has no word for it. */
static void set_activity(struct vcpu *vcpu, bool halted)
{
    struct kvm_mp_state activity = {0};
    if (!vcpu->engine->abilities.irqchip) {
        vcpu->halted = halted;
        return;
    }
    get(vcpu, KVM_GET_MP_STATE, &activity);
    if (activity.mp_state != KVM_MP_STATE_RUNNABLE && activity.mp_state != KVM_MP_STATE_HALTED)
        return;
    activity.mp_state = halted ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
    put(vcpu, KVM_SET_MP_STATE, &activity, "activity");
}

void vcpu_set_state(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct kvm_debugregs debug = {.dr6 = state->dr[6], .dr7 = state->dr[7]};

    set_sregs(vcpu, state);
    set_regs(vcpu, state);
    set_fpu(vcpu, state);
    memcpy(debug.db, state->dr, sizeof(debug.db));
    put(vcpu, KVM_SET_DEBUGREGS, &debug, "debug registers");
    set_shadow(vcpu, state->interrupt_shadow);
    set_activity(vcpu, state->halted);
    /* What the kernel said of the state before no longer holds. */
    vcpu->run->ready_for_interrupt_injection = 0;
    vcpu->run->if_flag = (state->rflags & FLAG_IF) != 0;
    vcpu->run->cr8 = state->cr8;
}

/*
 * A debugger's points and steps (engine.h: struct engine_debug) on KVM: the processor's four debug registers, which the guest
 * keeps its own values of, and the trap flag, which it does not see.
 *
 * Source: the kernel's Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG and KVM_EXIT_DEBUG; SDM volume 3B, 17.2.
 */
#include <errno.h>

#include "cpu/kvm/kvm.h"

enum { REGISTERS = 4, DR6_SINGLE_STEP = 1 << 14 };

static uint64_t dr7_bits(unsigned index, const struct debug_point *point)
{
    static const uint64_t kinds[] = {
        [DEBUG_EXECUTE] = 0, [DEBUG_WRITE] = 1, [DEBUG_READ] = 3, [DEBUG_ACCESS] = 3};
    uint64_t length = point->kind == DEBUG_EXECUTE ? 0
                      : point->size == 8           ? 2
                      : point->size == 4           ? 3
                                                   : point->size - 1;

    return 2ull << (2 * index) | (kinds[point->kind] | length << 2) << (16 + 4 * index);
}

static bool registers_take(const struct debug_point *point)
{
    bool sized = point->size == 1 || point->size == 2 || point->size == 4 || point->size == 8;
    return point->kind == DEBUG_EXECUTE || (sized && point->address % point->size == 0);
}

bool vcpu_debug(struct vcpu *vcpu, const struct engine_debug *debug)
{
    struct kvm_guest_debug wanted = {0};

    vcpu->debug = debug ? *debug : (struct engine_debug){0};
    vcpu->debug_hit = (struct debug_hit){0};
    if (debug) {
        if (debug->count > REGISTERS)
            return false;
        wanted.control = KVM_GUESTDBG_ENABLE | (debug->count ? KVM_GUESTDBG_USE_HW_BP : 0);
        if (debug->step)
            wanted.control |= KVM_GUESTDBG_SINGLESTEP | vcpu->engine->debug_block_irq;
        wanted.arch.debugreg[7] = debug->count ? 0x600 : 0; /* GE, and the bit that is always 1 */
        for (unsigned i = 0; i < debug->count; i++) {
            if (!registers_take(&debug->point[i]))
                return false;
            wanted.arch.debugreg[i] = debug->point[i].address;
            wanted.arch.debugreg[7] |= dr7_bits(i, &debug->point[i]);
        }
    }
    return kvm_call(vcpu->descriptor, KVM_SET_GUEST_DEBUG, &wanted) == 0;
}

struct debug_hit vcpu_debug_hit(struct vcpu *vcpu)
{
    return vcpu->debug_hit;
}

/* A debug exception of the guest's own making goes to the guest. */
static bool hand_over(struct vcpu *vcpu, const struct kvm_debug_exit_arch *exit)
{
    struct kvm_vcpu_events events;
    struct kvm_debugregs registers;

    if (kvm_call(vcpu->descriptor, KVM_GET_VCPU_EVENTS, &events) < 0 ||
        kvm_call(vcpu->descriptor, KVM_GET_DEBUGREGS, &registers) < 0)
        return false;
    registers.dr6 = exit->dr6;
    events.exception.injected = 1;
    events.exception.nr = (uint8_t)exit->exception;
    events.exception.has_error_code = 0;
    return kvm_call(vcpu->descriptor, KVM_SET_DEBUGREGS, &registers) == 0 &&
           kvm_call(vcpu->descriptor, KVM_SET_VCPU_EVENTS, &events) == 0;
}

bool vcpu_debug_exit(struct vcpu *vcpu)
{
    const struct kvm_debug_exit_arch *exit = &vcpu->run->debug.arch;

    vcpu->debug_hit = (struct debug_hit){0};
    for (unsigned i = 0; i < vcpu->debug.count; i++)
        if (exit->dr6 & 1u << i)
            vcpu->debug_hit = (struct debug_hit){vcpu->debug.point[i].kind, vcpu->debug.point[i].address};
    if (vcpu->debug_hit.kind == DEBUG_NOTHING && vcpu->debug.step && (exit->dr6 & DR6_SINGLE_STEP))
        vcpu->debug_hit = (struct debug_hit){DEBUG_STEP, exit->pc};
    if (vcpu->debug_hit.kind != DEBUG_NOTHING)
        return false;
    if (!hand_over(vcpu, exit)) {
        explain_error(vcpu, "handing a debug exception to the guest", errno);
        vcpu->result = RUN_FAILED;
        return false;
    }
    return true;
}

/*
 * What went wrong, for people: exits that end the run, a state that the processor refuses to enter with, and the
 * triple fault.
 *
 * Sources: the kernel's Documentation/virt/kvm/api.rst (KVM_EXIT_FAIL_ENTRY, KVM_EXIT_INTERNAL_ERROR); Intel SDM vol.
 * 3C, 26.3.1 (checks on guest state); AMD APM vol. 2, 15.5.1 (illegal guest state).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/lock.h"
#include "cpu/autopsy.h"
#include "cpu/disassemble.h"
#include "cpu/kvm/kvm.h"
#include "cpu/walk.h"

enum {
    INSTRUCTION_LONGEST = 15,
    RESET_SELECTOR = 0xf000,
    RESET_RIP = 0xfff0,
    TYPE_TSS_BUSY = 2, /* of a system segment's type: the bit that says busy */
};

/* ---- rules that a state must keep for the processor to enter the guest with it */

static bool paging_without_protection(const struct cpu_state *s)
{
    return (s->cr0 & CR0_PG) && !(s->cr0 & CR0_PE);
}

static bool write_through_without_disable(const struct cpu_state *s)
{
    return (s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD);
}

static bool long_without_pae(const struct cpu_state *s)
{
    return (s->efer & EFER_LME) && (s->cr0 & CR0_PG) && !(s->cr4 & CR4_PAE);
}

static bool code_both_sizes(const struct cpu_state *s)
{
    uint32_t both = RIGHTS_L | RIGHTS_DB;
    return (s->efer & EFER_LMA) && (s->segment[SEG_CS].rights & both) == both;
}

static bool active_against_enabled(const struct cpu_state *s)
{
    bool active = s->efer & EFER_LMA, enabled = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);
    return active != enabled;
}

static bool high_debug_bits(const struct cpu_state *s)
{
    return s->dr[6] >> 32 || s->dr[7] >> 32;
}

static bool reserved_flags(const struct cpu_state *s)
{
    return !(s->rflags & FLAG_1) || s->rflags >> 22 || (s->rflags & (1 << 3 | 1 << 5 | 1 << 15));
}

static bool virtual_8086_in_long(const struct cpu_state *s)
{
    return (s->rflags & FLAG_VM) && ((s->efer & EFER_LMA) || !(s->cr0 & CR0_PE));
}

static bool virtual_8086_segments(const struct cpu_state *s)
{
    if (!(s->rflags & FLAG_VM))
        return false;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        if (s->segment[i].base != (uint64_t)s->segment[i].selector << 4 || s->segment[i].limit != 0xffff)
            return true;
    return false;
}

static bool code_no_code(const struct cpu_state *s)
{
    uint32_t rights = s->segment[SEG_CS].rights;
    return (s->cr0 & CR0_PE) && !(s->rflags & FLAG_VM) &&
           (!(rights & RIGHTS_S) || !(rights & RIGHTS_PRESENT));
}

static bool task_not_busy(const struct cpu_state *s)
{
    return (s->tr.rights & RIGHTS_UNUSABLE) || !(s->tr.rights & TYPE_TSS_BUSY);
}

static const struct {
    bool (*broken)(const struct cpu_state *state);
    const char *text;
} rules[] = {
    {paging_without_protection, "CR0.PG is set without CR0.PE"},
    {write_through_without_disable, "CR0.NW is set without CR0.CD"},
    {long_without_pae, "EFER.LME and CR0.PG are set without CR4.PAE"},
    {active_against_enabled, "EFER.LMA is not what EFER.LME and CR0.PG make it"},
    {code_both_sizes, "CS has both L and D set in long mode"},
    {high_debug_bits, "the upper half of DR6 or DR7 is not zero"},
    {reserved_flags, "RFLAGS has a reserved bit wrong"},
    {virtual_8086_in_long, "RFLAGS.VM is set in real or long mode"},
    {virtual_8086_segments, "a segment in virtual-8086 mode is not its selector times 16 with limit FFFF"},
    {code_no_code, "CS is not a present code segment"},
    {task_not_busy, "TR holds no busy TSS"},
};

static const char *broken_rule(const struct cpu_state *state)
{
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i].broken(state))
            return rules[i].text;
    return "no rule that hearth knows is broken";
}

/* ---- one line */

static void say(struct vcpu *vcpu, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct vcpu *vcpu, const char *format, ...)
{
    size_t used = strlen(vcpu->failure);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(vcpu->failure + used, sizeof(vcpu->failure) - used, format, arguments);
    va_end(arguments);
}

static unsigned code_bits(const struct cpu_state *state)
{
    uint32_t rights = state->segment[SEG_CS].rights;
    if ((state->efer & EFER_LMA) && (rights & RIGHTS_L))
        return 64;
    return rights & RIGHTS_DB ? 32 : 16;
}

/* " at 0010:00001234, 0f c7 0e (cmpxchg16b [rsi])" */
static void say_where(struct vcpu *vcpu, const struct cpu_state *state)
{
    const struct segment *code = &state->segment[SEG_CS];
    uint8_t bytes[INSTRUCTION_LONGEST];
    char text[96];

    machine_lock();
    unsigned count =
        walk_read(state, vcpu->engine->machine.memory, code->base + state->rip, bytes, sizeof(bytes));
    machine_unlock();
    unsigned length = disassemble(bytes, count, code_bits(state), state->rip, text, sizeof(text));
    say(vcpu, " at %04x:%0*" PRIx64, code->selector, code_bits(state) == 64 ? 16 : 8, state->rip);
    if (!count) {
        say(vcpu, ", where no memory is");
        return;
    }
    say(vcpu, ",");
    for (unsigned i = 0; i < (length ? length : count); i++)
        say(vcpu, " %02x", bytes[i]);
    say(vcpu, " (%s)", text);
}

static void explain_internal_error(struct vcpu *vcpu, const struct cpu_state *state)
{
    static const char *const kinds[] = {
        [0] = "an internal error",
        [KVM_INTERNAL_ERROR_EMULATION] = "its emulator cannot do the instruction",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "exceptions at the same time",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while it delivered an event",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit that it does not know",
    };
    uint32_t kind = vcpu->run->internal.suberror;
    if (kind < sizeof(kinds) / sizeof(kinds[0]))
        say(vcpu, "the kernel gave up: %s", kinds[kind]);
    else
        say(vcpu, "the kernel gave up: internal error %u", kind);
    say_where(vcpu, state);
}

void explain_exit(struct vcpu *vcpu)
{
    struct kvm_run *run = vcpu->run;
    struct cpu_state state;

    vcpu->failure[0] = 0;
    vcpu_get_state(vcpu, &state);
    switch (run->exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR: explain_internal_error(vcpu, &state); return;
    case KVM_EXIT_FAIL_ENTRY:
        say(vcpu, "the processor refused the guest's state (reason %#" PRIx64 "): %s",
            (uint64_t)run->fail_entry.hardware_entry_failure_reason, broken_rule(&state));
        break;
    case KVM_EXIT_UNKNOWN:
        say(vcpu, "an exit that the kernel does not know (hardware reason %#" PRIx64 ")",
            (uint64_t)run->hw.hardware_exit_reason);
        break;
    case KVM_EXIT_SYSTEM_EVENT: say(vcpu, "system event %u", run->system_event.type); break;
    default: say(vcpu, "exit %u, which hearth never asked for,", run->exit_reason); break;
    }
    say_where(vcpu, &state);
}

void explain_error(struct vcpu *vcpu, const char *what, int error)
{
    vcpu->failure[0] = 0;
    say(vcpu, "%s failed: %s", what, strerror(error));
}

/* ---- the triple fault */

/* KVM on AMD puts the CPU through INIT before it tells of the shutdown. */
static bool state_is_lost(const struct cpu_state *state)
{
    return state->rip == RESET_RIP && state->segment[SEG_CS].selector == RESET_SELECTOR &&
           !(state->cr0 & CR0_PE);
}

void vcpu_autopsy(struct vcpu *vcpu, FILE *out)
{
    struct cpu_state state;

    vcpu_get_state(vcpu, &state);
    if (!state_is_lost(&state)) {
        autopsy_print(out, &state, vcpu->engine->machine.memory, NULL, 0);
        return;
    }
    fprintf(out,
            "The guest's CPU %u shut down: a triple fault, that is an exception whose handler could not be "
            "entered, and the double fault's neither.\n",
            vcpu->index);
    fprintf(out, "On this processor KVM resets the CPU before it tells, so its registers are lost. "
                 "With -accel soft the chain of exceptions is known.\n");
}

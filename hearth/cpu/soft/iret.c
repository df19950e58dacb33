/*
 * IRET, in real and v86 mode (with VME), back from a nested task, and in protected mode, to v86 mode too.
 *
 * Source: SDM volume 3A, 6.12.1, 6.14.3, 20.2 (v86); volume 2, the operation of IRET.
 */
#include "cpu/soft/descriptor.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/system.h"

/* What IRET takes from the stack at any privilege: with 16-bit operands, and what 32-bit ones add. */
enum {
    FLAGS_RETURNED = FLAGS_ARITHMETIC | FLAG_TF | FLAG_DF | FLAG_NT,
    FLAGS_RETURNED32 = FLAG_RF | FLAG_AC | FLAG_ID,
};

/* RF holds for one instruction; it is kept only where somebody can see it, since that one runs by itself then. */
static void return_flags(struct cpu *cpu, uint64_t value, uint64_t mask)
{
    if (!debug_watches_code(cpu) && !(value & FLAG_TF))
        value &= ~(uint64_t)FLAG_RF;
    flags_set(cpu, (flags_get(cpu) & ~mask) | (value & mask));
}

/* CS:IP of real or v86 mode. */
static void return_real_to(struct cpu *cpu, uint64_t rip, uint16_t selector)
{
    code_limit_check(cpu, &cpu->segment[SEG_CS], rip);
    segment_load_real(cpu, SEG_CS, selector);
    cpu->rip = rip;
    cpu->op = NULL;
}

static void return_real(struct cpu *cpu, unsigned size)
{
    bool v86 = cpu->cr0 & CR0_PE, low_iopl = v86 && (cpu->rflags & FLAG_IOPL) != FLAG_IOPL;
    struct stack stack = stack_current(cpu);
    uint64_t mask = FLAGS_RETURNED | FLAG_IF | (v86 ? 0 : FLAG_IOPL) | (size == 2 ? 0 : FLAGS_RETURNED32);
    uint64_t rip, flags;
    uint16_t selector;

    if (low_iopl && !(size == 2 && (cpu->cr4 & CR4_VME))) {
        fault_because(cpu, "IRET in v86 mode with IOPL below 3");
        fault_error(cpu, VECTOR_GP, 0);
    }
    rip = stack_read(cpu, &stack, 0, size);
    selector = stack_read(cpu, &stack, size, size);
    flags = stack_read(cpu, &stack, 2 * size, size);
    if (low_iopl) {
        if ((flags & FLAG_TF) || ((flags & FLAG_IF) && (cpu->rflags & FLAG_VIP))) {
            fault_because(cpu, "IRET in v86 mode sets TF, or IF while VIP is set");
            fault_error(cpu, VECTOR_GP, 0);
        }
        mask = (mask & ~(uint64_t)FLAG_IF) | FLAG_VIF;
        flags |= flags & FLAG_IF ? FLAG_VIF : 0;
    }
    return_real_to(cpu, rip, selector);
    stack.pointer += 3 * size;
    stack_commit(cpu, &stack);
    return_flags(cpu, flags, mask);
}

static void return_task(struct cpu *cpu)
{
    uint16_t link;
    uint64_t raw, next = cpu->op ? next_rip(cpu, cpu->op) : cpu->rip;

    if (in_long_mode(cpu)) {
        fault_because(cpu, "IRET with NT set: there are no tasks in long mode");
        fault_error(cpu, VECTOR_GP, 0);
    }
    link = load_system(cpu, cpu->tr.base, 2);
    if (link & SELECTOR_LDT) {
        fault_because(cpu, "IRET with NT set: the back link 0x%04x in the TSS is an LDT selector", link);
        fault_error(cpu, VECTOR_TS, link & ERROR_SELECTOR);
    }
    raw = descriptor_need(cpu, link, VECTOR_TS, "IRET with NT set: the back link");
    if (!raw_is_tss(raw) || !(raw_type(raw) & TYPE_BUSY)) {
        fault_because(cpu, "IRET with NT set: the back link leads to %s, which is %s, not a busy TSS",
                      selector_words(link).text, raw_words(raw));
        fault_error(cpu, VECTOR_TS, link & ERROR_SELECTOR);
    }
    if (!raw_present(raw)) {
        fault_because(cpu, "IRET with NT set: %s is not present", selector_words(link).text);
        fault_error(cpu, VECTOR_NP, link & ERROR_SELECTOR);
    }
    task_switch(cpu, link, raw, TASK_RETURN, next, false, 0);
}

/* From ring 0 with VM set in the popped image. */
static void return_to_v86(struct cpu *cpu, const struct stack *stack, uint64_t rip, uint16_t code,
                          uint64_t flags)
{
    static const enum segment_name order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint64_t mask = FLAGS_RETURNED | FLAGS_RETURNED32 | FLAG_IF | FLAG_IOPL | FLAG_VM | FLAG_VIF | FLAG_VIP;
    uint64_t pointer = stack_read(cpu, stack, 12, 4);
    uint16_t selectors[5];

    for (int i = 0; i < 5; i++)
        selectors[i] = stack_read(cpu, stack, 16 + 4 * i, 4);
    code_limit_check(cpu, &(struct segment){.selector = code, .limit = 0xffff}, rip);
    return_flags(cpu, flags, mask);
    segment_load_real(cpu, SEG_CS, code);
    for (int i = 0; i < 5; i++)
        segment_load_real(cpu, order[i], selectors[i]);
    cpu->gpr[RSP] = pointer;
    cpu->rip = rip;
    cpu->op = NULL;
}

static void return_protected(struct cpu *cpu, unsigned size)
{
    struct stack stack = stack_current(cpu);
    unsigned level = cpl(cpu), iopl = (cpu->rflags & FLAG_IOPL) >> FLAG_IOPL_SHIFT;
    uint64_t rip = stack_read(cpu, &stack, 0, size);
    uint16_t selector = stack_read(cpu, &stack, size, size);
    uint64_t flags = stack_read(cpu, &stack, 2 * size, size), mask = FLAGS_RETURNED, raw;
    struct segment code;

    if (size == 4 && (flags & FLAG_VM) && level == 0 && !in_long_mode(cpu)) {
        return_to_v86(cpu, &stack, rip, selector, flags);
        return;
    }
    mask |= size == 2 ? 0 : FLAGS_RETURNED32;
    mask |= level <= iopl ? FLAG_IF : 0;
    mask |= level == 0 ? FLAG_IOPL | (size == 2 ? 0 : FLAG_VIF | FLAG_VIP) : 0;
    raw = return_code_descriptor(cpu, selector);
    /* 64-bit code always takes a stack too. */
    if ((selector & SELECTOR_RPL) > level || in_64bit_code(cpu)) {
        return_outer(cpu, &stack, 3 * size, size, selector, raw, rip, 0);
    } else {
        descriptor_to_segment(raw, selector, &code);
        code_limit_check(cpu, &code, rip);
        segment_install_raw(cpu, SEG_CS, selector, level, raw);
        cpu->rip = rip;
        cpu->op = NULL;
        stack.pointer += 3 * size;
        stack_commit(cpu, &stack);
    }
    return_flags(cpu, flags, mask);
}

void interrupt_return(struct cpu *cpu, unsigned size)
{
    if (!in_protected_mode(cpu))
        return_real(cpu, size);
    else if (cpu->rflags & FLAG_NT)
        return_task(cpu);
    else
        return_protected(cpu, size);
    cpu->nmi_blocked = false;
    segments_changed(cpu);
}

/*
 * Exceptions and interrupts: raising them, delivery through IVT and IDT, double and triple faults, INT n in
 * v86 mode with its extensions (VME).
 *
 * A delivery changes no register before its last access that can fault. While one is under way, delivery.active is
 * set: a fault that arises then meets it in exception_deliver() and the two combine by table 6-5.
 * Left out: machine checks.
 * Source: SDM volume 3A, chapter 6 (6.12 delivery, 6.13 error codes, 6.14 IA-32e mode, 6.15 double faults), 20.2 and
 * 20.3 (v86, redirection); volume 2, the operation of INT n.
 */
#include <stdarg.h>
#include <stdio.h>

#include "core/log.h"
#include "cpu/soft/descriptor.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/system.h"

enum error_bits { ERROR_EXT = 1 << 0, ERROR_IDT = 1 << 1 };
enum {
    IVT_ENTRY = 4,
    GATE_SIZE = 8,
    GATE_SIZE64 = 16,
    GATE_IST = 7, /* of bytes 4 and 5 */
    FRAME_ALIGNMENT = 16,
    TSS_IO_MAP = 0x66,
    TSS_LEAST_LIMIT = 0x67,
    REDIRECTION_SIZE = 32, /* bytes below the I/O bitmap */
    FLAGS_CLEARED = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM,
    FLAGS_CLEARED_REAL = FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF,
};

/* What is being delivered. */
struct event {
    uint8_t vector;
    bool software, has_error;
    uint32_t error;
    uint64_t next, flags; /* RIP and RFLAGS to push */
};

/* ---- raising ---- */

/* Back to the start of the instruction under way; what was counted from it on has not run. */
static void withdraw(struct cpu *cpu)
{
    if (cpu->op)
        cpu->instructions -= cpu->block->count - cpu->op->ordinal;
    cpu->rip = instruction_rip(cpu);
    cpu->op = NULL;
}

static _Noreturn void raise_pending(struct cpu *cpu)
{
    withdraw(cpu);
    longjmp(cpu->fault_jump, JUMP_FAULT);
}

_Noreturn void instruction_wait(struct cpu *cpu)
{
    withdraw(cpu);
    cpu->halted = true;
    longjmp(cpu->fault_jump, JUMP_WAIT);
}

_Noreturn void fault(struct cpu *cpu, unsigned vector)
{
    cpu->pending.vector = vector;
    cpu->pending.has_error = false;
    cpu->pending.error = 0;
    raise_pending(cpu);
}

_Noreturn void fault_error(struct cpu *cpu, unsigned vector, uint32_t error)
{
    bool selects = vector >= VECTOR_TS && vector <= VECTOR_GP;

    cpu->pending.vector = vector;
    cpu->pending.has_error = true;
    cpu->pending.error = error | (selects && cpu->delivery.active && cpu->delivery.external ? ERROR_EXT : 0);
    raise_pending(cpu);
}

void fault_because(struct cpu *cpu, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(cpu->why, sizeof(cpu->why), format, arguments);
    va_end(arguments);
}

/* ---- the record ---- */

static void record(struct cpu *cpu, const struct event *event, bool external)
{
    struct exception_record *entry;

    if (log_wanted(LOG_INTERRUPT))
        log_guest(LOG_INTERRUPT, "%s %u error %x at %04x:%08llx cr2 %08llx %s",
                  autopsy_vector_mnemonic(event->vector), event->vector, event->error,
                  cpu->segment[SEG_CS].selector, (unsigned long long)cpu->rip, (unsigned long long)cpu->cr2,
                  cpu->why);
    if (cpu->records == EXCEPTION_RECORDS)
        cpu->records--;
    entry = &cpu->record[cpu->records++];
    *entry = (struct exception_record){.vector = event->vector,
                                       .has_error = event->has_error,
                                       .external = external,
                                       .software = event->software,
                                       .error = event->error,
                                       .rip = instruction_rip(cpu),
                                       .cs_base = cpu->segment[SEG_CS].base,
                                       .cr2 = cpu->cr2,
                                       .cs = cpu->segment[SEG_CS].selector,
                                       .code_bits = in_64bit_code(cpu)                        ? 64
                                                    : cpu->segment[SEG_CS].rights & RIGHTS_DB ? 32
                                                                                              : 16};
    memcpy(entry->why, cpu->why, sizeof(entry->why));
    cpu->why[0] = 0;
}

/* The bytes of the instruction and what a page fault met are looked up only when somebody will read them. */
static void complete_records(struct cpu *cpu)
{
    for (unsigned i = 0; i < cpu->records; i++) {
        struct exception_record *entry = &cpu->record[i];
        uint64_t physical, length;
        bool writable;
        const uint8_t *host;

        if (entry->vector == VECTOR_PF && !entry->why[0])
            paging_explain(cpu, entry->cr2, entry->error, entry->why, sizeof(entry->why));
        while (entry->instruction_length < sizeof(entry->instruction)) {
            if (!paging_probe(cpu, entry->cs_base + entry->rip + entry->instruction_length, &physical) ||
                !(host = memory_at(cpu->machine->memory, physical, &length, &writable)))
                break;
            entry->instruction[entry->instruction_length++] = *host;
        }
    }
}

/* ---- delivery in real mode, and to the 8086 program by VME ---- */

static void transfer_real(struct cpu *cpu, uint32_t vector_entry, uint64_t flags)
{
    segment_load_real(cpu, SEG_CS, vector_entry >> 16);
    cpu->rip = vector_entry & 0xffff;
    cpu->op = NULL;
    flags_set(cpu, flags);
}

static void push_real(struct cpu *cpu, const struct event *event)
{
    struct stack stack = stack_current(cpu);

    stack_push(cpu, &stack, 2, event->flags);
    stack_push(cpu, &stack, 2, cpu->segment[SEG_CS].selector);
    stack_push(cpu, &stack, 2, event->next);
    stack_commit(cpu, &stack);
}

static void deliver_real(struct cpu *cpu, const struct event *event)
{
    unsigned last = event->vector * IVT_ENTRY + IVT_ENTRY - 1;
    uint32_t entry;

    if (last > cpu->idtr.limit) {
        fault_because(cpu, "the %s vector: IDT limit is 0x%04x, real-mode vector %u needs 0x%04x",
                      autopsy_vector_mnemonic(event->vector), cpu->idtr.limit, event->vector, last);
        fault_error(cpu, VECTOR_GP, event->vector * 8u + ERROR_IDT);
    }
    entry = load_system(cpu, (uint32_t)(cpu->idtr.base + event->vector * IVT_ENTRY), IVT_ENTRY);
    push_real(cpu, event);
    transfer_real(cpu, entry, flags_get(cpu) & ~(uint64_t)FLAGS_CLEARED_REAL);
}

/* ---- delivery through the IDT ---- */

/* "IDT[13] (the #GP gate)". By hand, because it is made for every delivery. */
static struct words gate_words(unsigned vector)
{
    struct words words;
    char *end = stpcpy(words.text, "IDT[");

    if (vector >= 100)
        *end++ = '0' + vector / 100;
    if (vector >= 10)
        *end++ = '0' + vector / 10 % 10;
    *end++ = '0' + vector % 10;
    end = stpcpy(end, "] (the ");
    end = stpcpy(end, autopsy_vector_mnemonic(vector));
    stpcpy(end, " gate)");
    return words;
}

static bool gate_fits(const struct cpu *cpu, uint64_t gate)
{
    if (raw_is_segment(gate))
        return false;
    if (in_long_mode(cpu))
        return (raw_type(gate) & ~1u) == TYPE_INTERRUPT_GATE32;
    return raw_type(gate) == TYPE_TASK_GATE || (raw_type(gate) & 6) == TYPE_INTERRUPT_GATE16;
}

static uint64_t gate_read(struct cpu *cpu, const struct event *event)
{
    uint32_t error = event->vector * 8u + ERROR_IDT;
    unsigned size = in_long_mode(cpu) ? GATE_SIZE64 : GATE_SIZE, last = event->vector * size + size - 1;
    uint64_t gate;

    if (last > cpu->idtr.limit) {
        fault_because(cpu, "the %s gate: IDT limit is 0x%04x, vector %u needs 0x%04x",
                      autopsy_vector_mnemonic(event->vector), cpu->idtr.limit, event->vector, last);
        fault_error(cpu, VECTOR_GP, error);
    }
    gate = load_system(cpu, system_linear(cpu, cpu->idtr.base + event->vector * size), GATE_SIZE);
    if (!gate_fits(cpu, gate)) {
        fault_because(cpu, "%s is %s, not an interrupt%s gate%s", gate_words(event->vector).text,
                      raw_words(gate), in_long_mode(cpu) ? " or trap" : ", trap or task",
                      in_long_mode(cpu) ? " of long mode" : "");
        fault_error(cpu, VECTOR_GP, error);
    }
    if (event->software && raw_dpl(gate) < cpl(cpu)) {
        fault_because(cpu, "%s has DPL %u, so INT from CPL %u may not use it", gate_words(event->vector).text,
                      raw_dpl(gate), cpl(cpu));
        fault_error(cpu, VECTOR_GP, error);
    }
    if (!raw_present(gate)) {
        fault_because(cpu, "%s is not present: present bit (47) clear", gate_words(event->vector).text);
        fault_error(cpu, VECTOR_NP, error);
    }
    return gate;
}

/* The handler's code segment. */
static uint64_t handler_descriptor(struct cpu *cpu, unsigned vector, uint16_t selector)
{
    uint64_t raw;
    bool inner;

    raw = descriptor_need(cpu, selector, VECTOR_GP, gate_words(vector).text);
    if (!raw_is_code(raw) || raw_dpl(raw) > cpl(cpu)) {
        fault_because(cpu, "%s leads to %s, which is %s%s", gate_words(vector).text,
                      selector_words(selector).text, raw_words(raw),
                      raw_is_code(raw) ? " of an outer ring" : ", not code");
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    code_width_check(cpu, selector, raw, true);
    if (!raw_present(raw)) {
        fault_because(cpu, "%s leads to %s, which is not present", gate_words(vector).text,
                      selector_words(selector).text);
        fault_error(cpu, VECTOR_NP, selector & ERROR_SELECTOR);
    }
    inner = !raw_is_conforming(raw) && raw_dpl(raw) < cpl(cpu);
    if ((cpu->rflags & FLAG_VM) && !(inner && raw_dpl(raw) == 0)) {
        fault_because(cpu, "%s leads out of v86 mode to %s of DPL %u; it must be 0", gate_words(vector).text,
                      selector_words(selector).text, raw_dpl(raw));
        fault_error(cpu, VECTOR_GP, selector & ERROR_SELECTOR);
    }
    cpu->why[0] = 0;
    return raw;
}

static void push_frame(struct cpu *cpu, struct stack *stack, unsigned size, const struct event *event,
                       bool inner)
{
    static const enum segment_name v86[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

    if (cpu->rflags & FLAG_VM)
        for (int i = 0; i < 4; i++)
            stack_push(cpu, stack, size, cpu->segment[v86[i]].selector);
    if (inner) {
        stack_push(cpu, stack, size, cpu->segment[SEG_SS].selector);
        stack_push(cpu, stack, size, cpu->gpr[RSP]);
    }
    stack_push(cpu, stack, size, event->flags);
    stack_push(cpu, stack, size, cpu->segment[SEG_CS].selector);
    stack_push(cpu, stack, size, event->next);
    if (event->has_error)
        stack_push(cpu, stack, size, event->error);
}

static void leave_v86(struct cpu *cpu)
{
    static const enum segment_name data[] = {SEG_GS, SEG_FS, SEG_DS, SEG_ES};

    cpu->rflags &= ~(uint64_t)FLAG_VM;
    for (int i = 0; i < 4; i++)
        segment_install_null(cpu, data[i], 0);
}

static void deliver_gate(struct cpu *cpu, const struct event *event, uint64_t gate)
{
    unsigned size = raw_type(gate) & TYPE_32BIT ? 4 : 2;
    bool trap = raw_type(gate) & 1;
    uint16_t selector = gate_selector(gate);
    uint64_t raw = handler_descriptor(cpu, event->vector, selector);
    bool inner = !raw_is_conforming(raw) && raw_dpl(raw) < cpl(cpu);
    unsigned level = inner ? raw_dpl(raw) : cpl(cpu);
    struct stack stack = inner ? stack_inner(cpu, level) : stack_current(cpu);
    struct segment code;

    descriptor_to_segment(raw, selector, &code);
    code_limit_check(cpu, &code, gate_offset(gate));
    push_frame(cpu, &stack, size, event, inner);
    descriptor_mark_accessed(cpu, selector, raw);

    if (cpu->rflags & FLAG_VM)
        leave_v86(cpu);
    segment_install_raw(cpu, SEG_CS, selector, level, raw | (uint64_t)RIGHTS_ACCESSED << 40);
    if (inner)
        segment_install(cpu, SEG_SS, &stack.segment);
    stack_commit(cpu, &stack);
    cpu->rip = gate_offset(gate);
    cpu->op = NULL;
    flags_set(cpu, flags_get(cpu) & ~(uint64_t)(FLAGS_CLEARED | (trap ? 0 : FLAG_IF)));
}

/* The stack of a delivery in long mode: the gate's, the inner ring's or the current one, aligned in any case. */
static struct stack stack_of_gate64(struct cpu *cpu, uint64_t gate, bool inner, unsigned level)
{
    unsigned ist = gate >> 32 & GATE_IST;
    uint64_t pointer = ist ? task_stack_ist(cpu, ist) : inner ? task_stack64(cpu, level) : cpu->gpr[RSP];
    struct stack stack = stack_inner64(level, pointer & -(uint64_t)FRAME_ALIGNMENT);

    if (!inner)
        stack.segment = cpu->segment[SEG_SS];
    return stack;
}

static void deliver_gate64(struct cpu *cpu, const struct event *event, uint64_t gate)
{
    uint64_t upper = load_system(cpu, cpu->idtr.base + event->vector * GATE_SIZE64 + GATE_SIZE, GATE_SIZE);
    uint64_t target = upper << 32 | gate_offset(gate), raw;
    uint16_t selector = gate_selector(gate);
    struct segment code;
    struct stack stack;
    bool inner;
    unsigned level;

    raw = handler_descriptor(cpu, event->vector, selector);
    inner = !raw_is_conforming(raw) && raw_dpl(raw) < cpl(cpu);
    level = inner ? raw_dpl(raw) : cpl(cpu);
    descriptor_to_segment(raw, selector, &code);
    code_limit_check(cpu, &code, target);
    stack = stack_of_gate64(cpu, gate, inner, level);
    push_frame(cpu, &stack, 8, event, true);
    descriptor_mark_accessed(cpu, selector, raw);

    segment_install_raw(cpu, SEG_CS, selector, level, raw | (uint64_t)RIGHTS_ACCESSED << 40);
    segment_install(cpu, SEG_SS, &stack.segment);
    stack_commit(cpu, &stack);
    cpu->rip = target;
    cpu->op = NULL;
    flags_set(cpu, flags_get(cpu) & ~(uint64_t)(FLAGS_CLEARED | (raw_type(gate) & 1 ? 0 : FLAG_IF)));
}

static void deliver(struct cpu *cpu, const struct event *event)
{
    uint64_t gate;

    if (!(cpu->cr0 & CR0_PE)) {
        deliver_real(cpu, event);
    } else if (in_long_mode(cpu)) {
        deliver_gate64(cpu, event, gate_read(cpu, event));
    } else {
        gate = gate_read(cpu, event);
        if (raw_type(gate) == TYPE_TASK_GATE)
            task_switch(cpu, gate_selector(gate), task_descriptor(cpu, gate_selector(gate), VECTOR_GP),
                        TASK_GATE, event->next, event->has_error, event->error);
        else
            deliver_gate(cpu, event, gate);
    }
    cpu->halted = false;
    cpu->interrupt_shadow = cpu->debug_shadow = false;
    cpu->delivery.active = false;
    segments_changed(cpu);
}

/* ---- what leads to a delivery ---- */

enum fault_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum fault_class class_of(unsigned vector)
{
    if (vector == VECTOR_PF)
        return PAGE_FAULT;
    if (vector == VECTOR_DE || (vector >= VECTOR_TS && vector <= VECTOR_GP))
        return CONTRIBUTORY;
    return BENIGN;
}

/* Table 6-5: does the second, met while the first was being delivered, make a double fault? */
static bool doubles(const struct cpu *cpu, unsigned second)
{
    enum fault_class first = cpu->delivery.hardware ? BENIGN : class_of(cpu->delivery.vector);

    return (first == CONTRIBUTORY && class_of(second) == CONTRIBUTORY) ||
           (first == PAGE_FAULT && class_of(second) != BENIGN);
}

static void begin(struct cpu *cpu, const struct event *event, bool external, bool hardware)
{
    cpu->delivery.active = true;
    cpu->delivery.external = external;
    cpu->delivery.hardware = hardware;
    cpu->delivery.vector = event->vector;
}

/* Is RF set in the pushed image, so that the instruction runs once without its breakpoint? */
static bool resumes(unsigned vector)
{
    return vector != VECTOR_DB && vector != VECTOR_DF && vector != VECTOR_MC;
}

void exception_deliver(struct cpu *cpu)
{
    struct event event = {.vector = cpu->pending.vector,
                          .has_error = cpu->pending.has_error,
                          .error = cpu->pending.error,
                          .next = cpu->rip};
    bool nested = cpu->delivery.active;

    if (!nested)
        cpu->records = 0;
    record(cpu, &event, false);
    if (nested && !cpu->delivery.hardware && cpu->delivery.vector == VECTOR_DF) {
        complete_records(cpu);
        cpu->delivery.active = false;
        cpu->shutdown = true;
        return;
    }
    if (nested && doubles(cpu, event.vector)) {
        event = (struct event){.vector = VECTOR_DF, .has_error = true, .next = cpu->rip};
        record(cpu, &event, false);
    }
    event.flags = flags_get(cpu) | (resumes(event.vector) ? FLAG_RF : 0);
    begin(cpu, &event, true, false);
    deliver(cpu, &event);
}

void interrupt_deliver(struct cpu *cpu, uint8_t vector)
{
    struct event event = {.vector = vector, .next = cpu->rip, .flags = flags_get(cpu)};

    cpu->op = NULL;
    cpu->records = 0;
    cpu->why[0] = 0;
    record(cpu, &event, true);
    begin(cpu, &event, true, true);
    if (vector == VECTOR_NMI)
        cpu->nmi_blocked = true;
    deliver(cpu, &event);
}

/* Bit of the redirection map in the TSS: clear means that the 8086 program's own IVT serves INT n. */
static bool redirected(struct cpu *cpu, unsigned vector)
{
    uint32_t byte;

    if ((cpu->tr.rights & RIGHTS_UNUSABLE) || cpu->tr.limit < TSS_LEAST_LIMIT)
        return false;
    byte = load_system(cpu, (uint32_t)(cpu->tr.base + TSS_IO_MAP), 2) - REDIRECTION_SIZE + vector / 8;
    if (byte > cpu->tr.limit)
        return false;
    return !(load_system(cpu, (uint32_t)(cpu->tr.base + byte), 1) >> vector % 8 & 1);
}

/* INT n in v86 mode with CR4.VME and the vector's bit clear: as in real mode, IF being VIF where IOPL is below 3. */
static void deliver_vme(struct cpu *cpu, struct event *event, bool virtual_if)
{
    uint64_t flags = flags_get(cpu), clear = FLAG_TF | (virtual_if ? FLAG_VIF : FLAG_IF);
    uint32_t entry = slow_load(cpu, event->vector * IVT_ENTRY, IVT_ENTRY, true);

    event->flags = flags & ~(uint64_t)FLAG_NT;
    if (virtual_if)
        event->flags = (event->flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL | (flags & FLAG_VIF ? FLAG_IF : 0);
    push_real(cpu, event);
    transfer_real(cpu, entry, flags & ~(clear | FLAG_NT));
    cpu->delivery.active = false;
    segments_changed(cpu);
}

void interrupt_software(struct cpu *cpu, uint8_t vector, bool one_byte, uint64_t next)
{
    struct event event = {.vector = vector, .next = next, .flags = flags_get(cpu)};
    bool low_iopl = (cpu->rflags & FLAG_IOPL) != FLAG_IOPL;

    event.software = !(one_byte && vector == VECTOR_DB);
    /* INT1 is a debug exception like the others: what a data breakpoint under MOV SS has left goes along with it. */
    if (!event.software)
        debug_take_pending(cpu);
    cpu->records = 0;
    cpu->why[0] = 0;
    if ((cpu->cr0 & CR0_PE) && (cpu->rflags & FLAG_VM) && !one_byte) {
        bool redirect = (cpu->cr4 & CR4_VME) && redirected(cpu, vector);

        if (redirect) {
            deliver_vme(cpu, &event, low_iopl);
            return;
        }
        if (low_iopl) {
            fault_because(cpu, "INT %u in v86 mode with IOPL below 3", vector);
            fault_error(cpu, VECTOR_GP, 0);
        }
    }
    record(cpu, &event, false);
    begin(cpu, &event, !event.software, true);
    deliver(cpu, &event);
}

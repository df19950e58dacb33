/*
 * Descriptors, selectors and stacks as segments.c, far.c, interrupts.c, iret.c, task.c and system.c share them.
 * Source: SDM volume 3A, 3.4 (selectors, descriptors), 3.5 and 5.8 (system descriptors, gates).
 */
#ifndef SOFT_DESCRIPTOR_H
#define SOFT_DESCRIPTOR_H

#include "cpu/soft/access.h"

/* Types of system descriptors (S clear). */
enum system_type {
    TYPE_TSS16 = 0x1,
    TYPE_LDT = 0x2,
    TYPE_TSS16_BUSY = 0x3,
    TYPE_CALL_GATE16 = 0x4,
    TYPE_TASK_GATE = 0x5,
    TYPE_INTERRUPT_GATE16 = 0x6,
    TYPE_TRAP_GATE16 = 0x7,
    TYPE_TSS32 = 0x9,
    TYPE_TSS32_BUSY = 0xb,
    TYPE_CALL_GATE32 = 0xc,
    TYPE_INTERRUPT_GATE32 = 0xe,
    TYPE_TRAP_GATE32 = 0xf,
    TYPE_BUSY = 0x2,  /* of a TSS */
    TYPE_32BIT = 0x8, /* of a TSS or gate */
};

enum selector_bits { SELECTOR_RPL = 3, SELECTOR_LDT = 4, SELECTOR_INDEX = 0xfff8, ERROR_SELECTOR = 0xfffc };

static inline unsigned raw_type(uint64_t raw)
{
    return raw >> 40 & RIGHTS_TYPE;
}

static inline bool raw_present(uint64_t raw)
{
    return raw >> 40 & RIGHTS_PRESENT;
}

static inline unsigned raw_dpl(uint64_t raw)
{
    return raw >> 45 & 3;
}

/* Code or data; else a system descriptor. */
static inline bool raw_is_segment(uint64_t raw)
{
    return raw >> 40 & RIGHTS_S;
}

static inline bool raw_is_code(uint64_t raw)
{
    return raw_is_segment(raw) && (raw_type(raw) & RIGHTS_CODE);
}

static inline bool raw_is_conforming(uint64_t raw)
{
    return raw_type(raw) & RIGHTS_EXPAND_DOWN; /* the same bit */
}

static inline bool raw_is_writable_data(uint64_t raw)
{
    return raw_is_segment(raw) && (raw_type(raw) & (RIGHTS_CODE | RIGHTS_WRITABLE)) == RIGHTS_WRITABLE;
}

static inline bool raw_is_system(uint64_t raw, unsigned type)
{
    return !raw_is_segment(raw) && raw_type(raw) == type;
}

static inline bool raw_is_tss(uint64_t raw)
{
    return !raw_is_segment(raw) && (raw_type(raw) & ~(unsigned)(TYPE_32BIT | TYPE_BUSY)) == TYPE_TSS16;
}

static inline uint16_t gate_selector(uint64_t raw)
{
    return raw >> 16;
}

static inline uint32_t gate_offset(uint64_t raw)
{
    uint32_t high = raw_type(raw) & TYPE_32BIT ? raw >> 32 & 0xffff0000 : 0;

    return high | (raw & 0xffff);
}

static inline bool selector_null(uint16_t selector)
{
    return (selector & ERROR_SELECTOR) == 0;
}

/* "GDT[2] (selector 0x0010)" and "a 32-bit call gate", in words for fault_because(). */
struct words {
    char text[48];
};
struct words selector_words(uint16_t selector);
const char *raw_words(uint64_t raw);

/* Names for messages, by enum segment_name. */
extern const char segment_names[SEG_COUNT][3];

/* Reads a descriptor, or raises `vector` with the selector: null ones with 0. `role` names it: "CS", "the gate's target". */
uint64_t descriptor_need(struct cpu *cpu, uint16_t selector, unsigned vector, const char *role);
/*
 * In long mode LDTs, TSSs and call gates have 16 bytes: answers what belongs above bit 31 of their base or offset, or
 * raises #GP(selector). 0 in other modes.
 */
uint64_t descriptor_upper(struct cpu *cpu, uint16_t selector, const char *role);
/* An LDT or TSS out of both halves; #GP(selector) unless its base is canonical. */
void descriptor_to_system_segment(struct cpu *cpu, uint64_t raw, uint64_t upper, uint16_t selector,
                                  struct segment *segment);
/* #GP(selector) for code with L and D set in long mode, and, if need64, for any but 64-bit code. */
void code_width_check(struct cpu *cpu, uint16_t selector, uint64_t raw, bool need64);
/* Raises `vector` with the selector. */
_Noreturn void selector_refuse(struct cpu *cpu, unsigned vector, uint16_t selector);
/* The same if the descriptor's present bit is clear. */
void descriptor_need_present(struct cpu *cpu, uint16_t selector, uint64_t raw, unsigned vector);
/* Sets bits in byte 5 of the descriptor in memory (accessed, busy) or clears them. */
void descriptor_change(struct cpu *cpu, uint16_t selector, uint8_t set, uint8_t clear);

/* Sets the accessed bit of a code or data segment, in memory, unless `raw` has it. */
void descriptor_mark_accessed(struct cpu *cpu, uint16_t selector, uint64_t raw);

/* Installs a register, hidden part and all; SS also picks the TLB of its privilege. */
void segment_install(struct cpu *cpu, enum segment_name name, const struct segment *segment);
/* The same from a descriptor in memory, setting its accessed bit there. RPL of the selector becomes `level`. */
void segment_install_raw(struct cpu *cpu, enum segment_name name, uint16_t selector, unsigned level,
                         uint64_t raw);
/* Null in SS, which 64-bit code of rings 0 to 2 may have; its DPL goes on telling the privilege. */
void stack_install_null(struct cpu *cpu, unsigned level);
/* A null selector in a data segment register. */
void segment_install_null(struct cpu *cpu, enum segment_name name, uint16_t selector);

/*
 * Checks of a stack segment for privilege `level`: null raises `vector` (0), else its RPL, DPL and type raise it with
 * the selector, absence #SS(selector). Answers the descriptor.
 */
uint64_t stack_descriptor(struct cpu *cpu, uint16_t selector, unsigned level, unsigned vector);
/* May SS be this null selector, at this level, for code with these rights? */
bool stack_may_be_null(uint32_t rights, const struct cpu *cpu, uint16_t selector, unsigned level);
/* Return to an outer ring: what DS, ES, FS and GS may not see there becomes null. */
void segments_leave(struct cpu *cpu);
/* #GP(0) if an instruction pointer is beyond the limit of this code segment. */
void code_limit_check(struct cpu *cpu, const struct segment *code, uint64_t offset);

/* A stack that is not, or not yet, the current one. */
struct stack {
    struct segment segment;
    uint64_t pointer, mask;
    bool user;
    uint32_t error; /* of the #SS when it is too small */
};
struct stack stack_current(struct cpu *cpu);
/* The bits of a stack pointer that this stack uses. */
uint64_t stack_mask_of(const struct cpu *cpu, const struct segment *segment);
/* The inner stack for `level` out of the TSS, with all checks (#TS, #SS). */
struct stack stack_inner(struct cpu *cpu, unsigned level);
/* In long mode there is a pointer only (of the TSS: task_stack64()), and SS becomes null. */
struct stack stack_inner64(unsigned level, uint64_t pointer);
void stack_push(struct cpu *cpu, struct stack *stack, unsigned size, uint64_t value);
/* Reads at an offset above the pointer. */
uint64_t stack_read(struct cpu *cpu, const struct stack *stack, unsigned offset, unsigned size);
/* ESP or SP = the stack's pointer, by its mask. */
void stack_commit(struct cpu *cpu, const struct stack *stack);

/* RET and IRET: the code segment to go back to, with all checks; and the way to an outer ring (far.c). */
uint64_t return_code_descriptor(struct cpu *cpu, uint16_t selector);
void return_outer(struct cpu *cpu, const struct stack *stack, unsigned offset, unsigned size,
                  uint16_t selector, uint64_t raw, uint64_t rip, uint16_t release);

/* Loads LDTR; `vector` is #GP for LLDT and #TS for a task switch. */
void ldtr_load(struct cpu *cpu, uint16_t selector, unsigned vector);
/* TSS selector of a task gate or a direct transfer: available, all checks but DPL; raises `vector` (#GP, #TS) and #NP. */
uint64_t task_descriptor(struct cpu *cpu, uint16_t selector, unsigned vector);

#endif

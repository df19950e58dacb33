/*
 * The thin handlers of what system.c, segments.c, far.c and x87.c do: operands in, results out, and out of the block where
 * mode, flags or mappings may have changed.
 *
 * op->immediate of those with ModRM: its reg field, the operand size in bytes, its rm field, a byte each.
 */
#include <sys/random.h>

#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/system.h"
#include "cpu/soft/turns.h"
#include "cpu/soft/x87.h"

always unsigned modrm_reg(const struct op *op)
{
    return op->immediate & 0xff;
}

always unsigned operand_size(const struct op *op)
{
    return op->immediate >> 8 & 0xff;
}

always unsigned modrm_rm(const struct op *op)
{
    return op->immediate >> 16 & 0xff;
}

/* Out to the run loop, which looks at everything anew, behind this instruction. */
static const struct op *leave_behind(struct cpu *cpu, const struct op *op)
{
    cpu->rip = next_rip(cpu, op);
    return leave_changed(cpu, op);
}

static void word_set(struct cpu *cpu, const struct op *op, unsigned reg, uint64_t value)
{
    reg_set(cpu, reg, operand_size(op), value);
}

/* ---- segment registers ---- */

static const struct op *segment_moved(struct cpu *cpu, const struct op *op, uint16_t selector)
{
    uint32_t mode = cpu->mode;

    segment_load(cpu, op->reg, selector);
    if (op->reg == SEG_SS) {
        cpu->interrupt_shadow = cpu->debug_shadow = true;
        return leave_behind(cpu, op);
    }
    if (cpu->mode != mode)
        return leave(cpu, op);
    NEXT;
}

const struct op *op_mov_segment_register(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    return segment_moved(cpu, op, REG16(op->base));
}

const struct op *op_mov_segment_memory(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    return segment_moved(cpu, op, load(cpu, op->segment, address(cpu, op), 2));
}

const struct op *op_mov_register_segment(struct cpu *cpu, const struct op *op)
{
    reg_set(cpu, op->base, op->immediate ? 4 : 2, cpu->segment[op->reg].selector);
    NEXT;
}

const struct op *op_mov_memory_segment(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    store(cpu, op->segment, address(cpu, op), 2, cpu->segment[op->reg].selector);
    NEXT;
}

always const struct op *load_far(struct cpu *cpu, const struct op *op, unsigned size)
{
    uint64_t place = address(cpu, op), offset;
    enum segment_name name = op->immediate;

    MAY_FAULT;
    offset = load(cpu, op->segment, place, size);
    segment_load(cpu, name, load(cpu, op->segment, (place + size) & op->mask, 2));
    reg_set(cpu, op->reg, size, offset);
    return leave(cpu, op);
}

const struct op *op_load_far_16(struct cpu *cpu, const struct op *op)
{
    return load_far(cpu, op, 2);
}

const struct op *op_load_far_32(struct cpu *cpu, const struct op *op)
{
    return load_far(cpu, op, 4);
}

const struct op *op_load_far_64(struct cpu *cpu, const struct op *op)
{
    return load_far(cpu, op, 8);
}

/* ---- 0F 00: SLDT STR LLDT LTR VERR VERW ---- */

enum group_6 { SLDT, STR, LLDT, LTR, VERR, VERW };

static void need_for_group_6(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    if (modrm_reg(op) == LLDT || modrm_reg(op) == LTR)
        system_need_protected_ring0(cpu);
    else
        system_need_protected(cpu);
}

static void group_6_selector(struct cpu *cpu, unsigned which, uint16_t selector)
{
    switch (which) {
    case LLDT: system_lldt(cpu, selector); break;
    case LTR: system_ltr(cpu, selector); break;
    case VERR: flags_change(cpu, FLAG_ZF, system_verr(cpu, selector) ? FLAG_ZF : 0); break;
    default: flags_change(cpu, FLAG_ZF, system_verw(cpu, selector) ? FLAG_ZF : 0); break;
    }
}

const struct op *op_group6_register(struct cpu *cpu, const struct op *op)
{
    need_for_group_6(cpu, op);
    if (modrm_reg(op) <= STR)
        word_set(cpu, op, op->base, modrm_reg(op) == SLDT ? system_sldt(cpu) : system_str(cpu));
    else if (modrm_reg(op) <= VERW)
        group_6_selector(cpu, modrm_reg(op), REG16(op->base));
    else
        fault(cpu, VECTOR_UD);
    return leave_behind(cpu, op);
}

const struct op *op_group6_memory(struct cpu *cpu, const struct op *op)
{
    need_for_group_6(cpu, op);
    if (modrm_reg(op) <= STR)
        store(cpu, op->segment, address(cpu, op), 2,
              modrm_reg(op) == SLDT ? system_sldt(cpu) : system_str(cpu));
    else if (modrm_reg(op) <= VERW)
        group_6_selector(cpu, modrm_reg(op), load(cpu, op->segment, address(cpu, op), 2));
    else
        fault(cpu, VECTOR_UD);
    return leave_behind(cpu, op);
}

/* ---- 0F 01: SGDT SIDT LGDT LIDT SMSW LMSW INVLPG ---- */

enum group_7 { SGDT, SIDT, LGDT, LIDT, SMSW, LMSW = 6, INVLPG };

const struct op *op_group7_register(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    if (modrm_reg(op) == SMSW) {
        word_set(cpu, op, op->base, system_smsw(cpu));
    } else if (modrm_reg(op) == LMSW) {
        system_lmsw(cpu, REG16(op->base));
    } else {
        fault_because(cpu, "invalid opcode");
        fault(cpu, VECTOR_UD);
    }
    return leave_behind(cpu, op);
}

const struct op *op_group7_memory(struct cpu *cpu, const struct op *op)
{
    uint64_t offset = address(cpu, op);

    MAY_FAULT;
    switch (modrm_reg(op)) {
    case SGDT: system_store_gdt(cpu, op->segment, offset, operand_size(op)); break;
    case SIDT: system_store_idt(cpu, op->segment, offset, operand_size(op)); break;
    case LGDT: system_load_gdt(cpu, op->segment, offset, operand_size(op)); break;
    case LIDT: system_load_idt(cpu, op->segment, offset, operand_size(op)); break;
    case SMSW: store(cpu, op->segment, offset, 2, system_smsw(cpu)); break;
    case LMSW:
        system_need_ring0(cpu, "LMSW");
        system_lmsw(cpu, load(cpu, op->segment, offset, 2));
        break;
    case INVLPG: system_invlpg(cpu, (cpu->window[op->segment].base + offset) & cpu->linear_mask); break;
    default: fault_because(cpu, "invalid opcode"); fault(cpu, VECTOR_UD);
    }
    return leave_behind(cpu, op);
}

/* ---- LAR LSL ARPL ---- */

always const struct op *describe(struct cpu *cpu, const struct op *op, bool limit, bool memory)
{
    uint16_t selector;
    uint32_t value = 0;
    bool valid;

    MAY_FAULT;
    system_need_protected(cpu);
    selector = memory ? load(cpu, op->segment, address(cpu, op), 2) : REG16(op->base);
    valid = limit ? system_lsl(cpu, selector, &value) : system_lar(cpu, selector, &value);
    if (valid)
        word_set(cpu, op, op->reg, value);
    flags_change(cpu, FLAG_ZF, valid ? FLAG_ZF : 0);
    return leave(cpu, op);
}

const struct op *op_lar_register(struct cpu *cpu, const struct op *op)
{
    return describe(cpu, op, false, false);
}

const struct op *op_lar_memory(struct cpu *cpu, const struct op *op)
{
    return describe(cpu, op, false, true);
}

const struct op *op_lsl_register(struct cpu *cpu, const struct op *op)
{
    return describe(cpu, op, true, false);
}

const struct op *op_lsl_memory(struct cpu *cpu, const struct op *op)
{
    return describe(cpu, op, true, true);
}

const struct op *op_arpl_register(struct cpu *cpu, const struct op *op)
{
    uint16_t destination = REG16(op->base);
    bool changed;

    MAY_FAULT;
    system_need_protected(cpu);
    changed = system_arpl(cpu, &destination, REG16(op->reg));
    REG16(op->base) = destination;
    flags_change(cpu, FLAG_ZF, changed ? FLAG_ZF : 0);
    return leave(cpu, op);
}

/* The operand is written only if it changes: one that cannot be written is no fault before. */
const struct op *op_arpl_memory(struct cpu *cpu, const struct op *op)
{
    uint64_t offset = address(cpu, op);
    uint16_t destination;
    bool changed;

    MAY_FAULT;
    system_need_protected(cpu);
    destination = load(cpu, op->segment, offset, 2);
    changed = system_arpl(cpu, &destination, REG16(op->reg));
    if (changed)
        store(cpu, op->segment, offset, 2, destination);
    flags_change(cpu, FLAG_ZF, changed ? FLAG_ZF : 0);
    return leave(cpu, op);
}

/* ---- control and debug registers; caches ---- */

const struct op *op_mov_from_cr(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    word_set(cpu, op, modrm_rm(op) * 8, system_read_cr(cpu, modrm_reg(op)));
    NEXT;
}

const struct op *op_mov_to_cr(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    system_write_cr(cpu, modrm_reg(op), reg_get(cpu, modrm_rm(op) * 8, operand_size(op)));
    return leave_behind(cpu, op);
}

const struct op *op_mov_from_dr(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    word_set(cpu, op, modrm_rm(op) * 8, system_read_dr(cpu, modrm_reg(op)));
    NEXT;
}

const struct op *op_mov_to_dr(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    system_write_dr(cpu, modrm_reg(op), reg_get(cpu, modrm_rm(op) * 8, operand_size(op)));
    return leave_behind(cpu, op);
}

/* Handlers that call one function and go on, or leave. */
#define CALL_AND_GO_ON(name, call)                                                                           \
    const struct op *op_##name(struct cpu *cpu, const struct op *op)                                         \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        call;                                                                                                \
        NEXT;                                                                                                \
    }
#define CALL_AND_LEAVE(name, call)                                                                           \
    const struct op *op_##name(struct cpu *cpu, const struct op *op)                                         \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        call;                                                                                                \
        return leave_behind(cpu, op);                                                                        \
    }

CALL_AND_LEAVE(clts, system_clts(cpu))
CALL_AND_LEAVE(invd, system_wbinvd(cpu))
CALL_AND_LEAVE(wbinvd, system_wbinvd(cpu))
CALL_AND_LEAVE(wrmsr, system_wrmsr(cpu))
CALL_AND_GO_ON(rdmsr, system_rdmsr(cpu))
CALL_AND_GO_ON(rdtsc, system_rdtsc(cpu))
CALL_AND_GO_ON(rdpmc, system_rdpmc(cpu))
CALL_AND_GO_ON(cpuid, system_cpuid(cpu))
CALL_AND_GO_ON(cli, system_cli(cpu))
CALL_AND_LEAVE(sti, system_sti(cpu))
CALL_AND_LEAVE(hlt, system_hlt(cpu))
CALL_AND_GO_ON(fwait, x87_wait(cpu))

/* These put RIP where they go, as far branches do. op->immediate: the operand size. */
#define CALL_AND_GO_THERE(name, call)                                                                        \
    const struct op *op_##name(struct cpu *cpu, const struct op *op)                                         \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        call;                                                                                                \
        return leave_changed(cpu, op);                                                                       \
    }

CALL_AND_GO_THERE(syscall, system_syscall(cpu, next_rip(cpu, op)))
CALL_AND_GO_THERE(sysret, system_sysret(cpu, op->immediate))
CALL_AND_GO_THERE(sysenter, system_sysenter(cpu))
CALL_AND_GO_THERE(sysexit, system_sysexit(cpu))
CALL_AND_LEAVE(swapgs, system_swapgs(cpu))
CALL_AND_LEAVE(hypercall, system_hypercall(cpu))
CALL_AND_GO_ON(rdtscp, system_rdtscp(cpu))
CALL_AND_LEAVE(stac, system_alignment_flag(cpu, true))
CALL_AND_LEAVE(clac, system_alignment_flag(cpu, false))
CALL_AND_GO_ON(read_base, reg_set(cpu, op->base, op->scale, system_read_base(cpu, op->reg)))
CALL_AND_LEAVE(write_base, system_write_base(cpu, op->reg, reg_get(cpu, op->base, op->scale)))
CALL_AND_LEAVE(invpcid, system_invpcid(cpu, reg_get(cpu, op->reg, in_64bit_code(cpu) ? 8 : 4), op->segment,
                                       address(cpu, op)))
/* There is no cache to write back: what remains are the checks of a read. */
CALL_AND_GO_ON(clflush, load(cpu, op->segment, address(cpu, op), 1))

/* Not inline: a local whose address is taken would turn the handler's jump to the next one into a call. */
static cold bool random_to_register(struct cpu *cpu, const struct op *op)
{
    uint64_t value = 0;
    bool success = true;

    if (cpu->soft->turns)
        value = turn_random(cpu->soft);
    else
        success = getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value);
    reg_set(cpu, op->base, op->scale, success ? value : 0);
    return success;
}

/* RDRAND and RDSEED: the host's. CF says that there was something; the other flags are cleared. */
const struct op *op_random(struct cpu *cpu, const struct op *op)
{
    flags_set_arithmetic(cpu, random_to_register(cpu, op) ? FLAG_CF : 0);
    NEXT;
}

/* A hint that the CPU spins: what it waits for may have come. */
const struct op *op_pause(struct cpu *cpu, const struct op *op)
{
    system_pause(cpu);
    NEXT_OR_LEAVE;
}

/* ---- PUSHF and POPF ---- */

#define FLAG_STACK(size)                                                                                     \
    static const struct op *push_flags_##size(struct cpu *cpu, const struct op *op)                          \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        push(cpu, size, system_pushf(cpu, size));                                                            \
        NEXT;                                                                                                \
    }                                                                                                        \
    static const struct op *pop_flags_##size(struct cpu *cpu, const struct op *op)                           \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        system_popf_check(cpu, size);                                                                        \
        system_popf(cpu, pop(cpu, size), size);                                                              \
        return leave_behind(cpu, op);                                                                        \
    }
FLAG_STACK(2)
FLAG_STACK(4)
FLAG_STACK(8)
size_table push_flags = {push_flags_2, push_flags_4, push_flags_8};
size_table pop_flags = {pop_flags_2, pop_flags_4, pop_flags_8};

/* ---- the FPU: opcode, ModRM and operand size in a byte of op->immediate each ---- */

const struct op *op_x87_register(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    x87_register(cpu, op->immediate, op->immediate >> 8);
    NEXT;
}

const struct op *op_x87_memory(struct cpu *cpu, const struct op *op)
{
    MAY_FAULT;
    x87_memory(cpu, op->immediate, op->immediate >> 8, op->segment, address(cpu, op), op->immediate >> 16);
    NEXT;
}

/*
 * String instructions and port input and output.
 *
 * A repeated move or store of memory goes by chunks: as far as source and destination are plain memory in one page
 * each. Registers are brought up to date after each chunk or element, so that a fault or an interrupt finds them in
 * order and the instruction can go on. A move upwards onto itself propagates, element by element.
 * Source: SDM volume 2, REP and each instruction; volume 1, 7.3.9.
 */
#include "cpu/soft/device.h"
#include "cpu/soft/dispatch.h"
#include "cpu/soft/execute.h"
#include "cpu/soft/flags.h"

enum repeat { REPEAT_NONE, REPEAT_EQUAL, REPEAT_NOT_EQUAL };

always uint64_t masked(const struct cpu *cpu, const struct op *op, enum gpr reg)
{
    return cpu->gpr[reg] & op->mask;
}

always void masked_add(struct cpu *cpu, const struct op *op, enum gpr reg, int64_t amount)
{
    uint64_t value = cpu->gpr[reg];

    cpu->gpr[reg] = (value & ~op->mask & UINT32_MAX) | ((value + amount) & op->mask);
}

always int64_t element_step(const struct cpu *cpu, unsigned size)
{
    return cpu->rflags & FLAG_DF ? -(int64_t)size : (int64_t)size;
}

/* Something wants to be looked at, or single steps show every element. */
always bool interrupted(const struct cpu *cpu)
{
    return atomic_load_explicit(&cpu->attention, memory_order_relaxed) != 0;
}

/* Back to the instruction itself; what it has done so far stands in the registers. */
static const struct op *leave_repeating(struct cpu *cpu, const struct op *op)
{
    return leave_at(cpu, op, instruction_rip(cpu), 0);
}

/* ---- chunks ---- */

/* How many elements from this offset up lie in one page, the segment and the address size. */
always uint64_t chunk_room(const struct op *op, uint64_t offset, uint64_t linear, uint64_t end, unsigned size)
{
    uint64_t page = PAGE_SIZE - (linear & ~PAGE_MASK), wrap = op->mask - offset + 1;
    uint64_t bytes = page < wrap ? page : wrap;

    if (offset >= end)
        return 0;
    return (bytes < end - offset ? bytes : end - offset) / size;
}

static uint8_t *chunk_host(struct cpu *cpu, uint64_t linear, bool write)
{
    const struct tlb_entry *entry = tlb_slot(cpu->tlb, linear);
    uint64_t tag = write ? tlb_write_tag(entry) : entry->read_tag;

    return tlb_hit(tag, linear, 1) ? tlb_host(entry, tag, linear) : NULL;
}

static uint8_t *chunk_at(struct cpu *cpu, const struct op *op, enum segment_name name, enum gpr reg,
                         bool write, unsigned size, uint64_t *elements)
{
    uint64_t offset = masked(cpu, op, reg), linear = (cpu->window[name].base + offset) & cpu->linear_mask;
    uint64_t end = write ? cpu->window[name].write_end : cpu->window[name].read_end;
    uint64_t room = chunk_room(op, offset, linear, end, size);

    if (room < *elements)
        *elements = room;
    return *elements ? chunk_host(cpu, linear, write) : NULL;
}

/* Elements upwards, each read before it is written: an overlap propagates. */
always void copy_elements(uint8_t *to, const uint8_t *from, uint64_t elements, unsigned size)
{
    for (uint64_t i = 0; i < elements; i++)
        host_store(to + i * size, size, host_load(from + i * size, size));
}

/* Moves what can be moved at once; the answer is how many elements, perhaps 0. */
always uint64_t move_chunk(struct cpu *cpu, const struct op *op, unsigned size, uint64_t count)
{
    uint64_t elements = count;
    uint8_t *from = chunk_at(cpu, op, op->segment, RSI, false, size, &elements);
    uint8_t *to = from ? chunk_at(cpu, op, SEG_ES, RDI, true, size, &elements) : NULL;

    if (!to)
        return 0;
    if (to > from && to < from + elements * size)
        copy_elements(to, from, elements, size);
    else
        memmove(to, from, elements * size);
    return elements;
}

always uint64_t store_chunk(struct cpu *cpu, const struct op *op, unsigned size, uint64_t count)
{
    uint64_t elements = count, value = cpu->gpr[RAX];
    uint8_t *to = chunk_at(cpu, op, SEG_ES, RDI, true, size, &elements);

    if (!to)
        return 0;
    if (size == 1)
        memset(to, value, elements);
    else
        for (uint64_t i = 0; i < elements; i++)
            host_store(to + i * size, size, value);
    return elements;
}

/* ---- elements ---- */

enum string { MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS };

always void ports_check(struct cpu *cpu, uint16_t port, unsigned size)
{
    unsigned iopl = (cpu->rflags & FLAG_IOPL) >> FLAG_IOPL_SHIFT;

    if ((cpu->cr0 & CR0_PE) && (cpl(cpu) > iopl || (cpu->rflags & FLAG_VM)))
        task_check_ports(cpu, port, size);
}

/* Before a port is read, its value must have a place to go to. */
always void write_assure(struct cpu *cpu, uint64_t linear, unsigned size)
{
    if (!tlb_hit(tlb_write_tag(tlb_slot(cpu->tlb, linear)), linear, size))
        write_check(cpu, linear, size, is_user(cpu));
}

always void string_port(struct cpu *cpu, const struct op *op, enum string kind, unsigned size, int64_t step)
{
    uint16_t port = cpu->gpr[RDX];

    if (kind == INS) {
        uint64_t linear = segment_linear(cpu, SEG_ES, masked(cpu, op, RDI), size, true);

        write_assure(cpu, linear, size);
        store_linear(cpu, linear, size, device_read(cpu, cpu->machine->ports, port, size));
        masked_add(cpu, op, RDI, step);
    } else {
        uint64_t value = load(cpu, op->segment, masked(cpu, op, RSI), size);

        device_write(cpu, cpu->machine->ports, port, size, value);
        masked_add(cpu, op, RSI, step);
    }
}

always void string_element(struct cpu *cpu, const struct op *op, enum string kind, unsigned size)
{
    int64_t step = element_step(cpu, size), left, right;

    switch (kind) {
    case MOVS:
        store(cpu, SEG_ES, masked(cpu, op, RDI), size, load(cpu, op->segment, masked(cpu, op, RSI), size));
        masked_add(cpu, op, RSI, step);
        masked_add(cpu, op, RDI, step);
        break;
    case STOS:
        store(cpu, SEG_ES, masked(cpu, op, RDI), size, cpu->gpr[RAX]);
        masked_add(cpu, op, RDI, step);
        break;
    case LODS:
        reg_set(cpu, RAX * 8, size, load(cpu, op->segment, masked(cpu, op, RSI), size));
        masked_add(cpu, op, RSI, step);
        break;
    case CMPS:
        left = sign_extend(load(cpu, op->segment, masked(cpu, op, RSI), size), size);
        right = sign_extend(load(cpu, SEG_ES, masked(cpu, op, RDI), size), size);
        flags_defer(cpu, FLAGS_SUB, sign_extend((uint64_t)left - right, size), left, right);
        masked_add(cpu, op, RSI, step);
        masked_add(cpu, op, RDI, step);
        break;
    case SCAS:
        left = sign_extend(cpu->gpr[RAX], size);
        right = sign_extend(load(cpu, SEG_ES, masked(cpu, op, RDI), size), size);
        flags_defer(cpu, FLAGS_SUB, sign_extend((uint64_t)left - right, size), left, right);
        masked_add(cpu, op, RDI, step);
        break;
    default: string_port(cpu, op, kind, size, step); break;
    }
}

always uint64_t string_chunk(struct cpu *cpu, const struct op *op, enum string kind, unsigned size,
                             uint64_t count)
{
    uint64_t done;

    if ((kind != MOVS && kind != STOS) || (cpu->rflags & FLAG_DF) || (cpu->block->mode & MODE_SINGLE))
        return 0;
    done = kind == MOVS ? move_chunk(cpu, op, size, count) : store_chunk(cpu, op, size, count);
    if (kind == MOVS)
        masked_add(cpu, op, RSI, done * size);
    masked_add(cpu, op, RDI, done * size);
    return done;
}

always const struct op *string(struct cpu *cpu, const struct op *op, enum string kind, unsigned size,
                               enum repeat repeat)
{
    uint64_t done;

    MAY_FAULT;
    if (kind == INS || kind == OUTS)
        ports_check(cpu, cpu->gpr[RDX], size);
    if (repeat == REPEAT_NONE) {
        string_element(cpu, op, kind, size);
        if (kind == INS || kind == OUTS)
            NEXT_OR_LEAVE;
        NEXT;
    }
    while (masked(cpu, op, RCX) != 0) {
        done = string_chunk(cpu, op, kind, size, masked(cpu, op, RCX));
        if (done == 0) {
            string_element(cpu, op, kind, size);
            done = 1;
        }
        masked_add(cpu, op, RCX, -(int64_t)done);
        if ((kind == CMPS || kind == SCAS) && flag_zero(cpu) != (repeat == REPEAT_EQUAL))
            break;
        if (unlikely(interrupted(cpu)) && masked(cpu, op, RCX) != 0)
            return leave_repeating(cpu, op);
    }
    NEXT_OR_LEAVE;
}

#define STRING(name, kind, size)                                                                             \
    static const struct op *name##_##size(struct cpu *cpu, const struct op *op)                              \
    {                                                                                                        \
        return string(cpu, op, kind, size, REPEAT_NONE);                                                     \
    }                                                                                                        \
    static const struct op *name##_equal_##size(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        return string(cpu, op, kind, size, REPEAT_EQUAL);                                                    \
    }                                                                                                        \
    static const struct op *name##_not_equal_##size(struct cpu *cpu, const struct op *op)                    \
    {                                                                                                        \
        return string(cpu, op, kind, size, REPEAT_NOT_EQUAL);                                                \
    }
#define STRING_ROW(name, size)                                                                               \
    {                                                                                                        \
        name##_##size, name##_equal_##size, name##_not_equal_##size                                          \
    }
#define STRING_TABLE(name, kind)                                                                             \
    STRING(name, kind, 1)                                                                                    \
    STRING(name, kind, 2)                                                                                    \
    STRING(name, kind, 4)                                                                                    \
    STRING(name, kind, 8)                                                                                    \
    op_function *const name[WIDTHS][3] = {STRING_ROW(name, 1), STRING_ROW(name, 2), STRING_ROW(name, 4),     \
                                          STRING_ROW(name, 8)};
/* Ports have no more than 32 bits. */
#define STRING_PORT_TABLE(name, kind)                                                                        \
    STRING(name, kind, 1)                                                                                    \
    STRING(name, kind, 2)                                                                                    \
    STRING(name, kind, 4)                                                                                    \
    op_function *const name[WIDTHS][3] = {STRING_ROW(name, 1), STRING_ROW(name, 2), STRING_ROW(name, 4)};

STRING_TABLE(string_move, MOVS)
STRING_TABLE(string_store, STOS)
STRING_TABLE(string_load, LODS)
STRING_TABLE(string_compare, CMPS)
STRING_TABLE(string_scan, SCAS)
STRING_PORT_TABLE(string_in, INS)
STRING_PORT_TABLE(string_out, OUTS)

/* ---- IN and OUT ---- */

always const struct op *input(struct cpu *cpu, const struct op *op, uint16_t port, unsigned size)
{
    MAY_FAULT;
    ports_check(cpu, port, size);
    reg_set(cpu, RAX * 8, size, device_read(cpu, cpu->machine->ports, port, size));
    NEXT_OR_LEAVE;
}

always const struct op *output(struct cpu *cpu, const struct op *op, uint16_t port, unsigned size)
{
    MAY_FAULT;
    ports_check(cpu, port, size);
    device_write(cpu, cpu->machine->ports, port, size, reg_get(cpu, RAX * 8, size));
    NEXT_OR_LEAVE;
}

#define PORT(size)                                                                                           \
    static const struct op *port_in_##size##_immediate(struct cpu *cpu, const struct op *op)                 \
    {                                                                                                        \
        return input(cpu, op, op->immediate & 0xff, size);                                                   \
    }                                                                                                        \
    static const struct op *port_in_##size##_dx(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        return input(cpu, op, cpu->gpr[RDX], size);                                                          \
    }                                                                                                        \
    static const struct op *port_out_##size##_immediate(struct cpu *cpu, const struct op *op)                \
    {                                                                                                        \
        return output(cpu, op, op->immediate & 0xff, size);                                                  \
    }                                                                                                        \
    static const struct op *port_out_##size##_dx(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        return output(cpu, op, cpu->gpr[RDX], size);                                                         \
    }
PORT(1)
PORT(2)
PORT(4)
#define PORT_ROW(name, size)                                                                                 \
    {                                                                                                        \
        name##_##size##_immediate, name##_##size##_dx                                                        \
    }
op_function *const port_in[WIDTHS][2] = {PORT_ROW(port_in, 1), PORT_ROW(port_in, 2), PORT_ROW(port_in, 4)};
op_function *const port_out[WIDTHS][2] = {PORT_ROW(port_out, 1), PORT_ROW(port_out, 2),
                                          PORT_ROW(port_out, 4)};

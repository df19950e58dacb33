/*
 * Host instructions, written byte by byte: the encodings of x86-64 that the translator needs.
 *
 * An instruction is an opcode (with its map and mandatory prefix in the upper bytes), an operand size of 1, 2, 4 or 8
 * bytes, and two operands: a register and a register or a place in memory. Source: Intel SDM volume 2, 2.1 and 2.2.
 */
#ifndef SOFT_EMIT_H
#define SOFT_EMIT_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum host_register {
    HOST_RAX,
    HOST_RCX,
    HOST_RDX,
    HOST_RBX,
    HOST_RSP,
    HOST_RBP,
    HOST_RSI,
    HOST_RDI,
    HOST_R8,
    HOST_R9,
    HOST_R10,
    HOST_R11,
    HOST_R12,
    HOST_R13,
    HOST_R14,
    HOST_R15,
    HOST_NONE,
    HOST_HIGH = 0x20, /* added to RAX to RBX: AH to BH; not together with what needs a REX prefix */
};

/* Opcodes: bits 7 to 0 the byte, 15 to 8 the map, 23 to 16 the mandatory prefix. */
#define MAP_0F(byte)   (0x0f00 | (byte))
#define MAP_0F38(byte) (0x3800 | (byte))
#define MAP_0F3A(byte) (0x3a00 | (byte))
#define PREFIX_66(op)  (0x660000 | (op))
#define PREFIX_F2(op)  (0xf20000 | (op))
#define PREFIX_F3(op)  (0xf30000 | (op))

enum host_opcode {
    OPCODE_MOV_STORE =
        0x89, /* r/m = reg; the even neighbour is the form of one byte, added by the operand size */
    OPCODE_MOV_LOAD = 0x8b,
    OPCODE_MOV_IMMEDIATE = 0xc7,
    OPCODE_LEA = 0x8d,
    OPCODE_TEST = 0x85,
    OPCODE_XCHG = 0x87,
    OPCODE_GROUP_1 = 0x81, /* ADD to CMP by immediate */
    OPCODE_GROUP_3 = 0xf7, /* TEST by immediate, NOT, NEG, MUL, IMUL, DIV, IDIV */
    OPCODE_GROUP_5 = 0xff, /* INC, DEC; calls and jumps */
    OPCODE_MOVZX_8 = MAP_0F(0xb6),
    OPCODE_MOVZX_16 = MAP_0F(0xb7),
    OPCODE_MOVSX_8 = MAP_0F(0xbe),
    OPCODE_MOVSX_16 = MAP_0F(0xbf),
    OPCODE_MOVSX_32 = 0x63,
};

/* In the order of the opcodes. */
enum host_binary { HOST_ADD, HOST_OR, HOST_ADC, HOST_SBB, HOST_AND, HOST_SUB, HOST_XOR, HOST_CMP };
enum host_condition {
    IF_OVERFLOW,
    IF_NO_OVERFLOW,
    IF_CARRY,
    IF_NO_CARRY,
    IF_ZERO,
    IF_NOT_ZERO,
    IF_NOT_ABOVE,
    IF_ABOVE,
    IF_SIGN,
    IF_PARITY = 10,
};

struct emitter {
    uint8_t *at, *end; /* where bytes are written */
    bool full;         /* they did not all fit */
};

/* [base + index * 2^scale + displacement] */
struct place {
    uint8_t base, index, scale;
    int32_t displacement;
};

static inline struct place place_at(unsigned base, int32_t displacement)
{
    return (struct place){base, HOST_NONE, 0, displacement};
}

static inline void emit_byte(struct emitter *e, uint8_t byte)
{
    if (e->at == e->end)
        e->full = true;
    else
        *e->at++ = byte;
}

static inline void emit_32(struct emitter *e, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        emit_byte(e, value >> (8 * i));
}

static inline void emit_64(struct emitter *e, uint64_t value)
{
    emit_32(e, value);
    emit_32(e, value >> 32);
}

static inline bool needs_rex(unsigned reg, unsigned size)
{
    return size == 1 && reg >= HOST_RSP && reg <= HOST_RDI;
}

/* Prefixes, REX and opcode. `x` and `b` are the registers that REX.X and REX.B extend; HOST_NONE: none. */
static inline void emit_opcode(struct emitter *e, unsigned size, uint32_t opcode, unsigned reg, unsigned x,
                               unsigned b, bool rex)
{
    unsigned map = opcode >> 8 & 0xff, prefix = opcode >> 16 & 0xff;
    uint8_t bits = (size == 8) << 3 | (reg >> 3 & 1) << 2 | (x != HOST_NONE && (x & 8)) << 1 |
                   (b != HOST_NONE && (b & 8));

    if (size == 2)
        emit_byte(e, 0x66);
    if (prefix)
        emit_byte(e, prefix);
    assert(!(bits || rex) || !((reg | (b == HOST_NONE ? 0 : b)) & HOST_HIGH));
    if (bits || rex)
        emit_byte(e, 0x40 | bits);
    if (map)
        emit_byte(e, 0x0f);
    if (map == 0x38 || map == 0x3a)
        emit_byte(e, map);
    emit_byte(e, opcode);
}

static inline unsigned register_code(unsigned reg)
{
    return reg & HOST_HIGH ? (reg & 3) + 4 : reg & 7;
}

/* opcode with ModRM: register and register. For size 1 the opcode must be that of the form of one byte. */
static inline void emit_registers(struct emitter *e, unsigned size, uint32_t opcode, unsigned reg,
                                  unsigned rm)
{
    emit_opcode(e, size, opcode, reg, HOST_NONE, rm, needs_rex(reg, size) || needs_rex(rm, size));
    emit_byte(e, 0xc0 | register_code(reg) << 3 | register_code(rm));
}

/* The same where ModRM.reg is part of the opcode. */
static inline void emit_group(struct emitter *e, unsigned size, uint32_t opcode, unsigned extension,
                              unsigned rm)
{
    emit_opcode(e, size, opcode, 0, HOST_NONE, rm, needs_rex(rm, size));
    emit_byte(e, 0xc0 | extension << 3 | register_code(rm));
}

static inline void emit_place(struct emitter *e, unsigned reg, struct place place)
{
    bool small = place.displacement >= INT8_MIN && place.displacement <= INT8_MAX;
    bool none = place.displacement == 0 && (place.base & 7) != HOST_RBP;
    unsigned mod = none ? 0 : small ? 1 : 2;

    if (place.index != HOST_NONE || (place.base & 7) == HOST_RSP) {
        unsigned index = place.index == HOST_NONE ? HOST_RSP : place.index & 7;

        emit_byte(e, mod << 6 | register_code(reg) << 3 | 4);
        emit_byte(e, place.scale << 6 | index << 3 | (place.base & 7));
    } else {
        emit_byte(e, mod << 6 | register_code(reg) << 3 | (place.base & 7));
    }
    if (mod == 1)
        emit_byte(e, place.displacement);
    else if (mod == 2)
        emit_32(e, place.displacement);
}

/* opcode with ModRM: register and memory. The place has a base. */
static inline void emit_memory(struct emitter *e, unsigned size, uint32_t opcode, unsigned reg,
                               struct place place)
{
    emit_opcode(e, size, opcode, reg, place.index, place.base, needs_rex(reg, size));
    emit_place(e, reg, place);
}

/* ---- the everyday ones ---- */

static inline uint32_t sized(unsigned size, uint32_t opcode)
{
    return size == 1 ? opcode & ~1u : opcode;
}

static inline void emit_move(struct emitter *e, unsigned size, unsigned to, unsigned from)
{
    emit_registers(e, size, sized(size, OPCODE_MOV_LOAD), to, from);
}

static inline void emit_load(struct emitter *e, unsigned size, unsigned to, struct place from)
{
    emit_memory(e, size, sized(size, OPCODE_MOV_LOAD), to, from);
}

static inline void emit_store(struct emitter *e, unsigned size, struct place to, unsigned from)
{
    emit_memory(e, size, sized(size, OPCODE_MOV_STORE), from, to);
}

/* With upper bits of zero. */
static inline void emit_load_extended(struct emitter *e, unsigned size, unsigned to, struct place from)
{
    if (size >= 4)
        emit_load(e, size, to, from);
    else
        emit_memory(e, 4, size == 1 ? OPCODE_MOVZX_8 : OPCODE_MOVZX_16, to, from);
}

static inline void emit_address(struct emitter *e, unsigned size, unsigned to, struct place from)
{
    emit_memory(e, size, OPCODE_LEA, to, from);
}

/* MOVZX, MOVSX: `size` bytes of `to` out of `from_size` of `from`. */
static inline void emit_extension(struct emitter *e, unsigned size, uint32_t opcode, unsigned to,
                                  unsigned from, unsigned from_size)
{
    emit_opcode(e, size, opcode, to, HOST_NONE, from, needs_rex(from, from_size));
    emit_byte(e, 0xc0 | register_code(to) << 3 | register_code(from));
}

static inline void emit_group_memory(struct emitter *e, unsigned size, uint32_t opcode, unsigned extension,
                                     struct place place)
{
    emit_opcode(e, size, opcode, 0, place.index, place.base, false);
    emit_place(e, extension, place);
}

static inline void emit_set_condition(struct emitter *e, unsigned condition, unsigned reg)
{
    emit_group(e, 1, MAP_0F(0x90 | condition), 0, reg);
}

static inline void emit_set_condition_in(struct emitter *e, unsigned condition, struct place place)
{
    emit_group_memory(e, 1, MAP_0F(0x90 | condition), 0, place);
}

static inline void emit_constant(struct emitter *e, unsigned to, uint64_t value)
{
    if (value == (uint32_t)value) {
        emit_opcode(e, 4, 0xb8 | (to & 7), 0, HOST_NONE, to, false);
        emit_32(e, value);
    } else if ((int64_t)value == (int32_t)value) {
        emit_group(e, 8, OPCODE_MOV_IMMEDIATE, 0, to);
        emit_32(e, value);
    } else {
        emit_opcode(e, 8, 0xb8 | (to & 7), 0, HOST_NONE, to, false);
        emit_64(e, value);
    }
}

/* An immediate as wide as the operand, but 32 bits for 64. */
static inline void emit_immediate(struct emitter *e, unsigned size, uint32_t value)
{
    emit_byte(e, value);
    if (size >= 2)
        emit_byte(e, value >> 8);
    if (size >= 4) {
        emit_byte(e, value >> 16);
        emit_byte(e, value >> 24);
    }
}

static inline void emit_store_constant(struct emitter *e, unsigned size, struct place to, int32_t value)
{
    emit_group_memory(e, size, sized(size, OPCODE_MOV_IMMEDIATE), 0, to);
    emit_immediate(e, size, value);
}

static inline bool is_short(unsigned size, int32_t value)
{
    return size > 1 && value >= INT8_MIN && value <= INT8_MAX;
}

static inline void emit_binary_tail(struct emitter *e, unsigned size, int32_t value)
{
    if (is_short(size, value))
        emit_byte(e, value);
    else
        emit_immediate(e, size, value);
}

static inline uint32_t binary_opcode(unsigned size, int32_t value)
{
    return is_short(size, value) ? 0x83 : sized(size, OPCODE_GROUP_1);
}

static inline void emit_binary_constant(struct emitter *e, unsigned size, enum host_binary kind, unsigned reg,
                                        int32_t value)
{
    emit_group(e, size, binary_opcode(size, value), kind, reg);
    emit_binary_tail(e, size, value);
}

static inline void emit_binary_memory_constant(struct emitter *e, unsigned size, enum host_binary kind,
                                               struct place place, int32_t value)
{
    emit_group_memory(e, size, binary_opcode(size, value), kind, place);
    emit_binary_tail(e, size, value);
}

/* reg op= rm */
static inline void emit_binary(struct emitter *e, unsigned size, enum host_binary kind, unsigned reg,
                               unsigned rm)
{
    emit_registers(e, size, sized(size, kind << 3 | 3), reg, rm);
}

static inline void emit_binary_from(struct emitter *e, unsigned size, enum host_binary kind, unsigned reg,
                                    struct place place)
{
    emit_memory(e, size, sized(size, kind << 3 | 3), reg, place);
}

static inline void emit_binary_to(struct emitter *e, unsigned size, enum host_binary kind, struct place place,
                                  unsigned reg)
{
    emit_memory(e, size, sized(size, kind << 3 | 1), reg, place);
}

/* ---- jumps: the 32-bit distance is put in later by emit_patch(); the answer is where it stands ---- */

static inline uint8_t *emit_jump(struct emitter *e)
{
    emit_byte(e, 0xe9);
    emit_32(e, 0);
    return e->at - 4;
}

static inline uint8_t *emit_jump_if(struct emitter *e, unsigned condition)
{
    emit_byte(e, 0x0f);
    emit_byte(e, 0x80 | condition);
    emit_32(e, 0);
    return e->at - 4;
}

/* `target` lies in the same memory as `where`, as written. */
static inline void emit_patch(uint8_t *where, const uint8_t *target)
{
    int32_t distance = target - (where + 4);

    memcpy(where, &distance, 4);
}

static inline void emit_jump_to(struct emitter *e, const uint8_t *target)
{
    uint8_t *where = emit_jump(e);

    if (!e->full)
        emit_patch(where, target);
}

static inline void emit_call_to(struct emitter *e, const uint8_t *target)
{
    emit_byte(e, 0xe8);
    emit_32(e, 0);
    if (!e->full)
        emit_patch(e->at - 4, target);
}

#endif

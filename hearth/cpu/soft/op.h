/*
 * A decoded instruction, and how handlers pass on to the next one.
 *
 * All handlers have one signature. In optimised builds NEXT is a sibling call, that is a jump, to the handler of the
 * following operation (threaded code: the host's branch predictor sees one indirect jump for each handler). With
 * PLAIN_DISPATCH, for sanitizers and -O0, handlers return the next operation to a driver loop. Either way NULL means:
 * out to the run loop, with cpu->rip exact.
 */
#ifndef SOFT_OP_H
#define SOFT_OP_H

#include "cpu/soft/cpu.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define always      static inline __attribute__((always_inline))
#define cold        __attribute__((noinline, cold))

typedef const struct op *op_function(struct cpu *cpu, const struct op *op);

/* Registers are byte offsets in struct cpu: EAX 0, ECX 8; AH is 1; offsetof(struct cpu, zero) stands for none. */
struct op {
    op_function *run;
    uint8_t reg;          /* the register operand (ModRM.reg, or the opcode's) */
    uint8_t base;         /* the register in ModRM.rm, or the base of the memory operand's address */
    uint8_t index;        /* of the memory operand's address */
    uint8_t scale;        /* 0 to 3 */
    uint32_t segment : 4; /* of the memory operand */
    uint32_t length : 4;  /* bytes of the instruction */
    uint32_t ordinal : 8; /* how many instructions of the block stand before it */
    uint32_t offset : 16; /* of its first byte from the start of the block */
    int32_t displacement;
    uint32_t immediate; /* sign-extended to the operand's width; branches: target - start of the block */
    uint64_t mask; /* of the address: FFFFh, FFFFFFFFh or all ones; branches: bit n: link n stays in the page;
                           MOV r64, imm64: the value */
};

/* What a block was decoded for; with its physical address its key. */
enum code_mode {
    MODE_CODE32 = 1 << 0,    /* CS.D */
    MODE_STACK32 = 1 << 1,   /* SS.B */
    MODE_FLAT = 1 << 2,      /* DS, ES, SS: base 0, 4 GiB, writable; no alignment checks */
    MODE_SINGLE = 1 << 3,    /* one instruction: TF, or the shadow of STI and MOV SS */
    MODE_CODE64 = 1 << 4,    /* EFER.LMA and CS.L; neither CODE32 nor STACK32 then */
    MODE_USER = 1 << 5,      /* CPL 3 */
    MODE_FLAT_CODE = 1 << 6, /* CS outside of 64-bit code: base 0, 4 GiB */
    MODE_TURNS = 1 << 8,     /* each block begins with op_turn */
    MODE_ATOMIC = 1 << 7,    /* several CPUs run at a time: LOCK locks */
};

struct translation;
struct use;

enum block_link { LINK_TAKEN, LINK_FALL, LINK_NONE, BLOCK_LINKS = LINK_NONE };

struct block {
    uint64_t physical; /* UINT64_MAX: dead */
    uint32_t mode;
    uint16_t length; /* bytes */
    uint16_t count;  /* instructions */
    uint8_t lead;    /* operations in front of the first instruction's: 1 with MODE_TURNS */
    bool crosses;    /* its one instruction runs into second_page (physical) */
    uint64_t second_page;
    uint32_t runs; /* counted until the block is translated */
    struct block *hash_next, *page_next[2];
    op_function *first; /* of ops[0], whose place the translator's may have taken: translate.h */
    struct translation *translations; /* that begin with this block */
    struct use *uses;                 /* translations that it is a part of */
    struct block
        *link[BLOCK_LINKS]; /* where it goes on: taken branch (or the last indirect target), fall-through */
    struct op ops[];
};

#ifdef PLAIN_DISPATCH
#define GO(operation) return (operation)
#else
#define GO(operation) return (operation)->run(cpu, operation)
#endif
#define NEXT GO(op + 1)

/* Before the first access that may fault. */
#define MAY_FAULT (cpu->op = op)

/* The RIP of the instruction under way and of the one behind it. */
always uint64_t instruction_rip(const struct cpu *cpu)
{
    return cpu->op ? (cpu->rip + cpu->op->offset) & cpu->linear_mask : cpu->rip;
}

/* IP does not wrap at 64 KiB: running off the end is a fault. */
always uint64_t next_rip(const struct cpu *cpu, const struct op *op)
{
    return (cpu->rip + op->offset + op->length) & cpu->linear_mask;
}

/* Registers. A 32-bit write clears the upper half, as in long mode. */
#define REG8(offset)  (*(uint8_t *)((char *)cpu + (offset)))
#define REG16(offset) (*(uint16_t *)((char *)cpu + (offset)))
#define REG32(offset) (*(uint32_t *)((char *)cpu + (offset)))
#define REG64(offset) (*(uint64_t *)((char *)cpu + (offset)))

always uint64_t reg_get(const struct cpu *cpu, unsigned offset, unsigned size)
{
    return size == 1 ? REG8(offset) : size == 2 ? REG16(offset) : size == 4 ? REG32(offset) : REG64(offset);
}

always void reg_set(struct cpu *cpu, unsigned offset, unsigned size, uint64_t value)
{
    if (size == 1)
        REG8(offset) = value;
    else if (size == 2)
        REG16(offset) = value;
    else
        REG64(offset) = size == 4 ? (uint32_t)value : value;
}

/* The offset of the memory operand in its segment. */
always uint64_t address(const struct cpu *cpu, const struct op *op)
{
    return (REG64(op->base) + (REG64(op->index) << op->scale) + (int64_t)op->displacement) & op->mask;
}

#endif

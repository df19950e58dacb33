/*
 * Between the two halves of the decoder: decode.c (lengths, operands, blocks) and decode-opcodes.c (the opcode maps).
 */
#ifndef SOFT_DECODE_H
#define SOFT_DECODE_H

#include <Zydis/Zydis.h>

#include "cpu/soft/code.h"
#include "cpu/soft/execute.h"

enum { NO_REGISTER = offsetof(struct cpu, zero), WIDTH_8 = 0 };

/* One instruction on its way. */
struct decoder {
    ZydisDecoder zydis;
    ZydisDecodedInstruction in;
    struct op *op;
    const struct block *block;
    uint8_t modrm_reg, modrm_rm;
    bool memory; /* the ModRM operand is in memory */
    bool flat;   /* ... and needs no checks */
    bool wide;   /* 32-bit operands */
    bool address32, stack_flat, ends;
    unsigned width;         /* 1 or 2: of word operands, as an index into tables */
    unsigned repeat;        /* 0, 1 for F3, 2 for F2 */
    enum flags_known known; /* about the flags before this instruction */
    enum flags_known known_next;
};

/* A register's place in struct cpu. */
uint8_t decode_register(unsigned number, unsigned width);
/* The segment that a prefix names, or the default. */
enum segment_name decode_segment(const struct decoder *d, enum segment_name otherwise);
/* Sets op->base, index, scale, displacement and segment from ModRM; a register goes to base as one of `width`. */
void decode_modrm(struct decoder *d, unsigned width);
/* The same, and op->reg from ModRM.reg. */
void decode_modrm_register(struct decoder *d, unsigned width);
/* Sets d->flat for an operand whose segment is in op->segment. */
void decode_flatness(struct decoder *d);
void decode_immediate(struct decoder *d);
uint32_t decode_immediate_signed(const struct decoder *d);
/* Says in op->mask which of a branch's links stay in the page; `taken` is relative to the block. */
void decode_links(struct decoder *d, int64_t taken);

/* decode-opcodes.c: the handler for d->in; fills in the operands that it wants. */
op_function *decode_handler(struct decoder *d);

#endif

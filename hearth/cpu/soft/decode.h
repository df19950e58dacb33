/*
 * Between the parts of the decoder: decode.c (lengths, operands, blocks), decode-opcodes.c (the opcode maps),
 * decode-extensions.c (what came to the maps later: 0F 38, 0F 3A, VEX) and decode-sse.c (MMX and SSE).
 */
#ifndef SOFT_DECODE_H
#define SOFT_DECODE_H

#include <Zydis/Zydis.h>

#include "cpu/features.h"
#include "cpu/soft/code.h"
#include "cpu/soft/execute.h"

enum { NO_REGISTER = offsetof(struct cpu, zero), WIDTH_8 = 0 };

/* One instruction on its way. */
struct decoder {
    ZydisDecoder zydis;
    ZydisDecodedInstruction in;
    struct op *op;
    const struct block *block;
    const struct features *features; /* of the guest's model */
    uint8_t modrm_reg, modrm_rm;     /* with the fourth bit out of REX or VEX */
    bool memory;                     /* the ModRM operand is in memory */
    bool flat;                       /* ... and needs no checks */
    bool code64;                     /* 64-bit code */
    bool rex;                        /* a REX prefix: 4 to 7 are SPL to DIL */
    bool rex_w;                      /* REX.W or VEX.W; only in 64-bit code */
    bool size66;                     /* a prefix 66 */
    bool locked;                     /* LOCK, and it means something */
    bool stack_flat, ends;
    uint8_t high_reg, high_index, high_base; /* 8 or 0: REX.R, X and B */
    unsigned width;                          /* 1, 2 or 3: of word operands, as an index into tables */
    unsigned wide;                           /* width - 1: the index into those without bytes */
    unsigned stack,
        near; /* the same for PUSH and POP, and for near branches: 64 bits by default in 64-bit code */
    unsigned address;       /* 0, 1 or 2: addresses of 16, 32 or 64 bits */
    unsigned repeat;        /* 0, 1 for F3, 2 for F2 */
    enum flags_known known; /* about the flags before this instruction */
    enum flags_known known_next;
};

/* A general register's place in struct cpu. */
uint8_t decode_register(const struct decoder *d, unsigned number, unsigned width);
/* The segment that a prefix names, or the default. */
enum segment_name decode_segment(const struct decoder *d, enum segment_name otherwise);
/*
 * Sets op->base, index, scale, displacement, segment and d->memory from ModRM; a register goes to base as one of `width`.
 * With an immediate behind it: call this before decode_immediate() or after, they don't touch each other's fields.
 */
void decode_modrm(struct decoder *d, unsigned width);
/* The same, and op->reg from ModRM.reg. */
void decode_modrm_register(struct decoder *d, unsigned width);
/* Sets d->flat for an operand whose segment is in op->segment. */
void decode_flatness(struct decoder *d);
void decode_immediate(struct decoder *d);
uint32_t decode_immediate_signed(const struct decoder *d);
/* Says in op->mask which of a branch's links stay in the page; `taken` is relative to the block. */
void decode_links(struct decoder *d, int64_t taken);

/* decode-extensions.c: for opcodes of the maps 0F 38 and 0F 3A, and for VEX. */
op_function *decode_extension(struct decoder *d);
/*
 * decode-sse.c: asked first for every instruction of the legacy maps 0F, 0F 38 and 0F 3A. Answers the handler after it
 * has filled in d->op, or NULL for what is neither MMX nor SSE (FXSAVE, LDMXCSR, XSAVE, MASKMOV, EMMS, MOVNTI and
 * CRC32 belong to it; POPCNT, the fences without memory operand, CLFLUSH, MOVBE, ADCX and ADOX don't).
 * To its use: d->in (opcode, opcode_map, raw), size66, repeat (the last of F2 and F3), rex_w, width, code64;
 * decode_modrm() for the memory operand, whose handlers say address(cpu, op) and op->segment; d->modrm_reg and
 * d->modrm_rm number registers of any kind; decode_immediate() puts imm8 into op->immediate; op->reg is free.
 */
op_function *sse_decode(struct decoder *d);

/* identify.c: has the guest's model the instructions of this family (a ZydisISASet)? */
bool identify_has_instruction(const struct features *features, unsigned family);

/* decode-opcodes.c: the handler for d->in; fills in the operands that it wants. */
op_function *decode_handler(struct decoder *d);

#endif

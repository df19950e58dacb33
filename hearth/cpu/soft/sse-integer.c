/*
 * XMM instructions on which MXCSR has no influence: integers, logic, shuffles, AES, PCLMULQDQ, SHA, string compares.
 * Source: Intel SDM volume 2; volume 1, 10.4 to 12.13.
 */
#include "cpu/soft/execute.h"
#include "cpu/soft/sse-host.h"

/* ---- destination op= source ---- */

#define BINARY_HANDLERS(name, size)                                                                          \
    always vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        __asm__(#name " %1, %0" : "+x"(destination) : "x"(source));                                          \
        return destination;                                                                                  \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->reg, compute_##name(xmm_get(cpu, op->reg), xmm_get(cpu, op->base)));                \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        xmm_set(cpu, op->reg, compute_##name(xmm_get(cpu, op->reg), sse_load(cpu, op, size, true)));         \
        NEXT;                                                                                                \
    }
#define BINARY_WHOLE(name, mmx_size) BINARY_HANDLERS(name, 16)
MMX_AND_XMM(BINARY_WHOLE)
XMM_ONLY(BINARY_HANDLERS)

#define THREE_HANDLERS(name, size)                                                                           \
    always vector compute_##name(vector destination, vector source, vector third)                            \
    {                                                                                                        \
        __asm__(#name " %1, %0" : "+x"(destination) : "x"(source), "Yz"(third));                             \
        return destination;                                                                                  \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->reg,                                                                                \
                compute_##name(xmm_get(cpu, op->reg), xmm_get(cpu, op->base), xmm_get(cpu, 0)));             \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        xmm_set(cpu, op->reg,                                                                                \
                compute_##name(xmm_get(cpu, op->reg), sse_load(cpu, op, size, true), xmm_get(cpu, 0)));      \
        NEXT;                                                                                                \
    }
XMM_THREE(THREE_HANDLERS)

/* ---- with an immediate byte ---- */

/* INSERTPS takes its one element from memory whatever the bits say that choose one in a register. */
enum { INSERTPS_SOURCE = 0xc0 };

always unsigned immediate_in_memory(const struct op *op, unsigned size)
{
    return size == 4 ? op->immediate & ~INSERTPS_SOURCE : op->immediate;
}

#define IMMEDIATE_HANDLERS(name, size)                                                                       \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->reg, CODE_OF(name, op->immediate)(xmm_get(cpu, op->reg), xmm_get(cpu, op->base)));  \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        vector source;                                                                                       \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        source = sse_load(cpu, op, size, true);                                                              \
        xmm_set(cpu, op->reg, CODE_OF(name, immediate_in_memory(op, size))(xmm_get(cpu, op->reg), source));  \
        NEXT;                                                                                                \
    }
XMM_IMMEDIATE(IMMEDIATE_HANDLERS)

/* ---- shifts by an immediate: op->base is shifted ---- */

#define SHIFT_HANDLER(name)                                                                                  \
    const struct op *sse_shift_##name(struct cpu *cpu, const struct op *op)                                  \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->base, compute_##name(xmm_get(cpu, op->base), vector_low(op->immediate)));           \
        NEXT;                                                                                                \
    }
SHIFT_HANDLER(psrlw)
SHIFT_HANDLER(psraw)
SHIFT_HANDLER(psllw)
SHIFT_HANDLER(psrld)
SHIFT_HANDLER(psrad)
SHIFT_HANDLER(pslld)
SHIFT_HANDLER(psrlq)
SHIFT_HANDLER(psllq)

/* By bytes: a window of 16 bytes into the register between zeros. */
always void shift_bytes(struct cpu *cpu, unsigned number, int from)
{
    uint8_t bytes[3 * 16] = {0};

    memcpy(bytes + 16, cpu->xmm[number], 16);
    memcpy(cpu->xmm[number], bytes + 16 + from, 16);
}

const struct op *sse_shift_psrldq(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    shift_bytes(cpu, op->base, op->immediate < 16 ? op->immediate : 16);
    NEXT;
}

const struct op *sse_shift_pslldq(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    shift_bytes(cpu, op->base, -(int)(op->immediate < 16 ? op->immediate : 16));
    NEXT;
}

/* ---- flags ---- */

always void test(struct cpu *cpu, const struct op *op, vector source)
{
    bool zero, carry;

    __asm__("ptest %3, %2" : "=@ccz"(zero), "=@ccc"(carry) : "x"(xmm_get(cpu, op->reg)), "x"(source));
    flags_set_arithmetic(cpu, (zero ? FLAG_ZF : 0) | (carry ? FLAG_CF : 0));
}

const struct op *sse_ptest_register(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    test(cpu, op, xmm_get(cpu, op->base));
    NEXT;
}

const struct op *sse_ptest_memory(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    MAY_FAULT;
    test(cpu, op, sse_load(cpu, op, 16, true));
    NEXT;
}

/* ---- strings ---- */

enum { STRING_BYTES = 16 };

/* Lengths count up to 16, with either sign. */
static uint32_t string_length(uint64_t value, bool wide)
{
    int64_t length = wide ? (int64_t)value : (int32_t)value;

    return length > STRING_BYTES ? STRING_BYTES : length < -STRING_BYTES ? -STRING_BYTES : length;
}

static void strings_compare(struct cpu *cpu, const struct op *op, vector source, const uint8_t *codes,
                            bool mask)
{
    bool wide = op->immediate & SSE_WIDE;
    struct strings_outcome outcome;

    sse_host_strings(xmm_get(cpu, op->reg), source, codes + CODE_STEP * (op->immediate & UINT8_MAX),
                     string_length(cpu->gpr[RAX], wide), string_length(cpu->gpr[RDX], wide), &outcome);
    flags_set_arithmetic(cpu, outcome.flags & FLAGS_ARITHMETIC);
    if (mask)
        xmm_set(cpu, 0, outcome.xmm0);
    else
        cpu->gpr[RCX] = (uint32_t)outcome.ecx;
}

#define STRINGS_HANDLERS(name, size)                                                                         \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        strings_compare(cpu, op, xmm_get(cpu, op->base), sse_code_##name, #name[8] == 'm');                  \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        strings_compare(cpu, op, sse_load(cpu, op, size, false), sse_code_##name, #name[8] == 'm');          \
        NEXT;                                                                                                \
    }
XMM_STRINGS(STRINGS_HANDLERS)

/*
 * XMM instructions that compute under MXCSR: arithmetic, comparisons, conversions.
 *
 * Each is a function from two vectors to one, which sse_compute() calls: at once where the host's MXCSR is the guest's,
 * and else by way of sse_compute_slow(), which knows about unmasked exceptions. A result that goes elsewhere (flags,
 * a general or MMX register) is the low half of the vector.
 *
 * The asm statements are volatile: they read and write MXCSR, and must not be moved past its loads and stores.
 * Source: Intel SDM volume 2; volume 1, 10.4, 11.4 and 11.5.
 */
#include "cpu/soft/sse-host.h"

#define FUNCTION(name)                                                                                       \
    static vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        __asm__ volatile(#name " %1, %0" : "+x"(destination) : "x"(source));                                 \
        return destination;                                                                                  \
    }

#define HANDLERS(name, size, function, aligned)                                                              \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->reg,                                                                                \
                sse_compute(cpu, op, function, xmm_get(cpu, op->reg), xmm_get(cpu, op->base)));              \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        vector source;                                                                                       \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        source = sse_load(cpu, op, size, aligned);                                                           \
        xmm_set(cpu, op->reg, sse_compute(cpu, op, function, xmm_get(cpu, op->reg), source));                \
        NEXT;                                                                                                \
    }

#define FLOAT(name, size) FUNCTION(name) HANDLERS(name, size, compute_##name, true)
XMM_FLOAT(FLOAT)

#define FLOAT_IMMEDIATE(name, size) HANDLERS(name, size, CODE_OF(name, op->immediate), true)
XMM_FLOAT_IMMEDIATE(FLOAT_IMMEDIATE)

/* ---- comparisons that set flags: the function answers them as they stand in EFLAGS ---- */

always void compare(struct cpu *cpu, const struct op *op, vector_function *function, vector source)
{
    flags_set_arithmetic(cpu, sse_compute(cpu, op, function, xmm_get(cpu, op->reg), source)[0]);
}

#define COMPARE(name, size)                                                                                  \
    static vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        bool carry, zero, parity;                                                                            \
                                                                                                             \
        __asm__ volatile(#name " %4, %3"                                                                     \
                         : "=@ccc"(carry), "=@ccz"(zero), "=@ccp"(parity)                                    \
                         : "x"(destination), "x"(source));                                                   \
        return vector_low((carry ? FLAG_CF : 0) | (zero ? FLAG_ZF : 0) | (parity ? FLAG_PF : 0));            \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        compare(cpu, op, compute_##name, xmm_get(cpu, op->base));                                            \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        compare(cpu, op, compute_##name, sse_load(cpu, op, size, true));                                     \
        NEXT;                                                                                                \
    }
XMM_COMPARE(COMPARE)

/* ---- general registers ---- */

#define FROM_GENERAL(name, size)                                                                             \
    static vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        if ((size) == 8)                                                                                     \
            __asm__ volatile(#name " %q1, %0" : "+x"(destination) : "r"((uint64_t)source[0]));               \
        else                                                                                                 \
            __asm__ volatile(#name " %k1, %0" : "+x"(destination) : "r"((uint32_t)source[0]));               \
        return destination;                                                                                  \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(                                                                                             \
            cpu, op->reg,                                                                                    \
            sse_compute(cpu, op, compute_##name, xmm_get(cpu, op->reg), vector_low(cpu->gpr[op->base])));    \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        vector source;                                                                                       \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        source = sse_load(cpu, op, size, false);                                                             \
        xmm_set(cpu, op->reg, sse_compute(cpu, op, compute_##name, xmm_get(cpu, op->reg), source));          \
        NEXT;                                                                                                \
    }

XMM_FROM_GENERAL(FROM_GENERAL)

#define TO_GENERAL(name, mnemonic, type, size)                                                               \
    static vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        type result;                                                                                         \
                                                                                                             \
        (void)destination;                                                                                   \
        __asm__ volatile(mnemonic " %1, %0" : "=r"(result) : "x"(source));                                   \
        return vector_low(result);                                                                           \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        vector source;                                                                                       \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        source = xmm_get(cpu, op->base);                                                                     \
        cpu->gpr[op->reg] = (type)sse_compute(cpu, op, compute_##name, source, source)[0];                   \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        vector source;                                                                                       \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        source = sse_load(cpu, op, size, false);                                                             \
        cpu->gpr[op->reg] = (type)sse_compute(cpu, op, compute_##name, source, source)[0];                   \
        NEXT;                                                                                                \
    }
TO_GENERAL(cvtss2si_32, "cvtss2si", uint32_t, 4)
TO_GENERAL(cvttss2si_32, "cvttss2si", uint32_t, 4)
TO_GENERAL(cvtsd2si_32, "cvtsd2si", uint32_t, 8)
TO_GENERAL(cvttsd2si_32, "cvttsd2si", uint32_t, 8)
TO_GENERAL(cvtss2si_64, "cvtss2si", uint64_t, 4)
TO_GENERAL(cvttss2si_64, "cvttss2si", uint64_t, 4)
TO_GENERAL(cvtsd2si_64, "cvtsd2si", uint64_t, 8)
TO_GENERAL(cvttsd2si_64, "cvttsd2si", uint64_t, 8)

/* ---- MMX registers ---- */

/* The FPU is MMX's even where #XM comes of it, as on AMD's processors; with memory operands it stays the x87's. */
#define FROM_MMX(name, size)                                                                                 \
    static vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        __asm__ volatile("movdq2q %1, %%mm0\n\t" #name " %%mm0, %0\n\temms"                                  \
                         : "+x"(destination)                                                                 \
                         : "x"(source)                                                                       \
                         : "mm0");                                                                           \
        return destination;                                                                                  \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        mmx_check(cpu, op);                                                                                  \
        mmx_entered(cpu);                                                                                    \
        xmm_set(                                                                                             \
            cpu, op->reg,                                                                                    \
            sse_compute(cpu, op, compute_##name, xmm_get(cpu, op->reg), vector_low(mm_get(cpu, op->base)))); \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        vector source;                                                                                       \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        source = sse_load(cpu, op, size, false);                                                             \
        xmm_set(cpu, op->reg, sse_compute(cpu, op, compute_##name, xmm_get(cpu, op->reg), source));          \
        NEXT;                                                                                                \
    }
XMM_FROM_MMX(FROM_MMX)

#define TO_MMX(name, size)                                                                                   \
    static vector compute_##name(vector destination, vector source)                                          \
    {                                                                                                        \
        __asm__ volatile(#name " %1, %%mm0\n\tmovq2dq %%mm0, %0\n\temms"                                     \
                         : "+x"(destination)                                                                 \
                         : "x"(source)                                                                       \
                         : "mm0");                                                                           \
        return destination;                                                                                  \
    }                                                                                                        \
    always void finish_##name(struct cpu *cpu, const struct op *op, vector source)                           \
    {                                                                                                        \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->reg, sse_compute(cpu, op, compute_##name, source, source)[0]);                       \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        mmx_check(cpu, op);                                                                                  \
        finish_##name(cpu, op, xmm_get(cpu, op->base));                                                      \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        mmx_check(cpu, op);                                                                                  \
        finish_##name(cpu, op, sse_load(cpu, op, size, true));                                               \
        NEXT;                                                                                                \
    }
XMM_TO_MMX(TO_MMX)

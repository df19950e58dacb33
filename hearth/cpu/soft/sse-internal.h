/* What the sse-*.c files share. Source: Intel SDM volume 1, 10.2.3 and 11.5 (MXCSR); volume 3A, 13.1, table 13-1. */
#ifndef SOFT_SSE_INTERNAL_H
#define SOFT_SSE_INTERNAL_H

#include "cpu/soft/access.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/sse.h"
#include "cpu/soft/x87-internal.h"

typedef long long vector __attribute__((vector_size(16)));
typedef vector vector_function(vector destination, vector source);

enum mxcsr_bits {
    MXCSR_IE = 1 << 0,
    MXCSR_DE = 1 << 1,
    MXCSR_ZE = 1 << 2,
    MXCSR_OE = 1 << 3,
    MXCSR_UE = 1 << 4,
    MXCSR_PE = 1 << 5,
    MXCSR_FLAGS = 0x3f,
    MXCSR_MASK_SHIFT = 7,
    MXCSR_MASKS = MXCSR_FLAGS << MXCSR_MASK_SHIFT,
    MXCSR_UM = MXCSR_UE << MXCSR_MASK_SHIFT,
    MXCSR_FZ = 1 << 15,
    MXCSR_DEFINED = 0xffff,
    MXCSR_DEFAULT = 0x1f80,
};

/* In op->immediate, above the byte: REX.W, where a handler wants to know. */
enum { SSE_WIDE = 1 << 8 };

/* An immediate byte is part of an instruction: each has 256 little functions `instruction; ret`, see sse-host.c. */
enum { CODE_STEP = 8 };
#define CODE_OF(name, immediate) ((vector_function *)(sse_code_##name + CODE_STEP * ((immediate)&0xff)))

_Noreturn void sse_unavailable(struct cpu *cpu, const struct op *op);
_Noreturn void sse_misaligned(struct cpu *cpu);
/* #UD, #NM and #MF for MMX instructions. */
void mmx_check(struct cpu *cpu, const struct op *op);
vector sse_load_slow(struct cpu *cpu, const struct op *op);
void sse_store_slow(struct cpu *cpu, const struct op *op, vector value);
/* MASKMOVQ, MASKMOVDQU: the bytes whose mask has bit 7 set; nothing else is touched, or can fault. */
void sse_store_masked(struct cpu *cpu, const struct op *op, const uint8_t *bytes, const uint8_t *mask,
                      unsigned size);
/* Computes when the host's MXCSR is not the guest's: sets it, or raises #XM. */
vector sse_compute_slow(struct cpu *cpu, const struct op *op, vector_function *function, vector destination,
                        vector source);
/* LDMXCSR's part after the load; #GP(0) for reserved bits. */
void sse_mxcsr_load(struct cpu *cpu, uint32_t value);

always bool sse_is_off(const struct cpu *cpu)
{
    return (cpu->cr0 & (CR0_EM | CR0_TS)) | (~cpu->cr4 & CR4_OSFXSR);
}

#define SSE_CHECK                                                                                            \
    do {                                                                                                     \
        if (unlikely(sse_is_off(cpu)))                                                                       \
            sse_unavailable(cpu, op);                                                                        \
    } while (0)

/* ---- operands: op->reg and op->base are register numbers ---- */

always vector xmm_get(const struct cpu *cpu, unsigned number)
{
    vector value;

    memcpy(&value, cpu->xmm[number], sizeof value);
    return value;
}

always void xmm_set(struct cpu *cpu, unsigned number, vector value)
{
    memcpy(cpu->xmm[number], &value, sizeof value);
}

always vector vector_low(uint64_t value)
{
    return (vector){value, 0};
}

always uint64_t mm_get(const struct cpu *cpu, unsigned number)
{
    uint64_t value;

    memcpy(&value, cpu->fpu.st[number & 7], sizeof value);
    return value;
}

/* Every MMX instruction but EMMS. */
always void mmx_entered(struct cpu *cpu)
{
    cpu->fpu.top = 0;
    cpu->fpu.tags = 0xff;
}

always void mm_set(struct cpu *cpu, unsigned number, uint64_t value)
{
    uint8_t *to = cpu->fpu.st[number & 7];

    memcpy(to, &value, sizeof value);
    to[8] = to[9] = 0xff;
}

/* The memory operand, zero-extended. The handler has said MAY_FAULT. `aligned` goes for 16 bytes only. */
always vector sse_load(struct cpu *cpu, const struct op *op, unsigned size, bool aligned)
{
    uint64_t linear = segment_linear(cpu, op->segment, address(cpu, op), size, false);
    struct tlb_entry *entry;
    vector value;

    if (size < 16)
        return vector_low(load_linear(cpu, linear, size));
    if (aligned && unlikely(linear & 15))
        sse_misaligned(cpu);
    entry = tlb_slot(cpu->tlb, linear);
    if (!tlb_hit(entry->read_tag, linear, 16))
        return sse_load_slow(cpu, op);
    memcpy(&value, tlb_host(entry, entry->read_tag, linear), sizeof value);
    return value;
}

always void sse_store(struct cpu *cpu, const struct op *op, vector value, unsigned size, bool aligned)
{
    uint64_t linear = segment_linear(cpu, op->segment, address(cpu, op), size, true);
    struct tlb_entry *entry;
    uint64_t tag;

    if (size < 16) {
        store_linear(cpu, linear, size, value[0]);
        return;
    }
    if (aligned && unlikely(linear & 15))
        sse_misaligned(cpu);
    entry = tlb_slot(cpu->tlb, linear);
    tag = tlb_write_tag(entry);
    if (tlb_hit(tag, linear, 16))
        memcpy(tlb_host(entry, tag, linear), &value, sizeof value);
    else
        sse_store_slow(cpu, op, value);
}

always vector sse_compute(struct cpu *cpu, const struct op *op, vector_function *function, vector destination,
                          vector source)
{
    if (likely(cpu->mxcsr_live))
        return function(destination, source);
    return sse_compute_slow(cpu, op, function, destination, source);
}

#endif

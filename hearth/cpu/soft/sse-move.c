/*
 * XMM registers to and from memory and general registers; and what came with SSE for general registers alone: MOVNTI,
 * CRC32.
 *
 * Stores past the caches are stores. Source: Intel SDM volume 2.
 */
#include "cpu/soft/execute.h"
#include "cpu/soft/sse-host.h"

/* ---- whole registers ---- */

#define WHOLE_HANDLERS(suffix, aligned)                                                                      \
    const struct op *sse_load##suffix##_register(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->reg, xmm_get(cpu, op->base));                                                       \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_store##suffix##_register(struct cpu *cpu, const struct op *op)                      \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        xmm_set(cpu, op->base, xmm_get(cpu, op->reg));                                                       \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_load##suffix##_memory(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        xmm_set(cpu, op->reg, sse_load(cpu, op, 16, aligned));                                               \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_store##suffix##_memory(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        sse_store(cpu, op, xmm_get(cpu, op->reg), 16, aligned);                                              \
        NEXT;                                                                                                \
    }
WHOLE_HANDLERS(_aligned, true)
WHOLE_HANDLERS(, false)

/* ---- parts ---- */

/* MOVSS and MOVSD: from a register the rest of the destination stays, from memory it becomes zero. */
#define SCALAR_HANDLERS(name, bits, size)                                                                    \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        memmove(cpu->xmm[op->reg], cpu->xmm[op->base], size);                                                \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        xmm_set(cpu, op->reg, sse_load(cpu, op, size, false));                                               \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_store_##bits##_register(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        memmove(cpu->xmm[op->base], cpu->xmm[op->reg], size);                                                \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_store_##bits##_memory(struct cpu *cpu, const struct op *op)                         \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        sse_store(cpu, op, xmm_get(cpu, op->reg), size, false);                                              \
        NEXT;                                                                                                \
    }
SCALAR_HANDLERS(movss, 32, 4)
SCALAR_HANDLERS(movsd, 64, 8)

/* MOVQ from an XMM register or memory: the upper half becomes zero. 66 0F D6 has the operands the other way round. */
const struct op *sse_movq_register(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    xmm_set(cpu, op->reg, vector_low(xmm_get(cpu, op->base)[0]));
    NEXT;
}

const struct op *sse_movq_memory(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    MAY_FAULT;
    sse_store(cpu, op, xmm_get(cpu, op->reg), 8, false);
    NEXT;
}

/* MOVLPS, MOVLPD from memory; MOVHPS, MOVHPD to memory. */
const struct op *sse_movlpd(struct cpu *cpu, const struct op *op)
{
    uint64_t value;

    SSE_CHECK;
    MAY_FAULT;
    value = load(cpu, op->segment, address(cpu, op), 8);
    memcpy(cpu->xmm[op->reg], &value, sizeof value);
    NEXT;
}

const struct op *sse_store_high(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    MAY_FAULT;
    store(cpu, op->segment, address(cpu, op), 8, xmm_get(cpu, op->reg)[1]);
    NEXT;
}

/* ---- general registers ---- */

/* MOVD, MOVQ; PEXTRB and its like; `choice` masks the immediate that chooses an element. */
#define INSERT_HANDLERS(name, type, clear, choice)                                                           \
    always void finish_##name(struct cpu *cpu, const struct op *op, type value)                              \
    {                                                                                                        \
        if (clear)                                                                                           \
            memset(cpu->xmm[op->reg], 0, 16);                                                                \
        memcpy(cpu->xmm[op->reg] + sizeof value * (op->immediate & (choice)), &value, sizeof value);         \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        finish_##name(cpu, op, cpu->gpr[op->base]);                                                          \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        finish_##name(cpu, op, load(cpu, op->segment, address(cpu, op), sizeof(type)));                      \
        NEXT;                                                                                                \
    }
INSERT_HANDLERS(insert_32, uint32_t, true, 0)
INSERT_HANDLERS(insert_64, uint64_t, true, 0)
INSERT_HANDLERS(pinsrb, uint8_t, false, 15)
INSERT_HANDLERS(pinsrw, uint16_t, false, 7)
INSERT_HANDLERS(pinsrd, uint32_t, false, 3)
INSERT_HANDLERS(pinsrq, uint64_t, false, 1)

#define EXTRACT_HANDLERS(name, type, choice)                                                                 \
    always type choose_##name(const struct cpu *cpu, const struct op *op, unsigned number)                   \
    {                                                                                                        \
        type value;                                                                                          \
                                                                                                             \
        memcpy(&value, cpu->xmm[number] + sizeof value * (op->immediate & (choice)), sizeof value);          \
        return value;                                                                                        \
    }                                                                                                        \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        cpu->gpr[op->base] = choose_##name(cpu, op, op->reg);                                                \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        SSE_CHECK;                                                                                           \
        MAY_FAULT;                                                                                           \
        store(cpu, op->segment, address(cpu, op), sizeof(type), choose_##name(cpu, op, op->reg));            \
        NEXT;                                                                                                \
    }
EXTRACT_HANDLERS(extract_32, uint32_t, 0)
EXTRACT_HANDLERS(extract_64, uint64_t, 0)
EXTRACT_HANDLERS(pextrb, uint8_t, 15)
EXTRACT_HANDLERS(pextrw, uint16_t, 7)
EXTRACT_HANDLERS(pextrd, uint32_t, 3)
EXTRACT_HANDLERS(pextrq, uint64_t, 1)

#define SIGNS_HANDLER(name)                                                                                  \
    const struct op *sse_##name(struct cpu *cpu, const struct op *op)                                        \
    {                                                                                                        \
        uint32_t signs;                                                                                      \
                                                                                                             \
        SSE_CHECK;                                                                                           \
        __asm__(#name " %1, %0" : "=r"(signs) : "x"(xmm_get(cpu, op->base)));                                \
        cpu->gpr[op->reg] = signs;                                                                           \
        NEXT;                                                                                                \
    }
SIGNS_HANDLER(movmskps)
SIGNS_HANDLER(movmskpd)
SIGNS_HANDLER(pmovmskb)

/* ---- MMX registers ---- */

const struct op *sse_movq2dq(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    mmx_check(cpu, op);
    mmx_entered(cpu);
    xmm_set(cpu, op->reg, vector_low(mm_get(cpu, op->base)));
    NEXT;
}

const struct op *sse_movdq2q(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    mmx_check(cpu, op);
    mmx_entered(cpu);
    mm_set(cpu, op->reg, xmm_get(cpu, op->base)[0]);
    NEXT;
}

/* ---- stores under a mask ---- */

void sse_store_masked(struct cpu *cpu, const struct op *op, const uint8_t *bytes, const uint8_t *mask,
                      unsigned size)
{
    uint64_t offset = address(cpu, op);

    for (unsigned i = 0; i < size; i++)
        if (mask[i] >> 7)
            write_check(cpu, segment_linear(cpu, op->segment, (offset + i) & op->mask, 1, true), 1,
                        is_user(cpu));
    for (unsigned i = 0; i < size; i++)
        if (mask[i] >> 7)
            store(cpu, op->segment, (offset + i) & op->mask, 1, bytes[i]);
}

const struct op *sse_maskmovdqu(struct cpu *cpu, const struct op *op)
{
    SSE_CHECK;
    MAY_FAULT;
    sse_store_masked(cpu, op, cpu->xmm[op->reg], cpu->xmm[op->immediate], 16);
    NEXT;
}

/* ---- general registers alone: no CR0 or CR4 bit switches these off ---- */

#define MOVNTI_HANDLER(bits)                                                                                 \
    const struct op *sse_movnti_##bits(struct cpu *cpu, const struct op *op)                                 \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        store(cpu, op->segment, address(cpu, op), (bits) / 8, cpu->gpr[op->reg]);                            \
        NEXT;                                                                                                \
    }
MOVNTI_HANDLER(32)
MOVNTI_HANDLER(64)

#define ONE_RESULT_HANDLERS(name, type, operand)                                                             \
    const struct op *sse_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        finish_##name(cpu, op, operand);                                                                     \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *sse_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        MAY_FAULT;                                                                                           \
        finish_##name(cpu, op, load(cpu, op->segment, address(cpu, op), sizeof(type)));                      \
        NEXT;                                                                                                \
    }

#define CRC32_HANDLERS(bits, code, type, operand)                                                            \
    always void finish_crc32_##bits(struct cpu *cpu, const struct op *op, type value)                        \
    {                                                                                                        \
        uint64_t sum = (uint32_t)cpu->gpr[op->reg];                                                          \
                                                                                                             \
        __asm__(code : "+r"(sum) : "r"(value));                                                              \
        cpu->gpr[op->reg] = (uint32_t)sum;                                                                   \
    }                                                                                                        \
    ONE_RESULT_HANDLERS(crc32_##bits, type, operand)
/* A byte register is named by its place in struct cpu, for it may be AH. */
CRC32_HANDLERS(8, "crc32b %b1, %k0", uint8_t, REG8(op->base))
CRC32_HANDLERS(16, "crc32w %w1, %k0", uint16_t, cpu->gpr[op->base])
CRC32_HANDLERS(32, "crc32l %k1, %k0", uint32_t, cpu->gpr[op->base])
CRC32_HANDLERS(64, "crc32q %q1, %q0", uint64_t, cpu->gpr[op->base])

/*
 * MMX: instructions on MM0 to MM7, which are the significands of the x87's R0 to R7. Every one of them makes TOP 0 and
 * all registers valid, EMMS all empty; a write sets sign and exponent to ones.
 *
 * They are computed in the host's MMX registers, with an EMMS at once: the x87 code of the engine wants an empty FPU.
 * Source: Intel SDM volume 1, chapter 9; volume 3A, chapter 12.
 */
#include "cpu/soft/sse-host.h"

#define BINARY_HANDLERS(name, size)                                                                          \
    always uint64_t compute_##name(uint64_t destination, uint64_t source)                                    \
    {                                                                                                        \
        __asm__("movq %0, %%mm0\n\tmovq %1, %%mm1\n\t" #name " %%mm1, %%mm0\n\tmovq %%mm0, %0\n\temms"       \
                : "+r"(destination)                                                                          \
                : "r"(source)                                                                                \
                : "mm0", "mm1");                                                                             \
        return destination;                                                                                  \
    }                                                                                                        \
    const struct op *mmx_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->reg, compute_##name(mm_get(cpu, op->reg), mm_get(cpu, op->base)));                   \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *mmx_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        uint64_t source;                                                                                     \
                                                                                                             \
        mmx_check(cpu, op);                                                                                  \
        source = load(cpu, op->segment, address(cpu, op), size);                                             \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->reg, compute_##name(mm_get(cpu, op->reg), source));                                  \
        NEXT;                                                                                                \
    }
MMX_AND_XMM(BINARY_HANDLERS)

#define IMMEDIATE_HANDLERS(name, size)                                                                       \
    always void finish_##name(struct cpu *cpu, const struct op *op, uint64_t source)                         \
    {                                                                                                        \
        const uint8_t *code = mmx_code_##name + CODE_STEP * (op->immediate & UINT8_MAX);                     \
                                                                                                             \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->reg, mmx_host_run(mm_get(cpu, op->reg), source, code));                              \
    }                                                                                                        \
    const struct op *mmx_##name##_register(struct cpu *cpu, const struct op *op)                             \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        finish_##name(cpu, op, mm_get(cpu, op->base));                                                       \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *mmx_##name##_memory(struct cpu *cpu, const struct op *op)                               \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        finish_##name(cpu, op, load(cpu, op->segment, address(cpu, op), size));                              \
        NEXT;                                                                                                \
    }
MMX_IMMEDIATE(IMMEDIATE_HANDLERS)

#define SHIFT_HANDLER(name)                                                                                  \
    const struct op *mmx_shift_##name(struct cpu *cpu, const struct op *op)                                  \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->base, compute_##name(mm_get(cpu, op->base), op->immediate));                         \
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

/* ---- moves ---- */

const struct op *mmx_load_register(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    mmx_entered(cpu);
    mm_set(cpu, op->reg, mm_get(cpu, op->base));
    NEXT;
}

const struct op *mmx_store_register(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    mmx_entered(cpu);
    mm_set(cpu, op->base, mm_get(cpu, op->reg));
    NEXT;
}

const struct op *mmx_load_memory(struct cpu *cpu, const struct op *op)
{
    uint64_t value;

    mmx_check(cpu, op);
    value = load(cpu, op->segment, address(cpu, op), 8);
    mmx_entered(cpu);
    mm_set(cpu, op->reg, value);
    NEXT;
}

const struct op *mmx_store_memory(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    store(cpu, op->segment, address(cpu, op), 8, mm_get(cpu, op->reg));
    mmx_entered(cpu);
    NEXT;
}

const struct op *mmx_movntq(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    store(cpu, op->segment, address(cpu, op), 8, mm_get(cpu, op->reg));
    mmx_entered(cpu);
    NEXT;
}

/* MOVD and MOVQ to and from general registers. */
#define GENERAL_HANDLERS(bits, type)                                                                         \
    const struct op *mmx_insert_##bits##_register(struct cpu *cpu, const struct op *op)                      \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->reg, (type)cpu->gpr[op->base]);                                                      \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *mmx_insert_##bits##_memory(struct cpu *cpu, const struct op *op)                        \
    {                                                                                                        \
        uint64_t value;                                                                                      \
                                                                                                             \
        mmx_check(cpu, op);                                                                                  \
        value = load(cpu, op->segment, address(cpu, op), sizeof(type));                                      \
        mmx_entered(cpu);                                                                                    \
        mm_set(cpu, op->reg, value);                                                                         \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *mmx_extract_##bits##_register(struct cpu *cpu, const struct op *op)                     \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        mmx_entered(cpu);                                                                                    \
        cpu->gpr[op->base] = (type)mm_get(cpu, op->reg);                                                     \
        NEXT;                                                                                                \
    }                                                                                                        \
    const struct op *mmx_extract_##bits##_memory(struct cpu *cpu, const struct op *op)                       \
    {                                                                                                        \
        mmx_check(cpu, op);                                                                                  \
        store(cpu, op->segment, address(cpu, op), sizeof(type), mm_get(cpu, op->reg));                       \
        mmx_entered(cpu);                                                                                    \
        NEXT;                                                                                                \
    }
GENERAL_HANDLERS(32, uint32_t)
GENERAL_HANDLERS(64, uint64_t)

/* ---- words ---- */

enum { WORD_CHOICE = 3 };

static void word_insert(struct cpu *cpu, const struct op *op, uint16_t word)
{
    uint64_t value = mm_get(cpu, op->reg);

    memcpy((uint8_t *)&value + 2 * (op->immediate & WORD_CHOICE), &word, sizeof word);
    mmx_entered(cpu);
    mm_set(cpu, op->reg, value);
}

const struct op *mmx_pinsrw_register(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    word_insert(cpu, op, cpu->gpr[op->base]);
    NEXT;
}

const struct op *mmx_pinsrw_memory(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    word_insert(cpu, op, load(cpu, op->segment, address(cpu, op), 2));
    NEXT;
}

const struct op *mmx_pextrw(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    mmx_entered(cpu);
    cpu->gpr[op->reg] = (uint16_t)(mm_get(cpu, op->base) >> 16 * (op->immediate & WORD_CHOICE));
    NEXT;
}

/* ---- masks ---- */

const struct op *mmx_pmovmskb(struct cpu *cpu, const struct op *op)
{
    uint64_t value;
    uint32_t mask = 0;

    mmx_check(cpu, op);
    mmx_entered(cpu);
    value = mm_get(cpu, op->base);
    for (unsigned i = 0; i < 8; i++)
        mask |= (uint32_t)(value >> (8 * i + 7) & 1) << i;
    cpu->gpr[op->reg] = mask;
    NEXT;
}

/* op->base is the address, in EDI; op->immediate the register with the mask. */
const struct op *mmx_maskmovq(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    sse_store_masked(cpu, op, cpu->fpu.st[op->reg & 7], cpu->fpu.st[op->immediate & 7], 8);
    mmx_entered(cpu);
    NEXT;
}

const struct op *mmx_emms(struct cpu *cpu, const struct op *op)
{
    mmx_check(cpu, op);
    mmx_entered(cpu);
    cpu->fpu.tags = 0;
    NEXT;
}

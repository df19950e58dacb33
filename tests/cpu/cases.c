/* Random operands for a form, bent to what the instruction needs to do something interesting. */
#include <string.h>

#include "cpu/state.h"
#include "form.h"

enum { MIDDLE = SCRATCH + SCRATCH_SIZE / 2 };

/* A register by its number in ModRM. */
static uint32_t *gpr(struct record *record, unsigned number)
{
    return number == 4 ? &record->esp : &record->gpr[EAX - number];
}

static uint32_t memory_get(const struct record *record, uint32_t address)
{
    uint32_t value;

    memcpy(&value, record->memory + (address - SCRATCH), sizeof value);
    return value;
}

static void memory_put(struct record *record, uint32_t address, uint32_t value)
{
    memcpy(record->memory + (address - SCRATCH), &value, sizeof value);
}

static uint32_t selector(struct random *random)
{
    static const uint16_t selectors[] = {0,         1,    2,    3,         0x20,   0x22,
                                         USER_CODE, 0x28, 0x29, USER_DATA, 0xfff8, 0xffff};

    return selectors[random_below(random, sizeof selectors / sizeof selectors[0])] |
           random_below(random, 0x10000) << 16;
}

static void fill(struct random *random, struct record *record, bool few_values)
{
    for (unsigned i = 0; i < REGISTERS; i++)
        record->gpr[i] = random_value(random);
    record->flags = FLAG_1 | (random_next(random) & FLAGS_ARITHMETIC);
    if (random_below(random, 8) == 0)
        record->flags |= FLAG_DF;
    record->esp = STACK_TOP;
    for (uint32_t at = 0; at < SCRATCH_SIZE; at += 4)
        memory_put(record, SCRATCH + at,
                   few_values ? random_below(random, 2) * 0x01010101 : random_value(random));
}

static void string_make(struct random *random, struct record *record)
{
    record->gpr[ESI] = MIDDLE - 8 + random_below(random, 16);
    record->gpr[EDI] = MIDDLE - 8 + random_below(random, 16);
    record->gpr[ECX] = random_below(random, 6);
    if (random_below(random, 2))
        record->gpr[EAX] = memory_get(record, MIDDLE);
    if (random_below(random, 2))
        record->flags ^= FLAG_DF;
}

static void quotient_make(const struct variant *variant, struct random *random, struct record *record)
{
    switch (random_below(random, 4)) {
    case 0: record->gpr[EDX] = 0; break;
    case 1: record->gpr[EDX] = (int32_t)record->gpr[EAX] >> 31; break;
    case 2: record->gpr[EDX] = random_below(random, 16); break;
    }
    if (variant->width == BYTE && random_below(random, 2))
        record->gpr[EAX] &= 0xfff;
}

static void needs_meet(const struct form *form, const struct variant *variant, struct random *random,
                       struct record *record, uint32_t address)
{
    switch (form->needs) {
    case STACK:
    case FLAGS_IMAGE:
        record->esp = MIDDLE;
        record->gpr[EBP] = MIDDLE + random_below(random, 4) * 4;
        if (form->needs == FLAGS_IMAGE)
            memory_put(record, MIDDLE, memory_get(record, MIDDLE) & ~FLAG_TF);
        break;
    case STRING: string_make(random, record); break;
    case QUOTIENT: quotient_make(variant, random, record); break;
    case BIT_OFFSET:
        if (random_below(random, 4))
            *gpr(record, variant->modrm_reg) = random_below(random, 192) - 96;
        else /* beyond all that is mapped */
            *gpr(record, variant->modrm_reg) += 0x20000000 - (*gpr(record, variant->modrm_reg) & 0x30000000);
        break;
    case EQUAL:
        if (random_below(random, 2))
            record->gpr[EAX] = memory_get(record, address),
            record->gpr[EDX] = memory_get(record, address + 4);
        break;
    case TABLE: record->gpr[EBX] = SCRATCH; break;
    case COUNT: record->gpr[ECX] = random_below(random, 3) + random_below(random, 3) * 0x10000; break;
    case TARGET:
        record->esp = MIDDLE;
        memory_put(record, variant->memory ? address : MIDDLE, variant->target);
        if (variant->modrm_rm != NO_REGISTER)
            *gpr(record, variant->modrm_rm) = variant->target;
        break;
    case SELECTOR:
        memory_put(record, address, selector(random));
        if (variant->modrm_rm != NO_REGISTER)
            *gpr(record, variant->modrm_rm) = selector(random);
        break;
    case PLAIN: break;
    }
}

/* Sets base and index so that the operand lies at (about, with an index alone) `address`; answers where. */
static uint32_t operand_place(const struct variant *variant, struct record *record, uint32_t address)
{
    uint32_t *index = variant->index == NO_REGISTER ? NULL : gpr(record, variant->index);

    if (variant->base == NO_REGISTER) {
        *index = (address - variant->displacement) >> variant->scale;
        return (*index << variant->scale) + variant->displacement;
    }
    if (variant->base == 4) { /* ESP stays; the displacement leads to the middle */
        if (index)
            *index = 0;
        return MIDDLE;
    }
    *gpr(record, variant->base) = address - variant->displacement - (index ? *index << variant->scale : 0);
    return address;
}

void case_make(const struct form *form, const struct variant *variant, struct random *random,
               struct record *record)
{
    bool moves = variant->base != NO_REGISTER || variant->index != NO_REGISTER;
    uint32_t address = moves ? SCRATCH + 8 + random_below(random, 40) : MIDDLE;

    memset(record, 0, sizeof *record);
    fill(random, record, form->needs == STRING);
    record->code = variant->code;
    if (moves)
        address = operand_place(variant, record, address);
    needs_meet(form, variant, random, record, address);
    if (moves) /* what it needs may have changed those registers */
        operand_place(variant, record, address);
}

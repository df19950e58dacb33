/* From a form's notation to the bytes of one of its encodings. Source: Intel SDM volume 2, chapter 2. */
#include <stdlib.h>
#include <string.h>

#include "form.h"

enum { PREFIX_OPERAND_SIZE = 0x66, PREFIX_ADDRESS_SIZE = 0x67, JUMP_NEAR = 0xe9, JUMP_FAR = 0xea };
enum { RM_SIB = 4, RM_DISPLACEMENT = 5, RM16_DISPLACEMENT = 6 };
enum { JUMP_LENGTH = 5, JUMP_LENGTH16 = 8 }; /* of the jump back to the loop */

struct writer {
    const struct form *form;
    struct random *random;
    struct batch *batch;
    struct variant *variant;
    bool address16;
    bool absolute; /* memory operands at a fixed address */
};

static void put(struct batch *batch, uint32_t value, unsigned size)
{
    if (batch->code_used + size > CODE_SIZE)
        abort();
    memcpy(batch->code + batch->code_used, &value, size);
    batch->code_used += size;
}

static void put_jump_back(struct batch *batch, bool code16)
{
    if (code16) {
        put(batch, PREFIX_OPERAND_SIZE, 1);
        put(batch, JUMP_FAR, 1);
        put(batch, HARNESS_ADDRESS(harness_after), 4);
        put(batch, USER_CODE, 2);
        return;
    }
    put(batch, JUMP_NEAR, 1);
    put(batch, HARNESS_ADDRESS(harness_after) - (CODE_BASE + batch->code_used + 4), 4);
}

uint32_t code_put(struct batch *batch, const void *bytes, unsigned length)
{
    uint32_t address = CODE_BASE + batch->code_used;

    if (batch->code_used + length > CODE_SIZE)
        abort();
    memcpy(batch->code + batch->code_used, bytes, length);
    batch->code_used += length;
    put_jump_back(batch, false);
    return address;
}

/* Without a base register the displacement alone leads to the scratch memory; with one, cases.c sets the register. */
static void put_memory_operand(struct writer *writer, unsigned reg)
{
    enum { ABSOLUTE, BASE8, BASE32, SIB8, SIB32, INDEX_ONLY, KINDS };
    struct variant *variant = writer->variant;
    struct random *random = writer->random;
    unsigned kind = writer->absolute ? ABSOLUTE : random_below(random, KINDS),
             mod = kind == BASE8 || kind == SIB8 ? 1 : 2;
    uint32_t displacement = random_value(random);

    variant->memory = true;
    if (kind != ABSOLUTE && kind != INDEX_ONLY)
        do
            variant->base = random_below(random, 8);
        while (variant->base == RM_SIB && (kind == BASE8 || kind == SIB8 || writer->form->needs != PLAIN));
    if (kind >= SIB8)
        do
            variant->index = random_below(random, 8);
        while (variant->index == RM_SIB || variant->index == variant->base);
    variant->scale = kind >= SIB8 ? random_below(random, 4) : 0;
    if (kind == ABSOLUTE || variant->base == RM_SIB)
        displacement = SCRATCH + SCRATCH_SIZE / 2 - (variant->base == RM_SIB ? STACK_TOP : 0);
    variant->displacement = mod == 1 ? (uint32_t)(int8_t)displacement : displacement;

    if (kind == ABSOLUTE) {
        put(writer->batch, reg << 3 | RM_DISPLACEMENT, 1);
    } else if (kind == INDEX_ONLY) {
        mod = 2;
        put(writer->batch, reg << 3 | RM_SIB, 1);
        put(writer->batch, variant->scale << 6 | variant->index << 3 | RM_DISPLACEMENT, 1);
    } else if (variant->index != NO_REGISTER || variant->base == RM_SIB) {
        unsigned index = variant->index == NO_REGISTER ? RM_SIB : variant->index;
        put(writer->batch, mod << 6 | reg << 3 | RM_SIB, 1);
        put(writer->batch, variant->scale << 6 | index << 3 | variant->base, 1);
    } else {
        put(writer->batch, mod << 6 | reg << 3 | variant->base, 1);
    }
    put(writer->batch, displacement, mod == 1 ? 1 : 4);
}

/* Nothing is mapped where 16-bit addresses reach: what is compared is the address of the page fault. */
static void put_memory_operand16(struct writer *writer, unsigned reg)
{
    unsigned mod = random_below(writer->random, 3), rm = random_below(writer->random, 8);

    put(writer->batch, mod << 6 | reg << 3 | rm, 1);
    if (mod == 1)
        put(writer->batch, random_value(writer->random), 1);
    else if (mod == 2 || rm == RM16_DISPLACEMENT)
        put(writer->batch, random_value(writer->random), 2);
}

/* "/r", "/rm", "/rr", "/3", "/3m", "/3r" */
static void put_modrm(struct writer *writer, const char *token, bool memory)
{
    struct variant *variant = writer->variant;
    unsigned reg = token[1] == 'r' ? random_below(writer->random, 8) : (unsigned)(token[1] - '0');

    variant->modrm_reg = reg;
    if (memory) {
        (writer->address16 ? put_memory_operand16 : put_memory_operand)(writer, reg);
        return;
    }
    do
        variant->modrm_rm = random_below(writer->random, 8);
    while (writer->form->needs == TARGET && variant->modrm_rm == RM_SIB);
    put(writer->batch, 0xc0 | reg << 3 | variant->modrm_rm, 1);
}

static void put_immediate(struct writer *writer, unsigned size)
{
    writer->variant->immediate = random_value(writer->random);
    writer->variant->has_immediate = true;
    put(writer->batch, writer->variant->immediate, size);
}

static void put_token(struct writer *writer, const char *token, bool memory)
{
    struct batch *batch = writer->batch;
    unsigned wide = writer->variant->width == WORD ? 2 : 4;

    if (token[0] == '/')
        put_modrm(writer, token, memory);
    else if (token[0] == '+')
        batch->code[batch->code_used - 1] += random_below(writer->random, token[1] == 'c' ? 16 : 8);
    else if (token[0] == 'i')
        put_immediate(writer, token[1] == 'b' ? 1 : token[1] == 'w' ? 2 : wide);
    else if (strcmp(token, "ob") == 0)
        put(batch, SCRATCH + random_below(writer->random, SCRATCH_SIZE - 4), 4);
    else if (token[0] == 'j')
        put(batch, batch->code16 ? JUMP_LENGTH16 : JUMP_LENGTH, token[1] == 'b' ? 1 : wide);
    else
        put(batch, strtoul(token, NULL, 16), 1);
}

static bool wants_memory(const struct form *form, struct random *random)
{
    const char *slash = strchr(form->code, '/');

    if (!slash || slash[2] == 'r')
        return false;
    return slash[2] == 'm' || random_below(random, 2);
}

static void put_prefixes(struct writer *writer, bool memory)
{
    static const uint8_t overrides[] = {0x26, 0x2e, 0x36, 0x3e}; /* ES, CS, SS, DS */
    struct batch *batch = writer->batch;
    bool operand32 = writer->variant->width != WORD, has_size = writer->variant->width != BYTE;

    /* a jump through CS: would take its target out of whatever code lies there */
    if (memory && random_below(writer->random, 8) == 0 && writer->form->needs != TARGET)
        put(batch, overrides[random_below(writer->random, sizeof overrides)], 1);
    if (has_size && operand32 == batch->code16)
        put(batch, PREFIX_OPERAND_SIZE, 1);
    if (!batch->code16)
        return;
    writer->address16 = memory && random_below(writer->random, 4) == 0;
    if ((memory && !writer->address16) || strstr(writer->form->code, "ob"))
        put(batch, PREFIX_ADDRESS_SIZE, 1);
}

static void put_instruction(struct writer *writer)
{
    bool memory = wants_memory(writer->form, writer->random);
    char tokens[64], *place, *token;

    put_prefixes(writer, memory);
    strcpy(tokens, writer->form->code);
    for (token = strtok_r(tokens, " ", &place); token; token = strtok_r(NULL, " ", &place))
        put_token(writer, token, memory);
}

void form_append(const struct form *form, unsigned width, struct random *random, struct batch *batch)
{
    struct variant variant = {
        .width = width, .base = NO_REGISTER, .index = NO_REGISTER, .modrm_rm = NO_REGISTER};
    struct writer writer = {
        .form = form, .random = random, .batch = batch, .variant = &variant, .absolute = true};

    put_instruction(&writer);
}

void form_encode(const struct form *form, unsigned width, struct random *random, struct batch *batch,
                 struct variant *variant)
{
    struct writer writer = {.form = form, .random = random, .batch = batch, .variant = variant};
    uint32_t base = batch->code16 ? CODE_BASE : 0, start;

    *variant = (struct variant){.code = CODE_BASE + batch->code_used,
                                .width = width,
                                .base = NO_REGISTER,
                                .index = NO_REGISTER,
                                .modrm_rm = NO_REGISTER};
    if (batch->code16) { /* the way there */
        put(batch, JUMP_FAR, 1);
        put(batch, batch->code_used + 6, 4);
        put(batch, CODE16, 2);
    }
    start = batch->code_used;
    put_instruction(&writer);
    variant->length = batch->code_used - start;
    variant->instruction = CODE_BASE + start;

    put_jump_back(batch, batch->code16);
    variant->target = CODE_BASE + batch->code_used - base;
    put(batch, 0xd5f7, 2); /* not ebp (bp): the trace of a branch that was taken */
    put_jump_back(batch, batch->code16);
}

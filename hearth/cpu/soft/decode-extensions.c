/*
 * The opcode maps 0F 38 and 0F 3A where they are not SSE's, and VEX: MOVBE, ADCX, ADOX, INVPCID, BMI1 and BMI2.
 * VEX with anything else, EVEX and XOP are #UD. Source: SDM volume 2, 2.3 (VEX) and appendix A.
 */
#include "cpu/soft/decode.h"

static op_function *operand(struct decoder *d, operand_table table)
{
    decode_modrm_register(d, d->width);
    return table[d->width][d->memory ? OPERAND_M : OPERAND_R];
}

static op_function *refused(struct decoder *d)
{
    d->ends = true;
    return op_undefined;
}

static op_function *legacy_0f38(struct decoder *d)
{
    switch (d->in.opcode) {
    case 0x82:
        decode_modrm_register(d, d->width);
        d->ends = true;
        return d->memory && d->size66 ? op_invpcid : op_undefined;
    case 0xf0: return operand(d, movbe_load);
    case 0xf1: return operand(d, movbe_store);
    case 0xf6:
        d->width = d->rex_w ? 3 : 2;
        if (d->repeat == 1)
            return operand(d, adox);
        return d->size66 && !d->repeat ? operand(d, adcx) : refused(d);
    default: return refused(d);
    }
}

/* By VEX.pp: 0 none, 1 66, 2 F3, 3 F2. */
static op_function *vex_0f38(struct decoder *d, unsigned prefix)
{
    static operand_table *const group_17[8] = {[1] = &blsr, [2] = &blsmsk, [3] = &blsi};
    static operand_table *const table[3][4] = {
        {&bzhi, NULL, &pext, &pdep}, {NULL, NULL, NULL, &mulx}, {&bextr, &shlx, &sarx, &shrx}};
    uint8_t opcode = d->in.opcode;

    if (opcode == 0xf2 && prefix == 0)
        return operand(d, andn);
    if (opcode == 0xf3 && prefix == 0 && group_17[d->in.raw.modrm.reg])
        return operand(d, *group_17[d->in.raw.modrm.reg]);
    if (opcode >= 0xf5 && opcode <= 0xf7 && table[opcode - 0xf5][prefix])
        return operand(d, *table[opcode - 0xf5][prefix]);
    return refused(d);
}

static op_function *vex(struct decoder *d)
{
    unsigned prefix = d->in.raw.vex.pp, number = ~d->in.raw.vex.vvvv & (d->code64 ? 15 : 7);

    if (d->in.raw.vex.L)
        return refused(d);
    d->width = d->rex_w ? 3 : 2;
    if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F38) {
        d->op->immediate = decode_register(d, number, d->width);
        return vex_0f38(d, prefix);
    }
    if (d->in.opcode_map != ZYDIS_OPCODE_MAP_0F3A || d->in.opcode != 0xf0 || prefix != 3)
        return refused(d);
    decode_immediate(d);
    return operand(d, rorx);
}

op_function *decode_extension(struct decoder *d)
{
    if (d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
        return vex(d);
    if (d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && d->in.opcode_map == ZYDIS_OPCODE_MAP_0F38)
        return legacy_0f38(d);
    return refused(d);
}

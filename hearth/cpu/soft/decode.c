/*
 * From machine code to blocks of operations: Zydis finds length, prefixes, ModRM and immediates and refuses what is
 * invalid; decode-opcodes.c chooses handlers; here the operands are put where handlers want them.
 *
 * XOP, EVEX, 3DNow! and VEX but for BMI are #UD.
 * Source: SDM volume 2, 2.1 (formats).
 */
#include "cpu/soft/decode.h"

uint8_t decode_register(const struct decoder *d, unsigned number, unsigned width)
{
    if (width == WIDTH_8 && number >= 4 && !d->rex)
        return (number - 4) * 8 + 1; /* AH CH DH BH */
    return number * 8;
}

/* ---- operands ---- */

static int segment_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26: return SEG_ES;
    case 0x2e: return SEG_CS;
    case 0x36: return SEG_SS;
    case 0x3e: return SEG_DS;
    case 0x64: return SEG_FS;
    case 0x65: return SEG_GS;
    default: return -1;
    }
}

enum segment_name decode_segment(const struct decoder *d, enum segment_name otherwise)
{
    int name = otherwise;

    for (unsigned i = 0; i < d->in.raw.prefix_count; i++) {
        int prefix = segment_prefix(d->in.raw.prefixes[i].value);

        /* 64-bit code: ES, CS, SS and DS prefixes do nothing, not even undo FS and GS. */
        if (prefix >= 0 && (!d->code64 || prefix >= SEG_FS))
            name = prefix;
    }
    return name;
}

static void rex_read(struct decoder *d)
{
    bool vex = d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;

    d->rex = (d->in.attributes & ZYDIS_ATTRIB_HAS_REX) != 0;
    d->rex_w = d->code64 && (vex ? d->in.raw.vex.W : d->in.raw.rex.W);
    d->high_reg = d->code64 && (vex ? !d->in.raw.vex.R : d->in.raw.rex.R) ? 8 : 0;
    d->high_index = d->code64 && (vex ? !d->in.raw.vex.X : d->in.raw.rex.X) ? 8 : 0;
    d->high_base = d->code64 && (vex ? !d->in.raw.vex.B : d->in.raw.rex.B) ? 8 : 0;
}

/* What the prefixes before operand, stack and address come to. */
static void widths_find(struct decoder *d)
{
    static const uint64_t masks[] = {UINT16_MAX, UINT32_MAX, UINT64_MAX};
    bool wide = ((d->block->mode & (MODE_CODE32 | MODE_CODE64)) != 0) != d->size66;

    d->wide = d->rex_w ? 2 : wide;
    d->width = d->wide + 1;
    d->stack = d->code64 && (wide || d->rex_w) ? 2 : wide;
    d->near = d->code64 ? 2 : wide;
    d->address = d->in.address_width == 64 ? 2 : d->in.address_width == 32;
    d->op->mask = masks[d->address];
}

static void prefixes_read(struct decoder *d)
{
    d->size66 = d->locked = false;
    for (unsigned i = 0; i < d->in.raw.prefix_count; i++) {
        uint8_t byte = d->in.raw.prefixes[i].value;

        d->size66 |= byte == 0x66;
        d->locked |= byte == 0xf0 && (d->block->mode & MODE_ATOMIC);
        if (byte == 0xf3 || byte == 0xf2)
            d->repeat = byte == 0xf3 ? 1 : 2;
    }
    rex_read(d);
    widths_find(d);
}

/* 16-bit forms: base and index for each value of ModRM.rm. */
static void address_16(struct decoder *d, unsigned mod, unsigned rm)
{
    static const struct {
        uint8_t base, index;
    } form[8] = {{RBX, RSI},       {RBX, RDI},       {RBP, RSI},       {RBP, RDI},
                 {RSI, GPR_COUNT}, {RDI, GPR_COUNT}, {RBP, GPR_COUNT}, {RBX, GPR_COUNT}};
    bool direct = mod == 0 && rm == 6;

    d->op->base = direct ? NO_REGISTER : form[rm].base * 8;
    d->op->index = direct ? NO_REGISTER : form[rm].index * 8;
    d->op->segment = decode_segment(d, !direct && form[rm].base == RBP ? SEG_SS : SEG_DS);
}

/* Relative to the next instruction; the block's first byte is what cpu->rip tells. */
static void address_relative(struct decoder *d)
{
    int64_t displacement = (int64_t)d->op->displacement + d->op->offset + d->op->length;

    d->op->base = offsetof(struct cpu, rip);
    if (displacement > INT32_MAX) {
        d->op->index = offsetof(struct cpu, gigabyte);
        displacement -= 1 << 30;
    }
    d->op->displacement = displacement;
    d->op->segment = decode_segment(d, SEG_DS);
}

/* 32 and 64 bits. */
static void address_32(struct decoder *d, unsigned mod, unsigned rm)
{
    unsigned base = rm;

    d->op->index = NO_REGISTER;
    if (d->code64 && mod == 0 && rm == 5) {
        address_relative(d);
        return;
    }
    if (rm == 4) {
        unsigned index = d->in.raw.sib.index | d->high_index;

        base = d->in.raw.sib.base;
        d->op->scale = d->in.raw.sib.scale;
        if (index != 4)
            d->op->index = index * 8;
    }
    d->op->base = mod == 0 && base == 5 ? NO_REGISTER : (base | d->high_base) * 8;
    d->op->segment = decode_segment(d, d->op->base == RBP * 8 || d->op->base == RSP * 8 ? SEG_SS : SEG_DS);
}

void decode_flatness(struct decoder *d)
{
    /* In 64-bit code CS is as flat as the others, and addresses of 32 bits can't leave it either. */
    d->flat = (d->block->mode & MODE_FLAT) && d->address && d->op->segment < SEG_FS &&
              (d->code64 || d->op->segment != SEG_CS);
}

_Static_assert(GPR_COUNT * 8 == NO_REGISTER, "form[] above says GPR_COUNT for no register");
_Static_assert(offsetof(struct cpu, rip) <= UINT8_MAX, "RIP is the base of addresses relative to it");

void decode_modrm(struct decoder *d, unsigned width)
{
    unsigned mod = d->in.raw.modrm.mod, rm = d->in.raw.modrm.rm;

    d->modrm_reg = d->in.raw.modrm.reg | d->high_reg;
    d->modrm_rm = rm | d->high_base;
    d->memory = mod != 3;
    d->op->displacement = d->in.raw.disp.value;
    if (!d->memory)
        d->op->base = decode_register(d, d->modrm_rm, width);
    else if (d->address)
        address_32(d, mod, rm);
    else
        address_16(d, mod, rm);
    decode_flatness(d);
}

void decode_modrm_register(struct decoder *d, unsigned width)
{
    decode_modrm(d, width);
    d->op->reg = decode_register(d, d->modrm_reg, width);
}

void decode_immediate(struct decoder *d)
{
    d->op->immediate = d->in.raw.imm[0].value.u;
}

uint32_t decode_immediate_signed(const struct decoder *d)
{
    uint64_t value = d->in.raw.imm[0].value.u;

    return d->in.raw.imm[0].size == 8    ? (uint32_t)(int8_t)value
           : d->in.raw.imm[0].size == 16 ? (uint32_t)(int16_t)value
                                         : (uint32_t)value;
}

static bool stays_in_page(const struct block *block, int64_t delta)
{
    int64_t offset = (int64_t)(block->physical & ~PAGE_MASK) + delta;

    return offset >= 0 && offset < PAGE_SIZE;
}

void decode_links(struct decoder *d, int64_t taken)
{
    int64_t behind = d->op->offset + d->op->length;

    d->op->mask = (uint64_t)stays_in_page(d->block, taken) << LINK_TAKEN |
                  (uint64_t)stays_in_page(d->block, behind) << LINK_FALL;
}

/* ---- blocks ---- */

static void instruction_refused(struct decoder *d, op_function *handler)
{
    d->op->length = 1;
    d->op->run = handler;
    d->ends = true;
}

/* TZCNT and LZCNT are BSF and BSR with a prefix that processors without them take no notice of. */
static bool has_instruction(struct decoder *d)
{
    if (identify_has_instruction(d->features, d->in.meta.isa_set))
        return true;
    if (d->in.mnemonic != ZYDIS_MNEMONIC_TZCNT && d->in.mnemonic != ZYDIS_MNEMONIC_LZCNT)
        return false;
    d->repeat = 0;
    return true;
}

/* One instruction into d->op; false if it does not end within the bytes. */
static bool decode_one(struct decoder *d, const uint8_t *bytes, unsigned size)
{
    ZyanStatus status = ZydisDecoderDecodeInstruction(
        &d->zydis, NULL, bytes, size < INSTRUCTION_BYTES ? size : INSTRUCTION_BYTES, &d->in);

    if (status == ZYDIS_STATUS_NO_MORE_DATA && size < INSTRUCTION_BYTES)
        return false;
    d->known_next = KNOWN_NOTHING;
    d->repeat = 0;
    if (status == ZYDIS_STATUS_NO_MORE_DATA || status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
        instruction_refused(d, op_too_long);
    } else if (!ZYAN_SUCCESS(status)) {
        instruction_refused(d, op_undefined);
    } else {
        d->op->length = d->in.length;
        prefixes_read(d);
        d->op->run = has_instruction(d) ? decode_handler(d) : (d->ends = true, op_undefined);
    }
    d->known = d->known_next;
    return true;
}

static void decoder_start(struct decoder *d, const struct block *block)
{
    bool code32 = block->mode & MODE_CODE32;

    d->block = block;
    d->code64 = block->mode & MODE_CODE64;
    d->known = KNOWN_NOTHING;
    d->ends = false;
    d->stack_flat = (block->mode & MODE_FLAT) && (block->mode & (MODE_STACK32 | MODE_CODE64));
    if (d->code64)
        ZydisDecoderInit(&d->zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else if (code32)
        ZydisDecoderInit(&d->zydis, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    else
        ZydisDecoderInit(&d->zydis, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

unsigned decode_block(const struct features *features, struct block *block, const uint8_t *bytes,
                      unsigned size)
{
    struct decoder decoder;
    unsigned most = block->mode & MODE_SINGLE ? 1 : BLOCK_OPERATIONS, at = 0;

    decoder_start(&decoder, block);
    decoder.features = features;
    block->count = 0;
    block->lead = (block->mode & (MODE_TURNS | MODE_SINGLE)) == MODE_TURNS;
    if (block->lead)
        block->ops[0] = (struct op){.run = op_turn};
    while (block->count < most && at < size && !decoder.ends) {
        decoder.op = &block->ops[block->lead + block->count];
        /* Without another operand in memory it is the stack that is accessed: canonical_fault() wants to know. */
        *decoder.op =
            (struct op){.offset = at, .ordinal = block->count, .index = NO_REGISTER, .segment = SEG_SS};
        if (!decode_one(&decoder, bytes + at, size - at))
            break;
        at += decoder.op->length;
        block->count++;
    }
    block->length = at;
    decoder.op = &block->ops[block->lead + block->count];
    *decoder.op = (struct op){.run = op_continue, .offset = at, .ordinal = block->count};
    decode_links(&decoder, at);
    return block->count;
}

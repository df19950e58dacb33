/*
 * From machine code to blocks of operations: Zydis finds length, prefixes, ModRM and immediates and refuses what is
 * invalid; decode-opcodes.c chooses handlers; here the operands are put where handlers want them.
 *
 * 16- and 32-bit code up to the Pentium Pro. VEX, XOP, EVEX, 3DNow! and all SSE are #UD.
 * Source: SDM volume 2, 2.1 (formats).
 */
#include "cpu/soft/decode.h"

uint8_t decode_register(unsigned number, unsigned width)
{
    if (width == WIDTH_8 && number >= 4)
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

        if (prefix >= 0)
            name = prefix;
    }
    return name;
}

static void prefixes_read(struct decoder *d)
{
    bool size66 = false;

    for (unsigned i = 0; i < d->in.raw.prefix_count; i++) {
        uint8_t byte = d->in.raw.prefixes[i].value;

        size66 |= byte == 0x66;
        if (byte == 0xf3 || byte == 0xf2)
            d->repeat = byte == 0xf3 ? 1 : 2;
    }
    d->wide = ((d->block->mode & MODE_CODE32) != 0) != size66;
    d->width = d->wide ? 2 : 1;
    d->address32 = d->in.address_width == 32;
    d->op->mask = d->address32 ? UINT32_MAX : UINT16_MAX;
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

static void address_32(struct decoder *d, unsigned mod, unsigned rm)
{
    unsigned base = rm;

    d->op->index = NO_REGISTER;
    if (rm == 4) {
        base = d->in.raw.sib.base;
        d->op->scale = d->in.raw.sib.scale;
        if (d->in.raw.sib.index != 4)
            d->op->index = d->in.raw.sib.index * 8;
    }
    d->op->base = mod == 0 && base == 5 ? NO_REGISTER : base * 8;
    d->op->segment = decode_segment(d, d->op->base == RBP * 8 || d->op->base == RSP * 8 ? SEG_SS : SEG_DS);
}

void decode_flatness(struct decoder *d)
{
    d->flat = (d->block->mode & MODE_FLAT) && d->address32 &&
              (d->op->segment == SEG_DS || d->op->segment == SEG_ES || d->op->segment == SEG_SS);
}

_Static_assert(GPR_COUNT * 8 == NO_REGISTER, "form[] above says GPR_COUNT for no register");

void decode_modrm(struct decoder *d, unsigned width)
{
    unsigned mod = d->in.raw.modrm.mod, rm = d->in.raw.modrm.rm;

    d->modrm_reg = d->in.raw.modrm.reg;
    d->modrm_rm = rm;
    d->memory = mod != 3;
    d->op->displacement = d->in.raw.disp.value;
    if (!d->memory)
        d->op->base = decode_register(rm, width);
    else if (d->address32)
        address_32(d, mod, rm);
    else
        address_16(d, mod, rm);
    decode_flatness(d);
}

void decode_modrm_register(struct decoder *d, unsigned width)
{
    decode_modrm(d, width);
    d->op->reg = decode_register(d->modrm_reg, width);
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
        d->op->run = decode_handler(d);
    }
    d->known = d->known_next;
    return true;
}

static void decoder_start(struct decoder *d, const struct block *block)
{
    bool code32 = block->mode & MODE_CODE32;

    d->block = block;
    d->known = KNOWN_NOTHING;
    d->ends = false;
    d->stack_flat = (block->mode & MODE_FLAT) && (block->mode & MODE_STACK32);
    ZydisDecoderInit(&d->zydis, code32 ? ZYDIS_MACHINE_MODE_LEGACY_32 : ZYDIS_MACHINE_MODE_LEGACY_16,
                     code32 ? ZYDIS_STACK_WIDTH_32 : ZYDIS_STACK_WIDTH_16);
    /* Encodings that older processors take for another instruction with a prefix that does nothing. */
    ZydisDecoderEnableMode(&d->zydis, ZYDIS_DECODER_MODE_LZCNT, ZYAN_FALSE);
    ZydisDecoderEnableMode(&d->zydis, ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
}

unsigned decode_block(struct block *block, const uint8_t *bytes, unsigned size)
{
    struct decoder decoder;
    unsigned most = block->mode & MODE_SINGLE ? 1 : BLOCK_OPERATIONS, at = 0;

    decoder_start(&decoder, block);
    block->count = 0;
    while (block->count < most && at < size && !decoder.ends) {
        decoder.op = &block->ops[block->count];
        *decoder.op = (struct op){.offset = at, .index = NO_REGISTER};
        if (!decode_one(&decoder, bytes + at, size - at))
            break;
        at += decoder.op->length;
        block->count++;
    }
    block->length = at;
    decoder.op = &block->ops[block->count];
    *decoder.op = (struct op){.run = op_continue, .offset = at};
    decode_links(&decoder, at);
    return block->count;
}

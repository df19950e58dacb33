/*
 * The opcode maps of MMX and SSE: 0F, 0F 38 and 0F 3A, by opcode and by mandatory prefix (none, 66, F3, F2).
 * Source: Intel SDM volume 2, appendix A, tables.
 */
#include <stdlib.h>

#include "cpu/soft/decode.h"
#include "cpu/soft/features.h"
#include "cpu/soft/sse-handlers.h"
#include "cpu/soft/sse-internal.h"

/* What the host must have; 0 is what every x86-64 processor has. */
enum need { NEED_NOTHING, NEED_SSE3, NEED_SSSE3, NEED_SSE41, NEED_SSE42, NEED_AES, NEED_PCLMUL, NEED_SHA };

enum row_flags {
    SETS_FLAGS = 1 << 0,
    REVERSED = 1 << 1, /* ModRM.rm in op->reg and ModRM.reg in op->base */
    LENGTHS = 1 << 2,  /* REX.W goes to SSE_WIDE */
};

struct row {
    op_function *in_register, *in_memory;     /* NULL: undefined */
    op_function *wide_register, *wide_memory; /* with REX.W, where that makes a difference */
    uint8_t need, flags;
};

enum prefix { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2, PREFIXES };
struct opcode { /* of those that have rows, in rising order */
    uint8_t byte;
    struct row rows[PREFIXES];
};

/* clang-format off */
#define X(name)      {sse_##name##_register, sse_##name##_memory, NULL, NULL, 0, 0}
#define M(name)      {mmx_##name##_register, mmx_##name##_memory, NULL, NULL, 0, 0}
#define XN(name, n)  {sse_##name##_register, sse_##name##_memory, NULL, NULL, n, 0}
#define MN(name, n)  {mmx_##name##_register, mmx_##name##_memory, NULL, NULL, n, 0}
#define XF(name, n)  {sse_##name##_register, sse_##name##_memory, NULL, NULL, n, SETS_FLAGS}
#define XW(name, w, n) {sse_##name##_register, sse_##name##_memory, sse_##w##_register, sse_##w##_memory, n, 0}
#define MW(name, w)  {mmx_##name##_register, mmx_##name##_memory, mmx_##w##_register, mmx_##w##_memory, 0, 0}
#define XR(r, m)     {r, m, NULL, NULL, 0, 0}
#define NO           {NULL, NULL, NULL, NULL, 0, 0}
#define BOTH(name)        {M(name), X(name), NO, NO}
#define BOTHN(name, n)    {MN(name, n), XN(name, n), NO, NO}
#define FOUR(name)        {X(name##ps), X(name##pd), X(name##ss), X(name##sd)}
#define PACKED(name)      {X(name##ps), X(name##pd), NO, NO}
#define ONLY66(name, n)   {NO, XN(name, n), NO, NO}

static const struct opcode map_0f[] = {
    {0x10, {X(load), X(load), X(movss), X(movsd)}},
    {0x11, {X(store), X(store), X(store_32), X(store_64)}},
    {0x12, {XR(sse_movhlps_register, sse_movlpd), XR(NULL, sse_movlpd), XN(movsldup, NEED_SSE3), XN(movddup, NEED_SSE3)}},
    {0x13, {XR(NULL, sse_store_64_memory), XR(NULL, sse_store_64_memory), NO, NO}},
    {0x14, PACKED(unpckl)},
    {0x15, PACKED(unpckh)},
    {0x16, {X(movlhps), XR(NULL, sse_movlhps_memory), XN(movshdup, NEED_SSE3), NO}},
    {0x17, {XR(NULL, sse_store_high), XR(NULL, sse_store_high), NO, NO}},
    {0x28, {X(load_aligned), X(load_aligned), NO, NO}},
    {0x29, {X(store_aligned), X(store_aligned), NO, NO}},
    {0x2a, {X(cvtpi2ps), X(cvtpi2pd), XW(cvtsi2ssl, cvtsi2ssq, 0), XW(cvtsi2sdl, cvtsi2sdq, 0)}},
    {0x2b, {XR(NULL, sse_store_aligned_memory), XR(NULL, sse_store_aligned_memory), NO, NO}},
    {0x2c, {X(cvttps2pi), X(cvttpd2pi), XW(cvttss2si_32, cvttss2si_64, 0), XW(cvttsd2si_32, cvttsd2si_64, 0)}},
    {0x2d, {X(cvtps2pi), X(cvtpd2pi), XW(cvtss2si_32, cvtss2si_64, 0), XW(cvtsd2si_32, cvtsd2si_64, 0)}},
    {0x2e, {XF(ucomiss, 0), XF(ucomisd, 0), NO, NO}},
    {0x2f, {XF(comiss, 0), XF(comisd, 0), NO, NO}},
    {0x50, {XR(sse_movmskps, NULL), XR(sse_movmskpd, NULL), NO, NO}},
    {0x51, FOUR(sqrt)},
    {0x52, {X(rsqrtps), NO, X(rsqrtss), NO}},
    {0x53, {X(rcpps), NO, X(rcpss), NO}},
    {0x54, PACKED(and)},
    {0x55, PACKED(andn)},
    {0x56, PACKED(or)},
    {0x57, PACKED(xor)},
    {0x58, FOUR(add)},
    {0x59, FOUR(mul)},
    {0x5a, {X(cvtps2pd), X(cvtpd2ps), X(cvtss2sd), X(cvtsd2ss)}},
    {0x5b, {X(cvtdq2ps), X(cvtps2dq), X(cvttps2dq), NO}},
    {0x5c, FOUR(sub)},
    {0x5d, FOUR(min)},
    {0x5e, FOUR(div)},
    {0x5f, FOUR(max)},
    {0x60, BOTH(punpcklbw)}, {0x61, BOTH(punpcklwd)}, {0x62, BOTH(punpckldq)}, {0x63, BOTH(packsswb)},
    {0x64, BOTH(pcmpgtb)}, {0x65, BOTH(pcmpgtw)}, {0x66, BOTH(pcmpgtd)}, {0x67, BOTH(packuswb)},
    {0x68, BOTH(punpckhbw)}, {0x69, BOTH(punpckhwd)}, {0x6a, BOTH(punpckhdq)}, {0x6b, BOTH(packssdw)},
    {0x6c, ONLY66(punpcklqdq, 0)}, {0x6d, ONLY66(punpckhqdq, 0)},
    {0x6e, {MW(insert_32, insert_64), XW(insert_32, insert_64, 0), NO, NO}},
    {0x6f, {M(load), X(load_aligned), X(load), NO}},
    {0x70, {M(pshufw), X(pshufd), X(pshufhw), X(pshuflw)}},
    {0x74, BOTH(pcmpeqb)}, {0x75, BOTH(pcmpeqw)}, {0x76, BOTH(pcmpeqd)},
    {0x77, {XR(mmx_emms, NULL), NO, NO, NO}},
    {0x7c, {NO, XN(haddpd, NEED_SSE3), NO, XN(haddps, NEED_SSE3)}},
    {0x7d, {NO, XN(hsubpd, NEED_SSE3), NO, XN(hsubps, NEED_SSE3)}},
    {0x7e, {MW(extract_32, extract_64), XW(extract_32, extract_64, 0), XR(sse_movq_register, sse_movsd_memory), NO}},
    {0x7f, {M(store), X(store_aligned), X(store), NO}},
    {0xc2, FOUR(cmp)},
    {0xc3, {{NULL, sse_movnti_32, NULL, sse_movnti_64, 0, 0}, NO, NO, NO}},
    {0xc4, BOTH(pinsrw)},
    {0xc5, {XR(mmx_pextrw, NULL), {sse_pextrw_register, NULL, NULL, NULL, 0, REVERSED}, NO, NO}},
    {0xc6, PACKED(shuf)},
    {0xd0, {NO, XN(addsubpd, NEED_SSE3), NO, XN(addsubps, NEED_SSE3)}},
    {0xd1, BOTH(psrlw)}, {0xd2, BOTH(psrld)}, {0xd3, BOTH(psrlq)}, {0xd4, BOTH(paddq)}, {0xd5, BOTH(pmullw)},
    {0xd6, {NO, {sse_movq_register, sse_movq_memory, NULL, NULL, 0, REVERSED}, XR(sse_movq2dq, NULL),
              XR(sse_movdq2q, NULL)}},
    {0xd7, {XR(mmx_pmovmskb, NULL), XR(sse_pmovmskb, NULL), NO, NO}},
    {0xd8, BOTH(psubusb)}, {0xd9, BOTH(psubusw)}, {0xda, BOTH(pminub)}, {0xdb, BOTH(pand)},
    {0xdc, BOTH(paddusb)}, {0xdd, BOTH(paddusw)}, {0xde, BOTH(pmaxub)}, {0xdf, BOTH(pandn)},
    {0xe0, BOTH(pavgb)}, {0xe1, BOTH(psraw)}, {0xe2, BOTH(psrad)}, {0xe3, BOTH(pavgw)},
    {0xe4, BOTH(pmulhuw)}, {0xe5, BOTH(pmulhw)}, {0xe6, {NO, X(cvttpd2dq), X(cvtdq2pd), X(cvtpd2dq)}},
    {0xe7, {XR(NULL, mmx_movntq), XR(NULL, sse_store_aligned_memory), NO, NO}},
    {0xe8, BOTH(psubsb)}, {0xe9, BOTH(psubsw)}, {0xea, BOTH(pminsw)}, {0xeb, BOTH(por)},
    {0xec, BOTH(paddsb)}, {0xed, BOTH(paddsw)}, {0xee, BOTH(pmaxsw)}, {0xef, BOTH(pxor)},
    {0xf0, {NO, NO, NO, {NULL, sse_load_memory, NULL, NULL, NEED_SSE3, 0}}},
    {0xf1, BOTH(psllw)}, {0xf2, BOTH(pslld)}, {0xf3, BOTH(psllq)}, {0xf4, BOTH(pmuludq)},
    {0xf5, BOTH(pmaddwd)}, {0xf6, BOTH(psadbw)}, {0xf7, {XR(mmx_maskmovq, NULL), XR(sse_maskmovdqu, NULL), NO, NO}},
    {0xf8, BOTH(psubb)}, {0xf9, BOTH(psubw)}, {0xfa, BOTH(psubd)}, {0xfb, BOTH(psubq)},
    {0xfc, BOTH(paddb)}, {0xfd, BOTH(paddw)}, {0xfe, BOTH(paddd)},
};

#define SSSE3(name) BOTHN(name, NEED_SSSE3)
#define SSE41(name) ONLY66(name, NEED_SSE41)
#define SSE42(name) ONLY66(name, NEED_SSE42)
#define AES(name)   ONLY66(name, NEED_AES)
#define SHA(name)   {XN(name, NEED_SHA), NO, NO, NO}

static const struct opcode map_38[] = {
    {0x00, SSSE3(pshufb)}, {0x01, SSSE3(phaddw)}, {0x02, SSSE3(phaddd)}, {0x03, SSSE3(phaddsw)},
    {0x04, SSSE3(pmaddubsw)}, {0x05, SSSE3(phsubw)}, {0x06, SSSE3(phsubd)}, {0x07, SSSE3(phsubsw)},
    {0x08, SSSE3(psignb)}, {0x09, SSSE3(psignw)}, {0x0a, SSSE3(psignd)}, {0x0b, SSSE3(pmulhrsw)},
    {0x10, SSE41(pblendvb)}, {0x14, SSE41(blendvps)}, {0x15, SSE41(blendvpd)},
    {0x17, {NO, XF(ptest, NEED_SSE41), NO, NO}},
    {0x1c, SSSE3(pabsb)}, {0x1d, SSSE3(pabsw)}, {0x1e, SSSE3(pabsd)},
    {0x20, SSE41(pmovsxbw)}, {0x21, SSE41(pmovsxbd)}, {0x22, SSE41(pmovsxbq)}, {0x23, SSE41(pmovsxwd)},
    {0x24, SSE41(pmovsxwq)}, {0x25, SSE41(pmovsxdq)}, {0x28, SSE41(pmuldq)}, {0x29, SSE41(pcmpeqq)},
    {0x2a, {NO, {NULL, sse_load_aligned_memory, NULL, NULL, NEED_SSE41, 0}, NO, NO}}, {0x2b, SSE41(packusdw)},
    {0x30, SSE41(pmovzxbw)}, {0x31, SSE41(pmovzxbd)}, {0x32, SSE41(pmovzxbq)}, {0x33, SSE41(pmovzxwd)},
    {0x34, SSE41(pmovzxwq)}, {0x35, SSE41(pmovzxdq)}, {0x37, SSE42(pcmpgtq)}, {0x38, SSE41(pminsb)},
    {0x39, SSE41(pminsd)}, {0x3a, SSE41(pminuw)}, {0x3b, SSE41(pminud)}, {0x3c, SSE41(pmaxsb)},
    {0x3d, SSE41(pmaxsd)}, {0x3e, SSE41(pmaxuw)}, {0x3f, SSE41(pmaxud)}, {0x40, SSE41(pmulld)},
    {0x41, SSE41(phminposuw)},
    {0xc8, SHA(sha1nexte)}, {0xc9, SHA(sha1msg1)}, {0xca, SHA(sha1msg2)}, {0xcb, SHA(sha256rnds2)},
    {0xcc, SHA(sha256msg1)}, {0xcd, SHA(sha256msg2)},
    {0xdb, AES(aesimc)}, {0xdc, AES(aesenc)}, {0xdd, AES(aesenclast)}, {0xde, AES(aesdec)}, {0xdf, AES(aesdeclast)},
};

#define STRINGS(name) {NO, {sse_##name##_register, sse_##name##_memory, NULL, NULL, NEED_SSE42, SETS_FLAGS | LENGTHS}, NO, NO}

static const struct opcode map_3a[] = {
    {0x08, SSE41(roundps)}, {0x09, SSE41(roundpd)}, {0x0a, SSE41(roundss)}, {0x0b, SSE41(roundsd)},
    {0x0c, SSE41(blendps)}, {0x0d, SSE41(blendpd)}, {0x0e, SSE41(pblendw)}, {0x0f, SSSE3(palignr)},
    {0x14, SSE41(pextrb)}, {0x15, SSE41(pextrw)}, {0x16, {NO, XW(pextrd, pextrq, NEED_SSE41), NO, NO}},
    {0x17, SSE41(pextrd)}, {0x20, SSE41(pinsrb)}, {0x21, SSE41(insertps)},
    {0x22, {NO, XW(pinsrd, pinsrq, NEED_SSE41), NO, NO}},
    {0x40, SSE41(dpps)}, {0x41, SSE41(dppd)}, {0x42, SSE41(mpsadbw)}, {0x44, ONLY66(pclmulqdq, NEED_PCLMUL)},
    {0x60, STRINGS(pcmpestrm)}, {0x61, STRINGS(pcmpestri)}, {0x62, STRINGS(pcmpistrm)}, {0x63, STRINGS(pcmpistri)},
    {0xcc, SHA(sha1rnds4)},
    {0xdf, AES(aeskeygenassist)},
};

/* 0F 71 to 0F 73 by ModRM.reg: shifts of a register by the immediate byte. */
#define SHIFT(name) {mmx_shift_##name, sse_shift_##name}
static op_function *const shifts[3][8][2] = {
    {[2] = SHIFT(psrlw), [4] = SHIFT(psraw), [6] = SHIFT(psllw)},
    {[2] = SHIFT(psrld), [4] = SHIFT(psrad), [6] = SHIFT(pslld)},
    {[2] = SHIFT(psrlq), [3] = {NULL, sse_shift_psrldq}, [6] = SHIFT(psllq), [7] = {NULL, sse_shift_pslldq}},
};

/* 0F AE with an operand in memory, by ModRM.reg, without and with REX.W. */
static op_function *const states[8][2] = {
    {sse_fxsave, sse_fxsave_64}, {sse_fxrstor, sse_fxrstor_64}, {sse_ldmxcsr, sse_ldmxcsr}, {sse_stmxcsr, sse_stmxcsr},
    {sse_xsave, sse_xsave_64}, {sse_xrstor, sse_xrstor_64}, {NULL, NULL}, {NULL, NULL},
};
/* clang-format on */

/* ---- operands ---- */

static enum prefix prefix_of(const struct decoder *d)
{
    if (d->repeat)
        return d->repeat == 1 ? PREFIX_F3 : PREFIX_F2;
    return d->size66 ? PREFIX_66 : PREFIX_NONE;
}

static bool host_has(enum need need)
{
    switch (need) {
    case NEED_NOTHING: return true;
    case NEED_SSE3: return __builtin_cpu_supports("sse3");
    case NEED_SSSE3: return __builtin_cpu_supports("ssse3");
    case NEED_SSE41: return __builtin_cpu_supports("sse4.1");
    case NEED_SSE42: return __builtin_cpu_supports("sse4.2");
    case NEED_AES: return __builtin_cpu_supports("aes");
    case NEED_PCLMUL: return __builtin_cpu_supports("pclmul");
    default: return sse_features_7_ebx() & FEATURE_SHA;
    }
}

static void operands_take(struct decoder *d)
{
    decode_modrm(d, 2);
    d->op->reg = d->modrm_reg;
    if (!d->memory)
        d->op->base = d->modrm_rm;
    d->op->immediate = d->in.raw.imm[0].value.u & UINT8_MAX;
    d->known_next = d->known;
}

static op_function *row_handler(struct decoder *d, const struct row *row)
{
    op_function *handler;

    operands_take(d);
    handler = d->memory ? row->in_memory : row->in_register;
    if (d->rex_w && (row->wide_register || row->wide_memory))
        handler = d->memory ? row->wide_memory : row->wide_register;
    if (!handler || !host_has(row->need))
        return NULL;
    if (row->flags & SETS_FLAGS)
        d->known_next = KNOWN_NOTHING;
    if ((row->flags & LENGTHS) && d->rex_w)
        d->op->immediate |= SSE_WIDE;
    if ((row->flags & REVERSED) && !d->memory) {
        uint8_t swap = d->op->reg;

        d->op->reg = d->op->base;
        d->op->base = swap;
    }
    return handler;
}

/* ---- what does not fit into rows ---- */

static op_function *shift_group(struct decoder *d, unsigned group, enum prefix prefix)
{
    operands_take(d);
    return d->memory || prefix > PREFIX_66 ? NULL : shifts[group][d->in.raw.modrm.reg][prefix == PREFIX_66];
}

/* MASKMOVQ and MASKMOVDQU: the address is DS:(E)DI. */
static op_function *masked_store(struct decoder *d, op_function *handler)
{
    operands_take(d);
    if (d->memory)
        return NULL;
    d->op->immediate = d->op->base;
    d->op->base = RDI * 8;
    d->op->segment = decode_segment(d, SEG_DS);
    return handler;
}

static op_function *state_group(struct decoder *d)
{
    unsigned which = d->in.raw.modrm.reg;

    operands_take(d);
    return d->memory ? states[which][d->rex_w] : NULL;
}

static op_function *extended_control(struct decoder *d)
{
    enum { MODRM_XGETBV = 2, RM_XGETBV = 0, RM_XSETBV = 1 };

    if (d->in.raw.modrm.mod != 3 || d->in.raw.modrm.reg != MODRM_XGETBV)
        return NULL;
    return d->in.raw.modrm.rm == RM_XGETBV ? sse_xgetbv : d->in.raw.modrm.rm == RM_XSETBV ? sse_xsetbv : NULL;
}

/* 0F 38 F0 and F1 with F2; a byte register is named as decode_register() does, for it may be AH. */
static op_function *crc32(struct decoder *d)
{
    static op_function *const handlers[][2] = {{sse_crc32_16_register, sse_crc32_16_memory},
                                               {sse_crc32_32_register, sse_crc32_32_memory},
                                               {sse_crc32_64_register, sse_crc32_64_memory}};

    if (!host_has(NEED_SSE42))
        return NULL;
    operands_take(d);
    if (d->in.opcode & 1)
        return handlers[d->wide][d->memory];
    decode_modrm(d, WIDTH_8);
    return d->memory ? sse_crc32_8_memory : sse_crc32_8_register;
}

static int byte_compare(const void *byte, const void *opcode)
{
    return *(const uint8_t *)byte - ((const struct opcode *)opcode)->byte;
}

#define OPCODE_FIND(map, byte)                                                                               \
    bsearch(&(byte), map, sizeof(map) / sizeof((map)[0]), sizeof((map)[0]), byte_compare)

static const struct row *row_find(const struct decoder *d, enum prefix prefix)
{
    static const struct row undefined = NO;
    const struct opcode *opcode = NULL;

    switch (d->in.opcode_map) {
    case ZYDIS_OPCODE_MAP_0F: opcode = OPCODE_FIND(map_0f, d->in.opcode); break;
    case ZYDIS_OPCODE_MAP_0F38: opcode = OPCODE_FIND(map_38, d->in.opcode); break;
    case ZYDIS_OPCODE_MAP_0F3A: opcode = OPCODE_FIND(map_3a, d->in.opcode); break;
    default: break;
    }
    return opcode ? &opcode->rows[prefix] : &undefined;
}

op_function *sse_decode(struct decoder *d)
{
    enum prefix prefix = prefix_of(d);
    uint8_t opcode = d->in.opcode;
    const struct row *row = row_find(d, prefix);

    if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F38 && (opcode & ~1) == 0xf0)
        return prefix == PREFIX_F2 ? crc32(d) : NULL;
    if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F) {
        switch (opcode) {
        case 0x01: return prefix == PREFIX_NONE ? extended_control(d) : NULL;
        case 0x71:
        case 0x72:
        case 0x73: return shift_group(d, opcode - 0x71, prefix);
        case 0x77: return row->in_register;
        case 0xae: return prefix == PREFIX_NONE ? state_group(d) : NULL;
        case 0xf7: return row->in_register ? masked_store(d, row->in_register) : NULL;
        default: break;
        }
    }
    return row->in_register || row->in_memory ? row_handler(d, row) : NULL;
}

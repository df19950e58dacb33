/*
 * MMX and SSE: every instruction of the families with random operands, XMM registers, MXCSR and FPU states, register
 * and memory forms, aligned and not, and across the end of memory. Compared: XMM0 to XMM7, MXCSR, the FPU as FNSAVE
 * writes it, general registers, flags, memory, exceptions.
 *
 * Addresses of the SHA instructions are aligned: the SDM has #GP for others, AMD's processors take them.
 * What this host has not got is skipped, and said so. Not here: XSAVE, XRSTOR, XGETBV (the host's components are others).
 * Source: Intel SDM volume 2.
 */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"
#include "cpu/state.h"

enum { PRINTED = 2, VARIANTS = 32, LONGEST = 15, XMM_REGISTERS = 8, RM_ABSOLUTE = 5 };
enum { IMAGE_CONTROL = 0, IMAGE_STATUS = 4, IMAGE_TAGS = 8, IMAGE_REGISTERS = 28 };
enum { MXCSR_AT = 128, MXCSR_DEFAULT = 0x1f80 };

enum kind {
    RR = 1 << 0,  /* register form */
    RM = 1 << 1,  /* memory form */
    IB = 1 << 2,  /* immediate byte */
    F4 = 1 << 3,  /* single precision */
    F8 = 1 << 4,  /* double precision */
    MX = 1 << 5,  /* MXCSR counts: all kinds of it */
    ST = 1 << 6,  /* string compare: lengths in EAX and EDX, few different bytes */
    DI = 1 << 7,  /* EDI: an address */
    IM = 1 << 8,  /* memory holds an FXSAVE image */
    FX = 1 << 9,  /* FXSAVE: pointers and mask are not compared */
    LD = 1 << 10, /* memory often holds a valid MXCSR */
    B = RR | RM,
    S = B | F4 | MX,
    D = B | F8 | MX,
};

enum need { ALWAYS, SSE3, SSSE3, SSE41, SSE42, AES, PCLMUL, SHA, POPCNT, MOVBE };

struct sse_form {
    const char *name, *code; /* hexadecimal; /n: ModRM.reg is n */
    unsigned kind;
    enum need need;
};

/* clang-format off */
#define MX2(name, code) {name " mm", code, B, ALWAYS}, {name " xmm", "66 " code, B, ALWAYS}
#define SS3(name, code) {name " mm", code, B, SSSE3}, {name " xmm", "66 " code, B, SSSE3}
#define FP4(name, code) {name "ps", code, S, ALWAYS}, {name "pd", "66 " code, D, ALWAYS}, \
                        {name "ss", "f3 " code, S, ALWAYS}, {name "sd", "f2 " code, D, ALWAYS}
#define LOG(name, code) {name "ps", code, B, ALWAYS}, {name "pd", "66 " code, B, ALWAYS}
#define S41(name, code) {name, "66 0f 38 " code, B, SSE41}

static const struct sse_form sse_forms[] = {
    MX2("punpcklbw", "0f 60"), MX2("punpcklwd", "0f 61"), MX2("punpckldq", "0f 62"), MX2("packsswb", "0f 63"),
    MX2("pcmpgtb", "0f 64"), MX2("pcmpgtw", "0f 65"), MX2("pcmpgtd", "0f 66"), MX2("packuswb", "0f 67"),
    MX2("punpckhbw", "0f 68"), MX2("punpckhwd", "0f 69"), MX2("punpckhdq", "0f 6a"), MX2("packssdw", "0f 6b"),
    {"punpcklqdq", "66 0f 6c", B, ALWAYS}, {"punpckhqdq", "66 0f 6d", B, ALWAYS},
    MX2("movd r/m,", "0f 6e"), {"movq mm", "0f 6f", B, ALWAYS}, {"movdqa", "66 0f 6f", B, ALWAYS}, {"movdqu", "f3 0f 6f", B, ALWAYS},
    {"pshufw", "0f 70", B | IB, ALWAYS}, {"pshufd", "66 0f 70", B | IB, ALWAYS},
    {"pshufhw", "f3 0f 70", B | IB, ALWAYS}, {"pshuflw", "f2 0f 70", B | IB, ALWAYS},
    {"psrlw mm,imm", "0f 71 /2", RR | IB, ALWAYS}, {"psrlw xmm,imm", "66 0f 71 /2", RR | IB, ALWAYS},
    {"psraw mm,imm", "0f 71 /4", RR | IB, ALWAYS}, {"psraw xmm,imm", "66 0f 71 /4", RR | IB, ALWAYS},
    {"psllw mm,imm", "0f 71 /6", RR | IB, ALWAYS}, {"psllw xmm,imm", "66 0f 71 /6", RR | IB, ALWAYS},
    {"psrld mm,imm", "0f 72 /2", RR | IB, ALWAYS}, {"psrld xmm,imm", "66 0f 72 /2", RR | IB, ALWAYS},
    {"psrad mm,imm", "0f 72 /4", RR | IB, ALWAYS}, {"psrad xmm,imm", "66 0f 72 /4", RR | IB, ALWAYS},
    {"pslld mm,imm", "0f 72 /6", RR | IB, ALWAYS}, {"pslld xmm,imm", "66 0f 72 /6", RR | IB, ALWAYS},
    {"psrlq mm,imm", "0f 73 /2", RR | IB, ALWAYS}, {"psrlq xmm,imm", "66 0f 73 /2", RR | IB, ALWAYS},
    {"psllq mm,imm", "0f 73 /6", RR | IB, ALWAYS}, {"psllq xmm,imm", "66 0f 73 /6", RR | IB, ALWAYS},
    {"psrldq", "66 0f 73 /3", RR | IB, ALWAYS}, {"pslldq", "66 0f 73 /7", RR | IB, ALWAYS},
    MX2("pcmpeqb", "0f 74"), MX2("pcmpeqw", "0f 75"), MX2("pcmpeqd", "0f 76"), {"emms", "0f 77", 0, ALWAYS},
    MX2("movd ,r/m", "0f 7e"), {"movq xmm", "f3 0f 7e", B, ALWAYS}, {"movq mm store", "0f 7f", B, ALWAYS},
    {"movdqa store", "66 0f 7f", B, ALWAYS}, {"movdqu store", "f3 0f 7f", B, ALWAYS},
    {"pinsrw mm", "0f c4", B | IB, ALWAYS}, {"pinsrw xmm", "66 0f c4", B | IB, ALWAYS}, {"pextrw mm", "0f c5", RR | IB, ALWAYS}, {"pextrw xmm", "66 0f c5", RR | IB, ALWAYS},
    MX2("psrlw", "0f d1"), MX2("psrld", "0f d2"), MX2("psrlq", "0f d3"), MX2("paddq", "0f d4"), MX2("pmullw", "0f d5"),
    {"movq xmm store", "66 0f d6", B, ALWAYS}, {"movq2dq", "f3 0f d6", RR, ALWAYS}, {"movdq2q", "f2 0f d6", RR, ALWAYS},
    {"pmovmskb mm", "0f d7", RR, ALWAYS}, {"pmovmskb xmm", "66 0f d7", RR, ALWAYS},
    MX2("psubusb", "0f d8"), MX2("psubusw", "0f d9"), MX2("pminub", "0f da"), MX2("pand", "0f db"),
    MX2("paddusb", "0f dc"), MX2("paddusw", "0f dd"), MX2("pmaxub", "0f de"), MX2("pandn", "0f df"),
    MX2("pavgb", "0f e0"), MX2("psraw", "0f e1"), MX2("psrad", "0f e2"), MX2("pavgw", "0f e3"),
    MX2("pmulhuw", "0f e4"), MX2("pmulhw", "0f e5"), {"movntq", "0f e7", RM, ALWAYS}, {"movntdq", "66 0f e7", RM, ALWAYS},
    MX2("psubsb", "0f e8"), MX2("psubsw", "0f e9"), MX2("pminsw", "0f ea"), MX2("por", "0f eb"),
    MX2("paddsb", "0f ec"), MX2("paddsw", "0f ed"), MX2("pmaxsw", "0f ee"), MX2("pxor", "0f ef"),
    MX2("psllw", "0f f1"), MX2("pslld", "0f f2"), MX2("psllq", "0f f3"), MX2("pmuludq", "0f f4"),
    MX2("pmaddwd", "0f f5"), MX2("psadbw", "0f f6"), {"maskmovq", "0f f7", RR | DI, ALWAYS},
    {"maskmovdqu", "66 0f f7", RR | DI, ALWAYS},
    MX2("psubb", "0f f8"), MX2("psubw", "0f f9"), MX2("psubd", "0f fa"), MX2("psubq", "0f fb"),
    MX2("paddb", "0f fc"), MX2("paddw", "0f fd"), MX2("paddd", "0f fe"),

    {"movups", "0f 10", B, ALWAYS}, {"movupd", "66 0f 10", B, ALWAYS}, {"movss", "f3 0f 10", B, ALWAYS}, {"movsd", "f2 0f 10", B, ALWAYS},
    {"movups store", "0f 11", B, ALWAYS}, {"movupd store", "66 0f 11", B, ALWAYS}, {"movss store", "f3 0f 11", B, ALWAYS},
    {"movsd store", "f2 0f 11", B, ALWAYS}, {"movlps, movhlps", "0f 12", B, ALWAYS}, {"movlpd", "66 0f 12", RM, ALWAYS},
    {"movlps store", "0f 13", RM, ALWAYS}, {"movlpd store", "66 0f 13", RM, ALWAYS}, LOG("unpckl", "0f 14"), LOG("unpckh", "0f 15"),
    {"movhps, movlhps", "0f 16", B, ALWAYS}, {"movhpd", "66 0f 16", RM, ALWAYS}, {"movhps store", "0f 17", RM, ALWAYS},
    {"movhpd store", "66 0f 17", RM, ALWAYS}, {"movaps", "0f 28", B, ALWAYS}, {"movapd", "66 0f 28", B, ALWAYS},
    {"movaps store", "0f 29", B, ALWAYS}, {"movapd store", "66 0f 29", B, ALWAYS},
    {"movntps", "0f 2b", RM, ALWAYS}, {"movntpd", "66 0f 2b", RM, ALWAYS}, {"movnti", "0f c3", RM, ALWAYS},
    {"movmskps", "0f 50", RR, ALWAYS}, {"movmskpd", "66 0f 50", RR, ALWAYS},
    {"shufps", "0f c6", B | IB, ALWAYS}, {"shufpd", "66 0f c6", B | IB, ALWAYS},
    LOG("and", "0f 54"), LOG("andn", "0f 55"), LOG("or", "0f 56"), LOG("xor", "0f 57"),
    FP4("sqrt", "0f 51"), FP4("add", "0f 58"), FP4("mul", "0f 59"), FP4("sub", "0f 5c"), FP4("min", "0f 5d"),
    FP4("div", "0f 5e"), FP4("max", "0f 5f"),
    {"rsqrtps", "0f 52", S, ALWAYS}, {"rsqrtss", "f3 0f 52", S, ALWAYS}, {"rcpps", "0f 53", S, ALWAYS}, {"rcpss", "f3 0f 53", S, ALWAYS},
    {"cmpps", "0f c2", S | IB, ALWAYS}, {"cmppd", "66 0f c2", D | IB, ALWAYS}, {"cmpss", "f3 0f c2", S | IB, ALWAYS},
    {"cmpsd", "f2 0f c2", D | IB, ALWAYS},
    {"ucomiss", "0f 2e", S, ALWAYS}, {"ucomisd", "66 0f 2e", D, ALWAYS}, {"comiss", "0f 2f", S, ALWAYS}, {"comisd", "66 0f 2f", D, ALWAYS},
    {"cvtpi2ps", "0f 2a", B | MX, ALWAYS}, {"cvtpi2pd", "66 0f 2a", B | MX, ALWAYS}, {"cvtsi2ss", "f3 0f 2a", B | MX, ALWAYS},
    {"cvtsi2sd", "f2 0f 2a", B | MX, ALWAYS},
    {"cvttps2pi", "0f 2c", S, ALWAYS}, {"cvttpd2pi", "66 0f 2c", D, ALWAYS}, {"cvttss2si", "f3 0f 2c", S, ALWAYS}, {"cvttsd2si", "f2 0f 2c", D, ALWAYS},
    {"cvtps2pi", "0f 2d", S, ALWAYS}, {"cvtpd2pi", "66 0f 2d", D, ALWAYS}, {"cvtss2si", "f3 0f 2d", S, ALWAYS}, {"cvtsd2si", "f2 0f 2d", D, ALWAYS},
    {"cvtps2pd", "0f 5a", S, ALWAYS}, {"cvtpd2ps", "66 0f 5a", D, ALWAYS}, {"cvtss2sd", "f3 0f 5a", S, ALWAYS}, {"cvtsd2ss", "f2 0f 5a", D, ALWAYS},
    {"cvtdq2ps", "0f 5b", B | MX, ALWAYS}, {"cvtps2dq", "66 0f 5b", S, ALWAYS}, {"cvttps2dq", "f3 0f 5b", S, ALWAYS},
    {"cvttpd2dq", "66 0f e6", D, ALWAYS}, {"cvtdq2pd", "f3 0f e6", B | MX, ALWAYS}, {"cvtpd2dq", "f2 0f e6", D, ALWAYS},
    {"ldmxcsr", "0f ae /2", RM | MX | LD, ALWAYS}, {"stmxcsr", "0f ae /3", RM | MX, ALWAYS}, {"fxsave", "0f ae /0", RM | MX | FX, ALWAYS},
    {"fxrstor", "0f ae /1", RM | MX | IM, ALWAYS}, 

    {"movsldup", "f3 0f 12", B, SSE3}, {"movshdup", "f3 0f 16", B, SSE3}, {"movddup", "f2 0f 12", B, SSE3},
    {"haddpd", "66 0f 7c", D, SSE3}, {"haddps", "f2 0f 7c", S, SSE3}, {"hsubpd", "66 0f 7d", D, SSE3}, {"hsubps", "f2 0f 7d", S, SSE3},
    {"addsubpd", "66 0f d0", D, SSE3}, {"addsubps", "f2 0f d0", S, SSE3}, {"lddqu", "f2 0f f0", RM, SSE3},

    SS3("pshufb", "0f 38 00"), SS3("phaddw", "0f 38 01"), SS3("phaddd", "0f 38 02"), SS3("phaddsw", "0f 38 03"),
    SS3("pmaddubsw", "0f 38 04"), SS3("phsubw", "0f 38 05"), SS3("phsubd", "0f 38 06"), SS3("phsubsw", "0f 38 07"),
    SS3("psignb", "0f 38 08"), SS3("psignw", "0f 38 09"), SS3("psignd", "0f 38 0a"), SS3("pmulhrsw", "0f 38 0b"),
    SS3("pabsb", "0f 38 1c"), SS3("pabsw", "0f 38 1d"), SS3("pabsd", "0f 38 1e"),
    {"palignr mm", "0f 3a 0f", B | IB, SSSE3}, {"palignr xmm", "66 0f 3a 0f", B | IB, SSSE3},

    S41("pblendvb", "10"), S41("blendvps", "14"), S41("blendvpd", "15"), S41("ptest", "17"),
    S41("pmovsxbw", "20"), S41("pmovsxbd", "21"), S41("pmovsxbq", "22"), S41("pmovsxwd", "23"), S41("pmovsxwq", "24"), S41("pmovsxdq", "25"),
    S41("pmuldq", "28"), S41("pcmpeqq", "29"), {"movntdqa", "66 0f 38 2a", RM, SSE41}, S41("packusdw", "2b"),
    S41("pmovzxbw", "30"), S41("pmovzxbd", "31"), S41("pmovzxbq", "32"), S41("pmovzxwd", "33"), S41("pmovzxwq", "34"), S41("pmovzxdq", "35"),
    {"pcmpgtq", "66 0f 38 37", B, SSE42}, S41("pminsb", "38"), S41("pminsd", "39"), S41("pminuw", "3a"), S41("pminud", "3b"),
    S41("pmaxsb", "3c"), S41("pmaxsd", "3d"), S41("pmaxuw", "3e"), S41("pmaxud", "3f"), S41("pmulld", "40"), S41("phminposuw", "41"),
    {"roundps", "66 0f 3a 08", S | IB, SSE41}, {"roundpd", "66 0f 3a 09", D | IB, SSE41}, {"roundss", "66 0f 3a 0a", S | IB, SSE41},
    {"roundsd", "66 0f 3a 0b", D | IB, SSE41}, {"blendps", "66 0f 3a 0c", B | IB, SSE41}, {"blendpd", "66 0f 3a 0d", B | IB, SSE41},
    {"pblendw", "66 0f 3a 0e", B | IB, SSE41}, {"pextrb", "66 0f 3a 14", B | IB, SSE41}, {"pextrw", "66 0f 3a 15", B | IB, SSE41},
    {"pextrd", "66 0f 3a 16", B | IB, SSE41}, {"extractps", "66 0f 3a 17", B | IB, SSE41}, {"pinsrb", "66 0f 3a 20", B | IB, SSE41},
    {"insertps", "66 0f 3a 21", B | IB, SSE41}, {"pinsrd", "66 0f 3a 22", B | IB, SSE41}, {"dpps", "66 0f 3a 40", S | IB, SSE41},
    {"dppd", "66 0f 3a 41", D | IB, SSE41}, {"mpsadbw", "66 0f 3a 42", B | IB, SSE41},
    {"pcmpestrm", "66 0f 3a 60", B | IB | ST, SSE42}, {"pcmpestri", "66 0f 3a 61", B | IB | ST, SSE42},
    {"pcmpistrm", "66 0f 3a 62", B | IB | ST, SSE42}, {"pcmpistri", "66 0f 3a 63", B | IB | ST, SSE42},
    {"crc32 r/m8", "f2 0f 38 f0", B, SSE42}, {"crc32 r/m32", "f2 0f 38 f1", B, SSE42}, {"crc32 r/m16", "66 f2 0f 38 f1", B, SSE42},
    {"popcnt 32", "f3 0f b8", B, POPCNT}, {"popcnt 16", "66 f3 0f b8", B, POPCNT},
    {"movbe load 32", "0f 38 f0", RM, MOVBE}, {"movbe load 16", "66 0f 38 f0", RM, MOVBE},
    {"movbe store 32", "0f 38 f1", RM, MOVBE}, {"movbe store 16", "66 0f 38 f1", RM, MOVBE},

    {"aesimc", "66 0f 38 db", B, AES}, {"aesenc", "66 0f 38 dc", B, AES}, {"aesenclast", "66 0f 38 dd", B, AES},
    {"aesdec", "66 0f 38 de", B, AES}, {"aesdeclast", "66 0f 38 df", B, AES}, {"aeskeygenassist", "66 0f 3a df", B | IB, AES},
    {"pclmulqdq", "66 0f 3a 44", B | IB, PCLMUL},
    {"sha1nexte", "0f 38 c8", B, SHA}, {"sha1msg1", "0f 38 c9", B, SHA}, {"sha1msg2", "0f 38 ca", B, SHA},
    {"sha256rnds2", "0f 38 cb", B, SHA}, {"sha256msg1", "0f 38 cc", B, SHA}, {"sha256msg2", "0f 38 cd", B, SHA},
    {"sha1rnds4", "0f 3a cc", B | IB, SHA},
};
/* clang-format on */

static bool host_has(enum need need)
{
    static const uint8_t bits[] = {[SSE3] = 0,   [PCLMUL] = 1, [SSSE3] = 9,   [SSE41] = 19,
                                   [SSE42] = 20, [MOVBE] = 22, [POPCNT] = 23, [AES] = 25};
    unsigned eax, ebx = 0, ecx = 0, edx;

    if (need == ALWAYS)
        return true;
    if (need == SHA)
        return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx >> 29 & 1;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx >> bits[need] & 1;
}

/* ---- values ---- */

static uint64_t real_make(struct random *random, unsigned fraction_bits, unsigned exponent_bits)
{
    uint64_t top = (1ull << exponent_bits) - 1, bias = top / 2, exponent, fraction = random_next(random);
    uint64_t mask = (1ull << fraction_bits) - 1;

    switch (random_below(random, 4)) {
    case 0: fraction = 0; break;
    case 1: fraction <<= random_below(random, fraction_bits); break;
    case 2: fraction = random_below(random, 3) - 1; break;
    default: break;
    }
    switch (random_below(random, 10)) {
    case 0: exponent = 0; break;
    case 1: exponent = top; break;
    case 2: exponent = random_next(random) & top; break;
    case 3: exponent = 1 + random_below(random, fraction_bits + 2); break;
    case 4: exponent = top - 1 - random_below(random, 4); break;
    default: exponent = bias + random_below(random, 40) - 4; break;
    }
    return (uint64_t)random_below(random, 2) << (fraction_bits + exponent_bits) | exponent << fraction_bits |
           (fraction & mask);
}

static void values_make(struct random *random, unsigned kind, uint8_t *to, unsigned size)
{
    for (unsigned at = 0; at < size; at += 8) {
        uint64_t value = kind & F8   ? real_make(random, 52, 11)
                         : kind & F4 ? real_make(random, 23, 8) | real_make(random, 23, 8) << 32
                                     : random_value(random) | (uint64_t)random_value(random) << 32;
        if (kind & ST)
            value &= 0x0301030103010301;
        memcpy(to + at, &value, sizeof value);
    }
}

static uint32_t mxcsr_make(struct random *random, unsigned kind)
{
    uint32_t value = random_next(random) & 0xe07f; /* rounding, flush to zero, denormals are zeros, flags */

    if (!(kind & MX))
        return MXCSR_DEFAULT;
    if (random_below(random, 2))
        value &= ~0x8040u;
    if (random_below(random, 2))
        return value | MXCSR_DEFAULT;
    return (value & ~0x3fu) | (random_next(random) & 0x1f80);
}

static void fpu_make(struct random *random, uint8_t image[X87_SIZE])
{
    uint16_t control = 0x37f, status = random_next(random) & 0x3f00, tags = random_next(random);

    if (random_below(random, 16) == 0)
        control = 0x340, status |= 0x8081; /* an exception waits */
    memset(image, 0, X87_SIZE);
    for (unsigned i = 0; i < 8; i++)
        if ((tags >> 2 * i & 3) != 3)
            tags &= ~(3 << 2 * i);
    memcpy(image + IMAGE_CONTROL, &control, sizeof control);
    memcpy(image + IMAGE_STATUS, &status, sizeof status);
    memcpy(image + IMAGE_TAGS, &tags, sizeof tags);
    for (unsigned at = IMAGE_REGISTERS; at < X87_SIZE; at++)
        image[at] = random_next(random);
}

static void fxsave_image_make(struct random *random, uint8_t *memory)
{
    uint16_t control = 0x37f;
    uint32_t mxcsr = mxcsr_make(random, MX);

    memcpy(memory, &control, sizeof control);
    memory[2] = 0;
    memory[3] &= 0x38 | 0x47;
    memory[5] = 0;
    if (random_below(random, 8))
        memcpy(memory + 24, &mxcsr, sizeof mxcsr);
}

static void record_make(struct random *random, const struct sse_form *form, struct record *record,
                        uint32_t code)
{
    uint32_t mxcsr = mxcsr_make(random, form->kind);

    memset(record, 0, sizeof *record);
    for (unsigned i = 0; i < REGISTERS; i++)
        record->gpr[i] = random_value(random);
    record->flags = FLAG_1 | (random_next(random) & FLAGS_ARITHMETIC);
    record->esp = STACK_TOP;
    record->code = code;
    fpu_make(random, record->x87);
    values_make(random, form->kind, record->memory, SCRATCH_SIZE);
    values_make(random, form->kind, record->xmm, XMM_REGISTERS * 16);
    memcpy(record->xmm + MXCSR_AT, &mxcsr, sizeof mxcsr);
    if (form->kind & ST)
        record->gpr[EAX] = random_below(random, 44) - 22, record->gpr[EDX] = random_below(random, 44) - 22;
    if (form->kind & DI)
        record->gpr[EDI] = SCRATCH + random_below(random, 48);
    if (form->kind & IM)
        fxsave_image_make(random, record->memory);
    if ((form->kind & LD) && random_below(random, 8)) {
        mxcsr = mxcsr_make(random, MX);
        for (unsigned at = 0; at < SCRATCH_SIZE; at += 4)
            memcpy(record->memory + at, &mxcsr, sizeof mxcsr);
    }
}

/* ---- encodings ---- */

static uint32_t operand_address(struct random *random, const struct sse_form *form)
{
    if (form->need == SHA)
        return SCRATCH + 16 * random_below(random, 4);
    if (form->kind & (IM | FX))
        return random_below(random, 8) ? SCRATCH : SCRATCH + 8;
    switch (random_below(random, 8)) {
    case 0: return OPERANDS_BASE + OPERANDS_SIZE - 1 - random_below(random, 16);
    case 1:
    case 2: return SCRATCH + random_below(random, 48);
    default: return SCRATCH + 16 * random_below(random, 4);
    }
}

/* Answers the length. */
static unsigned form_bytes(const struct sse_form *form, struct random *random, uint8_t *bytes)
{
    bool memory = !(form->kind & RR) || ((form->kind & RM) && random_below(random, 2));
    unsigned length = 0, reg = random_below(random, 8);
    const char *at = form->code;

    while (*at && *at != '/') {
        bytes[length++] = strtoul(at, (char **)&at, 16);
        while (*at == ' ')
            at++;
    }
    if (*at == '/')
        reg = at[1] - '0';
    if (form->kind & B) {
        bytes[length++] = memory ? reg << 3 | RM_ABSOLUTE : 0xc0 | reg << 3 | random_below(random, 8);
        if (memory) {
            uint32_t address = operand_address(random, form);
            memcpy(bytes + length, &address, sizeof address);
            length += sizeof address;
        }
    }
    if (form->kind & IB)
        bytes[length++] = random_next(random);
    return length;
}

/* ---- comparison ---- */

static void xmm_print(const char *title, const uint8_t *xmm)
{
    uint32_t mxcsr;

    memcpy(&mxcsr, xmm + MXCSR_AT, sizeof mxcsr);
    printf("#   %s mxcsr %04x", title, mxcsr);
    for (unsigned i = 0; i < XMM_REGISTERS * 2; i++) {
        uint64_t half;
        memcpy(&half, xmm + 8 * i, sizeof half);
        printf("%s%016llx", i % 2 ? "." : " ", (unsigned long long)half);
    }
    printf("\n");
}

/* FOP and the pointers, and the mask of MXCSR, which AMD's processors do not write, or otherwise. */
static void fxsave_clear(struct record *record)
{
    memset(record->memory_out + 6, 0, 18);
    memset(record->memory_out + 28, 0, 4);
    memset(record->memory_out + 8 + 6, 0, 18);
    memset(record->memory_out + 8 + 28, 0, 4);
}

/*
 * With overflow or underflow unmasked the software CPU's PE may be another; DPPS and DPPD show flags of their steps.
 * A flag that was set before is set after.
 */
static void flags_excuse(const struct sse_form *form, struct record *native, struct record *guest)
{
    enum { OE_UE = 0x18, PE = 0x20, FLAGS = 0x3f };
    uint8_t *a = native->xmm_out + MXCSR_AT, *b = guest->xmm_out + MXCSR_AT;
    bool steps = strncmp(form->name, "dpp", 3) == 0;

    if (native->out.vector != VECTOR_XM || guest->out.vector != VECTOR_XM)
        return;
    if (steps || (*a & *b & OE_UE))
        *a |= steps ? FLAGS : PE, *b |= steps ? FLAGS : PE;
}

static bool case_agrees(const struct sse_form *form, struct record *native, struct record *guest,
                        const uint8_t *code, unsigned length, bool print)
{
    bool same;

    if (form->kind & FX)
        fxsave_clear(native), fxsave_clear(guest);
    flags_excuse(form, native, guest);
    same = memcmp(native->xmm_out, guest->xmm_out, MXCSR_AT + 4) == 0;
    if (!record_agrees(native, guest, 0, true, code, length, print) || !same) {
        if (print && !same) {
            printf("#   code");
            for (unsigned i = 0; i < length; i++)
                printf(" %02x", code[i]);
            printf("\n");
        }
        if (print)
            xmm_print("in    ", native->xmm), xmm_print("native", native->xmm_out),
                xmm_print("guest ", guest->xmm_out);
        return false;
    }
    return true;
}

static void form_check(struct checker *checker, const struct sse_form *form, const char *name)
{
    struct batch *batch = &checker->batch;
    uint32_t code[VARIANTS], length[VARIANTS];
    unsigned differences = 0;

    for (unsigned i = 0; i < VARIANTS; i++) {
        uint8_t bytes[LONGEST];
        length[i] = form_bytes(form, &checker->random, bytes);
        code[i] = code_put(batch, bytes, length[i]);
    }
    batch->x87 = batch->sse = true;
    batch->count = checker->cases;
    for (unsigned i = 0; i < checker->cases; i++)
        record_make(&checker->random, form, &checker->native[i], code[i % VARIANTS]);
    if (!checker_run(checker))
        differences = checker->cases;
    for (unsigned i = 0; i < checker->cases && differences < checker->cases; i++)
        differences += !case_agrees(form, &checker->native[i], &checker->guest[i],
                                    batch->code + (code[i % VARIANTS] - CODE_BASE), length[i % VARIANTS],
                                    differences < PRINTED);
    checker_end(checker, name, checker->cases, differences);
}

void sse_tests(struct checker *checker)
{
    unsigned skipped = 0;

    for (unsigned i = 0; i < sizeof sse_forms / sizeof sse_forms[0]; i++) {
        char name[60];
        if (!host_has(sse_forms[i].need)) {
            printf("# sse %s: skipped, this host has not got it\n", sse_forms[i].name);
            skipped++;
            continue;
        }
        snprintf(name, sizeof name, "sse %s", sse_forms[i].name);
        if (checker_begin(checker, name))
            form_check(checker, &sse_forms[i], name);
    }
    printf("# MMX and SSE: %zu forms, %u skipped\n", sizeof sse_forms / sizeof sse_forms[0], skipped);
}

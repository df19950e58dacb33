/*
 * All x87 encodings, D8 to DF, over special and random values, control words, stack states and pending exceptions.
 * What comes out is compared as FNSAVE writes it, but for the pointers (compare.c tells why).
 */
#include <stdio.h>
#include <string.h>

#include "checker.h"
#include "cpu/state.h"

enum { PRINTED = 2, ESCAPE = 0xd8, REGISTER_FORM = 0xc0, VARIANTS = 8 };
enum { OPERAND = SCRATCH + SCRATCH_SIZE / 2, RM_DISPLACEMENT = 5 };
enum { IMAGE_CONTROL = 0, IMAGE_STATUS = 4, IMAGE_TAGS = 8, IMAGE_REGISTERS = 28, REAL10 = 10 };
enum { BIAS80 = 16383 };

/* NULL: undefined, or more than one instruction in the row */
static const char *const register_names[8][8] = {
    {"fadd", "fmul", "fcom", "fcomp", "fsub", "fsubr", "fdiv", "fdivr"},
    {"fld", "fxch", "fnop, undefined", "fstp (D9)", "fchs fabs ftst fxam", "constants",
     "f2xm1 fyl2x fptan fpatan fxtract fprem1 fdecstp fincstp",
     "fprem fyl2xp1 fsqrt fsincos frndint fscale fsin fcos"},
    {"fcmovb", "fcmove", "fcmovbe", "fcmovu", NULL, "fucompp", NULL, NULL},
    {"fcmovnb", "fcmovne", "fcmovnbe", "fcmovnu", "fnclex fninit feni fdisi fsetpm", "fucomi", "fcomi", NULL},
    {"fadd sti", "fmul sti", "fcom (DC)", "fcomp (DC)", "fsubr sti", "fsub sti", "fdivr sti", "fdiv sti"},
    {"ffree", "fxch (DD)", "fst", "fstp", "fucom", "fucomp", NULL, NULL},
    {"faddp", "fmulp", "fcomp (DE)", "fcompp", "fsubrp", "fsubp", "fdivrp", "fdivp"},
    {"ffreep", "fxch (DF)", "fstp (DF)", "fstp (DF, 2)", "fnstsw ax", "fucomip", "fcomip", NULL},
};

enum operand { NONE, REAL32, REAL64, REAL80, INTEGER, BCD, ENVIRONMENT };
static const struct {
    const char *name;
    enum operand operand;
} memory_forms[8][8] = {
    {{"fadd m32", REAL32},
     {"fmul m32", REAL32},
     {"fcom m32", REAL32},
     {"fcomp m32", REAL32},
     {"fsub m32", REAL32},
     {"fsubr m32", REAL32},
     {"fdiv m32", REAL32},
     {"fdivr m32", REAL32}},
    {{"fld m32", REAL32},
     {"undefined", NONE},
     {"fst m32", REAL32},
     {"fstp m32", REAL32},
     {"fldenv", ENVIRONMENT},
     {"fldcw", INTEGER},
     {"fnstenv", ENVIRONMENT},
     {"fnstcw", INTEGER}},
    {{"fiadd m32", INTEGER},
     {"fimul m32", INTEGER},
     {"ficom m32", INTEGER},
     {"ficomp m32", INTEGER},
     {"fisub m32", INTEGER},
     {"fisubr m32", INTEGER},
     {"fidiv m32", INTEGER},
     {"fidivr m32", INTEGER}},
    {{"fild m32", INTEGER},
     {"fisttp m32", INTEGER},
     {"fist m32", INTEGER},
     {"fistp m32", INTEGER},
     {"undefined", NONE},
     {"fld m80", REAL80},
     {"undefined", NONE},
     {"fstp m80", REAL80}},
    {{"fadd m64", REAL64},
     {"fmul m64", REAL64},
     {"fcom m64", REAL64},
     {"fcomp m64", REAL64},
     {"fsub m64", REAL64},
     {"fsubr m64", REAL64},
     {"fdiv m64", REAL64},
     {"fdivr m64", REAL64}},
    {{"fld m64", REAL64},
     {"fisttp m64", INTEGER},
     {"fst m64", REAL64},
     {"fstp m64", REAL64},
     {"frstor", ENVIRONMENT},
     {"undefined", NONE},
     {"fnsave", ENVIRONMENT},
     {"fnstsw m16", INTEGER}},
    {{"fiadd m16", INTEGER},
     {"fimul m16", INTEGER},
     {"ficom m16", INTEGER},
     {"ficomp m16", INTEGER},
     {"fisub m16", INTEGER},
     {"fisubr m16", INTEGER},
     {"fidiv m16", INTEGER},
     {"fidivr m16", INTEGER}},
    {{"fild m16", INTEGER},
     {"fisttp m16", INTEGER},
     {"fist m16", INTEGER},
     {"fistp m16", INTEGER},
     {"fbld", BCD},
     {"fild m64", INTEGER},
     {"fbstp", BCD},
     {"fistp m64", INTEGER}},
};

/* ---- values ---- */

static uint64_t fraction_make(struct random *random)
{
    uint64_t any = random_next(random);

    switch (random_below(random, 6)) {
    case 0: return 0;
    case 1: return any & 0xfff;
    case 2: return any << 40;
    case 3: return UINT64_MAX >> random_below(random, 12);
    case 4: return any & ~0x7ffull;
    default: return any;
    }
}

/* All classes of the format, the unsupported ones (unnormals, pseudo-denormals, pseudo-infinities) among them. */
static void real80_make(struct random *random, uint8_t number[REAL10])
{
    uint64_t fraction = fraction_make(random);
    uint16_t exponent, sign = random_below(random, 2) << 15;
    const uint64_t integer_bit = 1ull << 63;

    switch (random_below(random, 12)) {
    case 0: exponent = 0, fraction = 0; break;
    case 1: exponent = 0, fraction &= ~integer_bit; break;     /* denormal */
    case 2: exponent = 0, fraction |= integer_bit; break;      /* pseudo-denormal */
    case 3: exponent = 0x7fff, fraction = integer_bit; break;  /* infinity */
    case 4: exponent = 0x7fff, fraction |= integer_bit; break; /* NaN, quiet or signaling */
    case 5: exponent = random_next(random) & 0x7fff; break;    /* anything */
    case 6:                                                    /* an integer */
        exponent = BIAS80 + 63;
        fraction = random_value(random);
        while (fraction && !(fraction & integer_bit))
            fraction <<= 1, exponent--;
        exponent = fraction ? exponent : 0;
        break;
    case 7: exponent = BIAS80 + random_below(random, 70) - 2, fraction |= integer_bit; break;
    case 8: exponent = BIAS80 + random_below(random, 2200) - 1100, fraction |= integer_bit; break;
    case 9: exponent = BIAS80 + random_below(random, 300) - 150, fraction |= integer_bit; break;
    case 10:
        exponent = random_below(random, 2) ? 1 + random_below(random, 80) : 0x7ffe - random_below(random, 80);
        fraction |= integer_bit;
        break;
    default: exponent = BIAS80 + random_below(random, 8) - 4, fraction |= integer_bit; break;
    }
    exponent |= sign;
    memcpy(number, &fraction, 8);
    memcpy(number + 8, &exponent, 2);
}

static uint64_t real_make(struct random *random, unsigned fraction_bits, unsigned exponent_bits)
{
    uint64_t top = (1ull << exponent_bits) - 1, exponent, fraction = fraction_make(random);
    uint64_t mask = (1ull << fraction_bits) - 1;

    switch (random_below(random, 6)) {
    case 0: exponent = 0; break;
    case 1: exponent = top; break;
    case 2: exponent = random_next(random) & top; break;
    default: exponent = top / 2 + random_below(random, 66) - 2; break;
    }
    return (uint64_t)random_below(random, 2) << (fraction_bits + exponent_bits) | exponent << fraction_bits |
           (fraction & mask);
}

static void bcd_make(struct random *random, uint8_t number[REAL10])
{
    for (unsigned i = 0; i < REAL10 - 1; i++)
        number[i] = random_below(random, 10) << 4 | random_below(random, 10);
    if (random_below(random, 8) == 0) /* not a digit: the result is undefined but repeatable */
        number[random_below(random, REAL10 - 1)] = random_next(random);
    number[REAL10 - 1] = random_below(random, 2) << 7;
}

static void operand_make(struct random *random, enum operand kind, uint8_t *to)
{
    uint64_t value;

    switch (kind) {
    case REAL32: value = real_make(random, 23, 8); break;
    case REAL64: value = real_make(random, 52, 11); break;
    case REAL80: real80_make(random, to); return;
    case BCD: bcd_make(random, to); return;
    default:
        value = random_value(random) | (uint64_t)random_value(random) << 32;
        if (random_below(random, 2))
            value = (int32_t)value;
    }
    memcpy(to, &value, sizeof value);
}

/* ---- FPU states ---- */

static uint16_t control_make(struct random *random)
{
    uint16_t rounding_and_precision = random_below(random, 16) << 8;

    if (random_below(random, 3) == 0)
        rounding_and_precision = 0x300;
    return 0x40 | rounding_and_precision | (random_below(random, 4) ? 0x3f : random_next(random) & 0x3f);
}

/* Exceptions that wait are rare, or most instructions would only raise #MF. */
static uint16_t status_make(struct random *random, uint16_t control)
{
    uint16_t status = random_next(random) & 0x7f7f; /* all but ES and B */

    if (random_below(random, 8))
        status &= ~(~control & 0x3f);
    if (status & ~control & 0x3f)
        status |= 0x8080;
    return status;
}

static void image_make(struct random *random, uint8_t image[X87_SIZE])
{
    uint16_t control = control_make(random), status = status_make(random, control), tags = 0;
    unsigned fill = random_below(random, 4);

    memset(image, 0, X87_SIZE);
    for (unsigned i = 0; i < 8; i++) {
        bool empty = fill == 0 ? random_below(random, 2) : fill == 1 ? random_below(random, 8) == 0 : false;
        if (fill == 2) /* room to push: what is on top of the stack */
            empty = ((i - (status >> 11)) & 7) >= 5;
        tags |= (empty ? 3 : 0) << 2 * i;
        real80_make(random, image + IMAGE_REGISTERS + i * REAL10);
    }
    memcpy(image + IMAGE_CONTROL, &control, sizeof control);
    memcpy(image + IMAGE_STATUS, &status, sizeof status);
    memcpy(image + IMAGE_TAGS, &tags, sizeof tags);
}

static void record_make(struct random *random, struct record *record, uint32_t code)
{
    memset(record, 0, sizeof *record);
    for (unsigned i = 0; i < REGISTERS; i++)
        record->gpr[i] = random_next(random);
    record->flags = FLAG_1 | (random_next(random) & FLAGS_ARITHMETIC);
    record->esp = STACK_TOP;
    record->code = code;
    image_make(random, record->x87);
}

/* ---- tests ---- */

/* Where FNSTENV and FNSAVE put the pointers: not compared. */
static void pointers_clear(struct record *record, unsigned width)
{
    memset(record->memory_out + 3 * width, 0, 4 * width);
}

/* Intel clears C1 in FCOMI and its kin, AMD leaves it. */
static void c1_clear(struct record *record)
{
    enum { C1_BYTE = 5, C1_BIT = 1 << 1 };

    record->x87_out[C1_BYTE] &= ~C1_BIT;
}

static void rows_check(struct checker *checker, const char *name, unsigned variants, const uint32_t *length,
                       bool environment, unsigned width)
{
    struct batch *batch = &checker->batch;
    unsigned differences = 0;

    batch->x87 = true;
    batch->count = checker->cases;
    if (!checker_run(checker)) {
        checker_end(checker, name, checker->cases, checker->cases);
        return;
    }
    for (unsigned i = 0; i < checker->cases; i++) {
        struct record *native = &checker->native[i], *guest = &checker->guest[i];
        if (strstr(name, "comi"))
            c1_clear(native), c1_clear(guest);
        if (environment)
            pointers_clear(native, width), pointers_clear(guest, width);
        if (!record_agrees(native, guest, 0, true, batch->code + (native->code - CODE_BASE),
                           length[i % variants], differences < PRINTED))
            differences++;
    }
    checker_end(checker, name, checker->cases, differences);
}

static void register_row(struct checker *checker, unsigned row, unsigned reg)
{
    uint32_t code[VARIANTS], length[VARIANTS];
    char name[120];

    snprintf(name, sizeof name, "x87 %02X /%u: %s", ESCAPE + row, reg,
             register_names[row][reg] ? register_names[row][reg] : "undefined");
    if (!checker_begin(checker, name))
        return;
    for (unsigned rm = 0; rm < VARIANTS; rm++) {
        uint8_t bytes[2] = {ESCAPE + row, REGISTER_FORM | reg << 3 | rm};
        code[rm] = code_put(&checker->batch, bytes, sizeof bytes);
        length[rm] = sizeof bytes;
    }
    for (unsigned i = 0; i < checker->cases; i++)
        record_make(&checker->random, &checker->native[i], code[i % VARIANTS]);
    rows_check(checker, name, VARIANTS, length, false, 0);
}

static void memory_row(struct checker *checker, unsigned row, unsigned reg, unsigned width)
{
    enum operand kind = memory_forms[row][reg].operand;
    uint32_t address = kind == ENVIRONMENT ? SCRATCH : OPERAND, code, length;
    uint8_t bytes[7] = {0x66, ESCAPE + row, reg << 3 | RM_DISPLACEMENT};
    const uint8_t *start = bytes + (width == WORD ? 0 : 1);
    char name[120];

    snprintf(name, sizeof name, "x87 %02X /%u: %s (%u)", ESCAPE + row, reg, memory_forms[row][reg].name,
             width * 8);
    if (!checker_begin(checker, name))
        return;
    memcpy(bytes + 3, &address, sizeof address);
    length = bytes + sizeof bytes - start;
    code = code_put(&checker->batch, start, length);
    for (unsigned i = 0; i < checker->cases; i++) {
        struct record *record = &checker->native[i];
        record_make(&checker->random, record, code);
        for (unsigned at = 0; at < SCRATCH_SIZE; at += 8)
            operand_make(&checker->random, INTEGER, record->memory + at);
        if (kind != ENVIRONMENT)
            operand_make(&checker->random, kind, record->memory + (OPERAND - SCRATCH));
        else if (width == DWORD && random_below(&checker->random, 2))
            image_make(&checker->random, record->x87), memcpy(record->memory, record->x87, SCRATCH_SIZE);
    }
    rows_check(checker, name, 1, &length, kind == ENVIRONMENT && reg == 6, width);
}

void x87_tests(struct checker *checker)
{
    uint32_t length = 1, code;

    for (unsigned row = 0; row < 8; row++)
        for (unsigned reg = 0; reg < 8; reg++)
            register_row(checker, row, reg);
    for (unsigned row = 0; row < 8; row++)
        for (unsigned reg = 0; reg < 8; reg++) {
            if (memory_forms[row][reg].name)
                memory_row(checker, row, reg, DWORD);
            if (memory_forms[row][reg].operand == ENVIRONMENT)
                memory_row(checker, row, reg, WORD);
        }
    if (!checker_begin(checker, "x87 fwait"))
        return;
    code = code_put(&checker->batch, "\x9b", 1);
    for (unsigned i = 0; i < checker->cases; i++)
        record_make(&checker->random, &checker->native[i], code);
    rows_check(checker, "x87 fwait", 1, &length, false, 0);
}

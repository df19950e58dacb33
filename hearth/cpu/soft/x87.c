/*
 * x87 instructions, D8 to DF.
 *
 * What the encodings are stands in two tables; what they compute is left to the host's x87 (x87-host.c). The general
 * way, run(), carries the whole guest FPU into the host, executes the instruction under the guest's control word and
 * carries it back: exact for stack faults and unmasked exceptions too. The quick ways do the same with just the
 * operands, where all exceptions are masked, no operand is empty and nothing is pushed onto a full stack.
 *
 * Source: Intel SDM volume 1, chapter 8; volume 2 for each instruction; volume 2D, tables A-7 to A-22 (the maps).
 * The reserved aliases of FCOM, FXCH, FSTP and FFREE are executed as all processors do.
 */
#include <string.h>

#include "cpu/soft/access.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/x87-host.h"
#include "cpu/soft/x87-internal.h"

enum form {
    UNDEFINED,
    GENERAL,           /* no quick way */
    ARITHMETIC,        /* ST0 op operand, to ST0 */
    ARITHMETIC_STI,    /* the same, to ST(i) */
    ARITHMETIC_POP,    /* the same, to ST(i), and pop */
    COMPARE,           /* condition codes from ST0 and the operand */
    COMPARE_POP,       /* and pop */
    COMPARE_POP2,      /* and pop twice */
    COMPARE_FLAGS,     /* EFLAGS from ST0 and ST(i) */
    COMPARE_FLAGS_POP, /* and pop */
    LOAD,              /* push the operand */
    LOAD_REAL10,       /* push the operand as it is */
    STORE,
    STORE_POP,
    STORE_REAL10, /* and pop */
    EXCHANGE,
    SIGN,    /* FCHS, FABS quickly; FTST, FXAM */
    UNARY,   /* FSQRT, FRNDINT quickly; the other functions of that row */
    CONTROL, /* control instructions: no FIP, and each looks for pending exceptions or not */
};

struct register_form {
    uint8_t form;
    uint8_t exists; /* bit n set: defined with rm = n */
};
struct memory_form {
    uint8_t form;
    uint8_t size; /* bytes of the operand */
};

/* clang-format off */
#define NONE {UNDEFINED, 0}
#define ALL(form) {form, 0xff}

static const struct register_form register_forms[8][8] = { /* [opcode - D8][reg] */
    {ALL(ARITHMETIC), ALL(ARITHMETIC), ALL(COMPARE), ALL(COMPARE_POP),
     ALL(ARITHMETIC), ALL(ARITHMETIC), ALL(ARITHMETIC), ALL(ARITHMETIC)},
    {ALL(LOAD), ALL(EXCHANGE), {GENERAL, 1 << 0 /* FNOP */}, ALL(STORE_POP),
     {SIGN, 0x33}, {LOAD, 0x7f /* constants */}, ALL(GENERAL), ALL(UNARY)},
    {ALL(GENERAL), ALL(GENERAL), ALL(GENERAL), ALL(GENERAL), /* FCMOVcc */
     NONE, {COMPARE_POP2, 1 << 1}, NONE, NONE},
    {ALL(GENERAL), ALL(GENERAL), ALL(GENERAL), ALL(GENERAL), /* FCMOVNcc */
     {CONTROL, 0x1f}, ALL(COMPARE_FLAGS), ALL(COMPARE_FLAGS), NONE},
    {ALL(ARITHMETIC_STI), ALL(ARITHMETIC_STI), ALL(COMPARE), ALL(COMPARE_POP),
     ALL(ARITHMETIC_STI), ALL(ARITHMETIC_STI), ALL(ARITHMETIC_STI), ALL(ARITHMETIC_STI)},
    {ALL(GENERAL) /* FFREE */, ALL(EXCHANGE), ALL(STORE), ALL(STORE_POP),
     ALL(COMPARE), ALL(COMPARE_POP), NONE, NONE},
    {ALL(ARITHMETIC_POP), ALL(ARITHMETIC_POP), ALL(COMPARE_POP), {COMPARE_POP2, 1 << 1},
     ALL(ARITHMETIC_POP), ALL(ARITHMETIC_POP), ALL(ARITHMETIC_POP), ALL(ARITHMETIC_POP)},
    {ALL(GENERAL) /* FFREEP */, ALL(EXCHANGE), ALL(STORE_POP), ALL(STORE_POP),
     {CONTROL, 1 << 0 /* FNSTSW AX */}, ALL(COMPARE_FLAGS_POP), ALL(COMPARE_FLAGS_POP), NONE},
};

static const struct memory_form memory_forms[8][8] = { /* [opcode - D8][reg] */
    {{ARITHMETIC, 4}, {ARITHMETIC, 4}, {COMPARE, 4}, {COMPARE_POP, 4},
     {ARITHMETIC, 4}, {ARITHMETIC, 4}, {ARITHMETIC, 4}, {ARITHMETIC, 4}},
    {{LOAD, 4}, NONE, {STORE, 4}, {STORE_POP, 4}, {CONTROL, 0}, {CONTROL, 0}, {CONTROL, 0}, {CONTROL, 0}},
    {{ARITHMETIC, 4}, {ARITHMETIC, 4}, {COMPARE, 4}, {COMPARE_POP, 4},
     {ARITHMETIC, 4}, {ARITHMETIC, 4}, {ARITHMETIC, 4}, {ARITHMETIC, 4}},
    {{LOAD, 4}, {STORE_POP, 4}, {STORE, 4}, {STORE_POP, 4}, NONE, {LOAD_REAL10, 10}, NONE, {STORE_REAL10, 10}},
    {{ARITHMETIC, 8}, {ARITHMETIC, 8}, {COMPARE, 8}, {COMPARE_POP, 8},
     {ARITHMETIC, 8}, {ARITHMETIC, 8}, {ARITHMETIC, 8}, {ARITHMETIC, 8}},
    {{LOAD, 8}, {STORE_POP, 8}, {STORE, 8}, {STORE_POP, 8}, {CONTROL, 0}, NONE, {CONTROL, 0}, {CONTROL, 0}},
    {{ARITHMETIC, 2}, {ARITHMETIC, 2}, {COMPARE, 2}, {COMPARE_POP, 2},
     {ARITHMETIC, 2}, {ARITHMETIC, 2}, {ARITHMETIC, 2}, {ARITHMETIC, 2}},
    {{LOAD, 2}, {STORE_POP, 2}, {STORE, 2}, {STORE_POP, 2}, {LOAD, 10}, {LOAD, 8}, {STORE_POP, 10}, {STORE_POP, 8}},
};
/* clang-format on */

/* Rows of [opcode - D8] and encodings that the handlers name. */
enum { D8, D9, DA, DB, DC, DD, DE, DF };
enum { FCHS = 0, FABS = 1, FSQRT = 2, FRNDINT = 4 }; /* rm in their rows of D9 */
enum { FENI, FDISI, FNCLEX, FNINIT, FSETPM };        /* rm in DB; FENI, FDISI, FSETPM do nothing now */
enum { FLDENV = 4, FLDCW, FNSTENV, FNSTCW };         /* D9 with memory; in DD: FRSTOR, none, FNSAVE, FNSTSW */
enum { FCOM = 2, FUCOM = 4 };                        /* the reg fields in D8 and DD */
enum { FST_POPS = 1 };                               /* the bit of reg that makes FST and FIST pop */

enum { REAL10_SIZE = 10, SIGN_BYTE = 9, SIGN_BIT = 0x80 };
/* Exceptions that, unmasked, leave a destination in memory as it was. */
enum { STORE_STOPPERS = STATUS_IE | STATUS_OE | STATUS_UE };

static x87_code register_code(unsigned row, unsigned reg, unsigned rm)
{
    return x87_register_code[row][reg << 3 | rm];
}

static x87_code memory_code(unsigned row, unsigned reg)
{
    return x87_memory_code[row][reg];
}

/* ---- the general way ---- */

static void image_make(const struct cpu *cpu, struct x87_image *image)
{
    image->control = cpu->fpu.control;
    image->status = (cpu->fpu.status & STATUS_CONDITIONS) | cpu->fpu.top << STATUS_TOP_SHIFT;
    image->tags = cpu->fpu.tags;
    image->reserved = 0;
    image->opcode = 0;
    image->ip = image->dp = 0;
    for (unsigned i = 0; i < 8; i++)
        memcpy(image->st[i], cpu->fpu.st[(cpu->fpu.top + i) & 7], sizeof image->st[i]);
}

static void image_take(struct cpu *cpu, const struct x87_image *image)
{
    uint16_t status = image->status & (STATUS_STICKY | STATUS_CONDITIONS);

    cpu->fpu.top = (image->status & STATUS_TOP) >> STATUS_TOP_SHIFT;
    cpu->fpu.tags = image->tags;
    for (unsigned i = 0; i < 8; i++)
        memcpy(x87_st(cpu, i), image->st[i], REAL10_SIZE);
    x87_status_set(cpu, (cpu->fpu.status & STATUS_STICKY) | status);
}

static void run(struct cpu *cpu, x87_code code, void *operand)
{
    struct x87_image image;
    uint64_t flags;

    image_make(cpu, &image);
    flags = x87_host_run(&image, operand, code, flags_get(cpu) & FLAGS_ARITHMETIC);
    flags_set_arithmetic(cpu, flags & FLAGS_ARITHMETIC);
    image_take(cpu, &image);
}

static void run_store(struct cpu *cpu, x87_code code, enum segment_name segment, uint64_t offset,
                      unsigned size)
{
    struct x87_image image;
    uint8_t operand[16];

    image_make(cpu, &image);
    x87_host_run(&image, operand, code, 0);
    if (!(image.status & ~image.control & STORE_STOPPERS))
        store_bytes(cpu, segment, offset, operand, size);
    image_take(cpu, &image);
}

/* ---- the quick ways ---- */

static bool all_masked(const struct cpu *cpu)
{
    return (cpu->fpu.control & STATUS_EXCEPTIONS) == STATUS_EXCEPTIONS;
}

static bool filled(const struct cpu *cpu, unsigned index)
{
    return !x87_empty(cpu, index);
}

/* The host's exception flags may hold some that the guest has already, but no others. */
static void quick_begin(const struct cpu *cpu)
{
    if (x87_host_status() & STATUS_EXCEPTIONS & ~cpu->fpu.status)
        x87_host_clear();
    if (cpu->fpu.control != X87_CONTROL_DEFAULT)
        x87_host_control(cpu->fpu.control);
}

static void quick_end(const struct cpu *cpu)
{
    if (cpu->fpu.control != X87_CONTROL_DEFAULT)
        x87_host_control(X87_CONTROL_DEFAULT);
}

/* `conditions`: which of C0 to C3 the instruction defines. */
static void status_take(struct cpu *cpu, uint16_t status, uint16_t conditions)
{
    cpu->fpu.status = (cpu->fpu.status & ~conditions) | (status & (conditions | STATUS_EXCEPTIONS));
}

static void stack_pop(struct cpu *cpu, unsigned count)
{
    while (count--) {
        cpu->fpu.tags &= ~(1 << cpu->fpu.top);
        cpu->fpu.top = (cpu->fpu.top + 1) & 7;
    }
}

/* Makes the register that a push has just filled ST0. */
static void stack_pushed(struct cpu *cpu)
{
    cpu->fpu.top = (cpu->fpu.top - 1) & 7;
    cpu->fpu.tags |= 1 << cpu->fpu.top;
}

static void stack_push(struct cpu *cpu, const uint8_t *number)
{
    memcpy(x87_st(cpu, 7), number, REAL10_SIZE);
    stack_pushed(cpu);
    cpu->fpu.status &= ~STATUS_C1;
}

static bool quick_unary(struct cpu *cpu, x87_code code, void *operand, uint16_t conditions)
{
    uint16_t status;

    if (!all_masked(cpu) || x87_empty(cpu, 0))
        return false;
    quick_begin(cpu);
    status = x87_host_unary(x87_st(cpu, 0), operand, code);
    quick_end(cpu);
    status_take(cpu, status, conditions);
    return true;
}

/* The code has ST1 for ST(i). With i = 0 there is but one register, and the general way takes it. */
static bool quick_binary(struct cpu *cpu, x87_code code, unsigned i, uint16_t conditions)
{
    uint16_t status;

    if (!all_masked(cpu) || i == 0 || x87_empty(cpu, 0) || x87_empty(cpu, i))
        return false;
    quick_begin(cpu);
    status = x87_host_binary(x87_st(cpu, 0), x87_st(cpu, i), code);
    quick_end(cpu);
    status_take(cpu, status, conditions);
    return true;
}

static bool quick_compare(struct cpu *cpu, x87_code code, unsigned i)
{
    uint64_t answer;

    if (!all_masked(cpu) || x87_empty(cpu, 0) || x87_empty(cpu, i))
        return false;
    quick_begin(cpu);
    answer = x87_host_compare(x87_st(cpu, 0), x87_st(cpu, i), code);
    quick_end(cpu);
    status_take(cpu, answer, STATUS_C1);
    flags_set_arithmetic(cpu, answer >> 16 & FLAGS_ARITHMETIC);
    return true;
}

static bool quick_load(struct cpu *cpu, x87_code code, const void *operand)
{
    uint16_t status;

    if (!all_masked(cpu) || filled(cpu, 7))
        return false;
    quick_begin(cpu);
    status = x87_host_load(x87_st(cpu, 7), operand, code);
    quick_end(cpu);
    status_take(cpu, status, STATUS_C1);
    stack_pushed(cpu);
    return true;
}

/* ---- register forms ---- */

static bool load_register(struct cpu *cpu, unsigned row, unsigned reg, unsigned rm)
{
    bool constant = reg != 0;

    if (constant)
        return quick_load(cpu, register_code(row, reg, rm), NULL);
    if (x87_empty(cpu, rm) || filled(cpu, 7))
        return false;
    stack_push(cpu, x87_st(cpu, rm));
    return true;
}

static bool store_register(struct cpu *cpu, unsigned rm)
{
    if (x87_empty(cpu, 0))
        return false;
    memmove(x87_st(cpu, rm), x87_st(cpu, 0), REAL10_SIZE);
    cpu->fpu.tags |= 1 << ((cpu->fpu.top + rm) & 7);
    cpu->fpu.status &= ~STATUS_C1;
    return true;
}

static bool exchange(struct cpu *cpu, unsigned rm)
{
    uint8_t number[REAL10_SIZE];

    if (x87_empty(cpu, 0) || x87_empty(cpu, rm))
        return false;
    memcpy(number, x87_st(cpu, 0), sizeof number);
    memmove(x87_st(cpu, 0), x87_st(cpu, rm), sizeof number);
    memcpy(x87_st(cpu, rm), number, sizeof number);
    cpu->fpu.status &= ~STATUS_C1;
    return true;
}

static bool sign(struct cpu *cpu, unsigned rm)
{
    uint8_t *number = x87_st(cpu, 0);

    if (rm > FABS || x87_empty(cpu, 0))
        return false;
    number[SIGN_BYTE] = rm == FABS ? number[SIGN_BYTE] & ~SIGN_BIT : number[SIGN_BYTE] ^ SIGN_BIT;
    cpu->fpu.status &= ~STATUS_C1;
    return true;
}

static bool compare(struct cpu *cpu, bool unordered, unsigned rm, unsigned pops)
{
    x87_code code = unordered ? register_code(DD, FUCOM, 1) : register_code(D8, FCOM, 1);

    if (!quick_binary(cpu, code, rm, STATUS_CONDITIONS))
        return false;
    stack_pop(cpu, pops);
    return true;
}

/* False: has to go the general way. `reg` and `rm` are modrm's fields. */
static bool register_quick(struct cpu *cpu, enum form form, unsigned row, unsigned reg, unsigned rm)
{
    unsigned pops = 0;
    bool done;

    switch (form) {
    case ARITHMETIC: done = quick_binary(cpu, register_code(D8, reg, 1), rm, STATUS_C1); break;
    case ARITHMETIC_POP: pops = 1; /* fallthrough */
    case ARITHMETIC_STI: done = quick_binary(cpu, register_code(DC, reg, 1), rm, STATUS_C1); break;
    case COMPARE_POP2:
    case COMPARE_POP:
    case COMPARE: return compare(cpu, row == DA || row == DD, rm, form - COMPARE);
    case COMPARE_FLAGS_POP: pops = 1; /* fallthrough */
    case COMPARE_FLAGS: done = quick_compare(cpu, register_code(DB, reg, 1), rm); break;
    case LOAD: return load_register(cpu, row, reg, rm);
    case STORE_POP: pops = 1; /* fallthrough */
    case STORE: done = store_register(cpu, rm); break;
    case EXCHANGE: return exchange(cpu, rm);
    case SIGN: return sign(cpu, rm);
    case UNARY:
        return (rm == FSQRT || rm == FRNDINT) &&
               quick_unary(cpu, register_code(row, reg, rm), NULL, STATUS_C1);
    default: return false;
    }
    if (done)
        stack_pop(cpu, pops);
    return done;
}

static void control_register(struct cpu *cpu, unsigned row, unsigned rm)
{
    if (row == DF)
        cpu->gpr[RAX] = (cpu->gpr[RAX] & ~(uint64_t)UINT16_MAX) | x87_status(cpu);
    else if (rm == FNCLEX)
        x87_status_set(cpu, cpu->fpu.status & STATUS_CONDITIONS);
    else if (rm == FNINIT)
        x87_initialize(cpu);
}

/* FIP, FCS and FOP. */
static void instruction_noted(struct cpu *cpu, unsigned row, uint8_t modrm)
{
    cpu->fpu.ip = instruction_rip(cpu);
    cpu->fpu.cs = cpu->segment[SEG_CS].selector;
    cpu->fpu.opcode = row << 8 | modrm;
}

void x87_register(struct cpu *cpu, uint8_t opcode, uint8_t modrm)
{
    unsigned row = opcode & 7, reg = modrm >> 3 & 7, rm = modrm & 7;
    const struct register_form *form = &register_forms[row][reg];

    if (!(form->exists >> rm & 1))
        fault(cpu, VECTOR_UD);
    x87_available(cpu);
    if (form->form == CONTROL) {
        control_register(cpu, row, rm);
        return;
    }
    x87_raise_pending(cpu);
    instruction_noted(cpu, row, modrm);
    if (register_quick(cpu, form->form, row, reg, rm))
        return;
    run(cpu, register_code(row, reg, rm), NULL);
    /* Intel clears C1 here, AMD leaves it: one way for all hosts and for the quick way. */
    if (form->form == COMPARE_FLAGS || form->form == COMPARE_FLAGS_POP)
        cpu->fpu.status &= ~STATUS_C1;
}

/* ---- memory forms ---- */

static void control_memory(struct cpu *cpu, unsigned row, unsigned reg, enum segment_name segment,
                           uint64_t offset, unsigned operand_size)
{
    if (reg == FLDCW || reg == FLDENV)
        x87_raise_pending(cpu);
    switch (reg) {
    case FLDENV: (row == D9 ? x87_environment_load : x87_restore)(cpu, segment, offset, operand_size); break;
    case FLDCW: x87_control_set(cpu, load(cpu, segment, offset, 2)); break;
    case FNSTENV: (row == D9 ? x87_environment_store : x87_save)(cpu, segment, offset, operand_size); break;
    case FNSTCW: store(cpu, segment, offset, 2, row == D9 ? cpu->fpu.control : x87_status(cpu)); break;
    }
}

static void operand_fetch(struct cpu *cpu, enum segment_name segment, uint64_t offset, uint8_t *operand,
                          unsigned size)
{
    uint64_t value;

    switch (size) {
    case 2: value = load(cpu, segment, offset, 2); break;
    case 4: value = load(cpu, segment, offset, 4); break;
    case 8: value = load(cpu, segment, offset, 8); break;
    default: load_bytes(cpu, segment, offset, operand, size); return;
    }
    memcpy(operand, &value, sizeof value);
}

static void operand_store(struct cpu *cpu, enum segment_name segment, uint64_t offset, const uint8_t *operand,
                          unsigned size)
{
    uint64_t value;

    memcpy(&value, operand, sizeof value);
    switch (size) {
    case 2: store(cpu, segment, offset, 2, value); break;
    case 4: store(cpu, segment, offset, 4, value); break;
    case 8: store(cpu, segment, offset, 8, value); break;
    default: store_bytes(cpu, segment, offset, operand, size);
    }
}

static void from_memory(struct cpu *cpu, enum form form, x87_code code, uint8_t *operand)
{
    bool done = false;

    switch (form) {
    case ARITHMETIC: done = quick_unary(cpu, code, operand, STATUS_C1); break;
    case COMPARE: done = quick_unary(cpu, code, operand, STATUS_CONDITIONS); break;
    case LOAD: done = quick_load(cpu, code, operand); break;
    case LOAD_REAL10:
        done = x87_empty(cpu, 7);
        if (done)
            stack_push(cpu, operand);
        break;
    default: break;
    }
    if (!done)
        run(cpu, code, operand);
}

/* FCOMP goes the way of FCOM: its code would pop the host's stack. */
static bool compare_pop(struct cpu *cpu, unsigned row, uint8_t *operand)
{
    if (!quick_unary(cpu, memory_code(row, FCOM), operand, STATUS_CONDITIONS))
        return false;
    stack_pop(cpu, 1);
    return true;
}

static void to_memory(struct cpu *cpu, unsigned row, unsigned reg, enum segment_name segment, uint64_t offset)
{
    const struct memory_form *form = &memory_forms[row][reg];
    bool real10 = form->form == STORE_REAL10;
    uint8_t operand[16];
    uint16_t status = 0;

    if (x87_empty(cpu, 0) || (!real10 && !all_masked(cpu))) {
        run_store(cpu, memory_code(row, reg), segment, offset, form->size);
        return;
    }
    if (real10) {
        memcpy(operand, x87_st(cpu, 0), sizeof operand);
    } else {
        quick_begin(cpu);
        status = x87_host_store(x87_st(cpu, 0), operand,
                                memory_code(row, form->form == STORE ? reg | FST_POPS : reg));
        quick_end(cpu);
    }
    operand_store(cpu, segment, offset, operand, form->size);
    status_take(cpu, status, STATUS_C1);
    stack_pop(cpu, form->form != STORE);
}

void x87_memory(struct cpu *cpu, uint8_t opcode, uint8_t modrm, enum segment_name segment, uint64_t offset,
                unsigned operand_size)
{
    unsigned row = opcode & 7, reg = modrm >> 3 & 7;
    const struct memory_form *form = &memory_forms[row][reg];
    uint8_t operand[16];

    if (form->form == UNDEFINED)
        fault(cpu, VECTOR_UD);
    x87_available(cpu);
    if (form->form == CONTROL) {
        control_memory(cpu, row, reg, segment, offset, operand_size);
        return;
    }
    x87_raise_pending(cpu);
    if (form->form == STORE || form->form == STORE_POP || form->form == STORE_REAL10) {
        to_memory(cpu, row, reg, segment, offset);
    } else {
        operand_fetch(cpu, segment, offset, operand, form->size);
        if (form->form != COMPARE_POP || !compare_pop(cpu, row, operand))
            from_memory(cpu, form->form, memory_code(row, reg), operand);
    }
    instruction_noted(cpu, row, modrm);
    cpu->fpu.dp = offset;
    cpu->fpu.ds = cpu->segment[segment].selector;
}

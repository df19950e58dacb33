/* Random programs of what the translator knows, and of a few things that it leaves to the interpreter. */
#ifndef UNIT_TRANSLATE_PROGRAM_H
#define UNIT_TRANSLATE_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    RAM = 4 << 20,
    CODE = 0x10000,
    CODE_MOST = 0xf00, /* bytes; the program is in one page */
    TABLES = 0x20000,
    SCRATCH = 0x40000,
    SCRATCH_PAGES = 8,
    SCRATCH_SIZE = SCRATCH_PAGES * 4096,
    STACK = 0x50000,
    COUNTER = 0x60000, /* rounds that are left */
    EXIT = 0xf4,
    ROUNDS = 7,
    LONGEST = 40,
};
/* ---- random numbers (xorshift) ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static inline uint64_t random_64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static inline unsigned below(unsigned limit)
{
    return (random_64() >> 20) % limit;
}

static inline bool one_in(unsigned chance)
{
    return below(chance) == 0;
}

/* Values at which flags change. */
static inline uint64_t random_value(void)
{
    switch (below(5)) {
    case 0: return below(4);
    case 1: return -(int64_t)below(4);
    case 2: return 1ull << below(64);
    case 3: return (1ull << below(64)) - 1;
    default: return random_64();
    }
}

/* ---- programs ---- */

struct program {
    uint8_t code[CODE_MOST + 64];
    unsigned size;
    bool wide; /* 64-bit code */
};

static inline void put(struct program *program, uint64_t value, unsigned bytes)
{
    memcpy(program->code + program->size, &value, bytes);
    program->size += bytes;
}

/* RSP, RBP and R13 are pointers: they are not written, but by what is about them. */
static inline unsigned target(const struct program *program)
{
    unsigned reg;

    do
        reg = below(program->wide ? 16 : 8);
    while (reg == RSP || reg == RBP || reg == R13);
    return reg;
}

struct form {
    unsigned size;    /* of the operand */
    bool memory;      /* in ModRM.rm */
    unsigned reg, rm; /* registers, or an extension of the opcode in reg */
    bool lockable;
};

static inline void put_prefixes(struct program *program, const struct form *form)
{
    uint8_t rex = (form->size == 8) << 3 | (form->reg >> 3) << 2 | form->rm >> 3;

    if (form->memory && one_in(12))
        put(program, one_in(2) ? 0x64 : 0x65, 1);
    if (form->memory && form->lockable && one_in(4))
        put(program, 0xf0, 1);
    if (form->size == 2)
        put(program, 0x66, 1);
    if (program->wide && (rex || (form->size == 1 && one_in(2))))
        put(program, 0x40 | rex, 1);
}

/* [rbp + disp], [r13 + disp], sometimes with RCX as an index; R13's and RBP's encodings are alike. */
static inline void put_modrm(struct program *program, const struct form *form)
{
    int32_t displacement = below(SCRATCH_SIZE - 64) - SCRATCH_SIZE / 2;

    if (one_in(16))
        displacement = (displacement & ~4095) - (int)below(8); /* often over the end of a page */
    if (!form->memory) {
        put(program, 0xc0 | (form->reg & 7) << 3 | (form->rm & 7), 1);
    } else if (one_in(8)) {
        put(program, 0x80 | (form->reg & 7) << 3 | 4, 1);
        put(program, below(4) << 6 | RCX << 3 | RBP, 1);
        put(program, displacement, 4);
    } else {
        put(program, 0x80 | (form->reg & 7) << 3 | RBP, 1);
        put(program, displacement, 4);
    }
}

static inline unsigned word(const struct program *program)
{
    static const uint8_t sizes[] = {2, 4, 4, 8, 8};

    return sizes[below(program->wide ? 5 : 3)];
}

/* An instruction with ModRM: opcode bytes (0F before it where `two`), even for bytes where `sized`. */
static inline void put_instruction(struct program *program, bool two, unsigned opcode, struct form *form)
{
    put_prefixes(program, form);
    if (two)
        put(program, 0x0f, 1);
    put(program, opcode, 1);
    put_modrm(program, form);
}

static inline struct form form_of(const struct program *program, bool bytes)
{
    struct form form = {.size = bytes ? 1 : word(program), .memory = one_in(2)};

    form.reg = target(program);
    form.rm = form.memory ? (program->wide && one_in(2) ? R13 : RBP) : target(program);
    return form;
}

static inline void put_immediate(struct program *program, unsigned size)
{
    put(program, random_value(), size == 8 ? 4 : size);
}

static inline void put_arithmetic(struct program *program)
{
    bool bytes = one_in(3), to_register = one_in(2);
    unsigned kind = below(8);
    struct form form = form_of(program, bytes);

    form.lockable = !to_register && kind != 7;
    put_instruction(program, false, kind << 3 | to_register << 1 | !bytes, &form);
}

static inline void put_arithmetic_immediate(struct program *program)
{
    struct form form = form_of(program, one_in(3));
    bool small = form.size == 1 || one_in(2);

    form.reg = below(8);
    form.lockable = form.reg != 7;
    put_instruction(program, false, form.size == 1 ? 0x80 : small ? 0x83 : 0x81, &form);
    put_immediate(program, small ? 1 : form.size);
}

static inline void put_test(struct program *program)
{
    bool bytes = one_in(3);
    struct form form = form_of(program, bytes);

    if (one_in(3)) {
        form.reg = 0;
        put_instruction(program, false, bytes ? 0xf6 : 0xf7, &form);
        put_immediate(program, form.size);
    } else {
        if (one_in(3) && !form.memory)
            form.rm = form.reg;
        put_instruction(program, false, bytes ? 0x84 : 0x85, &form);
    }
}

static inline void put_move(struct program *program)
{
    bool bytes = one_in(3);
    struct form form = form_of(program, bytes);

    switch (below(4)) {
    case 0: put_instruction(program, false, bytes ? 0x88 : 0x89, &form); break;
    case 1: put_instruction(program, false, bytes ? 0x8a : 0x8b, &form); break;
    case 2:
        form.reg = 0;
        put_instruction(program, false, bytes ? 0xc6 : 0xc7, &form);
        put_immediate(program, form.size);
        break;
    default: put_instruction(program, false, bytes ? 0x86 : 0x87, &form); break; /* XCHG */
    }
}

static inline void put_extension(struct program *program)
{
    static const uint8_t opcodes[] = {0xb6, 0xb7, 0xbe, 0xbf};
    struct form form = form_of(program, false);

    put_instruction(program, true, opcodes[below(4)], &form);
}

static inline void put_unary(struct program *program)
{
    bool bytes = one_in(3);
    struct form form = form_of(program, bytes);

    if (one_in(2)) {
        form.reg = below(2); /* INC DEC */
        form.lockable = true;
        put_instruction(program, false, bytes ? 0xfe : 0xff, &form);
    } else {
        form.reg = one_in(12) ? 2 + below(6) : 2 + below(4); /* NOT NEG MUL IMUL, DIV and IDIV now and then */
        put_instruction(program, false, bytes ? 0xf6 : 0xf7, &form);
    }
}

static inline void put_shift(struct program *program)
{
    bool bytes = one_in(4);
    struct form form = form_of(program, bytes);

    form.reg = below(8);
    switch (below(3)) {
    case 0:
        put_instruction(program, false, bytes ? 0xc0 : 0xc1, &form);
        put(program, below(one_in(4) ? 70 : 8), 1);
        break;
    case 1: put_instruction(program, false, bytes ? 0xd0 : 0xd1, &form); break;
    default: put_instruction(program, false, bytes ? 0xd2 : 0xd3, &form); break;
    }
}

static inline void put_multiply(struct program *program)
{
    struct form form = form_of(program, false);

    if (one_in(2)) {
        put_instruction(program, true, 0xaf, &form);
    } else {
        put_instruction(program, false, 0x69, &form);
        put_immediate(program, form.size);
    }
}

static inline void put_condition(struct program *program)
{
    struct form form = form_of(program, false);

    if (one_in(2)) {
        put_instruction(program, true, 0x40 | below(16), &form);
    } else {
        form.size = 1;
        form.reg = 0;
        put_instruction(program, true, 0x90 | below(16), &form);
    }
}

static inline void put_address(struct program *program)
{
    struct form form = form_of(program, false);

    form.memory = true;
    form.rm = one_in(2) ? RBP : target(program);
    if ((form.rm & 7) == RSP)
        form.rm = RBP;
    put_instruction(program, false, 0x8d, &form);
}

static inline void put_bits(struct program *program)
{
    struct form form = form_of(program, false);

    switch (below(4)) {
    case 0:
        form.reg = 4 + below(4);
        put_instruction(program, true, 0xba, &form); /* BT to BTC by a constant */
        put(program, below(256), 1);
        break;
    case 1:
        form.memory = false;
        form.rm = target(program);
        put_instruction(program, true, 0xa3 + 8 * below(4), &form);
        break;
    case 2:
        put_instruction(program, true, one_in(2) ? 0xa4 : 0xac, &form); /* SHLD SHRD */
        put(program, below(40), 1);
        break;
    default:
        put_instruction(program, true, 0xbc + below(2), &form); /* BSF BSR */
        break;
    }
}

/* Pushes and pops in pairs, so that the stack stays. */
static inline void put_stack(struct program *program)
{
    unsigned from = below(8), to = target(program);

    if (one_in(4)) {
        put(program, 0x68, 1);
        put(program, random_value(), 4);
    } else {
        if (program->wide && one_in(2))
            put(program, 0x41, 1);
        put(program, 0x50 | from, 1);
    }
    if (to >= 8)
        put(program, 0x41, 1);
    put(program, 0x58 | (to & 7), 1);
}

static inline void put_simple(struct program *program)
{
    static const uint8_t opcodes[] = {0x98, 0x99, 0x90, 0xf5, 0xf8, 0xf9, 0x9e, 0x9f, 0xf8, 0xf9};
    unsigned reg;

    switch (below(4)) {
    case 0:
        if (program->wide && one_in(2))
            put(program, 0x48, 1);
        put(program, opcodes[below(sizeof(opcodes))], 1);
        break;
    case 1: /* BSWAP */
        reg = target(program);
        if (program->wide)
            put(program, 0x40 | (one_in(2) << 3) | reg >> 3, 1);
        put(program, 0x0f, 1);
        put(program, 0xc8 | (reg & 7), 1);
        break;
    case 2: /* MOV reg, constant */
        reg = target(program);
        if (program->wide)
            put(program, 0x48 | reg >> 3, 1);
        put(program, 0xb8 | (reg & 7), 1);
        put(program, random_value(), program->wide ? 8 : 4);
        break;
    default:
        put(program, 0xe3, 2);
        break; /* JECXZ to what follows: a block's end that is the interpreter's */
    }
}

/* A jump over what comes next; answers where its distance stands. */
static inline unsigned put_jump(struct program *program)
{
    if (one_in(4)) {
        put(program, 0xe9, 1);
    } else {
        put(program, 0x0f, 1);
        put(program, 0x80 | below(16), 1);
    }
    put(program, 0, 4);
    return program->size;
}

static inline void jump_to_here(struct program *program, unsigned from)
{
    int32_t distance = program->size - from;

    memcpy(program->code + from - 4, &distance, 4);
}

/* A call of a short function that is jumped over. */
static inline void put_call(struct program *program)
{
    void (*const body[])(struct program *) = {put_arithmetic_immediate, put_move, put_unary};

    put(program, 0xe8, 1);
    put(program, 5, 4);
    put(program, 0xe9, 1);
    put(program, 0, 4);
    unsigned from = program->size;
    body[below(3)](program);
    put(program, 0xc3, 1);
    jump_to_here(program, from);
}

static inline void put_any(struct program *program)
{
    void (*const kinds[])(struct program *) = {
        put_arithmetic_immediate,
        put_arithmetic_immediate,
        put_arithmetic,
        put_test,
        put_move,
        put_move,
        put_extension,
        put_unary,
        put_shift,
        put_shift,
        put_multiply,
        put_condition,
        put_condition,
        put_address,
        put_bits,
        put_stack,
        put_simple,
    };

    kinds[below(sizeof(kinds) / sizeof(kinds[0]))](program);
}

static inline void program_make(struct program *program, bool wide)
{
    unsigned length = 3 + below(LONGEST), pending = 0, at = 0;

    *program = (struct program){.wide = wide};
    for (unsigned i = 0; i < length && program->size < CODE_MOST - 200; i++) {
        if (pending && i >= at) {
            jump_to_here(program, pending);
            pending = 0;
        }
        if (!pending && one_in(6)) {
            pending = put_jump(program);
            at = i + 1 + below(4);
        } else if (one_in(12)) {
            put_call(program);
        } else {
            put_any(program);
        }
    }
    if (pending)
        jump_to_here(program, pending);
    /* sub dword [COUNTER], 1; jnz start; out EXIT, al */
    put(program, 0x2c83, 2);
    put(program, 0x25, 1);
    put(program, COUNTER, 4);
    put(program, 1, 1);
    put(program, 0x850f, 2);
    put(program, -(int64_t)(program->size + 4), 4);
    put(program, 0xe6 | EXIT << 8, 2);
}

#endif

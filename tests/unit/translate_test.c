/*
 * The translator against the interpreter: random programs, run by two software CPUs of which one translates every block
 * that runs a second time and the other none. Registers, flags, memory, the count of instructions and what fault ended
 * the program must be the same.
 *
 * A program is a loop of straight code with a few jumps forward, calls, and operands in eight pages of scratch memory.
 * It is run with all pages there, and then again and again with one of them missing or read-only: so faults come up at
 * every access. There is no IDT: the first fault ends the run, and its record tells what it was. In 32-bit and 64-bit
 * mode, with paging, at CPL 0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/lock.h"
#include "cpu/engine.h"
#include "cpu/soft/cpu.h"

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
enum page { PAGE_P = 1, PAGE_W = 2, PAGE_LARGE = 0x80 };

/* ---- random numbers (xorshift) ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;
static unsigned programs = 200;

static uint64_t random_64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static unsigned below(unsigned limit)
{
    return (random_64() >> 20) % limit;
}

static bool one_in(unsigned chance)
{
    return below(chance) == 0;
}

/* Values at which flags change. */
static uint64_t random_value(void)
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

static void put(struct program *program, uint64_t value, unsigned bytes)
{
    memcpy(program->code + program->size, &value, bytes);
    program->size += bytes;
}

/* RSP, RBP and R13 are pointers: they are not written, but by what is about them. */
static unsigned target(const struct program *program)
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

static void put_prefixes(struct program *program, const struct form *form)
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
static void put_modrm(struct program *program, const struct form *form)
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

static unsigned word(const struct program *program)
{
    static const uint8_t sizes[] = {2, 4, 4, 8, 8};

    return sizes[below(program->wide ? 5 : 3)];
}

/* An instruction with ModRM: opcode bytes (0F before it where `two`), even for bytes where `sized`. */
static void put_instruction(struct program *program, bool two, unsigned opcode, struct form *form)
{
    put_prefixes(program, form);
    if (two)
        put(program, 0x0f, 1);
    put(program, opcode, 1);
    put_modrm(program, form);
}

static struct form form_of(const struct program *program, bool bytes)
{
    struct form form = {.size = bytes ? 1 : word(program), .memory = one_in(2)};

    form.reg = target(program);
    form.rm = form.memory ? (program->wide && one_in(2) ? R13 : RBP) : target(program);
    return form;
}

static void put_immediate(struct program *program, unsigned size)
{
    put(program, random_value(), size == 8 ? 4 : size);
}

static void put_arithmetic(struct program *program)
{
    bool bytes = one_in(3), to_register = one_in(2);
    unsigned kind = below(8);
    struct form form = form_of(program, bytes);

    form.lockable = !to_register && kind != 7;
    put_instruction(program, false, kind << 3 | to_register << 1 | !bytes, &form);
}

static void put_arithmetic_immediate(struct program *program)
{
    struct form form = form_of(program, one_in(3));
    bool small = form.size == 1 || one_in(2);

    form.reg = below(8);
    form.lockable = form.reg != 7;
    put_instruction(program, false, form.size == 1 ? 0x80 : small ? 0x83 : 0x81, &form);
    put_immediate(program, small ? 1 : form.size);
}

static void put_test(struct program *program)
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

static void put_move(struct program *program)
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

static void put_extension(struct program *program)
{
    static const uint8_t opcodes[] = {0xb6, 0xb7, 0xbe, 0xbf};
    struct form form = form_of(program, false);

    put_instruction(program, true, opcodes[below(4)], &form);
}

static void put_unary(struct program *program)
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

static void put_shift(struct program *program)
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

static void put_multiply(struct program *program)
{
    struct form form = form_of(program, false);

    if (one_in(2)) {
        put_instruction(program, true, 0xaf, &form);
    } else {
        put_instruction(program, false, 0x69, &form);
        put_immediate(program, form.size);
    }
}

static void put_condition(struct program *program)
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

static void put_address(struct program *program)
{
    struct form form = form_of(program, false);

    form.memory = true;
    form.rm = one_in(2) ? RBP : target(program);
    if ((form.rm & 7) == RSP)
        form.rm = RBP;
    put_instruction(program, false, 0x8d, &form);
}

static void put_bits(struct program *program)
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
static void put_stack(struct program *program)
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

static void put_simple(struct program *program)
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
static unsigned put_jump(struct program *program)
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

static void jump_to_here(struct program *program, unsigned from)
{
    int32_t distance = program->size - from;

    memcpy(program->code + from - 4, &distance, 4);
}

/* A call of a short function that is jumped over. */
static void put_call(struct program *program)
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

static void put_any(struct program *program)
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

static void program_make(struct program *program, bool wide)
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

/* ---- the two CPUs ---- */

struct side {
    struct engine_machine machine;
    struct engine *engine;
    struct vcpu *vcpu;
    uint8_t *ram;
    struct cpu_state end;
    enum run_result result;
};

static struct side sides[2];

static uint8_t no_interrupt(void *opaque)
{
    (void)opaque;
    return 0;
}

static void exit_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset, (void)size, (void)value;
    engine_soft.kick(((struct side *)device)->vcpu);
}

static void side_create(struct side *side, int translate_after, unsigned cpus)
{
    struct memory_range ram = {0, RAM, NULL, true, "ram"};
    char error[100];

    side->machine.memory = memory_create(RAM);
    side->ram = ram.host = memory_ram(side->machine.memory);
    memory_map(side->machine.memory, &ram);
    side->machine.ports = bus_create("port", 65536);
    side->machine.mmio = bus_create("mmio", UINT64_MAX);
    side->machine.clock = clock_create();
    side->machine.cpus = cpus;
    side->machine.translate_after = translate_after;
    side->machine.acknowledge = no_interrupt;
    bus_add(side->machine.ports, &(struct bus_range){EXIT, 1, "exit", side, NULL, exit_write, 1});
    side->engine = engine_soft.create(&side->machine, error, sizeof(error));
    assert_non_null(side->engine);
    side->vcpu = engine_soft.vcpu(side->engine, 0);
}

static void side_destroy(struct side *side)
{
    engine_soft.destroy(side->engine);
    bus_destroy(side->machine.ports);
    bus_destroy(side->machine.mmio);
    clock_destroy(side->machine.clock);
    memory_destroy(side->machine.memory);
}

static int sides_setup(unsigned cpus)
{
    memset(sides, 0, sizeof(sides));
    side_create(&sides[0], -1, cpus);
    side_create(&sides[1], 2, cpus);
    return 0;
}

static int one_cpu(void **state)
{
    (void)state;
    return sides_setup(1);
}

/* The other one sleeps, but LOCK has to lock. */
static int two_cpus(void **state)
{
    (void)state;
    return sides_setup(2);
}

static int sides_teardown(void **state)
{
    (void)state;
    side_destroy(&sides[0]);
    side_destroy(&sides[1]);
    return 0;
}

static void entry_put(struct side *side, uint64_t address, unsigned size, uint64_t value)
{
    memory_write(side->machine.memory, address, &value, size);
}

/* The first 2 MiB as they are; scratch page `missing` absent or read-only. */
static void tables_put(struct side *side, bool wide, int missing, bool read_only)
{
    unsigned size = wide ? 8 : 4;

    if (wide) {
        entry_put(side, TABLES, 8, (TABLES + 0x1000) | PAGE_P | PAGE_W);
        entry_put(side, TABLES + 0x1000, 8, (TABLES + 0x2000) | PAGE_P | PAGE_W);
        entry_put(side, TABLES + 0x2000, 8, (TABLES + 0x3000) | PAGE_P | PAGE_W);
    } else {
        entry_put(side, TABLES, 4, (TABLES + 0x3000) | PAGE_P | PAGE_W);
    }
    for (unsigned page = 0; page < 512; page++)
        entry_put(side, TABLES + 0x3000 + page * size, size, page << 12 | PAGE_P | PAGE_W);
    if (missing >= 0)
        entry_put(side, TABLES + 0x3000 + (SCRATCH / 4096 + missing) * size, size,
                  read_only ? SCRATCH + missing * 4096 + PAGE_P : 0);
}

static void state_make(struct side *side, const struct cpu_state *from, bool wide)
{
    struct cpu_state state;

    engine_soft.reset(side->vcpu);
    engine_soft.get_state(side->vcpu, &state);
    memcpy(state.gpr, from->gpr, sizeof(state.gpr));
    for (int i = 0; i < SEG_COUNT; i++)
        state.segment[i] = (struct segment){0x10, 0xc093, UINT32_MAX, 0};
    state.segment[SEG_CS] = (struct segment){8, wide ? 0xa09b : 0xc09b, UINT32_MAX, 0};
    state.segment[SEG_FS].base = 0x40;
    state.segment[SEG_GS].base = wide ? 0 : 0x1000;
    state.segment[SEG_GS].limit = wide ? UINT32_MAX : SCRATCH + SCRATCH_SIZE / 2;
    state.idtr = (struct table_register){0, 0};
    state.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET;
    state.cr3 = TABLES;
    state.cr4 = wide ? CR4_PAE : 0;
    state.efer = wide ? EFER_LME | EFER_LMA : 0;
    state.rip = CODE;
    state.rflags = from->rflags;
    engine_soft.set_state(side->vcpu, &state);
}

static void side_run(struct side *side, const struct program *program, const struct cpu_state *from,
                     const uint8_t *scratch, int missing, bool read_only)
{
    uint32_t rounds = ROUNDS;

    machine_lock();
    memory_write(side->machine.memory, CODE, program->code, program->size);
    memory_write(side->machine.memory, SCRATCH, scratch, SCRATCH_SIZE);
    memory_write(side->machine.memory, COUNTER, &rounds, sizeof(rounds));
    tables_put(side, program->wide, missing, read_only);
    state_make(side, from, program->wide);
    machine_unlock();
    ((struct cpu *)side->vcpu)->instructions = 0;
    side->result = engine_soft.run(side->vcpu);
    engine_soft.get_state(side->vcpu, &side->end);
}

/* ---- comparing ---- */

static void program_print(const struct program *program)
{
    print_message("%u-bit:", program->wide ? 64 : 32);
    for (unsigned i = 0; i < program->size; i++)
        print_message(" %02x", program->code[i]);
    print_message("\n");
}

static bool alike(const struct program *program, int missing, bool read_only)
{
    const struct cpu *one = (const struct cpu *)sides[0].vcpu, *two = (const struct cpu *)sides[1].vcpu;
    const struct cpu_state *left = &sides[0].end, *right = &sides[1].end;
    bool faults = sides[0].result == RUN_SHUTDOWN && sides[1].result == RUN_SHUTDOWN;
    bool same = sides[0].result == sides[1].result && memcmp(left, right, sizeof(*left)) == 0 &&
                one->instructions == two->instructions &&
                memcmp(sides[0].ram + SCRATCH, sides[1].ram + SCRATCH, SCRATCH_SIZE) == 0 &&
                (!faults || (one->record[0].vector == two->record[0].vector &&
                             one->record[0].error == two->record[0].error));

    if (same)
        return true;
    program_print(program);
    print_message("page %d %s; interpreted, translated:\n", missing, read_only ? "read-only" : "missing");
    for (int i = 0; i < GPR_COUNT; i++)
        if (left->gpr[i] != right->gpr[i])
            print_message("  register %d: %llx %llx\n", i, (long long)left->gpr[i], (long long)right->gpr[i]);
    print_message("  result %d %d, rip %llx %llx, flags %llx %llx, cr2 %llx %llx, instructions %llu %llu\n",
                  sides[0].result, sides[1].result, (long long)left->rip, (long long)right->rip,
                  (long long)left->rflags, (long long)right->rflags, (long long)left->cr2,
                  (long long)right->cr2, (long long)one->instructions, (long long)two->instructions);
    return false;
}

static void programs_are_alike(bool wide)
{
    static uint8_t scratch[SCRATCH_SIZE];
    struct program program;
    unsigned differences = 0;

    for (unsigned i = 0; i < programs && differences < 3; i++) {
        struct cpu_state from = {.rflags = FLAG_1};

        program_make(&program, wide);
        for (int reg = 0; reg < GPR_COUNT; reg++)
            from.gpr[reg] = wide ? random_value() : reg < 8 ? (uint32_t)random_value() : 0;
        from.gpr[RCX] = one_in(2) ? below(4096) : from.gpr[RCX];
        from.gpr[RBP] = from.gpr[R13] = SCRATCH + SCRATCH_SIZE / 2;
        if (!wide)
            from.gpr[R13] = 0;
        from.gpr[RSP] = STACK;
        from.rflags |= random_64() & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF);
        for (unsigned at = 0; at < sizeof(scratch); at += 8) {
            uint64_t value = random_value();
            memcpy(scratch + at, &value, 8);
        }
        for (int missing = -1; missing < 2 * SCRATCH_PAGES; missing++) {
            int page = missing < 0 ? -1 : missing % SCRATCH_PAGES;
            bool read_only = missing >= SCRATCH_PAGES;

            side_run(&sides[0], &program, &from, scratch, page, read_only);
            side_run(&sides[1], &program, &from, scratch, page, read_only);
            if (!alike(&program, page, read_only)) {
                differences++;
                break;
            }
        }
    }
    assert_int_equal(differences, 0);
}

static void in_32_bit_code(void **state)
{
    (void)state;
    programs_are_alike(false);
}

static void in_64_bit_code(void **state)
{
    (void)state;
    programs_are_alike(true);
}

/* translate_test [programs [seed]] */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_32_bit_code, one_cpu, sides_teardown),
        cmocka_unit_test_setup_teardown(in_64_bit_code, one_cpu, sides_teardown),
        {"in_32_bit_code_with_two_cpus", in_32_bit_code, two_cpus, sides_teardown, NULL},
        {"in_64_bit_code_with_two_cpus", in_64_bit_code, two_cpus, sides_teardown, NULL},
    };

    if (argc > 1)
        programs = atoi(argv[1]);
    if (argc > 2)
        seed ^= strtoull(argv[2], NULL, 0) << 32;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

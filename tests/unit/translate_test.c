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
#include "unit/translate_program.h"

enum page { PAGE_P = 1, PAGE_W = 2, PAGE_LARGE = 0x80 };

static unsigned programs = 200;

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

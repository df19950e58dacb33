/*
 * The software CPU as a whole, through engine.h: snippets of machine code in flat memory that run until they write to
 * the port EXIT. What single instructions compute is compared with the host's CPU in tests/cpu; here it is about
 * what surrounds them: faults, self-modifying code, interrupts, HLT, long repeats.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/lock.h"
#include "cpu/engine.h"

enum {
    RAM = 4 << 20,
    CODE = 0x10000, /* where snippets are put; CS base is 0, or this for 16-bit code */
    DATA = 0x20000,
    STACK = 0x80000,
    EXIT = 0xf4,   /* writing here ends run() */
    RAISE = 0xf5,  /* writing here sets INTR to the value */
    VECTOR = 0x40, /* what the interrupt controller answers */
    LIMIT_16 = 0xffff,
};

/* --translate N: as in struct engine_machine. */
static int translate_after;

struct rig {
    struct engine_machine machine;
    struct engine *engine;
    struct vcpu *vcpu;
    uint8_t *ram;
    struct cpu_state state;
    unsigned acknowledged;
};

static uint8_t rig_acknowledge(void *opaque)
{
    struct rig *rig = opaque;

    rig->acknowledged++;
    engine_soft.interrupt(rig->vcpu, false);
    return VECTOR;
}

static void exit_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset, (void)size, (void)value;
    engine_soft.kick(((struct rig *)device)->vcpu);
}

static void raise_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    (void)offset, (void)size;
    engine_soft.interrupt(((struct rig *)device)->vcpu, value != 0);
}

static int rig_setup(void **state)
{
    static struct rig rig;
    struct memory_range ram = {0, RAM, NULL, true, "ram"};
    char error[100];

    memset(&rig, 0, sizeof(rig));
    rig.machine.memory = memory_create(RAM);
    rig.ram = ram.host = memory_ram(rig.machine.memory);
    memory_map(rig.machine.memory, &ram);
    rig.machine.ports = bus_create("port", 65536);
    rig.machine.mmio = bus_create("mmio", UINT64_MAX);
    rig.machine.clock = clock_create();
    rig.machine.cpus = 1;
    rig.machine.translate_after = translate_after;
    rig.machine.acknowledge = rig_acknowledge;
    rig.machine.opaque = &rig;
    bus_add(rig.machine.ports, &(struct bus_range){EXIT, 1, "exit", &rig, NULL, exit_write, 1});
    bus_add(rig.machine.ports, &(struct bus_range){RAISE, 1, "raise", &rig, NULL, raise_write, 1});
    rig.engine = engine_soft.create(&rig.machine, error, sizeof(error));
    assert_non_null(rig.engine);
    rig.vcpu = engine_soft.vcpu(rig.engine, 0);
    *state = &rig;
    return 0;
}

static int rig_teardown(void **state)
{
    struct rig *rig = *state;

    engine_soft.destroy(rig->engine);
    bus_destroy(rig->machine.ports);
    bus_destroy(rig->machine.mmio);
    clock_destroy(rig->machine.clock);
    memory_destroy(rig->machine.memory);
    return 0;
}

/* Real mode with code at CODE and everything else at segment 0, or flat 32-bit protected mode at CPL 0. */
static void rig_mode(struct rig *rig, unsigned bits)
{
    struct cpu_state *state = &rig->state;

    engine_soft.reset(rig->vcpu);
    engine_soft.get_state(rig->vcpu, state);
    for (int i = 0; i < SEG_COUNT; i++) {
        state->segment[i] = (struct segment){0, 0x93, LIMIT_16, 0};
        if (bits == 32)
            state->segment[i] = (struct segment){0x10, 0xc093, UINT32_MAX, 0};
    }
    state->segment[SEG_CS] = bits == 32 ? (struct segment){8, 0xc09b, UINT32_MAX, 0}
                                        : (struct segment){CODE >> 4, 0x9b, LIMIT_16, CODE};
    state->cr0 = bits == 32 ? CR0_PE | CR0_ET : CR0_ET;
    state->rip = bits == 32 ? CODE : 0;
    state->gpr[RSP] = bits == 32 ? STACK : 0x7000;
}

/* Puts the code in place, runs it to its end and reads the state back. */
static enum run_result rig_run(struct rig *rig, const void *code, size_t size)
{
    enum run_result result;

    machine_lock();
    memory_write(rig->machine.memory, CODE, code, size);
    memory_write(rig->machine.memory, CODE + size, "\xe6\xf4", 2); /* out EXIT, al */
    machine_unlock();
    engine_soft.set_state(rig->vcpu, &rig->state);
    result = engine_soft.run(rig->vcpu);
    engine_soft.get_state(rig->vcpu, &rig->state);
    return result;
}

#define RUN(code) assert_int_equal(rig_run(rig, code, sizeof(code) - 1), RUN_KICKED)

static uint32_t ram32(const struct rig *rig, uint32_t address)
{
    uint32_t value;

    memcpy(&value, rig->ram + address, 4);
    return value;
}

/* ---- the plain things ---- */

static void loops_count(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    RUN("\xb9\xe8\x03\x00\x00" /* mov ecx, 1000 */
        "\x31\xc0"             /* xor eax, eax */
        "\x01\xc8"             /* again: add eax, ecx */
        "\x49"                 /* dec ecx */
        "\x75\xfb");           /* jnz again */
    assert_int_equal(rig->state.gpr[RAX], 500500);
    assert_int_equal(rig->state.gpr[RCX], 0);
}

static void calls_return(void **state)
{
    struct rig *rig = *state;

    /* fib(20), recursive */
    rig_mode(rig, 32);
    RUN("\xb8\x14\x00\x00\x00" /* mov eax, 20 */
        "\xe8\x02\x00\x00\x00" /* call fib */
        "\xeb\x1a"             /* jmp end */
        "\x83\xf8\x02"         /* fib: cmp eax, 2 */
        "\x72\x14"             /* jb done */
        "\x50"                 /* push eax */
        "\x48"                 /* dec eax */
        "\xe8\xf4\xff\xff\xff" /* call fib */
        "\x5b"                 /* pop ebx */
        "\x50"                 /* push eax */
        "\x8d\x43\xfe"         /* lea eax, [ebx - 2] */
        "\xe8\xea\xff\xff\xff" /* call fib */
        "\x5b"                 /* pop ebx */
        "\x01\xd8"             /* add eax, ebx */
        "\xc3");               /* done: ret */
    assert_int_equal(rig->state.gpr[RAX], 6765);
    assert_int_equal(rig->state.gpr[RSP], STACK);
}

static void addresses_wrap_at_16_bits(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    rig->state.gpr[RBX] = 0xabcdfff0;
    rig->state.gpr[RSI] = 0x20;
    memcpy(rig->ram + 0x10, "\x34\x12", 2);
    RUN("\x8b\x00"); /* mov ax, [bx + si] */
    assert_int_equal(rig->state.gpr[RAX], 0x1234);
}

/* ---- self-modifying code ---- */

static void the_next_instruction_is_seen_changed(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    rig->state.gpr[RBX] = CODE + 6;
    RUN("\xc6\x03\x42" /* mov byte [ebx], 0x42: over the immediate below */
        "\x90\x90"     /* nop; nop */
        "\xb0\x00");   /* mov al, 0 */
    assert_int_equal(rig->state.gpr[RAX] & 0xff, 0x42);
}

static void a_loop_that_changes_itself_is_seen_each_time(void **state)
{
    struct rig *rig = *state;

    /* The immediate of the ADD grows by one each time round: 0 + 1 + ... + 99. */
    rig_mode(rig, 32);
    rig->state.gpr[RBX] = CODE + 9;
    RUN("\xb9\x64\x00\x00\x00" /* mov ecx, 100 */
        "\x31\xc0"             /* xor eax, eax */
        "\x05\x00\x00\x00\x00" /* again: add eax, 0 -- the immediate is at CODE + 8 */
        "\xff\x43\xff"         /* inc dword [ebx - 1] */
        "\xe2\xf6");           /* loop again */
    assert_int_equal(rig->state.gpr[RAX], 4950);
}

static void data_beside_code_leaves_the_code_alone(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    rig->state.gpr[RBX] = CODE + 0x800;
    RUN("\xb9\x10\x27\x00\x00" /* mov ecx, 10000 */
        "\xff\x03"             /* again: inc dword [ebx] */
        "\xe2\xfc");           /* loop again */
    assert_int_equal(ram32(rig, CODE + 0x800), 10000);
}

static void dma_into_code_is_seen(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    RUN("\xb0\x11"); /* mov al, 0x11 */
    rig_mode(rig, 32);
    engine_soft.set_state(rig->vcpu, &rig->state);
    machine_lock();
    memory_write(rig->machine.memory, CODE + 1, "\x22", 1);
    machine_unlock();
    assert_int_equal(engine_soft.run(rig->vcpu), RUN_KICKED);
    engine_soft.get_state(rig->vcpu, &rig->state);
    assert_int_equal(rig->state.gpr[RAX] & 0xff, 0x22);
}

static void an_instruction_may_cross_pages(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    memcpy(rig->ram + CODE + 0xffd, "\xb8\x78\x56\x34\x12\xe6\xf4",
           7);                   /* mov eax, 0x12345678; out EXIT, al */
    RUN("\xe9\xf8\x0f\x00\x00"); /* jmp CODE + 0xffd */
    assert_int_equal(rig->state.gpr[RAX], 0x12345678);
    rig_mode(rig, 32);
    rig->state.gpr[RBX] = CODE + 0x1001;
    RUN("\xc6\x03\x55"           /* mov byte [ebx], 0x55: its last byte, in the second page */
        "\xe9\xf5\x0f\x00\x00"); /* jmp CODE + 0xffd */
    assert_int_equal(rig->state.gpr[RAX], 0x55345678);
}

/* ---- repeats ---- */

static void long_moves_and_fills(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    rig->state.gpr[RDI] = DATA + 3;
    rig->state.gpr[RCX] = 100000;
    rig->state.gpr[RAX] = 0x5a;
    RUN("\xf3\xaa"); /* rep stosb */
    assert_int_equal(rig->state.gpr[RDI], DATA + 3 + 100000);
    assert_int_equal(rig->state.gpr[RCX], 0);
    assert_int_equal(rig->ram[DATA + 2], 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(rig->ram[DATA + 3 + i], 0x5a);
    assert_int_equal(rig->ram[DATA + 3 + 100000], 0);
}

static void a_move_onto_itself_propagates(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    memcpy(rig->ram + DATA, "ab", 2);
    rig->state.gpr[RSI] = DATA;
    rig->state.gpr[RDI] = DATA + 2;
    rig->state.gpr[RCX] = 5000;
    RUN("\xf3\xa4"); /* rep movsb */
    for (int i = 0; i < 5002; i++)
        assert_int_equal(rig->ram[DATA + i], i & 1 ? 'b' : 'a');
}

static void moves_go_down_too(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    for (int i = 0; i < 8192; i++)
        rig->ram[DATA + i] = i * 7;
    rig->state.gpr[RSI] = DATA + 8188;
    rig->state.gpr[RDI] = DATA + 8192;
    rig->state.gpr[RCX] = 2048;
    RUN("\xfd\xf3\xa5\xfc"); /* std; rep movsd; cld */
    for (int i = 0; i < 8192; i++)
        assert_int_equal(rig->ram[DATA + 4 + i], (i * 7) & 0xff);
    assert_int_equal(rig->state.gpr[RSI], DATA - 4);
}

static void a_scan_stops_where_it_finds(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    rig->ram[DATA + 5000] = 1;
    rig->state.gpr[RDI] = DATA;
    rig->state.gpr[RCX] = 100000;
    RUN("\x31\xc0\xf3\xae"); /* xor eax, eax; repe scasb */
    assert_int_equal(rig->state.gpr[RDI], DATA + 5001);
    assert_int_equal(rig->state.gpr[RCX], 100000 - 5001);
    assert_int_equal(rig->state.rflags & FLAG_ZF, 0);
    assert_int_equal(rig->state.rflags & FLAG_CF, FLAG_CF);
}

static void repeats_wrap_at_16_bits(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    rig->state.gpr[RDI] = 0xfff0;
    rig->state.gpr[RCX] = 0x10;
    rig->state.gpr[RAX] = 0x77;
    RUN("\xf3\xaa"); /* rep stosb up to the end of the segment */
    assert_int_equal(rig->state.gpr[RDI], 0);
    assert_int_equal(rig->ram[0xffff], 0x77);
    assert_int_equal(rig->ram[0x10000], 0xf3);
}

/* ---- interrupts ---- */

/* Real-mode handler at 0:600: counts in [0:500] and returns. */
static void rig_handler(struct rig *rig, unsigned vector)
{
    memcpy(rig->ram + 4 * vector, "\x00\x06\x00\x00", 4);
    memcpy(rig->ram + 0x600, "\x2e\xff\x06\x00\x05\xcf", 6); /* inc word [cs:0x500]; iret */
    memset(rig->ram + 0x500, 0, 2);
}

static void an_interrupt_waits_for_the_shadow_of_sti(void **state)
{
    struct rig *rig = *state;

    /* SeaBIOS's window: taken after the NOP. */
    rig_mode(rig, 16);
    rig_handler(rig, VECTOR);
    RUN("\xb0\x01\xe6\xf5" /* mov al, 1; out RAISE, al */
        "\xfb"             /* sti */
        "\x90\xf3\x90"     /* nop; pause */
        "\xfa");           /* cli */
    assert_int_equal(rig->acknowledged, 1);
    assert_int_equal(rig->ram[0x500], 1);
}

static void sti_cli_lets_nothing_in(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    rig_handler(rig, VECTOR);
    RUN("\xb0\x01\xe6\xf5" /* mov al, 1; out RAISE, al */
        "\xfb\xfa"         /* sti; cli */
        "\x90\x90");
    assert_int_equal(rig->acknowledged, 0);
    engine_soft.interrupt(rig->vcpu, false);
}

static void hlt_is_ended_by_an_interrupt(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    rig_handler(rig, VECTOR);
    RUN("\xb0\x01\xe6\xf5" /* mov al, 1; out RAISE, al */
        "\xfb\xf4"         /* sti; hlt */
        "\xfa");           /* cli */
    assert_int_equal(rig->ram[0x500], 1);
}

static void an_nmi_needs_no_if(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    rig_handler(rig, VECTOR_NMI);
    engine_soft.nmi(rig->vcpu);
    RUN("\x90\x90");
    assert_int_equal(rig->ram[0x500], 1);
}

static void single_steps_trap_after_each_instruction(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    rig_handler(rig, VECTOR_DB);
    RUN("\x68\x02\x01" /* push 0x102: TF */
        "\x9d"         /* popf */
        "\x90\x90\x40" /* nop; nop; inc ax */
        "\x6a\x02\x9d" /* push 2; popf: the last one that traps */
        "\x90");
    assert_int_equal(rig->ram[0x500], 5);
    assert_int_equal(rig->state.gpr[RAX], 1);
}

/* ---- faults ---- */

static void a_fault_changes_nothing_and_can_be_repeated(void **state)
{
    struct rig *rig = *state;

    /* #DE's handler makes the divisor 2 and returns to the DIV. */
    rig_mode(rig, 16);
    memcpy(rig->ram + 0, "\x00\x07\x00\x00", 4);
    memcpy(rig->ram + 0x700, "\xbb\x02\x00\xcf", 4); /* mov bx, 2; iret */
    rig->state.gpr[RAX] = 100;
    RUN("\x31\xd2\x31\xdb\xf7\xf3"); /* xor dx, dx; xor bx, bx; div bx */
    assert_int_equal(rig->state.gpr[RAX], 50);
    assert_int_equal(rig->state.gpr[RSP] & 0xffff, 0x7000);
}

static void a_limit_is_checked(void **state)
{
    struct rig *rig = *state;

    /* mov ax, [0xffff] in a 64 KiB segment: #GP, whose handler steps over it. */
    rig_mode(rig, 16);
    memcpy(rig->ram + 4 * VECTOR_GP, "\x00\x07\x00\x00", 4);
    memcpy(rig->ram + 0x700, "\x55\x89\xe5\x83\x46\x02\x03\x5d\xb9\x34\x12\xcf",
           12);          /* push bp; mov bp, sp; add word [bp + 2], 3; pop bp; mov cx, 0x1234; iret */
    RUN("\xa1\xff\xff"); /* mov ax, [0xffff] */
    assert_int_equal(rig->state.gpr[RCX], 0x1234);
}

static void invalid_opcodes_fault(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 16);
    memcpy(rig->ram + 4 * VECTOR_UD, "\x00\x07\x00\x00", 4);
    memcpy(rig->ram + 0x700, "\x55\x89\xe5\x83\x46\x02\x03\x5d\x41\xcf",
           10);          /* ... add word [bp + 2], 3; inc cx; iret */
    RUN("\x0f\x0b\x90"   /* ud2 */
        "\xf0\x89\xc8"   /* lock mov ax, cx */
        "\xf0\x90\x90"); /* lock nop */
    assert_int_equal(rig->state.gpr[RCX], 3);
}

static void a_triple_fault_shuts_down(void **state)
{
    struct rig *rig = *state;

    rig_mode(rig, 32);
    rig->state.idtr.limit = 0;
    assert_int_equal(rig_run(rig, "\x0f\x0b", 2), RUN_SHUTDOWN);
}

/* ---- the map ---- */

static void a_changed_map_is_seen_at_once(void **state)
{
    static uint8_t other[PAGE_SIZE];
    struct rig *rig = *state;
    struct memory_range range = {CODE, PAGE_SIZE, other, true, "other"};

    rig_mode(rig, 32);
    RUN("\xb0\x11"); /* mov al, 0x11 */
    memcpy(other, "\xb0\x33\xe6\xf4", 4);
    machine_lock();
    memory_map(rig->machine.memory, &range);
    machine_unlock();
    rig_mode(rig, 32);
    engine_soft.set_state(rig->vcpu, &rig->state);
    assert_int_equal(engine_soft.run(rig->vcpu), RUN_KICKED);
    engine_soft.get_state(rig->vcpu, &rig->state);
    assert_int_equal(rig->state.gpr[RAX] & 0xff, 0x33);
}

/* mov dword [FEE00000h + register], value */
#define APIC_WRITE(low, high, value) "\xc7\x05" low high "\xe0\xfe" value
#define ICR(value)                   APIC_WRITE("\x00", "\x03", value)
#define ICR_HIGH(value)              APIC_WRITE("\x10", "\x03", value)

static void init_starts_the_first_cpu_anew(void **state)
{
    static uint8_t top[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
    struct rig *rig = *state;
    struct memory_range range = {0xfffff000, PAGE_SIZE, top, false, "top"};

    memcpy(top + 0xff0, "\xb0\x77\xe6\xf4", 4); /* mov al, 77h; out EXIT, al */
    machine_lock();
    memory_map(rig->machine.memory, &range);
    machine_unlock();
    rig_mode(rig, 32);
    RUN(ICR_HIGH("\x00\x00\x00\x00") ICR("\x00\x45\x00\x00") "\xeb\xfe"); /* INIT to CPU 0; jmp $ */
    assert_int_equal(rig->state.gpr[RAX], 0x77);
    assert_int_equal(rig->state.rip, 0xfff4);
    assert_int_equal(rig->state.segment[SEG_CS].base, 0xffff0000);
    assert_false(rig->state.cr0 & CR0_PE);
    assert_int_equal(rig->state.segment[SEG_DS].selector, 0);
}

/* One after the other, on one thread. */
static void a_startup_ipi_starts_another_cpu(void **state)
{
    struct rig *rig = *state;
    struct vcpu *second;
    char error[100];

    engine_soft.destroy(rig->engine);
    rig->machine.cpus = 2;
    rig->engine = engine_soft.create(&rig->machine, error, sizeof(error));
    rig->vcpu = engine_soft.vcpu(rig->engine, 0);
    second = engine_soft.vcpu(rig->engine, 1);
    engine_soft.get_state(second, &rig->state);
    assert_true(rig->state.halted);
    memcpy(rig->ram + 0x12000, "\x8c\xc8\xe6\xf4", 4); /* mov ax, cs; out EXIT, al */
    rig_mode(rig, 32);
    RUN(ICR("\x00\x45\x0c\x00") ICR("\x12\x46\x0c\x00")); /* INIT and start-up to the others */
    assert_int_not_equal(rig->state.rip, 0);
    rig->vcpu = second;
    assert_int_equal(engine_soft.run(second), RUN_KICKED);
    engine_soft.get_state(second, &rig->state);
    assert_int_equal(rig->state.gpr[RAX] & 0xffff, 0x1200);
    assert_int_equal(rig->state.segment[SEG_CS].base, 0x12000);
    assert_int_equal(rig->state.rip, 4);
    assert_false(rig->state.halted);
}

/* A state with PAE paging on: the pointers that CR3 leads to are loaded along with it. */
static void a_state_with_pae_paging_runs(void **state)
{
    enum { POINTERS = 0x30000, DIRECTORY = 0x31000, PRESENT_LARGE = 0x83 };
    struct rig *rig = *state;

    rig_mode(rig, 32);
    memcpy(rig->ram + POINTERS, &(uint64_t){DIRECTORY | 1}, 8);
    for (uint64_t i = 0; i < 2; i++)
        memcpy(rig->ram + DIRECTORY + 8 * i, &(uint64_t){i << 21 | PRESENT_LARGE}, 8);
    rig->state.cr0 |= CR0_PG;
    rig->state.cr4 |= CR4_PAE;
    rig->state.cr3 = POINTERS;
    RUN("\xb0\x11"); /* mov al, 0x11 */
    assert_int_equal(rig->state.gpr[RAX] & 0xff, 0x11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(loops_count),
        TEST(calls_return),
        TEST(addresses_wrap_at_16_bits),
        TEST(the_next_instruction_is_seen_changed),
        TEST(a_loop_that_changes_itself_is_seen_each_time),
        TEST(data_beside_code_leaves_the_code_alone),
        TEST(dma_into_code_is_seen),
        TEST(an_instruction_may_cross_pages),
        TEST(long_moves_and_fills),
        TEST(a_move_onto_itself_propagates),
        TEST(moves_go_down_too),
        TEST(a_scan_stops_where_it_finds),
        TEST(repeats_wrap_at_16_bits),
        TEST(an_interrupt_waits_for_the_shadow_of_sti),
        TEST(sti_cli_lets_nothing_in),
        TEST(hlt_is_ended_by_an_interrupt),
        TEST(an_nmi_needs_no_if),
        TEST(single_steps_trap_after_each_instruction),
        TEST(a_fault_changes_nothing_and_can_be_repeated),
        TEST(a_limit_is_checked),
        TEST(invalid_opcodes_fault),
        TEST(a_triple_fault_shuts_down),
        TEST(a_changed_map_is_seen_at_once),
        TEST(init_starts_the_first_cpu_anew),
        TEST(a_state_with_pae_paging_runs),
        TEST(a_startup_ipi_starts_another_cpu),
    };

    if (argc > 2 && strcmp(argv[1], "--translate") == 0)
        translate_after = atoi(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

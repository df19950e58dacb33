/*
 * The KVM engine against a real KVM: tiny guests in each mode, ports, MMIO, remapping, interrupts with and without the
 * kernel's chips, kicks, trouble, reset. Runs in the lab (engine_test.py); the guests are in guests.asm.
 */
#include "unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/lock.h"
#include "core/log.h"
#include "cpu/engine.h"
#include "cpu/kvm/kvm.h"

/* As in guests.asm. */
enum {
    CODE = 0x8000,
    SECOND = 0x9000,
    SPOT = 0x5000,
    PORT_DONE = 0xf4,
    PORT_REMAP = 0xf5,
    PORT_NOTED = 0x100
};
#define MMIO_BASE 0xd0000000u

enum {
    MEGABYTE = 0x100000,
    RAM = 16 * MEGABYTE,
    WINDOW = 0xf0000,
    WINDOW_SIZE = 0x10000,
    TABLES = 0x2000, /* page tables of the test */
    NOTES_MOST = 64,
    VECTOR = 0x20,
};
#define ROM_BASE 0xfffc0000u
enum { ROM_SIZE = 0x40000 };

/* clang-format off */
#define GUESTS(X)                                                                              \
    X(real) X(protected) X(long) X(ports) X(backdoor) X(mmio) X(mmio_wide) X(window) X(spin) X(sleep)      \
    X(input_kicked) X(interrupts_looping) X(interrupts_halting) X(interrupts_glimpse)          \
    X(interrupts_closed) X(nmi) X(irqchip) X(pit) X(triple) X(unemulatable) X(cpuid)           \
    X(wakes_second) X(second)
/* clang-format on */
#define DECLARE(name) extern const uint8_t guest_##name[], guest_##name##_end[];
GUESTS(DECLARE)
#define GUEST(name) guest_##name, (size_t)(guest_##name##_end - guest_##name)

struct note {
    char what; /* r, w: port; R, W: MMIO */
    uint64_t offset, value;
    unsigned size;
};

struct setup {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct engine *engine;
    struct vcpu *vcpu;
    uint8_t *rom;
    struct note notes[NOTES_MOST];
    unsigned count;
    bool done, shadowed, kick_on_read;
    bool change_registers;
    bool raise_on_note, drop_on_acknowledge;
    unsigned acknowledged;
};

/* ---- the machine that the guests run in */

static void note(struct setup *setup, char what, uint64_t offset, uint64_t value, unsigned size)
{
    if (setup->count < NOTES_MOST)
        setup->notes[setup->count++] = (struct note){what, offset, value, size};
}

static void change_registers(struct setup *setup)
{
    uint64_t gpr[GPR_COUNT];
    assert_true(engine_kvm.registers(setup->engine, gpr, false));
    assert_int_equal(gpr[RAX], 0x55555555);
    assert_int_equal(gpr[RCX], 0x22222222);
    assert_int_equal(gpr[RSI], 0x33333333);
    gpr[RAX] = 0;
    gpr[RBX] = 0x66666666;
    gpr[RDI]++;
    assert_true(engine_kvm.registers(setup->engine, gpr, true));
}

static uint64_t port_read(void *device, uint64_t offset, unsigned size)
{
    struct setup *setup = device;
    static const uint32_t answer = 0x87654321;
    note(setup, 'r', offset, 0, size);
    if (setup->kick_on_read)
        engine_kvm.kick(setup->vcpu);
    if (setup->change_registers)
        change_registers(setup);
    return size == 4 ? answer : answer & ((1u << 8 * size) - 1);
}

static void port_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct setup *setup = device;
    note(setup, 'w', offset, value, size);
    if (setup->raise_on_note)
        engine_kvm.interrupt(setup->vcpu, true);
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    note(device, 'R', offset, 0, size);
    return 0x1122334455667788 + offset;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    note(device, 'W', offset, value, size);
}

static void done_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct setup *setup = device;
    (void)offset, (void)size, (void)value;
    setup->done = true;
    engine_kvm.kick(setup->vcpu);
}

static void map_window(struct setup *setup, bool shadowed)
{
    struct memory_range range = {WINDOW, WINDOW_SIZE, setup->rom + ROM_SIZE - WINDOW_SIZE, false, "bios"};
    if (shadowed)
        range = (struct memory_range){WINDOW, WINDOW_SIZE, memory_ram(setup->memory) + WINDOW, true, "ram"};
    memory_map(setup->memory, &range);
    setup->shadowed = shadowed;
}

static void remap_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct setup *setup = device;
    (void)offset, (void)size, (void)value;
    map_window(setup, !setup->shadowed);
}

static uint8_t acknowledge(void *opaque)
{
    struct setup *setup = opaque;
    setup->acknowledged++;
    if (setup->drop_on_acknowledge)
        engine_kvm.interrupt(setup->vcpu, false);
    return VECTOR;
}

static void add(struct bus *bus, uint64_t base, uint64_t size, struct setup *setup, bus_read_function *read,
                bus_write_function *write, unsigned widest)
{
    struct bus_range range = {base, size, "test", setup, read, write, widest};
    bus_add(bus, &range);
}

static void map_memory(struct setup *setup)
{
    uint8_t *ram = memory_ram(setup->memory);
    struct memory_range low = {0, 0xa0000, ram, true, "ram"};
    struct memory_range high = {MEGABYTE, RAM - MEGABYTE, ram + MEGABYTE, true, "ram"};
    struct memory_range rom = {ROM_BASE, ROM_SIZE, setup->rom, false, "bios"};
    memory_map(setup->memory, &low);
    memory_map(setup->memory, &high);
    memory_map(setup->memory, &rom);
    map_window(setup, false);
}

static struct setup *setup_create(bool no_irqchip, unsigned cpus)
{
    struct setup *setup = allocate(sizeof(*setup));
    char error[256] = "";

    setup->memory = memory_create(RAM);
    setup->ports = bus_create("port", 65536);
    setup->mmio = bus_create("mmio", 1ull << 52);
    setup->rom = mmap(NULL, ROM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(setup->rom, 0xcc, ROM_SIZE);
    add(setup->ports, PORT_DONE, 1, setup, NULL, done_write, 1);
    add(setup->ports, PORT_REMAP, 1, setup, NULL, remap_write, 1);
    add(setup->ports, PORT_NOTED, 0x100, setup, port_read, port_write, 4);
    add(setup->mmio, MMIO_BASE, 0x2000, setup, mmio_read, mmio_write, 8);

    struct engine_machine machine = {.memory = setup->memory,
                                     .ports = setup->ports,
                                     .mmio = setup->mmio,
                                     .cpus = cpus,
                                     .no_irqchip = no_irqchip,
                                     .acknowledge = acknowledge,
                                     .opaque = setup};
    setup->engine = engine_kvm.create(&machine, error, sizeof(error));
    if (!setup->engine)
        fail_msg("%s", error);
    machine_lock();
    map_memory(setup);
    machine_unlock();
    setup->vcpu = engine_kvm.vcpu(setup->engine, 0);
    for (unsigned i = 0; i < cpus; i++)
        engine_kvm.reset(engine_kvm.vcpu(setup->engine, i));
    return setup;
}

static void setup_destroy(struct setup *setup)
{
    engine_kvm.destroy(setup->engine);
    bus_destroy(setup->ports);
    bus_destroy(setup->mmio);
    memory_destroy(setup->memory);
    munmap(setup->rom, ROM_SIZE);
    free(setup);
}

static uint32_t *spot(struct setup *setup)
{
    return (uint32_t *)(memory_ram(setup->memory) + SPOT);
}

/* ---- modes */

enum { DATA = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED };

static void flat(struct cpu_state *state, uint32_t width)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        state->segment[i] = (struct segment){0x10, DATA | RIGHTS_G | RIGHTS_DB, 0xffffffff, 0};
    state->segment[SEG_CS] = (struct segment){0x08, DATA | RIGHTS_CODE | RIGHTS_G | width, 0xffffffff, 0};
    state->cr0 |= CR0_PE;
    state->gpr[RSP] = 0x7000;
}

static void entry(struct setup *setup, unsigned offset, uint64_t value)
{
    memcpy(memory_ram(setup->memory) + TABLES + offset, &value, sizeof(value));
}

enum { PAGE_PRESENT_WRITABLE = 3, PAGE_LARGE = 0x80 };

static void page_32(struct setup *setup, struct cpu_state *state)
{
    uint32_t *directory = (uint32_t *)(memory_ram(setup->memory) + TABLES);
    for (uint32_t i = 0; i < 1024; i++)
        directory[i] = i << 22 | PAGE_LARGE | PAGE_PRESENT_WRITABLE;
    state->cr3 = TABLES;
    state->cr4 |= CR4_PSE;
    state->cr0 |= CR0_PG;
}

/* Identity for the first GiB and the one that the MMIO lies in. */
static void page_long(struct setup *setup, struct cpu_state *state)
{
    entry(setup, 0, (TABLES + 0x1000) | PAGE_PRESENT_WRITABLE);
    for (unsigned gigabyte = 0; gigabyte < 4; gigabyte += 3)
        entry(setup, 0x1000 + 8 * gigabyte, (TABLES + (gigabyte ? 0x3000 : 0x2000)) | PAGE_PRESENT_WRITABLE);
    for (uint64_t i = 0; i < 512; i++) {
        entry(setup, 0x2000 + 8 * i, i << 21 | PAGE_LARGE | PAGE_PRESENT_WRITABLE);
        entry(setup, 0x3000 + 8 * i, 3ull << 30 | i << 21 | PAGE_LARGE | PAGE_PRESENT_WRITABLE);
    }
    state->cr3 = TABLES;
    state->cr4 |= CR4_PAE;
    state->cr0 |= CR0_PG;
    state->efer |= EFER_LME | EFER_LMA;
}

static void place(struct setup *setup, uint32_t address, const uint8_t *code, size_t size)
{
    memcpy(memory_ram(setup->memory) + address, code, size);
}

static void start(struct setup *setup, enum kvm_mode mode, const uint8_t *code, size_t size)
{
    struct cpu_state state;

    place(setup, CODE, code, size);
    engine_kvm.get_state(setup->vcpu, &state);
    if (mode == KVM_REAL) {
        state.segment[SEG_CS].selector = 0;
        state.segment[SEG_CS].base = 0;
    } else {
        flat(&state, mode == KVM_LONG ? RIGHTS_L : RIGHTS_DB);
    }
    if (mode == KVM_PAGED_32)
        page_32(setup, &state);
    if (mode == KVM_LONG)
        page_long(setup, &state);
    state.rip = CODE;
    engine_kvm.set_state(setup->vcpu, &state);
}

static void run_to_done(struct setup *setup)
{
    while (!setup->done) {
        enum run_result result = engine_kvm.run(setup->vcpu);
        if (result == RUN_FAILED)
            print_message("# %s\n", engine_kvm.failure(setup->vcpu));
        assert_int_equal(result, RUN_KICKED);
    }
}

/* run() on a thread of its own, for who kicks and interrupts from outside. */
static void *thread_run(void *opaque)
{
    struct setup *setup = opaque;
    return (void *)(intptr_t)engine_kvm.run(setup->vcpu);
}

static void *thread_run_to_done(void *opaque)
{
    struct setup *setup = opaque;
    while (!__atomic_load_n(&setup->done, __ATOMIC_ACQUIRE))
        if (engine_kvm.run(setup->vcpu) != RUN_KICKED)
            return (void *)1;
    return NULL;
}

static pthread_t launch(void *(*function)(void *), struct setup *setup)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, setup), 0);
    return thread;
}

static intptr_t join(pthread_t thread)
{
    void *result;
    pthread_join(thread, &result);
    return (intptr_t)result;
}

static void assert_note(const struct setup *setup, unsigned at, char what, uint64_t offset, unsigned size,
                        uint64_t value)
{
    assert_in_range(at, 0, setup->count - 1);
    assert_int_equal(setup->notes[at].what, what);
    assert_int_equal(setup->notes[at].offset, offset);
    assert_int_equal(setup->notes[at].size, size);
    assert_int_equal(setup->notes[at].value, value);
}

/* ---- guests in each mode */

static void real_mode(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_REAL, GUEST(real));
    run_to_done(setup);
    assert_note(setup, 0, 'w', 0, 2, 0);
    assert_note(setup, 1, 'w', 0, 4, 0x12345678);
    setup_destroy(setup);
}

static void protected_in(enum kvm_mode mode)
{
    struct setup *setup = setup_create(false, 1);
    start(setup, mode, GUEST(protected));
    run_to_done(setup);
    assert_note(setup, 0, 'w', 0, 4, 1);
    assert_note(setup, 1, 'w', 0, 4, 0xfff00001);
    setup_destroy(setup);
}

static void protected_mode(void **state)
{
    (void)state;
    protected_in(KVM_PROTECTED);
}

static void paging_32(void **state)
{
    (void)state;
    protected_in(KVM_PAGED_32);
}

static void long_mode(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_LONG, GUEST(long));
    run_to_done(setup);
    assert_note(setup, 0, 'w', 0, 4, 2);
    assert_note(setup, 1, 'w', 0, 4, 0xfffffffe);
    setup_destroy(setup);
}

/* ---- exits */

static void ports_of_all_sizes_and_strings(void **state)
{
    (void)state;
    static const struct note expected[] = {
        {'r', 0, 0, 1},      {'w', 0, 0x21, 1}, {'r', 0, 0, 2},
        {'w', 0, 0x4321, 2}, {'r', 0, 0, 4},    {'w', 0, 0x87654321, 4},
    };
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_REAL, GUEST(ports));
    run_to_done(setup);
    for (unsigned i = 0; i < 6; i++)
        assert_note(setup, i, expected[i].what, 0, expected[i].size, expected[i].value);
    for (unsigned i = 6; i < 11; i++)
        assert_note(setup, i, 'r', 0, 2, 0);
    for (unsigned i = 11; i < 21; i++)
        assert_note(setup, i, 'w', 0, 1, i % 2 ? 0x21 : 0x43);
    assert_int_equal(setup->count, 21);
    setup_destroy(setup);
}

static void a_port_sees_and_changes_registers(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint64_t gpr[GPR_COUNT];
    assert_false(engine_kvm.registers(setup->engine, gpr, false)); /* nobody is at a port */
    setup->change_registers = true;
    start(setup, KVM_PROTECTED, GUEST(backdoor));
    run_to_done(setup);
    assert_note(setup, 1, 'w', 0, 4, 0x87654321);
    assert_note(setup, 2, 'w', 0, 4, 0x66666666);
    assert_note(setup, 3, 'w', 0, 4, 0x22222222);
    assert_note(setup, 4, 'w', 0, 4, 0x44444445);
    setup_destroy(setup);
}

static void mmio_of_all_sizes(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(mmio));
    run_to_done(setup);
    assert_note(setup, 0, 'W', 0, 1, 0x11);
    assert_note(setup, 1, 'W', 2, 2, 0x2222);
    assert_note(setup, 2, 'W', 4, 4, 0x44444444);
    assert_note(setup, 3, 'R', 0, 1, 0);
    assert_note(setup, 4, 'R', 2, 2, 0);
    assert_note(setup, 5, 'R', 4, 4, 0);
    /* Over the page's end: however it is cut, each byte comes once, in order. */
    uint64_t next = 0xffe, value = 0;
    for (unsigned i = 6; i < setup->count - 1; i++) {
        assert_int_equal(setup->notes[i].what, 'W');
        assert_int_equal(setup->notes[i].offset, next);
        value |= setup->notes[i].value << 8 * (next - 0xffe);
        next += setup->notes[i].size;
    }
    assert_int_equal(next, 0x1002);
    assert_int_equal(value, 0xa1b2c3d4);
    assert_note(setup, setup->count - 1, 'w', 0, 4, 0xffffffff);
    setup_destroy(setup);
}

static void mmio_of_eight_bytes(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state after;
    start(setup, KVM_LONG, GUEST(mmio_wide));
    run_to_done(setup);
    assert_note(setup, 0, 'W', 8, 8, 0x8877665544332211);
    assert_note(setup, 1, 'R', 8, 8, 0);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_int_equal(after.gpr[RAX], 0x1122334455667790);
    setup_destroy(setup);
}

/* Shadowing, as PAM does it: seen at the next instruction, and the guest's RAM keeps its slot. */
/* The log of the RAM's pages: those that the guest or a device wrote to, each told of once; what a slot that goes away knew
 * is not lost. */
static void writes_are_logged(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint8_t *ram = memory_ram(setup->memory);
    uint64_t pages[RAM / PAGE_SIZE / 64] = {0};
    const uint64_t shadow = 1ull << WINDOW / PAGE_SIZE % 64, device = 1ull << 0x200000 / PAGE_SIZE % 64;

    start(setup, KVM_PROTECTED, GUEST(window));
    machine_lock();
    assert_false(memory_log_take(setup->memory, ram, RAM, pages)); /* starts it */
    machine_unlock();
    run_to_done(setup);
    machine_lock();
    memory_write(setup->memory, 0x200ffe, "one", 3);
    assert_true(memory_log_take(setup->memory, ram, RAM, pages));
    assert_true(pages[WINDOW / PAGE_SIZE / 64] & shadow);
    assert_int_equal(pages[0x200000 / PAGE_SIZE / 64], device | device << 1);
    memset(pages, 0, sizeof(pages));
    assert_true(memory_log_take(setup->memory, ram, RAM, pages));
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        assert_int_equal(pages[i], 0);
    memory_log_stop(setup->memory, ram);
    for (unsigned i = 0; i < setup->engine->slots; i++)
        assert_false(setup->engine->slot[i].logged);
    machine_unlock();
    setup_destroy(setup);
}

static void memory_is_remapped_under_the_guest(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint8_t *shadow = memory_ram(setup->memory) + WINDOW;
    memset(shadow, 0x77, 4);
    start(setup, KVM_PROTECTED, GUEST(window));
    engine_kvm.kick(setup->vcpu);
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED); /* the slots are made now */

    struct memory_slot before = {0}, after = {0};
    unsigned at = 0;
    while (setup->engine->slot[at].base != MEGABYTE)
        at++;
    before = setup->engine->slot[at];
    run_to_done(setup);
    after = setup->engine->slot[at];
    assert_memory_equal(&before, &after, sizeof(before));
    assert_note(setup, 0, 'w', 0, 4, 0xcccccccc);
    assert_note(setup, 1, 'w', 0, 4, 0xcccccccc);
    assert_note(setup, 2, 'w', 0, 4, 0x77777777);
    assert_note(setup, 3, 'w', 0, 4, 0x66666666);
    assert_note(setup, 4, 'w', 0, 4, 0xcccccccc);
    assert_int_equal(setup->rom[ROM_SIZE - WINDOW_SIZE], 0xcc);
    assert_int_equal(shadow[0], 0x66);
    setup_destroy(setup);
}

/* One range through all of low memory, cut up and joined again: what is above 1 MiB is no part of it. */
static void slots_below_1_mib_come_and_go(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct memory_range all = {0, RAM, memory_ram(setup->memory), true, "ram"};
    start(setup, KVM_REAL, GUEST(real));
    for (unsigned i = 0; i < 6; i++) {
        machine_lock();
        memory_map(setup->memory, &all);
        if (i % 2)
            for (uint64_t base = 0xc0000; base < MEGABYTE; base += 0x4000)
                if (base / 0x4000 % 2)
                    memory_unmap(setup->memory, base, 0x4000);
        machine_unlock();
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
        unsigned used = 0;
        for (unsigned at = 0; at < setup->engine->slots; at++)
            used += setup->engine->slot[at].size != 0;
        assert_int_equal(used, i % 2 ? 10 : 3);
    }
    run_to_done(setup);
    setup_destroy(setup);
}

/* ---- kicks */

static void kick_ends_a_loop(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(spin));
    for (unsigned i = 0; i < 60; i++) {
        pthread_t thread = launch(thread_run, setup);
        if (i % 3 == 0)
            usleep(1000 * (i % 7));
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(join(thread), RUN_KICKED);
    }
    setup_destroy(setup);
}

/* Kicks ever later until the guest is in HLT, then some more: it stays there. */
static void kick_ends_hlt_with(bool no_irqchip)
{
    struct setup *setup = setup_create(no_irqchip, 1);
    struct cpu_state after = {0};
    start(setup, KVM_REAL, GUEST(sleep));
    for (unsigned i = 0, halted = 0; halted < 5; i++) {
        pthread_t thread = launch(thread_run, setup);
        usleep(halted % 2 ? 0 : 3000 * i);
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(join(thread), RUN_KICKED);
        engine_kvm.get_state(setup->vcpu, &after);
        assert_true(after.halted || !halted);
        halted += after.halted;
        assert_in_range(i, 0, 200);
    }
    assert_int_equal(after.rip, CODE + 1);
    setup_destroy(setup);
}

static void kick_ends_hlt(void **state)
{
    (void)state;
    kick_ends_hlt_with(false);
}

static void kick_ends_hlt_without_the_kernels_chips(void **state)
{
    (void)state;
    kick_ends_hlt_with(true);
}

static void a_kick_before_run_is_not_lost(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(spin));
    for (unsigned i = 0; i < 100; i++) {
        engine_kvm.kick(setup->vcpu);
        assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
    }
    setup_destroy(setup);
}

/* An instruction that was at its port read when the kick came is complete when run() is back. */
static void a_kick_in_a_port_read_completes_it(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state after;
    start(setup, KVM_REAL, GUEST(input_kicked));
    setup->kick_on_read = true;
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_int_equal(after.gpr[RAX], 0xdeadbe21);
    assert_int_equal(after.rip, CODE + 10);
    after.gpr[RAX] = 0x55; /* and what is set now stays */
    engine_kvm.set_state(setup->vcpu, &after);
    engine_kvm.kick(setup->vcpu);
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_KICKED);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_int_equal(after.gpr[RAX], 0x55);
    setup_destroy(setup);
}

/* ---- interrupts from the machine's 8259As */

static void wait_for_note(struct setup *setup, unsigned count)
{
    while (__atomic_load_n(&setup->count, __ATOMIC_ACQUIRE) < count)
        usleep(500);
}

static void raise_intr(struct setup *setup)
{
    machine_lock();
    engine_kvm.interrupt(setup->vcpu, true);
    machine_unlock();
}

static void three_interrupts(const uint8_t *code, size_t size)
{
    struct setup *setup = setup_create(true, 1);
    setup->drop_on_acknowledge = true;
    start(setup, KVM_REAL, code, size);
    pthread_t thread = launch(thread_run_to_done, setup);
    wait_for_note(setup, 1);
    for (unsigned i = 1; i <= 3; i++) {
        raise_intr(setup);
        while (__atomic_load_n(spot(setup), __ATOMIC_ACQUIRE) < i)
            usleep(500);
    }
    assert_int_equal(join(thread), 0);
    assert_int_equal(setup->acknowledged, 3);
    assert_int_equal(*spot(setup), 3);
    setup_destroy(setup);
}

static void interrupts_reach_a_loop(void **state)
{
    (void)state;
    three_interrupts(GUEST(interrupts_looping));
}

static void interrupts_end_hlt(void **state)
{
    (void)state;
    three_interrupts(GUEST(interrupts_halting));
}

static void interrupts_get_through_a_short_window(void **state)
{
    (void)state;
    three_interrupts(GUEST(interrupts_glimpse));
}

static void interrupts_wait_for_sti(void **state)
{
    (void)state;
    struct setup *setup = setup_create(true, 1);
    setup->drop_on_acknowledge = true;
    setup->raise_on_note = true;
    start(setup, KVM_REAL, GUEST(interrupts_closed));
    assert_false(engine_kvm.abilities(setup->engine)->irqchip);
    while (setup->count < 2)
        engine_kvm.run(setup->vcpu), setup->raise_on_note = setup->count < 1,
                                     assert_false(setup->done && setup->count < 2);
    assert_note(setup, 1, 'w', 0, 4, 0);
    run_to_done(setup);
    assert_int_equal(setup->notes[2].value >= 1, 1);
    setup_destroy(setup);
}

/* INTR that falls again before the guest can take it is never acknowledged. */
static void an_interrupt_taken_back_is_none(void **state)
{
    (void)state;
    struct setup *setup = setup_create(true, 1);
    start(setup, KVM_REAL, GUEST(interrupts_closed));
    engine_kvm.interrupt(setup->vcpu, true);
    engine_kvm.interrupt(setup->vcpu, false);
    run_to_done(setup);
    assert_int_equal(setup->acknowledged, 0);
    assert_note(setup, 2, 'w', 0, 4, 0);
    setup_destroy(setup);
}

static void nmi_with(bool no_irqchip)
{
    struct setup *setup = setup_create(no_irqchip, 1);
    start(setup, KVM_REAL, GUEST(nmi));
    pthread_t thread = launch(thread_run_to_done, setup);
    wait_for_note(setup, 1);
    engine_kvm.nmi(setup->vcpu);
    wait_for_note(setup, 2);
    usleep(2000);
    engine_kvm.nmi(setup->vcpu);
    assert_int_equal(join(thread), 0);
    assert_int_equal(spot(setup)[1], 2);
    setup_destroy(setup);
}

static void nmi_interrupts_loop_and_hlt(void **state)
{
    (void)state;
    nmi_with(false);
}

static void nmi_without_the_kernels_chips(void **state)
{
    (void)state;
    nmi_with(true);
}

/* ---- the kernel's chips */

static void the_kernels_pic_takes_a_line(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    assert_true(engine_kvm.abilities(setup->engine)->irqchip);
    start(setup, KVM_REAL, GUEST(irqchip));
    pthread_t thread = launch(thread_run_to_done, setup);
    wait_for_note(setup, 1);
    for (unsigned i = 1; i <= 3; i++) {
        engine_kvm.irqchip_set(setup->engine, 5, true);
        engine_kvm.irqchip_set(setup->engine, 5, false);
        while (__atomic_load_n(spot(setup), __ATOMIC_ACQUIRE) < i)
            usleep(500);
    }
    assert_int_equal(join(thread), 0);
    assert_int_equal(setup->acknowledged, 0);

    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    engine_kvm.irqchip_print(setup->engine, out);
    fclose(out);
    assert_non_null(strstr(text, "pic0: irr=00 imr=df"));
    assert_non_null(strstr(text, "irq_base=18"));
    setup_destroy(setup);
}

static void the_kernels_pit_ticks(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    assert_true(engine_kvm.abilities(setup->engine)->pit);
    start(setup, KVM_REAL, GUEST(pit));
    run_to_done(setup);
    assert_in_range(*spot(setup), 3, 100);

    /* Reset: masked, and nothing ticks any more. */
    engine_kvm.reset(setup->vcpu);
    struct kvm_irqchip chip = {.chip_id = CHIP_MASTER};
    assert_int_equal(kvm_call(setup->engine->vm, KVM_GET_IRQCHIP, &chip), 0);
    assert_int_equal(chip.chip.pic.irq_base, 0);
    assert_int_equal(chip.chip.pic.imr, 0);
    setup_destroy(setup);
}

static void time_stands_and_goes_on(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_REAL, GUEST(pit));
    engine_kvm.time_stopped(setup->engine, true);
    engine_kvm.time_stopped(setup->engine, true);
    engine_kvm.time_stopped(setup->engine, false);
    run_to_done(setup);
    setup_destroy(setup);
}

/* ---- several CPUs */

struct second {
    struct setup *setup;
    bool stop;
};

static void *run_second(void *opaque)
{
    struct second *second = opaque;
    struct vcpu *vcpu = engine_kvm.vcpu(second->setup->engine, 1);
    while (!__atomic_load_n(&second->stop, __ATOMIC_ACQUIRE))
        if (engine_kvm.run(vcpu) != RUN_KICKED)
            return (void *)1;
    return NULL;
}

static void a_second_cpu_is_started_by_the_first(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 2);
    struct vcpu *vcpu = engine_kvm.vcpu(setup->engine, 1);
    struct second second = {setup, false};
    pthread_t thread;

    place(setup, SECOND, GUEST(second));
    start(setup, KVM_PROTECTED, GUEST(wakes_second));
    pthread_create(&thread, NULL, run_second, &second);
    usleep(5000);
    engine_kvm.kick(vcpu); /* while it waits to be started */
    run_to_done(setup);
    assert_int_equal(*spot(setup), 0x2222);
    __atomic_store_n(&second.stop, true, __ATOMIC_RELEASE);
    engine_kvm.kick(vcpu); /* while it is halted */
    assert_int_equal(join(thread), 0);

    /* After a reset it waits again. */
    struct kvm_mp_state activity;
    engine_kvm.reset(vcpu);
    assert_int_equal(kvm_call(vcpu->descriptor, KVM_GET_MP_STATE, &activity), 0);
    assert_int_equal(activity.mp_state, KVM_MP_STATE_UNINITIALIZED);
    setup_destroy(setup);
}

static void several_cpus_need_the_kernels_chips(void **state)
{
    (void)state;
    char error[256] = "";
    struct memory *memory = memory_create(RAM);
    struct engine_machine machine = {.memory = memory, .cpus = 2, .no_irqchip = true};
    assert_null(engine_kvm.create(&machine, error, sizeof(error)));
    assert_non_null(strstr(error, "several CPUs"));
    memory_destroy(memory);
}

/* ---- state */

static void assert_segments(const struct segment *expected, const struct segment *found, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(expected[i].selector, found[i].selector);
        assert_int_equal(expected[i].rights, found[i].rights);
        assert_int_equal(expected[i].limit, found[i].limit);
        assert_int_equal(expected[i].base, found[i].base);
    }
}

static void reset_is_the_state_after_power_on(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state fresh, after;
    engine_kvm.get_state(setup->vcpu, &fresh);
    assert_int_equal(fresh.rip, 0xfff0);
    assert_int_equal(fresh.segment[SEG_CS].selector, 0xf000);
    assert_int_equal(fresh.segment[SEG_CS].base, 0xffff0000);
    assert_int_equal(fresh.segment[SEG_CS].limit, 0xffff);
    assert_int_equal(fresh.rflags, FLAG_1);
    assert_int_equal(fresh.cr0, CR0_ET | CR0_NW | CR0_CD);
    assert_int_equal(fresh.idtr.limit, 0xffff);

    start(setup, KVM_LONG, GUEST(long));
    run_to_done(setup);
    engine_kvm.reset(setup->vcpu);
    engine_kvm.get_state(setup->vcpu, &after);
    assert_memory_equal(fresh.gpr, after.gpr, sizeof(fresh.gpr));
    assert_segments(fresh.segment, after.segment, SEG_COUNT);
    assert_segments(&fresh.tr, &after.tr, 1);
    assert_int_equal(fresh.rip, after.rip);
    assert_int_equal(fresh.rflags, after.rflags);
    assert_int_equal(fresh.cr0, after.cr0);
    assert_int_equal(fresh.cr3, after.cr3);
    assert_int_equal(fresh.cr4, after.cr4);
    assert_int_equal(fresh.efer, after.efer);
    assert_int_equal(fresh.idtr.limit, after.idtr.limit);
    assert_memory_equal(fresh.dr, after.dr, sizeof(fresh.dr));
    assert_memory_equal(fresh.fx, after.fx, sizeof(fresh.fx));
    setup_destroy(setup);
}

/* The vector at FFFFFFF0h is in the ROM below 4 GiB: an endless jump here, found there again after a reset. */
static void reset_starts_in_the_rom(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state after;
    setup->rom[ROM_SIZE - 16] = 0xe6; /* out DONE, al */
    setup->rom[ROM_SIZE - 15] = PORT_DONE;
    for (unsigned i = 0; i < 3; i++) {
        setup->done = false;
        run_to_done(setup);
        engine_kvm.get_state(setup->vcpu, &after);
        assert_int_equal(after.rip, 0xfff2);
        assert_int_equal(after.segment[SEG_CS].base, 0xffff0000);
        engine_kvm.reset(setup->vcpu);
    }
    setup_destroy(setup);
}

static void state_goes_in_and_comes_out(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state in, out;
    start(setup, KVM_LONG, GUEST(long));
    engine_kvm.get_state(setup->vcpu, &in);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        in.gpr[i] = 0x0101010101010101 * (i + 1);
    in.rflags = FLAG_1 | FLAG_CF | FLAG_IF | FLAG_DF;
    in.gdtr = (struct table_register){0x123450, 0x67};
    in.idtr = (struct table_register){0x543210, 0xfff};
    in.segment[SEG_GS].base = 0x7766554433;
    in.cr2 = 0xabcdef;
    in.cr8 = 5;
    in.dr[0] = 0x1000;
    in.dr[7] = 0x402;
    in.interrupt_shadow = true;
    for (unsigned i = 0; i < 16; i++)
        for (unsigned byte = 0; byte < 16; byte++)
            in.fx[160 + 16 * i + byte] = (uint8_t)(i * 16 + byte);
    for (unsigned i = 0; i < 8; i++)
        memset(&in.fx[32 + 16 * i], 0x10 + (int)i, 10);
    in.fx[0] = 0x7f;
    in.fx[1] = 0x02;
    in.fx[4] = 0xff;
    engine_kvm.set_state(setup->vcpu, &in);
    engine_kvm.get_state(setup->vcpu, &out);
    assert_memory_equal(in.gpr, out.gpr, sizeof(in.gpr));
    assert_int_equal(in.rflags, out.rflags);
    assert_segments(in.segment, out.segment, SEG_COUNT);
    assert_int_equal(in.gdtr.base, out.gdtr.base);
    assert_int_equal(in.gdtr.limit, out.gdtr.limit);
    assert_int_equal(in.idtr.base, out.idtr.base);
    assert_int_equal(in.cr0, out.cr0);
    assert_int_equal(in.cr2, out.cr2);
    assert_int_equal(in.cr3, out.cr3);
    assert_int_equal(in.cr8, out.cr8);
    assert_int_equal(in.efer, out.efer);
    assert_int_equal(in.dr[0], out.dr[0]);
    assert_int_equal(in.dr[7], out.dr[7]);
    assert_true(out.interrupt_shadow);
    assert_memory_equal(in.fx, out.fx, 24);
    assert_memory_equal(in.fx + 32, out.fx + 32, 128 + 256);
    setup_destroy(setup);
}

static void ask_cpuid(struct setup *setup, uint32_t leaf)
{
    spot(setup)[0] = leaf;
    spot(setup)[1] = 0;
    setup->done = false;
    engine_kvm.reset(setup->vcpu);
    start(setup, KVM_PROTECTED, GUEST(cpuid));
    run_to_done(setup);
}

static void cpuid_is_a_plain_pc(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    uint32_t *answer = spot(setup);
    ask_cpuid(setup, 0x40000000);
    assert_int_equal(answer[0], 0x40000010);
    assert_memory_equal(&answer[1], "KVMKVMKVM\0\0\0", 12);
    ask_cpuid(setup, 0x40000010);
    assert_true(answer[0] > 100000); /* kHz */
    ask_cpuid(setup, 1);
    assert_int_equal(answer[1] >> 24, 0);
    assert_int_equal(answer[1] >> 16 & 0xff, 0);
    assert_true(answer[3] & 1 << 9);              /* APIC */
    assert_true(answer[2] & 1u << 31);            /* hypervisor */
    assert_false(answer[3] & 1 << 28);            /* HTT */
    assert_false(answer[2] & (1 << 5 | 1 << 15)); /* VMX, PDCM */
    ask_cpuid(setup, 0x80000001);
    assert_true(answer[3] & 1 << 29); /* long mode */
    assert_false(answer[2] & 1 << 2); /* SVM */
    setup_destroy(setup);
}

static void cpuid_without_the_kernels_chips_has_no_apic(void **state)
{
    (void)state;
    struct setup *setup = setup_create(true, 1);
    ask_cpuid(setup, 1);
    assert_false(spot(setup)[3] & 1 << 9);
    setup_destroy(setup);
}

/* ---- trouble */

static void a_triple_fault_is_explained(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    char text[8192] = "";
    start(setup, KVM_PROTECTED, GUEST(triple));
    assert_int_equal(engine_kvm.run(setup->vcpu), RUN_SHUTDOWN);
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    machine_lock();
    engine_kvm.autopsy(setup->vcpu, out);
    machine_unlock();
    fclose(out);
    assert_non_null(strstr(text, "triple fault"));
    assert_non_null(strstr(text, "-accel soft")); /* AMD: the registers are gone, and that is said */

    /* And after a reset the machine runs again. */
    engine_kvm.reset(setup->vcpu);
    start(setup, KVM_PROTECTED, GUEST(protected));
    run_to_done(setup);
    setup_destroy(setup);
}

static void what_the_kernel_cannot_emulate_is_named(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    start(setup, KVM_PROTECTED, GUEST(unemulatable));
    enum run_result result = engine_kvm.run(setup->vcpu);
    print_message("# %s\n", engine_kvm.failure(setup->vcpu));
    assert_int_equal(result, RUN_FAILED);
    assert_non_null(strstr(engine_kvm.failure(setup->vcpu), "fadd"));
    assert_non_null(strstr(engine_kvm.failure(setup->vcpu), "0008:00008005"));
    setup_destroy(setup);
}

/* CS with L and D both set, in long mode: AMD APM vol. 2, 15.5.1. */
static void a_refused_state_is_explained(void **state)
{
    (void)state;
    struct setup *setup = setup_create(false, 1);
    struct cpu_state bad;
    start(setup, KVM_LONG, GUEST(long));
    engine_kvm.get_state(setup->vcpu, &bad);
    bad.segment[SEG_CS].rights |= RIGHTS_DB;
    engine_kvm.set_state(setup->vcpu, &bad);
    enum run_result result = engine_kvm.run(setup->vcpu);
    print_message("# %d %s\n", result, engine_kvm.failure(setup->vcpu));
    assert_int_equal(result, RUN_FAILED);
    assert_non_null(strstr(engine_kvm.failure(setup->vcpu), "both L and D"));
    setup_destroy(setup);
}

/* A loaded machine may be too slow for the verdict's time limit; never three times in a row. */
static void the_verdict_is_usable(void **state)
{
    (void)state;
    struct kvm_verdict verdict = {0};
    for (unsigned i = 0; i < 3 && !verdict.usable; i++)
        kvm_judge(&verdict, true);
    print_message("# %s\n", verdict.reason);
    assert_true(verdict.usable);
    assert_non_null(strstr(verdict.reason, "kvm_amd"));
    for (unsigned mode = 0; mode < KVM_MODES; mode++)
        assert_true(verdict.mode[mode].ran);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_verdict_is_usable),
        cmocka_unit_test(real_mode),
        cmocka_unit_test(protected_mode),
        cmocka_unit_test(paging_32),
        cmocka_unit_test(long_mode),
        cmocka_unit_test(ports_of_all_sizes_and_strings),
        cmocka_unit_test(a_port_sees_and_changes_registers),
        cmocka_unit_test(mmio_of_all_sizes),
        cmocka_unit_test(mmio_of_eight_bytes),
        cmocka_unit_test(writes_are_logged),
        cmocka_unit_test(memory_is_remapped_under_the_guest),
        cmocka_unit_test(slots_below_1_mib_come_and_go),
        cmocka_unit_test(kick_ends_a_loop),
        cmocka_unit_test(kick_ends_hlt),
        cmocka_unit_test(kick_ends_hlt_without_the_kernels_chips),
        cmocka_unit_test(a_kick_before_run_is_not_lost),
        cmocka_unit_test(a_kick_in_a_port_read_completes_it),
        cmocka_unit_test(interrupts_reach_a_loop),
        cmocka_unit_test(interrupts_end_hlt),
        cmocka_unit_test(interrupts_get_through_a_short_window),
        cmocka_unit_test(interrupts_wait_for_sti),
        cmocka_unit_test(an_interrupt_taken_back_is_none),
        cmocka_unit_test(nmi_interrupts_loop_and_hlt),
        cmocka_unit_test(nmi_without_the_kernels_chips),
        cmocka_unit_test(the_kernels_pic_takes_a_line),
        cmocka_unit_test(the_kernels_pit_ticks),
        cmocka_unit_test(time_stands_and_goes_on),
        cmocka_unit_test(a_second_cpu_is_started_by_the_first),
        cmocka_unit_test(several_cpus_need_the_kernels_chips),
        cmocka_unit_test(reset_is_the_state_after_power_on),
        cmocka_unit_test(reset_starts_in_the_rom),
        cmocka_unit_test(state_goes_in_and_comes_out),
        cmocka_unit_test(cpuid_is_a_plain_pc),
        cmocka_unit_test(cpuid_without_the_kernels_chips_has_no_apic),
        cmocka_unit_test(a_triple_fault_is_explained),
        cmocka_unit_test(what_the_kernel_cannot_emulate_is_named),
        cmocka_unit_test(a_refused_state_is_explained),
    };
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests_name("engine_kvm", tests, NULL, NULL);
}

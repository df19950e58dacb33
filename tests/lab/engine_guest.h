/*
 * The machine in which the KVM engine's tests run a guest of guests.asm, in any mode, and note what it does at ports and
 * in MMIO.
 */
#ifndef LAB_ENGINE_GUEST_H
#define LAB_ENGINE_GUEST_H

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

static inline void note(struct setup *setup, char what, uint64_t offset, uint64_t value, unsigned size)
{
    if (setup->count < NOTES_MOST)
        setup->notes[setup->count++] = (struct note){what, offset, value, size};
}

static inline void change_registers(struct setup *setup)
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

static inline uint64_t port_read(void *device, uint64_t offset, unsigned size)
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

static inline void port_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct setup *setup = device;
    note(setup, 'w', offset, value, size);
    if (setup->raise_on_note)
        engine_kvm.interrupt(setup->vcpu, true);
}

static inline uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    note(device, 'R', offset, 0, size);
    return 0x1122334455667788 + offset;
}

static inline void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    note(device, 'W', offset, value, size);
}

static inline void done_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct setup *setup = device;
    (void)offset, (void)size, (void)value;
    setup->done = true;
    engine_kvm.kick(setup->vcpu);
}

static inline void map_window(struct setup *setup, bool shadowed)
{
    struct memory_range range = {WINDOW, WINDOW_SIZE, setup->rom + ROM_SIZE - WINDOW_SIZE, false, "bios"};
    if (shadowed)
        range = (struct memory_range){WINDOW, WINDOW_SIZE, memory_ram(setup->memory) + WINDOW, true, "ram"};
    memory_map(setup->memory, &range);
    setup->shadowed = shadowed;
}

static inline void remap_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct setup *setup = device;
    (void)offset, (void)size, (void)value;
    map_window(setup, !setup->shadowed);
}

static inline uint8_t acknowledge(void *opaque)
{
    struct setup *setup = opaque;
    setup->acknowledged++;
    if (setup->drop_on_acknowledge)
        engine_kvm.interrupt(setup->vcpu, false);
    return VECTOR;
}

static inline void add(struct bus *bus, uint64_t base, uint64_t size, struct setup *setup,
                       bus_read_function *read, bus_write_function *write, unsigned widest)
{
    struct bus_range range = {base, size, "test", setup, read, write, widest};
    bus_add(bus, &range);
}

static inline void map_memory(struct setup *setup)
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

static inline struct setup *setup_create(bool no_irqchip, unsigned cpus)
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

static inline void setup_destroy(struct setup *setup)
{
    engine_kvm.destroy(setup->engine);
    bus_destroy(setup->ports);
    bus_destroy(setup->mmio);
    memory_destroy(setup->memory);
    munmap(setup->rom, ROM_SIZE);
    free(setup);
}

static inline uint32_t *spot(struct setup *setup)
{
    return (uint32_t *)(memory_ram(setup->memory) + SPOT);
}

/* ---- modes */

enum { DATA = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED };

static inline void flat(struct cpu_state *state, uint32_t width)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        state->segment[i] = (struct segment){0x10, DATA | RIGHTS_G | RIGHTS_DB, 0xffffffff, 0};
    state->segment[SEG_CS] = (struct segment){0x08, DATA | RIGHTS_CODE | RIGHTS_G | width, 0xffffffff, 0};
    state->cr0 |= CR0_PE;
    state->gpr[RSP] = 0x7000;
}

static inline void entry(struct setup *setup, unsigned offset, uint64_t value)
{
    memcpy(memory_ram(setup->memory) + TABLES + offset, &value, sizeof(value));
}

enum { PAGE_PRESENT_WRITABLE = 3, PAGE_LARGE = 0x80 };

static inline void page_32(struct setup *setup, struct cpu_state *state)
{
    uint32_t *directory = (uint32_t *)(memory_ram(setup->memory) + TABLES);
    for (uint32_t i = 0; i < 1024; i++)
        directory[i] = i << 22 | PAGE_LARGE | PAGE_PRESENT_WRITABLE;
    state->cr3 = TABLES;
    state->cr4 |= CR4_PSE;
    state->cr0 |= CR0_PG;
}

/* Identity for the first GiB and the one that the MMIO lies in. */
static inline void page_long(struct setup *setup, struct cpu_state *state)
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

static inline void place(struct setup *setup, uint32_t address, const uint8_t *code, size_t size)
{
    memcpy(memory_ram(setup->memory) + address, code, size);
}

static inline void start(struct setup *setup, enum kvm_mode mode, const uint8_t *code, size_t size)
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

static inline void run_to_done(struct setup *setup)
{
    while (!setup->done) {
        enum run_result result = engine_kvm.run(setup->vcpu);
        if (result == RUN_FAILED)
            print_message("# %s\n", engine_kvm.failure(setup->vcpu));
        assert_int_equal(result, RUN_KICKED);
    }
}

/* run() on a thread of its own, for who kicks and interrupts from outside. */
static inline void *thread_run(void *opaque)
{
    struct setup *setup = opaque;
    return (void *)(intptr_t)engine_kvm.run(setup->vcpu);
}

static inline void *thread_run_to_done(void *opaque)
{
    struct setup *setup = opaque;
    while (!__atomic_load_n(&setup->done, __ATOMIC_ACQUIRE))
        if (engine_kvm.run(setup->vcpu) != RUN_KICKED)
            return (void *)1;
    return NULL;
}

static inline pthread_t launch(void *(*function)(void *), struct setup *setup)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, setup), 0);
    return thread;
}

static inline intptr_t join(pthread_t thread)
{
    void *result;
    pthread_join(thread, &result);
    return (intptr_t)result;
}

static inline void assert_note(const struct setup *setup, unsigned at, char what, uint64_t offset,
                               unsigned size, uint64_t value)
{
    assert_in_range(at, 0, setup->count - 1);
    assert_int_equal(setup->notes[at].what, what);
    assert_int_equal(setup->notes[at].offset, offset);
    assert_int_equal(setup->notes[at].size, size);
    assert_int_equal(setup->notes[at].value, value);
}

int interrupts_run(void); /* engine_interrupts.c: how many of its tests failed */

#endif

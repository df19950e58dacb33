/*
 * The guest side: engine_soft runs the batch at CPL 3, 32-bit, with paging, over 16 MiB of memory, entered through
 * cpu/engine.h alone. harness.S has the little kernel that takes the exceptions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "core/lock.h"
#include "core/log.h"
#include "cpu/engine.h"

enum { MEMORY_SIZE = 16 << 20, PAGE_ENTRIES = 1024 };
enum { PAGE_P = 1, PAGE_W = 2, PAGE_U = 4 };
enum { GATE_INTERRUPT = 0x8e00, GATE_DPL3 = 0x6000, VECTORS = 256 };
enum { TSS_ESP0 = 4, TSS_SS0 = 8, TSS_IO_MAP = 100, TSS_LIMIT = 0x67 };

/* Access rights as in a descriptor's bytes 5 and 6: type, S, DPL, P; D/B and G. */
enum {
    RIGHTS_USER_CODE = 0xc0fb,
    RIGHTS_USER_DATA = 0xc0f3,
    RIGHTS_USER_CODE16 = 0x00fb,
    RIGHTS_KERNEL_CODE = 0xc09b,
    RIGHTS_KERNEL_DATA = 0xc093,
    RIGHTS_LDT = 0x0082,
    RIGHTS_TSS_BUSY = 0x008b,
};

struct guest {
    struct engine_machine machine;
    struct engine *engine;
    struct vcpu *vcpu;
    struct cpu_state start;
    bool done;
    int panic; /* vector of a fault in the guest's kernel, or -1 */
};

static struct guest guest;

static void done_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    (void)device, (void)size;
    if (offset == 0)
        guest.done = true;
    else
        guest.panic = value;
    engine_soft.kick(guest.vcpu);
}

static uint8_t no_interrupt(void *opaque)
{
    (void)opaque;
    return 0;
}

static void put32(uint32_t address, uint32_t value)
{
    memory_write(guest.machine.memory, address, &value, sizeof value);
}

static void descriptor_put(uint32_t address, uint32_t base, uint32_t limit, uint32_t rights)
{
    put32(address, base << 16 | (limit & 0xffff));
    put32(address + 4, (base & 0xff000000) | (limit & 0xf0000) | rights << 8 | (base >> 16 & 0xff));
}

static void gate_put(unsigned vector, uint32_t handler, uint32_t rights)
{
    put32(KERNEL_IDT + vector * 8, KERNEL_CODE << 16 | (handler & 0xffff));
    put32(KERNEL_IDT + vector * 8 + 4, (handler & 0xffff0000) | rights);
}

static void pages_map(uint32_t base, uint32_t size, uint32_t rights)
{
    for (uint32_t page = base; page < base + size; page += 4096)
        put32(KERNEL_PAGES + 4096 + page / 4096 * 4, page | rights);
}

static void kernel_put(void)
{
    enum { VECTOR_BREAKPOINT = 3, VECTOR_OVERFLOW = 4, EXCEPTIONS = 32, STUB = 16 };

    memory_write(guest.machine.memory, KERNEL_BASE, kernel_start, kernel_end - kernel_start);
    memory_write(guest.machine.memory, HARNESS_BASE, harness_start, harness_end - harness_start);
    for (unsigned i = 0; i < EXCEPTIONS; i++)
        gate_put(i, KERNEL_ADDRESS(kernel_vectors) + i * STUB,
                 GATE_INTERRUPT | (i == VECTOR_BREAKPOINT || i == VECTOR_OVERFLOW ? GATE_DPL3 : 0));
    gate_put(DONE_GATE, KERNEL_ADDRESS(kernel_finish), GATE_INTERRUPT | GATE_DPL3);

    descriptor_put(KERNEL_GDT + KERNEL_CODE, 0, 0xfffff, RIGHTS_KERNEL_CODE);
    descriptor_put(KERNEL_GDT + KERNEL_DATA, 0, 0xfffff, RIGHTS_KERNEL_DATA);
    descriptor_put(KERNEL_GDT + (USER_CODE & ~7), 0, 0xfffff, RIGHTS_USER_CODE);
    descriptor_put(KERNEL_GDT + (USER_DATA & ~7), 0, 0xfffff, RIGHTS_USER_DATA);
    descriptor_put(KERNEL_GDT + TSS_SELECTOR, KERNEL_TSS, TSS_LIMIT, RIGHTS_TSS_BUSY);
    descriptor_put(KERNEL_GDT + LDT_SELECTOR, KERNEL_LDT, 7, RIGHTS_LDT);
    descriptor_put(KERNEL_LDT, CODE_BASE, 0xffff, RIGHTS_USER_CODE16);
    put32(KERNEL_TSS + TSS_ESP0, KERNEL_STACK);
    put32(KERNEL_TSS + TSS_SS0, KERNEL_DATA);
    put32(KERNEL_TSS + TSS_IO_MAP, (TSS_LIMIT + 1) << 16); /* none */

    put32(KERNEL_PAGES, (KERNEL_PAGES + 4096) | PAGE_P | PAGE_W | PAGE_U);
    pages_map(KERNEL_BASE, KERNEL_PAGES - KERNEL_BASE, PAGE_P | PAGE_W);
    pages_map(HARNESS_BASE, CODE_BASE + CODE_SIZE - HARNESS_BASE, PAGE_P | PAGE_W | PAGE_U);
    pages_map(CONTROL_BASE, 4096, PAGE_P | PAGE_W | PAGE_U);
    pages_map(OPERANDS_BASE, OPERANDS_SIZE, PAGE_P | PAGE_W | PAGE_U);
    pages_map(STACK_BASE, STACK_SIZE, PAGE_P | PAGE_W | PAGE_U);
    pages_map(RECORDS_BASE, RECORDS_SIZE, PAGE_P | PAGE_W | PAGE_U);
}

static struct segment segment(uint16_t selector, uint32_t base, uint32_t limit, uint32_t rights)
{
    return (struct segment){.selector = selector, .base = base, .limit = limit, .rights = rights};
}

static void state_make(struct cpu_state *state)
{
    engine_soft.get_state(guest.vcpu, state);
    memset(state->gpr, 0, sizeof state->gpr);
    state->rip = HARNESS_BASE;
    state->rflags = FLAG_1 | FLAG_IF;
    for (int i = 0; i < SEG_COUNT; i++)
        state->segment[i] = segment(0, 0, 0, RIGHTS_UNUSABLE);
    state->segment[SEG_CS] = segment(USER_CODE, 0, UINT32_MAX, RIGHTS_USER_CODE);
    state->segment[SEG_SS] = state->segment[SEG_DS] = state->segment[SEG_ES] =
        segment(USER_DATA, 0, UINT32_MAX, RIGHTS_USER_DATA);
    state->tr = segment(TSS_SELECTOR, KERNEL_TSS, TSS_LIMIT, RIGHTS_TSS_BUSY);
    state->ldtr = segment(LDT_SELECTOR, KERNEL_LDT, 7, RIGHTS_LDT);
    state->gdtr = (struct table_register){KERNEL_GDT, 0xff};
    state->idtr = (struct table_register){KERNEL_IDT, VECTORS * 8 - 1};
    state->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP;
    state->cr3 = KERNEL_PAGES;
    state->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
    state->efer = 0;
    state->halted = state->interrupt_shadow = false;
}

bool guest_open(int translate_after)
{
    char error[200] = "no reason given";

    guest.machine.memory = memory_create(MEMORY_SIZE);
    guest.machine.ports = bus_create("port", 65536);
    guest.machine.mmio = bus_create("mmio", 1ull << 36);
    guest.machine.clock = clock_create();
    guest.machine.cpus = 1;
    guest.machine.translate_after = translate_after;
    guest.machine.acknowledge = no_interrupt;
    machine_lock();
    memory_map(guest.machine.memory, &(struct memory_range){.size = MEMORY_SIZE,
                                                            .host = memory_ram(guest.machine.memory),
                                                            .writable = true,
                                                            .name = "ram"});
    bus_add(guest.machine.ports,
            &(struct bus_range){.base = DONE_PORT, .size = 2, .name = "done", .write = done_write});
    guest.engine = engine_soft.create(&guest.machine, error, sizeof error);
    if (guest.engine) {
        guest.vcpu = engine_soft.vcpu(guest.engine, 0);
        kernel_put();
        state_make(&guest.start);
        clock_start(guest.machine.clock);
    } else {
        printf("# engine_soft: %s\n", error);
    }
    machine_unlock();
    return guest.engine != NULL;
}

static bool guest_finish(void)
{
    enum run_result result;

    do
        result = engine_soft.run(guest.vcpu);
    while (result == RUN_KICKED && !guest.done && guest.panic < 0);
    if (result == RUN_KICKED && guest.done)
        return true;
    if (result == RUN_KICKED) {
        printf("# guest: exception %d in its kernel\n", guest.panic);
    } else if (result == RUN_SHUTDOWN) {
        printf("# guest: triple fault\n");
        engine_soft.autopsy(guest.vcpu, stdout);
    } else {
        printf("# guest: %s\n", engine_soft.failure(guest.vcpu));
    }
    return false;
}

bool guest_run(struct batch *batch)
{
    static const uint8_t zeros[OPERANDS_SIZE];
    struct memory *memory = guest.machine.memory;
    bool finished;

    machine_lock();
    memory_write(memory, CODE_BASE, batch->code, batch->code_used);
    memory_write(memory, RECORDS_BASE, batch->records, batch->count * sizeof *batch->records);
    memory_write(memory, OPERANDS_BASE, zeros, OPERANDS_SIZE);
    memory_write(memory, STACK_BASE, zeros, STACK_SIZE);
    put32(CONTROL_BASE + CONTROL_CURRENT, RECORDS_BASE);
    put32(CONTROL_BASE + CONTROL_END, RECORDS_BASE + batch->count * RECORD_SIZE);
    put32(CONTROL_BASE + CONTROL_X87, batch->x87 + batch->sse);
    put32(CONTROL_BASE + CONTROL_DONE, HARNESS_ADDRESS(kernel_done));
    engine_soft.set_state(guest.vcpu, &guest.start);
    guest.done = false;
    guest.panic = -1;
    machine_unlock();

    finished = guest_finish();
    machine_lock();
    memory_read(memory, RECORDS_BASE, batch->records, batch->count * sizeof *batch->records);
    machine_unlock();
    return finished;
}

struct vcpu *guest_vcpu(void)
{
    return guest.vcpu;
}

struct memory *guest_memory(void)
{
    return guest.machine.memory;
}

void guest_close(void)
{
    machine_lock();
    engine_soft.destroy(guest.engine);
    memory_destroy(guest.machine.memory);
    bus_destroy(guest.machine.ports);
    bus_destroy(guest.machine.mmio);
    clock_destroy(guest.machine.clock);
    machine_unlock();
}

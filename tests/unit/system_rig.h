/* A software CPU with a GDT made by hand, that its parts are called on directly. */
#ifndef UNIT_SYSTEM_RIG_H
#define UNIT_SYSTEM_RIG_H

#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/soft/descriptor.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/system.h"

enum {
    RAM = 4 << 20,
    GDT = 0x1000,
    IDT = 0x2000,
    DIRECTORY = 0x3000,
    TABLE = 0x4000, /* maps 0 to 4 MiB */
    TSS = 0x6000,
    CODE = 0x10000,
    STACK = 0x20000,
    NONE = -1, /* no fault */
    /* page table entries */
    P = 1,
    W = 2,
    U = 4,
    A = 0x20,
    D = 0x40,
    PS = 0x80,
    G = 0x100,
};

struct rig {
    struct engine_machine machine;
    struct engine *engine;
    struct vcpu *vcpu;
    struct cpu *cpu;
    uint8_t *ram;
};

/* Flat segments of both rings and one of each kind that a load may refuse. */
static const uint64_t gdt[] = {
    0,
    0x00cf9a000000ffff, /* 08 code */
    0x00cf92000000ffff, /* 10 data */
    0x00cff2000000ffff, /* 18 data, DPL 3 */
    0x00cf90000000ffff, /* 20 read-only data */
    0x00cf12000000ffff, /* 28 data, not present */
    0x00cf98000000ffff, /* 30 execute-only code */
    0x00cf9e000000ffff, /* 38 conforming code */
    0x0000890060000067, /* 40 TSS at 6000h */
    0x00cffa000000ffff, /* 48 code, DPL 3 */
    0x0000820080000007, /* 50 LDT at 8000h of one entry */
    0x00408c0000080000, /* 58 call gate, DPL 0 */
    0x00cf96000000ffff, /* 60 expand-down data */
};

static inline int rig_setup(void **state)
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
    rig.engine = engine_soft.create(&rig.machine, error, sizeof(error));
    assert_non_null(rig.engine);
    rig.vcpu = engine_soft.vcpu(rig.engine, 0);
    rig.cpu = (struct cpu *)rig.vcpu;
    memcpy(rig.ram + GDT, gdt, sizeof(gdt));
    *state = &rig;
    return 0;
}

static inline int rig_teardown(void **state)
{
    struct rig *rig = *state;

    engine_soft.destroy(rig->engine);
    clock_destroy(rig->machine.clock);
    bus_destroy(rig->machine.ports);
    bus_destroy(rig->machine.mmio);
    memory_destroy(rig->machine.memory);
    return 0;
}

static inline struct segment flat(uint16_t selector, uint32_t rights)
{
    return (struct segment){selector, rights, UINT32_MAX, 0};
}

/* 32-bit protected mode at this level, paging off. */
static inline struct cpu_state protected_state(unsigned level)
{
    struct cpu_state state = {.rip = CODE, .rflags = FLAG_1, .cr0 = CR0_PE | CR0_ET};

    for (int i = 0; i < SEG_COUNT; i++)
        state.segment[i] = flat(level ? 0x1b : 0x10, level ? 0xc0f3 : 0xc093);
    state.segment[SEG_CS] = flat(level ? 0x4b : 0x08, level ? 0xc0fb : 0xc09b);
    state.gdtr = (struct table_register){GDT, sizeof(gdt) - 1};
    state.idtr = (struct table_register){IDT, 0x7ff};
    state.tr = (struct segment){0x40, 0x8b, 0x67, TSS};
    state.ldtr = (struct segment){0, RIGHTS_UNUSABLE, 0, 0};
    state.gpr[RSP] = STACK;
    return state;
}

static inline void enter(struct rig *rig, unsigned level)
{
    struct cpu_state state = protected_state(level);

    engine_soft.set_state(rig->vcpu, &state);
}

static inline uint32_t *entry_at(struct rig *rig, unsigned address)
{
    return (uint32_t *)(rig->ram + address);
}

#endif

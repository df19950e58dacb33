/*
 * Random bytes as code, in every mode of the software CPU, for as many seconds as the command line says: `random_code
 * SECONDS [SEED [TRANSLATE_AFTER]]`; TRANSLATE_AFTER as in cpu/engine.h. Nothing a guest executes may crash hearth; built with
 * sanitizers (make SAN=1) it shows what would.
 *
 * Each round makes memory (code, descriptor tables, page tables) out of random bytes with some sense in them, picks a
 * mode and lets two CPUs run for a moment in it, each on its thread; whatever they do then, it ends by a kick.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/lock.h"
#include "core/log.h"
#include "cpu/engine.h"

enum {
    MEMORY = 8 << 20,
    GDT = 0x1000,
    IDT = 0x2000,
    TSS = 0x3000,
    TABLES = 0x4000, /* of pages: up to four of them */
    CODE = 0x10000,
    CODE_SIZE = 0x10000,
    STACK = 0x30000,
    SLICE_US = 2000,
    CPUS = 2,
};
enum mode { REAL, V86, PROTECTED_16, PROTECTED_32, PAGED_32, PAGED_PAE, LONG_64, COMPATIBILITY, MODES };

struct rig {
    struct engine_machine machine;
    struct engine *engine;
    struct vcpu *vcpu[CPUS];
    uint8_t *ram;
    pthread_barrier_t begin, end; /* of a round: CPU 1's thread waits there too */
    unsigned slices;              /* kicks after which a round is over */
    _Atomic bool ended;
};

static uint64_t seed;

static uint64_t random_next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint8_t no_interrupt(void *opaque)
{
    (void)opaque;
    return rand();
}

static void rig_open(struct rig *rig, int translate_after)
{
    char error[200] = "no reason given";
    struct memory_range ram = {.size = MEMORY, .writable = true, .name = "ram"};

    rig->machine.memory = memory_create(MEMORY);
    rig->ram = ram.host = memory_ram(rig->machine.memory);
    rig->machine.ports = bus_create("port", 65536);
    rig->machine.mmio = bus_create("mmio", UINT64_MAX);
    rig->machine.clock = clock_create();
    rig->machine.cpus = CPUS;
    rig->machine.translate_after = translate_after;
    rig->machine.acknowledge = no_interrupt;
    machine_lock();
    memory_map(rig->machine.memory, &ram);
    rig->engine = engine_soft.create(&rig->machine, error, sizeof(error));
    machine_unlock();
    if (!rig->engine)
        die("engine_soft: %s", error);
    for (unsigned i = 0; i < CPUS; i++)
        rig->vcpu[i] = engine_soft.vcpu(rig->engine, i);
    pthread_barrier_init(&rig->begin, NULL, CPUS);
    pthread_barrier_init(&rig->end, NULL, CPUS);
}

static void *kick(void *opaque)
{
    struct rig *rig = opaque;

    while (!rig->ended) {
        usleep(SLICE_US);
        for (unsigned i = 0; i < CPUS; i++)
            engine_soft.kick(rig->vcpu[i]);
    }
    return NULL;
}

static void put(struct rig *rig, uint32_t address, uint64_t value, unsigned size)
{
    memcpy(rig->ram + address, &value, size);
}

/* Random bytes, many of them small, all ones or prefixes. */
static void fill(struct rig *rig, uint32_t from, uint32_t size)
{
    static const uint8_t frequent[] = {0x0f, 0x66, 0x67, 0xf0, 0xf2, 0xf3,
                                       0x48, 0xc4, 0x00, 0xff, 0xd9, 0xcd};

    for (uint32_t i = 0; i < size; i++) {
        uint64_t bits = random_next();

        rig->ram[from + i] = bits & 0x700 ? bits : frequent[(bits >> 12) % sizeof(frequent)];
    }
}

/* Descriptors that are often of a sensible kind: flat, of any type and ring. */
static void tables_make(struct rig *rig, bool wide)
{
    for (unsigned i = 1; i < 64; i++) {
        uint64_t bits = random_next(), access = 0x80 | (bits & 0x7f), flags = bits >> 8 & 0xf;

        put(rig, GDT + 8 * i, 0xffffull | access << 40 | 0xfull << 48 | flags << 52 | (bits >> 16 & 1) << 20,
            8);
    }
    put(rig, GDT + 8, 0x00cf9a000000ffff | (wide ? 0x00a0ull << 48 : 0), 8);
    put(rig, GDT + 16, 0x00cf92000000ffff, 8);
    for (unsigned i = 0; i < 256; i++) {
        uint64_t bits = random_next(), target = CODE + (bits & (CODE_SIZE - 1));
        uint64_t gate = (target & 0xffff) | 8ull << 16 | (bits >> 32 & 7) << 32 | (bits & 0x6000) << 32 |
                        (bits >> 20 & 15 ? 0x8e00ull : bits >> 24 & 0xff00) << 32 | (target >> 16) << 48;

        put(rig, IDT + (wide ? 16 : 8) * i, gate, 8);
        if (wide)
            put(rig, IDT + 16 * i + 8, bits >> 60 ? 0 : bits, 8);
    }
    fill(rig, TSS, 0x100);
    put(rig, TSS + 4, STACK, 8);
}

/* 8 MiB of themselves, with some entries spoiled. */
static void pages_make(struct rig *rig, enum mode mode)
{
    unsigned size = mode == PAGED_32 ? 4 : 8, entries = 4096 / size, large = mode == PAGED_32 ? 22 : 21;
    uint32_t directory = mode == LONG_64 || mode == COMPATIBILITY ? TABLES + 0x2000
                         : mode == PAGED_PAE                      ? TABLES + 0x1000
                                                                  : TABLES;

    memset(rig->ram + TABLES, 0, 0x4000);
    for (unsigned i = 0; i < entries && i << large < MEMORY; i++)
        put(rig, directory + size * i, (uint64_t)i << large | 0x87 | (random_next() & 0x160), size);
    put(rig, directory + size * (entries / 2), random_next(), size);
    if (random_next() & 1)
        put(rig, directory, (TABLES + 0x3000) | 7, size);
    for (unsigned i = 0; i < entries && i < 1024; i++)
        put(rig, TABLES + 0x3000 + size * i,
            random_next() & 31 ? (uint64_t)i << 12 | 7 | (random_next() & 0x160) : random_next(), size);
    if (mode == PAGED_32)
        return;
    put(rig, TABLES, (TABLES + 0x1000) | (mode == PAGED_PAE ? 1 : 7), 8);
    if (mode != PAGED_PAE)
        put(rig, TABLES + 0x1000, (TABLES + 0x2000) | 7, 8);
}

static struct segment segment(uint16_t selector, uint32_t rights, uint64_t base, uint32_t limit)
{
    return (struct segment){.selector = selector, .rights = rights, .base = base, .limit = limit};
}

static void segments_make(struct cpu_state *state, enum mode mode)
{
    unsigned ring = mode == V86 ? 3 : random_next() & 1 ? 0 : 3;
    uint32_t data = mode == PROTECTED_16 ? 0x93 : 0xc093, code = mode == PROTECTED_16 ? 0x9b
                                                                 : mode == LONG_64    ? 0xa09b
                                                                                      : 0xc09b;

    for (int i = 0; i < SEG_COUNT; i++)
        state->segment[i] = segment(0x10 | ring, data | ring << RIGHTS_DPL_SHIFT, 0, UINT32_MAX);
    state->segment[SEG_CS] = segment(0x08 | ring, code | ring << RIGHTS_DPL_SHIFT, 0, UINT32_MAX);
    if (mode == REAL || mode == V86)
        for (int i = 0; i < SEG_COUNT; i++)
            state->segment[i] = segment(CODE >> 4, 0x93 | ring << RIGHTS_DPL_SHIFT, CODE, UINT16_MAX);
}

static void state_make(enum mode mode, struct vcpu *vcpu, struct cpu_state *state)
{
    bool wide = mode == LONG_64 || mode == COMPATIBILITY, paged = mode >= PAGED_32;

    engine_soft.reset(vcpu);
    engine_soft.get_state(vcpu, state);
    state->halted = false;
    for (int i = 0; i < GPR_COUNT; i++)
        state->gpr[i] = random_next() & 3 ? random_next() & (MEMORY - 1) : random_next();
    state->gpr[RSP] = mode == REAL || mode == V86 ? 0xfff0 : STACK;
    state->rip = mode == REAL || mode == V86 ? random_next() & 0xff : CODE + (random_next() & 0xff);
    state->rflags = (random_next() & (FLAGS_ARITHMETIC | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_AC)) | FLAG_1 |
                    (random_next() & 15 ? 0 : FLAG_TF) | (mode == V86 ? FLAG_VM : 0);
    segments_make(state, mode);
    state->gdtr = (struct table_register){GDT, 0x1ff};
    state->idtr = (struct table_register){mode == REAL ? 0 : IDT, wide ? 0xfff : 0x7ff};
    state->tr = segment(0x18, 0x8b, TSS, 0x67 + (random_next() & 0x7f));
    state->ldtr = segment(0, RIGHTS_UNUSABLE, 0, 0);
    state->cr0 = (mode == REAL ? 0 : CR0_PE) | CR0_ET | (paged ? CR0_PG : 0) |
                 (random_next() & (CR0_WP | CR0_AM | CR0_NE | CR0_MP));
    state->cr4 = CR4_PSE | CR4_OSFXSR | CR4_OSXMMEXCPT | (wide || mode == PAGED_PAE ? CR4_PAE : 0) |
                 (random_next() & (CR4_VME | CR4_PGE | CR4_DE | CR4_OSXSAVE | CR4_FSGSBASE | CR4_UMIP)) |
                 (random_next() & 3 ? 0 : random_next() & (CR4_SMEP | CR4_SMAP | (wide ? CR4_PCIDE : 0)));
    state->efer = wide ? EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE : 0;
    state->cr3 = paged ? TABLES : 0;
}

static void slices_run(struct rig *rig, struct vcpu *vcpu)
{
    for (unsigned i = 0; i < rig->slices && engine_soft.run(vcpu) == RUN_KICKED; i++)
        continue;
}

static void *second_run(void *opaque)
{
    struct rig *rig = opaque;

    while (pthread_barrier_wait(&rig->begin), !rig->ended) {
        slices_run(rig, rig->vcpu[1]);
        pthread_barrier_wait(&rig->end);
    }
    return NULL;
}

static void round_run(struct rig *rig, enum mode mode)
{
    struct cpu_state state;

    machine_lock();
    fill(rig, mode == REAL ? 0 : CODE, mode == REAL ? CODE + CODE_SIZE : CODE_SIZE);
    if (mode != REAL)
        tables_make(rig, mode == LONG_64 || mode == COMPATIBILITY);
    if (mode >= PAGED_32)
        pages_make(rig, mode);
    memory_tell_written(rig->machine.memory, 0, MEMORY);
    for (unsigned i = 0; i < CPUS; i++) {
        state_make(mode, rig->vcpu[i], &state);
        engine_soft.set_state(rig->vcpu[i], &state);
    }
    machine_unlock();
    rig->slices = random_next() & 3 ? 1 : 3;
    pthread_barrier_wait(&rig->begin);
    slices_run(rig, rig->vcpu[0]);
    pthread_barrier_wait(&rig->end);
}

int main(int count, char **arguments)
{
    static struct rig rig;
    time_t end = time(NULL) + (count > 1 ? atoi(arguments[1]) : 10);
    unsigned long rounds = 0;
    pthread_t kicker, second;

    seed = count > 2 ? strtoull(arguments[2], NULL, 0) : (uint64_t)time(NULL);
    seed = seed * 0x9e3779b97f4a7c15ull | 1;
    printf("1..1\n# seed %s\n", count > 2 ? arguments[2] : "by the time");
    rig_open(&rig, count > 3 ? atoi(arguments[3]) : 0);
    pthread_create(&kicker, NULL, kick, &rig);
    pthread_create(&second, NULL, second_run, &rig);
    for (; time(NULL) < end; rounds++)
        round_run(&rig, rounds % MODES);
    rig.ended = true;
    pthread_barrier_wait(&rig.begin);
    pthread_join(second, NULL);
    pthread_join(kicker, NULL);
    printf("ok 1 - random bytes as code: %lu rounds in %d modes\n", rounds, MODES);
    machine_lock();
    engine_soft.destroy(rig.engine);
    machine_unlock();
    return 0;
}

/* 64-bit code on both sides; see long.h. */
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "batch.h"
#include "core/lock.h"
#include "cpu/engine.h"
#include "cpu/soft/cpu.h"
#include "long.h"

/* ---- the host ---- */

enum { SIGNALS = 5, FLAGS_START = FLAG_1 | FLAG_IF };
static const int signals[SIGNALS] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
static const int order[GPR_COUNT] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static struct {
    struct long_case *cases;
    int count, current; /* -1: none has run */
    gregset_t before;
} native;

static void outcome_take(const greg_t *registers, struct long_state *out)
{
    for (int i = 0; i < GPR_COUNT; i++)
        out->gpr[i] = registers[order[i]];
    out->flags = registers[REG_EFL];
    out->vector = registers[REG_TRAPNO];
    out->rip = registers[REG_RIP] - (out->vector == VECTOR_BP);
    out->error = registers[REG_ERR];
    out->cr2 = registers[REG_CR2];
    memcpy(out->memory, (void *)SCRATCH, SCRATCH_SIZE);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const struct long_state *in;

    (void)number, (void)info;
    if (native.current < 0)
        memcpy(native.before, registers, sizeof native.before);
    else
        outcome_take(registers, &native.cases[native.current].native);
    if (++native.current == native.count) {
        memcpy(registers, native.before, sizeof native.before);
        return;
    }
    in = &native.cases[native.current].in;
    for (int i = 0; i < GPR_COUNT; i++)
        registers[order[i]] = in->gpr[i];
    registers[REG_RIP] = in->rip;
    registers[REG_EFL] = in->flags;
    memcpy((void *)SCRATCH, in->memory, SCRATCH_SIZE);
}

void long_run_native(struct long_case *cases, unsigned count, const void *code, unsigned size)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK}, old[SIGNALS];

    memcpy((void *)CODE_BASE, code, size);
    memset((void *)OPERANDS_BASE, 0, OPERANDS_SIZE);
    native.cases = cases;
    native.count = count;
    native.current = -1;
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, &old[i]);
    raise(SIGTRAP);
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &old[i], NULL);
}

/* ---- the guest ---- */

enum { PAGE_P = 1, PAGE_W = 2, PAGE_U = 4, PAGE = 4096, ENTRIES = 512, RIGHTS_CODE64 = 0xa0fb };
#define TABLES 0x00900000 /* four levels, a page each; the last maps the user's pages below 2 MiB..4 MiB */

static void entry_put(struct memory *memory, uint64_t table, unsigned index, uint64_t value)
{
    memory_write(memory, table + index * 8, &value, sizeof value);
}

static void pages_put(struct memory *memory, uint64_t base, uint64_t size)
{
    enum { RIGHTS = PAGE_P | PAGE_W | PAGE_U };
    uint64_t last = TABLES + 3 * PAGE;

    entry_put(memory, TABLES, 0, (TABLES + PAGE) | RIGHTS);
    entry_put(memory, TABLES + PAGE, 0, (TABLES + 2 * PAGE) | RIGHTS);
    entry_put(memory, TABLES + 2 * PAGE, base >> 21, last | RIGHTS);
    for (uint64_t page = base; page < base + size; page += PAGE)
        entry_put(memory, last, page / PAGE % ENTRIES, page | RIGHTS);
}

static void state_make(struct vcpu *vcpu, struct cpu_state *state)
{
    engine_soft.reset(vcpu);
    engine_soft.get_state(vcpu, state);
    for (int i = 0; i < SEG_COUNT; i++)
        state->segment[i] = (struct segment){.selector = USER_DATA, .limit = UINT32_MAX, .rights = 0xc0f3};
    state->segment[SEG_CS].selector = USER_CODE64;
    state->segment[SEG_CS].rights = RIGHTS_CODE64;
    state->idtr = state->gdtr = (struct table_register){0, 0};
    state->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP;
    state->cr3 = TABLES;
    state->cr4 = CR4_PAE;
    state->efer = EFER_LME | EFER_LMA;
}

static void guest_outcome(struct vcpu *vcpu, struct memory *memory, struct long_state *out)
{
    enum { ERROR_BREAKPOINT = VECTOR_BP * 8 + 2 };
    const struct exception_record *first = ((struct cpu *)vcpu)->record;
    struct cpu_state state;

    engine_soft.get_state(vcpu, &state);
    memcpy(out->gpr, state.gpr, sizeof out->gpr);
    out->flags = state.rflags;
    out->rip = first->rip;
    out->cr2 = first->cr2;
    out->error = first->has_error ? first->error : 0;
    out->vector = first->vector;
    if (out->vector == VECTOR_GP && out->error == ERROR_BREAKPOINT)
        out->vector = VECTOR_BP, out->error = 0;
    memory_read(memory, SCRATCH, out->memory, SCRATCH_SIZE);
}

void long_run_guest(struct long_case *cases, unsigned count, const void *code, unsigned size)
{
    static const uint8_t zeros[OPERANDS_SIZE];
    struct vcpu *vcpu = guest_vcpu();
    struct memory *memory = guest_memory();
    struct cpu_state state;

    machine_lock();
    memory_write(memory, CODE_BASE, code, size);
    memory_write(memory, OPERANDS_BASE, zeros, OPERANDS_SIZE);
    pages_put(memory, HARNESS_BASE, CODE_BASE + CODE_SIZE - HARNESS_BASE);
    pages_put(memory, CONTROL_BASE, PAGE);
    pages_put(memory, OPERANDS_BASE, OPERANDS_SIZE);
    state_make(vcpu, &state);
    for (unsigned i = 0; i < count; i++) {
        memory_write(memory, SCRATCH, cases[i].in.memory, SCRATCH_SIZE);
        memcpy(state.gpr, cases[i].in.gpr, sizeof state.gpr);
        state.rip = cases[i].in.rip;
        state.rflags = cases[i].in.flags | FLAGS_START;
        engine_soft.set_state(vcpu, &state);
        machine_unlock();
        while (engine_soft.run(vcpu) == RUN_KICKED)
            ;
        machine_lock();
        guest_outcome(vcpu, memory, &cases[i].guest);
    }
    machine_unlock();
}

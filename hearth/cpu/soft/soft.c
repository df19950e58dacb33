/*
 * The software engine: its run loop, and what engine.h asks for.
 *
 * The loop runs chains of blocks. They come back when `attention` is set, by other threads (interrupt, NMI, kick, DMA
 * into code) or by instructions after which the loop has to look anew at mode and flags. Source: SDM volume 3A, 6.9 (priorities), 9.1 (state after RESET).
 */
#include <stdlib.h>

#include "core/log.h"
#include "cpu/autopsy.h"
#include "cpu/soft/device.h"
#include "cpu/soft/features.h"
#include "cpu/soft/flags.h"
#include "cpu/soft/lapic.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/sse.h"
#include "cpu/soft/system.h"
#include "cpu/soft/translate.h"
#include "cpu/soft/turns.h"
#include "cpu/soft/x87.h"

static struct soft *soft_of(struct engine *engine)
{
    return (struct soft *)engine;
}

/* ---- what happens between blocks ---- */

static bool interrupt_wanted(const struct cpu *cpu)
{
    return atomic_load(&cpu->intr) && (cpu->rflags & FLAG_IF) && !cpu->dormant;
}

static bool nmi_wanted(const struct cpu *cpu)
{
    return atomic_load(&cpu->nmi) && !cpu->nmi_blocked && !cpu->dormant;
}

static bool startup_wanted(const struct cpu *cpu)
{
    return cpu->dormant && atomic_load(&cpu->startup) != NO_STARTUP;
}

static void interrupt_take(struct cpu *cpu)
{
    const struct engine_machine *machine = &cpu->soft->machine;
    int vector;

    cpu_lock(cpu);
    vector = lapic_acknowledge(cpu->lapic); /* it may have gone away meanwhile */
    if (vector == LAPIC_EXTERNAL)
        vector = machine->acknowledge(machine->opaque);
    cpu_unlock(cpu);
    if (vector >= 0) {
        cpu->halted = false;
        interrupt_deliver(cpu, vector);
    }
}

static void nmi_take(struct cpu *cpu)
{
    atomic_store(&cpu->nmi, false);
    cpu->halted = false;
    cpu->nmi_blocked = true;
    interrupt_deliver(cpu, VECTOR_NMI);
}

static bool wake_wanted(const struct cpu *cpu)
{
    return atomic_load(&cpu->kicked) || nmi_wanted(cpu) || interrupt_wanted(cpu) || atomic_load(&cpu->init) ||
           startup_wanted(cpu) || atomic_load(&cpu->code_stale);
}

/* HLT, and the wait for a start-up IPI: until something comes that ends it, or that the run loop has to see to. */
static void halt_wait(struct cpu *cpu)
{
    gate_leave(cpu);
    pthread_mutex_lock(&cpu->sleep.lock);
    atomic_store(&cpu->sleep.asleep, true);
    while (!wake_wanted(cpu))
        pthread_cond_wait(&cpu->sleep.wake, &cpu->sleep.lock);
    atomic_store(&cpu->sleep.asleep, false);
    pthread_mutex_unlock(&cpu->sleep.lock);
    gate_enter(cpu);
    atomic_store(&cpu->attention, 1);
}

void cpu_wake(struct cpu *cpu)
{
    atomic_store(&cpu->attention, 1);
    if (!atomic_load(&cpu->sleep.asleep))
        return;
    pthread_mutex_lock(&cpu->sleep.lock);
    pthread_cond_signal(&cpu->sleep.wake);
    pthread_mutex_unlock(&cpu->sleep.lock);
}

static void init_take(struct cpu *cpu);
static void startup_take(struct cpu *cpu);

static bool idle(enum run_result *result)
{
    *result = RUN_IDLE;
    return true;
}

/* Sees to what `attention` was set for. True: run() returns *result. */
static bool attend(struct cpu *cpu, enum run_result *result)
{
    atomic_store(&cpu->attention, 0);
    gate_pass(cpu);
    sse_settle(cpu);
    cpu->code->link_from = NULL;
    translator_unlink(cpu);
    if (cpu->shutdown) {
        *result = RUN_SHUTDOWN;
        return true;
    }
    if (cpu->debug_hit.kind != DEBUG_NOTHING) {
        *result = RUN_DEBUG;
        return true;
    }
    if (cpu->soft->turns ? turn_over(cpu) : atomic_exchange(&cpu->kicked, false)) {
        *result = cpu->soft->turns ? RUN_TURN : RUN_KICKED;
        return true;
    }
    code_take_posts(cpu);
    if (atomic_exchange(&cpu->init, false))
        init_take(cpu);
    if (startup_wanted(cpu))
        startup_take(cpu);
    if (cpu->debug_pending && !cpu->debug_shadow)
        debug_after(cpu, false);
    if (!cpu->interrupt_shadow && nmi_wanted(cpu))
        nmi_take(cpu);
    else if (!cpu->interrupt_shadow && !cpu->debugger.step && interrupt_wanted(cpu))
        interrupt_take(cpu);
    else if (cpu->halted && cpu->debugger.step && interrupt_wanted(cpu))
        cpu->halted = false; /* it wakes the CPU, but is taken when the debugger steps no more */
    else if ((cpu->halted || cpu->dormant) && cpu->soft->turns)
        return idle(result);
    else if (cpu->halted || cpu->dormant)
        halt_wait(cpu);
    cpu->single = cpu->interrupt_shadow || (cpu->rflags & FLAG_TF) || debug_watches_code(cpu) ||
                  (cpu->soft->turns && turn_ending(cpu));
    return false;
}

/* ---- running ---- */

static void block_run(struct cpu *cpu, const struct block *block)
{
    const struct op *op = block->ops;

    cpu->block = (struct block *)block;
    cpu->instructions += block->count;
    do
        op = op->run(cpu, op);
    while (op);
}

/* One instruction, for the shadow of STI and MOV SS, TF and breakpoints. */
static void single_run(struct cpu *cpu)
{
    bool stepped = cpu->rflags & FLAG_TF;

    atomic_store(&cpu->attention, 1);
    if (cpu->debugging && debugger_before(cpu))
        return;
    cpu->interrupt_shadow = cpu->debug_shadow = cpu->step_skipped = false;
    debug_before(cpu);
    block_run(cpu, code_find(cpu, true));
    stepped &= !cpu->step_skipped;
    if (!cpu->debug_shadow && (cpu->debug_pending || stepped))
        debug_after(cpu, stepped);
}

/* fault() and instruction_wait() have jumped here, RIP at the instruction. Delivery may fault again and come back. */
static void jump_take(struct cpu *cpu, enum fault_jump what)
{
    cpu->code->link_from = NULL;
    translator_unlink(cpu);
    if (what == JUMP_FAULT)
        exception_deliver(cpu);
    segments_changed(cpu);
    atomic_store(&cpu->attention, 1);
}

static enum run_result soft_run(struct vcpu *vcpu)
{
    struct cpu *cpu = cpu_of(vcpu);
    enum run_result result;
    enum fault_jump jump;

    gate_enter(cpu);
    if (cpu->debug_hit.kind != DEBUG_NOTHING)
        debugger_leave(cpu);
    if (cpu->soft->turns)
        turn_begin(cpu);
    atomic_store(&cpu->attention, 1);
    jump = setjmp(cpu->fault_jump);
    if (jump)
        jump_take(cpu, jump);
    for (;;) {
        while (atomic_load_explicit(&cpu->attention, memory_order_relaxed))
            if (attend(cpu, &result)) {
                if (cpu->soft->turns)
                    turn_clock(cpu);
                gate_leave(cpu);
                return result;
            }
        if (cpu->single)
            single_run(cpu);
        else
            block_run(cpu, code_find(cpu, false));
    }
}

/* Where CPUs take turns the one whose turn it is ends it by itself, and soon. */
static void soft_kick(struct vcpu *vcpu)
{
    if (cpu_of(vcpu)->soft->turns)
        return;
    atomic_store(&cpu_of(vcpu)->kicked, true);
    cpu_wake(cpu_of(vcpu));
}

static void soft_interrupt(struct vcpu *vcpu, bool level)
{
    lapic_pin(cpu_of(vcpu)->lapic, 0, level);
}

static void soft_nmi(struct vcpu *vcpu)
{
    atomic_store(&cpu_of(vcpu)->nmi, true);
    cpu_wake(cpu_of(vcpu));
}

/* ---- state ---- */

enum reset_state {
    RESET_IP = 0xfff0,
    RESET_CS = 0xf000,
    RESET_CR0 = CR0_CD | CR0_NW | CR0_ET,
    RESET_DR7 = 0x400,
    RESET_LIMIT = 0xffff,
    RIGHTS_DATA = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED,
    RIGHTS_LDT = RIGHTS_PRESENT | 2,
    RIGHTS_BUSY_TSS = RIGHTS_PRESENT | 11,
};
#define RESET_CS_BASE 0xffff0000u
#define RESET_DR6     0xffff0ff0u

static void segments_reset(struct cpu *cpu)
{
    for (int i = 0; i < SEG_COUNT; i++)
        cpu->segment[i] = (struct segment){.rights = RIGHTS_DATA, .limit = RESET_LIMIT};
    cpu->segment[SEG_CS] = (struct segment){.selector = RESET_CS,
                                            .rights = RIGHTS_DATA | RIGHTS_CODE,
                                            .limit = RESET_LIMIT,
                                            .base = RESET_CS_BASE};
    cpu->ldtr = (struct segment){.rights = RIGHTS_LDT, .limit = RESET_LIMIT};
    cpu->tr = (struct segment){.rights = RIGHTS_BUSY_TSS, .limit = RESET_LIMIT};
    cpu->gdtr = cpu->idtr = (struct table_register){.limit = RESET_LIMIT};
}

/* After the state was changed as a whole. */
static void state_changed(struct cpu *cpu)
{
    cpu->op = NULL;
    tlb_reset(cpu);
    segments_changed(cpu);
    atomic_store(&cpu->attention, 1);
}

/* What RESET and INIT have in common. */
static void cpu_init(struct cpu *cpu, uint64_t cr0)
{
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    memset(cpu->dr, 0, sizeof(cpu->dr));
    cpu->gpr[RAX] = 1; /* EDX after RESET is the signature that CPUID 1 gives in EAX */
    system_cpuid(cpu);
    cpu->gpr[RDX] = cpu->gpr[RAX];
    cpu->gpr[RAX] = cpu->gpr[RBX] = cpu->gpr[RCX] = 0;
    segments_reset(cpu);
    cpu->rip = RESET_IP;
    flags_set(cpu, 0);
    cpu->cr0 = cr0;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
    cpu->dr[6] = RESET_DR6;
    cpu->dr[7] = RESET_DR7;
    cpu->debug_pending = 0;
    cpu->delivery.active = false;
    cpu->halted = cpu->shutdown = cpu->interrupt_shadow = cpu->debug_shadow = cpu->nmi_blocked = false;
    cpu->records = 0;
    atomic_store(&cpu->nmi, false);
}

static void soft_reset(struct vcpu *vcpu)
{
    struct cpu *cpu = cpu_of(vcpu);

    log_guest(LOG_RESET, "CPU %u reset; it was at %04x:%08llx, CR0 %08llx", cpu->index,
              cpu->segment[SEG_CS].selector, (unsigned long long)cpu->rip, (unsigned long long)cpu->cr0);
    cpu_init(cpu, RESET_CR0);
    msr_reset(cpu);
    lapic_reset(cpu->lapic);
    atomic_store(&cpu->init, false);
    atomic_store(&cpu->startup, NO_STARTUP);
    cpu->dormant = cpu->index != 0;
    sse_reset(cpu);
    x87_reset(cpu);
    state_changed(cpu);
}

/* All application processors wait after it; memory, MSRs, the FPU and what CR0 says of the cache stay. */
static void init_take(struct cpu *cpu)
{
    cpu_init(cpu, (cpu->cr0 & (CR0_CD | CR0_NW)) | CR0_ET);
    cpu->dormant = cpu->index != 0;
    cpu_lock(cpu);
    lapic_init(cpu->lapic);
    cpu_unlock(cpu);
    state_changed(cpu);
}

static void startup_take(struct cpu *cpu)
{
    enum { SELECTOR_SHIFT = 8, BASE_SHIFT = 12 };
    int vector = atomic_exchange(&cpu->startup, NO_STARTUP);

    cpu->segment[SEG_CS].selector = vector << SELECTOR_SHIFT;
    cpu->segment[SEG_CS].base = (uint64_t)vector << BASE_SHIFT;
    cpu->rip = 0;
    cpu->dormant = false;
    state_changed(cpu);
}

static bool soft_registers(struct engine *engine, uint64_t gpr[GPR_COUNT], bool store)
{
    struct cpu *cpu = ((struct soft *)engine)->lock_holder;
    if (!cpu)
        return false;
    memcpy(store ? cpu->gpr : gpr, store ? gpr : cpu->gpr, sizeof(cpu->gpr));
    return true;
}

/* A local APIC that is switched off is sent nothing. */
static void soft_unplug(struct vcpu *vcpu)
{
    enum { MSR_APIC_BASE = 0x1b, APIC_BASE_ENABLED = 1 << 11 };
    uint64_t base;

    soft_reset(vcpu);
    lapic_msr_read(cpu_of(vcpu)->lapic, MSR_APIC_BASE, &base);
    lapic_msr_write(cpu_of(vcpu)->lapic, MSR_APIC_BASE, base & ~(uint64_t)APIC_BASE_ENABLED);
}

static void soft_get_state(struct vcpu *vcpu, struct cpu_state *state)
{
    const struct cpu *cpu = cpu_of(vcpu);

    memset(state, 0, sizeof(*state));
    memcpy(state->gpr, cpu->gpr, sizeof(state->gpr));
    memcpy(state->segment, cpu->segment, sizeof(state->segment));
    memcpy(state->dr, cpu->dr, sizeof(state->dr));
    state->rip = cpu->rip;
    state->rflags = flags_get(cpu);
    state->ldtr = cpu->ldtr;
    state->tr = cpu->tr;
    state->gdtr = cpu->gdtr;
    state->idtr = cpu->idtr;
    state->cr0 = cpu->cr0;
    state->cr2 = cpu->cr2;
    state->cr3 = cpu->cr3;
    state->cr4 = cpu->cr4;
    state->cr8 = lapic_cr8(cpu->lapic);
    state->efer = cpu->efer;
    state->halted = cpu->halted || cpu->dormant;
    state->interrupt_shadow = cpu->interrupt_shadow;
    state->a20_closed = atomic_load(&cpu->soft->address_lines) != UINT64_MAX;
    x87_image_get(cpu, state->fx);
}

static void soft_set_state(struct vcpu *vcpu, const struct cpu_state *state)
{
    struct cpu *cpu = cpu_of(vcpu);
    bool other_tables = cpu->cr3 != state->cr3 || cpu->cr0 != state->cr0 || cpu->cr4 != state->cr4;

    memcpy(cpu->gpr, state->gpr, sizeof(cpu->gpr));
    memcpy(cpu->segment, state->segment, sizeof(cpu->segment));
    memcpy(cpu->dr, state->dr, sizeof(cpu->dr));
    cpu->rip = state->rip;
    flags_set(cpu, state->rflags);
    cpu->ldtr = state->ldtr;
    cpu->tr = state->tr;
    cpu->gdtr = state->gdtr;
    cpu->idtr = state->idtr;
    cpu->cr0 = state->cr0;
    cpu->cr2 = state->cr2;
    cpu->cr3 = state->cr3;
    cpu->cr4 = state->cr4;
    lapic_set_cr8(cpu->lapic, state->cr8);
    cpu->efer = state->efer;
    if (other_tables && (cpu->cr0 & CR0_PG) && (cpu->cr4 & CR4_PAE) && !in_long_mode(cpu))
        paging_load_pointers(cpu, cpu->cr3);
    cpu->halted = state->halted;
    cpu->dormant = cpu->dormant && state->halted;
    cpu->interrupt_shadow = state->interrupt_shadow;
    cpu->shutdown = false;
    cpu->records = 0;
    x87_image_put(cpu, state->fx);
    state_changed(cpu);
}

static uint64_t soft_retired(struct vcpu *vcpu)
{
    return cpu_of(vcpu)->instructions;
}

/* ---- what the local APICs ask for; machine lock held ---- */

static void apic_interrupt(void *opaque, bool pending)
{
    struct cpu *cpu = opaque;

    if (atomic_exchange(&cpu->intr, pending) != pending && pending)
        cpu_wake(cpu);
}

static void apic_signal(void *opaque, enum delivery delivery, uint8_t vector)
{
    struct cpu *cpu = opaque;

    if (delivery == DELIVERY_NMI)
        atomic_store(&cpu->nmi, true);
    else if (delivery == DELIVERY_STARTUP)
        atomic_store(&cpu->startup, vector);
    else {
        atomic_store(&cpu->startup,
                     NO_STARTUP); /* what comes after the INIT counts, even before it is seen to */
        atomic_store(&cpu->init, true);
    }
    cpu_wake(cpu);
}

/* To all that are meant, or to the one of them that has the least to do. */
static void message_route(struct soft *soft, const struct interrupt_message *message,
                          const struct cpu *sender, enum shorthand shorthand)
{
    struct cpu *best = NULL;

    for (unsigned i = 0; i < soft->machine.cpus; i++) {
        struct cpu *cpu = soft->cpus[i];
        bool meant = shorthand == SHORTHAND_ALL || (shorthand == SHORTHAND_OTHERS && cpu != sender) ||
                     (shorthand == SHORTHAND_NONE && lapic_accepts(cpu->lapic, message));

        if (!meant || !lapic_enabled(cpu->lapic))
            continue;
        if (message->delivery != DELIVERY_LOWEST)
            lapic_deliver(cpu->lapic, message);
        else if (!best || lapic_priority(cpu->lapic) < lapic_priority(best->lapic))
            best = cpu;
    }
    if (best)
        lapic_deliver(best->lapic, message);
}

static void apic_send(void *opaque, const struct interrupt_message *message, enum shorthand shorthand)
{
    struct cpu *cpu = opaque;

    message_route(cpu->soft, message, cpu, shorthand);
}

static void apic_end_of_interrupt(void *opaque, uint8_t vector)
{
    const struct engine_machine *machine = ((struct cpu *)opaque)->machine;

    if (machine->end_of_interrupt)
        machine->end_of_interrupt(machine->opaque, vector);
}

static void apic_moved(void *opaque)
{
    tlb_reset(opaque);
}

static void soft_message(struct engine *engine, const struct interrupt_message *message)
{
    message_route(soft_of(engine), message, NULL, SHORTHAND_NONE);
}

/* ---- pins ---- */

static void soft_a20(struct engine *engine, bool open)
{
    const uint64_t line = 1 << 20, lines = open ? UINT64_MAX : ~line;
    struct soft *soft = soft_of(engine);

    if (atomic_exchange(&soft->address_lines, lines) != lines)
        code_post(soft, line, PAGE_SIZE, true); /* all TLBs are void */
}

static void soft_ignore_float_error(struct engine *engine, bool ignore)
{
    atomic_store(&soft_of(engine)->ignne, ignore);
}

/* ---- the engine ---- */

/* The map stands still while a CPU is in guest code, and no CPU goes on with what it knew of it. */
static void map_changing(void *opaque)
{
    struct soft *soft = opaque;

    gate_close(soft, soft->lock_holder);
}

static void map_changed(void *opaque, uint64_t base, uint64_t size)
{
    code_post(opaque, base, size, true);
    gate_open(opaque);
}

static void memory_written(void *opaque, uint64_t base, uint64_t size)
{
    code_post(opaque, base, size, false);
}

static struct vcpu *soft_vcpu(struct engine *engine, unsigned index)
{
    return (struct vcpu *)soft_of(engine)->cpus[index];
}

static void cpu_destroy(struct cpu *cpu)
{
    lapic_destroy(cpu->lapic);
    code_destroy(cpu->code);
    translator_destroy(cpu->translator);
    pthread_mutex_destroy(&cpu->sleep.lock);
    pthread_cond_destroy(&cpu->sleep.wake);
    free(cpu);
}

static struct cpu *cpu_create(struct soft *soft, unsigned index)
{
    struct cpu *cpu = allocate(sizeof(*cpu));

    cpu->soft = soft;
    cpu->machine = &soft->machine;
    cpu->index = index;
    cpu->gigabyte = 1 << 30;
    pthread_mutex_init(&cpu->sleep.lock, NULL);
    pthread_cond_init(&cpu->sleep.wake, NULL);
    cpu->code = code_create(soft->machine.cpus);
    if (soft->machine.translate_after >= 0 && !soft->turns)
        cpu->translator = translator_create(soft->machine.translate_after ? soft->machine.translate_after
                                                                          : TRANSLATE_AFTER);
    cpu->lapic = lapic_create(&(struct lapic_wiring){
        .clock = soft->machine.clock,
        .tsc_offset = &cpu->tsc_offset,
        .id = topology_apic_id(&soft->cpuid.topology, index),
        .boot = index == 0,
        .opaque = cpu,
        .interrupt = apic_interrupt,
        .signal = apic_signal,
        .send = apic_send,
        .end_of_interrupt = apic_end_of_interrupt,
        .moved = apic_moved,
    });
    soft_reset((struct vcpu *)cpu);
    return cpu;
}

static void soft_destroy(struct engine *engine)
{
    struct soft *soft = soft_of(engine);

    memory_listen(soft->machine.memory, NULL);
    for (unsigned i = 0; i < soft->machine.cpus && soft->cpus[i]; i++)
        cpu_destroy(soft->cpus[i]);
    free(soft->cpus);
    marks_destroy(&soft->marks);
    gate_destroy(&soft->gate);
    free(soft);
}

static bool cpus_create(struct soft *soft)
{
    for (unsigned i = 0; i < soft->machine.cpus; i++) {
        soft->cpus[i] = cpu_create(soft, i);
        if (!soft->cpus[i]->code)
            return false;
    }
    return true;
}

static struct engine *soft_create(const struct engine_machine *machine, char *error, size_t error_size)
{
    struct soft *soft = allocate(sizeof(*soft));
    struct cpu_abilities able;

    soft->machine = *machine;
    identify_abilities(&able);
    if (!cpuid_set_up(&soft->cpuid, machine->cpu, &machine->topology, machine->cpus, &able, error,
                      error_size)) {
        free(soft);
        return NULL;
    }
    if (machine->cpu && !strcmp(cpu_model_name(machine->cpu), "host"))
        warn("-cpu host: CPU model 'host' requires KVM; on the software CPU it is max");
    soft->abilities.long_mode = features_have(&soft->cpuid.model.features, "lm");
    soft->abilities.cpu_signature = cpuid_signature(&soft->cpuid.model.identity);
    soft->abilities.cpu_features = soft->cpuid.model.features.word[WORD_1_EDX];
    soft->abilities.lapic = true;
    soft->address_lines = UINT64_MAX;
    soft->turns = machine->turns;
    soft->parallel = machine->cpus > 1 && !machine->turns;
    gate_create(&soft->gate);
    soft->cpus = allocate(machine->cpus * sizeof(struct cpu *));
    if (!marks_create(&soft->marks) || !cpus_create(soft)) {
        soft_destroy((struct engine *)soft);
        snprintf(error, error_size, "no memory for the software CPU's decoded code");
        return NULL;
    }
    soft->listener = (struct memory_listener){
        .opaque = soft, .map_changing = map_changing, .map_changed = map_changed, .written = memory_written};
    memory_listen(machine->memory, &soft->listener);
    return (struct engine *)soft;
}

static const struct engine_abilities *soft_abilities(struct engine *engine)
{
    return &soft_of(engine)->abilities;
}

static void soft_autopsy(struct vcpu *vcpu, FILE *out)
{
    const struct cpu *cpu = cpu_of(vcpu);
    struct cpu_state state;

    soft_get_state(vcpu, &state);
    autopsy_print(out, &state, cpu->soft->machine.memory, cpu->record, cpu->records);
}

static const char *soft_failure(struct vcpu *vcpu)
{
    (void)vcpu;
    return "the software CPU does not fail";
}

const struct engine_ops engine_soft = {
    .name = "soft",
    .cpus_most = 255,
    .create = soft_create,
    .destroy = soft_destroy,
    .abilities = soft_abilities,
    .vcpu = soft_vcpu,
    .run = soft_run,
    .kick = soft_kick,
    .interrupt = soft_interrupt,
    .nmi = soft_nmi,
    .message = soft_message,
    .a20 = soft_a20,
    .ignore_float_error = soft_ignore_float_error,
    .reset = soft_reset,
    .unplug = soft_unplug,
    .get_state = soft_get_state,
    .registers = soft_registers,
    .set_state = soft_set_state,
    .retired = soft_retired,
    .debug = soft_debug,
    .debug_hit = soft_debug_hit,
    .autopsy = soft_autopsy,
    .failure = soft_failure,
};

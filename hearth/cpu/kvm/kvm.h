/*
 * What the files of the KVM engine share: one VM, its vCPUs, and who does what with them. Nothing outside cpu/kvm
 * includes this but its tests.
 */
#ifndef CPU_KVM_KVM_H
#define CPU_KVM_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cpu/cpuid.h"
#include "cpu/engine.h"

/*
 * Where KVM may put what it needs on Intel: a page table for real mode and three pages of TSS. They fill the 16 KiB
 * below the 256 KiB of ROM that end at 4 GiB.
 */
enum kvm_private_pages { KVM_IDENTITY_MAP = 0xfffbc000, KVM_TSS = 0xfffbd000 };

enum { CHIP_MASTER, CHIP_SLAVE, CHIP_IOAPIC, CHIPS, POWER_ON_MSRS = 64 };

/* What a vCPU holds after RESET: KVM has no call for it, but a new vCPU is in this state, so it is noted then. */
struct power_on {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_fpu fpu;
    uint8_t xsave[4096]; /* struct kvm_xsave without its variable tail */
    struct kvm_xcrs xcrs;
    struct kvm_debugregs debug;
    struct kvm_vcpu_events events;
    struct kvm_mp_state mp_state;
    struct kvm_lapic_state lapic;
    struct kvm_msr_entry msr[POWER_ON_MSRS];
    unsigned msrs;
    bool has_xsave, has_xcrs;
};

struct vcpu {
    struct engine *engine;
    unsigned index;
    int descriptor;
    struct kvm_run *run;

    /* Who else may want something of it, any thread: set, then vcpu_wake(). */
    atomic_bool kicked;
    atomic_bool nmi;
    atomic_bool interrupt; /* the INTR pin, without the kernel's chips */
    atomic_int thread;     /* the host thread in run(), 0 when there is none */
    pthread_mutex_t sleep_lock;
    pthread_cond_t sleep;

    bool halted; /* HLT is waited for here, without the kernel's chips */
    enum run_result result;
    char failure[320];
    struct engine_debug debug;
    struct debug_hit debug_hit;
    struct power_on power_on;
};

struct memory_slot {
    uint64_t base, size; /* size 0: the slot is free */
    uint8_t *host;
    bool writable;
    bool logged; /* the kernel keeps a log of the pages that guests write to */
};

struct engine {
    struct engine_machine machine;
    struct engine_abilities abilities;
    struct cpuid cpuid;
    int kvm, vm;
    size_t run_size;
    struct vcpu *vcpus;
    unsigned vcpus_made;

    atomic_bool map_changed; /* the slots no longer are what memory_ranges() says */
    struct memory_slot *slot;
    unsigned slots;

    struct kvm_irqchip chip[CHIPS]; /* as they are after RESET */
    struct kvm_pit_state2 pit;

    uint32_t debug_block_irq; /* KVM_GUESTDBG_BLOCKIRQ where this KVM has it */

    bool time_stopped;
    uint64_t stopped_at; /* the host's time stamp counter then */
    struct kvm_clock_data stopped_clock;
    struct kvm_pit_state2 stopped_pit;
};

/* An ioctl() again while a signal is all that stopped it. -1 with errno. */
int kvm_call(int descriptor, unsigned long request, void *argument);
/* A capability's value, 0 where this KVM has not got it. */
int kvm_has(int kvm, int capability);

/* open.c: opens /dev/kvm, or says in one line why there is none to be had. -1 then. */
int kvm_open(const char *path, char *error, size_t error_size);
/* Makes a VM; the same. */
int kvm_vm_create(int kvm, char *error, size_t error_size);
/* The module behind /dev/kvm: "kvm_intel", "kvm_amd", "kvm_pvm"; "kvm" if it cannot be told. */
void kvm_backend(const char *modules_path, char *name, size_t size);

/* judge.c: kvm_judge() for another path than /dev/kvm. */
void kvm_judge_device(const char *path, struct kvm_verdict *verdict, bool all);

/* slots.c */
bool slots_create(struct engine *engine, char *error, size_t error_size);
void slots_destroy(struct engine *engine);
/* Brings KVM's slots in step with the machine's memory map if that has changed; 0 or an errno. Takes the lock. */
int slots_update(struct engine *engine);

/* cpuid.c */
struct kvm_cpuid2 *cpuid_read(int kvm, char *error, size_t error_size);
/* Decides what all vCPUs shall answer: engine->cpuid. */
bool cpuid_choose(struct engine *engine, const struct kvm_cpuid2 *supported, char *error, size_t error_size);
/* What one vCPU shall answer; freed by the caller. */
struct kvm_cpuid2 *cpuid_for_vcpu(const struct vcpu *vcpu);

/* chips.c: the PIC, IOAPIC and PIT in the kernel, and its clocks. */
bool chips_create(struct engine *engine, char *error, size_t error_size);
void chips_reset(struct engine *engine);
void chips_set(struct engine *engine, int gsi, bool level);
void chips_message(struct engine *engine, const struct interrupt_message *message);
void chips_print(struct engine *engine, FILE *out);
void time_stopped(struct engine *engine, bool stopped);

/* state.c */
void power_on_note(struct vcpu *vcpu);
void vcpu_reset(struct vcpu *vcpu);
bool access_registers(struct engine *engine, uint64_t gpr[GPR_COUNT], bool store);
void vcpu_unplug(struct vcpu *vcpu);
void vcpu_get_state(struct vcpu *vcpu, struct cpu_state *state);
void vcpu_set_state(struct vcpu *vcpu, const struct cpu_state *state);

/* run.c */
void vcpu_signal_prepare(void);
enum run_result vcpu_run(struct vcpu *vcpu);
void vcpu_wake(struct vcpu *vcpu);
void vcpu_kick(struct vcpu *vcpu);
void vcpu_interrupt(struct vcpu *vcpu, bool level);
void vcpu_nmi(struct vcpu *vcpu);

/* debug.c */
bool vcpu_debug(struct vcpu *vcpu, const struct engine_debug *debug);
struct debug_hit vcpu_debug_hit(struct vcpu *vcpu);
/* KVM_EXIT_DEBUG: true if the guest goes on, else the result is in vcpu->result. */
bool vcpu_debug_exit(struct vcpu *vcpu);

/* explain.c: what went wrong, for people. */
void explain_exit(struct vcpu *vcpu);
void explain_error(struct vcpu *vcpu, const char *what, int error);
void vcpu_autopsy(struct vcpu *vcpu, FILE *out);

#endif

/*
 * The one door to the CPUs. An engine runs guest code against the machine's memory and port and MMIO maps:
 *   cpu/kvm   the host kernel's KVM
 *   cpu/soft  the software CPU
 * Nothing else in hearth asks which one it is; where they differ in what they can do, the engine says so here.
 *
 * Threads: vcpu run() is called on a thread of its own for each vCPU, without the machine lock. Everything else is
 * called with the machine lock held, and, where it says *stopped*, only while that vCPU is not in run().
 */
#ifndef CPU_ENGINE_H
#define CPU_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/message.h"
#include "core/topology.h"
#include "cpu/state.h"

struct engine;
struct vcpu;
struct settings; /* core/settings.h */

/* What an engine runs against. Owned by the machine, outlives the engine. */
struct engine_machine {
    struct memory *memory;
    struct bus *ports; /* limit 65536 */
    struct bus *mmio;
    struct clock *clock; /* the time stamp counter and the in-kernel timers follow it */
    unsigned cpus;
    struct topology topology; /* holds that many CPUs and perhaps more; zeros: one socket */
    struct settings *cpu;     /* -cpu; NULL: max */
    int translate_after; /* soft: how often a block runs before it is translated; 0: TRANSLATE_AFTER, -1: never */
    bool turns;      /* soft: run() is called for one CPU after the other, on one thread. The clock is stepped
                        (clock_step()): a CPU moves it by what it retires, and no timer fires within run() */
    bool no_irqchip; /* kernel-irqchip=off: kvm leaves PIC, APICs and PIT to the machine; allows one CPU */
    /* Interrupt acknowledge: the 8259A pair's vector for an INTR that is high. The engine holds the lock. */
    uint8_t (*acknowledge)(void *opaque);
    /* Where abilities.lapic: a local APIC has had the EOI of a level-triggered interrupt: the IOAPIC wants to know. The
     * engine holds the lock. May be NULL. */
    void (*end_of_interrupt)(void *opaque, uint8_t vector);
    /* FERR#: with CR0.NE clear an error of the x87 waits; the CPU stands until an interrupt comes or IGNNE#. The engine holds
     * the lock. May be NULL. */
    void (*float_error)(void *opaque, bool level);
    void *opaque;
};

/* Why run() came back. */
enum run_result {
    RUN_TURN,     /* where CPUs take turns: this one's is over */
    RUN_IDLE,     /* the same, and it has nothing to do until an interrupt comes */
    RUN_KICKED,   /* somebody asked: pause, quit, a changed state */
    RUN_SHUTDOWN, /* triple fault: what is known lies in engine_autopsy() */
    RUN_FAILED,   /* the engine cannot go on; engine_failure() says why in one line */
    RUN_DEBUG,    /* what a debugger asked for has happened: debug_hit() */
};

/* What a debugger wants to be told of, and what it is told. Addresses are linear. */
enum debug_kind { DEBUG_NOTHING, DEBUG_STEP, DEBUG_EXECUTE, DEBUG_WRITE, DEBUG_READ, DEBUG_ACCESS };
enum { DEBUG_POINTS = 16 };
struct debug_point {
    enum debug_kind kind; /* EXECUTE and what follows */
    uint64_t address;
    unsigned size; /* bytes watched */
};
struct engine_debug {
    bool step; /* one instruction, interrupts held off meanwhile where the engine can */
    unsigned count;
    struct debug_point point[DEBUG_POINTS];
};
struct debug_hit {
    enum debug_kind kind; /* READ may be told as ACCESS */
    uint64_t address;
};

/* What an engine can do, decided at create(). */
struct engine_abilities {
    bool irqchip;   /* it has the 8259As, IOAPIC and local APICs itself: lines go to irqchip_set() */
    bool pit;       /* it has the 8254 and port 61h itself */
    bool long_mode; /* its CPUs have the 64-bit mode */
    uint32_t cpu_signature, cpu_features; /* CPUID 1, EAX and EDX */
    bool lapic; /* without irqchip: each vCPU has a local APIC; an IOAPIC speaks to them by message() */
};

struct engine_ops {
    const char *name;   /* "kvm", "soft" */
    unsigned cpus_most; /* how many CPUs it can run */

    /* NULL with a one-line reason in error. */
    struct engine *(*create)(const struct engine_machine *machine, char *error, size_t error_size);
    void (*destroy)(struct engine *engine); /* all vCPUs stopped */
    const struct engine_abilities *(*abilities)(struct engine *engine);
    struct vcpu *(*vcpu)(struct engine *engine, unsigned index); /* made by create() */

    enum run_result (*run)(struct vcpu *vcpu);
    /* Any thread, no lock needed: run() returns RUN_KICKED soon, or at once when it is entered next. HLT is waited
     * for inside run(), so it also ends that. */
    void (*kick)(struct vcpu *vcpu);

    /* The INTR pin, from the 8259A. Unused where abilities.irqchip. */
    void (*interrupt)(struct vcpu *vcpu, bool level);
    void (*nmi)(struct vcpu *vcpu);
    /* Where abilities.lapic or .irqchip: delivers it to the local APICs that it is meant for. An ExtINT, of abilities.lapic
     * alone, is a claim on interrupt(). */
    void (*message)(struct engine *engine, const struct interrupt_message *message);
    /* Where abilities.irqchip: drives a global system interrupt 0 to 23. 0 to 15 reach 8259A and IOAPIC both, 0 the
     * IOAPIC's pin 2 as on every PC (irq0-override in the tables of the firmware). Any thread. */
    void (*irqchip_set)(struct engine *engine, int gsi, bool level);
    /* `info pic` of an in-kernel chip: ICW/OCW state as text. */
    void (*irqchip_print)(struct engine *engine, FILE *out);

    /* The gate of address line 20: closed, physical addresses have bit 20 clear. NULL: always open. */
    void (*a20)(struct engine *engine, bool open);
    /* IGNNE#: with CR0.NE clear the x87 goes on in spite of an error that waits. NULL: there is no such pin, nor FERR#. */
    void (*ignore_float_error)(struct engine *engine, bool ignore);

    void (*reset)(
        struct vcpu *vcpu); /* stopped: the state after RESET; for vCPU 0 also the in-kernel chips */
    /* Stopped: it takes no part in anything until the next reset(). Not for vCPU 0. */
    void (*unplug)(struct vcpu *vcpu);
    void (*get_state)(struct vcpu *vcpu, struct cpu_state *state);       /* stopped */
    void (*set_state)(struct vcpu *vcpu, const struct cpu_state *state); /* stopped */
    /* The general registers of the vCPU that is at a port or at MMIO now; called on its thread, with the lock held. `store`:
     * it goes on with these, but for RAX of an IN, which is what the port answers. False if there is none. */
    bool (*registers)(struct engine *engine, uint64_t gpr[GPR_COUNT], bool store);
    /* Stopped: how many instructions it has run; NULL where the engine does not count. */
    uint64_t (*retired)(struct vcpu *vcpu);
    /* *Stopped*: machine time stands from now on, or goes on (pause, resume); may be NULL. */
    void (*time_stopped)(struct engine *engine, bool stopped);

    /* Stopped: copied; NULL ends it. The instruction at which the CPU stands is not told of. False if the engine cannot watch
     * all of that (KVM has the processor's four debug registers). */
    bool (*debug)(struct vcpu *vcpu, const struct engine_debug *debug);
    struct debug_hit (*debug_hit)(struct vcpu *vcpu); /* after RUN_DEBUG */

    /* After RUN_SHUTDOWN, stopped: explains the chain of exceptions, for people. */
    void (*autopsy)(struct vcpu *vcpu, FILE *out);
    /* After RUN_FAILED: one line, valid until the next run(). */
    const char *(*failure)(struct vcpu *vcpu);
};

extern const struct engine_ops engine_kvm, engine_soft;

/* Does this host's KVM run guests? Runs a tiny one in each mode; takes at most about 300 ms, a few as a rule. */
enum kvm_mode { KVM_REAL, KVM_PROTECTED, KVM_PAGED_32, KVM_LONG, KVM_MODES };
struct kvm_verdict {
    bool usable; /* every mode ran, within 20 ns an instruction */
    char reason
        [160]; /* one clause: "no /dev/kvm", "32-bit paging ends in a triple fault (kvm_pvm)", "kvm_amd, 0.4 ns an instruction" */
    struct {
        bool ran;
        double nanoseconds; /* for an instruction of a plain loop */
        char why[80];       /* when it did not run */
    } mode[KVM_MODES];
};
/* `all`: goes on to the other modes after one has failed, for a report, and waits ten times as long. Called before threads are started. */
void kvm_judge(struct kvm_verdict *verdict, bool all);

#endif

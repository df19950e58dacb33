/*
 * The software CPU's own state and the agreement between its parts:
 *
 *   soft.c       engine_soft: create, run, kick, interrupts, HLT, state in and out; the clock's TSC
 *   code.c       blocks of decoded operations, keyed by physical address and mode; self-modifying code
 *   translat*.c  hot blocks to host code: see translator.h
 *   decode.c     Zydis instruction -> struct op (which handler, which operands)
 *   execute-*.c  handlers by family: arithmetic, shifts, moves, stack, strings, branches, bits
 *   flags.h      lazy flags
 *   access.h     load and store through segment checks and the TLB, inline fast path; access.c its slow side,
 *                locked.c that of LOCKed operands
 *   gate.c       safe points, where CPUs wait for each other; marks.c which pages hold code of any CPU
 *   turns.c      deterministic=on: CPUs that take turns, and their time
 *   device.c     a CPU at the machine lock and the buses
 *   walk.c       page walk, A/D bits, #PF
 *   paging.c     TLB fill and flush;  slow.c  what its fast path does not finish
 *   segments.c   segment loads;  descriptor.c, stack.c  descriptors and inner stacks;  far.c  far JMP/CALL/RET, call gates
 *   interrupts.c delivery of exceptions and interrupts through IVT, IDT and task gates; v86;  iret.c, debug.c  IRET, #DB
 *   task.c       task switch, TSS
 *   system.c     MOV CR/DR, LGDT..., CLI/STI/HLT and the privileged rest
 *   hypercall.c  VMCALL and VMMCALL
 *   fast.c       SYSCALL, SYSENTER and their ways back, SWAPGS
 *   identify.c   CPUID, by the lists in features.h; msr.c the model-specific registers
 *   lapic.c      the local APIC: which interrupt is next, IPIs; lapic-timer.c its timer
 *   x87.c        the FPU; x87-state.c its environment and images, x87-host.c its arithmetic
 *   sse*.c       MMX and SSE: see sse.h
 *   debugger.c   a debugger's points and steps, unseen by the guest
 *   autopsy.c    the record of exceptions, told to people (also used by the kvm engine: cpu/autopsy.h)
 *
 * Faults: any handler may call fault(), which does not return: it puts RIP back to the start of the instruction
 * (cpu->op) and longjmps to the run loop, which delivers. So a handler writes no architectural state before its
 * last access that can fault (or undoes nothing, because it computed into locals). A handler that may fault stores
 * `cpu->op = op` first (macro MAY_FAULT in op.h).
 *
 * The state is kept 64 bits wide in every mode, and a 32-bit write to a register clears its upper half.
 */
#ifndef SOFT_CPU_H
#define SOFT_CPU_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/autopsy.h"
#include "cpu/engine.h"
#include "cpu/soft/gate.h"
#include "cpu/state.h"

struct op;
struct block;
struct code;

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE };

/*
 * A TLB entry: linear page -> host page, for one privilege. A tag is the linear address of the page: linear ^ tag is
 * then the offset in it, and the compare of that with PAGE_SIZE - size is the whole check. What never passes is the tag
 * of a page that belongs into another slot. Pages without host memory (MMIO), pages that hold decoded code (writes),
 * clean pages (writes: D must be set first) have no fast tag and go the slow way through paging.c.
 */
enum { TLB_SIZE = 1024, TLB_FETCH_SIZE = 512, TLB_LARGE_BITS = 12 };
enum {
    TLB_WORDS = TLB_SIZE / 64,
    TLB_FETCH_WORDS = TLB_FETCH_SIZE / 64,
    TLB_LARGE_WORDS = 1 << TLB_LARGE_BITS >> 6
};
#define TLB_NEVER(slot) (((uint64_t)(slot) ^ 1) << 12)
#define TLB_NO_PAGE     UINT64_MAX

struct tlb_entry {
    uint64_t read_tag, write_tag;
    uint8_t *host;     /* of the page */
    uint64_t physical; /* of the page */
};

/* The same for instructions; these are compared as a whole. */
struct tlb_fetch {
    uint64_t page; /* linear, or TLB_NO_PAGE */
    uint64_t physical;
};

/*
 * Deferred flags: which operation, its result and its operands, all sign-extended to 64 bits so that no width has to
 * be kept; see flags.h.
 */
struct lazy_flags {
    uint64_t kind;
    int64_t result, left, right;
};

/*
 * What access.h checks at once: offset + size <= read_end (write_end) passes; all else is looked at by segment_check().
 * In 64-bit code everything passes, and addresses that are not canonical miss in the TLB. The base is the one in
 * force: 0 there for all but FS and GS, whatever segment[] holds for the day when 32-bit code runs again.
 */
struct segment_window {
    uint64_t read_end, write_end, base;
};

/* Where translated code finds the code for a RIP that it has in a register; of that mode, and checks the mapping itself. */
enum { JUMPS_BITS = 10, JUMPS = 1 << JUMPS_BITS };
#define JUMP_FACTOR 0x9e3779b1u
struct jump {
    uint64_t rip, mode;
    const uint8_t *code;
    uint64_t unused;
};

struct cpu;
struct lapic;
struct translator;
struct soft;

/*
 * What the slow path remembers of a translation, beside struct tlb_entry: pages without a fast tag (MMIO, ROM, code,
 * clean pages) need no new walk, and global pages survive a new generation.
 */
struct tlb_origin {
    uint64_t page;   /* linear page, TLB_NO_PAGE: nothing here */
    uint64_t rights; /* generation and what the page tables permit; private to paging.c */
};

enum { EXCEPTION_RECORDS = 6, NO_STARTUP = -1 };

/* Model-specific registers that have no place of their own: msr.c. FS and GS bases are in segment[]. */
enum { MTRRS_FIXED = 11, MTRRS_VARIABLE = 8 };
struct msrs {
    uint64_t pat; /* 277h; 0007040600070406h after reset */
    uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux, tsc_adjust;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t misc_enable, debug_control, hardware_configuration, system_configuration;
    uint64_t mtrr_default, mtrr_fixed[MTRRS_FIXED], mtrr_variable[2 * MTRRS_VARIABLE];
};

struct cpu {
    /* Hot: what handlers touch all the time. */
    uint64_t gpr[GPR_COUNT]; /* first: operations name registers by byte offset in here */
    uint64_t zero;           /* always 0: the base or index of an address that has none */
    uint64_t gigabyte;       /* always 1 << 30: an index that helps displacements out of their 32 bits */
    const struct op *op;     /* the instruction under way, for fault() and RIP; NULL: cpu->rip is exact */
    struct block *block;     /* the block under way */
    struct code *code;       /* this CPU's store of blocks: code.h */
    struct lazy_flags lazy;
    uint64_t rflags; /* all but the arithmetic flags when lazy.kind says so: read with flags_get() */
    uint64_t rip;    /* exact outside blocks; inside a block: block start + op offset */
    _Atomic int32_t attention; /* non-zero: leave the block loop and look at the fields below */
    uint8_t carry, overflow;   /* translated code keeps CF and OF here: enum flags_translated */
    bool interrupt_shadow;     /* interrupts are held off for one instruction: STI, MOV SS, POP SS */
    bool debug_shadow;         /* and so are debug traps: MOV SS, POP SS */
    struct segment segment[SEG_COUNT];
    struct segment_window window[SEG_COUNT]; /* follows from segment[], by segments_changed() */
    uint64_t code_end;                       /* CS limit + 1; UINT64_MAX in 64-bit code */
    uint64_t stack_mask;                     /* FFFFh or FFFFFFFFh: SS.B; UINT64_MAX in 64-bit code */
    uint64_t linear_mask;    /* where RIP and linear addresses wrap: UINT32_MAX or UINT64_MAX */
    uint32_t mode;           /* part of a block's key: enum code_mode in op.h */
    bool alignment;          /* CR0.AM, EFLAGS.AC and CPL 3: #AC is possible */
    struct tlb_entry *tlb;   /* the one for the current privilege: tlbs[CPL == 3] */
    struct tlb_fetch *fetch; /* fetches[CPL == 3] */

    /* System state. */
    struct segment ldtr, tr;
    struct table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, efer; /* CR8 is in the local APIC */
    uint64_t dr[8];
    uint64_t pdpte[4]; /* PAE paging: loaded by MOV CR3 and its like, used by every walk */
    struct msrs msr;
    bool halted, shutdown;
    bool single;       /* one instruction at a time now: TF, a shadow, breakpoints */
    bool step_skipped; /* the instruction under way delivered a software interrupt: no trap after it */

    /* The FPU, owned by x87.c; kept as FXSAVE image parts. */
    struct {
        uint8_t st[8][16];                /* physical registers R0 to R7: 10 bytes used each */
        uint16_t control, status, opcode; /* status without TOP; TOP is below */
        uint8_t top, tags;                /* tags: bit n set = Rn not empty */
        uint64_t ip, dp;
        uint16_t cs, ds;
        bool ferr; /* FERR#: an unmasked error was met while CR0.NE was clear */
    } fpu;
    uint8_t xmm[16][16] __attribute__((aligned(16)));
    uint32_t mxcsr;
    bool mxcsr_live; /* the host's MXCSR has the guest's flags: see sse.h */
    uint64_t xcr0;

    /* Faults. */
    jmp_buf fault_jump;
    struct {
        uint8_t vector;
        bool has_error;
        uint32_t error;
    } pending;                                         /* what fault() left for the run loop */
    struct exception_record record[EXCEPTION_RECORDS]; /* the chain that is being delivered, oldest first */
    unsigned records;
    char why[160]; /* set by fault_because() for the record that will be made */
    struct {
        bool active;   /* between the start of a delivery and its end: a fault now is a nested one */
        bool external; /* of an interrupt or an exception, not INT n: error codes have EXT set */
        bool hardware; /* an external interrupt or NMI, or INT n: benign whatever the vector */
        uint8_t vector;
    } delivery;             /* private to interrupts.c */
    uint32_t debug_pending; /* DR6 bits of data breakpoints hit and of a task switch: call debug_after() */
    bool nmi_blocked;       /* until IRET */

    /* debugger.c */
    bool debugging; /* a debugger wants to be told of something */
    struct engine_debug debugger;
    struct debug_hit debug_hit; /* to be told of now */
    uint64_t debug_from;        /* linear address that it was sent on from; UINT64_MAX: it has left it */

    /* Interrupts and requests from other threads: looked at when `attention` is set. */
    _Atomic bool intr, nmi, kicked; /* intr: the local APIC has an interrupt for this CPU */
    _Atomic bool init;              /* INIT came */
    _Atomic int startup;            /* the vector of the start-up IPI that came, or NO_STARTUP */
    bool dormant;                   /* an application processor that waits for a start-up IPI */
    _Atomic bool code_stale;        /* decoded code was overwritten by somebody else: code->post has where */

    /* A LOCKed operand that goes the slow way: locked.c. */
    struct {
        unsigned way;
        uint8_t *host;
        uint64_t linear, physical;
    } locked;
    /* Where CPUs take turns (turns.h), by `instructions`: where this one's began and when, and where it ends. */
    struct {
        uint64_t from, time, end;
    } turn;
    struct gate_place place; /* in guest code or out of it: gate.h */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t wake;
        _Atomic bool asleep;
    } sleep;               /* HLT */
    unsigned pauses;       /* PAUSE instructions run */
    uint64_t instructions; /* retired, counted a block at a time */
    unsigned index;
    struct soft *soft;
    struct lapic *lapic;           /* lapic.h */
    struct translator *translator; /* NULL: everything is interpreted */
    const struct engine_machine *machine;
    uint64_t tsc_offset;             /* TSC = clock_now() + this */
    uint64_t memory_generation;      /* of the map that the TLBs were filled from */
    uint64_t large[TLB_LARGE_WORDS]; /* a bit by hash for each large page of which the TLBs may hold pieces */
    uint64_t host_stack, scratch;    /* translated code's */
    struct jump jumps[JUMPS];
    /* In the low 12 bits; grows with CR3 loads: origins[] of pages that are not global hold it. */
    uint64_t tlb_generation;
    /* Slots whose fast tags a CR3 load withdraws: those of pages that are not global. */
    uint64_t tlb_local[2][TLB_WORDS], fetch_local[2][TLB_FETCH_WORDS];
    struct tlb_entry tlbs[2][TLB_SIZE];
    struct tlb_fetch fetches[2][TLB_FETCH_SIZE];
    struct tlb_origin origins[2][TLB_SIZE]; /* zeroed tables are not empty ones: tlb_reset() */
};

/* Current privilege level: SS.DPL would do as well; real mode is 0, v86 is 3. */
static inline unsigned cpl(const struct cpu *cpu)
{
    return (cpu->segment[SEG_SS].rights & RIGHTS_DPL) >> RIGHTS_DPL_SHIFT;
}

/* By privilege, after SS changed. */
static inline void tlb_choose(struct cpu *cpu)
{
    cpu->tlb = cpu->tlbs[cpl(cpu) == 3];
    cpu->fetch = cpu->fetches[cpl(cpu) == 3];
}

static inline bool in_protected_mode(const struct cpu *cpu)
{
    return (cpu->cr0 & CR0_PE) && !(cpu->rflags & FLAG_VM);
}

/* IA-32e mode is on: 64-bit gates, TSS and descriptors, 4-level paging; code is 64-bit or compatibility. */
static inline bool in_long_mode(const struct cpu *cpu)
{
    return cpu->efer & EFER_LMA;
}

/* Does this code segment, loaded now, hold 64-bit code? */
static inline bool in_64bit_code(const struct cpu *cpu)
{
    return in_long_mode(cpu) && (cpu->segment[SEG_CS].rights & RIGHTS_L);
}

/* Bits 63 to 47 are equal. */
static inline bool canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* A linear address that the CPU makes by itself (descriptor tables, TSS), by the width of the mode. */
static inline uint64_t system_linear(const struct cpu *cpu, uint64_t linear)
{
    return in_long_mode(cpu) ? linear : (uint32_t)linear;
}

/* ---- soft.c ---- */

/* Any thread, after what it is to look at has been stored: out of the blocks, or out of HLT. */
void cpu_wake(struct cpu *cpu);

/* ---- faults: interrupts.c ---- */

/* What fault_jump is told. */
enum fault_jump { JUMP_FAULT = 1, JUMP_WAIT };

/* Raises an exception for the instruction under way; does not return. fault_error() pushes an error code. */
_Noreturn void fault(struct cpu *cpu, unsigned vector);
_Noreturn void fault_error(struct cpu *cpu, unsigned vector, uint32_t error);
/* Says why, for the autopsy, just before one of the two above. Cheap: called on faults only. */
void fault_because(struct cpu *cpu, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits for an interrupt, as HLT does, and has the instruction under way run again then; does not return. */
_Noreturn void instruction_wait(struct cpu *cpu);

/*
 * Delivers what cpu->pending holds (after a longjmp, with cpu->rip at the faulting instruction), following double
 * and triple fault rules. May itself longjmp for a nested fault. Sets cpu->shutdown when nothing can be delivered.
 */
void exception_deliver(struct cpu *cpu);
/* An external interrupt or NMI between instructions; cpu->rip is exact. */
void interrupt_deliver(struct cpu *cpu, uint8_t vector);
/* INT n, INT3, INTO, INT1: `next` is the RIP to push. All but INT n are of one byte, which v86 mode does not hold up. */
void interrupt_software(struct cpu *cpu, uint8_t vector, bool one_byte, uint64_t next);
/* IRET, operand size in bytes (2, 4, 8). Sets RIP. */
void interrupt_return(struct cpu *cpu, unsigned size);

/* ---- walk.c, paging.c, slow.c ---- */

/*
 * Translates for a data or code access at the given privilege; fills the TLB; raises #PF, and #GP(0) for an address
 * that is not canonical (callers that owe #SS look at that before). Answers the physical address. The host pointer, or NULL for MMIO and holes, goes to *host; NULL also for a write to ROM.
 */
uint64_t paging_translate(struct cpu *cpu, uint64_t linear, enum access access, bool user, uint8_t **host);
/* The same without side effects or faults, for the monitor and the autopsy. False where nothing is mapped. */
bool paging_probe(struct cpu *cpu, uint64_t linear, uint64_t *physical);
/* After a #PF: which entry of which table, in words, into text. */
void paging_explain(struct cpu *cpu, uint64_t linear, uint32_t error, char *text, size_t size);
void tlb_flush(struct cpu *cpu, bool global_too);
/* Empties both TLBs for good and picks cpu->tlb: at creation, reset and set_state. */
void tlb_reset(struct cpu *cpu);
void tlb_flush_page(struct cpu *cpu, uint64_t linear); /* INVLPG */
/* Withdraws fast writes to a physical page that now holds decoded code, and to those that share its mark (every entry
 * that maps them). By another CPU's thread only while the gate is closed. */
void tlb_protect_page(struct cpu *cpu, uint64_t physical);
/* Any thread: are there any? */
bool tlb_may_write(const struct cpu *cpu, uint64_t physical);
/* PAE paging: takes the four page directory pointers that CR3 leads to; false: a reserved bit is set, nothing is changed. */
bool paging_load_pointers(struct cpu *cpu, uint64_t cr3);
/* CR0, CR3, CR4, EFER or CPL changed: picks cpu->tlb, flushes what must be. */
void paging_mode_changed(struct cpu *cpu, uint64_t old_cr0, uint64_t old_cr4);

/* Would a write to this page go to memory, and without another walk? */
bool paging_ready(struct cpu *cpu, uint64_t linear, bool user);
/* Remembers which data breakpoints an access touches; slow_load() and slow_store() do it themselves. */
void watch_data(struct cpu *cpu, uint64_t linear, unsigned size, bool write);

/*
 * Slow data accesses, called by access.h when the TLB has no fast entry: page crossing, MMIO, ROM, code pages,
 * misses. Both pages of a crossing access are checked before a byte is written. `user`: access as CPL 3 (implicit
 * system accesses to descriptor tables and TSS are never user).
 */
uint64_t slow_load(struct cpu *cpu, uint64_t linear, unsigned size, bool user);
void slow_store(struct cpu *cpu, uint64_t linear, unsigned size, uint64_t value, bool user);

/* ---- code.c: told by paging.c and the engine ---- */

/* Does this physical page hold decoded code of any CPU? Then a write must come through code_written(). */
bool code_in_page(const struct soft *soft, uint64_t physical);
/* Bytes of guest memory were changed by this CPU: drops the blocks they belong to; if the block under way is among
 * them, it ends after this instruction. Other CPUs get a post where they may have decoded them too. */
void code_written(struct cpu *cpu, uint64_t physical, unsigned size);
/* The same, if there is code: after a write that went by no fast tag. */
void code_check_write(struct cpu *cpu, uint64_t physical, unsigned size);

/* ---- segments.c, far.c, iret.c ---- */

/* MOV/POP/LDS... into a data segment register or SS (not CS), in any mode, with all checks. */
void segment_load(struct cpu *cpu, enum segment_name name, uint16_t selector);
/* Real or v86 mode: selector * 16, rights and limit as the mode has them. */
void segment_load_real(struct cpu *cpu, enum segment_name name, uint16_t selector);
void far_jump(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned size);
void far_call(struct cpu *cpu, uint16_t selector, uint64_t offset, unsigned size, uint64_t next);
void far_return(struct cpu *cpu, unsigned size, uint16_t release);
/*
 * To be called after a segment register, CPL, CR0.PE, CR0.AM, EFLAGS.VM or EFLAGS.AC changed and before the next
 * access through access.h: derives window[], code_end, stack_mask and mode. In access.c. The run loop calls it after
 * every delivery, far branch, IRET, POPF and MOV CR by itself.
 */
void segments_changed(struct cpu *cpu);
/* The same when only this one was loaded: less work for DS, ES, FS and GS. */
void segment_changed(struct cpu *cpu, enum segment_name name);
/* Reads the descriptor; false if the selector is null or past its table's limit. May #PF. Raw 8 bytes. */
bool descriptor_read(struct cpu *cpu, uint16_t selector, uint64_t *raw);
void descriptor_to_segment(uint64_t raw, uint16_t selector, struct segment *segment);

/* ---- task.c ---- */

enum task_switch_cause { TASK_JUMP, TASK_CALL, TASK_RETURN, TASK_GATE };
/* `next` is the EIP saved in the old TSS. With an error code (has_error) it is pushed in the new task. */
void task_switch(struct cpu *cpu, uint16_t selector, uint64_t descriptor, enum task_switch_cause cause,
                 uint64_t next, bool has_error, uint32_t error);
/* The stack for a privilege level out of the current TSS. */
void task_stack(struct cpu *cpu, unsigned level, uint16_t *ss, uint32_t *esp);
/* The same of a 64-bit TSS: RSP0 to RSP2, and IST1 to IST7. */
uint64_t task_stack64(struct cpu *cpu, unsigned level);
uint64_t task_stack_ist(struct cpu *cpu, unsigned ist);
/* May CPL > IOPL (or v86) code use these ports? Checks the TSS bitmap; raises #GP(0) if not. */
void task_check_ports(struct cpu *cpu, uint16_t port, unsigned size);

#endif

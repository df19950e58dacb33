/*
 * A batch: instructions under test and the records of register, flag, memory and FPU contents to run them with. The
 * native side and the guest side fill in the outcomes.
 */
#ifndef TESTS_CPU_BATCH_H
#define TESTS_CPU_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

struct vcpu;
struct memory;

enum { EDI, ESI, EBP, ESP_UNUSED, EBX, EDX, ECX, EAX, REGISTERS }; /* PUSHA's order */

struct outcome {
    uint32_t gpr[REGISTERS]; /* ESP's place holds nothing of interest */
    uint32_t flags, esp;
    uint32_t vector; /* NO_VECTOR: ran through */
    uint32_t eip, error, cr2;
    uint32_t unused[2];
};

enum { X87_SIZE = 108, XMM_SIZE = 0x90 };

struct record {
    uint32_t gpr[REGISTERS];
    uint32_t flags, esp;
    uint32_t code; /* linear address of the instruction */
    uint32_t unused;
    struct outcome out;
    uint8_t memory[SCRATCH_SIZE], memory_out[SCRATCH_SIZE];
    uint8_t x87[X87_SIZE], pad[4]; /* FNSAVE, 32-bit protected mode */
    uint8_t x87_out[X87_SIZE], pad_out[4];
    uint8_t xmm[XMM_SIZE], xmm_out[XMM_SIZE];
};

_Static_assert(offsetof(struct record, out) == RECORD_OUT, "layout.h");
_Static_assert(offsetof(struct record, memory) == RECORD_MEMORY, "layout.h");
_Static_assert(offsetof(struct record, memory_out) == RECORD_MEMORY_OUT, "layout.h");
_Static_assert(offsetof(struct record, x87) == RECORD_X87, "layout.h");
_Static_assert(offsetof(struct record, x87_out) == RECORD_X87_OUT, "layout.h");
_Static_assert(offsetof(struct record, xmm) == RECORD_XMM, "layout.h");
_Static_assert(offsetof(struct record, xmm_out) == RECORD_XMM_OUT, "layout.h");
_Static_assert(sizeof(struct record) == RECORD_SIZE, "layout.h");

enum { RECORDS_MOST = RECORDS_SIZE / RECORD_SIZE };

struct batch {
    uint8_t code[CODE_SIZE];
    unsigned code_used;
    bool x87;
    bool sse;    /* with x87 */
    bool code16; /* the code lies in a 16-bit segment */
    unsigned count;
    struct record *records; /* room for RECORDS_MOST */
};

/* Of harness.S. */
extern const uint8_t harness_start[], harness_after[], harness_faulted[], harness_end[];
extern const uint8_t kernel_start[], kernel_done[], kernel_vectors[], kernel_finish[], kernel_end[];
#define HARNESS_ADDRESS(label) (HARNESS_BASE + (uint32_t)((label)-harness_start))
#define KERNEL_ADDRESS(label)  (KERNEL_BASE + (uint32_t)((label)-kernel_start))

/* Both answer false, with a line on stdout beginning with '#', where this host cannot do it. */
bool native_open(void);
bool native_has_code32(void); /* Linux with IA32 emulation switched off has no such segment */
bool native_has_code16(void);
void native_run(struct batch *batch);
void native_close(void);

bool guest_open(int translate_after); /* as in struct engine_machine */
/* False if the guest did not come to its end; the line that says why is printed. */
bool guest_run(struct batch *batch);
/* For those who run it in their own way. */
struct vcpu *guest_vcpu(void);
struct memory *guest_memory(void);
void guest_close(void);

#endif

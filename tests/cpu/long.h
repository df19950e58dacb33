/*
 * 64-bit code, one instruction a case: every case ends with an exception, INT3's if nothing else comes before. On the
 * host a signal handler starts the next one; on the guest the IDT is empty, and the chain of exceptions tells.
 */
#ifndef TESTS_CPU_LONG_H
#define TESTS_CPU_LONG_H

#include <stdbool.h>

#include "cpu/state.h"
#include "layout.h"

struct long_state {
    uint64_t gpr[GPR_COUNT], rip, flags, cr2; /* RIP: of the instruction that faulted */
    uint32_t vector, error;
    uint8_t memory[SCRATCH_SIZE];
};

struct long_case {
    struct long_state in, native, guest;
    uint64_t undefined; /* flags that are not compared */
    unsigned length;
};

/* `code` is put at CODE_BASE first; both fill in their outcomes. */
void long_run_native(struct long_case *cases, unsigned count, const void *code, unsigned size);
void long_run_guest(struct long_case *cases, unsigned count, const void *code, unsigned size);

#endif

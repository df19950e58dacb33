/*
 * After a triple fault: what happened, told to people, oldest first. Both engines use it. The software CPU knows the
 * chain of exceptions and why each arose; KVM knows the final state only, and then what is wrong there is found by
 * looking at that state and said to be inferred.
 */
#ifndef CPU_AUTOPSY_H
#define CPU_AUTOPSY_H

#include <stdio.h>

#include "core/memory.h"
#include "cpu/state.h"

/* One delivered or attempted exception or interrupt. */
struct exception_record {
    uint8_t vector;
    bool has_error, external, software; /* software: INT n, INT3, INTO */
    uint32_t error;
    uint64_t rip, cs_base, cr2;
    uint16_t cs;
    uint8_t instruction[15], instruction_length; /* bytes at CS:RIP that could be read */
    uint8_t code_bits;                           /* 16, 32 or 64: how to disassemble */
    char why[160]; /* what was wrong, in words: "GDT[2] (0x10) is read-only: type 0, writable bit 41 clear" */
};

/*
 * Prints the chain (records[0] is the oldest), then registers and tables. With count 0 the state is all there is and
 * what its instruction and tables would do is inferred. Machine lock held, vCPU stopped; changes nothing.
 */
void autopsy_print(FILE *out, const struct cpu_state *state, struct memory *memory,
                   const struct exception_record *records, unsigned count);

/* "#GP" and "general protection"; both "interrupt" beyond the exceptions. */
const char *autopsy_vector_mnemonic(unsigned vector);
const char *autopsy_vector_name(unsigned vector);

/* Whoever checks a limit that QEMU's TCG does not check says so with these words in `why`. */
#define AUTOPSY_OUTSIDE_SEGMENT "outside the segment's"
#define AUTOPSY_OUTSIDE_CODE    "outside CS's limit"

#endif

/* What x87.c and x87-state.c share. Bit names from the SDM, volume 1, chapter 8. */
#ifndef SOFT_X87_INTERNAL_H
#define SOFT_X87_INTERNAL_H

#include "cpu/soft/x87.h"

enum status_bits {
    STATUS_IE = 1 << 0, /* invalid operation */
    STATUS_DE = 1 << 1, /* denormal operand */
    STATUS_ZE = 1 << 2, /* division by zero */
    STATUS_OE = 1 << 3, /* overflow */
    STATUS_UE = 1 << 4, /* underflow */
    STATUS_PE = 1 << 5, /* precision */
    STATUS_SF = 1 << 6, /* stack fault */
    STATUS_ES = 1 << 7, /* an unmasked exception waits */
    STATUS_C0 = 1 << 8,
    STATUS_C1 = 1 << 9,
    STATUS_C2 = 1 << 10,
    STATUS_TOP_SHIFT = 11,
    STATUS_C3 = 1 << 14,
    STATUS_B = 1 << 15, /* a copy of ES since the 80387 */
};
enum {
    STATUS_EXCEPTIONS = 0x3f, /* the same bits mask them in the control word */
    STATUS_STICKY = STATUS_EXCEPTIONS | STATUS_SF,
    STATUS_CONDITIONS = STATUS_C0 | STATUS_C1 | STATUS_C2 | STATUS_C3,
    STATUS_TOP = 7 << STATUS_TOP_SHIFT,
    CONTROL_RESERVED_ONE = 1 << 6,
    CONTROL_DEFINED = 0x1f3f,
};

static inline uint8_t *x87_st(struct cpu *cpu, unsigned index)
{
    return cpu->fpu.st[(cpu->fpu.top + index) & 7];
}

static inline bool x87_empty(const struct cpu *cpu, unsigned index)
{
    return !(cpu->fpu.tags >> ((cpu->fpu.top + index) & 7) & 1);
}

/* #NM for every ESC instruction while the FPU is emulated or another task's. */
void x87_available(struct cpu *cpu);
/* #MF, or FERR#, when an unmasked exception waits. */
void x87_raise_pending(struct cpu *cpu);

uint16_t x87_status(const struct cpu *cpu);
/* Sets the status word, ES and B following from exceptions and masks. */
void x87_status_set(struct cpu *cpu, uint16_t status);
void x87_control_set(struct cpu *cpu, uint16_t control);
void x87_initialize(struct cpu *cpu); /* FNINIT */
void x87_clear(struct cpu *cpu);      /* and the registers zero: XRSTOR's initial state */

void x87_environment_store(struct cpu *cpu, enum segment_name segment, uint64_t offset,
                           unsigned operand_size);
void x87_environment_load(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size);
void x87_save(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size);
void x87_restore(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size);

#endif

/*
 * The FPU of the software CPU: x87.c (instructions), x87-state.c (environment, images), x87-host.c (arithmetic).
 *
 * Every function that executes checks #NM and #MF itself and may fault(); nothing is changed before a fault.
 */
#ifndef SOFT_X87_H
#define SOFT_X87_H

#include <stdint.h>

#include "cpu/soft/cpu.h"

/* D8 to DF with a register form (modrm C0 to FF). Answers nothing: FCOMI and friends set EFLAGS in the cpu. */
void x87_register(struct cpu *cpu, uint8_t opcode, uint8_t modrm);
/* D8 to DF with a memory operand; modrm whole, as it stands in the code: it goes into FOP. Operand size 2 or 4 bytes:
 * which format FNSTENV, FLDENV, FNSAVE and FRSTOR have. */
void x87_memory(struct cpu *cpu, uint8_t opcode, uint8_t modrm, enum segment_name segment, uint64_t offset,
                unsigned operand_size);
/* 9B, FWAIT. */
void x87_wait(struct cpu *cpu);

/* After RESET (not FNINIT). */
void x87_reset(struct cpu *cpu); /* this and x87_image_put(): machine lock held */
/* x87, XMM and MXCSR as FXSAVE with REX.W writes them: cpu_state.fx. */
void x87_image_get(const struct cpu *cpu, uint8_t fx[512]);
void x87_image_put(struct cpu *cpu, const uint8_t fx[512]);

#endif

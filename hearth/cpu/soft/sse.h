/*
 * MMX and SSE to SSE4.2 with AES, PCLMULQDQ and SHA, FXSAVE and XSAVE of the software CPU:
 *
 *   decode-sse.c   the opcode maps: which handler
 *   sse-integer.c  XMM registers, integers; sse-float.c: what follows MXCSR; sse-mmx.c: MMX registers
 *   sse-move.c     loads, stores, general registers
 *   sse-state.c    MXCSR and its exceptions, FXSAVE, XSAVE
 *   sse-host.c     what the host can do; instructions with an immediate byte
 *
 * What an instruction computes is left to the same instruction of the host: an instruction that the host has not got
 * the guest has not got either.
 */
#ifndef SOFT_SSE_H
#define SOFT_SSE_H

#include "cpu/soft/op.h"

/* What of these families the host has, as CPUID's leaf 1 ECX and leaf 7 EBX tell it. All hosts have SSE2. */
uint32_t sse_features_1_ecx(void);
uint32_t sse_features_7_ebx(void);

enum xcr0_bits { XCR0_X87 = 1 << 0, XCR0_SSE = 1 << 1 };

/* After RESET: XCR0. (The registers and MXCSR are x87_reset()'s.) */
void sse_reset(struct cpu *cpu);

/*
 * While handlers run, the host's MXCSR may be the guest's (cpu->mxcsr_live), its flags those in the making. This gives
 * the host its own back and makes cpu->mxcsr exact. Whoever computes in floating point on a CPU's thread, or looks at
 * cpu->mxcsr, calls it first.
 */
void sse_settle(struct cpu *cpu);

#endif

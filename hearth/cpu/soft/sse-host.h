/* The host's instructions that cannot stand in a C function: see sse-host.c. */
#ifndef SOFT_SSE_HOST_H
#define SOFT_SSE_HOST_H

#include "cpu/soft/sse-handlers.h"
#include "cpu/soft/sse-internal.h"

#define SSE_DECLARE_CODE(name, size)     extern const uint8_t sse_code_##name[];
#define SSE_DECLARE_MMX_CODE(name, size) extern const uint8_t mmx_code_##name[];
XMM_IMMEDIATE(SSE_DECLARE_CODE)
XMM_FLOAT_IMMEDIATE(SSE_DECLARE_CODE)
XMM_STRINGS(SSE_DECLARE_CODE)
MMX_IMMEDIATE(SSE_DECLARE_MMX_CODE)

/* Runs code that has its operands in MM0 and MM1 and its result in MM0; the host's FPU is empty afterwards. */
uint64_t mmx_host_run(uint64_t destination, uint64_t source, const uint8_t *code);

/* Runs one of the PCMPxSTRx with the two lengths; what it leaves goes to *outcome. */
struct strings_outcome {
    uint64_t flags, ecx;
    vector xmm0;
};
void sse_host_strings(vector destination, vector source, const uint8_t *code, uint64_t eax, uint64_t edx,
                      struct strings_outcome *outcome);

#endif

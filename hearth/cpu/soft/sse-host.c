/*
 * What the host can do, and those of its instructions that have an immediate byte: a C function cannot make one out of a
 * number that it is given, so each stands here 256 times over as `instruction; ret`, CODE_STEP bytes apart. With
 * the operands in XMM0 and XMM1 and the result in XMM0 each is a function of the C calling convention.
 *
 * Source: Intel SDM volume 2, CPUID; System V ABI, AMD64 supplement, 3.2.3.
 */
#include <cpuid.h>

#include "cpu/soft/features.h"
#include "cpu/soft/sse-host.h"

#define CODES(prefix, name, operands)                                                                        \
    ".p2align 3\n"                                                                                           \
    ".globl " #prefix "_code_" #name "\n" #prefix "_code_" #name ":\n"                                       \
    ".set immediate, 0\n"                                                                                    \
    ".rept 256\n"                                                                                            \
    ".p2align 3\n" #name " $immediate, " operands "\n"                                                       \
    "ret\n"                                                                                                  \
    ".set immediate, immediate + 1\n"                                                                        \
    ".endr\n"
#define XMM_CODES(name, size) CODES(sse, name, "%xmm1, %xmm0")
#define MMX_CODES(name, size) CODES(mmx, name, "%mm1, %mm0")

/* clang-format off */
__asm__(
    ".text\n"
    XMM_IMMEDIATE(XMM_CODES)
    XMM_FLOAT_IMMEDIATE(XMM_CODES)
    XMM_STRINGS(XMM_CODES)
    MMX_IMMEDIATE(MMX_CODES)

    ".p2align 4\n"
    ".globl mmx_host_run\n"
    "mmx_host_run:\n"
    "movq %rdi, %mm0\n"
    "movq %rsi, %mm1\n"
    "call *%rdx\n"
    "movq %mm0, %rax\n"
    "emms\n"
    "ret\n"

    ".p2align 4\n"
    ".globl sse_host_strings\n"
    "sse_host_strings:\n"
    "push %rbx\n"
    "mov %rcx, %rbx\n"
    "mov %rsi, %rax\n"
    "call *%rdi\n"
    "pushfq\n"
    "popq (%rbx)\n"
    "mov %rcx, 8(%rbx)\n"
    "movups %xmm0, 16(%rbx)\n"
    "pop %rbx\n"
    "ret\n");
/* clang-format on */

/* ---- features ---- */

uint32_t sse_features_1_ecx(void)
{
    return (__builtin_cpu_supports("sse3") ? FEATURE_SSE3 : 0) |
           (__builtin_cpu_supports("pclmul") ? FEATURE_PCLMULQDQ : 0) |
           (__builtin_cpu_supports("ssse3") ? FEATURE_SSSE3 : 0) |
           (__builtin_cpu_supports("sse4.1") ? FEATURE_SSE41 : 0) |
           (__builtin_cpu_supports("sse4.2") ? FEATURE_SSE42 : 0) |
           (__builtin_cpu_supports("aes") ? FEATURE_AES : 0);
}

uint32_t sse_features_7_ebx(void)
{
    enum { LEAF_EXTENDED_FEATURES = 7 };
    uint32_t eax, ebx = 0, ecx, edx;

    __get_cpuid_count(LEAF_EXTENDED_FEATURES, 0, &eax, &ebx, &ecx, &edx);
    return ebx & FEATURE_SHA;
}

/*
 * Which features CPUID tells of: the one place where each bit is switched on, by whoever makes the engine do it. A bit
 * stands in LEAF..._FEATURES exactly if the instruction or mode behind it works.
 * What a guest sees of them depends on its model: cpu/models.h. Source: AMD64 APM volume 3, appendix E; SDM volume 2, CPUID.
 */
#ifndef SOFT_FEATURES_H
#define SOFT_FEATURES_H

#include "cpu/soft/sse.h"

#define CPUID_BIT(number) (1u << (number))

/* Leaf 1, EDX; those marked (AMD) stand in leaf 80000001h, EDX, too. */
#define FEATURE_FPU   CPUID_BIT(0) /* (AMD) */
#define FEATURE_VME   CPUID_BIT(1) /* (AMD) */
#define FEATURE_DE    CPUID_BIT(2) /* (AMD) */
#define FEATURE_PSE   CPUID_BIT(3) /* (AMD) */
#define FEATURE_TSC   CPUID_BIT(4) /* (AMD) */
#define FEATURE_MSR   CPUID_BIT(5) /* (AMD) */
#define FEATURE_PAE   CPUID_BIT(6) /* (AMD) */
#define FEATURE_MCE   CPUID_BIT(7) /* (AMD) */
#define FEATURE_CX8   CPUID_BIT(8) /* (AMD) */
#define FEATURE_APIC  CPUID_BIT(9) /* (AMD) while lapic_enabled() */
#define FEATURE_SEP   CPUID_BIT(11)
#define FEATURE_MTRR  CPUID_BIT(12) /* (AMD) */
#define FEATURE_PGE   CPUID_BIT(13) /* (AMD) */
#define FEATURE_MCA   CPUID_BIT(14) /* (AMD) */
#define FEATURE_CMOV  CPUID_BIT(15) /* (AMD) */
#define FEATURE_PAT   CPUID_BIT(16) /* (AMD) */
#define FEATURE_PSE36 CPUID_BIT(17) /* (AMD) */
#define FEATURE_CLFSH CPUID_BIT(19)
#define FEATURE_MMX   CPUID_BIT(23) /* (AMD) */
#define FEATURE_FXSR  CPUID_BIT(24) /* (AMD) */
#define FEATURE_SSE   CPUID_BIT(25)
#define FEATURE_SSE2  CPUID_BIT(26)
#define FEATURES_AMD  0x0183f3ffu

#define LEAF1_EDX_FEATURES                                                                                   \
    (FEATURE_SEP | FEATURE_MTRR | FEATURE_CLFSH | FEATURE_FPU | FEATURE_VME | FEATURE_DE | FEATURE_PSE |     \
     FEATURE_TSC | FEATURE_MSR | FEATURE_PAE | FEATURE_CX8 | FEATURE_APIC | FEATURE_PGE | FEATURE_CMOV |     \
     FEATURE_PAT | FEATURE_MMX | FEATURE_FXSR | FEATURE_SSE | FEATURE_SSE2 | FEATURE_MCE | FEATURE_MCA)

/* Leaf 1, ECX. */
#define FEATURE_SSE3       CPUID_BIT(0)
#define FEATURE_PCLMULQDQ  CPUID_BIT(1)
#define FEATURE_SSSE3      CPUID_BIT(9)
#define FEATURE_CX16       CPUID_BIT(13)
#define FEATURE_PCID       CPUID_BIT(17)
#define FEATURE_SSE41      CPUID_BIT(19)
#define FEATURE_SSE42      CPUID_BIT(20)
#define FEATURE_X2APIC     CPUID_BIT(21)
#define FEATURE_MOVBE      CPUID_BIT(22)
#define FEATURE_POPCNT     CPUID_BIT(23)
#define FEATURE_DEADLINE   CPUID_BIT(24) /* the APIC timer's */
#define FEATURE_AES        CPUID_BIT(25)
#define FEATURE_XSAVE      CPUID_BIT(26)
#define FEATURE_OSXSAVE    CPUID_BIT(27) /* CR4.OSXSAVE */
#define FEATURE_RDRAND     CPUID_BIT(30)
#define FEATURE_HYPERVISOR CPUID_BIT(31)

/* With what the host has of SSE3 and later: sse.h. */
#define LEAF1_ECX_FEATURES                                                                                   \
    (FEATURE_X2APIC | FEATURE_DEADLINE | FEATURE_HYPERVISOR | FEATURE_PCID | FEATURE_CX16 | FEATURE_MOVBE |  \
     FEATURE_POPCNT | FEATURE_RDRAND | FEATURE_XSAVE | sse_features_1_ecx())

/* Leaf 6, EAX. */
#define FEATURE_ARAT CPUID_BIT(2) /* the APIC timer runs in HLT too */

#define LEAF6_EAX_FEATURES FEATURE_ARAT

/* Leaf 7, sub-leaf 0, EBX. */
#define FEATURE_FSGSBASE   CPUID_BIT(0)
#define FEATURE_TSC_ADJUST CPUID_BIT(1)
#define FEATURE_BMI1       CPUID_BIT(3)
#define FEATURE_SMEP       CPUID_BIT(7)
#define FEATURE_BMI2       CPUID_BIT(8)
#define FEATURE_ERMS       CPUID_BIT(9)
#define FEATURE_INVPCID    CPUID_BIT(10)
#define FEATURE_RDSEED     CPUID_BIT(18)
#define FEATURE_ADX        CPUID_BIT(19)
#define FEATURE_SMAP       CPUID_BIT(20)
#define FEATURE_SHA        CPUID_BIT(29)

#define LEAF7_EBX_FEATURES                                                                                   \
    (FEATURE_SMEP | FEATURE_SMAP | FEATURE_FSGSBASE | FEATURE_BMI1 | FEATURE_BMI2 | FEATURE_RDSEED |         \
     FEATURE_ADX | FEATURE_TSC_ADJUST | FEATURE_INVPCID)

/* Leaf 7, sub-leaf 0, ECX. */
#define FEATURE_UMIP CPUID_BIT(2)

#define LEAF7_ECX_FEATURES FEATURE_UMIP

/* Leaf 80000001h, ECX and EDX. */
#define FEATURE_LAHF64    CPUID_BIT(0)
#define FEATURE_ABM       CPUID_BIT(5) /* LZCNT */
#define FEATURE_PREFETCHW CPUID_BIT(8)
#define FEATURE_SYSCALL   CPUID_BIT(11)
#define FEATURE_NX        CPUID_BIT(20)
#define FEATURE_PDPE1GB   CPUID_BIT(26)
#define FEATURE_RDTSCP    CPUID_BIT(27)
#define FEATURE_LM        CPUID_BIT(29)

#define LEAF80000001_ECX_FEATURES (FEATURE_LAHF64 | FEATURE_ABM | FEATURE_PREFETCHW)
#define LEAF80000001_EDX_FEATURES                                                                            \
    (FEATURE_SYSCALL | FEATURE_NX | FEATURE_PDPE1GB | FEATURE_RDTSCP | FEATURE_LM)

/* Leaf 0Dh: the bytes of all state components that XCR0 may hold. */
#define XSAVE_SIZE 576u /* legacy area and header */

enum { PHYSICAL_BITS = 40, LINEAR_BITS = 48 };

#endif

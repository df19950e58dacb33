/*
 * The architectural state of one x86 CPU, as both engines, the monitor, the autopsy and later gdb and snapshots see
 * it. Names and layouts follow the Intel SDM volume 3A.
 */
#ifndef CPU_STATE_H
#define CPU_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPR_COUNT };
enum segment_name { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_COUNT };

/* A segment register with its hidden part. The rights are laid out as bytes 5 and 6 of a descriptor (the limit's
 * nibble cleared): type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15; bit 16 marks it unusable (null). */
struct segment {
    uint16_t selector;
    uint32_t rights;
    uint32_t limit; /* in bytes, already scaled by G */
    uint64_t base;
};

enum segment_rights {
    RIGHTS_TYPE = 0xf,
    RIGHTS_ACCESSED = 1 << 0,
    RIGHTS_WRITABLE = 1 << 1,    /* data; for code: readable */
    RIGHTS_EXPAND_DOWN = 1 << 2, /* data; for code: conforming */
    RIGHTS_CODE = 1 << 3,
    RIGHTS_S = 1 << 4, /* 1 code or data, 0 system */
    RIGHTS_DPL_SHIFT = 5,
    RIGHTS_DPL = 3 << 5,
    RIGHTS_PRESENT = 1 << 7,
    RIGHTS_AVL = 1 << 12,
    RIGHTS_L = 1 << 13,
    RIGHTS_DB = 1 << 14,
    RIGHTS_G = 1 << 15,
    RIGHTS_UNUSABLE = 1 << 16,
};

enum cr0_bits {
    CR0_PE = 1 << 0,
    CR0_MP = 1 << 1,
    CR0_EM = 1 << 2,
    CR0_TS = 1 << 3,
    CR0_ET = 1 << 4,
    CR0_NE = 1 << 5,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR0_NW = 1 << 29,
    CR0_CD = 1 << 30,
};
#define CR0_PG 0x80000000u

enum cr4_bits {
    CR4_VME = 1 << 0,
    CR4_PVI = 1 << 1,
    CR4_TSD = 1 << 2,
    CR4_DE = 1 << 3,
    CR4_PSE = 1 << 4,
    CR4_PAE = 1 << 5,
    CR4_MCE = 1 << 6,
    CR4_PGE = 1 << 7,
    CR4_PCE = 1 << 8,
    CR4_OSFXSR = 1 << 9,
    CR4_OSXMMEXCPT = 1 << 10,
    CR4_UMIP = 1 << 11,
    CR4_FSGSBASE = 1 << 16,
    CR4_PCIDE = 1 << 17,
    CR4_OSXSAVE = 1 << 18,
    CR4_SMEP = 1 << 20,
    CR4_SMAP = 1 << 21,
};

enum eflags_bits {
    FLAG_CF = 1 << 0,
    FLAG_1 = 1 << 1,
    FLAG_PF = 1 << 2,
    FLAG_AF = 1 << 4,
    FLAG_ZF = 1 << 6,
    FLAG_SF = 1 << 7,
    FLAG_TF = 1 << 8,
    FLAG_IF = 1 << 9,
    FLAG_DF = 1 << 10,
    FLAG_OF = 1 << 11,
    FLAG_IOPL = 3 << 12,
    FLAG_NT = 1 << 14,
    FLAG_RF = 1 << 16,
    FLAG_VM = 1 << 17,
    FLAG_AC = 1 << 18,
    FLAG_VIF = 1 << 19,
    FLAG_VIP = 1 << 20,
    FLAG_ID = 1 << 21,
};
enum { FLAGS_ARITHMETIC = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF, FLAG_IOPL_SHIFT = 12 };

enum efer_bits { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10, EFER_NXE = 1 << 11 };

enum vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_MC = 18,
    VECTOR_XM = 19,
};

struct table_register {
    uint64_t base;
    uint16_t limit;
};

struct cpu_state {
    uint64_t gpr[GPR_COUNT];
    uint64_t rip, rflags;
    struct segment segment[SEG_COUNT], ldtr, tr;
    struct table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, cr8, efer;
    uint64_t dr[8]; /* 4 and 5 unused */
    bool halted;
    bool a20_closed;                              /* the gate of address line 20; only read */
    bool interrupt_shadow;                        /* the instruction after STI or MOV SS */
    uint8_t fx[512] __attribute__((aligned(16))); /* x87, MMX and SSE state as FXSAVE (64-bit) writes it */
};

#endif

/*
 * A form: one instruction with one kind of operands, written much as in the SDM:
 *
 *   01 /r        bytes in hexadecimal; ModRM with any register and any register or memory operand
 *   /2 /2m /2r   ModRM with 2 in reg; memory operands only; register operands only (also /rm, /rr)
 *   ib iw iz     immediates of 8 and 16 bits, and of the operand size
 *   +r +c        one of eight registers, one of sixteen conditions added to the byte before
 *   ob           the address of the operand (MOV AL,moffs)
 *   jb jz        a branch of 8 bits or operand size over an instruction that leaves a trace
 *
 * It is run with many random operands on both sides; see docs in cases.c for what the needs mean.
 */
#ifndef TESTS_CPU_FORM_H
#define TESTS_CPU_FORM_H

#include "batch.h"
#include "random.h"

enum sizes { BYTE = 1, WORD = 2, DWORD = 4, ANY = WORD | DWORD };

/* Which flags cannot be compared; each row's reason stands in compare.c. */
enum flags_rule {
    EXACT,
    SHIFT,
    ROTATE,
    DOUBLE_SHIFT,
    MULTIPLY,
    DIVIDE,
    BIT_SCAN,
    BIT_TEST,
    BCD_ADJUST,
    BCD_SPLIT,
    BCD_DIVIDE,
    RULES
};

enum needs {
    PLAIN,
    STACK,       /* ESP and EBP in the scratch memory */
    STRING,      /* ESI and EDI in the scratch memory, small ECX, either direction, few different values */
    QUOTIENT,    /* EDX:EAX often small enough not to overflow */
    BIT_OFFSET,  /* the register operand often within the scratch memory's bits */
    EQUAL,       /* EDX:EAX often what is in memory */
    TABLE,       /* EBX: the scratch memory */
    COUNT,       /* ECX small */
    TARGET,      /* the operand is a code address */
    FLAGS_IMAGE, /* STACK, and what POPF takes is no TF */
    SELECTOR,    /* operands often are selectors of this system */
};

struct form {
    const char *name, *code;
    enum sizes sizes;
    enum flags_rule rule;
    enum needs needs;
};

extern const struct form forms[];
extern const unsigned forms_count;

/* A form as it came out: one encoding of it. */
enum { NO_REGISTER = 8 };
struct variant {
    uint32_t code; /* where a record is to go: the instruction, or the jump to its 16-bit segment */
    uint32_t instruction, length;
    unsigned width; /* operand size in bytes */
    bool memory;
    uint8_t modrm_reg, modrm_rm; /* register numbers in ModRM, in encoding order */
    uint8_t base, index;         /* of the address, or NO_REGISTER */
    uint8_t scale;
    uint32_t displacement;
    uint32_t target; /* where a branch goes */
    uint32_t immediate;
    bool has_immediate;
};

/* Appends one encoding to the batch's code. */
void form_encode(const struct form *form, unsigned width, struct random *random, struct batch *batch,
                 struct variant *variant);
/* The same without the jump back, memory operands in the middle of the scratch memory: a piece of a program. */
void form_append(const struct form *form, unsigned width, struct random *random, struct batch *batch);
/* Bytes as they are, followed by the jump back to the loop; answers their address. */
uint32_t code_put(struct batch *batch, const void *bytes, unsigned length);
/* Fills in one record for this variant. */
void case_make(const struct form *form, const struct variant *variant, struct random *random,
               struct record *record);

#endif

/*
 * The host's own x87 at work for the guest: see x87-host.c. All of these leave the host FPU as they found it but for
 * its exception flags, which nothing in hearth looks at (no code here computes in long double).
 */
#ifndef SOFT_X87_HOST_H
#define SOFT_X87_HOST_H

#include <stdint.h>

/* What FXSAVE writes (SDM volume 1, table 10-2); the registers in stack order. */
struct x87_image {
    uint16_t control, status;
    uint8_t tags, reserved; /* tags: bit n set = Rn not empty */
    uint16_t opcode;
    uint64_t ip, dp;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16];
    uint8_t xmm[16][16];
    uint8_t rest[96];
} __attribute__((aligned(16)));

typedef const uint8_t *x87_code;

enum { X87_CODE_SIZE = 4 };
extern const uint8_t x87_register_code[8][64][X87_CODE_SIZE]; /* [opcode - D8][modrm - C0] */
extern const uint8_t x87_memory_code[8][8][X87_CODE_SIZE];    /* [opcode - D8][reg], operand at RSI */

/* Loads the image, runs the code with these EFLAGS, saves the image. Answers EFLAGS. Host state is FNINIT's after. */
uint64_t x87_host_run(struct x87_image *image, void *operand, x87_code code, uint64_t flags);

/*
 * The quick ways, for code that cannot fault: all exceptions masked, no empty operand, no full stack. They run under
 * the host's present control word and answer its status word.
 */
uint16_t x87_host_unary(void *st0, void *operand, x87_code code); /* ST0 in and out */
uint16_t x87_host_binary(void *st0, void *st1, x87_code code);    /* ST0 and ST1 in and out */
uint64_t x87_host_compare(const void *st0, const void *st1,
                          x87_code code); /* and EFLAGS << 16; code pops nothing */
uint16_t x87_host_load(void *st0, const void *operand, x87_code code);  /* code pushes ST0 */
uint16_t x87_host_store(const void *st0, void *operand, x87_code code); /* code pops ST0 */

enum { X87_CONTROL_DEFAULT = 0x37f };

static inline uint16_t x87_host_status(void)
{
    uint16_t status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    return status;
}

static inline void x87_host_clear(void)
{
    __asm__ volatile("fnclex");
}

static inline void x87_host_control(uint16_t control)
{
    __asm__ volatile("fldcw %0" : : "m"(control));
}

#endif

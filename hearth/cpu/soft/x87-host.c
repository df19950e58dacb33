/*
 * x87 instructions executed by the host's x87.
 *
 * Every encoding there is stands here once, as a little subroutine: x87_register_code for the register forms,
 * x87_memory_code for the memory forms with their operand at RSI. The functions below bring the guest's values to
 * where the instruction wants them, call it, and take the results away. So rounding, precision control, NaNs,
 * unnormals and transcendental functions are the silicon's own. Whoever calls keeps to encodings that exist.
 *
 * In assembly as a whole, since the compiler does not know what an instruction does to the register stack, and a
 * call from within an asm statement would overwrite the red zone.
 */
#include "cpu/soft/x87-host.h"

__asm__(
    ".text\n"
    ".p2align 4\n"
    ".globl x87_register_code\n"
    "x87_register_code:\n"
    ".set opcode, 0xd8\n"
    ".rept 8\n"
    ".set modrm, 0xc0\n"
    ".rept 64\n"
    ".byte opcode, modrm, 0xc3, 0x90\n" /* the instruction; ret; nop */
    ".set modrm, modrm + 1\n"
    ".endr\n"
    ".set opcode, opcode + 1\n"
    ".endr\n"

    ".globl x87_memory_code\n"
    "x87_memory_code:\n"
    ".set opcode, 0xd8\n"
    ".rept 8\n"
    ".set modrm, 6\n" /* mod 0, rm 6: [rsi] */
    ".rept 8\n"
    ".byte opcode, modrm, 0xc3, 0x90\n"
    ".set modrm, modrm + 8\n"
    ".endr\n"
    ".set opcode, opcode + 1\n"
    ".endr\n"

    /* FXRSTOR loads MXCSR too: it is given what the host has. FNINIT last: an unmasked exception of the guest's
         * must not be pending in the host. */
    ".p2align 4\n"
    ".globl x87_host_run\n"
    "x87_host_run:\n"
    "stmxcsr 24(%rdi)\n"
    "fxrstor (%rdi)\n"
    "push %rcx\n"
    "popfq\n"
    "call *%rdx\n"
    "pushfq\n"
    "pop %rax\n"
    "fxsave (%rdi)\n"
    "fninit\n"
    "ret\n"

    ".p2align 4\n"
    ".globl x87_host_unary\n"
    "x87_host_unary:\n"
    "fldt (%rdi)\n"
    "call *%rdx\n"
    "fnstsw %ax\n"
    "fstpt (%rdi)\n"
    "ret\n"

    ".p2align 4\n"
    ".globl x87_host_binary\n"
    "x87_host_binary:\n"
    "fldt (%rsi)\n"
    "fldt (%rdi)\n"
    "call *%rdx\n"
    "fnstsw %ax\n"
    "fstpt (%rdi)\n"
    "fstpt (%rsi)\n"
    "ret\n"

    ".p2align 4\n"
    ".globl x87_host_compare\n"
    "x87_host_compare:\n"
    "fldt (%rsi)\n"
    "fldt (%rdi)\n"
    "call *%rdx\n"
    "pushfq\n"
    "pop %rcx\n"
    "fnstsw %ax\n"
    "fstp %st(0)\n"
    "fstp %st(0)\n"
    "movzwl %ax, %eax\n"
    "shl $16, %rcx\n"
    "or %rcx, %rax\n"
    "ret\n"

    ".p2align 4\n"
    ".globl x87_host_load\n"
    "x87_host_load:\n"
    "call *%rdx\n"
    "fnstsw %ax\n"
    "fstpt (%rdi)\n"
    "ret\n"

    ".p2align 4\n"
    ".globl x87_host_store\n"
    "x87_host_store:\n"
    "fldt (%rdi)\n"
    "call *%rdx\n"
    "fnstsw %ax\n"
    "ret\n");

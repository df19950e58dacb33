/*
 * Where everything lies, in the host process (below 4 GiB, for compatibility mode) and in the guest alike: linear
 * addresses and selectors are the same on both sides, so that pointers, pushed return addresses and faulting EIPs can
 * be compared as they are. Read by C and by harness.S.
 */
#ifndef TESTS_CPU_LAYOUT_H
#define TESTS_CPU_LAYOUT_H

/* User pages: [USER_BASE, USER_END), with a hole on both sides of the operands for page faults. */
#define HARNESS_BASE  0x00200000 /* the loop */
#define CODE_BASE     0x00204000 /* instructions under test */
#define CODE_SIZE     0x00018000
#define CONTROL_BASE  0x00220000 /* the loop's variables */
#define OPERANDS_BASE 0x00230000 /* holes below and above */
#define OPERANDS_SIZE 0x00004000
#define SCRATCH       0x00231000 /* the 64 bytes that every record sets and saves */
#define SCRATCH_SIZE  64
#define STACK_BASE    0x00240000
#define STACK_SIZE    0x00002000
#define STACK_TOP     0x00241000 /* ESP of every case */
#define RECORDS_BASE  0x00280000
#define RECORDS_SIZE  0x00180000

/* The guest's kernel: supervisor pages. */
#define KERNEL_BASE  0x00100000
#define KERNEL_IDT   0x00101000
#define KERNEL_GDT   0x00102000
#define KERNEL_TSS   0x00103000
#define KERNEL_LDT   0x00104000
#define KERNEL_STACK 0x00106000 /* its top */
#define KERNEL_PAGES 0x00108000 /* page directory, then the page table */

#define DONE_PORT  0xf4
#define DONE_GATE  0x30
#define PANIC_PORT 0xf5

/* Linux's selectors; the guest's GDT has the same. */
#define USER_CODE    0x23
#define USER_DATA    0x2b
#define USER_CODE64  0x33 /* of the host only */
#define KERNEL_CODE  0x08
#define KERNEL_DATA  0x10
#define TSS_SELECTOR 0x40
#define LDT_SELECTOR 0x48
#define CODE16       0x07 /* LDT[0], 16-bit code over CODE_BASE */

/* Offsets in CONTROL_BASE. */
#define CONTROL_CURRENT 0x00 /* the record under way */
#define CONTROL_END     0x04
#define CONTROL_X87     0x08 /* not 0: load and save the FPU; 2: XMM registers and MXCSR too */
#define CONTROL_TARGET  0x0c /* address of the code of this case */
#define CONTROL_ESP     0x10
#define CONTROL_DONE    0x14 /* where to go in the end */
#define CONTROL_SAVE    0x40 /* struct outcome, up to and with `cr2` */
#define CONTROL_STACK   0x800

/* struct outcome: PUSHA's order, then */
#define SAVE_FLAGS  0x20
#define SAVE_ESP    0x24
#define SAVE_VECTOR 0x28
#define SAVE_EIP    0x2c
#define SAVE_ERROR  0x30
#define SAVE_CR2    0x34
#define SAVE_SIZE   0x38

/* struct record */
#define RECORD_IN         0x000 /* PUSHA's order, then EFLAGS, ESP, code */
#define RECORD_FLAGS      0x020
#define RECORD_ESP        0x024
#define RECORD_CODE       0x028
#define RECORD_OUT        0x030 /* struct outcome */
#define RECORD_MEMORY     0x070
#define RECORD_MEMORY_OUT 0x0b0
#define RECORD_X87        0x0f0
#define RECORD_X87_OUT    0x160
#define RECORD_XMM        0x1d0 /* XMM0 to XMM7, MXCSR */
#define RECORD_XMM_OUT    0x260
#define RECORD_SIZE       0x2f0
#define XMM_MXCSR         0x80

#define NO_VECTOR 0xff

#endif

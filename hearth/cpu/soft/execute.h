/*
 * The handlers, as the decoder finds them: tables by operation, operand width (0 to 3 for 8, 16, 32 and 64 bits) and
 * form of the operands. Form suffix `_FLAT`: a memory operand in a flat segment, no checks needed.
 */
#ifndef SOFT_EXECUTE_H
#define SOFT_EXECUTE_H

#include "cpu/soft/op.h"

enum { WIDTHS = 4 };

/* base: first operand or address; reg: the other one. */
enum binary_form {
    FORM_RR, /* base op= reg */
    FORM_RI, /* base op= immediate */
    FORM_RM, /* reg op= memory */
    FORM_MR, /* memory op= reg */
    FORM_MI, /* memory op= immediate */
    FORM_RM_FLAT,
    FORM_MR_FLAT,
    FORM_MI_FLAT,
    FORM_MR_LOCKED, /* with LOCK, while several CPUs run at a time; not of CMP, TEST and MOV */
    FORM_MI_LOCKED,
    BINARY_FORMS,
};
enum { FORM_TO_FLAT = FORM_RM_FLAT - FORM_RM, FORM_TO_LOCKED = FORM_MR_LOCKED - FORM_MR };

/* In the order of the opcodes 00 to 3F, then what looks alike. */
enum binary { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, MOV, BINARIES };
extern op_function *const binary_handlers[BINARIES][WIDTHS][BINARY_FORMS];

/* base or memory alone; LOCKed: INC, DEC, NOT and NEG. */
enum unary_form { UNARY_R, UNARY_M, UNARY_M_FLAT, UNARY_M_LOCKED, UNARY_FORMS };
enum unary { INC, DEC, NOT, NEG, MUL, IMUL, DIV, IDIV, UNARIES };
extern op_function *const unary_handlers[UNARIES][WIDTHS][UNARY_FORMS];

/* ModRM.reg of the shift group; the count is immediate or CL (reg then names CL). */
enum shift { ROL, ROR, RCL, RCR, SHL, SHR, SAL, SAR, SHIFTS };
enum shift_form { SHIFT_RI, SHIFT_RC, SHIFT_MI, SHIFT_MC, SHIFT_FORMS };
extern op_function *const shift_handlers[SHIFTS][WIDTHS][SHIFT_FORMS];

/* Handlers for register and memory operand, by width; LOCKed: BTS, BTR, BTC, XCHG, XADD and CMPXCHG. */
enum operand_form { OPERAND_R, OPERAND_M, OPERAND_M_LOCKED, OPERAND_FORMS };
typedef op_function *const operand_table[WIDTHS][OPERAND_FORMS];
extern operand_table imul_two, imul_three; /* reg, r/m; reg, r/m, immediate */
extern operand_table shld_immediate, shld_cl, shrd_immediate, shrd_cl;
extern operand_table bt_register[4], bt_immediate[4]; /* BT BTS BTR BTC */
extern operand_table bsf, bsr, popcnt, tzcnt, lzcnt, xchg, xadd, cmpxchg, movbe_load, movbe_store;
extern operand_table adcx, adox;
/* BMI: the place of VEX.vvvv's register is in op->immediate. */
extern operand_table andn, bextr, bzhi, mulx, pdep, pext, rorx, sarx, shlx, shrx, blsr, blsmsk, blsi;
extern operand_table move_zero_8, move_zero_16, move_sign_8, move_sign_16,
    move_sign_32; /* to reg from r/m of 8, 16 or 32 bits */
extern op_function *const move_zero_8_flat[WIDTHS], *const move_zero_16_flat[WIDTHS];
extern op_function *const conditional_move[16][WIDTHS][OPERAND_FORMS];
extern op_function *const set_condition[16][OPERAND_FORMS];

/* By operand size, 16, 32 and 64 bits: index 0 to 2. */
enum { SIZES = 3 };
typedef op_function *const size_table[SIZES];
enum stack_form { STACK_ANY, STACK_FLAT, STACK_FORMS };
typedef op_function *const stack_table[SIZES][STACK_FORMS];
extern stack_table push_register, push_immediate, pop_register, call_near, return_near;
extern size_table push_memory, pop_memory, push_segment, pop_segment, push_all, pop_all, enter_frame,
    leave_frame;
extern size_table push_flags, pop_flags;
extern size_table jump_near, jump_register, jump_memory, call_register, call_memory, return_release;
extern size_table jump_far, jump_far_memory, call_far, call_far_memory, return_far, interrupt_return_op;
extern size_table loop_always, loop_equal, loop_not_equal, jump_cx_zero;

/* What is known about the flags where a conditional jump stands. */
enum flags_known { KNOWN_NOTHING, KNOWN_SUB, KNOWN_LOGIC, KNOWNS };
extern op_function *const jump_condition[16][KNOWNS][SIZES];

/* Strings: by width, then 0 plain, 1 REP or REPE, 2 REPNE. */
extern op_function *const string_move[WIDTHS][3], *const string_store[WIDTHS][3],
                                                      *const string_load[WIDTHS][3];
extern op_function *const string_compare[WIDTHS][3], *const string_scan[WIDTHS][3];
extern op_function *const string_in[WIDTHS][3], *const string_out[WIDTHS][3];
/* Ports: immediate port number, or DX. */
extern op_function *const port_in[WIDTHS][2], *const port_out[WIDTHS][2];

/* The rest, one of a kind. Names end in the operand size where there are two. */
/* clang-format off */
#define SINGLE_HANDLERS(X) \
    X(turn) X(continue) X(undefined) X(too_long) X(nop) X(lea_16) X(lea_32) X(lea_64) X(bswap) X(bswap_16) X(bswap_64) \
    X(cmpxchg8b) X(cmpxchg16b) X(cmpxchg8b_locked) X(cmpxchg16b_locked) X(mov_immediate_64) X(xlat) X(salc) X(sahf) X(lahf) X(clc) X(stc) X(cmc) X(cld) X(std) X(cbw) X(cwde) \
    X(cwd) X(cdq) X(cdqe) X(cqo) X(aaa) X(aas) X(aam) X(aad) X(daa) X(das) X(bound_16) X(bound_32) X(int) X(int3) \
    X(int1) X(into) X(hlt) X(cli) X(sti) X(pause) X(mov_segment_register) X(mov_segment_memory) \
    X(mov_register_segment) X(mov_memory_segment) X(load_far_16) X(load_far_32) X(load_far_64) X(group6_register) \
    X(group6_memory) X(group7_register) X(group7_memory) X(lar_register) X(lar_memory) \
    X(lsl_register) X(lsl_memory) X(arpl_register) X(arpl_memory) X(clts) X(invd) X(wbinvd) \
    X(mov_to_cr) X(mov_from_cr) X(mov_to_dr) X(mov_from_dr) X(wrmsr) X(rdmsr) X(rdtsc) X(rdpmc) \
    X(cpuid) X(x87_register) X(x87_memory) X(fwait) \
    X(syscall) X(sysret) X(sysenter) X(sysexit) X(swapgs) X(rdtscp) X(read_base) X(write_base) X(random) \
    X(clflush) X(stac) X(clac) X(invpcid) X(hypercall)
/* clang-format on */

#define DECLARE_HANDLER(name) op_function op_##name;
SINGLE_HANDLERS(DECLARE_HANDLER)

#endif

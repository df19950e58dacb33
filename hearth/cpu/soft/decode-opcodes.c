/*
 * The opcode maps: which handler an instruction gets, by opcode, operand width and form of its operands.
 * Source: SDM volume 2, appendix A.
 */
#include "cpu/soft/decode.h"
#include "cpu/soft/sse.h"

/* ---- helpers that choose among forms ---- */

static op_function *operand_handler(const struct decoder *d, op_function *const table[WIDTHS][OPERAND_FORMS],
                                    unsigned width)
{
    return table[width][!d->memory ? OPERAND_R : d->locked ? OPERAND_M_LOCKED : OPERAND_M];
}

static op_function *binary_handler(const struct decoder *d, enum binary kind, unsigned width,
                                   enum binary_form form)
{
    if (d->locked)
        return binary_handlers[kind][width][form + FORM_TO_LOCKED];
    return binary_handlers[kind][width][form + (d->flat && form >= FORM_RM ? FORM_TO_FLAT : 0)];
}

static void flags_follow(struct decoder *d, enum binary kind)
{
    if (kind == SUB || kind == CMP)
        d->known_next = KNOWN_SUB;
    else if (kind == OR || kind == AND || kind == XOR || kind == TEST)
        d->known_next = KNOWN_LOGIC;
    else if (kind == MOV)
        d->known_next = d->known;
}

/* The flat handlers of 16 bits keep the stack pointer within 32 bits. */
static unsigned stack_form(const struct decoder *d)
{
    return d->stack_flat && !(d->code64 && d->stack == 0) ? STACK_FLAT : STACK_ANY;
}

/* ModRM.rm and ModRM.reg; `to_reg` says which one is written. */
static op_function *binary_modrm(struct decoder *d, enum binary kind, unsigned width, bool to_reg)
{
    decode_modrm_register(d, width);
    flags_follow(d, kind);
    if (d->memory)
        return binary_handler(d, kind, width, to_reg ? FORM_RM : FORM_MR);
    if (to_reg) {
        uint8_t swap = d->op->base;

        d->op->base = d->op->reg;
        d->op->reg = swap;
    }
    return binary_handlers[kind][width][FORM_RR];
}

static op_function *binary_immediate(struct decoder *d, enum binary kind, unsigned width)
{
    decode_modrm(d, width);
    d->op->immediate = decode_immediate_signed(d);
    flags_follow(d, kind);
    if (d->memory)
        return binary_handler(d, kind, width, FORM_MI);
    return binary_handlers[kind][width][FORM_RI];
}

static op_function *binary_accumulator(struct decoder *d, enum binary kind, unsigned width)
{
    d->op->base = RAX * 8;
    d->op->immediate = decode_immediate_signed(d);
    flags_follow(d, kind);
    return binary_handlers[kind][width][FORM_RI];
}

static op_function *unary_modrm(struct decoder *d, enum unary kind, unsigned width)
{
    decode_modrm(d, width);
    return unary_handlers[kind][width][!d->memory  ? UNARY_R
                                       : d->locked ? UNARY_M_LOCKED
                                       : d->flat   ? UNARY_M_FLAT
                                                   : UNARY_M];
}

static op_function *shift_modrm(struct decoder *d, unsigned width, bool by_cl, bool by_one)
{
    decode_modrm(d, width);
    if (by_one)
        d->op->immediate = 1;
    else if (!by_cl)
        decode_immediate(d);
    return shift_handlers[d->in.raw.modrm.reg][width][(d->memory ? SHIFT_MI : SHIFT_RI) + by_cl];
}

static op_function *ends(struct decoder *d, op_function *handler)
{
    d->ends = true;
    return handler;
}

static op_function *branch(struct decoder *d, op_function *handler)
{
    int64_t taken = (int64_t)d->op->offset + d->op->length + (int32_t)decode_immediate_signed(d);

    /* In 64-bit code the sum may be out of 32 bits. */
    d->op->immediate = d->code64 ? decode_immediate_signed(d) : taken;
    d->op->displacement = d->op->offset + d->op->length;
    d->op->scale = d->address;
    decode_links(d, taken);
    return ends(d, handler);
}

static op_function *far_pointer(struct decoder *d, op_function *handler)
{
    decode_immediate(d);
    d->op->displacement = d->in.raw.imm[1].value.u;
    return ends(d, handler);
}

/* Ports have no more than 32 bits. */
static unsigned port_width(const struct decoder *d)
{
    return d->width < 2 ? d->width : 2;
}

static op_function *string_handler(struct decoder *d, op_function *const table[WIDTHS][3], unsigned width)
{
    d->op->segment = decode_segment(d, SEG_DS);
    return table[width][d->repeat];
}

/* A register or memory operand handed to the system instructions as it stands in ModRM. */
static op_function *system_modrm(struct decoder *d, op_function *in_register, op_function *in_memory)
{
    decode_modrm_register(d, d->width);
    d->op->scale = d->memory ? d->op->scale : 0;
    d->op->immediate = d->in.raw.modrm.reg | 2u << d->wide << 8 | d->modrm_rm << 16;
    return d->memory ? in_memory : in_register;
}

/* MOV to and from CR and DR: always 64 bits in 64-bit code, and REX reaches CR8. */
static op_function *control_move(struct decoder *d, op_function *handler)
{
    decode_modrm(d, d->width);
    d->op->immediate = d->modrm_reg | (d->code64 ? 8u : 4u) << 8 | d->modrm_rm << 16;
    return handler;
}

static op_function *segment_move(struct decoder *d, bool to_segment)
{
    decode_modrm(d, to_segment ? 1 : d->width);
    d->op->reg = d->in.raw.modrm.reg;
    d->op->immediate = d->wide;
    if (d->op->reg >= SEG_COUNT || (to_segment && d->op->reg == SEG_CS))
        return ends(d, op_undefined);
    if (to_segment)
        return d->memory ? op_mov_segment_memory : op_mov_segment_register;
    return d->memory ? op_mov_memory_segment : op_mov_register_segment;
}

static op_function *far_load(struct decoder *d, enum segment_name name)
{
    static op_function *const handlers[SIZES] = {op_load_far_16, op_load_far_32, op_load_far_64};

    decode_modrm_register(d, d->width);
    if (!d->memory)
        return ends(d, op_undefined);
    d->op->immediate = name;
    return handlers[d->wide];
}

static op_function *pop_segment_name(struct decoder *d, enum segment_name name)
{
    d->op->reg = name;
    return pop_segment[d->stack];
}

static op_function *push_segment_name(struct decoder *d, enum segment_name name)
{
    d->op->reg = name;
    return push_segment[d->stack];
}

static op_function *x87(struct decoder *d)
{
    decode_modrm(d, d->width);
    d->op->immediate = d->in.opcode |
                       (uint32_t)(d->in.raw.modrm.mod << 6 | d->in.raw.modrm.reg << 3 | d->in.raw.modrm.rm)
                           << 8 |
                       (d->wide ? 4u : 2u) << 16;
    return d->memory ? op_x87_memory : op_x87_register;
}

/* ---- the one-byte opcodes ---- */

static op_function *group_3(struct decoder *d, unsigned width)
{
    static const enum unary kinds[8] = {0, 0, NOT, NEG, MUL, IMUL, DIV, IDIV};
    unsigned which = d->in.raw.modrm.reg;

    if (which < 2)
        return binary_immediate(d, TEST, width);
    if (which == 3)
        d->known_next = KNOWN_SUB;
    return unary_modrm(d, kinds[which], width);
}

static op_function *group_5(struct decoder *d)
{
    unsigned which = d->in.raw.modrm.reg;

    if (which < 2)
        return unary_modrm(d, which == 0 ? INC : DEC, d->width);
    decode_modrm(d, d->width);
    switch (which) {
    case 2: return ends(d, d->memory ? call_memory[d->near] : call_register[d->near]);
    case 3: return ends(d, d->memory ? call_far_memory[d->wide] : op_undefined);
    case 4: return ends(d, d->memory ? jump_memory[d->near] : jump_register[d->near]);
    case 5: return ends(d, d->memory ? jump_far_memory[d->wide] : op_undefined);
    case 6:
        if (d->memory)
            return push_memory[d->stack];
        return push_register[d->stack][stack_form(d)];
    default: return ends(d, op_undefined);
    }
}

/* In 64-bit code the offset has 64 bits: the mask picks it out of an address of all ones. */
static op_function *moffs(struct decoder *d, bool to_memory, unsigned width)
{
    d->op->base = d->op->index = NO_REGISTER;
    d->op->displacement = d->code64 ? -1 : d->in.raw.disp.value;
    if (d->code64)
        d->op->mask &= d->in.raw.disp.value;
    d->op->segment = decode_segment(d, SEG_DS);
    d->op->reg = RAX * 8;
    decode_flatness(d);
    d->known_next = d->known;
    return binary_handler(d, MOV, width, to_memory ? FORM_MR : FORM_RM);
}

static op_function *load_address(struct decoder *d)
{
    decode_modrm_register(d, d->width);
    d->known_next = d->known;
    if (!d->memory)
        return ends(d, op_undefined);
    return d->wide == 0 ? op_lea_16 : d->wide == 2 || d->address == 1 ? op_lea_64 : op_lea_32;
}

/* 00 to 3F but for prefixes. */
static op_function *opcodes_00(struct decoder *d, uint8_t opcode)
{
    enum binary kind = opcode >> 3;
    unsigned width = opcode & 1 ? d->width : WIDTH_8;

    switch (opcode & 7) {
    case 0:
    case 1: return binary_modrm(d, kind, width, false);
    case 2:
    case 3: return binary_modrm(d, kind, width, true);
    case 4:
    case 5: return binary_accumulator(d, kind, width);
    default: break;
    }
    switch (opcode) {
    case 0x06:
    case 0x0e:
    case 0x16:
    case 0x1e: return push_segment_name(d, opcode >> 3);
    case 0x07:
    case 0x17:
    case 0x1f: return pop_segment_name(d, opcode >> 3);
    case 0x27: return op_daa;
    case 0x2f: return op_das;
    case 0x37: return op_aaa;
    case 0x3f: return op_aas;
    default: return ends(d, op_undefined);
    }
}

/* MOVSXD */
static op_function *move_sign_extended(struct decoder *d)
{
    if (d->width < 3)
        return binary_modrm(d, MOV, d->width, true);
    decode_modrm_register(d, d->width);
    d->known_next = d->known;
    return operand_handler(d, move_sign_32, d->width);
}

/* 40 to 7F */
static op_function *opcodes_40(struct decoder *d, uint8_t opcode)
{
    unsigned number = opcode & 7;

    if (opcode >= 0x70)
        return branch(d, jump_condition[opcode & 15][d->known][d->near]);
    if (opcode < 0x60) {
        d->op->base = decode_register(d, number | d->high_base, d->width);
        if (opcode < 0x50)
            return unary_handlers[opcode < 0x48 ? INC : DEC][d->width][UNARY_R];
        d->known_next = d->known;
        return opcode < 0x58 ? push_register[d->stack][stack_form(d)] : pop_register[d->stack][stack_form(d)];
    }
    switch (opcode) {
    case 0x60: return push_all[d->wide];
    case 0x61: return pop_all[d->wide];
    case 0x62: decode_modrm_register(d, d->width); return d->wide ? op_bound_32 : op_bound_16;
    case 0x63:
        if (d->code64)
            return move_sign_extended(d);
        return ends(d, system_modrm(d, op_arpl_register, op_arpl_memory));
    case 0x68:
    case 0x6a:
        d->op->immediate = decode_immediate_signed(d);
        d->known_next = d->known;
        return push_immediate[d->stack][stack_form(d)];
    case 0x69:
    case 0x6b:
        decode_modrm_register(d, d->width);
        d->op->immediate = decode_immediate_signed(d);
        return operand_handler(d, imul_three, d->width);
    case 0x6c: return string_handler(d, string_in, WIDTH_8);
    case 0x6d: return string_handler(d, string_in, port_width(d));
    case 0x6e: return string_handler(d, string_out, WIDTH_8);
    case 0x6f: return string_handler(d, string_out, port_width(d));
    default: return ends(d, op_undefined);
    }
}

/* 80 to BF */
static op_function *opcodes_80(struct decoder *d, uint8_t opcode)
{
    unsigned width = opcode & 1 ? d->width : WIDTH_8;

    if (opcode >= 0xb0) {
        width = opcode >= 0xb8 ? d->width : WIDTH_8;
        d->op->base = decode_register(d, (opcode & 7) | d->high_base, width);
        d->op->immediate = decode_immediate_signed(d);
        d->known_next = d->known;
        if (width == 3) {
            d->op->mask = d->in.raw.imm[0].value.u;
            return op_mov_immediate_64;
        }
        return binary_handlers[MOV][width][FORM_RI];
    }
    if (opcode == 0x90 && !d->high_base)
        return d->repeat == 1 ? op_pause : op_nop;
    if (opcode >= 0x90 && opcode < 0x98) {
        d->op->base = decode_register(d, (opcode & 7) | d->high_base, d->width);
        d->op->reg = RAX * 8;
        return xchg[d->width][OPERAND_R];
    }
    switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x82: return binary_immediate(d, d->in.raw.modrm.reg, opcode == 0x81 ? d->width : WIDTH_8);
    case 0x83: return binary_immediate(d, d->in.raw.modrm.reg, d->width);
    case 0x84:
    case 0x85: return binary_modrm(d, TEST, width, false);
    case 0x86:
    case 0x87:
        decode_modrm_register(d, width);
        d->locked = d->block->mode & MODE_ATOMIC; /* with or without the prefix */
        return operand_handler(d, xchg, width);
    case 0x88:
    case 0x89: return binary_modrm(d, MOV, width, false);
    case 0x8a:
    case 0x8b: return binary_modrm(d, MOV, width, true);
    case 0x8c: return segment_move(d, false);
    case 0x8d: return load_address(d);
    case 0x8e: return segment_move(d, true);
    case 0x8f:
        decode_modrm(d, d->width);
        return d->memory ? pop_memory[d->stack] : pop_register[d->stack][stack_form(d)];
    case 0x98: return d->wide == 2 ? op_cdqe : d->wide ? op_cwde : op_cbw;
    case 0x99: return d->wide == 2 ? op_cqo : d->wide ? op_cdq : op_cwd;
    case 0x9a: return far_pointer(d, call_far[d->wide]);
    case 0x9b: return op_fwait;
    case 0x9c: return push_flags[d->stack];
    case 0x9d: return ends(d, pop_flags[d->stack]);
    case 0x9e: return op_sahf;
    case 0x9f: return op_lahf;
    case 0xa0:
    case 0xa1: return moffs(d, false, width);
    case 0xa2:
    case 0xa3: return moffs(d, true, width);
    case 0xa4:
    case 0xa5: return string_handler(d, string_move, width);
    case 0xa6:
    case 0xa7: return string_handler(d, string_compare, width);
    case 0xa8:
    case 0xa9: return binary_accumulator(d, TEST, width);
    case 0xaa:
    case 0xab: return string_handler(d, string_store, width);
    case 0xac:
    case 0xad: return string_handler(d, string_load, width);
    case 0xae:
    case 0xaf: return string_handler(d, string_scan, width);
    default: return ends(d, op_undefined);
    }
}

/* C0 to FF */
static op_function *opcodes_c0(struct decoder *d, uint8_t opcode)
{
    unsigned width = opcode & 1 ? d->width : WIDTH_8;

    decode_immediate(d);
    switch (opcode) {
    case 0xc0:
    case 0xc1: return shift_modrm(d, width, false, false);
    case 0xc2: return ends(d, return_release[d->near]);
    case 0xc3: return ends(d, return_near[d->near][d->stack_flat]);
    case 0xc4: return far_load(d, SEG_ES);
    case 0xc5: return far_load(d, SEG_DS);
    case 0xc6:
    case 0xc7: return d->in.raw.modrm.reg ? ends(d, op_undefined) : binary_immediate(d, MOV, width);
    case 0xc8: d->op->displacement = d->in.raw.imm[1].value.u; return enter_frame[d->stack];
    case 0xc9: return leave_frame[d->stack];
    case 0xca: return ends(d, return_far[d->wide]);
    case 0xcb: d->op->immediate = 0; return ends(d, return_far[d->wide]);
    case 0xcc: return ends(d, op_int3);
    case 0xcd: return ends(d, op_int);
    case 0xce: return op_into;
    case 0xcf: return ends(d, interrupt_return_op[d->wide]);
    case 0xd0:
    case 0xd1: return shift_modrm(d, width, false, true);
    case 0xd2:
    case 0xd3: return shift_modrm(d, width, true, false);
    case 0xd4: return op_aam;
    case 0xd5: return op_aad;
    case 0xd6: return op_salc;
    case 0xd7: d->op->segment = decode_segment(d, SEG_DS); return op_xlat;
    case 0xe0: return branch(d, loop_not_equal[d->near]);
    case 0xe1: return branch(d, loop_equal[d->near]);
    case 0xe2: return branch(d, loop_always[d->near]);
    case 0xe3: return branch(d, jump_cx_zero[d->near]);
    case 0xe4:
    case 0xe5: return port_in[width < 3 ? width : 2][0];
    case 0xe6:
    case 0xe7: return port_out[width < 3 ? width : 2][0];
    case 0xe8: return branch(d, call_near[d->near][d->stack_flat]);
    case 0xe9:
    case 0xeb: return branch(d, jump_near[d->near]);
    case 0xea: return far_pointer(d, jump_far[d->wide]);
    case 0xec:
    case 0xed: return port_in[width < 3 ? width : 2][1];
    case 0xee:
    case 0xef: return port_out[width < 3 ? width : 2][1];
    case 0xf1: return ends(d, op_int1);
    case 0xf4: return ends(d, op_hlt);
    case 0xf5: return op_cmc;
    case 0xf6:
    case 0xf7: return group_3(d, width);
    case 0xf8: return op_clc;
    case 0xf9: return op_stc;
    case 0xfa: return op_cli;
    case 0xfb: return ends(d, op_sti);
    case 0xfc: return op_cld;
    case 0xfd: return op_std;
    case 0xfe:
        return d->in.raw.modrm.reg > 1 ? ends(d, op_undefined)
                                       : unary_modrm(d, d->in.raw.modrm.reg ? DEC : INC, WIDTH_8);
    case 0xff: return group_5(d);
    default: return opcode >= 0xd8 && opcode <= 0xdf ? x87(d) : ends(d, op_undefined);
    }
}

/* ---- the two-byte opcodes ---- */

static op_function *group_9(struct decoder *d)
{
    unsigned which = d->in.raw.modrm.reg;

    decode_modrm(d, d->width);
    if (which == 1 && d->memory && d->locked)
        return d->rex_w ? op_cmpxchg16b_locked : op_cmpxchg8b_locked;
    if (which == 1 && d->memory)
        return d->rex_w ? op_cmpxchg16b : op_cmpxchg8b;
    d->op->scale = d->memory ? 0 : 2u << d->wide;
    return which >= 6 && !d->memory && !d->repeat ? op_random : ends(d, op_undefined);
}

/* What hides in 0F 01 behind the forms with a register that don't exist: SWAPGS, RDTSCP, CLAC, STAC, and VMCALL
 * and VMMCALL. */
static op_function *group_7(struct decoder *d)
{
    static const struct {
        uint8_t modrm;
        op_function *handler;
    } hidden[] = {{0xf8, op_swapgs}, {0xf9, op_rdtscp},    {0xca, op_clac},
                  {0xcb, op_stac},   {0xc1, op_hypercall}, {0xd9, op_hypercall}};
    uint8_t modrm = d->in.raw.modrm.mod << 6 | d->in.raw.modrm.reg << 3 | d->in.raw.modrm.rm;

    for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (hidden[i].modrm == modrm)
            return hidden[i].handler;
    return system_modrm(d, op_group7_register, op_group7_memory);
}

static op_function *group_15(struct decoder *d)
{
    unsigned which = d->in.raw.modrm.reg;

    decode_modrm(d, d->width);
    if (d->memory)
        return which == 7 || (which == 6 && d->size66) ? op_clflush : ends(d, op_undefined);
    if (which < 4 && d->repeat == 1 && d->code64) {
        d->op->reg = which & 1 ? SEG_GS : SEG_FS;
        d->op->scale = d->rex_w ? 8 : 4;
        return which < 2 ? op_read_base : ends(d, op_write_base);
    }
    return which >= 5 && !d->repeat ? op_nop : ends(d, op_undefined); /* LFENCE MFENCE SFENCE */
}

/* 0F 00 to 0F 3F: the system's */
static op_function *opcodes_0f_00(struct decoder *d, uint8_t opcode)
{
    switch (opcode) {
    case 0x00: return ends(d, system_modrm(d, op_group6_register, op_group6_memory));
    case 0x01: return ends(d, group_7(d));
    case 0x02: return system_modrm(d, op_lar_register, op_lar_memory);
    case 0x03: return system_modrm(d, op_lsl_register, op_lsl_memory);
    case 0x05: return ends(d, op_syscall);
    case 0x06: return ends(d, op_clts);
    case 0x07: d->op->immediate = 2u << d->wide; return ends(d, op_sysret);
    case 0x08: return ends(d, op_invd);
    case 0x09: return ends(d, op_wbinvd);
    case 0x0d: return d->in.raw.modrm.mod == 3 ? ends(d, op_undefined) : op_nop;
    case 0x20: return control_move(d, op_mov_from_cr);
    case 0x21: return control_move(d, op_mov_from_dr);
    case 0x22: return ends(d, control_move(d, op_mov_to_cr));
    case 0x23: return ends(d, control_move(d, op_mov_to_dr));
    case 0x30: return ends(d, op_wrmsr);
    case 0x31: return op_rdtsc;
    case 0x32: return op_rdmsr;
    case 0x33: return op_rdpmc;
    case 0x34: return ends(d, op_sysenter);
    case 0x35: d->op->immediate = 2u << d->wide; return ends(d, op_sysexit);
    default: return opcode >= 0x18 && opcode <= 0x1f ? op_nop : ends(d, op_undefined);
    }
}

/* 0F 80 to 0F FF */
static op_function *opcodes_0f_80(struct decoder *d, uint8_t opcode)
{
    unsigned low = opcode & 15;

    decode_immediate(d);
    if (opcode < 0x90)
        return branch(d, jump_condition[low][d->known][d->near]);
    if (opcode < 0xa0) {
        decode_modrm(d, WIDTH_8);
        d->known_next = d->known;
        return set_condition[low][d->memory];
    }
    if (opcode >= 0xc8 && opcode <= 0xcf) {
        d->op->base = decode_register(d, (opcode & 7) | d->high_base, 2);
        return d->wide == 2 ? op_bswap_64 : d->wide ? op_bswap : op_bswap_16;
    }
    switch (opcode) {
    case 0xa0: return push_segment_name(d, SEG_FS);
    case 0xa1: return pop_segment_name(d, SEG_FS);
    case 0xa2: return op_cpuid;
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xbb:
        decode_modrm_register(d, d->width);
        return operand_handler(d, bt_register[opcode >> 3 & 3], d->width);
    case 0xa4: decode_modrm_register(d, d->width); return operand_handler(d, shld_immediate, d->width);
    case 0xa5: decode_modrm_register(d, d->width); return operand_handler(d, shld_cl, d->width);
    case 0xa8: return push_segment_name(d, SEG_GS);
    case 0xa9: return pop_segment_name(d, SEG_GS);
    case 0xac: decode_modrm_register(d, d->width); return operand_handler(d, shrd_immediate, d->width);
    case 0xad: decode_modrm_register(d, d->width); return operand_handler(d, shrd_cl, d->width);
    case 0xae: return group_15(d);
    case 0xaf: decode_modrm_register(d, d->width); return operand_handler(d, imul_two, d->width);
    case 0xb0: decode_modrm_register(d, WIDTH_8); return operand_handler(d, cmpxchg, WIDTH_8);
    case 0xb1: decode_modrm_register(d, d->width); return operand_handler(d, cmpxchg, d->width);
    case 0xb2: return far_load(d, SEG_SS);
    case 0xb4: return far_load(d, SEG_FS);
    case 0xb5: return far_load(d, SEG_GS);
    case 0xba:
        decode_modrm(d, d->width);
        return d->in.raw.modrm.reg < 4 ? ends(d, op_undefined)
                                       : operand_handler(d, bt_immediate[d->in.raw.modrm.reg & 3], d->width);
    case 0xb8:
        decode_modrm_register(d, d->width);
        return d->repeat == 1 ? operand_handler(d, popcnt, d->width) : ends(d, op_undefined);
    case 0xbc:
        decode_modrm_register(d, d->width);
        return operand_handler(d, d->repeat == 1 ? tzcnt : bsf, d->width);
    case 0xbd:
        decode_modrm_register(d, d->width);
        return operand_handler(d, d->repeat == 1 ? lzcnt : bsr, d->width);
    case 0xc0: decode_modrm_register(d, WIDTH_8); return operand_handler(d, xadd, WIDTH_8);
    case 0xc1: decode_modrm_register(d, d->width); return operand_handler(d, xadd, d->width);
    case 0xc7: return group_9(d);
    default: return ends(d, op_undefined);
    }
}

/* MOVZX and MOVSX: the register operand's width is that of the source. */
static op_function *extension(struct decoder *d, uint8_t opcode)
{
    unsigned from = opcode & 1 ? 1 : WIDTH_8;
    bool is_signed = opcode >= 0xbe;

    decode_modrm(d, from);
    d->op->reg = decode_register(d, d->modrm_reg, d->width);
    d->known_next = d->known;
    if (d->flat && d->memory && d->wide && !is_signed)
        return from ? move_zero_16_flat[d->width] : move_zero_8_flat[d->width];
    if (is_signed)
        return operand_handler(d, from ? move_sign_16 : move_sign_8, d->width);
    return operand_handler(d, from ? move_zero_16 : move_zero_8, d->width);
}

static op_function *opcodes_0f(struct decoder *d, uint8_t opcode)
{
    if (opcode < 0x40)
        return opcodes_0f_00(d, opcode);
    if (opcode < 0x50) {
        decode_modrm_register(d, d->width);
        d->known_next = d->known;
        return conditional_move[opcode & 15][d->width][d->memory];
    }
    if (opcode < 0x80)
        return ends(d, op_undefined);
    if (opcode == 0xb6 || opcode == 0xb7 || opcode == 0xbe || opcode == 0xbf)
        return extension(d, opcode);
    return opcodes_0f_80(d, opcode);
}

op_function *decode_handler(struct decoder *d)
{
    uint8_t opcode = d->in.opcode;

    if (d->in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return decode_extension(d);
    if (d->in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT) {
        op_function *sse = sse_decode(d);

        if (sse)
            return sse;
        return d->in.opcode_map == ZYDIS_OPCODE_MAP_0F ? opcodes_0f(d, opcode) : decode_extension(d);
    }
    return opcode < 0x40   ? opcodes_00(d, opcode)
           : opcode < 0x80 ? opcodes_40(d, opcode)
           : opcode < 0xc0 ? opcodes_80(d, opcode)
                           : opcodes_c0(d, opcode);
}

/*
 * The FPU's state and its images in memory: FNSTENV, FLDENV, FNSAVE, FRSTOR in their four formats (real and
 * protected, 16 and 32 bits), and the FXSAVE image of cpu_state.
 *
 * FIP, FDP and FOP follow every instruction that is not a control instruction, as on the Pentium Pro; later
 * processors have dropped FCS and FDS, and some update FDP and FOP at unmasked exceptions only.
 *
 * Source: Intel SDM volume 1, sections 8.1.8 to 8.1.10, figures 8-9 to 8-12, and 10.5.1.
 */
#include <string.h>

#include "cpu/soft/access.h"
#include "cpu/soft/device.h"
#include "cpu/soft/soft.h"
#include "cpu/soft/x87-host.h"
#include "cpu/soft/x87-internal.h"

enum { ENVIRONMENT_WORDS = 7, REGISTER_BYTES = 10, SAVE_BYTES_MOST = 28 + 8 * REGISTER_BYTES };
enum tag { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };
enum { FOP_MASK = 0x7ff, FOP_SHIFT = 16, ADDRESS_HIGH_SHIFT = 12 };
enum { MXCSR_RESET = 0x1f80, MXCSR_MASK = 0xffff };
#define UPPER_ONES 0xffff0000u

void x87_available(struct cpu *cpu)
{
    if (cpu->cr0 & (CR0_EM | CR0_TS))
        fault(cpu, VECTOR_NM);
}

/* Machine lock held. */
static void ferr_set_locked(struct cpu *cpu, bool level)
{
    const struct engine_machine *machine = cpu->machine;

    if (cpu->fpu.ferr != level && machine->float_error)
        machine->float_error(machine->opaque, level);
    cpu->fpu.ferr = level;
}

static void ferr_set(struct cpu *cpu, bool level)
{
    if (cpu->fpu.ferr == level)
        return;
    cpu_lock(cpu);
    ferr_set_locked(cpu, level);
    cpu_unlock(cpu);
}

/* With CR0.NE clear the PC answers FERR# with IRQ 13, and its handler with IGNNE#: then the instruction goes on. */
void x87_raise_pending(struct cpu *cpu)
{
    if (!(cpu->fpu.status & STATUS_ES))
        return;
    if (cpu->cr0 & CR0_NE)
        fault(cpu, VECTOR_MF);
    ferr_set(cpu, true);
    if (cpu->machine->float_error && !atomic_load(&cpu->soft->ignne))
        instruction_wait(cpu);
}

void x87_wait(struct cpu *cpu)
{
    if ((cpu->cr0 & CR0_MP) && (cpu->cr0 & CR0_TS))
        fault(cpu, VECTOR_NM);
    x87_raise_pending(cpu);
}

uint16_t x87_status(const struct cpu *cpu)
{
    return cpu->fpu.status | cpu->fpu.top << STATUS_TOP_SHIFT;
}

void x87_status_set(struct cpu *cpu, uint16_t status)
{
    status &= ~(STATUS_TOP | STATUS_ES | STATUS_B);
    if (status & ~cpu->fpu.control & STATUS_EXCEPTIONS)
        status |= STATUS_ES | STATUS_B;
    else
        ferr_set(cpu, false);
    cpu->fpu.status = status;
}

void x87_control_set(struct cpu *cpu, uint16_t control)
{
    cpu->fpu.control = (control & CONTROL_DEFINED) | CONTROL_RESERVED_ONE;
    x87_status_set(cpu, cpu->fpu.status);
}

void x87_initialize(struct cpu *cpu)
{
    cpu->fpu.top = cpu->fpu.tags = 0;
    cpu->fpu.opcode = cpu->fpu.cs = cpu->fpu.ds = 0;
    cpu->fpu.ip = cpu->fpu.dp = 0;
    cpu->fpu.status = 0;
    x87_control_set(cpu, X87_CONTROL_DEFAULT);
}

void x87_clear(struct cpu *cpu)
{
    x87_initialize(cpu);
    memset(cpu->fpu.st, 0, sizeof cpu->fpu.st);
}

void x87_reset(struct cpu *cpu)
{
    ferr_set_locked(cpu, false);
    x87_clear(cpu);
    x87_control_set(cpu, CONTROL_RESERVED_ONE);
    cpu->fpu.tags = 0xff;
    memset(cpu->xmm, 0, sizeof cpu->xmm);
    cpu->mxcsr = MXCSR_RESET;
}

/* ---- FNSTENV and its kin ---- */

static enum tag tag_of(const uint8_t *number)
{
    uint64_t significand;
    uint16_t exponent;
    memcpy(&significand, number, 8);
    memcpy(&exponent, number + 8, 2);
    exponent &= 0x7fff;
    if (exponent == 0)
        return significand ? TAG_SPECIAL : TAG_ZERO;
    return exponent == 0x7fff || !(significand >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static uint16_t tag_word(const struct cpu *cpu)
{
    uint16_t word = 0;
    for (unsigned i = 0; i < 8; i++)
        word |= (cpu->fpu.tags >> i & 1 ? tag_of(cpu->fpu.st[i]) : TAG_EMPTY) << 2 * i;
    return word;
}

/* The seven words of an environment, each 16 or 32 bits wide in memory. */
static void environment_make(const struct cpu *cpu, uint32_t word[ENVIRONMENT_WORDS])
{
    word[0] = UPPER_ONES | cpu->fpu.control;
    word[1] = UPPER_ONES | x87_status(cpu);
    word[2] = UPPER_ONES | tag_word(cpu);
    if (in_protected_mode(cpu)) {
        word[3] = cpu->fpu.ip;
        word[4] = (uint32_t)cpu->fpu.opcode << FOP_SHIFT | cpu->fpu.cs;
        word[5] = cpu->fpu.dp;
        word[6] = UPPER_ONES | cpu->fpu.ds;
    } else {
        uint32_t ip = cpu->fpu.ip + (cpu->fpu.cs << 4), dp = cpu->fpu.dp + (cpu->fpu.ds << 4);
        word[3] = UPPER_ONES | ip;
        word[4] = ip >> 16 << ADDRESS_HIGH_SHIFT | cpu->fpu.opcode;
        word[5] = UPPER_ONES | dp;
        word[6] = dp >> 16 << ADDRESS_HIGH_SHIFT;
    }
}

/* Into memory order; answers the size. */
static unsigned environment_pack(const uint32_t word[ENVIRONMENT_WORDS], unsigned operand_size,
                                 uint8_t *bytes)
{
    for (unsigned i = 0; i < ENVIRONMENT_WORDS; i++)
        memcpy(bytes + i * operand_size, &word[i], operand_size);
    return ENVIRONMENT_WORDS * operand_size;
}

static unsigned environment_take(struct cpu *cpu, const uint8_t *bytes, unsigned operand_size)
{
    uint32_t word[ENVIRONMENT_WORDS] = {0};
    for (unsigned i = 0; i < ENVIRONMENT_WORDS; i++)
        memcpy(&word[i], bytes + i * operand_size, operand_size);

    cpu->fpu.tags = 0;
    for (unsigned i = 0; i < 8; i++)
        cpu->fpu.tags |= (word[2] >> 2 * i & 3) != TAG_EMPTY ? 1 << i : 0;
    cpu->fpu.top = (word[1] & STATUS_TOP) >> STATUS_TOP_SHIFT;
    cpu->fpu.status = word[1];
    x87_control_set(cpu, word[0]);

    if (in_protected_mode(cpu)) {
        cpu->fpu.ip = word[3];
        cpu->fpu.cs = word[4];
        if (operand_size == 4)
            cpu->fpu.opcode = word[4] >> FOP_SHIFT & FOP_MASK;
        cpu->fpu.dp = word[5];
        cpu->fpu.ds = word[6];
    } else {
        cpu->fpu.ip = (uint16_t)word[3] | word[4] >> ADDRESS_HIGH_SHIFT << 16;
        cpu->fpu.dp = (uint16_t)word[5] | word[6] >> ADDRESS_HIGH_SHIFT << 16;
        cpu->fpu.opcode = word[4] & FOP_MASK;
        cpu->fpu.cs = cpu->fpu.ds = 0;
    }
    return ENVIRONMENT_WORDS * operand_size;
}

void x87_environment_store(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size)
{
    uint32_t word[ENVIRONMENT_WORDS];
    uint8_t bytes[SAVE_BYTES_MOST];
    environment_make(cpu, word);
    unsigned size = environment_pack(word, operand_size, bytes);
    store_bytes(cpu, segment, offset, bytes, size);
    x87_control_set(cpu, cpu->fpu.control | STATUS_EXCEPTIONS);
}

void x87_environment_load(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size)
{
    uint8_t bytes[SAVE_BYTES_MOST];
    load_bytes(cpu, segment, offset, bytes, ENVIRONMENT_WORDS * operand_size);
    environment_take(cpu, bytes, operand_size);
}

void x87_save(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size)
{
    uint32_t word[ENVIRONMENT_WORDS];
    uint8_t bytes[SAVE_BYTES_MOST];
    environment_make(cpu, word);
    unsigned size = environment_pack(word, operand_size, bytes);
    for (unsigned i = 0; i < 8; i++, size += REGISTER_BYTES)
        memcpy(bytes + size, x87_st(cpu, i), REGISTER_BYTES);
    store_bytes(cpu, segment, offset, bytes, size);
    x87_initialize(cpu);
}

void x87_restore(struct cpu *cpu, enum segment_name segment, uint64_t offset, unsigned operand_size)
{
    uint8_t bytes[SAVE_BYTES_MOST];
    load_bytes(cpu, segment, offset, bytes, ENVIRONMENT_WORDS * operand_size + 8 * REGISTER_BYTES);
    unsigned at = environment_take(cpu, bytes, operand_size);
    for (unsigned i = 0; i < 8; i++, at += REGISTER_BYTES)
        memcpy(x87_st(cpu, i), bytes + at, REGISTER_BYTES);
}

/* ---- cpu_state.fx ---- */

void x87_image_get(const struct cpu *cpu, uint8_t fx[512])
{
    struct x87_image image = {
        .control = cpu->fpu.control,
        .status = x87_status(cpu),
        .tags = cpu->fpu.tags,
        .opcode = cpu->fpu.opcode,
        .ip = cpu->fpu.ip,
        .dp = cpu->fpu.dp,
        .mxcsr = cpu->mxcsr,
        .mxcsr_mask = MXCSR_MASK,
    };
    for (unsigned i = 0; i < 8; i++)
        memcpy(image.st[i], cpu->fpu.st[(cpu->fpu.top + i) & 7], REGISTER_BYTES);
    memcpy(image.xmm, cpu->xmm, sizeof image.xmm);
    memcpy(fx, &image, sizeof image);
}

void x87_image_put(struct cpu *cpu, const uint8_t fx[512])
{
    struct x87_image image;
    memcpy(&image, fx, sizeof image);
    ferr_set_locked(cpu, false);
    cpu->fpu.top = (image.status & STATUS_TOP) >> STATUS_TOP_SHIFT;
    cpu->fpu.tags = image.tags;
    cpu->fpu.opcode = image.opcode & FOP_MASK;
    cpu->fpu.ip = image.ip;
    cpu->fpu.dp = image.dp;
    cpu->fpu.status = image.status;
    x87_control_set(cpu, image.control);
    for (unsigned i = 0; i < 8; i++)
        memcpy(x87_st(cpu, i), image.st[i], REGISTER_BYTES);
    memcpy(cpu->xmm, image.xmm, sizeof cpu->xmm);
    cpu->mxcsr = image.mxcsr & MXCSR_MASK;
}

/*
 * Random bytes as instructions: do both sides find an instruction there, of the same length and effect? Every one is
 * followed by INT3, so that EIP tells the length. Arithmetic flags are not compared, since most of what comes up
 * leaves some undefined.
 *
 * Zydis sorts out what the host must not run (system calls, far transfers, loads of segment registers), what no two
 * machines answer alike (CPUID, RDTSC, the descriptor tables) and what came after the Pentium Pro.
 */
#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "checker.h"
#include "cpu/state.h"

enum { LONGEST = 15, TRAPS = 16, ROUNDS = 12, PRINTED = 6, INT3 = 0xcc, LINUX_GATE = 0x80 };

static bool isa_known(ZydisISASet set)
{
    switch (set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I286PROTECTED:
    case ZYDIS_ISA_SET_I386:
    case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
    case ZYDIS_ISA_SET_PENTIUMREAL:
    case ZYDIS_ISA_SET_PPRO:
    case ZYDIS_ISA_SET_CMOV:
    case ZYDIS_ISA_SET_FCMOV:
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_X87: return true;
    default: return false;
    }
}

static bool mnemonic_left_out(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_SGDT:
    case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_STR:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_SHLD: /* results undefined for some counts */
    case ZYDIS_MNEMONIC_SHRD:
    case ZYDIS_MNEMONIC_CMPSB: /* which operand faults first */
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_FNSTENV: /* the pointers */
    case ZYDIS_MNEMONIC_FNSAVE:
    case ZYDIS_MNEMONIC_INT1: return true;
    default: return false;
    }
}

static bool category_left_out(ZydisInstructionCategory category)
{
    switch (category) {
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET: return true;
    default: return false;
    }
}

static bool loads_segment(const ZydisDecodedInstruction *instruction, const ZydisDecodedOperand *operands)
{
    return instruction->operand_count && operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operands[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

/* May both sides run it? *length: how much of the bytes to take. */
static bool fit(const ZydisDecoder *decoder, const uint8_t *bytes, unsigned *length)
{
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes, LONGEST, &instruction, operands)))
        return false;
    *length = instruction.length;
    if (instruction.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS))
        return false;
    if (instruction.mnemonic == ZYDIS_MNEMONIC_INT &&
        (bytes[instruction.length - 1] == LINUX_GATE || bytes[instruction.length - 1] == DONE_GATE))
        return false;
    return isa_known(instruction.meta.isa_set) && !category_left_out(instruction.meta.category) &&
           !mnemonic_left_out(instruction.mnemonic) && !loads_segment(&instruction, operands);
}

/* Prefixes, then an opcode of one or two bytes, ModRM, and whatever. */
static void bytes_make(struct random *random, uint8_t bytes[LONGEST])
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26};
    unsigned at = 0;

    while (at < 4 && random_below(random, 3) == 0)
        bytes[at++] = prefixes[random_below(random, sizeof prefixes)];
    if (random_below(random, 3) == 0)
        bytes[at++] = 0x0f;
    while (at < LONGEST)
        bytes[at++] = random_next(random);
}

static void record_make(struct random *random, struct record *record, uint32_t code)
{
    static const uint32_t fpu[] = {0x37f, 0, 0xffff}; /* control, status, tags: as FNINIT leaves them */

    memset(record, 0, sizeof *record);
    for (unsigned i = 0; i < REGISTERS; i++) {
        record->gpr[i] = random_value(random);
        if (random_below(random, 2)) /* a pointer, or nowhere near anything mapped */
            record->gpr[i] = SCRATCH + random_below(random, SCRATCH_SIZE - 8);
        else
            record->gpr[i] |= record->gpr[i] > 0xffff ? 0x40000000 : 0;
    }
    record->flags = FLAG_1 | (random_next(random) & FLAGS_ARITHMETIC);
    record->esp = SCRATCH + SCRATCH_SIZE / 2;
    record->code = code;
    memcpy(record->x87, &fpu, sizeof fpu);
    for (unsigned at = 0; at < SCRATCH_SIZE; at += 4) {
        uint32_t value = random_value(random) & ~(FLAG_TF | FLAG_AC);
        memcpy(record->memory + at, &value, sizeof value);
    }
}

/* An operand that wraps around at 4 GiB: "may or may not cause the indicated exceptions" (SDM volume 3A, 5.3). */
static bool wraps(const struct outcome *paged, const struct outcome *limited)
{
    return paged->vector == VECTOR_PF && paged->cr2 >= -(uint32_t)X87_SIZE &&
           (limited->vector == VECTOR_GP || limited->vector == VECTOR_SS);
}

static bool excused(const struct outcome *native, const struct outcome *guest)
{
    return wraps(native, guest) || wraps(guest, native);
}

/* Answers how many differed. */
static unsigned round_check(struct checker *checker, const ZydisDecoder *decoder, unsigned printed)
{
    struct batch *batch = &checker->batch;
    uint8_t bytes[LONGEST], traps[TRAPS];
    unsigned differences = 0, length;

    memset(traps, INT3, sizeof traps);
    batch->code_used = batch->count = 0;
    batch->x87 = true;
    while (batch->count < checker->cases && batch->code_used + LONGEST + TRAPS + 8 < CODE_SIZE) {
        bytes_make(&checker->random, bytes);
        if (!fit(decoder, bytes, &length))
            continue;
        memcpy(batch->code + batch->code_used, bytes, length);
        record_make(&checker->random, &checker->native[batch->count++], CODE_BASE + batch->code_used);
        batch->code_used += length;
        code_put(batch, traps, sizeof traps);
    }
    if (!checker_run(checker))
        return batch->count;
    for (unsigned i = 0; i < batch->count; i++)
        if (!excused(&checker->native[i].out, &checker->guest[i].out) &&
            !record_agrees(&checker->native[i], &checker->guest[i], FLAGS_ARITHMETIC, true,
                           batch->code + (checker->native[i].code - CODE_BASE), LONGEST,
                           printed + differences < PRINTED))
            differences++;
    return differences;
}

void fuzz_tests(struct checker *checker)
{
    ZydisDecoder decoder;
    unsigned cases = 0, differences = 0;

    if (!checker_begin(checker, "random encodings"))
        return;
#ifdef __SANITIZE_ADDRESS__
    printf("# random encodings: skipped, the address sanitizer has its own memory below 4 GiB\n");
    return;
#endif
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    for (unsigned i = 0; i < ROUNDS; i++) {
        differences += round_check(checker, &decoder, differences);
        cases += checker->batch.count;
    }
    checker_end(checker, "random encodings", cases, differences);
}

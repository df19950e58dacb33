/*
 * 64-bit code: for every opcode random encodings (REX or VEX, ModRM, SIB, RIP-relative and moffs addresses, prefixes
 * 66, 67, F2, F3, LOCK), with operands led to the scratch memory where there is a register to do it with.
 *
 * Zydis says which flags an instruction leaves undefined, and sorts out what no two machines answer alike. Near
 * branches lead into the INT3s behind the instruction.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "checker.h"
#include "long.h"

enum { LONGEST = 15, SLOT = 96, CASES = 400, TRIES = 40, PRINTED = 2, INT3 = 0xcc };
enum map { MAP_ONE, MAP_0F, MAP_0F38, MAP_VEX_0F38, MAP_VEX_0F3A, MAPS };
static const char *const map_names[MAPS] = {"", "0f ", "0f 38 ", "vex 0f 38 ", "vex 0f 3a "};

struct maker {
    struct random *random;
    ZydisDecoder decoder;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t bytes[SLOT];
};

static uint64_t random_wide(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0: return random_value(random);
    case 1: return (int64_t)(int32_t)random_value(random);
    case 2: return (uint64_t)random_value(random) << 32 | random_value(random);
    default: return (1ull << random_below(random, 64)) + random_below(random, 3) - 1;
    }
}

/* ---- which instructions ---- */

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
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_LONGMODE:
    case ZYDIS_ISA_SET_CMPXCHG16B:
    case ZYDIS_ISA_SET_POPCNT:
    case ZYDIS_ISA_SET_LZCNT:
    case ZYDIS_ISA_SET_MOVBE:
    case ZYDIS_ISA_SET_ADOX_ADCX:
    case ZYDIS_ISA_SET_BMI1:
    case ZYDIS_ISA_SET_BMI2:
    case ZYDIS_ISA_SET_PREFETCH_NOP:
    case ZYDIS_ISA_SET_CLFSH: return true;
    default: return false;
    }
}

static bool left_out(const ZydisDecodedInstruction *instruction)
{
    switch (instruction->mnemonic) {
    case ZYDIS_MNEMONIC_CPUID:
    case ZYDIS_MNEMONIC_RDTSC:
    case ZYDIS_MNEMONIC_RDPMC:
    case ZYDIS_MNEMONIC_SGDT:
    case ZYDIS_MNEMONIC_SIDT:
    case ZYDIS_MNEMONIC_SLDT:
    case ZYDIS_MNEMONIC_STR:
    case ZYDIS_MNEMONIC_SMSW:
    case ZYDIS_MNEMONIC_LAR: /* the host's descriptors */
    case ZYDIS_MNEMONIC_LSL:
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS:
    case ZYDIS_MNEMONIC_INT: /* the host's gates */
    case ZYDIS_MNEMONIC_INT1:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
    case ZYDIS_MNEMONIC_CMPSB: /* which operand faults first */
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSD:
    case ZYDIS_MNEMONIC_CMPSQ: return true;
    default: break;
    }
    switch (instruction->meta.category) {
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_IO: /* the host's ports may be open to root */
    case ZYDIS_CATEGORY_IOSTRINGOP: return true;
    default: return instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
    }
}

static bool touches_segment(const struct maker *maker)
{
    for (unsigned i = 0; i < maker->instruction.operand_count; i++)
        if (maker->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            ZydisRegisterGetClass(maker->operands[i].reg.value) == ZYDIS_REGCLASS_SEGMENT)
            return true;
    return false;
}

/* A near branch of 16 bits: AMD cuts RIP, Intel ignores the prefix. REP before LOOPE: AMD takes it for the condition. */
static bool vendors_differ(const ZydisDecodedInstruction *instruction)
{
    if (instruction->mnemonic == ZYDIS_MNEMONIC_LOOPE || instruction->mnemonic == ZYDIS_MNEMONIC_LOOPNE)
        for (unsigned i = 0; i < instruction->raw.prefix_count; i++)
            if ((instruction->raw.prefixes[i].value & 0xfe) == 0xf2)
                return true;
    return instruction->meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
           (instruction->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE);
}

/* SHLD and SHRD of 16 bits by more: the result is undefined. */
static bool result_undefined(const ZydisDecodedInstruction *instruction)
{
    return (instruction->mnemonic == ZYDIS_MNEMONIC_SHLD || instruction->mnemonic == ZYDIS_MNEMONIC_SHRD) &&
           instruction->operand_width == 16;
}

static bool fit(struct maker *maker)
{
    const ZydisDecodedInstruction *in = &maker->instruction;

    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&maker->decoder, maker->bytes, LONGEST, &maker->instruction,
                                               maker->operands)) &&
           !(in->attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS)) &&
           isa_known(in->meta.isa_set) && !left_out(in) && !touches_segment(maker) && !vendors_differ(in) &&
           !result_undefined(in);
}

/* ---- encodings ---- */

static unsigned prefixes_put(struct maker *maker, unsigned at)
{
    static const uint8_t prefixes[] = {0x66, 0x66, 0x67, 0xf3, 0xf2, 0xf0, 0x2e};

    while (at < 3 && random_below(maker->random, 4) == 0)
        maker->bytes[at++] = prefixes[random_below(maker->random, sizeof prefixes)];
    return at;
}

static unsigned vex_put(struct maker *maker, unsigned at, unsigned field)
{
    maker->bytes[at++] = 0xc4;
    maker->bytes[at++] = (random_next(maker->random) & 0xe0) | field;
    maker->bytes[at++] = random_next(maker->random) & 0xfb; /* L clear */
    return at;
}

static void bytes_make(struct maker *maker, enum map map, uint8_t opcode)
{
    unsigned at = 0;

    memset(maker->bytes, INT3, SLOT);
    if (map >= MAP_VEX_0F38) {
        at = vex_put(maker, at, map == MAP_VEX_0F38 ? 2 : 3);
    } else {
        at = prefixes_put(maker, at);
        if (random_below(maker->random, 3))
            maker->bytes[at++] = 0x40 | random_below(maker->random, 16);
        if (map != MAP_ONE)
            maker->bytes[at++] = 0x0f;
        if (map == MAP_0F38)
            maker->bytes[at++] = 0x38;
    }
    maker->bytes[at++] = opcode;
    while (at < LONGEST)
        maker->bytes[at++] = random_value(maker->random);
}

/* Direct branches go a few bytes on; absolute and RIP-relative operands lie in the scratch memory. */
static void fields_bend(struct maker *maker, uint64_t address)
{
    const ZydisDecodedInstruction *in = &maker->instruction;
    uint64_t place = SCRATCH + random_below(maker->random, SCRATCH_SIZE - 8);
    int32_t delta = place - (address + in->length);

    if (in->raw.imm[0].is_relative) {
        memset(maker->bytes + in->raw.imm[0].offset, 0, in->raw.imm[0].size / 8);
        maker->bytes[in->raw.imm[0].offset] = random_below(maker->random, 48);
    } else if (in->raw.disp.size == 64) {
        memcpy(maker->bytes + in->raw.disp.offset, &place, sizeof place);
    } else if (in->raw.disp.size == 32 && in->raw.modrm.mod == 0 && in->raw.modrm.rm == 5) {
        memcpy(maker->bytes + in->raw.disp.offset, &delta, sizeof delta);
    } else if (in->raw.disp.size == 32 && in->address_width == 32 && in->raw.modrm.mod == 0) {
        memcpy(maker->bytes + in->raw.disp.offset, &place, 4);
    }
    /* An ENTER that faults has written its frame, and what the host makes of that differs: little room, no fault. */
    if (in->mnemonic == ZYDIS_MNEMONIC_ENTER)
        maker->bytes[in->raw.imm[0].offset + 1] = 0;
    memset(maker->bytes + in->length, INT3, SLOT - in->length);
}

/* ---- operands ---- */

static int gpr_number(ZydisRegister reg)
{
    reg = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    return reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15 ? (int)(reg - ZYDIS_REGISTER_RAX) : -1;
}

static void registers_fill(struct maker *maker, struct long_state *in)
{
    for (int i = 0; i < GPR_COUNT; i++)
        in->gpr[i] = random_wide(maker->random);
    for (unsigned at = 0; at < SCRATCH_SIZE; at += 8) {
        uint64_t value = random_wide(maker->random) & ~(uint64_t)(FLAG_TF | FLAG_AC | FLAG_NT);
        memcpy(in->memory + at, &value, sizeof value);
    }
    in->gpr[RSP] = SCRATCH + SCRATCH_SIZE / 2;
    in->flags = FLAG_1 | FLAG_IF | (random_next(maker->random) & FLAGS_ARITHMETIC);
    if (random_below(maker->random, 8) == 0)
        in->flags |= FLAG_DF;
}

/* What the instruction takes for granted: small counts, pointers, quotients that fit. */
static void registers_bend(struct maker *maker, struct long_state *in)
{
    const ZydisDecodedInstruction *instruction = &maker->instruction;
    struct random *random = maker->random;

    switch (instruction->mnemonic) {
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        if (random_below(random, 4))
            in->gpr[RDX] = random_below(random, 2) ? 0 : (int64_t)in->gpr[RAX] >> 63;
        break;
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        if (random_below(random, 2)) {
            memset(in->memory, 0, SCRATCH_SIZE);
            in->gpr[RAX] = in->gpr[RDX] = 0;
        }
        break;
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_LEAVE: in->gpr[RBP] = SCRATCH + 16; break; /* below what ENTER writes */
    case ZYDIS_MNEMONIC_XLAT: in->gpr[RBX] = SCRATCH; break;
    default: break;
    }
    if (instruction->meta.category == ZYDIS_CATEGORY_STRINGOP) {
        in->gpr[RSI] = SCRATCH + 8 + random_below(random, 40);
        in->gpr[RDI] = SCRATCH + 8 + random_below(random, 40);
        in->gpr[RCX] = random_below(random, 6);
    }
}

static bool is_bit_test(const ZydisDecodedInstruction *instruction)
{
    return instruction->meta.category == ZYDIS_CATEGORY_BITBYTE &&
           (instruction->mnemonic == ZYDIS_MNEMONIC_BT || instruction->mnemonic == ZYDIS_MNEMONIC_BTS ||
            instruction->mnemonic == ZYDIS_MNEMONIC_BTR || instruction->mnemonic == ZYDIS_MNEMONIC_BTC);
}

/* Points the memory operand to the scratch memory, if one register can do that. */
static void operand_lead(struct maker *maker, struct long_state *in)
{
    for (unsigned i = 0; i < maker->instruction.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &maker->operands[i];
        uint64_t place = SCRATCH + random_below(maker->random, SCRATCH_SIZE / 2), rest;
        int base, index;

        if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || operand->mem.type == ZYDIS_MEMOP_TYPE_MIB)
            continue;
        if (maker->instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
            (maker->instruction.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B && random_below(maker->random, 8)))
            place &= ~15ull;
        base = gpr_number(operand->mem.base);
        index = gpr_number(operand->mem.index);
        rest = operand->mem.disp.value;
        if (base < 0 || base == RSP || base == index || random_below(maker->random, 32) == 0)
            continue;
        if (index >= 0)
            rest += (maker->instruction.address_width == 32 ? (uint32_t)in->gpr[index] : in->gpr[index]) *
                    operand->mem.scale;
        in->gpr[base] = place - rest;
        if (is_bit_test(&maker->instruction)) {
            int number = gpr_number(maker->operands[1].reg.value);
            if (maker->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER && number != base && number != index &&
                number != RSP)
                in->gpr[number] = random_below(maker->random, 512) - 256;
        }
    }
}

/* Indirect branches and returns: to the INT3s. */
static void target_set(struct maker *maker, struct long_state *in)
{
    uint64_t target = in->rip + maker->instruction.length + random_below(maker->random, 32);

    if (maker->instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE &&
        maker->instruction.meta.category != ZYDIS_CATEGORY_RET)
        return;
    for (unsigned at = 0; at < SCRATCH_SIZE; at += 8)
        memcpy(in->memory + at, &target, sizeof target);
    for (unsigned i = 0; i < maker->instruction.operand_count_visible; i++)
        if (maker->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
            in->gpr[gpr_number(maker->operands[i].reg.value)] = target;
}

/* A bit number that is the address's register as well leads anywhere. */
static bool bit_strays(const struct maker *maker, const struct long_state *in)
{
    enum { FAR = 256 };
    const ZydisDecodedOperand *number = &maker->operands[1];

    return is_bit_test(&maker->instruction) && maker->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
           number->type == ZYDIS_OPERAND_TYPE_REGISTER &&
           in->gpr[gpr_number(number->reg.value)] + FAR > 2 * FAR;
}

/* May both sides touch it? Nothing else of the host's lies there: the operands, the holes around them, or no address. */
static bool place_fits(uint64_t address, bool target)
{
    if (target)
        return address >= SCRATCH && address <= SCRATCH + SCRATCH_SIZE - 8 && address % 8 == 0;
    return (address >= CONTROL_BASE + 0x1000 && address < STACK_BASE - SCRATCH_SIZE) || address >> 47;
}

/* Would it branch to anywhere, or write anywhere? */
static bool wild(const struct maker *maker, const struct long_state *in)
{
    bool branch = maker->instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;

    if (bit_strays(maker, in))
        return true;

    for (unsigned i = 0; i < maker->instruction.operand_count_visible; i++) {
        const ZydisDecodedOperand *operand = &maker->operands[i];

        if (branch && operand->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(operand->reg.value) == RSP)
            return true;
        if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.type != ZYDIS_MEMOP_TYPE_AGEN) {
            ZydisRegisterContext context = {0};
            ZyanU64 address;

            for (int r = 0; r < GPR_COUNT; r++)
                context.values[ZYDIS_REGISTER_RAX + r] = in->gpr[r];
            if (!ZYAN_SUCCESS(
                    ZydisCalcAbsoluteAddressEx(&maker->instruction, operand, in->rip, &context, &address)) ||
                !place_fits(address, branch))
                return true;
        }
    }
    return false;
}

static bool case_fill(struct maker *maker, enum map map, uint8_t opcode, struct long_case *test,
                      uint64_t address)
{
    memset(test, 0, sizeof *test);
    test->in.rip = address;
    for (unsigned i = 0; i < TRIES; i++) {
        bytes_make(maker, map, opcode);
        if (!fit(maker))
            continue;
        fields_bend(maker, address);
        if (!fit(maker))
            continue;
        test->length = maker->instruction.length;
        test->undefined = maker->instruction.cpu_flags ? maker->instruction.cpu_flags->undefined : 0;
        registers_fill(maker, &test->in);
        registers_bend(maker, &test->in);
        operand_lead(maker, &test->in);
        target_set(maker, &test->in);
        if (!wild(maker, &test->in))
            return true;
    }
    return false;
}

/* ---- comparison ---- */

static void flags_settle(struct long_case *test)
{
    test->undefined |= FLAG_RF | FLAG_IF | FLAG_ID; /* Linux keeps ID from case to case */
    test->native.flags &= ~test->undefined;
    test->guest.flags &= ~test->undefined;
    if (test->native.vector == VECTOR_PF && test->native.cr2 >> 63) /* the host's kernel is there */
        test->native.error = test->guest.error;
    if (test->native.vector != VECTOR_PF)
        test->native.cr2 = test->guest.cr2 = 0;
}

static void word_print(const char *name, uint64_t in, uint64_t native, uint64_t guest)
{
    printf("#   %s%s: in %llx, native %llx, guest %llx\n", native == guest ? "  " : "* ", name,
           (unsigned long long)in, (unsigned long long)native, (unsigned long long)guest);
}

static void case_print(const struct long_case *test, const uint8_t *code)
{
    static const char *const names[GPR_COUNT] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                                 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

    printf("#   code");
    for (unsigned i = 0; i < test->length; i++)
        printf(" %02x", code[i]);
    printf("\n");
    for (int i = 0; i < GPR_COUNT; i++)
        word_print(names[i], test->in.gpr[i], test->native.gpr[i], test->guest.gpr[i]);
    word_print("flags", test->in.flags, test->native.flags, test->guest.flags);
    word_print("rip", test->in.rip, test->native.rip, test->guest.rip);
    word_print("vector", 0, test->native.vector, test->guest.vector);
    word_print("error", 0, test->native.error, test->guest.error);
    word_print("cr2", 0, test->native.cr2, test->guest.cr2);
    for (unsigned i = 0; i < SCRATCH_SIZE; i += 8) {
        uint64_t word[3];
        memcpy(&word[0], test->in.memory + i, 8);
        memcpy(&word[1], test->native.memory + i, 8);
        memcpy(&word[2], test->guest.memory + i, 8);
        if (word[1] != word[2])
            word_print("memory", word[0], word[1], word[2]);
    }
}

static unsigned compare(struct long_case *cases, unsigned count, const uint8_t *code)
{
    unsigned differences = 0;

    for (unsigned i = 0; i < count; i++) {
        flags_settle(&cases[i]);
        if (memcmp(&cases[i].native, &cases[i].guest, sizeof cases[i].native) == 0)
            continue;
        if (differences++ < PRINTED)
            case_print(&cases[i], code + (cases[i].in.rip - CODE_BASE));
    }
    return differences;
}

static void opcode_check(struct checker *checker, struct maker *maker, enum map map, uint8_t opcode)
{
    static struct long_case cases[CASES];
    static uint8_t code[CASES * SLOT];
    unsigned count = 0, most = CODE_SIZE / SLOT < CASES ? CODE_SIZE / SLOT : CASES;
    char name[64], opcode_name[32];

    snprintf(opcode_name, sizeof opcode_name, "%s%02x", map_names[map], opcode);
    snprintf(name, sizeof name, "64-bit code, %s", opcode_name);
    if (!checker_begin(checker, name))
        return;
    maker->random = &checker->random;
    while (count < most && case_fill(maker, map, opcode, &cases[count], CODE_BASE + count * SLOT)) {
        memcpy(code + count * SLOT, maker->bytes, SLOT);
        count++;
    }
    if (count == 0)
        return;
    snprintf(name, sizeof name, "64-bit code, %s: %s", opcode_name,
             ZydisMnemonicGetString(maker->instruction.mnemonic));
    long_run_native(cases, count, code, count * SLOT);
    long_run_guest(cases, count, code, count * SLOT);
    checker_end(checker, name, count, compare(cases, count, code));
}

/* What is no opcode by itself, x87, and INT3, which is the end of every case. */
static bool is_prefix(uint8_t byte)
{
    return (byte & 0xe7) == 0x26 || (byte & 0xf0) == 0x40 || (byte & 0xfc) == 0x64 || byte == 0xf0 ||
           byte == 0xf2 || byte == 0xf3 || byte == 0x0f || byte == 0x62 || (byte & 0xfe) == 0xc4 ||
           (byte & 0xf8) == 0xd8 || byte == INT3;
}

void long_tests(struct checker *checker)
{
    struct maker maker;

    ZydisDecoderInit(&maker.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (enum map map = 0; map < MAPS; map++)
        for (unsigned opcode = 0; opcode < 256; opcode++)
            if (map != MAP_ONE || !is_prefix(opcode))
                opcode_check(checker, &maker, map, opcode);
}

/*
 * Source: gdb's manual, appendix G.5.4 (i386 features: which registers, in which order); SDM volume 1, 10.5.1 (the FXSAVE image).
 * In the segment registers the selectors alone can be read; writing one loads the base that real mode gives it.
 */
#include "monitor/gdb-registers.h"

#include <stdio.h>
#include <string.h>

enum source { GPR, RIP, FLAGS, SELECTOR, BASE, X87, IMAGE, TAGS, ZERO, CONTROL, EFER };

enum fx {
    FX_CONTROL = 0,
    FX_STATUS = 2,
    FX_TAGS = 4,
    FX_OPCODE = 6,
    FX_MXCSR = 24,
    FX_ST = 32,
    FX_XMM = 160,
    FX_SLOT = 16
};

struct gdb_register {
    const char *name;
    uint8_t bits;
    const char *type;
    uint8_t source;
    uint8_t index;       /* of a GPR, a segment, a control register; offset in the image */
    const char *feature; /* begins a new one */
};

static const struct gdb_register registers[] = {
    {"rax", 64, "int64", GPR, RAX, "org.gnu.gdb.i386.core"},
    {"rbx", 64, "int64", GPR, RBX, NULL},
    {"rcx", 64, "int64", GPR, RCX, NULL},
    {"rdx", 64, "int64", GPR, RDX, NULL},
    {"rsi", 64, "int64", GPR, RSI, NULL},
    {"rdi", 64, "int64", GPR, RDI, NULL},
    {"rbp", 64, "data_ptr", GPR, RBP, NULL},
    {"rsp", 64, "data_ptr", GPR, RSP, NULL},
    {"r8", 64, "int64", GPR, R8, NULL},
    {"r9", 64, "int64", GPR, R9, NULL},
    {"r10", 64, "int64", GPR, R10, NULL},
    {"r11", 64, "int64", GPR, R11, NULL},
    {"r12", 64, "int64", GPR, R12, NULL},
    {"r13", 64, "int64", GPR, R13, NULL},
    {"r14", 64, "int64", GPR, R14, NULL},
    {"r15", 64, "int64", GPR, R15, NULL},
    {"rip", 64, "code_ptr", RIP, 0, NULL},
    {"eflags", 32, "i386_eflags", FLAGS, 0, NULL},
    {"cs", 32, "int32", SELECTOR, SEG_CS, NULL},
    {"ss", 32, "int32", SELECTOR, SEG_SS, NULL},
    {"ds", 32, "int32", SELECTOR, SEG_DS, NULL},
    {"es", 32, "int32", SELECTOR, SEG_ES, NULL},
    {"fs", 32, "int32", SELECTOR, SEG_FS, NULL},
    {"gs", 32, "int32", SELECTOR, SEG_GS, NULL},
    {"st0", 80, "i387_ext", X87, 0, NULL},
    {"st1", 80, "i387_ext", X87, 1, NULL},
    {"st2", 80, "i387_ext", X87, 2, NULL},
    {"st3", 80, "i387_ext", X87, 3, NULL},
    {"st4", 80, "i387_ext", X87, 4, NULL},
    {"st5", 80, "i387_ext", X87, 5, NULL},
    {"st6", 80, "i387_ext", X87, 6, NULL},
    {"st7", 80, "i387_ext", X87, 7, NULL},
    {"fctrl", 32, "int", IMAGE, FX_CONTROL, NULL},
    {"fstat", 32, "int", IMAGE, FX_STATUS, NULL},
    {"ftag", 32, "int", TAGS, 0, NULL},
    {"fiseg", 32, "int", ZERO, 0, NULL},
    {"fioff", 32, "int", ZERO, 0, NULL},
    {"foseg", 32, "int", ZERO, 0, NULL},
    {"fooff", 32, "int", ZERO, 0, NULL},
    {"fop", 32, "int", IMAGE, FX_OPCODE, NULL},
    {"fs_base", 64, "data_ptr", BASE, SEG_FS, "org.gnu.gdb.i386.segments"},
    {"gs_base", 64, "data_ptr", BASE, SEG_GS, NULL},
    {"cr0", 64, "int64", CONTROL, 0, "org.hearth.control"},
    {"cr2", 64, "int64", CONTROL, 2, NULL},
    {"cr3", 64, "int64", CONTROL, 3, NULL},
    {"cr4", 64, "int64", CONTROL, 4, NULL},
    {"cr8", 64, "int64", CONTROL, 8, NULL},
    {"efer", 64, "int64", EFER, 0, NULL},
    {"cs_base", 64, "data_ptr", BASE, SEG_CS, NULL},
    {"ss_base", 64, "data_ptr", BASE, SEG_SS, NULL},
};
enum {
    PLAIN = sizeof(registers) / sizeof(registers[0]),
    XMM_COUNT = 16,
    MXCSR = PLAIN + XMM_COUNT,
    REGISTERS
};

unsigned gdb_registers(void)
{
    return REGISTERS;
}

static uint64_t *control_register(struct cpu_state *state, unsigned number)
{
    switch (number) {
    case 0: return &state->cr0;
    case 2: return &state->cr2;
    case 3: return &state->cr3;
    case 4: return &state->cr4;
    default: return &state->cr8;
    }
}

/* The image has a bit for each physical register; the register has two for each: 0 valid, 3 empty. */
static uint32_t tags_get(const struct cpu_state *state)
{
    uint32_t tags = 0;
    for (unsigned i = 0; i < 8; i++)
        tags |= (state->fx[FX_TAGS] >> i & 1 ? 0u : 3u) << (2 * i);
    return tags;
}

static void tags_put(struct cpu_state *state, uint32_t tags)
{
    state->fx[FX_TAGS] = 0;
    for (unsigned i = 0; i < 8; i++)
        if ((tags >> (2 * i) & 3) != 3)
            state->fx[FX_TAGS] |= (uint8_t)(1 << i);
}

static uint64_t plain_get(const struct cpu_state *state, const struct gdb_register *row)
{
    uint16_t word;
    switch (row->source) {
    case GPR: return state->gpr[row->index];
    case RIP: return state->rip;
    case FLAGS: return state->rflags;
    case SELECTOR: return state->segment[row->index].selector;
    case BASE: return state->segment[row->index].base;
    case IMAGE: memcpy(&word, state->fx + row->index, sizeof(word)); return word;
    case TAGS: return tags_get(state);
    case CONTROL: return *control_register((struct cpu_state *)state, row->index);
    case EFER: return state->efer;
    default: return 0;
    }
}

static void plain_put(struct cpu_state *state, const struct gdb_register *row, uint64_t value)
{
    enum { SELECTOR_SHIFT = 4 };
    uint16_t word = (uint16_t)value;
    switch (row->source) {
    case GPR: state->gpr[row->index] = value; break;
    case RIP: state->rip = value; break;
    case FLAGS: state->rflags = value | FLAG_1; break;
    case SELECTOR:
        if (!(state->cr0 & CR0_PE) && state->segment[row->index].selector != word)
            state->segment[row->index].base = (uint64_t)word << SELECTOR_SHIFT;
        state->segment[row->index].selector = word;
        break;
    case BASE: state->segment[row->index].base = value; break;
    case IMAGE: memcpy(state->fx + row->index, &word, sizeof(word)); break;
    case TAGS: tags_put(state, (uint32_t)value); break;
    case CONTROL: *control_register(state, row->index) = value; break;
    case EFER: state->efer = value; break;
    default: break;
    }
}

/* Where a register lies in the FXSAVE image, and its bytes; NULL for the others. */
static uint8_t *in_image(struct cpu_state *state, unsigned number, size_t *size)
{
    *size = GDB_REGISTER_BYTES;
    if (number >= PLAIN && number < MXCSR)
        return state->fx + FX_XMM + FX_SLOT * (number - PLAIN);
    *size = 4;
    if (number == MXCSR)
        return state->fx + FX_MXCSR;
    *size = 10;
    if (number < PLAIN && registers[number].source == X87)
        return state->fx + FX_ST + FX_SLOT * registers[number].index;
    return NULL;
}

size_t gdb_register_get(const struct cpu_state *state, unsigned number, uint8_t *bytes)
{
    size_t size;
    const uint8_t *image = in_image((struct cpu_state *)state, number, &size);
    if (number >= REGISTERS)
        return 0;
    if (image) {
        memcpy(bytes, image, size);
        return size;
    }
    uint64_t value = plain_get(state, &registers[number]);
    size = registers[number].bits / 8;
    memcpy(bytes, &value, size);
    return size;
}

bool gdb_register_put(struct cpu_state *state, unsigned number, const uint8_t *bytes, size_t size)
{
    size_t wanted;
    uint64_t value = 0;
    uint8_t *image = in_image(state, number, &wanted);
    if (number >= REGISTERS)
        return false;
    if (!image)
        wanted = registers[number].bits / 8;
    if (size != wanted)
        return false;
    if (image) {
        memcpy(image, bytes, size);
        return true;
    }
    memcpy(&value, bytes, size);
    plain_put(state, &registers[number], value);
    return true;
}

static void flags_describe(FILE *out)
{
    static const struct {
        const char *name;
        unsigned bit;
    } flags[] = {{"CF", 0},  {"PF", 2},   {"AF", 4},   {"ZF", 6},  {"SF", 7},  {"TF", 8},
                 {"IF", 9},  {"DF", 10},  {"OF", 11},  {"NT", 14}, {"RF", 16}, {"VM", 17},
                 {"AC", 18}, {"VIF", 19}, {"VIP", 20}, {"ID", 21}};
    fputs("<flags id=\"i386_eflags\" size=\"4\">", out);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flags[i].name, flags[i].bit,
                flags[i].bit);
    fputs("</flags>", out);
}

static void sse_describe(FILE *out)
{
    fputs(
        "<feature name=\"org.gnu.gdb.i386.sse\">"
        "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" "
        "count=\"2\"/>"
        "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
        "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
        "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
        "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
        "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
        "<field name=\"uint128\" type=\"uint128\"/></union>",
        out);
    for (unsigned i = 0; i < XMM_COUNT; i++)
        fprintf(out, "<reg name=\"xmm%u\" bitsize=\"128\" type=\"vec128\" regnum=\"%u\"/>", i, PLAIN + i);
    fprintf(out, "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int\" regnum=\"%u\"/></feature>", MXCSR);
}

char *gdb_target_description(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    fputs("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
          "<architecture>i386:x86-64</architecture>",
          out);
    for (unsigned i = 0; i < PLAIN; i++) {
        if (registers[i].feature)
            fprintf(out, "%s<feature name=\"%s\">", i ? "</feature>" : "", registers[i].feature);
        if (i == 0)
            flags_describe(out);
        fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>", registers[i].name,
                registers[i].bits, registers[i].type, i);
    }
    fputs("</feature>", out);
    sse_describe(out);
    fputs("</target>", out);
    fclose(out);
    return text;
}

/*
 * The autopsy of a triple fault, for both engines.
 *
 * With records: the chain of exceptions as the software CPU met it. Without: the final state is examined, as the
 * processor would have gone about it: can the instruction be fetched, is there an IDT, are the gates of the three
 * exceptions that matter good, do they lead to code, is there a stack. Left out: gates through TSSs, long mode's tables.
 * Source: SDM volume 3A, 6.10 to 6.15 (IDT, error codes, double faults), 3.4.5 (descriptors), 4.7 (#PF).
 */
#include "cpu/autopsy.h"

#include <inttypes.h>
#include <string.h>

#include "cpu/disassemble.h"
#include "cpu/walk.h"

enum {
    GATE_SIZE = 8,
    IVT_ENTRY = 4,
    INSTRUCTION_LONGEST = 15,
    DESCRIPTOR_PRESENT = 47, /* bit numbers in the 8 bytes */
    DESCRIPTOR_S = 44,
    DESCRIPTOR_CODE = 43,
    DESCRIPTOR_TYPE = 40,
    GATE_TASK = 5,
    GATE_INTERRUPT16 = 6, /* and 7, 14, 15: bits 1 and 2 set */
    RESET_SELECTOR = 0xf000,
    RESET_IP = 0xfff0,
};
enum error_bits { ERROR_EXT = 1, ERROR_IDT = 2, ERROR_LDT = 4 };

static const struct {
    const char *mnemonic, *name;
} vectors[] = {
    {"#DE", "divide error"},
    {"#DB", "debug"},
    {"NMI", "non-maskable interrupt"},
    {"#BP", "breakpoint"},
    {"#OF", "overflow"},
    {"#BR", "bound range exceeded"},
    {"#UD", "invalid opcode"},
    {"#NM", "no FPU: CR0.EM or CR0.TS is set"},
    {"#DF", "double fault"},
    {"#9", "coprocessor segment overrun"},
    {"#TS", "invalid TSS"},
    {"#NP", "segment not present"},
    {"#SS", "stack fault"},
    {"#GP", "general protection"},
    {"#PF", "page fault"},
    {"#15", "reserved"},
    {"#MF", "FPU error"},
    {"#AC", "alignment check"},
    {"#MC", "machine check"},
    {"#XM", "SIMD floating-point error"},
};
enum { VECTOR_NAMES = sizeof(vectors) / sizeof(vectors[0]) };

const char *autopsy_vector_mnemonic(unsigned vector)
{
    return vector < VECTOR_NAMES ? vectors[vector].mnemonic : "interrupt";
}

const char *autopsy_vector_name(unsigned vector)
{
    return vector < VECTOR_NAMES ? vectors[vector].name : "interrupt";
}

/* ---- the chain ---- */

static void print_page_error(FILE *out, uint32_t error, uint64_t cr2)
{
    fprintf(out, ": %s of linear address 0x%08" PRIx64 " %s, %s",
            error & 16  ? "fetch"
            : error & 2 ? "write"
                        : "read",
            cr2, error & 4 ? "at ring 3" : "by the system",
            error & 8   ? "a reserved bit is set"
            : error & 1 ? "the page is there but forbids it"
                        : "the page is not present");
}

static void print_error(FILE *out, const struct exception_record *record)
{
    uint32_t error = record->error;

    fprintf(out, ", error code 0x%04x", error);
    if (record->vector == VECTOR_PF)
        print_page_error(out, error, record->cr2);
    else if (error & ERROR_IDT)
        fprintf(out, ": it is about IDT[%u]%s", error >> 3, error & ERROR_EXT ? ", during a delivery" : "");
    else if (error & ~(uint32_t)ERROR_EXT)
        fprintf(out, ": it is about selector 0x%x, %s[%u]", error & 0xfff8, error & ERROR_LDT ? "LDT" : "GDT",
                error >> 3);
}

static void print_where(FILE *out, const struct exception_record *record)
{
    char text[96];

    disassemble(record->instruction, record->instruction_length, record->code_bits, record->rip, text,
                sizeof(text));
    fprintf(out, "     at %04x:%08" PRIx64 "  %s\n", record->cs, record->rip,
            record->instruction_length ? text : "(the instruction cannot be read)");
}

/* TCG looks at no limit of a data or stack access, nor of a fetch. */
static bool unseen_by_tcg(const struct exception_record *record)
{
    return strstr(record->why, AUTOPSY_OUTSIDE_SEGMENT) || strstr(record->why, AUTOPSY_OUTSIDE_CODE);
}

static const char *cause_of(const struct exception_record *record, unsigned index)
{
    if (record->software)
        return "the program asked for";
    if (record->external)
        return "a device interrupted:";
    if (record->vector == VECTOR_DF)
        return "so the CPU turned to";
    return index == 0 ? "the instruction raised" : "its delivery raised";
}

static void print_record(FILE *out, const struct exception_record *record, unsigned index)
{
    fprintf(out, "  %u. %s ", index + 1, cause_of(record, index));
    if (record->vector < VECTOR_NAMES)
        fprintf(out, "%s (%s)", autopsy_vector_mnemonic(record->vector), autopsy_vector_name(record->vector));
    else
        fprintf(out, "interrupt %u", record->vector);
    if (record->has_error)
        print_error(out, record);
    fputc('\n', out);
    if (index == 0 || record->rip != record[-1].rip || record->cs != record[-1].cs)
        print_where(out, record);
    if (record->why[0])
        fprintf(out, "     why: %s\n", record->why);
    if (unseen_by_tcg(record))
        fprintf(out, "     QEMU's TCG does not check this limit and would let it pass; hardware does not.\n");
}

static void print_chain(FILE *out, const struct exception_record *records, unsigned count)
{
    fprintf(out, "Triple fault: an exception could not be delivered, nor the double fault after it.\n");
    for (unsigned i = 0; i < count; i++)
        print_record(out, &records[i], i);
    fprintf(out, "  %u. nothing is left to try: the CPU shut down.\n", count + 1);
}

/* ---- what the final state tells ---- */

struct examination {
    FILE *out;
    const struct cpu_state *state;
    struct memory *memory;
    unsigned found;
};

#define FIND(exam, ...)                                                                                      \
    do {                                                                                                     \
        fprintf((exam)->out, "  - " __VA_ARGS__);                                                            \
        fputc('\n', (exam)->out);                                                                            \
        (exam)->found++;                                                                                     \
    } while (0)

/* Says where the walk to this address ends, if it ends badly. */
static bool mapped(struct examination *exam, uint64_t linear, const char *what)
{
    struct walk walk;
    const struct walk_step *step;

    if (walk_tables(exam->state, exam->memory, linear, &walk))
        return true;
    step = &walk.step[walk.steps - 1];
    FIND(exam,
         "%s at linear 0x%08" PRIx64 " is not mapped: %s at 0x%08" PRIx64 ": entry 0x%08" PRIx64
         ", bit 0 (present) clear",
         what, linear, step->table, step->address, step->entry);
    return false;
}

static bool read_linear(struct examination *exam, uint64_t linear, void *to, unsigned size, const char *what)
{
    if (!mapped(exam, linear, what))
        return false;
    if (walk_read(exam->state, exam->memory, linear, to, size) == size)
        return true;
    FIND(exam, "%s at linear 0x%08" PRIx64 " is not in memory", what, linear);
    return false;
}

static void examine_target(struct examination *exam, unsigned vector, uint16_t selector)
{
    const struct table_register *gdt = &exam->state->gdtr;
    unsigned last = (selector & 0xfff8u) + 7;
    uint64_t raw;

    if ((selector & 0xfffc) == 0) {
        FIND(exam, "the %s gate's code segment is the null selector", autopsy_vector_mnemonic(vector));
    } else if (selector & ERROR_LDT) {
        return; /* LDTs are not looked into */
    } else if (last > gdt->limit) {
        FIND(exam, "the %s gate leads to GDT[%u] (selector 0x%x): GDT limit is 0x%04x, it needs 0x%04x",
             autopsy_vector_mnemonic(vector), selector >> 3, selector, gdt->limit, last);
    } else if (read_linear(exam, gdt->base + (selector & 0xfff8u), &raw, sizeof(raw), "the GDT")) {
        if (!(raw >> DESCRIPTOR_S & 1) || !(raw >> DESCRIPTOR_CODE & 1))
            FIND(exam, "the %s gate leads to GDT[%u] (selector 0x%x), which is not code: 0x%016" PRIx64,
                 autopsy_vector_mnemonic(vector), selector >> 3, selector, raw);
        else if (!(raw >> DESCRIPTOR_PRESENT & 1))
            FIND(exam, "the %s gate leads to GDT[%u] (selector 0x%x), which is not present",
                 autopsy_vector_mnemonic(vector), selector >> 3, selector);
    }
}

static void examine_gate(struct examination *exam, unsigned vector)
{
    const struct table_register *idt = &exam->state->idtr;
    unsigned last = vector * GATE_SIZE + GATE_SIZE - 1, type;
    uint64_t gate;

    if (last > idt->limit) {
        FIND(exam, "the %s gate: IDT limit is 0x%04x, vector %u needs 0x%04x",
             autopsy_vector_mnemonic(vector), idt->limit, vector, last);
        return;
    }
    if (!read_linear(exam, idt->base + vector * GATE_SIZE, &gate, sizeof(gate), "the IDT"))
        return;
    type = gate >> DESCRIPTOR_TYPE & 0x1f;
    if (type != GATE_TASK && (type & 0x16) != GATE_INTERRUPT16)
        FIND(exam, "IDT[%u] (the %s gate) is no interrupt, trap or task gate: type %u in 0x%016" PRIx64,
             vector, autopsy_vector_mnemonic(vector), type, gate);
    else if (!(gate >> DESCRIPTOR_PRESENT & 1))
        FIND(exam, "IDT[%u] (the %s gate) is not present: present bit (47) clear", vector,
             autopsy_vector_mnemonic(vector));
    else if (type != GATE_TASK)
        examine_target(exam, vector, gate >> 16);
}

static void examine_code(struct examination *exam)
{
    const struct cpu_state *state = exam->state;
    const struct segment *cs = &state->segment[SEG_CS], *ss = &state->segment[SEG_SS];
    uint8_t bytes[INSTRUCTION_LONGEST];
    unsigned bits = cs->rights & RIGHTS_L ? 64 : cs->rights & RIGHTS_DB ? 32 : 16;
    uint64_t count = walk_read(state, exam->memory, cs->base + state->rip, bytes, sizeof(bytes));
    uint64_t stack_mask = ss->rights & RIGHTS_DB ? UINT32_MAX : UINT16_MAX;
    char text[96];

    disassemble(bytes, count, bits, state->rip, text, sizeof(text));
    fprintf(exam->out, "  stopped at %04x:%08" PRIx64 "  %s\n", cs->selector, state->rip,
            count ? text : "(the instruction cannot be read)");
    mapped(exam, cs->base + state->rip, "the instruction");
    if (!(state->efer & EFER_LMA))
        mapped(exam, ss->base + ((state->gpr[RSP] - 1) & stack_mask), "the stack");
}

/* KVM on AMD puts the CPU through INIT before it tells. */
static bool state_is_lost(const struct cpu_state *state)
{
    return state->rip == RESET_IP && state->segment[SEG_CS].selector == RESET_SELECTOR &&
           !(state->cr0 & CR0_PE);
}

static void examine(FILE *out, const struct cpu_state *state, struct memory *memory)
{
    static const unsigned needed[] = {VECTOR_DF, VECTOR_GP, VECTOR_PF};
    struct examination exam = {out, state, memory, 0};

    fprintf(out, "Triple fault: an exception could not be delivered, nor the double fault after it.\n");
    if (state_is_lost(state)) {
        fprintf(out,
                "  This host's processor clears the registers before it tells, so nothing is known of the\n"
                "  cause. With -accel soft the chain of exceptions is recorded.\n");
        return;
    }
    fprintf(out, "  What follows is inferred from the state the CPU stopped in.\n");
    examine_code(&exam);
    if (!(state->cr0 & CR0_PE)) {
        if (state->idtr.limit < (VECTOR_GP + 1) * IVT_ENTRY - 1)
            FIND(&exam, "real mode: IDT limit is 0x%04x, too small for the vector of #GP", state->idtr.limit);
    } else if (!(state->efer & EFER_LMA)) {
        for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
            examine_gate(&exam, needed[i]);
    }
    if (!exam.found)
        fprintf(out, "  - tables and stack look fine from here; -accel soft would tell the chain\n");
}

/* ---- the state ---- */

static void print_registers_64(FILE *out, const struct cpu_state *state)
{
    static const char *const names[GPR_COUNT] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                                 "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};

    for (int i = 0; i < GPR_COUNT; i++)
        fprintf(out, "%s%s=%016" PRIx64 "%s", i % 4 ? " " : "  ", names[i], state->gpr[i],
                i % 4 == 3 ? "\n" : "");
    fprintf(out,
            "  RIP=%016" PRIx64 " RFLAGS=%08" PRIx64 " CR0=%08" PRIx64 " CR2=%016" PRIx64
            "\n  CR3=%016" PRIx64 " CR4=%08" PRIx64 " EFER=%08" PRIx64 "\n",
            state->rip, state->rflags, state->cr0, state->cr2, state->cr3, state->cr4, state->efer);
}

static void print_registers_32(FILE *out, const struct cpu_state *state)
{
    static const char *const names[8] = {"EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"};

    for (int i = 0; i < 8; i++)
        fprintf(out, "%s%s=%08" PRIx64, i % 4 ? " " : "  ", names[i], state->gpr[i]);
    fprintf(out,
            "\n  EIP=%08" PRIx64 " EFLAGS=%08" PRIx64 " CR0=%08" PRIx64 " CR2=%08" PRIx64 " CR3=%08" PRIx64
            " CR4=%08" PRIx64 "\n",
            state->rip, state->rflags, state->cr0, state->cr2, state->cr3, state->cr4);
}

static void print_registers(FILE *out, const struct cpu_state *state)
{
    static const char *const segments[SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS"};

    if (state->efer & EFER_LMA)
        print_registers_64(out, state);
    else
        print_registers_32(out, state);
    for (int i = 0; i < SEG_COUNT; i++)
        fprintf(out, "%s%s=%04x base %08" PRIx64 " limit %08x%s", i % 2 ? "    " : "  ", segments[i],
                state->segment[i].selector, state->segment[i].base, state->segment[i].limit,
                i % 2 ? "\n" : "");
    fprintf(out, "  GDT base %08" PRIx64 " limit %04x    IDT base %08" PRIx64 " limit %04x\n",
            state->gdtr.base, state->gdtr.limit, state->idtr.base, state->idtr.limit);
}

static void print_gdt(FILE *out, const struct cpu_state *state, struct memory *memory)
{
    enum { SHOWN = 8 };
    unsigned entries = (state->gdtr.limit + 1u) / 8;
    uint64_t raw;

    if (!(state->cr0 & CR0_PE))
        return;
    for (unsigned i = 1; i < entries && i < SHOWN; i++) {
        if (walk_read(state, memory, state->gdtr.base + i * 8, &raw, sizeof(raw)) != sizeof(raw))
            return;
        fprintf(out, "  GDT[%u] 0x%016" PRIx64 "%s", i, raw,
                i % 2 && i + 1 < entries && i + 1 < SHOWN ? "" : "\n");
    }
}

void autopsy_print(FILE *out, const struct cpu_state *state, struct memory *memory,
                   const struct exception_record *records, unsigned count)
{
    if (count)
        print_chain(out, records, count);
    else
        examine(out, state, memory);
    if (count == 0 && state_is_lost(state))
        return;
    fprintf(out, "The CPU at that moment:\n");
    print_registers(out, state);
    print_gdt(out, state, memory);
}

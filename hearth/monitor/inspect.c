/* Commands that look into memory and CPUs: x, xp, memsave, pmemsave, info registers, cpus, mtree. */
#include "monitor/commands.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/disassemble.h"
#include "cpu/walk.h"

enum { COUNT_MOST = 100000, SAVE_PIECE = 65536 };

/* ---- reading memory, virtual or physical */

struct view {
    struct memory *memory;
    struct cpu_state state;
    bool physical;
};

static uint64_t view_read(struct view *view, uint64_t address, void *to, uint64_t size)
{
    if (!view->physical)
        return walk_read(&view->state, view->memory, address, to, size);
    uint64_t done = 0;
    /* Byte by byte at the edge of what is there, so that the answer says how far memory goes. */
    if (memory_read(view->memory, address, to, size))
        return size;
    while (done < size && memory_read(view->memory, address + done, (uint8_t *)to + done, 1))
        done++;
    return done;
}

struct format {
    unsigned count, size;
    char kind;
};

static bool format_parse(struct call *call, struct format *format)
{
    const char *at = call->format;
    char *end;
    *format = (struct format){1, 4, 'x'};
    if (isdigit((unsigned char)*at)) {
        unsigned long count = strtoul(at, &end, 10);
        format->count = count > COUNT_MOST ? COUNT_MOST : (unsigned)count;
        at = end;
    }
    for (; *at; at++) {
        if (strchr("xduocis", *at))
            format->kind = *at;
        else if (*at == 'b' || *at == 'h' || *at == 'w' || *at == 'g')
            format->size = *at == 'b' ? 1 : *at == 'h' ? 2 : *at == 'w' ? 4 : 8;
        else {
            call_error(call, "invalid char in format: '%c'", *at);
            return false;
        }
        if (*at == 'c')
            format->size = 1;
    }
    return true;
}

static void value_print(FILE *out, const struct format *format, uint64_t value)
{
    unsigned bits = 8 * format->size;
    int64_t number = (int64_t)(value << (64 - bits)) >> (64 - bits);
    switch (format->kind) {
    case 'd': fprintf(out, " %*" PRId64, (int)(3 * format->size), number); break;
    case 'u': fprintf(out, " %*" PRIu64, (int)(3 * format->size), value); break;
    case 'o': fprintf(out, " 0%0*" PRIo64, (int)(3 * format->size), value); break;
    case 'c': fprintf(out, " '%c'", isprint((int)(value & 0xff)) ? (int)(value & 0xff) : '.'); break;
    default: fprintf(out, " 0x%0*" PRIx64, (int)(2 * format->size), value); break;
    }
}

static void unreadable(struct call *call, const struct view *view, uint64_t address)
{
    if (view->physical)
        fprintf(call->out, "\nno memory at %#" PRIx64 "\n", address);
    else
        fprintf(call->out, "\nCannot access memory at %#" PRIx64 ": no page is mapped there\n", address);
}

static void values_print(struct call *call, struct view *view, const struct format *format, uint64_t address)
{
    unsigned in_row = format->size == 8 ? 2 : format->size == 1 ? 8 : 16 / format->size;
    for (unsigned i = 0; i < format->count; i++, address += format->size) {
        uint64_t value = 0;
        if (i % in_row == 0)
            fprintf(call->out, "%s%0*" PRIx64 ":", i ? "\n" : "", view->state.efer & EFER_LMA ? 16 : 8,
                    address);
        if (view_read(view, address, &value, format->size) < format->size) {
            unreadable(call, view, address);
            return;
        }
        value_print(call->out, format, value);
    }
    fputc('\n', call->out);
}

static void string_print(struct call *call, struct view *view, uint64_t address)
{
    char character;
    fprintf(call->out, "%08" PRIx64 ": \"", address);
    for (unsigned i = 0; i < 4096 && view_read(view, address + i, &character, 1) && character; i++)
        fputc(isprint((unsigned char)character) ? character : '.', call->out);
    fputs("\"\n", call->out);
}

static unsigned code_bits(const struct cpu_state *state)
{
    uint32_t rights = state->segment[SEG_CS].rights;
    if ((state->efer & EFER_LMA) && (rights & RIGHTS_L))
        return 64;
    return (rights & RIGHTS_DB) ? 32 : 16;
}

static void code_print(struct call *call, struct view *view, unsigned count, uint64_t address)
{
    while (count--) {
        uint8_t bytes[15];
        char text[128], hex[48] = "";
        size_t there = view_read(view, address, bytes, sizeof(bytes));
        if (!there) {
            unreadable(call, view, address);
            return;
        }
        unsigned length = disassemble(bytes, there, code_bits(&view->state), address, text, sizeof(text));
        if (!length)
            length = 1;
        for (unsigned i = 0; i < length; i++)
            snprintf(hex + 3 * i, 4, "%02x ", bytes[i]);
        fprintf(call->out, "0x%08" PRIx64 ":  %-24s %s\n", address, hex, text);
        address += length;
    }
}

static void examine(struct call *call, bool physical)
{
    struct view view = {.memory = machine_memory(call->machine), .physical = physical};
    struct format format;
    uint64_t address;

    if (!format_parse(call, &format) || !argument_number(call, "address", &address))
        return;
    call_state(call, &view.state);
    if (format.kind == 'i')
        code_print(call, &view, format.count, address);
    else if (format.kind == 's')
        string_print(call, &view, address);
    else
        values_print(call, &view, &format, address);
}

void command_x(struct call *call)
{
    examine(call, false);
}

void command_xp(struct call *call)
{
    examine(call, true);
}

void command_gva2gpa(struct call *call)
{
    struct cpu_state state;
    struct walk walk;
    uint64_t address;
    if (!argument_number(call, "address", &address))
        return;
    call_state(call, &state);
    if (walk_tables(&state, machine_memory(call->machine), address, &walk))
        fprintf(call->out, "gpa: %#" PRIx64 "\n", walk.physical);
    else
        fprintf(call->out, "Unmapped\n");
}

/* ---- memory to files */

static bool save_pieces(struct view *view, FILE *file, uint64_t address, uint64_t size, uint64_t *done)
{
    static uint8_t piece[SAVE_PIECE];
    for (*done = 0; *done < size;) {
        uint64_t want = size - *done < SAVE_PIECE ? size - *done : SAVE_PIECE;
        uint64_t got = view_read(view, address + *done, piece, want);
        if (fwrite(piece, 1, got, file) != got)
            return false;
        *done += got;
        if (got < want)
            return true;
    }
    return true;
}

static void save(struct call *call, bool physical)
{
    struct view view = {.memory = machine_memory(call->machine), .physical = physical};
    uint64_t address, size, done = 0;
    char path[1024];

    if (!argument_number(call, "val", &address) || !argument_number(call, "size", &size) ||
        !argument_word(call, "filename", path, sizeof(path)))
        return;
    call_state(call, &view.state);
    FILE *file = fopen(path, "we");
    if (!file) {
        call_error(call, "cannot open '%s': %s", path, strerror(errno));
        return;
    }
    bool written = save_pieces(&view, file, address, size, &done);
    if (fclose(file) || !written)
        call_error(call, "cannot write '%s': %s", path, strerror(errno));
    else if (done < size)
        call_error(call,
                   "Invalid addr %#" PRIx64 "/size %#" PRIx64 " specified: only %#" PRIx64
                   " bytes could be read",
                   address, size, done);
}

void command_memsave(struct call *call)
{
    save(call, false);
}

void command_pmemsave(struct call *call)
{
    save(call, true);
}

/* ---- CPUs */

static void segment_print(FILE *out, const char *name, const struct segment *segment)
{
    static const char *const system_types[16] = {"", "TSS16-avl", "LDT", "TSS16-busy", "", "",
                                                 "", "",          "",    "TSS32-avl",  "", "TSS32-busy"};
    uint32_t rights = segment->rights;
    fprintf(out, "%-3s=%04x %08" PRIx64 " %08x %08x DPL=%u ", name, segment->selector, segment->base,
            segment->limit, (rights & 0xf0ff) << 8, (rights & RIGHTS_DPL) >> RIGHTS_DPL_SHIFT);
    if (rights & RIGHTS_UNUSABLE)
        fputs("(null)", out);
    else if (!(rights & RIGHTS_S))
        fputs(system_types[rights & RIGHTS_TYPE] ? system_types[rights & RIGHTS_TYPE] : "", out);
    else if (rights & RIGHTS_CODE)
        fprintf(out, "CS%s [%c%c%c]",
                rights & RIGHTS_L    ? "64"
                : rights & RIGHTS_DB ? "32"
                                     : "16",
                rights & RIGHTS_EXPAND_DOWN ? 'C' : '-', rights & RIGHTS_WRITABLE ? 'R' : '-',
                rights & RIGHTS_ACCESSED ? 'A' : '-');
    else
        fprintf(out, "DS%s [%c%c%c]", rights & RIGHTS_DB ? "" : "16", rights & RIGHTS_EXPAND_DOWN ? 'E' : '-',
                rights & RIGHTS_WRITABLE ? 'W' : '-', rights & RIGHTS_ACCESSED ? 'A' : '-');
    fputc('\n', out);
}

static void general_print(FILE *out, const struct cpu_state *state)
{
    static const char *const names32[8] = {"EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"};
    static const char *const names64[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                            "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
    static const uint8_t order[8] = {RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP};
    bool wide = state->efer & EFER_LMA;
    for (unsigned i = 0; i < (wide ? 16u : 8u); i++) {
        unsigned name = i < 8 ? order[i] : i;
        fprintf(out, "%s=%0*" PRIx64 "%c", wide ? names64[name] : names32[name], wide ? 16 : 8,
                state->gpr[name], i % 4 == 3 ? '\n' : ' ');
    }
}

static void flags_print(FILE *out, const struct cpu_state *state)
{
    static const struct {
        uint32_t bit;
        char letter;
    } letters[] = {{FLAG_DF, 'D'}, {FLAG_OF, 'O'}, {FLAG_SF, 'S'}, {FLAG_ZF, 'Z'},
                   {FLAG_AF, 'A'}, {FLAG_PF, 'P'}, {FLAG_CF, 'C'}};
    uint32_t cpl = (state->segment[SEG_SS].rights & RIGHTS_DPL) >> RIGHTS_DPL_SHIFT;
    bool wide = state->efer & EFER_LMA;
    fprintf(out, "%s=%0*" PRIx64 " %s=%08" PRIx64 " [", wide ? "RIP" : "EIP", wide ? 16 : 8, state->rip,
            wide ? "RFL" : "EFL", state->rflags);
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        fputc(state->rflags & letters[i].bit ? letters[i].letter : '-', out);
    fprintf(out, "] CPL=%u II=%d A20=%d SMM=0 HLT=%d\n", cpl, state->interrupt_shadow, !state->a20_closed,
            state->halted);
}

void info_registers(struct call *call)
{
    static const char *const segments[SEG_COUNT] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    struct cpu_state state;
    call_state(call, &state);
    general_print(call->out, &state);
    flags_print(call->out, &state);
    for (int i = 0; i < SEG_COUNT; i++)
        segment_print(call->out, segments[i], &state.segment[i]);
    segment_print(call->out, "LDT", &state.ldtr);
    segment_print(call->out, "TR", &state.tr);
    fprintf(call->out, "GDT=     %08" PRIx64 " %08x\n", state.gdtr.base, state.gdtr.limit);
    fprintf(call->out, "IDT=     %08" PRIx64 " %08x\n", state.idtr.base, state.idtr.limit);
    fprintf(call->out, "CR0=%08" PRIx64 " CR2=%08" PRIx64 " CR3=%08" PRIx64 " CR4=%08" PRIx64 "\n", state.cr0,
            state.cr2, state.cr3, state.cr4);
    for (int i = 0; i < 4; i++)
        fprintf(call->out, "DR%d=%016" PRIx64 "%c", i, state.dr[i], i == 3 ? '\n' : ' ');
    fprintf(call->out, "DR6=%016" PRIx64 " DR7=%016" PRIx64 "\nEFER=%016" PRIx64 "\n", state.dr[6],
            state.dr[7], state.efer);
}

/* ---- maps */

static void range_print(void *opaque, const struct bus_range *range)
{
    fprintf(opaque, "  %016" PRIx64 "-%016" PRIx64 " %s\n", range->base, range->base + range->size - 1,
            range->name);
}

void info_memory(struct call *call)
{
    struct memory *memory = machine_memory(call->machine);
    backing_print(memory_ram(memory), memory_ram_size(memory), call->out);
}

void info_mtree(struct call *call)
{
    size_t count;
    const struct memory_range *ranges = memory_ranges(machine_memory(call->machine), &count);
    fputs("memory\n", call->out);
    for (size_t i = 0; i < count; i++)
        fprintf(call->out, "  %016" PRIx64 "-%016" PRIx64 " %s%s\n", ranges[i].base,
                ranges[i].base + ranges[i].size - 1, ranges[i].name,
                ranges[i].writable ? "" : " (read only)");
    fputs("mmio (where no memory is)\n", call->out);
    bus_each(machine_mmio_map(call->machine), range_print, call->out);
    fputs("I/O ports\n", call->out);
    bus_each(machine_port_map(call->machine), range_print, call->out);
}

/*
 * Single-step vectors of a real 80286 in real mode, run on the software CPU: `vectors <FILE.MOO`, unpacked.
 *
 * A vector has the registers and bytes of memory before and after one instruction and the HLT behind it. The HLT becomes
 * OUT DX, AL, whose port stops the CPU. Not compared: flags that the manuals leave undefined for the instruction, and
 * those that the 80286 cannot set in real mode. Left out are vectors in which the 80286 differs from its successors by
 * design: LOCK where it is invalid now, more than 10 bytes of code, MOV with FS and GS, the machine status word, SGDT and
 * SIDT, the x87 (there was none), and what faults by its operand's place in ways that have changed.
 * Source: the README of SingleStepTests/80286 (the MOO format); SDM volume 2 (undefined flags).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/lock.h"
#include "core/log.h"
#include "cpu/engine.h"

enum {
    MEMORY = 16 << 20,
    PORTS = 65536,
    OUT_DX_AL = 0xee,
    LONGEST = 10, /* bytes that an 80286 takes as one instruction */
    SHOWN = 5,    /* failures told of in full */
    PATIENCE_MS = 500,
};

enum reg { AX, BX, CX, DX, CS, SS, DS, ES, SP, BP, SI, DI, IP, FLAGS, REGS };
static const char *const reg_names[REGS] = {"AX", "BX", "CX", "DX", "CS", "SS", "DS",
                                            "ES", "SP", "BP", "SI", "DI", "IP", "FLAGS"};
static const enum gpr gprs[REGS] = {
    [AX] = RAX, [BX] = RBX, [CX] = RCX, [DX] = RDX, [SP] = RSP, [BP] = RBP, [SI] = RSI, [DI] = RDI};

enum { NOT_OF_REAL_MODE = FLAG_IOPL | FLAG_NT | 1 << 15 };

struct bytes {
    const uint8_t *at;
    uint32_t size;
};

struct state {
    uint16_t mask, reg[REGS];
    struct bytes ram; /* entries of 5 bytes: address, value */
};

struct step {
    uint32_t index;
    struct bytes name, code;
    struct state before, after;
    uint8_t exception; /* its vector: 0 is also that of none, see raises */
    bool raises;
    uint32_t hash; /* its first bytes */
};

struct rig {
    struct engine_machine machine;
    struct engine *engine;
    struct vcpu *vcpu;
    uint8_t *ram;
    volatile bool stopped, late;
};

/* ---- the machine ---- */

static uint64_t port_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset, (void)size;
    return UINT64_MAX;
}

static void port_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct rig *rig = device;

    (void)offset, (void)size, (void)value;
    rig->stopped = true;
    engine_soft.kick(rig->vcpu);
}

static uint8_t no_interrupt(void *opaque)
{
    (void)opaque;
    return 0;
}

static void rig_open(struct rig *rig)
{
    char error[200] = "no reason given";
    struct memory_range ram = {.size = MEMORY, .writable = true, .name = "ram"};

    rig->machine.memory = memory_create(MEMORY);
    rig->ram = ram.host = memory_ram(rig->machine.memory);
    rig->machine.ports = bus_create("port", PORTS);
    rig->machine.mmio = bus_create("mmio", UINT64_MAX);
    rig->machine.clock = clock_create();
    rig->machine.cpus = 1;
    rig->machine.acknowledge = no_interrupt;
    machine_lock();
    memory_map(rig->machine.memory, &ram);
    bus_add(rig->machine.ports,
            &(struct bus_range){
                .size = PORTS, .name = "all", .device = rig, .read = port_read, .write = port_write});
    rig->engine = engine_soft.create(&rig->machine, error, sizeof(error));
    machine_unlock();
    if (!rig->engine)
        die("engine_soft: %s", error);
    rig->vcpu = engine_soft.vcpu(rig->engine, 0);
}

/* Ends what runs astray. */
static void *watch(void *opaque)
{
    struct rig *rig = opaque;

    for (;;) {
        usleep(PATIENCE_MS * 1000);
        rig->late = true;
        engine_soft.kick(rig->vcpu);
    }
    return NULL;
}

/* ---- reading ---- */

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* The chunk at *at: its tag, and what is in it; *at goes on. */
static struct bytes chunk(const uint8_t **at, char tag[5])
{
    struct bytes inside = {*at + 8, get32(*at + 4)};

    memcpy(tag, *at, 4);
    tag[4] = 0;
    *at = inside.at + inside.size;
    return inside;
}

static void state_read(struct bytes from, struct state *state)
{
    const uint8_t *at = from.at;
    char tag[5];

    while (at < from.at + from.size) {
        struct bytes inside = chunk(&at, tag);

        if (!strcmp(tag, "REGS")) {
            const uint8_t *value = inside.at + 2;

            memcpy(&state->mask, inside.at, 2);
            for (int i = 0; i < REGS; i++)
                if (state->mask >> i & 1) {
                    memcpy(&state->reg[i], value, 2);
                    value += 2;
                }
        } else if (!strcmp(tag, "RAM ")) {
            state->ram = (struct bytes){inside.at + 4, get32(inside.at)};
        }
    }
}

static void vector_read(struct bytes from, struct step *step)
{
    const uint8_t *at = from.at + 4;
    char tag[5];

    *step = (struct step){.index = get32(from.at)};
    while (at < from.at + from.size) {
        struct bytes inside = chunk(&at, tag);

        if (!strcmp(tag, "NAME"))
            step->name = (struct bytes){inside.at + 4, get32(inside.at)};
        else if (!strcmp(tag, "BYTS"))
            step->code = (struct bytes){inside.at + 4, get32(inside.at)};
        else if (!strcmp(tag, "INIT"))
            state_read(inside, &step->before);
        else if (!strcmp(tag, "FINA")) {
            step->after = step->before;
            step->after.ram = (struct bytes){0};
            state_read(inside, &step->after);
        } else if (!strcmp(tag, "EXCP")) {
            step->raises = true;
            step->exception = inside.at[0];
        } else if (!strcmp(tag, "HASH")) {
            step->hash = get32(inside.at);
        }
    }
}

/* ---- what is not to be compared ---- */

static const uint8_t *opcode_of(const struct step *step, bool *locked)
{
    const uint8_t *at = step->code.at;

    *locked = false;
    for (;; at++) {
        *locked |= *at == 0xf0;
        if (*at != 0x26 && *at != 0x2e && *at != 0x36 && *at != 0x3e && *at != 0xf0 && *at != 0xf2 &&
            *at != 0xf3)
            return at;
    }
}

static bool names(const struct step *step, const char *word)
{
    return memmem(step->name.at, step->name.size, word, strlen(word)) != NULL;
}

/* PUSH, POP, CALL, RET, ENTER, LEAVE, INT and their like, of the one-byte opcodes and FF. */
static bool uses_stack(const uint8_t *opcode)
{
    switch (opcode[0]) {
    case 0x06:
    case 0x07:
    case 0x0e:
    case 0x16:
    case 0x17:
    case 0x1e:
    case 0x1f:
    case 0x50 ... 0x5f:
    case 0x61:
    case 0x68:
    case 0x6a:
    case 0x8f:
    case 0x9a:
    case 0x9c:
    case 0x9d:
    case 0xc2:
    case 0xc3:
    case 0xc8 ... 0xcf:
    case 0xe8: return true;
    case 0xff: return (opcode[1] >> 3 & 7) == 2 || (opcode[1] >> 3 & 7) == 3 || (opcode[1] >> 3 & 7) == 6;
    default: return false;
    }
}

/* Operands beyond the end of SS are exception 13 on an 80286, 12 since; and of some instructions it undoes less. */
static bool faults_otherwise(const struct step *step, const uint8_t *opcode)
{
    bool string = (opcode[0] >= 0x6c && opcode[0] <= 0x6f) || (opcode[0] >= 0xa4 && opcode[0] <= 0xaf);

    return step->raises && step->exception == VECTOR_GP &&
           (string || uses_stack(opcode) || names(step, "(bad)") || names(step, "bp") || names(step, "ss:"));
}

/* Three of a million and a half, in which SS was pushed in the place of CS. */
static bool is_bad(const struct step *step)
{
    return step->hash == 0x6bb15bba || step->hash == 0xa9d2f17d || step->hash == 0x0fea0cab;
}

/* IDIV of a byte: an 80286 misses some quotients that are too large, and answers -128. */
static bool misdivides(const struct step *step, const uint8_t *opcode)
{
    return opcode[0] == 0xf6 && (opcode[1] >> 3 & 7) == 7 && !step->raises &&
           (step->after.reg[AX] & 0xff) == 0x80;
}

static bool left_out(const struct step *step)
{
    bool locked;
    const uint8_t *opcode = opcode_of(step, &locked);
    bool new_segment = (opcode[0] == 0x8c || opcode[0] == 0x8e) && (opcode[1] >> 3 & 7) >= 4; /* FS, GS */

    /* The HLT is counted with the code. */
    return is_bad(step) || misdivides(step, opcode) || locked || new_segment || (opcode[0] & 0xf8) == 0xd8 ||
           step->code.size > LONGEST + 1 || (opcode[0] == 0x0f && opcode[1] == 1) || opcode[0] == 0xf1 ||
           faults_otherwise(step, opcode);
}

/* SHL and SHR by their width and more leave CF undefined, by more than 1 OF; 0 changes nothing. */
static uint32_t shift_undefined(unsigned kind, unsigned count, unsigned width)
{
    uint32_t mask = count == 1 ? 0 : FLAG_OF;

    if (kind < 4)
        return mask | (kind < 2 || count <= width ? 0 : FLAG_CF);
    return mask | FLAG_AF | (count >= width && kind != 7 ? FLAG_CF : 0);
}

static uint32_t undefined_flags(const struct step *step)
{
    enum { MULTIPLIED = FLAG_SF | FLAG_ZF | FLAG_AF | FLAG_PF };
    bool locked;
    const uint8_t *op = opcode_of(step, &locked);
    unsigned reg = op[1] >> 3 & 7, width = op[0] & 1 ? 16 : 8;

    switch (op[0]) {
    case 0x08 ... 0x0d:
    case 0x20 ... 0x25:
    case 0x30 ... 0x35:
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9: return FLAG_AF;
    case 0x80 ... 0x83: return reg == 1 || reg == 4 || reg == 6 ? FLAG_AF : 0;
    case 0x27:
    case 0x2f: return FLAG_OF;
    case 0x37:
    case 0x3f: return FLAG_OF | FLAG_SF | FLAG_ZF | FLAG_PF;
    case 0xd4:
    case 0xd5: return step->raises ? FLAGS_ARITHMETIC : FLAG_OF | FLAG_AF | FLAG_CF;
    case 0x69:
    case 0x6b: return MULTIPLIED;
    case 0xc0:
    case 0xc1: return shift_undefined(reg, step->code.at[step->code.size - 2] & 31, width);
    case 0xd0:
    case 0xd1: return shift_undefined(reg, 1, width);
    case 0xd2:
    case 0xd3: return shift_undefined(reg, step->before.reg[CX] & 31, width);
    case 0xf6:
    case 0xf7: return reg < 2 ? FLAG_AF : reg == 4 || reg == 5 ? MULTIPLIED : reg >= 6 ? FLAGS_ARITHMETIC : 0;
    default: return 0;
    }
}

/* ---- running ---- */

static void prepare(struct rig *rig, const struct step *step)
{
    const struct state *before = &step->before;
    struct cpu_state state;
    uint32_t stop = (step->after.reg[CS] << 4) + (uint16_t)(step->after.reg[IP] - 1);
    uint8_t stop_code = OUT_DX_AL;
    static const enum segment_name names[] = {[CS] = SEG_CS, [SS] = SEG_SS, [DS] = SEG_DS, [ES] = SEG_ES};

    machine_lock();
    for (uint32_t i = 0; i < before->ram.size; i++)
        memory_write(rig->machine.memory, get32(before->ram.at + 5 * i), before->ram.at + 5 * i + 4, 1);
    memory_write(rig->machine.memory, stop, &stop_code, 1);
    engine_soft.reset(rig->vcpu);
    engine_soft.get_state(rig->vcpu, &state);
    for (int i = 0; i < REGS; i++)
        if (i < CS || (i > ES && i < IP))
            state.gpr[gprs[i]] = before->reg[i];
    for (enum reg i = CS; i <= ES; i++) {
        state.segment[names[i]].selector = before->reg[i];
        state.segment[names[i]].base = (uint32_t)before->reg[i] << 4;
    }
    state.rip = before->reg[IP];
    state.rflags = (before->reg[FLAGS] & ~NOT_OF_REAL_MODE) | FLAG_1;
    state.idtr = (struct table_register){0, 0x3ff};
    engine_soft.set_state(rig->vcpu, &state);
    machine_unlock();
}

/* False: it went astray. */
static bool run(struct rig *rig, const struct step *step, struct cpu_state *state)
{
    rig->late = false;
    for (int kicks = 0; kicks < 3;) {
        rig->stopped = false;
        if (engine_soft.run(rig->vcpu) != RUN_KICKED)
            return false;
        engine_soft.get_state(rig->vcpu, state);
        if (rig->stopped && state->segment[SEG_CS].selector == step->after.reg[CS] &&
            (uint16_t)state->rip == step->after.reg[IP])
            return true;
        kicks += rig->late;
    }
    return false;
}

static bool differs(const struct step *step, enum reg reg, uint16_t got, uint16_t wanted, bool show)
{
    uint16_t mask = reg == FLAGS ? ~(undefined_flags(step) | NOT_OF_REAL_MODE) : UINT16_MAX;

    if (!((got ^ wanted) & mask))
        return false;
    if (show)
        printf("#   %s is %04x, wanted %04x\n", reg_names[reg], got, wanted);
    return true;
}

static bool registers_differ(const struct step *step, const struct cpu_state *state, bool show)
{
    static const enum segment_name names[] = {[CS] = SEG_CS, [SS] = SEG_SS, [DS] = SEG_DS, [ES] = SEG_ES};
    bool any = false;

    for (enum reg i = 0; i < REGS; i++) {
        uint16_t got = i == FLAGS           ? state->rflags
                       : i == IP            ? state->rip
                       : i >= CS && i <= ES ? state->segment[names[i]].selector
                                            : state->gpr[gprs[i]];

        any |= differs(step, i, got, step->after.reg[i], show);
    }
    return any;
}

/* The flags that an exception or PUSHF has written are masked as the register is. */
static uint8_t byte_mask(const struct step *step, uint32_t address)
{
    uint16_t mask = ~(undefined_flags(step) | NOT_OF_REAL_MODE);
    bool locked;
    uint8_t opcode = *opcode_of(step, &locked);
    uint32_t top = (step->after.reg[SS] << 4) + step->after.reg[SP];

    if (step->raises && address - (top + 4) < 2)
        return mask >> 8 * (address - (top + 4));
    if (!step->raises && opcode == 0x9c && address == top + 1)
        return (uint8_t) ~(NOT_OF_REAL_MODE >> 8);
    if (!step->raises && (opcode >= 0xcc && opcode <= 0xce) && address == top + 5)
        return (uint8_t) ~(NOT_OF_REAL_MODE >> 8);
    return UINT8_MAX;
}

static bool memory_differs(struct rig *rig, const struct step *step, bool show)
{
    bool any = false;

    for (uint32_t i = 0; i < step->after.ram.size; i++) {
        uint32_t address = get32(step->after.ram.at + 5 * i);
        uint8_t wanted = step->after.ram.at[5 * i + 4], got = rig->ram[address & (MEMORY - 1)];

        if (!((wanted ^ got) & byte_mask(step, address)))
            continue;
        any = true;
        if (show)
            printf("#   %06x holds %02x, wanted %02x\n", address, got, wanted);
    }
    return any;
}

static bool passes(struct rig *rig, const struct step *step, bool show)
{
    struct cpu_state state;
    bool ended;

    prepare(rig, step);
    ended = run(rig, step, &state);
    if (show)
        printf("# %u: %.*s%s\n", step->index, (int)step->name.size, (const char *)step->name.at,
               ended ? "" : ": does not get to its end");
    return !(registers_differ(step, &state, show) | memory_differs(rig, step, show) | !ended);
}

static uint8_t *read_all(size_t *size)
{
    size_t room = 1 << 20, got;
    uint8_t *all = malloc(room);

    for (*size = 0; all && (got = fread(all + *size, 1, room - *size, stdin)) > 0;)
        if ((*size += got) == room)
            all = realloc(all, room *= 2);
    return all;
}

int main(void)
{
    static struct rig rig;
    unsigned total = 0, failed = 0, skipped = 0;
    size_t size;
    uint8_t *all = read_all(&size);
    const uint8_t *at = all;
    pthread_t watcher;
    char tag[5];

    if (!all || size < 8)
        die("no vectors on standard input");
    rig_open(&rig);
    pthread_create(&watcher, NULL, watch, &rig);
    while (at < all + size) {
        struct bytes inside = chunk(&at, tag);
        struct step step;

        if (strcmp(tag, "TEST"))
            continue;
        vector_read(inside, &step);
        total++;
        if (left_out(&step))
            skipped++;
        else if (!passes(&rig, &step, false) && failed++ < SHOWN)
            passes(&rig, &step, true);
    }
    printf("%u vectors, %u failed, %u left out\n", total, failed, skipped);
    return failed != 0;
}

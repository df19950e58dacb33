/*
 * The few pieces of code around all translations, written once: in, out, and the calls of C functions. Also the memory
 * that code is written into: a file that is mapped twice, writable here and executable there.
 *
 * Registers of the guest are written back to struct cpu on every way out, and taken from there on every way in.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/soft/translator.h"

/* ---- memory ---- */

bool code_memory_create(struct code_memory *memory, size_t size)
{
    int file = memfd_create("hearth-translations", MFD_CLOEXEC);
    void *written = MAP_FAILED, *executed = MAP_FAILED;

    if (file >= 0 && ftruncate(file, size) == 0) {
        written = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        executed = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
    }
    if (file >= 0)
        close(file);
    *memory = (struct code_memory){written, executed, size};
    if (written != MAP_FAILED && executed != MAP_FAILED)
        return true;
    code_memory_destroy(memory);
    return false;
}

void code_memory_destroy(struct code_memory *memory)
{
    if (memory->written != MAP_FAILED)
        munmap(memory->written, memory->size);
    if (memory->executed != MAP_FAILED)
        munmap(memory->executed, memory->size);
}

/* ---- thunks ---- */

static const uint8_t saved[] = {HOST_RBX, HOST_RBP, HOST_R12, HOST_R13, HOST_R14, HOST_R15}; /* the ABI's */
enum { PUSH = 0x50, POP = 0x58, RETURN = 0xc3, CALL = 2, JUMP = 4, PINNED = 12 };

static void emit_one(struct emitter *e, unsigned opcode, unsigned reg)
{
    emit_opcode(e, 4, opcode | (reg & 7), 0, HOST_NONE, reg, false);
}

static void registers_store(struct emitter *e)
{
    for (unsigned i = 0; i < PINNED; i++)
        emit_store(e, 8, gpr_place(i), host_of(i));
}

static void registers_load(struct emitter *e)
{
    for (unsigned i = 0; i < PINNED; i++)
        emit_load(e, 8, host_of(i), gpr_place(i));
}

/* C may want the stack aligned; RBP keeps it, the guest's is stored. R13 to R15 come back as they were. */
static void emit_c_call(struct emitter *e, uintptr_t function)
{
    emit_move(e, 8, HOST_RBP, HOST_RSP);
    emit_binary_constant(e, 8, HOST_AND, HOST_RSP, -16);
    emit_move(e, 8, HOST_RDI, REG_CPU);
    emit_constant(e, HOST_RAX, function);
    emit_group(e, 4, OPCODE_GROUP_5, CALL, HOST_RAX);
    emit_move(e, 8, HOST_RSP, HOST_RBP);
}

static void write_enter(struct translator *translator, struct emitter *e)
{
    uint8_t *start = e->at - translator->memory.written + translator->memory.executed;

    for (unsigned i = 0; i < sizeof(saved); i++)
        emit_one(e, PUSH, saved[i]);
    emit_move(e, 8, REG_CPU, HOST_RDI);
    emit_move(e, 8, SCRATCH, HOST_RSI);
    emit_store(e, 8, CPU_PLACE(host_stack), HOST_RSP);
    registers_load(e);
    emit_group(e, 4, OPCODE_GROUP_5, JUMP, SCRATCH);
    memcpy(&translator->enter, &start, sizeof(start));
}

/* Out, with the site's number in SCRATCH; `stored`: the registers are. */
static uint8_t *write_leave(struct translator *translator, struct emitter *e)
{
    uint8_t *stored;

    translator->leave = e->at;
    registers_store(e);
    stored = e->at;
    emit_move(e, 4, HOST_RAX, SCRATCH);
    emit_load(e, 8, HOST_RSP, CPU_PLACE(host_stack));
    for (unsigned i = sizeof(saved); i-- > 0;)
        emit_one(e, POP, saved[i]);
    emit_byte(e, RETURN);
    return stored;
}

/* Linear address in ADDRESS, site in SCRATCH: comes back with the host's address, or leaves there. */
static void write_access(struct translator *translator, struct emitter *e, const uint8_t *stored)
{
    translator->access = e->at;
    registers_store(e);
    emit_move(e, 8, HOST_RSI, ADDRESS);
    emit_move(e, 4, HOST_RDX, SCRATCH);
    emit_c_call(e, (uintptr_t)translated_access);
    emit_registers(e, 8, OPCODE_TEST, HOST_RAX, HOST_RAX);
    emit_patch(emit_jump_if(e, IF_ZERO), stored);
    emit_move(e, 8, ADDRESS, HOST_RAX);
    registers_load(e);
    emit_byte(e, RETURN);
}

/* Site in SCRATCH: comes back, or leaves with nothing more to do. */
static void write_operation(struct translator *translator, struct emitter *e, const uint8_t *stored)
{
    uint8_t *goes_on;

    translator->operation = e->at;
    registers_store(e);
    emit_move(e, 4, HOST_RSI, SCRATCH);
    emit_c_call(e, (uintptr_t)translated_operation);
    emit_registers(e, 1, sized(1, OPCODE_TEST), HOST_RAX, HOST_RAX);
    goes_on = emit_jump_if(e, IF_NOT_ZERO);
    emit_constant(e, SCRATCH, 0);
    emit_jump_to(e, stored);
    emit_patch(goes_on, e->at);
    registers_load(e);
    emit_byte(e, RETURN);
}

/* The guest's arithmetic flags into EFLAGS. */
static void write_flags(struct translator *translator, struct emitter *e)
{
    enum { POPF = 0x9d };

    translator->flags = e->at;
    registers_store(e);
    emit_c_call(e, (uintptr_t)translated_flags);
    emit_move(e, 8, SCRATCH, HOST_RAX);
    registers_load(e);
    emit_one(e, PUSH, SCRATCH);
    emit_byte(e, POPF);
    emit_byte(e, RETURN);
}

static void write_carry(struct translator *translator, struct emitter *e)
{
    translator->carry = e->at;
    registers_store(e);
    emit_c_call(e, (uintptr_t)translated_carry);
    registers_load(e);
    emit_byte(e, RETURN);
}

void thunks_write(struct translator *translator)
{
    struct code_memory *memory = &translator->memory;
    struct emitter e = {.at = memory->written, .end = memory->written + memory->size};
    uint8_t *stored;

    write_enter(translator, &e);
    stored = write_leave(translator, &e);
    write_access(translator, &e, stored);
    write_operation(translator, &e, stored);
    write_flags(translator, &e);
    write_carry(translator, &e);
    translator->code_start = translator->code_at = e.at;
}

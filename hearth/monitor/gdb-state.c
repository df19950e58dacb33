/* Registers and linear or physical memory, as gdb reads and writes them. */
#include <string.h>

#include "cpu/walk.h"
#include "monitor/gdb-internal.h"
#include "monitor/gdb-registers.h"

void gdb_state_get(struct gdb *gdb, unsigned cpu, struct cpu_state *state)
{
    machine_freeze(gdb->machine);
    machine_engine(gdb->machine)->get_state(machine_vcpu(gdb->machine, cpu), state);
    machine_thaw(gdb->machine);
}

static void state_put(struct gdb *gdb, const struct cpu_state *state)
{
    machine_freeze(gdb->machine);
    machine_engine(gdb->machine)->set_state(machine_vcpu(gdb->machine, gdb->cpu), state);
    machine_thaw(gdb->machine);
}

void gdb_registers_read(struct gdb *gdb)
{
    struct cpu_state state;
    uint8_t bytes[GDB_REGISTER_BYTES];
    gdb_state_get(gdb, gdb->cpu, &state);
    for (unsigned i = 0; i < gdb_registers(); i++)
        gdb_reply_hex(gdb, bytes, gdb_register_get(&state, i, bytes));
}

void gdb_registers_write(struct gdb *gdb, const char *hex)
{
    struct cpu_state state;
    uint8_t bytes[GDB_REGISTER_BYTES];
    gdb_state_get(gdb, gdb->cpu, &state);
    for (unsigned i = 0; i < gdb_registers(); i++, hex += strlen(hex) < 2 ? strlen(hex) : 0) {
        size_t size = gdb_register_get(&state, i, bytes);
        if (gdb_take_hex(hex, bytes, size) != size)
            break;
        gdb_register_put(&state, i, bytes, size);
        hex += 2 * size;
    }
    state_put(gdb, &state);
    gdb_reply(gdb, "OK");
}

void gdb_register_read(struct gdb *gdb, const char *at)
{
    struct cpu_state state;
    uint8_t bytes[GDB_REGISTER_BYTES];
    uint64_t number;
    gdb_state_get(gdb, gdb->cpu, &state);
    size_t size = gdb_take_number(&at, &number) && number < gdb_registers()
                      ? gdb_register_get(&state, (unsigned)number, bytes)
                      : 0;
    if (size)
        gdb_reply_hex(gdb, bytes, size);
    else
        gdb_reply_error(gdb, ERROR_INVALID);
}

void gdb_register_write(struct gdb *gdb, const char *at)
{
    struct cpu_state state;
    uint8_t bytes[GDB_REGISTER_BYTES];
    uint64_t number;
    gdb_state_get(gdb, gdb->cpu, &state);
    if (gdb_take_number(&at, &number) && gdb_take(&at, '=') && number < gdb_registers() &&
        gdb_register_put(&state, (unsigned)number, bytes, gdb_take_hex(at, bytes, sizeof(bytes)))) {
        state_put(gdb, &state);
        gdb_reply(gdb, "OK");
    } else {
        gdb_reply_error(gdb, ERROR_INVALID);
    }
}

void gdb_memory_read(struct gdb *gdb, const char *at)
{
    uint8_t *bytes = gdb->bytes;
    struct memory *memory = machine_memory(gdb->machine);
    struct cpu_state state;
    uint64_t address, size;
    if (!gdb_take_number(&at, &address) || !gdb_take(&at, ',') || !gdb_take_number(&at, &size)) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    if (size > PACKET_MOST)
        size = PACKET_MOST;
    gdb_state_get(gdb, gdb->cpu, &state);
    if (gdb->physical)
        size = memory_read(memory, address, bytes, size) ? size : 0;
    else
        size = walk_read(&state, memory, address, bytes, size);
    if (size)
        gdb_reply_hex(gdb, bytes, size);
    else
        gdb_reply_error(gdb, ERROR_FAULT);
}

/* M brings hexadecimal digits, X bytes. */
void gdb_memory_write(struct gdb *gdb, const char *at, bool binary)
{
    uint8_t *bytes = gdb->bytes;
    struct memory *memory = machine_memory(gdb->machine);
    struct cpu_state state;
    uint64_t address, size, there;
    if (!gdb_take_number(&at, &address) || !gdb_take(&at, ',') || !gdb_take_number(&at, &size) ||
        !gdb_take(&at, ':')) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    there = binary ? gdb->length - (size_t)(at - gdb->packet) : gdb_take_hex(at, bytes, sizeof(gdb->bytes));
    if (binary)
        memcpy(bytes, at, there);
    gdb_state_get(gdb, gdb->cpu, &state);
    if (there != size)
        gdb_reply_error(gdb, ERROR_INVALID);
    else if (gdb->physical ? memory_write(memory, address, bytes, size)
                           : walk_write(&state, memory, address, bytes, size) == size)
        gdb_reply(gdb, "OK");
    else
        gdb_reply_error(gdb, ERROR_FAULT);
}

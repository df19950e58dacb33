/*
 * Packets in and out, and what they ask. Left out: more than one process, non-stop mode, file I/O, reverse execution.
 */
#include "monitor/gdb.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "monitor/commands.h"
#include "monitor/gdb-internal.h"
#include "monitor/gdb-registers.h"

/* ---- replies */

void gdb_reply(struct gdb *gdb, const char *format, ...)
{
    size_t room = sizeof(gdb->reply) - gdb->reply_length;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(gdb->reply + gdb->reply_length, room, format, arguments);
    va_end(arguments);
    gdb->reply_length += (size_t)length < room ? (size_t)length : room - 1;
}

void gdb_reply_hex(struct gdb *gdb, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        gdb_reply(gdb, "%02x", ((const uint8_t *)bytes)[i]);
}

void gdb_reply_send(struct gdb *gdb)
{
    char end[4];
    uint8_t sum = 0;
    for (size_t i = 0; i < gdb->reply_length; i++)
        sum += (uint8_t)gdb->reply[i];
    snprintf(end, sizeof(end), "#%02x", sum);
    character_write(gdb->port, (const uint8_t *)"$", 1);
    character_write(gdb->port, (const uint8_t *)gdb->reply, gdb->reply_length);
    character_write(gdb->port, (const uint8_t *)end, 3);
    gdb->reply_length = 0;
}

void gdb_reply_error(struct gdb *gdb, int number)
{
    gdb->reply_length = 0;
    gdb_reply(gdb, "E%02x", (unsigned)number);
}

/* ---- what comes in the packet */

bool gdb_take_number(const char **at, uint64_t *value)
{
    char *end;
    *value = strtoull(*at, &end, 16);
    bool taken = end != *at && isxdigit((unsigned char)**at);
    *at = end;
    return taken;
}

bool gdb_take(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

bool gdb_take_text(const char **at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length))
        return false;
    *at += length;
    return true;
}

static int digit(char letter)
{
    return isdigit((unsigned char)letter) ? letter - '0' : tolower((unsigned char)letter) - 'a' + 10;
}

size_t gdb_take_hex(const char *text, uint8_t *bytes, size_t most)
{
    size_t count = 0;
    for (; count < most && isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2)
        bytes[count++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    return count;
}

/* ---- queries */

static void features_show(struct gdb *gdb, const char *at)
{
    uint64_t offset, size;
    if (!gdb_take_number(&at, &offset) || !gdb_take(&at, ',') || !gdb_take_number(&at, &size) ||
        !gdb->description) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    uint64_t length = strlen(gdb->description);
    offset = offset < length ? offset : length;
    if (size > PACKET_MOST)
        size = PACKET_MOST;
    bool last = length - offset <= size;
    gdb_reply(gdb, "%c%.*s", last ? 'l' : 'm', (int)(last ? length - offset : size),
              gdb->description + offset);
}

static void threads_show(struct gdb *gdb)
{
    enum { AT_ONCE = 64 };
    unsigned told = 0;
    for (; gdb->next_thread < machine_cpus(gdb->machine) && told < AT_ONCE; gdb->next_thread++)
        if (machine_has_cpu(gdb->machine, gdb->next_thread))
            gdb_reply(gdb, "%s%x", told++ ? "," : "m", gdb->next_thread + 1);
    if (!told)
        gdb_reply(gdb, "l");
}

static void thread_describe(struct gdb *gdb, const char *at)
{
    struct cpu_state state;
    uint64_t thread;
    char text[64];
    if (!gdb_take_number(&at, &thread) || !thread || !machine_has_cpu(gdb->machine, (unsigned)thread - 1)) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    gdb_state_get(gdb, (unsigned)thread - 1, &state);
    snprintf(text, sizeof(text), "CPU#%u [%s]", (unsigned)thread - 1, state.halted ? "halted " : "running");
    gdb_reply_hex(gdb, text, strlen(text));
}

/* `monitor COMMAND` in gdb. */
static void command_run(struct gdb *gdb, const char *hex)
{
    uint8_t line[1024];
    char *said = NULL;
    size_t length = 0;
    line[gdb_take_hex(hex, line, sizeof(line) - 1)] = '\0';
    FILE *out = open_memstream(&said, &length);
    if (!out) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    struct call call = {.machine = gdb->machine, .out = out, .cpu = gdb->cpu};
    command_line(&call, (const char *)line);
    fclose(out);
    for (size_t at = 0; at < length;) {
        size_t piece = length - at < PACKET_MOST / 2 ? length - at : PACKET_MOST / 2;
        gdb_reply(gdb, "O");
        gdb_reply_hex(gdb, said + at, piece);
        gdb_reply_send(gdb);
        at += piece;
    }
    free(said);
    gdb_reply(gdb, "OK");
}

static void query(struct gdb *gdb, const char *at)
{
    if (gdb_take_text(&at, "Supported")) {
        gdb_reply(gdb, "PacketSize=%x;qXfer:features:read+;vContSupported+;QStartNoAckMode+", PACKET_MOST);
    } else if (gdb_take_text(&at, "Xfer:features:read:target.xml:")) {
        features_show(gdb, at);
    } else if (gdb_take_text(&at, "fThreadInfo")) {
        gdb->next_thread = 0;
        threads_show(gdb);
    } else if (gdb_take_text(&at, "sThreadInfo")) {
        threads_show(gdb);
    } else if (gdb_take_text(&at, "ThreadExtraInfo,")) {
        thread_describe(gdb, at);
    } else if (gdb_take_text(&at, "Rcmd,")) {
        command_run(gdb, at);
    } else if (gdb_take_text(&at, "Attached")) {
        gdb_reply(gdb, "1");
    } else if (gdb_take_text(&at, "qemu.PhyMemMode")) {
        gdb_reply(gdb, "%d", gdb->physical);
    } else if (*at == 'C' && !at[1]) {
        gdb_reply(gdb, "QC%x", gdb->cpu + 1);
    }
}

static void set(struct gdb *gdb, const char *at)
{
    if (gdb_take_text(&at, "StartNoAckMode"))
        gdb->no_acks = true;
    else if (gdb_take_text(&at, "qemu.PhyMemMode:"))
        gdb->physical = *at == '1';
    else
        return;
    gdb_reply(gdb, "OK");
}

/* Hg and Hc; 0 is any thread, -1 all. */
static void thread_choose(struct gdb *gdb, const char *at)
{
    uint64_t thread = 0;
    char what = *at ? *at++ : '\0';
    if (*at != '-' && (!gdb_take_number(&at, &thread) ||
                       (thread && !machine_has_cpu(gdb->machine, (unsigned)thread - 1)))) {
        gdb_reply_error(gdb, ERROR_INVALID);
        return;
    }
    if (thread && what == 'g')
        gdb->cpu = (unsigned)thread - 1;
    gdb_reply(gdb, "OK");
}

static void thread_alive(struct gdb *gdb, const char *at)
{
    uint64_t thread;
    if (gdb_take_number(&at, &thread) && thread && machine_has_cpu(gdb->machine, (unsigned)thread - 1))
        gdb_reply(gdb, "OK");
    else
        gdb_reply_error(gdb, ERROR_INVALID);
}

static void many_letters(struct gdb *gdb, const char *at)
{
    if (gdb_take_text(&at, "Cont?"))
        gdb_reply(gdb, "vCont;c;C;s;S");
    else if (gdb_take_text(&at, "Cont"))
        gdb_resume_each(gdb, at);
    else if (gdb_take_text(&at, "Kill"))
        machine_quit(gdb->machine, EXIT_POWERED_OFF, "host-ui");
}

static void packet_answer(struct gdb *gdb)
{
    const char *at = gdb->packet + 1;
    gdb->packet[gdb->length] = '\0';
    switch (gdb->packet[0]) {
    case '?': gdb_stop_reply(gdb, gdb->cpu, SIGNAL_TRAP, NULL); break;
    case 'g': gdb_registers_read(gdb); break;
    case 'G': gdb_registers_write(gdb, at); break;
    case 'p': gdb_register_read(gdb, at); break;
    case 'P': gdb_register_write(gdb, at); break;
    case 'm': gdb_memory_read(gdb, at); break;
    case 'M': gdb_memory_write(gdb, at, false); break;
    case 'X': gdb_memory_write(gdb, at, true); break;
    case 'Z': gdb_point_change(gdb, at, true); break;
    case 'z': gdb_point_change(gdb, at, false); break;
    case 'c':
    case 'C': gdb_resume(gdb, false); break;
    case 's':
    case 'S': gdb_resume(gdb, true); break;
    case 'v': many_letters(gdb, at); break;
    case 'H': thread_choose(gdb, at); break;
    case 'T': thread_alive(gdb, at); break;
    case 'q': query(gdb, at); break;
    case 'Q': set(gdb, at); break;
    case 'k': machine_quit(gdb->machine, EXIT_POWERED_OFF, "host-ui"); return;
    case 'D':
        gdb_let_go(gdb);
        gdb_reply(gdb, "OK");
        machine_continue(gdb->machine);
        break;
    default: break; /* an empty reply: not known here */
    }
    if (!gdb->waiting || gdb->reply_length)
        gdb_reply_send(gdb);
}

/* ---- the byte stream */

static void packet_end(struct gdb *gdb)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < gdb->length; i++)
        sum += (uint8_t)gdb->packet[i];
    bool good = sum == gdb->sum && !gdb->overlong;
    if (!gdb->no_acks)
        character_write(gdb->port, (const uint8_t *)(good ? "+" : "-"), 1);
    if (!good)
        return;
    size_t to = 0;
    for (size_t from = 0; from < gdb->length; from++)
        gdb->packet[to++] = gdb->packet[from] == '}' && from + 1 < gdb->length
                                ? (char)(gdb->packet[++from] ^ 0x20)
                                : gdb->packet[from];
    gdb->length = to;
    packet_answer(gdb);
}

static void byte_between(struct gdb *gdb, char byte)
{
    if (byte == '$') {
        gdb->parser = IN_PACKET;
        gdb->length = 0;
        gdb->overlong = false;
    } else if (byte == INTERRUPT) {
        gdb->asked = true;
        machine_pause(gdb->machine);
    }
}

static void byte_take(struct gdb *gdb, char byte)
{
    switch (gdb->parser) {
    case BETWEEN: byte_between(gdb, byte); break;
    case IN_PACKET:
        if (byte == '#')
            gdb->parser = IN_SUM1;
        else if (gdb->length < PACKET_MOST)
            gdb->packet[gdb->length++] = byte;
        else
            gdb->overlong = true;
        break;
    case IN_SUM1:
        gdb->sum = (uint8_t)(digit(byte) << 4);
        gdb->parser = IN_SUM2;
        break;
    case IN_SUM2:
        gdb->sum |= digit(byte) & 0xf;
        gdb->parser = BETWEEN;
        packet_end(gdb);
        break;
    }
}

static void receive(void *device, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        byte_take(device, (char)bytes[i]);
}

static size_t room(void *device)
{
    (void)device;
    return PACKET_MOST;
}

void gdb_connected(void *opaque)
{
    struct gdb *gdb = opaque;
    gdb_let_go(gdb);
    gdb->connected = true;
    gdb->no_acks = gdb->physical = gdb->asked = false;
    gdb->parser = BETWEEN;
    gdb->cpu = 0;
    machine_pause(gdb->machine);
}

struct gdb *gdb_create(struct machine *machine, struct character_port *port)
{
    struct gdb *gdb = allocate(sizeof(*gdb));
    gdb->machine = machine;
    gdb->port = port;
    gdb->description = gdb_target_description();
    gdb->listener = (struct machine_listener){.opaque = gdb, .happened = gdb_happened};
    machine_listen(machine, &gdb->listener);
    port->device = gdb;
    port->receive = receive;
    port->room = room;
    return gdb;
}

void gdb_destroy(struct gdb *gdb)
{
    if (!gdb)
        return;
    machine_unlisten(gdb->machine, &gdb->listener);
    gdb->port->receive = NULL;
    free(gdb->description);
    free(gdb);
}

#include "monitor/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "monitor/commands.h"
#include "monitor/line.h"
#include "options/options.h"

struct monitor {
    struct machine *machine;
    struct character_port *port;
    struct line_editor *editor;
    unsigned cpu;
};

/* The answer with CR LF, as terminals and QEMU's clients expect. */
static void answer_send(struct monitor *monitor, const char *text, size_t length)
{
    while (length) {
        const char *newline = memchr(text, '\n', length);
        size_t piece = newline ? (size_t)(newline - text) : length;
        character_write(monitor->port, (const uint8_t *)text, piece);
        if (!newline)
            return;
        character_write(monitor->port, (const uint8_t *)"\r\n", 2);
        text = newline + 1;
        length -= piece + 1;
    }
}

static void entered(void *opaque, char *line)
{
    struct monitor *monitor = opaque;
    char *answer = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&answer, &length);

    if (!out)
        return;
    struct call call = {
        .machine = monitor->machine, .out = out, .cpu = monitor->cpu, .editor = monitor->editor};
    command_line(&call, line);
    monitor->cpu = call.cpu;
    fclose(out);
    answer_send(monitor, answer, length);
    free(answer);
    line_show(monitor->editor);
}

static void echo(void *opaque, const char *text, size_t length)
{
    struct monitor *monitor = opaque;
    character_write(monitor->port, (const uint8_t *)text, length);
}

static size_t complete(void *opaque, const char *line, const char *names[COMPLETIONS_MOST])
{
    const struct command *table = commands;
    unsigned count = commands_count;
    size_t found = 0;
    (void)opaque;

    if (!strncmp(line, "info ", 5)) {
        table = info_commands;
        count = info_commands_count;
        line += 5;
    } else if (!strncmp(line, "help ", 5)) {
        line += 5;
    }
    if (strchr(line, ' '))
        return 0;
    for (unsigned i = 0; i < count && found < COMPLETIONS_MOST; i++)
        if (!strncmp(table[i].name, line, strlen(line)))
            names[found++] = table[i].name;
    return found;
}

static void receive(void *device, const uint8_t *bytes, size_t count)
{
    struct monitor *monitor = device;
    line_feed(monitor->editor, bytes, count);
}

static size_t room(void *device)
{
    (void)device;
    return LINE_LENGTH;
}

struct monitor *monitor_create(struct machine *machine, struct character_port *port)
{
    struct monitor *monitor = allocate(sizeof(*monitor));
    struct line_owner owner = {monitor, echo, entered, complete};

    monitor->machine = machine;
    monitor->port = port;
    monitor->editor = line_create("(qemu) ", &owner); /* scripts written for QEMU wait for this */
    port->device = monitor;
    port->receive = receive;
    port->room = room;
    return monitor;
}

void monitor_destroy(struct monitor *monitor)
{
    if (!monitor)
        return;
    monitor->port->receive = NULL;
    line_destroy(monitor->editor);
    free(monitor);
}

void monitor_greet(void *opaque)
{
    struct monitor *monitor = opaque;
    char banner[128];
    int length = snprintf(banner, sizeof(banner), "hearth %s monitor - type 'help' for more information\n",
                          HEARTH_VERSION);
    line_clear(monitor->editor);
    answer_send(monitor, banner, (size_t)length);
    line_show(monitor->editor);
}

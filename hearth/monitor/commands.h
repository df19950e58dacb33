/*
 * The one command table. A command reads its arguments from the call with the argument_ functions, writes its answer
 * to call->out, and reports what is wrong with call_error().
 */
#ifndef MONITOR_COMMANDS_H
#define MONITOR_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "machine/machine.h"
#include "monitor/line.h"

struct call {
    struct machine *machine;
    FILE *out;
    const char *name;      /* of the command, for messages */
    const char *arguments; /* what is still to be read */
    char format[16];       /* what stood after the slash: x/10i */
    unsigned cpu;          /* the monitor's current CPU */
    bool failed;
    const struct line_editor *editor; /* for `info history` */
};

struct command {
    const char *name;
    const char *arguments; /* for help */
    const char *help;
    void (*run)(struct call *call);
};

extern const struct command commands[], info_commands[];
extern const unsigned commands_count, info_commands_count;

const struct command *command_find(const struct command *table, unsigned count, const char *name,
                                   size_t length);

/* Runs a line; what it says goes to call->out, and call->failed tells whether it went wrong. call->cpu may change. */
void command_line(struct call *call, const char *line);

/* "Error: text" in the answer; later calls change nothing. */
void call_error(struct call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The next word (may stand in double quotes, with \" and \\ in them). False, with an error reported, if there is none. */
bool argument_word(struct call *call, const char *what, char *word, size_t size);
/* The next expression. Likewise. */
bool argument_number(struct call *call, const char *what, uint64_t *value);
bool argument_left(struct call *call);

/* The state of the call's CPU, taken while the vCPUs stand for a moment. */
void call_state(struct call *call, struct cpu_state *state);

/* inspect.c */
void command_x(struct call *call);
void command_xp(struct call *call);
void command_memsave(struct call *call);
void command_pmemsave(struct call *call);
void command_gva2gpa(struct call *call);
void info_registers(struct call *call);
void info_memory(struct call *call);
void info_mtree(struct call *call);

/* cpus.c */
void info_cpus(struct call *call);
void info_instructions(struct call *call);
void info_hotpluggable_cpus(struct call *call);
void command_pin(struct call *call);
void command_device_add(struct call *call);
void command_device_del(struct call *call);

/* tables.c */
void info_mem(struct call *call);
void info_tlb(struct call *call);
/* network.c */
void command_hostfwd_add(struct call *call);
void command_hostfwd_remove(struct call *call);
void command_set_link(struct call *call);
void info_network(struct call *call);
void info_usernet(struct call *call);

/* block.c */
void command_eject(struct call *call);
void command_change(struct call *call);
void info_block(struct call *call);

/* screen.c */
void command_screendump(struct call *call);
void command_screentext(struct call *call);
void command_sendkey(struct call *call);
void command_mouse_move(struct call *call);
void command_mouse_button(struct call *call);

/* vnc.c */
void command_change_vnc(struct call *call); /* `change vnc` */
void command_set_password(struct call *call);
void info_vnc(struct call *call);

#endif

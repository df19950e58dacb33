#include "monitor/commands.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "core/log.h"
#include "monitor/expression.h"
#include "options/options.h"

void call_error(struct call *call, const char *format, ...)
{
    va_list arguments;
    if (call->failed)
        return;
    call->failed = true;
    fputs("Error: ", call->out);
    va_start(arguments, format);
    vfprintf(call->out, format, arguments);
    va_end(arguments);
    fputc('\n', call->out);
}

/* ---- arguments */

bool argument_left(struct call *call)
{
    while (isspace((unsigned char)*call->arguments))
        call->arguments++;
    return *call->arguments != '\0';
}

static bool argument_missing(struct call *call, const char *what)
{
    if (argument_left(call))
        return false;
    fprintf(call->out, "%s: %s expected\nTry \"help %s\" for more information\n", call->name, what,
            call->name);
    call->failed = true;
    return true;
}

bool argument_word(struct call *call, const char *what, char *word, size_t size)
{
    if (argument_missing(call, what))
        return false;
    bool quoted = *call->arguments == '"', fits = true;
    const char *at = call->arguments + quoted;
    size_t length = 0;
    for (; *at && (quoted ? *at != '"' : *at != ' ' && *at != '\t'); at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        fits = fits && length + 1 < size;
        if (fits)
            word[length++] = *at;
    }
    word[length] = '\0';
    if (quoted && *at != '"')
        call_error(call, "the quote is not closed");
    else if (!fits)
        call_error(call, "%s is too long", what);
    call->arguments = *at && quoted ? at + 1 : at;
    return !call->failed;
}

void call_state(struct call *call, struct cpu_state *state)
{
    machine_freeze(call->machine);
    machine_engine(call->machine)->get_state(machine_vcpu(call->machine, call->cpu), state);
    machine_thaw(call->machine);
}

bool argument_number(struct call *call, const char *what, uint64_t *value)
{
    struct cpu_state state;
    const char *error;
    if (argument_missing(call, what))
        return false;
    bool registers = strchr(call->arguments, '$') != NULL;
    if (registers)
        call_state(call, &state);
    if (expression_parse(&call->arguments, registers ? &state : NULL, value, &error))
        return true;
    call_error(call, "%s: %s", what, error);
    return false;
}

/* ---- lines */

/* "x/10i", or "x /10i" for a command that takes a format: splits off what stands behind the slash. */
static const char *format_split(const struct command *command, const char *rest, char *format, size_t size)
{
    const char *slash = rest + strspn(rest, " \t");
    if (*slash != '/' || strncmp(command->arguments, "/FMT", 4))
        return rest;
    size_t count = strcspn(++slash, " \t");
    snprintf(format, size, "%.*s", (int)count, slash);
    return slash + count;
}

void command_line(struct call *call, const char *line)
{
    while (isspace((unsigned char)*line))
        line++;
    if (!*line)
        return;
    size_t length = strcspn(line, " \t/");
    const struct command *command = command_find(commands, commands_count, line, length);
    if (!command) {
        fprintf(call->out, "unknown command: '%.*s'\n", (int)length, line);
        call->failed = true;
        return;
    }
    call->arguments = format_split(command, line + length, call->format, sizeof(call->format));
    call->name = command->name;
    command->run(call);
}

/* ---- commands of a line or two */

static void command_print_row(FILE *out, const struct command *command, const char *before)
{
    fprintf(out, "%s%s %s -- %s\n", before, command->name, command->arguments, command->help);
}

static void table_print(FILE *out, const struct command *table, unsigned count, const char *before)
{
    for (unsigned i = 0; i < count; i++)
        command_print_row(out, &table[i], before);
}

static void command_help(struct call *call)
{
    char word[32];
    if (!argument_left(call)) {
        table_print(call->out, commands, commands_count, "");
        return;
    }
    if (!argument_word(call, "command", word, sizeof(word)))
        return;
    const struct command *command = command_find(commands, commands_count, word, strlen(word));
    if (!command)
        fprintf(call->out, "unknown command: '%s'\n", word);
    else if (!strcmp(word, "info"))
        table_print(call->out, info_commands, info_commands_count, "info ");
    else
        command_print_row(call->out, command, "");
}

static void command_info(struct call *call)
{
    char word[32];
    if (!argument_left(call)) {
        table_print(call->out, info_commands, info_commands_count, "info ");
        return;
    }
    if (!argument_word(call, "what", word, sizeof(word)))
        return;
    const struct command *command = command_find(info_commands, info_commands_count, word, strlen(word));
    if (!command)
        fprintf(call->out, "unknown command: 'info %s'\n", word);
    else
        command->run(call);
}

static void command_stop(struct call *call)
{
    machine_pause(call->machine);
}

static void command_cont(struct call *call)
{
    enum machine_status status = machine_status(call->machine);
    if (status == MACHINE_SHUTDOWN || status == MACHINE_TRIPLE_FAULT || status == MACHINE_INTERNAL_ERROR)
        call_error(call, "the guest has ended; system_reset starts it afresh");
    machine_continue(call->machine);
}

static void command_system_reset(struct call *call)
{
    machine_reset(call->machine);
}

static void command_system_powerdown(struct call *call)
{
    machine_powerdown(call->machine);
}

/* The items of -d; none ends logging. */
static void command_log(struct call *call)
{
    char items[256];
    unsigned mask = 0;
    const char *bad;
    if (!argument_word(call, "items", items, sizeof(items)))
        return;
    if (strcmp(items, "none") && !log_parse(items, &mask, &bad))
        call_error(call, "no log item '%s'; `hearth -d help` lists them", bad);
    else
        log_mask = mask;
}

static void command_nmi(struct call *call)
{
    const struct engine_ops *engine = machine_engine(call->machine);
    for (unsigned i = 0; i < machine_cpus(call->machine); i++)
        if (machine_has_cpu(call->machine, i))
            engine->nmi(machine_vcpu(call->machine, i));
}

static void command_quit(struct call *call)
{
    machine_quit(call->machine, EXIT_POWERED_OFF, "host-qmp-quit");
}

static void command_cpu(struct call *call)
{
    uint64_t index;
    if (!argument_number(call, "index", &index))
        return;
    if (index >= machine_cpus(call->machine) || !machine_has_cpu(call->machine, (unsigned)index))
        call_error(call, "invalid CPU index");
    else
        call->cpu = (unsigned)index;
}

static void command_print(struct call *call)
{
    uint64_t value;
    if (!argument_number(call, "expression", &value))
        return;
    char format = call->format[0] ? call->format[0] : 'd';
    if (format == 'd')
        fprintf(call->out, "%lld\n", (long long)value);
    else if (format == 'u')
        fprintf(call->out, "%llu\n", (unsigned long long)value);
    else if (format == 'o')
        fprintf(call->out, "%#llo\n", (unsigned long long)value);
    else if (format == 'c')
        fprintf(call->out, "'%c'\n", isprint((int)(value & 0xff)) ? (int)(value & 0xff) : '.');
    else
        fprintf(call->out, "%#llx\n", (unsigned long long)value);
}

static unsigned port_size(struct call *call)
{
    return call->format[0] == 'w' || call->format[0] == 'h' ? 2 : call->format[0] == 'l' ? 4 : 1;
}

static void command_balloon(struct call *call)
{
    uint64_t megabytes;
    if (!argument_number(call, "target", &megabytes))
        return;
    if (!machine_set_balloon(call->machine, megabytes > UINT64_MAX / MIB ? UINT64_MAX : megabytes * MIB))
        call_error(call, "No balloon device has been activated");
}

static void command_i(struct call *call)
{
    uint64_t port;
    if (!argument_number(call, "port", &port))
        return;
    unsigned size = port_size(call);
    unsigned long long value = bus_read_locked(machine_port_map(call->machine), port & 0xffff, size);
    fprintf(call->out, "port%c[0x%04x] = 0x%0*llx\n", "?bw?l"[size], (unsigned)(port & 0xffff),
            (int)(2 * size), value);
}

static void command_o(struct call *call)
{
    uint64_t port, value;
    if (argument_number(call, "port", &port) && argument_number(call, "value", &value))
        bus_write_locked(machine_port_map(call->machine), port & 0xffff, port_size(call), value);
}

/* ---- info */

static void info_status(struct call *call)
{
    fprintf(call->out, "VM status: %s\n", machine_status_text(call->machine));
}

static void info_version(struct call *call)
{
    options_version(call->out);
}

static void info_kvm(struct call *call)
{
    fprintf(call->out, "kvm support: %s\n",
            machine_engine(call->machine) == &engine_kvm ? "enabled" : "disabled (the software CPU runs it)");
}

static void info_name(struct call *call)
{
    if (machine_config(call->machine)->name)
        fprintf(call->out, "%s\n", machine_config(call->machine)->name);
}

/* Zeros without -uuid, as QEMU has it. */
static void info_uuid(struct call *call)
{
    static const uint8_t none[16];
    const uint8_t *uuid = machine_config(call->machine)->uuid;
    if (!uuid)
        uuid = none;
    for (unsigned i = 0; i < sizeof(none); i++)
        fprintf(call->out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
    fputc('\n', call->out);
}

static void info_pic(struct call *call)
{
    machine_print_pic(call->machine, call->out);
}

static void info_pci(struct call *call)
{
    machine_print_pci(call->machine, call->out);
}

static void info_balloon(struct call *call)
{
    if (!machine_print_balloon(call->machine, call->out))
        call_error(call, "No balloon device has been activated");
}

static void info_history(struct call *call)
{
    line_print_history(call->editor, call->out);
}

static void info_autopsy(struct call *call)
{
    const char *words = machine_last_words(call->machine);
    fputs(words ? words : "the guest is well\n", call->out);
}

const struct command commands[] = {
    {"balloon", "MEGABYTES", "ask the guest to make do with so much memory", command_balloon},
    {"change", "[-f] DEVICE FILE [FORMAT [read-only|read-write]]",
     "put another medium into a drive; vnc password TEXT: set the one of -vnc", command_change},
    {"cont", "", "let the guest run", command_cont},
    {"c", "", "same as cont", command_cont},
    {"cpu", "INDEX", "which CPU the other commands look at", command_cpu},
    {"device_add", "DRIVER,key=value,...", "plug a CPU in; `info hotpluggable-cpus` lists the places",
     command_device_add},
    {"device_del", "ID", "ask the guest to let go of a CPU", command_device_del},
    {"eject", "[-f] DEVICE", "take the medium out of a drive; -f: even if the guest has locked its door",
     command_eject},
    {"gva2gpa", "ADDRESS", "guest-physical address of a virtual one", command_gva2gpa},
    {"help", "[COMMAND]", "this list, or one command", command_help},
    {"?", "[COMMAND]", "same as help", command_help},
    {"hostfwd_add", "[ID] RULE", "forward a port of the host: tcp:[HOST]:PORT-[GUEST]:PORT",
     command_hostfwd_add},
    {"hostfwd_remove", "[ID] tcp:[HOST]:PORT", "end that", command_hostfwd_remove},
    {"i", "/FMT PORT", "read a port; FMT is b, w or l", command_i},
    {"info", "[WHAT]", "show what there is to know; `help info` lists it", command_info},
    {"log", "ITEM,...|none", "log these from now on, as -d", command_log},
    {"memsave", "ADDRESS SIZE FILE", "write virtual memory to a file", command_memsave},
    {"nmi", "", "a non-maskable interrupt for every CPU", command_nmi},
    {"o", "/FMT PORT VALUE", "write a port; FMT is b, w or l", command_o},
    {"pin", "auto|N=HOSTCPU,...", "bind the guest's CPUs to host CPUs", command_pin},
    {"pmemsave", "ADDRESS SIZE FILE", "write physical memory to a file", command_pmemsave},
    {"print", "/FMT EXPRESSION", "the value of an expression such as $eip+4; FMT is d, u, x, o or c",
     command_print},
    {"p", "/FMT EXPRESSION", "same as print", command_print},
    {"quit", "", "end hearth, and the guest at once", command_quit},
    {"q", "", "same as quit", command_quit},
    {"screendump", "FILE [-f png|ppm]", "write the screen as a picture", command_screendump},
    {"screentext", "", "the text screen as text", command_screentext},
    {"mouse_move", "DX DY [DZ]",
     "move the pointer by so many steps; DZ turns its wheel, away from the user if positive",
     command_mouse_move},
    {"mouse_button", "STATE", "press the pointer's buttons: 1 left, 2 middle, 4 right, or a sum of them",
     command_mouse_button},
    {"sendkey", "KEYS [MILLISECONDS]", "press keys, as in ctrl-alt-delete or shift-a", command_sendkey},
    {"set_link", "NAME on|off", "plug or unplug the cable of a network card", command_set_link},
    {"set_password", "vnc TEXT", "set the password that -vnc's password=on asks for", command_set_password},
    {"stop", "", "let the guest stand", command_stop},
    {"system_powerdown", "", "press the power button", command_system_powerdown},
    {"system_reset", "", "press the reset button", command_system_reset},
    {"x", "/FMT ADDRESS", "virtual memory; FMT is a count, a format (x d u o c i s) and a size (b h w g)",
     command_x},
    {"xp", "/FMT ADDRESS", "physical memory, as x", command_xp},
};
const unsigned commands_count = sizeof(commands) / sizeof(commands[0]);

const struct command info_commands[] = {
    {"autopsy", "", "why the guest fell over", info_autopsy},
    {"balloon", "", "how much memory the guest keeps, and what it says of it", info_balloon},
    {"block", "", "the drives, and what is in them", info_block},
    {"cpus", "[-v]", "each CPU's instruction pointer, state and host thread; -v: where that runs", info_cpus},
    {"history", "", "the commands typed before", info_history},
    {"hotpluggable-cpus", "", "places for CPUs, and which are taken", info_hotpluggable_cpus},
    {"instructions", "", "how many each CPU has run (software CPU)", info_instructions},
    {"kvm", "", "does KVM run the guest", info_kvm},
    {"mem", "", "what the page tables map, as ranges with rights", info_mem},
    {"mtree", "", "memory, MMIO and port maps", info_mtree},
    {"memory", "", "how much of guest RAM is resident, on which page size", info_memory},
    {"name", "", "the guest's name (-name)", info_name},
    {"network", "", "network cards and what they are joined to", info_network},
    {"pci", "", "the PCI functions and where they are mapped", info_pci},
    {"pic", "", "the interrupt controllers", info_pic},
    {"registers", "", "the current CPU's registers", info_registers},
    {"status", "", "does the guest run", info_status},
    {"tlb", "", "what the page tables map, page by page", info_tlb},
    {"usernet", "", "the user network's connections", info_usernet},
    {"uuid", "", "the guest's number (-uuid)", info_uuid},
    {"version", "", "hearth's version", info_version},
    {"vnc", "", "where the VNC server listens, and its viewers", info_vnc},
};
const unsigned info_commands_count = sizeof(info_commands) / sizeof(info_commands[0]);

const struct command *command_find(const struct command *table, unsigned count, const char *name,
                                   size_t length)
{
    for (unsigned i = 0; i < count; i++)
        if (strlen(table[i].name) == length && !strncmp(table[i].name, name, length))
            return &table[i];
    return NULL;
}

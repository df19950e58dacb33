/*
 * QMP's commands. Those that the human monitor has too run its command; those that ask answer from the machine. Source: QEMU's
 * documentation, "QEMU QMP Reference Manual".
 */
#include "monitor/qmp-internal.h"

#ifdef HAVE_JANSSON

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/commands.h"

/* ---- through the human monitor */

/* Runs the line and answers what it said, to be freed; what went wrong becomes the call's error. */
static char *line_run(struct qmp_call *call, const char *line, int64_t cpu, bool may_fail)
{
    char *said = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&said, &length);
    if (!out) {
        qmp_fail(call, "GenericError", "out of memory");
        return NULL;
    }
    struct call inner = {.machine = call->machine, .out = out, .cpu = (unsigned)cpu};
    command_line(&inner, line);
    fclose(out);
    if (inner.failed && !may_fail) {
        const char *text = strncmp(said, "Error: ", 7) ? said : said + 7;
        qmp_fail(call, "GenericError", "%.*s", (int)strcspn(text, "\r\n"), text);
    }
    return said;
}

enum { LINE_MOST = 4096 };

static json_t *line_do(struct qmp_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

static json_t *line_do(struct qmp_call *call, const char *format, ...)
{
    char line[LINE_MOST];
    va_list arguments;
    if (call->error)
        return NULL;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length >= (int)sizeof(line))
        qmp_fail(call, "GenericError", "the arguments are too long");
    else
        free(line_run(call, line, qmp_integer_or(call, "cpu-index", 0), false));
    return NULL;
}

/* A file's name as the human monitor reads it. One that has to be cut off is too long for line_do(), too. */
struct quoted {
    char text[LINE_MOST + 4];
};

static struct quoted quote(const char *text)
{
    struct quoted quoted;
    size_t length = 0;
    quoted.text[length++] = '"';
    for (; text && *text && length + 4 < sizeof(quoted.text); text++) {
        if (*text == '"' || *text == '\\')
            quoted.text[length++] = '\\';
        quoted.text[length++] = *text;
    }
    quoted.text[length++] = '"';
    quoted.text[length] = '\0';
    return quoted;
}

static bool cpu_exists(struct qmp_call *call)
{
    int64_t cpu = qmp_integer_or(call, "cpu-index", 0);
    if (cpu >= 0 && cpu < machine_cpus(call->machine) && machine_has_cpu(call->machine, (unsigned)cpu))
        return true;
    qmp_fail(call, "GenericError", "Parameter 'cpu-index' expects a CPU number");
    return false;
}

static json_t *human_monitor_command(struct qmp_call *call)
{
    const char *line = qmp_text(call, "command-line");
    if (!line || !cpu_exists(call))
        return NULL;
    char *said = line_run(call, line, qmp_integer_or(call, "cpu-index", 0), true);
    json_t *answer = json_object();
    /* Terminals want CR LF here too: QEMU's answer has it. */
    if (said) {
        char *text = malloc(2 * strlen(said) + 1), *to = text;
        for (const char *at = said; *at; at++) {
            if (*at == '\n')
                *to++ = '\r';
            *to++ = *at;
        }
        *to = '\0';
        json_decref(answer);
        answer = json_text(text);
        free(text);
    }
    free(said);
    return answer;
}

static json_t *stop(struct qmp_call *call)
{
    return line_do(call, "stop");
}

static json_t *cont(struct qmp_call *call)
{
    return line_do(call, "cont");
}

static json_t *quit(struct qmp_call *call)
{
    return line_do(call, "quit");
}

static json_t *system_reset(struct qmp_call *call)
{
    return line_do(call, "system_reset");
}

static json_t *system_powerdown(struct qmp_call *call)
{
    return line_do(call, "system_powerdown");
}

static json_t *eject(struct qmp_call *call)
{
    const char *device = qmp_text(call, "device");
    bool force = json_is_true(json_object_get(call->arguments, "force"));
    return line_do(call, "eject %s%s", force ? "-f " : "", quote(device).text);
}

static json_t *inject_nmi(struct qmp_call *call)
{
    return line_do(call, "nmi");
}

static json_t *screendump(struct qmp_call *call)
{
    const char *file = qmp_text(call, "filename");
    return line_do(call, "screendump %s -f %s", quote(file).text, qmp_text_or(call, "format", "ppm"));
}

static json_t *memory_save(struct qmp_call *call, const char *command)
{
    const char *file = qmp_text(call, "filename");
    int64_t address = qmp_integer_or(call, "val", -1), size = qmp_integer_or(call, "size", -1);
    if (address < 0 || size < 0)
        qmp_fail(call, "GenericError", "Parameter '%s' is missing", address < 0 ? "val" : "size");
    if (!cpu_exists(call))
        return NULL;
    return line_do(call, "%s %lld %lld %s", command, (long long)address, (long long)size, quote(file).text);
}

static json_t *pmemsave(struct qmp_call *call)
{
    return memory_save(call, "pmemsave");
}

static json_t *memsave(struct qmp_call *call)
{
    return memory_save(call, "memsave");
}

/* {"type": "qcode", "data": "ctrl"} or {"type": "number", "data": 29}, one after the other with a dash between. */
static json_t *send_key(struct qmp_call *call)
{
    json_t *keys = json_object_get(call->arguments, "keys");
    char combination[512] = "";
    size_t length = 0;

    for (size_t i = 0; i < json_array_size(keys); i++) {
        json_t *data = json_object_get(json_array_get(keys, i), "data");
        const char *dash = i ? "-" : "";
        if (json_is_string(data))
            length += (size_t)snprintf(combination + length, sizeof(combination) - length, "%s%s", dash,
                                       json_string_value(data));
        else if (json_is_integer(data))
            length += (size_t)snprintf(combination + length, sizeof(combination) - length, "%s%#llx", dash,
                                       (long long)json_integer_value(data));
        if (length >= sizeof(combination))
            break;
    }
    if (!length || length >= sizeof(combination) || strpbrk(combination, " \t"))
        qmp_fail(call, "GenericError", "Parameter 'keys' expects key values of type qcode or number");
    return line_do(call, "sendkey %s %lld", combination, (long long)qmp_integer_or(call, "hold-time", 100));
}

/* ---- questions */

static json_t *qmp_capabilities(struct qmp_call *call)
{
    json_t *wanted = json_object_get(call->arguments, "enable");
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        const char *name = json_string_value(json_array_get(wanted, i));
        if (!name || strcmp(name, "oob"))
            qmp_fail(call, "GenericError", "Invalid parameter '%s'", name ? name : "enable");
    }
    return NULL;
}

static json_t *query_version(struct qmp_call *call)
{
    (void)call;
    return qmp_version();
}

static json_t *query_commands(struct qmp_call *call)
{
    json_t *list = json_array();
    (void)call;
    for (unsigned i = 0; i < qmp_commands_count; i++)
        json_array_append_new(list, json_pack("{s:s}", "name", qmp_commands[i].name));
    return list;
}

static json_t *query_status(struct qmp_call *call)
{
    static const char *const names[] = {
        [MACHINE_PRELAUNCH] = "prelaunch",
        [MACHINE_RUNNING] = "running",
        [MACHINE_PAUSED] = "paused",
        [MACHINE_SHUTDOWN] = "shutdown",
        [MACHINE_DEBUG] = "debug",
        [MACHINE_TRIPLE_FAULT] = "shutdown",
        [MACHINE_INTERNAL_ERROR] = "internal-error",
    };
    enum machine_status status = machine_status(call->machine);
    return json_pack("{s:s,s:b,s:b}", "status", names[status], "singlestep", 0, "running",
                     status == MACHINE_RUNNING);
}

static json_t *query_name(struct qmp_call *call)
{
    const char *name = machine_config(call->machine)->name;
    return name ? json_pack("{s:o}", "name", json_text(name)) : json_object();
}

static json_t *query_uuid(struct qmp_call *call)
{
    char *said = line_run(call, "info uuid", 0, false);
    if (!said)
        return NULL;
    said[strcspn(said, "\n")] = '\0';
    json_t *answer = json_pack("{s:o}", "UUID", json_text(said));
    free(said);
    return answer;
}

static json_t *query_kvm(struct qmp_call *call)
{
    bool kvm = machine_engine(call->machine) == &engine_kvm;
    return json_pack("{s:b,s:b}", "enabled", kvm, "present", kvm);
}

static json_t *query_target(struct qmp_call *call)
{
    (void)call;
    return json_pack("{s:s}", "arch", "x86_64");
}

static json_t *query_memory_size_summary(struct qmp_call *call)
{
    return json_pack("{s:I}", "base-memory", (json_int_t)memory_ram_size(machine_memory(call->machine)));
}

static json_t *empty_list(struct qmp_call *call)
{
    (void)call;
    return json_array();
}

static json_t *empty_object(struct qmp_call *call)
{
    (void)call;
    return json_object();
}

const struct qmp_command qmp_commands[] = {
    {"cont", "", cont},
    {"device_add", "*", qmp_device_add},
    {"device_del", "id", qmp_device_del},
    {"eject", "device force", eject},
    {"human-monitor-command", "command-line cpu-index", human_monitor_command},
    {"inject-nmi", "", inject_nmi},
    {"memsave", "val size filename cpu-index", memsave},
    {"pmemsave", "val size filename", pmemsave},
    {"qmp_capabilities", "enable", qmp_capabilities},
    {"query-commands", "", query_commands},
    {"query-cpus-fast", "", qmp_query_cpus_fast},
    {"query-hotpluggable-cpus", "", qmp_query_hotpluggable_cpus},
    {"query-iothreads", "", empty_list},
    {"query-kvm", "", query_kvm},
    {"query-memory-size-summary", "", query_memory_size_summary},
    {"query-migrate", "", empty_object},
    {"query-name", "", query_name},
    {"query-status", "", query_status},
    {"query-target", "", query_target},
    {"query-uuid", "", query_uuid},
    {"query-version", "", query_version},
    {"quit", "", quit},
    {"screendump", "filename format device head", screendump},
    {"send-key", "keys hold-time", send_key},
    {"stop", "", stop},
    {"system_powerdown", "", system_powerdown},
    {"system_reset", "", system_reset},
};
const unsigned qmp_commands_count = sizeof(qmp_commands) / sizeof(qmp_commands[0]);

#endif

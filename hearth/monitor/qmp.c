/*
 * The protocol: texts are cut out of the byte stream, taken apart, looked up and answered in order; events go out as they
 * happen, once capabilities have been negotiated. "oob" is offered as QEMU does, and such commands are simply answered in turn.
 */
#include "monitor/qmp.h"

#include "core/log.h"

#ifdef HAVE_JANSSON

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "monitor/qmp-internal.h"
#include "options/options.h"

/* The level of QEMU's interface that is spoken here. */
enum { QEMU_MAJOR = 7, QEMU_MINOR = 2, QEMU_MICRO = 0 };

enum { TEXT_MOST = 1 << 20, DEPTH_MOST = 1024 };

struct qmp {
    struct machine *machine;
    struct character_port *port;
    struct machine_listener listener;
    bool negotiated;
    /* The text under way: cut where its brackets balance. */
    char *text;
    size_t length, room;
    unsigned depth;
    bool in_string, escaped, overlong;
};

/* ---- out */

static void send(struct qmp *qmp, json_t *json)
{
    char *text = json_dumps(json, 0);
    if (text) {
        character_write(qmp->port, (const uint8_t *)text, strlen(text));
        character_write(qmp->port, (const uint8_t *)"\r\n", 2);
    }
    free(text);
    json_decref(json);
}

static void send_error(struct qmp *qmp, json_t *id, const char *class, const char *text)
{
    json_t *answer = json_pack("{s:{s:s,s:o}}", "error", "class", class, "desc", json_text(text));
    if (id)
        json_object_set(answer, "id", id);
    send(qmp, answer);
}

json_t *qmp_version(void)
{
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", QEMU_MICRO, "minor", QEMU_MINOR, "major",
                     QEMU_MAJOR, "package", "hearth " HEARTH_VERSION);
}

void qmp_greet(void *opaque)
{
    struct qmp *qmp = opaque;
    qmp->negotiated = qmp->in_string = qmp->escaped = qmp->overlong = false;
    qmp->length = qmp->depth = 0;
    send(qmp, json_pack("{s:{s:o,s:[s]}}", "QMP", "version", qmp_version(), "capabilities", "oob"));
}

static void happened(void *opaque, const struct machine_happening *happening)
{
    static const char *const names[] = {
        [MACHINE_EVENT_STOP] = "STOP",         [MACHINE_EVENT_RESUME] = "RESUME",
        [MACHINE_EVENT_RESET] = "RESET",       [MACHINE_EVENT_POWERDOWN] = "POWERDOWN",
        [MACHINE_EVENT_SHUTDOWN] = "SHUTDOWN", [MACHINE_EVENT_DEVICE_DELETED] = "DEVICE_DELETED",
        [MACHINE_EVENT_WATCHDOG] = "WATCHDOG",
    };
    struct qmp *qmp = opaque;
    struct timespec now;
    if (!qmp->negotiated)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    json_t *event =
        json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)now.tv_sec, "microseconds",
                  (json_int_t)now.tv_nsec / 1000, "event", names[happening->event]);
    if (happening->why)
        json_object_set_new(event, "data",
                            json_pack("{s:b,s:s}", "guest", happening->guest, "reason", happening->why));
    if (happening->path)
        json_object_set_new(event, "data", json_pack("{s:s}", "path", happening->path));
    if (happening->action)
        json_object_set_new(event, "data", json_pack("{s:s}", "action", happening->action));
    if (happening->device)
        json_object_set_new(json_object_get(event, "data"), "device", json_string(happening->device));
    send(qmp, event);
}

/* ---- what commands use */

void qmp_fail(struct qmp_call *call, const char *class, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    if (call->error)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    call->error = json_pack("{s:s,s:o}", "class", class, "desc", json_text(text));
}

const char *qmp_text_or(struct qmp_call *call, const char *name, const char *fallback)
{
    json_t *value = json_object_get(call->arguments, name);
    if (value && !json_is_string(value))
        qmp_fail(call, "GenericError", "Invalid parameter type for '%s', expected: string", name);
    return json_is_string(value) ? json_string_value(value) : fallback;
}

const char *qmp_text(struct qmp_call *call, const char *name)
{
    const char *text = qmp_text_or(call, name, NULL);
    if (!text)
        qmp_fail(call, "GenericError", "Parameter '%s' is missing", name);
    return text;
}

int64_t qmp_integer_or(struct qmp_call *call, const char *name, int64_t fallback)
{
    json_t *value = json_object_get(call->arguments, name);
    if (value && !json_is_integer(value))
        qmp_fail(call, "GenericError", "Invalid parameter type for '%s', expected: integer", name);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

/* ---- in */

static const struct qmp_command *command_named(const char *name)
{
    for (unsigned i = 0; i < qmp_commands_count; i++)
        if (!strcmp(qmp_commands[i].name, name))
            return &qmp_commands[i];
    return NULL;
}

static bool is_word_of(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += length)
        if ((at == words || at[-1] == ' ') && (!at[length] || at[length] == ' '))
            return true;
    return false;
}

static void arguments_check(struct qmp_call *call, const char *known)
{
    const char *key;
    json_t *value;
    if (!strcmp(known, "*"))
        return;
    json_object_foreach(call->arguments, key, value) if (!is_word_of(known, key))
        qmp_fail(call, "GenericError", "Parameter '%s' is unexpected", key);
}

static void command_run(struct qmp *qmp, const struct qmp_command *command, json_t *arguments, json_t *id)
{
    struct qmp_call call = {qmp->machine, arguments, NULL};
    json_t *result = NULL;

    arguments_check(&call, command->arguments);
    if (!call.error)
        result = command->run(&call);
    json_t *answer = json_object();
    if (call.error) {
        json_object_set_new(answer, "error", call.error);
        if (result)
            json_decref(result);
    } else {
        json_object_set_new(answer, "return", result ? result : json_object());
    }
    if (id)
        json_object_set(answer, "id", id);
    send(qmp, answer);
}

/* What is wrong with the object as a whole, or NULL. */
static const char *request_fault(json_t *request, const char **name, char *text, size_t size)
{
    const char *key;
    json_t *value, *execute = json_object_get(request, "execute");
    if (!execute)
        execute = json_object_get(request, "exec-oob");
    json_object_foreach(request, key, value)
    {
        if (is_word_of("execute exec-oob arguments id", key))
            continue;
        snprintf(text, size, "QMP input member '%s' is unexpected", key);
        return text;
    }
    if (!execute)
        return "QMP input lacks member 'execute'";
    if (!json_is_string(execute))
        return "QMP input member 'execute' must be a string";
    value = json_object_get(request, "arguments");
    if (value && !json_is_object(value))
        return "QMP input member 'arguments' must be an object";
    *name = json_string_value(execute);
    return NULL;
}

static void command_missing(struct qmp *qmp, json_t *id, const char *name)
{
    char text[256];
    snprintf(text, sizeof(text), "The command %s has not been found", name);
    send_error(qmp, id, "CommandNotFound", text);
}

static void dispatch(struct qmp *qmp, const char *name, json_t *arguments, json_t *id)
{
    const struct qmp_command *command = command_named(name);
    bool negotiates = !strcmp(name, "qmp_capabilities");

    if (!qmp->negotiated && !negotiates) {
        send_error(qmp, id, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    } else if (qmp->negotiated && negotiates) {
        send_error(qmp, id, "CommandNotFound",
                   "Capabilities negotiation is already complete, command ignored");
    } else if (!command) {
        command_missing(qmp, id, name);
    } else {
        qmp->negotiated = true;
        command_run(qmp, command, arguments, id);
    }
}

static void request_answer(struct qmp *qmp, json_t *request)
{
    const char *name = "";
    char text[256];
    json_t *id = json_object_get(request, "id"), *empty = json_object();
    json_t *arguments = json_object_get(request, "arguments");
    const char *fault = request_fault(request, &name, text, sizeof(text));

    if (fault)
        send_error(qmp, id, "GenericError", fault);
    else
        dispatch(qmp, name, arguments ? arguments : empty, id);
    json_decref(empty);
}

static void text_answer(struct qmp *qmp)
{
    json_error_t error;
    char text[sizeof(error.text) + 64];
    json_t *request = json_loadb(qmp->text, qmp->length, JSON_DECODE_ANY, &error);

    if (!request) {
        snprintf(text, sizeof(text), "JSON parse error, %s", error.text);
        send_error(qmp, NULL, "GenericError", text);
    } else if (!json_is_object(request)) {
        send_error(qmp, NULL, "GenericError", "QMP input must be a JSON object");
    } else {
        request_answer(qmp, request);
    }
    if (request)
        json_decref(request);
}

/* Balances the brackets; true at the end of a text. Outside of them a text ends with the line. */
static bool scan(struct qmp *qmp, char byte)
{
    if (qmp->in_string) {
        if (qmp->escaped)
            qmp->escaped = false;
        else if (byte == '\\')
            qmp->escaped = true;
        else if (byte == '"')
            qmp->in_string = false;
        return byte == '\n'; /* no string has one: the text is broken, and the next line a new one */
    }
    switch (byte) {
    case '"': qmp->in_string = true; return false;
    case '{':
    case '[': qmp->depth++; return false;
    case '}':
    case ']': return qmp->depth == 0 || --qmp->depth == 0;
    default: return byte == '\n' && !qmp->depth && qmp->length > 1;
    }
}

static void text_take(struct qmp *qmp, char byte)
{
    if (qmp->length == qmp->room) {
        qmp->room = qmp->room ? 2 * qmp->room : 256;
        qmp->text = realloc(qmp->text, qmp->room);
        if (!qmp->text)
            die("out of memory");
    }
    qmp->text[qmp->length++] = byte;
}

static void byte_take(struct qmp *qmp, char byte)
{
    if (!qmp->length && strchr(" \t\r\n", byte))
        return;
    if (qmp->length < TEXT_MOST && qmp->depth < DEPTH_MOST)
        text_take(qmp, byte);
    else
        qmp->overlong = true;
    if (!scan(qmp, byte))
        return;
    if (qmp->overlong)
        send_error(qmp, NULL, "GenericError",
                   "JSON parse error, the text is longer or deeper than is taken here");
    else
        text_answer(qmp);
    qmp->length = qmp->depth = 0;
    qmp->in_string = qmp->escaped = qmp->overlong = false;
}

static void receive(void *device, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        byte_take(device, (char)bytes[i]);
}

static size_t room(void *device)
{
    (void)device;
    return TEXT_MOST;
}

struct qmp *qmp_create(struct machine *machine, struct character_port *port, char *error, size_t error_size)
{
    if (!json_open(error, error_size))
        return NULL;
    struct qmp *qmp = allocate(sizeof(*qmp));
    qmp->machine = machine;
    qmp->port = port;
    qmp->listener = (struct machine_listener){.opaque = qmp, .happened = happened};
    machine_listen(machine, &qmp->listener);
    port->device = qmp;
    port->receive = receive;
    port->room = room;
    return qmp;
}

void qmp_destroy(struct qmp *qmp)
{
    if (!qmp)
        return;
    machine_unlisten(qmp->machine, &qmp->listener);
    qmp->port->receive = NULL;
    free(qmp->text);
    free(qmp);
}

#else

struct qmp *qmp_create(struct machine *machine, struct character_port *port, char *error, size_t error_size)
{
    (void)machine;
    (void)port;
    snprintf(error, error_size, "hearth was built without libjansson, which -qmp needs");
    return NULL;
}

void qmp_destroy(struct qmp *qmp)
{
    (void)qmp;
}

void qmp_greet(void *qmp)
{
    (void)qmp;
}

#endif

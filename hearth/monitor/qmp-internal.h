/* Between the protocol (qmp.c) and the commands (qmp-commands.c). */
#ifndef MONITOR_QMP_INTERNAL_H
#define MONITOR_QMP_INTERNAL_H

#include <stdint.h>

#include "machine/machine.h"
#include "monitor/json.h"

/* A command under way. The argument_ functions report what is wrong with an argument as QEMU does. */
struct qmp_call {
    struct machine *machine;
    json_t *arguments; /* an object, borrowed */
    json_t *error;     /* NULL so far: qmp_fail() */
};

struct qmp_command {
    const char *name;
    const char *arguments; /* names it takes, blank between; "*" any */
    /* A new reference, or NULL: nothing to tell, an empty object. */
    json_t *(*run)(struct qmp_call *call);
};

extern const struct qmp_command qmp_commands[];
extern const unsigned qmp_commands_count;

/* The "version" member of the greeting. */
json_t *qmp_version(void);

/* The first error counts. */
void qmp_fail(struct qmp_call *call, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A member that has to be there; NULL after qmp_fail(). */
const char *qmp_text(struct qmp_call *call, const char *name);
/* One that may be absent: then `fallback`. */
const char *qmp_text_or(struct qmp_call *call, const char *name, const char *fallback);
int64_t qmp_integer_or(struct qmp_call *call, const char *name, int64_t fallback);

/* qmp-cpus.c */
json_t *qmp_query_cpus_fast(struct qmp_call *call);
json_t *qmp_query_hotpluggable_cpus(struct qmp_call *call);
json_t *qmp_device_add(struct qmp_call *call);
json_t *qmp_device_del(struct qmp_call *call);

#endif

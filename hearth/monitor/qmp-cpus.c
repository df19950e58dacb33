/* QMP's commands for the machine's CPUs. */
#ifdef HAVE_JANSSON

#include "monitor/qmp-internal.h"

#include <stdio.h>

#include "core/settings.h"

/* Where it is: socket-id and its like. */
static json_t *place(const struct topology *topology, unsigned cpu)
{
    struct cpu_place at = topology_place(topology, cpu);
    json_t *props = json_pack("{s:i,s:i,s:i}", "socket-id", (int)at.socket, "core-id", (int)at.core,
                              "thread-id", (int)at.thread);
    if (topology->dies > 1)
        json_object_set_new(props, "die-id", json_integer(at.die));
    return props;
}

json_t *qmp_query_cpus_fast(struct qmp_call *call)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < machine_cpus(call->machine); i++) {
        char path[64];
        if (!machine_has_cpu(call->machine, i))
            continue;
        snprintf(path, sizeof(path), MACHINE_CPU_PATH, i);
        json_array_append_new(list, json_pack("{s:I,s:o,s:s,s:i,s:s}", "thread-id",
                                              (json_int_t)machine_vcpu_thread(call->machine, i), "props",
                                              place(&machine_cpu_set(call->machine)->topology, i), "qom-path",
                                              path, "cpu-index", (int)i, "target", "x86_64"));
    }
    return list;
}

json_t *qmp_query_hotpluggable_cpus(struct qmp_call *call)
{
    json_t *list = json_array();
    char driver[64], path[64];
    machine_cpu_driver(call->machine, driver, sizeof(driver));
    for (unsigned i = machine_cpus(call->machine); i-- > 0;) {
        json_t *one = json_pack("{s:o,s:i,s:s}", "props", place(&machine_cpu_set(call->machine)->topology, i),
                                "vcpus-count", 1, "type", driver);
        snprintf(path, sizeof(path), MACHINE_CPU_PATH, i);
        if (machine_has_cpu(call->machine, i))
            json_object_set_new(one, "qom-path", json_string(path));
        json_array_append_new(list, one);
    }
    return list;
}

/* The members of a QMP object, as the command line would have them. */
static struct settings *settings_of(json_t *arguments)
{
    struct settings *settings = settings_create("device_add");
    const char *key;
    json_t *value;
    json_object_foreach(arguments, key, value)
    {
        char number[32];
        const char *text = json_string_value(value);
        if (json_is_boolean(value))
            text = json_is_true(value) ? "on" : "off";
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        settings_add(settings, key, text ? text : number);
    }
    return settings;
}

json_t *qmp_device_add(struct qmp_call *call)
{
    char error[600];
    if (!machine_device_add(call->machine, settings_of(call->arguments), error, sizeof(error)))
        qmp_fail(call, "GenericError", "%s", error);
    return NULL;
}

json_t *qmp_device_del(struct qmp_call *call)
{
    const char *id = qmp_text(call, "id");
    char error[600];
    if (id && !machine_device_del(call->machine, id, error, sizeof(error)))
        qmp_fail(call, "GenericError", "%s", error);
    return NULL;
}

#endif

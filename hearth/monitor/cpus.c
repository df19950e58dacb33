/* Commands for the machine's CPUs: info cpus, pin, device_add, device_del, info hotpluggable-cpus. */
#include "monitor/commands.h"

#include <inttypes.h>
#include <string.h>

#include "core/settings.h"
#include "host/cpus.h"

/* Where a vCPU's thread runs, and how it fares there. */
static void thread_print(struct call *call, unsigned cpu)
{
    struct thread_use use;
    char allowed[200];
    if (!thread_use_read(machine_vcpu_thread(call->machine, cpu), &use))
        return;
    cpu_list_print(&use.allowed, allowed, sizeof(allowed));
    fprintf(call->out, " host CPU %d, allowed %s, run %.3f s, stolen ", use.cpu, allowed, use.run);
    if (use.waited < 0)
        fputs("unknown", call->out);
    else
        fprintf(call->out, "%.3f s", use.waited);
}

static void cpu_print(struct call *call, bool current, bool verbose)
{
    struct cpu_state state;
    call_state(call, &state);
    fprintf(call->out, "%c CPU #%u: pc=0x%016" PRIx64 "%s thread_id=%ld", current ? '*' : ' ', call->cpu,
            state.segment[SEG_CS].base + state.rip, state.halted ? " (halted)" : "",
            machine_vcpu_thread(call->machine, call->cpu));
    if (verbose)
        thread_print(call, call->cpu);
    fputc('\n', call->out);
}

static void cpus_print(struct call *call, bool verbose)
{
    unsigned current = call->cpu;
    for (call->cpu = 0; call->cpu < machine_cpus(call->machine); call->cpu++)
        if (machine_has_cpu(call->machine, call->cpu))
            cpu_print(call, call->cpu == current, verbose);
    call->cpu = current;
}

void info_instructions(struct call *call)
{
    const struct engine_ops *engine = machine_engine(call->machine);

    if (!engine->retired) {
        call_error(call, "the %s engine does not count instructions", engine->name);
        return;
    }
    machine_freeze(call->machine);
    for (unsigned i = 0; i < machine_cpus(call->machine); i++)
        if (machine_has_cpu(call->machine, i))
            fprintf(call->out, "CPU #%u: %" PRIu64 "\n", i, engine->retired(machine_vcpu(call->machine, i)));
    machine_thaw(call->machine);
}

void info_cpus(struct call *call)
{
    char word[8] = "";
    if (argument_left(call) && !argument_word(call, "flag", word, sizeof(word)))
        return;
    if (word[0] && strcmp(word, "-v"))
        call_error(call, "there is no flag '%s', only -v", word);
    else
        cpus_print(call, word[0]);
}

void command_pin(struct call *call)
{
    char wanted[1024], text[400];
    if (!argument_word(call, "plan", wanted, sizeof(wanted)))
        return;
    if (!machine_pin(call->machine, wanted, text, sizeof(text)))
        call_error(call, "%s", text);
    else if (text[0])
        fprintf(call->out, "%s\n", text);
}

/* ---- CPUs that come and go */

void command_device_add(struct call *call)
{
    char device[1024], error[600];
    if (argument_word(call, "device", device, sizeof(device)) &&
        !machine_device_add(call->machine, settings_parse("device_add", device, "driver"), error,
                            sizeof(error)))
        call_error(call, "%s", error);
}

void command_device_del(struct call *call)
{
    char id[256], error[600];
    if (argument_word(call, "id", id, sizeof(id)) &&
        !machine_device_del(call->machine, id, error, sizeof(error)))
        call_error(call, "%s", error);
}

/* The last first, as QEMU has them. */
void info_hotpluggable_cpus(struct call *call)
{
    const struct topology *topology = &machine_cpu_set(call->machine)->topology;
    char driver[64];
    machine_cpu_driver(call->machine, driver, sizeof(driver));
    fputs("Hotpluggable CPUs:\n", call->out);
    for (unsigned cpu = machine_cpus(call->machine); cpu-- > 0;) {
        struct cpu_place at = topology_place(topology, cpu);
        fprintf(call->out, "  type: \"%s\"\n  vcpus_count: \"1\"\n", driver);
        if (machine_has_cpu(call->machine, cpu))
            fprintf(call->out, "  qom_path: \"" MACHINE_CPU_PATH "\"\n", cpu);
        fprintf(call->out, "  CPUInstance Properties:\n    socket-id: \"%u\"\n", at.socket);
        if (topology->dies > 1)
            fprintf(call->out, "    die-id: \"%u\"\n", at.die);
        fprintf(call->out, "    core-id: \"%u\"\n    thread-id: \"%u\"\n", at.core, at.thread);
    }
}

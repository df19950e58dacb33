/*
 * The life of the machine. vCPU threads run guest code while `running` is set; whoever wants them to stand clears it,
 * kicks them and waits. Everything that changes the whole machine (reset, power off) happens on the event loop's
 * thread: the others leave a request and an eventfd wakes the loop.
 */
#include "machine/machine-internal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/lock.h"
#include "core/log.h"
#include "cpu/models.h"
#include "machine/attach.h"
#include "machine/drives.h"
#include "machine/network.h"
#include "machine/pc.h"
#include "machine/typist.h"

/* ---- what happens is told */

void machine_listen(struct machine *machine, struct machine_listener *listener)
{
    listener->next = machine->listeners;
    machine->listeners = listener;
}

void machine_unlisten(struct machine *machine, struct machine_listener *listener)
{
    struct machine_listener **at = &machine->listeners;
    while (*at && *at != listener)
        at = &(*at)->next;
    if (*at)
        *at = listener->next;
}

static void tell_all(struct machine *machine, const struct machine_happening *happening)
{
    for (struct machine_listener *at = machine->listeners; at; at = at->next)
        at->happened(at->opaque, happening);
}

void machine_tell(struct machine *machine, enum machine_event event, const char *why)
{
    bool guest = why && !strncmp(why, "guest", 5);
    tell_all(machine, &(struct machine_happening){.event = event, .guest = guest, .why = why});
}

void machine_tell_deleted(struct machine *machine, const char *device, const char *path)
{
    tell_all(machine, &(struct machine_happening){
                          .event = MACHINE_EVENT_DEVICE_DELETED, .device = device, .path = path});
}

/* ---- vCPU threads */

static void wake_loop(struct machine *machine)
{
    uint64_t one = 1;
    while (write(machine->request_event, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

/* Asks the vCPUs to leave guest code; does not wait. */
void machine_hold(struct machine *machine)
{
    machine->running = false;
    for (unsigned i = 0; i < machine->cpus; i++)
        if (machine->threads[i].id)
            machine->ops->kick(machine->threads[i].vcpu);
}

void machine_request(struct machine *machine, unsigned what)
{
    machine->requests |= what;
    machine_hold(machine);
    wake_loop(machine);
}

enum run_result machine_run_once(struct machine *machine, struct cpu_thread *thread)
{
    machine_unlock();
    enum run_result result = machine->ops->run(thread->vcpu);
    machine_lock();

    if (result == RUN_KICKED || result == RUN_TURN || result == RUN_IDLE)
        return result;
    if (result == RUN_DEBUG) {
        thread->debugged = true;
        machine_request(machine, REQUEST_DEBUG);
        return result;
    }
    machine->fallen = thread->vcpu;
    machine_request(machine, result == RUN_SHUTDOWN ? REQUEST_TRIPLE_FAULT : REQUEST_ENGINE_FAILED);
    return result;
}

void machine_wait_standing(struct machine *machine)
{
    for (unsigned i = 0; i < machine->cpus; i++)
        while (!machine->threads[i].standing)
            pthread_cond_wait(&machine->stands, &machine_mutex);
}

/* Lets the vCPUs run if nothing speaks against it. */
void machine_release(struct machine *machine)
{
    if (machine->status != MACHINE_RUNNING || machine->frozen || machine->requests || machine->running)
        return;
    machine->running = true;
    for (unsigned i = 0; i < machine->cpus; i++)
        machine->threads[i].standing = machine->threads[i].held || !machine->threads[i].id;
    pthread_cond_broadcast(&machine->go);
}

/* ---- run and pause */

static uint64_t host_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* A host clock that was put back means that no time has passed. */
static void time_stop(struct machine *machine, bool stop)
{
    if (stop) {
        clock_stop(machine->clock);
        machine->stopped_at = host_now();
    } else {
        uint64_t now = host_now();
        if (now > machine->stopped_at)
            pc_time_passed(machine->pc, now - machine->stopped_at);
        clock_start(machine->clock);
    }
    if (machine->ops->time_stopped)
        machine->ops->time_stopped(machine->engine, stop);
}

void machine_freeze(struct machine *machine)
{
    machine->frozen++;
    machine_hold(machine);
    machine_wait_standing(machine);
}

void machine_thaw(struct machine *machine)
{
    machine->frozen--;
    machine_release(machine);
}

void machine_continue(struct machine *machine)
{
    if (machine->status != MACHINE_PRELAUNCH && machine->status != MACHINE_PAUSED &&
        machine->status != MACHINE_DEBUG)
        return;
    machine->status = MACHINE_RUNNING;
    time_stop(machine, false);
    machine_tell(machine, MACHINE_EVENT_RESUME, NULL);
    machine_release(machine);
}

static void stop_as(struct machine *machine, enum machine_status status)
{
    machine_hold(machine);
    machine_wait_standing(machine);
    pc_settle(machine->pc);
    if (machine->status == MACHINE_RUNNING)
        time_stop(machine, true);
    machine->status = status;
}

static void stop_and_tell(struct machine *machine, enum machine_status status)
{
    if (machine->status != MACHINE_RUNNING)
        return;
    stop_as(machine, status);
    machine_tell(machine, MACHINE_EVENT_STOP, NULL);
}

void machine_pause(struct machine *machine)
{
    stop_and_tell(machine, MACHINE_PAUSED);
}

enum machine_status machine_status(const struct machine *machine)
{
    return machine->status;
}

const char *machine_status_text(const struct machine *machine)
{
    static const char *const texts[] = {
        [MACHINE_PRELAUNCH] = "paused (prelaunch)",
        [MACHINE_RUNNING] = "running",
        [MACHINE_PAUSED] = "paused",
        [MACHINE_DEBUG] = "paused (debug)",
        [MACHINE_SHUTDOWN] = "paused (shutdown)",
        [MACHINE_TRIPLE_FAULT] = "paused (shutdown by a triple fault)",
        [MACHINE_INTERNAL_ERROR] = "paused (internal-error)",
    };
    return texts[machine->status];
}

/* ---- requests */

void machine_quit(struct machine *machine, int status, const char *why)
{
    if (machine->quitting)
        return;
    machine_tell(machine, MACHINE_EVENT_SHUTDOWN, why);
    machine->quitting = true;
    machine->exit_status = status;
    machine_hold(machine);
    pthread_cond_broadcast(&machine->go);
    loop_quit(machine->loop);
}

/* The guest has ended: so does hearth, unless it was asked to keep the machine for inspection. */
static void end(struct machine *machine, enum machine_status status, int exit_status, const char *why)
{
    bool was_running = machine->status == MACHINE_RUNNING;
    stop_as(machine, status);
    if (!machine->config->no_shutdown) {
        machine_quit(machine, exit_status, why);
        return;
    }
    machine_tell(machine, MACHINE_EVENT_SHUTDOWN, why);
    if (was_running)
        machine_tell(machine, MACHINE_EVENT_STOP, NULL);
}

static void parts_reset(struct machine *machine)
{
    pc_reset(machine->pc);
    machine_cpus_reset(machine);
    pc_start(machine->pc);
}

static void handle_reset(struct machine *machine, const char *why)
{
    if (machine->config->no_reboot) {
        end(machine, MACHINE_SHUTDOWN, EXIT_POWERED_OFF, why);
        return;
    }
    parts_reset(machine);
    machine_tell(machine, MACHINE_EVENT_RESET, why);
    if (machine->status == MACHINE_SHUTDOWN || machine->status == MACHINE_TRIPLE_FAULT ||
        machine->status == MACHINE_INTERNAL_ERROR)
        machine->status = MACHINE_PAUSED; /* `cont` starts it afresh */
}

/* What is to be said of the guest's end waits until the terminal is the user's again, unless hearth goes on. */
static FILE *last_words_open(struct machine *machine)
{
    free(machine->last_words);
    machine->last_words = NULL;
    FILE *out = open_memstream(&machine->last_words, &machine->last_words_length);
    if (!out)
        die("out of memory");
    return out;
}

static void last_words_close(struct machine *machine, FILE *out)
{
    fclose(out);
    if (machine->config->no_shutdown)
        fputs(machine->last_words, stderr);
}

static void handle_triple_fault(struct machine *machine)
{
    FILE *out = last_words_open(machine);
    machine->ops->autopsy(machine->fallen, out);
    last_words_close(machine, out);
    end(machine, MACHINE_TRIPLE_FAULT, EXIT_TRIPLE_FAULT, "guest-reset");
}

static void handle_engine_failed(struct machine *machine)
{
    FILE *out = last_words_open(machine);
    fprintf(out, "hearth: %s: %s\n", machine->ops->name, machine->ops->failure(machine->fallen));
    last_words_close(machine, out);
    end(machine, MACHINE_INTERNAL_ERROR, EXIT_ENGINE, "host-error");
}

static void handle_requests(void *opaque, int descriptor, short revents)
{
    struct machine *machine = opaque;
    uint64_t value;
    (void)revents;
    while (read(descriptor, &value, sizeof(value)) < 0 && errno == EINTR) {
    }

    machine_wait_standing(machine);
    unsigned requests = machine->requests;
    machine->requests = 0;
    if (machine->quitting)
        return;
    if (requests & REQUEST_EJECT)
        machine_cpus_remove(machine);
    if (requests & REQUEST_NMI)
        machine_cpus_nmi(machine);
    if (requests & REQUEST_ENGINE_FAILED)
        handle_engine_failed(machine);
    else if (requests & REQUEST_POWER_OFF)
        end(machine, MACHINE_SHUTDOWN, EXIT_POWERED_OFF, "guest-shutdown");
    else if (requests & REQUEST_RESET)
        handle_reset(machine, requests & REQUEST_BY_GUEST ? "guest-reset" : "host-qmp-system-reset");
    else if (requests & REQUEST_TRIPLE_FAULT)
        handle_triple_fault(machine);
    else if (requests & REQUEST_DEBUG)
        stop_and_tell(machine, MACHINE_DEBUG);
    else if (requests & REQUEST_PAUSE)
        stop_and_tell(machine, MACHINE_PAUSED);
    machine_release(machine);
}

void machine_reset(struct machine *machine)
{
    machine_request(machine, REQUEST_RESET);
}

void machine_powerdown(struct machine *machine)
{
    machine_tell(machine, MACHINE_EVENT_POWERDOWN, NULL);
    pc_press_power_button(machine->pc);
}

int machine_exit_status(const struct machine *machine)
{
    return machine->exit_status;
}

const char *machine_last_words(const struct machine *machine)
{
    return machine->last_words;
}

static void reset_asked(void *opaque)
{
    machine_request(opaque, REQUEST_RESET | REQUEST_BY_GUEST);
}

static void power_off_asked(void *opaque)
{
    machine_request(opaque, REQUEST_POWER_OFF);
}

static void debug_exit_asked(void *opaque, int status)
{
    machine_quit(opaque, status, "guest-shutdown");
}

static void watchdog_expired(void *opaque)
{
    static const char *const words[] = {
        [WATCHDOG_RESET] = "reset",   [WATCHDOG_SHUTDOWN] = "shutdown", [WATCHDOG_POWER_OFF] = "poweroff",
        [WATCHDOG_PAUSE] = "pause",   [WATCHDOG_DEBUG] = "debug",       [WATCHDOG_NONE] = "none",
        [WATCHDOG_NMI] = "inject-nmi"};
    struct machine *machine = opaque;
    enum watchdog_action action = machine->config->watchdog;
    tell_all(machine, &(struct machine_happening){.event = MACHINE_EVENT_WATCHDOG, .action = words[action]});
    switch (action) {
    case WATCHDOG_RESET: machine_request(machine, REQUEST_RESET | REQUEST_BY_GUEST); break;
    case WATCHDOG_SHUTDOWN: machine_powerdown(machine); break;
    case WATCHDOG_POWER_OFF: machine_request(machine, REQUEST_POWER_OFF); break;
    case WATCHDOG_PAUSE: machine_request(machine, REQUEST_PAUSE); break;
    case WATCHDOG_DEBUG: warn("watchdog: timer fired"); break;
    case WATCHDOG_NMI: machine_request(machine, REQUEST_NMI); break;
    case WATCHDOG_NONE: break;
    }
}

/* ---- creation */

static void timers_due(void *opaque, int descriptor, short revents)
{
    (void)descriptor;
    (void)revents;
    clock_run_due(opaque);
}

static void engine_start(struct machine *machine)
{
    char error[256] = "";
    struct engine_machine against = {
        .memory = pc_memory(machine->pc),
        .ports = pc_ports(machine->pc),
        .mmio = pc_mmio(machine->pc),
        .clock = machine->clock,
        .cpus = machine->cpus,
        .topology = machine->config->topology,
        .cpu = machine->config->cpu,
        .translate_after = machine->config->translate_after,
        .turns = machine->config->deterministic,
        .no_irqchip = machine->config->no_irqchip,
        .acknowledge = pc_acknowledge,
        .end_of_interrupt = pc_end_of_interrupt,
        .float_error = pc_float_error,
        .opaque = machine->pc,
    };
    machine->engine = machine->ops->create(&against, error, sizeof(error));
    if (!machine->engine)
        die("%s", error);
}

static bool is_help(const char *word)
{
    return !strcmp(word, "help") || !strcmp(word, "?");
}

bool machine_help(const struct machine_config *config)
{
    if (is_help(cpu_model_name(config->cpu))) {
        cpu_models_print(stdout);
        return true;
    }
    if (network_help(config))
        return true;
    for (struct settings *at = config->devices; at; at = settings_next(at)) {
        if (!is_help(settings_text(at, "driver", "")))
            continue;
        drivers_print(stdout);
        return true;
    }
    return false;
}

struct machine *machine_create(const struct machine_config *config, const struct engine_ops *ops,
                               const struct machine_ports *ports, struct loop *loop)
{
    struct machine *machine = allocate(sizeof(*machine));
    struct pc_events events = {machine,          reset_asked,       power_off_asked,
                               debug_exit_asked, machine_cpu_eject, watchdog_expired};

    machine->config = config;
    machine->ops = ops;
    machine->loop = loop;
    machine->cpus = config->cpus_most;
    machine->stopped_at = host_now();
    cpus_set_up(&machine->cpu_set, &config->topology, config->cpus);
    pthread_cond_init(&machine->go, NULL);
    pthread_cond_init(&machine->stands, NULL);
    machine->request_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    machine->clock = clock_create();
    if (machine->request_event < 0 || !machine->clock)
        die("cannot create a timer: %s", strerror(errno));

    if (config->deterministic)
        clock_step(machine->clock, 0);
    machine->pc = pc_create(config, &machine->cpu_set, machine->clock, loop);
    engine_start(machine);
    machine_cpus_start(machine);
    machine_lock();
    pc_wire(machine->pc, ops, machine->engine, ports, &events);
    machine->typist = typist_create(machine->clock, pc_input(machine->pc));
    parts_reset(machine);
    loop_watch(loop, machine->request_event, POLLIN, handle_requests, machine);
    loop_watch(loop, clock_descriptor(machine->clock), POLLIN, timers_due, machine->clock);
    machine_unlock();
    return machine;
}

void machine_destroy(struct machine *machine)
{
    machine_lock();
    machine->quitting = true;
    machine_hold(machine);
    pthread_cond_broadcast(&machine->go);
    loop_unwatch(machine->loop, machine->request_event);
    loop_unwatch(machine->loop, clock_descriptor(machine->clock));
    machine_unlock();
    machine_cpus_end(machine);
    machine_lock();
    pc_settle(machine->pc); /* what comes of it may be an interrupt, which the engine has to be there for */
    machine_unlock();
    machine->ops->destroy(machine->engine);
    typist_destroy(machine->typist);
    pc_destroy(machine->pc);
    clock_destroy(machine->clock);
    close(machine->request_event);
    free(machine->threads);
    free(machine->last_words);
    free(machine);
}

/* ---- parts */

const struct machine_config *machine_config(const struct machine *machine)
{
    return machine->config;
}

const struct engine_ops *machine_engine(const struct machine *machine)
{
    return machine->ops;
}

struct engine *machine_engine_instance(const struct machine *machine)
{
    return machine->engine;
}

struct memory *machine_memory(const struct machine *machine)
{
    return pc_memory(machine->pc);
}

struct bus *machine_port_map(const struct machine *machine)
{
    return pc_ports(machine->pc);
}

struct bus *machine_mmio_map(const struct machine *machine)
{
    return pc_mmio(machine->pc);
}

const struct display_source *machine_display(const struct machine *machine)
{
    return pc_display(machine->pc);
}

struct vnc_server *machine_vnc(const struct machine *machine)
{
    return machine->vnc;
}

void machine_set_vnc(struct machine *machine, struct vnc_server *server)
{
    machine->vnc = server;
}

const struct input_sink *machine_input(const struct machine *machine)
{
    return pc_input(machine->pc);
}

bool machine_press_keys(struct machine *machine, const uint16_t *keys, unsigned count, uint64_t milliseconds)
{
    return typist_press(machine->typist, keys, count, milliseconds * (NANOSECONDS_PER_SECOND / 1000));
}

void machine_move_pointer(struct machine *machine, int x, int y, int wheel)
{
    const struct input_sink *sink = pc_input(machine->pc);
    const struct pointer_event event = {false, x, y, wheel, pc_buttons(machine->pc)};
    sink->pointer(sink->device, &event);
}

void machine_press_buttons(struct machine *machine, unsigned buttons)
{
    const struct input_sink *sink = pc_input(machine->pc);
    sink->pointer(sink->device, &(struct pointer_event){.buttons = buttons});
}

bool machine_set_balloon(struct machine *machine, uint64_t bytes)
{
    return pc_set_balloon(machine->pc, bytes);
}

bool machine_print_balloon(struct machine *machine, FILE *out)
{
    return pc_print_balloon(machine->pc, out);
}

void machine_print_network(struct machine *machine, FILE *out)
{
    network_print(pc_network(machine->pc), out);
}

void machine_print_connections(struct machine *machine, FILE *out)
{
    network_print_connections(pc_network(machine->pc), out);
}

bool machine_set_link(struct machine *machine, const char *name, bool up)
{
    return network_set_link(pc_network(machine->pc), name, up);
}

bool machine_forward(struct machine *machine, const char *network, const char *rule, bool add, char *error,
                     size_t error_size)
{
    return network_forward(pc_network(machine->pc), network, rule, add, error, error_size);
}

void machine_print_pic(struct machine *machine, FILE *out)
{
    pc_print_pic(machine->pc, out);
}

void machine_print_pci(struct machine *machine, FILE *out)
{
    pc_print_pci(machine->pc, out);
}

bool machine_eject(struct machine *machine, const char *id, bool force, char *error, size_t error_size)
{
    return drives_eject(machine->pc, id, force, error, error_size);
}

bool machine_change(struct machine *machine, const char *id, const struct medium *medium, char *error,
                    size_t error_size)
{
    return drives_change(machine->pc, id, medium, error, error_size);
}

void machine_print_block(struct machine *machine, FILE *out)
{
    drives_print(machine->pc, out);
}

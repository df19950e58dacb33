/*
 * The machine: the PC's parts, the CPUs' threads, and what happens to it as a whole (run, pause, reset, power off).
 * What the monitor, the displays and main see of it. Machine lock held for every function unless it says otherwise.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/character.h"
#include "core/input.h"
#include "cpu/engine.h"
#include "display/surface.h"
#include "host/loop.h"
#include "options/config.h"

struct machine;

enum machine_status {
    MACHINE_PRELAUNCH, /* -S: not started yet */
    MACHINE_RUNNING,
    MACHINE_PAUSED,         /* by `stop` */
    MACHINE_DEBUG,          /* by a debugger's breakpoint or step */
    MACHINE_SHUTDOWN,       /* powered off, kept by -no-shutdown */
    MACHINE_TRIPLE_FAULT,   /* shut down by a triple fault, kept by -no-shutdown */
    MACHINE_INTERNAL_ERROR, /* the engine could not go on */
};

/* Exit statuses of hearth beside those of the debug exit device. */
enum { EXIT_POWERED_OFF = 0, EXIT_ERROR = 1, EXIT_TRIPLE_FAULT = 3, EXIT_ENGINE = 4 };

/* The host ends that main made; NULL where nothing is joined. They outlive the machine. */
struct machine_ports {
    struct characters *characters; /* where -device chardev= finds others */
    struct character_port *serial[SERIALS];
    struct character_port *debugcon;
};

/* Answers `-device help`, `-cpu help`, `-nic help` and `-netdev help` on stdout; false if none of them was asked for. Before
 * machine_create(). */
bool machine_help(const struct machine_config *config);

/*
 * Builds the PC and its vCPU threads, standing in MACHINE_PRELAUNCH. Host trouble ends the program through die().
 * Called and destroyed without the lock, on the loop's thread.
 */
struct machine *machine_create(const struct machine_config *config, const struct engine_ops *engine,
                               const struct machine_ports *ports, struct loop *loop);
void machine_destroy(struct machine *machine);

void machine_continue(struct machine *machine);
/* Returns when every vCPU stands. */
void machine_pause(struct machine *machine);
enum machine_status machine_status(const struct machine *machine);
const char *machine_status_text(const struct machine *machine);

/* Holds the vCPUs for a moment, to look at or change their state; nests. The clock runs on. */
void machine_freeze(struct machine *machine);
void machine_thaw(struct machine *machine);

/* Requests, carried out by the event loop soon after; from any thread that holds the lock. `why` is a literal, one of QEMU's
 * reasons in its SHUTDOWN event: "host-signal", "host-ui", "host-qmp-quit". */
void machine_reset(struct machine *machine);
void machine_powerdown(struct machine *machine); /* presses the power button */
void machine_quit(struct machine *machine, int status, const char *why);
/* After loop_run() has returned: what main returns. */
int machine_exit_status(const struct machine *machine);

/*
 * For a debugger: what a CPU is to stop the machine for; NULL for nothing. False if the engine cannot do that. The machine
 * stands meanwhile. machine_debug_hit() hands out what was hit, once; false if nothing was. A CPU that is held does not
 * run with the others.
 */
bool machine_debug(struct machine *machine, unsigned cpu, const struct engine_debug *debug);
bool machine_debug_hit(struct machine *machine, unsigned *cpu, struct debug_hit *hit);
void machine_hold_cpu(struct machine *machine, unsigned cpu, bool hold);

/* What happens to the machine as a whole, for whoever listens (QMP). */
enum machine_event {
    MACHINE_EVENT_STOP,
    MACHINE_EVENT_RESUME,
    MACHINE_EVENT_RESET,
    MACHINE_EVENT_POWERDOWN, /* the power button is pressed */
    MACHINE_EVENT_SHUTDOWN,  /* the guest or the user has ended it */
    MACHINE_EVENT_DEVICE_DELETED,
    MACHINE_EVENT_WATCHDOG,
};
struct machine_happening {
    enum machine_event event;
    bool guest;                /* RESET, SHUTDOWN: the guest did it */
    const char *why;           /* RESET, SHUTDOWN: "guest-reset", "host-qmp-quit"...; else NULL */
    const char *device, *path; /* DEVICE_DELETED: its id, or NULL; what QEMU calls it */
    const char *action;        /* WATCHDOG: what is done, as -action has it */
};
struct machine_listener {
    void *opaque;
    void (*happened)(void *opaque, const struct machine_happening *happening);
    struct machine_listener *next; /* the machine's */
};
/* The listener is the caller's and stands until machine_unlisten(). */
void machine_listen(struct machine *machine, struct machine_listener *listener);
void machine_unlisten(struct machine *machine, struct machine_listener *listener);

/* The autopsy of a triple fault, or why the engine stopped; NULL if nothing of that kind happened. */
const char *machine_last_words(const struct machine *machine);

/* Parts, for the monitor and the displays. */
const struct machine_config *machine_config(const struct machine *machine);
const struct engine_ops *machine_engine(const struct machine *machine);
struct engine *machine_engine_instance(const struct machine *machine);
unsigned machine_cpus(const struct machine *machine); /* numbers below it; not all need be there */
bool machine_has_cpu(const struct machine *machine, unsigned index);
const struct cpus *machine_cpu_set(const struct machine *machine);
struct vcpu *machine_vcpu(const struct machine *machine, unsigned index);
long machine_vcpu_thread(const struct machine *machine, unsigned index); /* the host's thread id */
/*
 * Binds vCPUs' threads to host CPUs, as "0=2,1=3" or "auto" says (host/pin.h), and reads back whether they are. False with
 * one line in `text`; true with one if there is something to be said of it, else it is empty.
 */
bool machine_pin(struct machine *machine, const char *wanted, char *text, size_t size);
/*
 * device_add and device_del, of CPUs: takes the settings over. False with one line. A CPU goes when its guest lets go of
 * it, if ever; MACHINE_EVENT_DEVICE_DELETED tells.
 */
#define MACHINE_CPU_PATH "/machine/unattached/device[%u]"
bool machine_device_add(struct machine *machine, struct settings *settings, char *error, size_t size);
bool machine_device_del(struct machine *machine, const char *id, char *error, size_t size);
/* "qemu64-x86_64-cpu": what device_add takes. */
void machine_cpu_driver(const struct machine *machine, char *name, size_t size);
struct memory *machine_memory(const struct machine *machine);
struct bus *machine_port_map(const struct machine *machine);
struct bus *machine_mmio_map(const struct machine *machine);
const struct display_source *machine_display(const struct machine *machine); /* NULL with -vga none */
/* The VNC server, for the monitor; main makes it and takes it away. NULL without one. */
struct vnc_server;
struct vnc_server *machine_vnc(const struct machine *machine);
void machine_set_vnc(struct machine *machine, struct vnc_server *server);
const struct input_sink *machine_input(const struct machine *machine);
/* Presses the keys together (core/input.h's codes) and holds them for so long; waits its turn behind those before.
 * False if too many wait. */
bool machine_press_keys(struct machine *machine, const uint16_t *keys, unsigned count, uint64_t milliseconds);
/* The pointer, with steps, whatever the guest listens to: to the right, down and towards the user; then which buttons
 * (core/input.h) are down. */
void machine_move_pointer(struct machine *machine, int x, int y, int wheel);
void machine_press_buttons(struct machine *machine, unsigned buttons);
/* How much memory the guest is to keep, and how much it has. False: it has no balloon (-device virtio-balloon). */
bool machine_set_balloon(struct machine *machine, uint64_t bytes);
bool machine_print_balloon(struct machine *machine, FILE *out);
/* `info network`, `info usernet`. */
void machine_print_network(struct machine *machine, FILE *out);
void machine_print_connections(struct machine *machine, FILE *out);
/* By the name of a network card or its backend; false if there is none. */
bool machine_set_link(struct machine *machine, const char *name, bool up);
/* Adds a rule "tcp:[ADDRESS]:PORT-[ADDRESS]:PORT", or removes "tcp:[ADDRESS]:PORT". `network` is its id, or NULL for the
 * first that forwards. False with one line in error. */
bool machine_forward(struct machine *machine, const char *network, const char *rule, bool add, char *error,
                     size_t error_size);
void machine_print_pic(struct machine *machine, FILE *out);

/* Media of CD-ROM and diskette drives, named by -drive's id= ("ide1-cd0", "floppy0") or -device's. False with one line in
 * `error`. On the loop's thread. */
struct medium {
    const char *file, *format; /* format NULL: looked for */
    enum { MEDIUM_RETAIN, MEDIUM_READ_ONLY, MEDIUM_READ_WRITE } access;
    bool force; /* even if the guest has locked the door */
};
bool machine_eject(struct machine *machine, const char *id, bool force, char *error, size_t error_size);
bool machine_change(struct machine *machine, const char *id, const struct medium *medium, char *error,
                    size_t error_size);
void machine_print_block(struct machine *machine, FILE *out);
void machine_print_pci(struct machine *machine, FILE *out);

#endif

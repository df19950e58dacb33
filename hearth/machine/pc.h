/* The PC as a set of parts, for machine.c alone. */
#ifndef MACHINE_PC_H
#define MACHINE_PC_H

#include "machine/machine.h"

struct pc;
struct network;

/* What the parts ask of the machine; called with the lock held, on any thread. */
struct pc_events {
    void *opaque;
    void (*reset)(void *opaque);
    void (*power_off)(void *opaque);
    void (*debug_exit)(void *opaque, int status);
    void (*cpu_eject)(void *opaque, unsigned cpu); /* the guest has let go of it */
    void (*watchdog)(void *opaque);                /* it has expired */
};

/* In two steps, since the engine needs the maps and the parts need to know what the engine has already. */
struct pc *pc_create(const struct machine_config *config, const struct cpus *cpus, struct clock *clock,
                     struct loop *loop);
struct memory *pc_memory(struct pc *pc);
struct bus *pc_ports(struct pc *pc);
struct bus *pc_mmio(struct pc *pc);
/* Vector of the 8259A pair, for engine_machine.acknowledge. */
uint8_t pc_acknowledge(void *pc);
/* For engine_machine.end_of_interrupt and .float_error. */
void pc_end_of_interrupt(void *pc, uint8_t vector);
void pc_float_error(void *pc, bool level);

void pc_wire(struct pc *pc, const struct engine_ops *ops, struct engine *engine,
             const struct machine_ports *host, const struct pc_events *events);
/* Disk I/O in flight is waited for. Both on the loop's thread. */
void pc_reset(struct pc *pc);
void pc_settle(struct pc *pc); /* waits for it: the machine is paused */
/* After a reset of parts and CPUs: puts a kernel of -kernel into memory and CPU 0 at its entry. */
void pc_start(struct pc *pc);
void pc_destroy(struct pc *pc); /* after pc_settle() */

/* CPUs that come, are asked to go, are gone. */
bool pc_can_plug_cpus(const struct pc *pc);
void pc_cpu_came(struct pc *pc, unsigned cpu);
void pc_cpu_go(struct pc *pc, unsigned cpu);
void pc_cpu_gone(struct pc *pc, unsigned cpu);
/* While the machine was paused. */
void pc_time_passed(struct pc *pc, uint64_t nanoseconds);
void pc_press_power_button(struct pc *pc);
const struct display_source *pc_display(struct pc *pc);
const struct input_sink *pc_input(struct pc *pc);
unsigned pc_buttons(const struct pc *pc); /* of the pointer, as last told */
/* False: there is no balloon. */
bool pc_set_balloon(struct pc *pc, uint64_t bytes);
bool pc_print_balloon(struct pc *pc, FILE *out);
struct network *pc_network(struct pc *pc);
void pc_print_pic(struct pc *pc, FILE *out);
void pc_print_pci(struct pc *pc, FILE *out);

#endif

/*
 * deterministic=on: all CPUs take turns on one thread, and time is what they have retired, so that the same input gives the
 * same run. The machine calls run() for one CPU after the other (engine.h: RUN_TURN, RUN_IDLE).
 *
 * A turn ends after TURN_INSTRUCTIONS, or exactly where a timer is due, wherever blocks begin and end; with PAUSE; or with
 * HLT. Each instruction takes INSTRUCTION_TIME, on whichever CPU. What other threads ask for waits until the turn is over.
 */
#ifndef SOFT_TURNS_H
#define SOFT_TURNS_H

#include "cpu/soft/cpu.h"

enum { TURN_INSTRUCTIONS = 5000, INSTRUCTION_TIME = 10 /* nanoseconds */ };

void turn_begin(struct cpu *cpu);
/* The machine's clock gets to where this CPU is. */
void turn_clock(struct cpu *cpu);
/* Machine lock held: a timer may have been set that ends the turn earlier. */
void turn_shorten(struct cpu *cpu);
/* Ends it behind the instruction under way, which has to leave its block. */
void turn_end(struct cpu *cpu);
/* Behind the last instruction of it? And are there too few left for a whole block? */
static inline bool turn_over(const struct cpu *cpu)
{
    return cpu->instructions >= cpu->turn.end;
}
bool turn_ending(const struct cpu *cpu);
/* In place of the host's random numbers. */
uint64_t turn_random(struct soft *soft);

#endif

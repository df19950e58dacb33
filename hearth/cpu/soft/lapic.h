/*
 * The local APIC of one software CPU: its page at APIC_BASE, its MSRs, its timer, and the choice of the next interrupt.
 *
 * Machine lock held for all functions.
 */
#ifndef SOFT_LAPIC_H
#define SOFT_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/message.h"

struct lapic;

/* What an ICR can address beside a destination. */
enum shorthand { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

/* What it asks of its CPU and of the machine. */
struct lapic_wiring {
    struct clock *clock;
    const uint64_t *tsc_offset; /* TSC = clock_now() + this */
    uint32_t id;
    bool boot; /* the bootstrap processor */
    void *opaque;
    /* An interrupt can be had with lapic_acknowledge(), or none any more. */
    void (*interrupt)(void *opaque, bool pending);
    /* NMI, INIT or start-up (with the vector) reached this CPU. */
    void (*signal)(void *opaque, enum delivery delivery, uint8_t vector);
    /* The ICR: to be handed to those lapics that lapic_accepts() names. */
    void (*send)(void *opaque, const struct interrupt_message *message, enum shorthand shorthand);
    void (*end_of_interrupt)(void *opaque, uint8_t vector); /* of a level-triggered one */
    void (*moved)(void *opaque);                            /* lapic_covers() answers differently now */
};

enum { LAPIC_PAGE = 4096, LAPIC_NO_VECTOR = -1, LAPIC_EXTERNAL = -2 };

struct lapic *lapic_create(const struct lapic_wiring *wiring);
void lapic_destroy(struct lapic *lapic); /* NULL is harmless */
void lapic_reset(struct lapic *lapic);   /* RESET */
void lapic_init(struct lapic *lapic);    /* INIT: all but the id and APIC_BASE */

/*
 * MSRs: 1Bh (APIC_BASE), 6E0h (TSC_DEADLINE), 800h to 8FFh (x2APIC). False: #GP(0).
 */
static inline bool lapic_has_msr(uint32_t msr)
{
    return msr == 0x1b || msr == 0x6e0 || (msr >= 0x800 && msr <= 0x8ff);
}
bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value);
bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value);
/* WRMSR 10h changed *tsc_offset: a TSC deadline is nearer or further now. */
void lapic_tsc_changed(struct lapic *lapic);

/* CR8: bits 7 to 4 of the task priority. */
uint8_t lapic_cr8(const struct lapic *lapic);
void lapic_set_cr8(struct lapic *lapic, uint8_t value);

/* CPUID 1 EDX bit 9: is it enabled in APIC_BASE? Any thread. */
bool lapic_enabled(const struct lapic *lapic);

/* The page: is this physical address in it? Any thread; in x2APIC mode and when it is off there is none. */
bool lapic_covers(const struct lapic *lapic, uint64_t physical);
uint64_t lapic_read(struct lapic *lapic, uint64_t physical, unsigned size);
void lapic_write(struct lapic *lapic, uint64_t physical, unsigned size, uint64_t value);

/* The pins LINT0 (INTR of the 8259A pair) and LINT1 (NMI). */
void lapic_pin(struct lapic *lapic, unsigned pin, bool level);

/* Is this CPU meant? And what came for it. */
bool lapic_accepts(const struct lapic *lapic, const struct interrupt_message *message);
void lapic_deliver(struct lapic *lapic, const struct interrupt_message *message);
/* The priority that decides who gets a message to the lowest one: less is lower. */
unsigned lapic_priority(const struct lapic *lapic);

/*
 * INTA: the vector, which is now in service; LAPIC_EXTERNAL: the 8259A pair is to be asked; LAPIC_NO_VECTOR: what there
 * was has gone.
 */
int lapic_acknowledge(struct lapic *lapic);

#endif

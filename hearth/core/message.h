/*
 * An interrupt message, as it goes from an IOAPIC or a local APIC to local APICs. Source: SDM volume 3A, 10.6.1 (ICR) and 10.11
 * (message format).
 */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Delivery modes, numbered as in the ICR, the LVT and the redirection table. */
enum delivery {
    DELIVERY_FIXED,
    DELIVERY_LOWEST,
    DELIVERY_SMI,
    DELIVERY_NMI = 4,
    DELIVERY_INIT,
    DELIVERY_STARTUP,
    DELIVERY_EXTINT,
};

enum { MESSAGE_EVERYBODY = 0xff }; /* the physical destination that means all, of 8 bits */

struct interrupt_message {
    uint32_t destination; /* an APIC id, or a set of logical ids */
    bool logical;
    enum delivery delivery;
    uint8_t vector;
    bool level; /* level-triggered: the receiver's EOI is made known to the IOAPIC */
};

#endif

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

typedef void message_function(void *opaque, const struct interrupt_message *message);

/* How a device sends one: a write of 32 bits to this page of addresses. */
#define MESSAGE_ADDRESS 0xfee00000ull
enum {
    MESSAGE_ADDRESS_DESTINATION_SHIFT = 12,
    MESSAGE_ADDRESS_LOGICAL = 1 << 2,
    MESSAGE_DATA_DELIVERY_SHIFT = 8,
    MESSAGE_DATA_ASSERT = 1 << 14,
    MESSAGE_DATA_LEVEL = 1 << 15,
};

static inline struct interrupt_message message_from_write(uint64_t address, uint32_t data)
{
    return (struct interrupt_message){
        .destination = address >> MESSAGE_ADDRESS_DESTINATION_SHIFT & 0xff,
        .logical = address & MESSAGE_ADDRESS_LOGICAL,
        .delivery = (enum delivery)(data >> MESSAGE_DATA_DELIVERY_SHIFT & 7),
        .vector = (uint8_t)data,
        .level = data & MESSAGE_DATA_LEVEL,
    };
}

#endif

/*
 * The 82093AA I/O APIC.
 *
 * Left out: SMIs (sent nowhere), the arbitration of the APIC bus (the register shows the id). The polarity bits are kept
 * without effect: what reaches the pins here is "asserted" or not. Physical destinations have 8 bits, not 4, as in the
 * chipsets of CPUs with xAPICs. Source: Intel 82093AA I/O Advanced Programmable Interrupt
 * Controller data sheet (290566), 3.0 (registers) and 4.0.
 */
#include "devices/ioapic.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

#define BASE 0xfec00000ull

enum window { IOREGSEL = 0x00, IOWIN = 0x10, WINDOW_SIZE = 0x1000 };

enum indirect {
    IOAPICID = 0x00,
    IOAPICVER = 0x01,
    IOAPICARB = 0x02,
    IOREDTBL = 0x10, /* two for each pin */
    INDIRECT_END = IOREDTBL + 2 * IOAPIC_PINS,
};

enum id_bits { ID_SHIFT = 24, ID_MASK = 0xf, VERSION = 0x11, VERSION_PINS_SHIFT = 16 };

enum entry_bits {
    ENTRY_VECTOR = 0xff,
    ENTRY_DELIVERY_SHIFT = 8,
    ENTRY_DELIVERY = 7 << 8,
    ENTRY_LOGICAL = 1 << 11,
    ENTRY_POLARITY = 1 << 13,
    ENTRY_REMOTE_IRR = 1 << 14,
    ENTRY_LEVEL = 1 << 15,
    ENTRY_MASKED = 1 << 16,
    ENTRY_DESTINATION_SHIFT = 56,
    ENTRY_WRITABLE_LOW =
        ENTRY_VECTOR | ENTRY_DELIVERY | ENTRY_LOGICAL | ENTRY_POLARITY | ENTRY_LEVEL | ENTRY_MASKED,
};
#define ENTRY_WRITABLE_HIGH 0xff000000u

struct ioapic {
    struct bus *mmio;
    message_function *send;
    void *opaque;
    uint8_t select, id;
    uint32_t lines; /* asserted now */
    uint64_t entry[IOAPIC_PINS];
};

static enum delivery delivery_of(uint64_t entry)
{
    return (entry & ENTRY_DELIVERY) >> ENTRY_DELIVERY_SHIFT;
}

/* NMI, INIT, SMI and ExtINT are edges, whatever the entry says. */
static bool level_triggered(uint64_t entry)
{
    return (entry & ENTRY_LEVEL) && delivery_of(entry) <= DELIVERY_LOWEST;
}

static void pin_send(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entry[pin];
    struct interrupt_message message = {
        .destination = entry >> ENTRY_DESTINATION_SHIFT,
        .logical = entry & ENTRY_LOGICAL,
        .delivery = delivery_of(entry),
        .vector = entry & ENTRY_VECTOR,
        .level = level_triggered(entry),
    };

    if (message.level)
        ioapic->entry[pin] |= ENTRY_REMOTE_IRR;
    if (message.delivery != DELIVERY_SMI && message.delivery != DELIVERY_STARTUP &&
        message.delivery != DELIVERY_SMI + 1)
        ioapic->send(ioapic->opaque, &message);
}

/* A level that is asserted and has not been sent goes now. */
static void pin_look(struct ioapic *ioapic, unsigned pin)
{
    uint64_t entry = ioapic->entry[pin];

    if (level_triggered(entry) && !(entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) && (ioapic->lines >> pin & 1))
        pin_send(ioapic, pin);
}

/* An edge at a masked pin is lost. */
static void pin_set(void *target, int pin, bool level)
{
    struct ioapic *ioapic = target;
    uint32_t bit = 1u << pin;
    bool rose = level && !(ioapic->lines & bit);
    uint64_t entry = ioapic->entry[pin];

    ioapic->lines = level ? ioapic->lines | bit : ioapic->lines & ~bit;
    if (level_triggered(entry))
        pin_look(ioapic, pin);
    else if (rose && !(entry & ENTRY_MASKED))
        pin_send(ioapic, pin);
}

struct irq_line ioapic_line(struct ioapic *ioapic, int pin)
{
    return (struct irq_line){pin_set, ioapic, pin};
}

void ioapic_end_of_interrupt(struct ioapic *ioapic, uint8_t vector)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic->entry[pin];

        if (!(entry & ENTRY_REMOTE_IRR) || (entry & ENTRY_VECTOR) != vector)
            continue;
        ioapic->entry[pin] &= ~(uint64_t)ENTRY_REMOTE_IRR;
        pin_look(ioapic, pin);
    }
}

/* ---- registers */

static uint32_t indirect_read(const struct ioapic *ioapic)
{
    unsigned number = ioapic->select;

    if (number == IOAPICID || number == IOAPICARB)
        return (uint32_t)ioapic->id << ID_SHIFT;
    if (number == IOAPICVER)
        return VERSION | (IOAPIC_PINS - 1) << VERSION_PINS_SHIFT;
    if (number < IOREDTBL || number >= INDIRECT_END)
        return 0;
    return ioapic->entry[(number - IOREDTBL) / 2] >> (number & 1 ? 32 : 0);
}

static void entry_write(struct ioapic *ioapic, unsigned pin, bool high, uint32_t value)
{
    uint64_t *entry = &ioapic->entry[pin];

    if (high) {
        *entry = (uint32_t)*entry | (uint64_t)(value & ENTRY_WRITABLE_HIGH) << 32;
        return;
    }
    *entry = (*entry & ~(uint64_t)ENTRY_WRITABLE_LOW) | (value & ENTRY_WRITABLE_LOW);
    if (!level_triggered(*entry))
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
    pin_look(ioapic, pin);
}

static void indirect_write(struct ioapic *ioapic, uint32_t value)
{
    unsigned number = ioapic->select;

    if (number == IOAPICID)
        ioapic->id = value >> ID_SHIFT & ID_MASK;
    else if (number >= IOREDTBL && number < INDIRECT_END)
        entry_write(ioapic, (number - IOREDTBL) / 2, number & 1, value);
}

static uint64_t window_read(void *device, uint64_t offset, unsigned size)
{
    const struct ioapic *ioapic = device;

    (void)size;
    return offset == IOREGSEL ? ioapic->select : offset == IOWIN ? indirect_read(ioapic) : 0;
}

/* The data register is written as 32 bits at once. */
static void window_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct ioapic *ioapic = device;

    if (offset == IOREGSEL)
        ioapic->select = value;
    else if (offset == IOWIN && size == 4)
        indirect_write(ioapic, value);
}

/* ---- life */

void ioapic_reset(struct ioapic *ioapic)
{
    ioapic->select = ioapic->id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++)
        ioapic->entry[pin] = ENTRY_MASKED;
}

struct ioapic *ioapic_create(struct bus *mmio, message_function *send, void *opaque)
{
    struct ioapic *ioapic = allocate(sizeof(*ioapic));

    ioapic->mmio = mmio;
    ioapic->send = send;
    ioapic->opaque = opaque;
    ioapic_reset(ioapic);
    bus_add(mmio, &(struct bus_range){BASE, WINDOW_SIZE, "ioapic", ioapic, window_read, window_write, 4});
    return ioapic;
}

void ioapic_destroy(struct ioapic *ioapic)
{
    if (!ioapic)
        return;
    bus_remove(ioapic->mmio, ioapic, BASE);
    free(ioapic);
}

void ioapic_print(const struct ioapic *ioapic, FILE *out)
{
    static const char *const modes[] = {"fixed", "lowest", "SMI", "3", "NMI", "INIT", "6", "ExtINT"};

    fprintf(out, "ioapic0: ver=0x%x id=0x%02x sel=0x%02x\n", VERSION, ioapic->id, ioapic->select);
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t entry = ioapic->entry[pin];

        fprintf(out, "  pin %-2u 0x%016llx dest=%llx vec=%-3u %s%s %s%s%s%s\n", pin,
                (unsigned long long)entry, (unsigned long long)(entry >> ENTRY_DESTINATION_SHIFT),
                (unsigned)(entry & ENTRY_VECTOR), modes[delivery_of(entry)],
                entry & ENTRY_LOGICAL ? " logical" : "", entry & ENTRY_LEVEL ? "level" : "edge",
                entry & ENTRY_MASKED ? " masked" : "", entry & ENTRY_REMOTE_IRR ? " remote-irr" : "",
                ioapic->lines >> pin & 1 ? " asserted" : "");
    }
}

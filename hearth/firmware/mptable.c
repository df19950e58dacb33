/*
 * The MP configuration table: processors, the PCI and ISA buses, an IOAPIC, and which interrupt reaches which input.
 *
 * Left out: extended entries. All PCI slots are listed, taken or not.
 * Source: Intel MultiProcessor Specification 1.4, chapter 4.
 */
#include "firmware/mptable.h"

#include <endian.h>
#include <string.h>

#include "firmware/acpi.h"

enum {
    HEADER_SIZE = 44,
    HEADER_LENGTH = 4,
    HEADER_CHECKSUM = 7,
    HEADER_COUNT = 34,
    REVISION_1_4 = 4,
    POINTER_CHECKSUM = 10,

    ENTRY_PROCESSOR = 0,
    ENTRY_BUS = 1,
    ENTRY_IOAPIC = 2,
    ENTRY_INTERRUPT = 3,
    ENTRY_LOCAL_INTERRUPT = 4,

    LOCAL_APIC_VERSION = 0x14,
    IOAPIC_VERSION = 0x11,
    PROCESSOR_ENABLED = 1 << 0,
    PROCESSOR_BOOT = 1 << 1,
    SIGNATURE = 0x600,     /* a Pentium Pro */
    FEATURES = 1 << 9 | 1, /* APIC, FPU */
    IOAPIC_ENABLED = 1,

    INTERRUPT_INT = 0,
    INTERRUPT_NMI = 1,
    INTERRUPT_EXTINT = 3,
    CONFORMING = 0,
    LEVEL_HIGH = 0x0d,
    ALL_APICS = 0xff,

    BUS_PCI = 0,
    BUS_ISA = 1,
    ISA_IRQS = 16,
    CASCADE = 2,
    TIMER_INPUT = 2,
    PCI_SLOTS = 32,
    PCI_PINS = 4,
};
#define LOCAL_APIC_ADDRESS 0xfee00000u
#define IOAPIC_ADDRESS     0xfec00000u

static void processors(struct aml *table, const struct cpus *cpus)
{
    for (unsigned cpu = 0; cpu < cpus->most; cpu++) {
        if (!cpus->present[cpu])
            continue;
        aml_number(table, ENTRY_PROCESSOR, 1);
        aml_number(table, topology_apic_id(&cpus->topology, cpu), 1);
        aml_number(table, LOCAL_APIC_VERSION, 1);
        aml_number(table, PROCESSOR_ENABLED | (cpu ? 0 : PROCESSOR_BOOT), 1);
        aml_number(table, SIGNATURE, 4);
        aml_number(table, FEATURES, 4);
        aml_number(table, 0, 8);
    }
}

static void bus(struct aml *table, unsigned number, const char name[6])
{
    aml_number(table, ENTRY_BUS, 1);
    aml_number(table, number, 1);
    aml_bytes(table, name, 6);
}

static void interrupt(struct aml *table, unsigned bus, unsigned source, unsigned input, unsigned flags)
{
    aml_number(table, ENTRY_INTERRUPT, 1);
    aml_number(table, INTERRUPT_INT, 1);
    aml_number(table, flags, 2);
    aml_number(table, bus, 1);
    aml_number(table, source, 1);
    aml_number(table, 0, 1); /* the IOAPIC */
    aml_number(table, input, 1);
}

static void local_interrupt(struct aml *table, unsigned type, unsigned apic, unsigned input)
{
    aml_number(table, ENTRY_LOCAL_INTERRUPT, 1);
    aml_number(table, type, 1);
    aml_number(table, CONFORMING, 2);
    aml_number(table, BUS_ISA, 1);
    aml_number(table, 0, 1);
    aml_number(table, apic, 1);
    aml_number(table, input, 1);
}

/* Answers how many. */
static unsigned interrupts(struct aml *table)
{
    static const uint8_t pirq[PCI_PINS] = {10, 10, 11, 11}; /* as platform.c sets the links */
    unsigned count = 0;
    for (unsigned irq = 0; irq < ISA_IRQS; irq++)
        if (irq != CASCADE && irq != 10 && irq != 11) {
            interrupt(table, BUS_ISA, irq, irq ? irq : TIMER_INPUT,
                      irq == ACPI_SCI ? LEVEL_HIGH : CONFORMING);
            count++;
        }
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < PCI_PINS; pin++) {
            interrupt(table, BUS_PCI, slot << 2 | pin, pirq[(slot + pin + PCI_PINS - 1) % PCI_PINS],
                      LEVEL_HIGH);
            count++;
        }
    local_interrupt(table, INTERRUPT_EXTINT, 0, 0);
    local_interrupt(table, INTERRUPT_NMI, ALL_APICS, 1);
    return count + 2;
}

void mptable_build(struct aml *table, const struct cpus *cpus)
{
    aml_bytes(table, "PCMP", 4);
    aml_number(table, 0, 2);
    aml_number(table, REVISION_1_4, 1);
    aml_number(table, 0, 1);
    aml_bytes(table, "HEARTH  HEARTHPC    ", 8 + 12);
    aml_number(table, 0, 4 + 2); /* no OEM table */
    aml_number(table, 0, 2);     /* how many entries */
    aml_number(table, LOCAL_APIC_ADDRESS, 4);
    aml_number(table, 0, 4); /* no extended table */
    processors(table, cpus);
    bus(table, BUS_PCI, "PCI   ");
    bus(table, BUS_ISA, "ISA   ");
    aml_number(table, ENTRY_IOAPIC, 1);
    aml_number(table, 0, 1);
    aml_number(table, IOAPIC_VERSION, 1);
    aml_number(table, IOAPIC_ENABLED, 1);
    aml_number(table, IOAPIC_ADDRESS, 4);
    uint16_t count = htole16((uint16_t)(cpus_present(cpus) + 2 + 1 + interrupts(table))),
             size = htole16((uint16_t)table->size);
    memcpy(table->bytes + HEADER_LENGTH, &size, sizeof(size));
    memcpy(table->bytes + HEADER_COUNT, &count, sizeof(count));
    checksum_set(table->bytes, table->size, HEADER_CHECKSUM);
}

void mptable_pointer(uint8_t pointer[MPTABLE_POINTER_SIZE], uint32_t address)
{
    uint32_t little = htole32(address);
    memset(pointer, 0, MPTABLE_POINTER_SIZE);
    memcpy(pointer, "_MP_", 4);
    memcpy(pointer + 4, &little, sizeof(little));
    pointer[8] = 1; /* in 16 bytes */
    pointer[9] = REVISION_1_4;
    checksum_set(pointer, MPTABLE_POINTER_SIZE, POINTER_CHECKSUM);
}

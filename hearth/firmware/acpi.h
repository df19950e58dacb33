/*
 * The ACPI tables: built once without addresses, then handed to SeaBIOS through fw_cfg, which places them, or placed by
 * hearth itself for a kernel that is started directly.
 */
#ifndef FIRMWARE_ACPI_H
#define FIRMWARE_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/topology.h"
#include "devices/fwcfg.h"
#include "firmware/aml.h"

enum {
    ACPI_PM_BASE = 0x600, /* where SeaBIOS puts the power management ports if tables are supplied */
    ACPI_SCI = 9,
    ACPI_S5_TYPE = 0,
    ACPI_CPU_EVENT = 2, /* the general-purpose event that tells of CPUs */
    ACPI_SERIALS = 2,
    ACPI_RSDP_SIZE = 20,
    ACPI_RSDP_ALIGNMENT = 16,
    ACPI_ALIGNMENT = 64, /* of the tables, for the FACS's sake */
};

#define ACPI_CPU_EVENT_NAME "_E02"

struct acpi_description {
    const struct cpus *cpus;   /* as they are when the tables are built */
    bool apic;                 /* there are local APICs and an IOAPIC, its input 2 joined to IRQ 0 */
    bool screen;               /* there is a display adapter */
    bool serial[ACPI_SERIALS]; /* COM1, COM2 */
    bool hpet;                 /* at HPET_ADDRESS */
    uint32_t pci_memory;       /* where the PCI bus's memory begins, at the end of the RAM below 4 GiB */
};

/* An address to be made absolute: the four bytes at `at` hold an offset into the tables. */
struct acpi_pointer {
    uint32_t at;
};
/* A sum to be made zero over `size` bytes from `first`, by the byte at `at`. */
struct acpi_checksum {
    uint32_t at, first, size;
};

enum { ACPI_POINTERS_MOST = 16, ACPI_TABLES_MOST = 8 };

struct acpi {
    struct aml tables; /* FACS, DSDT, FADT, MADT, HPET, RSDT */
    uint32_t rsdt;     /* its offset */
    struct acpi_pointer pointers[ACPI_POINTERS_MOST];
    unsigned pointers_count;
    struct acpi_checksum checksums[ACPI_TABLES_MOST];
    unsigned checksums_count;
};

void acpi_build(struct acpi *acpi, const struct acpi_description *machine);
void acpi_free(struct acpi *acpi);

/* etc/acpi/rsdp, etc/acpi/tables and what is to be done with them, etc/table-loader. */
void acpi_publish(const struct acpi *acpi, struct fwcfg *fwcfg);
/* Makes the tables fit to lie at `address`, and a root pointer to them. Once. */
void acpi_place(struct acpi *acpi, uint32_t address, uint8_t rsdp[ACPI_RSDP_SIZE]);

/* Brings the sum of all bytes to zero by changing bytes[at]. */
void checksum_set(uint8_t *bytes, size_t size, size_t at);

/* dsdt.c: the definition block's terms, without the header. */
void dsdt_write(struct aml *aml, const struct acpi_description *machine);
/* dsdt-cpus.c: its processors. */
void dsdt_cpus_write(struct aml *aml, const struct acpi_description *machine);

#endif

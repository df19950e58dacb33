/*
 * RSDP, RSDT, FADT, FACS, MADT and HPET; the DSDT is dsdt.c's.
 *
 * Left out: what would lie above 4 GiB (the XSDT), NUMA.
 * Sources: ACPI 6.4, chapters 5.2.3 to 5.2.12; IA-PC HPET Specification 1.0a, 3.2.4; SeaBIOS, src/fw/romfile_loader for the loader's records.
 */
#include "firmware/acpi.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/hpet.h"

enum {
    HEADER_SIZE = 36,
    HEADER_LENGTH = 4, /* offsets in the header of each table */
    HEADER_CHECKSUM = 9,

    FACS_SIZE = 64,
    FADT_SIZE = 244,
    FADT_REVISION = 3,
    FADT_FACS = 36,
    FADT_DSDT = 40,
    RSDP_CHECKSUM = 8,
    RSDP_RSDT = 16,

    /* The PIIX4's ports. */
    PM1_EVENT = ACPI_PM_BASE,
    PM1_CONTROL = ACPI_PM_BASE + 4,
    PM_TIMER = ACPI_PM_BASE + 8,
    GPE0 = 0xafe0,
    PM1_EVENT_LENGTH = 4,
    PM1_CONTROL_LENGTH = 2,
    PM_TIMER_LENGTH = 4,
    GPE0_LENGTH = 4,
    SMI_COMMAND = 0xb2,
    ACPI_ENABLE = 0xf1,
    ACPI_DISABLE = 0xf0,
    RESET_PORT = 0xcf9,
    RESET_VALUE = 0x06,
    CMOS_CENTURY = 0x32,
    LATENCY_NONE = 0xfff, /* C2 and C3: not there */

    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_SLP_BUTTON = 1 << 5, /* no fixed one */
    FADT_RTC_S4 = 1 << 7,
    FADT_RESET_REG_SUP = 1 << 10,
    BOOT_LEGACY_DEVICES = 1 << 0,
    BOOT_8042 = 1 << 1,
    BOOT_NO_VGA = 1 << 2,
    SPACE_MEMORY = 0, /* of a generic address */
    SPACE_PORTS = 1,
    HPET_LEAST_TICK = 100,

    MADT_PCAT_COMPAT = 1 << 0,
    MADT_LOCAL_APIC = 0,
    MADT_IOAPIC = 1,
    MADT_OVERRIDE = 2,
    MADT_LOCAL_NMI = 4,
    LOCAL_APIC_ENABLED = 1 << 0,
    LEVEL_HIGH = 0x0d, /* of an override: active high, level-triggered */
    ALL_PROCESSORS = 0xff,
};
#define LOCAL_APIC_ADDRESS 0xfee00000u
#define IOAPIC_ADDRESS     0xfec00000u
#define HPET_BLOCK_ID      0x80862201u /* the low half of GCAP_ID */

/* ---- building */

static void align(struct aml *tables, unsigned to)
{
    while (tables->size % to)
        aml_number(tables, 0, 1);
}

static void pointer(struct acpi *acpi, size_t at)
{
    acpi->pointers[acpi->pointers_count++] = (struct acpi_pointer){(uint32_t)at};
}

/* Answers where the table begins; its length and checksum are filled in by table_close(). */
static size_t table_open(struct acpi *acpi, const char *signature, unsigned revision)
{
    struct aml *tables = &acpi->tables;
    align(tables, 16);
    size_t start = tables->size;
    aml_bytes(tables, signature, 4);
    aml_number(tables, 0, 4);
    aml_number(tables, revision, 1);
    aml_number(tables, 0, 1);
    aml_bytes(tables, "HEARTHHEARTHPC", 6 + 8); /* who made it, and for what machine */
    aml_number(tables, 1, 4);
    aml_bytes(tables, "HRTH", 4);
    aml_number(tables, 1, 4);
    return start;
}

static void table_close(struct acpi *acpi, size_t start)
{
    uint32_t size = (uint32_t)(acpi->tables.size - start), little = htole32(size);
    memcpy(acpi->tables.bytes + start + HEADER_LENGTH, &little, sizeof(little));
    acpi->checksums[acpi->checksums_count++] =
        (struct acpi_checksum){(uint32_t)start + HEADER_CHECKSUM, (uint32_t)start, size};
}

static size_t facs_write(struct acpi *acpi)
{
    size_t start = acpi->tables.size;
    aml_bytes(&acpi->tables, "FACS", 4);
    aml_number(&acpi->tables, FACS_SIZE, 4);
    while (acpi->tables.size - start < FACS_SIZE)
        aml_number(&acpi->tables, 0, 1);
    return start;
}

static void generic_address(struct aml *tables, uint16_t port, unsigned bytes)
{
    aml_number(tables, SPACE_PORTS, 1);
    aml_number(tables, 8 * bytes, 1);
    aml_number(tables, 0, 2); /* bit offset, access size */
    aml_number(tables, port, 8);
}

static void fadt_ports(struct aml *fadt)
{
    aml_number(fadt, PM1_EVENT, 4);
    aml_number(fadt, 0, 4);
    aml_number(fadt, PM1_CONTROL, 4);
    aml_number(fadt, 0, 4);
    aml_number(fadt, 0, 4); /* PM2 */
    aml_number(fadt, PM_TIMER, 4);
    aml_number(fadt, GPE0, 4);
    aml_number(fadt, 0, 4);
    aml_number(fadt, PM1_EVENT_LENGTH, 1);
    aml_number(fadt, PM1_CONTROL_LENGTH, 1);
    aml_number(fadt, 0, 1);
    aml_number(fadt, PM_TIMER_LENGTH, 1);
    aml_number(fadt, GPE0_LENGTH, 1);
    aml_number(fadt, 0, 3); /* GPE1, its base; CST_CNT */
}

static size_t fadt_write(struct acpi *acpi, const struct acpi_description *machine, size_t facs, size_t dsdt)
{
    struct aml *fadt = &acpi->tables;
    size_t start = table_open(acpi, "FACP", FADT_REVISION);
    pointer(acpi, start + FADT_FACS);
    aml_number(fadt, facs, 4);
    pointer(acpi, start + FADT_DSDT);
    aml_number(fadt, dsdt, 4);
    aml_number(fadt, 0, 2); /* reserved; no preferred profile */
    aml_number(fadt, ACPI_SCI, 2);
    aml_number(fadt, SMI_COMMAND, 4);
    aml_number(fadt, ACPI_ENABLE, 1);
    aml_number(fadt, ACPI_DISABLE, 1);
    aml_number(fadt, 0, 2); /* S4BIOS_REQ, PSTATE_CNT */
    fadt_ports(fadt);
    aml_number(fadt, LATENCY_NONE, 2);
    aml_number(fadt, LATENCY_NONE, 2);
    aml_number(fadt, 0, 4 + 2); /* flush sizes, duty cycle */
    aml_number(fadt, 0, 2);     /* the clock's alarms */
    aml_number(fadt, CMOS_CENTURY, 1);
    aml_number(fadt, BOOT_LEGACY_DEVICES | BOOT_8042 | (machine->screen ? 0 : BOOT_NO_VGA), 2);
    aml_number(fadt, 0, 1);
    aml_number(fadt, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_RTC_S4 | FADT_RESET_REG_SUP, 4);
    generic_address(fadt, RESET_PORT, 1);
    aml_number(fadt, RESET_VALUE, 1);
    while (fadt->size - start < FADT_SIZE) /* the addresses of 64 bits: none, those above hold */
        aml_number(fadt, 0, 1);
    table_close(acpi, start);
    return start;
}

static void override(struct aml *madt, unsigned irq, unsigned interrupt, unsigned flags)
{
    aml_number(madt, MADT_OVERRIDE, 1);
    aml_number(madt, 10, 1);
    aml_number(madt, 0, 1); /* ISA */
    aml_number(madt, irq, 1);
    aml_number(madt, interrupt, 4);
    aml_number(madt, flags, 2);
}

/* Those that may be plugged in stand here too, disabled. */
static void madt_processors(struct aml *madt, const struct cpus *cpus)
{
    for (unsigned cpu = 0; cpu < cpus->most; cpu++) {
        aml_number(madt, MADT_LOCAL_APIC, 1);
        aml_number(madt, 8, 1);
        aml_number(madt, cpu, 1); /* ACPI's number, then the APIC's */
        aml_number(madt, topology_apic_id(&cpus->topology, cpu), 1);
        aml_number(madt, cpus->present[cpu] ? LOCAL_APIC_ENABLED : 0, 4);
    }
}

static size_t madt_write(struct acpi *acpi, const struct cpus *cpus)
{
    static const uint8_t level_triggered[] = {5, ACPI_SCI, 10, 11};
    struct aml *madt = &acpi->tables;
    size_t start = table_open(acpi, "APIC", 1);
    aml_number(madt, LOCAL_APIC_ADDRESS, 4);
    aml_number(madt, MADT_PCAT_COMPAT, 4);
    madt_processors(madt, cpus);
    aml_number(madt, MADT_IOAPIC, 1);
    aml_number(madt, 12, 1);
    aml_number(madt, 0, 2); /* its identifier, a reserved byte */
    aml_number(madt, IOAPIC_ADDRESS, 4);
    aml_number(madt, 0, 4); /* its first interrupt */
    override(madt, 0, 2, 0);
    for (unsigned i = 0; i < sizeof(level_triggered); i++)
        override(madt, level_triggered[i], level_triggered[i], LEVEL_HIGH);
    aml_number(madt, MADT_LOCAL_NMI, 1);
    aml_number(madt, 6, 1);
    aml_number(madt, ALL_PROCESSORS, 1);
    aml_number(madt, 0, 2);
    aml_number(madt, 1, 1); /* LINT1 */
    table_close(acpi, start);
    return start;
}

static size_t hpet_write(struct acpi *acpi)
{
    struct aml *hpet = &acpi->tables;
    size_t start = table_open(acpi, "HPET", 1);
    aml_number(hpet, HPET_BLOCK_ID, 4);
    aml_number(hpet, SPACE_MEMORY, 1);
    aml_number(hpet, 0, 3);
    aml_number(hpet, HPET_ADDRESS, 8);
    aml_number(hpet, 0, 1); /* its number */
    aml_number(hpet, HPET_LEAST_TICK, 2);
    aml_number(hpet, 0, 1); /* nothing is said of its page */
    table_close(acpi, start);
    return start;
}

static void rsdt_write(struct acpi *acpi, const size_t *tables, unsigned count)
{
    acpi->rsdt = (uint32_t)table_open(acpi, "RSDT", 1);
    for (unsigned i = 0; i < count; i++) {
        pointer(acpi, acpi->tables.size);
        aml_number(&acpi->tables, tables[i], 4);
    }
    table_close(acpi, acpi->rsdt);
}

void acpi_build(struct acpi *acpi, const struct acpi_description *machine)
{
    size_t listed[3];
    unsigned count = 0;

    *acpi = (struct acpi){0};
    size_t facs = facs_write(acpi);
    size_t dsdt = table_open(acpi, "DSDT", 1);
    dsdt_write(&acpi->tables, machine);
    table_close(acpi, dsdt);
    listed[count++] = fadt_write(acpi, machine, facs, dsdt);
    if (machine->apic)
        listed[count++] = madt_write(acpi, machine->cpus);
    if (machine->hpet)
        listed[count++] = hpet_write(acpi);
    rsdt_write(acpi, listed, count);
}

void acpi_free(struct acpi *acpi)
{
    aml_free(&acpi->tables);
}

/* ---- handing over */

static void rsdp_write(uint8_t rsdp[ACPI_RSDP_SIZE], uint32_t rsdt)
{
    uint32_t little = htole32(rsdt);
    memset(rsdp, 0, ACPI_RSDP_SIZE);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + RSDP_CHECKSUM + 1, "HEARTH", 6);
    memcpy(rsdp + RSDP_RSDT, &little, sizeof(little));
}

void checksum_set(uint8_t *bytes, size_t size, size_t at)
{
    uint8_t sum = 0;
    bytes[at] = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    bytes[at] = (uint8_t)-sum;
}

void acpi_place(struct acpi *acpi, uint32_t address, uint8_t rsdp[ACPI_RSDP_SIZE])
{
    uint8_t *bytes = acpi->tables.bytes;
    for (unsigned i = 0; i < acpi->pointers_count; i++) {
        uint32_t offset;
        memcpy(&offset, bytes + acpi->pointers[i].at, sizeof(offset));
        offset = htole32(le32toh(offset) + address);
        memcpy(bytes + acpi->pointers[i].at, &offset, sizeof(offset));
    }
    for (unsigned i = 0; i < acpi->checksums_count; i++) {
        const struct acpi_checksum *sum = &acpi->checksums[i];
        checksum_set(bytes + sum->first, sum->size, sum->at - sum->first);
    }
    rsdp_write(rsdp, acpi->rsdt + address);
    checksum_set(rsdp, ACPI_RSDP_SIZE, RSDP_CHECKSUM);
}

/* ---- SeaBIOS's loader: records of 128 bytes */

#define FILE_RSDP   "etc/acpi/rsdp"
#define FILE_TABLES "etc/acpi/tables"

enum loader_command { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum loader_zone { ZONE_HIGH = 1, ZONE_BIOS_SEGMENT = 2 };

struct loader_record {
    uint32_t command; /* all little-endian */
    union {
        struct {
            char file[FWCFG_FILE_NAME_SIZE];
            uint32_t alignment;
            uint8_t zone;
        } __attribute__((packed)) allocate;
        struct {
            char in[FWCFG_FILE_NAME_SIZE], to[FWCFG_FILE_NAME_SIZE];
            uint32_t offset;
            uint8_t size;
        } __attribute__((packed)) pointer;
        struct {
            char file[FWCFG_FILE_NAME_SIZE];
            uint32_t offset, first, size;
        } __attribute__((packed)) checksum;
        uint8_t whole[124];
    };
} __attribute__((packed));

enum { RECORDS_MOST = 2 + ACPI_POINTERS_MOST + ACPI_TABLES_MOST + 2 };

struct script {
    struct loader_record records[RECORDS_MOST];
    unsigned count;
};

static struct loader_record *record(struct script *script, enum loader_command command)
{
    struct loader_record *next = &script->records[script->count++];
    *next = (struct loader_record){.command = htole32(command)};
    return next;
}

static void file_allocate(struct script *script, const char *file, unsigned alignment, enum loader_zone zone)
{
    struct loader_record *next = record(script, LOADER_ALLOCATE);
    strcpy(next->allocate.file, file);
    next->allocate.alignment = htole32(alignment);
    next->allocate.zone = zone;
}

static void pointer_add(struct script *script, const char *in, uint32_t offset)
{
    struct loader_record *next = record(script, LOADER_ADD_POINTER);
    strcpy(next->pointer.in, in);
    strcpy(next->pointer.to, FILE_TABLES);
    next->pointer.offset = htole32(offset);
    next->pointer.size = sizeof(uint32_t);
}

static void checksum_add(struct script *script, const char *file, const struct acpi_checksum *sum)
{
    struct loader_record *next = record(script, LOADER_ADD_CHECKSUM);
    strcpy(next->checksum.file, file);
    next->checksum.offset = htole32(sum->at);
    next->checksum.first = htole32(sum->first);
    next->checksum.size = htole32(sum->size);
}

void acpi_publish(const struct acpi *acpi, struct fwcfg *fwcfg)
{
    static const struct acpi_checksum rsdp_sum = {RSDP_CHECKSUM, 0, ACPI_RSDP_SIZE};
    struct script script = {0};
    uint8_t rsdp[ACPI_RSDP_SIZE];

    rsdp_write(rsdp, acpi->rsdt);
    file_allocate(&script, FILE_RSDP, ACPI_RSDP_ALIGNMENT, ZONE_BIOS_SEGMENT);
    file_allocate(&script, FILE_TABLES, ACPI_ALIGNMENT, ZONE_HIGH);
    for (unsigned i = 0; i < acpi->pointers_count; i++)
        pointer_add(&script, FILE_TABLES, acpi->pointers[i].at);
    for (unsigned i = 0; i < acpi->checksums_count; i++)
        checksum_add(&script, FILE_TABLES, &acpi->checksums[i]);
    pointer_add(&script, FILE_RSDP, RSDP_RSDT);
    checksum_add(&script, FILE_RSDP, &rsdp_sum);
    fwcfg_add_file(fwcfg, FILE_RSDP, rsdp, sizeof(rsdp));
    fwcfg_add_file(fwcfg, FILE_TABLES, acpi->tables.bytes, acpi->tables.size);
    fwcfg_add_file(fwcfg, "etc/table-loader", script.records, script.count * sizeof(script.records[0]));
}

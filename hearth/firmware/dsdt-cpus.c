/*
 * The DSDT's processors: each says whether it is there, hears of it when that changes, and lets itself be ejected, by
 * means of the controller of devices/cpu-hotplug.c. Without local APICs there is one, and nothing to plug in.
 *
 * Sources: ACPI 6.4, chapters 5.6.4, 6.3 and 8.4; QEMU, docs/specs/acpi_cpu_hotplug.
 */
#include "firmware/acpi.h"
#include "firmware/aml.h"

#include <stdio.h>

#include "devices/cpu-hotplug.h"

enum {
    REGION_PORTS = 1,
    FIELD_BYTES_ZEROS = 1 | 2 << 5, /* accesses of a byte, bits that are not written are zeros */
    FIELD_DWORDS_PRESERVE = 3 | 0 << 5,
    WAIT_FOREVER = 0xffff,
    SERIALIZED = 1 << 3, /* of a method, beside the number of its arguments */

    NOTIFY_DEVICE_CHECK = 1,
    NOTIFY_EJECT = 3,
    STATUS_PRESENT = 0x0f,
    COMMAND_NEXT = 0,
    COMMAND_EVENT = 1,
    COMMAND_STATUS = 2,

    MADT_LOCAL_APIC = 0,
    LOCAL_APIC_ENABLED = 1,
};

static void store(struct aml *aml, uint64_t value, const char *to)
{
    aml_opcode(aml, AML_STORE);
    aml_integer(aml, value);
    aml_path(aml, to);
}

static void store_from(struct aml *aml, enum aml_opcode from, const char *to)
{
    aml_opcode(aml, AML_STORE);
    aml_opcode(aml, from);
    aml_path(aml, to);
}

static void store_local(struct aml *aml, uint64_t value, enum aml_opcode local)
{
    aml_opcode(aml, AML_STORE);
    aml_integer(aml, value);
    aml_opcode(aml, local);
}

/* Opens If, to be closed. */
static void if_set(struct aml *aml, const char *field)
{
    aml_open(aml, AML_IF);
    aml_opcode(aml, AML_EQUAL);
    aml_path(aml, field);
    aml_integer(aml, 1);
}

static void lock(struct aml *aml)
{
    aml_opcode(aml, AML_ACQUIRE);
    aml_path(aml, "CPLK");
    aml_number(aml, WAIT_FOREVER, 2);
}

static void unlock(struct aml *aml)
{
    aml_opcode(aml, AML_RELEASE);
    aml_path(aml, "CPLK");
}

/* ---- the controller's registers */

/* Without a name they are skipped. */
static void bits(struct aml *aml, const char *name, unsigned count)
{
    if (name)
        aml_path(aml, name);
    else
        aml_number(aml, 0, 1);
    aml_number(aml, count, 1); /* a PkgLength of one byte */
}

static void registers(struct aml *aml)
{
    aml_opcode(aml, AML_REGION);
    aml_path(aml, "CREG");
    aml_number(aml, REGION_PORTS, 1);
    aml_integer(aml, CPU_HOTPLUG_PORT);
    aml_integer(aml, CPU_HOTPLUG_SIZE);
    aml_open_named(aml, AML_FIELD, "CREG");
    aml_number(aml, FIELD_BYTES_ZEROS, 1);
    bits(aml, NULL, 32);
    bits(aml, "CPEN", 1); /* there; has come; shall go; eject it */
    bits(aml, "CINS", 1);
    bits(aml, "CRMV", 1);
    bits(aml, "CEJ0", 1);
    bits(aml, NULL, 4);
    bits(aml, "CCMD", 8);
    aml_close(aml);
    aml_open_named(aml, AML_FIELD, "CREG");
    aml_number(aml, FIELD_DWORDS_PRESERVE, 1);
    bits(aml, "CSEL", 32);
    bits(aml, NULL, 32);
    bits(aml, "CDAT", 32);
    aml_close(aml);
    aml_opcode(aml, AML_MUTEX);
    aml_path(aml, "CPLK");
    aml_number(aml, 0, 1);
}

/* ---- what the processors have in common */

static void status_method(struct aml *aml)
{
    aml_open_method(aml, "CSTA", 1 | SERIALIZED);
    lock(aml);
    store_from(aml, AML_ARG0, "CSEL");
    store_local(aml, 0, AML_LOCAL0);
    if_set(aml, "CPEN");
    store_local(aml, STATUS_PRESENT, AML_LOCAL0);
    aml_close(aml);
    unlock(aml);
    aml_opcode(aml, AML_RETURN);
    aml_opcode(aml, AML_LOCAL0);
    aml_close(aml);
}

static void eject_method(struct aml *aml)
{
    aml_open_method(aml, "CEJT", 1 | SERIALIZED);
    lock(aml);
    store_from(aml, AML_ARG0, "CSEL");
    store(aml, 1, "CEJ0");
    unlock(aml);
    aml_close(aml);
}

/* The number, then _OST's event and status. */
static void report_method(struct aml *aml)
{
    aml_open_method(aml, "COST", 3 | SERIALIZED);
    lock(aml);
    store_from(aml, AML_ARG0, "CSEL");
    store(aml, COMMAND_EVENT, "CCMD");
    store_from(aml, AML_ARG1, "CDAT");
    store(aml, COMMAND_STATUS, "CCMD");
    store_from(aml, AML_ARG2, "CDAT");
    unlock(aml);
    aml_close(aml);
}

static void processor_path(char path[8], unsigned cpu)
{
    snprintf(path, 8, "C%03X", cpu & 0xfff);
}

static void notify_method(struct aml *aml, unsigned cpus)
{
    char path[8];
    aml_open_method(aml, "CTFY", 2);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        processor_path(path, cpu);
        aml_open(aml, AML_IF);
        aml_opcode(aml, AML_EQUAL);
        aml_opcode(aml, AML_ARG0);
        aml_integer(aml, cpu);
        aml_opcode(aml, AML_NOTIFY);
        aml_path(aml, path);
        aml_opcode(aml, AML_ARG1);
        aml_close(aml);
    }
    aml_close(aml);
}

/* If this event waits: passes it on, takes it back, and has the loop go round again. */
static void event(struct aml *aml, const char *field, unsigned notification)
{
    if_set(aml, field);
    aml_path(aml, "CTFY");
    aml_path(aml, "CDAT");
    aml_integer(aml, notification);
    store(aml, 1, field);
    store_local(aml, 1, AML_LOCAL0);
    aml_close(aml);
}

static void scan_method(struct aml *aml)
{
    aml_open_method(aml, "CSCN", 0 | SERIALIZED);
    lock(aml);
    store_local(aml, 1, AML_LOCAL0);
    aml_open(aml, AML_WHILE);
    aml_opcode(aml, AML_EQUAL);
    aml_opcode(aml, AML_LOCAL0);
    aml_integer(aml, 1);
    store_local(aml, 0, AML_LOCAL0);
    store(aml, 0, "CSEL");
    store(aml, COMMAND_NEXT, "CCMD");
    event(aml, "CINS", NOTIFY_DEVICE_CHECK);
    aml_open(aml, AML_ELSE);
    event(aml, "CRMV", NOTIFY_EJECT);
    aml_close(aml);
    aml_close(aml);
    unlock(aml);
    aml_close(aml);
}

/* ---- each of them */

static void call(struct aml *aml, const char *method, unsigned cpu)
{
    aml_path(aml, method);
    aml_integer(aml, cpu);
}

/* As its line of the MADT would be, were it there. */
static void apic_entry(struct aml *aml, const struct cpus *cpus, unsigned cpu)
{
    enum { LENGTH = 8 };
    aml_opcode(aml, AML_NAME);
    aml_path(aml, "_MAT");
    aml_open(aml, AML_BUFFER);
    aml_integer(aml, LENGTH);
    aml_number(aml, MADT_LOCAL_APIC, 1);
    aml_number(aml, LENGTH, 1);
    aml_number(aml, cpu, 1);
    aml_number(aml, topology_apic_id(&cpus->topology, cpu), 1);
    aml_number(aml, LOCAL_APIC_ENABLED, 4);
    aml_close(aml);
}

static void methods(struct aml *aml, const struct cpus *cpus, unsigned cpu)
{
    aml_open_method(aml, "_STA", 0 | SERIALIZED);
    aml_opcode(aml, AML_RETURN);
    call(aml, "CSTA", cpu);
    aml_close(aml);
    apic_entry(aml, cpus, cpu);
    if (cpu) { /* the first stays */
        aml_open_method(aml, "_EJ0", 1);
        call(aml, "CEJT", cpu);
        aml_close(aml);
    }
    aml_open_method(aml, "_OST", 3 | SERIALIZED);
    call(aml, "COST", cpu);
    aml_opcode(aml, AML_ARG0);
    aml_opcode(aml, AML_ARG1);
    aml_close(aml);
}

static void processors(struct aml *aml, const struct cpus *cpus, bool plug)
{
    char path[8];
    for (unsigned cpu = 0; cpu < cpus->most; cpu++) {
        processor_path(path, cpu);
        aml_open_named(aml, AML_PROCESSOR, path);
        aml_number(aml, cpu, 1);
        aml_number(aml, 0, 4 + 1); /* no control block */
        if (plug)
            methods(aml, cpus, cpu);
        aml_close(aml);
    }
}

static void event_handler(struct aml *aml)
{
    aml_open_named(aml, AML_SCOPE, "\\_GPE");
    aml_open_method(aml, ACPI_CPU_EVENT_NAME, 0);
    aml_path(aml, "\\_SB.CPUS.CSCN");
    aml_close(aml);
    aml_close(aml);
}

void dsdt_cpus_write(struct aml *aml, const struct acpi_description *machine)
{
    if (!machine->apic) {
        aml_open_named(aml, AML_SCOPE, "\\_PR");
        processors(aml, machine->cpus, false);
        aml_close(aml);
        return;
    }
    aml_open_named(aml, AML_SCOPE, "\\_SB");
    aml_open_named(aml, AML_DEVICE, "CPUS");
    aml_opcode(aml, AML_NAME);
    aml_path(aml, "_HID");
    aml_string(aml, "ACPI0010");
    aml_name_eisa_id(aml, "_CID", "PNP0A05");
    registers(aml);
    status_method(aml);
    eject_method(aml);
    report_method(aml);
    notify_method(aml, machine->cpus->most);
    scan_method(aml);
    processors(aml, machine->cpus, true);
    aml_close(aml);
    aml_close(aml);
    event_handler(aml);
}

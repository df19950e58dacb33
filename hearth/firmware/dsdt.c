/*
 * The DSDT: what ACPI's own tables have no field for. \_S5, the PCI bus with its windows and interrupt links, the ISA
 * devices; the processors are dsdt-cpus.c's.
 *
 * Left out: hot plug of PCI, thermal zones, sleeping states other than S5. PCI interrupts go through the links LNKA to LNKD
 * (the PIIX3's PIRQRC registers) with the IOAPIC too, whose inputs 5, 10 and 11 hang on the same wires.
 * Sources: ACPI 6.4, chapters 6 and 20; Intel 82371SB datasheet (290550), PIRQRCx.
 */
#include "devices/hpet.h"
#include "firmware/acpi.h"
#include "firmware/aml.h"

#include <stdio.h>

enum {
    PCI_SLOTS = 32,
    PCI_PINS = 4,
    PCI_ANY_FUNCTION = 0xffff,
    PM_SLOT = 1, /* its pin A is the SCI itself */
    ISA_ADDRESS = 1 << 16,
    REGION_PCI_CONFIG = 2,
    PIRQRCA = 0x60,
    PIRQRC_DISABLE = 0x80,
    FIELD_BYTES_PRESERVE = 1,
    FIELD_BITS = 8,
    STATUS_PRESENT_DISABLED = 0x09, /* and what _STA answers otherwise: present, enabled, shown, working */
    STATUS_PRESENT = 0x0b,
    INTERRUPT_OFFSET = 5, /* of the first interrupt in its descriptor */

    FW_CFG_PORTS = 0x510,
    FW_CFG_PORTS_COUNT = 12,
    CONFIG_PORTS = 0xcf8,
    CONFIG_PORTS_COUNT = 8,
    VIDEO_FIRST = 0xa0000,
    VIDEO_LAST = 0xbffff,
};
#define PCI_MEMORY_LAST 0xfebfffffu /* below the IOAPIC */

static const char *const links[PCI_PINS] = {"LNKA", "LNKB", "LNKC", "LNKD"};
static const char *const routes[PCI_PINS] = {"PRQ0", "PRQ1", "PRQ2", "PRQ3"};

static void name(struct aml *aml, const char *path)
{
    aml_opcode(aml, AML_NAME);
    aml_path(aml, path);
}

static void sleeping_states(struct aml *aml)
{
    name(aml, "\\_S5");
    aml_open(aml, AML_PACKAGE);
    aml_number(aml, 4, 1);
    for (unsigned i = 0; i < 4; i++)
        aml_integer(aml, ACPI_S5_TYPE);
    aml_close(aml);
}

/* ---- PCI */

static void windows(struct aml *aml, uint32_t memory_first)
{
    name(aml, "_CRS");
    aml_resources_open(aml);
    aml_resource_window(aml, AML_WINDOW_BUSES, 0, 0xff);
    aml_resource_ports(aml, CONFIG_PORTS, CONFIG_PORTS_COUNT);
    aml_resource_window(aml, AML_WINDOW_PORTS, 0, CONFIG_PORTS - 1);
    aml_resource_window(aml, AML_WINDOW_PORTS, CONFIG_PORTS + CONFIG_PORTS_COUNT, 0xffff);
    aml_resource_window(aml, AML_WINDOW_MEMORY, VIDEO_FIRST, VIDEO_LAST);
    aml_resource_window(aml, AML_WINDOW_MEMORY, memory_first, PCI_MEMORY_LAST);
    aml_resources_close(aml);
}

/* One line of the routing table: the wires are rotated by a pin from slot to slot. */
static void route(struct aml *aml, unsigned slot, unsigned pin)
{
    aml_open(aml, AML_PACKAGE);
    aml_number(aml, 4, 1);
    aml_integer(aml, slot << 16 | PCI_ANY_FUNCTION);
    aml_integer(aml, pin);
    if (slot == PM_SLOT && pin == 0) {
        aml_integer(aml, 0);
        aml_integer(aml, ACPI_SCI);
    } else {
        aml_path(aml, links[(slot + pin + PCI_PINS - 1) % PCI_PINS]);
        aml_integer(aml, 0);
    }
    aml_close(aml);
}

static void routing_table(struct aml *aml)
{
    name(aml, "_PRT");
    aml_open(aml, AML_PACKAGE);
    aml_number(aml, (PCI_SLOTS - 1) * PCI_PINS, 1);
    for (unsigned slot = 1; slot < PCI_SLOTS; slot++)
        for (unsigned pin = 0; pin < PCI_PINS; pin++)
            route(aml, slot, pin);
    aml_close(aml);
}

static void route_registers(struct aml *aml)
{
    aml_opcode(aml, AML_REGION);
    aml_path(aml, "PIRQ");
    aml_number(aml, REGION_PCI_CONFIG, 1);
    aml_integer(aml, PIRQRCA);
    aml_integer(aml, PCI_PINS);
    aml_open_named(aml, AML_FIELD, "PIRQ");
    aml_number(aml, FIELD_BYTES_PRESERVE, 1);
    for (unsigned i = 0; i < PCI_PINS; i++) {
        aml_path(aml, routes[i]);
        aml_number(aml, FIELD_BITS, 1);
    }
    aml_close(aml);
}

/* ---- interrupt links */

static void link_status(struct aml *aml, const char *route)
{
    aml_open_method(aml, "_STA", 0);
    aml_open(aml, AML_IF);
    aml_opcode(aml, AML_AND);
    aml_path(aml, route);
    aml_integer(aml, PIRQRC_DISABLE);
    aml_opcode(aml, AML_ZERO); /* no target */
    aml_opcode(aml, AML_RETURN);
    aml_integer(aml, STATUS_PRESENT_DISABLED);
    aml_close(aml);
    aml_opcode(aml, AML_RETURN);
    aml_integer(aml, STATUS_PRESENT);
    aml_close(aml);
}

static void link_disable(struct aml *aml, const char *route)
{
    aml_open_method(aml, "_DIS", 0);
    aml_opcode(aml, AML_OR);
    aml_path(aml, route);
    aml_integer(aml, PIRQRC_DISABLE);
    aml_path(aml, route);
    aml_close(aml);
}

static void interrupt_field(struct aml *aml, enum aml_opcode buffer)
{
    aml_opcode(aml, AML_CREATE_DWORD_FIELD);
    aml_opcode(aml, buffer);
    aml_integer(aml, INTERRUPT_OFFSET);
    aml_path(aml, "IRQN");
}

static void link_current(struct aml *aml, const char *route)
{
    static const uint8_t none = 0;
    aml_open_method(aml, "_CRS", 0);
    aml_opcode(aml, AML_STORE);
    aml_resources_open(aml);
    aml_resource_interrupts(aml, &none, 1);
    aml_resources_close(aml);
    aml_opcode(aml, AML_LOCAL0);
    interrupt_field(aml, AML_LOCAL0);
    aml_opcode(aml, AML_STORE);
    aml_path(aml, route);
    aml_opcode(aml, AML_LOCAL1);
    aml_open(aml, AML_IF); /* it is enabled: bit 7 is clear */
    aml_opcode(aml, AML_LESS);
    aml_opcode(aml, AML_LOCAL1);
    aml_integer(aml, PIRQRC_DISABLE);
    aml_opcode(aml, AML_STORE);
    aml_opcode(aml, AML_LOCAL1);
    aml_path(aml, "IRQN");
    aml_close(aml);
    aml_opcode(aml, AML_RETURN);
    aml_opcode(aml, AML_LOCAL0);
    aml_close(aml);
}

static void link_set(struct aml *aml, const char *route)
{
    aml_open_method(aml, "_SRS", 1);
    interrupt_field(aml, AML_ARG0);
    aml_opcode(aml, AML_STORE);
    aml_path(aml, "IRQN");
    aml_path(aml, route);
    aml_close(aml);
}

static void interrupt_link(struct aml *aml, unsigned number)
{
    static const uint8_t possible[] = {5, 10, 11};
    char route[20];
    snprintf(route, sizeof(route), "^^PCI0.ISA.%s", routes[number]);
    aml_open_named(aml, AML_DEVICE, links[number]);
    aml_name_eisa_id(aml, "_HID", "PNP0C0F");
    aml_name_integer(aml, "_UID", number);
    name(aml, "_PRS");
    aml_resources_open(aml);
    aml_resource_interrupts(aml, possible, sizeof(possible));
    aml_resources_close(aml);
    link_status(aml, route);
    link_disable(aml, route);
    link_current(aml, route);
    link_set(aml, route);
    aml_close(aml);
}

/* ---- ISA */

struct isa_device {
    const char *name, *id;
    struct {
        uint16_t base;
        uint8_t count;
    } ports[2];
    int irq, dma;  /* -1: none */
    unsigned unit; /* _UID */
};

static void isa_device(struct aml *aml, const struct isa_device *device)
{
    aml_open_named(aml, AML_DEVICE, device->name);
    aml_name_eisa_id(aml, "_HID", device->id);
    if (device->unit)
        aml_name_integer(aml, "_UID", device->unit);
    name(aml, "_CRS");
    aml_resources_open(aml);
    for (unsigned i = 0; i < 2; i++)
        if (device->ports[i].count)
            aml_resource_ports(aml, device->ports[i].base, device->ports[i].count);
    if (device->irq >= 0)
        aml_resource_irq(aml, (unsigned)device->irq);
    if (device->dma >= 0)
        aml_resource_dma(aml, (unsigned)device->dma);
    aml_resources_close(aml);
    aml_close(aml);
}

static void isa_bridge(struct aml *aml, const struct acpi_description *machine)
{
    static const struct isa_device always[] = {
        {"KBD", "PNP0303", {{0x60, 1}, {0x64, 1}}, 1, -1, 0},
        {"MOU", "PNP0F13", {{0}}, 12, -1, 0},
        {"RTC", "PNP0B00", {{0x70, 2}}, 8, -1, 0},
        {"FDC0", "PNP0700", {{0x3f2, 4}, {0x3f7, 1}}, 6, 2, 0},
    };
    static const struct isa_device serial[ACPI_SERIALS] = {{"COM1", "PNP0501", {{0x3f8, 8}}, 4, -1, 1},
                                                           {"COM2", "PNP0501", {{0x2f8, 8}}, 3, -1, 2}};
    aml_open_named(aml, AML_DEVICE, "ISA");
    aml_name_integer(aml, "_ADR", ISA_ADDRESS);
    route_registers(aml);
    for (unsigned i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        isa_device(aml, &always[i]);
    for (unsigned i = 0; i < ACPI_SERIALS; i++)
        if (machine->serial[i])
            isa_device(aml, &serial[i]);
    aml_close(aml);
}

/* fw_cfg, as QEMU's own tables have it: Linux's qemu_fw_cfg looks for it. */
static void firmware_configuration(struct aml *aml)
{
    aml_open_named(aml, AML_DEVICE, "FWCF");
    name(aml, "_HID");
    aml_string(aml, "QEMU0002");
    aml_name_integer(aml, "_STA", STATUS_PRESENT);
    name(aml, "_CRS");
    aml_resources_open(aml);
    aml_resource_ports(aml, FW_CFG_PORTS, FW_CFG_PORTS_COUNT);
    aml_resources_close(aml);
    aml_close(aml);
}

static void event_timer(struct aml *aml)
{
    aml_open_named(aml, AML_DEVICE, "HPET");
    aml_name_eisa_id(aml, "_HID", "PNP0103");
    aml_name_integer(aml, "_UID", 0);
    name(aml, "_CRS");
    aml_resources_open(aml);
    aml_resource_memory(aml, HPET_ADDRESS, HPET_SIZE);
    aml_resources_close(aml);
    aml_close(aml);
}

void dsdt_write(struct aml *aml, const struct acpi_description *machine)
{
    sleeping_states(aml);
    dsdt_cpus_write(aml, machine);
    aml_open_named(aml, AML_SCOPE, "\\_SB");
    aml_open_named(aml, AML_DEVICE, "PCI0");
    aml_name_eisa_id(aml, "_HID", "PNP0A03");
    aml_name_integer(aml, "_UID", 0);
    windows(aml, machine->pci_memory);
    routing_table(aml);
    isa_bridge(aml, machine);
    firmware_configuration(aml);
    aml_close(aml);
    if (machine->hpet)
        event_timer(aml);
    for (unsigned i = 0; i < PCI_PINS; i++)
        interrupt_link(aml, i);
    aml_close(aml);
}

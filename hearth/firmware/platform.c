/*
 * The chips as SeaBIOS leaves them: shadow RAM, base address registers, PCI interrupt links, power management ports, IDE
 * on, and the 8259As, the 8254 and the keyboard controller as DOS-time software expects them.
 *
 * Left out: bridges, 64-bit addresses (such a BAR gets one below 4 GiB), option ROMs, disks.
 * Sources: PCI Local Bus Specification 2.2, 6.2.5; Intel 82441FX (290549), 82371SB (290550) and 82371AB (290562)
 * datasheets; Intel 8259A and 8254 datasheets.
 */
#include "firmware/platform.h"

#include "firmware/acpi.h"

enum {
    CONFIG_ADDRESS = 0xcf8,
    CONFIG_DATA = 0xcfc,

    VENDOR = 0x00,
    COMMAND = 0x04,
    CLASS = 0x0a,
    HEADER_TYPE = 0x0e,
    BAR0 = 0x10,
    ROM_BAR = 0x30,
    INTERRUPT_LINE = 0x3c,
    INTERRUPT_PIN = 0x3d,
    BARS = 6,
    SLOTS = 32,
    FUNCTIONS = 8,
    PINS = 4,
    MULTIFUNCTION = 0x80,
    COMMAND_IO = 1 << 0,
    COMMAND_MEMORY = 1 << 1,
    BAR_IO = 1 << 0,
    BAR_64 = 1 << 2,
    PORTS_FIRST = 0xc000,
    PORTS_END = 0x10000,
    PAGE = 4096,

    PAM0 = 0x59, /* 82441FX */
    PAM6 = 0x5f,
    PAM0_RAM = 0x30,
    PAM_RAM = 0x33,
    PIRQRCA = 0x60, /* 82371SB */
    ELCR1 = 0x4d0,
    ELCR2 = 0x4d1,
    ELCR2_PIRQ = 0x0c,
    IDETIM = 0x40,
    IDETIM_ENABLED = 0x8000,
    PMBA = 0x40, /* 82371AB */
    PMREGMISC = 0x80,
    SMBBA = 0x90,
    SMBUS_BASE = ACPI_PM_BASE + 0x100,
    ENABLED = 1,

    ID_PMC = 0x1237,
    ID_PIIX3 = 0x7000,
    ID_PIIX3_IDE = 0x7010,
    ID_PIIX4_PM = 0x7113,
};
#define VENDOR_INTEL 0x8086u
#define MEMORY_END   0xfec00000u

static const uint8_t pirq[PINS] = {10, 10, 11, 11};

struct platform {
    struct bus *ports;
    uint32_t next_port;    /* ports are given out upwards */
    uint32_t memory_first; /* and memory downwards */
    uint32_t memory_end;
};

struct function {
    struct platform *platform;
    unsigned slot, number;
};

static uint64_t config_port(const struct function *function, unsigned offset)
{
    uint32_t address = 1u << 31 | function->slot << 11 | function->number << 8 | (offset & 0xfc);
    bus_write_locked(function->platform->ports, CONFIG_ADDRESS, 4, address);
    return CONFIG_DATA + (offset & 3);
}

static uint32_t config_read(const struct function *function, unsigned offset, unsigned size)
{
    uint64_t port = config_port(function, offset);
    return (uint32_t)bus_read_locked(function->platform->ports, port, size);
}

static void config_write(const struct function *function, unsigned offset, unsigned size, uint32_t value)
{
    uint64_t port = config_port(function, offset);
    bus_write_locked(function->platform->ports, port, size, value);
}

/* ---- base addresses */

static uint32_t ports_take(struct platform *platform, uint32_t size)
{
    uint32_t base = (platform->next_port + size - 1) & ~(size - 1);
    if (base >= PORTS_END || size > PORTS_END - base)
        return 0;
    platform->next_port = base + size;
    return base;
}

static uint32_t memory_take(struct platform *platform, uint32_t size)
{
    if (size < PAGE)
        size = PAGE;
    if (size > platform->memory_end)
        return 0;
    uint32_t base = (platform->memory_end - size) & ~(size - 1);
    if (base < platform->memory_first)
        return 0;
    platform->memory_end = base;
    return base;
}

/* Answers the bit of the command register that it needs; 0 if there is no such BAR, or no room. */
static unsigned bar_assign(const struct function *function, unsigned offset, uint32_t fixed)
{
    config_write(function, offset, 4, ~fixed);
    uint32_t mask = config_read(function, offset, 4);
    if (!(mask & ~0xfu)) {
        config_write(function, offset, 4, 0);
        return 0;
    }
    bool ports = offset != ROM_BAR && mask & BAR_IO;
    uint32_t size = ports ? -(mask & 0xfffcu) & 0xffff : -(mask & (offset == ROM_BAR ? ~0x7ffu : ~0xfu));
    uint32_t base = ports ? ports_take(function->platform, size) : memory_take(function->platform, size);
    config_write(function, offset, 4, base);
    return !base ? 0 : ports ? COMMAND_IO : COMMAND_MEMORY;
}

static void bars_assign(const struct function *function)
{
    unsigned command = config_read(function, COMMAND, 2);
    for (unsigned bar = 0; bar < BARS; bar++) {
        unsigned offset = BAR0 + 4 * bar;
        command |= bar_assign(function, offset, 0);
        if ((config_read(function, offset, 4) & (BAR_IO | BAR_64)) == BAR_64) {
            bar++;
            config_write(function, offset + 4, 4, 0);
        }
    }
    bar_assign(function, ROM_BAR, 1); /* placed, not enabled */
    config_write(function, COMMAND, 2, command);
}

/* ---- the chips */

static void shadow_ram(const struct function *pmc)
{
    config_write(pmc, PAM0, 1, PAM0_RAM);
    for (unsigned pam = PAM0 + 1; pam <= PAM6; pam++)
        config_write(pmc, pam, 1, PAM_RAM);
}

static void isa_bridge(const struct function *piix3)
{
    for (unsigned i = 0; i < PINS; i++)
        config_write(piix3, PIRQRCA + i, 1, pirq[i]);
}

static void ide(const struct function *piix3_ide)
{
    config_write(piix3_ide, COMMAND, 2, config_read(piix3_ide, COMMAND, 2) | COMMAND_IO);
    config_write(piix3_ide, IDETIM, 2, IDETIM_ENABLED);
    config_write(piix3_ide, IDETIM + 2, 2, IDETIM_ENABLED);
}

static void power_management(const struct function *pm)
{
    config_write(pm, INTERRUPT_LINE, 1, ACPI_SCI);
    config_write(pm, PMBA, 4, ACPI_PM_BASE | ENABLED);
    config_write(pm, PMREGMISC, 1, ENABLED);
    config_write(pm, SMBBA, 4, SMBUS_BASE | ENABLED);
}

static void function_set_up(const struct function *function)
{
    static const struct {
        uint16_t device;
        void (*set_up)(const struct function *function);
    } chips[] = {
        {ID_PMC, shadow_ram}, {ID_PIIX3, isa_bridge}, {ID_PIIX3_IDE, ide}, {ID_PIIX4_PM, power_management}};
    unsigned pin = config_read(function, INTERRUPT_PIN, 1);
    uint32_t identity = config_read(function, VENDOR, 4);

    bars_assign(function);
    if (pin >= 1 && pin <= PINS)
        config_write(function, INTERRUPT_LINE, 1, pirq[(function->slot + pin - 1 + PINS - 1) % PINS]);
    for (unsigned i = 0; i < sizeof(chips) / sizeof(chips[0]); i++)
        if (identity == (VENDOR_INTEL | (uint32_t)chips[i].device << 16))
            chips[i].set_up(function);
}

static void bus_set_up(struct platform *platform)
{
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        unsigned functions = 1;
        for (unsigned number = 0; number < functions; number++) {
            struct function function = {platform, slot, number};
            if (config_read(&function, VENDOR, 2) == 0xffff)
                continue;
            if (number == 0 && config_read(&function, HEADER_TYPE, 1) & MULTIFUNCTION)
                functions = FUNCTIONS;
            function_set_up(&function);
        }
    }
}

static void chips_set_up(struct bus *ports)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } writes[] = {
        {0x20, 0x11}, {0x21, 0x08},        {0x21, 0x04}, {0x21, 0x01}, /* 8259As: vectors 08h and 70h, cascaded */
        {0xa0, 0x11}, {0xa1, 0x70},        {0xa1, 0x02}, {0xa1, 0x01}, {0x21, 0xb8}, {0xa1, 0x8e},
        {ELCR1, 0},   {ELCR2, ELCR2_PIRQ}, {0x43, 0x34}, {0x40, 0},    {0x40, 0}, /* 8254: channel 0 in mode 2, the slowest */
    };
    for (unsigned i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
        bus_write_locked(ports, writes[i].port, 1, writes[i].value);
}

void platform_set_up(struct bus *ports, uint32_t memory_first, bool chips)
{
    struct platform platform = {ports, PORTS_FIRST, memory_first, MEMORY_END};
    bus_set_up(&platform);
    if (chips)
        chips_set_up(ports);
    bus_write_locked(ports, 0x64, 1, 0x60); /* the keyboard's interrupt, translation to scan code set 1 */
    bus_write_locked(ports, 0x60, 1, 0x65);
}

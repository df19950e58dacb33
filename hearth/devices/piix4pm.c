/*
 * Function 3 of the 82371AB PIIX4: power management. The PM timer, the fixed ACPI events (timer, power button), soft
 * off, and ACPI's own switch behind the APM control port.
 *
 * Left out: SMM (DEVACTB.APMC_EN reads as set, which tells SeaBIOS that it is not wanted), SMBus (its base is stored),
 * device monitors, throttling, suspend: a guest that asks for one of the sleeps with power on is awake again at once.
 * The general-purpose events stand at AFE0h, where SeaBIOS's tables say; other parts of the machine raise them.
 * Sources: Intel 82371AB datasheet (290562), chapters 7 and 11; ACPI 1.0b, 4.7.
 */
#include "devices/piix4pm.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

/* Configuration registers. */
enum {
    PMBA = 0x40,
    DEVACTB = 0x58,
    DEVRESA_LPT = 0x5f, /* which ISA devices there are: SeaBIOS's DSDT reads it in bytes 5Fh, 63h and 67h */
    DEVRESB_FDC = 0x63,
    DEVRESC_COM = 0x67,
    PMREGMISC = 0x80,
    SMBBA = 0x90,
    SMBHSTCFG = 0xd2,

    PMBA_IO = 1 << 0,
    PMBA_BASE = 0xffc0,
    PMREGMISC_PMIOSE = 1 << 0,
    SMBBA_BASE = 0xfff0,
    LPT_ENABLED = 1 << 7,
    FDC_ENABLED = 3 << 5,
    COMA_ENABLED = 1 << 3,
    COMB_ENABLED = 1 << 7 | 1 << 4,
};
#define DEVACTB_APMC_EN (1u << 25)

/* Registers in I/O space, from PMBA. */
enum {
    PMSTS = 0x00,
    PMEN = 0x02,
    PMCNTRL = 0x04,
    PMTMR = 0x08,
    GLBCTL = 0x28,
    PM_SIZE = 0x40,

    PM_TMROF = 1 << 0, /* in PMSTS and PMEN */
    PM_GBL = 1 << 5,
    PM_PWRBTN = 1 << 8,
    PM_RTC = 1 << 10,
    PMSTS_BM = 1 << 4,
    PMSTS_RSM = 1 << 15,
    PM_EVENTS = PM_TMROF | PM_GBL | PM_PWRBTN | PM_RTC,
    PMSTS_CLEARS = PM_EVENTS | PMSTS_BM | PMSTS_RSM,

    PMCNTRL_SCI_EN = 1 << 0,
    PMCNTRL_WRITABLE = 0x1c03,
    PMCNTRL_SUS_TYP_SHIFT = 10,
    PMCNTRL_SUS_TYP = 7,
    PMCNTRL_SUS_EN = 1 << 13,
    SUS_TYP_SOFT_OFF = 0,
    SUS_TYP_LAST_SLEEP = 4,
};

/* Fixed ports. */
enum {
    APMC = 0xb2, /* and APMS, B3h */
    APM_SIZE = 2,
    APMC_ACPI_ENABLE = 0xf1, /* the values that SeaBIOS's FADT names */
    APMC_ACPI_DISABLE = 0xf0,
    GPE0 = 0xafe0, /* status and enable, 16 bits each */
    GPE0_SIZE = 4,
    PCI_HOTPLUG = 0xae00, /* slots come, go, eject, removable: none */
    PCI_HOTPLUG_SIZE = 16,
    LPT1 = 0x378,
    COM1 = 0x3f8,
    COM2 = 0x2f8,
};

enum { SLOT = 1, FUNCTION = 3, TIMER_HZ = 3579545, TIMER_MASK = 0xffffff, TIMER_HALF = 1 << 23 };

struct piix4pm {
    struct pci_device *pci;
    struct bus *ports;
    struct clock *clock;
    struct timer *timer;
    struct irq_line sci;
    struct callback power_off;
    uint64_t base;        /* of the PM registers, or PCI_UNMAPPED */
    uint64_t overflow_at; /* in ticks since power-on: when bit 23 turns next and PMSTS says so */
    uint16_t status, enable, control;
    uint32_t global_control;
    uint16_t gpe_status, gpe_enable;
    uint8_t apm[APM_SIZE];
};

static uint64_t ticks(const struct piix4pm *pm)
{
    return scale(clock_now(pm->clock), TIMER_HZ, NANOSECONDS_PER_SECOND);
}

/* Brings the status up to date and the SCI and the timer after it. */
static void update(struct piix4pm *pm)
{
    if (ticks(pm) >= pm->overflow_at)
        pm->status |= PM_TMROF;
    irq_set(&pm->sci, pm->control & PMCNTRL_SCI_EN &&
                          (pm->status & pm->enable & PM_EVENTS || pm->gpe_status & pm->gpe_enable));
    if (pm->enable & PM_TMROF && !(pm->status & PM_TMROF))
        timer_arm(pm->timer, scale(pm->overflow_at, NANOSECONDS_PER_SECOND, TIMER_HZ) + 1);
    else
        timer_disarm(pm->timer);
}

static void timer_fired(void *opaque)
{
    update(opaque);
}

static void overflow_cleared(struct piix4pm *pm)
{
    pm->overflow_at = (ticks(pm) | (TIMER_HALF - 1)) + 1;
}

static void sleep_requested(struct piix4pm *pm, unsigned type)
{
    if (type == SUS_TYP_SOFT_OFF)
        callback_call(&pm->power_off);
    else if (type <= SUS_TYP_LAST_SLEEP)
        pm->status |= PMSTS_RSM;
}

static uint32_t register_read(struct piix4pm *pm, unsigned offset)
{
    switch (offset) {
    case PMSTS: update(pm); return pm->status | (uint32_t)pm->enable << 16;
    case PMCNTRL: return pm->control;
    case PMTMR: return ticks(pm) & TIMER_MASK;
    case GLBCTL: return pm->global_control;
    default: return 0;
    }
}

/* `mask` has ones in the bytes that are written. */
static void register_write(struct piix4pm *pm, unsigned offset, uint32_t value, uint32_t mask)
{
    switch (offset) {
    case PMSTS:
        update(pm);
        if (value & mask & PM_TMROF)
            overflow_cleared(pm);
        pm->status &= ~(value & mask & PMSTS_CLEARS);
        pm->enable = ((pm->enable & ~(mask >> 16)) | (value & mask) >> 16) & PM_EVENTS;
        break;
    case PMCNTRL:
        pm->control = ((pm->control & ~mask) | (value & mask)) & PMCNTRL_WRITABLE;
        if (value & mask & PMCNTRL_SUS_EN)
            sleep_requested(pm, pm->control >> PMCNTRL_SUS_TYP_SHIFT & PMCNTRL_SUS_TYP);
        break;
    case GLBCTL: pm->global_control = (pm->global_control & ~mask) | (value & mask); break;
    default: break;
    }
    update(pm);
}

/* An access may straddle two double words; it is done byte by byte within each. */
static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = register_read(opaque, offset & ~3u);
    if ((offset & 3) + size > 4)
        value |= (uint64_t)register_read(opaque, (offset & ~3u) + 4) << 32;
    return value >> 8 * (offset & 3);
}

static void pm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    unsigned shift = 8 * (offset & 3);
    uint64_t mask = ((1ull << 8 * size) - 1) << shift;
    value <<= shift;
    register_write(opaque, offset & ~3u, (uint32_t)value, (uint32_t)mask);
    if (mask >> 32)
        register_write(opaque, (offset & ~3u) + 4, (uint32_t)(value >> 32), (uint32_t)(mask >> 32));
}

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4pm *pm = opaque;
    (void)size;
    return pm->apm[offset];
}

static void apm_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4pm *pm = opaque;
    (void)size;
    pm->apm[offset] = (uint8_t)value;
    if (offset != 0)
        return;
    if (value == APMC_ACPI_ENABLE)
        pm->control |= PMCNTRL_SCI_EN;
    else if (value == APMC_ACPI_DISABLE)
        pm->control &= ~PMCNTRL_SCI_EN;
    update(pm);
}

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix4pm *pm = opaque;
    (void)size;
    return (offset < 2 ? pm->gpe_status : pm->gpe_enable) >> 8 * (offset & 1) & 0xff;
}

static void gpe_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix4pm *pm = opaque;
    unsigned shift = 8 * (offset & 1);
    (void)size;
    if (offset >= 2)
        pm->gpe_enable = (pm->gpe_enable & ~(0xff << shift)) | (value & 0xff) << shift;
    else
        pm->gpe_status &= ~((value & 0xff) << shift); /* ones clear */
    update(pm);
}

static uint64_t hotplug_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)opaque, (void)offset, (void)size;
    return 0;
}

static void decode(struct piix4pm *pm)
{
    uint64_t wanted = pci_get(pm->pci, PMBA, 2) & PMBA_BASE;
    if (!(pci_get(pm->pci, PMREGMISC, 1) & PMREGMISC_PMIOSE) || wanted == 0)
        wanted = PCI_UNMAPPED;
    if (wanted == pm->base)
        return;
    if (pm->base != PCI_UNMAPPED)
        bus_remove(pm->ports, pm, pm->base);
    pm->base = wanted;
    if (wanted != PCI_UNMAPPED)
        bus_add_movable(pm->ports, &(struct bus_range){wanted, PM_SIZE, "power management", pm, pm_read,
                                                       pm_write, .widest = 4});
}

static void config_written(void *opaque, unsigned first, unsigned last)
{
    (void)first, (void)last;
    decode(opaque);
}

static void registers_add(struct pci_device *pci)
{
    pci_add_register(pci, PCI_STATUS, 2, 0x0280, 0);
    pci_add_register(pci, PMBA, 4, PMBA_IO, PMBA_BASE);
    for (unsigned offset = PMBA + 4; offset < PMREGMISC; offset += 4)
        pci_add_register(pci, offset, 4, 0, UINT32_MAX);
    pci_add_register(pci, DEVACTB, 4, DEVACTB_APMC_EN, ~DEVACTB_APMC_EN);
    pci_add_register(pci, PMREGMISC, 1, 0, PMREGMISC_PMIOSE);
    pci_add_register(pci, SMBBA, 4, PMBA_IO, SMBBA_BASE);
    pci_add_register(pci, SMBHSTCFG, 4, 0, UINT32_MAX);
}

struct piix4pm *piix4pm_create(struct pci_bus *pci, struct bus *ports, struct clock *clock,
                               const struct irq_line *sci, const struct callback *power_off)
{
    static const struct pci_identity identity = {.name = "Bridge",
                                                 .vendor = 0x8086,
                                                 .device = 0x7113,
                                                 .class_code = 0x068000,
                                                 .revision = 3,
                                                 .subsystem_vendor = 0x1af4,
                                                 .subsystem = 0x1100,
                                                 .interrupt_pin = 1};
    struct piix4pm *pm = allocate(sizeof(*pm));
    pm->pci = pci_add(pci, SLOT, FUNCTION, &identity);
    pm->ports = ports;
    pm->clock = clock;
    pm->timer = timer_create_on(clock, timer_fired, pm);
    pm->sci = *sci;
    pm->power_off = *power_off;
    pm->base = PCI_UNMAPPED;
    registers_add(pm->pci);
    pci_on_write(pm->pci, config_written, pm);
    bus_add(ports, &(struct bus_range){APMC, APM_SIZE, "apm control", pm, apm_read, apm_write, 0});
    bus_add(ports, &(struct bus_range){GPE0, GPE0_SIZE, "gpe0", pm, gpe_read, gpe_write, 0});
    bus_add(ports,
            &(struct bus_range){PCI_HOTPLUG, PCI_HOTPLUG_SIZE, "pci hotplug", pm, hotplug_read, NULL, 4});
    piix4pm_reset(pm);
    return pm;
}

void piix4pm_destroy(struct piix4pm *pm)
{
    timer_destroy(pm->timer);
    free(pm);
}

/* Sets the bit of each device that stands on the bus at its usual ports. */
static void device_found(void *opaque, const struct bus_range *range)
{
    static const struct {
        uint16_t port;
        uint8_t offset, bits;
    } devices[] = {{LPT1, DEVRESA_LPT, LPT_ENABLED},
                   {COM1, DEVRESC_COM, COMA_ENABLED},
                   {COM2, DEVRESC_COM, COMB_ENABLED}};
    const struct piix4pm *pm = opaque;
    for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        if (range->base == devices[i].port)
            pci_set(pm->pci, devices[i].offset, 1, pci_get(pm->pci, devices[i].offset, 1) | devices[i].bits);
}

void piix4pm_reset(struct piix4pm *pm)
{
    pm->status = pm->enable = pm->control = 0;
    pm->global_control = 0;
    pm->gpe_status = pm->gpe_enable = 0;
    memset(pm->apm, 0, sizeof(pm->apm));
    pci_set(pm->pci, DEVRESB_FDC, 1, FDC_ENABLED);
    bus_each(pm->ports, device_found, pm);
    overflow_cleared(pm);
    decode(pm);
    update(pm);
}

void piix4pm_press_power_button(struct piix4pm *pm)
{
    pm->status |= PM_PWRBTN;
    update(pm);
}

void piix4pm_raise_event(struct piix4pm *pm, unsigned event)
{
    pm->gpe_status |= 1u << event;
    update(pm);
}

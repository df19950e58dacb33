/*
 * Function 0 of the 82371SB PIIX3: the ISA bridge. It routes the PCI interrupts to ISA interrupts and has the reset
 * control register. The ISA devices in the chip (8259As, 8254, 8237s) are files of their own.
 *
 * Left out: everything about the ISA bus's timing and decoding; those registers read back what is written.
 * Source: Intel 82371FB (PIIX) and 82371SB (PIIX3) datasheet (290550), 2.2 and 2.5.4.
 */
#include "devices/piix3.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    IORT = 0x4c,     /* ISA I/O recovery timer */
    XBCS = 0x4e,     /* X-bus chip select */
    PIRQRCA = 0x60,  /* to 63h: PIRQ route control */
    TOM = 0x69,      /* top of memory */
    MSTAT = 0x6a,    /* miscellaneous status */
    MBIRQ0 = 0x70,   /* motherboard device IRQ route */
    MBDMA0 = 0x76,   /* to 77h: motherboard device DMA */
    PCSC = 0x78,     /* programmable chip select */
    APICBASE = 0x80, /* APIC base address relocation */
    DLC = 0x82,      /* deterministic latency control */
    SMICNTL = 0xa0,  /* to AEh: SMI control, timers */

    PIRQRC_DISABLE = 1 << 7,
    PIRQRC_IRQ = 0xf,

    RC_RCPU = 1 << 2, /* its rise resets */
    RC_SRST = 1 << 1, /* how hard */

    COMMAND_RESET = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
    STATUS_RESET = 0x0200, /* medium DEVSEL# */
};

enum { SLOT = 1, ISA_IRQS = 16, SCI_IRQ = 9, SCI_INPUT = PCI_PIRQS, INPUTS };

/* IRQ 3-7, 9-12, 14 and 15; the others are reserved in PIRQRC. */
static const uint16_t routable = 0xdef8;

struct piix3 {
    struct pci_device *pci;
    struct irq_line isa[ISA_IRQS];
    struct callback reset;
    bool inputs[INPUTS];
    uint16_t driven; /* ISA lines that are high because of us */
    uint8_t reset_control;
};

static uint16_t input_lines(const struct piix3 *bridge, unsigned input)
{
    if (input == SCI_INPUT)
        return 1 << SCI_IRQ;
    uint8_t route = (uint8_t)pci_get(bridge->pci, PIRQRCA + input, 1);
    return route & PIRQRC_DISABLE ? 0 : routable & 1 << (route & PIRQRC_IRQ);
}

static void drive(struct piix3 *bridge)
{
    uint16_t lines = 0;
    for (unsigned input = 0; input < INPUTS; input++)
        if (bridge->inputs[input])
            lines |= input_lines(bridge, input);
    uint16_t changed = lines ^ bridge->driven;
    bridge->driven = lines;
    for (unsigned irq = 0; irq < ISA_IRQS; irq++)
        if (changed & 1 << irq)
            irq_set(&bridge->isa[irq], lines & 1 << irq);
}

static void input_set(void *target, int input, bool level)
{
    struct piix3 *bridge = target;
    bridge->inputs[input] = level;
    drive(bridge);
}

static void config_written(void *opaque, unsigned first, unsigned last)
{
    if (first < PIRQRCA + PCI_PIRQS && last >= PIRQRCA)
        drive(opaque);
}

static uint64_t reset_control_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct piix3 *bridge = opaque;
    (void)offset, (void)size;
    return bridge->reset_control;
}

static void reset_control_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct piix3 *bridge = opaque;
    uint8_t before = bridge->reset_control;
    (void)offset, (void)size;
    bridge->reset_control = value & (RC_RCPU | RC_SRST);
    if (~before & value & RC_RCPU)
        callback_call(&bridge->reset);
}

static void registers_add(struct pci_device *pci)
{
    static const struct {
        uint8_t offset, size;
        uint16_t reset, writable;
    } registers[] = {
        {PCI_COMMAND, 2, COMMAND_RESET, PCI_COMMAND_SERR},
        {PCI_STATUS, 2, STATUS_RESET, 0},
        {IORT, 1, 0x4d, 0x7f},
        {XBCS, 2, 0x0003, 0x03ff},
        {PIRQRCA, 1, PIRQRC_DISABLE, PIRQRC_DISABLE | PIRQRC_IRQ},
        {PIRQRCA + 1, 1, PIRQRC_DISABLE, PIRQRC_DISABLE | PIRQRC_IRQ},
        {PIRQRCA + 2, 1, PIRQRC_DISABLE, PIRQRC_DISABLE | PIRQRC_IRQ},
        {PIRQRCA + 3, 1, PIRQRC_DISABLE, PIRQRC_DISABLE | PIRQRC_IRQ},
        {TOM, 1, 0x02, 0xff},
        {MSTAT, 2, 0, 0x8094},
        {MBIRQ0, 1, 0x80, 0xef},
        {MBDMA0, 1, 0x0c, 0x8f},
        {MBDMA0 + 1, 1, 0x0c, 0x8f},
        {PCSC, 2, 0x0002, 0xffff},
        {APICBASE, 1, 0, 0x7f},
        {DLC, 1, 0, 0x0f},
        {SMICNTL, 1, 0x08, 0x1f},
    };
    for (unsigned i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        pci_add_register(pci, registers[i].offset, registers[i].size, registers[i].reset,
                         registers[i].writable);
}

struct piix3 *piix3_create(struct pci_bus *pci, const struct irq_line isa[16], const struct callback *reset)
{
    static const struct pci_identity identity = {.name = "ISA bridge",
                                                 .vendor = 0x8086,
                                                 .device = 0x7000,
                                                 .class_code = 0x060100,
                                                 .multifunction = true,
                                                 .subsystem_vendor = 0x1af4,
                                                 .subsystem = 0x1100};
    struct piix3 *bridge = allocate(sizeof(*bridge));
    for (unsigned irq = 0; irq < ISA_IRQS; irq++)
        bridge->isa[irq] = isa[irq];
    bridge->reset = *reset;
    bridge->pci = pci_add(pci, SLOT, 0, &identity);
    registers_add(bridge->pci);
    pci_on_write(bridge->pci, config_written, bridge);
    for (int pirq = 0; pirq < PCI_PIRQS; pirq++)
        pci_route(pci, (unsigned)pirq, &(struct irq_line){input_set, bridge, pirq});
    pci_claim_reset_control(pci, bridge, reset_control_read, reset_control_write);
    return bridge;
}

void piix3_destroy(struct piix3 *bridge)
{
    free(bridge);
}

void piix3_reset(struct piix3 *bridge)
{
    bridge->reset_control = 0;
    drive(bridge);
}

struct irq_line piix3_sci(struct piix3 *bridge)
{
    return (struct irq_line){input_set, bridge, SCI_INPUT};
}

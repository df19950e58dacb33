/* The PC's parts in sight of those who build it: pc.c, attach.c. */
#ifndef MACHINE_PC_PARTS_H
#define MACHINE_PC_PARTS_H

#include "core/irq.h"
#include "firmware/bios.h"
#include "machine/inputs.h"
#include "machine/pc.h"

enum irq {
    IRQ_TIMER = 0,
    IRQ_KEYBOARD = 1,
    IRQ_COM2 = 3,
    IRQ_COM1 = 4,
    IRQ_FLOPPY = 6,
    IRQ_CLOCK = 8,
    IRQ_MOUSE = 12,
    IRQ_FLOAT = 13,
    IRQ_IDE0 = 14,
    IRQ_IDE1 = 15,
    ISA_IRQS = 16,
    GSI_FREE_FIRST = 16,
    IOAPIC_PIN_TIMER = 2, /* the others have the pin of their number */
};

enum {
    PORTS = 0x10000,
    PORT_COM1 = 0x3f8,
    PORT_COM2 = 0x2f8,
    SLOT_VGA = 2,
};

struct pc {
    const struct machine_config *config;
    const struct cpus *cpus; /* which are there, as machine.c keeps it */
    struct pc_events events;
    struct clock *clock;
    struct loop *loop;
    const struct engine_ops *ops;
    struct engine *engine;

    struct memory *memory;
    struct bus *ports, *mmio;
    struct firmware bios, vga_rom;

    struct irq_line isa[ISA_IRQS];
    struct pic *pic;
    struct irq_line pic_line[ISA_IRQS], ioapic_line[ISA_IRQS];
    struct ioapic *ioapic; /* where the engine's CPUs have local APICs */
    struct pit *pit;
    struct port61 *port61;
    struct port92 *port92;
    struct ferr *ferr; /* where the engine's CPUs have the pins */
    struct irq_line float_error;
    struct rtc *rtc;
    struct hpet *hpet; /* NULL: hpet=off */
    struct dma *dma;
    struct ps2 *ps2;
    struct vmmouse *vmmouse; /* NULL: vmport=off */
    struct inputs inputs;
    struct uart *uart[SERIALS];
    struct fdc *fdc;
    struct pci_bus *pci;
    struct i440fx *bridge;
    struct piix3 *piix3;
    struct piix4pm *pm;
    struct cpu_hotplug *cpu_hotplug; /* where there are local APICs */
    struct ide *ide;
    struct vga *vga;
    struct fwcfg *fwcfg;
    struct debug_console *debugcon;
    struct characters *characters; /* of -chardev */
    struct attached *attached;     /* by -device and device_add */
    struct network *network;
    unsigned network_cards, network_cards_named; /* so far: for names and addresses */
    struct direct *kernel;                       /* NULL: SeaBIOS starts */

    struct block_pool *disk_threads;
    struct drive *drives;
    struct settings *made_settings; /* of devices that no -device made */
    struct boot_device *boot_devices;
    bool booted; /* -boot once= has been used up */
};

/* The wire of a global system interrupt: 0 to 15 are the ISA IRQs, the others exist where there is an IOAPIC. */
struct irq_line pc_gsi(struct pc *pc, int gsi);

#endif

/*
 * The PC: an i440FX with PIIX3, as QEMU's "pc" lays it out. This file only wires: each part with its ports, interrupt
 * and reset in sight, in the order of power-on. An engine that has interrupt controllers or timer itself (KVM) gets
 * the lines, and those parts are not made.
 */
#include "machine/pc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/callback.h"
#include "core/irq.h"
#include "core/log.h"
#include "cpu/models.h"
#include "devices/cpu-hotplug.h"
#include "devices/debug.h"
#include "devices/dma.h"
#include "devices/fdc.h"
#include "devices/ferr.h"
#include "devices/fwcfg.h"
#include "devices/hpet.h"
#include "devices/i440fx.h"
#include "devices/ide.h"
#include "devices/ioapic.h"
#include "devices/pci.h"
#include "devices/pic.h"
#include "devices/piix3.h"
#include "devices/piix4pm.h"
#include "devices/pit.h"
#include "devices/port61.h"
#include "devices/port92.h"
#include "devices/ps2.h"
#include "devices/rtc.h"
#include "devices/uart.h"
#include "devices/vga.h"
#include "devices/vmmouse.h"
#include "firmware/direct.h"
#include "firmware/platform.h"
#include "firmware/smbios.h"
#include "firmware/text-mode.h"
#include "machine/attach.h"
#include "machine/boot-order.h"
#include "machine/drives.h"
#include "machine/firmware-items.h"
#include "machine/network.h"
#include "machine/pc-parts.h"
#include "machine/ram.h"
#include "storage/pool.h"

/* ---- memory and firmware: before the engine */

/* A kernel that is started directly has no use for a BIOS. */
static void firmware_open(struct pc *pc)
{
    char error[512];
    if (pc->config->kernel && !pc->config->bios) {
        if (!pc->config->no_vga)
            firmware_load_vga(&pc->vga_rom, error, sizeof(error)); /* for its font alone */
        return;
    }
    if (!firmware_load_bios(&pc->bios, pc->config->bios, error, sizeof(error)))
        die("%s", error);
    if (!pc->config->no_vga && !firmware_load_vga(&pc->vga_rom, error, sizeof(error)))
        die("%s", error);
}

enum { YEAR_2000 = 946684800 }; /* seconds since 1970 */

struct pc *pc_create(const struct machine_config *config, const struct cpus *cpus, struct clock *clock,
                     struct loop *loop)
{
    struct pc *pc = allocate(sizeof(*pc));
    pc->config = config;
    pc->cpus = cpus;
    pc->clock = clock;
    pc->loop = loop;
    pc->disk_threads = pool_create(loop, config->deterministic ? clock : NULL);
    pc->memory = ram_create(config);
    pc->ports = bus_create("port", PORTS);
    pc->mmio = bus_create("mmio", UINT64_MAX);
    firmware_open(pc);
    firmware_map(pc->memory, &pc->bios);
    return pc;
}

struct memory *pc_memory(struct pc *pc)
{
    return pc->memory;
}

struct bus *pc_ports(struct pc *pc)
{
    return pc->ports;
}

struct bus *pc_mmio(struct pc *pc)
{
    return pc->mmio;
}

/* ---- interrupts: to the 8259A pair and the IOAPIC here, or to the engine's own controllers */

static void intr_set(void *target, int input, bool level)
{
    struct pc *pc = target;
    (void)input;
    pc->ops->interrupt(pc->ops->vcpu(pc->engine, 0), level);
}

static void gsi_set(void *target, int input, bool level)
{
    struct pc *pc = target;
    pc->ops->irqchip_set(pc->engine, input, level);
}

uint8_t pc_acknowledge(void *opaque)
{
    struct pc *pc = opaque;
    return pic_acknowledge(pc->pic);
}

/* For the tables: local APICs and an IOAPIC, whose input 2 has IRQ 0. */
static bool has_apics(const struct pc *pc)
{
    const struct engine_abilities *has = pc->ops->abilities(pc->engine);
    return has->irqchip || has->lapic;
}

void pc_end_of_interrupt(void *opaque, uint8_t vector)
{
    struct pc *pc = opaque;
    ioapic_end_of_interrupt(pc->ioapic, vector);
}

void pc_float_error(void *opaque, bool level)
{
    struct pc *pc = opaque;
    irq_set(&pc->float_error, level);
}

static void ignne_set(void *target, int input, bool level)
{
    struct pc *pc = target;
    (void)input;
    pc->ops->ignore_float_error(pc->engine, level);
}

static void a20_set(void *target, int input, bool level)
{
    struct pc *pc = target;
    (void)input;
    if (pc->ops->a20)
        pc->ops->a20(pc->engine, level);
}

static void message_send(void *opaque, const struct interrupt_message *message)
{
    struct pc *pc = opaque;
    pc->ops->message(pc->engine, message);
}

/* A line of the board ends at both controllers. */
static void isa_set(void *target, int irq, bool level)
{
    struct pc *pc = target;
    irq_set(&pc->pic_line[irq], level);
    irq_set(&pc->ioapic_line[irq], level);
}

static void interrupts_wire(struct pc *pc)
{
    const struct engine_abilities *has = pc->ops->abilities(pc->engine);
    for (int irq = 0; irq < ISA_IRQS; irq++)
        pc->isa[irq] = (struct irq_line){has->irqchip ? gsi_set : isa_set, pc, irq};
    if (has->irqchip)
        return;
    pc->pic = pic_create(pc->ports, &(struct irq_line){intr_set, pc, 0});
    for (int irq = 0; irq < ISA_IRQS; irq++)
        pc->pic_line[irq] = pic_line(pc->pic, irq);
    if (!has->lapic)
        return;
    pc->ioapic = ioapic_create(pc->mmio, message_send, pc);
    for (int irq = 0; irq < ISA_IRQS; irq++)
        pc->ioapic_line[irq] = ioapic_line(pc->ioapic, irq == IRQ_TIMER ? IOAPIC_PIN_TIMER : irq);
    pc->ioapic_line[IOAPIC_PIN_TIMER] = (struct irq_line){NULL, NULL, 0}; /* IRQ2 is the 8259As' own */
}

static void vga_wire(struct pc *pc)
{
    pc->vga = vga_create(pc->memory, pc->ports, pc->mmio, pc->clock);
    if (!pc->vga)
        die("cannot set up video memory: %s", strerror(errno));
    vga_add_to_pci(pc->vga, pc->pci, SLOT_VGA, NULL, 0); /* its BIOS goes to SeaBIOS through fw_cfg */
}

struct irq_line pc_gsi(struct pc *pc, int gsi)
{
    if (gsi < ISA_IRQS)
        return pc->isa[gsi];
    if (pc->ioapic)
        return ioapic_line(pc->ioapic, gsi);
    if (has_apics(pc))
        return (struct irq_line){gsi_set, pc, gsi};
    return (struct irq_line){NULL, NULL, 0};
}

static void devices_attach(struct pc *pc, struct settings *list)
{
    for (struct settings *at = list; at; at = settings_next(at)) {
        const char *error = attach(pc, &pc->attached, at);
        if (error)
            die("%s", error);
    }
}

static struct smbios_description pc_smbios(const struct pc *pc)
{
    const struct engine_abilities *has = pc->ops->abilities(pc->engine);
    return (struct smbios_description){.ram_size = pc->config->ram_size,
                                       .cpus = pc->cpus,
                                       .cpu_signature = has->cpu_signature,
                                       .cpu_features = has->cpu_features,
                                       .cpu_name = cpu_model_name(pc->config->cpu),
                                       .uuid = pc->config->uuid,
                                       .changes = pc->config->smbios};
}

static void smbios_changes_check(struct settings *changes)
{
    for (; changes; changes = settings_next(changes)) {
        smbios_check(changes);
        if (settings_error(changes))
            die("%s", settings_error(changes));
    }
}

static void kernel_open(struct pc *pc)
{
    const struct machine_config *config = pc->config;
    char error[512];
    struct direct_description description = {
        .kernel = config->kernel,
        .initrd = config->initrd,
        .append = config->append,
        .ram_size = config->ram_size,
        .text_mode = pc->vga != NULL,
        .long_mode = pc->ops->abilities(pc->engine)->long_mode,
        .tables = {.cpus = pc->cpus,
                   .apic = has_apics(pc),
                   .screen = pc->vga != NULL,
                   .hpet = pc->hpet != NULL,
                   .serial = {pc->uart[0] != NULL, pc->uart[1] != NULL},
                   .pci_memory = (uint32_t)firmware_ram_below_4g(config->ram_size)},
        .smbios = pc_smbios(pc),
    };
    pc->kernel = direct_open(&description, error, sizeof(error));
    if (!pc->kernel)
        die("%s", error);
}

/* ---- CPUs that come and go */

static void cpu_event(void *opaque)
{
    struct pc *pc = opaque;
    piix4pm_raise_event(pc->pm, ACPI_CPU_EVENT);
}

static void cpu_hotplug_wire(struct pc *pc)
{
    pc->cpu_hotplug =
        cpu_hotplug_create(pc->ports, &(struct cpu_hotplug_wiring){.cpus = pc->cpus,
                                                                   .event = {cpu_event, pc},
                                                                   .eject = pc->events.cpu_eject,
                                                                   .opaque = pc->events.opaque});
}

bool pc_can_plug_cpus(const struct pc *pc)
{
    return pc->cpu_hotplug != NULL;
}

void pc_cpu_came(struct pc *pc, unsigned cpu)
{
    cpu_hotplug_came(pc->cpu_hotplug, cpu);
}

void pc_cpu_go(struct pc *pc, unsigned cpu)
{
    cpu_hotplug_go(pc->cpu_hotplug, cpu);
}

void pc_cpu_gone(struct pc *pc, unsigned cpu)
{
    cpu_hotplug_gone(pc->cpu_hotplug, cpu);
}

/* ---- the parts list */

static void serial_wire(struct pc *pc, const struct machine_ports *host)
{
    static const struct {
        uint16_t port;
        enum irq irq;
    } com[SERIALS] = {{PORT_COM1, IRQ_COM1}, {PORT_COM2, IRQ_COM2}};
    for (unsigned i = 0; i < SERIALS; i++) {
        const char *joined = pc->config->serial[i];
        if (joined ? strcmp(joined, "none")
                   : i == 0) /* COM1 is there unless -serial none; what it says goes nowhere */
            pc->uart[i] =
                uart_create(pc->ports, com[i].port, &pc->isa[com[i].irq], pc->clock, host->serial[i]);
    }
}

static bool vmmouse_registers(void *opaque, uint32_t registers[VMMOUSE_REGISTERS], bool store)
{
    static const enum gpr names[VMMOUSE_REGISTERS] = {RAX, RBX, RCX, RDX, RSI, RDI};
    struct pc *pc = opaque;
    uint64_t gpr[GPR_COUNT];
    if (!pc->ops->registers(pc->engine, gpr, false))
        return false;
    for (unsigned i = 0; i < VMMOUSE_REGISTERS; i++) {
        if (!store)
            registers[i] = (uint32_t)gpr[names[i]];
        gpr[names[i]] = registers[i];
    }
    return !store || pc->ops->registers(pc->engine, gpr, true);
}

/* What hangs on the mouse's interrupt has news. */
static void vmmouse_report(void *opaque)
{
    struct pc *pc = opaque;
    ps2_mouse_report(pc->ps2);
}

static void vmmouse_wire(struct pc *pc)
{
    struct vmmouse_wiring wiring = {vmmouse_registers, vmmouse_report, pc};
    pc->vmmouse = vmmouse_create(pc->ports, &wiring);
    struct input_sink sink = vmmouse_input(pc->vmmouse);
    inputs_add(&pc->inputs, &sink);
}

/* Without a date it starts at the host's time; with deterministic=on whatever the host's says. */
static void rtc_wire(struct pc *pc)
{
    const struct clock_choice *choice = &pc->config->rtc;
    time_t now = time(NULL);
    struct tm local = {0};
    if (choice->base == CLOCK_BASE_LOCAL)
        localtime_r(&now, &local);
    pc->rtc = rtc_create(pc->ports, &pc->isa[IRQ_CLOCK], pc->clock, local.tm_gmtoff);
    if (choice->base == CLOCK_BASE_DATE)
        rtc_start_at(pc->rtc, choice->date);
    else if (pc->config->deterministic)
        rtc_start_at(pc->rtc, YEAR_2000);
}

/* A timer may have the IOAPIC's inputs that no bus of the board uses. */
static void hpet_wire(struct pc *pc)
{
    struct irq_line lines[HPET_LINES] = {0};
    for (int gsi = GSI_FREE_FIRST; gsi < IOAPIC_PINS; gsi++)
        lines[gsi] = pc_gsi(pc, gsi);
    pc->hpet = hpet_create(pc->mmio, pc->clock, lines);
}

void pc_time_passed(struct pc *pc, uint64_t nanoseconds)
{
    if (!pc->config->rtc.pauses && !pc->config->deterministic)
        rtc_pass(pc->rtc, nanoseconds);
}

void pc_wire(struct pc *pc, const struct engine_ops *ops, struct engine *engine,
             const struct machine_ports *host, const struct pc_events *events)
{
    const struct machine_config *config = pc->config;
    struct callback reset = {events->reset, events->opaque};
    struct callback power_off = {events->power_off, events->opaque};
    size_t low_size;
    uint8_t *low = firmware_low(&pc->bios, &low_size);

    pc->ops = ops;
    pc->engine = engine;
    pc->events = *events;
    pc->characters = host->characters;
    interrupts_wire(pc); /* 8259A pair: 20h, a0h, 4d0h; IOAPIC: fec00000h */
    if (!ops->abilities(engine)->pit) {
        pc->pit = pit_create(pc->ports, &pc->isa[IRQ_TIMER], pc->clock); /* 40h-43h */
        pc->port61 = port61_create(pc->ports, pc->pit, pc->clock);
    }
    if (ops->ignore_float_error) {
        pc->ferr =
            ferr_create(pc->ports, &pc->isa[IRQ_FLOAT], &(struct irq_line){ignne_set, pc, 0}); /* f0h */
        pc->float_error = ferr_line(pc->ferr);
    }
    struct irq_line a20 = {a20_set, pc, 0};
    pc->port92 = port92_create(pc->ports, &a20, reset.call, reset.opaque);
    rtc_wire(pc); /* 70h */
    if (!config->no_hpet)
        hpet_wire(pc);                           /* fed00000h */
    pc->dma = dma_create(pc->ports, pc->memory); /* 00h, c0h, 80h */
    struct ps2_wiring ps2 = {pc->isa[IRQ_KEYBOARD], pc->isa[IRQ_MOUSE], a20, pc->clock, reset.call,
                             reset.opaque};
    pc->ps2 = ps2_create(pc->ports, &ps2); /* 60h, 64h */
    struct input_sink ps2_parts = ps2_input(pc->ps2);
    inputs_init(&pc->inputs);
    inputs_add(&pc->inputs, &ps2_parts);
    if (!config->no_vmport)
        vmmouse_wire(pc); /* 5658h */
    serial_wire(pc, host);
    pc->fdc = fdc_create(pc->ports, &pc->isa[IRQ_FLOPPY], pc->dma, pc->clock); /* 3f0h */

    pc->pci = pci_create(pc->ports, pc->mmio, pc->memory); /* cf8h */
    if (has_apics(pc))
        pci_on_message(pc->pci, message_send, pc);
    pc->bridge = i440fx_create(pc->pci, pc->memory, low, low_size); /* 00.0 */
    pc->piix3 = piix3_create(pc->pci, pc->isa, &reset);             /* 01.0 */
    pc->ide = ide_create(pc->pci, pc->ports, &pc->isa[IRQ_IDE0]);   /* 01.1: 1f0h, 170h */
    drives_open(pc);
    drives_wire(pc);
    struct irq_line sci = piix3_sci(pc->piix3);
    pc->pm = piix4pm_create(pc->pci, pc->ports, pc->clock, &sci, &power_off); /* 01.3 */
    if (has_apics(pc))
        cpu_hotplug_wire(pc); /* af00h */
    if (!config->no_vga)
        vga_wire(pc); /* 02.0: 3b0h, 1ceh, a0000h */

    pc->fwcfg = fwcfg_create(pc->ports, pc->memory); /* 510h */
    firmware_items_add(config->fw_cfg, pc->fwcfg);
    if (config->debugcon && strcmp(config->debugcon, "none"))
        pc->debugcon = debug_console_create(pc->ports, config->debugcon_port, host->debugcon);
    pc->network = network_open(config, &(struct net_host){pc->loop, pc->clock});
    devices_attach(pc, network_cards(pc->network)); /* 03.0 */
    drives_attach_virtio(pc);
    devices_attach(pc, config->devices);
    network_check(pc->network);
    smbios_changes_check(config->smbios);
    if (config->kernel)
        kernel_open(pc);
}

/* ---- reset */

static void cell_set(void *opaque, unsigned cell, uint8_t value)
{
    rtc_set_cell(opaque, cell, value);
}

static const char *boot_letters(const struct pc *pc)
{
    if (!pc->booted && pc->config->boot_once)
        return pc->config->boot_once;
    return pc->config->boot_order ? pc->config->boot_order : "cad";
}

/* What the firmware is told; anew at each reset, since `-boot once=` holds for the first boot only. */
static void describe(struct pc *pc)
{
    struct smbios_description smbios = pc_smbios(pc);
    uint8_t floppies = fdc_cmos_types(pc->fdc);
    struct firmware_description description = {
        .ram_size = pc->config->ram_size,
        .cpus = pc->cpus,
        .boot_order = boot_letters(pc),
        .boot_menu = pc->config->boot_menu,
        .floppy_types = {floppies >> 4, floppies & 0xf},
        .vga = pc->vga && pc->vga_rom.image ? &pc->vga_rom : NULL,
        .apic = has_apics(pc),
        .hpet = pc->hpet != NULL,
        .serial = {pc->uart[0] != NULL, pc->uart[1] != NULL},
    };
    for (unsigned i = 0; i < IDE_DRIVES; i++)
        description.disk_sizes[i] = ide_disk_size(pc->ide, i / IDE_UNITS, i % IDE_UNITS);
    char *paths = boot_order_text(pc, description.boot_order);
    description.boot_paths = paths;
    firmware_describe(&description, pc->fwcfg, cell_set, pc->rtc);
    free(paths);
    smbios_publish(&smbios, pc->fwcfg);
    pc->booted = true;
}

void pc_settle(struct pc *pc)
{
    pool_drain(pc->disk_threads);
}

void pc_reset(struct pc *pc)
{
    pc_settle(pc);
    if (pc->pic)
        pic_reset(pc->pic);
    if (pc->ioapic)
        ioapic_reset(pc->ioapic);
    if (pc->pit) {
        pit_reset(pc->pit);
        port61_reset(pc->port61);
    }
    port92_reset(pc->port92);
    if (pc->ferr)
        ferr_reset(pc->ferr);
    rtc_reset(pc->rtc);
    if (pc->hpet)
        hpet_reset(pc->hpet);
    dma_reset(pc->dma);
    ps2_reset(pc->ps2);
    if (pc->vmmouse)
        vmmouse_reset(pc->vmmouse);
    for (unsigned i = 0; i < SERIALS; i++)
        if (pc->uart[i])
            uart_reset(pc->uart[i]);
    fdc_reset(pc->fdc);
    pci_reset(pc->pci);
    i440fx_reset(pc->bridge);
    piix3_reset(pc->piix3);
    ide_reset(pc->ide);
    piix4pm_reset(pc->pm);
    if (pc->cpu_hotplug)
        cpu_hotplug_reset(pc->cpu_hotplug);
    if (pc->vga)
        vga_reset(pc->vga);
    fwcfg_reset(pc->fwcfg);
    attached_reset(pc->attached);
    describe(pc);
}

void pc_start(struct pc *pc)
{
    struct vcpu *vcpu = pc->ops->vcpu(pc->engine, 0);
    struct cpu_state state;
    char error[512];

    if (!pc->kernel)
        return;
    platform_set_up(pc->ports, (uint32_t)firmware_ram_below_4g(pc->config->ram_size), pc->pic != NULL);
    if (pc->vga)
        text_mode_set(pc->ports, pc->mmio, pc->memory, &pc->vga_rom);
    if (!direct_load(pc->kernel, pc->memory, error, sizeof(error)))
        die("%s", error);
    pc->ops->get_state(vcpu, &state);
    direct_start(pc->kernel, &state);
    pc->ops->set_state(vcpu, &state);
}

void pc_destroy(struct pc *pc)
{
    direct_close(pc->kernel);
    attached_destroy(pc->attached);
    network_close(pc->network);
    debug_console_destroy(pc->debugcon);
    fwcfg_destroy(pc->fwcfg);
    vga_destroy(pc->vga);
    cpu_hotplug_destroy(pc->cpu_hotplug);
    piix4pm_destroy(pc->pm);
    ide_destroy(pc->ide);
    piix3_destroy(pc->piix3);
    i440fx_destroy(pc->bridge);
    pci_destroy(pc->pci);
    fdc_destroy(pc->fdc);
    for (unsigned i = 0; i < SERIALS; i++)
        uart_destroy(pc->uart[i]);
    vmmouse_destroy(pc->vmmouse);
    ps2_destroy(pc->ps2);
    dma_destroy(pc->dma);
    hpet_destroy(pc->hpet);
    rtc_destroy(pc->rtc);
    port92_destroy(pc->port92);
    ferr_destroy(pc->ferr);
    port61_destroy(pc->port61);
    pit_destroy(pc->pit);
    ioapic_destroy(pc->ioapic);
    pic_destroy(pc->pic);
    drives_close(pc);
    settings_free_all(pc->made_settings);
    boot_order_destroy(pc);
    pool_destroy(pc->disk_threads);
    firmware_free(&pc->vga_rom);
    firmware_free(&pc->bios);
    bus_destroy(pc->mmio);
    bus_destroy(pc->ports);
    memory_destroy(pc->memory);
    free(pc);
}

/* ---- for the machine */

void pc_press_power_button(struct pc *pc)
{
    piix4pm_press_power_button(pc->pm);
}

const struct display_source *pc_display(struct pc *pc)
{
    return pc->vga ? vga_display(pc->vga) : NULL;
}

const struct input_sink *pc_input(struct pc *pc)
{
    return &pc->inputs.sink;
}

unsigned pc_buttons(const struct pc *pc)
{
    return pc->inputs.buttons;
}

struct network *pc_network(struct pc *pc)
{
    return pc->network;
}

void pc_print_pic(struct pc *pc, FILE *out)
{
    if (pc->pic)
        pic_print(pc->pic, out);
    else
        pc->ops->irqchip_print(pc->engine, out);
    if (pc->ioapic)
        ioapic_print(pc->ioapic, out);
}

void pc_print_pci(struct pc *pc, FILE *out)
{
    pci_print(pc->pci, out);
}

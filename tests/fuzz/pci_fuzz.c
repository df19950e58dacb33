/*
 * The board's own PCI functions (440FX with its PAM registers, PIIX3, PIIX4 power management), CPU hot plug and fw_cfg: every
 * register of configuration space, DMA descriptors in memory that the guest rewrites.
 */
#include "fuzz/chips.h"

#include "devices/cpu-hotplug.h"
#include "devices/fwcfg.h"
#include "devices/i440fx.h"
#include "devices/piix3.h"
#include "devices/piix4pm.h"

struct board {
    struct piix4pm *pm;
    struct cpu_hotplug *hotplug;
    struct cpus cpus;
};

static void eject(void *opaque, unsigned cpu)
{
    (void)opaque, (void)cpu;
}

static void fwcfg_dma(struct chips *chips, struct input *input)
{
    struct {
        uint32_t control, length;
        uint64_t address;
    } access = {input_take(input, 4), input_take(input, 4), (uint64_t)input_take(input, 4) << 32};
    uint32_t where = input_take(input, 3);
    memory_write(chips->memory, where, &access, sizeof(access));
    bus_write_locked(chips->ports, 0x514, 4, input_take(input, 1) & 1);
    bus_write_locked(chips->ports, 0x518, 4, __builtin_bswap32(where));
}

static void other(struct chips *chips, struct input *input)
{
    struct board *board = chips->opaque;
    unsigned cpu = input_take(input, 1) % 4;
    switch (input_take(input, 1) % 6) {
    case 0: piix4pm_press_power_button(board->pm); break;
    case 1: piix4pm_raise_event(board->pm, cpu); break;
    case 2:
        board->cpus.present[cpu] = true;
        cpu_hotplug_came(board->hotplug, cpu);
        break;
    case 3: cpu_hotplug_go(board->hotplug, cpu); break;
    case 4:
        for (unsigned offset = 0; offset < 64; offset += 4) /* a look at all of it */
            chips_config(chips, cpu, offset, 1, input_take(input, 1));
        break;
    default: fwcfg_dma(chips, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chips_place ports[] = {{0xcf8, 8},  {0x510, 12}, {0xaf00, 12}, {0x600, 64},
                                               {0xafe0, 4}, {0xb2, 2},   {0, 0}},
                                    mmio[] = {
                                        {0xfe000000, 0x1000}, {0xa0000, 0x1000}, {0xf0000, 0x1000}, {0, 0}};
    static uint8_t rom[0x20000];
    struct input input = {data, size};
    struct chips chips;
    struct board board = {0};
    struct irq_line isa[16];
    struct callback nothing = {chips_ask, NULL};
    chips_open(&chips);
    for (unsigned i = 0; i < 16; i++)
        isa[i] = chips_irq();
    cpus_set_up(&board.cpus, &(struct topology){1, 1, 4, 1}, 2);
    struct i440fx *bridge = i440fx_create(chips.pci, chips.memory, rom, sizeof(rom));
    struct piix3 *piix3 = piix3_create(chips.pci, isa, &nothing);
    struct irq_line sci = piix3_sci(piix3);
    board.pm = piix4pm_create(chips.pci, chips.ports, chips.clock, &sci, &nothing);
    board.hotplug =
        cpu_hotplug_create(chips.ports, &(struct cpu_hotplug_wiring){&board.cpus, nothing, eject, NULL});
    struct fwcfg *fwcfg = fwcfg_create(chips.ports, chips.memory);
    fwcfg_add_file(fwcfg, "opt/test", rom, 3000);
    pci_reset(chips.pci);
    i440fx_reset(bridge);
    piix3_reset(piix3);
    piix4pm_reset(board.pm);
    chips_config(&chips, 1, 0x40, 4, 0);
    bus_write_locked(chips.ports, 0xcf8, 4, 0x80000b40);
    bus_write_locked(chips.ports, 0xcfc, 4, 0x601);
    bus_write_locked(chips.ports, 0xcf8, 4, 0x80000b80);
    bus_write_locked(chips.ports, 0xcfc, 1, 1);
    chips.port_places = ports;
    chips.mmio_places = mmio;
    chips.other = other;
    chips.opaque = &board;
    chips_run(&chips, &input);
    fwcfg_destroy(fwcfg);
    cpu_hotplug_destroy(board.hotplug);
    piix4pm_destroy(board.pm);
    piix3_destroy(piix3);
    i440fx_destroy(bridge);
    chips_close(&chips);
    return 0;
}

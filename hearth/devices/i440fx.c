/*
 * The PCI and memory controller (PMC) of the 82441FX chip set: host bridge, and the programmable attribute map that
 * lays RAM or ROM under C0000h to FFFFFh for each 16 KiB (F0000h to FFFFFh as one).
 *
 * Left out: DRAM timing and row registers, which firmware here does not size memory with; SMRAM, whose register only
 * reads back; "read ROM, write RAM" (attribute 2), which acts as ROM.
 * Source: Intel 440FX PCIset, 82441FX PMC datasheet (290549), 3.2.
 */
#include "devices/i440fx.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    PMCCFG = 0x50,
    PAM0 = 0x59,
    PAM6 = 0x5f,
    SMRAM = 0x72,
    ERRCMD = 0x90,

    PAM_RE = 1 << 0,
    PAM_WE = 1 << 1,

    SMRAM_D_OPEN = 1 << 6,
    SMRAM_D_CLS = 1 << 5,
    SMRAM_D_LCK = 1 << 4,
    SMRAM_G_SMRAME = 1 << 3,
    SMRAM_C_BASE_SEG = 2, /* A0000h, the only one there is */

    STATUS_RESET = 0x0280, /* medium DEVSEL#, fast back-to-back */
    COMMAND_RESET = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
};

enum {
    LOW_RAM_END = 0xa0000,
    MAP_BASE = 0xc0000,
    MAP_END = 0x100000,
    SEGMENT = 0x4000,
    SEGMENTS = (MAP_END - MAP_BASE) / SEGMENT,
    SEGMENT_F0000 = (0xf0000 - MAP_BASE) / SEGMENT,
};

enum attribute { HOLE, ROM, RAM_READ_ONLY, RAM, UNKNOWN };

struct i440fx {
    struct pci_device *pci;
    struct memory *memory;
    uint8_t *rom;
    uint32_t rom_base; /* MAP_END where there is none */
    enum attribute segments[SEGMENTS];
    uint8_t smram;
};

static enum attribute segment_attribute(const struct i440fx *bridge, unsigned segment)
{
    uint32_t base = MAP_BASE + segment * SEGMENT;
    unsigned pam = PAM0, nibble = 1;
    if (segment < SEGMENT_F0000) {
        pam = PAM0 + 1 + segment / 2;
        nibble = segment % 2;
    }
    unsigned bits = pci_get(bridge->pci, pam, 1) >> 4 * nibble & (PAM_RE | PAM_WE);

    if (!(bits & PAM_RE))
        return base >= bridge->rom_base ? ROM : HOLE;
    if (base + SEGMENT > memory_ram_size(bridge->memory))
        return HOLE;
    return bits & PAM_WE ? RAM : RAM_READ_ONLY;
}

static void segments_map(struct i440fx *bridge, unsigned first, unsigned count)
{
    uint32_t base = MAP_BASE + first * SEGMENT;
    struct memory_range range = {.base = base, .size = count * SEGMENT};

    switch (bridge->segments[first]) {
    case ROM:
        range.host = bridge->rom + (base - bridge->rom_base);
        range.name = "bios";
        break;
    case RAM_READ_ONLY:
        range.host = memory_ram(bridge->memory) + base;
        range.name = "ram, read-only";
        break;
    case RAM:
        range.host = memory_ram(bridge->memory) + base;
        range.name = "ram";
        range.writable = true;
        break;
    default: memory_unmap(bridge->memory, range.base, range.size); return;
    }
    memory_map(bridge->memory, &range);
}

/* Maps every run of segments alike in which one has changed. */
static void attributes_changed(struct i440fx *bridge)
{
    bool changed[SEGMENTS];
    for (unsigned i = 0; i < SEGMENTS; i++) {
        enum attribute now = segment_attribute(bridge, i);
        changed[i] = now != bridge->segments[i];
        bridge->segments[i] = now;
    }
    for (unsigned first = 0, next; first < SEGMENTS; first = next) {
        bool any = false;
        for (next = first; next < SEGMENTS && bridge->segments[next] == bridge->segments[first]; next++)
            any |= changed[next];
        if (any)
            segments_map(bridge, first, next - first);
    }
}

static void smram_written(struct i440fx *bridge)
{
    uint8_t value = (uint8_t)pci_get(bridge->pci, SMRAM, 1);
    if (bridge->smram & SMRAM_D_LCK) /* locked until reset, but for D_CLS */
        value = (bridge->smram & ~SMRAM_D_CLS) | (value & SMRAM_D_CLS);
    else if (value & SMRAM_D_LCK)
        value &= ~SMRAM_D_OPEN;
    bridge->smram = value;
    pci_set(bridge->pci, SMRAM, 1, value);
}

static void config_written(void *opaque, unsigned first, unsigned last)
{
    struct i440fx *bridge = opaque;
    if (first <= PAM6 && last >= PAM0)
        attributes_changed(bridge);
    if (first <= SMRAM && last >= SMRAM)
        smram_written(bridge);
}

struct i440fx *i440fx_create(struct pci_bus *pci, struct memory *memory, uint8_t *rom, size_t rom_size)
{
    static const struct pci_identity identity = {.name = "Host bridge",
                                                 .vendor = 0x8086,
                                                 .device = 0x1237,
                                                 .class_code = 0x060000,
                                                 .revision = 2,
                                                 .subsystem_vendor = 0x1af4,
                                                 .subsystem = 0x1100};
    struct i440fx *bridge = allocate(sizeof(*bridge));
    uint64_t low = memory_ram_size(memory);

    bridge->memory = memory;
    bridge->rom = rom;
    bridge->rom_base = MAP_END - (uint32_t)rom_size;
    bridge->pci = pci_add(pci, 0, 0, &identity);
    pci_add_register(bridge->pci, PCI_COMMAND, 2, COMMAND_RESET, PCI_COMMAND_SERR | PCI_COMMAND_PARITY);
    pci_add_register(bridge->pci, PCI_STATUS, 2, STATUS_RESET, 0);
    pci_add_register(bridge->pci, PMCCFG, 2, 0, 0xffff);
    for (unsigned pam = PAM0; pam <= PAM6; pam++)
        pci_add_register(bridge->pci, pam, 1, 0, pam == PAM0 ? 0xf0 : 0xff);
    pci_add_register(bridge->pci, SMRAM, 1, SMRAM_C_BASE_SEG,
                     SMRAM_D_OPEN | SMRAM_D_CLS | SMRAM_D_LCK | SMRAM_G_SMRAME);
    pci_add_register(bridge->pci, ERRCMD, 1, 0, 0xff);
    pci_on_write(bridge->pci, config_written, bridge);
    if (low > LOW_RAM_END)
        low = LOW_RAM_END;
    memory_map(memory, &(struct memory_range){0, low, memory_ram(memory), true, "ram"});
    for (unsigned i = 0; i < SEGMENTS; i++)
        bridge->segments[i] = UNKNOWN;
    i440fx_reset(bridge);
    return bridge;
}

void i440fx_destroy(struct i440fx *bridge)
{
    free(bridge);
}

void i440fx_reset(struct i440fx *bridge)
{
    bridge->smram = (uint8_t)pci_get(bridge->pci, SMRAM, 1);
    attributes_changed(bridge);
}

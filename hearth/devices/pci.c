/*
 * PCI bus 0: configuration mechanism 1 at CF8h and CFCh, the configuration header and what follows from it (BARs,
 * expansion ROM, interrupt pins).
 *
 * Left out: other buses, bridges' headers, 64-bit BARs, configuration mechanism 2, error reporting. MSI-X is in pci-msix.c.
 * Sources: PCI Local Bus Specification 2.2, chapters 3.2.2.3 and 6; Intel 82441FX datasheet (290549), 3.1.
 */
#include "devices/pci-internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    CONFADD = 0xcf8,
    CONFADD_RESET_CONTROL = 1, /* CF9h */
    CONFDATA = 0xcfc,
};

#define CONFADD_ENABLE   0x80000000u
#define CONFADD_WRITABLE 0x80fffffcu

enum {
    ROM_INDEX = PCI_BARS,
    BAR_PORTS = 1 << 0,
    BAR_PREFETCHABLE = 1 << 3,
    ROM_ENABLE = 1 << 0,
    ROM_SMALLEST = 2048,
    HEADER_MULTIFUNCTION = 0x80,
    PORT_LIMIT = 0x10000,
};

/* ---- decoding */

static unsigned decoder_register(unsigned index)
{
    return index == ROM_INDEX ? PCI_ROM_BAR : PCI_BAR0 + 4 * index;
}

/* Where the decoder's registers say it is. */
static uint64_t decoder_wanted(const struct pci_device *device, unsigned index)
{
    const struct pci_bar *bar = &device->decoders[index].bar;
    uint32_t value = pci_get(device, decoder_register(index), 4);
    uint32_t command = pci_get(device, PCI_COMMAND, 2);
    uint64_t base = value & ~(bar->size - 1);

    if (!bar->size || !(command & (bar->kind == PCI_BAR_PORTS ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
        return PCI_UNMAPPED;
    if (index == ROM_INDEX && !(value & ROM_ENABLE))
        return PCI_UNMAPPED;
    /* Not placed yet, or all ones: being sized with the decoder on. */
    if (base == 0 || base == (uint32_t) ~(bar->size - 1))
        return PCI_UNMAPPED;
    if (bar->kind == PCI_BAR_PORTS && base > PORT_LIMIT - bar->size)
        return PCI_UNMAPPED;
    return base;
}

static bool memory_overlaps(struct memory *memory, uint64_t base, uint64_t size)
{
    size_t count;
    const struct memory_range *ranges = memory_ranges(memory, &count);
    for (size_t i = 0; i < count; i++)
        if (ranges[i].base < base + size && base < ranges[i].base + ranges[i].size)
            return true;
    return false;
}

static void decoder_moved(const struct decoder *decoder)
{
    if (decoder->bar.moved)
        decoder->bar.moved(decoder->bar.device, decoder->address);
}

static void decoder_unmap(struct decoder *decoder)
{
    struct pci_bus *bus = decoder->owner->bus;
    if (decoder->address == PCI_UNMAPPED)
        return;
    if (decoder->bar.host)
        memory_unmap(bus->memory, decoder->address, decoder->bar.size);
    else
        bus_remove(decoder->bar.kind == PCI_BAR_PORTS ? bus->ports : bus->mmio, decoder, decoder->address);
    decoder->address = PCI_UNMAPPED;
}

static uint64_t decoder_read(void *opaque, uint64_t offset, unsigned size)
{
    struct decoder *decoder = opaque;
    return decoder->bar.read ? decoder->bar.read(decoder->bar.device, offset, size) : UINT64_MAX;
}

static void decoder_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct decoder *decoder = opaque;
    if (decoder->bar.write)
        decoder->bar.write(decoder->bar.device, offset, size, value);
}

static void decoder_map(struct decoder *decoder, uint64_t base)
{
    struct pci_bus *bus = decoder->owner->bus;
    const struct pci_bar *bar = &decoder->bar;
    if (bar->host) {
        if (memory_overlaps(bus->memory, base, bar->size)) {
            log_guest(LOG_GUEST_ERROR, "pci: %s placed at %#llx, where memory is", bar->name,
                      (unsigned long long)base);
            return;
        }
        memory_map(bus->memory, &(struct memory_range){base, bar->size, bar->host, true, bar->name});
    } else {
        /* The decoder stands in for the device so that two BARs of one device are told apart. */
        struct bus_range range = {.base = base,
                                  .size = bar->size,
                                  .name = bar->name,
                                  .device = decoder,
                                  .read = decoder_read,
                                  .write = decoder_write,
                                  .widest = bar->widest};
        bus_add_movable(bar->kind == PCI_BAR_PORTS ? bus->ports : bus->mmio, &range);
    }
    decoder->address = base;
}

static void device_decode(struct pci_device *device)
{
    for (unsigned i = 0; i < PCI_DECODERS; i++) {
        uint64_t wanted = decoder_wanted(device, i);
        if (wanted == device->decoders[i].address)
            continue;
        decoder_unmap(&device->decoders[i]);
        if (wanted != PCI_UNMAPPED)
            decoder_map(&device->decoders[i], wanted);
        decoder_moved(&device->decoders[i]);
    }
}

/* ---- configuration accesses */

static struct pci_device *addressed(struct pci_bus *bus)
{
    unsigned number = bus->address >> 16 & 0xff;
    if (!(bus->address & CONFADD_ENABLE) || number != 0)
        return NULL;
    return bus->functions[bus->address >> 8 & 0xff];
}

static uint64_t data_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_bus *bus = opaque;
    struct pci_device *device = addressed(bus);
    unsigned first = (bus->address & 0xfc) + offset;
    if (!device)
        return UINT64_MAX;
    if (device->reading)
        device->reading(device->opaque, first, first + size - 1);
    return pci_get(device, first, size);
}

static void data_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_bus *bus = opaque;
    struct pci_device *device = addressed(bus);
    unsigned first = (bus->address & 0xfc) + offset, last = first + size - 1;

    if (!device)
        return;
    for (unsigned i = first; i <= last; i++, value >>= 8)
        device->config[i] =
            (device->config[i] & ~device->writable[i]) | ((uint8_t)value & device->writable[i]);
    device_decode(device);
    if (device->msix)
        msix_written(device->msix, first, last);
    if (device->written)
        device->written(device->opaque, first, last);
}

static uint64_t address_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pci_bus *bus = opaque;
    if (offset == 0 && size == 4)
        return bus->address;
    if (offset == CONFADD_RESET_CONTROL && size == 1 && bus->reset_control_read)
        return bus->reset_control_read(bus->reset_control, 0, 1);
    return UINT64_MAX;
}

static void address_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci_bus *bus = opaque;
    if (offset == 0 && size == 4)
        bus->address = value & CONFADD_WRITABLE;
    else if (offset == CONFADD_RESET_CONTROL && size == 1 && bus->reset_control_write)
        bus->reset_control_write(bus->reset_control, 0, 1, value);
}

/* ---- what devices use */

struct pci_bus *pci_create(struct bus *ports, struct bus *mmio, struct memory *memory)
{
    struct pci_bus *bus = allocate(sizeof(*bus));
    bus->ports = ports;
    bus->mmio = mmio;
    bus->memory = memory;
    bus_add(ports,
            &(struct bus_range){CONFADD, 4, "pci address", bus, address_read, address_write, .widest = 4});
    bus_add(ports, &(struct bus_range){CONFDATA, 4, "pci data", bus, data_read, data_write, .widest = 4});
    return bus;
}

void pci_destroy(struct pci_bus *bus)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS_MOST; i++) {
        if (!bus->functions[i])
            continue;
        msix_destroy(bus->functions[i]->msix);
        free(bus->functions[i]->rom);
        free(bus->functions[i]);
    }
    free(bus);
}

void pci_reset(struct pci_bus *bus)
{
    bus->address = 0;
    for (unsigned i = 0; i < PCI_FUNCTIONS_MOST; i++) {
        struct pci_device *device = bus->functions[i];
        if (!device)
            continue;
        memcpy(device->config, device->reset, sizeof(device->config));
        device_decode(device);
        pci_interrupt(device, false);
        if (device->msix)
            msix_reset(device->msix);
    }
}

bool pci_is_free(const struct pci_bus *bus, unsigned slot, unsigned function)
{
    return slot < PCI_SLOTS && function < PCI_FUNCTIONS && !bus->functions[slot << 3 | function];
}

struct pci_device *pci_add(struct pci_bus *bus, unsigned slot, unsigned function,
                           const struct pci_identity *identity)
{
    struct pci_device *device = allocate(sizeof(*device));
    assert(pci_is_free(bus, slot, function));
    bus->functions[slot << 3 | function] = device;
    device->bus = bus;
    device->name = identity->name;
    device->slot = slot;
    device->function = function;
    device->capabilities_end = PCI_CAPABILITY_FIRST;
    for (unsigned i = 0; i < PCI_DECODERS; i++) {
        device->decoders[i].owner = device;
        device->decoders[i].address = PCI_UNMAPPED;
    }
    pci_add_register(device, PCI_VENDOR_ID, 2, identity->vendor, 0);
    pci_add_register(device, PCI_DEVICE_ID, 2, identity->device, 0);
    pci_add_register(device, PCI_COMMAND, 2, 0,
                     PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
                         PCI_COMMAND_SERR);
    pci_add_register(device, PCI_REVISION_ID, 4, identity->class_code << 8 | identity->revision, 0);
    pci_add_register(device, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
    pci_add_register(device, PCI_LATENCY_TIMER, 1, 0, 0xf8);
    pci_add_register(device, PCI_HEADER_TYPE, 1, identity->multifunction ? HEADER_MULTIFUNCTION : 0, 0);
    pci_add_register(device, PCI_SUBSYSTEM_VENDOR_ID, 2, identity->subsystem_vendor, 0);
    pci_add_register(device, PCI_SUBSYSTEM_ID, 2, identity->subsystem, 0);
    pci_add_register(device, PCI_INTERRUPT_LINE, 1, 0, identity->interrupt_pin ? 0xff : 0);
    pci_add_register(device, PCI_INTERRUPT_PIN, 1, identity->interrupt_pin, 0);
    return device;
}

void pci_add_bar(struct pci_device *device, unsigned index, const struct pci_bar *bar)
{
    static const uint32_t kind_bits[] = {
        [PCI_BAR_PORTS] = BAR_PORTS, [PCI_BAR_MEMORY] = 0, [PCI_BAR_PREFETCHABLE] = BAR_PREFETCHABLE};
    assert(index < PCI_BARS && bar->size >= 4 && (bar->size & (bar->size - 1)) == 0);
    device->decoders[index].bar = *bar;
    pci_add_register(device, decoder_register(index), 4, kind_bits[bar->kind], ~(uint32_t)(bar->size - 1));
}

static uint64_t rom_read(void *opaque, uint64_t offset, unsigned size)
{
    const struct pci_device *device = opaque;
    uint64_t value = 0;
    memcpy(&value, device->rom + offset, size);
    return value;
}

void pci_add_rom(struct pci_device *device, const uint8_t *image, size_t size)
{
    uint64_t rounded = ROM_SMALLEST;
    while (rounded < size)
        rounded *= 2;
    device->rom = allocate(rounded);
    memcpy(device->rom, image, size);
    device->decoders[ROM_INDEX].bar = (struct pci_bar){.kind = PCI_BAR_MEMORY,
                                                       .size = rounded,
                                                       .name = "pci rom",
                                                       .device = device,
                                                       .read = rom_read,
                                                       .widest = 8};
    pci_add_register(device, PCI_ROM_BAR, 4, 0, ~(uint32_t)(rounded - 1) | ROM_ENABLE);
}

void pci_add_register(struct pci_device *device, unsigned offset, unsigned size, uint32_t reset,
                      uint32_t writable)
{
    assert(offset + size <= PCI_CONFIG_SIZE);
    for (unsigned i = offset; i < offset + size; i++, reset >>= 8, writable >>= 8) {
        device->reset[i] = device->config[i] = (uint8_t)reset;
        device->writable[i] = (uint8_t)writable;
    }
}

unsigned pci_add_capability(struct pci_device *device, uint8_t id, unsigned size)
{
    unsigned at = device->capabilities_end;
    pci_add_register(device, at, 1, id, 0);
    pci_add_register(device, at + 1, 1, pci_get(device, PCI_CAPABILITIES, 1), 0);
    pci_add_register(device, PCI_CAPABILITIES, 1, at, 0);
    pci_add_register(device, PCI_STATUS, 2, pci_get(device, PCI_STATUS, 2) | PCI_STATUS_CAPABILITIES, 0);
    device->capabilities_end = (at + size + 3) & ~3u;
    assert(device->capabilities_end <= PCI_CONFIG_SIZE);
    return at;
}

void pci_on_write(struct pci_device *device, void (*written)(void *opaque, unsigned first, unsigned last),
                  void *opaque)
{
    device->written = written;
    device->opaque = opaque;
}

void pci_on_read(struct pci_device *device, void (*reading)(void *opaque, unsigned first, unsigned last))
{
    device->reading = reading;
}

uint32_t pci_get(const struct pci_device *device, unsigned offset, unsigned size)
{
    uint32_t value = 0;
    assert(offset + size <= PCI_CONFIG_SIZE);
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)device->config[offset + i] << 8 * i;
    return value;
}

void pci_set(struct pci_device *device, unsigned offset, unsigned size, uint32_t value)
{
    assert(offset + size <= PCI_CONFIG_SIZE);
    for (unsigned i = 0; i < size; i++, value >>= 8)
        device->config[offset + i] = (uint8_t)value;
}

uint64_t pci_bar_address(const struct pci_device *device, unsigned index)
{
    assert(index < PCI_BARS);
    return device->decoders[index].address;
}

static struct decoder *decoder_with(struct pci_device *device, unsigned bar, uint64_t offset, unsigned size)
{
    if (bar >= PCI_BARS || offset > device->decoders[bar].bar.size ||
        size > device->decoders[bar].bar.size - offset)
        return NULL;
    return &device->decoders[bar];
}

bool pci_bar_read(struct pci_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t *value)
{
    struct decoder *decoder = decoder_with(device, bar, offset, size);
    if (decoder)
        *value = decoder_read(decoder, offset, size);
    return decoder;
}

bool pci_bar_write(struct pci_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t value)
{
    struct decoder *decoder = decoder_with(device, bar, offset, size);
    if (decoder)
        decoder_write(decoder, offset, size, value);
    return decoder;
}

/* ---- interrupts and bus mastering */

/* The usual swizzle of a PIIX board, which firmware and the ACPI tables assume: slot 1's INTA# is PIRQA#. */
static unsigned device_pirq(const struct pci_device *device)
{
    return (device->slot - 1 + device->config[PCI_INTERRUPT_PIN] - 1) & (PCI_PIRQS - 1);
}

void pci_interrupt(struct pci_device *device, bool level)
{
    struct pci_bus *bus = device->bus;
    unsigned pirq = device_pirq(device);
    if (device->interrupt == level)
        return;
    assert(device->config[PCI_INTERRUPT_PIN]);
    device->interrupt = level;
    bus->pirq_count[pirq] += level ? 1 : -1;
    irq_set(&bus->pirq[pirq], bus->pirq_count[pirq] > 0);
}

void pci_route(struct pci_bus *bus, unsigned pirq, const struct irq_line *line)
{
    assert(pirq < PCI_PIRQS);
    bus->pirq[pirq] = *line;
}

static bool device_is_master(const struct pci_device *device)
{
    return pci_get(device, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

struct memory *pci_memory(const struct pci_device *device)
{
    return device_is_master(device) ? device->bus->memory : NULL;
}

bool pci_dma_read(struct pci_device *device, uint64_t address, void *to, uint64_t size)
{
    if (device_is_master(device))
        return memory_read(device->bus->memory, address, to, size);
    memset(to, 0xff, size);
    return false;
}

bool pci_dma_write(struct pci_device *device, uint64_t address, const void *from, uint64_t size)
{
    return device_is_master(device) && memory_write(device->bus->memory, address, from, size);
}

struct scatter *pci_dma_scatter(struct pci_device *device, unsigned most)
{
    return scatter_create(device->bus->memory, most);
}

bool pci_dma_add(struct pci_device *device, struct scatter *scatter, uint64_t address, uint64_t size)
{
    return device_is_master(device) && scatter_add(scatter, address, size);
}

void pci_claim_reset_control(struct pci_bus *bus, void *device, bus_read_function *read,
                             bus_write_function *write)
{
    bus->reset_control = device;
    bus->reset_control_read = read;
    bus->reset_control_write = write;
}

/* ---- info pci */

static void print_decoder(const struct pci_device *device, unsigned index, FILE *out)
{
    const struct decoder *decoder = &device->decoders[index];
    uint64_t last =
        decoder->address == PCI_UNMAPPED ? decoder->bar.size - 2 : decoder->address + decoder->bar.size - 1;
    if (!decoder->bar.size)
        return;
    if (decoder->bar.kind == PCI_BAR_PORTS)
        fprintf(out, "      BAR%u: I/O at 0x%04llx [0x%04llx].\n", index,
                (unsigned long long)decoder->address, (unsigned long long)last);
    else
        fprintf(out, "      BAR%u: 32 bit %smemory at 0x%08llx [0x%08llx].\n", index,
                decoder->bar.kind == PCI_BAR_PREFETCHABLE ? "prefetchable " : "",
                (unsigned long long)decoder->address, (unsigned long long)last);
}

void pci_print(struct pci_bus *bus, FILE *out)
{
    for (unsigned i = 0; i < PCI_FUNCTIONS_MOST; i++) {
        const struct pci_device *device = bus->functions[i];
        if (!device)
            continue;
        fprintf(out, "  Bus  0, device %3u, function %u:\n", device->slot, device->function);
        fprintf(out, "    %s: PCI device %04x:%04x\n", device->name, pci_get(device, PCI_VENDOR_ID, 2),
                pci_get(device, PCI_DEVICE_ID, 2));
        fprintf(out, "      PCI subsystem %04x:%04x\n", pci_get(device, PCI_SUBSYSTEM_VENDOR_ID, 2),
                pci_get(device, PCI_SUBSYSTEM_ID, 2));
        if (device->config[PCI_INTERRUPT_PIN])
            fprintf(out, "      IRQ %u, pin %c\n", device->config[PCI_INTERRUPT_LINE],
                    'A' + device->config[PCI_INTERRUPT_PIN] - 1);
        for (unsigned index = 0; index < PCI_DECODERS; index++)
            print_decoder(device, index, out);
        fprintf(out, "      id \"\"\n");
    }
}

/*
 * PCI bus 0 behind configuration mechanism 1, and what every function on it shares: the configuration header, base
 * address registers that the guest moves about, the expansion ROM, the interrupt pins.
 */
#ifndef DEVICES_PCI_H
#define DEVICES_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/bus.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/message.h"
#include "core/scatter.h"

/* The configuration header (PCI Local Bus Specification 2.2, chapter 6 and appendix D). */
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS_CODE = 0x09, /* interface, subclass, class */
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_LATENCY_TIMER = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_BAR = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_CAPABILITY_FIRST = 0x40, /* where the ones of a device begin */
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
    PCI_CONFIG_SIZE = 256,
};

enum pci_command {
    PCI_COMMAND_IO = 1 << 0,
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_MASTER = 1 << 2,
    PCI_COMMAND_PARITY = 1 << 6,
    PCI_COMMAND_SERR = 1 << 8,
};

enum pci_status { PCI_STATUS_CAPABILITIES = 1 << 4 };
enum pci_capability { PCI_CAPABILITY_VENDOR = 0x09, PCI_CAPABILITY_MSIX = 0x11 };

enum { PCI_BARS = 6, PCI_PIRQS = 4, PCI_SLOTS = 32, PCI_FUNCTIONS = 8 };
#define PCI_UNMAPPED UINT64_MAX

struct pci_bus;
struct pci_device;

/* What a function says of itself. */
struct pci_identity {
    const char *name; /* "IDE controller"; for `info pci` */
    uint16_t vendor, device;
    uint32_t class_code; /* class << 16 | subclass << 8 | interface */
    uint8_t revision;
    bool multifunction; /* needed in function 0 of a slot that has others */
    uint16_t subsystem_vendor, subsystem;
    uint8_t interrupt_pin; /* 0 none, 1 INTA to 4 INTD */
};

enum pci_bar_kind { PCI_BAR_PORTS, PCI_BAR_MEMORY, PCI_BAR_PREFETCHABLE };

/* A range that the guest places. Size: a power of two, ports at least 4, memory at least 16 bytes, with
 * `host` at least 4096. */
struct pci_bar {
    enum pci_bar_kind kind;
    uint64_t size;
    const char *name;
    void *device;
    bus_read_function *read; /* offsets count from the start of the range */
    bus_write_function *write;
    unsigned widest;
    /* Instead of read and write: plain memory (video RAM), mapped where the guest puts it unless memory is there. */
    uint8_t *host;
    /* Called when the range has moved; PCI_UNMAPPED: it is decoded nowhere. May be NULL. */
    void (*moved)(void *device, uint64_t address);
};

struct pci_bus *pci_create(struct bus *ports, struct bus *mmio, struct memory *memory);
void pci_destroy(struct pci_bus *bus); /* with its devices' headers; the devices' own structs are theirs */
/* Every function back to the state after RST#: BARs unmapped, decoding off. The chips' own resets follow. */
void pci_reset(struct pci_bus *bus);
/* `info pci`. */
void pci_print(struct pci_bus *bus, FILE *out);
bool pci_is_free(const struct pci_bus *bus, unsigned slot, unsigned function);

/* Adds a function; the slot (0 to 31) and function (0 to 7) are free. The bus owns the result. */
struct pci_device *pci_add(struct pci_bus *bus, unsigned slot, unsigned function,
                           const struct pci_identity *identity);
void pci_add_bar(struct pci_device *device, unsigned index, const struct pci_bar *bar);
/* The image is copied, its size rounded up to a power of two. */
void pci_add_rom(struct pci_device *device, const uint8_t *image, size_t size);

/* Of any register: its value after reset and which of its bits the guest can write, `size` 1, 2, 4. */
void pci_add_register(struct pci_device *device, unsigned offset, unsigned size, uint32_t reset,
                      uint32_t writable);
/* A capability of `size` bytes (its header of 2 included) at the head of the list. Answers its offset; what follows the
 * header is set by pci_add_register(). */
unsigned pci_add_capability(struct pci_device *device, uint8_t id, unsigned size);
/* Called after the guest has written configuration bytes first to last, with what stands there now. */
void pci_on_write(struct pci_device *device, void (*written)(void *opaque, unsigned first, unsigned last),
                  void *opaque);

/* Called before the guest reads these configuration bytes. */
void pci_on_read(struct pci_device *device, void (*reading)(void *opaque, unsigned first, unsigned last));

uint32_t pci_get(const struct pci_device *device, unsigned offset, unsigned size);
void pci_set(struct pci_device *device, unsigned offset, unsigned size,
             uint32_t value); /* not a guest write */
/* Where a BAR is decoded now, or PCI_UNMAPPED. */
uint64_t pci_bar_address(const struct pci_device *device, unsigned index);

/* Drives the function's interrupt pin. */
void pci_interrupt(struct pci_device *device, bool level);
/* Where PIRQA# to PIRQD# go: the ISA bridge's inputs. */
void pci_route(struct pci_bus *bus, unsigned pirq, const struct irq_line *line);

/*
 * Message-signalled interrupts. Where messages can be sent, a function may have MSI-X: a table of `vectors` (1 to 2048)
 * entries and the bits of those pending, in a memory BAR that this adds. Where none can, it answers false and adds nothing.
 */
void pci_on_message(struct pci_bus *bus, message_function *send, void *opaque);
bool pci_add_msix(struct pci_device *device, unsigned bar, unsigned vectors);
/* The guest has switched MSI-X on: the function's interrupt pin is to stay low. */
bool pci_msix_enabled(const struct pci_device *device);
/* Sends the message of this vector, or notes it as pending if it is masked. A vector that is not there is none. */
void pci_signal(struct pci_device *device, unsigned vector);

/* The memory that the function reaches as bus master, or NULL while bus mastering is off. */
struct memory *pci_memory(const struct pci_device *device);
/* A guest's access to where a BAR lies, whether it is decoded or not. False beyond its end. */
bool pci_bar_read(struct pci_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t *value);
bool pci_bar_write(struct pci_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t value);

/* Bus mastering: false (reads: as ones) if it is off or not all of it is memory. */
bool pci_dma_read(struct pci_device *device, uint64_t address, void *to, uint64_t size);
bool pci_dma_write(struct pci_device *device, uint64_t address, const void *from, uint64_t size);

/* For I/O that goes on by itself: a list of `most` pieces of memory, and scatter_add() for bus masters. */
struct scatter *pci_dma_scatter(struct pci_device *device, unsigned most);
bool pci_dma_add(struct pci_device *device, struct scatter *scatter, uint64_t address, uint64_t size);

/* Port CF9h lies inside the address register, which takes double words alone: the ISA bridge claims it here. */
void pci_claim_reset_control(struct pci_bus *bus, void *device, bus_read_function *read,
                             bus_write_function *write);

#endif

/*
 * Intel 82540EM: registers, interrupts, reset, the PCI function. The rings are in e1000-transmit.c and e1000-receive.c,
 * EEPROM and PHY in e1000-phy.c.
 *
 * Left out: wake-up and management (their registers hold what is written), flow control frames, the delays RDTR, RADV,
 * TIDV and TADV (an interrupt comes at once; ITR spaces them out), FIFO and diagnostic access, the flash memory, speeds
 * other than 1000 Mb/s.
 * Source: Intel PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453), revision 4.0.
 */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/e1000-state.h"

enum {
    BAR_REGISTERS = 0,
    BAR_IO = 1,
    REGISTERS_BAR_SIZE = 128 * 1024,
    IO_BAR_SIZE = 64,
    IO_ADDRESS = 0,
    IO_DATA = 4,
    RING_LENGTH_WRITABLE = 0xfff80,
    ITR_NANOSECONDS = 256,
    POINTER = 0xffff,
};

/* ---- registers that only hold what is written */

static const struct holder {
    uint16_t first, last;
    uint32_t writable, reset;
} holders[] = {
    {REG_CTRL_EXT, REG_CTRL_EXT, 0x00c0ffff, 0},
    {REG_FCAL, REG_FCAH, 0xffffffff, 0},
    {REG_FCT, REG_FCT, 0xffff, 0},
    {REG_VET, REG_VET, 0xffff, 0x8100},
    {REG_FCTTV, REG_FCTTV, 0xffff, 0},
    {REG_TXCW, REG_TXCW, 0xc000ffff, 0},
    {REG_TIPG, REG_TIPG, 0x3fffffff, 0x00602008},
    {REG_AIT, REG_AIT, 0xffff, 0},
    {REG_LEDCTL, REG_LEDCTL, 0xcfcfcfcf, 0x07068302},
    {REG_PBA, REG_PBA, 0xffff, 0x00100030},
    {REG_FCRTL, REG_FCRTL, 0x8000fff8, 0},
    {REG_FCRTH, REG_FCRTH, 0xfff8, 0},
    {REG_RDFH, REG_RDFPC, 0x1fff, 0},
    {REG_RDBAL, REG_RDBAL, 0xfffffff0, 0},
    {REG_RDBAH, REG_RDBAH, 0xffffffff, 0},
    {REG_RDLEN, REG_RDLEN, RING_LENGTH_WRITABLE, 0},
    {REG_RDH, REG_RDH, POINTER, 0},
    {REG_RDTR, REG_RDTR, 0xffff, 0},
    {REG_RXDCTL, REG_RXDCTL, 0x013f3f3f, 0x00010000},
    {REG_RADV, REG_RADV, 0xffff, 0},
    {REG_RSRPD, REG_RSRPD, 0xfff, 0},
    {REG_TXDMAC, REG_TXDMAC, 1, 0},
    {REG_TDFH, REG_TDFPC, 0x7ff, 0},
    {REG_TDBAL, REG_TDBAL, 0xfffffff0, 0},
    {REG_TDBAH, REG_TDBAH, 0xffffffff, 0},
    {REG_TDLEN, REG_TDLEN, RING_LENGTH_WRITABLE, 0},
    {REG_TDH, REG_TDH, POINTER, 0},
    {REG_TIDV, REG_TIDV, 0xffff, 0},
    {REG_TXDCTL, REG_TXDCTL, 0xff3f3f3f, 0},
    {REG_TADV, REG_TADV, 0xffff, 0},
    {REG_TSPMT, REG_TSPMT, 0xffffffff, 0},
    {REG_RXCSUM, REG_RXCSUM, 0x7ff, 0},
    {REG_MTA, REG_MTA + 127 * 4, 0xffffffff, 0},
    {REG_RAL, REG_RAL + 31 * 4, 0xffffffff, 0},
    {REG_VFTA, REG_VFTA + 127 * 4, 0xffffffff, 0},
    {REG_WUC, REG_WAKEUP_END - 4, 0xffffffff, 0},
};
enum { HOLDERS = sizeof(holders) / sizeof(holders[0]) };

static void holder_write(struct e1000 *card, unsigned offset, uint32_t value)
{
    for (unsigned i = 0; i < HOLDERS; i++)
        if (offset >= holders[i].first && offset <= holders[i].last)
            *e1000_register(card, offset) = value & holders[i].writable;
}

static void holders_reset(struct e1000 *card)
{
    for (unsigned i = 0; i < HOLDERS; i++)
        for (unsigned offset = holders[i].first; offset <= holders[i].last; offset += 4)
            *e1000_register(card, offset) = holders[i].reset;
}

/* ---- interrupts */

/* ICR and IMS as the interrupt pin; ITR keeps it low until its time after the last interrupt has gone by. */
static void line_update(struct e1000 *card)
{
    bool wanted = *e1000_register(card, REG_ICR) & *e1000_register(card, REG_IMS);
    if (wanted && !card->line) {
        uint64_t now = clock_now(card->clock);
        if (now < card->interrupt_after) {
            timer_arm(card->throttle, card->interrupt_after);
            return;
        }
        card->interrupt_after = now + (uint64_t)*e1000_register(card, REG_ITR) * ITR_NANOSECONDS;
    }
    card->line = wanted;
    pci_interrupt(card->pci, wanted);
}

static void throttle_over(void *opaque)
{
    line_update(opaque);
}

void e1000_raise(struct e1000 *card, uint32_t causes)
{
    *e1000_register(card, REG_ICR) |= causes;
    line_update(card);
}

static uint32_t icr_read(struct e1000 *card)
{
    uint32_t value = *e1000_register(card, REG_ICR);
    *e1000_register(card, REG_ICR) = 0;
    line_update(card);
    return value;
}

static void bits_change(struct e1000 *card, unsigned offset, uint32_t set, uint32_t clear)
{
    *e1000_register(card, offset) = (*e1000_register(card, offset) | set) & ~clear;
    line_update(card);
}

/* ---- what the parts share */

bool e1000_has_link(const struct e1000 *card)
{
    return card->port && !card->port->link_down;
}

void e1000_count(struct e1000 *card, unsigned offset, uint64_t count)
{
    uint32_t *value = e1000_register(card, offset);
    *value =
        count > UINT32_MAX - *value ? UINT32_MAX : *value + (uint32_t)count; /* they stay at their greatest */
}

void e1000_count_bytes(struct e1000 *card, unsigned offset, uint64_t count)
{
    uint32_t *value = e1000_register(card, offset);
    uint64_t sum = (value[0] | (uint64_t)value[1] << 32) + count;
    value[0] = (uint32_t)sum;
    value[1] = (uint32_t)(sum >> 32);
}

uint64_t e1000_ring(struct e1000 *card, unsigned base_register, unsigned *count)
{
    const uint32_t *ring = e1000_register(card, base_register); /* base low, high, length */
    *count = ring[2] / DESCRIPTOR_SIZE;
    return ring[0] | (uint64_t)ring[1] << 32;
}

/* ---- reset */

/* CTRL.RST and power-on: all but the PCI header and the PHY. */
static void card_reset(struct e1000 *card)
{
    uint32_t *ra = e1000_register(card, REG_RAL);
    memset(e1000_register(card, REG_STATISTICS), 0, REG_STATISTICS_END - REG_STATISTICS);
    holders_reset(card);
    *e1000_register(card, REG_CTRL) = CTRL_FD | CTRL_ASDE | CTRL_SLU | CTRL_SPEED_1000;
    *e1000_register(card, REG_RCTL) = 0;
    *e1000_register(card, REG_TCTL) = 0;
    *e1000_register(card, REG_RDT) = 0;
    *e1000_register(card, REG_TDT) = 0;
    *e1000_register(card, REG_ICR) = 0;
    *e1000_register(card, REG_IMS) = 0;
    *e1000_register(card, REG_ITR) = 0;
    *e1000_register(card, REG_EERD) = 0;
    *e1000_register(card, REG_MDIC) = 0;
    ra[0] =
        card->address[0] | card->address[1] << 8 | card->address[2] << 16 | (uint32_t)card->address[3] << 24;
    ra[1] = card->address[4] | card->address[5] << 8 | RAH_AV;
    e1000_eecd_write(card, 0);
    e1000_transmit_reset(card);
    card->interrupt_after = 0;
    timer_disarm(card->throttle);
    timer_disarm(card->transmit_timer);
    line_update(card);
}

void e1000_reset(struct e1000 *card)
{
    card->io_address = 0;
    card->phy_link_lost = false;
    e1000_phy_reset(card);
    card_reset(card);
}

/* ---- register access */

static void receive_changed(struct e1000 *card)
{
    if (*e1000_register(card, REG_RCTL) & RCTL_EN)
        net_drained(card->port);
}

static uint32_t register_read(struct e1000 *card, unsigned offset)
{
    if (offset >= REG_STATISTICS && offset < REG_STATISTICS_END) {
        uint32_t value = *e1000_register(card, offset);
        *e1000_register(card, offset) = 0;
        return value;
    }
    switch (offset) {
    case REG_STATUS:
        return STATUS_FD | STATUS_SPEED_1000 | STATUS_ASDV_1000 | (e1000_has_link(card) ? STATUS_LU : 0);
    case REG_EECD: return e1000_eecd_read(card);
    case REG_ICR: return icr_read(card);
    case REG_ICS:
    case REG_IMC: return 0; /* write only */
    default: return offset < REGISTERS_SIZE ? *e1000_register(card, offset) : 0;
    }
}

static void register_write(struct e1000 *card, unsigned offset, uint32_t value)
{
    switch (offset) {
    case REG_CTRL:
        if (value & CTRL_RST)
            card_reset(card);
        else
            *e1000_register(card, REG_CTRL) = value;
        return;
    case REG_EECD: e1000_eecd_write(card, value); return;
    case REG_EERD: *e1000_register(card, REG_EERD) = e1000_eerd(card, value); return;
    case REG_MDIC: e1000_mdic_write(card, value); return;
    case REG_ICR: bits_change(card, REG_ICR, 0, value); return;
    case REG_ICS: e1000_raise(card, value & ICR_ALL); return;
    case REG_IMS: bits_change(card, REG_IMS, value & ICR_ALL, 0); return;
    case REG_IMC: bits_change(card, REG_IMS, 0, value); return;
    case REG_ITR:
        *e1000_register(card, REG_ITR) = value & 0xffff;
        card->interrupt_after = 0;
        line_update(card);
        return;
    case REG_RCTL:
        *e1000_register(card, REG_RCTL) = value & RCTL_WRITABLE;
        receive_changed(card);
        return;
    case REG_RDT:
        *e1000_register(card, REG_RDT) = value & POINTER;
        receive_changed(card);
        return;
    case REG_TCTL:
        *e1000_register(card, REG_TCTL) = value & TCTL_WRITABLE;
        e1000_transmit(card);
        return;
    case REG_TDT:
        *e1000_register(card, REG_TDT) = value & POINTER;
        e1000_transmit(card);
        return;
    default: holder_write(card, offset, value); return;
    }
}

/* Registers are whole double words; a part of one reads as that part, and cannot be written. */
static uint64_t registers_read(void *opaque, uint64_t offset, unsigned size)
{
    (void)size;
    return register_read(opaque, offset & ~3u) >> 8 * (offset & 3);
}

static void registers_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (size == 4 && !(offset & 3))
        register_write(opaque, (unsigned)offset, (uint32_t)value);
    else
        log_guest(LOG_GUEST_ERROR, "e1000: write of %u bytes at %#llx", size, (unsigned long long)offset);
}

/* IOADDR says which register IODATA is (13.2.2). */
static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    struct e1000 *card = opaque;
    if (size != 4)
        return UINT64_MAX;
    if (offset == IO_ADDRESS)
        return card->io_address;
    return offset == IO_DATA ? register_read(card, card->io_address) : 0;
}

static void io_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct e1000 *card = opaque;
    if (size != 4)
        return;
    if (offset == IO_ADDRESS)
        card->io_address = (uint32_t)value & (REGISTERS_BAR_SIZE - 1) & ~3u;
    else if (offset == IO_DATA)
        register_write(card, card->io_address, (uint32_t)value);
}

/* ---- creation */

static void link_changed(void *opaque)
{
    struct e1000 *card = opaque;
    card->phy_link_lost = true;
    e1000_raise(card, ICR_LSC);
}

static void port_join(struct e1000 *card)
{
    struct net_card end = {.receive = e1000_receive, .link_changed = link_changed, .card = card};
    const uint8_t *at = card->address;
    snprintf(end.name, sizeof(end.name), "%s", card->name);
    snprintf(end.text, sizeof(end.text), "model=e1000,macaddr=%02x:%02x:%02x:%02x:%02x:%02x", at[0], at[1],
             at[2], at[3], at[4], at[5]);
    net_attach(card->port, &end);
}

struct e1000 *e1000_create(const struct e1000_wiring *wiring)
{
    struct pci_identity identity = {.name = "Ethernet controller",
                                    .vendor = 0x8086,
                                    .device = 0x100e,
                                    .class_code = 0x020000,
                                    .revision = 3,
                                    .subsystem_vendor = 0x1af4,
                                    .subsystem = 0x1100,
                                    .multifunction = wiring->multifunction,
                                    .interrupt_pin = 1};
    struct e1000 *card = allocate(sizeof(*card));
    struct pci_bar registers = {.kind = PCI_BAR_MEMORY,
                                .size = REGISTERS_BAR_SIZE,
                                .name = "e1000",
                                .device = card,
                                .read = registers_read,
                                .write = registers_write,
                                .widest = 4};
    struct pci_bar io = {.kind = PCI_BAR_PORTS,
                         .size = IO_BAR_SIZE,
                         .name = "e1000",
                         .device = card,
                         .read = io_read,
                         .write = io_write,
                         .widest = 4};

    card->clock = wiring->clock;
    card->port = wiring->port;
    snprintf(card->name, sizeof(card->name), "%s", wiring->name);
    memcpy(card->address, wiring->address, sizeof(card->address));
    e1000_eeprom_fill(&card->eeprom, card->address);
    card->throttle = timer_create_on(card->clock, throttle_over, card);
    card->transmit_timer = timer_create_on(card->clock, e1000_transmit, card);
    card->pci = pci_add(wiring->pci, wiring->slot, wiring->function, &identity);
    pci_add_bar(card->pci, BAR_REGISTERS, &registers);
    pci_add_bar(card->pci, BAR_IO, &io);
    if (wiring->rom)
        pci_add_rom(card->pci, wiring->rom, wiring->rom_size);
    e1000_reset(card);
    port_join(card);
    return card;
}

void e1000_destroy(struct e1000 *card)
{
    net_attach(card->port, NULL);
    timer_destroy(card->throttle);
    timer_destroy(card->transmit_timer);
    free(card);
}

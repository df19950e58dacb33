/* The parts of the 82540EM, for devices/e1000*.c alone. Manual: see e1000.c. */
#ifndef DEVICES_E1000_STATE_H
#define DEVICES_E1000_STATE_H

#include "devices/e1000.h"

/* Registers, by their offset (chapter 13). */
enum {
    REG_CTRL = 0x0000,
    REG_STATUS = 0x0008,
    REG_EECD = 0x0010,
    REG_EERD = 0x0014,
    REG_CTRL_EXT = 0x0018,
    REG_MDIC = 0x0020,
    REG_FCAL = 0x0028,
    REG_FCAH = 0x002c,
    REG_FCT = 0x0030,
    REG_VET = 0x0038,
    REG_ICR = 0x00c0,
    REG_ITR = 0x00c4,
    REG_ICS = 0x00c8,
    REG_IMS = 0x00d0,
    REG_IMC = 0x00d8,
    REG_RCTL = 0x0100,
    REG_FCTTV = 0x0170,
    REG_TXCW = 0x0178,
    REG_RXCW = 0x0180,
    REG_TCTL = 0x0400,
    REG_TIPG = 0x0410,
    REG_AIT = 0x0458,
    REG_LEDCTL = 0x0e00,
    REG_PBA = 0x1000,
    REG_FCRTL = 0x2160,
    REG_FCRTH = 0x2168,
    REG_RDFH = 0x2410,
    REG_RDFPC = 0x2430,
    REG_RDBAL = 0x2800,
    REG_RDBAH = 0x2804,
    REG_RDLEN = 0x2808,
    REG_RDH = 0x2810,
    REG_RDT = 0x2818,
    REG_RDTR = 0x2820,
    REG_RXDCTL = 0x2828,
    REG_RADV = 0x282c,
    REG_RSRPD = 0x2c00,
    REG_TXDMAC = 0x3000,
    REG_TDFH = 0x3410,
    REG_TDFPC = 0x3430,
    REG_TDBAL = 0x3800,
    REG_TDBAH = 0x3804,
    REG_TDLEN = 0x3808,
    REG_TDH = 0x3810,
    REG_TDT = 0x3818,
    REG_TIDV = 0x3820,
    REG_TXDCTL = 0x3828,
    REG_TADV = 0x382c,
    REG_TSPMT = 0x3830,
    REG_STATISTICS = 0x4000, /* each is cleared when it is read */
    REG_MPC = 0x4010,
    REG_PRC64 = 0x405c, /* frames of up to 64, 127, 255, 511, 1023 and more bytes */
    REG_GPRC = 0x4074,
    REG_BPRC = 0x4078,
    REG_MPRC = 0x407c,
    REG_GPTC = 0x4080,
    REG_GORCL = 0x4088,
    REG_GOTCL = 0x4090,
    REG_ROC = 0x40ac,
    REG_TORL = 0x40c0,
    REG_TOTL = 0x40c8,
    REG_TPR = 0x40d0,
    REG_TPT = 0x40d4,
    REG_PTC64 = 0x40d8,
    REG_MPTC = 0x40f0,
    REG_BPTC = 0x40f4,
    REG_TSCTC = 0x40f8,
    REG_STATISTICS_END = 0x4100,
    REG_RXCSUM = 0x5000,
    REG_MTA = 0x5200,
    REG_RAL = 0x5400, /* 16 pairs with RAH */
    REG_VFTA = 0x5600,
    REG_WUC = 0x5800,
    REG_WAKEUP_END = 0x5a00,
    REGISTERS_SIZE = 0x6000,
};

enum {
    CTRL_FD = 1 << 0,
    CTRL_ASDE = 1 << 5,
    CTRL_SLU = 1 << 6,
    CTRL_SPEED_1000 = 2 << 8,
    CTRL_RST = 1 << 26,
    CTRL_VME = 1 << 30,

    STATUS_FD = 1 << 0,
    STATUS_LU = 1 << 1,
    STATUS_SPEED_1000 = 2 << 6,
    STATUS_ASDV_1000 = 2 << 8,

    ICR_TXDW = 1 << 0,
    ICR_TXQE = 1 << 1,
    ICR_LSC = 1 << 2,
    ICR_RXDMT0 = 1 << 4,
    ICR_RXO = 1 << 6,
    ICR_RXT0 = 1 << 7,
    ICR_MDAC = 1 << 9,
    ICR_ALL = 0x1f6df,

    RCTL_EN = 1 << 1,
    RCTL_UPE = 1 << 3,
    RCTL_MPE = 1 << 4,
    RCTL_LPE = 1 << 5,
    RCTL_LBM = 3 << 6,
    RCTL_RDMTS_SHIFT = 8,
    RCTL_MO_SHIFT = 12,
    RCTL_BAM = 1 << 15,
    RCTL_BSIZE_SHIFT = 16,
    RCTL_VFE = 1 << 18,
    RCTL_CFIEN = 1 << 19,
    RCTL_CFI = 1 << 20,
    RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26,
    RCTL_WRITABLE = 0x06dfb3fe,

    TCTL_EN = 1 << 1,
    TCTL_WRITABLE = 0x037ffffa,

    RXCSUM_PCSS = 0xff,
    RXCSUM_IPOFL = 1 << 8,
    RXCSUM_TUOFL = 1 << 9,

    DESCRIPTOR_SIZE = 16,
    VLAN_TAG_SIZE = 4,
    VLAN_TAG_AT = 12, /* behind the two addresses */
    FRAME_JUMBO = 16288 - 4,
};
#define RAH_AV 0x80000000u

enum { EEPROM_WORDS = 64, PHY_REGISTERS = 32 };

/* The serial EEPROM's side of EECD's wires. */
struct e1000_eeprom {
    uint16_t words[EEPROM_WORDS];
    bool selected, clock;
    unsigned bits;  /* clocked in since it was selected */
    uint32_t shift; /* the last of them */
    bool reading;
    unsigned position; /* of the bit that goes out next */
    bool output;
};

/* A context descriptor (3.3.6): where the checksums go, how to cut. */
struct e1000_context {
    uint8_t ip_start, ip_offset, transport_start, transport_offset, header_length;
    uint16_t ip_end, transport_end, segment_size;
    bool ipv4, tcp;
};

/* The frame that descriptors are being gathered for. */
struct e1000_gather {
    bool begun, overrun;
    bool segments; /* of the first descriptor: TSE, POPTS, VLE and the tag */
    uint8_t options;
    bool tagged;
    uint16_t tag;
    size_t size;
    uint8_t room[VLAN_TAG_SIZE]; /* a tag moves the addresses down into this */
    uint8_t frame[NET_FRAME_MOST];
};

struct e1000 {
    struct pci_device *pci;
    struct clock *clock;
    struct net_port *port;
    char name[40];
    uint8_t address[NET_ADDRESS_SIZE];
    uint32_t registers[REGISTERS_SIZE / 4];
    uint32_t io_address;
    struct e1000_eeprom eeprom;
    uint16_t phy[PHY_REGISTERS];
    bool phy_link_lost; /* MII status keeps a lost link until it is read */

    struct timer *throttle; /* lets the interrupt through when ITR has gone by */
    uint64_t interrupt_after;
    bool line;

    struct timer *transmit_timer; /* goes on where a doorbell's work ended */
    struct e1000_context context, segment_context;
    struct e1000_gather gather;
};

static inline uint32_t *e1000_register(struct e1000 *card, unsigned offset)
{
    return &card->registers[offset / 4];
}

/* e1000.c */
void e1000_raise(struct e1000 *card, uint32_t causes);
bool e1000_has_link(const struct e1000 *card);
void e1000_count(struct e1000 *card, unsigned offset, uint64_t count);
/* Of 64 bits, in two registers. */
void e1000_count_bytes(struct e1000 *card, unsigned offset, uint64_t count);
/* Address of a ring and its number of descriptors. */
uint64_t e1000_ring(struct e1000 *card, unsigned base_register, unsigned *count);

/* e1000-phy.c */
void e1000_eeprom_fill(struct e1000_eeprom *eeprom, const uint8_t address[NET_ADDRESS_SIZE]);
uint32_t e1000_eecd_read(const struct e1000 *card);
void e1000_eecd_write(struct e1000 *card, uint32_t value);
uint32_t e1000_eerd(const struct e1000 *card, uint32_t value);
void e1000_phy_reset(struct e1000 *card);
void e1000_mdic_write(struct e1000 *card, uint32_t value);
bool e1000_phy_loops(const struct e1000 *card);

/* e1000-transmit.c */
void e1000_transmit(void *card);
void e1000_transmit_reset(struct e1000 *card);

/* e1000-receive.c */
bool e1000_receive(void *card, const uint8_t *frame, size_t size, const struct net_offload *offload);

#endif

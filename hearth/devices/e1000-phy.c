/*
 * The 82540EM's EEPROM and its PHY. Manual: chapter 5 (EEPROM), 13.4.3, 13.4.4 (EECD, EERD), 13.4.6 (MDIC), 13.5 (PHY);
 * the EEPROM itself is a Microwire 93C46.
 *
 * Left out: writing to the EEPROM; negotiation takes no time.
 */
#include "devices/e1000-state.h"

#include <string.h>

/* ---- EEPROM */

enum {
    EECD_SK = 1 << 0,
    EECD_CS = 1 << 1,
    EECD_DI = 1 << 2,
    EECD_DO = 1 << 3,
    EECD_FWE = 3 << 4,
    EECD_REQ = 1 << 6,
    EECD_GNT = 1 << 7,
    EECD_PRESENT = 1 << 8,
    EECD_WRITABLE = EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ,

    EERD_START = 1 << 0,
    EERD_DONE = 1 << 4,
    EERD_ADDRESS_SHIFT = 8,
    EERD_DATA_SHIFT = 16,

    MICROWIRE_BITS = 9, /* start bit, opcode of 2, address of 6 */
    MICROWIRE_READ = 6, /* with the start bit */
    MICROWIRE_ADDRESS_BITS = 6,

    WORD_CONTROL_1 = 0x0a,
    WORD_SUBSYSTEM = 0x0b,
    WORD_SUBSYSTEM_VENDOR = 0x0c,
    WORD_DEVICE = 0x0d,
    WORD_VENDOR = 0x0e,
    WORD_CHECKSUM = 0x3f,
    CONTROL_1_SIGNATURE = 1 << 14,
    CHECKSUM = 0xbaba, /* of all words */
};

void e1000_eeprom_fill(struct e1000_eeprom *eeprom, const uint8_t address[NET_ADDRESS_SIZE])
{
    uint16_t sum = 0;
    memset(eeprom, 0, sizeof(*eeprom));
    for (unsigned i = 0; i < NET_ADDRESS_SIZE / 2; i++)
        eeprom->words[i] = (uint16_t)(address[2 * i] | address[2 * i + 1] << 8);
    eeprom->words[WORD_CONTROL_1] = CONTROL_1_SIGNATURE;
    eeprom->words[WORD_SUBSYSTEM] = 0x1100;
    eeprom->words[WORD_SUBSYSTEM_VENDOR] = 0x1af4;
    eeprom->words[WORD_DEVICE] = 0x100e;
    eeprom->words[WORD_VENDOR] = 0x8086;
    for (unsigned i = 0; i < WORD_CHECKSUM; i++)
        sum = (uint16_t)(sum + eeprom->words[i]);
    eeprom->words[WORD_CHECKSUM] = (uint16_t)(CHECKSUM - sum);
}

/* The bit that comes out at a rising clock: the most significant of a word first, and the next word after that. */
static bool eeprom_shift_out(struct e1000_eeprom *eeprom)
{
    unsigned word = eeprom->position / 16 % EEPROM_WORDS, bit = 15 - eeprom->position % 16;
    eeprom->position = (eeprom->position + 1) % (16 * EEPROM_WORDS);
    return eeprom->words[word] >> bit & 1;
}

static void eeprom_clock_rises(struct e1000_eeprom *eeprom, bool input)
{
    if (eeprom->reading) {
        eeprom->output = eeprom_shift_out(eeprom);
        return;
    }
    if (!eeprom->bits && !input)
        return; /* the start bit is a one */
    eeprom->shift = eeprom->shift << 1 | input;
    if (++eeprom->bits < MICROWIRE_BITS)
        return;
    eeprom->reading = eeprom->shift >> MICROWIRE_ADDRESS_BITS == MICROWIRE_READ;
    eeprom->position = eeprom->shift % EEPROM_WORDS * 16;
    eeprom->output = !eeprom->reading; /* a zero precedes the data; anything else is done already */
    eeprom->bits = 0;
    eeprom->shift = 0;
}

uint32_t e1000_eecd_read(const struct e1000 *card)
{
    uint32_t value = card->registers[REG_EECD / 4];
    return value | EECD_PRESENT | (value & EECD_REQ ? EECD_GNT : 0) | (card->eeprom.output ? EECD_DO : 0);
}

void e1000_eecd_write(struct e1000 *card, uint32_t value)
{
    struct e1000_eeprom *eeprom = &card->eeprom;
    bool clock = value & EECD_SK, selected = value & EECD_CS;

    *e1000_register(card, REG_EECD) = value & EECD_WRITABLE;
    if (!selected || !eeprom->selected) {
        eeprom->bits = 0;
        eeprom->shift = 0;
        eeprom->reading = false;
        eeprom->output = true;
    }
    if (selected && clock && !eeprom->clock)
        eeprom_clock_rises(eeprom, value & EECD_DI);
    eeprom->selected = selected;
    eeprom->clock = clock;
}

uint32_t e1000_eerd(const struct e1000 *card, uint32_t value)
{
    unsigned word = value >> EERD_ADDRESS_SHIFT & 0xff;
    if (!(value & EERD_START))
        return value & 0xff00;
    return (value & 0xff00) | EERD_DONE |
           (uint32_t)(word < EEPROM_WORDS ? card->eeprom.words[word] : 0xffff) << EERD_DATA_SHIFT;
}

/* ---- PHY */

enum {
    PHY_CONTROL = 0,
    PHY_STATUS = 1,
    PHY_ID_1 = 2,
    PHY_ID_2 = 3,
    PHY_ADVERTISES = 4,
    PHY_PARTNER = 5,
    PHY_EXPANSION = 6,
    PHY_NEXT_PAGE = 7,
    PHY_1000_CONTROL = 9,
    PHY_1000_STATUS = 10,
    PHY_EXTENDED_STATUS = 15,
    PHY_SPECIFIC_CONTROL = 16,
    PHY_SPECIFIC_STATUS = 17,
    PHY_INTERRUPTS = 18,
    PHY_EXTENDED_CONTROL = 20,
    PHY_LED = 24,
    PHY_PAGE = 29,
    PHY_PAGED = 30,

    CONTROL_RESTART = 1 << 9,
    CONTROL_LOOPBACK = 1 << 14,
    CONTROL_RESET = 1 << 15,
    CONTROL_AFTER_RESET = 0x1140, /* negotiates, full duplex, 1000 Mb/s */

    STATUS_ABILITIES = 0x7949, /* 10 and 100 Mb/s, extended status, negotiation */
    STATUS_LINK = 1 << 2,
    STATUS_NEGOTIATED = 1 << 5,

    SPECIFIC_LINKED = 0xac00, /* 1000 Mb/s, full duplex, resolved, link */
    SPECIFIC_UNLINKED = 0x8000,
    PARTNER_ABILITIES = 0x4de1, /* acknowledges; all speeds, pause */
    PARTNER_1000 = 0x7c00,      /* full and half duplex, both receivers well */

    MDIC_DATA = 0xffff,
    MDIC_REGISTER_SHIFT = 16,
    MDIC_PHY_SHIFT = 21,
    MDIC_OPERATION_SHIFT = 26,
    MDIC_WRITE = 1,
    MDIC_READ = 2,
    MDIC_READY = 1 << 28,
    MDIC_INTERRUPT = 1 << 29,
    MDIC_ERROR = 1 << 30,
    MDIC_PHY = 1, /* the only one on the bus */
};

void e1000_phy_reset(struct e1000 *card)
{
    static const uint16_t values[PHY_REGISTERS] = {
        [PHY_CONTROL] = CONTROL_AFTER_RESET,
        [PHY_ID_1] = 0x0141, /* Marvell's Alaska, as in the 82540EM */
        [PHY_ID_2] = 0x0c20,
        [PHY_ADVERTISES] = 0x0de1,
        [PHY_EXPANSION] = 0x0004,
        [PHY_NEXT_PAGE] = 0x2001,
        [PHY_1000_CONTROL] = 0x0e00,
        [PHY_EXTENDED_STATUS] = 0x3000,
        [PHY_SPECIFIC_CONTROL] = 0x0360,
        [PHY_EXTENDED_CONTROL] = 0x0d60,
        [PHY_LED] = 0x4100,
    };
    memcpy(card->phy, values, sizeof(values));
}

bool e1000_phy_loops(const struct e1000 *card)
{
    return card->phy[PHY_CONTROL] & CONTROL_LOOPBACK;
}

static uint16_t phy_read(struct e1000 *card, unsigned number)
{
    bool link = e1000_has_link(card);
    uint16_t status;
    switch (number) {
    case PHY_STATUS:
        status = STATUS_ABILITIES | (link ? STATUS_NEGOTIATED : 0);
        if (link && !card->phy_link_lost)
            status |= STATUS_LINK;
        card->phy_link_lost = false;
        return status;
    case PHY_PARTNER: return link ? PARTNER_ABILITIES : 0;
    case PHY_1000_STATUS: return link ? PARTNER_1000 : 0;
    case PHY_SPECIFIC_STATUS: return link ? SPECIFIC_LINKED : SPECIFIC_UNLINKED;
    default: return card->phy[number];
    }
}

static void phy_write(struct e1000 *card, unsigned number, uint16_t value)
{
    switch (number) {
    case PHY_CONTROL:
        if (value & CONTROL_RESET) {
            e1000_phy_reset(card);
            return;
        }
        card->phy[PHY_CONTROL] = value & (uint16_t)~CONTROL_RESTART;
        if (value & CONTROL_RESTART && e1000_has_link(card))
            e1000_raise(card, ICR_LSC);
        return;
    case PHY_ADVERTISES:
    case PHY_NEXT_PAGE:
    case PHY_1000_CONTROL:
    case PHY_SPECIFIC_CONTROL:
    case PHY_INTERRUPTS:
    case PHY_EXTENDED_CONTROL:
    case PHY_LED:
    case PHY_PAGE:
    case PHY_PAGED: card->phy[number] = value; return;
    default: return;
    }
}

void e1000_mdic_write(struct e1000 *card, uint32_t value)
{
    unsigned number = value >> MDIC_REGISTER_SHIFT & 31, phy = value >> MDIC_PHY_SHIFT & 31;
    unsigned operation = value >> MDIC_OPERATION_SHIFT & 3;
    uint32_t result = (value & ~(uint32_t)MDIC_ERROR) | MDIC_READY;

    if (phy != MDIC_PHY || (operation != MDIC_READ && operation != MDIC_WRITE))
        result |= MDIC_ERROR;
    else if (operation == MDIC_READ)
        result = (result & ~(uint32_t)MDIC_DATA) | phy_read(card, number);
    else
        phy_write(card, number, value & MDIC_DATA);
    *e1000_register(card, REG_MDIC) = result;
    if (value & MDIC_INTERRUPT)
        e1000_raise(card, ICR_MDAC);
}

/*
 * The pair of 8259A interrupt controllers of a PC/AT: initialisation, the priority schemes, masks, all the EOI and
 * rotation commands, automatic EOI, special mask and special fully nested mode, polling, spurious interrupts.
 *
 * Left out: MCS-80/85 mode (vectors are always 8086 ones), buffered mode (no pins to show it on), and a wiring other
 * than the PC/AT's, so ICW3 is taken and has no effect.
 *
 * Sources: Intel 8259A data sheet (231468-003); for the edge/level control registers Intel 82371AB (PIIX4) data
 * sheet, "Interrupt Controller Registers".
 */
#include "devices/pic.h"

#include <stdlib.h>

#include "core/log.h"

enum {
    PORT_MASTER = 0x20,
    PORT_SLAVE = 0xa0,
    PORT_ELCR = 0x4d0,
    CASCADE = 2, /* the master's input that the slave drives */

    ICW1 = 0x10, /* in a command: this is ICW1 */
    ICW1_IC4 = 0x01,
    ICW1_SNGL = 0x02,
    ICW1_LTIM = 0x08,
    ICW2_VECTOR = 0xf8,
    ICW4_AEOI = 0x02,
    ICW4_SFNM = 0x10,

    OCW3 = 0x08, /* in a command that is not ICW1: this is OCW3, not OCW2 */
    OCW3_RIS = 0x01,
    OCW3_RR = 0x02,
    OCW3_POLL = 0x04,
    OCW3_SMM = 0x20,
    OCW3_ESMM = 0x40,
    OCW2_LEVEL = 0x07,
    OCW2_EOI = 0x20,
    OCW2_SL = 0x40,
    OCW2_ROTATE = 0x80,

    POLL_INTERRUPT = 0x80,
    NO_LEVEL = 8,
    SPURIOUS_LEVEL = 7,
};

enum initialisation { INIT_NONE, INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };

struct chip {
    struct pic *pic;
    uint8_t lines;   /* levels of the inputs */
    uint8_t latched; /* inputs that rose and have neither fallen nor been acknowledged since */
    uint8_t isr, imr;
    uint8_t elcr, elcr_writable; /* inputs that are level triggered, and may be */
    uint8_t base;                /* ICW2 */
    uint8_t icw1, icw4;
    uint8_t lowest; /* the level of the lowest priority */
    enum initialisation initialisation;
    bool special_mask, rotate_on_aeoi, read_isr, poll;
};

struct pic {
    struct bus *ports;
    struct irq_line output;
    struct chip chip[2]; /* master, slave */
    uint64_t count[16];
};

/* Requests: a level input asks as long as it is high, an edge input from its rise until it falls. */
static uint8_t chip_irr(const struct chip *chip)
{
    uint8_t level = chip->icw1 & ICW1_LTIM ? 0xff : chip->elcr;
    return (chip->lines & level) | (chip->latched & ~level);
}

/* The distance from the highest priority of the best level in `set`; NO_LEVEL if there is none. */
static unsigned chip_rank(const struct chip *chip, uint8_t set)
{
    unsigned rank = 0;
    while (rank < NO_LEVEL && !(set & 1 << ((chip->lowest + 1 + rank) & 7)))
        rank++;
    return rank;
}

static unsigned chip_level(const struct chip *chip, unsigned rank)
{
    return (chip->lowest + 1 + rank) & 7;
}

/* The level that the chip asks an interrupt for; NO_LEVEL if none. */
static unsigned chip_request(const struct chip *chip)
{
    if (chip->initialisation != INIT_DONE)
        return NO_LEVEL;
    uint8_t in_service = chip->isr;
    if (chip->special_mask)
        in_service &= ~chip->imr;
    /* Special fully nested: a slave that is being served may interrupt again with a better level of its own. */
    if (chip->icw4 & ICW4_SFNM && chip == &chip->pic->chip[0])
        in_service &= ~(1 << CASCADE);
    unsigned rank = chip_rank(chip, chip_irr(chip) & ~chip->imr);
    if (rank >= chip_rank(chip, in_service))
        return NO_LEVEL;
    return chip_level(chip, rank);
}

static void chip_set_line(struct chip *chip, unsigned level, bool high)
{
    uint8_t bit = 1 << level;
    if (high && !(chip->lines & bit))
        chip->latched |= bit;
    if (!high)
        chip->latched &= ~bit;
    chip->lines = high ? chip->lines | bit : chip->lines & ~bit;
}

static void pic_update(struct pic *pic)
{
    chip_set_line(&pic->chip[0], CASCADE, chip_request(&pic->chip[1]) != NO_LEVEL);
    irq_set(&pic->output, chip_request(&pic->chip[0]) != NO_LEVEL);
}

static void chip_rotate(struct chip *chip, unsigned level)
{
    chip->lowest = level;
}

/* INTA or a poll: the best request becomes in service. NO_LEVEL if there is none any more. */
static unsigned chip_acknowledge(struct chip *chip)
{
    unsigned level = chip_request(chip);
    if (level == NO_LEVEL)
        return NO_LEVEL;
    chip->latched &= ~(1 << level);
    if (!(chip->icw4 & ICW4_AEOI))
        chip->isr |= 1 << level;
    else if (chip->rotate_on_aeoi)
        chip_rotate(chip, level);
    /* The slave's INT output falls with INTA, so that a further request of it makes an edge at the master. */
    if (chip == &chip->pic->chip[1])
        chip_set_line(&chip->pic->chip[0], CASCADE, false);
    return level;
}

uint8_t pic_acknowledge(struct pic *pic)
{
    struct chip *chip = &pic->chip[0];
    unsigned level = chip_acknowledge(chip);
    if (level == CASCADE) {
        chip = &pic->chip[1];
        level = chip_acknowledge(chip);
    }
    if (level == NO_LEVEL)
        level = SPURIOUS_LEVEL;
    pic->count[level + (chip == &pic->chip[1] ? 8 : 0)]++;
    pic_update(pic);
    return chip->base | level;
}

static void chip_start(struct chip *chip, uint8_t icw1)
{
    chip->icw1 = icw1;
    chip->latched = chip->isr = chip->imr = 0;
    chip->lowest = 7;
    chip->special_mask = chip->rotate_on_aeoi = chip->read_isr = chip->poll = false;
    if (!(icw1 & ICW1_IC4))
        chip->icw4 = 0;
    chip->initialisation = INIT_ICW2;
}

/* The data port while ICW2 to ICW4 are awaited. */
static void chip_continue(struct chip *chip, uint8_t value)
{
    bool needs_icw4 = chip->icw1 & ICW1_IC4;
    switch (chip->initialisation) {
    case INIT_ICW2:
        chip->base = value & ICW2_VECTOR;
        if (!(chip->icw1 & ICW1_SNGL))
            chip->initialisation = INIT_ICW3;
        else
            chip->initialisation = needs_icw4 ? INIT_ICW4 : INIT_DONE;
        break;
    case INIT_ICW3: chip->initialisation = needs_icw4 ? INIT_ICW4 : INIT_DONE; break;
    case INIT_ICW4:
        chip->icw4 = value;
        chip->initialisation = INIT_DONE;
        break;
    default: break;
    }
}

static void chip_ocw2(struct chip *chip, uint8_t value)
{
    unsigned level = value & OCW2_LEVEL;
    if (!(value & OCW2_EOI)) {
        if (value & OCW2_SL && value & OCW2_ROTATE)
            chip_rotate(chip, level); /* set priority */
        else if (!(value & OCW2_SL))
            chip->rotate_on_aeoi = value & OCW2_ROTATE;
        return;
    }
    if (!(value & OCW2_SL)) {
        /* In special mask mode a masked level is not what a non-specific EOI means. */
        unsigned rank = chip_rank(chip, chip->special_mask ? chip->isr & ~chip->imr : chip->isr);
        if (rank == NO_LEVEL)
            return;
        level = chip_level(chip, rank);
    }
    chip->isr &= ~(1 << level);
    if (value & OCW2_ROTATE)
        chip_rotate(chip, level);
}

static void chip_ocw3(struct chip *chip, uint8_t value)
{
    if (value & OCW3_ESMM)
        chip->special_mask = value & OCW3_SMM;
    chip->poll = value & OCW3_POLL;
    if (value & OCW3_RR && !chip->poll)
        chip->read_isr = value & OCW3_RIS;
}

static void chip_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct chip *chip = device;
    (void)size;
    if (offset == 0 && value & ICW1)
        chip_start(chip, value);
    else if (offset == 0 && value & OCW3)
        chip_ocw3(chip, value);
    else if (offset == 0)
        chip_ocw2(chip, value);
    else if (chip->initialisation >= INIT_ICW2)
        chip_continue(chip, value);
    else
        chip->imr = value;
    pic_update(chip->pic);
}

static uint8_t chip_poll(struct chip *chip)
{
    unsigned level = chip_acknowledge(chip);
    chip->poll = false;
    pic_update(chip->pic);
    return level == NO_LEVEL ? 0 : POLL_INTERRUPT | level;
}

static uint64_t chip_read(void *device, uint64_t offset, unsigned size)
{
    struct chip *chip = device;
    (void)size;
    if (chip->poll)
        return chip_poll(chip);
    if (offset == 1)
        return chip->imr;
    return chip->read_isr ? chip->isr : chip_irr(chip);
}

static uint64_t elcr_read(void *device, uint64_t offset, unsigned size)
{
    const struct pic *pic = device;
    (void)size;
    return pic->chip[offset].elcr;
}

static void elcr_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pic *pic = device;
    (void)size;
    pic->chip[offset].elcr = value & pic->chip[offset].elcr_writable;
    pic_update(pic);
}

static void input_set(void *target, int input, bool level)
{
    struct pic *pic = target;
    chip_set_line(&pic->chip[input / 8], input % 8, level);
    pic_update(pic);
}

struct irq_line pic_line(struct pic *pic, int irq)
{
    if (irq == CASCADE)
        return (struct irq_line){NULL, NULL, 0};
    return (struct irq_line){input_set, pic, irq};
}

void pic_reset(struct pic *pic)
{
    for (int i = 0; i < 2; i++) {
        struct chip *chip = &pic->chip[i];
        chip_start(chip, 0);
        chip->initialisation = INIT_NONE;
        chip->elcr = 0;
        chip->base = 0;
    }
    pic_update(pic);
}

struct pic *pic_create(struct bus *ports, const struct irq_line *output)
{
    struct pic *pic = allocate(sizeof(*pic));
    pic->ports = ports;
    pic->output = *output;
    for (int i = 0; i < 2; i++) {
        pic->chip[i].pic = pic;
        /* IRQ0, 1, 2, 8 and 13 belong to the board and are edges always. */
        pic->chip[i].elcr_writable = i ? 0xde : 0xf8;
    }
    bus_add(ports, &(struct bus_range){PORT_MASTER, 2, "pic", &pic->chip[0], chip_read, chip_write, 1});
    bus_add(ports, &(struct bus_range){PORT_SLAVE, 2, "pic slave", &pic->chip[1], chip_read, chip_write, 1});
    bus_add(ports, &(struct bus_range){PORT_ELCR, 2, "elcr", pic, elcr_read, elcr_write, 1});
    pic_reset(pic);
    return pic;
}

void pic_destroy(struct pic *pic)
{
    if (!pic)
        return;
    bus_remove(pic->ports, &pic->chip[0], PORT_MASTER);
    bus_remove(pic->ports, &pic->chip[1], PORT_SLAVE);
    bus_remove(pic->ports, pic, PORT_ELCR);
    free(pic);
}

void pic_print(const struct pic *pic, FILE *out)
{
    for (int i = 0; i < 2; i++) {
        const struct chip *chip = &pic->chip[i];
        fprintf(out,
                "pic%d: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%d elcr=%02x fnm=%d"
                " aeoi=%d smm=%d lines=%02x%s\n",
                i, chip_irr(chip), chip->imr, chip->isr, (chip->lowest + 1u) & 7, chip->base, chip->read_isr,
                chip->elcr, !!(chip->icw4 & ICW4_SFNM), !!(chip->icw4 & ICW4_AEOI), chip->special_mask,
                chip->lines, chip->initialisation == INIT_DONE ? "" : " (not initialised)");
    }
}

void pic_print_counts(const struct pic *pic, FILE *out)
{
    fprintf(out, "IRQ statistics:\n");
    for (int irq = 0; irq < 16; irq++)
        if (pic->count[irq])
            fprintf(out, "%2d: %llu\n", irq, (unsigned long long)pic->count[irq]);
}

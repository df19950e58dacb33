/*
 * The pair of 8237A DMA controllers of a PC/AT with their page registers: channels 0 to 3 move bytes within 64 KiB,
 * channels 5 to 7 words within 128 KiB. Address and count with autoinitialisation, increment and decrement, verify,
 * masks, terminal count.
 *
 * A device's request is served whole at once, so single, demand and block mode are one. Left out: memory to memory
 * (the PC/AT has one page register where it would take two), software requests (only kept), timing and priority
 * bits, and that channels 0 to 3 wait for channel 4 to be let through.
 *
 * Sources: Intel 8237A data sheet (231466-005); for the page registers IBM PC/AT Technical Reference, "System
 * Board, DMA".
 */
#include "devices/dma.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    PORT_BYTES = 0x00, /* the controller of channels 0 to 3, a port a register */
    PORT_WORDS = 0xc0, /* that of channels 4 to 7, every second port */
    PORT_PAGES = 0x80,
    PAGES = 16,
    CHANNELS = 4,
    REGISTERS = 16,

    /* Registers 0 to 7 are address and count of each channel. */
    COMMAND = 8, /* read: status */
    REQUEST = 9,
    SINGLE_MASK = 10,
    MODE = 11,
    CLEAR_FLIP_FLOP = 12,
    MASTER_CLEAR = 13, /* read: the temporary register */
    CLEAR_MASK = 14,
    ALL_MASKS = 15,

    COMMAND_DISABLE = 0x04,
    SELECT = 0x03, /* the channel in a request, single mask or mode */
    SET_BIT = 0x04,
    MODE_TRANSFER = 0x0c,
    TRANSFER_VERIFY = 0x00,
    TRANSFER_TO_MEMORY = 0x04,
    TRANSFER_FROM_MEMORY = 0x08,
    MODE_AUTOINITIALISE = 0x10,
    MODE_DECREMENT = 0x20,
    MODE_TYPE = 0xc0,
    TYPE_CASCADE = 0xc0,
    ALL_CHANNELS = 0x0f,
};

/* Where each channel's page register is, from 80h. Channel 4 passes on the others and has none. */
static const uint8_t page_of[2 * CHANNELS] = {0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa};

struct channel {
    uint16_t base_address, base_count;
    uint16_t address, count;
    uint8_t mode;
};

struct controller {
    struct channel channel[CHANNELS];
    uint8_t command, mask, request, terminal;
    bool high_byte; /* the flip-flop: the next access to an address or count is to its high byte */
    unsigned shift; /* ports between two registers, and bytes in a transfer, as a power of two */
};

struct dma {
    struct bus *ports;
    struct memory *memory;
    struct controller controller[2];
    uint8_t page[PAGES];
};

/* ---- transfers */

static bool channel_open(const struct controller *controller, int number, unsigned transfer)
{
    uint8_t mode = controller->channel[number].mode;
    if (controller->command & COMMAND_DISABLE || controller->mask & 1 << number)
        return false;
    if ((mode & MODE_TYPE) == TYPE_CASCADE)
        return false;
    return (mode & MODE_TRANSFER) == transfer || (mode & MODE_TRANSFER) == TRANSFER_VERIFY;
}

static uint64_t physical(const struct dma *dma, int channel, uint16_t address)
{
    uint64_t page = dma->page[page_of[channel]];
    return channel < CHANNELS ? page << 16 | address : (page & 0xfe) << 16 | (uint64_t)address << 1;
}

/* How many units can be moved in one piece before the address wraps; one where it runs downwards. */
static size_t run_length(const struct channel *channel, size_t units)
{
    size_t room = channel->mode & MODE_DECREMENT ? 1 : 0x10000 - (size_t)channel->address;
    return units < room ? units : room;
}

static void channel_advance(struct channel *channel, size_t units)
{
    channel->address += channel->mode & MODE_DECREMENT ? -units : units;
    channel->count -= units;
}

static void channel_terminate(struct controller *controller, int number)
{
    struct channel *channel = &controller->channel[number];
    controller->terminal |= 1 << number;
    controller->request &= ~(1 << number);
    if (channel->mode & MODE_AUTOINITIALISE) {
        channel->address = channel->base_address;
        channel->count = channel->base_count;
    } else {
        controller->mask |= 1 << number;
    }
}

/* Exactly one of `to` and `from` is given. */
static size_t dma_transfer(struct dma *dma, int number, uint8_t *to, const uint8_t *from, size_t count,
                           bool *terminal)
{
    struct controller *controller = &dma->controller[number / CHANNELS];
    struct channel *channel = &controller->channel[number % CHANNELS];
    unsigned shift = controller->shift;
    *terminal = false;
    if (!channel_open(controller, number % CHANNELS, to ? TRANSFER_FROM_MEMORY : TRANSFER_TO_MEMORY))
        return 0;

    bool verify = (channel->mode & MODE_TRANSFER) == TRANSFER_VERIFY;
    size_t units = count >> shift, left = (size_t)channel->count + 1;
    if (units >= left) {
        units = left;
        *terminal = true;
    }
    for (size_t done = 0; done < units;) {
        size_t piece = run_length(channel, units - done);
        uint64_t address = physical(dma, number, channel->address);
        if (to && verify)
            memset(to + (done << shift), 0xff, piece << shift);
        else if (to)
            memory_read(dma->memory, address, to + (done << shift), piece << shift);
        else if (!verify)
            memory_write(dma->memory, address, from + (done << shift), piece << shift);
        channel_advance(channel, piece);
        done += piece;
    }
    if (*terminal)
        channel_terminate(controller, number % CHANNELS);
    return units << shift;
}

size_t dma_to_memory(struct dma *dma, int channel, const uint8_t *from, size_t count, bool *terminal)
{
    return dma_transfer(dma, channel, NULL, from, count, terminal);
}

size_t dma_from_memory(struct dma *dma, int channel, uint8_t *to, size_t count, bool *terminal)
{
    return dma_transfer(dma, channel, to, NULL, count, terminal);
}

/* ---- ports */

static void master_clear(struct controller *controller)
{
    controller->command = controller->request = controller->terminal = 0;
    controller->mask = ALL_CHANNELS;
    controller->high_byte = false;
}

static void half_write(uint16_t *half, bool high, uint8_t value)
{
    *half = high ? (*half & 0x00ff) | value << 8 : (*half & 0xff00) | value;
}

/* Address and count are written to the base and the current register together. */
static void channel_write(struct controller *controller, unsigned index, uint8_t value)
{
    struct channel *channel = &controller->channel[index / 2];
    bool high = controller->high_byte;
    half_write(index & 1 ? &channel->base_count : &channel->base_address, high, value);
    half_write(index & 1 ? &channel->count : &channel->address, high, value);
    controller->high_byte = !high;
}

static uint8_t channel_read(struct controller *controller, unsigned index)
{
    const struct channel *channel = &controller->channel[index / 2];
    uint16_t value = index & 1 ? channel->count : channel->address;
    controller->high_byte = !controller->high_byte;
    return controller->high_byte ? value : value >> 8;
}

static uint8_t with_bit(uint8_t set, uint8_t value)
{
    uint8_t bit = 1 << (value & SELECT);
    return value & SET_BIT ? set | bit : set & ~bit;
}

static void controller_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct controller *controller = device;
    unsigned index = offset >> controller->shift;
    (void)size;
    switch (index) {
    case COMMAND: controller->command = value; break;
    case REQUEST: controller->request = with_bit(controller->request, value); break;
    case SINGLE_MASK: controller->mask = with_bit(controller->mask, value); break;
    case MODE: controller->channel[value & SELECT].mode = value & ~SELECT; break;
    case CLEAR_FLIP_FLOP: controller->high_byte = false; break;
    case MASTER_CLEAR: master_clear(controller); break;
    case CLEAR_MASK: controller->mask = 0; break;
    case ALL_MASKS: controller->mask = value & ALL_CHANNELS; break;
    default: channel_write(controller, index, value);
    }
}

static uint64_t controller_read(void *device, uint64_t offset, unsigned size)
{
    struct controller *controller = device;
    unsigned index = offset >> controller->shift;
    uint8_t status;
    (void)size;
    switch (index) {
    case COMMAND:
        status = controller->terminal | controller->request << 4;
        controller->terminal = 0; /* reading the status clears its terminal count bits */
        return status;
    case MASTER_CLEAR: return 0; /* the temporary register, used from memory to memory only */
    case ALL_MASKS: return controller->mask | 0xf0;
    case REQUEST:
    case SINGLE_MASK:
    case MODE:
    case CLEAR_FLIP_FLOP:
    case CLEAR_MASK: return 0xff; /* write only */
    default: return channel_read(controller, index);
    }
}

static uint64_t page_read(void *device, uint64_t offset, unsigned size)
{
    const struct dma *dma = device;
    (void)size;
    return dma->page[offset];
}

static void page_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct dma *dma = device;
    (void)size;
    dma->page[offset] = value;
}

void dma_reset(struct dma *dma)
{
    for (int i = 0; i < 2; i++) {
        memset(dma->controller[i].channel, 0, sizeof(dma->controller[i].channel));
        master_clear(&dma->controller[i]);
    }
    memset(dma->page, 0, sizeof(dma->page));
}

struct dma *dma_create(struct bus *ports, struct memory *memory)
{
    struct dma *dma = allocate(sizeof(*dma));
    struct controller *bytes = &dma->controller[0], *words = &dma->controller[1];
    dma->ports = ports;
    dma->memory = memory;
    words->shift = 1;
    dma_reset(dma);
    bus_add(ports,
            &(struct bus_range){PORT_BYTES, REGISTERS, "dma", bytes, controller_read, controller_write, 1});
    bus_add(ports, &(struct bus_range){PORT_WORDS, 2 * REGISTERS, "dma words", words, controller_read,
                                       controller_write, 1});
    bus_add(ports, &(struct bus_range){PORT_PAGES, PAGES, "dma page", dma, page_read, page_write, 1});
    return dma;
}

void dma_destroy(struct dma *dma)
{
    bus_remove(dma->ports, &dma->controller[0], PORT_BYTES);
    bus_remove(dma->ports, &dma->controller[1], PORT_WORDS);
    bus_remove(dma->ports, dma, PORT_PAGES);
    free(dma);
}

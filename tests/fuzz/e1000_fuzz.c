/* The 82540EM: any register, rings anywhere with any descriptors, frames from outside. */
#include "fuzz/cards.h"

#include "devices/e1000.h"

#define REGISTERS 0xfe000000u

struct board {
    struct net_port port;
    struct e1000 *card;
};

static void set(struct chips *chips, unsigned offset, uint32_t value)
{
    bus_write_locked(chips->mmio, REGISTERS + offset, 4, value);
}

/* Rings as a driver sets them up, with what the input says in the descriptors. */
static void rings(struct chips *chips, struct input *input)
{
    unsigned base = input_take(input, 1) & 1 ? 0x3800 : 0x2800; /* to send, to receive */
    set(chips, base, input_take(input, 2) << 4);
    set(chips, base + 4, 0);
    set(chips, base + 8, input_take(input, 1) << 7);
    set(chips, 0x100, 2 | input_take(input, 4));
    set(chips, 0x400, 2 | input_take(input, 2));
    set(chips, base + 0x18, input_take(input, 2));
}

static void descriptor(struct chips *chips, struct input *input)
{
    uint32_t words[4] = {input_take(input, 3), input_take(input, 1) & 1, input_take(input, 4),
                         input_take(input, 4)};
    memory_write(chips->memory, input_take(input, 2) << 4, words, sizeof(words));
}

static void other(struct chips *chips, struct input *input)
{
    struct board *board = chips->opaque;
    switch (input_take(input, 1) % 8) {
    case 0: cards_receive(&board->port, input); break;
    case 1: net_set_link(&board->port, input_take(input, 1) & 1); break;
    case 2:
    case 3: rings(chips, input); break;
    case 4: set(chips, 0x3818, input_take(input, 2)); break;
    case 5: set(chips, 0x2818, input_take(input, 2)); break;
    default: descriptor(chips, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct chips_place ports[] = {{CHIPS_PORTS + 0x100, 8}, {0, 0}},
                                    mmio[] = {{REGISTERS, 0x6000},
                                              {REGISTERS, 0x200},
                                              {REGISTERS + 0x2800, 0x40},
                                              {REGISTERS + 0x3800, 0x40},
                                              {0, 0}};
    struct input input = {data, size};
    struct chips chips;
    struct board board = {.port = cards_port()};
    chips_open(&chips);
    chips_map_ram(&chips);
    board.card = e1000_create(&(struct e1000_wiring){.pci = chips.pci,
                                                     .slot = CHIPS_SLOT,
                                                     .clock = chips.clock,
                                                     .port = &board.port,
                                                     .address = {0x52, 0x54, 0, 1, 2, 3},
                                                     .name = "e1000.0"});
    chips_config(&chips, CHIPS_SLOT, 0x10, 4, REGISTERS);
    chips_config(&chips, CHIPS_SLOT, 0x14, 4, CHIPS_PORTS + 0x100);
    chips_config(&chips, CHIPS_SLOT, 4, 2, 7);
    chips.port_places = ports;
    chips.mmio_places = mmio;
    chips.other = other;
    chips.opaque = &board;
    chips_run(&chips, &input);
    e1000_destroy(board.card);
    chips_close(&chips);
    return 0;
}

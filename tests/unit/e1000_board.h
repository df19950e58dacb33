/* The 82540EM on a board of its own, with somebody on the other end of the cable who counts. */
#ifndef UNIT_E1000_BOARD_H
#define UNIT_E1000_BOARD_H

#include "unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "devices/e1000.h"

enum {
    RAM_SIZE = 1 << 20,
    BASE = 0xfebc0000,
    IO = 0xc000,
    TX_RING = 0x1000,
    RX_RING = 0x2000,
    TX_DATA = 0x10000,
    RX_DATA = 0x80000,
    RING_LENGTH = 16,
};

enum {
    CTRL = 0x0,
    STATUS = 0x8,
    EECD = 0x10,
    EERD = 0x14,
    MDIC = 0x20,
    ICR = 0xc0,
    ITR = 0xc4,
    ICS = 0xc8,
    IMS = 0xd0,
    IMC = 0xd8,
    RCTL = 0x100,
    TCTL = 0x400,
    RDBAL = 0x2800,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    TDBAL = 0x3800,
    TDBAH = 0x3804,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    MPC = 0x4010,
    GPRC = 0x4074,
    GPTC = 0x4080,
    RXCSUM = 0x5000,
    MTA = 0x5200,
    RAL = 0x5400,
    RAH = 0x5404,
    VFTA = 0x5600,
};

struct board {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct pci_bus *pci;
    struct clock *clock;
    struct net_port port;
    struct e1000 *card;
    bool line;
    unsigned rises;
    unsigned sent, drained;
    size_t last_size, total;
    struct net_offload last_offload;
    uint8_t last[NET_FRAME_MOST];
    uint32_t data_sum; /* of all bytes behind 54, for segments */
    unsigned tx_tail;
};

static const uint8_t own[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

static inline void board_send(void *opaque, const uint8_t *frame, size_t size,
                              const struct net_offload *offload)
{
    struct board *board = opaque;
    board->sent++;
    board->total += size;
    board->last_size = size;
    board->last_offload = *offload;
    memcpy(board->last, frame, size);
    for (size_t i = 54; i < size; i++)
        board->data_sum += frame[i];
}

static inline void board_drained(void *opaque)
{
    ((struct board *)opaque)->drained++;
}

static const struct net_backend backend = {.type = "test", .send = board_send, .drained = board_drained};

static inline void board_line(void *target, int input, bool level)
{
    struct board *board = target;
    (void)input;
    board->rises += level && !board->line;
    board->line = level;
}

static inline void config_write(struct board *board, unsigned offset, unsigned size, uint32_t value)
{
    bus_write(board->ports, 0xcf8, 4, 0x80001800 | (offset & 0xfc));
    bus_write(board->ports, 0xcfc + (offset & 3), size, value);
}

static inline uint32_t get(struct board *board, unsigned offset)
{
    return (uint32_t)bus_read(board->mmio, BASE + offset, 4);
}

static inline void set(struct board *board, unsigned offset, uint32_t value)
{
    bus_write(board->mmio, BASE + offset, 4, value);
}

static inline void rings(struct board *board)
{
    set(board, TDBAL, TX_RING);
    set(board, TDLEN, RING_LENGTH * 16);
    set(board, TCTL, 0x2);
    set(board, RDBAL, RX_RING);
    set(board, RDLEN, RING_LENGTH * 16);
    for (uint64_t i = 0; i < RING_LENGTH; i++) {
        uint64_t buffer = RX_DATA + 2048 * i;
        memory_write(board->memory, RX_RING + 16 * i, &buffer, 8);
    }
    set(board, RCTL, 0x8002); /* enabled, broadcasts */
    set(board, RDT, RING_LENGTH - 1);
}

static inline int setup(void **state)
{
    struct board *board = calloc(1, sizeof(*board));
    struct irq_line line = {board_line, board, 0};
    board->memory = memory_create(RAM_SIZE);
    memory_map(board->memory, &(struct memory_range){0, RAM_SIZE, memory_ram(board->memory), true, "ram"});
    board->ports = bus_create("port", 0x10000);
    board->mmio = bus_create("mmio", UINT64_MAX);
    board->pci = pci_create(board->ports, board->mmio, board->memory);
    for (unsigned i = 0; i < PCI_PIRQS; i++)
        pci_route(board->pci, i, &line);
    board->clock = clock_create();
    clock_step(board->clock, 1000000);
    board->port.backend = &backend;
    board->port.opaque = board;
    struct e1000_wiring wiring = {
        .pci = board->pci, .slot = 3, .clock = board->clock, .port = &board->port, .name = "e1000.0"};
    memcpy(wiring.address, own, 6);
    board->card = e1000_create(&wiring);
    config_write(board, 0x10, 4, BASE);
    config_write(board, 0x14, 4, IO);
    config_write(board, 4, 2, 7);
    rings(board);
    *state = board;
    return 0;
}

static inline int teardown(void **state)
{
    struct board *board = *state;
    e1000_destroy(board->card);
    pci_destroy(board->pci);
    bus_destroy(board->ports);
    bus_destroy(board->mmio);
    clock_destroy(board->clock);
    memory_destroy(board->memory);
    free(board);
    return 0;
}

static inline bool arrives(struct board *board, const uint8_t *to, size_t size, bool good)
{
    struct net_offload offload = {.checksum_good = good};
    static uint8_t frame[20000];
    for (size_t i = 0; i < size; i++)
        frame[i] = (uint8_t)(i ^ i >> 8);
    memcpy(frame, to, 6);
    return net_receive(&board->port, frame, size, &offload);
}

#endif

/* An IDE controller on its buses with images in memory, for ide_test.c and atapi_test.c. */
#ifndef TESTS_UNIT_IDE_BOARD_H
#define TESTS_UNIT_IDE_BOARD_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/lock.h"
#include "devices/ide.h"
#include "storage/pool.h"
#include "unit/image.h"

enum { BOARD_RAM = 1 << 20, BOARD_BUS_MASTER = 0xc000 };
enum { ST_ERR = 1, ST_DRQ = 8, ST_DSC = 0x10, ST_DRDY = 0x40, ST_BSY = 0x80 };

struct board {
    struct block_pool *pool; /* images answer when board_settle() asks them to */
    struct memory *memory;
    struct bus *ports, *mmio;
    struct pci_bus *pci;
    struct ide *ide;
    bool irq[2];
    unsigned edges[2];
};

static inline void board_irq(void *target, int input, bool level)
{
    struct board *board = target;
    board->edges[input] += level && !board->irq[input];
    board->irq[input] = level;
}

static inline void config_write(struct board *board, unsigned offset, unsigned size, uint32_t value)
{
    bus_write(board->ports, 0xcf8, 4, 0x80000900u | (offset & 0xfc));
    bus_write(board->ports, 0xcfc + (offset & 3), size, value);
}

static inline struct board *board_create(void)
{
    struct board *board = calloc(1, sizeof(*board));
    struct irq_line irq[2] = {{board_irq, board, 0}, {board_irq, board, 1}};
    board->pool = pool_create(NULL, NULL);
    board->memory = memory_create(BOARD_RAM);
    memory_map(board->memory, &(struct memory_range){0, BOARD_RAM, memory_ram(board->memory), true, "ram"});
    board->ports = bus_create("port", 0x10000);
    board->mmio = bus_create("mmio", 1ull << 40);
    board->pci = pci_create(board->ports, board->mmio, board->memory);
    board->ide = ide_create(board->pci, board->ports, irq);
    return board;
}

static inline void board_free(struct board *board)
{
    ide_destroy(board->ide);
    pci_destroy(board->pci);
    bus_destroy(board->ports);
    bus_destroy(board->mmio);
    memory_destroy(board->memory);
    pool_destroy(board->pool);
    free(board);
}

static inline void board_settle(struct board *board)
{
    pool_drain(board->pool);
}

/* What is written takes effect at once, as with a very fast disk; the others leave the drive waiting. */
static inline void out_busy(struct board *board, unsigned port, unsigned value)
{
    bus_write(board->ports, port, 1, value);
}

static inline void out8(struct board *board, unsigned port, unsigned value)
{
    out_busy(board, port, value);
    board_settle(board);
}

static inline uint8_t in8(struct board *board, unsigned port)
{
    return (uint8_t)bus_read(board->ports, port, 1);
}

static inline uint16_t in16(struct board *board, unsigned port)
{
    uint16_t value = (uint16_t)bus_read(board->ports, port, 2);
    board_settle(board);
    return value;
}

/* `words` of data from or to a channel's data port. */
static inline void data_in(struct board *board, unsigned base, void *to, unsigned words)
{
    for (unsigned i = 0; i < words; i++) {
        uint16_t word = in16(board, base);
        memcpy((uint8_t *)to + 2 * i, &word, 2);
    }
}

static inline void data_out(struct board *board, unsigned base, const void *from, unsigned words)
{
    for (unsigned i = 0; i < words; i++) {
        uint16_t word;
        memcpy(&word, (const uint8_t *)from + 2 * i, 2);
        bus_write(board->ports, base, 2, word);
        board_settle(board);
    }
}

/* Bus master registers on, at BOARD_BUS_MASTER. */
static inline void bus_master_on(struct board *board)
{
    config_write(board, 0x20, 4, BOARD_BUS_MASTER);
    config_write(board, 4, 2, 5);
}

struct prd {
    uint32_t base, size;
};

static inline void bus_master_table(struct board *board, unsigned channel, const struct prd *table,
                                    unsigned count)
{
    enum { TABLE = 0x4000 };
    memory_write(board->memory, TABLE, table, count * sizeof(*table));
    bus_write(board->ports, BOARD_BUS_MASTER + 8 * channel + 4, 4, TABLE);
    out8(board, BOARD_BUS_MASTER + 8 * channel + 2, 6);
}

#endif

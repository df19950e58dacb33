/* An IDE controller on its buses with images in memory, for ide_test.c and atapi_test.c. */
#ifndef TESTS_UNIT_IDE_BOARD_H
#define TESTS_UNIT_IDE_BOARD_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/ide.h"

enum { BOARD_RAM = 1 << 20, BOARD_BUS_MASTER = 0xc000 };
enum { ST_ERR = 1, ST_DRQ = 8, ST_DSC = 0x10, ST_DRDY = 0x40, ST_BSY = 0x80 };

/* An image in memory that can be told to fail. */
struct image {
    struct block_device block;
    uint8_t *bytes;
    uint64_t bad_from, bad_to; /* bytes that cannot be read or written */
    bool flush_fails;
    unsigned flushes;
};

struct board {
    struct memory *memory;
    struct bus *ports, *mmio;
    struct pci_bus *pci;
    struct ide *ide;
    bool irq[2];
    unsigned edges[2];
};

static inline int image_touches_bad(const struct image *image, uint64_t offset, size_t size)
{
    return offset < image->bad_to && offset + size > image->bad_from ? -EIO : 0;
}

static inline int image_read(struct block_device *block, uint64_t offset, void *to, size_t size)
{
    struct image *image = (struct image *)block;
    memcpy(to, image->bytes + offset, size);
    return image_touches_bad(image, offset, size);
}

static inline int image_write(struct block_device *block, uint64_t offset, const void *from, size_t size)
{
    struct image *image = (struct image *)block;
    if (image_touches_bad(image, offset, size))
        return -EIO;
    memcpy(image->bytes + offset, from, size);
    return 0;
}

static inline int image_flush(struct block_device *block)
{
    struct image *image = (struct image *)block;
    image->flushes++;
    return image->flush_fails ? -EIO : 0;
}

/* Sector n begins with n, and is filled with its low byte. */
static inline struct image *image_create(uint64_t sectors, unsigned sector_size)
{
    static const struct block_ops ops = {"test", image_read, image_write, image_flush, NULL};
    struct image *image = calloc(1, sizeof(*image));
    image->block = (struct block_device){.ops = &ops, .size = sectors * sector_size, .path = "image"};
    image->bytes = malloc(image->block.size);
    for (uint64_t i = 0; i < sectors; i++) {
        memset(image->bytes + i * sector_size, (int)i, sector_size);
        memcpy(image->bytes + i * sector_size, &i, 4);
    }
    return image;
}

static inline void image_free(struct image *image)
{
    free(image->bytes);
    free(image);
}

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
    free(board);
}

static inline void out8(struct board *board, unsigned port, unsigned value)
{
    bus_write(board->ports, port, 1, value);
}

static inline uint8_t in8(struct board *board, unsigned port)
{
    return (uint8_t)bus_read(board->ports, port, 1);
}

static inline uint16_t in16(struct board *board, unsigned port)
{
    return (uint16_t)bus_read(board->ports, port, 2);
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

/*
 * A guest that does anything with the IDE controller: two disks on the first channel, a CD-ROM drive on the second, bus master
 * tables in memory that it writes as well. Images answer now or later; media come and go.
 */
#include "fuzz/fuzz.h"
#include "unit/ide_board.h"

enum { DISK_SECTORS = 3000, CD_SECTORS = 100, STEPS_MOST = 4000, TABLE = 0x4000 };

/* A whole command with its registers, as a driver writes it. */
static void command(struct board *board, struct input *input)
{
    static const uint16_t bases[] = {0x1f0, 0x170};
    unsigned base = bases[input_take(input, 1) & 1];
    bus_write(board->ports, base + 6, 1, input_take(input, 1));
    for (unsigned i = 1; i < 6; i++)
        bus_write(board->ports, base + i, 1, input_take(input, 1));
    bus_write(board->ports, base + 7, 1, input_take(input, 1));
}

static void packet(struct board *board, struct input *input)
{
    bus_write(board->ports, 0x176, 1, 0xa0);
    bus_write(board->ports, 0x171, 1, input_take(input, 1) & 1);
    bus_write(board->ports, 0x174, 2, input_take(input, 2));
    bus_write(board->ports, 0x177, 1, 0xa0);
    for (unsigned i = 0; i < 6; i++)
        bus_write(board->ports, 0x170, 2, input_take(input, 2));
}

static void table(struct board *board, struct input *input)
{
    unsigned channel = input_take(input, 1) & 1, count = input_take(input, 1) % 8 + 1;
    for (unsigned i = 0; i < count; i++) {
        struct prd prd = {input_take(input, 4), input_take(input, 4)};
        memory_write(board->memory, TABLE + i * sizeof(prd), &prd, sizeof(prd));
    }
    bus_write(board->ports, BOARD_BUS_MASTER + 8 * channel + 4, 4, TABLE);
}

static void data(struct board *board, struct input *input)
{
    unsigned how = input_take(input, 1), count = input_take(input, 2) % 2100;
    for (unsigned i = 0; i < count; i++) {
        if (how & 1)
            bus_write(board->ports, how & 2 ? 0x1f0 : 0x170, how & 4 ? 4 : 2, i);
        else
            bus_read(board->ports, how & 2 ? 0x1f0 : 0x170, how & 4 ? 4 : 2);
    }
}

static void any_port(struct board *board, struct input *input)
{
    static const uint16_t ports[] = {0x1f0, 0x170, 0x3f0, 0x370, BOARD_BUS_MASTER, BOARD_BUS_MASTER + 8};
    unsigned how = input_take(input, 1);
    uint16_t port = (uint16_t)(ports[how % 6] + (input_take(input, 1) & 7));
    if (how & 0x80)
        bus_read(board->ports, port, 1u << (how >> 5) % 3);
    else
        bus_write(board->ports, port, 1u << (how >> 5) % 3, input_take(input, 4));
}

static void step(struct board *board, struct input *input, struct image *medium)
{
    switch (input_take(input, 1) % 12) {
    case 0:
    case 1: command(board, input); break;
    case 2:
    case 3: packet(board, input); break;
    case 4: table(board, input); break;
    case 5:
    case 6: data(board, input); break;
    case 7: board_settle(board); break;
    case 8: bus_master_on(board); break;
    case 9:
        ide_change_medium(board->ide, 1, 0, input_take(input, 1) & 1 ? &medium->block : NULL,
                          input_take(input, 1) & 1);
        break;
    case 10:
        if (input_take(input, 1) == 0)
            ide_reset(board->ide);
        break;
    default: any_port(board, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct board *board = board_create();
    struct image *disk = image_create(board->pool, DISK_SECTORS, 512),
                 *second = image_create(board->pool, 10, 512),
                 *medium = image_create(board->pool, CD_SECTORS, 2048);
    uint8_t *whole = malloc(10 * 512);
    second->block.read_only = true;
    memcpy(whole, second->bytes, 10 * 512);
    disk->bad_from = 100 * 512;
    disk->bad_to = 101 * 512;
    disk->block.failed = medium->block.failed = true; /* nothing is to be said */
    disk->block.discards = true;
    ide_attach_disk(board->ide, 0, 0, &disk->block);
    ide_attach_disk(board->ide, 0, 1, &second->block);
    ide_attach_cdrom(board->ide, 1, 0, &medium->block);
    bus_master_on(board);
    for (unsigned i = 0; i < STEPS_MOST && input.size; i++)
        step(board, &input, medium);
    ide_reset(board->ide);
    if (memcmp(whole, second->bytes, 10 * 512)) /* it is read-only */
        abort();
    board_free(board);
    image_free(disk);
    image_free(second);
    image_free(medium);
    free(whole);
    return 0;
}

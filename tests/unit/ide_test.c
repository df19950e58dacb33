/* The IDE channels and ATA disks. Numbers: ATA/ATAPI-6 (T13/1410D), chapters 6, 7, 8; Bus Master IDE 1.0. */
#include "unit/unit.h"

#include "unit/ide_board.h"

enum { SECTORS = 20000, BASE = 0x1f0, CONTROL = 0x3f6 };

struct machine {
    struct board *board;
    struct image *disk;
};

static int setup(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    machine->board = board_create();
    machine->disk = image_create(machine->board->pool, SECTORS, 512);
    ide_attach_disk(machine->board->ide, 0, 0, &machine->disk->block);
    *state = machine;
    return 0;
}

static int teardown(void **state)
{
    struct machine *machine = *state;
    board_free(machine->board);
    image_free(machine->disk);
    free(machine);
    return 0;
}

static void command_28(struct board *board, uint8_t opcode, uint32_t lba, uint8_t count)
{
    out8(board, BASE + 6, 0xe0 | (lba >> 24 & 0xf));
    out8(board, BASE + 2, count);
    out8(board, BASE + 3, lba);
    out8(board, BASE + 4, lba >> 8);
    out8(board, BASE + 5, lba >> 16);
    out8(board, BASE + 7, opcode);
}

static void command_48(struct board *board, uint8_t opcode, uint64_t lba, uint16_t count)
{
    out8(board, BASE + 6, 0xe0);
    out8(board, BASE + 2, count >> 8);
    out8(board, BASE + 2, count);
    for (unsigned i = 0; i < 3; i++) {
        out8(board, BASE + 3 + i, (unsigned)(lba >> (24 + 8 * i)));
        out8(board, BASE + 3 + i, (unsigned)(lba >> 8 * i));
    }
    out8(board, BASE + 7, opcode);
}

static void command_chs(struct board *board, uint8_t opcode, unsigned c, unsigned h, unsigned s,
                        uint8_t count)
{
    out8(board, BASE + 6, 0xa0 | h);
    out8(board, BASE + 2, count);
    out8(board, BASE + 3, s);
    out8(board, BASE + 4, c);
    out8(board, BASE + 5, c >> 8);
    out8(board, BASE + 7, opcode);
}

static void assert_sectors(struct board *board, uint32_t first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t sector[512];
        uint32_t number;
        assert_int_equal(in8(board, CONTROL) & (ST_BSY | ST_DRQ | ST_ERR), ST_DRQ);
        data_in(board, BASE, sector, 256);
        memcpy(&number, sector, 4);
        assert_int_equal(number, first + i);
        assert_int_equal(sector[511], (first + i) & 0xff);
    }
}

static void assert_idle(struct board *board)
{
    assert_int_equal(in8(board, BASE + 7), ST_DRDY | ST_DSC);
}

static void assert_failed(struct board *board, uint8_t error)
{
    assert_int_equal(in8(board, BASE + 7), ST_DRDY | ST_DSC | ST_ERR);
    assert_int_equal(in8(board, BASE + 1), error);
}

static void detection(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    /* The signature of a disk. */
    assert_int_equal(in8(board, BASE + 1), 1);
    assert_int_equal(in8(board, BASE + 2), 1);
    assert_int_equal(in8(board, BASE + 3), 1);
    assert_int_equal(in8(board, BASE + 4), 0);
    assert_int_equal(in8(board, BASE + 5), 0);
    assert_idle(board);
    out8(board, BASE + 2, 0x55);
    out8(board, BASE + 3, 0xaa);
    assert_int_equal(in8(board, BASE + 2), 0x55);
    assert_int_equal(in8(board, BASE + 3), 0xaa);
    /* The absent second drive: registers echo, status is 0. */
    out8(board, BASE + 6, 0xb0);
    assert_int_equal(in8(board, BASE + 6), 0xb0);
    assert_int_equal(in8(board, BASE + 2), 0x55);
    assert_int_equal(in8(board, BASE + 7), 0);
    out8(board, BASE + 7, 0xec);
    assert_int_equal(in8(board, BASE + 7), 0);
    /* Nobody on the second channel. */
    assert_int_equal(in8(board, 0x177), 0xff);
    out8(board, 0x176, 0xa0);
    assert_int_equal(in8(board, 0x176), 0xff);
    assert_int_equal(in8(board, 0x376), 0xff);
    out8(board, 0x177, 0x90);
    assert_false(board->irq[1]);
}

static void identify(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    uint16_t words[256];
    out8(board, BASE + 7, 0xec);
    assert_int_equal(board->edges[0], 1);
    assert_int_equal(in8(board, BASE + 7), ST_DRDY | ST_DSC | ST_DRQ);
    assert_false(board->irq[0]);
    data_in(board, BASE, words, 256);
    assert_idle(board);
    assert_int_equal(words[0], 0x0040);
    assert_int_equal(words[1], SECTORS / 1008);
    assert_int_equal(words[3], 16);
    assert_int_equal(words[6], 63);
    assert_int_equal(words[27], 'H' << 8 | 'E');
    assert_int_equal(words[46], ' ' << 8 | ' ');
    assert_int_equal(words[47] & 0xff, 16);
    assert_int_equal(words[60] | words[61] << 16, SECTORS);
    assert_true(words[83] & 1 << 10);
    assert_int_equal(words[83] >> 14, 1);
    assert_int_equal(words[100], SECTORS);
    assert_int_equal(in16(board, BASE), 0xffff); /* past the end */
    /* A disk aborts IDENTIFY PACKET DEVICE. */
    out8(board, BASE + 7, 0xa1);
    assert_failed(board, 4);
}

static void pio_reads(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    command_28(board, 0x20, 1000, 3);
    assert_sectors(board, 1000, 3);
    assert_idle(board);
    command_28(board, 0x20, 500, 0);
    assert_sectors(board, 500, 256);
    assert_idle(board);
    command_48(board, 0x24, SECTORS - 1, 1);
    assert_sectors(board, SECTORS - 1, 1);
    command_48(board, 0x24, 7, 300);
    assert_sectors(board, 7, 300);
    assert_idle(board);
    command_28(board, 0xc4, 100, 20); /* READ MULTIPLE in blocks of 16 */
    assert_sectors(board, 100, 20);
    assert_idle(board);
    /* Data as double words. */
    command_28(board, 0x20, 0x4142, 1);
    assert_int_equal(bus_read(board->ports, BASE, 4), 0x4142);
    out8(board, CONTROL, 4);
    out8(board, CONTROL, 0);
}

static void an_interrupt_for_each_block(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    uint8_t sector[512] = {0};
    command_28(board, 0x20, 0, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(board->edges[0], i + 1);
        assert_int_equal(in8(board, CONTROL) & ST_DRQ, ST_DRQ); /* the alternate status leaves it */
        assert_true(board->irq[0]);
        in8(board, BASE + 7);
        assert_false(board->irq[0]);
        data_in(board, BASE, sector, 256);
    }
    assert_int_equal(board->edges[0], 3);
    command_28(board, 0xc4, 0, 40);
    in8(board, BASE + 7);
    for (unsigned i = 0; i < 40; i++) {
        data_in(board, BASE, sector, 256);
        in8(board, BASE + 7);
    }
    assert_int_equal(board->edges[0], 6);
    command_28(board, 0x30, 9, 2); /* none before the first block of a write */
    assert_false(board->irq[0]);
    data_out(board, BASE, sector, 256);
    assert_true(board->irq[0]);
    assert_int_equal(in8(board, BASE + 7) & ST_DRQ, ST_DRQ);
    data_out(board, BASE, sector, 256);
    assert_true(board->irq[0]);
    assert_idle(board);
    out8(board, CONTROL, 2); /* nIEN */
    command_28(board, 0x20, 0, 1);
    assert_false(board->irq[0]);
    out8(board, CONTROL, 0);
    assert_true(board->irq[0]);
}

static void pio_writes(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t sector[512];
    memset(sector, 0xab, sizeof(sector));
    command_28(board, 0x30, 4321, 1);
    assert_int_equal(in8(board, BASE + 7) & ST_DRQ, ST_DRQ);
    data_out(board, BASE, sector, 255);
    assert_int_equal(machine->disk->bytes[4321 * 512 + 20], 4321 & 0xff); /* not before it is whole */
    data_out(board, BASE, sector, 1);
    assert_idle(board);
    assert_memory_equal(machine->disk->bytes + 4321 * 512, sector, 512);
    command_48(board, 0x39, 100, 18); /* WRITE MULTIPLE EXT */
    for (unsigned i = 0; i < 18; i++)
        data_out(board, BASE, sector, 256);
    assert_idle(board);
    assert_memory_equal(machine->disk->bytes + 117 * 512, sector, 512);
    assert_int_equal(machine->disk->bytes[118 * 512 + 4], 118);
    assert_int_equal(machine->disk->flushes, 0);
    out8(board, BASE + 7, 0xe7);
    assert_idle(board);
    assert_int_equal(machine->disk->flushes, 1);
    out8(board, BASE + 1, 0x82); /* without a write cache each write is flushed */
    out8(board, BASE + 7, 0xef);
    assert_int_equal(machine->disk->flushes, 2);
    command_28(board, 0x30, 5, 1);
    data_out(board, BASE, sector, 256);
    assert_int_equal(machine->disk->flushes, 3);
}

static void cylinders_heads_sectors(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    command_chs(board, 0x20, 0, 0, 1, 1);
    assert_sectors(board, 0, 1);
    command_chs(board, 0x20, 3, 5, 7, 2);
    assert_sectors(board, (3 * 16 + 5) * 63 + 6, 2);
    command_chs(board, 0x20, 0, 0, 0, 1);
    assert_failed(board, 0x10);
    command_chs(board, 0x20, 0, 0, 64, 1);
    assert_failed(board, 0x10);
    command_chs(board, 0x20, 65535, 0, 1, 1);
    assert_failed(board, 0x10);
    command_chs(board, 0x91, 0, 4 - 1, 0, 10); /* 4 heads of 10 sectors */
    assert_idle(board);
    command_chs(board, 0x20, 3, 2, 10, 1);
    assert_sectors(board, (3 * 4 + 2) * 10 + 9, 1);
    command_chs(board, 0x20, 3, 4, 1, 1);
    assert_failed(board, 0x10);
    command_chs(board, 0x91, 0, 3, 0, 0);
    assert_failed(board, 4);
}

static void refusals(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t sector[512] = {0};
    command_28(board, 0x20, SECTORS, 1);
    assert_failed(board, 0x10);
    command_28(board, 0x20, SECTORS - 1, 2);
    assert_failed(board, 0x10);
    command_28(board, 0x30, 0x0fffffff, 1);
    assert_failed(board, 0x10);
    command_48(board, 0x34, 0xffffffffffff, 0);
    assert_failed(board, 0x10);
    command_28(board, 0xff, 0, 1);
    assert_failed(board, 4);
    command_28(board, 0x00, 0, 1);
    assert_failed(board, 4);
    out8(board, BASE + 2, 3); /* no power of two */
    out8(board, BASE + 7, 0xc6);
    assert_failed(board, 4);
    out8(board, BASE + 2, 0);
    out8(board, BASE + 7, 0xc6);
    assert_idle(board);
    command_28(board, 0xc4, 0, 1); /* READ MULTIPLE unset */
    assert_failed(board, 4);
    /* A command in the middle of a write: both are off. */
    command_28(board, 0x30, 0, 1);
    data_out(board, BASE, sector, 100);
    out8(board, BASE + 7, 0x20);
    assert_failed(board, 4);
    data_out(board, BASE, sector, 256);
    assert_int_equal(machine->disk->bytes[511], 0);
    assert_int_equal(machine->disk->bytes[1023], 1);
    machine->disk->block.read_only = true;
    command_28(board, 0x30, 0, 1);
    assert_failed(board, 4);
}

static void host_errors_reach_the_guest(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t sector[512] = {0};
    machine->disk->bad_from = 0x123456 / 512 * 512;
    machine->disk->bad_to = machine->disk->bad_from + 1;
    uint32_t bad = 0x123456 / 512;
    command_28(board, 0x20, bad - 1, 3);
    assert_sectors(board, bad - 1, 1);
    assert_failed(board, 0x40);
    assert_int_equal(in8(board, BASE + 3) | in8(board, BASE + 4) << 8, bad);
    command_28(board, 0x30, bad, 1);
    data_out(board, BASE, sector, 256);
    assert_failed(board, 4);
    machine->disk->flush_fails = true;
    out8(board, BASE + 7, 0xea);
    assert_failed(board, 4);
}

static void soft_reset(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t sector[512];
    memset(sector, 0xcd, sizeof(sector));
    command_28(board, 0x30, 0, 1);
    data_out(board, BASE, sector, 200);
    out8(board, CONTROL, 0x0e);
    assert_int_equal(in8(board, BASE + 7), ST_BSY);
    data_out(board, BASE, sector, 256);
    out8(board, BASE + 7, 0xec);
    assert_int_equal(in8(board, CONTROL), ST_BSY);
    out8(board, CONTROL, 0x0a);
    assert_idle(board);
    assert_int_equal(in8(board, BASE + 1), 1);
    assert_int_equal(in8(board, BASE + 2), 1);
    assert_int_equal(in8(board, BASE + 3), 1);
    data_out(board, BASE, sector, 256);
    assert_int_equal(machine->disk->bytes[0], 0);
    assert_int_equal(machine->disk->bytes[511], 0);
    out8(board, CONTROL, 8);
    out8(board, BASE + 7, 0x90);
    assert_int_equal(in8(board, BASE + 1), 1);
    assert_true(board->irq[0]);
    ide_reset(board->ide);
    assert_false(board->irq[0]);
    assert_idle(board);
}

static void features(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    static const struct {
        uint8_t feature, count;
        bool good;
    } cases[] = {{0x03, 0x00, true},  {0x03, 0x0c, true},  {0x03, 0x0d, false}, {0x03, 0x22, true},
                 {0x03, 0x23, false}, {0x03, 0x45, false}, {0x02, 0, true},     {0x82, 0, true},
                 {0xaa, 0, true},     {0x55, 0, true},     {0x05, 1, false},    {0x99, 0, false}};
    uint16_t words[256];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        out8(board, BASE + 1, cases[i].feature);
        out8(board, BASE + 2, cases[i].count);
        out8(board, BASE + 7, 0xef);
        if (cases[i].good)
            assert_idle(board);
        else
            assert_failed(board, 4);
    }
    out8(board, BASE + 7, 0xec);
    data_in(board, BASE, words, 256);
    assert_int_equal(words[63], 0x0407);
    assert_int_equal(words[85] & 0x20, 0);
    out8(board, BASE + 7, 0xe5);
    assert_idle(board);
    assert_int_equal(in8(board, BASE + 2), 0xff);
}

/* ---- bus master */

enum { BM = BOARD_BUS_MASTER };

static void dma_reads_and_writes(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint32_t number;
    bus_master_on(board);
    bus_master_table(board, 0, (struct prd[]){{0x10000, 1024}, {0x20000, 0x80000000 | 512}}, 2);
    command_28(board, 0xc8, 700, 3);
    assert_false(board->irq[0]);
    out8(board, BM, 9);
    assert_true(board->irq[0]);
    assert_int_equal(in8(board, BM + 2), 4);
    assert_idle(board);
    memory_read(board->memory, 0x10200, &number, 4);
    assert_int_equal(number, 701);
    memory_read(board->memory, 0x20000, &number, 4);
    assert_int_equal(number, 702);
    out8(board, BM, 8);

    memset(memory_ram(board->memory) + 0x30000, 0x5c, 0x20000);
    bus_master_table(board, 0, (struct prd[]){{0x30000, 0}, {0x40000, 0x80000000}}, 2); /* 64 KiB each */
    out8(board, BM, 1); /* started before the command */
    assert_int_equal(in8(board, BM + 2), 1);
    command_48(board, 0x35, 1000, 256);
    assert_idle(board);
    assert_int_equal(in8(board, BM + 2), 4);
    assert_int_equal(machine->disk->bytes[1000 * 512], 0x5c);
    assert_int_equal(machine->disk->bytes[1256 * 512 - 1], 0x5c);
    assert_int_equal(machine->disk->bytes[1256 * 512 + 4], 1256 & 0xff);
    out8(board, BM + 2, 0x64);
    assert_int_equal(in8(board, BM + 2), 0x60);
}

static void a_write_whose_table_ends_within_a_sector(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t *bytes = memory_ram(board->memory) + 0x10000;
    memset(bytes, 0x77, 2000);
    bus_master_on(board);
    bus_master_table(board, 0, (struct prd[]){{0x10000, 700}, {0x102bc, 0x80000000 | 900}}, 2);
    command_28(board, 0xca, 10, 4);
    out8(board, BM, 1);
    assert_int_equal(in8(board, BASE + 7) & ST_DRQ, ST_DRQ); /* it waits for the rest */
    assert_memory_equal(machine->disk->bytes + 10 * 512, bytes, 3 * 512);
    assert_int_equal(machine->disk->bytes[13 * 512], 13);
}

static void dma_with_bad_tables(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t *image = malloc(SECTORS * 512);
    memcpy(image, machine->disk->bytes, SECTORS * 512);
    bus_master_on(board);

    /* Too short: the drive waits, the master has stopped without an interrupt. */
    bus_master_table(board, 0, (struct prd[]){{0x10000, 0x80000000 | 100}}, 1);
    command_28(board, 0xca, 0, 1);
    out8(board, BM, 1);
    assert_int_equal(in8(board, BM + 2), 0);
    assert_int_equal(in8(board, BASE + 7) & ST_DRQ, ST_DRQ);
    out8(board, CONTROL, 4);
    out8(board, CONTROL, 0);
    out8(board, BM, 0);

    /* Too long: interrupt, and still active. */
    bus_master_table(board, 0, (struct prd[]){{0x10000, 0x80000000 | 4096}}, 1);
    command_28(board, 0xc8, 0, 1);
    out8(board, BM, 9);
    assert_int_equal(in8(board, BM + 2), 5);
    out8(board, BM, 0);
    assert_int_equal(in8(board, BM + 2), 4);

    /* The wrong way; to a hole; a table in a hole; bus mastering off. */
    bus_master_table(board, 0, (struct prd[]){{0x10000, 0x80000000 | 512}}, 1);
    command_28(board, 0xca, 0, 1);
    out8(board, BM, 9);
    assert_int_equal(in8(board, BM + 2), 6);
    assert_failed(board, 4);
    out8(board, BM, 0);
    bus_master_table(board, 0, (struct prd[]){{0xfee00000, 0x80000000 | 512}}, 1);
    command_28(board, 0xca, 0, 1);
    out8(board, BM, 1);
    assert_int_equal(in8(board, BM + 2), 6);
    out8(board, BM, 0);
    out8(board, BM + 2, 6);
    bus_write(board->ports, BM + 4, 4, 0xfffffffc);
    command_28(board, 0xc8, 0, 1);
    out8(board, BM, 9);
    assert_int_equal(in8(board, BM + 2) & 3, 2);
    out8(board, BM, 0);
    config_write(board, 4, 2, 1);
    bus_master_table(board, 0, (struct prd[]){{0x10000, 0x80000000 | 512}}, 1);
    command_28(board, 0xca, 0, 1);
    out8(board, BM, 1);
    assert_int_equal(in8(board, BM + 2) & 3, 2);
    assert_memory_equal(image, machine->disk->bytes, SECTORS * 512);
    free(image);
}

static void reset_cancels_dma(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    bus_master_on(board);
    memset(memory_ram(board->memory) + 0x10000, 0xee, 512);
    bus_master_table(board, 0, (struct prd[]){{0x10000, 0x80000000 | 512}}, 1);
    command_28(board, 0xca, 5, 1);
    out8(board, CONTROL, 4);
    out8(board, BM, 1);
    out8(board, CONTROL, 0);
    assert_int_equal(machine->disk->bytes[511], 0);
    assert_int_equal(machine->disk->bytes[5 * 512 + 511], 5);
    assert_idle(board);
}

/* ---- while the image has not answered */

static void a_waiting_drive_is_busy(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    out8(board, BASE + 6, 0xe0);
    out8(board, BASE + 2, 1);
    out8(board, BASE + 3, 9);
    out_busy(board, BASE + 7, 0x20);
    assert_int_equal(bus_read(board->ports, BASE + 7, 1), ST_BSY);
    out_busy(board, BASE + 3, 0x55); /* it does not listen */
    out_busy(board, BASE + 6, 0xf0);
    out_busy(board, BASE + 7, 0xec);
    assert_int_equal(bus_read(board->ports, BASE, 2), 0xffff);
    assert_int_equal(bus_read(board->ports, CONTROL, 1), ST_BSY);
    assert_false(board->irq[0]);
    board_settle(board);
    assert_true(board->irq[0]);
    assert_int_equal(in8(board, BASE + 3), 9);
    assert_sectors(board, 9, 1);
    out_busy(board, BASE + 7, 0xe7);
    assert_int_equal(machine->disk->flushes, 0);
    assert_int_equal(bus_read(board->ports, CONTROL, 1), ST_BSY);
    board_settle(board);
    assert_int_equal(machine->disk->flushes, 1);
    assert_idle(board);
}

/* The reset ends when the image has answered; nobody hears of the answer. */
static void reset_while_the_image_works(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    bus_master_on(board);
    memset(memory_ram(board->memory) + 0x10000, 0xee, 1024);
    bus_master_table(board, 0, (struct prd[]){{0x10000, 0x80000000 | 1024}}, 1);
    command_28(board, 0xca, 5, 2);
    out_busy(board, BM, 1);
    assert_int_equal(bus_read(board->ports, BM + 2, 1) & 1, 1);
    out_busy(board, CONTROL, 4);
    out_busy(board, CONTROL, 0);
    assert_int_equal(bus_read(board->ports, BASE + 7, 1), ST_BSY);
    out_busy(board, BASE + 7, 0x20);
    board_settle(board);
    assert_idle(board);
    assert_int_equal(in8(board, BASE + 1), 1);
    assert_false(board->irq[0]);
    assert_int_equal(machine->disk->bytes[511], 0);
    assert_int_equal(machine->disk->bytes[5 * 512], 0xee); /* that was under way already */
    assert_int_equal(machine->disk->bytes[7 * 512 + 511], 7);
    command_28(board, 0x20, 1000, 1);
    assert_sectors(board, 1000, 1);
    /* And the machine's. */
    command_28(board, 0x20, 8, 1);
    out_busy(board, BASE + 7, 0x20);
    ide_reset(board->ide);
    assert_int_equal(bus_read(board->ports, BASE + 7, 1), ST_DRDY | ST_DSC);
}

/* 256 pieces a sector, and a long command: more than one list takes. */
static void dma_in_the_smallest_pieces(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    enum { COUNT = 20, PIECES = COUNT * 256, TABLE = 0x20000 };
    struct prd *table = calloc(PIECES, sizeof(*table));
    uint8_t *ram = memory_ram(board->memory);
    bus_master_on(board);
    for (unsigned i = 0; i < PIECES; i++)
        table[i] = (struct prd){0x80000 + 2 * (PIECES - 1 - i), 2};
    table[PIECES - 1].size |= 0x80000000;
    memory_write(board->memory, TABLE, table, PIECES * sizeof(*table));
    for (unsigned way = 0; way < 2; way++) {
        out8(board, BM, 0);
        out8(board, BM + 2, 6);
        bus_write(board->ports, BM + 4, 4, TABLE);
        if (way == 1)
            for (unsigned i = 0; i < PIECES; i++)
                memcpy(ram + 0x80000 + 2 * i, (uint16_t[]){(uint16_t)i}, 2);
        command_48(board, way ? 0x35 : 0x25, 300, COUNT);
        out8(board, BM, way ? 1 : 9);
        assert_int_equal(in8(board, BM + 2), 4);
        assert_idle(board);
        for (unsigned i = 0; i < PIECES; i++)
            assert_memory_equal(ram + 0x80000 + 2 * (PIECES - 1 - i),
                                machine->disk->bytes + 300 * 512 + 2 * i, 2);
    }
    assert_int_equal(machine->disk->bytes[300 * 512], (PIECES - 1) & 0xff);
    free(table);
}

/* ---- everything at once */

enum { WRITABLE = 10000 };

static void hammer_command(struct board *board, uint32_t value)
{
    static const uint8_t likely[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0xa0,
                                     0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef};
    uint8_t opcode = value >> 24 & 1 ? likely[value % sizeof(likely)] : (uint8_t)value;
    uint64_t lba = WRITABLE + random() % (SECTORS - WRITABLE + 100);
    if (random() % 4 == 0) { /* the other channel, the other drive: anything goes */
        for (unsigned i = 1; i < 7; i++)
            out8(board, 0x170 + i, (unsigned)random());
        out_busy(board, 0x177, opcode);
        return;
    }
    command_48(board, 0x00, lba, (uint16_t)(random() % 8)); /* sets the address; aborts what is under way */
    out8(board, BASE + 6, 0xe0 | (random() % 4 == 0) << 4);
    out_busy(board, BASE + 7, opcode);
}

static void hammer_data(struct board *board, uint32_t value)
{
    unsigned port = value & 1 ? 0x1f0 : 0x170;
    unsigned size = 1u << (value >> 1) % 3;
    for (unsigned i = 0; i < (value >> 8) % 600; i++) {
        if (value & 0x80)
            bus_write(board->ports, port, size, value);
        else
            bus_read(board->ports, port, size);
    }
}

static void hammer_register(struct board *board, uint32_t value)
{
    static const uint16_t bases[] = {0x1f0, 0x170, 0x3f0, 0x370, BM, BM + 8};
    unsigned port = bases[random() % 6] + (unsigned)random() % 8, size = 1u << random() % 3;
    bool command = port <= 0x1f7 && port + size > 0x1f7;
    if (command || random() % 2)
        bus_read(board->ports, port, size);
    else if (port == BM + 4 || port == BM + 12)
        bus_write(board->ports, port, 4, value & 0x1ffffc);
    else
        bus_write(board->ports, port, size, value);
}

/* Writes to the first disk are addressed from WRITABLE on: what lies before stays, and the other media stay whole. */
static void hammer(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    struct image *second = image_create(board->pool, 100, 512), *medium = image_create(board->pool, 50, 2048);
    uint8_t *image = malloc(SECTORS * 512);

    memcpy(image, machine->disk->bytes, SECTORS * 512);
    second->block.read_only = true;
    ide_attach_disk(board->ide, 0, 1, &second->block);
    ide_attach_cdrom(board->ide, 1, 0, &medium->block);
    srandom(5);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t value = (uint32_t)random() ^ (uint32_t)random() << 16;
        switch (random() % 8) {
        case 0: hammer_command(board, value); break;
        case 1: hammer_data(board, value); break;
        default: hammer_register(board, value);
        }
        if (random() % 4) /* else the drives stay busy for a while */
            board_settle(board);
        if (i % 1000 == 0)
            bus_master_on(board);
        if (i % 5000 == 0)
            ide_reset(board->ide);
    }
    ide_reset(board->ide);
    assert_memory_equal(image, machine->disk->bytes, WRITABLE * 512);
    assert_memory_not_equal(image + WRITABLE * 512, machine->disk->bytes + WRITABLE * 512,
                            (SECTORS - WRITABLE) * 512);
    command_28(board, 0x20, 77, 1);
    assert_sectors(board, 77, 1);
    for (uint32_t i = 0; i < 100; i++)
        assert_memory_equal(second->bytes + i * 512, &i, 4);
    for (uint32_t i = 0; i < 50; i++)
        assert_memory_equal(medium->bytes + i * 2048, &i, 4);
    free(image);
    image_free(second);
    image_free(medium);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(detection, setup, teardown),
        cmocka_unit_test_setup_teardown(identify, setup, teardown),
        cmocka_unit_test_setup_teardown(pio_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(an_interrupt_for_each_block, setup, teardown),
        cmocka_unit_test_setup_teardown(pio_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(cylinders_heads_sectors, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(host_errors_reach_the_guest, setup, teardown),
        cmocka_unit_test_setup_teardown(soft_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(features, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_reads_and_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_whose_table_ends_within_a_sector, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_with_bad_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_cancels_dma, setup, teardown),
        cmocka_unit_test_setup_teardown(a_waiting_drive_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_while_the_image_works, setup, teardown),
        cmocka_unit_test_setup_teardown(dma_in_the_smallest_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

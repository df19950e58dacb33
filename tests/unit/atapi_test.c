/* The CD-ROM drive. Numbers: ATA/ATAPI-6, 8.23 and 9.8; MMC-3; SPC-2. */
#include "unit/unit.h"

#include "unit/ide_board.h"

enum { SECTORS = 300, BASE = 0x170, CONTROL = 0x376, CD_SECTOR = 2048 };

struct machine {
    struct board *board;
    struct image *medium, *other;
};

static int setup(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    machine->board = board_create();
    machine->medium = image_create(machine->board->pool, SECTORS, CD_SECTOR);
    machine->other = image_create(machine->board->pool, 20, CD_SECTOR);
    machine->medium->block.read_only = machine->other->block.read_only = true;
    ide_attach_cdrom(machine->board->ide, 1, 0, &machine->medium->block);
    *state = machine;
    return 0;
}

static int teardown(void **state)
{
    struct machine *machine = *state;
    board_free(machine->board);
    image_free(machine->medium);
    image_free(machine->other);
    free(machine);
    return 0;
}

/* Sends a packet; answers with the status. */
static uint8_t packet(struct board *board, unsigned features, unsigned limit, const char *bytes)
{
    out8(board, BASE + 6, 0xa0);
    out8(board, BASE + 1, features);
    out8(board, BASE + 4, limit);
    out8(board, BASE + 5, limit >> 8);
    out8(board, BASE + 7, 0xa0);
    assert_int_equal(in8(board, CONTROL) & (ST_BSY | ST_DRQ), ST_DRQ);
    assert_int_equal(in8(board, BASE + 2) & 3, 1); /* a command, to the device */
    data_out(board, BASE, bytes, 6);
    return in8(board, CONTROL);
}

static unsigned byte_count(struct board *board)
{
    return in8(board, BASE + 4) | in8(board, BASE + 5) << 8;
}

static void assert_done(struct board *board)
{
    assert_true(board->irq[1]);
    assert_int_equal(in8(board, BASE + 7), ST_DRDY | ST_DSC);
    assert_int_equal(in8(board, BASE + 2) & 3, 3);
}

/* Reads what the drive answers, however many pieces it comes in; answers with its length. */
static unsigned answer(struct board *board, void *to, unsigned most)
{
    unsigned got = 0;
    while (in8(board, BASE + 7) & ST_DRQ) {
        unsigned count = byte_count(board);
        assert_int_equal(in8(board, BASE + 2) & 3, 2);
        assert_true(count && got + (count + 1) / 2 * 2 <= most);
        data_in(board, BASE, (uint8_t *)to + got, (count + 1) / 2);
        got += count;
    }
    return got;
}

static void assert_sense(struct board *board, uint8_t key, uint8_t code)
{
    uint8_t sense[18];
    assert_int_equal(in8(board, BASE + 7) & (ST_ERR | ST_DRQ), ST_ERR);
    assert_int_equal(in8(board, BASE + 1) >> 4, key);
    packet(board, 0, 18, "\x03\0\0\0\x12\0\0\0\0\0\0");
    assert_int_equal(answer(board, sense, sizeof(sense)), 18);
    assert_int_equal(sense[0], 0x70);
    assert_int_equal(sense[2], key);
    assert_int_equal(sense[12], code);
}

static void signature_and_identify(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    uint16_t words[256];
    assert_int_equal(in8(board, BASE + 7), 0);
    assert_int_equal(in8(board, BASE + 4), 0x14);
    assert_int_equal(in8(board, BASE + 5), 0xeb);
    out8(board, BASE + 4, 0);
    out8(board, BASE + 7, 0xec);
    assert_int_equal(in8(board, BASE + 7) & (ST_ERR | ST_DRQ), ST_ERR);
    assert_int_equal(in8(board, BASE + 1), 4);
    assert_int_equal(byte_count(board), 0xeb14);
    out8(board, BASE + 7, 0xa1);
    assert_true(board->irq[1]);
    assert_int_equal(in8(board, BASE + 7) & (ST_ERR | ST_DRQ), ST_DRQ);
    data_in(board, BASE, words, 256);
    assert_int_equal(words[0] >> 8 & 0x1f, 5);
    assert_int_equal(words[0] >> 14, 2);
    assert_int_equal(words[0] & 3, 0);
    out8(board, BASE + 7, 0x08); /* DEVICE RESET: the signature again, without an interrupt */
    assert_int_equal(byte_count(board), 0xeb14);
    assert_int_equal(in8(board, BASE + 7), 0);
}

static void reads_as_seabios_does(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    uint8_t sector[CD_SECTOR];
    uint32_t number;
    out8(board, CONTROL, 0x0a);
    assert_int_equal(packet(board, 0, 0x800, "\x28\0\0\0\0\x11\0\0\2\0\0") & ST_DRQ, ST_DRQ);
    for (unsigned i = 17; i < 19; i++) {
        assert_int_equal(byte_count(board), 0x800);
        data_in(board, BASE, sector, CD_SECTOR / 2);
        memcpy(&number, sector, 4);
        assert_int_equal(number, i);
    }
    assert_false(board->irq[1]);
    out8(board, CONTROL, 8);
    assert_done(board);
}

static void reads_in_pieces(void **state)
{
    static const uint16_t limits[] = {2, 100, 0x801, 4096, 0x7ffe, 0xfffe, 0xffff};
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t *got = malloc(200 * CD_SECTOR);
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        unsigned count = limits[i] < 4096 ? 3 : 100;
        char command[12] = "\xa8\0\0\0\0\x32\0\0\0\0\0";
        command[9] = (char)count;
        packet(board, 0, limits[i], command);
        assert_true(byte_count(board) <= limits[i] && byte_count(board) % 2 == 0);
        assert_int_equal(answer(board, got, 200 * CD_SECTOR), count * CD_SECTOR);
        assert_memory_equal(got, machine->medium->bytes + 50 * CD_SECTOR, count * CD_SECTOR);
    }
    free(got);
    packet(board, 0, 0x800, "\x28\0\0\0\0\x11\0\0\0\0\0"); /* none at all */
    assert_done(board);
}

static void refusals(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    packet(board, 0, 0x800, "\x28\0\xff\xff\xff\xff\0\0\1\0\0");
    assert_sense(board, 5, 0x21);
    packet(board, 0, 0x800, "\x28\0\0\0\1\x2b\0\0\2\0\0");
    assert_sense(board, 5, 0x21);
    packet(board, 0, 0x800, "\xa8\0\0\0\0\0\xff\xff\xff\xff\0");
    assert_sense(board, 5, 0x21);
    packet(board, 0, 0, "\x28\0\0\0\0\0\0\0\1\0\0");
    assert_sense(board, 5, 0x24);
    packet(board, 0, 1, "\x28\0\0\0\0\0\0\0\1\0\0");
    assert_sense(board, 5, 0x24);
    packet(board, 0, 0x800, "\xff\0\0\0\0\0\0\0\0\0\0");
    assert_sense(board, 5, 0x20);
    packet(board, 0, 0x800, "\x2a\0\0\0\0\0\0\0\1\0\0"); /* WRITE(10) */
    assert_sense(board, 5, 0x20);
    machine->medium->bad_from = 40 * CD_SECTOR;
    machine->medium->bad_to = 41 * CD_SECTOR;
    packet(board, 0, 0x800, "\x28\0\0\0\0\x28\0\0\1\0\0");
    assert_sense(board, 3, 0x11);
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0"); /* and all is well again */
    assert_done(board);
    out8(board, BASE + 7, 0x20);
    assert_int_equal(in8(board, BASE + 7) & ST_ERR, ST_ERR);
    assert_int_equal(byte_count(board), 0xeb14);
    out8(board, BASE + 7, 0x30);
    assert_int_equal(in8(board, BASE + 1), 4);
}

static void without_a_medium(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    static const char *const commands[] = {"\0\0\0\0\0\0\0\0\0\0\0", "\x25\0\0\0\0\0\0\0\0\0\0",
                                           "\x28\0\0\0\0\0\0\0\1\0\0", "\x43\0\0\0\0\0\0\0\x0c\0\0"};
    uint8_t got[64];
    assert_true(ide_change_medium(board->ide, 1, 0, NULL, false));
    for (unsigned i = 0; i < 4; i++) {
        packet(board, 0, 0x800, commands[i]);
        assert_sense(board, 2, 0x3a);
    }
    packet(board, 0, 0x800, "\x12\0\0\0\x24\0\0\0\0\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 36);
    packet(board, 0, 0x800, "\x4a\1\0\0\x10\0\0\0\x08\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 8);
    assert_memory_equal(got, "\0\6\4\x10\3\0\0\0", 8);
}

static void media_change(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t got[64];
    assert_true(ide_change_medium(board->ide, 1, 0, &machine->other->block, false));
    packet(board, 0, 0x800, "\x4a\1\0\0\x10\0\0\0\x08\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 8);
    assert_memory_equal(got, "\0\6\4\x10\2\2\0\0", 8);
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
    assert_sense(board, 6, 0x28); /* once */
    packet(board, 0, 8, "\x25\0\0\0\0\0\0\0\0\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 8);
    assert_memory_equal(got, "\0\0\0\x13\0\0\x08\0", 8);

    packet(board, 0, 0, "\x1e\0\0\0\1\0\0\0\0\0\0"); /* the door is locked */
    assert_done(board);
    assert_false(ide_change_medium(board->ide, 1, 0, NULL, false));
    packet(board, 0, 0, "\x1b\0\0\0\2\0\0\0\0\0\0");
    assert_sense(board, 5, 0x53);
    assert_true(ide_change_medium(board->ide, 1, 0, NULL, true));
    assert_false(ide_change_medium(board->ide, 0, 0, NULL, true)); /* no such drive */
    packet(board, 0, 0, "\x1e\0\0\0\0\0\0\0\0\0\0");
    assert_true(ide_change_medium(board->ide, 1, 0, &machine->medium->block, false));

    packet(board, 0, 0, "\x1b\0\0\0\2\0\0\0\0\0\0"); /* the guest opens the tray ... */
    assert_done(board);
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
    assert_sense(board, 2, 0x3a);
    packet(board, 0, 0, "\x1b\0\0\0\3\0\0\0\0\0\0"); /* ... and closes it */
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
    assert_sense(board, 6, 0x28);
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
    assert_done(board);
}

static void ejected_during_a_read(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    uint8_t sector[CD_SECTOR];
    packet(board, 0, 0x800, "\x28\0\0\0\0\0\0\0\x64\0\0");
    data_in(board, BASE, sector, CD_SECTOR / 2);
    assert_true(ide_change_medium(board->ide, 1, 0, NULL, true));
    for (unsigned i = 1; i < 100 && in8(board, BASE + 7) & ST_DRQ; i++)
        data_in(board, BASE, sector, CD_SECTOR / 2);
    assert_sense(board, 2, 0x3a);
}

static void table_of_contents(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    uint8_t got[64];
    packet(board, 0, 0x800, "\x43\0\0\0\0\0\0\0\x40\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 20);
    assert_memory_equal(got, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\1\x2c", 20);
    packet(board, 0, 0x800, "\x43\2\0\0\0\0\xaa\0\x40\0\0"); /* the lead-out in minutes: 300 + 150 frames */
    assert_int_equal(answer(board, got, sizeof(got)), 12);
    assert_memory_equal(got, "\0\x0a\1\1\0\x14\xaa\0\0\0\6\0", 12);
    packet(board, 0, 0x800, "\x43\0\1\0\0\0\0\0\x40\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 12);
    packet(board, 0, 0x800, "\x43\0\0\0\0\0\0\0\x04\0\0"); /* no room for more */
    assert_int_equal(answer(board, got, sizeof(got)), 4);
    packet(board, 0, 0x800, "\x43\0\0\0\0\0\5\0\x40\0\0");
    assert_sense(board, 5, 0x24);
}

static void descriptions(void **state)
{
    struct board *board = ((struct machine *)*state)->board;
    uint8_t got[128];
    packet(board, 0, 0x800, "\x12\0\0\0\x05\0\0\0\0\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 5);
    assert_memory_equal(got, "\5\x80\0", 3);
    packet(board, 0, 0x800, "\x46\0\0\0\0\0\0\0\x40\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 40);
    assert_memory_equal(got, "\0\0\0\x24\0\0\0\x08", 8); /* a CD-ROM is in */
    packet(board, 0, 0x800, "\x5a\0\x2a\0\0\0\0\0\x40\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 28);
    assert_int_equal(got[8], 0x2a);
    packet(board, 0, 0x800, "\x5a\0\x3f\0\0\0\0\0\x40\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 36);
    packet(board, 0, 0x800, "\x5a\0\x07\0\0\0\0\0\x40\0\0");
    assert_sense(board, 5, 0x24);
    packet(board, 0, 0x800, "\x51\0\0\0\0\0\0\0\x22\0\0");
    assert_int_equal(answer(board, got, sizeof(got)), 34);
    packet(board, 0, 0x800, "\xbd\0\0\0\0\0\0\0\0\x08\0");
    assert_int_equal(answer(board, got, sizeof(got)), 8);
    packet(board, 0, 0x800, "\x4a\0\0\0\x10\0\0\0\x08\0\0"); /* asynchronous */
    assert_sense(board, 5, 0x24);
}

static void reads_by_dma(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    bus_master_on(board);
    bus_master_table(board, 1, (struct prd[]){{0x20000, 0}, {0x30000, 0x80000000 | 0x9000}}, 2);
    packet(board, 1, 0, "\x28\0\0\0\0\x05\0\0\x32\0\0"); /* 50 sectors: 19000h bytes */
    assert_false(board->irq[1]);
    out8(board, BOARD_BUS_MASTER + 8, 9);
    assert_done(board);
    assert_int_equal(in8(board, BOARD_BUS_MASTER + 10), 4);
    assert_memory_equal(memory_ram(board->memory) + 0x20000, machine->medium->bytes + 5 * CD_SECTOR, 0x19000);
    out8(board, BOARD_BUS_MASTER + 8, 8);
    bus_master_table(board, 1, (struct prd[]){{0x40000, 0x80000000 | 36}}, 1);
    out8(board, BOARD_BUS_MASTER + 8, 9);
    packet(board, 1, 0, "\x12\0\0\0\x24\0\0\0\0\0\0");
    assert_done(board);
    assert_int_equal(memory_ram(board->memory)[0x40000], 5);
}

static void hammer(void **state)
{
    struct machine *machine = *state;
    struct board *board = machine->board;
    static const uint8_t opcodes[] = {0x00, 0x03, 0x12, 0x1b, 0x1e, 0x25, 0x28, 0x2b,
                                      0x42, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbd};
    uint8_t *bytes = malloc(SECTORS * CD_SECTOR);
    memcpy(bytes, machine->medium->bytes, SECTORS * CD_SECTOR);
    srandom(6);
    bus_master_on(board);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t command[12];
        for (unsigned j = 0; j < 12; j++)
            command[j] = random() % 3 ? 0 : (uint8_t)random();
        if (random() % 8)
            command[0] = opcodes[random() % sizeof(opcodes)];
        out8(board, BASE + 6, 0xa0);
        out8(board, BASE + 1, random() % 8 == 0);
        out8(board, BASE + 4, (unsigned)random());
        out8(board, BASE + 5, (unsigned)random());
        out8(board, BASE + 7, 0xa0);
        data_out(board, BASE, command, 6);
        for (long j = random() % 20; j > 0; j--)
            bus_read(board->ports, BASE + random() % 8, 1u << random() % 3);
        out8(board, BOARD_BUS_MASTER + 8 + random() % 3, (unsigned)random());
        if (random() % 16 == 0)
            ide_change_medium(board->ide, 1, 0,
                              random() % 3   ? &machine->medium->block
                              : random() % 2 ? &machine->other->block
                                             : NULL,
                              random() % 2);
        if (random() % 4 == 0)
            out8(board, random() % 2 ? CONTROL : BASE + 7, random() % 2 ? 8 : 4);
        out8(board, CONTROL, 0);
    }
    assert_memory_equal(bytes, machine->medium->bytes, SECTORS * CD_SECTOR);
    ide_reset(board->ide);
    ide_change_medium(board->ide, 1, 0, &machine->medium->block, true);
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
    assert_sense(board, 6, 0x28);
    packet(board, 0, 0, "\0\0\0\0\0\0\0\0\0\0\0");
    assert_done(board);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(signature_and_identify, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_as_seabios_does, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_medium, setup, teardown),
        cmocka_unit_test_setup_teardown(media_change, setup, teardown),
        cmocka_unit_test_setup_teardown(ejected_during_a_read, setup, teardown),
        cmocka_unit_test_setup_teardown(table_of_contents, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptions, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_by_dma, setup, teardown),
        cmocka_unit_test_setup_teardown(hammer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

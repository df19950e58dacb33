/* Numbers from the Intel 82077AA data sheet; the sequences are those of SeaBIOS and of Linux' floppy driver. */
#include "unit/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "devices/dma.h"
#include "devices/fdc.h"
#include "storage/pool.h"
#include "unit/image.h"

enum {
    RAM = 0x40000,
    BUFFER = 0x10000,
    DOR = 0x3f2,
    TDR,
    MSR,
    FIFO,
    DIR_CCR = 0x3f7,
    SIZE_1440K = 1474560,
    TRACK = 18 * 512,
};

static struct bench bench;
static struct memory *memory;
static struct dma *dma;
static struct fdc *fdc;
static struct block_pool *pool;
static struct image *diskette;
static uint8_t *ram;

static void diskette_make(uint64_t size)
{
    if (diskette)
        image_free(diskette);
    diskette = image_create(pool, size / 512, 512);
    for (uint64_t sector = 0; sector < size / 512; sector++)
        memset(diskette->bytes + sector * 512, (int)(sector % 251 + 1), 512);
}

/* The image answers whenever time passes. */
static void settle(void)
{
    pool_drain(pool);
}

static int setup(void **state)
{
    (void)state;
    bench_open(&bench);
    bench.settle = settle;
    memory = memory_create(RAM);
    ram = memory_ram(memory);
    memory_map(memory, &(struct memory_range){0, RAM, ram, true, "ram"});
    dma = dma_create(bench.ports, memory);
    fdc = fdc_create(bench.ports, &bench.line, dma, bench.clock);
    pool = pool_create(NULL, NULL);
    diskette_make(SIZE_1440K);
    assert_true(fdc_insert(fdc, 0, &diskette->block));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fdc_destroy(fdc);
    dma_destroy(dma);
    memory_destroy(memory);
    image_free(diskette);
    diskette = NULL;
    pool_destroy(pool);
    bench_close(&bench);
    return 0;
}

static void send(const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(in(&bench, MSR) & 0xd0, i ? 0x90 : 0x80);
        out(&bench, FIFO, bytes[i]);
    }
}

#define SEND(...) send((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void expect(const uint8_t *bytes, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(in(&bench, MSR) & 0xd0, 0xd0);
        assert_int_equal(in(&bench, FIFO), bytes[i]);
    }
    assert_int_equal(in(&bench, MSR) & 0xf0, 0x80);
}

#define EXPECT(...) expect((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void interrupt_comes(void)
{
    bench_pass(&bench, MILLISECONDS);
    assert_true(bench.probe.level);
}

static void start(void)
{
    out(&bench, DOR, 0x08);
    bench_pass(&bench, 4 * MICROSECONDS);
    out(&bench, DOR, 0x0c);
    interrupt_comes();
    for (unsigned drive = 0; drive < 4; drive++) {
        SEND(0x08);
        assert_int_equal(in(&bench, FIFO), 0xc0 | drive);
        in(&bench, FIFO); /* wherever the heads are */
    }
    assert_false(bench.probe.level);
    out(&bench, DOR, 0x1c);
    out(&bench, DIR_CCR, 0x00);
    SEND(0x03, 0xaf, 0x02);
}

static void dma_2(uint8_t mode, uint32_t address, unsigned bytes)
{
    out(&bench, 0x0a, 0x06);
    out(&bench, 0x0c, 0);
    out(&bench, 0x04, address), out(&bench, 0x04, address >> 8);
    out(&bench, 0x0c, 0);
    out(&bench, 0x05, bytes - 1), out(&bench, 0x05, (bytes - 1) >> 8);
    out(&bench, 0x0b, mode);
    out(&bench, 0x81, address >> 16);
    out(&bench, 0x0a, 0x02);
}

static void seek(uint8_t head, uint8_t track)
{
    SEND(0x0f, head << 2, track);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20 | head << 2, track);
}

static void firmware_finds_the_drive(void **state)
{
    (void)state;
    start();
    assert_int_equal(fdc_cmos_types(fdc), 0x40);
    SEND(0x07, 0x00);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20, 0x00);
    assert_false(bench.probe.level);
    SEND(0x4a, 0x00);
    assert_false(bench.probe.level); /* not within the command's last byte */
    assert_int_equal(in(&bench, MSR), 0x10);
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02);
    assert_false(bench.probe.level);
    SEND(0x08); /* nothing to tell */
    EXPECT(0x80);
}

static void sectors_are_read(void **state)
{
    (void)state;
    start();
    dma_2(0x46, BUFFER, 3 * 512);
    SEND(0xe6, 0x00, 0, 0, 5, 2, 7, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x04, 0x00, 0x00, 0, 1, 1, 2); /* past EOT, so the other head's first */
    assert_memory_equal(ram + BUFFER, diskette->bytes + 4 * 512, 3 * 512);
    assert_int_equal(ram[BUFFER + 3 * 512], 0);
    assert_false(bench.probe.level);
    seek(1, 79);
    dma_2(0x46, BUFFER, 512);
    SEND(0x66, 0x04, 79, 1, 18, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x04, 0x00, 0x00, 80, 1, 1, 2);
    assert_memory_equal(ram + BUFFER, diskette->bytes + SIZE_1440K - 512, 512);
}

static void multi_track_goes_on_with_the_other_head(void **state)
{
    (void)state;
    start();
    seek(0, 2);
    dma_2(0x46, BUFFER, 2 * TRACK);
    SEND(0xe6, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 3, 0, 1, 2);
    assert_memory_equal(ram + BUFFER, diskette->bytes + 4 * TRACK, 2 * TRACK);
    /* Terminal count within the second head's track. */
    dma_2(0x46, BUFFER, 20 * 512);
    SEND(0xe6, 0x00, 2, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x04, 0x00, 0x00, 2, 1, 3, 2);
}

static void without_terminal_count_the_cylinder_ends(void **state)
{
    (void)state;
    start();
    dma_2(0x46, BUFFER, 0x10000);
    SEND(0x66, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x40, 0x80, 0x00, 1, 0, 1, 2);
}

static void sectors_are_written(void **state)
{
    (void)state;
    start();
    memset(ram + BUFFER, 0xe5, 1024);
    dma_2(0x4a, BUFFER, 700);
    SEND(0xc5, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 0, 0, 4, 2);
    assert_int_equal(diskette->bytes[511], 1);
    assert_int_equal(diskette->bytes[512], 0xe5);
    assert_int_equal(diskette->bytes[512 + 699], 0xe5);
    assert_int_equal(diskette->bytes[512 + 700], 0x00); /* the rest of the sector that was cut off */
    assert_int_equal(diskette->bytes[3 * 512], 4);
}

static void a_read_only_image_is_write_protected(void **state)
{
    (void)state;
    start();
    diskette->block.read_only = true;
    SEND(0x04, 0x00);
    EXPECT(0x78);
    dma_2(0x4a, BUFFER, 512);
    SEND(0xc5, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x40, 0x02, 0x00, 0, 0, 2, 2);
    dma_2(0x4a, BUFFER, 4 * 18);
    SEND(0x4d, 0x00, 2, 18, 0x54, 0xf6);
    interrupt_comes();
    assert_int_equal(in(&bench, FIFO), 0x40);
    assert_int_equal(in(&bench, FIFO), 0x02);
    assert_int_equal(diskette->bytes[512], 2);
}

static void a_track_is_formatted(void **state)
{
    (void)state;
    start();
    seek(1, 3);
    for (unsigned i = 0; i < 18; i++)
        memcpy(ram + BUFFER + 4 * i, (const uint8_t[]){3, 1, i + 1, 2}, 4);
    dma_2(0x4a, BUFFER, 4 * 18);
    SEND(0x4d, 0x04, 2, 18, 0x54, 0xf6);
    interrupt_comes();
    assert_int_equal(in(&bench, FIFO), 0x04);
    for (unsigned i = 0; i < 6; i++)
        in(&bench, FIFO);
    for (unsigned i = 0; i < TRACK; i++)
        assert_int_equal(diskette->bytes[7 * TRACK + i], 0xf6);
    assert_int_not_equal(diskette->bytes[7 * TRACK - 1], 0xf6);
    assert_int_not_equal(diskette->bytes[8 * TRACK], 0xf6);
}

static void verify_reads_without_dma(void **state)
{
    (void)state;
    start();
    SEND(0x56, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 1, 0, 1, 2);
    SEND(0x56, 0x80, 0, 0, 3, 2, 18, 0x1b, 4); /* four sectors */
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 0, 0, 7, 2);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const uint8_t cases[][7] = {
        /* C, H, R, N; ST0, ST1, ST2 */
        {0, 0, 0, 2, 0x40, 0x04, 0x00},    /* sectors count from 1 */
        {0, 0, 19, 2, 0x40, 0x04, 0x00},   /* one too many */
        {0, 0, 255, 2, 0x40, 0x04, 0x00},  /**/
        {0, 1, 1, 2, 0x40, 0x04, 0x00},    /* the head selected is 0 */
        {0, 0, 1, 3, 0x40, 0x04, 0x00},    /* 1024 bytes a sector */
        {0, 0, 1, 255, 0x40, 0x04, 0x00},  /**/
        {7, 0, 1, 2, 0x40, 0x04, 0x10},    /* the heads are over track 0 */
        {0xff, 0, 1, 2, 0x40, 0x04, 0x12}, /* a bad track's mark */
    };
    start();
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dma_2(0x46, BUFFER, 512);
        SEND(0x66, 0x00, cases[i][0], cases[i][1], cases[i][2], cases[i][3], 18, 0x1b, 0xff);
        interrupt_comes();
        for (unsigned n = 4; n < 7; n++)
            assert_int_equal(in(&bench, FIFO), cases[i][n]);
        for (unsigned n = 0; n < 4; n++)
            assert_int_equal(in(&bench, FIFO), cases[i][n]);
    }
    seek(0, 82); /* past the last formatted track */
    SEND(0x4a, 0x00);
    interrupt_comes();
    assert_int_equal(in(&bench, FIFO), 0x40);
    assert_int_equal(in(&bench, FIFO), 0x01);
}

static void the_data_rate_must_be_the_mediums(void **state)
{
    (void)state;
    start();
    for (uint8_t rate = 0; rate < 4; rate++) {
        out(&bench, DIR_CCR, rate);
        SEND(0x4a, 0x00);
        interrupt_comes();
        assert_int_equal(in(&bench, FIFO), rate ? 0x40 : 0x00);
        for (unsigned i = 0; i < 6; i++)
            in(&bench, FIFO);
    }
    diskette_make(720 * 1024);
    fdc_insert(fdc, 0, &diskette->block);
    out(&bench, DIR_CCR, 2);
    SEND(0x4a, 0x04);
    interrupt_comes();
    assert_int_equal(in(&bench, FIFO), 0x04);
}

static void empty_and_absent_drives_fail(void **state)
{
    (void)state;
    start();
    fdc_insert(fdc, 0, NULL);
    for (uint8_t drive = 0; drive < 4; drive++) {
        dma_2(0x46, BUFFER, 512);
        SEND(0xe6, drive, 0, 0, 1, 2, 18, 0x1b, 0xff);
        interrupt_comes();
        EXPECT(0x40 | drive, 0x01, 0x00, 0, 0, 1, 2);
        SEND(0x4d, drive, 2, 18, 0x54, 0xf6);
        interrupt_comes();
        assert_int_equal(in(&bench, FIFO), 0x40 | drive);
        for (unsigned i = 0; i < 6; i++)
            in(&bench, FIFO);
    }
    SEND(0x07, 0x01); /* no drive B: track 0 is never reached */
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x71, 0x00);
}

static void dma_that_does_not_answer_is_an_overrun(void **state)
{
    (void)state;
    start();
    out(&bench, 0x0a, 0x06); /* masked */
    SEND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x40, 0x10, 0x00, 0, 0, 1, 2);
}

static void host_errors_are_data_errors(void **state)
{
    (void)state;
    start();
    diskette->bad_to = UINT64_MAX;
    dma_2(0x46, BUFFER, 512);
    SEND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x40, 0x20, 0x20, 0, 0, 1, 2);
    dma_2(0x4a, BUFFER, 512);
    SEND(0xc5, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x40, 0x20, 0x20, 0, 0, 1, 2);
}

static void bytes_can_go_one_by_one(void **state)
{
    (void)state;
    start();
    SEND(0x03, 0xaf, 0x03); /* no DMA */
    SEND(0xe6, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    for (unsigned i = 0; i < 1024 + TRACK; i++) {
        assert_int_equal(in(&bench, MSR), 0xf0);
        assert_int_equal(in(&bench, FIFO), diskette->bytes[16 * 512 + i]);
        settle();
    }
    assert_true(bench.probe.level);
    EXPECT(0x40, 0x80, 0x00, 1, 0, 1, 2); /* nobody said terminal count */
    SEND(0xc5, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    for (unsigned i = 0; i < 512 + TRACK; i++) {
        assert_int_equal(in(&bench, MSR), 0xb0);
        out(&bench, FIFO, 0x42);
        settle();
        if (i == 700)
            fdc_insert(fdc, 0, NULL); /* somebody pulls the diskette out meanwhile */
        if (i >= 1023)
            break;
    }
    assert_int_equal(in(&bench, FIFO), 0x44);
    assert_int_equal(diskette->bytes[17 * 512], 0x42);
    assert_int_equal(diskette->bytes[18 * 512], 19);
}

static void the_change_line_falls_with_a_step(void **state)
{
    (void)state;
    start();
    assert_int_equal(in(&bench, DIR_CCR) & 0x80, 0x80);
    SEND(0x07, 0x00);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20, 0x00);
    assert_int_equal(in(&bench, DIR_CCR) & 0x80, 0x80); /* there was no step */
    seek(0, 1);
    assert_int_equal(in(&bench, DIR_CCR) & 0x80, 0x00);
    fdc_insert(fdc, 0, NULL);
    assert_int_equal(in(&bench, DIR_CCR) & 0x80, 0x80);
    seek(0, 2);
    assert_int_equal(in(&bench, DIR_CCR) & 0x80, 0x80);
    out(&bench, DOR, 0x1d); /* no drive B */
    assert_int_equal(in(&bench, DIR_CCR) & 0x80, 0x00);
}

static void linux_tells_an_82077aa(void **state)
{
    (void)state;
    start();
    SEND(0x13, 0x00, 0x57, 0x00); /* CONFIGURE: implied seek, no polling, FIFO of 8 */
    SEND(0x0e);
    EXPECT(0, 0, 0, 0, 0xaf, 0x02, 0, 0x00, 0x57, 0);
    SEND(0x12, 0x80 | 0x04 | 0x03);
    SEND(0x0e);
    EXPECT(0, 0, 0, 0, 0xaf, 0x02, 0, 0x07, 0x57, 0);
    SEND(0x94);
    EXPECT(0x10);
    SEND(0x14);
    EXPECT(0x00);
    SEND(0x18); /* PART ID is the 82078's */
    EXPECT(0x80);
    SEND(0x10);
    EXPECT(0x90);
    /* A locked configuration outlives the reset, but for polling and implied seek. */
    SEND(0x94);
    EXPECT(0x10);
    out(&bench, MSR, 0x80);
    interrupt_comes();
    for (unsigned drive = 0; drive < 4; drive++) {
        SEND(0x08);
        EXPECT(0xc0 | drive, 0);
    }
    SEND(0x0e);
    EXPECT(0, 0, 0, 0, 0xaf, 0x02, 0, 0x84, 0x07, 0);
}

static void implied_and_relative_seeks(void **state)
{
    (void)state;
    start();
    SEND(0x13, 0x00, 0x40, 0x00);
    dma_2(0x46, BUFFER, 512);
    SEND(0xe6, 0x00, 40, 0, 1, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 40, 0, 2, 2);
    assert_memory_equal(ram + BUFFER, diskette->bytes + 80 * TRACK, 512);
    SEND(0xcf, 0x00, 2);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20, 42);
    SEND(0x8f, 0x00, 10);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20, 32);
    SEND(0x8f, 0x00, 200);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20, 0);
}

static void seeks_overlap(void **state)
{
    (void)state;
    fdc_insert(fdc, 1, NULL);
    start();
    SEND(0x0f, 0x00, 10);
    SEND(0x0f, 0x01, 20);
    assert_int_equal(in(&bench, MSR), 0x83);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0x20, 10);
    assert_true(bench.probe.level);
    SEND(0x08);
    EXPECT(0x21, 20);
    assert_false(bench.probe.level);
}

static void reset_ends_everything(void **state)
{
    (void)state;
    start();
    SEND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b); /* one byte short */
    out(&bench, DOR, 0x18);
    assert_int_equal(in(&bench, MSR), 0x00);
    out(&bench, FIFO, 0x10); /* held in reset: nobody hears it */
    out(&bench, DOR, 0x1c);
    assert_int_equal(in(&bench, MSR), 0x00);
    out(&bench, FIFO, 0x10);
    assert_int_equal(in(&bench, FIFO), 0x00);
    interrupt_comes();
    SEND(0x08);
    EXPECT(0xc0, 0);
    dma_2(0x46, BUFFER, 512);
    SEND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    out(&bench, DOR, 0x18);
    bench_pass(&bench, SECONDS);
    assert_false(bench.probe.level);
    assert_int_equal(ram[BUFFER], 0);
}

static void reset_while_the_image_works(void **state)
{
    (void)state;
    start();
    bench.settle = NULL;
    memset(ram + BUFFER, 0xe5, 512);
    dma_2(0x4a, BUFFER, 512);
    SEND(0xc5, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff);
    bench_pass(&bench, MILLISECONDS);
    assert_int_equal(in(&bench, MSR), 0x10);
    out(&bench, DOR, 0x18);
    out(&bench, DOR, 0x1c);
    bench_pass(&bench, SECONDS);
    assert_int_equal(in(&bench, MSR), 0x00); /* not before the answer is there */
    assert_false(bench.probe.level);
    settle();
    bench_pass(&bench, MILLISECONDS);
    assert_true(bench.probe.level);
    SEND(0x08);
    EXPECT(0xc0, 0);
    assert_int_equal(diskette->bytes[512], 0xe5); /* it was under way already */
    /* The diskette goes while it is read. */
    start();
    dma_2(0x46, BUFFER, 512);
    SEND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bench_pass(&bench, MILLISECONDS);
    fdc_insert(fdc, 0, NULL);
    settle();
    EXPECT(0x40, 0x01, 0x00, 0, 0, 1, 2);
    /* The machine is reset while it is read. */
    fdc_insert(fdc, 0, &diskette->block);
    SEND(0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    bench_pass(&bench, MILLISECONDS);
    fdc_reset(fdc);
    assert_int_equal(diskette->block.flying, 0);
}

static void the_dma_gate_cuts_the_interrupt_off(void **state)
{
    (void)state;
    start();
    out(&bench, DOR, 0x14);
    SEND(0x4a, 0x00);
    bench_pass(&bench, MILLISECONDS);
    assert_false(bench.probe.level);
    out(&bench, DOR, 0x1c);
    assert_true(bench.probe.level);
}

static void sizes_have_formats(void **state)
{
    (void)state;
    static const struct {
        uint64_t kilobytes;
        uint8_t type;
    } sizes[] = {{160, 6}, {180, 7}, {320, 8}, {360, 1}, {720, 3}, {1200, 2}, {1440, 4}, {2880, 5}, {100, 4}};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct fdc *fresh;
        struct bus *ports = bus_create("port", 0x10000);
        struct block_device block = {.size = sizes[i].kilobytes * 1024};
        fresh = fdc_create(ports, &bench.line, dma, bench.clock);
        assert_int_equal(fdc_cmos_types(fresh), 0x00);
        assert_true(fdc_insert(fresh, 1, &block));
        assert_int_equal(fdc_cmos_types(fresh), sizes[i].type);
        fdc_destroy(fresh);
        bus_destroy(ports);
    }
    assert_false(fdc_size_fits(2880 * 1024 + 512));
    struct block_device large = {.size = 1ull << 40};
    assert_false(fdc_insert(fdc, 0, &large));
    assert_false(fdc_insert(fdc, 2, &diskette->block));
}

static void a_short_image_reads_as_zeros_behind_its_end(void **state)
{
    (void)state;
    diskette_make(5 * 512);
    fdc_insert(fdc, 0, &diskette->block);
    start();
    memset(ram + BUFFER, 0xaa, 2048);
    dma_2(0x46, BUFFER, 1024);
    SEND(0xe6, 0x00, 0, 0, 5, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x00, 0x00, 0x00, 0, 0, 7, 2);
    assert_int_equal(ram[BUFFER], 5);
    assert_int_equal(ram[BUFFER + 512], 0);
    dma_2(0x4a, BUFFER, 512);
    SEND(0xc5, 0x00, 0, 0, 6, 2, 18, 0x1b, 0xff);
    interrupt_comes();
    EXPECT(0x40, 0x20, 0x20, 0, 0, 6, 2);
}

/* CVE-2015-3456 and its kin: bytes for ever, every opcode with wrong lengths, DOR toggled in between. */
static void bytes_for_ever(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        start();
        for (unsigned i = 0; i < 2000; i++) {
            out(&bench, FIFO, opcode);
            if (i % 16 == opcode % 16)
                bench_pass(&bench, 100 * MICROSECONDS);
        }
        for (unsigned i = 0; i < 2000; i++)
            in(&bench, FIFO);
    }
}

static void anything_goes(void **state)
{
    (void)state;
    static const uint16_t ports[] = {FIFO, FIFO, FIFO, FIFO, MSR, DOR, TDR, DIR_CCR, 0x0a, 0x0f, 0x0b, 0x05};
    start();
    fdc_insert(fdc, 1, NULL);
    bench_hammer(&bench, ports, sizeof(ports) / sizeof(ports[0]));
}

/* Whole commands with random arguments reach deeper than random ports. */
static void any_command_goes(void **state)
{
    (void)state;
    static const uint8_t opcodes[] = {0xe6, 0xc5, 0x4d, 0x42, 0x56, 0x4a, 0x0f, 0x07, 0x13, 0x03, 0xcc, 0xc9};
    uint64_t seed = 7;
    start();
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t random = bench_random(&seed);
        if (i % 64 == 0)
            start();
        dma_2(random & 1 ? 0x46 : 0x4a, random >> 4 & 0x3ffff, (random >> 24 & 0x3fff) + 1);
        out(&bench, FIFO, opcodes[(random >> 40) % sizeof(opcodes)]);
        for (unsigned n = 0; n < 8; n++)
            out(&bench, FIFO, random >> 4 & 1 << n ? bench_random(&seed) : bench_random(&seed) % 20);
        bench_pass(&bench, MILLISECONDS);
        while (in(&bench, MSR) & 0x10 && random++ & 0xff)
            random & 2 ? (void)in(&bench, FIFO) : out(&bench, FIFO, random >> 8);
        if ((random >> 32 & 255) == 0)
            fdc_insert(fdc, random & 1, random & 2 ? &diskette->block : NULL);
        out(&bench, DOR, 0x18);
        out(&bench, DOR, 0x1c);
        bench_pass(&bench, MILLISECONDS);
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(firmware_finds_the_drive),
        TEST(sectors_are_read),
        TEST(multi_track_goes_on_with_the_other_head),
        TEST(without_terminal_count_the_cylinder_ends),
        TEST(sectors_are_written),
        TEST(a_read_only_image_is_write_protected),
        TEST(a_track_is_formatted),
        TEST(verify_reads_without_dma),
        TEST(what_is_not_there_is_not_found),
        TEST(the_data_rate_must_be_the_mediums),
        TEST(empty_and_absent_drives_fail),
        TEST(dma_that_does_not_answer_is_an_overrun),
        TEST(host_errors_are_data_errors),
        TEST(bytes_can_go_one_by_one),
        TEST(the_change_line_falls_with_a_step),
        TEST(linux_tells_an_82077aa),
        TEST(implied_and_relative_seeks),
        TEST(seeks_overlap),
        TEST(reset_ends_everything),
        TEST(reset_while_the_image_works),
        TEST(the_dma_gate_cuts_the_interrupt_off),
        TEST(sizes_have_formats),
        TEST(a_short_image_reads_as_zeros_behind_its_end),
        TEST(bytes_for_ever),
        TEST(anything_goes),
        TEST(any_command_goes),
    };
    return cmocka_run_group_tests_name("fdc", tests, NULL, NULL);
}

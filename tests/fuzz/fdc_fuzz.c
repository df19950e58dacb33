/* A guest that does anything with the floppy controller and its DMA channel; diskettes come and go, time passes. */
#include "fuzz/fuzz.h"
#include "unit/bench.h"
#include "unit/image.h"

#include "core/memory.h"
#include "devices/fdc.h"
#include "storage/pool.h"

enum { RAM = 0x40000, STEPS_MOST = 4000, FIFO = 0x3f5, SECTORS = 2880 };

static void dma_2(struct bench *bench, struct input *input)
{
    out(bench, 0x0a, 0x06);
    out(bench, 0x0c, 0);
    for (unsigned i = 0; i < 2; i++)
        out(bench, 0x04, (uint8_t)input_take(input, 1));
    for (unsigned i = 0; i < 2; i++)
        out(bench, 0x05, (uint8_t)input_take(input, 1));
    out(bench, 0x0b, (uint8_t)input_take(input, 1));
    out(bench, 0x81, input_take(input, 1) & 7);
    out(bench, 0x0a, 0x02);
}

/* A command of so many bytes; the controller may want more or fewer. */
static void command(struct bench *bench, struct input *input)
{
    for (unsigned count = input_take(input, 1) % 12; count; count--)
        out(bench, FIFO, (uint8_t)input_take(input, 1));
}

static void any_port(struct bench *bench, struct input *input)
{
    static const uint16_t ports[] = {0x3f2, 0x3f3, 0x3f4, FIFO, 0x3f7, 0x08, 0x0a, 0x0b, 0x0d, 0x0f};
    uint16_t port = ports[input_take(input, 1) % 10];
    uint8_t value = (uint8_t)input_take(input, 1);
    if (value & 1)
        in(bench, port);
    else
        out(bench, port, (uint8_t)input_take(input, 1));
}

static void step(struct bench *bench, struct fdc *fdc, struct block_pool *pool, struct image *diskette,
                 struct input *input)
{
    switch (input_take(input, 1) % 10) {
    case 0:
    case 1:
    case 2: command(bench, input); break;
    case 3: dma_2(bench, input); break;
    case 4:
    case 5: bench_pass(bench, input_take(input, 2) * MICROSECONDS); break;
    case 6: pool_drain(pool); break;
    case 7:
        for (unsigned count = input_take(input, 2) % 1200; count; count--)
            in(bench, FIFO);
        break;
    case 8:
        fdc_insert(fdc, input_take(input, 1) & 1, input_take(input, 1) & 1 ? &diskette->block : NULL);
        break;
    default: any_port(bench, input);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct input input = {bytes, size};
    struct bench bench;
    bench_open(&bench);
    struct memory *memory = memory_create(RAM);
    memory_map(memory, &(struct memory_range){0, RAM, memory_ram(memory), true, "ram"});
    struct block_pool *pool = pool_create(NULL, NULL);
    struct image *diskette = image_create(pool, SECTORS, 512);
    struct dma *dma = dma_create(bench.ports, memory);
    struct fdc *fdc = fdc_create(bench.ports, &bench.line, dma, bench.clock);
    diskette->bad_from = 40 * 512;
    diskette->bad_to = 41 * 512;
    diskette->block.failed = true;
    fdc_insert(fdc, 0, &diskette->block);
    fdc_insert(fdc, 1, NULL);
    out(&bench, 0x3f2, 0x0c);
    bench_pass(&bench, MILLISECONDS);
    for (unsigned i = 0; i < STEPS_MOST && input.size; i++)
        step(&bench, fdc, pool, diskette, &input);
    fdc_reset(fdc);
    fdc_destroy(fdc);
    dma_destroy(dma);
    image_free(diskette);
    pool_destroy(pool);
    memory_destroy(memory);
    bench_close(&bench);
    return 0;
}

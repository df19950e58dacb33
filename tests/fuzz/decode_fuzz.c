/* The software CPU's decoder: any bytes in any mode, up to the last one; what comes out must be something to run. */
#include <assert.h>
#include <stdlib.h>

#include "cpu/cpuid.h"
#include "cpu/soft/decode.h"
#include "cpu/soft/system.h"
#include "fuzz/fuzz.h"

/* 64-bit code has neither of the other two. */
static uint32_t mode_make(uint32_t mode)
{
    return mode & MODE_CODE64 ? mode & ~(uint32_t)(MODE_CODE32 | MODE_STACK32) : mode;
}

static void check(const struct block *block, unsigned size)
{
    unsigned at = 0;

    assert(block->count <= BLOCK_OPERATIONS && block->length <= size);
    for (unsigned i = 0; i < block->count; i++) {
        const struct op *op = &block->ops[block->lead + i];

        assert(op->run && op->offset == at && op->ordinal == i);
        assert(op->length >= 1 && op->length <= INSTRUCTION_BYTES);
        assert(op->segment < SEG_COUNT);
        at += op->length;
    }
    assert(at == block->length);
    assert(block->ops[block->lead + block->count].run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct block *block = calloc(1, sizeof(*block) + (BLOCK_OPERATIONS + 2) * sizeof(struct op));
    struct cpu_abilities able = {0};
    uint8_t *exact;

    identify_abilities(&able);
    block->mode = mode_make(input_take(&input, 2));
    if (input_take(&input, 1) & 1)
        memset(&able.features, 0, sizeof(able.features));
    if (input.size > BLOCK_BYTES)
        input.size = BLOCK_BYTES;
    /* A copy of just the size, so that a byte too many is seen. */
    exact = malloc(input.size);
    memcpy(exact, input.data, input.size);
    decode_block(&able.features, block, exact, input.size);
    check(block, input.size);
    free(exact);
    free(block);
    return 0;
}

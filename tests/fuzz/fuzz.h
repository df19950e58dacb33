/* What the fuzz targets share: taking numbers from libFuzzer's bytes. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

/* Little-endian; zeros behind the end. */
static inline uint32_t input_take(struct input *input, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < bytes && input->size; i++, input->data++, input->size--)
        value |= (uint32_t)*input->data << 8 * i;
    return value;
}

#endif

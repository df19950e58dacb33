#include "firmware/aml.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    PREFIX_BYTE = 0x0a,
    PREFIX_WORD = 0x0b,
    PREFIX_DWORD = 0x0c,
    PREFIX_STRING = 0x0d,
    PREFIX_DUAL_NAME = 0x2e,
    PREFIX_MULTI_NAME = 0x2f,
    PREFIX_EXTENDED = 0x5b,
    SEGMENT = 4, /* characters of a name */

    LENGTH_ONE_BYTE_MOST = 0x3f,
    LENGTH_LOW_BITS = 4, /* of a PkgLength of several bytes, in its first */
    LENGTH_BYTES_SHIFT = 6,

    /* Resource descriptors (6.4.2, 6.4.3): the first byte. */
    RESOURCE_IRQ = 0x22,
    RESOURCE_DMA = 0x2a,
    RESOURCE_PORTS = 0x47,
    RESOURCE_MEMORY = 0x86, /* fixed, 32 bits */
    RESOURCE_END = 0x79,
    RESOURCE_DWORD_WINDOW = 0x87,
    RESOURCE_WORD_WINDOW = 0x88,
    RESOURCE_INTERRUPTS = 0x89,

    PORTS_DECODE_16 = 1,
    INTERRUPTS_CONSUMER_SHARED = 0x09, /* level, high */
    WINDOW_FIXED = 0x0c,               /* both ends; positive decode; a producer */
    WINDOW_WRITABLE = 1,
    WINDOW_ENTIRE_PORTS = 3,
};

void aml_free(struct aml *aml)
{
    free(aml->bytes);
    *aml = (struct aml){0};
}

static void reserve(struct aml *aml, size_t more)
{
    if (aml->size + more <= aml->space)
        return;
    size_t space = 2 * (aml->size + more);
    uint8_t *bytes = allocate(space);
    if (aml->size)
        memcpy(bytes, aml->bytes, aml->size);
    free(aml->bytes);
    aml->bytes = bytes;
    aml->space = space;
}

void aml_bytes(struct aml *aml, const void *bytes, size_t size)
{
    reserve(aml, size);
    memcpy(aml->bytes + aml->size, bytes, size);
    aml->size += size;
}

void aml_number(struct aml *aml, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        aml_bytes(aml, &byte, 1);
    }
}

void aml_opcode(struct aml *aml, enum aml_opcode opcode)
{
    if (opcode >> 8 == PREFIX_EXTENDED)
        aml_number(aml, PREFIX_EXTENDED, 1);
    aml_number(aml, opcode, 1);
}

void aml_integer(struct aml *aml, uint64_t value)
{
    if (value <= 1) { /* ZeroOp and OneOp */
        aml_number(aml, value, 1);
        return;
    }
    unsigned size = value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 4;
    aml_number(aml, size == 1 ? PREFIX_BYTE : size == 2 ? PREFIX_WORD : PREFIX_DWORD, 1);
    aml_number(aml, value, size);
}

void aml_string(struct aml *aml, const char *text)
{
    aml_number(aml, PREFIX_STRING, 1);
    aml_bytes(aml, text, strlen(text) + 1);
}

void aml_path(struct aml *aml, const char *path)
{
    size_t root = strspn(path, "\\^");
    unsigned segments = 1;
    for (const char *at = path; *at; at++)
        segments += *at == '.';
    aml_bytes(aml, path, root);
    path += root;
    if (segments == 2)
        aml_number(aml, PREFIX_DUAL_NAME, 1);
    if (segments > 2) {
        aml_number(aml, PREFIX_MULTI_NAME, 1);
        aml_number(aml, segments, 1);
    }
    while (segments--) {
        size_t length = strcspn(path, ".");
        assert(length <= SEGMENT);
        aml_bytes(aml, path, length);
        aml_bytes(aml, "____", SEGMENT - length);
        path += length + 1;
    }
}

void aml_open(struct aml *aml, enum aml_opcode opcode)
{
    assert(aml->depth < AML_DEPTH_MOST);
    aml_opcode(aml, opcode);
    aml->open[aml->depth++] = aml->size;
}

void aml_open_named(struct aml *aml, enum aml_opcode opcode, const char *path)
{
    aml_open(aml, opcode);
    aml_path(aml, path);
}

void aml_open_method(struct aml *aml, const char *name, unsigned arguments)
{
    aml_open_named(aml, AML_METHOD, name);
    aml_number(aml, arguments, 1);
}

/* The PkgLength counts itself. */
void aml_close(struct aml *aml)
{
    size_t start = aml->open[--aml->depth], body = aml->size - start;
    unsigned more = body + 1 <= LENGTH_ONE_BYTE_MOST ? 0 : body + 2 < 1 << 12 ? 1 : 2;
    size_t length = body + 1 + more;

    reserve(aml, 1 + more);
    memmove(aml->bytes + start + 1 + more, aml->bytes + start, body);
    aml->size += 1 + more;
    if (!more) {
        aml->bytes[start] = (uint8_t)length;
        return;
    }
    aml->bytes[start] = (uint8_t)(more << LENGTH_BYTES_SHIFT | (length & ((1 << LENGTH_LOW_BITS) - 1)));
    for (unsigned i = 0; i < more; i++)
        aml->bytes[start + 1 + i] = (uint8_t)(length >> (LENGTH_LOW_BITS + 8 * i));
}

void aml_name_integer(struct aml *aml, const char *name, uint64_t value)
{
    aml_opcode(aml, AML_NAME);
    aml_path(aml, name);
    aml_integer(aml, value);
}

static unsigned hexadecimal(char digit)
{
    return (unsigned)(isdigit((unsigned char)digit) ? digit - '0' : digit - 'A' + 10);
}

/* Three letters of five bits and four digits, the most significant byte first (19.3.4). */
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id)
{
    uint32_t packed = 0;
    for (unsigned i = 0; i < 3; i++)
        packed = packed << 5 | (uint32_t)(id[i] - '@');
    for (unsigned i = 3; i < 7; i++)
        packed = packed << 4 | hexadecimal(id[i]);
    aml_opcode(aml, AML_NAME);
    aml_path(aml, name);
    aml_number(aml, PREFIX_DWORD, 1);
    aml_number(aml, __builtin_bswap32(packed), 4);
}

/* ---- resources. The buffer's length, a term in front of its bytes, is known at the end: it goes in between. */

void aml_resources_open(struct aml *aml)
{
    aml_open(aml, AML_BUFFER);
}

void aml_resources_close(struct aml *aml)
{
    size_t start = aml->open[aml->depth - 1];
    aml_number(aml, RESOURCE_END, 1);
    aml_number(aml, 0, 1); /* no checksum */
    struct aml length = {0};
    aml_integer(&length, aml->size - start);
    reserve(aml, length.size);
    memmove(aml->bytes + start + length.size, aml->bytes + start, aml->size - start);
    memcpy(aml->bytes + start, length.bytes, length.size);
    aml->size += length.size;
    aml_free(&length);
    aml_close(aml);
}

void aml_resource_ports(struct aml *aml, uint16_t base, uint8_t count)
{
    aml_number(aml, RESOURCE_PORTS, 1);
    aml_number(aml, PORTS_DECODE_16, 1);
    aml_number(aml, base, 2);
    aml_number(aml, base, 2);
    aml_number(aml, 1, 1); /* alignment */
    aml_number(aml, count, 1);
}

void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t size)
{
    aml_number(aml, RESOURCE_MEMORY, 1);
    aml_number(aml, 9, 2); /* bytes that follow */
    aml_number(aml, 1, 1); /* writable */
    aml_number(aml, base, 4);
    aml_number(aml, size, 4);
}

void aml_resource_irq(struct aml *aml, unsigned irq)
{
    aml_number(aml, RESOURCE_IRQ, 1);
    aml_number(aml, 1u << irq, 2);
}

void aml_resource_dma(struct aml *aml, unsigned channel)
{
    aml_number(aml, RESOURCE_DMA, 1);
    aml_number(aml, 1u << channel, 1);
    aml_number(aml, 0, 1); /* compatible timing, 8 bits, no bus master */
}

void aml_resource_interrupts(struct aml *aml, const uint8_t *interrupts, unsigned count)
{
    aml_number(aml, RESOURCE_INTERRUPTS, 1);
    aml_number(aml, 2 + 4 * count, 2);
    aml_number(aml, INTERRUPTS_CONSUMER_SHARED, 1);
    aml_number(aml, count, 1);
    for (unsigned i = 0; i < count; i++)
        aml_number(aml, interrupts[i], 4);
}

void aml_resource_window(struct aml *aml, enum aml_window kind, uint32_t first, uint32_t last)
{
    unsigned width = kind == AML_WINDOW_MEMORY ? 4 : 2;
    aml_number(aml, width == 4 ? RESOURCE_DWORD_WINDOW : RESOURCE_WORD_WINDOW, 1);
    aml_number(aml, 3 + 5 * width, 2);
    aml_number(aml, kind, 1);
    aml_number(aml, WINDOW_FIXED, 1);
    aml_number(aml,
               kind == AML_WINDOW_MEMORY  ? WINDOW_WRITABLE
               : kind == AML_WINDOW_PORTS ? WINDOW_ENTIRE_PORTS
                                          : 0,
               1);
    aml_number(aml, 0, width); /* granularity */
    aml_number(aml, first, width);
    aml_number(aml, last, width);
    aml_number(aml, 0, width); /* translation */
    aml_number(aml, last - first + 1, width);
}

#include "cpu/disassemble.h"

#include <stdio.h>

#include <Zydis/Zydis.h>

static void decoder_init(ZydisDecoder *decoder, unsigned bits)
{
    if (bits == 64)
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else if (bits == 32)
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    else
        ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16);
}

unsigned disassemble(const uint8_t *bytes, size_t count, unsigned bits, uint64_t address, char *text,
                     size_t size)
{
    ZydisDecoder decoder;
    ZydisFormatter formatter;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];

    decoder_init(&decoder, bits);
    ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, count, &instruction, operands)) ||
        !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &instruction, operands,
                                                      instruction.operand_count_visible, text, size, address,
                                                      NULL))) {
        snprintf(text, size, "(bad)");
        return 0;
    }
    return instruction.length;
}

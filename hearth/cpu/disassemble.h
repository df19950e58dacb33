/* One instruction as Intel-syntax text (Zydis). */
#ifndef CPU_DISASSEMBLE_H
#define CPU_DISASSEMBLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * bits is 16, 32 or 64; address is that of the first byte, for branch targets. Answers the instruction's length; 0 if
 * the bytes are none (then text is "(bad)").
 */
unsigned disassemble(const uint8_t *bytes, size_t count, unsigned bits, uint64_t address, char *text,
                     size_t size);

#endif

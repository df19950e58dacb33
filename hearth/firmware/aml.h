/*
 * Writing ACPI Machine Language: a growing buffer and the few terms that the DSDT needs. Terms with a body are opened
 * and closed; closing puts the PkgLength in. Source: ACPI 6.4, chapters 19.2.8, 20.2 and 6.4.
 */
#ifndef FIRMWARE_AML_H
#define FIRMWARE_AML_H

#include <stddef.h>
#include <stdint.h>

enum { AML_DEPTH_MOST = 10 };

struct aml {
    uint8_t *bytes;
    size_t size, space;
    size_t open[AML_DEPTH_MOST]; /* where the bodies that are open begin */
    unsigned depth;
};

enum aml_opcode {
    AML_ZERO = 0x00,
    AML_NAME = 0x08,
    AML_SCOPE = 0x10,
    AML_BUFFER = 0x11,
    AML_PACKAGE = 0x12,
    AML_METHOD = 0x14,
    AML_LOCAL0 = 0x60,
    AML_LOCAL1 = 0x61,
    AML_ARG0 = 0x68,
    AML_ARG1 = 0x69,
    AML_ARG2 = 0x6a,
    AML_ARG3 = 0x6b,
    AML_STORE = 0x70,
    AML_AND = 0x7b,
    AML_OR = 0x7d,
    AML_NOTIFY = 0x86,
    AML_CREATE_DWORD_FIELD = 0x8a,
    AML_EQUAL = 0x93,
    AML_LESS = 0x95,
    AML_IF = 0xa0,
    AML_ELSE = 0xa1,
    AML_WHILE = 0xa2,
    AML_RETURN = 0xa4,
    AML_MUTEX = 0x5b01, /* two bytes */
    AML_ACQUIRE = 0x5b23,
    AML_RELEASE = 0x5b27,
    AML_REGION = 0x5b80,
    AML_FIELD = 0x5b81,
    AML_DEVICE = 0x5b82,
    AML_PROCESSOR = 0x5b83,
};

void aml_free(struct aml *aml);

void aml_bytes(struct aml *aml, const void *bytes, size_t size);
void aml_number(struct aml *aml, uint64_t value, unsigned size); /* little-endian, without a prefix */
void aml_opcode(struct aml *aml, enum aml_opcode opcode);
void aml_integer(struct aml *aml, uint64_t value); /* as a term, the shortest that holds it; 32 bits */
void aml_string(struct aml *aml, const char *text);
void aml_path(struct aml *aml,
              const char *path); /* "\\_SB", "^ISA.PRQ0": segments of four characters at most */

void aml_open(struct aml *aml, enum aml_opcode opcode);
void aml_open_named(struct aml *aml, enum aml_opcode opcode, const char *path);
void aml_open_method(struct aml *aml, const char *name, unsigned arguments);
void aml_close(struct aml *aml);

void aml_name_integer(struct aml *aml, const char *name, uint64_t value);
void aml_name_eisa_id(struct aml *aml, const char *name, const char *id); /* "PNP0A03" */

/* A buffer of resource descriptors, with its end tag put by aml_resources_close(). */
void aml_resources_open(struct aml *aml);
void aml_resources_close(struct aml *aml);
void aml_resource_ports(struct aml *aml, uint16_t base, uint8_t count);
void aml_resource_memory(struct aml *aml, uint32_t base, uint32_t size); /* read and written */
void aml_resource_irq(struct aml *aml, unsigned irq); /* of the ISA bus: edge, high, alone */
void aml_resource_dma(struct aml *aml, unsigned channel);
/* Interrupts for a PCI link: level, high, shared. */
void aml_resource_interrupts(struct aml *aml, const uint8_t *interrupts, unsigned count);

enum aml_window { AML_WINDOW_MEMORY, AML_WINDOW_PORTS, AML_WINDOW_BUSES };
/* What a bridge passes on, first to last. */
void aml_resource_window(struct aml *aml, enum aml_window kind, uint32_t first, uint32_t last);

#endif

/* ELF executables as kernels come in, of 32 and 64 bits. Source: System V ABI, chapters 4 and 5. */
#ifndef FIRMWARE_ELF_IMAGE_H
#define FIRMWARE_ELF_IMAGE_H

#include <elf.h>

#include "firmware/direct-plan.h"

struct elf_image {
    const struct direct_file *file;
    bool wide; /* ELF64 */
    uint64_t entry, headers;
    unsigned count, header_size;
};

/* Is it an executable for x86? */
bool elf_open(struct elf_image *image, const struct direct_file *file);
/* A program header; false if the file ends before it. */
bool elf_header(const struct elf_image *image, unsigned index, Elf64_Phdr *header);
/* Its segments become parts of the kernel, at their physical addresses; `entry` lies in one of them. */
bool elf_plan(struct direct *direct, const struct elf_image *image, uint64_t entry);

#endif

#include "firmware/elf-image.h"

#include <string.h>

bool elf_open(struct elf_image *image, const struct direct_file *file)
{
    Elf64_Ehdr wide;
    Elf32_Ehdr narrow;

    *image = (struct elf_image){.file = file};
    if (!direct_file_read(file, 0, &narrow, sizeof(narrow)) || memcmp(narrow.e_ident, ELFMAG, SELFMAG) ||
        narrow.e_ident[EI_DATA] != ELFDATA2LSB || narrow.e_type != ET_EXEC)
        return false;
    if (narrow.e_ident[EI_CLASS] == ELFCLASS32 && narrow.e_machine == EM_386) {
        image->entry = narrow.e_entry;
        image->headers = narrow.e_phoff;
        image->count = narrow.e_phnum;
        image->header_size = narrow.e_phentsize;
        return image->header_size >= sizeof(Elf32_Phdr);
    }
    if (narrow.e_ident[EI_CLASS] != ELFCLASS64 || !direct_file_read(file, 0, &wide, sizeof(wide)) ||
        wide.e_machine != EM_X86_64)
        return false;
    image->wide = true;
    image->entry = wide.e_entry;
    image->headers = wide.e_phoff;
    image->count = wide.e_phnum;
    image->header_size = wide.e_phentsize;
    return image->header_size >= sizeof(Elf64_Phdr);
}

bool elf_header(const struct elf_image *image, unsigned index, Elf64_Phdr *header)
{
    uint64_t at;
    Elf32_Phdr narrow;
    if (__builtin_add_overflow(image->headers, (uint64_t)index * image->header_size, &at))
        return false;
    if (image->wide)
        return direct_file_read(image->file, at, header, sizeof(*header));
    if (!direct_file_read(image->file, at, &narrow, sizeof(narrow)))
        return false;
    *header = (Elf64_Phdr){.p_type = narrow.p_type,
                           .p_offset = narrow.p_offset,
                           .p_vaddr = narrow.p_vaddr,
                           .p_paddr = narrow.p_paddr,
                           .p_filesz = narrow.p_filesz,
                           .p_memsz = narrow.p_memsz,
                           .p_align = narrow.p_align};
    return true;
}

static bool segment_plan(struct direct *direct, const struct elf_image *image, const Elf64_Phdr *header)
{
    uint64_t file_end;
    if (header->p_filesz > header->p_memsz)
        return direct_refuse(direct, "a segment of it is larger in the file than in memory");
    if (__builtin_add_overflow(header->p_paddr, header->p_filesz, &file_end))
        return direct_refuse(direct, "a segment of it wraps around the end of memory");
    return direct_add_file(direct, header->p_paddr, image->file, header->p_offset, header->p_filesz) &&
           direct_add_zeros(direct, file_end, header->p_memsz - header->p_filesz);
}

bool elf_plan(struct direct *direct, const struct elf_image *image, uint64_t entry)
{
    bool entered = false;
    for (unsigned i = 0; i < image->count; i++) {
        Elf64_Phdr header;
        if (!elf_header(image, i, &header))
            return direct_refuse(direct, "it ends early, among its program headers");
        if (header.p_type != PT_LOAD)
            continue;
        if (!segment_plan(direct, image, &header))
            return false;
        entered = entered || (entry >= header.p_paddr && entry - header.p_paddr < header.p_memsz);
    }
    return entered || direct_refuse(direct, "its entry point %#llx lies outside of its segments",
                                    (unsigned long long)entry);
}

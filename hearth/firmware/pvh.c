/*
 * ELF kernels with a PVH entry, as Linux's vmlinux has: started in 32-bit protected mode, EBX at the start information.
 *
 * Source: Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h; public/elfnote.h.
 */
#include <endian.h>
#include <string.h>

#include "firmware/elf-image.h"

enum {
    NOTE_PHYS32_ENTRY = 18,
    NOTES_MOST = 1 << 20, /* bytes of notes that are looked through */
    NOTE_ALIGNMENT = 4,
    START_VERSION = 1, /* the first with a memory map */
    MODULES_AT = DIRECT_LISTS,
    MAP_AT = DIRECT_LISTS + 0x100,
};
#define START_MAGIC 0x336ec578u

struct start_information {
    uint32_t magic, version, flags, modules_count; /* all little-endian, as the host is */
    uint64_t modules, command_line, rsdp, memory_map;
    uint32_t memory_map_entries, reserved;
};

struct module {
    uint64_t address, size, command_line, reserved;
};

struct map_entry {
    uint64_t base, size;
    uint32_t type, reserved;
};

static bool note_find(const struct direct_file *file, const Elf64_Phdr *header, uint64_t *entry)
{
    uint64_t at = 0, size = header->p_filesz < NOTES_MOST ? header->p_filesz : NOTES_MOST;
    while (at + sizeof(Elf64_Nhdr) <= size) {
        Elf64_Nhdr note;
        char name[4];
        if (!direct_file_read(file, header->p_offset + at, &note, sizeof(note)))
            return false;
        uint64_t words = at + sizeof(note);
        uint64_t value =
            words + ((uint64_t)note.n_namesz + NOTE_ALIGNMENT - 1) / NOTE_ALIGNMENT * NOTE_ALIGNMENT;
        at = value + ((uint64_t)note.n_descsz + NOTE_ALIGNMENT - 1) / NOTE_ALIGNMENT * NOTE_ALIGNMENT;
        if (note.n_type != NOTE_PHYS32_ENTRY || note.n_namesz != sizeof(name) ||
            note.n_descsz < sizeof(uint32_t))
            continue;
        *entry = 0;
        if (direct_file_read(file, header->p_offset + words, name, sizeof(name)) && !memcmp(name, "Xen", 4))
            return direct_file_read(file, header->p_offset + value, entry, sizeof(uint32_t));
    }
    return false;
}

static bool entry_find(const struct elf_image *image, uint64_t *entry)
{
    for (unsigned i = 0; i < image->count; i++) {
        Elf64_Phdr header;
        if (!elf_header(image, i, &header))
            return false;
        if (header.p_type == PT_NOTE && note_find(image->file, &header, entry))
            return true;
    }
    return false;
}

static bool place_module(struct direct *direct, struct start_information *start)
{
    uint32_t address;
    if (!direct->machine.initrd)
        return true;
    const struct direct_file *file = direct_file_open(direct, direct->machine.initrd);
    if (!file || !direct_add_high(direct, file, direct_end(direct), direct->ram_end, &address))
        return false;
    start->modules_count = 1;
    start->modules = MODULES_AT;
    direct_put(direct, MODULES_AT, &(struct module){.address = address, .size = file->size},
               sizeof(struct module));
    return true;
}

static void place_map(struct direct *direct, struct start_information *start)
{
    struct direct_region regions[DIRECT_REGIONS];
    struct map_entry entries[DIRECT_REGIONS];
    start->memory_map_entries = direct_regions(direct, regions);
    start->memory_map = MAP_AT;
    for (unsigned i = 0; i < start->memory_map_entries; i++)
        entries[i] = (struct map_entry){regions[i].base, regions[i].size, regions[i].type, 0};
    direct_put(direct, MAP_AT, entries, start->memory_map_entries * sizeof(entries[0]));
}

enum direct_verdict pvh_plan(struct direct *direct)
{
    struct start_information start = {START_MAGIC, START_VERSION, 0, 0, 0, 0, DIRECT_TABLES, 0, 0, 0};
    struct elf_image image;

    if (!elf_open(&image, &direct->files[0]) || !entry_find(&image, &direct->entry))
        return DIRECT_NOT_MINE;
    if (image.wide && !direct->machine.long_mode) {
        direct_refuse(direct, "it is a 64-bit kernel, and this CPU has no 64-bit mode");
        return DIRECT_REFUSED;
    }
    if (!elf_plan(direct, &image, direct->entry) || !place_module(direct, &start))
        return DIRECT_REFUSED;
    start.command_line = direct_put_string(direct, direct->machine.append ? direct->machine.append : "");
    if (!start.command_line)
        return DIRECT_REFUSED;
    place_map(direct, &start);
    direct_put(direct, DIRECT_INFORMATION, &start, sizeof(start));
    direct->ebx = DIRECT_INFORMATION;
    return DIRECT_TAKEN;
}

/*
 * Multiboot 1 kernels: ELF, or with the addresses in the multiboot header. -initrd names the modules.
 *
 * Left out: video modes, drives, the APM and configuration tables.
 * Source: GNU Multiboot Specification 0.6.96.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "firmware/elf-image.h"

enum {
    HEADER_WITHIN = 8192, /* of the file */
    HEADER_ALIGNMENT = 4,
    REQUIRED = 0xffff, /* flags that a loader has to know */
    PAGE_ALIGN = 1 << 0,
    MEMORY_INFO = 1 << 1,
    VIDEO_MODE = 1 << 2, /* a wish that need not be granted */
    ADDRESSES = 1 << 16,

    INFO_MEMORY = 1 << 0,
    INFO_COMMAND_LINE = 1 << 2,
    INFO_MODULES = 1 << 3,
    INFO_MEMORY_MAP = 1 << 6,
    INFO_LOADER_NAME = 1 << 9,
    KIBIBYTE = 1 << 10,

    MODULES_AT = DIRECT_LISTS,
    MAP_AT = DIRECT_LISTS + 0x400,
    MODULES_MOST = DIRECT_FILES_MOST - 1,
};
#define HEADER_MAGIC 0x1badb002u
#define LOADER_MAGIC 0x2badb002u

struct header {
    uint32_t magic, flags, checksum;
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; /* with ADDRESSES */
};

struct information {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    uint32_t apm_table, vbe[4];
};

struct module {
    uint32_t start, end, string, reserved;
};

struct map_entry {
    uint32_t size; /* of what follows */
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

/* ---- the kernel */

static bool header_find(const struct direct_file *file, struct header *header, uint64_t *offset)
{
    uint8_t start[HEADER_WITHIN] = {0};
    size_t size = file->size < sizeof(start) ? (size_t)file->size : sizeof(start);
    if (!direct_file_read(file, 0, start, size))
        return false;
    for (size_t at = 0; at + 3 * sizeof(uint32_t) <= size; at += HEADER_ALIGNMENT) {
        *header = (struct header){0};
        memcpy(header, start + at, size - at < sizeof(*header) ? size - at : sizeof(*header));
        *offset = at;
        if (header->magic == HEADER_MAGIC && header->magic + header->flags + header->checksum == 0)
            return true;
    }
    return false;
}

/* The header says itself what of the file goes where. */
static bool place_by_addresses(struct direct *direct, const struct header *header, uint64_t offset)
{
    const struct direct_file *file = &direct->files[0];
    uint32_t before = header->header_addr - header->load_addr;

    if (header->load_addr > header->header_addr || before > offset)
        return direct_refuse(direct, "its multiboot header lies before its load address %#x",
                             header->load_addr);
    uint64_t start = offset - before, size = file->size - start;
    if (header->load_end_addr && header->load_end_addr < header->load_addr)
        return direct_refuse(direct, "its load end %#x lies before its load address %#x",
                             header->load_end_addr, header->load_addr);
    if (header->load_end_addr)
        size = header->load_end_addr - header->load_addr;
    uint64_t load_end = header->load_addr + size,
             end = header->bss_end_addr ? header->bss_end_addr : load_end;
    if (end < load_end)
        return direct_refuse(direct, "its BSS ends at %#x, before its load end %#llx", header->bss_end_addr,
                             (unsigned long long)load_end);
    if (header->entry_addr < header->load_addr || header->entry_addr >= end)
        return direct_refuse(direct, "its entry point %#x lies outside of it", header->entry_addr);
    direct->entry = header->entry_addr;
    return direct_add_file(direct, header->load_addr, file, start, size) &&
           direct_add_zeros(direct, load_end, end - load_end);
}

static bool place_kernel(struct direct *direct, const struct header *header, uint64_t offset)
{
    struct elf_image image;
    if (header->flags & REQUIRED & ~(PAGE_ALIGN | MEMORY_INFO | VIDEO_MODE))
        return direct_refuse(direct, "its multiboot header asks for what is not known here (flags %#x)",
                             header->flags);
    if (header->flags & ADDRESSES)
        return place_by_addresses(direct, header, offset);
    if (!elf_open(&image, &direct->files[0]))
        return direct_refuse(direct,
                             "it has a multiboot header, but neither addresses in it nor an ELF header");
    if (image.wide)
        return direct_refuse(direct, "multiboot starts 32-bit ELF files, and it is a 64-bit one");
    direct->entry = image.entry;
    return elf_plan(direct, &image, image.entry);
}

/* ---- modules: "FILE ARGUMENTS,FILE ARGUMENTS"; a doubled comma stands for one */

/* Takes the next piece off *rest. The caller frees it. */
static char *piece_next(const char **rest)
{
    char *piece = allocate(strlen(*rest) + 1), *to = piece;
    const char *at = *rest;
    for (; *at && (*at != ',' || at[1] == ','); at++) {
        at += *at == ',';
        *to++ = *at;
    }
    *rest = at + (*at == ',');
    return piece;
}

/* The module's line in memory is its name and arguments; the file's name ends at the first blank. */
static bool place_module(struct direct *direct, char *line, struct module *module)
{
    uint64_t address = (direct_end(direct) + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    module->string = direct_put_string(direct, line);
    if (!module->string)
        return false;
    line[strcspn(line, " ")] = '\0';
    const struct direct_file *file = direct_file_open(direct, line);
    if (!file)
        return false;
    if (file->size && !direct_is_ram(direct, address, file->size)) {
        snprintf(direct->error, direct->error_size,
                 "could not load initrd '%s': %llu bytes do not fit into RAM beside the kernel (-m)", line,
                 (unsigned long long)file->size);
        return false;
    }
    module->start = (uint32_t)address;
    module->end = (uint32_t)(address + file->size);
    return direct_add_file(direct, address, file, 0, file->size);
}

static bool place_modules(struct direct *direct, struct information *information)
{
    struct module modules[MODULES_MOST] = {0};
    const char *rest = direct->machine.initrd ? direct->machine.initrd : "";
    bool fits = true;

    while (fits && *rest) {
        char *line = piece_next(&rest);
        fits = information->mods_count < MODULES_MOST
                   ? place_module(direct, line, &modules[information->mods_count++])
                   : direct_refuse(direct, "more than %d modules", MODULES_MOST);
        free(line);
    }
    information->mods_addr = MODULES_AT;
    if (information->mods_count)
        direct_put(direct, MODULES_AT, modules, information->mods_count * sizeof(modules[0]));
    return fits;
}

/* ---- the information */

static void place_map(struct direct *direct, struct information *information)
{
    struct direct_region regions[DIRECT_REGIONS];
    struct map_entry entries[DIRECT_REGIONS];
    unsigned count = direct_regions(direct, regions);
    for (unsigned i = 0; i < count; i++)
        entries[i] = (struct map_entry){sizeof(entries[0]) - sizeof(uint32_t), regions[i].base,
                                        regions[i].size, regions[i].type};
    direct_put(direct, MAP_AT, entries, count * sizeof(entries[0]));
    information->mmap_addr = MAP_AT;
    information->mmap_length = (uint32_t)(count * sizeof(entries[0]));
}

/* The kernel's name, then what -append says. */
static bool place_command_line(struct direct *direct, struct information *information)
{
    const char *append = direct->machine.append;
    size_t size = strlen(direct->machine.kernel) + 1 + (append ? strlen(append) : 0) + 1;
    char *line = allocate(size);
    snprintf(line, size, "%s%s%s", direct->machine.kernel, append ? " " : "", append ? append : "");
    information->cmdline = direct_put_string(direct, line);
    free(line);
    return information->cmdline != 0;
}

static bool plan(struct direct *direct, const struct header *header, uint64_t offset)
{
    struct information information = {.flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES |
                                               INFO_MEMORY_MAP | INFO_LOADER_NAME,
                                      .mem_lower = DIRECT_BASE_END / KIBIBYTE,
                                      .mem_upper = (uint32_t)((direct->ram_end - DIRECT_HIGH) / KIBIBYTE)};
    if (!place_kernel(direct, header, offset) || !place_command_line(direct, &information) ||
        !place_modules(direct, &information))
        return false;
    place_map(direct, &information);
    information.boot_loader_name = direct_put_string(direct, "hearth");
    if (!information.boot_loader_name)
        return false;
    direct_put(direct, DIRECT_INFORMATION, &information, sizeof(information));
    direct->eax = LOADER_MAGIC;
    direct->ebx = DIRECT_INFORMATION;
    return true;
}

enum direct_verdict multiboot_plan(struct direct *direct)
{
    struct header header;
    uint64_t offset;
    if (!header_find(&direct->files[0], &header, &offset))
        return DIRECT_NOT_MINE;
    return plan(direct, &header, offset) ? DIRECT_TAKEN : DIRECT_REFUSED;
}

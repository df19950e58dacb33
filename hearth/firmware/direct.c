/*
 * What the ways of starting a kernel have in common: files, the plan, the machine's tables, the CPU at the entry.
 *
 * The kernel's bytes go from the file into guest memory with one read each, at every reset anew. Left out: kernels that
 * want the BIOS (the 16-bit entry).
 */
#include "firmware/direct.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "firmware/bios.h"
#include "firmware/direct-plan.h"
#include "firmware/mptable.h"

enum {
    BDA_EBDA_SEGMENT = 0x40e, /* of the BIOS data area: kernels look there for the end of RAM */
    BDA_BASE_MEMORY = 0x413,
    KIBIBYTE = 1 << 10,

    SELECTOR_CODE = 0x10,
    SELECTOR_DATA = 0x18,
    SELECTOR_TSS = 0x20,
    CODE_RIGHTS = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_CODE | RIGHTS_WRITABLE | RIGHTS_ACCESSED | RIGHTS_G,
    DATA_RIGHTS = RIGHTS_PRESENT | RIGHTS_S | RIGHTS_WRITABLE | RIGHTS_ACCESSED | RIGHTS_G | RIGHTS_DB,
    TSS_RIGHTS = RIGHTS_PRESENT | 0xb, /* of 32 bits, busy */
    TSS_LIMIT = 0x67,

    PAGE_PRESENT_WRITABLE = 3,
    PAGE_LARGE = 1 << 7,
    DIRECTORIES = 4, /* a GiB each */
    ENTRIES = 512,
};
#define LARGE_PAGE      0x200000ull
#define FOUR_GIGABYTES  0x100000000ull
#define BIOS_AREA_FIRST 0xfffbc000ull /* KVM's four pages, then the BIOS */

bool direct_refuse(struct direct *direct, const char *format, ...)
{
    va_list arguments;
    int written =
        snprintf(direct->error, direct->error_size, "could not load kernel '%s': ", direct->machine.kernel);
    va_start(arguments, format);
    if (written >= 0 && (size_t)written < direct->error_size)
        vsnprintf(direct->error + written, direct->error_size - (size_t)written, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- files */

/* NULL, or why not. */
static const char *file_open(struct direct_file *file, const char *path)
{
    struct stat status;
    file->path = path;
    /* O_NONBLOCK: a pipe answers at once, to be refused. */
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file->descriptor < 0 || fstat(file->descriptor, &status) < 0)
        return strerror(errno);
    if (S_ISDIR(status.st_mode))
        return "it is a directory";
    if (!S_ISREG(status.st_mode))
        return "it is not a file";
    file->size = (uint64_t)status.st_size;
    return NULL;
}

const struct direct_file *direct_file_open(struct direct *direct, const char *path)
{
    if (direct->files_count == DIRECT_FILES_MOST) {
        direct_refuse(direct, "more than %d modules", DIRECT_FILES_MOST - 1);
        return NULL;
    }
    struct direct_file *file = &direct->files[direct->files_count];
    const char *why = file_open(file, path);
    direct->files_count += file->descriptor >= 0;
    if (!why)
        return file;
    if (file == direct->files)
        direct_refuse(direct, "%s", why);
    else
        snprintf(direct->error, direct->error_size, "could not load initrd '%s': %s", path, why);
    return NULL;
}

bool direct_file_read(const struct direct_file *file, uint64_t offset, void *to, size_t size)
{
    if (offset > file->size || size > file->size - offset)
        return false;
    for (uint8_t *next = to; size;) {
        ssize_t got = pread(file->descriptor, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}

/* ---- the plan */

bool direct_is_ram(const struct direct *direct, uint64_t address, uint64_t size)
{
    uint64_t end;
    if (__builtin_add_overflow(address, size, &end) || address < DIRECT_LOW_END)
        return false;
    return address < DIRECT_HIGH ? end <= DIRECT_BASE_END : end <= direct->ram_end;
}

static bool piece_add(struct direct *direct, const struct direct_piece *piece)
{
    if (!piece->size)
        return true;
    if (direct->pieces_count == DIRECT_PIECES_MOST)
        return direct_refuse(direct, "it has too many parts");
    for (unsigned i = 0; i < direct->pieces_count; i++) {
        const struct direct_piece *other = &direct->pieces[i];
        if (piece->address < other->address + other->size && other->address < piece->address + piece->size)
            return direct_refuse(direct, "its parts at %#llx and %#llx overlap",
                                 (unsigned long long)other->address, (unsigned long long)piece->address);
    }
    direct->pieces[direct->pieces_count++] = *piece;
    return true;
}

static bool kernel_piece_add(struct direct *direct, const struct direct_piece *piece)
{
    if (!piece->size || direct_is_ram(direct, piece->address, piece->size))
        return piece_add(direct, piece);
    return direct_refuse(direct,
                         "it wants %llu bytes at %#llx, where a guest with %llu MiB has no free RAM (-m)",
                         (unsigned long long)piece->size, (unsigned long long)piece->address,
                         (unsigned long long)(direct->machine.ram_size >> 20));
}

bool direct_add_file(struct direct *direct, uint64_t address, const struct direct_file *file, uint64_t offset,
                     uint64_t size)
{
    if (offset > file->size || size > file->size - offset)
        return direct_refuse(direct, "it ends early: %llu bytes from %#llx are wanted, and it has %llu",
                             (unsigned long long)size, (unsigned long long)offset,
                             (unsigned long long)file->size);
    return kernel_piece_add(
        direct, &(struct direct_piece){.address = address, .size = size, .file = file, .offset = offset});
}

bool direct_add_zeros(struct direct *direct, uint64_t address, uint64_t size)
{
    return kernel_piece_add(direct, &(struct direct_piece){.address = address, .size = size});
}

uint64_t direct_end(const struct direct *direct)
{
    uint64_t end = DIRECT_HIGH;
    for (unsigned i = 0; i < direct->pieces_count; i++)
        if (direct->pieces[i].address + direct->pieces[i].size > end)
            end = direct->pieces[i].address + direct->pieces[i].size;
    return end;
}

bool direct_add_high(struct direct *direct, const struct direct_file *file, uint64_t floor, uint64_t limit,
                     uint32_t *address)
{
    if (limit > direct->ram_end)
        limit = direct->ram_end;
    if (file->size > limit || (limit - file->size) / PAGE_SIZE * PAGE_SIZE < floor) {
        snprintf(direct->error, direct->error_size,
                 "could not load initrd '%s': %llu bytes do not fit into RAM beside the kernel (-m)",
                 file->path, (unsigned long long)file->size);
        return false;
    }
    *address = (uint32_t)((limit - file->size) / PAGE_SIZE * PAGE_SIZE);
    return direct_add_file(direct, *address, file, 0, file->size);
}

void direct_put(struct direct *direct, uint32_t address, const void *bytes, size_t size)
{
    struct direct_piece piece = {.address = address, .size = size, .bytes = allocate(size)};
    assert(address + size <= DIRECT_OWN_END && direct->pieces_count < DIRECT_PIECES_MOST);
    memcpy(piece.bytes, bytes, size);
    direct->pieces[direct->pieces_count++] = piece;
}

uint32_t direct_put_string(struct direct *direct, const char *text)
{
    size_t size = strlen(text) + 1;
    uint32_t address = direct->strings;
    if (size > DIRECT_LOW_END - address) {
        direct_refuse(direct, "its command line has %zu characters, more than fits", size - 1);
        return 0;
    }
    direct_put(direct, address, text, size);
    direct->strings += (uint32_t)size;
    return address;
}

unsigned direct_regions(const struct direct *direct, struct direct_region regions[DIRECT_REGIONS])
{
    unsigned count = 0;
    uint64_t below = firmware_ram_below_4g(direct->machine.ram_size);
    regions[count++] = (struct direct_region){0, DIRECT_BASE_END, DIRECT_RAM};
    regions[count++] = (struct direct_region){DIRECT_BASE_END, 0xa0000 - DIRECT_BASE_END, DIRECT_RESERVED};
    regions[count++] = (struct direct_region){DIRECT_TABLES, DIRECT_HIGH - DIRECT_TABLES, DIRECT_RESERVED};
    regions[count++] = (struct direct_region){DIRECT_HIGH, below - DIRECT_HIGH, DIRECT_RAM};
    regions[count++] =
        (struct direct_region){BIOS_AREA_FIRST, FOUR_GIGABYTES - BIOS_AREA_FIRST, DIRECT_RESERVED};
    if (direct->machine.ram_size > below)
        regions[count++] =
            (struct direct_region){FOUR_GIGABYTES, direct->machine.ram_size - below, DIRECT_RAM};
    return count;
}

/* ---- descriptors and page tables */

static uint64_t descriptor(const struct segment *segment)
{
    uint64_t limit = segment->rights & RIGHTS_G ? segment->limit >> 12 : segment->limit;
    return (limit & 0xffff) | (uint64_t)segment->rights << 40 | (limit >> 16 & 0xf) << 48;
}

static struct segment segment_make(uint16_t selector, uint32_t rights, uint32_t limit)
{
    return (struct segment){.selector = selector, .rights = rights, .limit = limit};
}

static struct segment code_segment(const struct direct *direct)
{
    return segment_make(SELECTOR_CODE, CODE_RIGHTS | (direct->long_mode ? RIGHTS_L : RIGHTS_DB), UINT32_MAX);
}

static void put_descriptors(struct direct *direct)
{
    struct segment code = code_segment(direct), data = segment_make(SELECTOR_DATA, DATA_RIGHTS, UINT32_MAX),
                   tss = segment_make(SELECTOR_TSS, TSS_RIGHTS, TSS_LIMIT);
    uint64_t table[] = {
        0, 0, htole64(descriptor(&code)), htole64(descriptor(&data)), htole64(descriptor(&tss)), 0};
    direct_put(direct, DIRECT_GDT, table, sizeof(table));
}

/* The first four GiB, each address at itself, in large pages. */
static void put_page_tables(struct direct *direct)
{
    static const uint64_t size = (2 + DIRECTORIES) * PAGE_SIZE;
    uint64_t *tables = allocate(size), *pointers = tables + ENTRIES, *directories = pointers + ENTRIES;
    tables[0] = htole64((DIRECT_PAGE_TABLES + PAGE_SIZE) | PAGE_PRESENT_WRITABLE);
    for (unsigned i = 0; i < DIRECTORIES; i++)
        pointers[i] = htole64((DIRECT_PAGE_TABLES + (2 + i) * PAGE_SIZE) | PAGE_PRESENT_WRITABLE);
    for (unsigned i = 0; i < DIRECTORIES * ENTRIES; i++)
        directories[i] = htole64(i * LARGE_PAGE | PAGE_PRESENT_WRITABLE | PAGE_LARGE);
    direct_put(direct, DIRECT_PAGE_TABLES, tables, size);
    free(tables);
}

/* ---- */

static bool plan(struct direct *direct)
{
    enum direct_verdict verdict = DIRECT_NOT_MINE;
    if (direct->ram_end <= DIRECT_HIGH)
        return direct_refuse(direct, "it needs more than 1 MiB of RAM (-m)");
    if (!direct_file_open(direct, direct->machine.kernel))
        return false;
    if (verdict == DIRECT_NOT_MINE)
        verdict = linux_plan(direct);
    if (verdict == DIRECT_NOT_MINE)
        verdict = multiboot_plan(direct);
    if (verdict == DIRECT_NOT_MINE)
        verdict = pvh_plan(direct);
    if (verdict == DIRECT_NOT_MINE)
        direct_refuse(direct, "it is no Linux bzImage, no multiboot kernel and no ELF file with a PVH entry");
    if (verdict != DIRECT_TAKEN)
        return false;
    put_descriptors(direct);
    if (direct->long_mode)
        put_page_tables(direct);
    return true;
}

struct direct *direct_open(const struct direct_description *machine, char *error, size_t error_size)
{
    struct direct *direct = allocate(sizeof(*direct));
    direct->machine = *machine;
    direct->ram_end = firmware_ram_below_4g(machine->ram_size);
    direct->strings = DIRECT_STRINGS;
    direct->error = error;
    direct->error_size = error_size;
    if (plan(direct))
        return direct;
    direct_close(direct);
    return NULL;
}

void direct_close(struct direct *direct)
{
    if (!direct)
        return;
    for (unsigned i = 0; i < direct->files_count; i++)
        close(direct->files[i].descriptor);
    for (unsigned i = 0; i < direct->pieces_count; i++)
        free(direct->pieces[i].bytes);
    free(direct);
}

static uint32_t align_16(uint64_t address)
{
    return (uint32_t)(address + 15) / 16 * 16;
}

/* Where the next one may begin. */
static uint32_t mptable_load(struct memory *memory, const struct cpus *cpus, uint32_t pointer, uint32_t at)
{
    uint8_t floating[MPTABLE_POINTER_SIZE];
    struct aml table = {0};
    mptable_build(&table, cpus);
    mptable_pointer(floating, at);
    memory_write(memory, pointer, floating, sizeof(floating));
    memory_write(memory, at, table.bytes, table.size);
    uint32_t next = align_16(at + table.size);
    aml_free(&table);
    return next;
}

static uint32_t smbios_load(struct memory *memory, const struct smbios_description *machine, uint32_t at)
{
    uint32_t tables = align_16(at + SMBIOS_ENTRY_SIZE);
    struct smbios smbios;
    smbios_build(&smbios, machine, true);
    smbios_place(&smbios, tables);
    memory_write(memory, at, smbios.entry, SMBIOS_ENTRY_SIZE);
    memory_write(memory, tables, smbios.tables.bytes, smbios.tables.size);
    uint32_t next = align_16(tables + smbios.tables.size);
    smbios_free(&smbios);
    return next;
}

/* RSDP, MP floating pointer, ACPI tables, SMBIOS, MP table. */
static void tables_load(const struct direct *direct, struct memory *memory)
{
    enum { RSDP = DIRECT_TABLES, POINTER = RSDP + 0x20, TABLES = RSDP + ACPI_ALIGNMENT };
    const struct acpi_description *machine = &direct->machine.tables;
    uint8_t rsdp[ACPI_RSDP_SIZE];
    struct acpi acpi;

    acpi_build(&acpi, machine);
    acpi_place(&acpi, TABLES, rsdp);
    memory_write(memory, RSDP, rsdp, sizeof(rsdp));
    memory_write(memory, TABLES, acpi.tables.bytes, acpi.tables.size);
    uint32_t next = align_16(TABLES + acpi.tables.size);
    acpi_free(&acpi);
    next = smbios_load(memory, &direct->machine.smbios, next);
    if (machine->apic)
        next = mptable_load(memory, machine->cpus, POINTER, next);
    assert(next <= DIRECT_HIGH);
}

static void bios_data_load(struct memory *memory)
{
    uint16_t segment = htole16(DIRECT_BASE_END >> 4), kibibytes = htole16(DIRECT_BASE_END / KIBIBYTE);
    memory_write(memory, BDA_EBDA_SEGMENT, &segment, sizeof(segment));
    memory_write(memory, BDA_BASE_MEMORY, &kibibytes, sizeof(kibibytes));
}

bool direct_load(struct direct *direct, struct memory *memory, char *error, size_t error_size)
{
    for (unsigned i = 0; i < direct->pieces_count; i++) {
        const struct direct_piece *piece = &direct->pieces[i];
        if (piece->bytes)
            memory_write(memory, piece->address, piece->bytes, piece->size);
        else if (!piece->file)
            memory_clear(memory, piece->address, piece->size);
        else if (!memory_load(memory, piece->address, piece->file->descriptor, piece->offset, piece->size)) {
            snprintf(error, error_size, "could not load '%s': %s", piece->file->path,
                     errno ? strerror(errno) : "it has become shorter");
            return false;
        }
    }
    bios_data_load(memory);
    tables_load(direct, memory);
    return true;
}

void direct_start(const struct direct *direct, struct cpu_state *state)
{
    state->segment[SEG_CS] = code_segment(direct);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        if (i != SEG_CS)
            state->segment[i] = segment_make(SELECTOR_DATA, DATA_RIGHTS, UINT32_MAX);
    state->tr = segment_make(SELECTOR_TSS, TSS_RIGHTS, TSS_LIMIT);
    state->gdtr = (struct table_register){DIRECT_GDT, SELECTOR_TSS + 2 * sizeof(uint64_t) - 1};
    state->idtr = (struct table_register){0, 0};
    state->cr0 = CR0_PE | CR0_ET;
    if (direct->long_mode) {
        state->cr0 |= CR0_PG;
        state->cr3 = DIRECT_PAGE_TABLES;
        state->cr4 = CR4_PAE;
        state->efer = EFER_LME | EFER_LMA;
    }
    memset(state->gpr, 0, sizeof(state->gpr));
    state->gpr[RAX] = direct->eax;
    state->gpr[RBX] = direct->ebx;
    state->gpr[RSI] = direct->rsi;
    state->rip = direct->entry;
    state->rflags = FLAG_1;
}

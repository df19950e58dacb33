/* Of firmware/direct.c, for the kinds of kernels: linux.c, pvh.c, multiboot.c. */
#ifndef FIRMWARE_DIRECT_PLAN_H
#define FIRMWARE_DIRECT_PLAN_H

#include "firmware/direct.h"

/* What hearth itself puts below 32 KiB; a kernel's own parts lie above. */
enum direct_low {
    DIRECT_GDT = 0x1000,
    DIRECT_INFORMATION = 0x2000, /* zero page, start info, multiboot information: a page */
    DIRECT_LISTS = 0x3000,       /* memory map, modules */
    DIRECT_STRINGS = 0x4000,     /* command lines */
    DIRECT_LOW_END = 0x8000,
    DIRECT_PAGE_TABLES = 0x8000, /* PML4, PDPT, four page directories: for 64-bit kernels, which lie high */
    DIRECT_OWN_END = 0xe000,
    DIRECT_BASE_END = 0x9fc00, /* RAM below here is the kernel's */
    DIRECT_HIGH = 0x100000,
    DIRECT_TABLES = 0xf0000, /* RSDP, then the MP floating pointer, then tables */
};

enum { DIRECT_PIECES_MOST = 96, DIRECT_FILES_MOST = 33, DIRECT_REGIONS = 6 };

struct direct_file {
    int descriptor;
    uint64_t size;
    const char *path;
};

struct direct_piece {
    uint64_t address, size;
    const struct direct_file *file; /* or bytes, or neither: zeros */
    uint64_t offset;
    uint8_t *bytes;
};

struct direct {
    struct direct_description machine;
    struct direct_file files[DIRECT_FILES_MOST]; /* the kernel, then the modules */
    unsigned files_count;
    struct direct_piece pieces[DIRECT_PIECES_MOST];
    unsigned pieces_count;
    uint64_t ram_end; /* of the RAM below 4 GiB */
    uint32_t strings; /* where the next command line goes */

    bool long_mode; /* at the entry */
    uint64_t entry;
    uint32_t eax, ebx;
    uint64_t rsi;

    char *error;
    size_t error_size;
};

/* For direct->error; false, to be returned. */
__attribute__((format(printf, 2, 3))) bool direct_refuse(struct direct *direct, const char *format, ...);

/* NULL if it can't be opened or is no file. Stands until direct_close(). */
const struct direct_file *direct_file_open(struct direct *direct, const char *path);
bool direct_file_read(const struct direct_file *file, uint64_t offset, void *to, size_t size);

/* Parts of the kernel. They lie in RAM above DIRECT_LOW_END and nowhere on each other, or it is refused. */
bool direct_add_file(struct direct *direct, uint64_t address, const struct direct_file *file, uint64_t offset,
                     uint64_t size);
bool direct_add_zeros(struct direct *direct, uint64_t address, uint64_t size);
/* Is all of it RAM that a kernel may have? */
bool direct_is_ram(const struct direct *direct, uint64_t address, uint64_t size);
/* The end of the highest part. */
uint64_t direct_end(const struct direct *direct);
/* A whole file, as high as it goes below `limit` but above `floor`. */
bool direct_add_high(struct direct *direct, const struct direct_file *file, uint64_t floor, uint64_t limit,
                     uint32_t *address);

/* Of hearth's own, below DIRECT_OWN_END; copied. */
void direct_put(struct direct *direct, uint32_t address, const void *bytes, size_t size);
/* A command line; its address, or 0 if there is no room. */
uint32_t direct_put_string(struct direct *direct, const char *text);

enum direct_region_type { DIRECT_RAM = 1, DIRECT_RESERVED = 2 };
struct direct_region {
    uint64_t base, size;
    uint32_t type; /* E820's */
};
/* The memory map; how many regions. */
unsigned direct_regions(const struct direct *direct, struct direct_region regions[DIRECT_REGIONS]);

/* What the file is, and the plan for it. */
enum direct_verdict { DIRECT_NOT_MINE, DIRECT_TAKEN, DIRECT_REFUSED };
enum direct_verdict linux_plan(struct direct *direct);
enum direct_verdict multiboot_plan(struct direct *direct);
enum direct_verdict pvh_plan(struct direct *direct);

#endif

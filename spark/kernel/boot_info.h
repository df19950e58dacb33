/* boot_info.h: what the loader tells the kernel. The same structure stands in loader/loader.asm at _BootInfo. */
#ifndef SPARK_BOOT_INFO_H
#define SPARK_BOOT_INFO_H

#include "type.h"

#define BOOT_MAGIC 0x4B525053 /* 'SPRK', in EAX at _start */
#define MAP_ROOM   128        /* records; the loader has MCR_ROOM, the same number */

#define ARDS_RAM         1
#define ARDS_RESERVED    2
#define ARDS_ACPI_TABLES 3
#define ARDS_ACPI_NVS    4
#define ARDS_BAD         5
#define ARDS_ENABLED     1 /* attribute bit 0 */

/* An address range descriptor, as INT 15h, E820h gives it */
struct ards {
    u32 base_low, base_high;
    u32 length_low, length_high;
    u32 type;
};

struct boot_info {
    u32 map_count;
    u32 map_lost;        /* records for which the loader had no room */
    u32 map_method;      /* E820h, E801h or 88h */
    struct ards *map;    /* physical addresses */
    u32 *map_attributes; /* ACPI 3.0 */
    u32 ram_end_low;     /* the end of the highest RAM below 4 GB */
    u32 ram_end_high;
    u32 page_tables;     /* how many, from 101000h on */
    u32 screen_position; /* in bytes */
    u32 drive;           /* of the BIOS: 0 a floppy, 80h a hard disk */
    u32 kernel_file_size;
    u32 kernel_file;
    u32 loader_begin, loader_end;
};

/* The kernel's own copy, with the map copied, too: the loader's memory can be used again. */
extern u32 boot_magic;
extern struct boot_info boot_info;
extern struct ards memory_map[MAP_ROOM];
extern u32 memory_map_attributes[MAP_ROOM];

static inline u64 ards_base(const struct ards *range)
{
    return (u64)range->base_high << 32 | range->base_low;
}

static inline u64 ards_length(const struct ards *range)
{
    return (u64)range->length_high << 32 | range->length_low;
}

#endif

/* start.c: cstart, called by _start while the loader's GDT is still in use */
#include "boot_info.h"
#include "lib.h"
#include "protect.h"

PUBLIC u32 boot_magic; /* EAX and EBX as they were at _start */
PUBLIC struct boot_info *boot_info_address;

PUBLIC struct boot_info boot_info;
PUBLIC struct ards memory_map[MAP_ROOM];
PUBLIC u32 memory_map_attributes[MAP_ROOM];

/* What the loader knows lies in the loader; take it over before that memory is used for something else. */
PRIVATE void copy_boot_info(void)
{
    if (boot_magic != BOOT_MAGIC)
        return; /* another loader: no map, so no memory; kernel_main will say so */
    memcpy(&boot_info, boot_info_address, sizeof boot_info);
    if (boot_info.map_count > MAP_ROOM)
        boot_info.map_count = MAP_ROOM;
    memcpy(memory_map, boot_info.map, boot_info.map_count * sizeof memory_map[0]);
    memcpy(memory_map_attributes, boot_info.map_attributes, boot_info.map_count * sizeof(u32));
}

/* Copies the loader's GDT to gdt, and makes gdt_ptr, which holds what SGDT wrote, say so. */
PUBLIC void cstart(void)
{
    u16 *limit = (u16 *)&gdt_ptr[0];
    u32 *base = (u32 *)&gdt_ptr[2];
    u32 size = *limit + 1;
    if (size > sizeof gdt)
        size = sizeof gdt;
    memcpy(gdt, (void *)*base, size);
    *limit = GDT_SIZE * sizeof(DESCRIPTOR) - 1;
    *base = (u32)gdt;
    copy_boot_info();
}

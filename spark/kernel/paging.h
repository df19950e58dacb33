/* paging.h: the page tables that the loader made, and what is added to them */
#ifndef SPARK_PAGING_H
#define SPARK_PAGING_H

#include "type.h"

#define PAGE_PRESENT  0x01
#define PAGE_WRITABLE 0x02
#define PAGE_USER     0x04
#define PAGE_NO_CACHE 0x10 /* PCD: for device registers */
#define PAGE_ACCESSED 0x20
#define PAGE_DIRTY    0x40
#define PAGE_LARGE    0x80 /* in the directory: 4 MB at once */
#define PAGE_ADDRESS  0xFFFFF000u

struct page_walk {
    u32 directory_index, directory_entry;
    u32 table_index, table_entry; /* meaningful if the directory entry is present */
};

void paging_walk(u32 address, struct page_walk *walk);
int paging_mapped(u32 address);
/* Makes `size` bytes from a physical address on readable at that same address: ACPI tables, device registers.
 * 0: there is no memory for a page table. What is mapped already stays as it is. */
int paging_map(u32 address, u32 size, u32 flags);
void paging_guard_stack(void);
int stack_guard_hit(u32 address);

#endif

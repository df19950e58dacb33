/* paging.c: 32-bit paging with 4 KB pages (Intel's manual, volume 3, chapter 4). Left out: PAE. */
#include "asm.h"
#include "const.h"
#include "lib.h"
#include "memory.h"
#include "paging.h"

#define DIRECTORY_SHIFT 22
#define TABLE_MASK      0x3FF

extern u8 StackGuard[];

PRIVATE u32 *directory(void)
{
    return (u32 *)(read_cr3() & PAGE_ADDRESS);
}

PUBLIC void paging_walk(u32 address, struct page_walk *walk)
{
    walk->directory_index = address >> DIRECTORY_SHIFT;
    walk->directory_entry = directory()[walk->directory_index];
    walk->table_index = address >> PAGE_SHIFT & TABLE_MASK;
    walk->table_entry = 0;
    if (walk->directory_entry & PAGE_PRESENT)
        walk->table_entry = ((u32 *)(walk->directory_entry & PAGE_ADDRESS))[walk->table_index];
}

PUBLIC int paging_mapped(u32 address)
{
    struct page_walk walk;
    paging_walk(address, &walk);
    return walk.table_entry & PAGE_PRESENT;
}

/* The 80386 has no INVLPG; loading CR3 makes every CPU since forget all translations. */
PRIVATE void forget_translations(void)
{
    write_cr3(read_cr3());
}

PRIVATE int map_page(u32 address, u32 flags)
{
    u32 *entry = &directory()[address >> DIRECTORY_SHIFT];
    if (!(*entry & PAGE_PRESENT)) {
        u32 table = page_allocate();
        if (!table)
            return 0;
        *entry = table | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    }
    u32 *page = &((u32 *)(*entry & PAGE_ADDRESS))[address >> PAGE_SHIFT & TABLE_MASK];
    if (!(*page & PAGE_PRESENT))
        *page = (address & PAGE_ADDRESS) | flags | PAGE_PRESENT;
    return 1;
}

PUBLIC int paging_map(u32 address, u32 size, u32 flags)
{
    if (!size || address + (size - 1) < address)
        return 0;
    u32 last = (address + (size - 1)) & PAGE_ADDRESS;
    for (u32 page = address & PAGE_ADDRESS;; page += PAGE_SIZE) {
        if (!map_page(page, flags))
            return 0;
        if (page == last)
            break;
    }
    forget_translations();
    return 1;
}

PUBLIC void paging_guard_stack(void)
{
    u32 address = (u32)StackGuard;
    u32 *table = (u32 *)(directory()[address >> DIRECTORY_SHIFT] & PAGE_ADDRESS);
    table[address >> PAGE_SHIFT & TABLE_MASK] &= ~PAGE_PRESENT;
    forget_translations();
}

PUBLIC int stack_guard_hit(u32 address)
{
    return address >= (u32)StackGuard && address < (u32)StackGuard + PAGE_SIZE;
}

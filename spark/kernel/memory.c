/* memory.c: which pages of RAM are in use: one bit each
 *
 * A page is free if the memory map calls all of it RAM and none of it anything else, and nothing lies in it:
 *
 *       0 ..   FFF   interrupt vectors and BIOS data
 *    8000 ..  8FFF   the code with which further CPUs begin (trampoline.asm)
 *   30000 ..  .bss   this kernel
 *  100000 ..         page directory and page tables, then the bits themselves
 *
 * The loader, its buffers and KERNEL.BIN are free again: all that mattered was copied. An address that no RAM backs
 * never gets a free bit, so it is never touched.
 */
#include "boot_info.h"
#include "lib.h"
#include "lock.h"
#include "memory.h"
#include "panic.h"
#include "smp.h"

#define PAGE_DIRECTORY 0x100000u
#define FOUR_GB        (1ull << 32)
#define BITS           32

extern u8 kernel_begin[], kernel_end[]; /* kernel.ld */

PRIVATE struct {
    struct lock lock;
    u32 *used;      /* a bit for each page, 1: in use, or no RAM at all */
    u32 page_count; /* bits */
    u32 free_pages;
    u32 next; /* where to look first */
} memory;

PUBLIC const char *memory_type_name(u32 type)
{
    switch (type) {
    case ARDS_RAM: return "RAM";
    case ARDS_RESERVED: return "reserved";
    case ARDS_ACPI_TABLES: return "ACPI tables";
    case ARDS_ACPI_NVS: return "ACPI NVS";
    case ARDS_BAD: return "bad RAM";
    }
    return "reserved (unknown type)";
}

PRIVATE int is_ram(u32 record)
{
    return memory_map[record].type == ARDS_RAM && (memory_map_attributes[record] & ARDS_ENABLED);
}

PRIVATE u64 record_end(u32 record)
{
    u64 base = ards_base(&memory_map[record]), end = base + ards_length(&memory_map[record]);
    return end < base ? ~0ull : end;
}

PRIVATE int page_used(u32 page)
{
    return memory.used[page / BITS] >> page % BITS & 1;
}

PRIVATE void mark(u32 page, int used)
{
    if (page >= memory.page_count || page_used(page) == used)
        return;
    memory.used[page / BITS] ^= 1u << page % BITS;
    memory.free_pages += used ? -1 : 1;
}

PRIVATE u32 page_limited(u64 page)
{
    return page > memory.page_count ? memory.page_count : (u32)page;
}

/* Free: the pages wholly inside. Used: every page that is touched. */
PRIVATE void mark_range(u64 begin, u64 end, int used)
{
    u64 round = PAGE_SIZE - 1;
    u32 first = page_limited((used ? begin : begin + round) >> PAGE_SHIFT);
    u32 last = page_limited((used ? end + (end > ~0ull - round ? 0 : round) : end) >> PAGE_SHIFT);
    for (u32 page = first; page < last; page++)
        mark(page, used);
}

PRIVATE void mark_map(void)
{
    for (u32 i = 0; i < boot_info.map_count; i++)
        if (is_ram(i))
            mark_range(ards_base(&memory_map[i]), record_end(i), 0);
    for (u32 i = 0; i < boot_info.map_count; i++)
        if (!is_ram(i) && ards_length(&memory_map[i]))
            mark_range(ards_base(&memory_map[i]), record_end(i), 1);
}

/* The bits lie behind the page tables; the loader saw to it that there is RAM up to there, and for the bits,
 * 4 KB for each 128 MB, the same is seen to here. */
PRIVATE void check_bits_place(u32 begin, u32 end)
{
    for (u32 i = 0; i < boot_info.map_count; i++)
        if (is_ram(i) && ards_base(&memory_map[i]) <= begin && record_end(i) >= end)
            return;
    panic("no room for the page bits behind the page tables");
}

PUBLIC void memory_init(void)
{
    u64 ram_end = (u64)boot_info.ram_end_high << 32 | boot_info.ram_end_low;
    memory.page_count = ram_end >> PAGE_SHIFT;
    u32 bits_begin = PAGE_DIRECTORY + PAGE_SIZE * (1 + boot_info.page_tables);
    u32 bits_size = (memory.page_count + BITS - 1) / BITS * 4;
    check_bits_place(bits_begin, bits_begin + bits_size);
    memory.used = (u32 *)bits_begin;
    memset(memory.used, 0xFF, bits_size);

    mark_map();
    mark_range(0, PAGE_SIZE, 1);
    mark_range(TRAMPOLINE, TRAMPOLINE + PAGE_SIZE, 1);
    mark_range((u32)kernel_begin, (u32)kernel_end, 1);
    mark_range(PAGE_DIRECTORY, bits_begin + bits_size, 1);
}

PUBLIC u32 page_allocate(void)
{
    u32 found = 0;
    lock_take(&memory.lock);
    for (u32 i = 0; memory.free_pages && i < memory.page_count; i++) {
        u32 page = (memory.next + i) % memory.page_count;
        if (page_used(page))
            continue;
        mark(page, 1);
        memory.next = page + 1;
        found = page << PAGE_SHIFT;
        break;
    }
    lock_give(&memory.lock);
    if (found)
        memset((void *)found, 0, PAGE_SIZE);
    return found;
}

PUBLIC void page_free(u32 address)
{
    lock_take(&memory.lock);
    mark(address >> PAGE_SHIFT, 0);
    lock_give(&memory.lock);
}

PRIVATE u64 clipped(u64 address, u64 low, u64 high)
{
    return address < low ? low : address > high ? high : address;
}

PUBLIC void memory_report(struct memory_report *report)
{
    u64 low = 0, high = 0;
    for (u32 i = 0; i < boot_info.map_count; i++) {
        if (!is_ram(i))
            continue;
        u64 begin = ards_base(&memory_map[i]), end = record_end(i);
        low += clipped(end, 0, FOUR_GB) - clipped(begin, 0, FOUR_GB);
        high += clipped(end, FOUR_GB, ~0ull) - clipped(begin, FOUR_GB, ~0ull);
    }
    report->total_kb = low >> 10;
    report->free_kb = memory.free_pages * (PAGE_SIZE / KB);
    report->used_kb = report->total_kb - report->free_kb;
    report->high_mb = high >> 20;
    report->end_low = boot_info.ram_end_low;
    report->end_high = boot_info.ram_end_high;
}

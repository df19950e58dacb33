/* firmware_cpus.c: which CPUs the firmware lists: ACPI's MADT (ACPI specification 6.4, 5.2.12), and before ACPI the
 * table of Intel's MultiProcessor Specification 1.4, chapter 4 */
#include "acpi.h"
#include "const.h"
#include "lib.h"
#include "paging.h"
#include "smp.h"

#define MADT_LAPIC_ADDRESS 36
#define MADT_ENTRIES       44
#define MADT_LOCAL_APIC    0
#define MADT_LOCAL_X2APIC  9
#define MADT_ENABLED       1
#define XAPIC_IDS          255 /* 255 itself means all */

#define MP_FLOATING_SIZE  16
#define MP_FLOATING_TABLE 4
#define MP_LENGTH         4
#define MP_COUNT          34
#define MP_LAPIC          36
#define MP_ENTRIES        44
#define MP_PROCESSOR      0
#define MP_PROCESSOR_SIZE 20
#define MP_OTHER_SIZE     8
#define MP_ENABLED        1

PRIVATE u32 read32(const u8 *at)
{
    return at[0] | at[1] << 8 | at[2] << 16 | (u32)at[3] << 24;
}

PUBLIC u32 madt_list(u32 *ids, u32 room, u32 *lapic)
{
    const u8 *madt = (const u8 *)acpi_table("APIC");
    if (!madt)
        return 0;
    u32 length = ((const struct acpi_header *)madt)->length, count = 0;
    if (length < MADT_ENTRIES)
        return 0;
    *lapic = read32(madt + MADT_LAPIC_ADDRESS);
    for (const u8 *at = madt + MADT_ENTRIES; at + 2 <= madt + length && at[1] >= 2; at += at[1]) {
        if (at + at[1] > madt + length)
            break;
        u32 id = XAPIC_IDS;
        if (at[0] == MADT_LOCAL_APIC && at[1] >= 8 && at[4] & MADT_ENABLED)
            id = at[3];
        else if (at[0] == MADT_LOCAL_X2APIC && at[1] >= 16 && at[8] & MADT_ENABLED)
            id = read32(at + 4);
        if (id < XAPIC_IDS && count < room)
            ids[count++] = id;
    }
    return count;
}

PRIVATE u8 sum_bytes(const u8 *at, u32 size)
{
    u8 sum = 0;
    while (size--)
        sum += *at++;
    return sum;
}

PRIVATE const u8 *mp_search(u32 begin, u32 end)
{
    for (u32 at = begin; at + MP_FLOATING_SIZE <= end; at += MP_FLOATING_SIZE) {
        const u8 *floating = (const u8 *)at;
        if (!memory_compare(floating, "_MP_", 4) && !sum_bytes(floating, MP_FLOATING_SIZE))
            return floating;
    }
    return NULL;
}

PRIVATE const u8 *mp_table(void)
{
    const u8 *floating = mp_search(0x9FC00, 0xA0000); /* the last KB of 640, where an EBDA usually is */
    if (!floating)
        floating = mp_search(0xF0000, 0x100000);
    if (!floating || !read32(floating + MP_FLOATING_TABLE))
        return NULL;
    u32 address = read32(floating + MP_FLOATING_TABLE);
    if (!paging_map(address, MP_ENTRIES, PAGE_WRITABLE))
        return NULL;
    const u8 *table = (const u8 *)address;
    u32 length = table[MP_LENGTH] | table[MP_LENGTH + 1] << 8;
    if (memory_compare(table, "PCMP", 4) || length < MP_ENTRIES ||
        !paging_map(address, length, PAGE_WRITABLE))
        return NULL;
    return sum_bytes(table, length) ? NULL : table;
}

PUBLIC u32 mp_table_list(u32 *ids, u32 room, u32 *lapic)
{
    const u8 *table = mp_table();
    if (!table)
        return 0;
    const u8 *end = table + (table[MP_LENGTH] | table[MP_LENGTH + 1] << 8);
    u32 entries = table[MP_COUNT] | table[MP_COUNT + 1] << 8, count = 0;
    *lapic = read32(table + MP_LAPIC);
    for (const u8 *at = table + MP_ENTRIES; entries && at < end; entries--) {
        u32 size = *at == MP_PROCESSOR ? MP_PROCESSOR_SIZE : MP_OTHER_SIZE;
        if (at + size > end)
            break;
        if (*at == MP_PROCESSOR && at[3] & MP_ENABLED && at[1] < XAPIC_IDS && count < room)
            ids[count++] = at[1];
        at += size;
    }
    return count;
}

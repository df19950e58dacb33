/* acpi.c: finds the ACPI tables, and in them the power switch (ACPI specification 6.4, chapters 5.2, 4.8 and 20)
 *
 * Left out: the AML interpreter. The only object wanted, \_S5, is always a package of constants, so its bytes are
 * found and decoded without one. Tables above 4 GB are not reached: the RSDT, with 32-bit addresses, comes first.
 */
#include "acpi.h"
#include "const.h"
#include "lib.h"
#include "paging.h"

#define BDA_EBDA_SEGMENT 0x40E
#define EBDA_SEARCH      1024
#define BIOS_BEGIN       0xE0000u
#define BIOS_END         0x100000u
#define RSDP_ALIGN       16
#define RSDP_V1_SIZE     20
#define TABLE_MAX        0x100000u /* a larger one is nonsense */

/* Offsets in the FADT */
#define FADT_DSDT                 40
#define FADT_SCI_INT              46
#define FADT_SMI_CMD              48
#define FADT_ACPI_ENABLE          52
#define FADT_PM1A_EVT             56
#define FADT_PM1B_EVT             60
#define FADT_PM1A_CNT             64
#define FADT_PM1B_CNT             68
#define FADT_PM1_EVT_LEN          88
#define FADT_FLAGS                112
#define FADT_FLAG_NO_FIXED_BUTTON 0x10 /* PWR_BUTTON: the button is a device of the DSDT's instead */

/* AML */
#define AML_NAME    0x08
#define AML_PACKAGE 0x12
#define AML_ZERO    0x00
#define AML_ONE     0x01
#define AML_BYTE    0x0A
#define AML_WORD    0x0B
#define AML_DWORD   0x0C
#define AML_ONES    0xFF

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem_id[6];
    u8 revision;
    u32 rsdt;
} __attribute__((packed));

PRIVATE const struct acpi_header *rsdt;
PRIVATE struct acpi_power power;
PRIVATE int has_power;

PRIVATE u8 sum_bytes(const void *from, u32 size)
{
    const u8 *at = from;
    u8 sum = 0;
    while (size--)
        sum += *at++;
    return sum;
}

PRIVATE u32 read32(const void *table, u32 offset)
{
    const u8 *at = (const u8 *)table + offset;
    return at[0] | at[1] << 8 | at[2] << 16 | (u32)at[3] << 24;
}

/* Reads below keep clear of address 0, of which the compiler assumes that nothing is there. */
PRIVATE const struct rsdp *rsdp_search(u32 begin, u32 end)
{
    for (u32 at = begin; at + RSDP_V1_SIZE <= end; at += RSDP_ALIGN) {
        const struct rsdp *rsdp = (const struct rsdp *)at;
        if (!memory_compare(rsdp->signature, "RSD PTR ", 8) && !sum_bytes(rsdp, RSDP_V1_SIZE))
            return rsdp;
    }
    return NULL;
}

/* Maps a table, wherever it lies, and checks it. NULL: nothing sane is there. */
PRIVATE const struct acpi_header *table_open(u32 address)
{
    if (!address || !paging_map(address, sizeof(struct acpi_header), PAGE_WRITABLE))
        return NULL;
    const struct acpi_header *table = (const struct acpi_header *)address;
    if (table->length < sizeof *table || table->length > TABLE_MAX)
        return NULL;
    if (!paging_map(address, table->length, PAGE_WRITABLE) || sum_bytes(table, table->length))
        return NULL;
    return table;
}

PUBLIC const struct acpi_header *acpi_table(const char *signature)
{
    if (!rsdt)
        return NULL;
    for (u32 offset = sizeof *rsdt; offset + 4 <= rsdt->length; offset += 4) {
        const struct acpi_header *table = table_open(read32(rsdt, offset));
        if (table && !memory_compare(table->signature, signature, 4))
            return table;
    }
    return NULL;
}

/* ---- \_S5: Name (_S5, Package () { type for PM1a, type for PM1b, ... }) */

/* PkgLength: the top two bits of the first byte say how many bytes follow. Returns how many there are, all in all. */
PRIVATE u32 package_length_size(const u8 *at)
{
    return 1 + (at[0] >> 6);
}

/* One constant; NULL if it is something else or ends behind `end` */
PRIVATE const u8 *read_constant(const u8 *at, const u8 *end, u8 *value)
{
    if (at >= end)
        return NULL;
    u32 extra = *at == AML_BYTE ? 1 : *at == AML_WORD ? 2 : *at == AML_DWORD ? 4 : 0;
    if (extra > (u32)(end - at) - 1)
        return NULL;
    if (extra)
        *value = at[1];
    else if (*at == AML_ZERO || *at == AML_ONE || *at == AML_ONES)
        *value = *at;
    else
        return NULL;
    return at + 1 + extra;
}

/* `at` is behind the name */
PRIVATE int read_s5(const u8 *at, const u8 *end)
{
    if (end - at < 4 || at[0] != AML_PACKAGE)
        return 0;
    at += 1 + package_length_size(at + 1);
    if (at >= end)
        return 0;
    u32 elements = *at++;
    if (!elements || !(at = read_constant(at, end, &power.s5_type_a)))
        return 0;
    power.s5_type_b = power.s5_type_a;
    if (elements > 1)
        read_constant(at, end, &power.s5_type_b);
    return 1;
}

PRIVATE int find_s5(const struct acpi_header *table)
{
    if (!table)
        return 0;
    const u8 *begin = (const u8 *)(table + 1), *end = (const u8 *)table + table->length;
    for (const u8 *at = begin + 1; at + 4 <= end; at++) {
        if (memory_compare(at, "_S5_", 4))
            continue;
        int named = at[-1] == AML_NAME || (at[-1] == '\\' && at - 2 >= begin && at[-2] == AML_NAME);
        if (named && read_s5(at + 4, end))
            return 1;
    }
    return 0;
}

PRIVATE void read_fadt(void)
{
    const struct acpi_header *fadt = acpi_table("FACP");
    if (!fadt || fadt->length < FADT_FLAGS + 4)
        return;
    const u8 *bytes = (const u8 *)fadt;
    has_power = 1;
    power.smi_command = read32(fadt, FADT_SMI_CMD);
    power.pm1a_event = read32(fadt, FADT_PM1A_EVT);
    power.pm1b_event = read32(fadt, FADT_PM1B_EVT);
    power.pm1a_control = read32(fadt, FADT_PM1A_CNT);
    power.pm1b_control = read32(fadt, FADT_PM1B_CNT);
    power.event_length = bytes[FADT_PM1_EVT_LEN];
    power.sci_irq = bytes[FADT_SCI_INT];
    power.enable_value = bytes[FADT_ACPI_ENABLE];
    power.has_button = !(read32(fadt, FADT_FLAGS) & FADT_FLAG_NO_FIXED_BUTTON);
    power.has_s5 = find_s5(table_open(read32(fadt, FADT_DSDT))) || find_s5(acpi_table("SSDT"));
}

PUBLIC void acpi_init(void)
{
    u32 ebda;
    /* The BIOS data area; an asm operand, because to the compiler a constant this low is a null pointer. */
    __asm__ volatile("movzwl (%1), %0" : "=r"(ebda) : "r"(BDA_EBDA_SEGMENT));
    ebda <<= 4;
    const struct rsdp *rsdp =
        ebda >= 0x80000 && ebda < 0xA0000 ? rsdp_search(ebda, ebda + EBDA_SEARCH) : NULL;
    if (!rsdp)
        rsdp = rsdp_search(BIOS_BEGIN, BIOS_END);
    if (rsdp)
        rsdt = table_open(rsdp->rsdt);
    if (rsdt)
        read_fadt();
}

PUBLIC int acpi_present(void)
{
    return rsdt != NULL;
}

PUBLIC const struct acpi_power *acpi_power(void)
{
    return has_power ? &power : NULL;
}

/*
 * Linux's bzImage: the 64-bit entry where the kernel and the CPU have it, else the 32-bit one.
 *
 * The kernel is loaded where it prefers to run, so that it need not move itself. Left out: boot protocols before 2.02,
 * zImage, kexec's and EFI's ways.
 * Source: Linux, Documentation/arch/x86/boot.rst and zero-page.rst.
 */
#include <endian.h>
#include <string.h>

#include "firmware/direct-plan.h"

/* Offsets, the same in the file and in the zero page. */
enum {
    SCREEN_MODE = 0x06,
    SCREEN_COLUMNS = 0x07,
    SCREEN_EGA_BX = 0x0a,
    SCREEN_LINES = 0x0e,
    SCREEN_IS_VGA = 0x0f,
    SCREEN_POINTS = 0x10,
    ACPI_RSDP = 0x070, /* 8 bytes */
    E820_ENTRIES = 0x1e8,
    SETUP_HEADER = 0x1f1,
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4, /* in 16 bytes */
    BOOT_FLAG = 0x1fe,
    JUMP_LENGTH = 0x201,
    SIGNATURE = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    RELOCATABLE_KERNEL = 0x234,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREF_ADDRESS = 0x258, /* 8 bytes */
    INIT_SIZE = 0x260,
    E820_TABLE = 0x2d0,
    E820_ENTRY_SIZE = 20,
    ZERO_PAGE_SIZE = 4096,
    HEADER_MOST = 0x290, /* where the zero page goes on with other things */
};

enum {
    BOOT_FLAG_VALUE = 0xaa55,
    LOADED_HIGH = 1 << 0,
    XLF_KERNEL_64 = 1 << 0,
    LOADER_UNDEFINED = 0xff,
    ENTRY_64 = 0x200,
    SECTOR = 512,
    SETUP_SECTS_DEFAULT = 4,
    SYSSIZE_UNIT = 16,

    VERSION_COMMAND_LINE = 0x202, /* where the fields came */
    VERSION_INITRD_MAX = 0x203,
    VERSION_SYSSIZE = 0x204,
    VERSION_RELOCATABLE = 0x205,
    VERSION_CMDLINE_SIZE = 0x206,
    VERSION_PREF_ADDRESS = 0x20a,
    VERSION_XLOADFLAGS = 0x20c,
    VERSION_RSDP = 0x20e,

    OLD_INITRD_MAX = 0x37ffffff,
    OLD_CMDLINE_SIZE = 255,
};

struct bzimage {
    uint8_t header[HEADER_MOST];
    unsigned version;
    uint64_t setup_size; /* of the 16-bit part; the kernel proper follows */
    uint64_t payload;
    uint64_t address, reserved_end; /* where it is loaded; what it unpacks itself over */
};

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static bool check_sizes(struct direct *direct, struct bzimage *image)
{
    uint64_t size = direct->files[0].size;
    unsigned sectors = image->header[SETUP_SECTS] ? image->header[SETUP_SECTS] : SETUP_SECTS_DEFAULT;

    image->setup_size = (sectors + 1ull) * SECTOR;
    if (image->setup_size >= size)
        return direct_refuse(direct, "it ends early: its setup code alone has %llu bytes, the file %llu",
                             (unsigned long long)image->setup_size, (unsigned long long)size);
    image->payload = size - image->setup_size;
    uint64_t stated = (uint64_t)get32(image->header + SYSSIZE) * SYSSIZE_UNIT;
    if (image->version >= VERSION_SYSSIZE && stated > image->payload + SYSSIZE_UNIT - 1)
        return direct_refuse(direct, "it ends early: its header speaks of %llu bytes, the file has %llu",
                             (unsigned long long)(stated + image->setup_size), (unsigned long long)size);
    return true;
}

static bool place_kernel(struct direct *direct, struct bzimage *image)
{
    bool relocatable = image->version >= VERSION_RELOCATABLE && image->header[RELOCATABLE_KERNEL];
    uint64_t preferred = DIRECT_HIGH, wanted = image->payload;

    if (image->version >= VERSION_PREF_ADDRESS) {
        preferred = get64(image->header + PREF_ADDRESS);
        wanted = get32(image->header + INIT_SIZE);
    }
    if (wanted < image->payload)
        wanted = image->payload;
    image->address = relocatable ? preferred : DIRECT_HIGH;
    if (preferred < DIRECT_HIGH || !direct_is_ram(direct, preferred, wanted))
        return direct_refuse(direct,
                             "it wants %llu MiB of RAM from %#llx on, and the guest has %llu MiB (-m)",
                             (unsigned long long)wanted >> 20, (unsigned long long)preferred,
                             (unsigned long long)direct->machine.ram_size >> 20);
    image->reserved_end = preferred + wanted;
    if (!direct_add_file(direct, image->address, &direct->files[0], image->setup_size, image->payload))
        return false;
    if (direct_end(direct) > image->reserved_end)
        image->reserved_end = direct_end(direct);
    return true;
}

static bool place_initrd(struct direct *direct, const struct bzimage *image, uint8_t *zero_page)
{
    uint64_t limit =
        image->version >= VERSION_INITRD_MAX ? get32(image->header + INITRD_ADDR_MAX) : OLD_INITRD_MAX;
    uint32_t address = 0;

    if (!direct->machine.initrd)
        return true;
    const struct direct_file *initrd = direct_file_open(direct, direct->machine.initrd);
    if (!initrd || !direct_add_high(direct, initrd, image->reserved_end, limit + 1, &address))
        return false;
    put32(zero_page + RAMDISK_IMAGE, address);
    put32(zero_page + RAMDISK_SIZE, (uint32_t)initrd->size);
    return true;
}

static bool place_command_line(struct direct *direct, const struct bzimage *image, uint8_t *zero_page)
{
    const char *text = direct->machine.append ? direct->machine.append : "";
    uint32_t most =
        image->version >= VERSION_CMDLINE_SIZE ? get32(image->header + CMDLINE_SIZE) : OLD_CMDLINE_SIZE;
    if (strlen(text) > most)
        return direct_refuse(direct, "-append has %zu characters, and this kernel takes %u", strlen(text),
                             most);
    uint32_t address = direct_put_string(direct, text);
    put32(zero_page + CMD_LINE_PTR, address);
    return address != 0;
}

static void describe_screen(uint8_t *zero_page)
{
    zero_page[SCREEN_MODE] = 3;
    zero_page[SCREEN_COLUMNS] = 80;
    zero_page[SCREEN_LINES] = 25;
    zero_page[SCREEN_EGA_BX] = 3; /* 256 KiB, in colour */
    zero_page[SCREEN_IS_VGA] = 1;
    zero_page[SCREEN_POINTS] = 16;
}

static void describe_memory(const struct direct *direct, uint8_t *zero_page)
{
    struct direct_region regions[DIRECT_REGIONS];
    unsigned count = direct_regions(direct, regions);
    zero_page[E820_ENTRIES] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        uint8_t *entry = zero_page + E820_TABLE + i * E820_ENTRY_SIZE;
        put64(entry, regions[i].base);
        put64(entry + 8, regions[i].size);
        put32(entry + 16, regions[i].type);
    }
}

static bool fill_zero_page(struct direct *direct, const struct bzimage *image)
{
    uint8_t zero_page[ZERO_PAGE_SIZE] = {0};
    size_t end = SIGNATURE + image->header[JUMP_LENGTH];
    if (end > HEADER_MOST)
        end = HEADER_MOST;
    memcpy(zero_page + SETUP_HEADER, image->header + SETUP_HEADER, end - SETUP_HEADER);
    zero_page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put32(zero_page + CODE32_START, (uint32_t)image->address);
    if (image->version >= VERSION_RSDP)
        put64(zero_page + ACPI_RSDP, DIRECT_TABLES);
    if (direct->machine.text_mode)
        describe_screen(zero_page);
    describe_memory(direct, zero_page);
    if (!place_command_line(direct, image, zero_page) || !place_initrd(direct, image, zero_page))
        return false;
    direct_put(direct, DIRECT_INFORMATION, zero_page, sizeof(zero_page));
    return true;
}

static bool choose_entry(struct direct *direct, const struct bzimage *image)
{
    bool kernel_64 =
        image->version >= VERSION_XLOADFLAGS && get16(image->header + XLOADFLAGS) & XLF_KERNEL_64;
    if (kernel_64 && !direct->machine.long_mode)
        return direct_refuse(direct, "it is a 64-bit kernel, and this CPU has no 64-bit mode");
    direct->long_mode = kernel_64;
    direct->entry = image->address + (kernel_64 ? ENTRY_64 : 0);
    direct->rsi = DIRECT_INFORMATION;
    return true;
}

static bool take(struct direct *direct, struct bzimage *image)
{
    image->version = get16(image->header + VERSION);
    if (image->version < VERSION_COMMAND_LINE)
        return direct_refuse(direct, "its boot protocol is %u.%02u; 2.02 is the oldest that is known here",
                             image->version >> 8, image->version & 0xff);
    if (!(image->header[LOADFLAGS] & LOADED_HIGH))
        return direct_refuse(direct, "it is a zImage, which is loaded low; make it a bzImage");
    return check_sizes(direct, image) && place_kernel(direct, image) && fill_zero_page(direct, image) &&
           choose_entry(direct, image);
}

enum direct_verdict linux_plan(struct direct *direct)
{
    struct bzimage image = {0};
    if (!direct_file_read(&direct->files[0], 0, image.header, sizeof(image.header)) ||
        get16(image.header + BOOT_FLAG) != BOOT_FLAG_VALUE || memcmp(image.header + SIGNATURE, "HdrS", 4))
        return DIRECT_NOT_MINE;
    return take(direct, &image) ? DIRECT_TAKEN : DIRECT_REFUSED;
}

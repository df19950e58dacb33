/* ROM images, memory layout and what SeaBIOS is told. Numbers: SeaBIOS's docs; QEMU's "pc" memory layout. */
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "firmware/bios.h"

static char folder[] = "/tmp/firmware_test.XXXXXX";
static char error[512];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static const char *rom_make(long size)
{
    const char *path = path_of("rom");
    FILE *file = fopen(path, "wb");
    for (long i = 0; i < size; i++)
        fputc((int)(i >> 16) + 1, file);
    fclose(file);
    return path;
}

static void sizes_that_load(void **state)
{
    static const long sizes[] = {64 << 10, 128 << 10, 192 << 10, 256 << 10, 16 << 20};
    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct firmware bios;
        size_t low_size;
        assert_true(firmware_load_bios(&bios, rom_make(sizes[i]), error, sizeof(error)));
        assert_int_equal(bios.size, sizes[i]);
        uint8_t *low = firmware_low(&bios, &low_size);
        assert_int_equal(low_size, sizes[i] < 131072 ? sizes[i] : 131072);
        assert_ptr_equal(low + low_size, bios.image + bios.size);
        firmware_free(&bios);
    }
}

static void refused(const char *path, const char *words)
{
    struct firmware bios;
    memset(error, 0, sizeof(error));
    assert_false(firmware_load_bios(&bios, path, error, sizeof(error)));
    assert_null(bios.image);
    if (!strstr(error, words) || !strstr(error, path) || strchr(error, '\n'))
        fail_msg("\"%s\" should say \"%s\"", error, words);
}

static void what_is_no_bios_is_refused(void **state)
{
    (void)state;
    refused(path_of("absent"), "No such file");
    refused("no-such-bios.bin", "No such file");
    refused(rom_make(0), "empty");
    refused(rom_make(1), "64 KiB");
    refused(rom_make(65537), "64 KiB");
    refused(rom_make(17 << 20), "too large");
    refused(folder, "directory");
    refused("/dev/zero", "not a file");
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    refused(path_of("pipe"), "not a file");
    char *longest = malloc(2000);
    memset(longest, 'x', 1999);
    longest[1999] = 0;
    struct firmware bios;
    assert_false(firmware_load_bios(&bios, longest, error, sizeof(error)));
    free(longest);
}

static void ram_is_laid_out_around_the_hole(void **state)
{
    (void)state;
    assert_int_equal(firmware_ram_below_4g(128ull << 20), 128ull << 20);
    assert_int_equal(firmware_ram_below_4g(0xe0000000 - 8192), 0xe0000000 - 8192);
    assert_int_equal(firmware_ram_below_4g(0xe0000000), 0xc0000000);
    assert_int_equal(firmware_ram_below_4g(8ull << 30), 0xc0000000);

    struct memory *memory = memory_create(0xe0000000);
    struct firmware bios;
    size_t count;
    assert_true(firmware_load_bios(&bios, rom_make(256 << 10), error, sizeof(error)));
    firmware_map(memory, &bios);
    const struct memory_range *ranges = memory_ranges(memory, &count);
    assert_int_equal(count, 3);
    assert_int_equal(ranges[0].base, 0x100000);
    assert_int_equal(ranges[0].size, 0xbff00000);
    assert_int_equal(ranges[1].base, 0xfffc0000);
    assert_int_equal(ranges[1].size, 0x40000);
    assert_false(ranges[1].writable);
    assert_int_equal(ranges[2].base, 0x100000000);
    assert_int_equal(ranges[2].size, 0x20000000);
    assert_ptr_equal(ranges[2].host, memory_ram(memory) + 0xc0000000);
    firmware_free(&bios);
    memory_destroy(memory);
}

/* ---- what is told */

struct told {
    struct memory *memory;
    struct bus *ports;
    struct fwcfg *fwcfg;
    uint8_t cells[128];
};

static void cell_set(void *opaque, unsigned cell, uint8_t value)
{
    assert_in_range(cell, 0x10, 0x7f);
    ((struct told *)opaque)->cells[cell] = value;
}

static struct told tell(const struct firmware_description *description)
{
    struct told told = {.memory = memory_create(4096), .ports = bus_create("port", 0x10000)};
    told.fwcfg = fwcfg_create(told.ports, told.memory);
    firmware_describe(description, told.fwcfg, cell_set, &told);
    return told;
}

static void told_free(struct told *told)
{
    fwcfg_destroy(told->fwcfg);
    bus_destroy(told->ports);
    memory_destroy(told->memory);
}

static void key_read(struct told *told, uint16_t key, void *to, unsigned size)
{
    bus_write(told->ports, 0x510, 2, key);
    for (unsigned i = 0; i < size; i++)
        ((uint8_t *)to)[i] = (uint8_t)bus_read(told->ports, 0x511, 1);
}

/* The file's size, or -1; its first bytes in `to`. */
static int file_read(struct told *told, const char *name, void *to, unsigned most)
{
    uint8_t head[4], entry[64];
    key_read(told, 0x19, head, 4);
    for (unsigned i = 0; i < head[3]; i++) {
        uint8_t directory[4 + 64 * 16];
        key_read(told, 0x19, directory, sizeof(directory));
        memcpy(entry, directory + 4 + 64 * i, sizeof(entry));
        if (strcmp((char *)entry + 8, name))
            continue;
        key_read(told, (uint16_t)(entry[4] << 8 | entry[5]), to, most);
        return entry[0] << 24 | entry[1] << 16 | entry[2] << 8 | entry[3];
    }
    return -1;
}

static void a_small_machine(void **state)
{
    struct cpus cpus;
    cpus_set_up(&cpus, &(struct topology){1, 1, 1, 1}, 1);
    struct told told =
        tell(&(struct firmware_description){.ram_size = 128 << 20,
                                            .cpus = &cpus,
                                            .boot_order = "ac",
                                            .boot_paths = "/pci@i0cf8/isa@1/fdc@03f0/floppy@0\n"
                                                          "/pci@i0cf8/ide@1,1/drive@0/disk@0\n",
                                            .floppy_types = {4, 0},
                                            .disk_sizes = {64 << 20}});
    uint8_t got[128];
    (void)state;
    assert_int_equal(told.cells[0x10], 0x40);
    assert_int_equal(told.cells[0x14], 0x07);
    assert_int_equal(told.cells[0x15] | told.cells[0x16] << 8, 640);
    assert_int_equal(told.cells[0x17] | told.cells[0x18] << 8, 65535);
    assert_int_equal(told.cells[0x30] | told.cells[0x31] << 8, 65535);
    assert_int_equal(told.cells[0x34] | told.cells[0x35] << 8, 112 * 16);
    assert_int_equal(told.cells[0x5b] | told.cells[0x5c] << 8 | told.cells[0x5d] << 16, 0);
    assert_int_equal(told.cells[0x5f], 0);
    assert_int_equal(told.cells[0x3d], 0x21);
    assert_int_equal(told.cells[0x38], 0x00);
    assert_int_equal(told.cells[0x39], 0x00);
    assert_int_equal(told.cells[0x12], 0xf0);
    key_read(&told, 5, got, 2);
    assert_memory_equal(got, "\1\0", 2);
    key_read(&told, 0x0e, got, 2);
    assert_memory_equal(got, "\0\0", 2);
    assert_int_equal(file_read(&told, "etc/e820", got, 40), 40);
    assert_memory_equal(got, "\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\1\0\0\0", 20);
    assert_int_equal(file_read(&told, "etc/boot-fail-wait", got, 4), 4);
    assert_memory_equal(got, "\xff\xff\xff\xff", 4);
    assert_true(file_read(&told, "bootorder", got, 128) > 0);
    assert_string_equal((char *)got, "/pci@i0cf8/isa@1/fdc@03f0/floppy@0\n"
                                     "/pci@i0cf8/ide@1,1/drive@0/disk@0");
    assert_int_equal(file_read(&told, "pci1234,1111.rom", got, 1), -1);
    told_free(&told);
}

static void a_large_machine(void **state)
{
    uint8_t rom_bytes[3000] = {0x55, 0xaa};
    struct firmware rom = {.image = rom_bytes, .size = sizeof(rom_bytes)};
    struct cpus cpus;
    cpus_set_up(&cpus, &(struct topology){1, 2, 3, 1}, 4); /* the last APIC identifier is 6 */
    struct told told =
        tell(&(struct firmware_description){.ram_size = 8ull << 30,
                                            .cpus = &cpus,
                                            .boot_order = "cad",
                                            .boot_paths = "/pci@i0cf8/ide@1,1/drive@0/disk@0\n"
                                                          "/pci@i0cf8/ide@1,1/drive@1/disk@1\n"
                                                          "/pci@i0cf8/ide@1,1/drive@1/disk@0\n",
                                            .boot_menu = true,
                                            .disk_sizes = {8ull << 30, 0, 0, 1 << 30},
                                            .vga = &rom});
    uint8_t got[256];
    (void)state;
    assert_int_equal(told.cells[0x10], 0);
    assert_int_equal(told.cells[0x34] | told.cells[0x35] << 8, 0xbf00);
    assert_int_equal(told.cells[0x5b] | told.cells[0x5c] << 8 | told.cells[0x5d] << 16, 0x14000);
    assert_int_equal(told.cells[0x5f], 3);
    assert_int_equal(told.cells[0x3d], 0x12); /* cad: disk, floppy ... */
    assert_int_equal(told.cells[0x38], 0x30); /* ... CD-ROM */
    assert_int_equal(told.cells[0x39], 0x41);
    key_read(&told, 0x0f, got, 2);
    assert_memory_equal(got, "\x07\0", 2);
    key_read(&told, 0x0e, got, 2);
    assert_memory_equal(got, "\1\0", 2);
    assert_int_equal(file_read(&told, "etc/e820", got, 60), 60);
    assert_memory_equal(got, "\0\0\0\0\0\0\0\0\0\0\0\xc0\0\0\0\0\1\0\0\0", 20);
    assert_memory_equal(got + 40, "\0\0\0\0\1\0\0\0\0\0\0\x40\1\0\0\0\1\0\0\0", 20);
    assert_true(file_read(&told, "bootorder", got, 256) > 0);
    assert_string_equal((char *)got, "/pci@i0cf8/ide@1,1/drive@0/disk@0\n"
                                     "/pci@i0cf8/ide@1,1/drive@1/disk@1\n"
                                     "/pci@i0cf8/ide@1,1/drive@1/disk@0");
    assert_int_equal(file_read(&told, "pci1234,1111.rom", got, 2), 3000);
    assert_memory_equal(got, "\x55\xaa", 2);
    told_free(&told);
}

static void the_distribution_s_seabios(void **state)
{
    struct firmware bios, vga;
    (void)state;
    if (access("/usr/share/seabios/bios-256k.bin", R_OK) != 0)
        skip();
    assert_true(firmware_load_bios(&bios, NULL, error, sizeof(error)));
    assert_int_equal(bios.size, 262144);
    assert_int_equal(bios.image[bios.size - 16], 0xea); /* a far jump at the reset vector */
    firmware_free(&bios);
    assert_true(firmware_load_bios(&bios, "bios.bin", error, sizeof(error)));
    assert_int_equal(bios.size, 131072);
    firmware_free(&bios);
    assert_true(firmware_load_vga(&vga, error, sizeof(error)));
    assert_memory_equal(vga.image, "\x55\xaa", 2);
    firmware_free(&vga);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path_of("rom"));
    unlink(path_of("pipe"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_load),
        cmocka_unit_test(what_is_no_bios_is_refused),
        cmocka_unit_test(ram_is_laid_out_around_the_hole),
        cmocka_unit_test(a_small_machine),
        cmocka_unit_test(a_large_machine),
        cmocka_unit_test(the_distribution_s_seabios),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

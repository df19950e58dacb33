/*
 * Finding and reading ROM images, and where they and the RAM lie in guest memory.
 *
 * Source of the layout: QEMU's "pc" machine, on which SeaBIOS counts: RAM up to E0000000h, or, if there is more, up to
 * C0000000h with the rest from 4 GiB; the BIOS ends at 4 GiB.
 */
#include "firmware/bios.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"

enum {
    BIOS_UNIT = 64 << 10,
    BIOS_MOST = 16 << 20,
    BIOS_LOW = 128 << 10,
    VGA_MOST = 256 << 10,
    OPTION_ROM_MOST = 1 << 20,
    MEGABYTE = 1 << 20,
};

#define FOUR_GIGABYTES 0x100000000ull
#define LOW_RAM_MOST   0xe0000000ull
#define LOW_RAM_SPLIT  0xc0000000ull

static const char *const directories[] = {"/usr/share/seabios", "/usr/share/qemu", "/usr/lib/ipxe/qemu"};
enum { DIRECTORIES = sizeof(directories) / sizeof(directories[0]) };

/* A name without a slash that is no file here is looked for in the firmware directories. */
static bool image_find(struct firmware *firmware, const char *name)
{
    int written = snprintf(firmware->path, sizeof(firmware->path), "%s", name);
    bool here = access(name, F_OK) == 0;
    for (unsigned i = 0; !here && !strchr(name, '/') && i < DIRECTORIES; i++) {
        char path[sizeof(firmware->path)];
        if (snprintf(path, sizeof(path), "%s/%s", directories[i], name) >= (int)sizeof(path) ||
            access(path, F_OK) != 0)
            continue;
        memcpy(firmware->path, path, sizeof(path));
        return true;
    }
    return here && written < (int)sizeof(firmware->path);
}

static const char *read_all(int descriptor, uint8_t *to, size_t size)
{
    while (size) {
        ssize_t got = read(descriptor, to, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? strerror(errno) : "it ended early";
        to += got;
        size -= (size_t)got;
    }
    return NULL;
}

/* Whole pages, on a page boundary, since memory ranges are made of such. */
static uint8_t *pages_allocate(size_t size)
{
    size_t whole = (size + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    uint8_t *pages = aligned_alloc(PAGE_SIZE, whole);
    if (pages)
        memset(pages, 0, whole);
    return pages;
}

/* NULL, or why not. */
static const char *image_read(struct firmware *firmware, size_t unit, size_t most)
{
    struct stat status;
    const char *why = NULL;
    /* O_NONBLOCK: a pipe answers at once, to be refused. */
    int descriptor = open(firmware->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (descriptor < 0 || fstat(descriptor, &status) < 0)
        why = strerror(errno);
    else if (S_ISDIR(status.st_mode))
        why = "it is a directory";
    else if (!S_ISREG(status.st_mode))
        why = "it is not a file";
    else if (status.st_size == 0)
        why = "it is empty";
    else if ((uint64_t)status.st_size > most)
        why = "it is too large for a ROM";
    else if ((uint64_t)status.st_size % unit)
        why = "its size is not a multiple of 64 KiB, as a BIOS has";
    if (!why) {
        firmware->size = (size_t)status.st_size;
        firmware->image = pages_allocate(firmware->size);
        why = !firmware->image ? strerror(ENOMEM) : read_all(descriptor, firmware->image, firmware->size);
    }
    if (descriptor >= 0)
        close(descriptor);
    if (why)
        firmware_free(firmware);
    return why;
}

bool firmware_load_bios(struct firmware *bios, const char *path, char *error, size_t error_size)
{
    const char *name = path ? path : "bios-256k.bin", *why;
    *bios = (struct firmware){0};
    if (!image_find(bios, name)) {
        if (path)
            snprintf(error, error_size, "could not load PC BIOS '%s': %s", name, strerror(ENOENT));
        else
            snprintf(
                error, error_size,
                "could not load PC BIOS '%s': not in %s nor %s; install the package seabios, or name one "
                "with -bios",
                name, directories[0], directories[1]);
        return false;
    }
    why = image_read(bios, BIOS_UNIT, BIOS_MOST);
    if (why)
        snprintf(error, error_size, "could not load PC BIOS '%s': %s", name, why);
    return !why;
}

bool firmware_load_vga(struct firmware *rom, char *error, size_t error_size)
{
    static const char name[] = "vgabios-stdvga.bin";
    const char *why;
    *rom = (struct firmware){0};
    if (!image_find(rom, name)) {
        snprintf(error, error_size,
                 "could not load VGA BIOS '%s': not in %s nor %s; install the package seabios", name,
                 directories[0], directories[1]);
        return false;
    }
    why = image_read(rom, 1, VGA_MOST);
    if (why)
        snprintf(error, error_size, "could not load VGA BIOS '%s': %s", rom->path, why);
    return !why;
}

bool firmware_load_rom(struct firmware *rom, const char *name, char *error, size_t error_size)
{
    const char *why =
        "no such file here nor in the firmware directories (iPXE's are in the package ipxe-qemu)";
    *rom = (struct firmware){0};
    if (image_find(rom, name))
        why = image_read(rom, 1, OPTION_ROM_MOST);
    if (why)
        snprintf(error, error_size, "could not load option ROM '%s': %s", name, why);
    return !why;
}

void firmware_free(struct firmware *firmware)
{
    free(firmware->image);
    firmware->image = NULL;
    firmware->size = 0;
}

uint64_t firmware_ram_below_4g(uint64_t ram_size)
{
    return ram_size < LOW_RAM_MOST ? ram_size : LOW_RAM_SPLIT;
}

uint8_t *firmware_low(const struct firmware *bios, size_t *size)
{
    *size = bios->size < BIOS_LOW ? bios->size : BIOS_LOW;
    return bios->image + bios->size - *size;
}

void firmware_map(struct memory *memory, const struct firmware *bios)
{
    uint64_t size = memory_ram_size(memory), below = firmware_ram_below_4g(size);
    uint8_t *ram = memory_ram(memory);

    if (below > MEGABYTE)
        memory_map(memory, &(struct memory_range){MEGABYTE, below - MEGABYTE, ram + MEGABYTE, true, "ram"});
    if (size > below)
        memory_map(memory, &(struct memory_range){FOUR_GIGABYTES, size - below, ram + below, true, "ram"});
    if (bios->size)
        memory_map(memory, &(struct memory_range){FOUR_GIGABYTES - bios->size, bios->size, bios->image, false,
                                                  "bios"});
}

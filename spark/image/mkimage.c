/* mkimage: writes spark's three images. The same input gives the same bytes: no dates, no random numbers.
 *
 *   mkimage floppy OUT BOOT LOADER KERNEL        1.44 MB, FAT12
 *   mkimage disk   OUT MBR BOOT LOADER KERNEL    one active FAT12 partition; a USB stick is written with it, too
 *   mkimage iso    OUT FLOPPY                    ISO 9660 with that floppy as its El Torito boot image
 *
 * Left out: subdirectories, long names, every other size of FAT.
 * Sources: Microsoft's FAT specification 1.03; ECMA-119; the El Torito specification 1.0.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECTOR = 512,
    DIR_ENTRY = 32,
    FAT12_END = 0xFFF,

    BPB_SecPerClus = 13,
    BPB_RsvdSecCnt = 14,
    BPB_NumFATs = 16,
    BPB_RootEntCnt = 17,
    BPB_TotSec16 = 19,
    BPB_Media = 21,
    BPB_FATSz16 = 22,
    BPB_SecPerTrk = 24,
    BPB_NumHeads = 26,
    BPB_HiddSec = 28,
    BS_DrvNum = 36,

    DIR_Attr = 11,
    DIR_WrtDate = 24,
    DIR_FstClusLO = 26,
    DIR_FileSize = 28,
    ATTR_ARCHIVE = 0x20,
    ATTR_VOLUME_ID = 0x08,
    DATE_1980_01_01 = 0x21, /* the earliest that FAT can express */

    MBR_PARTITION = 446,
    PART_ACTIVE = 0x80,
    PART_FAT12 = 0x01,
};

/* What differs between the floppy and the partition; everything else follows from it. */
struct layout {
    uint32_t hidden; /* sectors before the file system */
    uint32_t sectors;
    uint16_t root_entries;
    uint16_t fat_sectors;
    uint16_t track_sectors;
    uint16_t heads;
    uint8_t cluster_sectors;
    uint8_t media;
    uint8_t drive;
};

static const struct layout floppy_layout = {0, 2880, 224, 9, 18, 2, 1, 0xF0, 0x00};
/* 16 cylinders of 16 heads and 63 sectors; the partition begins with the second track. */
static const struct layout disk_layout = {63, 16 * 16 * 63 - 63, 512, 12, 63, 16, 4, 0xF8, 0x80};

struct file {
    uint8_t *bytes;
    size_t size;
};

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "mkimage: ");
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = value;
    at[1] = value >> 8;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value);
    put16(at + 2, value >> 16);
}

static void *zeroed(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        die("out of memory");
    return memory;
}

static struct file file_read(const char *name)
{
    FILE *stream = fopen(name, "rb");
    if (!stream || fseek(stream, 0, SEEK_END))
        die("cannot open %s", name);
    struct file file = {.size = ftell(stream)};
    rewind(stream);
    file.bytes = zeroed(file.size + 1);
    if (fread(file.bytes, 1, file.size, stream) != file.size)
        die("cannot read %s", name);
    fclose(stream);
    return file;
}

static void file_write(const char *name, const uint8_t *bytes, size_t size)
{
    FILE *stream = fopen(name, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream))
        die("cannot write %s", name);
}

/* ---- FAT12 */

struct volume {
    uint8_t *sectors; /* the first one is the boot sector */
    const struct layout *layout;
    uint32_t data; /* the sector of cluster 2 */
    uint32_t clusters;
    uint32_t next_cluster;
    uint32_t next_entry;
};

static void fat_set(struct volume *volume, uint32_t cluster, uint32_t value)
{
    for (int copy = 0; copy < 2; copy++) {
        uint8_t *at = volume->sectors + (1 + copy * volume->layout->fat_sectors) * SECTOR + cluster * 3 / 2;
        if (cluster & 1) {
            at[0] = (at[0] & 0x0F) | value << 4;
            at[1] = value >> 4;
        } else {
            at[0] = value;
            at[1] = (at[1] & 0xF0) | (value >> 8 & 0x0F);
        }
    }
}

static uint8_t *directory_entry(struct volume *volume, const char *name, uint8_t attribute)
{
    if (volume->next_entry == volume->layout->root_entries)
        die("the root directory is full");
    uint8_t *root = volume->sectors + (1 + 2 * volume->layout->fat_sectors) * SECTOR;
    uint8_t *entry = root + volume->next_entry++ * DIR_ENTRY;
    memcpy(entry, name, 11);
    entry[DIR_Attr] = attribute;
    put16(entry + DIR_WrtDate, DATE_1980_01_01);
    return entry;
}

static void volume_add(struct volume *volume, const char *name, struct file file)
{
    uint32_t cluster_size = volume->layout->cluster_sectors * SECTOR;
    uint32_t count = (file.size + cluster_size - 1) / cluster_size;
    if (count > volume->clusters + 2 - volume->next_cluster)
        die("%.11s does not fit: it is %zu bytes", name, file.size);
    uint8_t *entry = directory_entry(volume, name, ATTR_ARCHIVE);
    put16(entry + DIR_FstClusLO, count ? volume->next_cluster : 0);
    put32(entry + DIR_FileSize, file.size);
    uint32_t first = volume->data + (volume->next_cluster - 2) * volume->layout->cluster_sectors;
    memcpy(volume->sectors + first * SECTOR, file.bytes, file.size);
    for (uint32_t i = 0; i < count; i++, volume->next_cluster++)
        fat_set(volume, volume->next_cluster, i + 1 < count ? volume->next_cluster + 1 : FAT12_END);
}

static void write_bpb(uint8_t *boot, const struct layout *layout)
{
    boot[BPB_SecPerClus] = layout->cluster_sectors;
    put16(boot + BPB_RsvdSecCnt, 1);
    boot[BPB_NumFATs] = 2;
    put16(boot + BPB_RootEntCnt, layout->root_entries);
    put16(boot + BPB_TotSec16, layout->sectors);
    boot[BPB_Media] = layout->media;
    put16(boot + BPB_FATSz16, layout->fat_sectors);
    put16(boot + BPB_SecPerTrk, layout->track_sectors);
    put16(boot + BPB_NumHeads, layout->heads);
    put32(boot + BPB_HiddSec, layout->hidden);
    boot[BS_DrvNum] = layout->drive;
}

/* names: boot sector, LOADER.BIN, KERNEL.BIN */
static uint8_t *volume_create(const struct layout *layout, char **names)
{
    struct file boot = file_read(names[0]);
    if (boot.size != SECTOR)
        die("%s is %zu bytes; a boot sector has 512", names[0], boot.size);
    struct volume volume = {.layout = layout, .next_cluster = 2};
    volume.sectors = zeroed(layout->sectors * SECTOR);
    volume.data = 1 + 2 * layout->fat_sectors + layout->root_entries * DIR_ENTRY / SECTOR;
    volume.clusters = (layout->sectors - volume.data) / layout->cluster_sectors;
    memcpy(volume.sectors, boot.bytes, SECTOR);
    write_bpb(volume.sectors, layout);
    fat_set(&volume, 0, 0xF00 | layout->media);
    fat_set(&volume, 1, FAT12_END);
    directory_entry(&volume, "SPARK      ", ATTR_VOLUME_ID);
    volume_add(&volume, "LOADER  BIN", file_read(names[1]));
    volume_add(&volume, "KERNEL  BIN", file_read(names[2]));
    return volume.sectors;
}

static void make_floppy(const char *out, char **names)
{
    file_write(out, volume_create(&floppy_layout, names), floppy_layout.sectors * SECTOR);
}

/* ---- A disk with one partition */

/* Cylinder, head and sector, as the partition table packs them */
static void put_chs(uint8_t *at, uint32_t sector, const struct layout *layout)
{
    uint32_t track = sector / layout->track_sectors;
    uint32_t cylinder = track / layout->heads;
    at[0] = track % layout->heads;
    at[1] = sector % layout->track_sectors + 1 + (cylinder >> 8 << 6);
    at[2] = cylinder;
}

static void make_disk(const char *out, char **names)
{
    const struct layout *layout = &disk_layout;
    struct file mbr = file_read(names[0]);
    if (mbr.size > MBR_PARTITION)
        die("%s is %zu bytes; 446 fit before the partition table", names[0], mbr.size);
    uint32_t sectors = layout->hidden + layout->sectors;
    uint8_t *disk = zeroed(sectors * SECTOR);
    memcpy(disk, mbr.bytes, mbr.size);
    uint8_t *entry = disk + MBR_PARTITION;
    entry[0] = PART_ACTIVE;
    put_chs(entry + 1, layout->hidden, layout);
    entry[4] = PART_FAT12;
    put_chs(entry + 5, sectors - 1, layout);
    put32(entry + 8, layout->hidden);
    put32(entry + 12, layout->sectors);
    put16(disk + 510, 0xAA55);
    memcpy(disk + layout->hidden * SECTOR, volume_create(layout, names + 1), layout->sectors * SECTOR);
    file_write(out, disk, sectors * SECTOR);
}

/* ---- A CD */

enum {
    BLOCK = 2048,
    BLOCK_VOLUME = 16,
    BLOCK_BOOT_RECORD = 17,
    BLOCK_TERMINATOR = 18,
    BLOCK_PATHS_LITTLE = 19,
    BLOCK_PATHS_BIG = 20,
    BLOCK_ROOT = 21,
    BLOCK_CATALOG = 22,
    BLOCK_FLOPPY = 23,
    ISO_DIRECTORY = 2,
    EL_TORITO_BOOTABLE = 0x88,
    EL_TORITO_FLOPPY_144 = 2,
};

/* ISO 9660 keeps most numbers twice: little endian, then big endian. */
static void put_both16(uint8_t *at, uint32_t value)
{
    put16(at, value);
    at[2] = value >> 8;
    at[3] = value;
}

static void put_both32(uint8_t *at, uint32_t value)
{
    put32(at, value);
    at[4] = value >> 24;
    at[5] = value >> 16;
    at[6] = value >> 8;
    at[7] = value;
}

static void put_text(uint8_t *at, const char *text, size_t size)
{
    memset(at, ' ', size);
    memcpy(at, text, strlen(text));
}

/* A directory record (ECMA-119, 9.1); returns its length. `name` may be "\0" or "\1": this one, and its parent. */
static size_t put_record(uint8_t *at, const char *name, size_t name_size, uint32_t block, uint32_t size,
                         int flags)
{
    size_t length = (33 + name_size + 1) & ~1u;
    at[0] = length;
    put_both32(at + 2, block);
    put_both32(at + 10, size);
    at[18] = 80; /* 1980-01-01 00:00 */
    at[19] = at[20] = 1;
    at[25] = flags;
    put_both16(at + 28, 1);
    at[32] = name_size;
    memcpy(at + 33, name, name_size);
    return length;
}

static void put_date(uint8_t *at, const char *digits)
{
    memcpy(at, digits, 16);
}

static void put_volume_descriptor(uint8_t *at, uint32_t blocks)
{
    const uint32_t path_table = 10;
    at[0] = 1;
    memcpy(at + 1, "CD001\1", 6);
    put_text(at + 8, "", 32);
    put_text(at + 40, "SPARK", 32);
    put_both32(at + 80, blocks);
    put_both16(at + 120, 1);
    put_both16(at + 124, 1);
    put_both16(at + 128, BLOCK);
    put_both32(at + 132, path_table);
    put32(at + 140, BLOCK_PATHS_LITTLE);
    at[151] = BLOCK_PATHS_BIG;
    put_record(at + 156, "\0", 1, BLOCK_ROOT, BLOCK, ISO_DIRECTORY);
    put_text(at + 190, "", 623);
    put_date(at + 813, "1980010100000000");
    put_date(at + 830, "1980010100000000");
    put_date(at + 847, "0000000000000000");
    put_date(at + 864, "0000000000000000");
    at[881] = 1;
}

static void put_boot_catalog(uint8_t *at)
{
    at[0] = 1; /* validation entry: its sixteen words add up to 0 */
    memcpy(at + 4, "SPARK", 5);
    put16(at + 30, 0xAA55);
    uint16_t sum = 0;
    for (int i = 0; i < 32; i += 2)
        sum += at[i] | at[i + 1] << 8;
    put16(at + 28, -sum);
    at[32] = EL_TORITO_BOOTABLE;
    at[33] = EL_TORITO_FLOPPY_144;
    put16(at + 38, 1); /* sectors that the BIOS loads itself: the boot sector */
    put32(at + 40, BLOCK_FLOPPY);
}

static void make_iso(const char *out, char **names)
{
    struct file floppy = file_read(names[0]);
    if (floppy.size != floppy_layout.sectors * SECTOR)
        die("%s is not a 1.44 MB floppy image", names[0]);
    uint32_t blocks = BLOCK_FLOPPY + floppy.size / BLOCK;
    uint8_t *disc = zeroed(blocks * BLOCK);
    put_volume_descriptor(disc + BLOCK_VOLUME * BLOCK, blocks);
    memcpy(disc + BLOCK_BOOT_RECORD * BLOCK, "\0CD001\1EL TORITO SPECIFICATION", 30);
    put32(disc + BLOCK_BOOT_RECORD * BLOCK + 71, BLOCK_CATALOG);
    memcpy(disc + BLOCK_TERMINATOR * BLOCK, "\377CD001\1", 7);
    static const uint8_t little[10] = {1, 0, BLOCK_ROOT, 0, 0, 0, 1, 0, 0, 0};
    static const uint8_t big[10] = {1, 0, 0, 0, 0, BLOCK_ROOT, 0, 1, 0, 0};
    memcpy(disc + BLOCK_PATHS_LITTLE * BLOCK, little, sizeof little);
    memcpy(disc + BLOCK_PATHS_BIG * BLOCK, big, sizeof big);
    uint8_t *root = disc + BLOCK_ROOT * BLOCK;
    root += put_record(root, "\0", 1, BLOCK_ROOT, BLOCK, ISO_DIRECTORY);
    root += put_record(root, "\1", 1, BLOCK_ROOT, BLOCK, ISO_DIRECTORY);
    root += put_record(root, "BOOT.CAT;1", 10, BLOCK_CATALOG, BLOCK, 0);
    put_record(root, "SPARK.IMG;1", 11, BLOCK_FLOPPY, floppy.size, 0);
    put_boot_catalog(disc + BLOCK_CATALOG * BLOCK);
    memcpy(disc + BLOCK_FLOPPY * BLOCK, floppy.bytes, floppy.size);
    file_write(out, disc, blocks * BLOCK);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int inputs;
        void (*make)(const char *out, char **names);
    } kinds[] = {{"floppy", 3, make_floppy}, {"disk", 4, make_disk}, {"iso", 1, make_iso}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (count == 3 + kinds[i].inputs && !strcmp(arguments[1], kinds[i].name)) {
            kinds[i].make(arguments[2], arguments + 3);
            return 0;
        }
    }
    die("usage: mkimage floppy OUT BOOT LOADER KERNEL | disk OUT MBR BOOT LOADER KERNEL | iso OUT FLOPPY");
}

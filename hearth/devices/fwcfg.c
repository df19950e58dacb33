/*
 * QEMU's firmware configuration device: numbered items and files that firmware reads, byte by byte or by DMA.
 *
 * Left out: items that the guest writes. A DMA read far past the end of an item fails instead of zeroing
 * gigabytes of memory.
 * Source: QEMU, docs/specs/fw_cfg.
 */
#include "devices/fwcfg.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum {
    SELECTOR = 0x510, /* 16 bits, write */
    DATA = 0x511,     /* 8 bits, read */
    DMA_ADDRESS = 0x514,
    DMA_ADDRESS_LOW = 4,
    DMA_ADDRESS_SIZE = 8,

    ID_PORTS = 1 << 0, /* FWCFG_ID */
    ID_DMA = 1 << 1,

    DMA_ERROR = 1 << 0,
    DMA_READ = 1 << 1,
    DMA_SKIP = 1 << 2,
    DMA_SELECT = 1 << 3,
    DMA_WRITE = 1 << 4,
    DMA_KEY_SHIFT = 16,

    ZEROS_AT_ONCE = 4096,
    ZEROS_MOST = 1 << 20,
};

static const char dma_signature[DMA_ADDRESS_SIZE + 1] = "QEMU CFG";

struct item {
    uint16_t key;
    uint8_t *bytes;
    size_t size;
};

struct directory_entry {
    uint32_t size; /* all big-endian */
    uint16_t key;
    uint16_t reserved;
    char name[FWCFG_FILE_NAME_SIZE];
};

struct dma_access {
    uint32_t control; /* all big-endian */
    uint32_t length;
    uint64_t address;
};

struct fwcfg {
    struct memory *memory;
    struct item *items;
    size_t count;
    struct directory_entry *files;
    unsigned files_count;
    uint16_t selected;
    uint64_t offset;
    uint64_t dma_address;
};

static struct item *item_find(const struct fwcfg *fwcfg, uint16_t key)
{
    for (size_t i = 0; i < fwcfg->count; i++)
        if (fwcfg->items[i].key == key)
            return &fwcfg->items[i];
    return NULL;
}

/* What is left of the selected item. */
static size_t remainder_of(const struct fwcfg *fwcfg, const uint8_t **bytes)
{
    const struct item *item = item_find(fwcfg, fwcfg->selected);
    if (!item || fwcfg->offset >= item->size)
        return 0;
    *bytes = item->bytes + fwcfg->offset;
    return item->size - fwcfg->offset;
}

static void item_select(struct fwcfg *fwcfg, uint16_t key)
{
    fwcfg->selected = key;
    fwcfg->offset = 0;
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct fwcfg *fwcfg = opaque;
    const uint8_t *bytes;
    if (offset != DATA - SELECTOR || size != 1)
        return UINT64_MAX;
    if (!remainder_of(fwcfg, &bytes))
        return 0;
    fwcfg->offset++;
    return *bytes;
}

static void port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == 0 && size == 2)
        item_select(opaque, (uint16_t)value);
}

static bool dma_read_item(struct fwcfg *fwcfg, uint64_t address, uint32_t length)
{
    static const uint8_t zeros[ZEROS_AT_ONCE];
    const uint8_t *bytes;
    size_t left = remainder_of(fwcfg, &bytes);
    uint32_t whole = length < left ? length : (uint32_t)left;

    if (length - whole > ZEROS_MOST)
        return false;
    if (whole && !memory_write(fwcfg->memory, address, bytes, whole))
        return false;
    fwcfg->offset += whole;
    for (uint32_t done = whole, piece; done < length; done += piece) {
        piece = length - done < ZEROS_AT_ONCE ? length - done : ZEROS_AT_ONCE;
        if (address + done < address || !memory_write(fwcfg->memory, address + done, zeros, piece))
            return false;
    }
    return true;
}

/* The guest's descriptor is copied once, so that nothing it does meanwhile matters. */
static void dma_run(struct fwcfg *fwcfg)
{
    uint64_t descriptor = fwcfg->dma_address;
    struct dma_access access;
    uint32_t control, answer = 0;

    fwcfg->dma_address = 0;
    if (!memory_read(fwcfg->memory, descriptor, &access, sizeof(access))) {
        answer = htobe32(DMA_ERROR);
        memory_write(fwcfg->memory, descriptor, &answer, sizeof(answer));
        return;
    }
    control = be32toh(access.control);
    if (control & DMA_SELECT)
        item_select(fwcfg, control >> DMA_KEY_SHIFT);
    if (control & DMA_READ) {
        if (!dma_read_item(fwcfg, be64toh(access.address), be32toh(access.length)))
            answer = htobe32(DMA_ERROR);
    } else if (control & DMA_WRITE) {
        answer = htobe32(DMA_ERROR);
    } else if (control & DMA_SKIP) {
        fwcfg->offset += be32toh(access.length);
    }
    memory_write(fwcfg->memory, descriptor, &answer, sizeof(answer));
}

static uint64_t dma_port_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    (void)opaque;
    memcpy(&value, dma_signature + offset, size);
    return value;
}

static void dma_port_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct fwcfg *fwcfg = opaque;
    if (size != 4)
        return;
    if (offset == 0) {
        fwcfg->dma_address = (uint64_t)be32toh((uint32_t)value) << 32;
    } else if (offset == DMA_ADDRESS_LOW) {
        fwcfg->dma_address |= be32toh((uint32_t)value);
        dma_run(fwcfg);
    }
}

struct fwcfg *fwcfg_create(struct bus *ports, struct memory *memory)
{
    struct fwcfg *fwcfg = allocate(sizeof(*fwcfg));
    fwcfg->memory = memory;
    fwcfg_add(fwcfg, FWCFG_SIGNATURE, "QEMU", 4);
    fwcfg_add_number(fwcfg, FWCFG_ID, 4, ID_PORTS | ID_DMA);
    bus_add(ports, &(struct bus_range){SELECTOR, 2, "fw_cfg", fwcfg, port_read, port_write, .widest = 2});
    bus_add(ports, &(struct bus_range){DMA_ADDRESS, DMA_ADDRESS_SIZE, "fw_cfg dma", fwcfg, dma_port_read,
                                       dma_port_write, .widest = 4});
    return fwcfg;
}

void fwcfg_destroy(struct fwcfg *fwcfg)
{
    for (size_t i = 0; i < fwcfg->count; i++)
        free(fwcfg->items[i].bytes);
    free(fwcfg->items);
    free(fwcfg->files);
    free(fwcfg);
}

void fwcfg_reset(struct fwcfg *fwcfg)
{
    item_select(fwcfg, FWCFG_SIGNATURE);
    fwcfg->dma_address = 0;
}

void fwcfg_add(struct fwcfg *fwcfg, uint16_t key, const void *bytes, size_t size)
{
    struct item *item = item_find(fwcfg, key);
    if (!item) {
        struct item *items = allocate((fwcfg->count + 1) * sizeof(*items));
        if (fwcfg->count)
            memcpy(items, fwcfg->items, fwcfg->count * sizeof(*items));
        free(fwcfg->items);
        fwcfg->items = items;
        item = &items[fwcfg->count++];
        item->key = key;
    }
    free(item->bytes);
    item->bytes = allocate(size + 1);
    item->size = size;
    if (size)
        memcpy(item->bytes, bytes, size);
}

void fwcfg_add_number(struct fwcfg *fwcfg, uint16_t key, unsigned size, uint64_t value)
{
    uint64_t little = htole64(value);
    fwcfg_add(fwcfg, key, &little, size);
}

static struct directory_entry *file_find(const struct fwcfg *fwcfg, const char *name)
{
    for (unsigned i = 0; i < fwcfg->files_count; i++)
        if (!strncmp(fwcfg->files[i].name, name, FWCFG_FILE_NAME_SIZE - 1))
            return &fwcfg->files[i];
    return NULL;
}

bool fwcfg_has_file(const struct fwcfg *fwcfg, const char *name)
{
    return file_find(fwcfg, name) != NULL;
}

static struct directory_entry *file_find_or_add(struct fwcfg *fwcfg, const char *name)
{
    struct directory_entry *found = file_find(fwcfg, name);
    if (found)
        return found;
    struct directory_entry *files = allocate((fwcfg->files_count + 1) * sizeof(*files));
    if (fwcfg->files_count)
        memcpy(files, fwcfg->files, fwcfg->files_count * sizeof(*files));
    free(fwcfg->files);
    fwcfg->files = files;
    struct directory_entry *entry = &files[fwcfg->files_count];
    entry->key = htobe16(FWCFG_FILE_FIRST + fwcfg->files_count++);
    strncpy(entry->name, name, FWCFG_FILE_NAME_SIZE - 1);
    return entry;
}

void fwcfg_add_file(struct fwcfg *fwcfg, const char *name, const void *bytes, size_t size)
{
    struct directory_entry *entry = file_find_or_add(fwcfg, name);
    entry->size = htobe32((uint32_t)size);
    fwcfg_add(fwcfg, be16toh(entry->key), bytes, size);

    uint32_t count = htobe32(fwcfg->files_count);
    size_t entries = fwcfg->files_count * sizeof(*fwcfg->files);
    uint8_t *directory = allocate(sizeof(count) + entries);
    memcpy(directory, &count, sizeof(count));
    memcpy(directory + sizeof(count), fwcfg->files, entries);
    fwcfg_add(fwcfg, FWCFG_FILE_DIRECTORY, directory, sizeof(count) + entries);
    free(directory);
}

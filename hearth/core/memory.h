/*
 * Guest physical memory: which guest-physical ranges are backed by host memory (RAM, ROM), and an
 * overflow-checked accessor. All else is the MMIO bus. Ranges are whole 4 KiB pages.
 *
 * The map changes while the guest runs (PAM shadowing, the VGA window). The listener (the engine) hears of each
 * change before it is made and before memory_map() returns. Machine lock held for every function here except memory_at() on a vCPU thread whose
 * engine has taken care that the map stands still.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backing.h"

enum { PAGE_SIZE = 4096 };

struct memory_range {
    uint64_t base;
    uint64_t size;
    uint8_t *host; /* size bytes, owned by who mapped it, outliving the range; page-aligned, for KVM's sake */
    bool writable; /* false: ROM; writes are dropped */
    const char *name; /* a literal: "ram", "bios", "vga text" */
};

struct memory;

/*
 * Allocates ram_size bytes (a multiple of 4 KiB; from the kernel, zeroed, touched on demand) and maps nothing.
 * NULL with errno set if the host has not enough.
 */
struct memory *memory_create(uint64_t ram_size);
/* The same on what core/backing.h describes. NULL with one line in error. */
struct memory *memory_create_on(const struct backing *backing, uint64_t ram_size, char *error,
                                size_t error_size);
void memory_destroy(struct memory *memory);
uint8_t *memory_ram(struct memory *memory);
uint64_t memory_ram_size(const struct memory *memory);

/* Maps the range, cutting out whatever was mapped there before. */
void memory_map(struct memory *memory, const struct memory_range *range);
/* Leaves a hole: accesses go to the MMIO bus. */
void memory_unmap(struct memory *memory, uint64_t base, uint64_t size);
/* The map in address order, `count` ranges, never overlapping; valid until the next change. */
const struct memory_range *memory_ranges(const struct memory *memory, size_t *count);
/* Grows by one at each change of the map. */
uint64_t memory_generation(const struct memory *memory);

/*
 * The host address of a guest-physical one and the bytes that follow it in the same range (*length), or NULL where
 * there is no memory. For the engines and core alone: devices copy with memory_read() and memory_write(), or do I/O
 * through a struct scatter.
 */
uint8_t *memory_at(const struct memory *memory, uint64_t address, uint64_t *length, bool *writable);

/*
 * Copies in or out, as DMA does. Bytes that no memory backs read as FFh, writes to them and to ROM are dropped; then
 * the answer is false. Any address and size are safe; address + size never wraps around.
 */
bool memory_read(struct memory *memory, uint64_t address, void *to, uint64_t size);
bool memory_write(struct memory *memory, uint64_t address, const void *from, uint64_t size);

/* Whether memory backs every byte; `writable`: and none of it is ROM. */
bool memory_backs(const struct memory *memory, uint64_t address, uint64_t size, bool writable);

/* A word that a CPU may read or write meanwhile, at an even address: never torn, and in order with what stands around it
 * (the read before later ones, the write after earlier ones). False as above. */
bool memory_read_16(struct memory *memory, uint64_t address, uint16_t *value);
bool memory_write_16(struct memory *memory, uint64_t address, uint16_t value);

/*
 * Straight from a file, with no copy between, or zeros; the range lies in writable memory. False with errno set, 0 if
 * the file ends early.
 */
bool memory_load(struct memory *memory, uint64_t address, int descriptor, uint64_t offset, uint64_t size);
void memory_clear(struct memory *memory, uint64_t address, uint64_t size);

/* Tells the engine that I/O has written there past memory_write(). */
void memory_tell_written(struct memory *memory, uint64_t address, uint64_t size);

/* Gives the whole pages of RAM in a range back to the host: they read as zeros afterwards. What is no RAM stays as it is. */
void memory_discard(struct memory *memory, uint64_t address, uint64_t size);

/*
 * Which pages have been written to: for one region of host memory that is mapped somewhere (a frame buffer) and is looked
 * at again and again. The first call starts the log. Sets the bit of each page that was written to since the last call,
 * by guest or device; what the owner itself writes is not in it. False if nothing is known: any page may have been.
 */
bool memory_log_take(struct memory *memory, const uint8_t *host, uint64_t size, uint64_t *pages);
/* No log of this region is harmless. */
void memory_log_stop(struct memory *memory, const uint8_t *host);
/* For the engine: does the log want to know about these bytes, and they have been, or may have been, written to. */
bool memory_log_wants(const struct memory *memory, const uint8_t *host, uint64_t size);
void memory_log_mark(struct memory *memory, const uint8_t *host, uint64_t size);

struct memory_listener {
    void *opaque;
    void (*map_changing)(
        void *opaque); /* before each change of the map, which map_changed() ends; may be NULL */
    void (*map_changed)(void *opaque, uint64_t base, uint64_t size); /* may be NULL */
    void (*written)(void *opaque, uint64_t base,
                    uint64_t size); /* after memory_write(): the code cache; may be NULL */
    /* The log starts or stops; false if the engine cannot tell what guests write. NULL: it cannot. */
    bool (*log_changed)(void *opaque);
    /* Marks what was written to since the last call. */
    void (*log_collect)(void *opaque);
};
/* One listener, the engine. It outlives the memory or is replaced by NULL. */
void memory_listen(struct memory *memory, const struct memory_listener *listener);

#endif

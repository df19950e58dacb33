/* QEMU's firmware configuration device: ports 510h, 511h and DMA at 514h. */
#ifndef DEVICES_FWCFG_H
#define DEVICES_FWCFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bus.h"
#include "core/memory.h"

/* Numeric keys (QEMU docs/specs/fw_cfg, and x86's own). */
enum fwcfg_key {
    FWCFG_SIGNATURE = 0x00,
    FWCFG_ID = 0x01,
    FWCFG_UUID = 0x02,
    FWCFG_RAM_SIZE = 0x03, /* u64 */
    FWCFG_NOGRAPHIC = 0x04,
    FWCFG_CPUS = 0x05,
    FWCFG_BOOT_MENU = 0x0e,
    FWCFG_CPUS_MOST = 0x0f,
    FWCFG_FILE_DIRECTORY = 0x19,
    FWCFG_FILE_FIRST = 0x20,
    FWCFG_IRQ0_OVERRIDE = 0x8002,
};

enum { FWCFG_FILE_NAME_SIZE = 56 };

struct fwcfg;

struct fwcfg *fwcfg_create(struct bus *ports, struct memory *memory);
void fwcfg_destroy(struct fwcfg *fwcfg);
void fwcfg_reset(struct fwcfg *fwcfg);

/* What is added is copied; added again, it replaces. Before the guest runs. */
void fwcfg_add(struct fwcfg *fwcfg, uint16_t key, const void *bytes, size_t size);
void fwcfg_add_number(struct fwcfg *fwcfg, uint16_t key, unsigned size, uint64_t value); /* little-endian */
/* Is there a file of this name? */
bool fwcfg_has_file(const struct fwcfg *fwcfg, const char *name);
void fwcfg_add_file(struct fwcfg *fwcfg, const char *name, const void *bytes, size_t size);

#endif

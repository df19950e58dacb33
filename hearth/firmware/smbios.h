/*
 * The SMBIOS tables, where a guest reads what machine it is in (dmidecode, /sys/class/dmi). SeaBIOS gets them through
 * fw_cfg and adds what it says of itself; for a kernel that is started directly they lie in the BIOS area.
 */
#ifndef FIRMWARE_SMBIOS_H
#define FIRMWARE_SMBIOS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/settings.h"
#include "core/topology.h"
#include "devices/fwcfg.h"
#include "firmware/aml.h"

enum { SMBIOS_ENTRY_SIZE = 0x1f, SMBIOS_ALIGNMENT = 16 };

struct smbios_description {
    uint64_t ram_size;
    const struct cpus *cpus;
    uint32_t cpu_signature, cpu_features; /* CPUID 1, EAX and EDX */
    const char *cpu_name;                 /* -cpu's model */
    const uint8_t *uuid;                  /* -uuid, as written; NULL: zeros */
    struct settings *changes;             /* -smbios, a list; NULL: nothing */
};

/* Is this one of -smbios in order? What is wrong with it is the settings' error. */
void smbios_check(struct settings *change);

struct smbios {
    struct aml tables; /* only its bytes are used */
    unsigned count, largest;
    uint8_t entry[SMBIOS_ENTRY_SIZE];
};

/* `firmware`: with the structure of the BIOS, which SeaBIOS writes itself. */
void smbios_build(struct smbios *smbios, const struct smbios_description *machine, bool firmware);
void smbios_free(struct smbios *smbios);
/* The entry point to tables at `address`. */
void smbios_place(struct smbios *smbios, uint32_t address);
void smbios_publish(const struct smbios_description *machine, struct fwcfg *fwcfg);

#endif

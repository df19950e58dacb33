/*
 * SMBIOS 2.8: BIOS (0), system (1), baseboard (2, if -smbios type=2 is given), chassis (3), processors (4), OEM strings
 * (11, likewise), memory (16, 17, 19), boot (32), end.
 *
 * Left out: caches, slots, ports, the entry point of SMBIOS 3; -smbios file=. Source: DMTF DSP0134, chapters 5.2 and 7.
 */
#include "firmware/smbios.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/uuid.h"
#include "firmware/acpi.h"
#include "firmware/bios.h"

enum type {
    TYPE_BIOS = 0,
    TYPE_SYSTEM = 1,
    TYPE_BASEBOARD = 2,
    TYPE_CHASSIS = 3,
    TYPE_PROCESSOR = 4,
    TYPE_OEM_STRINGS = 11,
    TYPE_MEMORY_ARRAY = 16,
    TYPE_MEMORY = 17,
    TYPE_MEMORY_RANGE = 19,
    TYPE_BOOT = 32,
    TYPE_END = 127,
};

enum handle {
    HANDLE_BIOS = 0x000,
    HANDLE_SYSTEM = 0x100,
    HANDLE_BASEBOARD = 0x200,
    HANDLE_CHASSIS = 0x300,
    HANDLE_PROCESSOR = 0x400,
    HANDLE_OEM_STRINGS = 0xe00,
    HANDLE_MEMORY_ARRAY = 0x1000,
    HANDLE_MEMORY = 0x1100,
    HANDLE_MEMORY_RANGE = 0x1300,
    HANDLE_BOOT = 0x2000,
    HANDLE_END = 0x7f00,
    HANDLE_NONE = 0xffff,
    HANDLE_NO_ERRORS = 0xfffe,
};

enum values {
    VERSION_MAJOR = 2,
    VERSION_MINOR = 8,
    OTHER = 1,
    UNKNOWN = 2,
    SAFE = 3,

    BIOS_SEGMENT = 0xe800,
    BIOS_NO_CHARACTERISTICS = 1 << 3,
    BIOS_VIRTUAL_MACHINE = 1 << 4, /* of the second extension byte */
    WAKE_POWER_SWITCH = 6,
    BOARD_HOSTING = 1 << 0,
    BOARD_MOTHERBOARD = 10,
    PROCESSOR_CENTRAL = 3,
    PROCESSOR_POPULATED = 1 << 6,
    PROCESSOR_ENABLED = 1 << 0,
    PROCESSOR_MHZ = 2000,
    FAMILY_IN_WORD = 0xfe,
    ARRAY_SYSTEM_MEMORY = 3,
    ARRAY_NO_ECC = 3,
    MEMORY_DIMM = 9,
    MEMORY_RAM = 7,
    MEMORY_DETAIL_OTHER = 1 << 1,
    CHARACTERISTICS_UNKNOWN = 1 << 1,
};

enum { STRINGS_MOST = 32, DEVICE_MOST_SHIFT = 34, MIB_SHIFT = 20, KIB_SHIFT = 10 };
#define FOUR_GIB     0x100000000ull
#define KIB_EXTENDED 0x80000000u

/* ---- -smbios: what can be changed of which structure */

static const struct {
    enum type type;
    const char *keys[10];
} known[] = {
    {TYPE_BIOS, {"vendor", "version", "date", "release"}},
    {TYPE_SYSTEM, {"manufacturer", "product", "version", "serial", "uuid", "sku", "family"}},
    {TYPE_BASEBOARD, {"manufacturer", "product", "version", "serial", "asset", "location"}},
    {TYPE_CHASSIS, {"manufacturer", "version", "serial", "asset", "sku"}},
    {TYPE_PROCESSOR,
     {"sock_pfx", "manufacturer", "version", "serial", "asset", "part", "max-speed", "current-speed"}},
    {TYPE_OEM_STRINGS, {"value"}},
    {TYPE_MEMORY, {"loc_pfx", "bank", "manufacturer", "serial", "asset", "part", "speed"}},
};

static bool release_parse(const char *text, unsigned *major, unsigned *minor)
{
    int end = 0;
    return sscanf(text, "%3u.%3u%n", major, minor, &end) == 2 && !text[end] && *major <= UINT8_MAX &&
           *minor <= UINT8_MAX;
}

static void key_check(struct settings *change, const char *key)
{
    if (strstr(key, "speed"))
        settings_number(change, key, 0, UINT16_MAX);
    else
        settings_text(change, key, NULL);
}

void smbios_check(struct settings *change)
{
    uint8_t uuid[UUID_SIZE];
    unsigned major, minor;
    uint64_t type = settings_number(change, "type", UINT64_MAX, UINT64_MAX);
    if (type == UINT64_MAX) {
        settings_refuse(change, "Must specify type=");
        return;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].type != type)
            continue;
        for (unsigned key = 0; known[i].keys[key]; key++)
            key_check(change, known[i].keys[key]);
        if (type == TYPE_SYSTEM && settings_has(change, "uuid") &&
            !uuid_parse(settings_text(change, "uuid", ""), uuid))
            settings_refuse(change, "Invalid UUID");
        if (type == TYPE_BIOS && !release_parse(settings_text(change, "release", "0.0"), &major, &minor))
            settings_refuse(change, "Invalid release");
        return;
    }
    settings_refuse(change, "Don't know how to build fields for SMBIOS type %llu", (unsigned long long)type);
}

/* The last -smbios of that type that says it; else NULL. */
static struct settings *change_find(const struct smbios_description *machine, enum type type, const char *key)
{
    struct settings *found = NULL;
    for (struct settings *at = machine->changes; at; at = settings_next(at))
        if (settings_number(at, "type", UINT64_MAX, UINT64_MAX) == type && (!key || settings_has(at, key)))
            found = at;
    return found;
}

/* ---- building: a structure's fixed part, and then its strings, which the fixed part counts */

struct structure {
    struct smbios *smbios;
    const struct smbios_description *machine;
    enum type type;
    size_t start;
    const char *strings[STRINGS_MOST];
    unsigned strings_count;
};

static void open(struct structure *structure, struct smbios *smbios, const struct smbios_description *machine,
                 enum type type, unsigned handle)
{
    *structure = (struct structure){smbios, machine, type, smbios->tables.size, {NULL}, 0};
    aml_number(&smbios->tables, type, 1);
    aml_number(&smbios->tables, 0, 1);
    aml_number(&smbios->tables, handle, 2);
}

static void number(struct structure *structure, uint64_t value, unsigned size)
{
    aml_number(&structure->smbios->tables, value, size);
}

/* Empty ones have number 0. `text` has to last until the structure is closed. */
static void fixed_string(struct structure *structure, const char *text)
{
    if (text && *text) {
        assert(structure->strings_count < STRINGS_MOST);
        structure->strings[structure->strings_count++] = text;
    }
    number(structure, text && *text ? structure->strings_count : 0, 1);
}

static void string(struct structure *structure, const char *key, const char *otherwise)
{
    struct settings *change = change_find(structure->machine, structure->type, key);
    fixed_string(structure, change ? settings_text(change, key, "") : otherwise);
}

static uint64_t changed_number(struct structure *structure, const char *key, uint64_t otherwise)
{
    struct settings *change = change_find(structure->machine, structure->type, key);
    return change ? settings_number(change, key, otherwise, UINT16_MAX) : otherwise;
}

static void close(struct structure *structure)
{
    struct aml *tables = &structure->smbios->tables;
    tables->bytes[structure->start + 1] = (uint8_t)(tables->size - structure->start);
    for (unsigned i = 0; i < structure->strings_count; i++)
        aml_bytes(tables, structure->strings[i], strlen(structure->strings[i]) + 1);
    aml_number(tables, 0, structure->strings_count ? 1 : 2);
    unsigned size = (unsigned)(tables->size - structure->start);
    if (size > structure->smbios->largest)
        structure->smbios->largest = size;
    structure->smbios->count++;
}

/* ---- the structures */

static void bios(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    struct settings *release = change_find(machine, TYPE_BIOS, "release");
    unsigned major = 0, minor = 0;
    if (release)
        release_parse(settings_text(release, "release", "0.0"), &major, &minor);
    open(&at, smbios, machine, TYPE_BIOS, HANDLE_BIOS);
    string(&at, "vendor", "hearth");
    string(&at, "version", "0.1.0");
    number(&at, BIOS_SEGMENT, 2);
    string(&at, "date", "01/01/2025");
    number(&at, 0, 1); /* 64 KiB */
    number(&at, BIOS_NO_CHARACTERISTICS, 8);
    number(&at, BIOS_VIRTUAL_MACHINE << 8, 2);
    number(&at, major | minor << 8, 2);
    number(&at, 0xffff, 2); /* no embedded controller's */
    close(&at);
}

/* The first three fields are little-endian. */
static void uuid_add(struct structure *at, const uint8_t uuid[UUID_SIZE])
{
    static const uint8_t order[UUID_SIZE] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < UUID_SIZE; i++)
        number(at, uuid[order[i]], 1);
}

static void system_add(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    uint8_t uuid[UUID_SIZE] = {0};
    struct settings *change = change_find(machine, TYPE_SYSTEM, "uuid");
    if (machine->uuid)
        memcpy(uuid, machine->uuid, UUID_SIZE);
    if (change)
        uuid_parse(settings_text(change, "uuid", ""), uuid);
    open(&at, smbios, machine, TYPE_SYSTEM, HANDLE_SYSTEM);
    string(&at, "manufacturer", "hearth");
    string(&at, "product", "Standard PC (i440FX + PIIX, 1996)");
    string(&at, "version", "pc");
    string(&at, "serial", NULL);
    uuid_add(&at, uuid);
    number(&at, WAKE_POWER_SWITCH, 1);
    string(&at, "sku", NULL);
    string(&at, "family", NULL);
    close(&at);
}

static void baseboard(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    if (!change_find(machine, TYPE_BASEBOARD, NULL))
        return;
    open(&at, smbios, machine, TYPE_BASEBOARD, HANDLE_BASEBOARD);
    string(&at, "manufacturer", "hearth");
    string(&at, "product", "Standard PC (i440FX + PIIX, 1996)");
    string(&at, "version", "pc");
    string(&at, "serial", NULL);
    string(&at, "asset", NULL);
    number(&at, BOARD_HOSTING, 1);
    string(&at, "location", NULL);
    number(&at, HANDLE_CHASSIS, 2);
    number(&at, BOARD_MOTHERBOARD, 1);
    number(&at, 0, 1); /* contains nothing */
    close(&at);
}

static void chassis(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    open(&at, smbios, machine, TYPE_CHASSIS, HANDLE_CHASSIS);
    string(&at, "manufacturer", "hearth");
    number(&at, OTHER, 1);
    string(&at, "version", "pc");
    string(&at, "serial", NULL);
    string(&at, "asset", NULL);
    number(&at, SAFE, 1); /* when last booted; power supply; temperature */
    number(&at, SAFE, 1);
    number(&at, SAFE, 1);
    number(&at, UNKNOWN, 1); /* security */
    number(&at, 0, 4 + 1 + 1 + 1 + 1);
    string(&at, "sku", NULL);
    close(&at);
}

static bool socket_is_populated(const struct cpus *cpus, unsigned socket)
{
    for (unsigned cpu = 0; cpu < cpus->most; cpu++)
        if (cpus->present[cpu] && topology_place(&cpus->topology, cpu).socket == socket)
            return true;
    return false;
}

static void processor(struct smbios *smbios, const struct smbios_description *machine, unsigned socket)
{
    const struct topology *topology = &machine->cpus->topology;
    struct settings *prefix = change_find(machine, TYPE_PROCESSOR, "sock_pfx");
    unsigned cores = topology->dies * topology->cores;
    struct structure at;
    char name[80];

    snprintf(name, sizeof(name), "%.60s%2x", prefix ? settings_text(prefix, "sock_pfx", "") : "CPU", socket);
    open(&at, smbios, machine, TYPE_PROCESSOR, HANDLE_PROCESSOR + socket);
    fixed_string(&at, name);
    number(&at, PROCESSOR_CENTRAL, 1);
    number(&at, FAMILY_IN_WORD, 1);
    string(&at, "manufacturer", "hearth");
    number(&at, machine->cpu_signature, 4);
    number(&at, machine->cpu_features, 4);
    string(&at, "version", machine->cpu_name);
    number(&at, 0, 1 + 2); /* voltage, external clock: unknown */
    number(&at, changed_number(&at, "max-speed", PROCESSOR_MHZ), 2);
    number(&at, changed_number(&at, "current-speed", PROCESSOR_MHZ), 2);
    number(&at, socket_is_populated(machine->cpus, socket) ? PROCESSOR_POPULATED | PROCESSOR_ENABLED : 0, 1);
    number(&at, OTHER, 1); /* how it may be upgraded */
    for (unsigned cache = 0; cache < 3; cache++)
        number(&at, HANDLE_NONE, 2);
    string(&at, "serial", NULL);
    string(&at, "asset", NULL);
    string(&at, "part", NULL);
    number(&at, cores, 1);
    number(&at, cores, 1);
    number(&at, cores * topology->threads, 1);
    number(&at, CHARACTERISTICS_UNKNOWN, 2);
    number(&at, OTHER, 2);
    close(&at);
}

static void oem_strings(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    if (!change_find(machine, TYPE_OEM_STRINGS, "value"))
        return;
    open(&at, smbios, machine, TYPE_OEM_STRINGS, HANDLE_OEM_STRINGS);
    for (struct settings *one = machine->changes; one && at.strings_count < STRINGS_MOST;
         one = settings_next(one))
        if (settings_number(one, "type", UINT64_MAX, UINT64_MAX) == TYPE_OEM_STRINGS &&
            *settings_text(one, "value", ""))
            at.strings[at.strings_count++] = settings_text(one, "value", "");
    number(&at, at.strings_count, 1);
    close(&at);
}

/* ---- memory, in devices of 16 GiB */

static unsigned devices(const struct smbios_description *machine)
{
    return (unsigned)((machine->ram_size + (1ull << DEVICE_MOST_SHIFT) - 1) >> DEVICE_MOST_SHIFT);
}

static void memory_array(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    uint64_t kib = machine->ram_size >> KIB_SHIFT;
    bool extended = kib >= KIB_EXTENDED;
    open(&at, smbios, machine, TYPE_MEMORY_ARRAY, HANDLE_MEMORY_ARRAY);
    number(&at, OTHER, 1);
    number(&at, ARRAY_SYSTEM_MEMORY, 1);
    number(&at, ARRAY_NO_ECC, 1);
    number(&at, extended ? KIB_EXTENDED : kib, 4);
    number(&at, HANDLE_NO_ERRORS, 2);
    number(&at, devices(machine), 2);
    number(&at, extended ? machine->ram_size : 0, 8);
    close(&at);
}

static void memory_device(struct smbios *smbios, const struct smbios_description *machine, unsigned device)
{
    uint64_t most = 1ull << DEVICE_MOST_SHIFT, before = (uint64_t)device << DEVICE_MOST_SHIFT,
             size = machine->ram_size - before < most ? machine->ram_size - before : most;
    struct settings *prefix = change_find(machine, TYPE_MEMORY, "loc_pfx");
    struct structure at;
    char name[80];

    snprintf(name, sizeof(name), "%.60s %u", prefix ? settings_text(prefix, "loc_pfx", "") : "DIMM", device);
    open(&at, smbios, machine, TYPE_MEMORY, HANDLE_MEMORY + device);
    number(&at, HANDLE_MEMORY_ARRAY, 2);
    number(&at, HANDLE_NO_ERRORS, 2);
    number(&at, 0xffff, 2); /* widths: unknown */
    number(&at, 0xffff, 2);
    number(&at, size >> MIB_SHIFT, 2);
    number(&at, MEMORY_DIMM, 1);
    number(&at, 0, 1); /* in no set */
    fixed_string(&at, name);
    string(&at, "bank", NULL);
    number(&at, MEMORY_RAM, 1);
    number(&at, MEMORY_DETAIL_OTHER, 2);
    number(&at, changed_number(&at, "speed", 0), 2);
    string(&at, "manufacturer", "hearth");
    string(&at, "serial", NULL);
    string(&at, "asset", NULL);
    string(&at, "part", NULL);
    number(&at, 0, 1); /* rank */
    number(&at, 0, 4); /* extended size: not needed */
    number(&at, changed_number(&at, "speed", 0), 2);
    number(&at, 0, 3 * 2); /* voltages */
    close(&at);
}

static void memory_range(struct smbios *smbios, const struct smbios_description *machine, unsigned index,
                         uint64_t base, uint64_t size)
{
    struct structure at;
    uint64_t first = base >> KIB_SHIFT, last = ((base + size) >> KIB_SHIFT) - 1;
    bool extended = last >= UINT32_MAX;
    open(&at, smbios, machine, TYPE_MEMORY_RANGE, HANDLE_MEMORY_RANGE + index);
    number(&at, extended ? UINT32_MAX : first, 4);
    number(&at, extended ? UINT32_MAX : last, 4);
    number(&at, HANDLE_MEMORY_ARRAY, 2);
    number(&at, 1, 1); /* no interleaving */
    number(&at, extended ? base : 0, 8);
    number(&at, extended ? base + size - 1 : 0, 8);
    close(&at);
}

static void memory(struct smbios *smbios, const struct smbios_description *machine)
{
    uint64_t below = firmware_ram_below_4g(machine->ram_size);
    memory_array(smbios, machine);
    for (unsigned device = 0; device < devices(machine); device++)
        memory_device(smbios, machine, device);
    memory_range(smbios, machine, 0, 0, below);
    if (machine->ram_size > below)
        memory_range(smbios, machine, 1, FOUR_GIB, machine->ram_size - below);
}

static void boot_and_end(struct smbios *smbios, const struct smbios_description *machine)
{
    struct structure at;
    open(&at, smbios, machine, TYPE_BOOT, HANDLE_BOOT);
    number(&at, 0, 6 + 1); /* reserved; no errors */
    close(&at);
    open(&at, smbios, machine, TYPE_END, HANDLE_END);
    close(&at);
}

/* ---- */

static void entry_write(struct smbios *smbios, uint32_t address)
{
    enum { CHECKSUM = 4, INTERMEDIATE = 0x10, INTERMEDIATE_CHECKSUM = 0x15 };
    struct aml entry = {0};
    aml_bytes(&entry, "_SM_", 4);
    aml_number(&entry, 0, 1);
    aml_number(&entry, SMBIOS_ENTRY_SIZE, 1);
    aml_number(&entry, VERSION_MAJOR, 1);
    aml_number(&entry, VERSION_MINOR, 1);
    aml_number(&entry, smbios->largest, 2);
    aml_number(&entry, 0, 1 + 5); /* revision, formatted area */
    aml_bytes(&entry, "_DMI_", 5);
    aml_number(&entry, 0, 1);
    aml_number(&entry, smbios->tables.size, 2);
    aml_number(&entry, address, 4);
    aml_number(&entry, smbios->count, 2);
    aml_number(&entry, VERSION_MAJOR << 4 | VERSION_MINOR, 1);
    memcpy(smbios->entry, entry.bytes, SMBIOS_ENTRY_SIZE);
    aml_free(&entry);
    checksum_set(smbios->entry + INTERMEDIATE, SMBIOS_ENTRY_SIZE - INTERMEDIATE,
                 INTERMEDIATE_CHECKSUM - INTERMEDIATE);
    checksum_set(smbios->entry, SMBIOS_ENTRY_SIZE, CHECKSUM);
}

void smbios_build(struct smbios *smbios, const struct smbios_description *machine, bool firmware)
{
    *smbios = (struct smbios){0};
    if (firmware || change_find(machine, TYPE_BIOS, NULL))
        bios(smbios, machine);
    system_add(smbios, machine);
    baseboard(smbios, machine);
    chassis(smbios, machine);
    for (unsigned socket = 0; socket < machine->cpus->topology.sockets; socket++)
        processor(smbios, machine, socket);
    oem_strings(smbios, machine);
    memory(smbios, machine);
    boot_and_end(smbios, machine);
    entry_write(smbios, 0);
}

void smbios_free(struct smbios *smbios)
{
    aml_free(&smbios->tables);
}

void smbios_place(struct smbios *smbios, uint32_t address)
{
    entry_write(smbios, address);
}

void smbios_publish(const struct smbios_description *machine, struct fwcfg *fwcfg)
{
    struct smbios smbios;
    smbios_build(&smbios, machine, false);
    fwcfg_add_file(fwcfg, "etc/smbios/smbios-anchor", smbios.entry, SMBIOS_ENTRY_SIZE);
    fwcfg_add_file(fwcfg, "etc/smbios/smbios-tables", smbios.tables.bytes, smbios.tables.size);
    if (machine->uuid)
        fwcfg_add(fwcfg, FWCFG_UUID, machine->uuid, UUID_SIZE);
    smbios_free(&smbios);
}

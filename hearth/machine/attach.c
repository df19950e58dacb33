#include "machine/attach.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "devices/debug.h"
#include "devices/testdev.h"
#include "machine/attach-parts.h"
#include "machine/pc-parts.h"

struct attached {
    const struct driver *driver;
    struct settings *settings;
    void *device;
    struct attached *next;
};

/* ---- drivers */

static void *debug_exit_attach(struct pc *pc, struct settings *settings)
{
    uint64_t base = settings_number(settings, "iobase", 0x501, UINT16_MAX);
    uint64_t size = settings_number(settings, "iosize", 2, 8);

    if (!size || base + size > PORTS)
        settings_refuse(settings, "iosize is from 1 to 8 and iobase + iosize at most 0x10000");
    else if (!bus_is_free(pc->ports, base, size))
        settings_refuse(settings, "another part has ports from %#llx on; choose another iobase",
                        (unsigned long long)base);
    if (settings_error(settings))
        return NULL;
    return debug_exit_create(pc->ports, base, size, pc->events.debug_exit, pc->events.opaque);
}

static void debug_exit_detach(void *device)
{
    debug_exit_destroy(device);
}

/* The 24 inputs of an IOAPIC; without one the 16 of the 8259As. */
static void *testdev_attach(struct pc *pc, struct settings *settings)
{
    struct irq_line lines[TESTDEV_LINES] = {0};

    if (settings_error(settings))
        return NULL;
    for (int i = 0; i < TESTDEV_LINES; i++)
        lines[i] = pc_gsi(pc, i);
    return testdev_create(pc->ports, pc->mmio, lines);
}

static void testdev_detach(void *device)
{
    testdev_destroy(device);
}

static const struct driver debug_exit_driver = {
    .name = "isa-debug-exit",
    .bus = "ISA",
    .help = "ports from iobase=, iosize= of them: writing v ends hearth with status 2v+1",
    .create = debug_exit_attach,
    .destroy = debug_exit_detach,
};

static const struct driver testdev_driver = {
    .name = "pc-testdev",
    .bus = "ISA",
    .help = "ports that test programs drive interrupts with",
    .create = testdev_attach,
    .destroy = testdev_detach,
};

static const struct driver *const drivers[] = {
    &debug_exit_driver,     &testdev_driver,        &ide_hd_driver,          &ide_cd_driver,
    &floppy_driver,         &e1000_driver,          &virtio_net_driver,      &virtio_blk_driver,
    &virtio_rng_driver,     &virtio_balloon_driver, &virtio_serial_driver,   &virtconsole_driver,
    &virtserialport_driver, &i6300esb_driver,       &virtio_keyboard_driver, &virtio_mouse_driver,
    &virtio_tablet_driver,
};
enum { DRIVERS = sizeof(drivers) / sizeof(drivers[0]) };

void drivers_print(FILE *out)
{
    for (unsigned i = 0; i < DRIVERS; i++) {
        const struct driver *driver = drivers[i];
        fprintf(out, "name \"%s\", bus %s, ", driver->name, driver->bus);
        if (driver->alias)
            fprintf(out, "alias \"%s\", ", driver->alias);
        fprintf(out, "desc \"%s\"\n", driver->help);
    }
}

/* "virtio-rng-pci" may also be called "virtio-rng-pci-transitional" and "-non-transitional". */
static bool driver_is(const struct driver *driver, const char *name)
{
    size_t length = strlen(driver->name);
    if (!strcmp(driver->name, name) || (driver->alias && !strcmp(driver->alias, name)))
        return true;
    return !strncmp(driver->name, "virtio-", 7) && !strncmp(driver->name, name, length) &&
           (!strcmp(name + length, "-transitional") || !strcmp(name + length, "-non-transitional"));
}

static const struct driver *driver_named(const char *name)
{
    for (unsigned i = 0; i < DRIVERS; i++)
        if (driver_is(drivers[i], name))
            return drivers[i];
    return NULL;
}

/* ---- devices */

static const char *refused(struct settings *settings)
{
    const char *error = settings_error(settings);
    return error ? error : "out of memory";
}

const char *attach(struct pc *pc, struct attached **list, struct settings *settings)
{
    const char *name = settings_text(settings, "driver", NULL);
    const struct driver *driver = name ? driver_named(name) : NULL;
    struct attached *attached;
    void *device;

    settings_text(settings, "id", NULL);
    if (!name)
        settings_refuse(settings, "Parameter 'driver' is missing");
    else if (!driver)
        settings_refuse(settings,
                        strncmp(name, "usb-", 4)
                            ? "'%s' is not a valid device model name; `-device help` lists them"
                            : "'%s': there is no USB; virtio-tablet-pci, "
                              "virtio-mouse-pci and virtio-keyboard-pci are there",
                        name);
    if (!driver)
        return refused(settings);
    device = driver->create(pc, settings);
    if (!device)
        return refused(settings);
    attached = allocate(sizeof(*attached));
    *attached = (struct attached){driver, settings, device, *list};
    *list = attached;
    return NULL;
}

void attached_reset(const struct attached *list)
{
    for (; list; list = list->next)
        if (list->driver->reset)
            list->driver->reset(list->device);
}

void attached_destroy(struct attached *list)
{
    for (struct attached *next; list; list = next) {
        next = list->next;
        list->driver->destroy(list->device);
        free(list);
    }
}

void *attached_find(const struct attached *list, const char *driver, const char *id)
{
    for (; list; list = list->next)
        if (!strcmp(list->driver->name, driver) &&
            (!id || !strcmp(settings_text(list->settings, "id", ""), id)))
            return list->device;
    return NULL;
}

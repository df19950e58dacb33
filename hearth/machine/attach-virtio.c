/* Virtio devices on the PCI bus: what their properties mean. */
#include <string.h>

#include "devices/virtio-balloon.h"
#include "devices/virtio-rng.h"
#include "machine/attach-parts.h"

enum { VECTORS_DEFAULT = 2, VECTORS_MOST = 128, RNG_PERIOD_MS = 65536 };

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

/* disable-legacy= has "auto" as well: on this bus, which is no PCI Express, that is off. */
static bool legacy_wanted(struct settings *settings, bool fallback)
{
    const char *text = settings_text(settings, "disable-legacy", "auto");
    return strcmp(text, "auto") ? !settings_switch(settings, "disable-legacy", false) : fallback;
}

bool attach_virtio(struct pc *pc, struct settings *settings, unsigned vectors, struct virtio_place *place)
{
    const char *driver = settings_text(settings, "driver", "");
    struct pci_slot where;

    *place = (struct virtio_place){.pci = pc->pci, .clock = pc->clock};
    place->legacy = legacy_wanted(settings, !ends_with(driver, "-non-transitional"));
    place->modern = !settings_switch(settings, "disable-modern", false);
    place->vectors = (unsigned)settings_number(settings, "vectors", vectors, VECTORS_MOST);
    settings_switch(settings, "ioeventfd", true);
    if (!place->legacy && !place->modern)
        settings_refuse(settings, "a device without the legacy and the modern interface cannot be seen");
    if (!attach_slot(pc, settings, &where))
        return false;
    place->slot = where.slot;
    place->function = where.function;
    place->multifunction = where.multifunction;
    return true;
}

/* ---- virtio-rng-pci */

static void *rng_attach(struct pc *pc, struct settings *settings)
{
    uint64_t bytes = settings_number(settings, "max-bytes", 0, INT64_MAX);
    uint64_t period = settings_number(settings, "period", RNG_PERIOD_MS, UINT32_MAX);
    struct virtio_place place;

    if (!period)
        settings_refuse(settings, "Parameter 'period' expects a positive number of milliseconds");
    return attach_virtio(pc, settings, VECTORS_DEFAULT, &place) ? virtio_rng_create(&place, bytes, period)
                                                                : NULL;
}

static void rng_reset(void *device)
{
    virtio_rng_reset(device);
}

static void rng_detach(void *device)
{
    virtio_rng_destroy(device);
}

const struct driver virtio_rng_driver = {
    .name = "virtio-rng-pci",
    .alias = "virtio-rng",
    .bus = "PCI",
    .help = "random bytes of the host; max-bytes= in period= milliseconds",
    .create = rng_attach,
    .reset = rng_reset,
    .destroy = rng_detach,
};

/* ---- virtio-balloon-pci */

static void *balloon_attach(struct pc *pc, struct settings *settings)
{
    bool reporting = settings_switch(settings, "free-page-reporting", false);
    bool on_oom = settings_switch(settings, "deflate-on-oom", false);
    struct virtio_place place;

    if (attached_find(pc->attached, virtio_balloon_driver.name, NULL))
        settings_refuse(settings, "only one balloon device can be attached");
    if (!attach_virtio(pc, settings, 0, &place))
        return NULL;
    return virtio_balloon_create(&place, pc->memory, reporting, on_oom);
}

static void balloon_reset(void *device)
{
    virtio_balloon_reset(device);
}

static void balloon_detach(void *device)
{
    virtio_balloon_destroy(device);
}

const struct driver virtio_balloon_driver = {
    .name = "virtio-balloon-pci",
    .alias = "virtio-balloon",
    .bus = "PCI",
    .help = "memory that the guest gives back; deflate-on-oom=, free-page-reporting=",
    .create = balloon_attach,
    .reset = balloon_reset,
    .destroy = balloon_detach,
};

bool pc_set_balloon(struct pc *pc, uint64_t bytes)
{
    struct virtio_balloon *balloon = attached_find(pc->attached, virtio_balloon_driver.name, NULL);
    if (balloon)
        virtio_balloon_set(balloon, bytes);
    return balloon;
}

bool pc_print_balloon(struct pc *pc, FILE *out)
{
    struct virtio_balloon *balloon = attached_find(pc->attached, virtio_balloon_driver.name, NULL);
    if (balloon)
        virtio_balloon_print(balloon, out);
    return balloon;
}

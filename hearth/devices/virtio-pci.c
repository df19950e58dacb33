/*
 * A virtio device on the PCI bus: the modern interface (structures in BAR 4, found through capabilities), the legacy one
 * (ports of BAR 0) and MSI-X in BAR 1. With both it is a transitional device.
 *
 * The registers of a queue are the driver's until it enables the queue; then they stand still until the device is reset.
 *
 * Left out: notification data, reset of a single queue, shared memory.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 4.1.
 */
#include "devices/virtio-internal.h"

enum { BAR_LEGACY = 0, BAR_MSIX = 1, BAR_MODERN = 4 };

enum { VENDOR_VIRTIO = 0x1af4, MODERN_ID_FIRST = 0x1040, MODERN_REVISION = 1 };

/* BAR 4. */
enum {
    REGION_SIZE = 0x1000,
    REGION_COMMON = 0x0000,
    REGION_INTERRUPT_STATUS = 0x1000,
    REGION_CONFIG = 0x2000,
    REGION_NOTIFY = 0x3000,
    BAR_MODERN_SIZE = 0x4000,
    NOTIFY_MULTIPLIER = 4, /* bytes from one queue's notification to the next one's */
};

/* The vendor capability, struct virtio_pci_cap. */
enum capability {
    CAPABILITY_LENGTH = 2,
    CAPABILITY_TYPE = 3,
    CAPABILITY_BAR = 4,
    CAPABILITY_OFFSET = 8,
    CAPABILITY_REGION_LENGTH = 12,
    CAPABILITY_END = 16,
    CAPABILITY_NOTIFY_MULTIPLIER = 16,
    CAPABILITY_NOTIFY_END = 20,
    CAPABILITY_WINDOW_DATA = 16,
    CAPABILITY_WINDOW_END = 20,
};
enum capability_type { TYPE_COMMON = 1, TYPE_NOTIFY, TYPE_INTERRUPT_STATUS, TYPE_CONFIG, TYPE_WINDOW };

/* struct virtio_pci_common_cfg */
enum common {
    COMMON_DEVICE_FEATURE_SELECT = 0,
    COMMON_DEVICE_FEATURE = 4,
    COMMON_DRIVER_FEATURE_SELECT = 8,
    COMMON_DRIVER_FEATURE = 12,
    COMMON_CONFIG_VECTOR = 16,
    COMMON_QUEUES = 18,
    COMMON_STATUS = 20,
    COMMON_CONFIG_GENERATION = 21,
    COMMON_QUEUE_SELECT = 22,
    COMMON_QUEUE_SIZE = 24,
    COMMON_QUEUE_VECTOR = 26,
    COMMON_QUEUE_ENABLE = 28,
    COMMON_QUEUE_NOTIFY = 30,
    COMMON_QUEUE_DESCRIPTORS = 32, /* 64 bits each, in two halves */
    COMMON_QUEUE_AVAILABLE = 40,
    COMMON_QUEUE_USED = 48,
    COMMON_END = 56,
};

/* The legacy interface. */
enum legacy {
    LEGACY_DEVICE_FEATURES = 0,
    LEGACY_DRIVER_FEATURES = 4,
    LEGACY_QUEUE_PAGE = 8,
    LEGACY_QUEUE_SIZE = 12,
    LEGACY_QUEUE_SELECT = 14,
    LEGACY_QUEUE_NOTIFY = 16,
    LEGACY_STATUS = 18,
    LEGACY_INTERRUPT_STATUS = 19,
    LEGACY_CONFIG_VECTOR = 20, /* only while MSI-X is enabled; else the configuration space is here */
    LEGACY_QUEUE_VECTOR = 22,
    LEGACY_CONFIG_WITH_VECTORS = 24,
    LEGACY_PAGE = 4096,
};

/* A register: where it is and how wide. */
struct field {
    uint8_t offset, size;
};

static const struct field common_fields[] = {
    {COMMON_DEVICE_FEATURE_SELECT, 4},
    {COMMON_DEVICE_FEATURE, 4},
    {COMMON_DRIVER_FEATURE_SELECT, 4},
    {COMMON_DRIVER_FEATURE, 4},
    {COMMON_CONFIG_VECTOR, 2},
    {COMMON_QUEUES, 2},
    {COMMON_STATUS, 1},
    {COMMON_CONFIG_GENERATION, 1},
    {COMMON_QUEUE_SELECT, 2},
    {COMMON_QUEUE_SIZE, 2},
    {COMMON_QUEUE_VECTOR, 2},
    {COMMON_QUEUE_ENABLE, 2},
    {COMMON_QUEUE_NOTIFY, 2},
    {COMMON_QUEUE_DESCRIPTORS, 4},
    {COMMON_QUEUE_DESCRIPTORS + 4, 4},
    {COMMON_QUEUE_AVAILABLE, 4},
    {COMMON_QUEUE_AVAILABLE + 4, 4},
    {COMMON_QUEUE_USED, 4},
    {COMMON_QUEUE_USED + 4, 4},
};

static const struct field legacy_fields[] = {
    {LEGACY_DEVICE_FEATURES, 4}, {LEGACY_DRIVER_FEATURES, 4},  {LEGACY_QUEUE_PAGE, 4},
    {LEGACY_QUEUE_SIZE, 2},      {LEGACY_QUEUE_SELECT, 2},     {LEGACY_QUEUE_NOTIFY, 2},
    {LEGACY_STATUS, 1},          {LEGACY_INTERRUPT_STATUS, 1}, {LEGACY_CONFIG_VECTOR, 2},
    {LEGACY_QUEUE_VECTOR, 2},
};

/* The register that an access begins in; it may be narrower than that. NULL: none. */
static const struct field *field_at(const struct field *fields, size_t count, uint64_t offset)
{
    for (size_t i = 0; i < count; i++)
        if (offset >= fields[i].offset && offset < (unsigned)fields[i].offset + fields[i].size)
            return &fields[i];
    return NULL;
}
#define FIELD_AT(fields, offset) field_at(fields, sizeof(fields) / sizeof((fields)[0]), offset)

/* NULL: the queue selected is not there. */
static struct virtio_queue *selected(struct virtio *virtio)
{
    return virtio->queue_select < virtio->setup.queues ? &virtio->queues[virtio->queue_select] : NULL;
}

static void vector_set(const struct virtio *virtio, uint16_t *vector, uint64_t value)
{
    *vector = value < virtio->place.vectors ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static uint32_t half(uint64_t features, uint32_t select)
{
    return select > 1 ? 0 : (uint32_t)(features >> 32 * select);
}

/* ---- doorbells */

static void ring(void *opaque)
{
    struct virtio_queue *queue = opaque;
    virtio_notified(queue->virtio, queue->index);
}

void virtio_pci_doorbells(struct virtio *virtio)
{
    const struct doorbells *doorbells = virtio->place.doorbells;
    bool wanted = virtio->status & STATUS_DRIVER_OK && virtio->notify_address != PCI_UNMAPPED;
    for (unsigned i = 0; doorbells && i < virtio->setup.queues; i++) {
        struct virtio_queue *queue = &virtio->queues[i];
        if (queue->doorbell)
            doorbells->destroy(doorbells->opaque, queue->doorbell);
        queue->doorbell = NULL;
        if (wanted && queue->enabled)
            queue->doorbell = doorbells->create(doorbells->opaque,
                                                virtio->notify_address + i * NOTIFY_MULTIPLIER, ring, queue);
    }
}

static void modern_moved(void *opaque, uint64_t address)
{
    struct virtio *virtio = opaque;
    virtio->notify_address = address == PCI_UNMAPPED ? PCI_UNMAPPED : address + REGION_NOTIFY;
    virtio_pci_doorbells(virtio);
}

/* ---- the common configuration structure */

static uint64_t queue_get(const struct virtio_queue *queue, unsigned offset)
{
    switch (offset) {
    case COMMON_QUEUE_SIZE: return queue->size;
    case COMMON_QUEUE_VECTOR: return queue->vector;
    case COMMON_QUEUE_ENABLE: return queue->enabled;
    case COMMON_QUEUE_NOTIFY: return queue->index;
    case COMMON_QUEUE_DESCRIPTORS: return (uint32_t)queue->descriptors;
    case COMMON_QUEUE_DESCRIPTORS + 4: return queue->descriptors >> 32;
    case COMMON_QUEUE_AVAILABLE: return (uint32_t)queue->available;
    case COMMON_QUEUE_AVAILABLE + 4: return queue->available >> 32;
    case COMMON_QUEUE_USED: return (uint32_t)queue->used;
    default: return queue->used >> 32;
    }
}

static uint64_t common_get(struct virtio *virtio, unsigned offset)
{
    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT: return virtio->device_feature_select;
    case COMMON_DEVICE_FEATURE: return half(virtio->offered, virtio->device_feature_select);
    case COMMON_DRIVER_FEATURE_SELECT: return virtio->driver_feature_select;
    case COMMON_DRIVER_FEATURE: return half(virtio->wanted, virtio->driver_feature_select);
    case COMMON_CONFIG_VECTOR: return virtio->config_vector;
    case COMMON_QUEUES: return virtio->setup.queues;
    case COMMON_STATUS: return virtio->holds ? virtio->status | STATUS_NEEDS_RESET : virtio->status;
    case COMMON_CONFIG_GENERATION: return virtio->config_generation;
    case COMMON_QUEUE_SELECT: return virtio->queue_select;
    default: return selected(virtio) ? queue_get(selected(virtio), offset) : 0;
    }
}

static uint64_t with_half(uint64_t address, bool high, uint64_t value)
{
    return high ? (uint32_t)address | value << 32 : (address & ~(uint64_t)UINT32_MAX) | value;
}

static void queue_size_set(struct virtio_queue *queue, uint64_t size)
{
    if (size && size <= queue->virtio->setup.queue_size && !(size & (size - 1)))
        queue->size = (uint16_t)size;
}

static void queue_set(struct virtio_queue *queue, unsigned offset, uint64_t value)
{
    bool high = offset % 8;
    if (offset == COMMON_QUEUE_VECTOR) {
        vector_set(queue->virtio, &queue->vector, value);
        return;
    }
    if (queue->enabled)
        return;
    switch (offset) {
    case COMMON_QUEUE_SIZE: queue_size_set(queue, value); break;
    case COMMON_QUEUE_ENABLE:
        queue->enabled = value == 1;
        virtio_pci_doorbells(queue->virtio);
        break;
    case COMMON_QUEUE_DESCRIPTORS:
    case COMMON_QUEUE_DESCRIPTORS + 4: queue->descriptors = with_half(queue->descriptors, high, value); break;
    case COMMON_QUEUE_AVAILABLE:
    case COMMON_QUEUE_AVAILABLE + 4: queue->available = with_half(queue->available, high, value); break;
    case COMMON_QUEUE_USED:
    case COMMON_QUEUE_USED + 4: queue->used = with_half(queue->used, high, value); break;
    }
}

static void common_set(struct virtio *virtio, unsigned offset, uint64_t value)
{
    switch (offset) {
    case COMMON_DEVICE_FEATURE_SELECT: virtio->device_feature_select = (uint32_t)value; break;
    case COMMON_DRIVER_FEATURE_SELECT: virtio->driver_feature_select = (uint32_t)value; break;
    case COMMON_DRIVER_FEATURE:
        if (virtio->driver_feature_select <= 1)
            virtio_features_write(virtio, virtio->driver_feature_select, (uint32_t)value);
        break;
    case COMMON_CONFIG_VECTOR: vector_set(virtio, &virtio->config_vector, value); break;
    case COMMON_STATUS: virtio_status_write(virtio, (uint8_t)value); break;
    case COMMON_QUEUE_SELECT: virtio->queue_select = (uint16_t)value; break;
    default:
        if (selected(virtio))
            queue_set(selected(virtio), offset, value);
    }
}

/* ---- BAR 4 */

static uint64_t modern_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio *virtio = opaque;
    const struct field *field;
    switch (offset & ~(uint64_t)(REGION_SIZE - 1)) {
    case REGION_COMMON:
        field = FIELD_AT(common_fields, offset);
        return field ? common_get(virtio, field->offset) >> 8 * (offset - field->offset) : 0;
    case REGION_INTERRUPT_STATUS:
        return offset == REGION_INTERRUPT_STATUS ? virtio_interrupt_status_read(virtio) : 0;
    case REGION_CONFIG: return virtio_config_read(virtio, offset - REGION_CONFIG, size);
    default: return 0;
    }
}

static void modern_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *virtio = opaque;
    const struct field *field;
    switch (offset & ~(uint64_t)(REGION_SIZE - 1)) {
    case REGION_COMMON:
        field = FIELD_AT(common_fields, offset);
        if (field && field->offset == offset && field->size == size)
            common_set(virtio, field->offset, value);
        break;
    case REGION_CONFIG: virtio_config_write(virtio, offset - REGION_CONFIG, size, value); break;
    case REGION_NOTIFY:
        virtio_notified(virtio, (unsigned)(offset - REGION_NOTIFY) / NOTIFY_MULTIPLIER);
        break;
    }
}

/* ---- BAR 0 */

static uint64_t legacy_config_offset(const struct virtio *virtio)
{
    return pci_msix_enabled(virtio->pci) ? LEGACY_CONFIG_WITH_VECTORS : LEGACY_CONFIG_VECTOR;
}

static uint64_t legacy_get(struct virtio *virtio, unsigned offset)
{
    const struct virtio_queue *queue = selected(virtio);
    switch (offset) {
    case LEGACY_DEVICE_FEATURES: return (uint32_t)virtio->offered;
    case LEGACY_DRIVER_FEATURES: return (uint32_t)virtio->wanted;
    case LEGACY_QUEUE_PAGE: return queue && queue->enabled ? queue->descriptors / LEGACY_PAGE : 0;
    case LEGACY_QUEUE_SIZE: return queue ? queue->size : 0;
    case LEGACY_QUEUE_SELECT: return virtio->queue_select;
    case LEGACY_STATUS: return virtio->status;
    case LEGACY_INTERRUPT_STATUS: return virtio_interrupt_status_read(virtio);
    case LEGACY_CONFIG_VECTOR: return virtio->config_vector;
    case LEGACY_QUEUE_VECTOR: return queue ? queue->vector : VIRTIO_NO_VECTOR;
    default: return 0;
    }
}

/* Descriptors, available ring with its event, used ring from the next page on (2.7.2, legacy layout). */
static void legacy_place(struct virtio_queue *queue, uint32_t page)
{
    uint64_t base = (uint64_t)page * LEGACY_PAGE;
    uint64_t available_end = base + 16ull * queue->size + 6 + 2ull * queue->size;
    if (!page) {
        virtio_device_reset(queue->virtio);
        return;
    }
    if (queue->enabled)
        return;
    queue->descriptors = base;
    queue->available = base + 16ull * queue->size;
    queue->used = (available_end + LEGACY_PAGE - 1) & ~(uint64_t)(LEGACY_PAGE - 1);
    queue->enabled = true;
    virtio_pci_doorbells(queue->virtio);
}

static void legacy_set(struct virtio *virtio, unsigned offset, uint64_t value)
{
    struct virtio_queue *queue = selected(virtio);
    switch (offset) {
    case LEGACY_DRIVER_FEATURES:
        virtio_features_write(virtio, true, 0);
        virtio_features_write(virtio, false, (uint32_t)(value & virtio->offered));
        break;
    case LEGACY_QUEUE_PAGE:
        if (queue)
            legacy_place(queue, (uint32_t)value);
        break;
    case LEGACY_QUEUE_SELECT: virtio->queue_select = (uint16_t)value; break;
    case LEGACY_QUEUE_NOTIFY: virtio_notified(virtio, (unsigned)value); break;
    case LEGACY_STATUS: virtio_status_write(virtio, (uint8_t)value & ~STATUS_FEATURES_OK); break;
    case LEGACY_CONFIG_VECTOR: vector_set(virtio, &virtio->config_vector, value); break;
    case LEGACY_QUEUE_VECTOR:
        if (queue)
            vector_set(virtio, &queue->vector, value);
        break;
    }
}

static uint64_t legacy_read(void *opaque, uint64_t offset, unsigned size)
{
    struct virtio *virtio = opaque;
    uint64_t config = legacy_config_offset(virtio);
    if (offset >= config)
        return virtio_config_read(virtio, offset - config, size);
    const struct field *field = FIELD_AT(legacy_fields, offset);
    return field ? legacy_get(virtio, field->offset) >> 8 * (offset - field->offset) : 0;
}

static void legacy_write(void *opaque, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio *virtio = opaque;
    uint64_t config = legacy_config_offset(virtio);
    if (offset >= config) {
        virtio_config_write(virtio, offset - config, size, value);
        return;
    }
    const struct field *field = FIELD_AT(legacy_fields, offset);
    if (field && field->offset == offset && field->size == size)
        legacy_set(virtio, field->offset, value);
}

/* ---- the configuration access capability: BARs through configuration space */

static bool window_covers(const struct virtio *virtio, unsigned first, unsigned last)
{
    unsigned data = virtio->window + CAPABILITY_WINDOW_DATA;
    return last >= data && first < data + 4;
}

static bool window_where(const struct virtio *virtio, unsigned *bar, uint64_t *offset, unsigned *size)
{
    *bar = pci_get(virtio->pci, virtio->window + CAPABILITY_BAR, 1);
    *offset = pci_get(virtio->pci, virtio->window + CAPABILITY_OFFSET, 4);
    *size = pci_get(virtio->pci, virtio->window + CAPABILITY_REGION_LENGTH, 4);
    return (*size == 1 || *size == 2 || *size == 4) && *offset % *size == 0;
}

static void window_read(void *opaque, unsigned first, unsigned last)
{
    struct virtio *virtio = opaque;
    uint64_t offset, value;
    unsigned bar, size;
    if (window_covers(virtio, first, last) && window_where(virtio, &bar, &offset, &size) &&
        pci_bar_read(virtio->pci, bar, offset, size, &value))
        pci_set(virtio->pci, virtio->window + CAPABILITY_WINDOW_DATA, size, (uint32_t)value);
}

static void window_write(void *opaque, unsigned first, unsigned last)
{
    struct virtio *virtio = opaque;
    uint64_t offset;
    unsigned bar, size;
    if (window_covers(virtio, first, last) && window_where(virtio, &bar, &offset, &size))
        pci_bar_write(virtio->pci, bar, offset, size,
                      pci_get(virtio->pci, virtio->window + CAPABILITY_WINDOW_DATA, size));
}

/* ---- creation */

static unsigned capability_add(struct virtio *virtio, enum capability_type type, unsigned size,
                               uint32_t offset)
{
    unsigned at = pci_add_capability(virtio->pci, PCI_CAPABILITY_VENDOR, size);
    pci_add_register(virtio->pci, at + CAPABILITY_LENGTH, 1, size, 0);
    pci_add_register(virtio->pci, at + CAPABILITY_TYPE, 1, type, 0);
    pci_add_register(virtio->pci, at + CAPABILITY_BAR, 1, BAR_MODERN, 0);
    pci_add_register(virtio->pci, at + CAPABILITY_OFFSET, 4, offset, 0);
    pci_add_register(virtio->pci, at + CAPABILITY_REGION_LENGTH, 4, REGION_SIZE, 0);
    return at;
}

static void window_add(struct virtio *virtio)
{
    struct pci_device *pci = virtio->pci;
    unsigned at = capability_add(virtio, TYPE_WINDOW, CAPABILITY_WINDOW_END, 0);
    virtio->window = at;
    pci_add_register(pci, at + CAPABILITY_BAR, 1, 0, 0xff);
    pci_add_register(pci, at + CAPABILITY_OFFSET, 4, 0, UINT32_MAX);
    pci_add_register(pci, at + CAPABILITY_REGION_LENGTH, 4, 0, UINT32_MAX);
    pci_add_register(pci, at + CAPABILITY_WINDOW_DATA, 4, 0, UINT32_MAX);
    pci_on_write(pci, window_write, virtio);
    pci_on_read(pci, window_read);
}

static void modern_add(struct virtio *virtio)
{
    unsigned at = capability_add(virtio, TYPE_NOTIFY, CAPABILITY_NOTIFY_END, REGION_NOTIFY);
    pci_add_register(virtio->pci, at + CAPABILITY_NOTIFY_MULTIPLIER, 4, NOTIFY_MULTIPLIER, 0);
    capability_add(virtio, TYPE_CONFIG, CAPABILITY_END, REGION_CONFIG);
    capability_add(virtio, TYPE_INTERRUPT_STATUS, CAPABILITY_END, REGION_INTERRUPT_STATUS);
    capability_add(virtio, TYPE_COMMON, CAPABILITY_END, REGION_COMMON);
    window_add(virtio);
    pci_add_bar(virtio->pci, BAR_MODERN,
                &(struct pci_bar){.kind = PCI_BAR_MEMORY,
                                  .size = BAR_MODERN_SIZE,
                                  .name = virtio->kind->name,
                                  .device = virtio,
                                  .read = modern_read,
                                  .write = modern_write,
                                  .widest = 4,
                                  .moved = modern_moved});
}

static void legacy_add(struct virtio *virtio)
{
    uint64_t size = 32;
    while (size < LEGACY_CONFIG_WITH_VECTORS + virtio->setup.config_size)
        size *= 2;
    pci_add_bar(virtio->pci, BAR_LEGACY,
                &(struct pci_bar){.kind = PCI_BAR_PORTS,
                                  .size = size,
                                  .name = virtio->kind->name,
                                  .device = virtio,
                                  .read = legacy_read,
                                  .write = legacy_write,
                                  .widest = 4});
}

void virtio_pci_create(struct virtio *virtio)
{
    const struct virtio_kind *kind = virtio->kind;
    const struct virtio_place *place = &virtio->place;
    bool legacy = place->legacy && kind->transitional;
    struct pci_identity identity = {
        .name = kind->name,
        .vendor = VENDOR_VIRTIO,
        .device = legacy ? kind->transitional : (uint16_t)(MODERN_ID_FIRST + kind->type),
        .class_code = kind->class_code,
        .revision = legacy ? 0 : MODERN_REVISION,
        .multifunction = place->multifunction,
        .subsystem_vendor = VENDOR_VIRTIO,
        .subsystem = legacy ? (uint16_t)kind->type : 0x1100,
        .interrupt_pin = 1,
    };
    virtio->pci = pci_add(place->pci, place->slot, place->function, &identity);
    if (legacy)
        legacy_add(virtio);
    if (place->vectors && !pci_add_msix(virtio->pci, BAR_MSIX, place->vectors))
        virtio->place.vectors = 0;
    if (place->modern)
        modern_add(virtio);
}

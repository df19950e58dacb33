/*
 * The virtio memory balloon. The driver hands over the numbers of pages that it will not use; their memory goes back to the
 * host, and is zero when the guest touches it again.
 *
 * A chain's first 1024 page numbers count (drivers send 256); the rest stays with the guest. Left out: free page hints and
 * poisoning, which are for migration.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, 5.5.
 */
#include "devices/virtio-balloon.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { CLASS_OTHER = 0x00ff00, ID_TRANSITIONAL = 0x1002, QUEUE_SIZE = 128, PAGES_MOST = 1024 };

enum feature { F_STATS = 1, F_DEFLATE_ON_OOM = 2, F_REPORTING = 5 };
enum queue { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORTING, QUEUES };

enum { BALLOON_PAGE_SHIFT = 12 };

struct config {
    uint32_t wanted, actual; /* pages in the balloon, little-endian */
};

enum statistic {
    STAT_SWAP_IN,
    STAT_SWAP_OUT,
    STAT_MAJOR_FAULTS,
    STAT_MINOR_FAULTS,
    STAT_FREE,
    STAT_TOTAL,
    STAT_AVAILABLE,
    STAT_CACHES,
    STATS,
};

struct stat {
    uint16_t tag; /* little-endian */
    uint64_t value;
} __attribute__((packed));

struct virtio_balloon {
    struct virtio *virtio;
    struct memory *memory;
    struct config config;
    struct virtio_chain *stats_chain; /* the driver fills it when it gets it back */
    uint64_t stats[STATS];
    bool known[STATS];
};

/* ---- pages */

/* A run of pages at a time: they often follow each other, upwards or downwards. */
static void inflate(struct virtio_balloon *balloon, const struct virtio_chain *chain)
{
    uint32_t pages[PAGES_MOST];
    uint64_t count = virtio_readable(chain) / sizeof(pages[0]);
    if (count > PAGES_MOST)
        count = PAGES_MOST;
    if (!virtio_read(chain, 0, pages, count * sizeof(pages[0])))
        return;
    for (uint64_t at = 0; at < count;) {
        uint64_t first = le32toh(pages[at]), last = first;
        for (at++; at < count; at++) {
            uint64_t page = le32toh(pages[at]);
            if (page == last + 1)
                last = page;
            else if (first && page == first - 1)
                first = page;
            else
                break;
        }
        memory_discard(balloon->memory, first << BALLOON_PAGE_SHIFT,
                       (last - first + 1) << BALLOON_PAGE_SHIFT);
    }
}

/* ---- statistics */

static void stats_read(struct virtio_balloon *balloon, const struct virtio_chain *chain)
{
    struct stat stat;
    memset(balloon->known, 0, sizeof(balloon->known));
    for (unsigned at = 0; at < 2 * STATS && virtio_read(chain, at * sizeof(stat), &stat, sizeof(stat));
         at++) {
        unsigned tag = le16toh(stat.tag);
        if (tag >= STATS)
            continue;
        balloon->stats[tag] = le64toh(stat.value);
        balloon->known[tag] = true;
    }
}

static void stats_give_back(struct virtio_balloon *balloon)
{
    if (!balloon->stats_chain)
        return;
    virtio_push(balloon->stats_chain, 0);
    balloon->stats_chain = NULL;
    virtio_publish(virtio_queue(balloon->virtio, QUEUE_STATS));
}

static void stats_arrived(struct virtio_balloon *balloon, struct virtio_chain *chain)
{
    if (balloon->stats_chain)
        virtio_push(balloon->stats_chain, 0);
    balloon->stats_chain = chain;
    stats_read(balloon, chain);
}

/* ---- the transport's calls */

static void notified(void *device, unsigned index)
{
    struct virtio_balloon *balloon = device;
    struct virtio_queue *queue = virtio_queue(balloon->virtio, index);
    struct virtio_chain *chain;
    while ((chain = virtio_pop(queue))) {
        if (index == QUEUE_STATS) {
            stats_arrived(balloon, chain);
            continue;
        }
        if (index == QUEUE_INFLATE)
            inflate(balloon, chain);
        else if (index == QUEUE_REPORTING)
            virtio_discard(chain);
        virtio_push(chain, 0);
    }
    virtio_publish(queue);
}

static void config_write(void *device, unsigned offset, uint8_t value)
{
    struct virtio_balloon *balloon = device;
    if (offset >= offsetof(struct config, actual))
        ((uint8_t *)&balloon->config)[offset] = value;
}

static void reset(void *device)
{
    struct virtio_balloon *balloon = device;
    if (balloon->stats_chain)
        virtio_push(balloon->stats_chain, 0);
    balloon->stats_chain = NULL;
    balloon->config.actual = 0;
    memset(balloon->known, 0, sizeof(balloon->known));
}

static const struct virtio_kind kind = {
    .name = "virtio-balloon",
    .type = VIRTIO_BALLOON,
    .class_code = CLASS_OTHER,
    .transitional = ID_TRANSITIONAL,
    .ops = {.notified = notified, .reset = reset, .config_write = config_write},
};

/* ---- */

struct virtio_balloon *virtio_balloon_create(const struct virtio_place *place, struct memory *memory,
                                             bool reporting, bool on_oom)
{
    struct virtio_balloon *balloon = allocate(sizeof(*balloon));
    struct virtio_setup setup = {.device = balloon,
                                 .features = 1 << F_STATS,
                                 .queues = reporting ? QUEUES : QUEUE_REPORTING,
                                 .queue_size = QUEUE_SIZE,
                                 .config = (const uint8_t *)&balloon->config,
                                 .config_size = sizeof(balloon->config)};
    if (reporting)
        setup.features |= 1 << F_REPORTING;
    if (on_oom)
        setup.features |= 1 << F_DEFLATE_ON_OOM;
    balloon->memory = memory;
    balloon->virtio = virtio_create(place, &kind, &setup);
    return balloon;
}

void virtio_balloon_reset(struct virtio_balloon *balloon)
{
    virtio_reset(balloon->virtio);
}

void virtio_balloon_destroy(struct virtio_balloon *balloon)
{
    reset(balloon);
    virtio_destroy(balloon->virtio);
    free(balloon);
}

void virtio_balloon_set(struct virtio_balloon *balloon, uint64_t bytes)
{
    uint64_t all = memory_ram_size(balloon->memory);
    uint64_t pages = bytes < all ? (all - bytes) >> BALLOON_PAGE_SHIFT : 0;
    balloon->config.wanted = htole32(pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX);
    virtio_config_changed(balloon->virtio);
}

void virtio_balloon_print(struct virtio_balloon *balloon, FILE *out)
{
    static const char *const names[STATS] = {
        [STAT_SWAP_IN] = "mem_swapped_in",
        [STAT_SWAP_OUT] = "mem_swapped_out",
        [STAT_MAJOR_FAULTS] = "major_page_faults",
        [STAT_MINOR_FAULTS] = "minor_page_faults",
        [STAT_FREE] = "free_mem",
        [STAT_TOTAL] = "total_mem",
        [STAT_AVAILABLE] = "available_mem",
        [STAT_CACHES] = "disk_caches",
    };
    uint64_t all = memory_ram_size(balloon->memory);
    uint64_t away = (uint64_t)le32toh(balloon->config.actual) << BALLOON_PAGE_SHIFT;
    fprintf(out, "balloon: actual=%llu", (unsigned long long)(away < all ? all - away : 0) >> 20);
    for (unsigned i = 0; i < STATS; i++)
        if (balloon->known[i])
            fprintf(out, " %s=%llu", names[i], (unsigned long long)balloon->stats[i]);
    fputc('\n', out);
    stats_give_back(balloon);
}

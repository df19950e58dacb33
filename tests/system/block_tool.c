/*
 * hearth's image formats without a machine, for tests:
 *
 *   block_tool create raw|qcow2 IMAGE SIZE [CLUSTER-SIZE [BACKING [BACKING-FORMAT]]]
 *   block_tool read IMAGE FILE              all of the disk into a file
 *   block_tool fuzz IMAGE MODEL SEED COUNT  random requests, up to 16 in flight, beside a raw file that is to be the same
 *   block_tool crash IMAGE STATE SEED       writes and flushes for ever, and keeps in STATE what is to be found when it is killed
 *   block_tool verify IMAGE STATE           is it?
 *
 * CACHE=none in the environment goes past the page cache, CLUSTER is the size that can be discarded, FORGET=1 is snapshot=on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/lock.h"
#include "storage/create.h"
#include "storage/open.h"
#include "storage/pool.h"

enum { SLOTS = 16, BYTES_MOST = 200 << 10, CRASH_SECTORS_MOST = 128 };

static void stop(const char *what, const char *why)
{
    fprintf(stderr, "block_tool: %s: %s\n", what, why);
    exit(1);
}

static struct block_device *image_open(struct block_pool *pool, const char *path, bool read_only)
{
    char error[BLOCK_ERROR_SIZE];
    const char *cache = getenv("CACHE");
    struct block_options options = {.file = path,
                                    .read_only = read_only,
                                    .discards = true,
                                    .direct = cache && !strcmp(cache, "none"),
                                    .forget = getenv("FORGET") && !read_only};
    struct block_device *block = block_open(pool, &options, error, sizeof(error));
    if (!block)
        stop(path, error);
    return block;
}

static uint64_t number(void)
{
    return (uint64_t)random() << 31 ^ (uint64_t)random();
}

/* ---- create, read */

static int create(int count, char **arguments)
{
    struct create_options options = {.size = strtoull(arguments[2], NULL, 0),
                                     .cluster_size = count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 0) : 0,
                                     .backing = count > 4 ? arguments[4] : NULL,
                                     .backing_format = count > 5 ? arguments[5] : NULL};
    char error[BLOCK_ERROR_SIZE];
    bool raw = !strcmp(arguments[0], "raw");
    if (!(raw ? raw_create : qcow2_create)(arguments[1], &options, error, sizeof(error)))
        stop("create", error);
    return 0;
}

static int read_all(const char *image, const char *path)
{
    static uint8_t bytes[1 << 20];
    struct block_device *block = image_open(NULL, image, true);
    FILE *file = fopen(path, "wb");
    if (!file)
        stop(path, strerror(errno));
    for (uint64_t at = 0, step; at < block->size; at += step) {
        step = block->size - at < sizeof(bytes) ? block->size - at : sizeof(bytes);
        int result = block_read(block, at, bytes, step);
        if (result)
            stop(image, strerror(-result));
        if (fwrite(bytes, 1, step, file) != step)
            stop(path, strerror(errno));
    }
    fclose(file);
    block_close(block);
    return 0;
}

/* ---- fuzz */

struct slot {
    struct block_request request;
    struct iovec pieces[3];
    uint8_t *bytes;
    uint64_t offset, size;
    bool busy;
};

static struct slot slots[SLOTS];
static uint8_t *model;
static struct block_pool *pool;

static bool overlaps(uint64_t offset, uint64_t size)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i].busy && offset < slots[i].offset + slots[i].size && slots[i].offset < offset + size)
            return true;
    return false;
}

static void slot_done(struct block_request *request)
{
    struct slot *slot = request->opaque;
    slot->busy = false;
    if (request->result)
        stop("a request failed", strerror(-request->result));
    if (request->operation == BLOCK_READ && memcmp(slot->bytes, model + slot->offset, slot->size))
        stop("read", "not what was written");
}

static void slot_submit(struct slot *slot, struct block_device *block, enum block_operation operation,
                        uint64_t offset, uint64_t size)
{
    uint64_t first = size > 1024 ? size / 3 / SECTOR_SIZE * SECTOR_SIZE : size;
    slot->offset = offset;
    slot->size = operation == BLOCK_FLUSH ? 0 : size;
    slot->busy = true;
    slot->pieces[0] = (struct iovec){slot->bytes, first};
    slot->pieces[1] = (struct iovec){slot->bytes + first, size - first};
    slot->request = (struct block_request){.block = block,
                                           .operation = operation,
                                           .offset = offset,
                                           .pieces = slot->pieces,
                                           .count = size > first ? 2 : 1,
                                           .size = size,
                                           .done = slot_done,
                                           .opaque = slot};
    if (operation == BLOCK_WRITE)
        memcpy(model + offset, slot->bytes, size);
    else if (operation == BLOCK_ZERO || operation == BLOCK_DISCARD)
        memset(model + offset, 0, size);
    block_submit(&slot->request);
}

/* What is discarded keeps its parts of clusters: only whole ones are asked for, and they read as zeros. */
static void operation_choose(uint64_t cluster, enum block_operation *operation, uint64_t *offset,
                             uint64_t *size)
{
    static const enum block_operation operations[] = {BLOCK_READ,  BLOCK_READ, BLOCK_WRITE,   BLOCK_WRITE,
                                                      BLOCK_WRITE, BLOCK_ZERO, BLOCK_DISCARD, BLOCK_FLUSH};
    *operation = operations[number() % 8];
    if (*operation == BLOCK_DISCARD) {
        *offset = *offset / cluster * cluster;
        *size = (*size + cluster - 1) / cluster * cluster;
    }
}

static struct slot *slot_free(void)
{
    for (;; pool_wait(pool))
        for (unsigned i = 0; i < SLOTS; i++)
            if (!slots[i].busy)
                return &slots[i];
}

static int fuzz(const char *image, const char *path, unsigned seed, unsigned long count)
{
    struct loop *loop = loop_create(&machine_mutex);
    srandom(seed);
    machine_lock();
    pool = pool_create(loop, NULL);
    struct block_device *block = image_open(pool, image, false);
    const char *cluster_text = getenv("CLUSTER");
    uint64_t cluster = cluster_text ? strtoull(cluster_text, NULL, 0) : 65536;
    int descriptor = open(path, O_RDWR);
    model = mmap(NULL, block->size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (descriptor < 0 || model == MAP_FAILED)
        stop(path, strerror(errno));
    for (unsigned i = 0; i < SLOTS; i++)
        slots[i].bytes = malloc(BYTES_MOST);
    for (unsigned long i = 0; i < count; i++) {
        enum block_operation operation;
        struct slot *slot = slot_free();
        uint64_t offset = number() % (block->size / SECTOR_SIZE) * SECTOR_SIZE;
        uint64_t size = (number() % (number() % 4 ? 16 : BYTES_MOST / SECTOR_SIZE) + 1) * SECTOR_SIZE;
        operation_choose(cluster, &operation, &offset, &size);
        if (operation == BLOCK_DISCARD && offset + size > block->size)
            continue;
        if (size > block->size - offset)
            size = block->size - offset;
        while (operation != BLOCK_FLUSH && overlaps(offset, size))
            pool_wait(pool);
        if (operation == BLOCK_WRITE)
            for (uint64_t at = 0; at < size; at += 8)
                memcpy(slot->bytes + at, (uint64_t[]){number()}, 8);
        slot_submit(slot, block, operation, offset, size);
        if (number() % 16 == 0)
            pool_drain(pool);
    }
    pool_drain(pool);
    block_close(block);
    pool_destroy(pool);
    machine_unlock();
    loop_destroy(loop);
    for (unsigned i = 0; i < SLOTS; i++)
        free(slots[i].bytes);
    return 0;
}

/* ---- crash: each sector has the number of its last write; which of them are flushed, and which were submitted, is known to
 * a file that outlives the process */

struct sector_state {
    uint64_t flushed, submitted;
};

static struct sector_state *state_map(const char *path, uint64_t sectors, bool create_it)
{
    int descriptor = open(path, O_RDWR | (create_it ? O_CREAT : 0), 0600);
    if (descriptor < 0 ||
        (create_it && ftruncate(descriptor, (off_t)(sectors * sizeof(struct sector_state))) < 0))
        stop(path, strerror(errno));
    void *map =
        mmap(NULL, sectors * sizeof(struct sector_state), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (map == MAP_FAILED)
        stop(path, strerror(errno));
    return map;
}

static void wait_for(struct block_request *request)
{
    (void)request;
}

static void at_once(struct block_request *request)
{
    block_submit(request);
    block_drain(request->block);
    if (request->result)
        stop("crash", strerror(-request->result));
}

static void sector_fill(uint8_t *bytes, uint64_t sector, uint64_t version)
{
    for (unsigned i = 0; i < SECTOR_SIZE / 16; i++) {
        memcpy(bytes + 16 * i, &sector, 8);
        memcpy(bytes + 16 * i + 8, &version, 8);
    }
}

static _Noreturn void crash(const char *image, const char *path, unsigned seed)
{
    static uint8_t bytes[CRASH_SECTORS_MOST * SECTOR_SIZE];
    struct loop *loop = loop_create(&machine_mutex);
    srandom(seed);
    machine_lock();
    pool = pool_create(loop, NULL);
    struct block_device *block = image_open(pool, image, false);
    uint64_t sectors = block->size / SECTOR_SIZE, version = 0;
    struct sector_state *state = state_map(path, sectors, true);
    for (uint64_t i = 0; i < sectors; i++)
        version = state[i].submitted > version ? state[i].submitted : version;
    for (;;) {
        struct iovec piece = {bytes, 0};
        struct block_request request = {
            .block = block, .operation = BLOCK_WRITE, .pieces = &piece, .count = 1, .done = wait_for};
        for (unsigned writes = (unsigned)(number() % 30); writes; writes--) {
            uint64_t first = number() % sectors, count = number() % CRASH_SECTORS_MOST + 1;
            count = count < sectors - first ? count : sectors - first;
            version++;
            for (uint64_t i = 0; i < count; i++) {
                sector_fill(bytes + i * SECTOR_SIZE, first + i, version);
                state[first + i].submitted = version;
            }
            piece.iov_len = count * SECTOR_SIZE;
            request.offset = first * SECTOR_SIZE;
            at_once(&request);
        }
        request.operation = BLOCK_FLUSH;
        request.count = 0;
        at_once(&request);
        for (uint64_t i = 0; i < sectors; i++)
            state[i].flushed = state[i].submitted;
    }
}

static int verify(const char *image, const char *path)
{
    uint8_t bytes[SECTOR_SIZE];
    struct block_device *block = image_open(NULL, image, true);
    uint64_t sectors = block->size / SECTOR_SIZE, bad = 0, flushed = 0;
    struct sector_state *state = state_map(path, sectors, false);
    for (uint64_t i = 0; i < sectors; i++) {
        uint64_t head[2];
        int result = block_read(block, i * SECTOR_SIZE, bytes, sizeof(bytes));
        memcpy(head, bytes, sizeof(head));
        flushed += state[i].flushed != 0;
        bool right = !result && head[1] >= state[i].flushed && head[1] <= state[i].submitted &&
                     (!head[1] || head[0] == i);
        for (unsigned k = 1; right && k < SECTOR_SIZE / 16; k++)
            right = !memcmp(bytes, bytes + 16 * k, 16);
        if (!right && bad++ < 5)
            fprintf(stderr, "sector %llu has write %llu; %llu was flushed, %llu submitted\n",
                    (unsigned long long)i, (unsigned long long)head[1], (unsigned long long)state[i].flushed,
                    (unsigned long long)state[i].submitted);
    }
    block_close(block);
    printf("%llu sectors flushed, %llu wrong\n", (unsigned long long)flushed, (unsigned long long)bad);
    return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc >= 5 && !strcmp(argv[1], "create"))
        return create(argc - 2, argv + 2);
    if (argc == 4 && !strcmp(argv[1], "read"))
        return read_all(argv[2], argv[3]);
    if (argc == 6 && !strcmp(argv[1], "fuzz"))
        return fuzz(argv[2], argv[3], (unsigned)atoi(argv[4]), strtoul(argv[5], NULL, 0));
    if (argc == 5 && !strcmp(argv[1], "crash"))
        crash(argv[2], argv[3], (unsigned)atoi(argv[4]));
    if (argc == 4 && !strcmp(argv[1], "verify"))
        return verify(argv[2], argv[3]);
    fprintf(stderr, "block_tool: see the head of its source\n");
    return 2;
}

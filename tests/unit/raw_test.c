#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/open.h"
#include "storage/pool.h"

static char folder[] = "/tmp/raw_test.XXXXXX";
static char error[BLOCK_ERROR_SIZE];

static struct block_device *image_open(struct block_pool *pool, const char *path, bool read_only)
{
    struct block_options options = {.file = path, .format = "raw", .read_only = read_only};
    return block_open(pool, &options, error, sizeof(error));
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* An image whose byte n is n * 7 + 3. */
static const char *image_make(const char *name, size_t size)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        fputc((int)(i * 7 + 3) & 0xff, file);
    fclose(file);
    return path;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + 3);
}

static void request_done(struct block_request *request)
{
    (void)request;
}

static void reads_writes_and_flushes(void **state)
{
    (void)state;
    uint8_t sector[SECTOR_SIZE];
    struct block_device *block = image_open(NULL, image_make("a", 4 * SECTOR_SIZE), false);
    assert_non_null(block);
    assert_string_equal(error, "");
    assert_int_equal(block->size, 4 * SECTOR_SIZE);
    assert_int_equal(block_read(block, SECTOR_SIZE, sector, sizeof(sector)), 0);
    for (unsigned i = 0; i < SECTOR_SIZE; i++)
        assert_int_equal(sector[i], byte_at(SECTOR_SIZE + i));
    memset(sector, 0x5a, sizeof(sector));
    assert_int_equal(block_write(block, 3 * SECTOR_SIZE, sector, sizeof(sector)), 0);
    assert_int_equal(block_flush(block), 0);
    block_close(block);

    block = image_open(NULL, path_of("a"), true);
    assert_int_equal(block_read(block, 3 * SECTOR_SIZE - 1, sector, 2), 0);
    assert_int_equal(sector[0], byte_at(3 * SECTOR_SIZE - 1));
    assert_int_equal(sector[1], 0x5a);
    assert_int_equal(block_write(block, 0, sector, SECTOR_SIZE), -EROFS);
    block_close(block);
}

static void nothing_lies_past_the_end(void **state)
{
    (void)state;
    uint8_t sector[2 * SECTOR_SIZE] = {0};
    struct block_device *block = image_open(NULL, image_make("b", 2 * SECTOR_SIZE), false);
    assert_int_equal(block_read(block, SECTOR_SIZE, sector, 2 * SECTOR_SIZE), -EIO);
    assert_int_equal(block_write(block, 2 * SECTOR_SIZE, sector, 1), -EIO);
    assert_int_equal(block_read(block, UINT64_MAX - 100, sector, SECTOR_SIZE), -EIO);
    struct stat status;
    stat(path_of("b"), &status);
    assert_int_equal(status.st_size, 2 * SECTOR_SIZE);
    block_close(block);
}

static void last_sector_may_be_short(void **state)
{
    (void)state;
    uint8_t sector[SECTOR_SIZE];
    struct block_device *block = image_open(NULL, image_make("odd", SECTOR_SIZE + 100), false);
    assert_non_null(block);
    assert_non_null(strstr(error, "612 bytes"));
    assert_int_equal(block->size, 2 * SECTOR_SIZE);
    memset(sector, 0xff, sizeof(sector));
    assert_int_equal(block_read(block, SECTOR_SIZE, sector, SECTOR_SIZE), 0);
    assert_int_equal(sector[99], byte_at(SECTOR_SIZE + 99));
    for (unsigned i = 100; i < SECTOR_SIZE; i++)
        assert_int_equal(sector[i], 0);
    memset(sector, 0x11, sizeof(sector));
    assert_int_equal(block_write(block, SECTOR_SIZE, sector, SECTOR_SIZE), 0);
    memset(sector, 0, sizeof(sector));
    assert_int_equal(block_read(block, SECTOR_SIZE, sector, SECTOR_SIZE), 0);
    assert_int_equal(sector[511], 0x11);
    block_close(block);
}

static void truncated_while_open(void **state)
{
    (void)state;
    uint8_t sector[SECTOR_SIZE];
    struct block_device *block = image_open(NULL, image_make("t", 8 * SECTOR_SIZE), false);
    assert_int_equal(truncate(path_of("t"), SECTOR_SIZE + 10), 0);
    assert_int_equal(block_read(block, 0, sector, SECTOR_SIZE), 0);
    assert_int_equal(block_read(block, SECTOR_SIZE, sector, SECTOR_SIZE), -EIO);
    assert_int_equal(block_read(block, 7 * SECTOR_SIZE, sector, SECTOR_SIZE), -EIO);
    block_close(block);
}

static void refused(const char *path, bool read_only, const char *words)
{
    memset(error, 0, sizeof(error));
    assert_null(image_open(NULL, path, read_only));
    if (!strstr(error, words) || !strstr(error, path) || strchr(error, '\n'))
        fail_msg("\"%s\" should say \"%s\"", error, words);
}

static void what_is_no_image_is_refused(void **state)
{
    (void)state;
    refused(path_of("absent"), false, "No such file or directory");
    refused(folder, false, "directory");
    refused(folder, true, "directory");
    refused(image_make("empty", 0), false, "empty");
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    refused(path_of("pipe"), true, "pipe");
    refused(path_of("pipe"), false, "pipe");
    refused("/dev/full", false, "character device");
    refused("/dev/zero", true, "character device");
    assert_int_equal(symlink("loop", path_of("loop")), 0);
    refused(path_of("loop"), false, "symbolic links");
    if (geteuid() != 0) {
        image_make("secret", SECTOR_SIZE);
        chmod(path_of("secret"), 0);
        refused(path_of("secret"), false, "Permission denied");
    }
}

static void one_writer_or_many_readers(void **state)
{
    (void)state;
    const char *path = image_make("lock", SECTOR_SIZE);
    struct block_device *writer = image_open(NULL, path, false);
    assert_non_null(writer);
    refused(path, false, "Failed to get \"write\" lock");
    refused(path, false, "Is another process using the image [");
    refused(path, true, "Failed to get shared \"write\" lock");
    block_close(writer);

    struct block_device *first = image_open(NULL, path, true);
    struct block_device *second = image_open(NULL, path, true);
    assert_non_null(first);
    assert_non_null(second);
    refused(path, false, "Failed to get \"write\" lock");
    block_close(first);
    block_close(second);
    writer = image_open(NULL, path, false);
    assert_non_null(writer);
    block_close(writer);
}

static void lock_goes_with_its_process(void **state)
{
    (void)state;
    const char *path = image_make("killed", SECTOR_SIZE);
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        byte = image_open(NULL, path, false) != NULL;
        if (write(ready[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    refused(path, false, "lock");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct block_device *block = image_open(NULL, path, false);
    assert_non_null(block);
    block_close(block);
    close(ready[0]);
    close(ready[1]);
}

static void file_too_large_is_an_error(void **state)
{
    (void)state;
    uint8_t sector[SECTOR_SIZE] = {1};
    struct rlimit before, small = {2 * SECTOR_SIZE, RLIM_INFINITY};
    struct block_device *block;
    image_make("limit", SECTOR_SIZE);
    assert_int_equal(truncate(path_of("limit"), 8 * SECTOR_SIZE), 0);
    block = image_open(NULL, path_of("limit"), false);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    int inside = block_write(block, SECTOR_SIZE, sector, SECTOR_SIZE);
    int outside = block_write(block, 4 * SECTOR_SIZE, sector, SECTOR_SIZE);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(inside, 0);
    assert_int_equal(outside, -EFBIG);
    block_close(block);
}

static void holes_and_zeros(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    static uint8_t bytes[SIZE];
    struct block_pool *pool = pool_create(NULL, NULL);
    struct block_device *block = image_open(pool, image_make("holes", SIZE), false);
    struct block_request request = {
        .block = block, .done = request_done, .size = SIZE / 2, .offset = SECTOR_SIZE};
    struct stat before, after;

    request.operation = BLOCK_ZERO;
    block_submit(&request);
    block_drain(block);
    assert_int_equal(request.result, 0);
    assert_int_equal(block_read(block, 0, bytes, SIZE), 0);
    assert_int_equal(bytes[SECTOR_SIZE - 1], byte_at(SECTOR_SIZE - 1));
    for (unsigned i = 0; i < SIZE / 2; i++)
        assert_int_equal(bytes[SECTOR_SIZE + i], 0);
    assert_int_equal(bytes[SIZE / 2 + SECTOR_SIZE], byte_at(SIZE / 2 + SECTOR_SIZE));

    request.operation = BLOCK_DISCARD;
    request.offset = SIZE / 2;
    stat(path_of("holes"), &before);
    block_submit(&request);
    block_drain(block);
    stat(path_of("holes"), &after);
    assert_int_equal(after.st_blocks, before.st_blocks); /* not asked for */
    block->discards = true;
    block_submit(&request);
    block_drain(block);
    assert_int_equal(request.result, 0);
    stat(path_of("holes"), &after);
    assert_true(after.st_blocks < before.st_blocks);
    assert_int_equal(after.st_size, SIZE);
    request.size++;
    block_submit(&request);
    block_drain(block);
    assert_int_equal(request.result, -EIO);
    block_close(block);
    pool_destroy(pool);
}

/* Pieces of any size at any address, through the page cache and past it: the file is the same. */
static void past_the_page_cache(void **state)
{
    (void)state;
    enum { SIZE = 200 * 4096 + 512, ROUNDS = 2000 };
    static uint8_t model[SIZE], bytes[3 * 65536];
    struct block_options options = {.file = image_make("direct", SIZE), .format = "raw", .direct = true};
    struct block_pool *pool = pool_create(NULL, NULL);
    struct block_device *block = block_open(pool, &options, error, sizeof(error));

    if (!block && strstr(error, "Invalid argument"))
        skip();
    assert_non_null(block);
    for (unsigned i = 0; i < SIZE; i++)
        model[i] = byte_at(i);
    srandom(1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct iovec pieces[3];
        unsigned unit = random() % 2 ? 512 : 4096, size = 0;
        uint64_t offset = (uint64_t)random() % (SIZE / unit) * unit;
        for (unsigned i = 0; i < 3; i++) {
            size_t length = (size_t)(random() % 16 + 1) * unit;
            uint8_t *at = bytes + i * 65536;
            at += random() % 2 ? -(uintptr_t)at % 4096 : 3; /* at the start of a page, or at an odd address */
            if (length > 65536 - 4096)
                length = 65536 - 4096;
            pieces[i] = (struct iovec){at, length};
            size += (unsigned)length;
        }
        bool write = random() % 2;
        for (unsigned i = 0; i < 3; i++)
            memset(pieces[i].iov_base, write ? (int)(random() & 0xff) : 0, pieces[i].iov_len);
        struct block_request request = {.block = block,
                                        .operation = write ? BLOCK_WRITE : BLOCK_READ,
                                        .offset = offset,
                                        .pieces = pieces,
                                        .count = 3,
                                        .done = request_done};
        block_submit(&request);
        block_drain(block);
        assert_int_equal(request.result, offset + size <= SIZE ? 0 : -EIO);
        if (request.result)
            continue;
        for (unsigned i = 0; i < 3; i++, offset += pieces[i - 1].iov_len) {
            if (write)
                memcpy(model + offset, pieces[i].iov_base, pieces[i].iov_len);
            else
                assert_memory_equal(model + offset, pieces[i].iov_base, pieces[i].iov_len);
        }
    }
    block_close(block);
    pool_destroy(pool);
    block = image_open(NULL, path_of("direct"), true);
    for (unsigned i = 0; i < SIZE; i += 512) {
        assert_int_equal(block_read(block, i, bytes, 512), 0);
        assert_memory_equal(bytes, model + i, 512);
    }
    block_close(block);
}

/* A raw image whose format was a guess does not become one of another format. */
static void guessed_raw_stays_raw(void **state)
{
    (void)state;
    uint8_t sector[SECTOR_SIZE] = {'Q', 'F', 'I', 0xfb};
    struct block_options options = {.file = image_make("guess", 4 * SECTOR_SIZE)};
    struct block_device *block = block_open(NULL, &options, error, sizeof(error));
    assert_int_equal(block_write(block, SECTOR_SIZE, sector, SECTOR_SIZE), 0);
    assert_int_equal(block_write(block, 0, sector, SECTOR_SIZE), -EPERM);
    sector[0] = 'q';
    assert_int_equal(block_write(block, 0, sector, SECTOR_SIZE), 0);
    block_close(block);
    block = image_open(NULL, path_of("guess"), false);
    sector[0] = 'Q';
    assert_int_equal(block_write(block, 0, sector, SECTOR_SIZE), 0);
    block_close(block);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"a",      "b",    "odd",    "t",     "empty", "pipe",   "loop",
                                        "secret", "lock", "killed", "limit", "holes", "direct", "guess"};
    (void)state;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(path_of(names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_writes_and_flushes),
        cmocka_unit_test(nothing_lies_past_the_end),
        cmocka_unit_test(last_sector_may_be_short),
        cmocka_unit_test(truncated_while_open),
        cmocka_unit_test(what_is_no_image_is_refused),
        cmocka_unit_test(one_writer_or_many_readers),
        cmocka_unit_test(lock_goes_with_its_process),
        cmocka_unit_test(file_too_large_is_an_error),
        cmocka_unit_test(holes_and_zeros),
        cmocka_unit_test(past_the_page_cache),
        cmocka_unit_test(guessed_raw_stays_raw),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

#include "core/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define HUGETLBFS 0x958458f6

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, PIECE = 64 << 20, THREADS_MOST = 8, MEMFD_SIZE_SHIFT = 26 };

static uint8_t *fail(char *error, size_t error_size, const char *what, const char *path, int why)
{
    snprintf(error, error_size, "%s%s%s: %s", what, path ? " " : "", path ? path : "", strerror(why));
    return NULL;
}

static uint64_t round_up(uint64_t size, uint64_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* ---- touching every page */

struct touching {
    uint8_t *ram;
    uint64_t size;
    _Atomic uint64_t next, done;
    _Atomic int error;
};

static void *touch(void *opaque)
{
    struct touching *touching = opaque;
    uint64_t at;
    while (!touching->error && (at = atomic_fetch_add(&touching->next, PIECE)) < touching->size) {
        uint64_t piece = touching->size - at < PIECE ? touching->size - at : PIECE;
        if (madvise(touching->ram + at, piece, MADV_POPULATE_WRITE)) {
            if (errno != EINVAL) {
                touching->error = errno;
                return NULL;
            }
            for (uint64_t i = 0; i < piece; i += PAGE) { /* an older kernel: by hand */
                volatile uint8_t *byte = touching->ram + at + i;
                *byte = *byte;
            }
        }
        uint64_t done = atomic_fetch_add(&touching->done, piece) + piece;
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "\rtouching guest RAM: %" PRIu64 " of %" PRIu64 " MiB%s", done >> 20,
                    touching->size >> 20, done == touching->size ? "\n" : "");
    }
    return NULL;
}

/* 0, or an error number. */
static int touch_all(uint8_t *ram, uint64_t size)
{
    struct touching touching = {.ram = ram, .size = size};
    pthread_t threads[THREADS_MOST];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned wanted = cpus > THREADS_MOST ? THREADS_MOST : (unsigned)cpus, count = 0;
    while (count + 1 < wanted && !pthread_create(&threads[count], NULL, touch, &touching))
        count++;
    touch(&touching);
    while (count)
        pthread_join(threads[--count], NULL);
    return touching.error;
}

/* ---- kinds of memory */

static uint8_t *map_anonymous(uint64_t size, uint64_t *mapped, char *error, size_t error_size)
{
    /* On a huge page's boundary, or the host could not use one. */
    uint64_t room = size + HUGE_PAGE;
    uint8_t *start =
        mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return fail(error, error_size, "cannot set up guest memory 'pc.ram'", NULL, errno);
    uint8_t *ram = (uint8_t *)round_up((uintptr_t)start, HUGE_PAGE);
    if (ram > start)
        munmap(start, (size_t)(ram - start));
    if (start + room > ram + size)
        munmap(ram + size, (size_t)(start + room - (ram + size)));
    madvise(ram, size, MADV_HUGEPAGE);
    *mapped = size;
    return ram;
}

static uint64_t pool_number(uint64_t page_size, const char *name)
{
    char path[128], text[32] = "";
    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s", page_size >> 10,
             name);
    FILE *file = fopen(path, "re");
    if (file && !fgets(text, sizeof(text), file))
        text[0] = '\0';
    if (file)
        fclose(file);
    return strtoull(text, NULL, 10);
}

/* Says what a map or a touch that failed for want of pages was short of. */
static uint8_t *too_few(uint64_t page_size, uint64_t size, int why, char *error, size_t error_size)
{
    uint64_t pages = size / page_size, free_pages = pool_number(page_size, "free_hugepages");
    uint64_t reserved = pool_number(page_size, "resv_hugepages");
    snprintf(error, error_size,
             "unable to map backing store for guest RAM: %s: it takes %" PRIu64 " pages of %" PRIu64
             " KiB, %" PRIu64 " are free; `sudo hearth host hugepages %" PRIu64 "` reserves more",
             strerror(why), pages, page_size >> 10, free_pages > reserved ? free_pages - reserved : 0, pages);
    return NULL;
}

static int directory_open(const char *path)
{
    char name[4096];
    int descriptor = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor >= 0 || snprintf(name, sizeof(name), "%s/hearth.XXXXXX", path) >= (int)sizeof(name))
        return descriptor;
    descriptor = mkostemp(name, O_CLOEXEC);
    if (descriptor >= 0)
        unlink(name);
    return descriptor;
}

static int file_open(const struct backing *backing, char *error, size_t error_size)
{
    struct stat status;
    int descriptor;

    if (stat(backing->path, &status)) {
        int why = errno;
        snprintf(error, error_size, "can't open backing store %s for guest RAM: %s%s", backing->path,
                 strerror(why),
                 why == ENOENT ? " (QEMU would make an ordinary file of that name, and no huge pages)" : "");
        return -1;
    }
    descriptor =
        S_ISDIR(status.st_mode) ? directory_open(backing->path) : open(backing->path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        snprintf(error, error_size, "can't open backing store %s for guest RAM: %s", backing->path,
                 strerror(errno));
    return descriptor;
}

static int descriptor_open(const struct backing *backing, char *error, size_t error_size)
{
    unsigned flags = MFD_CLOEXEC;
    if (backing->path)
        return file_open(backing, error, error_size);
    if (backing->hugetlb) {
        flags |= MFD_HUGETLB;
        if (backing->page_size)
            flags |= (unsigned)__builtin_ctzll(backing->page_size) << MEMFD_SIZE_SHIFT;
    }
    int descriptor = memfd_create("pc.ram", flags);
    if (descriptor < 0)
        snprintf(error, error_size, "cannot make a memfd for guest RAM: %s%s", strerror(errno),
                 backing->hugetlb ? "; has this host huge pages of that size?" : "");
    return descriptor;
}

/* Grows the file to `size`; room on its file system is taken now, where the guest's writes go there. */
static bool file_fits(int descriptor, uint64_t size, bool takes_room)
{
    struct stat status;
    if (fstat(descriptor, &status))
        return false;
    if ((uint64_t)status.st_size < size && ftruncate(descriptor, (off_t)size))
        return false;
    return !takes_room || !fallocate(descriptor, 0, 0, (off_t)size) || errno == EOPNOTSUPP;
}

static uint8_t *map_descriptor(const struct backing *backing, int descriptor, uint64_t size, uint64_t *mapped,
                               char *error, size_t error_size)
{
    struct statfs system;
    bool shared = backing->share || backing->memfd;
    uint64_t page_size = fstatfs(descriptor, &system) ? PAGE : (uint64_t)system.f_bsize;
    bool huge = page_size > PAGE && system.f_type == HUGETLBFS;

    size = round_up(size, huge ? page_size : PAGE);
    if (!file_fits(descriptor, size, shared && !huge))
        return fail(error, error_size, "no room for guest RAM in", backing->path ? backing->path : "a memfd",
                    errno);
    /* Of huge pages, mmap() sets so many aside for this mapping, or fails. */
    uint8_t *ram = mmap(NULL, size, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, descriptor, 0);
    if (ram == MAP_FAILED)
        return huge ? too_few(page_size, size, errno, error, error_size)
                    : fail(error, error_size, "unable to map backing store for guest RAM", NULL, errno);
    *mapped = size;
    return ram;
}

uint8_t *backing_map(const struct backing *backing, uint64_t size, uint64_t *mapped, char *error,
                     size_t error_size)
{
    uint8_t *ram;
    if (backing->path || backing->memfd) {
        int descriptor = descriptor_open(backing, error, error_size);
        if (descriptor < 0)
            return NULL;
        ram = map_descriptor(backing, descriptor, size, mapped, error, error_size);
        close(descriptor);
    } else {
        ram = map_anonymous(size, mapped, error, error_size);
    }
    if (!ram)
        return NULL;
    madvise(ram, *mapped, MADV_DONTDUMP);
    int why = backing->prealloc ? touch_all(ram, *mapped) : 0;
    if (!why)
        return ram;
    munmap(ram, *mapped);
    return fail(error, error_size, "preallocating guest RAM", NULL, why);
}

/* ---- info memory */

void backing_print(const uint8_t *ram, uint64_t size, FILE *out)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    char line[512];
    uint64_t start, end, value, page = 4, resident = 0, transparent = 0, small = 0, hugetlb = 0,
                                huge_page = 0;
    bool inside = false;

    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
            inside = start < (uintptr_t)ram + size && end > (uintptr_t)ram;
        else if (!inside)
            continue;
        else if (sscanf(line, "KernelPageSize: %" SCNu64, &value) == 1)
            page = value;
        else if (sscanf(line, "Rss: %" SCNu64, &value) == 1)
            resident = value;
        else if (sscanf(line, "AnonHugePages: %" SCNu64, &value) == 1)
            transparent += value, small += resident - (value < resident ? value : resident);
        else if (sscanf(line, "Shared_Hugetlb: %" SCNu64, &value) == 1 ||
                 sscanf(line, "Private_Hugetlb: %" SCNu64, &value) == 1)
            hugetlb += value, huge_page = page;
    }
    if (file)
        fclose(file);
    fprintf(out, "guest RAM: %" PRIu64 " KiB\n", size >> 10);
    fprintf(out, "on pages of 4 KiB: %" PRIu64 " KiB\n", small);
    fprintf(out, "on transparent huge pages: %" PRIu64 " KiB\n", transparent);
    fprintf(out, "on hugetlbfs pages: %" PRIu64 " KiB", hugetlb);
    if (huge_page)
        fprintf(out, ", %" PRIu64 " KiB each", huge_page);
    fputc('\n', out);
}

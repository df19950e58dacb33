/* hearth create FILE SIZE [--format raw|qcow2] [--full]: a disk image; nothing that is there is touched. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "core/log.h"
#include "core/settings.h"

enum { PIECE = 1 << 20, SECTOR = 512, MIB_SHIFT = 20 };

static int usage(void)
{
    fputs(
        "usage: hearth create FILE SIZE [--format raw|qcow2] [--full]\n"
        "SIZE takes the suffixes k, M, G and T; without one it is bytes. --full writes the whole file now.\n",
        stderr);
    return 1;
}

static void progress(uint64_t done, uint64_t size)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%3u %% of %llu MiB", (unsigned)(100 * done / size),
                (unsigned long long)(size >> MIB_SHIFT));
}

static bool fill(int descriptor, uint64_t size)
{
    char *zeros = allocate(PIECE);
    uint64_t done = 0;
    while (done < size) {
        size_t piece = size - done < PIECE ? (size_t)(size - done) : PIECE;
        ssize_t written = write(descriptor, zeros, piece);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            break;
        done += (uint64_t)written;
        progress(done, size);
    }
    int error = errno;
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    free(zeros);
    errno = error;
    return done == size && fsync(descriptor) == 0;
}

static int raw_make(const char *path, uint64_t size, bool full)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0) {
        warn("create: %s: %s%s", path, strerror(errno),
             errno == EEXIST ? "; delete it first, or choose another name" : "");
        return 1;
    }
    if (full ? fill(descriptor, size) : ftruncate(descriptor, (off_t)size) == 0) {
        if (close(descriptor) == 0)
            return 0;
    }
    warn("create: %s: %s", path, strerror(errno));
    unlink(path);
    return 1;
}

int command_create(int argc, char **argv)
{
    const char *path = NULL, *size_text = NULL, *format = "raw";
    bool full = false;
    uint64_t size;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--full"))
            full = true;
        else if (!strcmp(argv[i], "--format") && i + 1 < argc)
            format = argv[++i];
        else if (argv[i][0] == '-' || size_text)
            return usage();
        else if (path)
            size_text = argv[i];
        else
            path = argv[i];
    }
    if (!size_text)
        return usage();
    if (!size_parse(size_text, 1, &size) || !size || size > INT64_MAX - SECTOR) {
        warn("create: '%s' is no size; 8G, 512M and 1474560 are", size_text);
        return 1;
    }
    size = (size + SECTOR - 1) / SECTOR * SECTOR;
    if (!strcmp(format, "raw"))
        return raw_make(path, size, full);
    warn("create: there is no format '%s'; raw is one", format);
    return 1;
}

/*
 * hearth create FILE SIZE [--format raw|qcow2] [--backing FILE [--backing-format F]] [--full]: a disk image; nothing that is
 * there is touched.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands/commands.h"
#include "core/log.h"
#include "core/settings.h"
#include "storage/create.h"

enum { MIB_SHIFT = 20, ERROR_SIZE = 512 };

struct wish {
    const char *path, *size, *format;
    struct create_options options;
};

static int usage(void)
{
    fputs(
        "usage: hearth create FILE SIZE [--format raw|qcow2] [--full]\n"
        "                     [--backing FILE --backing-format raw|qcow2]\n"
        "SIZE takes the suffixes k, M, G and T; without one it is bytes. --full writes the whole file now.\n"
        "--backing (qcow2) shows that image where nothing has been written.\n",
        stderr);
    return 1;
}

static void progress(void *opaque, uint64_t done, uint64_t size)
{
    (void)opaque;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%3u %% of %llu MiB%s", (unsigned)(100 * done / size),
                (unsigned long long)(size >> MIB_SHIFT), done == size ? "\n" : "");
}

/* The options that take a value; NULL: `word` is none of them. */
static const char **value_of(struct wish *wish, const char *word)
{
    if (!strcmp(word, "--format"))
        return &wish->format;
    if (!strcmp(word, "--backing"))
        return &wish->options.backing;
    if (!strcmp(word, "--backing-format"))
        return &wish->options.backing_format;
    return NULL;
}

static bool wish_read(struct wish *wish, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char **value = value_of(wish, argv[i]);
        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (!strcmp(argv[i], "--full"))
            wish->options.full = true;
        else if (argv[i][0] == '-' || wish->size)
            return false;
        else
            *(wish->path ? &wish->size : &wish->path) = argv[i];
    }
    return wish->size;
}

static bool is_format(const char *word)
{
    return !strcmp(word, "raw") || !strcmp(word, "qcow2");
}

/* What the two formats share is judged by storage/create.c. */
static bool wish_check(const struct wish *wish)
{
    const struct create_options *options = &wish->options;
    if (!is_format(wish->format))
        warn("create: there is no format '%s'; there are raw and qcow2", wish->format);
    else if (options->backing && strcmp(wish->format, "qcow2"))
        warn("create: --backing is for --format qcow2");
    else if (options->backing && (!options->backing_format || !is_format(options->backing_format)))
        warn("create: --backing wants --backing-format raw or qcow2: guessing it is not safe");
    else if (options->backing && options->full)
        warn("create: --full would hide the backing file");
    else if (!options->backing && options->backing_format)
        warn("create: --backing-format is for --backing FILE");
    else
        return true;
    return false;
}

int command_create(int argc, char **argv)
{
    struct wish wish = {.format = "raw", .options = {.progress = progress}};
    char error[ERROR_SIZE];

    if (!wish_read(&wish, argc, argv))
        return usage();
    if (!size_parse(wish.size, 1, &wish.options.size) || !wish.options.size) {
        warn("create: '%s' is no size; 8G, 512M and 1474560 are", wish.size);
        return 1;
    }
    if (!wish_check(&wish))
        return 1;
    if ((strcmp(wish.format, "raw") ? qcow2_create : raw_create)(wish.path, &wish.options, error,
                                                                 sizeof(error)))
        return 0;
    warn("create: %s", error);
    return 1;
}

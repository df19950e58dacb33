/*
 * snapshot=on: an empty qcow2 image in a temporary file, with the image behind it. The file has lost its name before the
 * guest runs, so that it goes with hearth however that ends. TMPDIR says where, else /var/tmp, which is seldom in memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "storage/create.h"
#include "storage/qcow2.h"

/* A folder of our own keeps the name out of others' reach while there is one. */
static char *folder_make(void)
{
    const char *parent = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof(path), "%s/hearth-XXXXXX", parent && *parent ? parent : "/var/tmp");
    return mkdtemp(path) ? strdup(path) : NULL;
}

static struct block_device *empty_open(struct block_pool *pool, const char *folder, uint64_t size,
                                       char *error, size_t error_size)
{
    struct create_options creating = {.size = size};
    struct block_options opening = {.format = "qcow2"};
    char path[600];
    snprintf(path, sizeof(path), "%s/overlay", folder);
    opening.file = path;
    if (!qcow2_create(path, &creating, error, error_size))
        return NULL;
    struct block_device *overlay = block_open(pool, &opening, error, error_size);
    unlink(path);
    return overlay;
}

struct block_device *overlay_open(struct block_pool *pool, struct block_device *image, char *error,
                                  size_t error_size)
{
    char *folder = folder_make();
    struct block_device *overlay = NULL;
    if (folder) {
        overlay = empty_open(pool, folder, image->size, error, error_size);
        rmdir(folder);
        free(folder);
    } else {
        snprintf(error, error_size, "no folder for a temporary file (TMPDIR, /var/tmp): %s", strerror(errno));
    }
    if (!overlay) {
        block_close(image);
        return NULL;
    }
    qcow2_of(overlay)->backing = image;
    overlay->no_flush = qcow2_of(overlay)->file->no_flush = true; /* nobody will see it again */
    free(overlay->path);
    overlay->path = strdup(image->path);
    return overlay;
}

/*
 * -fw_cfg: items by name that whoever runs hearth hands to the guest. What is no ordinary file (a pipe) is read to its end.
 * Source of texts and rules: QEMU's manual, "-fw_cfg".
 */
#include "machine/firmware-items.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/settings.h"

enum { ITEM_MOST = 256 << 20, STEP = 64 << 10 };

/* To the end of the file, or one byte more than an item may have. False with errno. */
static bool read_all(int descriptor, uint8_t **bytes, size_t *size)
{
    size_t space = 0;
    for (ssize_t got = 1; got && *size <= ITEM_MOST;) {
        if (space - *size < STEP) {
            space = 2 * space + STEP;
            uint8_t *more = realloc(*bytes, space);
            if (!more)
                return false;
            *bytes = more;
        }
        got = read(descriptor, *bytes + *size, space - *size);
        if (got < 0 && errno != EINTR)
            return false;
        *size += got > 0 ? (size_t)got : 0;
        got = got < 0 ? 1 : got;
    }
    return true;
}

static void file_add(struct fwcfg *fwcfg, struct settings *settings, const char *name, const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    uint8_t *bytes = NULL;
    size_t size = 0;

    if (descriptor < 0 || !read_all(descriptor, &bytes, &size))
        settings_refuse(settings, "can't load %s: %s", path, strerror(errno));
    else if (size > ITEM_MOST)
        settings_refuse(settings, "%s: an item has at most %d MiB", path, ITEM_MOST >> 20);
    else
        fwcfg_add_file(fwcfg, name, bytes, size);
    free(bytes);
    if (descriptor >= 0)
        close(descriptor);
}

static void item_add(struct fwcfg *fwcfg, struct settings *settings)
{
    const char *name = settings_text(settings, "name", ""), *file = settings_text(settings, "file", ""),
               *string = settings_text(settings, "string", "");

    if (!*name || (!*file && !*string))
        settings_refuse(settings, "it needs name=, and file= or string=");
    else if (*file && *string)
        settings_refuse(settings, "file and string are mutually exclusive");
    else if (strlen(name) > FWCFG_FILE_NAME_SIZE - 1)
        settings_refuse(settings, "name too long (max. %d char)", FWCFG_FILE_NAME_SIZE - 1);
    else if (fwcfg_has_file(fwcfg, name))
        settings_refuse(settings, "duplicate fw_cfg file name: %s", name);
    if (settings_error(settings))
        return;
    if (strncmp(name, "opt/", 4))
        warn("warning: externally provided fw_cfg item names should be prefixed with \"opt/\"");
    if (*file)
        file_add(fwcfg, settings, name, file);
    else
        fwcfg_add_file(fwcfg, name, string, strlen(string));
}

void firmware_items_add(struct settings *list, struct fwcfg *fwcfg)
{
    for (struct settings *at = list; at; at = settings_next(at)) {
        item_add(fwcfg, at);
        if (settings_error(at))
            die("%s", settings_error(at));
    }
}

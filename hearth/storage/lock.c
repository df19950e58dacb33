/*
 * Two machines on one image are kept apart by open file description locks on the bytes QEMU uses, so that it and hearth
 * respect each other (QEMU's docs/system/images, "image locking"). The locks go with their process, however it ends.
 */
#include "storage/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Each byte is a statement, held by a shared lock; who minds tests for it with an exclusive one. */
enum lock_byte {
    LOCK_READS = 100,      /* "I read" */
    LOCK_WRITES = 101,     /* "I write" */
    LOCK_NO_WRITERS = 201, /* "nobody else may write" */
};

static bool lock_state(int descriptor, enum lock_byte byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
}

static bool lock_stated_by_another(int descriptor, enum lock_byte byte)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* States first and looks then, so that of two at once at most one succeeds. */
bool image_lock(int descriptor, const char *path, bool read_only, char *error, size_t error_size)
{
    bool stated = lock_state(descriptor, LOCK_READS) && lock_state(descriptor, LOCK_NO_WRITERS) &&
                  (read_only || lock_state(descriptor, LOCK_WRITES));
    const char *refused = NULL;

    if (!stated && errno != EAGAIN && errno != EACCES) {
        snprintf(error, error_size,
                 "%s: the file system has no locks (%s): mind that nobody else uses the image", path,
                 strerror(errno));
        return true;
    }
    if (!stated || lock_stated_by_another(descriptor, LOCK_WRITES))
        refused = read_only ? "shared \"write\"" : "\"write\"";
    else if (!read_only && lock_stated_by_another(descriptor, LOCK_NO_WRITERS))
        refused = "\"write\"";
    if (refused)
        snprintf(error, error_size, "Failed to get %s lock: Is another process using the image [%s]?",
                 refused, path);
    return !refused;
}

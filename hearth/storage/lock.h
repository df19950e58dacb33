/* Locks between machines that use the same image. */
#ifndef STORAGE_LOCK_H
#define STORAGE_LOCK_H

#include <stdbool.h>
#include <stddef.h>

/* False with one line in `error` if another uses the image in a way that does not go with this. True may leave a remark there:
 * not every file system has locks. */
bool image_lock(int descriptor, const char *path, bool read_only, char *error, size_t error_size);

#endif

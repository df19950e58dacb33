/* Going through the pieces of a request. */
#ifndef STORAGE_PIECES_H
#define STORAGE_PIECES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { PIECES_AT_ONCE = 64 };

struct cursor {
    const struct iovec *pieces;
    unsigned count;
    size_t skip; /* bytes of the first piece that are done */
};

uint64_t pieces_size(const struct iovec *pieces, unsigned count);

/* The next pieces: at most PIECES_AT_ONCE of them and `most` bytes. Answers how many; 0 at the end. */
int cursor_peek(const struct cursor *cursor, struct iovec *next, size_t most);
void cursor_advance(struct cursor *cursor, size_t size);

/* These go on by `size` bytes, which there are. */
void cursor_clear(struct cursor *cursor, size_t size);
void cursor_put(struct cursor *cursor, const void *from, size_t size);
void cursor_get(struct cursor *cursor, void *to, size_t size);

#endif

#include "storage/pieces.h"

#include <string.h>

uint64_t pieces_size(const struct iovec *pieces, unsigned count)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return size;
}

int cursor_peek(const struct cursor *cursor, struct iovec *next, size_t most)
{
    int count = 0;
    for (unsigned i = 0; i < cursor->count && count < PIECES_AT_ONCE && most; i++) {
        size_t skip = i ? 0 : cursor->skip;
        next[count] =
            (struct iovec){(uint8_t *)cursor->pieces[i].iov_base + skip, cursor->pieces[i].iov_len - skip};
        if (next[count].iov_len > most)
            next[count].iov_len = most;
        most -= next[count++].iov_len;
    }
    return count;
}

void cursor_advance(struct cursor *cursor, size_t size)
{
    size += cursor->skip;
    while (cursor->count && size >= cursor->pieces->iov_len) {
        size -= cursor->pieces->iov_len;
        cursor->pieces++;
        cursor->count--;
    }
    cursor->skip = size;
}

enum way { WAY_CLEAR, WAY_PUT, WAY_GET };

static void go(struct cursor *cursor, enum way way, uint8_t *bytes, size_t size)
{
    struct iovec next[PIECES_AT_ONCE];
    int count;
    for (; (count = cursor_peek(cursor, next, size));
         cursor_advance(cursor, pieces_size(next, (unsigned)count))) {
        for (int i = 0; i < count; i++) {
            size_t length = next[i].iov_len;
            if (way == WAY_CLEAR)
                memset(next[i].iov_base, 0, length);
            else if (way == WAY_PUT)
                memcpy(next[i].iov_base, bytes, length);
            else
                memcpy(bytes, next[i].iov_base, length);
            bytes = bytes ? bytes + length : NULL;
            size -= length;
        }
    }
}

void cursor_clear(struct cursor *cursor, size_t size)
{
    go(cursor, WAY_CLEAR, NULL, size);
}

void cursor_put(struct cursor *cursor, const void *from, size_t size)
{
    go(cursor, WAY_PUT, (uint8_t *)from, size);
}

void cursor_get(struct cursor *cursor, void *to, size_t size)
{
    go(cursor, WAY_GET, to, size);
}

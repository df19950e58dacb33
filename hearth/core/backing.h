/*
 * Where guest RAM comes from: anonymous memory on transparent huge pages where the host has them, a file on hugetlbfs or
 * elsewhere, a memfd. What cannot be had is refused here, with numbers, so that the guest meets no SIGBUS later.
 */
#ifndef CORE_BACKING_H
#define CORE_BACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct backing {
    const char *path; /* a directory or a file; NULL: none */
    bool memfd;
    bool hugetlb;       /* of a memfd */
    uint64_t page_size; /* for hugetlb; 0: the host's usual one */
    bool share;         /* what the guest writes goes to the file */
    bool prealloc;      /* touch every page now, by several threads */
};

/* Maps `size` bytes, zeroed but for what a file holds; *mapped is what munmap() takes. NULL with one line in error. */
uint8_t *backing_map(const struct backing *backing, uint64_t size, uint64_t *mapped, char *error,
                     size_t error_size);

/* `info memory`: how much of the RAM is resident, on which page size. */
void backing_print(const uint8_t *ram, uint64_t size, FILE *out);

#endif

/*
 * Guest memory for I/O that goes on while the guest runs: a list of host pieces, each checked when it is added.
 *
 * Pieces of RAM are used as they are: RAM stays where it is as long as the machine, whatever becomes of the map. All
 * else (video memory, shadowed ROM) is bounced. Machine lock held for every function; the pieces themselves may be read
 * and written by any thread between the last scatter_add() and scatter_end().
 */
#ifndef CORE_SCATTER_H
#define CORE_SCATTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/memory.h"

struct scatter;

/* For `most` pieces. `to_memory`: the guest is to read what comes, else it has written what goes. */
struct scatter *scatter_create(struct memory *memory, unsigned most);
void scatter_destroy(struct scatter *scatter); /* not between begin and end */

void scatter_begin(struct scatter *scatter, bool to_memory);
/* Adds guest memory at the end; neighbours become one piece. False, and nothing added, if not all of it is memory (of the
 * kind that can be written, if it is to be), the list is full, or more than 1 MiB would have to be bounced. */
bool scatter_add(struct scatter *scatter, uint64_t address, uint64_t size);
/* The list as it stands; valid until the next scatter_add(). */
const struct iovec *scatter_pieces(const struct scatter *scatter, unsigned *count);
uint64_t scatter_size(const struct scatter *scatter);
/* Leaves the first `size` bytes of what the list has; of guests' data, not for `to_memory`. */
void scatter_cut(struct scatter *scatter, uint64_t size);
/* The I/O is over. The first `moved` bytes have come: what was bounced goes to memory, and the engine is told of them. */
void scatter_end(struct scatter *scatter, uint64_t moved);

#endif

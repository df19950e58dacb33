/*
 * The threads that do blocking I/O for block devices, and the way back: what they have done is called on the event
 * loop's thread, with the machine lock held.
 */
#ifndef STORAGE_POOL_H
#define STORAGE_POOL_H

#include "core/clock.h"
#include "host/loop.h"
#include "storage/block.h"

/* Threads come with the first requests, up to eight. With a clock there are none: requests are carried out where they are
 * submitted, and `done` is called at a time of the clock that depends on nothing else. Without a loop and a clock: pool_wait() does the work itself, a
 * request a call, in the order they came (for tests). */
struct block_pool *pool_create(struct loop *loop, struct clock *clock);
/* Nothing is in flight. */
void pool_destroy(struct block_pool *pool);

/* Any thread with the machine lock. */
void pool_submit(struct block_pool *pool, struct block_request *request);
/* Something is in flight: waits until at least one request has ended and calls its `done`. On the loop's thread. */
void pool_wait(struct block_pool *pool);
/* Until nothing is in flight, whatever `done` submits. On the loop's thread. */
void pool_drain(struct block_pool *pool);

#endif

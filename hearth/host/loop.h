/*
 * The event loop of the main thread: file descriptors and what to do when they are ready. It polls without the
 * machine lock and runs every callback with it held.
 */
#ifndef HOST_LOOP_H
#define HOST_LOOP_H

#include <pthread.h>
#include <stdbool.h>

struct loop;

/* `lock` is held around callbacks; NULL for none. NULL with errno if the host refuses. */
struct loop *loop_create(pthread_mutex_t *lock);
void loop_destroy(struct loop *loop);

typedef void loop_function(void *opaque, int descriptor, short revents);

/* Watches a descriptor for poll() events; watching it again replaces events and callback. Does not own it.
 * Regular files and others that cannot be polled are simply always ready. Machine lock held, any thread. */
void loop_watch(struct loop *loop, int descriptor, short events, loop_function *ready, void *opaque);
/* Safe from within a callback, also for others. Afterwards the callback is not called again. */
void loop_unwatch(struct loop *loop, int descriptor);

/* Calls `tick` about every `milliseconds` while the loop runs (screen refresh). 0 stops it. One tick for each opaque. */
void loop_every(struct loop *loop, unsigned milliseconds, void (*tick)(void *opaque), void *opaque);

/*
 * Somebody whose descriptors change from round to round (libslirp). `prepare` is called before each poll(): it names its
 * descriptors with loop_poll_add() and may shorten *timeout (milliseconds, -1 for ever). `polled` is called after each and
 * reads the answers with loop_poll_events().
 */
struct loop_poller {
    void *opaque;
    void (*prepare)(void *opaque, struct loop *loop, int *timeout);
    void (*polled)(void *opaque, struct loop *loop);
};

/* Copied; one for each opaque. Machine lock held, any thread. */
void loop_add_poller(struct loop *loop, const struct loop_poller *poller);
void loop_remove_poller(struct loop *loop, const void *opaque);
/* Answers the index for loop_poll_events() after the poll. */
int loop_poll_add(struct loop *loop, int descriptor, short events);
short loop_poll_events(const struct loop *loop, int index);

/* One poll() and what follows from it; lock held. */
void loop_run_once(struct loop *loop);
/* Runs until loop_quit(). */
void loop_run(struct loop *loop);
/* Any thread, also a signal handler. loop_run() returns after the callbacks under way. */
void loop_quit(struct loop *loop);
/* Any thread: makes poll() return so that changed watches are seen. */
void loop_wake(struct loop *loop);

#endif

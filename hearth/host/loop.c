/*
 * The event loop on poll(2): a dozen descriptors as a rule, so a plain array does. An eventfd wakes it.
 */
#include "host/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"

enum { WATCHES_MOST = 64, TICKS_MOST = 8, POLLERS_MOST = 16 };

struct watch {
    int descriptor; /* -1: free */
    short events;
    loop_function *ready;
    void *opaque;
};

struct tick {
    unsigned milliseconds; /* 0: free */
    uint64_t due;
    void (*function)(void *opaque);
    void *opaque;
};

struct loop {
    pthread_mutex_t *lock;
    int wake;
    _Atomic bool quit;
    struct watch watches[WATCHES_MOST];
    struct tick ticks[TICKS_MOST];
    struct loop_poller pollers[POLLERS_MOST]; /* opaque NULL: free */
    struct pollfd *polled;                    /* this round's */
    size_t polled_count, polled_room;
};

struct loop *loop_create(pthread_mutex_t *lock)
{
    struct loop *loop = allocate(sizeof(*loop));
    loop->lock = lock;
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake < 0) {
        int error = errno;
        free(loop);
        errno = error;
        return NULL;
    }
    for (int i = 0; i < WATCHES_MOST; i++)
        loop->watches[i].descriptor = -1;
    return loop;
}

void loop_destroy(struct loop *loop)
{
    close(loop->wake);
    free(loop->polled);
    free(loop);
}

static struct watch *watch_find(struct loop *loop, int descriptor)
{
    for (int i = 0; i < WATCHES_MOST; i++)
        if (loop->watches[i].descriptor == descriptor)
            return &loop->watches[i];
    return NULL;
}

void loop_watch(struct loop *loop, int descriptor, short events, loop_function *ready, void *opaque)
{
    struct watch *watch = watch_find(loop, descriptor);
    if (!watch)
        watch = watch_find(loop, -1);
    if (!watch) {
        warn("more than %d open connections: one is left unserved", WATCHES_MOST);
        return;
    }
    *watch = (struct watch){descriptor, events, ready, opaque};
    loop_wake(loop);
}

void loop_unwatch(struct loop *loop, int descriptor)
{
    struct watch *watch = watch_find(loop, descriptor);
    if (watch)
        *watch = (struct watch){.descriptor = -1};
}

static uint64_t milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void loop_every(struct loop *loop, unsigned milliseconds, void (*function)(void *opaque), void *opaque)
{
    struct tick *place = NULL;
    for (int i = 0; i < TICKS_MOST; i++) {
        struct tick *tick = &loop->ticks[i];
        if (tick->milliseconds && tick->function == function && tick->opaque == opaque)
            place = tick;
        else if (!tick->milliseconds && !place)
            place = tick;
    }
    if (!place)
        return;
    *place = (struct tick){milliseconds, milliseconds_now() + milliseconds, function, opaque};
    loop_wake(loop);
}

/* Milliseconds until the next tick, -1 for none. */
static int ticks_timeout(struct loop *loop)
{
    uint64_t now = milliseconds_now(), nearest = UINT64_MAX;
    for (int i = 0; i < TICKS_MOST; i++)
        if (loop->ticks[i].milliseconds && loop->ticks[i].due < nearest)
            nearest = loop->ticks[i].due;
    if (nearest == UINT64_MAX)
        return -1;
    return nearest <= now ? 0 : (int)(nearest - now);
}

static void ticks_run(struct loop *loop)
{
    uint64_t now = milliseconds_now();
    for (int i = 0; i < TICKS_MOST; i++) {
        struct tick *tick = &loop->ticks[i];
        if (!tick->milliseconds || tick->due > now)
            continue;
        tick->due = now + tick->milliseconds;
        tick->function(tick->opaque);
    }
}

/* ---- pollers */

static struct loop_poller *poller_find(struct loop *loop, const void *opaque)
{
    for (int i = 0; i < POLLERS_MOST; i++)
        if (loop->pollers[i].opaque == opaque)
            return &loop->pollers[i];
    return NULL;
}

void loop_add_poller(struct loop *loop, const struct loop_poller *poller)
{
    struct loop_poller *place = poller_find(loop, poller->opaque);
    if (!place)
        place = poller_find(loop, NULL);
    if (!place) {
        warn("more than %d networks: one is left unserved", POLLERS_MOST);
        return;
    }
    *place = *poller;
    loop_wake(loop);
}

void loop_remove_poller(struct loop *loop, const void *opaque)
{
    struct loop_poller *place = poller_find(loop, opaque);
    if (place)
        *place = (struct loop_poller){0};
}

int loop_poll_add(struct loop *loop, int descriptor, short events)
{
    if (loop->polled_count == loop->polled_room) {
        size_t room = loop->polled_room ? 2 * loop->polled_room : WATCHES_MOST;
        struct pollfd *polled = allocate(room * sizeof(*polled));
        if (loop->polled_count)
            memcpy(polled, loop->polled, loop->polled_count * sizeof(*polled));
        free(loop->polled);
        loop->polled = polled;
        loop->polled_room = room;
    }
    loop->polled[loop->polled_count] = (struct pollfd){descriptor, events, 0};
    return (int)loop->polled_count++;
}

short loop_poll_events(const struct loop *loop, int index)
{
    return index >= 0 && (size_t)index < loop->polled_count ? loop->polled[index].revents : 0;
}

/* ---- a round */

static void watches_run(struct loop *loop, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pollfd polled = loop->polled[i];
        if (!polled.revents)
            continue;
        /* An earlier callback may have taken this one away. */
        struct watch *watch = watch_find(loop, polled.fd);
        if (watch)
            watch->ready(watch->opaque, polled.fd, polled.revents);
    }
}

static void wake_clear(struct loop *loop)
{
    uint64_t value;
    while (read(loop->wake, &value, sizeof(value)) < 0 && errno == EINTR) {
    }
}

void loop_run_once(struct loop *loop)
{
    loop->polled_count = 0;
    loop_poll_add(loop, loop->wake, POLLIN);
    for (int i = 0; i < WATCHES_MOST; i++)
        if (loop->watches[i].descriptor >= 0)
            loop_poll_add(loop, loop->watches[i].descriptor, loop->watches[i].events);
    size_t watched = loop->polled_count;
    int timeout = ticks_timeout(loop);
    for (int i = 0; i < POLLERS_MOST; i++)
        if (loop->pollers[i].opaque)
            loop->pollers[i].prepare(loop->pollers[i].opaque, loop, &timeout);

    if (loop->lock)
        pthread_mutex_unlock(loop->lock);
    int ready = poll(loop->polled, (nfds_t)loop->polled_count, timeout);
    if (loop->lock)
        pthread_mutex_lock(loop->lock);

    if (ready < 0)
        for (size_t i = 0; i < loop->polled_count; i++)
            loop->polled[i].revents = 0;
    if (loop->polled[0].revents)
        wake_clear(loop);
    watches_run(loop, watched);
    for (int i = 0; i < POLLERS_MOST; i++)
        if (loop->pollers[i].opaque)
            loop->pollers[i].polled(loop->pollers[i].opaque, loop);
    ticks_run(loop);
}

void loop_run(struct loop *loop)
{
    if (loop->lock)
        pthread_mutex_lock(loop->lock);
    while (!loop->quit)
        loop_run_once(loop);
    if (loop->lock)
        pthread_mutex_unlock(loop->lock);
}

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    while (write(loop->wake, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

void loop_quit(struct loop *loop)
{
    loop->quit = true;
    loop_wake(loop);
}

/*
 * One queue, one list of what is done, one mutex for both. The eventfd wakes the loop when the list is no longer empty.
 */
#include "storage/pool.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/log.h"

enum { THREADS_MOST = 8, STACK_SIZE = 256 << 10 };

struct list {
    struct block_request *first, **end;
    unsigned count;
};

struct block_pool {
    struct loop *loop;
    struct timer *timer; /* in place of threads */
    struct clock *clock;
    int event;
    pthread_mutex_t lock;
    pthread_cond_t queued_any, done_any;
    struct list queued, done;
    unsigned flying; /* submitted, and `done` not called yet; machine lock */
    unsigned threads, idle;
    bool quit;
    pthread_t thread[THREADS_MOST];
};

static void list_append(struct list *list, struct block_request *request)
{
    request->next = NULL;
    *list->end = request;
    list->end = &request->next;
    list->count++;
}

static struct block_request *list_take(struct list *list)
{
    struct block_request *request = list->first;
    if (!request)
        return NULL;
    list->first = request->next;
    if (!list->first)
        list->end = &list->first;
    list->count--;
    return request;
}

enum { TIMED_LATENCY = 50000 }; /* nanoseconds */

/* To call `done` soon. */
static void wake_loop(struct block_pool *pool)
{
    if (pool->timer) {
        timer_arm(pool->timer, clock_now(pool->clock) + TIMED_LATENCY);
        return;
    }
    uint64_t one = 1;
    while (write(pool->event, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

/* ---- worker threads */

static void work(struct block_pool *pool, struct block_request *request)
{
    pthread_mutex_unlock(&pool->lock);
    block_perform(request);
    pthread_mutex_lock(&pool->lock);
    list_append(&pool->done, request);
    pthread_cond_signal(&pool->done_any);
    if (pool->done.count == 1)
        wake_loop(pool);
}

static void *thread_run(void *opaque)
{
    struct block_pool *pool = opaque;
    struct block_request *request;

    pthread_mutex_lock(&pool->lock);
    while (!pool->quit) {
        if ((request = list_take(&pool->queued))) {
            work(pool, request);
            continue;
        }
        pool->idle++;
        pthread_cond_wait(&pool->queued_any, &pool->lock);
        pool->idle--;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* A host that allows no more threads than there are leaves the work to those; the first one it has to allow. */
static void thread_add(struct block_pool *pool)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = pthread_create(&pool->thread[pool->threads], &attributes, thread_run, pool);
    pthread_attr_destroy(&attributes);
    if (!error)
        pthread_setname_np(pool->thread[pool->threads++], "disk");
    else if (!pool->threads)
        die("cannot start a thread for disk I/O: %s", strerror(error));
}

/* ---- the loop's side */

static struct block_request *done_take(struct block_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct block_request *request = list_take(&pool->done);
    pthread_mutex_unlock(&pool->lock);
    return request;
}

static unsigned done_count(struct block_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned count = pool->done.count;
    pthread_mutex_unlock(&pool->lock);
    return count;
}

/* Calls `done` for what is on the list now; what came meanwhile waits for the loop's next round, so that the vCPUs get a
 * chance at the lock. Each is taken off by itself: a `done` may wait for others. */
static void finish(struct block_pool *pool)
{
    unsigned count = done_count(pool);
    struct block_request *request;

    for (; count && (request = done_take(pool)); count--) {
        pool->flying--;
        request->block->flying--;
        block_report(request);
        request->done(request);
    }
    if (done_count(pool))
        wake_loop(pool);
}

static void event_arrived(void *opaque, int descriptor, short revents)
{
    uint64_t count;
    (void)revents;
    while (read(descriptor, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    finish(opaque);
}

static void timer_fired(void *opaque)
{
    finish(opaque);
}

struct block_pool *pool_create(struct loop *loop, struct clock *clock)
{
    struct block_pool *pool = allocate(sizeof(*pool));
    pool->loop = loop;
    pool->clock = clock;
    pool->timer = clock ? timer_create_on(clock, timer_fired, pool) : NULL;
    pool->queued.end = &pool->queued.first;
    pool->done.end = &pool->done.first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->queued_any, NULL);
    pthread_cond_init(&pool->done_any, NULL);
    pool->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->event < 0)
        die("cannot create an event for disk I/O: %s", strerror(errno));
    if (loop)
        loop_watch(loop, pool->event, POLLIN, event_arrived, pool);
    return pool;
}

void pool_destroy(struct block_pool *pool)
{
    if (!pool)
        return;
    assert(!pool->flying);
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->queued_any);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    timer_destroy(pool->timer);
    if (pool->loop)
        loop_unwatch(pool->loop, pool->event);
    close(pool->event);
    pthread_cond_destroy(&pool->queued_any);
    pthread_cond_destroy(&pool->done_any);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void pool_submit(struct block_pool *pool, struct block_request *request)
{
    pool->flying++;
    pthread_mutex_lock(&pool->lock);
    list_append(&pool->queued, request);
    if (pool->timer)
        work(pool, list_take(&pool->queued));
    else if (pool->loop && pool->queued.count > pool->idle && pool->threads < THREADS_MOST)
        thread_add(pool);
    else
        pthread_cond_signal(&pool->queued_any);
    pthread_mutex_unlock(&pool->lock);
}

void pool_wait(struct block_pool *pool)
{
    assert(pool->flying);
    pthread_mutex_lock(&pool->lock);
    if (!pool->loop && pool->queued.first) {
        struct block_request *request = list_take(&pool->queued);
        work(pool, request);
    }
    while (!pool->done.first)
        pthread_cond_wait(&pool->done_any, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    finish(pool);
}

void pool_drain(struct block_pool *pool)
{
    while (pool->flying)
        pool_wait(pool);
}

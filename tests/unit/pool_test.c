/* Block requests and the threads that carry them out. */
#include "unit/unit.h"

#include <pthread.h>
#include <unistd.h>

#include "core/lock.h"
#include "storage/pool.h"
#include "unit/image.h"

enum { REQUESTS = 500, SECTORS = 64 };

/* Answers after a millisecond, and counts how many are asked at a time. */
struct slow {
    struct block_device block;
    pthread_mutex_t lock;
    unsigned now, most, asked, flushes;
    int result;
};

struct job {
    struct block_request request;
    struct iovec piece;
    uint8_t bytes[SECTOR_SIZE];
    unsigned ends;
};

static struct loop *loop;
static struct block_pool *pool;
static pthread_t loop_thread;
static struct slow slow;
static unsigned ended, again;

static int slow_work(struct block_device *block)
{
    struct slow *device = (struct slow *)block;
    pthread_mutex_lock(&device->lock);
    device->asked++;
    if (++device->now > device->most)
        device->most = device->now;
    pthread_mutex_unlock(&device->lock);
    usleep(1000);
    pthread_mutex_lock(&device->lock);
    device->now--;
    pthread_mutex_unlock(&device->lock);
    return device->result;
}

static int slow_transfer(struct block_device *block, uint64_t offset, const struct iovec *pieces,
                         unsigned count)
{
    (void)offset, (void)pieces, (void)count;
    return slow_work(block);
}

static const struct block_ops slow_ops = {
    .format = "slow", .read = slow_transfer, .write = slow_transfer, .flush = slow_work};

static int setup(void **state)
{
    (void)state;
    loop = loop_create(&machine_mutex);
    loop_thread = pthread_self();
    machine_lock();
    pool = pool_create(loop, NULL);
    machine_unlock();
    slow = (struct slow){
        .block = {.ops = &slow_ops, .pool = pool, .size = SECTORS * SECTOR_SIZE, .path = "slow"},
        .lock = PTHREAD_MUTEX_INITIALIZER};
    ended = again = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_lock();
    pool_destroy(pool);
    machine_unlock();
    loop_destroy(loop);
    return 0;
}

static void job_ended(struct block_request *request)
{
    struct job *job = request->opaque;
    assert_true(pthread_equal(pthread_self(), loop_thread));
    assert_int_equal(pthread_mutex_trylock(&machine_mutex), EBUSY);
    job->ends++;
    if (++ended == REQUESTS)
        loop_quit(loop);
    if (again) {
        again--;
        block_submit(request);
    }
}

static void job_submit(struct job *job, struct block_device *block, enum block_operation operation,
                       uint64_t offset)
{
    job->piece = (struct iovec){job->bytes, sizeof(job->bytes)};
    job->request = (struct block_request){.block = block,
                                          .operation = operation,
                                          .offset = offset,
                                          .pieces = &job->piece,
                                          .count = operation == BLOCK_FLUSH ? 0 : 1,
                                          .done = job_ended,
                                          .opaque = job,
                                          .result = 1};
    block_submit(&job->request);
}

static void many_at_a_time(void **state)
{
    struct job *jobs = calloc(REQUESTS, sizeof(*jobs));
    (void)state;
    machine_lock();
    for (unsigned i = 0; i < REQUESTS; i++)
        job_submit(&jobs[i], &slow.block, i % 3, i % SECTORS * SECTOR_SIZE);
    assert_int_equal(ended, 0);
    machine_unlock();
    loop_run(loop);
    for (unsigned i = 0; i < REQUESTS; i++) {
        assert_int_equal(jobs[i].ends, 1);
        assert_int_equal(jobs[i].request.result, 0);
    }
    assert_int_equal(slow.asked, REQUESTS);
    assert_in_range(slow.most, 2, 8);
    assert_int_equal(slow.block.flying, 0);
    free(jobs);
}

static void drain_waits_for_what_comes_of_it_too(void **state)
{
    struct job jobs[20];
    (void)state;
    machine_lock();
    memset(jobs, 0, sizeof(jobs));
    again = 30;
    for (unsigned i = 0; i < 20; i++)
        job_submit(&jobs[i], &slow.block, BLOCK_WRITE, 0);
    block_drain(&slow.block);
    assert_int_equal(ended, 50);
    for (unsigned i = 0; i < 20; i++)
        job_submit(&jobs[i], &slow.block, BLOCK_READ, 0);
    pool_drain(pool);
    assert_int_equal(ended, 70);
    machine_unlock();
}

static void one_device_is_drained_beside_another(void **state)
{
    struct image *image = image_create(pool, SECTORS, SECTOR_SIZE);
    struct job jobs[40];
    (void)state;
    machine_lock();
    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < 40; i++)
        job_submit(&jobs[i], i % 2 ? &slow.block : &image->block, BLOCK_READ, i * SECTOR_SIZE);
    block_drain(&image->block);
    for (unsigned i = 0; i < 40; i += 2)
        assert_int_equal(jobs[i].bytes[4], i);
    block_drain(&slow.block);
    machine_unlock();
    image_free(image);
}

static void what_the_device_does_not_have_is_refused(void **state)
{
    struct image *image = image_create(pool, SECTORS, SECTOR_SIZE);
    static const struct {
        enum block_operation operation;
        uint64_t offset;
        int result;
    } cases[] = {{BLOCK_READ, (SECTORS - 1) * SECTOR_SIZE, 0},
                 {BLOCK_READ, SECTORS * SECTOR_SIZE, -EIO},
                 {BLOCK_READ, SECTORS * SECTOR_SIZE - 1, -EIO},
                 {BLOCK_READ, UINT64_MAX, -EIO},
                 {BLOCK_READ, UINT64_MAX - SECTOR_SIZE + 1, -EIO},
                 {BLOCK_WRITE, 0, -EROFS},
                 {BLOCK_FLUSH, 0, 0}};
    (void)state;
    machine_lock();
    image->block.read_only = true;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job job = {0};
        job_submit(&job, &image->block, cases[i].operation, cases[i].offset);
        block_drain(&image->block);
        assert_int_equal(job.request.result, cases[i].result);
    }
    assert_int_equal(image->flushes, 0);
    machine_unlock();
    image_free(image);
}

static void failures_reach_the_submitter(void **state)
{
    struct job jobs[3] = {0};
    (void)state;
    machine_lock();
    slow.result = -ENOSPC;
    for (unsigned i = 0; i < 3; i++)
        job_submit(&jobs[i], &slow.block, i, 0);
    pool_drain(pool);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(jobs[i].request.result, -ENOSPC);
    assert_true(slow.block.failed);
    machine_unlock();
}

/* Carried out at once; told of at a time of the clock. */
static void a_stepped_clock_takes_the_place_of_threads(void **state)
{
    struct job jobs[3] = {0};
    struct clock *clock = clock_create();
    (void)state;
    machine_lock();
    clock_step(clock, 1000);
    slow.block.pool = pool_create(loop, clock);
    for (unsigned i = 0; i < 3; i++)
        job_submit(&jobs[i], &slow.block, i, 0);
    assert_int_equal(slow.asked, 3);
    assert_int_equal(ended, 0);
    clock_step(clock, clock_next(clock) - 1);
    assert_int_equal(ended, 0);
    again = 1;
    clock_step(clock, clock_next(clock));
    assert_int_equal(ended, 3);
    assert_int_equal(slow.asked, 4);
    pool_drain(slow.block.pool);
    assert_int_equal(ended, 4);
    pool_destroy(slow.block.pool);
    machine_unlock();
    clock_destroy(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(many_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(drain_waits_for_what_comes_of_it_too, setup, teardown),
        cmocka_unit_test_setup_teardown(one_device_is_drained_beside_another, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_device_does_not_have_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(failures_reach_the_submitter, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stepped_clock_takes_the_place_of_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "unit/unit.h"

#include <poll.h>

#include "core/clock.h"

static unsigned order[8], fired;

static void note(void *opaque)
{
    order[fired++] = *(unsigned *)opaque;
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    static unsigned one = 1, two = 2, three = 3;
    struct clock *clock = clock_create();
    struct timer *a = timer_create_on(clock, note, &one);
    struct timer *b = timer_create_on(clock, note, &two);
    struct timer *c = timer_create_on(clock, note, &three);
    fired = 0;
    clock_step(clock, 0);
    timer_arm(a, 300);
    timer_arm(b, 100);
    timer_arm(c, 200);
    timer_arm(a, 150);
    timer_disarm(c);
    clock_step(clock, 99);
    assert_int_equal(fired, 0);
    clock_step(clock, 1000);
    assert_int_equal(fired, 2);
    assert_int_equal(order[0], 2);
    assert_int_equal(order[1], 1);
    timer_destroy(a);
    timer_destroy(b);
    timer_destroy(c);
    clock_destroy(clock);
}

static void a_stepped_clock_moves_as_it_is_told(void **state)
{
    (void)state;
    static unsigned one = 1;
    struct clock *clock = clock_create();
    struct timer *timer = timer_create_on(clock, note, &one);
    fired = 0;
    clock_step(clock, 0);
    assert_true(clock_next(clock) == CLOCK_NEVER);
    timer_arm(timer, 500);
    assert_int_equal(clock_next(clock), 500);
    clock_start(clock);
    assert_int_equal(clock_now(clock), 0);
    clock_reach(clock, 700); /* a reader passes it by */
    assert_int_equal(clock_now(clock), 700);
    assert_int_equal(fired, 0);
    clock_reach(clock, 600);
    assert_int_equal(clock_now(clock), 700);
    clock_step(clock, 700);
    assert_int_equal(fired, 1);
    timer_destroy(timer);
    clock_destroy(clock);
}

static void a_stopped_clock_stands(void **state)
{
    (void)state;
    static unsigned one = 1;
    struct clock *clock = clock_create();
    struct timer *timer = timer_create_on(clock, note, &one);
    fired = 0;
    assert_int_equal(clock_now(clock), 0);
    timer_arm(timer, 1);
    struct pollfd wait = {clock_descriptor(clock), POLLIN, 0};
    assert_int_equal(poll(&wait, 1, 20), 0);
    clock_start(clock);
    assert_int_equal(poll(&wait, 1, 10000), 1);
    clock_run_due(clock);
    assert_int_equal(fired, 1);
    clock_stop(clock);
    uint64_t then = clock_now(clock);
    assert_true(then > 0);
    assert_int_equal(poll(&wait, 1, 20), 0);
    assert_int_equal(clock_now(clock), then);
    clock_start(clock);
    assert_true(clock_now(clock) >= then);
    timer_destroy(timer);
    clock_destroy(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_deadlines),
        cmocka_unit_test(a_stepped_clock_moves_as_it_is_told),
        cmocka_unit_test(a_stopped_clock_stands),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}

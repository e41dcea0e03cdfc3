/* What the tests of io share: a loop that is freed (and so checked) after each test, and a guard
 * that fails a test which waits for what never comes. */
#ifndef HAWSER_TESTS_IO_FIXTURE_H
#define HAWSER_TESTS_IO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"

#define GUARD_MS 60000

struct fixture {
    struct io_loop *loop;
    struct io_timer *guard;
    int pending; /* events awaited; fixture_event() counts them down */
};

static inline void fixture_guard(void *arg)
{
    (void)arg;
    fail_msg("waited %d ms in vain", GUARD_MS);
}

static inline int fixture_setup(void **state)
{
    static struct fixture fixture;
    struct error err;

    fixture = (struct fixture){0};
    assert_int_equal(io_loop_new(&fixture.loop, &err), 0);
    assert_int_equal(io_timer_new(fixture.loop, fixture_guard, NULL, &fixture.guard), 0);
    *state = &fixture;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    io_loop_free(f->loop);
    return 0;
}

/* Runs the loop until `events` calls of fixture_event(). */
static inline void fixture_run(struct fixture *f, int events)
{
    f->pending = events;
    io_timer_set(f->guard, GUARD_MS);
    io_loop_run(f->loop);
    io_timer_clear(f->guard);
    assert_int_equal(f->pending, 0);
}

static inline void fixture_event(struct fixture *f)
{
    if (--f->pending == 0)
        io_loop_stop(f->loop);
}

/* Runs the loop for a while, to see that something does not happen. */
static inline void fixture_event_cb(void *arg)
{
    fixture_event(arg);
}

static inline void fixture_run_ms(struct fixture *f, int64_t ms)
{
    struct io_timer *timer;

    assert_int_equal(io_timer_new(f->loop, fixture_event_cb, f, &timer), 0);
    io_timer_set(timer, ms);
    fixture_run(f, 1);
    io_timer_close(timer);
}

#define io_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif

/*
 * moments.h - closing an operation at every moment at which it can be closed from outside.
 *
 * Between two callbacks the loop is in others' hands: before it runs, before it polls, after. A
 * trial starts an operation, lets n such moments pass, closes it, and sees that nothing is
 * heard of it any more; then n + 1, until the operation is over before its moment comes. Each trial
 * has a loop of its own, which sees to it that no handle is left; memory is ASan's to see. Where a
 * trial takes seconds, as under valgrind, HAWSER_MOMENTS_STEP=7 tries every seventh moment only.
 */
#ifndef HAWSER_TESTS_IO_MOMENTS_H
#define HAWSER_TESTS_IO_MOMENTS_H

#include <stdlib.h>

#include "io/internal.h"
#include "unit/io/fixture.h"

enum { MOMENTS_MAX = 2000, MOMENTS_AFTER = 3 };

struct moments {
    struct fixture *f;
    uv_prepare_t before;
    uv_check_t after;
    uv_timer_t timer;
    long left;
    bool over;   /* the operation has ended by itself */
    bool closed; /* by us, and nothing may be heard of it */
    void (*close)(struct moments *moments);
};

/* One kind of operation: how a trial of it begins, what closes it, and what comes after. */
struct moments_kind {
    const char *name;
    void (*start)(struct moments *moments);
    void (*close)(struct moments *moments);
    void (*end)(struct moments *moments); /* of what start() made around it; NULL: nothing */
};

static inline void moments_timer(uv_timer_t *handle)
{
    struct moments *m = handle->data;

    if (--m->left <= -MOMENTS_AFTER) /* a while, to hear that nothing is heard */
        io_loop_stop(m->f->loop);
}

static inline void moments_pass(struct moments *m)
{
    if (m->over || m->left < 0 || m->left-- > 0)
        return;
    m->closed = true;
    uv_timer_start(&m->timer, moments_timer, 1, 1);
    m->close(m);
}

static inline void moments_before(uv_prepare_t *handle)
{
    moments_pass(handle->data);
}

static inline void moments_after(uv_check_t *handle)
{
    moments_pass(handle->data);
}

/* To be called by the operation's callbacks; over: that was the last one. */
static inline void moments_heard(struct moments *m, bool over)
{
    if (m->closed)
        fail_msg("heard of after it was closed");
    if (m->over)
        fail_msg("heard of after its end");
    if (over) {
        m->over = true;
        io_loop_stop(m->f->loop);
    }
}

/* False: the operation was over before it could be closed. */
static inline bool moments_trial(const struct moments_kind *kind, struct moments *m, long n)
{
    uv_loop_t *uv = &m->f->loop->uv;

    m->left = n;
    m->over = m->closed = false;
    m->close = kind->close;
    m->before.data = m->after.data = m->timer.data = m;
    uv_prepare_init(uv, &m->before);
    uv_check_init(uv, &m->after);
    uv_timer_init(uv, &m->timer);
    uv_prepare_start(&m->before, moments_before);
    uv_check_start(&m->after, moments_after);
    io_timer_set(m->f->guard, GUARD_MS);
    kind->start(m);
    moments_pass(m);
    io_loop_run(m->f->loop);
    assert_true(m->over || m->closed);
    uv_close((uv_handle_t *)&m->before, NULL);
    uv_close((uv_handle_t *)&m->after, NULL);
    uv_close((uv_handle_t *)&m->timer, NULL);
    if (kind->end != NULL)
        kind->end(m);
    return m->closed;
}

static inline long moments_step(void)
{
    const char *text = getenv("HAWSER_MOMENTS_STEP");
    long step = text != NULL ? strtol(text, NULL, 10) : 1;

    return step > 0 ? step : 1;
}

/* m: the head of the operation's own struct, which start() fills. */
static inline void moments_try(const struct moments_kind *kind, struct moments *m)
{
    long n = 0;
    bool more = true;

    while (more) {
        void *f;

        assert_int_equal(fixture_setup(&f), 0);
        m->f = f;
        more = moments_trial(kind, m, n);
        n += moments_step();
        fixture_teardown(&f);
        if (n > MOMENTS_MAX)
            fail_msg("%s: not over after %d moments", kind->name, MOMENTS_MAX);
    }
    print_message("%s: closed at %ld moments\n", kind->name, n / moments_step() - 1);
}

#endif

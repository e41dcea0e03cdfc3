#include "io/internal.h"

#include <stdlib.h>

struct io_timer {
    struct io_object object;
    uv_timer_t uv;
    io_timer_cb cb;
    void *arg;
};

static void timer_close(struct io_object *object)
{
    io_timer_close((struct io_timer *)object);
}

int io_timer_new(struct io_loop *loop, io_timer_cb cb, void *arg, struct io_timer **out)
{
    struct io_timer *timer = calloc(1, sizeof *timer);

    if (timer == NULL)
        return ERR_NOMEM;
    io_object_init(&timer->object, loop, timer_close);
    uv_timer_init(&loop->uv, &timer->uv);
    io_object_adopt(&timer->object, (uv_handle_t *)&timer->uv);
    timer->cb = cb;
    timer->arg = arg;
    *out = timer;
    return 0;
}

static void on_timer(uv_timer_t *uv)
{
    struct io_timer *timer = uv->data;
    struct io_loop *loop = timer->object.loop;

    loop->in_timer = true;
    timer->cb(timer->arg);
    loop->in_timer = false;
}

void io_timer_set(struct io_timer *timer, int64_t delay_ms)
{
    /* libuv calls what is due until nothing is: from within, "now" would be now for ever. */
    int64_t least_ms = timer->object.loop->in_timer ? 1 : 0;

    uv_timer_start(&timer->uv, on_timer, (uint64_t)(delay_ms > least_ms ? delay_ms : least_ms), 0);
}

void io_timer_clear(struct io_timer *timer)
{
    uv_timer_stop(&timer->uv);
}

void io_timer_close(struct io_timer *timer)
{
    io_object_begin_close(&timer->object);
    io_object_close_handle((uv_handle_t *)&timer->uv);
}

/*
 * libuv runs its check handles right after polling, which is the moment wanted. The idle handle
 * does nothing: while it is started the loop does not sleep in the poll, should the arming have
 * come from a timer or from another check.
 */
struct io_idle {
    struct io_object object;
    uv_check_t check;
    uv_idle_t awake;
    io_timer_cb cb;
    void *arg;
};

static void idle_close(struct io_object *object)
{
    io_idle_close((struct io_idle *)object);
}

int io_idle_new(struct io_loop *loop, io_timer_cb cb, void *arg, struct io_idle **out)
{
    struct io_idle *idle = calloc(1, sizeof *idle);

    if (idle == NULL)
        return ERR_NOMEM;
    io_object_init(&idle->object, loop, idle_close);
    uv_check_init(&loop->uv, &idle->check);
    io_object_adopt(&idle->object, (uv_handle_t *)&idle->check);
    uv_idle_init(&loop->uv, &idle->awake);
    io_object_adopt(&idle->object, (uv_handle_t *)&idle->awake);
    idle->cb = cb;
    idle->arg = arg;
    *out = idle;
    return 0;
}

static void on_check(uv_check_t *check)
{
    struct io_idle *idle = check->data;

    io_turn_begin(idle->object.loop);
    uv_check_stop(&idle->check);
    uv_idle_stop(&idle->awake);
    idle->cb(idle->arg);
}

static void on_awake(uv_idle_t *awake)
{
    (void)awake;
}

void io_idle_arm(struct io_idle *idle)
{
    uv_check_start(&idle->check, on_check);
    uv_idle_start(&idle->awake, on_awake);
}

void io_idle_close(struct io_idle *idle)
{
    io_object_begin_close(&idle->object);
    io_object_close_handle((uv_handle_t *)&idle->check);
    io_object_close_handle((uv_handle_t *)&idle->awake);
}

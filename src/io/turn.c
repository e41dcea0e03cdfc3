/*
 * When the loop works. libuv calls what is ready from within its poll, so a handle before the poll
 * and one behind it tell the end of a turn, but not where its wait ended. That is told by whoever
 * is called first: every callback that can come out of the poll begins with io_turn_begin(). (libuv
 * can measure the wait itself, UV_METRICS_IDLE_TIME, for one more epoll_wait a turn.)
 */
#include <assert.h>
#include <stdlib.h>

#include "io/internal.h"

struct io_turns {
    struct io_object object;
    uv_prepare_t before_poll;
    uv_check_t behind_poll;
    unsigned n;
    struct {
        io_turn_cb cb;
        void *arg;
    } watchers[IO_TURN_WATCHERS];
};

static void turns_close(struct io_object *object)
{
    struct io_turns *turns = (struct io_turns *)object;

    object->loop->turns = NULL;
    io_object_begin_close(object);
    io_object_close_handle((uv_handle_t *)&turns->before_poll);
    io_object_close_handle((uv_handle_t *)&turns->behind_poll);
}

static void on_behind_poll(uv_check_t *check)
{
    struct io_turns *turns = check->data;

    io_turn_begin(turns->object.loop); /* nothing was ready, but a timer is due */
}

void io_turn_end(struct io_loop *loop)
{
    struct io_turns *turns = loop->turns;
    int64_t busy_us;

    if (turns == NULL || loop->turn_began_ns == 0)
        return;
    busy_us = (int64_t)((uv_hrtime() - loop->turn_began_ns) / 1000);
    loop->turn_began_ns = 0;
    for (unsigned i = 0; i < turns->n; i++)
        turns->watchers[i].cb(turns->watchers[i].arg, busy_us);
}

static void on_before_poll(uv_prepare_t *prepare)
{
    struct io_turns *turns = prepare->data;

    io_turn_end(turns->object.loop);
}

static int turns_new(struct io_loop *loop)
{
    struct io_turns *turns = calloc(1, sizeof *turns);

    if (turns == NULL)
        return ERR_NOMEM;
    io_object_init(&turns->object, loop, turns_close);
    uv_prepare_init(&loop->uv, &turns->before_poll);
    io_object_adopt(&turns->object, (uv_handle_t *)&turns->before_poll);
    uv_prepare_start(&turns->before_poll, on_before_poll);
    uv_check_init(&loop->uv, &turns->behind_poll);
    io_object_adopt(&turns->object, (uv_handle_t *)&turns->behind_poll);
    uv_check_start(&turns->behind_poll, on_behind_poll);
    /* Looking on keeps no loop alive. */
    uv_unref((uv_handle_t *)&turns->before_poll);
    uv_unref((uv_handle_t *)&turns->behind_poll);
    loop->turns = turns;
    return 0;
}

int io_loop_on_turn(struct io_loop *loop, io_turn_cb cb, void *arg)
{
    if (loop->turns == NULL) {
        int rc = turns_new(loop);

        if (rc != 0)
            return rc;
    }
    if (loop->turns->n == IO_TURN_WATCHERS)
        return ERR_LIMIT;
    loop->turns->watchers[loop->turns->n].cb = cb;
    loop->turns->watchers[loop->turns->n].arg = arg;
    loop->turns->n++;
    return 0;
}

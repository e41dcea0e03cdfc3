#include "io/internal.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

void io_object_init(struct io_object *object, struct io_loop *loop,
                    void (*close)(struct io_object *object))
{
    *object = (struct io_object){.loop = loop, .close = close};
    list_push_back(&loop->objects, &object->node);
}

void io_object_adopt(struct io_object *object, uv_handle_t *handle)
{
    handle->data = object;
    object->handles++;
}

void io_object_begin_close(struct io_object *object)
{
    assert(!object->closing && "an object is closed once");
    object->closing = true;
    list_remove(&object->node);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct io_object *object = handle->data;

    if (--object->handles != 0)
        return;
    if (object->destroy != NULL)
        object->destroy(object);
    else
        free(object);
}

void io_object_close_handle(uv_handle_t *handle)
{
    uv_close(handle, on_handle_closed);
}

int io_error_code(int uv_status)
{
    return error_from_errno(-uv_status);
}

int io_thread_create(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    /* What a thread does to itself: blocked, the kernel kills without asking a handler. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int io_loop_new(struct io_loop **out, struct error *err)
{
    struct io_loop *loop = malloc(sizeof *loop);
    int rc;

    if (loop == NULL)
        return error_set(err, ERR_NOMEM, "event loop: out of memory");
    list_init(&loop->objects);
    loop->in_read = false;
    loop->in_timer = false;
    loop->turns = NULL;
    loop->turn_began_ns = 0;
    rc = uv_loop_init(&loop->uv);
    if (rc != 0) {
        error_set(err, io_error_code(rc), "event loop: %s", uv_strerror(rc));
        rc = io_error_code(rc);
        goto err_after_malloc;
    }
    rc = heavy_new(loop);
    if (rc == 0)
        rc = resolver_new(loop, &loop->resolver);
    if (rc != 0) {
        error_set(err, rc, "event loop: %s", error_text(rc));
        goto err_after_loop;
    }
    /* A peer that went away is an error of the write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    *out = loop;
    return 0;

err_after_loop:
    uv_loop_close(&loop->uv);
err_after_malloc:
    free(loop);
    return rc;
}

void io_loop_free(struct io_loop *loop)
{
    int rc;

    if (loop == NULL)
        return;
    while (!list_empty(&loop->objects)) {
        struct io_object *object = LIST_ENTRY(loop->objects.next, struct io_object, node);

        object->close(object);
    }
    resolver_close(loop->resolver);
    /* Only closing handles are left, so this returns when they are closed; a stop that was asked
     * for ends one round early. */
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        ;
    rc = uv_loop_close(&loop->uv);
    assert(rc == 0 && "every handle is closed");
    (void)rc;
    free(loop);
}

int io_loop_run(struct io_loop *loop)
{
    io_turn_begin(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    io_turn_end(loop);
    return 0;
}

void io_loop_stop(struct io_loop *loop)
{
    uv_stop(&loop->uv);
}

int64_t io_now_ms(struct io_loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t io_clock_ms(void)
{
    return (int64_t)(uv_hrtime() / 1000000);
}

int64_t io_clock_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

int64_t io_wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const char *io_library(void)
{
    return uv_version_string();
}

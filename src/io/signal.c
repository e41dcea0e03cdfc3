#include "io/internal.h"

#include <stdlib.h>

struct io_signal {
    struct io_object object;
    uv_signal_t uv;
    void (*cb)(void *arg, int signum);
    void *arg;
};

static void signal_close(struct io_object *object)
{
    io_signal_close((struct io_signal *)object);
}

static void on_signal(uv_signal_t *uv, int signum)
{
    struct io_signal *sig = uv->data;

    io_turn_begin(sig->object.loop);
    sig->cb(sig->arg, signum);
}

int io_signal_start(struct io_loop *loop, int signum, void (*cb)(void *arg, int signum), void *arg,
                    struct io_signal **out)
{
    struct io_signal *sig = calloc(1, sizeof *sig);
    int rc;

    if (sig == NULL)
        return ERR_NOMEM;
    rc = uv_signal_init(&loop->uv, &sig->uv);
    if (rc != 0) {
        free(sig);
        return io_error_code(rc);
    }
    io_object_init(&sig->object, loop, signal_close);
    io_object_adopt(&sig->object, (uv_handle_t *)&sig->uv);
    sig->cb = cb;
    sig->arg = arg;
    rc = uv_signal_start(&sig->uv, on_signal, signum);
    if (rc != 0) {
        io_signal_close(sig);
        return io_error_code(rc);
    }
    *out = sig;
    return 0;
}

void io_signal_close(struct io_signal *sig)
{
    io_object_begin_close(&sig->object);
    io_object_close_handle((uv_handle_t *)&sig->uv);
}

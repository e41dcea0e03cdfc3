#include "io/internal.h"

void io_heavy_ask(struct io_loop *loop, struct io_heavy *heavy)
{
    if (!list_empty(&heavy->node))
        return;
    list_push_back(&loop->heavy, &heavy->node);
    io_idle_arm(loop->heavy_next);
}

void io_heavy_cancel(struct io_heavy *heavy)
{
    list_remove(&heavy->node);
}

static void on_turn(void *arg)
{
    struct io_loop *loop = arg;

    for (unsigned i = 0; i < IO_HEAVY_PER_TURN && !list_empty(&loop->heavy); i++) {
        struct io_heavy *heavy = LIST_ENTRY(list_first(&loop->heavy), struct io_heavy, node);

        list_remove(&heavy->node);
        heavy->cb(heavy->arg);
    }
    if (!list_empty(&loop->heavy))
        io_idle_arm(loop->heavy_next);
}

int heavy_new(struct io_loop *loop)
{
    list_init(&loop->heavy);
    return io_idle_new(loop, on_turn, loop, &loop->heavy_next);
}

#include "daemon/rota.h"

void rota_init(struct rota *rota)
{
    list_init(&rota->waiting);
    list_init(&rota->mark);
    list_push_back(&rota->waiting, &rota->mark);
    rota->rounds = 0;
}

void rota_place_init(struct rota_place *place)
{
    list_init(&place->node);
}

void rota_want(struct rota *rota, struct rota_place *place)
{
    if (list_empty(&place->node))
        list_push_back(&rota->waiting, &place->node);
}

void rota_leave(struct rota_place *place)
{
    list_remove(&place->node);
}

/* All of the round are served: those that wait now are the next one. */
static void next_round(struct rota *rota)
{
    list_remove(&rota->mark);
    list_push_back(&rota->waiting, &rota->mark);
    rota->rounds++;
}

bool rota_run(struct rota *rota, size_t turn_bytes, size_t (*serve)(struct rota_place *place))
{
    size_t spent = 0;

    for (;;) {
        struct list_node *first = list_first(&rota->waiting);
        size_t written;

        if (first == &rota->mark) {
            next_round(rota);
            first = list_first(&rota->waiting);
        }
        if (first == &rota->mark)
            return false;
        if (spent >= turn_bytes)
            return true;
        list_remove(first);
        written = serve(LIST_ENTRY(first, struct rota_place, node));
        spent += written > ROTA_LEAST_BYTES ? written : ROTA_LEAST_BYTES;
    }
}

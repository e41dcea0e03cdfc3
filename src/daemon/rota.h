/*
 * rota: who is served next when many want to be at once, and how many of them in one turn of the
 * loop. While it serves nobody else is: not the links, not the timers.
 *
 * Decides: the order, in turn; that a turn ends once so many bytes have been written in it, whoever
 * waits then being first in the next; and when a round is over, in which everybody who waited at
 * its beginning was served once. Leaves: serving to its owner, and that a next turn comes.
 * Owns nothing: a place lies in what it is the place of. Cannot fail.
 */
#ifndef HAWSER_DAEMON_ROTA_H
#define HAWSER_DAEMON_ROTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

/* Who is served counts as so many bytes at least: a system call costs as much as copying them. */
#define ROTA_LEAST_BYTES 2048u

struct rota_place {
    struct list_node node;
};

struct rota {
    struct list_node waiting; /* places, first served first, and the mark among them */
    struct list_node mark;    /* those before it are what is left of this round */
    uint64_t rounds;          /* that are over; also while nobody waits each run is one */
};

void rota_init(struct rota *rota);
void rota_place_init(struct rota_place *place);
/* It is served when all have been that wait already. Once, however often it is wanted. */
void rota_want(struct rota *rota, struct rota_place *place);
void rota_leave(struct rota_place *place); /* it waits no more, if it did */
/* One turn: serves until nobody waits (false), or those served have written so many bytes: true,
 * and another turn is to come. `serve` returns what it has written; the place has left, may want
 * again, and may be no more when it returns. It writes a part, too, if it has much. */
bool rota_run(struct rota *rota, size_t turn_bytes, size_t (*serve)(struct rota_place *place));

#endif

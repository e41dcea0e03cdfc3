/*
 * outlet: what a subscription says is next, onto a stream, under back-pressure.
 *
 * Decides: how lines reach a local program: first what its owner has to say (`head`: replies,
 * a response's header), then what is next for its subscription; hot lines from the ring by writev,
 * cold ones through a reader. Only whole lines are begun; of a line that the socket took in part,
 * the rest is the only thing that is ever copied, so a program that stops reading costs one line of
 * memory, and reads the store at its own pace when it comes back. Framed lines are copies:
 * OUTLET_FRAMED_BYTES and a line of them at most.
 * Leaves: what is read from the stream, and every word that is not a line of the log, to its owner.
 * Owns: nothing but its memory; the stream is the owner's.
 * Fails: a broken stream, and the end that was asked for, are on_end(): the owner closes it.
 */
#ifndef HAWSER_DAEMON_OUTLET_H
#define HAWSER_DAEMON_OUTLET_H

#include "daemon/daemon.h"
#include "daemon/rota.h"

#define OUTLET_TURN_BYTES (512u << 10)  /* written before the others are served */
#define OUTLET_FRAMED_BYTES (64u << 10) /* framed at once; and a line more waits at most */

struct outlet_events {
    /* All of `head` is out, and the socket may take more: the last chance to fill it before lines
     * follow. NULL: nothing ever. */
    void (*on_room)(void *arg);
    /* It is leaving, and has got what was there for it in memory: a last word into `head`. */
    void (*on_last)(void *arg);
    /* Its consumer's window is full, and something waits: once, until it has acknowledged some. A
     * word into `head`. NULL where there is no consumer. */
    void (*on_full)(void *arg);
    /* Appends the line in another form, or nothing; < 0: it ends. NULL: lines go out as they are,
     * which costs no copy. */
    int (*frame)(void *arg, struct slice line, struct buf *out);
    /* The store cannot be read. A damaged record is named, never served, and passed; after another
     * failure it ends: it comes back where it was. A word into `head`. */
    void (*on_unreadable)(void *arg, const struct error *err);
    /* It is over: all was said, or the stream is broken. outlet_fini() and close the stream; last,
     * since nothing is touched after it. */
    void (*on_end)(void *arg);
};

struct outlet {
    struct daemon *daemon;
    struct io_stream *stream;
    const struct outlet_events *events;
    void *arg;
    struct buf head;
    bool subscribed, cold;
    bool leaving;     /* it is to get what there is for it in memory, then on_last, then its end */
    bool ending;      /* nothing more but `head`, then its end */
    bool full;        /* on_full was called; the owner clears it at an acknowledgement */
    struct buf globs; /* of the streams it wants, each with a NUL; empty: all that are shown */
    struct fanout_filter filter;
    char types[FANOUT_TYPES_MAX][LIMIT_EVENT_TYPE]; /* the filter's globs */
    struct fanout_sub sub;
    struct persist_read read;
    struct rota_place place; /* among all that have something to write */
};

/* head_max: bytes that `head` may hold. */
void outlet_init(struct outlet *outlet, struct daemon *daemon, struct io_stream *stream,
                 size_t head_max, const struct outlet_events *events, void *arg);
/* Nothing follows: a cold read that runs is cancelled. */
void outlet_fini(struct outlet *outlet);
/* A glob of the streams that it is about, remembered for when there are others. ERR_LIMIT. */
int outlet_add_stream(struct outlet *outlet, struct slice glob);
/* Adds a glob to the filter: copied, and what is too long cut. */
void outlet_add_type(struct outlet *outlet, struct slice glob);
/* Begins to send what `filter` matches after that seq (UINT64_MAX: from now). forgive: what was
 * lost before is no loss to one who asks for the oldest there is. Once. */
void outlet_subscribe(struct outlet *outlet, uint64_t from_seq, bool forgive);
/* The same for who acknowledges: what comes after the cursor of the consumer, which is
 * attached. */
void outlet_consume(struct outlet *outlet, struct consumer *consumer, bool forgive);
/* Nothing more of it is sent. */
void outlet_unsubscribe(struct outlet *outlet);
/* There may be something to write: it is done in this turn of the loop, or in one of the next, when
 * all have been served that asked before. May end in on_end then. */
void outlet_want(struct outlet *outlet);
/* For on_drain of the stream's events. May end in on_end. */
void outlet_drained(struct outlet *outlet, int status);
/* Serves those that want it: of each rota about DAEMON_TURN_BYTES, and the rest in the next turn.
 */
void outlets_turn(struct daemon *daemon);

#endif

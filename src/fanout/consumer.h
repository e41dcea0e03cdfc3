/*
 * consumer: the cursor of a named consumer: what it has acknowledged, what it was sent and has not,
 * and what of that is on disk. Pure; no malloc: the window's memory is given.
 *
 *     stored   the cursor that is on disk: where a crash begins again
 *     cursor   all up to here is acknowledged, or does not match
 *     passed   all up to here was sent on this connection, or does not match; not before the cursor
 *
 * Acknowledgements are cumulative. The cursor stands right before the first event that is not
 * acknowledged, and at `passed` where there is none: so it moves along with what does not match,
 * once all that came before is acknowledged. A gap that retention made has no seq of its own: it
 * is acknowledged with what is sent after it, or by its last seq, and until then the cursor stays
 * before it, so that who did not live to read it is told again.
 *
 * What must be on disk before it is answered (an acknowledgement with an id, a seek, a new name) is
 * a *change*, counted from 1; a cursor that has merely moved may wait.
 *
 * Decides: where the cursor stands, what may be sent and acknowledged, and which changes are on
 * disk. Leaves: sending to sub.c and daemon, saving and time to daemon.
 * Fails: consumer_ack() refuses what was not delivered.
 */
#ifndef HAWSER_FANOUT_CONSUMER_H
#define HAWSER_FANOUT_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

struct consumer {
    uint64_t cursor, stored;

    /* The connection. */
    uint64_t passed;
    uint64_t *seqs;  /* what was sent and is not acknowledged, in a circle; NULL: nobody is
                      * connected */
    uint32_t window; /* room of it */
    uint32_t first, unacked;
    uint64_t sent_seq; /* the newest event that was sent, or the end of a gap if it is newer */
    struct {
        bool told;       /* a gap that is not acknowledged */
        uint64_t cursor; /* stands here at most, until it is */
        uint64_t to_seq; /* its end */
        uint32_t before; /* of what is unacknowledged, so much was sent before it */
    } gap;

    /* The disk. */
    uint64_t change, saving, saved; /* the newest; of the save under way, 0: none; on disk */
    uint64_t saving_cursor;

    /* What waits for it: see consumer_lag(). */
    struct {
        bool known;
        uint64_t upto_seq, events, trimmed_sum;
    } lag;
};

/* Of what is on disk (saved), or new: then it is a change that is not. */
void consumer_init(struct consumer *consumer, uint64_t cursor, bool saved);

/* A connection begins, and is sent what comes after the cursor. seqs: room for `window` of them,
 * the caller's until consumer_detach(). */
void consumer_attach(struct consumer *consumer, uint64_t *seqs, uint32_t window);
void consumer_detach(struct consumer *consumer);
/* How many events may be sent before one is acknowledged. */
uint32_t consumer_room(const struct consumer *consumer);
/* This event was sent: one after all before it, and within consumer_room(). */
void consumer_sent(struct consumer *consumer, uint64_t seq);
/* A gap was told, of events after `passed` and up to to_seq at most, of which not all may be lost.
 */
void consumer_gap(struct consumer *consumer, uint64_t to_seq);
/* All up to seq was sent, or does not match. */
void consumer_pass(struct consumer *consumer, uint64_t seq);

/* The newest seq that can be acknowledged. */
uint64_t consumer_acknowledgeable(const struct consumer *consumer);
/* Everything up to seq; what was acknowledged already is so once more. ERR_INVAL: it is above
 * consumer_acknowledgeable(), and nothing is changed. */
int consumer_ack(struct consumer *consumer, uint64_t seq);
/* The cursor stands there now. Only while nobody is connected. */
void consumer_seek(struct consumer *consumer, uint64_t cursor);

/* What there is now is to be on disk before it is answered: the change to wait for. */
uint64_t consumer_change(struct consumer *consumer);
/* That change is on disk. */
bool consumer_is_saved(const struct consumer *consumer, uint64_t change);
enum consumer_need {
    CONSUMER_NEED_NOTHING, /* the disk has it, or a save is under way */
    CONSUMER_NEED_LATER,   /* the cursor has moved */
    CONSUMER_NEED_NOW,     /* a change waits */
};
enum consumer_need consumer_need(const struct consumer *consumer);
/* The cursor, and all changes so far, are on their way to the disk. One save at a time. */
void consumer_saving(struct consumer *consumer);
/* They are there. */
void consumer_saved(struct consumer *consumer);
/* Nothing of what is not on disk will ever be: neither the save under way nor any change. The
 * cursor is where the disk has it, and moves on with the next acknowledgement. */
void consumer_lost(struct consumer *consumer);

/* How many stored events that match lie after the cursor and not after upto_seq: counted by
 * whoever can read the store, and kept right while they are acknowledged. trimmed_sum: any number
 * that changes when retention takes one of them. */
void consumer_counted(struct consumer *consumer, uint64_t upto_seq, uint64_t events,
                      uint64_t trimmed_sum);
/* False: to be counted from the cursor on. Else *events up to *upto_seq are known, and what came
 * after is to be added. trimmed_seq: the newest that retention took of what it matches. */
bool consumer_lag(const struct consumer *consumer, uint64_t trimmed_seq, uint64_t trimmed_sum,
                  uint64_t *upto_seq, uint64_t *events);

#endif

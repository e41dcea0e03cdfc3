/*
 * tally: how many events wait for each of many consumers, counted in one pass over the log. Pure;
 * no malloc: the rows are the caller's.
 *
 * Consumers that want the same share one count; so a pass costs what it costs to match each event
 * with each different filter, however many consumers there are.
 * Decides: what counts for whom: what fanout_match() says of a stored event or gap. Leaves: where
 * the events come from to the caller.
 */
#ifndef HAWSER_FANOUT_TALLY_H
#define HAWSER_FANOUT_TALLY_H

#include "fanout/fanout.h"

struct tally_row {
    const struct fanout_filter *filter; /* borrowed */
    uint64_t after_seq;                 /* counted are events after it */
    uint64_t events;                    /* out, when the tally is finished */
    void *arg;                          /* the caller's */
    /* The tally's own. */
    struct tally_row *same; /* the first row with such a filter; itself, for that */
    struct tally_row *next; /* the next that is the first of its filter */
    uint64_t matched;       /* by that filter, of all events so far */
    bool begun;
};

struct tally {
    struct tally_row *rows; /* by after_seq */
    size_t count, begun;
    uint64_t streams[(LIMIT_STREAMS + 63) / 64]; /* that anyone wants */
};

/* Orders the rows. */
void tally_begin(struct tally *tally, struct tally_row *rows, size_t count);
/* The log is to be read from here on; UINT64_MAX: there are no rows. */
uint64_t tally_after_seq(const struct tally *tally);
/* In the order of their seqs. */
void tally_event(struct tally *tally, uint64_t seq, enum fanout_kind kind, uint32_t stream,
                 struct slice type);
void tally_finish(struct tally *tally);

bool fanout_filter_eq(const struct fanout_filter *a, const struct fanout_filter *b);

#endif

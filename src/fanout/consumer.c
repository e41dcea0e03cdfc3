#include "fanout/consumer.h"

#include <assert.h>
#include <stddef.h>

#include "base/error.h"

void consumer_init(struct consumer *consumer, uint64_t cursor, bool saved)
{
    *consumer = (struct consumer){.cursor = cursor, .stored = cursor, .passed = cursor};
    if (!saved)
        consumer->change = 1;
}

/* ---- lag ---- */

/* `acked` events up to seq do not wait any more. */
static void lag_forget(struct consumer *consumer, uint64_t seq, uint64_t acked)
{
    if (seq >= consumer->lag.upto_seq) {
        consumer->lag.upto_seq = seq;
        consumer->lag.events = 0;
        consumer->lag.known = true;
    } else if (acked <= consumer->lag.events) {
        consumer->lag.events -= acked;
    } else {
        consumer->lag.known = false; /* of those counted some are gone that were sent before */
    }
}

void consumer_counted(struct consumer *consumer, uint64_t upto_seq, uint64_t events,
                      uint64_t trimmed_sum)
{
    consumer->lag.known = true;
    consumer->lag.upto_seq = upto_seq;
    consumer->lag.events = events;
    consumer->lag.trimmed_sum = trimmed_sum;
    if (consumer->cursor >= upto_seq)
        lag_forget(consumer, consumer->cursor, 0);
}

bool consumer_lag(const struct consumer *consumer, uint64_t trimmed_seq, uint64_t trimmed_sum,
                  uint64_t *upto_seq, uint64_t *events)
{
    *upto_seq = consumer->lag.upto_seq;
    *events = consumer->lag.events;
    return consumer->lag.known &&
           (trimmed_seq <= consumer->cursor || trimmed_sum == consumer->lag.trimmed_sum);
}

/* ---- the cursor ---- */

static uint64_t first_unacked(const struct consumer *consumer)
{
    return consumer->seqs[consumer->first];
}

/* As far as it can without an acknowledgement. */
static void follow(struct consumer *consumer)
{
    uint64_t limit = consumer->passed;

    if (consumer->unacked > 0)
        limit = first_unacked(consumer) - 1;
    if (consumer->gap.told && consumer->gap.cursor < limit)
        limit = consumer->gap.cursor;
    if (limit <= consumer->cursor)
        return;
    consumer->cursor = limit;
    if (limit > consumer->lag.upto_seq)
        lag_forget(consumer, limit, 0);
}

void consumer_attach(struct consumer *consumer, uint64_t *seqs, uint32_t window)
{
    assert(consumer->seqs == NULL && window > 0);
    consumer->seqs = seqs;
    consumer->window = window;
    consumer->first = consumer->unacked = 0;
    consumer->passed = consumer->sent_seq = consumer->cursor;
    consumer->gap.told = false;
}

void consumer_detach(struct consumer *consumer)
{
    consumer->seqs = NULL;
    consumer->unacked = 0;
    consumer->passed = consumer->cursor;
    consumer->gap.told = false;
}

uint32_t consumer_room(const struct consumer *consumer)
{
    return consumer->window - consumer->unacked;
}

void consumer_sent(struct consumer *consumer, uint64_t seq)
{
    uint32_t at = consumer->first + consumer->unacked;

    assert(consumer_room(consumer) > 0 && seq > consumer->passed);
    consumer->seqs[at < consumer->window ? at : at - consumer->window] = seq;
    consumer->unacked++;
    consumer->passed = seq;
    if (seq > consumer->sent_seq)
        consumer->sent_seq = seq;
    follow(consumer);
}

void consumer_gap(struct consumer *consumer, uint64_t to_seq)
{
    if (!consumer->gap.told)
        consumer->gap.cursor = consumer->passed;
    consumer->gap.told = true;
    consumer->gap.to_seq = to_seq;
    consumer->gap.before = consumer->unacked;
    if (to_seq > consumer->sent_seq)
        consumer->sent_seq = to_seq;
}

void consumer_pass(struct consumer *consumer, uint64_t seq)
{
    if (seq <= consumer->passed)
        return;
    consumer->passed = seq;
    follow(consumer);
}

uint64_t consumer_acknowledgeable(const struct consumer *consumer)
{
    return consumer->sent_seq < consumer->passed ? consumer->sent_seq : consumer->passed;
}

static uint32_t take_acked(struct consumer *consumer, uint64_t seq)
{
    uint32_t n = 0;

    while (consumer->unacked > 0 && first_unacked(consumer) <= seq) {
        consumer->first = consumer->first + 1 < consumer->window ? consumer->first + 1 : 0;
        consumer->unacked--;
        n++;
    }
    return n;
}

int consumer_ack(struct consumer *consumer, uint64_t seq)
{
    uint32_t acked;

    if (seq > consumer_acknowledgeable(consumer))
        return ERR_INVAL;
    acked = take_acked(consumer, seq);
    if (consumer->gap.told)
        consumer->lag.known = false; /* what was lost, or is acknowledged again, may be counted */
    if (acked > consumer->gap.before || seq >= consumer->gap.to_seq)
        consumer->gap.told = false;
    else
        consumer->gap.before -= acked;
    if (seq > consumer->cursor) {
        consumer->cursor = seq;
        lag_forget(consumer, seq, acked);
    }
    follow(consumer);
    return 0;
}

void consumer_seek(struct consumer *consumer, uint64_t cursor)
{
    assert(consumer->seqs == NULL);
    consumer->cursor = consumer->passed = cursor;
    consumer->lag.known = false;
}

/* ---- the disk ---- */

uint64_t consumer_change(struct consumer *consumer)
{
    return ++consumer->change;
}

bool consumer_is_saved(const struct consumer *consumer, uint64_t change)
{
    return consumer->saved >= change;
}

enum consumer_need consumer_need(const struct consumer *consumer)
{
    if (consumer->saving != 0)
        return CONSUMER_NEED_NOTHING;
    if (consumer->change > consumer->saved)
        return CONSUMER_NEED_NOW;
    return consumer->cursor != consumer->stored ? CONSUMER_NEED_LATER : CONSUMER_NEED_NOTHING;
}

void consumer_saving(struct consumer *consumer)
{
    assert(consumer->saving == 0);
    /* A change by itself, though nobody waits for it: no save is numbered 0. */
    if (consumer->change == consumer->saved)
        consumer->change++;
    consumer->saving = consumer->change;
    consumer->saving_cursor = consumer->cursor;
}

void consumer_saved(struct consumer *consumer)
{
    assert(consumer->saving != 0);
    consumer->saved = consumer->saving;
    consumer->stored = consumer->saving_cursor;
    consumer->saving = 0;
}

void consumer_lost(struct consumer *consumer)
{
    consumer->saving = 0;
    consumer->saved = consumer->change;
    if (consumer->cursor != consumer->stored)
        consumer->lag.known = false;
    if (consumer->seqs != NULL && consumer->cursor > consumer->stored) {
        /* As after a gap: what comes next acknowledges it. */
        consumer->gap.to_seq = consumer->gap.told && consumer->gap.to_seq > consumer->cursor
                                   ? consumer->gap.to_seq
                                   : consumer->cursor;
        if (!consumer->gap.told)
            consumer->gap.before = 0;
        consumer->gap.told = true;
        consumer->gap.cursor = consumer->stored;
    }
    consumer->cursor = consumer->stored;
    if (consumer->seqs == NULL)
        consumer->passed = consumer->cursor;
}

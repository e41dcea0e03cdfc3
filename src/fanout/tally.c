#include "fanout/tally.h"

#include <stdlib.h>
#include <string.h>

bool fanout_filter_eq(const struct fanout_filter *a, const struct fanout_filter *b)
{
    if (a->n_types != b->n_types || memcmp(a->streams, b->streams, sizeof a->streams) != 0)
        return false;
    for (unsigned i = 0; i < a->n_types; i++) {
        if (!slice_eq(a->types[i], b->types[i]))
            return false;
    }
    return true;
}

static int by_after_seq(const void *left, const void *right)
{
    const struct tally_row *a = left, *b = right;

    return (a->after_seq > b->after_seq) - (a->after_seq < b->after_seq);
}

void tally_begin(struct tally *tally, struct tally_row *rows, size_t count)
{
    struct tally_row *last = NULL;

    *tally = (struct tally){.rows = rows, .count = count};
    qsort(rows, count, sizeof *rows, by_after_seq);
    for (size_t i = 0; i < count; i++) {
        struct tally_row *row = &rows[i], *same = last != NULL ? rows : NULL;

        while (same != NULL && !fanout_filter_eq(same->filter, row->filter))
            same = same->next;
        *row = (struct tally_row){.filter = row->filter,
                                  .after_seq = row->after_seq,
                                  .arg = row->arg,
                                  .same = same != NULL ? same : row};
        if (same != NULL)
            continue;
        if (last != NULL)
            last->next = row;
        last = row;
        for (size_t k = 0; k < sizeof tally->streams / sizeof *tally->streams; k++)
            tally->streams[k] |= row->filter->streams[k];
    }
}

uint64_t tally_after_seq(const struct tally *tally)
{
    return tally->count > 0 ? tally->rows[0].after_seq : UINT64_MAX;
}

/* What was counted so far came before them: it is taken off in the end. */
static void begin_rows(struct tally *tally, uint64_t seq)
{
    for (; tally->begun < tally->count && tally->rows[tally->begun].after_seq < seq;
         tally->begun++) {
        struct tally_row *row = &tally->rows[tally->begun];

        row->begun = true;
        row->events = row->same->matched;
    }
}

void tally_event(struct tally *tally, uint64_t seq, enum fanout_kind kind, uint32_t stream,
                 struct slice type)
{
    begin_rows(tally, seq);
    if (tally->begun == 0)
        return;
    /* Those that are the first of their filter have begun first. */
    for (struct tally_row *row = tally->rows; row != NULL && row->begun; row = row->next) {
        if (fanout_match(row->filter, kind, stream, type))
            row->matched++;
    }
}

void tally_finish(struct tally *tally)
{
    for (size_t i = 0; i < tally->count; i++) {
        struct tally_row *row = &tally->rows[i];

        if (row->begun)
            row->events = row->same->matched - row->events;
    }
}

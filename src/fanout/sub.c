/* Subscriptions: who matches what, and who is sent what next. */
#include <assert.h>

#include "base/glob.h"
#include "fanout/fanout.h"
#include "fanout/ring.h"

static bool match_type(const struct fanout_filter *filter, struct slice type)
{
    for (unsigned i = 0; i < filter->n_types; i++) {
        if (glob_match(filter->types[i], type))
            return true;
    }
    return filter->n_types == 0;
}

bool fanout_match(const struct fanout_filter *filter, enum fanout_kind kind, uint32_t stream,
                  struct slice type)
{
    if (stream >= LIMIT_STREAMS || (filter->streams[stream / 64] >> (stream % 64) & 1) == 0)
        return false;
    switch (kind) {
    case FANOUT_EVENT:
    case FANOUT_EPHEMERAL:
        return match_type(filter, type);
    case FANOUT_GAP:
        return true;
    case FANOUT_NOTICE:
        return filter->notices;
    }
    return false;
}

/* The first visible entry with a seq after this one, or the end of what is visible. */
static uint64_t find_after(const struct fanout *fanout, uint64_t seq)
{
    uint64_t low = fanout->oldest;
    uint64_t high = fanout->published;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (fanout_slot(fanout, middle)->entry.seq > seq)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Hot, if the ring holds everything after the cursor. */
static void warm_up(const struct fanout *fanout, struct fanout_sub *sub)
{
    sub->hot = sub->cursor >= fanout->evicted_seq;
    if (sub->hot)
        sub->next_index = find_after(fanout, sub->cursor);
}

void fanout_subscribe(struct fanout *fanout, struct fanout_sub *sub,
                      const struct fanout_filter *filter, uint64_t from_seq)
{
    *sub =
        (struct fanout_sub){.filter = filter, .cursor = from_seq, .edge_index = fanout->published};
    if (from_seq == UINT64_MAX) {
        sub->cursor = fanout->published_seq;
        sub->next_index = fanout->published;
        sub->hot = true;
        return;
    }
    warm_up(fanout, sub);
}

void fanout_cold_done(struct fanout *fanout, struct fanout_sub *sub, uint64_t seq)
{
    if (sub->hot)
        return;
    if (seq > sub->cursor)
        sub->cursor = seq;
    if (sub->consumer != NULL)
        consumer_pass(sub->consumer, sub->cursor);
    warm_up(fanout, sub);
}

void fanout_cold_sent(struct fanout *fanout, struct fanout_sub *sub, uint64_t seq)
{
    if (!sub->hot && sub->consumer != NULL)
        consumer_sent(sub->consumer, seq);
    fanout_cold_done(fanout, sub, seq);
}

/* A stored entry at or below the cursor was read from the store, or was not asked for. What is not
 * stored belongs to those who were there when it came. */
static bool wants(const struct fanout_sub *sub, const struct fanout_entry *entry)
{
    bool due =
        fanout_is_stored(entry->kind) ? entry->seq > sub->cursor : entry->index >= sub->edge_index;
    return due && fanout_match(sub->filter, entry->kind, entry->stream, entry->type);
}

/* Everything below end_index, where `last` is the entry before it, is sent or does not match. */
static void pass(struct fanout_sub *sub, uint64_t end_index, const struct fanout_entry *last)
{
    sub->next_index = end_index;
    if (last->seq > sub->cursor)
        sub->cursor = last->seq;
    if (sub->consumer != NULL)
        consumer_pass(sub->consumer, sub->cursor);
}

/* False when the batch has no slice left. */
static bool batch_add(struct fanout_batch *batch, struct slice line)
{
    struct slice *last = batch->count > 0 ? &batch->line[batch->count - 1] : NULL;

    if (last != NULL && last->ptr + last->len == line.ptr)
        last->len += line.len;
    else if (batch->count < FANOUT_BATCH_MAX)
        batch->line[batch->count++] = line;
    else
        return false;
    batch->bytes += line.len;
    return true;
}

enum fanout_next fanout_next(struct fanout *fanout, struct fanout_sub *sub, size_t max_bytes,
                             struct fanout_batch *out)
{
    uint32_t room = sub->consumer != NULL ? consumer_room(sub->consumer) : UINT32_MAX;

    out->count = 0;
    out->bytes = 0;
    if (!sub->hot || sub->next_index < fanout->oldest)
        warm_up(fanout, sub);
    out->end_index = sub->next_index;
    if (!sub->hot)
        return room > 0 ? FANOUT_NEXT_COLD : FANOUT_NEXT_FULL;
    for (uint64_t i = sub->next_index; i < fanout->published; i++) {
        const struct fanout_entry *entry = &fanout_slot(fanout, i)->entry;

        if (wants(sub, entry)) {
            if (out->count > 0 &&
                (out->bytes >= max_bytes || entry->line.len > max_bytes - out->bytes))
                break;
            if (room == 0 && fanout_is_stored(entry->kind))
                return out->count > 0 ? FANOUT_NEXT_LINES : FANOUT_NEXT_FULL;
            if (!batch_add(out, entry->line))
                break;
            room -= fanout_is_stored(entry->kind);
        } else if (out->count == 0) {
            pass(sub, i + 1, entry);
        }
        out->end_index = i + 1;
    }
    return out->count > 0 ? FANOUT_NEXT_LINES : FANOUT_NEXT_IDLE;
}

void fanout_advance(struct fanout *fanout, struct fanout_sub *sub, const struct fanout_batch *batch,
                    size_t bytes, struct slice *rest)
{
    bool whole = bytes == batch->bytes;
    uint64_t i = sub->next_index;

    assert(bytes <= batch->bytes);
    *rest = slice_make(NULL, 0);
    if (bytes == 0)
        return;
    assert(i >= fanout->oldest && batch->end_index <= fanout->published);
    if (whole && sub->consumer == NULL) {
        pass(sub, batch->end_index, &fanout_slot(fanout, batch->end_index - 1)->entry);
        return;
    }
    for (; bytes > 0 || (whole && i < batch->end_index); i++) {
        const struct fanout_entry *entry = &fanout_slot(fanout, i)->entry;

        if (wants(sub, entry)) {
            if (bytes < entry->line.len)
                *rest = slice_from(entry->line, bytes);
            bytes -= bytes < entry->line.len ? bytes : entry->line.len;
            if (sub->consumer != NULL && fanout_is_stored(entry->kind))
                consumer_sent(sub->consumer, entry->seq);
        }
        pass(sub, i + 1, entry);
    }
}

/* truth: what is stored, and whether the promises hold as it happens. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

/* ---- reading lines ---- */

static uint64_t number_at(const char *at, const char *end)
{
    uint64_t number = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    return number;
}

/* What stands behind the text in the line, or NULL. */
static const char *behind(struct slice line, const char *text)
{
    const char *at = line.ptr == NULL ? NULL : memmem(line.ptr, line.len, text, strlen(text));
    return at == NULL ? NULL : at + strlen(text);
}

bool truth_says(struct slice line, const char *text)
{
    return behind(line, text) != NULL;
}

uint64_t truth_number(struct slice line, const char *key)
{
    const char *at = behind(line, key);
    return at == NULL ? 0 : number_at(at, line.ptr + line.len);
}

unsigned truth_feed(struct world *world, struct slice line)
{
    const char *at = behind(line, "\"stream\":\"chat");
    if (at == NULL || (unsigned)(*at - '0') >= world->n_feeds)
        world_violation(world, 5, "no line of a stream: %.*s", slice_width(line),
                        slice_chars(line));
    return (unsigned)(*at - '0');
}

static enum session_gap read_reason(struct world *world, struct slice line)
{
    const char *at = behind(line, "\"reason\":\"");
    for (unsigned i = 0; at != NULL && i <= SESSION_GAP_MALFORMED; i++) {
        const char *name = session_gap_name((enum session_gap)i);
        if (strncmp(at, name, strlen(name)) == 0 && at[strlen(name)] == '"')
            return (enum session_gap)i;
    }
    world_violation(world, 4, "a gap without a reason: %.*s", slice_width(line), slice_chars(line));
}

void truth_read_line(struct world *world, struct slice line, struct record *out)
{
    *out = (struct record){.seq = truth_number(line, "{\"seq\":"), .feed = truth_feed(world, line)};
    if (out->seq == 0)
        world_violation(world, 5, "a line without a seq: %.*s", slice_width(line),
                        slice_chars(line));
    if (truth_says(line, "\"notice\":\"gap\"")) {
        out->form = FORM_GAP;
        out->reason = read_reason(world, line);
        out->has_after = truth_says(line, "\"after\":\"");
        out->after = truth_number(line, "\"after\":\"");
        return;
    }
    out->form = truth_says(line, "\"data\":") ? FORM_WHOLE : FORM_TEXT;
    out->position = (unsigned)truth_number(line, "#");
    out->keyed = truth_says(line, "\"id\":\"") || truth_says(line, "\"position\":\"");
}

/* ---- what a seq stands for ---- */

static uint64_t meaning(const struct record *record)
{
    return (uint64_t)record->feed << 48 | (uint64_t)record->form << 40 |
           (uint64_t)record->reason << 32 | record->position;
}

static size_t find_name(const struct world *world, uint64_t seq)
{
    size_t i = (size_t)(seq * 0x9e3779b97f4a7c15u) & (world->cap_names - 1);
    while (world->names[i].seq != 0 && world->names[i].seq != seq)
        i = (i + 1) & (world->cap_names - 1);
    return i;
}

static void grow_names(struct world *world)
{
    struct world old = {.names = world->names, .cap_names = world->cap_names};
    world->cap_names = old.cap_names > 0 ? old.cap_names * 2 : 4096;
    world->names = calloc(world->cap_names, sizeof(*world->names));
    for (size_t i = 0; i < old.cap_names; i++)
        if (old.names[i].seq != 0)
            world->names[find_name(world, old.names[i].seq)] = old.names[i];
    free(old.names);
}

void truth_seq_means(struct world *world, const struct record *record)
{
    if (world->n_names * 2 >= world->cap_names)
        grow_names(world);
    size_t i = find_name(world, record->seq);
    if (world->names[i].seq == 0) {
        world->n_names++;
        world->names[i].seq = record->seq;
        world->names[i].what = meaning(record);
    }
    if (world->names[i].what != meaning(record))
        world_violation(world, 6, "seq %llu stands for %s event %u, and stood for something else",
                        (unsigned long long)record->seq, world->feeds[record->feed].name,
                        record->position);
}

/* ---- one record more on disk ---- */

/* The link showed this one behind something else, and sync gave it later than that. */
static bool came_behind(const struct published *event, const struct published *before)
{
    return event->shown_on == before->shown_on && event->given_at > event->shown_at;
}

/* What has neither id nor position stands where the link showed it, if that was once. */
static void check_place(struct world *world, struct feed *feed, unsigned position)
{
    const struct published *events = feed->service.events;
    if (feed->kind != KIND_MIXED || events[position].shown != 1)
        return;
    for (unsigned p = position + 1; p <= feed->top; p++)
        if (feed->whole_seq[p] != 0 && !service_is_loose(feed, p) &&
            came_behind(&events[p], &events[position]))
            world_violation(world, 3,
                            "%s: event %u, which has no position, is stored after event %u, which "
                            "came behind it",
                            feed->name, position, p);
    if (position > feed->top_loose)
        feed->top_loose = position;
}

/* The link showed it, or sync brought it, before what came without a position. What may come twice,
 * or is too large for the link, has no place of its own there. */
static void check_not_overtaken(struct world *world, const struct feed *feed, unsigned position)
{
    const struct published *event = &feed->service.events[position];
    if (feed->kind != KIND_MIXED || (event->kind != PLAIN && event->kind != UNNAMED))
        return;
    if (position < feed->top_loose)
        world_violation(world, 3, "%s: event %u is stored after event %u, which has no position",
                        feed->name, position, feed->top_loose);
    if (position - 1 == feed->top_loose && came_behind(event, event - 1))
        cover(COVER_UNKEYED_PLACED);
}

/* As the link had it, since sync did not bring it in time. */
static void check_unkeyed(struct world *world, struct feed *feed, const struct record *record)
{
    unsigned position = record->position;
    if (++feed->stored_texts[position] > feed->service.events[position].shown)
        world_violation(world, 2, "%s: unkeyed event %u is stored %u times, and was shown %u times",
                        feed->name, position, feed->stored_texts[position],
                        feed->service.events[position].shown);
    check_place(world, feed, position);
    cover(COVER_UNKEYED_KEPT);
}

/* An audit brings, behind what the link brought, what the link could not. */
static bool may_be_late(const struct feed *feed, enum event_kind kind)
{
    bool audited = feed->kind == KIND_AUDITED;
    return kind == LATE || kind == HIDDEN || kind == UNKEYED ||
           (audited && (kind == GHOST || kind == OVERSIZE || kind == BROKEN));
}

static void check_whole(struct world *world, struct feed *feed, const struct record *record)
{
    unsigned position = record->position;
    enum event_kind kind;
    if (position == 0 || position > feed->service.count)
        world_violation(world, 2, "%s: event %u is stored and was never published", feed->name,
                        position);
    kind = feed->service.events[position].kind;
    if (kind == UNKEYED && !record->keyed) {
        check_unkeyed(world, feed, record);
        return;
    }
    if (kind == EPHEMERAL)
        world_violation(world, 2, "%s: event %u is ephemeral, and stored", feed->name, position);
    if (feed->whole_seq[position] != 0)
        world_violation(world, 2, "%s: event %u is stored twice: seq %llu and %llu", feed->name,
                        position, (unsigned long long)feed->whole_seq[position],
                        (unsigned long long)record->seq);
    feed->whole_seq[position] = record->seq;
    if (position <= feed->top) {
        if (kind == GHOST)
            cover(COVER_GHOST);
        if (!may_be_late(feed, kind))
            world_violation(world, 3, "%s: event %u is stored after event %u", feed->name, position,
                            feed->top);
        cover(COVER_LATE);
        feed->stored_late[position] = true;
        return;
    }
    feed->top = position;
    check_not_overtaken(world, feed, position);
    /* Sync's copy of what the link showed without a position comes when it comes. */
    if (feed->after != 0 && position <= feed->after && !service_is_loose(feed, position))
        world_violation(world, 4, "%s: a gap after %llu is followed by event %u", feed->name,
                        (unsigned long long)feed->after, position);
    feed->after = 0;
    if (kind == UNNAMED)
        cover(COVER_UNNAMED);
    else if (kind == HIDDEN)
        cover(COVER_HIDDEN);
    else if (kind == UNKEYED)
        cover(COVER_UNKEYED_SYNC);
    else if (kind == GHOST)
        cover(COVER_GHOST);
    else if (kind == BROKEN)
        cover(COVER_BROKEN_WHOLE);
    else if (kind == OVERSIZE)
        cover(COVER_OVERSIZE_WHOLE);
}

static void check_text(struct world *world, struct feed *feed, const struct record *record)
{
    const struct published *event = &feed->service.events[record->position];
    if (record->position == 0 || record->position > feed->service.count || event->kind != BROKEN)
        world_violation(world, 2, "%s: event %u is stored as text", feed->name, record->position);
    if (++feed->stored_texts[record->position] > event->shown)
        world_violation(world, 2, "%s: broken event %u is stored %u times, and was shown %u times",
                        feed->name, record->position, feed->stored_texts[record->position],
                        event->shown);
    check_place(world, feed, record->position);
    feed->texts++;
}

static void check_gap(struct world *world, struct feed *feed, const struct record *record)
{
    static const enum coverage covers[] = {
        [SESSION_GAP_UPSTREAM] = COVER_GAP_UPSTREAM,
        [SESSION_GAP_NO_RESUME] = COVER_GAP_NO_RESUME,
        [SESSION_GAP_NO_POSITION] = COVER_GAP_NO_POSITION,
        [SESSION_GAP_EPOCH] = COVER_GAP_EPOCH,
        [SESSION_GAP_OVERSIZE] = COVER_GAP_OVERSIZE,
        [SESSION_GAP_MALFORMED] = COVER_GAP_MALFORMED,
    };
    cover(covers[record->reason]);
    feed->gaps[record->reason]++;
    if (!record->has_after)
        return;
    /* A stream that has forgotten its position counts from its start again. */
    bool audited = feed->profile->catchup.audit_ms > 0; /* after a start it is what was whole */
    if (record->after < feed->top && feed->position != 0 && !audited)
        world_violation(world, 4, "%s: a gap after %llu stands behind event %u", feed->name,
                        (unsigned long long)record->after, feed->top);
    if (record->after > feed->after)
        feed->after = record->after;
}

static void check_record(struct world *world, const struct record *record)
{
    struct feed *feed = &world->feeds[record->feed];
    if (record->seq <= truth_newest_seq(world))
        world_violation(world, 6, "seq %llu stored after %llu", (unsigned long long)record->seq,
                        (unsigned long long)truth_newest_seq(world));
    truth_seq_means(world, record);
    feed->anything = true;
    switch (record->form) {
    case FORM_WHOLE:
        check_whole(world, feed, record);
        return;
    case FORM_TEXT:
        check_text(world, feed, record);
        return;
    case FORM_GAP:
        check_gap(world, feed, record);
        return;
    }
}

static void move_position(struct world *world, struct feed *feed, const struct pending *pending)
{
    unsigned position = pending->record.position;
    /* A late one need not move it: what came before may have lain above, and been too large. */
    bool moves = feed->resumable && pending->record.form == FORM_WHOLE && pending->record.keyed &&
                 (pending->has_position || feed->service.events[position].kind != LATE);
    if (pending->forget)
        feed->position = feed->should_be = 0;
    if (moves && position > feed->should_be)
        feed->should_be = position;
    if (!pending->has_position)
        return;
    if (pending->position < feed->position)
        world_violation(world, 7, "%s: position moved back from %llu to %llu", feed->name,
                        (unsigned long long)feed->position, (unsigned long long)pending->position);
    feed->position = pending->position;
}

/* ---- batches ---- */

void truth_pending(struct world *world, const struct hub_batch *batch)
{
    world->n_pending = 0;
    if (world->cap_pending < batch->count) {
        world->cap_pending = batch->count * 2;
        world->pending = realloc(world->pending, world->cap_pending * sizeof(*world->pending));
    }
    for (size_t i = 0; i < batch->count; i++) {
        const struct store_record *from = &batch->records[i];
        struct pending *to = &world->pending[world->n_pending++];
        *to = (struct pending){.has_position = from->position.ptr != NULL,
                               .forget = from->forget_position};
        truth_read_line(world, from->line, &to->record);
        if (to->has_position && slice_parse_u64(from->position, &to->position) != 0)
            world_violation(world, 7, "position \"%.*s\"", slice_width(from->position),
                            slice_chars(from->position));
        if ((to->record.form == FORM_GAP) != (from->kind == STORE_GAP) ||
            to->record.seq != from->seq || world->feeds[to->record.feed].id != from->stream)
            world_violation(world, 6, "seq %llu is not what its line says",
                            (unsigned long long)from->seq);
    }
}

static void store_one(struct world *world, size_t i)
{
    const struct pending *pending = &world->pending[i];
    const struct record *record = &pending->record, *next = &world->pending[i + 1].record;
    world_trace(world, "stored seq %llu: %s %s %u%s", (unsigned long long)record->seq,
                world->feeds[record->feed].name,
                record->form == FORM_WHOLE  ? "event"
                : record->form == FORM_TEXT ? "text of event"
                                            : session_gap_name(record->reason),
                record->position, pending->has_position ? ", position" : "");
    check_record(world, record);
    move_position(world, &world->feeds[record->feed], pending);
    if (record->form == FORM_TEXT &&
        (i + 1 == world->n_pending || next->form != FORM_GAP || next->feed != record->feed ||
         next->reason != SESSION_GAP_MALFORMED))
        world_violation(world, 4, "%s: broken event %u is stored without its gap",
                        world->feeds[record->feed].name, record->position);
    if (world->n_stored == world->cap_stored) {
        world->cap_stored = world->cap_stored * 2 + 1024;
        world->stored = realloc(world->stored, world->cap_stored * sizeof(struct record));
    }
    world->stored[world->n_stored++] = *record;
}

void truth_committed(struct world *world)
{
    for (size_t i = 0; i < world->n_pending; i++)
        store_one(world, i);
    world->n_pending = 0;
    for (unsigned i = 0; i < world->n_feeds; i++) {
        const struct feed *feed = &world->feeds[i];
        bool audited = feed->profile->catchup.audit_ms > 0; /* then it is the last that was whole */
        if (audited ? feed->position > feed->should_be : feed->position != feed->should_be)
            world_violation(world, 7, "%s: position %llu is on disk, with event %llu", feed->name,
                            (unsigned long long)feed->position,
                            (unsigned long long)feed->should_be);
    }
}

void truth_opened(struct world *world, uint64_t newest_seq)
{
    if (world->n_pending > 0 && newest_seq >= world->pending[world->n_pending - 1].record.seq) {
        if (world->alive)
            cover(COVER_FAILED_ON_DISK);
        truth_committed(world);
    }
    world->n_pending = 0;
    if (newest_seq != truth_newest_seq(world))
        world_violation(world, 5, "newest seq is %llu in a store opened again, not %llu",
                        (unsigned long long)newest_seq,
                        (unsigned long long)truth_newest_seq(world));
}

/* ---- looking ---- */

bool truth_has(const struct feed *feed, unsigned position)
{
    return feed->whole_seq[position] != 0;
}

uint64_t truth_newest_seq(const struct world *world)
{
    return world->n_stored > 0 ? world->stored[world->n_stored - 1].seq : 0;
}

const struct record *truth_find(const struct world *world, uint64_t seq)
{
    size_t low = 0, high = world->n_stored;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (world->stored[middle].seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low < world->n_stored && world->stored[low].seq == seq ? &world->stored[low] : NULL;
}

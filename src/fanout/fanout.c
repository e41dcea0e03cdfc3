/* The ring: reserve, push, publish, durable, evict. */
#include "fanout/fanout.h"

#include <assert.h>

#include "fanout/ring.h"

_Static_assert(sizeof(struct fanout_slot) == 64, "fanout.h promises 64 bytes an entry");
_Static_assert(sizeof(struct fanout) % FANOUT_ALIGN == 0, "the slots follow it, aligned alike");

/* An old slot is in no near cache any more: this many evictions ahead it is fetched. */
enum { PREFETCH_SLOTS = 8 };

static size_t slot_count(size_t max_entries)
{
    size_t n = 1;

    while (n < max_entries)
        n *= 2;
    return n;
}

size_t fanout_size(size_t ring_bytes, size_t max_entries)
{
    return sizeof(struct fanout) + slot_count(max_entries) * sizeof(struct fanout_slot) +
           ring_bytes;
}

struct fanout *fanout_init(void *memory, size_t ring_bytes, size_t max_entries, uint64_t newest_seq)
{
    struct fanout *fanout = memory;
    size_t n_slots = slot_count(max_entries);

    assert((uintptr_t)memory % FANOUT_ALIGN == 0 && max_entries > 0);
    *fanout = (struct fanout){
        .slots = (struct fanout_slot *)(fanout + 1),
        .slot_mask = n_slots - 1,
        .ring_bytes = ring_bytes,
        .max_entries = max_entries,
        .newest_seq = newest_seq,
        .published_seq = newest_seq,
        .evicted_seq = newest_seq,
    };
    fanout->ring = (char *)(fanout->slots + n_slots);
    return fanout;
}

static uint64_t evictable_end(const struct fanout *fanout)
{
    return fanout->durable < fanout->published ? fanout->durable : fanout->published;
}

/* Where n bytes would go if all entries below `oldest` were evicted. */
static bool find_place(const struct fanout *fanout, uint64_t oldest, size_t n, size_t *at,
                       size_t *skip)
{
    size_t unused, to_end;

    if (n > fanout->ring_bytes || fanout->end - oldest >= fanout->max_entries)
        return false;
    if (oldest == fanout->end) {
        *at = *skip = 0;
        return true;
    }
    unused = fanout->ring_bytes - (size_t)(fanout->taken - fanout_slot(fanout, oldest)->begin);
    to_end = fanout->ring_bytes - fanout->write_at;
    if (n <= unused && n <= to_end) {
        *at = fanout->write_at;
        *skip = 0;
        return true;
    }
    *at = 0;
    *skip = to_end;
    return to_end <= unused && n <= unused - to_end;
}

bool fanout_has_room(const struct fanout *fanout, size_t n)
{
    size_t at, skip;

    return find_place(fanout, evictable_end(fanout), n, &at, &skip);
}

bool fanout_has_room_for(const struct fanout *fanout, unsigned entries, size_t n)
{
    /* Where they all fit in one piece, they fit one by one as well. */
    return fanout->end - evictable_end(fanout) + entries <= fanout->max_entries &&
           fanout_has_room(fanout, n);
}

static void evict_oldest(struct fanout *fanout)
{
    const struct fanout_entry *entry = &fanout_slot(fanout, fanout->oldest)->entry;

    if (fanout_is_stored(entry->kind))
        fanout->evicted_seq = entry->seq;
    fanout->oldest++;
    __builtin_prefetch(fanout_slot(fanout, fanout->oldest + PREFETCH_SLOTS));
}

char *fanout_reserve(struct fanout *fanout, size_t n)
{
    size_t at, skip;

    fanout->reserved.made = false;
    if (!fanout_has_room(fanout, n))
        return NULL;
    while (!find_place(fanout, fanout->oldest, n, &at, &skip))
        evict_oldest(fanout);
    fanout->reserved.made = true;
    fanout->reserved.at = at;
    fanout->reserved.skip = skip;
    fanout->reserved.n = n;
    return fanout->ring + at;
}

/* What needs no disk is durable as soon as all before it is. */
static void extend_durable(struct fanout *fanout)
{
    while (fanout->durable < fanout->end &&
           !fanout_is_stored(fanout_slot(fanout, fanout->durable)->entry.kind))
        fanout->durable++;
}

/* Bytes of the ring that are the entry's: up to its type's end where that lies behind the line. */
static size_t span_of(const struct fanout_entry *entry)
{
    size_t type_end = 0;

    if (entry->type.len > 0)
        type_end = (size_t)(entry->type.ptr + entry->type.len - entry->line.ptr);
    return type_end > entry->line.len ? type_end : entry->line.len;
}

const struct fanout_entry *fanout_push(struct fanout *fanout, enum fanout_kind kind, uint64_t seq,
                                       uint32_t stream, struct slice type, size_t line_len)
{
    struct fanout_slot *slot = fanout_slot(fanout, fanout->end);
    const char *at = fanout->ring + fanout->reserved.at;
    size_t span;

    assert(fanout->reserved.made && line_len > 0);
    assert(type.len == 0 || (type.ptr >= at && type.ptr <= at + line_len));
    assert(!fanout_is_stored(kind) || seq > fanout->newest_seq);
    fanout->reserved.made = false;
    if (fanout_is_stored(kind))
        fanout->newest_seq = seq;
    slot->begin = fanout->taken;
    slot->entry = (struct fanout_entry){
        .index = fanout->end,
        .seq = fanout->newest_seq,
        .stream = stream,
        .kind = kind,
        .type = type,
        .line = slice_make(at, line_len),
    };
    span = span_of(&slot->entry);
    assert(span <= fanout->reserved.n);
    fanout->write_at = fanout->reserved.at + span;
    fanout->taken += fanout->reserved.skip + span;
    fanout->end++;
    extend_durable(fanout);
    return &slot->entry;
}

void fanout_publish(struct fanout *fanout, uint64_t end_index)
{
    assert(end_index <= fanout->end);
    if (end_index <= fanout->published)
        return;
    /* Not evictable before it was published: the entry is there. */
    fanout->published_seq = fanout_slot(fanout, end_index - 1)->entry.seq;
    fanout->published = end_index;
}

void fanout_durable(struct fanout *fanout, uint64_t end_index)
{
    assert(end_index <= fanout->end);
    if (end_index > fanout->durable)
        fanout->durable = end_index;
    extend_durable(fanout);
}

void fanout_abandon(struct fanout *fanout)
{
    /* What is on disk must be seen: nobody who is hot would ever read it there. */
    fanout_publish(fanout, fanout->durable);
    if (fanout->end > fanout->published)
        fanout->taken = fanout_slot(fanout, fanout->published)->begin;
    fanout->end = fanout->published;
    fanout->durable = fanout->published;
    fanout->newest_seq = fanout->published_seq;
    fanout->reserved.made = false;
    if (fanout->end > fanout->oldest) {
        const struct fanout_entry *last = &fanout_slot(fanout, fanout->end - 1)->entry;

        fanout->write_at = (size_t)(last->line.ptr - fanout->ring) + span_of(last);
    }
}

void fanout_skip(struct fanout *fanout, uint64_t seq)
{
    assert(fanout->published == fanout->end && fanout->durable == fanout->end);
    if (seq <= fanout->published_seq)
        return;
    /* An index that no entry has: whoever is hot has missed it. */
    fanout->end++;
    fanout->oldest = fanout->durable = fanout->published = fanout->end;
    fanout->newest_seq = fanout->published_seq = fanout->evicted_seq = seq;
    fanout->reserved.made = false;
}

uint64_t fanout_end_index(const struct fanout *fanout)
{
    return fanout->end;
}

uint64_t fanout_published_seq(const struct fanout *fanout)
{
    return fanout->published_seq;
}

uint64_t fanout_evicted_seq(const struct fanout *fanout)
{
    return fanout->evicted_seq;
}

const struct fanout_entry *fanout_get(const struct fanout *fanout, uint64_t index)
{
    if (index < fanout->oldest || index >= fanout->end)
        return NULL;
    return &fanout_slot(fanout, index)->entry;
}

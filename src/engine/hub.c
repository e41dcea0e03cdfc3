#include "engine/hub.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/saving.h"
#include "wire/ndjson.h"

static const struct slice no_type = {NULL, 0};

/* A batch has two buffers that take turns: one is filled while the other is on its way to disk. */
enum { FILLING, FLYING };

struct hub_stream {
    struct hub_stream *next;
    char *name;
    unsigned id;
    struct slice tags;
    struct hub_stream_stats stats;
    /* Only the newest position of a batch counts, since a batch is one transaction: it lives here,
     * and only the last record that carries one refers to it. */
    struct {
        char position[LIMIT_POSITION];
        struct store_record *record;
        size_t records; /* in the batch, of this stream */
    } turn[2];
};

struct hub {
    struct fanout *fanout;
    void *memory;
    size_t ring_bytes;
    uint64_t commit_bytes, page_bytes;
    uint64_t cost; /* of the batch being filled, in bytes of the store's file */
    struct hub_batch *batch[2];
    struct saving *saving[2];     /* the memory of its states */
    uint64_t batch_ticket[2];     /* the newest of its states, 0: it has none */
    uint64_t ticket, told_ticket; /* given out; told to be saved, or lost */
    unsigned filling;             /* which of the two */
    bool flying, failed, received, room_wanted, held;
    uint64_t next_seq, reserved_seq, bytes;
    struct hub_stream *streams;
    const struct hub_ops *ops;
    void *arg;
};

int hub_new(const struct hub_options *options, struct hub **out)
{
    struct hub *hub = calloc(1, sizeof(*hub));
    if (hub == NULL)
        return ERR_NOMEM;
    hub->ring_bytes = options->ring_bytes;
    hub->commit_bytes = options->commit_bytes;
    hub->page_bytes = options->page_bytes;
    hub->received = options->deliver_received;
    hub->ops = options->ops;
    hub->arg = options->ops_arg;
    bool memory = true;
    for (unsigned turn = 0; turn < 2; turn++) {
        hub->batch[turn] = calloc(1, sizeof(struct hub_batch));
        hub->saving[turn] = calloc(1, sizeof(struct saving));
        memory = memory && hub->batch[turn] != NULL && hub->saving[turn] != NULL;
        if (hub->saving[turn] != NULL)
            saving_init(hub->saving[turn]);
    }
    size_t size = fanout_size(options->ring_bytes, options->ring_entries);
    hub->memory = aligned_alloc(FANOUT_ALIGN, (size + FANOUT_ALIGN - 1) & ~(FANOUT_ALIGN - 1ul));
    if (!memory || hub->memory == NULL) {
        hub_free(hub);
        return ERR_NOMEM;
    }
    hub->fanout =
        fanout_init(hub->memory, options->ring_bytes, options->ring_entries, options->newest_seq);
    hub->next_seq = 1;
    hub_reopen(hub, options->newest_seq, options->reserved_seq);
    *out = hub;
    return 0;
}

static void free_stream(struct hub_stream *stream)
{
    free(stream->name);
    free((char *)stream->tags.ptr);
    free(stream);
}

void hub_free(struct hub *hub)
{
    if (hub == NULL)
        return;
    while (hub->streams != NULL) {
        struct hub_stream *stream = hub->streams;
        hub->streams = stream->next;
        free_stream(stream);
    }
    for (unsigned turn = 0; turn < 2; turn++) {
        if (hub->saving[turn] != NULL)
            saving_fini(hub->saving[turn]);
        free(hub->saving[turn]);
        free(hub->batch[turn]);
    }
    free(hub->memory);
    free(hub);
}

int hub_stream_new(struct hub *hub, const char *name, unsigned id, struct slice tags,
                   struct hub_stream **out)
{
    struct hub_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return ERR_NOMEM;
    stream->name = strdup(name);
    stream->tags.ptr = slice_dup(tags);
    stream->tags.len = tags.len;
    stream->id = id;
    if (stream->name == NULL || stream->tags.ptr == NULL) {
        free_stream(stream);
        return ERR_NOMEM;
    }
    stream->next = hub->streams;
    hub->streams = stream;
    *out = stream;
    return 0;
}

int hub_stream_tags(struct hub_stream *stream, struct slice tags)
{
    char *copy = slice_dup(tags);
    if (copy == NULL)
        return ERR_NOMEM;
    free((char *)stream->tags.ptr);
    stream->tags = slice_make(copy, tags.len);
    return 0;
}

bool hub_stream_idle(const struct hub_stream *stream)
{
    return stream->turn[0].records == 0 && stream->turn[1].records == 0;
}

void hub_stream_free(struct hub *hub, struct hub_stream *stream)
{
    struct hub_stream **at = &hub->streams;
    assert(hub_stream_idle(stream));
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    free_stream(stream);
}

/* ---- filling ---- */

/* Whoever spaces out the commits looks at hub_starved() now. */
static int no_room(struct hub *hub)
{
    hub->room_wanted = true;
    hub->ops->wanted(hub->arg);
    return ERR_AGAIN;
}

/* Room for so many more in the batch, and seqs for them. */
static int check_batch(struct hub *hub, unsigned records)
{
    const struct hub_batch *batch = hub->batch[hub->filling];
    if (hub->failed || batch->count + records > HUB_BATCH_RECORDS)
        return no_room(hub);
    if (hub->received && hub->next_seq + records - 1 > hub->reserved_seq)
        return no_room(hub); /* the flush reserves a block */
    return 0;
}

/* What a record takes in the store at most: its row, its key, what is left empty in a page, and
 * pages of its own if it is large. */
static uint64_t record_cost(const struct hub *hub, size_t length)
{
    uint64_t bytes = length + 256;
    if (bytes * 2 > hub->page_bytes)
        bytes += 2 * hub->page_bytes;
    return bytes + bytes / 4;
}

/* What events may take of the batch. They are many and may come without a pause, while an
 * acknowledgement waits for the very end of the batch: part of it is not theirs, unless it takes
 * all there is for a single one. */
static uint64_t event_bytes(const struct hub *hub)
{
    if (hub->batch[hub->filling]->count == 0)
        return hub->commit_bytes;
    return hub->commit_bytes - hub->commit_bytes / HUB_BATCH_STATES_PART;
}

/* 0: the cost fits into so much of the batch. */
static int check_cost(struct hub *hub, uint64_t cost, uint64_t bytes)
{
    if (hub->commit_bytes == 0 || hub->cost + cost <= bytes)
        return 0;
    return cost > hub->commit_bytes ? ERR_LIMIT : no_room(hub);
}

static void set_position(struct hub *hub, struct hub_stream *stream, struct store_record *record,
                         struct slice position)
{
    char *place = stream->turn[hub->filling].position;
    struct store_record *before = stream->turn[hub->filling].record;
    if (before != NULL)
        before->position = (struct slice){NULL, 0};
    memcpy(place, position.ptr, position.len);
    record->position = slice_make(place, position.len);
    stream->turn[hub->filling].record = record;
}

static struct store_record *add_record(struct hub *hub, struct hub_stream *stream,
                                       const struct fanout_entry *entry, enum store_kind kind,
                                       int64_t received_us)
{
    struct hub_batch *batch = hub->batch[hub->filling];
    struct store_record *record = &batch->records[batch->count];
    if (batch->count++ == 0) {
        batch->first_index = entry->index;
        hub->ops->wanted(hub->arg);
    }
    *record = (struct store_record){
        .seq = entry->seq,
        .stream = stream->id,
        .kind = kind,
        .received_us = received_us,
        .type = entry->type,
        .line = entry->line,
    };
    hub->cost += record_cost(hub, entry->type.len + entry->line.len);
    stream->turn[hub->filling].records++;
    batch->bytes += entry->line.len;
    hub->bytes += entry->line.len;
    hub->next_seq = entry->seq + 1;
    stream->stats.newest_seq = entry->seq;
    return record;
}

/* What is not stored is visible at once, unless something stored before it is not yet. With
 * deliver = received nothing waits. */
static void publish_unstored(struct hub *hub)
{
    size_t waiting = hub->batch[hub->filling]->count;
    if (hub->flying)
        waiting += hub->batch[hub->filling ^ 1]->count;
    if (!hub->received && waiting > 0)
        return;
    fanout_publish(hub->fanout, fanout_end_index(hub->fanout));
    hub->ops->published(hub->arg);
}

/* Returns the room that write_event needs. */
static size_t form_event(const struct hub_stream *stream, const struct flow_event *event,
                         uint64_t seq, struct ndjson_event *out)
{
    *out = (struct ndjson_event){
        .seq = seq,
        .stream = stream->name,
        .id = event->id,
        .position = event->position,
        .type = event->type,
        .received_us = event->received_us,
        .event_time = event->time,
        .via = flow_via_name(event->via),
        .snapshot = event->snapshot,
        .tags = stream->tags,
        .data_kind = event->data_kind == FLOW_DATA_JSON   ? NDJSON_DATA_JSON
                     : event->data_kind == FLOW_DATA_TEXT ? NDJSON_DATA_TEXT
                                                          : NDJSON_DATA_BINARY,
        .data = event->data,
    };
    return ndjson_event_bound(out) + event->type.len;
}

/* Writes the line into the reservation. Filters match the type as it stands in the line; where
 * escapes hide it, it is put behind once more. */
static size_t write_event(const struct ndjson_event *form, char *at, struct slice *type)
{
    size_t length = ndjson_event_encode(form, at, type);
    if (type->len != form->type.len) {
        memcpy(at + length, form->type.ptr, form->type.len);
        *type = slice_make(at + length, form->type.len);
    }
    return length;
}

static void push_ephemeral(struct hub *hub, struct hub_stream *stream,
                           const struct flow_event *event)
{
    struct ndjson_event form;
    size_t bound = form_event(stream, event, 0, &form);
    char *at = hub->failed ? NULL : fanout_reserve(hub->fanout, bound);
    if (at == NULL) {
        stream->stats.ephemeral_dropped++;
        return;
    }
    struct slice type;
    size_t length = write_event(&form, at, &type);
    fanout_push(hub->fanout, FANOUT_EPHEMERAL, form.seq, stream->id, type, length);
    stream->stats.ephemeral++;
    publish_unstored(hub);
}

#define GAP_LINE_MAX (2 * 6 * LIMIT_POSITION + 6 * 320 + 512) /* every byte may need 6 */

static int push_gap(struct hub *hub, struct hub_stream *stream, const struct hub_gap *gap)
{
    struct buf line;
    buf_init(&line, GAP_LINE_MAX);
    int status = ndjson_write_gap(&line, hub->next_seq, stream->name, session_gap_name(gap->reason),
                                  gap->after, gap->before, gap->detail);
    if (status == 0)
        status = check_cost(hub, record_cost(hub, line.len), hub->commit_bytes);
    char *at = status == 0 ? fanout_reserve(hub->fanout, line.len) : NULL;
    if (at != NULL) {
        memcpy(at, line.data, line.len);
        const struct fanout_entry *entry =
            fanout_push(hub->fanout, FANOUT_GAP, hub->next_seq, stream->id, no_type, line.len);
        struct store_record *record = add_record(hub, stream, entry, STORE_GAP, gap->now_us);
        record->forget_position = record->has_key = gap->forget;
        memcpy(record->key, flow_key_forget, sizeof(record->key));
        if (gap->forget && stream->turn[hub->filling].record != NULL) {
            stream->turn[hub->filling].record->position = (struct slice){NULL, 0};
            stream->turn[hub->filling].record = NULL;
        }
        stream->stats.gaps[gap->reason]++;
    }
    buf_fini(&line);
    return at == NULL ? no_room(hub) : 0; /* without memory too: the line is short enough */
}

int hub_event(struct hub *hub, struct hub_stream *stream, const struct flow_event *event)
{
    if (event->ephemeral) {
        push_ephemeral(hub, stream, event);
        return 0;
    }
    /* The gap of a malformed event goes into the same batch: no crash parts them. */
    unsigned records = event->malformed != NULL ? 2 : 1;
    size_t extra = event->malformed != NULL ? GAP_LINE_MAX : 0;
    int status = hub->held ? no_room(hub) : check_batch(hub, records);
    /* The bytes bound events only, for the same reason: a gap is small. */
    if (status == 0 && hub->batch[hub->filling]->bytes >= hub->ring_bytes / HUB_BATCH_RING_PART)
        status = no_room(hub);
    if (status != 0)
        return status;
    struct ndjson_event form;
    size_t bound = form_event(stream, event, hub->next_seq, &form);
    if (bound + extra > hub->ring_bytes)
        return ERR_LIMIT;
    if (!fanout_has_room_for(hub->fanout, records, bound + extra))
        return no_room(hub);
    char *at = fanout_reserve(hub->fanout, bound);
    if (at == NULL)
        return no_room(hub);
    struct slice type;
    size_t length = write_event(&form, at, &type);
    uint64_t cost = record_cost(hub, event->type.len + length);
    if (extra > 0)
        cost += record_cost(hub, extra);
    status = check_cost(hub, cost, event_bytes(hub));
    if (status != 0)
        return status;
    const struct fanout_entry *entry =
        fanout_push(hub->fanout, FANOUT_EVENT, form.seq, stream->id, type, length);
    struct store_record *record = add_record(hub, stream, entry, STORE_EVENT, event->received_us);
    record->has_key = event->has_key;
    if (event->has_key)
        memcpy(record->key, event->key, sizeof(record->key));
    if (event->resume.ptr != NULL)
        set_position(hub, stream, record, event->resume);
    stream->stats.stored[event->via]++;
    if (hub->received)
        publish_unstored(hub);
    return 0;
}

int hub_gap(struct hub *hub, struct hub_stream *stream, const struct hub_gap *gap)
{
    int status = check_batch(hub, 1);
    if (status != 0)
        return status;
    status = push_gap(hub, stream, gap);
    if (status == 0 && hub->received)
        publish_unstored(hub);
    return status;
}

void hub_notice(struct hub *hub, struct hub_stream *stream, struct slice line)
{
    char *at = fanout_reserve(hub->fanout, line.len);
    if (at == NULL)
        return;
    memcpy(at, line.ptr, line.len);
    fanout_push(hub->fanout, FANOUT_NOTICE, hub->next_seq - 1, stream->id, no_type, line.len);
    publish_unstored(hub);
}

/* ---- states ---- */

/* Besides its bytes, a state takes two pages: a write copies its leaf and the branch above. What is
 * higher up is copied once a commit, and not counted here. So it is where few states of many are
 * saved: of 1,800 with 1,500 bytes each ten cost 2.2 pages each, a hundred 1.5, and all of them 1.
 * Small ones share leaves, 1,800 cursors lie in 65; but how many pages there are only the store
 * knows, which counts no more than those (store_states_bytes). Too much here ends a batch sooner,
 * and the rest goes with the next; too little would make a commit that cannot fit. */
static uint64_t state_cost(const struct hub *hub, const struct store_state *state)
{
    return record_cost(hub, state->key.len + state->value.len) + 2 * hub->page_bytes;
}

uint64_t hub_save(struct hub *hub, struct slice key, struct slice value)
{
    struct hub_batch *batch = hub->batch[hub->filling];
    const struct store_state *before = saving_find(hub->saving[hub->filling], batch->states, key);
    uint64_t given_back = before != NULL ? state_cost(hub, before) : 0;
    uint64_t cost = state_cost(hub, &(struct store_state){.key = key, .value = value});
    assert(key.len > 0 && key.len <= STORE_STATE_KEY && value.len <= STORE_STATE_VALUE);
    bool fits = hub->commit_bytes == 0 || hub->cost + cost - given_back <= hub->commit_bytes;
    if (hub->failed || !fits ||
        saving_put(hub->saving[hub->filling], batch->states, &batch->n_states, key, value) != 0) {
        no_room(hub);
        return 0;
    }
    hub->cost += cost - given_back;
    hub->batch_ticket[hub->filling] = ++hub->ticket;
    hub->ops->wanted(hub->arg);
    return hub->ticket;
}

/* Last of all, for the answer may be another hub_save(). */
static void tell_saved(struct hub *hub, uint64_t ticket, bool lost)
{
    if (ticket <= hub->told_ticket)
        return;
    hub->told_ticket = ticket;
    hub->ops->saved(hub->arg, ticket, lost);
}

/* ---- committing ---- */

static void forget_turn(struct hub *hub, unsigned turn)
{
    for (struct hub_stream *s = hub->streams; s != NULL; s = s->next) {
        s->turn[turn].record = NULL;
        s->turn[turn].records = 0;
    }
    hub->batch[turn]->count = 0;
    hub->batch[turn]->bytes = 0;
    hub->batch[turn]->reserve_seq = 0;
    saving_clear(hub->saving[turn], hub->batch[turn]->n_states);
    hub->batch[turn]->n_states = 0;
    hub->batch_ticket[turn] = 0;
}

void hub_flush(struct hub *hub)
{
    struct hub_batch *batch = hub->batch[hub->filling];
    if (hub->flying || hub->failed)
        return;
    if (hub->received && hub->next_seq + HUB_RESERVE_BLOCK / 2 > hub->reserved_seq)
        batch->reserve_seq = hub->next_seq + HUB_RESERVE_BLOCK;
    if (batch->count == 0 && batch->n_states == 0 && batch->reserve_seq == 0)
        return;
    hub->flying = true;
    hub->filling ^= 1;
    hub->cost = 0;
    hub->ops->commit(hub->arg, batch);
}

static void call_room(struct hub *hub)
{
    if (!hub->room_wanted)
        return;
    hub->room_wanted = false;
    hub->ops->room(hub->arg);
}

void hub_hold(struct hub *hub, bool hold)
{
    bool lifted = hub->held && !hold;
    hub->held = hold;
    if (lifted)
        call_room(hub);
}

void hub_committed(struct hub *hub, int status)
{
    unsigned flown = hub->filling ^ 1;
    assert(hub->flying);
    hub->flying = false;
    if (status != 0) {
        fanout_abandon(hub->fanout);
        forget_turn(hub, 0);
        forget_turn(hub, 1);
        hub->cost = 0;
        hub->failed = true;
        tell_saved(hub, hub->ticket, true);
        return;
    }
    uint64_t ticket = hub->batch_ticket[flown];
    if (hub->batch[flown]->reserve_seq > hub->reserved_seq)
        hub->reserved_seq = hub->batch[flown]->reserve_seq;
    forget_turn(hub, flown);
    const struct hub_batch *next = hub->batch[hub->filling];
    uint64_t end = next->count > 0 ? next->first_index : fanout_end_index(hub->fanout);
    fanout_durable(hub->fanout, end);
    if (!hub->received)
        fanout_publish(hub->fanout, end);
    hub->ops->published(hub->arg);
    call_room(hub);
    if (next->count > 0 || next->n_states > 0)
        hub->ops->wanted(hub->arg);
    tell_saved(hub, ticket, false);
}

void hub_waiting(struct hub *hub)
{
    unsigned flown = hub->filling ^ 1;
    struct hub_batch *next = hub->batch[hub->filling], *waiting = hub->batch[flown];
    struct saving *memory = hub->saving[flown];
    uint64_t ticket = hub->batch_ticket[flown];
    assert(hub->flying);
    saving_clear(memory, waiting->n_states);
    for (size_t i = 0; i < next->n_states; i++)
        hub->cost -= state_cost(hub, &next->states[i]);
    memcpy(waiting->states, next->states, next->n_states * sizeof(next->states[0]));
    waiting->n_states = next->n_states;
    hub->saving[flown] = hub->saving[hub->filling]; /* what the states point into */
    hub->batch_ticket[flown] = hub->batch_ticket[hub->filling];
    next->n_states = 0;
    hub->saving[hub->filling] = memory;
    hub->batch_ticket[hub->filling] = 0;
    call_room(hub);
    tell_saved(hub, ticket, false);
}

void hub_reopen(struct hub *hub, uint64_t newest_seq, uint64_t reserved_seq)
{
    uint64_t used = newest_seq > reserved_seq ? newest_seq : reserved_seq;
    if (used + 1 > hub->next_seq)
        hub->next_seq = used + 1;
    hub->reserved_seq = reserved_seq;
    hub->failed = false;
    fanout_skip(hub->fanout, newest_seq);
    call_room(hub);
}

/* What is in the ring and not yet published is so with the next event, or the next commit. */
void hub_configure(struct hub *hub, uint64_t commit_bytes, bool deliver_received)
{
    hub->commit_bytes = commit_bytes;
    hub->received = deliver_received;
}

/* ---- looking ---- */

bool hub_failed(const struct hub *hub)
{
    return hub->failed;
}

bool hub_flying(const struct hub *hub)
{
    return hub->flying;
}

bool hub_starved(const struct hub *hub)
{
    return hub->room_wanted || hub->batch[hub->filling]->n_states > 0;
}

bool hub_idle(const struct hub *hub)
{
    return !hub->flying && hub->batch[hub->filling]->count == 0 &&
           hub->batch[hub->filling]->n_states == 0;
}

struct fanout *hub_fanout(struct hub *hub)
{
    return hub->fanout;
}

uint64_t hub_bytes(const struct hub *hub)
{
    return hub->bytes;
}

uint64_t hub_next_seq(const struct hub *hub)
{
    return hub->next_seq;
}

uint64_t hub_reserved_seq(const struct hub *hub)
{
    return hub->received && hub->reserved_seq > hub->next_seq - 1 ? hub->reserved_seq
                                                                  : hub->next_seq - 1;
}

void hub_stream_stats(const struct hub_stream *stream, struct hub_stream_stats *out)
{
    *out = stream->stats;
}

#include "daemon/outlet.h"

#include <string.h>

void outlet_init(struct outlet *outlet, struct daemon *daemon, struct io_stream *stream,
                 size_t head_max, const struct outlet_events *events, void *arg)
{
    outlet->daemon = daemon;
    outlet->stream = stream;
    outlet->events = events;
    outlet->arg = arg;
    buf_init(&outlet->head, head_max);
    buf_init(&outlet->globs, 2 * LIMIT_LINE_IN);
    rota_place_init(&outlet->place);
}

void outlet_fini(struct outlet *outlet)
{
    rota_leave(&outlet->place);
    persist_read_cancel(outlet->daemon->persist, &outlet->read);
    buf_fini(&outlet->head);
    buf_fini(&outlet->globs);
}

static struct fanout *fanout_of(const struct outlet *outlet)
{
    return hub_fanout(outlet->daemon->hub);
}

static void end(struct outlet *outlet)
{
    outlet->events->on_end(outlet->arg);
}

/* ---- subscribing ---- */

int outlet_add_stream(struct outlet *outlet, struct slice glob)
{
    if (memchr(glob.ptr, '\0', glob.len) != NULL)
        return ERR_INVAL; /* no stream has such a name */
    size_t before = outlet->globs.len;
    int status = buf_append_slice(&outlet->globs, glob);
    if (status == 0)
        status = buf_append_byte(&outlet->globs, '\0');
    if (status != 0)
        outlet->globs.len = before;
    return status;
}

void outlet_add_type(struct outlet *outlet, struct slice glob)
{
    unsigned i = outlet->filter.n_types;
    size_t n = glob.len < LIMIT_EVENT_TYPE ? glob.len : LIMIT_EVENT_TYPE;
    if (i >= FANOUT_TYPES_MAX)
        return;
    memcpy(outlet->types[i], glob.ptr, n);
    outlet->filter.types[i] = slice_make(outlet->types[i], n);
    outlet->filter.n_types++;
}

void outlet_subscribe(struct outlet *outlet, uint64_t from_seq, bool forgive)
{
    fanout_subscribe(fanout_of(outlet), &outlet->sub, &outlet->filter, from_seq);
    /* One that is hot has all; what it loses later it is told. */
    outlet->read.forgive = forgive && !outlet->sub.hot;
    outlet->subscribed = true;
}

void outlet_consume(struct outlet *outlet, struct consumer *consumer, bool forgive)
{
    outlet_subscribe(outlet, consumer->cursor, forgive);
    outlet->sub.consumer = consumer;
}

void outlet_unsubscribe(struct outlet *outlet)
{
    persist_read_cancel(outlet->daemon->persist, &outlet->read);
    outlet->cold = outlet->subscribed = false;
    outlet->sub.consumer = NULL;
}

/* ---- writing ---- */

/* The first line of what may be several. */
static struct slice first_line(struct slice lines)
{
    const char *end = slice_find_byte(lines, '\n');
    return end == NULL ? lines : slice_make(lines.ptr, (size_t)(end - lines.ptr) + 1);
}

/* Writes now what fits; when nothing does, one line is queued, so that on_drain comes. Returns the
 * bytes that count as written, or < 0: the stream is broken. */
static ssize_t write_lines(struct outlet *outlet, const struct slice *lines, unsigned count)
{
    ssize_t n = io_stream_try_writev(outlet->stream, lines, count);
    if (n != ERR_AGAIN)
        return n;
    struct slice line = first_line(lines[0]);
    int status = io_stream_write(outlet->stream, line.ptr, line.len);
    return status != 0 ? status : (ssize_t)line.len;
}

static int write_whole(struct outlet *outlet, const struct fanout_batch *batch)
{
    struct slice rest;
    ssize_t n = write_lines(outlet, batch->line, batch->count);
    if (n < 0)
        return (int)n;
    fanout_advance(fanout_of(outlet), &outlet->sub, batch, (size_t)n, &rest);
    return rest.len > 0 ? io_stream_write(outlet->stream, rest.ptr, rest.len) : 0;
}

/* The gaps of the page, then its lines, for as long as the socket takes them. *all: every line is
 * written, or the rest of its last one waits. */
static int write_page_whole(struct outlet *outlet, const struct persist_page *page, bool *all)
{
    size_t i = 0, begin = 0;
    ssize_t n = 0;
    if (page->gaps.len > 0 && io_stream_write(outlet->stream, page->gaps.ptr, page->gaps.len) != 0)
        return ERR_IO;
    if (page->count > 0) {
        struct slice bytes = slice_make(page->bytes, page->lines[page->count - 1].end);
        n = write_lines(outlet, &bytes, 1);
        if (n < 0)
            return (int)n;
    }
    for (; i < page->count && begin < (size_t)n; begin = page->lines[i++].end) {
        const struct persist_line *line = &page->lines[i];
        if (line->end > (size_t)n &&
            io_stream_write(outlet->stream, page->bytes + n, line->end - (size_t)n) != 0)
            return ERR_IO;
        fanout_cold_sent(fanout_of(outlet), &outlet->sub, line->seq);
    }
    *all = i == page->count;
    return 0;
}

/* ---- writing in another form ---- */

/* One buffer serves all outlets: what the socket does not take is the stream's copy. */
static int frame_lines(struct outlet *outlet, struct slice lines)
{
    int status = 0;
    while (lines.len > 0 && status == 0) {
        struct slice line = first_line(lines);
        status = outlet->events->frame(outlet->arg, line, &outlet->daemon->framed);
        lines = slice_from(lines, line.len);
    }
    return status;
}

static int write_frames(struct outlet *outlet)
{
    struct buf *framed = &outlet->daemon->framed;
    int status = io_stream_write(outlet->stream, framed->data, framed->len);
    buf_clear(framed);
    if (framed->cap > 2 * OUTLET_FRAMED_BYTES)
        buf_fini(framed); /* a long line has passed */
    return status;
}

static int write_framed(struct outlet *outlet, const struct fanout_batch *batch)
{
    struct slice rest;
    int status = 0;
    for (unsigned i = 0; i < batch->count && status == 0; i++)
        status = frame_lines(outlet, batch->line[i]);
    int written = write_frames(outlet);
    fanout_advance(fanout_of(outlet), &outlet->sub, batch, batch->bytes, &rest);
    return status != 0 ? status : written;
}

static int write_page_framed(struct outlet *outlet, const struct persist_page *page, bool *all)
{
    size_t i = 0, begin = 0;
    int status = frame_lines(outlet, page->gaps);
    while (status == 0 && i < page->count && io_stream_queued(outlet->stream) == 0) {
        size_t first = begin;
        for (; i < page->count && begin - first < OUTLET_FRAMED_BYTES && status == 0; i++) {
            size_t end = page->lines[i].end;
            status = frame_lines(outlet, slice_make(page->bytes + begin, end - begin));
            fanout_cold_done(fanout_of(outlet), &outlet->sub, page->lines[i].seq);
            begin = end;
        }
        int written = write_frames(outlet);
        status = status != 0 ? status : written;
    }
    if (status == 0 && outlet->daemon->framed.len > 0)
        status = write_frames(outlet); /* gaps alone */
    buf_clear(&outlet->daemon->framed);
    *all = i == page->count;
    return status;
}

static int write_hot(struct outlet *outlet, const struct fanout_batch *batch)
{
    return outlet->events->frame != NULL ? write_framed(outlet, batch) : write_whole(outlet, batch);
}

static int write_page(struct outlet *outlet, const struct persist_page *page, bool *all)
{
    return outlet->events->frame != NULL ? write_page_framed(outlet, page, all)
                                         : write_page_whole(outlet, page, all);
}

/* ---- reading the store ---- */

/* Who acknowledges has to read of a loss as of an event. */
static void tell_gap(struct outlet *outlet, const struct persist_page *page)
{
    uint64_t to_seq = 0;
    for (unsigned i = 0; i < LIMIT_STREAMS; i++)
        if (page->told[i] > outlet->read.told[i] && page->told[i] > to_seq)
            to_seq = page->told[i];
    consumer_gap(outlet->sub.consumer, to_seq);
}

static void read_failed(struct outlet *outlet, const struct persist_page *page,
                        const struct error *err)
{
    outlet->events->on_unreadable(outlet->arg, err);
    if (err->code == ERR_CORRUPT)
        fanout_cold_done(fanout_of(outlet), &outlet->sub, page->done_seq + 1);
    else
        outlet->ending = true;
}

static void on_page(void *arg, const struct persist_page *page, const struct error *err)
{
    struct outlet *outlet = arg;
    bool all = false;
    outlet->cold = false;
    outlet->read.forgive = false;
    if (page->gaps.len > 0 && outlet->sub.consumer != NULL)
        tell_gap(outlet, page);
    memcpy(outlet->read.told, page->told, sizeof(outlet->read.told));
    if (write_page(outlet, page, &all) != 0) {
        end(outlet);
        return;
    }
    if (all && page->done_seq > outlet->sub.cursor)
        fanout_cold_done(fanout_of(outlet), &outlet->sub, page->done_seq);
    if (err != NULL && all)
        read_failed(outlet, page, err);
    outlet_want(outlet);
}

static void read_cold(struct outlet *outlet)
{
    outlet->cold = true;
    outlet->read.filter = &outlet->filter;
    outlet->read.after_seq = outlet->sub.cursor;
    outlet->read.to_seq = fanout_evicted_seq(fanout_of(outlet));
    outlet->read.on_done = on_page;
    outlet->read.arg = outlet;
    outlet->read.max_lines = outlet->sub.consumer != NULL ? consumer_room(outlet->sub.consumer) : 0;
    persist_read_start(outlet->daemon->persist, &outlet->read);
}

/* ---- turns ---- */

/* What lies in the store alone is not begun any more by one that leaves: it comes back for it. */
static enum fanout_next next_lines(struct outlet *outlet, struct fanout_batch *batch)
{
    if (!outlet->subscribed)
        return FANOUT_NEXT_IDLE;
    size_t most = outlet->events->frame != NULL ? OUTLET_FRAMED_BYTES : OUTLET_TURN_BYTES / 2;
    enum fanout_next next = fanout_next(fanout_of(outlet), &outlet->sub, most, batch);
    bool none = next == FANOUT_NEXT_COLD || next == FANOUT_NEXT_FULL;
    return none && outlet->leaving ? FANOUT_NEXT_IDLE : next;
}

static int write_head(struct outlet *outlet)
{
    if (outlet->head.len == 0)
        return 0;
    int status = io_stream_write(outlet->stream, outlet->head.data, outlet->head.len);
    buf_clear(&outlet->head);
    return status;
}

/* One whose socket is full hears of it when it is not: outlet_drained(). Those that read of long
 * ago have a rota of their own, so that what comes now waits for none of them. */
void outlet_want(struct outlet *outlet)
{
    bool cold = outlet->subscribed && !outlet->sub.hot;
    if (io_stream_queued(outlet->stream) > 0)
        return;
    rota_want(cold ? &outlet->daemon->cold : &outlet->daemon->hot, &outlet->place);
    io_idle_arm(outlet->daemon->soon);
}

/* One step of it. False: nothing more can be done now, or it is over. */
static bool step(struct outlet *outlet, size_t *written)
{
    struct fanout_batch batch;
    if (outlet->cold)
        return false;
    switch (next_lines(outlet, &batch)) {
    case FANOUT_NEXT_IDLE:
        if (!outlet->leaving)
            return false;
        outlet->events->on_last(outlet->arg);
        outlet->ending = true;
        return true;
    case FANOUT_NEXT_COLD:
        read_cold(outlet);
        return false;
    case FANOUT_NEXT_FULL:
        if (outlet->full)
            return false;
        outlet->full = true;
        outlet->events->on_full(outlet->arg);
        return true;
    case FANOUT_NEXT_LINES:
        break;
    }
    *written += batch.bytes;
    if (write_hot(outlet, &batch) == 0)
        return true;
    end(outlet);
    return false;
}

/* As far as the socket takes it, OUTLET_TURN_BYTES and what came last at most. Returns about how
 * much that was. */
static size_t serve(struct rota_place *place)
{
    struct outlet *outlet = LIST_ENTRY(place, struct outlet, place);
    size_t written = 0;
    while (io_stream_queued(outlet->stream) == 0) {
        if (written >= OUTLET_TURN_BYTES) {
            outlet_want(outlet);
            break;
        }
        written += outlet->head.len;
        if (write_head(outlet) != 0) {
            end(outlet);
            break;
        }
        if (io_stream_queued(outlet->stream) > 0)
            break;
        if (outlet->events->on_room != NULL)
            outlet->events->on_room(outlet->arg);
        if (outlet->head.len > 0)
            continue;
        if (outlet->ending) {
            end(outlet);
            break;
        }
        if (!step(outlet, &written))
            break;
    }
    return written;
}

/* Events wait upstream where so many come during one round that those who read as fast as they come
 * would be overtaken in the ring before their turn has come. In a stop nothing comes any more, and
 * what waits is to be stored. */
void outlets_turn(struct daemon *daemon)
{
    bool more = rota_run(&daemon->hot, DAEMON_TURN_BYTES, serve);
    bool more_cold = rota_run(&daemon->cold, DAEMON_TURN_BYTES, serve);
    if (daemon->round != daemon->hot.rounds)
        daemon->round_began_bytes = hub_bytes(daemon->hub);
    daemon->round = daemon->hot.rounds;
    uint64_t ahead = hub_bytes(daemon->hub) - daemon->round_began_bytes;
    hub_hold(daemon->hub, more && ahead >= DAEMON_AHEAD_BYTES && daemon->phase == DAEMON_RUNNING);
    if (more || more_cold)
        io_idle_arm(daemon->soon);
}

void outlet_drained(struct outlet *outlet, int status)
{
    if (status != 0)
        end(outlet);
    else
        outlet_want(outlet);
}

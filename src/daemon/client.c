#include "daemon/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/upstream.h"

static const struct slice no_id = {NULL, 0};

void client_close(struct client *client)
{
    persist_read_cancel(client->listener->daemon->persist, &client->read);
    list_remove(&client->node);
    client->listener->n_clients--;
    io_idle_arm(client->listener->daemon->soon); /* a stop may wait for this */
    io_stream_close(client->stream);
    ndjson_request_fini(&client->request);
    buf_fini(&client->in);
    buf_fini(&client->out);
    free(client);
}

/* ---- writing ---- */

/* The first line of what may be several. */
static struct slice first_line(struct slice lines)
{
    const char *end = slice_find_byte(lines, '\n');
    return end == NULL ? lines : slice_make(lines.ptr, (size_t)(end - lines.ptr) + 1);
}

/* Writes now what fits; when nothing does, one line is queued, so that on_drain comes. Returns the
 * bytes that count as written, or < 0: the client is gone. */
static ssize_t write_lines(struct client *client, const struct slice *lines, unsigned count)
{
    ssize_t n = io_stream_try_writev(client->stream, lines, count);
    if (n != ERR_AGAIN)
        return n;
    struct slice line = first_line(lines[0]);
    int status = io_stream_write(client->stream, line.ptr, line.len);
    return status != 0 ? status : (ssize_t)line.len;
}

/* False: nothing more to do now (or the client is gone). */
static bool write_hot(struct client *client, const struct fanout_batch *batch)
{
    struct slice rest;
    ssize_t n = write_lines(client, batch->line, batch->count);
    if (n < 0) {
        client_close(client);
        return false;
    }
    fanout_advance(hub_fanout(client->listener->daemon->hub), &client->sub, batch, (size_t)n,
                   &rest);
    if (rest.len > 0 && io_stream_write(client->stream, rest.ptr, rest.len) != 0) {
        client_close(client);
        return false;
    }
    return true;
}

/* A record that is damaged is named, never served, and passed. Any other failure ends the client:
 * it comes back where it was. */
static void read_failed(struct client *client, const struct persist_page *page,
                        const struct error *err)
{
    log_error(NULL, NULL, "listen %s: pid %d: %s", client->listener->name, (int)client->pid,
              err->text);
    client_reply_error(client, no_id, NDJSON_E_INTERNAL, err->text);
    if (err->code == ERR_CORRUPT)
        fanout_cold_done(hub_fanout(client->listener->daemon->hub), &client->sub,
                         page->done_seq + 1);
    else
        client->ending = true;
}

static void on_page(void *arg, const struct persist_page *page, const struct error *err)
{
    struct client *client = arg;
    struct fanout *fanout = hub_fanout(client->listener->daemon->hub);
    size_t i = 0, begin = 0;
    ssize_t n = 0;
    client->cold = false;
    client->read.forgive = false;
    memcpy(client->read.told, page->told, sizeof(client->read.told));
    if (page->gaps.len > 0 &&
        io_stream_write(client->stream, page->gaps.ptr, page->gaps.len) != 0) {
        client_close(client);
        return;
    }
    if (page->count > 0) {
        struct slice all = slice_make(page->bytes, page->lines[page->count - 1].end);
        n = write_lines(client, &all, 1);
        if (n < 0) {
            client_close(client);
            return;
        }
    }
    for (; i < page->count && begin < (size_t)n; begin = page->lines[i++].end) {
        const struct persist_line *line = &page->lines[i];
        if (line->end > (size_t)n &&
            io_stream_write(client->stream, page->bytes + n, line->end - (size_t)n) != 0) {
            client_close(client);
            return;
        }
        fanout_cold_done(fanout, &client->sub, line->seq);
    }
    if (i == page->count && page->done_seq > client->sub.cursor)
        fanout_cold_done(fanout, &client->sub, page->done_seq);
    if (err != NULL && i == page->count)
        read_failed(client, page, err);
    client_pump(client);
}

static void read_cold(struct client *client)
{
    struct fanout *fanout = hub_fanout(client->listener->daemon->hub);
    client->cold = true;
    client->read.filter = &client->filter;
    client->read.after_seq = client->sub.cursor;
    client->read.to_seq = fanout_evicted_seq(fanout);
    client->read.on_done = on_page;
    client->read.arg = client;
    persist_read_start(client->listener->daemon->persist, &client->read);
}

static bool write_replies(struct client *client)
{
    if (client->out.len == 0)
        return true;
    int status = io_stream_write(client->stream, client->out.data, client->out.len);
    if (status != 0) {
        client_close(client);
        return false;
    }
    buf_clear(&client->out);
    return true;
}

/* ---- reading ---- */

void client_reply_error(struct client *client, struct slice id, enum ndjson_error error,
                        const char *detail)
{
    if (ndjson_write_error(&client->out, id, error, detail) != 0)
        client->ending = true; /* no memory */
}

static void take_line(struct client *client, struct slice line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len > 0)
        request_handle(client, line);
}

static void too_long(struct client *client)
{
    client_reply_error(client, no_id, NDJSON_E_TOO_LONG,
                       "a request line is at most 65536 bytes; closing");
    client->ending = true;
}

/* Handles the whole lines that have come, for as long as there is room for the replies: a client
 * may ask faster than it reads, and waits then. */
static void take_lines(struct client *client)
{
    size_t used = 0;
    while (!client->ending && client->out.len <= CLIENT_REPLIES_HIGH) {
        struct slice rest = slice_from(buf_slice(&client->in), used);
        const char *end = slice_find_byte(rest, '\n');
        size_t n = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        if (n > LIMIT_LINE_IN)
            too_long(client);
        if (end == NULL || n > LIMIT_LINE_IN)
            break;
        take_line(client, slice_make(rest.ptr, n));
        used += n + 1;
    }
    buf_consume(&client->in, used);
}

static bool line_waits(const struct client *client)
{
    return slice_find_byte(buf_slice(&client->in), '\n') != NULL;
}

/* Its requests have waited for room; when all are handled, more are taken from the socket. */
static void take_up(struct client *client)
{
    if (client->reading || client->ending)
        return;
    take_lines(client);
    if (client->ending || line_waits(client))
        return;
    if (client->in.len == 0 && client->in.cap > LIMIT_LINE_IN)
        buf_fini(&client->in); /* a burst of requests has passed */
    if (client->deaf)
        client->ending = !client->subscribed;
    else if (io_stream_read_start(client->stream) == 0)
        client->reading = true;
}

/* ---- turns ---- */

/* What lies in the store alone is not begun any more by one that leaves: it comes back for it. */
static enum fanout_next next_lines(struct client *client, struct fanout_batch *batch)
{
    struct fanout *fanout = hub_fanout(client->listener->daemon->hub);
    if (!client->subscribed)
        return FANOUT_NEXT_IDLE;
    enum fanout_next next = fanout_next(fanout, &client->sub, CLIENT_TURN_BYTES / 4, batch);
    return next == FANOUT_NEXT_COLD && client->leaving ? FANOUT_NEXT_IDLE : next;
}

static void say_bye(struct client *client)
{
    if (ndjson_write_bye(&client->out, client->bye) != 0)
        buf_clear(&client->out);
    client->ending = true;
}

void client_pump(struct client *client)
{
    struct daemon *daemon = client->listener->daemon;
    struct fanout_batch batch;
    size_t written = 0;
    while (io_stream_queued(client->stream) == 0) {
        if (written >= CLIENT_TURN_BYTES) {
            daemon->serve_wanted = true;
            io_idle_arm(daemon->soon);
            return;
        }
        written += client->out.len;
        if (!write_replies(client) || io_stream_queued(client->stream) > 0)
            return;
        take_up(client);
        if (client->out.len > 0)
            continue;
        if (client->ending) {
            client_close(client);
            return;
        }
        if (client->cold)
            return;
        switch (next_lines(client, &batch)) {
        case FANOUT_NEXT_IDLE:
            if (!client->leaving)
                return;
            say_bye(client);
            break;
        case FANOUT_NEXT_COLD:
            read_cold(client);
            return;
        case FANOUT_NEXT_LINES:
            if (!write_hot(client, &batch))
                return;
            written += batch.bytes;
        }
    }
}

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    struct client *client = arg;
    (void)err;
    if (n < 0 || (n == 0 && io_stream_hung_up(client->stream))) {
        client_close(client);
        return;
    }
    if (n == 0) {
        /* It may shut down its sending side and go on listening, as socat does: a subscriber for
         * as long as it likes, others until they have their replies. */
        client->reading = false;
        client->deaf = true;
    } else if (buf_append(&client->in, bytes, (size_t)n) != 0) {
        client->ending = true;
    } else {
        take_lines(client);
    }
    if (client->reading && (client->ending || line_waits(client))) {
        io_stream_read_stop(client->stream);
        client->reading = false;
    }
    client_pump(client);
}

static void on_drain(void *arg, int status)
{
    struct client *client = arg;
    if (status != 0)
        client_close(client);
    else
        client_pump(client);
}

static const struct io_stream_events stream_events = {.on_read = on_read, .on_drain = on_drain};

/* ---- life ---- */

static int greet(struct client *client)
{
    struct daemon *daemon = client->listener->daemon;
    const struct store_info *info = persist_info(daemon->persist);
    struct ndjson_stream_state *states = calloc(daemon->n_upstreams + 1, sizeof(*states));
    unsigned n = 0;
    if (states == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct session_status status;
        if (!listener_sees(client->listener, daemon->upstreams[i]->store_id))
            continue;
        stream_session_status(daemon->upstreams[i]->stream, &status);
        states[n].name = daemon->upstreams[i]->settings->name;
        states[n++].state = session_state_name(status.state);
    }
    int status = ndjson_write_greeting(&client->out, "hawserd " HAWSER_VERSION, info->instance,
                                       info->oldest_seq,
                                       fanout_published_seq(hub_fanout(daemon->hub)), states, n);
    free(states);
    return status;
}

int client_new(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid)
{
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return ERR_NOMEM;
    client->listener = listener;
    client->uid = uid;
    client->pid = pid;
    client->stream = stream;
    buf_init(&client->in, LIMIT_LINE_IN + IO_READ_SIZE);
    buf_init(&client->out, CLIENT_REPLIES_MAX);
    ndjson_request_init(&client->request);
    int status = greet(client);
    io_stream_events(stream, &stream_events, client);
    if (status == 0)
        status = io_stream_read_start(stream);
    if (status != 0) {
        ndjson_request_fini(&client->request);
        buf_fini(&client->out);
        free(client);
        return status;
    }
    client->reading = true;
    list_push_back(&listener->clients, &client->node);
    listener->n_clients++;
    log_debug(NULL, NULL, "listen %s: pid %d (uid %d) connected", listener->name, (int)pid,
              (int)uid);
    client_pump(client);
    return 0;
}

void client_bye(struct client *client, const char *reason)
{
    client->bye = reason;
    client->leaving = true;
    client_pump(client);
}

#include "daemon/http_client.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/ndjson.h"

static int64_t now_ms(const struct http_client *client)
{
    return io_now_ms(client->listener->daemon->loop);
}

static void close_client(struct http_client *client)
{
    client->listener->answering -= client->counted;
    list_remove(&client->lags.wait.node);
    listener_remove(client->listener, &client->guest);
    outlet_fini(&client->outlet);
    io_stream_close(client->outlet.stream);
    buf_wipe(&client->in); /* a token may be in it */
    buf_fini(&client->in);
    free(client);
}

/* ---- requests ---- */

/* Answers the first request if it is there. False: not now. */
static bool answer_one(struct http_client *client)
{
    struct http_server_request request;
    struct http_server_refusal refusal;
    ptrdiff_t n = http_server_parse(buf_slice(&client->in), &client->scanned, &request, &refusal);
    if (n == 0)
        return false;
    client->deadline_ms = now_ms(client) + HTTP_CLIENT_ANSWER_MS;
    client->answering = true;
    if (n < 0) {
        http_page_refuse(client, &refusal);
        client->outlet.ending = true;
        return true;
    }
    if (!http_page_answer(client, &request) && !client->streaming)
        client->outlet.ending = true;
    buf_consume(&client->in, (size_t)n);
    client->scanned = 0;
    return true;
}

static bool is_busy(const struct http_client *client)
{
    return client->outlet.head.len > 0 || io_stream_queued(client->outlet.stream) > 0 ||
           client->outlet.ending || client->streaming || client->lags.on;
}

/* What is sent to one that streams means nothing. */
static void handle(struct http_client *client)
{
    while (!is_busy(client) && answer_one(client))
        continue;
    if (client->streaming || client->outlet.ending)
        buf_clear(&client->in);
    if (client->deaf && !is_busy(client))
        client->outlet.ending = true;
}

/* The answer is taken: the next request, which may have come already. */
static void on_room(void *arg)
{
    struct http_client *client = arg;
    if (client->streaming || client->outlet.ending || client->lags.on || !client->answering)
        return;
    client->answering = false;
    client->listener->answering -= client->counted;
    client->counted = 0;
    if (client->outlet.head.cap > HTTP_CLIENT_LARGE)
        buf_fini(&client->outlet.head); /* a large answer has passed */
    handle(client);
    if (client->in.len == 0 && client->in.cap > HTTP_SERVER_HEAD_MAX)
        buf_fini(&client->in); /* many requests at once have passed */
    if (!client->answering)
        client->deadline_ms =
            now_ms(client) + (client->in.len > 0 ? HTTP_CLIENT_HEAD_MS : HTTP_CLIENT_IDLE_MS);
    if (!client->reading && !client->deaf && client->in.len <= HTTP_SERVER_HEAD_MAX &&
        io_stream_read_start(client->outlet.stream) == 0)
        client->reading = true;
}

/* The lags are counted, or it has waited long enough. May end it. */
static void on_lags(void *arg)
{
    struct http_client *client = arg;
    client->deadline_ms = now_ms(client) + HTTP_CLIENT_ANSWER_MS;
    if (!http_page_metrics(client))
        client->outlet.ending = true;
    outlet_want(&client->outlet);
}

/* ---- its outlet ---- */

static int on_frame(void *arg, struct slice line, struct buf *out)
{
    struct http_client *client = arg;
    return delivery_sse(out, client->instance, line);
}

static void put_line(struct http_client *client, const struct buf *line, int status)
{
    if (status != 0 || delivery_sse(&client->outlet.head, client->instance, buf_slice(line)) != 0)
        client->outlet.ending = true;
}

static void on_last(void *arg)
{
    struct http_client *client = arg;
    struct buf line;
    buf_init(&line, 1024);
    if (client->streaming)
        put_line(client, &line, ndjson_write_bye(&line, client->bye));
    buf_fini(&line);
}

static void on_unreadable(void *arg, const struct error *err)
{
    struct http_client *client = arg;
    struct buf line;
    buf_init(&line, 4096);
    log_error(NULL, NULL, "listen %s: %s", client->listener->name, err->text);
    put_line(client, &line,
             ndjson_write_error(&line, slice_make(NULL, 0), NDJSON_E_INTERNAL, err->text));
    buf_fini(&line);
}

static void on_end(void *arg)
{
    close_client(arg);
}

static const struct outlet_events outlet_events = {.on_room = on_room,
                                                   .frame = on_frame,
                                                   .on_last = on_last,
                                                   .on_unreadable = on_unreadable,
                                                   .on_end = on_end};

/* ---- its stream ---- */

static void take_bytes(struct http_client *client, const char *bytes, size_t n)
{
    if (client->streaming)
        return;
    if (client->in.len == 0 && !is_busy(client))
        client->deadline_ms = now_ms(client) + HTTP_CLIENT_HEAD_MS;
    if (buf_append(&client->in, bytes, n) != 0) {
        client->outlet.ending = true;
        return;
    }
    handle(client);
    if (client->in.len > HTTP_SERVER_HEAD_MAX && client->reading) {
        io_stream_read_stop(client->outlet.stream); /* it asks faster than it reads */
        client->reading = false;
    }
}

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    struct http_client *client = arg;
    (void)err;
    if (n < 0 || (n == 0 && io_stream_hung_up(client->outlet.stream))) {
        close_client(client);
        return;
    }
    if (n == 0) {
        client->reading = false;
        client->deaf = true;
        handle(client);
    } else {
        take_bytes(client, bytes, (size_t)n);
    }
    outlet_want(&client->outlet);
}

static void on_drain(void *arg, int status)
{
    struct http_client *client = arg;
    outlet_drained(&client->outlet, status);
}

static const struct io_stream_events stream_events = {.on_read = on_read, .on_drain = on_drain};

/* ---- as a guest ---- */

static struct http_client *client_of(struct guest *guest)
{
    return LIST_ENTRY(guest, struct http_client, guest);
}

static void guest_serve(struct guest *guest)
{
    if (client_of(guest)->streaming || client_of(guest)->answering)
        outlet_want(&client_of(guest)->outlet);
}

static bool guest_gone(struct guest *guest)
{
    const struct http_client *client = client_of(guest);
    return !client->reading && io_stream_hung_up(client->outlet.stream);
}

/* A comment is a line that readers skip. */
static void comment(struct http_client *client, int64_t now)
{
    client->deadline_ms = now + HTTP_CLIENT_COMMENT_MS;
    if (io_stream_queued(client->outlet.stream) == 0 && client->outlet.head.len == 0 &&
        buf_append_str(&client->outlet.head, ":\n\n") == 0)
        outlet_want(&client->outlet);
}

static void guest_tick(struct guest *guest, int64_t now)
{
    struct http_client *client = client_of(guest);
    if (client->lags.on && now >= client->lags.until_ms) {
        on_lags(client);
        return;
    }
    if (now < client->deadline_ms)
        return;
    if (client->streaming)
        comment(client, now);
    else if (is_busy(client) || client->in.len == 0)
        close_client(client);
    else { /* a request was begun: it is told, if it listens */
        struct http_server_refusal late = {408, "the request did not come in time"};
        http_page_refuse(client, &late);
        client->outlet.ending = true;
        client->deadline_ms = now + HTTP_CLIENT_HEAD_MS;
        outlet_want(&client->outlet);
    }
}

static void guest_bye(struct guest *guest, const char *reason)
{
    struct http_client *client = client_of(guest);
    client->bye = reason;
    client->outlet.leaving = true;
    outlet_want(&client->outlet);
}

static void guest_close(struct guest *guest)
{
    close_client(client_of(guest));
}

static const char *guest_view(struct guest *guest)
{
    struct http_client *client = client_of(guest);
    bool shown = !client->streaming || listener_show(client->listener, &client->outlet);
    return shown ? NULL : LISTENER_NO_STREAM;
}

static const struct guest_ops guest_ops = {.serve = guest_serve,
                                           .gone = guest_gone,
                                           .tick = guest_tick,
                                           .bye = guest_bye,
                                           .close = guest_close,
                                           .view = guest_view};

/* ---- life ---- */

int http_client_new(struct listener *listener, struct io_stream *stream, uid_t uid)
{
    struct http_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return ERR_NOMEM;
    client->listener = listener;
    list_init(&client->lags.wait.node);
    client->lags.wait.done = on_lags;
    client->lags.wait.arg = client;
    memcpy(client->instance, persist_info(listener->daemon->persist)->instance, DELIVERY_INSTANCE);
    buf_init(&client->in, HTTP_CLIENT_IN_MAX);
    outlet_init(&client->outlet, listener->daemon, stream, HTTP_CLIENT_ANSWER_MAX, &outlet_events,
                client);
    io_stream_events(stream, &stream_events, client);
    int status = io_stream_read_start(stream);
    if (status != 0) {
        outlet_fini(&client->outlet);
        free(client);
        return status;
    }
    client->reading = true;
    client->deadline_ms = now_ms(client) + HTTP_CLIENT_HEAD_MS;
    listener_add(listener, &client->guest, &guest_ops, uid);
    return 0;
}

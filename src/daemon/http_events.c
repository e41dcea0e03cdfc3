/* http_events: GET /events, the log as server-sent events. */
#include <stdio.h>
#include <string.h>

#include "daemon/http_client.h"
#include "wire/ndjson.h"

struct wish {
    bool any_stream; /* some were named */
    bool oldest;
    bool reset;    /* the place it had is not in this store */
    uint64_t from; /* UINT64_MAX: now */
};

static int refuse(struct error *why, const char *what, struct slice value)
{
    error_set(why, ERR_INVAL, "%s: " SLICE_FMT, what, SLICE_ARG(value));
    return 400;
}

static void from_oldest(const struct http_client *client, struct wish *wish)
{
    const struct store_info *info = persist_info(client->listener->daemon->persist);
    wish->from = info->oldest_seq > 0 ? info->oldest_seq - 1 : 0;
    wish->oldest = true;
}

/* After that event; of another store, or one that never was: everything there is. */
static void from_seq(const struct http_client *client, struct slice instance, uint64_t seq,
                     struct wish *wish)
{
    bool foreign = instance.ptr != NULL && !slice_eq_str(instance, client->instance);
    wish->from = seq;
    wish->oldest = false;
    wish->reset = foreign || seq > hub_reserved_seq(client->listener->daemon->hub);
    if (wish->reset)
        from_oldest(client, wish);
}

static int take_from(const struct http_client *client, struct slice value, struct wish *wish,
                     struct error *why)
{
    uint64_t seq;
    if (slice_eq_str(value, "now"))
        wish->from = UINT64_MAX;
    else if (slice_eq_str(value, "oldest"))
        from_oldest(client, wish);
    else if (slice_parse_u64(value, &seq) == 0)
        from_seq(client, slice_make(NULL, 0), seq, wish);
    else
        return refuse(why, "from is now, oldest or a seq, not", value);
    return 0;
}

static int take_parameter(struct http_client *client, struct slice name, struct slice value,
                          struct wish *wish, struct error *why)
{
    struct fanout_filter *filter = &client->outlet.filter;
    if (slice_eq_str(name, "from"))
        return take_from(client, value, wish, why);
    if (slice_eq_str(name, "stream")) {
        wish->any_stream = true;
        bool there = listener_choose(client->listener, value, filter) &&
                     outlet_add_stream(&client->outlet, value) == 0;
        return there ? 0 : refuse(why, "no such stream here", value);
    }
    if (slice_eq_str(name, "type")) {
        if (filter->n_types == FANOUT_TYPES_MAX || value.len > LIMIT_EVENT_TYPE)
            return refuse(why, "too many types, or one too long", value);
        outlet_add_type(&client->outlet, value);
        return 0;
    }
    if (!slice_eq_str(name, "notices"))
        return refuse(why, "stream, type, from and notices are understood, not", name);
    filter->notices = slice_eq_str(value, "yes");
    return filter->notices || slice_eq_str(value, "no")
               ? 0
               : refuse(why, "notices is yes or no, not", value);
}

static int take_query(struct http_client *client, struct slice query, struct wish *wish,
                      struct error *why)
{
    struct buf scratch;
    struct slice name, value;
    int status = 0, rc = 0;
    buf_init(&scratch, HTTP_SERVER_LINE_MAX);
    while (status == 0 && (rc = http_server_query_next(&query, &scratch, &name, &value)) > 0)
        status = take_parameter(client, name, value, wish, why);
    if (rc < 0)
        status = refuse(why, "the query is not well encoded", slice_make(NULL, 0));
    buf_fini(&scratch);
    return status;
}

/* A reader that comes back says where it was; its address still says where it began. */
static int take_last_id(const struct http_client *client, struct slice id, struct wish *wish,
                        struct error *why)
{
    struct slice instance;
    uint64_t seq;
    if (id.len == 0)
        return 0;
    if (delivery_sse_id(id, &instance, &seq) != 0)
        return refuse(why, "Last-Event-ID is no id of an event from here", id);
    from_seq(client, instance, seq, wish);
    return 0;
}

static int write_head(struct http_client *client, bool reset)
{
    struct buf *head = &client->outlet.head;
    struct daemon *daemon = client->listener->daemon;
    struct buf line;
    int status = buf_appendf(head,
                             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                             "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
                             "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
                             "retry: %d\n\n",
                             HTTP_CLIENT_RETRY_MS);
    buf_init(&line, 1024);
    if (status == 0 && reset)
        status = ndjson_write_store_reset(&line, persist_info(daemon->persist)->instance,
                                          fanout_published_seq(hub_fanout(daemon->hub)));
    if (status == 0 && reset)
        status = delivery_sse(head, client->instance, buf_slice(&line));
    buf_fini(&line);
    return status;
}

int http_events_begin(struct http_client *client, const struct http_server_request *request,
                      struct error *why)
{
    struct fanout_filter *filter = &client->outlet.filter;
    struct wish wish = {.from = UINT64_MAX};
    memset(filter, 0, sizeof(*filter));
    buf_clear(&client->outlet.globs); /* of a request that was refused */
    filter->notices = true;
    int status = take_query(client, request->query, &wish, why);
    if (status == 0)
        status = take_last_id(client, request->last_event_id, &wish, why);
    if (status != 0)
        return status;
    if (!wish.any_stream)
        memcpy(filter->streams, client->listener->streams, sizeof(filter->streams));
    if (request->method == HTTP_METHOD_HEAD)
        return 0;
    if (write_head(client, wish.reset) != 0) {
        error_set(why, ERR_NOMEM, "out of memory");
        return 500;
    }
    outlet_subscribe(&client->outlet, wish.from, wish.oldest);
    client->streaming = true;
    client->deadline_ms = io_now_ms(client->listener->daemon->loop) + HTTP_CLIENT_COMMENT_MS;
    return 0;
}

#include "daemon/status.h"

#include <string.h>

#include "daemon/consumers.h"
#include "daemon/upstream.h"

/* Writes members one after the other; the first failure sticks. */
struct object {
    struct buf *out;
    bool first;
    int status;
};

static void put(struct object *object, const char *raw)
{
    if (object->status == 0)
        object->status = buf_append_str(object->out, raw);
}

static void name(struct object *object, const char *key)
{
    if (!object->first)
        put(object, ",");
    object->first = false;
    if (object->status == 0)
        object->status = json_write_string(object->out, slice_str(key));
    put(object, ":");
}

static void begin(struct object *object, const char *key)
{
    if (key != NULL)
        name(object, key);
    put(object, "{");
    object->first = true;
}

static void end(struct object *object)
{
    put(object, "}");
    object->first = false;
}

static void number(struct object *object, const char *key, int64_t value)
{
    name(object, key);
    if (object->status == 0)
        object->status = buf_append_i64(object->out, value);
}

static void text(struct object *object, const char *key, struct slice value)
{
    name(object, key);
    if (value.ptr == NULL)
        put(object, "null");
    else if (object->status == 0)
        object->status = json_write_string(object->out, value);
}

/* Absent where there is nothing to tell. */
static void text_if(struct object *object, const char *key, const char *value)
{
    if (value != NULL && value[0] != '\0')
        text(object, key, slice_str(value));
}

static void write_counters(struct object *object, const struct upstream *upstream)
{
    struct stream_stats stats;
    stream_stats(upstream->stream, &stats);
    number(object, "newest", (int64_t)stats.hub.newest_seq);
    number(object, "messages", (int64_t)stats.messages);
    number(object, "bytes", (int64_t)stats.bytes);
    number(object, "dials", (int64_t)stats.dials);
    number(object, "links", (int64_t)stats.opened);
    begin(object, "stored");
    for (unsigned via = 0; via < FLOW_VIA_COUNT; via++)
        number(object, flow_via_name((enum flow_via)via), (int64_t)stats.hub.stored[via]);
    end(object);
    number(object, "ephemeral", (int64_t)stats.hub.ephemeral);
    number(object, "duplicates", (int64_t)stats.flow.duplicates);
    number(object, "malformed", (int64_t)stats.flow.malformed);
    number(object, "late", (int64_t)stats.flow.late);
    number(object, "audited", (int64_t)stats.flow.audited);
    number(object, "unkeyed", (int64_t)stats.flow.unkeyed);
    number(object, "held", (int64_t)stats.flow.held_events);
    number(object, "held_back", (int64_t)stats.arrivals.held_back);
    begin(object, "gaps");
    for (unsigned i = 0; i < SESSION_GAP_COUNT; i++)
        number(object, session_gap_name((enum session_gap)i), (int64_t)stats.hub.gaps[i]);
    end(object);
    if (stats.rtt_ms >= 0)
        number(object, "rtt_ms", stats.rtt_ms);
}

/* What delivers, or is about to. */
static void write_links(struct object *object, const struct upstream *upstream,
                        const struct session_status *status)
{
    const struct upstream_link *link = upstream_link(upstream);
    name(object, "fallback");
    put(object, status->fallback ? "true" : "false");
    if (status->successor != 0)
        text_if(object, "successor", upstream_link_id(upstream, status->successor));
    if (link == NULL)
        return;
    text(object, "link", slice_str(link->id));
    text(object, "address", slice_str(link->address));
    text_if(object, "tls", link->tls);
}

static void write_stream(struct object *object, const struct upstream *upstream)
{
    struct session_status status;
    int64_t now = io_now_ms(upstream->daemon->loop);
    int64_t expires_in_s = vault_expires_in_s(&upstream->vault);
    stream_session_status(upstream->stream, &status);
    begin(object, NULL);
    text(object, "stream", slice_str(upstream->settings->name));
    text(object, "profile", slice_str(upstream->settings->profile));
    text(object, "state", slice_str(session_state_name(status.state)));
    number(object, "since_ms", now - status.since_ms);
    text_if(object, "reason", status.reason);
    text_if(object, "waits_for", status.waits_for);
    if (status.retry_at_ms >= 0)
        number(object, "retry_in_ms", status.retry_at_ms > now ? status.retry_at_ms - now : 0);
    number(object, "attempts", status.attempts);
    write_links(object, upstream, &status);
    if (expires_in_s >= 0)
        number(object, "credential_expires_in_ms", expires_in_s * 1000);
    if (upstream->warning[0] != '\0') {
        text(object, "warning", slice_str(upstream->warning));
        number(object, "warned_ms", now - upstream->warned_ms);
    }
    text(object, "position", stream_position(upstream->stream));
    write_counters(object, upstream);
    end(object);
}

static void write_streams(struct object *object, const struct listener *listener, struct slice only)
{
    const struct daemon *daemon = listener->daemon;
    bool first = true;
    name(object, "streams");
    put(object, "[");
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        const struct upstream *upstream = daemon->upstreams[i];
        if (!listener_sees(listener, upstream->store_id) ||
            (only.len > 0 && !slice_eq_str(only, upstream->settings->name)))
            continue;
        if (!first)
            put(object, ",");
        first = false;
        write_stream(object, upstream);
    }
    put(object, "]");
}

static void write_store(struct object *object, const struct daemon *daemon)
{
    const struct store_info *info = persist_info(daemon->persist);
    const char *trouble = persist_trouble(daemon->persist);
    begin(object, "store");
    text(object, "state", slice_str(trouble != NULL ? "failing" : "ok"));
    if (trouble != NULL)
        text(object, "reason", slice_str(trouble));
    number(object, "oldest", (int64_t)info->oldest_seq);
    number(object, "newest", (int64_t)info->newest_seq);
    number(object, "bytes", (int64_t)info->file_bytes);
    number(object, "commits", (int64_t)persist_commits(daemon->persist));
    end(object);
}

static void write_consumers(struct object *object, const struct daemon *daemon)
{
    size_t connected, names = consumers_count(daemon->consumers, &connected);
    begin(object, "consumers");
    number(object, "names", (int64_t)names);
    number(object, "connected", (int64_t)connected);
    end(object);
}

int status_write(const struct listener *listener, struct slice id, struct slice stream,
                 struct buf *out)
{
    const struct daemon *daemon = listener->daemon;
    struct object object = {.out = out};
    size_t before = out->len;
    begin(&object, NULL);
    text(&object, "ok", slice_str("status"));
    if (id.ptr != NULL) {
        name(&object, "id");
        if (object.status == 0)
            object.status = buf_append_slice(out, id);
    }
    text(&object, "server", slice_str("hawserd " HAWSER_VERSION));
    text(&object, "instance", slice_str(persist_info(daemon->persist)->instance));
    number(&object, "uptime_ms", io_now_ms(daemon->loop) - daemon->started_ms);
    write_streams(&object, listener, stream);
    write_store(&object, daemon);
    write_consumers(&object, daemon);
    name(&object, "listeners");
    put(&object, "[");
    for (size_t i = 0; i < daemon->n_listeners; i++) {
        object.first = true;
        put(&object, i > 0 ? ",{" : "{");
        text(&object, "listen", slice_str(daemon->listeners[i]->name));
        number(&object, "clients", daemon->listeners[i]->n_clients);
        end(&object);
    }
    put(&object, "]");
    end(&object);
    put(&object, "\n");
    if (object.status != 0)
        out->len = before;
    return object.status;
}

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

static void real(struct object *object, const char *key, double value)
{
    name(object, key);
    if (object->status == 0)
        object->status = buf_appendf(object->out, "%.2f", value);
}

static void boolean(struct object *object, const char *key, bool value)
{
    name(object, key);
    put(object, value ? "true" : "false");
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
    boolean(object, "fallback", status->fallback);
    if (status->successor != 0)
        text_if(object, "successor", upstream_link_id(upstream, status->successor));
    if (link == NULL)
        return;
    text(object, "link", slice_str(link->id));
    text(object, "address", slice_str(link->address));
    text_if(object, "tls", link->tls);
    boolean(object, "deflate", link->link != NULL && net_link_deflates(link->link));
}

static void write_certificate(struct object *object, const char *key,
                              const struct certificate *certificate)
{
    int64_t left_ms = certificate->expiry.at_s * 1000 - io_wall_us() / 1000;
    if (certificate->expiry.at_s == 0)
        return;
    begin(object, key);
    text(object, "whose", slice_str(certificate->whose));
    number(object, "expires_in_ms", left_ms > 0 ? left_ms : 0);
    end(object);
}

/* How it does, and since when; what comes of it. */
static void write_health(struct object *object, const struct upstream *upstream,
                         const struct session_status *status, int64_t now)
{
    const struct health *health = &upstream->health;
    text(object, "state", slice_str(session_state_name(status->state)));
    boolean(object, "well", health_well(health, status->state));
    number(object, "since_ms", now - status->since_ms);
    if (health->down_ms >= 0)
        number(object, "down_ms", now - health->down_ms);
    text_if(object, "reason", status->reason);
    text_if(object, "trouble", health->trouble);
    text_if(object, "waits_for", status->waits_for);
    if (status->retry_at_ms >= 0)
        number(object, "retry_in_ms", status->retry_at_ms > now ? status->retry_at_ms - now : 0);
    number(object, "attempts", status->attempts);
    real(object, "messages_per_s", health_rate(health, now));
    if (health->heard_ms >= 0)
        number(object, "last_message_ms", now - health->heard_ms);
}

static void write_stream(struct object *object, struct upstream *upstream)
{
    struct session_status status;
    int64_t now = io_now_ms(upstream->daemon->loop);
    int64_t expires_in_s = vault_expires_in_s(&upstream->vault);
    stream_session_status(upstream->stream, &status);
    begin(object, NULL);
    text(object, "stream", slice_str(upstream->settings->name));
    text(object, "profile", slice_str(upstream->settings->profile));
    upstream_note(upstream, false);
    write_health(object, upstream, &status, now);
    write_links(object, upstream, &status);
    if (expires_in_s >= 0)
        number(object, "credential_expires_in_ms", expires_in_s * 1000);
    write_certificate(object, "certificate", certificates_soonest(&upstream->certificates));
    write_certificate(object, "own_certificate", &upstream->certificates.own);
    if (upstream->warning[0] != '\0') {
        text(object, "warning", slice_str(upstream->warning));
        number(object, "warned_ms", now - upstream->warned_ms);
    }
    text(object, "position", stream_position(upstream->stream));
    write_counters(object, upstream);
    end(object);
}

static bool shows(const struct listener *listener, const struct upstream *upstream,
                  struct slice only)
{
    return listener_sees(listener, upstream->store_id) &&
           (only.len == 0 || slice_eq_str(only, upstream->settings->name));
}

static void write_streams(struct object *object, const struct listener *listener, struct slice only)
{
    const struct daemon *daemon = listener->daemon;
    bool first = true;
    name(object, "streams");
    put(object, "[");
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct upstream *upstream = daemon->upstreams[i];
        if (!shows(listener, upstream, only))
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
    if (persist_warning(daemon->persist) != NULL)
        text(object, "warning", slice_str(persist_warning(daemon->persist)));
    number(object, "oldest", (int64_t)info->oldest_seq);
    number(object, "newest", (int64_t)info->newest_seq);
    if (oldest_received_us(&daemon->oldest) > 0)
        number(object, "oldest_ms", (io_wall_us() - oldest_received_us(&daemon->oldest)) / 1000);
    number(object, "bytes", (int64_t)info->file_bytes);
    number(object, "retain_bytes", (int64_t)daemon->settings->store.retain_size_bytes);
    number(object, "commits", (int64_t)persist_commits(daemon->persist));
    if (daemon->commit_took_ms >= 0)
        number(object, "commit_ms", daemon->commit_took_ms);
    if (daemon->commit_began_ms > 0)
        number(object, "committing_ms", io_clock_ms() - daemon->commit_began_ms);
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

static void write_listeners(struct object *object, const struct daemon *daemon)
{
    static const char *const protocols[] = {[SETTINGS_PROTOCOL_NDJSON] = "ndjson",
                                            [SETTINGS_PROTOCOL_FEED] = "feed",
                                            [SETTINGS_PROTOCOL_HTTP] = "http"};
    name(object, "listeners");
    put(object, "[");
    for (size_t i = 0; i < daemon->n_listeners; i++) {
        const struct listener *listener = daemon->listeners[i];
        object->first = true;
        put(object, i > 0 ? ",{" : "{");
        text(object, "listen", slice_str(listener->name));
        text(object, "protocol", slice_str(protocols[listener->protocol]));
        if (listener->settings != NULL)
            text(object, listener->tcp ? "tcp" : "path",
                 slice_str(listener->tcp ? listener->settings->tcp : listener->settings->path));
        number(object, "clients", listener->n_clients);
        number(object, "max_clients", listener->max_clients);
        end(object);
    }
    put(object, "]");
}

/* Whether all that is shown here is well. */
static bool all_well(const struct listener *listener, struct slice only)
{
    const struct daemon *daemon = listener->daemon;
    bool well = persist_trouble(daemon->persist) == NULL;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        const struct upstream *upstream = daemon->upstreams[i];
        struct session_status status;
        if (!shows(listener, upstream, only))
            continue;
        stream_session_status(upstream->stream, &status);
        well = well && health_well(&upstream->health, status.state);
    }
    return well;
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
    boolean(&object, "well", all_well(listener, stream));
    write_streams(&object, listener, stream);
    write_store(&object, daemon);
    write_consumers(&object, daemon);
    write_listeners(&object, daemon);
    end(&object);
    put(&object, "\n");
    if (object.status != 0)
        out->len = before;
    return object.status;
}

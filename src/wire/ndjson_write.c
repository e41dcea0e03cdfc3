#include "base/base64.h"
#include "base/timefmt.h"
#include "wire/ndjson.h"

/* A line being written; the first failure sticks, and the line is taken back at the end. */
struct line {
    struct buf *out;
    size_t before;
    int rc;
};

static struct line line_begin(struct buf *out)
{
    return (struct line){.out = out, .before = out->len};
}

static void put(struct line *line, struct slice text)
{
    if (line->rc == 0)
        line->rc = buf_append_slice(line->out, text);
}

static void put_string(struct line *line, struct slice text)
{
    if (line->rc == 0)
        line->rc = json_write_string(line->out, text);
}

static void put_u64(struct line *line, uint64_t value)
{
    if (line->rc == 0)
        line->rc = buf_append_u64(line->out, value);
}

/* `,"name":` and a string; nothing for an absent one. The key is given with all its marks. */
static void put_member(struct line *line, struct slice key, struct slice text)
{
    if (text.ptr == NULL)
        return;
    put(line, key);
    put_string(line, text);
}

static void put_text(struct line *line, struct slice key, const char *text)
{
    if (text != NULL)
        put_member(line, key, slice_str(text));
}

static void put_number(struct line *line, struct slice key, uint64_t value)
{
    put(line, key);
    put_u64(line, value);
}

/* `{`, and the request's id where it had one. */
static void put_reply(struct line *line, struct slice id)
{
    put(line, SLICE("{"));
    if (id.ptr == NULL)
        return;
    put(line, SLICE("\"id\":"));
    put(line, id);
    put(line, SLICE(","));
}

static int line_end(struct line *line)
{
    put(line, SLICE("}\n"));
    if (line->rc != 0)
        line->out->len = line->before;
    return line->rc;
}

const char *ndjson_error_name(enum ndjson_error error)
{
    switch (error) {
    case NDJSON_OK:
        return "ok";
#define X(id, text)                                                                                \
    case NDJSON_E_##id:                                                                            \
        return text;
        NDJSON_ERRORS(X)
#undef X
    }
    return "internal";
}

/* ---- replies ---- */

int ndjson_write_error(struct buf *out, struct slice id, enum ndjson_error error,
                       const char *detail)
{
    struct line line = line_begin(out);

    put_reply(&line, id);
    put_text(&line, SLICE("\"error\":"), ndjson_error_name(error));
    put_text(&line, SLICE(",\"detail\":"), detail);
    return line_end(&line);
}

int ndjson_write_ok(struct buf *out, struct slice id, const char *op)
{
    struct line line = line_begin(out);

    put_reply(&line, id);
    put_text(&line, SLICE("\"ok\":"), op);
    return line_end(&line);
}

int ndjson_write_subscribed(struct buf *out, struct slice id, uint64_t next, uint64_t oldest,
                            uint64_t newest)
{
    struct line line = line_begin(out);

    put_reply(&line, id);
    put(&line, SLICE("\"ok\":\"subscribe\""));
    put_number(&line, SLICE(",\"next\":"), next);
    put_number(&line, SLICE(",\"oldest\":"), oldest);
    put_number(&line, SLICE(",\"newest\":"), newest);
    return line_end(&line);
}

int ndjson_write_greeting(struct buf *out, const char *server, const char *instance,
                          uint64_t oldest, uint64_t newest,
                          const struct ndjson_stream_state *streams, unsigned n_streams)
{
    struct line line = line_begin(out);

    put(&line, SLICE("{\"hawser\":1"));
    put_text(&line, SLICE(",\"server\":"), server);
    put_text(&line, SLICE(",\"instance\":"), instance);
    put_number(&line, SLICE(",\"oldest\":"), oldest);
    put_number(&line, SLICE(",\"newest\":"), newest);
    put(&line, SLICE(",\"streams\":{"));
    for (unsigned i = 0; i < n_streams; i++) {
        if (i > 0)
            put(&line, SLICE(","));
        put_string(&line, slice_str(streams[i].name));
        put(&line, SLICE(":"));
        put_string(&line, slice_str(streams[i].state));
    }
    put(&line, SLICE("}"));
    return line_end(&line);
}

/* ---- events ---- */

/* A byte of text takes at most six: \u0000. */
static size_t string_bound(size_t len)
{
    return 6 * len + 2;
}

size_t ndjson_event_bound(const struct ndjson_event *event)
{
    /* All keys, quotes of the rest, both numbers and the time. */
    size_t bound = 256;

    bound += string_bound(strlen(event->stream)) + string_bound(event->id.len) +
             string_bound(event->position.len) + string_bound(event->type.len) +
             string_bound(event->via != NULL ? strlen(event->via) : 0);
    bound += event->event_time.len + event->tags.len;
    switch (event->data_kind) {
    case NDJSON_DATA_JSON:
        return bound + event->data.len;
    case NDJSON_DATA_TEXT:
        return bound + string_bound(event->data.len);
    case NDJSON_DATA_BINARY:
        return bound + base64_encoded_len(event->data.len);
    }
    return bound;
}

static void put_data(struct line *line, const struct ndjson_event *event)
{
    if (event->data.ptr == NULL)
        return;
    switch (event->data_kind) {
    case NDJSON_DATA_JSON:
        put(line, SLICE(",\"data\":"));
        if (line->rc == 0)
            line->rc = json_write_flat(line->out, event->data);
        break;
    case NDJSON_DATA_TEXT:
        put_member(line, SLICE(",\"text\":"), event->data);
        break;
    case NDJSON_DATA_BINARY:
        put(line, SLICE(",\"base64\":\""));
        if (line->rc == 0)
            line->rc = base64_encode(line->out, event->data.ptr, event->data.len);
        put(line, SLICE("\""));
        break;
    }
}

static void put_time(struct line *line, const struct ndjson_event *event)
{
    char text[32];

    put(line, SLICE(",\"time\":\""));
    put(line, slice_make(text, time_format_us(event->received_us, text)));
    put(line, SLICE("\""));
    if (event->event_time.ptr == NULL)
        return;
    put(line, SLICE(",\"event_time\":"));
    if (line->rc == 0)
        line->rc = json_write_flat(line->out, event->event_time);
}

size_t ndjson_event_encode(const struct ndjson_event *event, char *out)
{
    /* Over the caller's memory: full at the bound, where it would fail and never grow. */
    size_t bound = ndjson_event_bound(event);
    struct buf buf = {.data = out, .cap = bound, .max = bound};
    struct line line = line_begin(&buf);

    put(&line, SLICE("{\"seq\":"));
    if (event->seq != 0)
        put_u64(&line, event->seq);
    else
        put(&line, SLICE("null"));
    put_text(&line, SLICE(",\"stream\":"), event->stream);
    put_member(&line, SLICE(",\"id\":"), event->id);
    put_member(&line, SLICE(",\"position\":"), event->position);
    put_member(&line, SLICE(",\"type\":"), event->type);
    put_time(&line, event);
    put_text(&line, SLICE(",\"via\":"), event->via);
    if (event->tags.len > 0) {
        put(&line, SLICE(","));
        put(&line, event->tags);
    }
    put_data(&line, event);
    line_end(&line);
    return buf.len;
}

/* ---- notices ---- */

int ndjson_write_gap(struct buf *out, uint64_t seq, const char *stream, const char *reason,
                     struct slice after, struct slice before, const char *detail)
{
    struct line line = line_begin(out);

    put_number(&line, SLICE("{\"seq\":"), seq);
    put(&line, SLICE(",\"notice\":\"gap\""));
    put_text(&line, SLICE(",\"stream\":"), stream);
    put_text(&line, SLICE(",\"reason\":"), reason);
    put_member(&line, SLICE(",\"after\":"), after);
    put_member(&line, SLICE(",\"before\":"), before);
    put_text(&line, SLICE(",\"detail\":"), detail);
    return line_end(&line);
}

int ndjson_write_retention_gap(struct buf *out, const char *stream, uint64_t from_seq,
                               uint64_t to_seq)
{
    struct line line = line_begin(out);

    put(&line, SLICE("{\"seq\":null,\"notice\":\"gap\""));
    put_text(&line, SLICE(",\"stream\":"), stream);
    put(&line, SLICE(",\"reason\":\"retention\""));
    put_number(&line, SLICE(",\"from_seq\":"), from_seq);
    put_number(&line, SLICE(",\"to_seq\":"), to_seq);
    return line_end(&line);
}

int ndjson_write_stream_notice(struct buf *out, const char *stream, const char *state,
                               const char *reason, int64_t retry_in_ms)
{
    struct line line = line_begin(out);

    put(&line, SLICE("{\"notice\":\"stream\""));
    put_text(&line, SLICE(",\"stream\":"), stream);
    put_text(&line, SLICE(",\"state\":"), state);
    put_text(&line, SLICE(",\"reason\":"), reason);
    if (retry_in_ms >= 0)
        put_number(&line, SLICE(",\"retry_in_ms\":"), (uint64_t)retry_in_ms);
    return line_end(&line);
}

int ndjson_write_store_reset(struct buf *out, const char *instance, uint64_t newest)
{
    struct line line = line_begin(out);

    put(&line, SLICE("{\"notice\":\"store_reset\""));
    put_text(&line, SLICE(",\"instance\":"), instance);
    put_number(&line, SLICE(",\"newest\":"), newest);
    return line_end(&line);
}

int ndjson_write_bye(struct buf *out, const char *reason)
{
    struct line line = line_begin(out);

    put(&line, SLICE("{\"notice\":\"bye\""));
    put_text(&line, SLICE(",\"reason\":"), reason);
    return line_end(&line);
}

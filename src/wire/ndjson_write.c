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

static void put_texts(struct line *line, const char *const *texts, size_t n)
{
    put(line, SLICE("["));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            put(line, SLICE(","));
        put_string(line, slice_str(texts[i]));
    }
    put(line, SLICE("]"));
}

int ndjson_write_reloaded(struct buf *out, struct slice id, const char *const *changed, size_t n)
{
    struct line line = line_begin(out);

    put_reply(&line, id);
    put(&line, SLICE("\"ok\":\"reload\",\"changed\":"));
    put_texts(&line, changed, n);
    return line_end(&line);
}

int ndjson_write_bad_config(struct buf *out, struct slice id, const char *detail,
                            const char *const *errors, size_t n)
{
    struct line line = line_begin(out);

    put_reply(&line, id);
    put_text(&line, SLICE("\"error\":"), ndjson_error_name(NDJSON_E_BAD_CONFIG));
    put_text(&line, SLICE(",\"detail\":"), detail);
    put(&line, SLICE(",\"errors\":"));
    put_texts(&line, errors, n);
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

int ndjson_write_window_full(struct buf *out, struct slice consumer, unsigned window, uint64_t seq)
{
    struct line line = line_begin(out);

    put(&line, SLICE("{\"notice\":\"window_full\""));
    put_member(&line, SLICE(",\"consumer\":"), consumer);
    put_number(&line, SLICE(",\"window\":"), window);
    put_number(&line, SLICE(",\"unacked_from\":"), seq);
    return line_end(&line);
}

/* ---- named consumers ---- */

static void put_consumer(struct line *line, const struct ndjson_consumer *consumer)
{
    put_member(line, SLICE("{\"consumer\":"), consumer->name);
    put_number(line, SLICE(",\"uid\":"), consumer->uid);
    put(line, consumer->connected ? SLICE(",\"connected\":true") : SLICE(",\"connected\":false"));
    if (consumer->connected) {
        put_number(line, SLICE(",\"pid\":"), (uint64_t)consumer->pid);
        put_number(line, SLICE(",\"window\":"), consumer->window);
        put_number(line, SLICE(",\"unacked\":"), consumer->unacked);
    }
    put_number(line, SLICE(",\"cursor\":"), consumer->cursor);
    put_number(line, SLICE(",\"lag\":"), consumer->lag);
    put_number(line, SLICE(",\"seen_ms\":"), (uint64_t)consumer->seen_ms);
    put(line, SLICE("}"));
}

int ndjson_write_consumers(struct buf *out, struct slice id,
                           const struct ndjson_consumer *consumers, size_t count)
{
    struct line line = line_begin(out);

    put_reply(&line, id);
    put(&line, SLICE("\"ok\":\"consumers\",\"consumers\":["));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            put(&line, SLICE(","));
        put_consumer(&line, &consumers[i]);
    }
    put(&line, SLICE("]"));
    return line_end(&line);
}

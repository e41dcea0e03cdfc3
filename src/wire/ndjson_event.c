/*
 * The one line that is written for every event and consumer, so speed counts: ndjson_event_bound()
 * has measured the room, and what follows is put behind a pointer without asking again.
 */
#include <assert.h>

#include "base/base64.h"
#include "base/timefmt.h"
#include "wire/ndjson.h"

/* A byte of text takes six at most: \u0000. */
static size_t string_bound(size_t len)
{
    return 6 * len + 2;
}

size_t ndjson_event_bound(const struct ndjson_event *event)
{
    /* All keys, both numbers, the time, and what a copy of whole words may write too far. */
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

struct cursor {
    char *at;
    char *end;
};

/* For literals the compiler makes this a few moves. */
static inline void put(struct cursor *c, struct slice text)
{
    memcpy(c->at, text.ptr, text.len);
    c->at += text.len;
}

/* A buffer over the room that is left: full at the bound, where it would fail and never grow. */
static inline struct buf rest_of(const struct cursor *c)
{
    size_t room = (size_t)(c->end - c->at);

    return (struct buf){.data = c->at, .cap = room, .max = room};
}

static void put_u64(struct cursor *c, uint64_t value)
{
    struct buf rest = rest_of(c);
    int rc = buf_append_u64(&rest, value);

    assert(rc == 0);
    c->at += rest.len;
}

static void put_flat(struct cursor *c, struct slice checked_json)
{
    struct buf rest = rest_of(c);
    int rc = json_write_flat(&rest, checked_json);

    assert(rc == 0);
    c->at += rest.len;
}

/* True if each of the 8 bytes stands for itself in a JSON string: ASCII, no control byte, no quote,
 * no backslash. In a byte so tested, the top bit is set where it is below the one subtracted. */
static inline bool is_plain(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = word ^ ones * '"';
    uint64_t backslash = word ^ ones * '\\';
    uint64_t special = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;

    return (special & ones * 0x80) == 0;
}

/* Copies the plain words a string begins with, behind a quote. */
static inline size_t put_plain(struct cursor *c, struct slice text)
{
    size_t n = 0;
    uint64_t word;

    for (; text.len - n >= sizeof word; n += sizeof word) {
        memcpy(&word, text.ptr + n, sizeof word);
        if (!is_plain(word))
            return n;
        memcpy(c->at + n, &word, sizeof word);
    }
    if (n == text.len)
        return n;
    word = UINT64_C(0x2020202020202020);
    memcpy(&word, text.ptr + n, text.len - n);
    if (!is_plain(word))
        return n;
    memcpy(c->at + n, &word, sizeof word);
    return text.len;
}

/* Identifiers are nearly always short and plain; what is not goes to the general writer. */
static void put_string(struct cursor *c, struct slice text)
{
    *c->at++ = '"';
    if (put_plain(c, text) == text.len) {
        c->at += text.len;
        *c->at++ = '"';
    } else {
        struct buf rest;
        int rc;

        c->at--;
        rest = rest_of(c);
        rc = json_write_string(&rest, text);
        assert(rc == 0);
        c->at += rest.len;
    }
}

static inline void put_member(struct cursor *c, struct slice key, struct slice text)
{
    if (text.ptr == NULL)
        return;
    put(c, key);
    put_string(c, text);
}

/* Returns where it stands, unless escapes changed it. */
static struct slice put_type(struct cursor *c, struct slice type)
{
    struct slice text;

    put_member(c, SLICE(",\"type\":"), type);
    if (type.ptr == NULL)
        return type;
    text = slice_make(c->at - 1 - type.len, type.len);
    return slice_eq(text, type) ? text : slice_make(NULL, 0);
}

static void put_time(struct cursor *c, const struct ndjson_event *event)
{
    char text[32];

    put(c, SLICE(",\"time\":\""));
    put(c, slice_make(text, time_format_us(event->received_us, text)));
    *c->at++ = '"';
    if (event->event_time.ptr == NULL)
        return;
    put(c, SLICE(",\"event_time\":"));
    put_flat(c, event->event_time);
}

static void put_base64(struct cursor *c, struct slice data)
{
    struct buf rest;
    int rc;

    put(c, SLICE(",\"base64\":\""));
    rest = rest_of(c);
    rc = base64_encode(&rest, data.ptr, data.len);
    assert(rc == 0);
    c->at += rest.len;
    *c->at++ = '"';
}

static void put_data(struct cursor *c, const struct ndjson_event *event)
{
    if (event->data.ptr == NULL)
        return;
    switch (event->data_kind) {
    case NDJSON_DATA_JSON:
        put(c, SLICE(",\"data\":"));
        put_flat(c, event->data);
        break;
    case NDJSON_DATA_TEXT:
        put_member(c, SLICE(",\"text\":"), event->data);
        break;
    case NDJSON_DATA_BINARY:
        put_base64(c, event->data);
        break;
    }
}

size_t ndjson_event_encode(const struct ndjson_event *event, char *out, struct slice *type)
{
    struct cursor c = {out, out + ndjson_event_bound(event)};

    put(&c, SLICE("{\"seq\":"));
    if (event->seq != 0)
        put_u64(&c, event->seq);
    else
        put(&c, SLICE("null"));
    put_member(&c, SLICE(",\"stream\":"), slice_str(event->stream));
    put_member(&c, SLICE(",\"id\":"), event->id);
    put_member(&c, SLICE(",\"position\":"), event->position);
    *type = put_type(&c, event->type);
    put_time(&c, event);
    if (event->via != NULL)
        put_member(&c, SLICE(",\"via\":"), slice_str(event->via));
    if (event->snapshot)
        put(&c, SLICE(",\"snapshot\":true"));
    if (event->tags.len > 0) {
        *c.at++ = ',';
        put(&c, event->tags);
    }
    put_data(&c, event);
    put(&c, SLICE("}\n"));
    assert(c.at <= c.end);
    return (size_t)(c.at - out);
}

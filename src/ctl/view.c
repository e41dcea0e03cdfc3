#include "ctl/view.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/terminal.h"
#include "json/json.h"

/* ---- objects into structs ---- */

enum kind { TEXT, INTEGER, REAL, TRUTH };

struct field {
    const char *name;
    enum kind kind;
    size_t offset, size;
};

#define FIELD_TEXT(type, member)                                                                   \
    {                                                                                              \
#member, TEXT, offsetof(struct type, member), sizeof(((struct type *)0)->member)           \
    }
#define FIELD_INTEGER(type, member)                                                                \
    {                                                                                              \
#member, INTEGER, offsetof(struct type, member), 0                                         \
    }
#define FIELD_TRUTH(type, member)                                                                  \
    {                                                                                              \
#member, TRUTH, offsetof(struct type, member), 0                                           \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Cut to its size between characters. */
static void read_text(const struct json_value *value, char *out, size_t size)
{
    struct buf text;
    buf_init(&text, 65536);
    if (value->type == JSON_STRING && json_string_decode(value, &text) == 0) {
        size_t n = text.len < size ? text.len : size - 1;
        while (n > 0 && n < text.len && ((unsigned char)text.data[n] & 0xC0) == 0x80)
            n--;
        memcpy(out, buf_cstr(&text), n);
        out[n] = '\0';
        terminal_clean(out, n);
    }
    buf_fini(&text);
}

static void read_field(const struct field *field, const struct json_value *value, char *target)
{
    switch (field->kind) {
    case TEXT:
        read_text(value, target, field->size);
        return;
    case INTEGER:
        if (value->type == JSON_NUMBER)
            (void)json_int64(value, (int64_t *)(void *)target);
        return;
    case REAL:
        if (value->type == JSON_NUMBER)
            *(double *)(void *)target = strtod(value->raw.ptr, NULL); /* a ',' or '}' follows it */
        return;
    case TRUTH:
        *(bool *)(void *)target = value->type == JSON_TRUE;
        return;
    }
}

static void read_object(const struct json_value *object, const struct field *fields, size_t n,
                        void *target)
{
    struct json_iter it = json_iter_object(object);
    struct json_value name, value;
    for (size_t i = 0; i < n; i++)
        if (fields[i].kind == INTEGER)
            *(int64_t *)(void *)((char *)target + fields[i].offset) = -1;
    if (object->type != JSON_OBJECT)
        return;
    while (json_iter_next_member(&it, &name, &value))
        for (size_t i = 0; i < n; i++)
            if (json_string_eq(&name, slice_str(fields[i].name)))
                read_field(&fields[i], &value, (char *)target + fields[i].offset);
}

static struct json_value member(const struct json_value *object, const char *wanted)
{
    struct json_iter it = json_iter_object(object);
    struct json_value name, value;
    while (object->type == JSON_OBJECT && json_iter_next_member(&it, &name, &value))
        if (json_string_eq(&name, slice_str(wanted)))
            return value;
    return (struct json_value){.type = JSON_ABSENT};
}

static void read_counts(const struct json_value *object, struct view_count *out)
{
    struct json_iter it = json_iter_object(object);
    struct json_value name, value;
    size_t n = 0;
    while (object->type == JSON_OBJECT && n < VIEW_COUNTS &&
           json_iter_next_member(&it, &name, &value)) {
        read_text(&name, out[n].name, sizeof(out[n].name));
        if (json_int64(&value, &out[n].n) == 0)
            n++;
    }
}

/* ---- parts of the answer ---- */

static const struct field stream_fields[] = {
    {"stream", TEXT, offsetof(struct view_stream, name), LIMIT_STREAM_NAME + 1},
    FIELD_TEXT(view_stream, profile),
    FIELD_TEXT(view_stream, state),
    FIELD_TEXT(view_stream, position),
    FIELD_TEXT(view_stream, reason),
    FIELD_TEXT(view_stream, trouble),
    FIELD_TEXT(view_stream, waits_for),
    FIELD_TEXT(view_stream, warning),
    FIELD_TEXT(view_stream, link),
    FIELD_TEXT(view_stream, successor),
    FIELD_TEXT(view_stream, address),
    FIELD_TEXT(view_stream, tls),
    FIELD_TRUTH(view_stream, well),
    FIELD_TRUTH(view_stream, fallback),
    FIELD_TRUTH(view_stream, deflate),
    {"messages_per_s", REAL, offsetof(struct view_stream, messages_per_s), 0},
    FIELD_INTEGER(view_stream, since_ms),
    FIELD_INTEGER(view_stream, down_ms),
    FIELD_INTEGER(view_stream, retry_in_ms),
    FIELD_INTEGER(view_stream, attempts),
    FIELD_INTEGER(view_stream, last_message_ms),
    FIELD_INTEGER(view_stream, credential_expires_in_ms),
    FIELD_INTEGER(view_stream, warned_ms),
    FIELD_INTEGER(view_stream, newest),
    FIELD_INTEGER(view_stream, messages),
    FIELD_INTEGER(view_stream, bytes),
    FIELD_INTEGER(view_stream, dials),
    FIELD_INTEGER(view_stream, links),
    FIELD_INTEGER(view_stream, ephemeral),
    FIELD_INTEGER(view_stream, duplicates),
    FIELD_INTEGER(view_stream, malformed),
    FIELD_INTEGER(view_stream, late),
    FIELD_INTEGER(view_stream, audited),
    FIELD_INTEGER(view_stream, unkeyed),
    FIELD_INTEGER(view_stream, held),
    FIELD_INTEGER(view_stream, held_back),
    FIELD_INTEGER(view_stream, rtt_ms),
};

static const struct field certificate_fields[] = {
    FIELD_TEXT(view_certificate, whose),
    FIELD_INTEGER(view_certificate, expires_in_ms),
};

static void read_stream(const struct json_value *object, struct view_stream *stream)
{
    struct json_value stored = member(object, "stored"), gaps = member(object, "gaps");
    struct json_value peer = member(object, "certificate"), own = member(object, "own_certificate");
    read_object(object, stream_fields, COUNT(stream_fields), stream);
    read_object(&peer, certificate_fields, COUNT(certificate_fields), &stream->certificate);
    read_object(&own, certificate_fields, COUNT(certificate_fields), &stream->own_certificate);
    read_counts(&stored, stream->stored);
    read_counts(&gaps, stream->gaps);
}

static size_t count_elements(const struct json_value *array)
{
    struct json_iter it = json_iter_array(array);
    struct json_value element;
    size_t n = 0;
    while (array->type == JSON_ARRAY && json_iter_next(&it, &element))
        n++;
    return n;
}

/* Who needs someone comes first, who is well last. */
static int rank(const struct view_stream *stream)
{
    static const char *const states[] = {"parked", "stalled", "held"};
    int n = (int)COUNT(states);
    for (int i = 0; i < n; i++)
        if (strcmp(stream->state, states[i]) == 0)
            return i;
    return stream->well ? n + 1 : n;
}

/* Else as the daemon has them. */
static void put_in_order(struct view_stream *streams, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct view_stream stream = streams[i];
        size_t at = i;
        while (at > 0 && rank(&streams[at - 1]) > rank(&stream)) {
            streams[at] = streams[at - 1];
            at--;
        }
        streams[at] = stream;
    }
}

static int read_streams(struct view *view, const struct json_value *array)
{
    struct json_iter it = json_iter_array(array);
    struct json_value element;
    size_t n = count_elements(array);
    view->streams = calloc(n + 1, sizeof(*view->streams));
    if (view->streams == NULL)
        return ERR_NOMEM;
    while (view->n_streams < n && json_iter_next(&it, &element)) {
        struct view_stream *stream = &view->streams[view->n_streams++];
        read_stream(&element, stream);
        view->n_unwell += !stream->well;
        view->n_paused += strcmp(stream->state, "paused") == 0;
    }
    put_in_order(view->streams, view->n_streams);
    return 0;
}

static void read_store(struct view *view, const struct json_value *object)
{
    static const struct field fields[] = {
        {"state", TEXT, offsetof(struct view, store.state), sizeof(view->store.state)},
        {"reason", TEXT, offsetof(struct view, store.reason), sizeof(view->store.reason)},
        {"warning", TEXT, offsetof(struct view, store.warning), sizeof(view->store.warning)},
        {"oldest", INTEGER, offsetof(struct view, store.oldest), 0},
        {"newest", INTEGER, offsetof(struct view, store.newest), 0},
        {"oldest_ms", INTEGER, offsetof(struct view, store.oldest_ms), 0},
        {"bytes", INTEGER, offsetof(struct view, store.bytes), 0},
        {"retain_bytes", INTEGER, offsetof(struct view, store.retain_bytes), 0},
        {"commits", INTEGER, offsetof(struct view, store.commits), 0},
        {"commit_ms", INTEGER, offsetof(struct view, store.commit_ms), 0},
        {"committing_ms", INTEGER, offsetof(struct view, store.committing_ms), 0},
    };
    read_object(object, fields, COUNT(fields), view);
}

static void read_listeners(struct view *view, const struct json_value *array)
{
    static const struct field fields[] = {
        {"listen", TEXT, offsetof(struct view_listener, name), 72},
        FIELD_TEXT(view_listener, protocol),
        {"path", TEXT, offsetof(struct view_listener, place), 112},
        {"tcp", TEXT, offsetof(struct view_listener, place), 112},
        FIELD_INTEGER(view_listener, clients),
        FIELD_INTEGER(view_listener, max_clients),
    };
    struct json_iter it = json_iter_array(array);
    struct json_value element;
    while (array->type == JSON_ARRAY && view->n_listeners <= LIMIT_LISTENERS &&
           json_iter_next(&it, &element))
        read_object(&element, fields, COUNT(fields), &view->listeners[view->n_listeners++]);
}

/* ---- consumers ---- */

/* Kept in order; the least of them goes when there is a greater one. */
static void keep(struct view *view, const struct view_consumer *consumer)
{
    struct view_consumer *kept = view->consumers.lagging;
    size_t at = view->consumers.n_lagging < VIEW_LAGGING ? view->consumers.n_lagging : VIEW_LAGGING;
    view->consumers.n_lagging++;
    while (at > 0 && kept[at - 1].lag < consumer->lag) {
        if (at < VIEW_LAGGING)
            kept[at] = kept[at - 1];
        at--;
    }
    if (at < VIEW_LAGGING)
        kept[at] = *consumer;
}

static void read_consumers(struct view *view, const struct json_value *array)
{
    static const struct field fields[] = {
        {"consumer", TEXT, offsetof(struct view_consumer, name), LIMIT_CONSUMER_NAME + 1},
        FIELD_TRUTH(view_consumer, connected),
        FIELD_INTEGER(view_consumer, lag),
        FIELD_INTEGER(view_consumer, unacked),
        FIELD_INTEGER(view_consumer, seen_ms),
    };
    struct json_iter it = json_iter_array(array);
    struct json_value element;
    if (array->type != JSON_ARRAY)
        return;
    view->consumers.counted = true;
    while (json_iter_next(&it, &element)) {
        struct view_consumer consumer = {.name = ""};
        read_object(&element, fields, COUNT(fields), &consumer);
        if (consumer.lag > 0)
            keep(view, &consumer);
    }
}

static bool parse(struct slice text, struct json_value *out)
{
    *out = (struct json_value){.type = JSON_OBJECT, .raw = text};
    return slice_starts_with(text, SLICE("{")) && json_scan(NULL, text, NULL, NULL) == 0;
}

int view_read(struct view *view, struct slice status, struct slice consumers, int64_t now_ms)
{
    static const struct field fields[] = {
        FIELD_TEXT(view, server),
        FIELD_INTEGER(view, uptime_ms),
        FIELD_TRUTH(view, well),
    };
    static const struct field consumer_fields[] = {
        {"names", INTEGER, offsetof(struct view, consumers.names), 0},
        {"connected", INTEGER, offsetof(struct view, consumers.connected), 0},
    };
    struct json_value answer, list;
    *view = (struct view){.now_ms = now_ms};
    if (!parse(status, &answer) || member(&answer, "streams").type != JSON_ARRAY)
        return ERR_PARSE;
    struct json_value streams = member(&answer, "streams"), store = member(&answer, "store");
    struct json_value counts = member(&answer, "consumers");
    struct json_value listeners = member(&answer, "listeners");
    read_object(&answer, fields, COUNT(fields), view);
    read_store(view, &store);
    read_object(&counts, consumer_fields, COUNT(consumer_fields), view);
    read_listeners(view, &listeners);
    if (consumers.ptr != NULL && parse(consumers, &list)) {
        list = member(&list, "consumers");
        read_consumers(view, &list);
    }
    return read_streams(view, &streams);
}

void view_free(struct view *view)
{
    free(view->streams);
    view->streams = NULL;
}

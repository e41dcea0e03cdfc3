#include "base/limits.h"
#include "base/suggest.h"
#include "wire/ndjson.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const op_names[] = {
#define X(id, text) text,
    NDJSON_OPS(X)
#undef X
};

/* A request under examination. */
struct parse {
    struct ndjson_request *request;
    struct error *detail;
};

typedef enum ndjson_error (*take_fn)(struct parse *p, const struct json_value *value);

static enum ndjson_error bad(struct parse *p, const char *text)
{
    error_set(p->detail, ERR_PARSE, "%s", text);
    return NDJSON_E_BAD_REQUEST;
}

/* As much of a raw JSON string as a message has room for, without its quotes. */
static struct slice shown(const struct json_value *string)
{
    struct slice text = slice_from(string->raw, 1);

    text.len -= 1;
    if (text.len <= SUGGEST_WORD_MAX)
        return text;
    text.len = SUGGEST_WORD_MAX;
    while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xC0) == 0x80)
        text.len--;
    return text;
}

/* The text of a string: of the line itself, or decoded into scratch, which has room for all. */
static struct slice string_text(struct parse *p, const struct json_value *string)
{
    struct buf *scratch = &p->request->scratch;
    size_t at = scratch->len;

    if (!string->escaped)
        return slice_make(string->raw.ptr + 1, string->raw.len - 2);
    json_string_decode(string, scratch);
    return slice_make(scratch->data + at, scratch->len - at);
}

/* ---- fields ---- */

static enum ndjson_error take_strings(struct parse *p, const struct json_value *value,
                                      const char *what, struct slice *out, unsigned max,
                                      unsigned *count)
{
    struct json_iter it;
    struct json_value element;

    if (value->type != JSON_ARRAY) {
        error_set(p->detail, ERR_PARSE, "\"%s\" must be an array of strings", what);
        return NDJSON_E_BAD_REQUEST;
    }
    it = json_iter_array(value);
    while (json_iter_next(&it, &element)) {
        if (element.type != JSON_STRING || element.raw.len == 2) {
            error_set(p->detail, ERR_PARSE, "\"%s\" must hold nothing but non-empty strings", what);
            return NDJSON_E_BAD_REQUEST;
        }
        if (*count == max) {
            error_set(p->detail, ERR_LIMIT, "\"%s\" may hold %u strings at most", what, max);
            return NDJSON_E_TOO_MANY;
        }
        out[(*count)++] = string_text(p, &element);
    }
    if (*count > 0)
        return NDJSON_OK;
    error_set(p->detail, ERR_PARSE, "\"%s\" is empty; leave it out to mean all", what);
    return NDJSON_E_BAD_REQUEST;
}

static enum ndjson_error take_streams(struct parse *p, const struct json_value *value)
{
    return take_strings(p, value, "streams", p->request->streams, COUNT(p->request->streams),
                        &p->request->n_streams);
}

static enum ndjson_error take_types(struct parse *p, const struct json_value *value)
{
    return take_strings(p, value, "types", p->request->types, COUNT(p->request->types),
                        &p->request->n_types);
}

static enum ndjson_error take_from(struct parse *p, const struct json_value *value)
{
    struct ndjson_request *request = p->request;
    int64_t seq;

    if (json_string_eq(value, SLICE("now")))
        request->from = NDJSON_FROM_NOW;
    else if (json_string_eq(value, SLICE("oldest")))
        request->from = NDJSON_FROM_OLDEST;
    else if (value->type == JSON_NUMBER && json_int64(value, &seq) == 0 && seq >= 0)
        request->from = NDJSON_FROM_SEQ, request->from_seq = (uint64_t)seq;
    else
        return bad(p, "\"from\" must be \"now\", \"oldest\" or a seq, a whole number");
    return NDJSON_OK;
}

static enum ndjson_error take_notices(struct parse *p, const struct json_value *value)
{
    if (value->type != JSON_TRUE && value->type != JSON_FALSE)
        return bad(p, "\"notices\" must be true or false");
    p->request->notices = value->type == JSON_TRUE;
    return NDJSON_OK;
}

static enum ndjson_error take_instance(struct parse *p, const struct json_value *value)
{
    if (value->type != JSON_STRING)
        return bad(p, "\"instance\" must be a string");
    p->request->instance = string_text(p, value);
    return NDJSON_OK;
}

static enum ndjson_error take_stream(struct parse *p, const struct json_value *value)
{
    if (value->type != JSON_STRING)
        return bad(p, "\"stream\" must be a string");
    p->request->stream = string_text(p, value);
    return NDJSON_OK;
}

#define OP(id) (1u << NDJSON_##id)
#define ALL_OPS (~0u)

/* op and id are taken before the others, whose meaning depends on the op. */
static const struct field {
    const char *name;
    unsigned ops;      /* that it belongs to */
    unsigned required; /* by these */
    take_fn take;
} fields[] = {
    {"op", ALL_OPS, 0, NULL},
    {"id", ALL_OPS, 0, NULL},
    {"streams", OP(SUBSCRIBE), 0, take_streams},
    {"types", OP(SUBSCRIBE), 0, take_types},
    {"from", OP(SUBSCRIBE), 0, take_from},
    {"notices", OP(SUBSCRIBE), 0, take_notices},
    {"instance", OP(SUBSCRIBE), 0, take_instance},
    {"stream", OP(STATUS) | OP(RECONNECT) | OP(PAUSE) | OP(RESUME),
     OP(RECONNECT) | OP(PAUSE) | OP(RESUME), take_stream},
};

static enum ndjson_error unknown_field(struct parse *p, const struct json_value *name)
{
    const char *candidates[COUNT(fields)];
    const char *near;
    size_t n = 0;

    for (size_t i = 0; i < COUNT(fields); i++) {
        if (fields[i].ops & 1u << p->request->op)
            candidates[n++] = fields[i].name;
    }
    near = suggest(shown(name), candidates, n);
    error_set(p->detail, ERR_PARSE, "unknown field \"" SLICE_FMT "\" for op \"%s\"%s%s%s",
              SLICE_ARG(shown(name)), op_names[p->request->op],
              near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
              near != NULL ? "\"?" : "");
    return NDJSON_E_BAD_REQUEST;
}

static enum ndjson_error take_fields(struct parse *p, const struct json_value *object)
{
    struct json_iter it = json_iter_object(object);
    struct json_value name, value;
    unsigned op = 1u << p->request->op;
    unsigned seen = 0;

    while (json_iter_next_member(&it, &name, &value)) {
        enum ndjson_error rc = NDJSON_OK;
        size_t i = 0;

        while (i < COUNT(fields) &&
               !(fields[i].ops & op && json_string_eq(&name, slice_str(fields[i].name))))
            i++;
        if (i == COUNT(fields))
            return unknown_field(p, &name);
        if (seen & 1u << i) {
            error_set(p->detail, ERR_PARSE, "\"%s\" is given twice", fields[i].name);
            return NDJSON_E_BAD_REQUEST;
        }
        seen |= 1u << i;
        if (fields[i].take != NULL)
            rc = fields[i].take(p, &value);
        if (rc != NDJSON_OK)
            return rc;
    }
    for (size_t i = 0; i < COUNT(fields); i++) {
        if (!(fields[i].required & op) || seen & 1u << i)
            continue;
        error_set(p->detail, ERR_PARSE, "op \"%s\" needs \"%s\"", op_names[p->request->op],
                  fields[i].name);
        return NDJSON_E_BAD_REQUEST;
    }
    return NDJSON_OK;
}

/* ---- what every request has ---- */

static struct json_value find_member(const struct json_value *object, struct slice name)
{
    struct json_iter it = json_iter_object(object);
    struct json_value at, value;

    while (json_iter_next_member(&it, &at, &value)) {
        if (json_string_eq(&at, name))
            return value;
    }
    return (struct json_value){.type = JSON_ABSENT};
}

static enum ndjson_error take_id(struct parse *p, const struct json_value *value)
{
    if (value->type == JSON_ABSENT)
        return NDJSON_OK;
    if (value->type == JSON_ARRAY || value->type == JSON_OBJECT)
        return bad(p, "\"id\" must be a string, a number, true, false or null");
    if (value->raw.len > NDJSON_ID_MAX) {
        error_set(p->detail, ERR_LIMIT, "\"id\" is over %d bytes", NDJSON_ID_MAX);
        return NDJSON_E_BAD_REQUEST;
    }
    p->request->id = value->raw;
    return NDJSON_OK;
}

static enum ndjson_error take_op(struct parse *p, const struct json_value *value)
{
    const char *near;

    if (value->type == JSON_ABSENT)
        return bad(p, "\"op\" is missing");
    if (value->type != JSON_STRING)
        return bad(p, "\"op\" must be a string");
    for (unsigned i = 0; i < COUNT(op_names); i++) {
        if (json_string_eq(value, slice_str(op_names[i]))) {
            p->request->op = (enum ndjson_op)i;
            return NDJSON_OK;
        }
    }
    near = suggest(shown(value), op_names, COUNT(op_names));
    error_set(p->detail, ERR_NOTFOUND, "unknown op \"" SLICE_FMT "\"%s%s%s",
              SLICE_ARG(shown(value)), near != NULL ? "; did you mean \"" : "",
              near != NULL ? near : "", near != NULL ? "\"?" : "");
    return NDJSON_E_UNKNOWN_OP;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = slice_from(text, 1);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

void ndjson_request_init(struct ndjson_request *request)
{
    memset(request, 0, sizeof *request);
    buf_init(&request->scratch, LIMIT_LINE_IN);
}

void ndjson_request_fini(struct ndjson_request *request)
{
    buf_fini(&request->scratch);
}

/* All but the memory as it was at first. */
static void clear(struct ndjson_request *request)
{
    struct buf scratch = request->scratch;

    buf_clear(&scratch);
    memset(request, 0, sizeof *request);
    request->notices = true;
    request->scratch = scratch;
}

enum ndjson_error ndjson_request_parse(struct ndjson_request *request, struct slice line,
                                       struct error *detail)
{
    struct parse p = {request, detail};
    struct json_value object = {.type = JSON_OBJECT, .raw = trim(line)};
    struct json_value id, op;
    enum ndjson_error rc;
    size_t offset;

    clear(request);
    if (line.len > LIMIT_LINE_IN) {
        error_set(detail, ERR_LIMIT, "a line of over %d bytes", LIMIT_LINE_IN);
        return NDJSON_E_TOO_LONG;
    }
    if (json_scan(NULL, line, NULL, &offset) != 0) {
        error_set(detail, ERR_PARSE, "not JSON: wrong at byte %zu of the line", offset);
        return NDJSON_E_BAD_JSON;
    }
    if (object.raw.ptr[0] != '{')
        return bad(&p, "a request must be a JSON object");
    /* Decoded strings are shorter than the line, so scratch never moves under their slices. */
    if (buf_reserve(&request->scratch, line.len) != 0) {
        error_set(detail, ERR_NOMEM, "%s", error_text(ERR_NOMEM));
        return NDJSON_E_INTERNAL;
    }
    id = find_member(&object, SLICE("id"));
    op = find_member(&object, SLICE("op"));
    rc = take_id(&p, &id);
    if (rc == NDJSON_OK)
        rc = take_op(&p, &op);
    return rc == NDJSON_OK ? take_fields(&p, &object) : rc;
}

#include <string.h>

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
    enum ndjson_error rc = take_strings(p, value, "types", p->request->types,
                                        COUNT(p->request->types), &p->request->n_types);

    for (unsigned i = 0; rc == NDJSON_OK && i < p->request->n_types; i++) {
        if (p->request->types[i].len <= LIMIT_EVENT_TYPE)
            continue;
        error_set(p->detail, ERR_LIMIT, "a type in \"types\" is over %d bytes", LIMIT_EVENT_TYPE);
        rc = NDJSON_E_BAD_REQUEST;
    }
    return rc;
}

static bool take_number(const struct json_value *value, uint64_t *out)
{
    int64_t number;

    if (value->type != JSON_NUMBER || json_int64(value, &number) != 0 || number < 0)
        return false;
    *out = (uint64_t)number;
    return true;
}

static enum ndjson_error take_from(struct parse *p, const struct json_value *value)
{
    struct ndjson_request *request = p->request;

    if (json_string_eq(value, SLICE("now")))
        request->from = NDJSON_FROM_NOW;
    else if (json_string_eq(value, SLICE("oldest")))
        request->from = NDJSON_FROM_OLDEST;
    else if (json_string_eq(value, SLICE("cursor")))
        request->from = NDJSON_FROM_CURSOR;
    else if (take_number(value, &request->from_seq))
        request->from = NDJSON_FROM_SEQ;
    else
        return bad(p, "\"from\" must be \"now\", \"oldest\", \"cursor\" or a seq, a whole number");
    return NDJSON_OK;
}

static enum ndjson_error take_to(struct parse *p, const struct json_value *value)
{
    struct ndjson_request *request = p->request;

    if (json_string_eq(value, SLICE("newest")))
        request->from = NDJSON_FROM_NOW;
    else if (json_string_eq(value, SLICE("oldest")))
        request->from = NDJSON_FROM_OLDEST;
    else if (take_number(value, &request->from_seq))
        request->from = NDJSON_FROM_SEQ;
    else
        return bad(p, "\"to\" must be \"oldest\", \"newest\" or a seq, a whole number");
    return NDJSON_OK;
}

static enum ndjson_error take_seq(struct parse *p, const struct json_value *value)
{
    if (!take_number(value, &p->request->ack_seq))
        return bad(p, "\"seq\" must be the seq of an event, a whole number");
    return NDJSON_OK;
}

bool ndjson_is_consumer(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr("._-:@", c) == NULL))
            return false;
    }
    return name.len > 0 && name.len <= LIMIT_CONSUMER_NAME;
}

static enum ndjson_error take_consumer(struct parse *p, const struct json_value *value)
{
    if (value->type == JSON_STRING)
        p->request->consumer = string_text(p, value);
    if (value->type == JSON_STRING && ndjson_is_consumer(p->request->consumer))
        return NDJSON_OK;
    p->request->consumer = slice_make(NULL, 0);
    error_set(p->detail, ERR_PARSE,
              "\"consumer\" must be a name of 1 to %d letters, digits and any of . _ - : @",
              LIMIT_CONSUMER_NAME);
    return NDJSON_E_BAD_REQUEST;
}

static enum ndjson_error take_window(struct parse *p, const struct json_value *value)
{
    uint64_t window;

    if (!take_number(value, &window) || window == 0 || window > LIMIT_CONSUMER_WINDOW) {
        error_set(p->detail, ERR_PARSE, "\"window\" must be a whole number from 1 to %d",
                  LIMIT_CONSUMER_WINDOW);
        return NDJSON_E_BAD_REQUEST;
    }
    p->request->window = (unsigned)window;
    return NDJSON_OK;
}

static enum ndjson_error take_takeover(struct parse *p, const struct json_value *value)
{
    if (value->type != JSON_TRUE && value->type != JSON_FALSE)
        return bad(p, "\"takeover\" must be true or false");
    p->request->takeover = value->type == JSON_TRUE;
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

static enum ndjson_error take_text(struct parse *p, const struct json_value *value)
{
    if (value->type != JSON_STRING)
        return bad(p, "\"text\" must be a string; JSON is given as \"data\"");
    if (p->request->message.ptr != NULL)
        return bad(p, "give \"text\" or \"data\", not both");
    p->request->message = string_text(p, value);
    return NDJSON_OK;
}

static enum ndjson_error take_data(struct parse *p, const struct json_value *value)
{
    if (p->request->message.ptr != NULL)
        return bad(p, "give \"text\" or \"data\", not both");
    p->request->message = value->raw;
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
    {"consumer", OP(SUBSCRIBE) | OP(SEEK) | OP(FORGET), OP(SEEK) | OP(FORGET), take_consumer},
    {"window", OP(SUBSCRIBE), 0, take_window},
    {"takeover", OP(SUBSCRIBE), 0, take_takeover},
    {"seq", OP(ACK), OP(ACK), take_seq},
    {"to", OP(SEEK), OP(SEEK), take_to},
    {"stream", OP(STATUS) | OP(RECONNECT) | OP(PAUSE) | OP(RESUME) | OP(SEND),
     OP(RECONNECT) | OP(PAUSE) | OP(RESUME) | OP(SEND), take_stream},
    {"text", OP(SEND), 0, take_text},
    {"data", OP(SEND), 0, take_data},
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

/* What only a consumer with a name can ask for. */
static enum ndjson_error check_subscribe(struct parse *p)
{
    const struct ndjson_request *request = p->request;
    const char *what = request->window > 0                   ? "\"window\""
                       : request->takeover                   ? "\"takeover\""
                       : request->from == NDJSON_FROM_CURSOR ? "\"from\":\"cursor\""
                                                             : NULL;

    if (request->op != NDJSON_SUBSCRIBE || request->consumer.ptr != NULL || what == NULL)
        return NDJSON_OK;
    error_set(p->detail, ERR_PARSE, "%s is for a named consumer: give \"consumer\" as well", what);
    return NDJSON_E_BAD_REQUEST;
}

static enum ndjson_error check_send(struct parse *p)
{
    if (p->request->op != NDJSON_SEND || p->request->message.ptr != NULL)
        return NDJSON_OK;
    return bad(p, "op \"send\" needs \"text\" or \"data\"");
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
    if (rc == NDJSON_OK)
        rc = take_fields(&p, &object);
    if (rc == NDJSON_OK)
        rc = check_subscribe(&p);
    return rc == NDJSON_OK ? check_send(&p) : rc;
}

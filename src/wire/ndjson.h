/*
 * ndjson: the lines that local programs and hawserd exchange, one JSON object each.
 *
 * Decides: the form of requests, replies, events and notices. Leaves: what they do to daemon.
 * Fails: ndjson_request_parse() names the error code that the reply carries.
 */
#ifndef HAWSER_WIRE_NDJSON_H
#define HAWSER_WIRE_NDJSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "json/json.h"

#define NDJSON_OPS(X)                                                                              \
    X(SUBSCRIBE, "subscribe")                                                                      \
    X(PING, "ping")                                                                                \
    X(STATUS, "status")                                                                            \
    X(RECONNECT, "reconnect")                                                                      \
    X(PAUSE, "pause")                                                                              \
    X(RESUME, "resume")                                                                            \
    X(ACK, "ack")                                                                                  \
    X(CONSUMERS, "consumers")                                                                      \
    X(SEEK, "seek")                                                                                \
    X(FORGET, "forget")                                                                            \
    X(SEND, "send")                                                                                \
    X(RELOAD, "reload")
enum ndjson_op {
#define X(id, text) NDJSON_##id,
    NDJSON_OPS(X)
#undef X
};

#define NDJSON_ERRORS(X)                                                                           \
    X(BAD_JSON, "bad_json")                                                                        \
    X(BAD_REQUEST, "bad_request")                                                                  \
    X(UNKNOWN_OP, "unknown_op")                                                                    \
    X(UNKNOWN_STREAM, "unknown_stream")                                                            \
    X(UNKNOWN_CONSUMER, "unknown_consumer")                                                        \
    X(CONSUMER_BUSY, "consumer_busy")                                                              \
    X(FORBIDDEN, "forbidden")                                                                      \
    X(NOT_LIVE, "not_live")                                                                        \
    X(RATE_LIMITED, "rate_limited")                                                                \
    X(TOO_LONG, "too_long")                                                                        \
    X(TOO_MANY, "too_many")                                                                        \
    X(BAD_CONFIG, "bad_config")                                                                    \
    X(INTERNAL, "internal")
enum ndjson_error {
    NDJSON_OK,
#define X(id, text) NDJSON_E_##id,
    NDJSON_ERRORS(X)
#undef X
};
const char *ndjson_error_name(enum ndjson_error error);

#define NDJSON_LIST_MAX 256 /* streams in one request */
#define NDJSON_TYPES_MAX 32 /* type globs in one request */
#define NDJSON_ID_MAX 256   /* bytes of a request's id, as it stands in the line */
enum ndjson_from {
    NDJSON_FROM_DEFAULT,
    NDJSON_FROM_NOW,
    NDJSON_FROM_OLDEST,
    NDJSON_FROM_SEQ,
    NDJSON_FROM_CURSOR, /* of the named consumer */
};

struct ndjson_request {
    enum ndjson_op op;
    struct slice id; /* raw JSON of the request's id; .ptr NULL if none; into the line */
    struct slice stream;
    struct slice streams[NDJSON_LIST_MAX]; /* decoded, into `scratch` or the line */
    unsigned n_streams;
    struct slice types[NDJSON_TYPES_MAX];
    unsigned n_types;
    enum ndjson_from from; /* seek: where to, "newest" being NOW */
    uint64_t from_seq;
    struct slice instance; /* the caller's idea of the store; .ptr NULL if none */
    struct slice consumer; /* a name as ndjson_is_consumer() wants it; .ptr NULL if none */
    unsigned window;       /* 0: not given */
    bool takeover;
    uint64_t ack_seq;
    struct slice message; /* SEND: `text` decoded, or `data` as it stands in the line */
    bool notices;         /* default true */
    struct buf scratch;
};
/* 1 to LIMIT_CONSUMER_NAME letters, digits and any of . _ - : @ */
bool ndjson_is_consumer(struct slice name);
void ndjson_request_init(struct ndjson_request *request);
void ndjson_request_fini(struct ndjson_request *request);
/*
 * Strict: every mistake is an error that names it; an unknown field, one that does not belong to
 * the op, or one given twice too, with "did you mean". detail (may be NULL) gets what is wrong.
 * Lists too long are TOO_MANY, a line over LIMIT_LINE_IN is TOO_LONG. The id is there for the reply
 * after an error too, unless the line is not an object. A request may be parsed into again and
 * again; its slices are valid until then and while the line is.
 */
enum ndjson_error ndjson_request_parse(struct ndjson_request *request, struct slice line,
                                       struct error *detail);

/* Lines, each with its '\n', written whole or, where buf_append fails, not at all. Texts that are
 * NULL, and slices whose .ptr is, are left out; so is the id of a reply. */
int ndjson_write_error(struct buf *out, struct slice id, enum ndjson_error error,
                       const char *detail);
int ndjson_write_ok(struct buf *out, struct slice id, const char *op);
/* What a reload has changed; or every error that is why it has changed nothing. */
int ndjson_write_reloaded(struct buf *out, struct slice id, const char *const *changed, size_t n);
int ndjson_write_bad_config(struct buf *out, struct slice id, const char *detail,
                            const char *const *errors, size_t n);
int ndjson_write_subscribed(struct buf *out, struct slice id, uint64_t next, uint64_t oldest,
                            uint64_t newest);
struct ndjson_stream_state {
    const char *name, *state;
};
int ndjson_write_greeting(struct buf *out, const char *server, const char *instance,
                          uint64_t oldest, uint64_t newest,
                          const struct ndjson_stream_state *streams, unsigned n_streams);

/* An event line: seq, stream, id, position, type, time, event_time, via, snapshot (only where it
 * is true), tags and then data, text or base64, in this order. Every slice may have .ptr NULL
 * (absent). tags: JSON members already encoded, like `"tag.team":"ops"`, or empty. Data of JSON has
 * been checked; it goes out byte for byte, but that newlines between its tokens become spaces. */
struct ndjson_event {
    uint64_t seq; /* 0: written as null */
    const char *stream;
    struct slice id, position, type;
    int64_t received_us;
    struct slice event_time; /* raw JSON */
    const char *via;
    bool snapshot;
    struct slice tags;
    enum { NDJSON_DATA_JSON, NDJSON_DATA_TEXT, NDJSON_DATA_BINARY } data_kind;
    struct slice data;
};
/* An upper bound of the line's length, and the writer into memory of at least that size, which
 * returns the length, '\n' included. *type: where the type stands in the line; empty if there is
 * none, or if it could not be written as it is. Neither allocates. */
size_t ndjson_event_bound(const struct ndjson_event *event);
size_t ndjson_event_encode(const struct ndjson_event *event, char *out, struct slice *type);

int ndjson_write_gap(struct buf *out, uint64_t seq, const char *stream, const char *reason,
                     struct slice after, struct slice before, const char *detail);
int ndjson_write_retention_gap(struct buf *out, const char *stream, uint64_t from_seq,
                               uint64_t to_seq);
int ndjson_write_stream_notice(struct buf *out, const char *stream, const char *state,
                               const char *reason, int64_t retry_in_ms /* -1: none */);
int ndjson_write_store_reset(struct buf *out, const char *instance, uint64_t newest);
int ndjson_write_bye(struct buf *out, const char *reason);
/* The consumer has so many events that it has not acknowledged, of which `seq` is the first, and
 * gets no more before it does. */
int ndjson_write_window_full(struct buf *out, struct slice consumer, unsigned window, uint64_t seq);

struct ndjson_consumer {
    struct slice name;
    unsigned uid;
    bool connected;
    int pid; /* if connected */
    uint64_t cursor, lag;
    unsigned unacked, window;
    int64_t seen_ms; /* how long ago it was last connected; 0 while it is */
};
int ndjson_write_consumers(struct buf *out, struct slice id,
                           const struct ndjson_consumer *consumers, size_t count);

#endif

/*
 * stream: one [stream NAME], whole: session, flow, profile and hub composed. Pure: links, requests,
 * secrets and clocks are reached through stream_ops, so the daemon (libuv) and the simulation
 * (virtual time) run the very same code.
 *
 *     link  --message-->  profile_scan  -->  flow  -->  hub
 *       |                      | rules
 *       +--open, closed-->  session  --actions-->  stream executes them through stream_ops
 *
 * Order within one message: what it is (flow) before what it says about the link (rules).
 * The executor queues and never re-enters: an action that answers at once puts its event behind.
 * Back-pressure: when the hub has no room, stream_message() says ERR_AGAIN and the same message is
 * offered again after ops.link_resume(); a catch-up page pauses in its middle.
 */
#ifndef HAWSER_ENGINE_STREAM_H
#define HAWSER_ENGINE_STREAM_H

#include "broker/broker.h"
#include "engine/arrivals.h"
#include "engine/hub.h"

enum stream_message_type { STREAM_TEXT, STREAM_BINARY };

struct stream_ops {
    int64_t (*now_ms)(void *arg);  /* monotonic */
    int64_t (*wall_us)(void *arg); /* unix time */
    /* The value of secret NAME now, .ptr NULL if it cannot be read (then err says why). */
    struct slice (*secret)(void *arg, const char *name, struct error *err);
    /* Each dial ends in exactly one stream_link_failed() or stream_link_closed(). The request is
     * borrowed and holds secrets. Two links may be under way or open at once (a handover). */
    void (*dial)(void *arg, uint64_t link, const struct profile_request *request);
    /* Text for the service. 0: handed to the link; ERR_AGAIN: too much waits already, the engine
     * tries again after a second; ERR_EOF: not open. May hold secrets: borrowed, wiped after. */
    int (*link_send)(void *arg, uint64_t link, struct slice text);
    void (*link_close)(void *arg, uint64_t link, int code, const char *reason);
    void (*link_abort)(void *arg, uint64_t link); /* nothing more is heard of it */
    void (*link_ping)(void *arg, uint64_t link);
    void (*link_resume)(void *arg, uint64_t link); /* after ERR_AGAIN */
    int64_t (*link_last_rx_ms)(void *arg, uint64_t link);
    /* Ends in exactly one stream_http_done() or stream_http_failed(), or in http_cancel. Several
     * may be under way: one of the session and calls of rules. http is the number of its [http
     * NAME] (whose `ok` counts), PROFILE_NONE for 2xx. */
    void (*http)(void *arg, uint64_t request, unsigned http, const struct profile_request *form,
                 int64_t timeout_ms);
    /* The same whose answer is a stream: stream_body_open(), then stream_body() as bytes come, and
     * at last stream_http_failed() (a 2xx that ended: CLOSE 1000), or http_cancel. */
    void (*http_stream)(void *arg, uint64_t request, const struct profile_request *form,
                        int64_t timeout_ms, int64_t idle_ms);
    void (*http_resume)(void *arg, uint64_t request); /* after ERR_AGAIN of stream_body() */
    void (*http_cancel)(void *arg, uint64_t request);
    /* Get fresh credentials: by [auth] refresh where the profile has one, else read the secrets
     * anew. Then stream_credentials() or stream_refresh_failed(), not inline. */
    void (*refresh)(void *arg);
    /* A value that a message or an answer gave to secret NAME; for redaction too. */
    void (*secret_set)(void *arg, const char *name, struct slice value);
    void (*say)(void *arg, const char *text); /* a warning, for log and status */
    /* For log and metrics; the notice to consumers is already out. */
    void (*state)(void *arg, const struct session_action *action, uint64_t link);
    void (*gap)(void *arg, enum session_gap reason, const char *detail);
    void (*deadline)(void *arg,
                     int64_t deadline_ms); /* call stream_tick() then; INT64_MAX: never */
};

struct stream_options {
    const char *name;
    const struct profile *profile; /* borrowed */
    struct hub *hub;
    struct hub_stream *hub_stream;
    struct broker_client *broker; /* borrowed */
    const uint8_t *hash_key;      /* 16 bytes */
    unsigned dedup_window;
    size_t hold_bytes;
    uint64_t seed;
    bool rtt_reconnects;
    enum settings_start start;
    const char *start_position;
    const struct stream_ops *ops;
    void *ops_arg;
};

struct stream;
int stream_new(const struct stream_options *options, struct stream **out);
void stream_free(struct stream *stream);

/* What the store knows: call before stream_start(), and after each store failure before
 * stream_store_ready(): first stream_restore(), then each key, oldest first. */
void stream_restore(struct stream *stream, struct slice position /* .ptr NULL: none stored */,
                    bool fingerprint_changed, bool lived /* something of it is stored */);
/* What hub_save() kept under stream_state_key(), and how long ago; between stream_restore() and
 * stream_start(). Not called where nothing was kept. Damaged bytes are as none. source_changed:
 * credential or configuration are not what they were then. */
void stream_restore_state(struct stream *stream, struct slice value, int64_t ago_ms,
                          bool source_changed);
/* "stream/NAME": the key of what the stream saves. */
void stream_state_key(const char *name, char out[STORE_STATE_KEY + 1]);
void stream_restore_key(struct stream *stream, const uint8_t key[16]);

void stream_start(struct stream *stream);
void stream_stop(struct stream *stream);
void stream_tick(struct stream *stream);
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
void stream_reconnect(struct stream *stream);
void stream_credentials(struct stream *stream); /* a source changed, or the refresh is done */
void stream_refresh_failed(struct stream *stream, const struct profile_end *end);
/* A new token is there because the one in use is about to expire. */
void stream_expiring(struct stream *stream);
/* Route or address towards the peer changed, or the machine has slept, for slept_ms, which no
 * now_ms has counted. */
void stream_network(struct stream *stream, int64_t slept_ms);
/* From the broker and the hub. */
void stream_slot(struct stream *stream);
void stream_slot_later(struct stream *stream, int64_t at_ms, const char *why);
void stream_saved(struct stream *stream, uint64_t ticket, bool lost);
/* All up to seq is on disk: acknowledgements that wait for that go out. */
void stream_durable(struct stream *stream, uint64_t seq);
void stream_store_stalled(struct stream *stream);
void stream_store_ready(struct stream *stream);
void stream_room(struct stream *stream); /* the hub has room again */

/* From links: an unknown or old number is ignored. */
void stream_link_connected(struct stream *stream, uint64_t link);
void stream_link_open(struct stream *stream, uint64_t link);
void stream_link_failed(struct stream *stream, uint64_t link, const struct profile_end *end);
/* last_rx_ms: when its last byte came, as ops.link_last_rx_ms would have said; 0: not known. */
void stream_link_closed(struct stream *stream, uint64_t link, int64_t last_rx_ms,
                        const struct profile_end *end);
/* 0, or ERR_AGAIN: stop reading and offer it again after ops.link_resume(). */
int stream_message(struct stream *stream, uint64_t link, enum stream_message_type type,
                   struct slice payload);
void stream_oversize(struct stream *stream, uint64_t link, uint64_t bytes);
void stream_pong(struct stream *stream, uint64_t link, int64_t rtt_ms);
/* From requests: an unknown or old number is ignored. The body is taken: its memory moves into the
 * stream. */
void stream_http_done(struct stream *stream, uint64_t request, struct buf *body);
void stream_http_failed(struct stream *stream, uint64_t request, const struct profile_end *end);
void stream_body_open(struct stream *stream, uint64_t request);
/* 0, or ERR_AGAIN: the bytes are taken, but no more until ops.http_resume(). */
int stream_body(struct stream *stream, uint64_t request, struct slice bytes);

/*
 * A text that a local program has for the service (UTF-8). 0: it is handed to the link, and that is
 * all that can be promised. ERR_EOF: the stream is not live. ERR_AGAIN: limits.sends has none left,
 * or the link takes no more at present: *retry_ms says when to ask again; nothing is queued, so
 * that what the profile itself has to send never waits behind a program. ERR_PERM: the service
 * takes no data from its clients. ERR_LIMIT: over STREAM_SEND_BYTES. ERR_INVAL: no UTF-8.
 */
#define STREAM_SEND_BYTES (64u << 10) /* of one text */
int stream_send(struct stream *stream, struct slice text, int64_t *retry_ms);

bool stream_stopped(const struct stream *stream);
/* All that it had for the hub is on disk, or lost with the store: another may take its place. */
bool stream_settled(const struct stream *stream);

struct stream_stats {
    uint64_t messages, bytes;
    uint64_t dials, opened, closed, failed, pings, requests;
    int64_t rtt_ms; /* -1: not known */
    struct histogram rtts_ms;
    int64_t last_ms; /* the last message of this link; -1: none yet */
    struct arrivals_counts arrivals;
    struct flow_stats flow;
    struct hub_stream_stats hub;
};
void stream_stats(const struct stream *stream, struct stream_stats *out);
void stream_session_status(const struct stream *stream, struct session_status *out);
struct slice stream_position(const struct stream *stream);

#endif

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

#include "engine/hub.h"

enum stream_message_type { STREAM_TEXT, STREAM_BINARY };

struct stream_ops {
    int64_t (*now_ms)(void *arg);  /* monotonic */
    int64_t (*wall_us)(void *arg); /* unix time */
    /* The value of secret NAME now, .ptr NULL if it cannot be read (then err says why). */
    struct slice (*secret)(void *arg, const char *name, struct error *err);
    /* Each dial ends in exactly one stream_link_failed() or stream_link_closed(). The request is
     * borrowed and holds secrets. */
    void (*dial)(void *arg, uint64_t link, const struct profile_request *request);
    void (*link_close)(void *arg, uint64_t link, int code, const char *reason);
    void (*link_abort)(void *arg, uint64_t link); /* nothing more is heard of it */
    void (*link_ping)(void *arg, uint64_t link);
    void (*link_resume)(void *arg, uint64_t link); /* after ERR_AGAIN */
    int64_t (*link_last_rx_ms)(void *arg, uint64_t link);
    /* Ends in exactly one stream_http_done() or stream_http_failed(), or in http_cancel. */
    void (*http)(void *arg, uint64_t request, const struct profile_request *form,
                 int64_t timeout_ms);
    void (*http_cancel)(void *arg, uint64_t request);
    void (*refresh)(void *arg); /* read the secrets anew; then stream_credentials(), not inline */
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
    const uint8_t *hash_key; /* 16 bytes */
    unsigned dedup_window;
    size_t hold_bytes;
    uint64_t seed;
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
void stream_restore_key(struct stream *stream, const uint8_t key[16]);

void stream_start(struct stream *stream);
void stream_stop(struct stream *stream);
void stream_tick(struct stream *stream);
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
void stream_reconnect(struct stream *stream);
void stream_credentials(struct stream *stream); /* a source changed, or the refresh is done */
void stream_store_stalled(struct stream *stream);
void stream_store_ready(struct stream *stream);
void stream_room(struct stream *stream); /* the hub has room again */

/* From links: an unknown or old number is ignored. */
void stream_link_connected(struct stream *stream, uint64_t link);
void stream_link_open(struct stream *stream, uint64_t link);
void stream_link_failed(struct stream *stream, uint64_t link, const struct profile_end *end);
void stream_link_closed(struct stream *stream, uint64_t link, const struct profile_end *end);
/* 0, or ERR_AGAIN: stop reading and offer it again after ops.link_resume(). */
int stream_message(struct stream *stream, uint64_t link, enum stream_message_type type,
                   struct slice payload);
void stream_oversize(struct stream *stream, uint64_t link, uint64_t bytes);
void stream_pong(struct stream *stream, uint64_t link, int64_t rtt_ms);
/* From requests: an unknown or old number is ignored. The body is taken: its memory moves into the
 * stream. */
void stream_http_done(struct stream *stream, uint64_t request, struct buf *body);
void stream_http_failed(struct stream *stream, uint64_t request, const struct profile_end *end);

bool stream_stopped(const struct stream *stream);

struct stream_stats {
    uint64_t messages, bytes;
    uint64_t dials, opened, closed, failed, pings, requests;
    int64_t rtt_ms; /* -1: not known */
    struct flow_stats flow;
    struct hub_stream_stats hub;
};
void stream_stats(const struct stream *stream, struct stream_stats *out);
void stream_session_status(const struct stream *stream, struct session_status *out);
struct slice stream_position(const struct stream *stream);

#endif

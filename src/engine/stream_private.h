/* stream_private: what the files of stream share. Nobody else includes it. */
#ifndef HAWSER_ENGINE_STREAM_PRIVATE_H
#define HAWSER_ENGINE_STREAM_PRIVATE_H

#include "engine/stream.h"

#define STREAM_QUEUE_MAX 16 /* session events that wait while a step is being executed */
#define STREAM_GAPS_MAX 4   /* gaps that wait for room */

struct stream {
    char *name;
    const struct profile *profile;
    struct hub *hub;
    struct hub_stream *hub_stream;
    struct session session;
    struct flow *flow;
    struct profile_scanner *scanner;
    enum settings_start start;
    char *start_position;
    const struct stream_ops *ops;
    void *arg;
    uint64_t seed;

    uint64_t link;     /* current; 0: none */
    uint64_t request;  /* not answered yet; 0: none */
    bool link_blocked; /* it was told ERR_AGAIN */
    bool started, has_position, lived, forget;

    /* Events for the session, while it is being stepped. */
    struct {
        struct session_event event;
        struct profile_end end;
        struct session_page page;
    } queue[STREAM_QUEUE_MAX];
    unsigned queue_head, queue_count;
    bool stepping;
    struct session_actions actions;

    /* Gaps that found no room yet, in order. */
    struct {
        struct hub_gap gap;
        char after[LIMIT_POSITION];
        char detail[320];
    } gaps[STREAM_GAPS_MAX];
    unsigned n_gaps;

    /* The catch-up page that is being worked through. */
    struct {
        bool active, ended;
        uint64_t request;
        struct buf body;
        struct profile_page page;
        struct buf next; /* cursor of an empty page */
        bool has_next;
    } page;
    struct profile_request form; /* the one being rendered; wiped after use */

    struct stream_stats stats;
    int64_t deadline_ms;
};

/* Queues an event for the session and, unless a step is under way, works the queue off. end and
 * page are copied. */
void stream_post(struct stream *stream, const struct session_event *event);
/* Executes what a step asked for. */
void stream_execute(struct stream *stream, const struct session_action *action);
/* Works through the page; returns when it is done or the hub has no room. */
void stream_page_pump(struct stream *stream);
void stream_page_drop(struct stream *stream);
void stream_gap(struct stream *stream, enum session_gap reason, const char *detail);
void stream_gaps_pump(struct stream *stream);
void stream_check_position(struct stream *stream);

#endif

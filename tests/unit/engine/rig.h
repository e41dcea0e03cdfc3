/*
 * rig: one stream on a real hub and a real broker, driven through its operations by a test. No
 * network, no disk, no clock: time stands still until the test moves it.
 *
 * What the stream asks for is written down, a line each; what is on disk is the list of the ids (or
 * data) of stored events, and "gap REASON".
 */
#ifndef HAWSER_TESTS_ENGINE_RIG_H
#define HAWSER_TESTS_ENGINE_RIG_H

#include "engine/stream.h"
#include "unit/profile/support.h"

#define RIG_LINES 1200

struct rig {
    struct loaded loaded;
    struct hub *hub;
    struct hub_stream *hub_stream;
    struct broker *broker;
    struct broker_client *client;
    struct stream *stream;
    int64_t now_ms, deadline_ms, broker_ms;
    char *lines[RIG_LINES]; /* what was asked for and not looked at yet */
    unsigned n_lines;
    struct buf stored; /* "a b gap epoch c " */
    struct buf kept;   /* the newest saved state of the stream */
    const struct hub_batch *flying;
    bool wanted, room, frozen; /* frozen: the disk takes nothing */
    uint64_t broker_ticket;
    int link_status;        /* that link_send answers */
    const char *secret;     /* value of every secret, NULL: cannot be read */
    uint64_t http, streams; /* numbers of the newest exchanges */
};

struct rig_options {
    const char *profile;
    const char *const *keys; /* of the stream; NULL: none */
    size_t ring_bytes;       /* 0: plenty */
    unsigned dedup_window;   /* 0: 64 */
    const char *position;    /* stored, NULL: none */
    enum settings_start start;
    struct slice state; /* saved, .ptr NULL: none */
};

void rig_open(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);
/* Commits, room and the broker, until nothing more comes of it. */
void rig_settle(struct rig *rig);
/* Time passes, from deadline to deadline. */
void rig_pass(struct rig *rig, int64_t ms);
/* Connected and open, then settled. */
void rig_link_up(struct rig *rig, uint64_t link);
/* stream_message(), which must take it; then settled. */
void rig_message(struct rig *rig, uint64_t link, const char *text);
int rig_offer(struct rig *rig, uint64_t link, const char *text);
void rig_answer(struct rig *rig, uint64_t request, const char *body);
void rig_link_ends(struct rig *rig, uint64_t link, int code);
/* True if a line with this in it was asked for; all lines up to it are forgotten. */
bool rig_saw(struct rig *rig, const char *text);
/* The number behind `text` in the newest line that has it. */
uint64_t rig_number(struct rig *rig, const char *text);
void rig_forget_lines(struct rig *rig);
void rig_assert_saw(struct rig *rig, const char *text);
void rig_assert_silent(struct rig *rig, const char *text); /* no line has it */
void rig_assert_stored(struct rig *rig, const char *ids);

#endif

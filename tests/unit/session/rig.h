/* A session on virtual time: one call an event, the actions of the last step at hand. */
#ifndef HAWSER_TESTS_SESSION_RIG_H
#define HAWSER_TESTS_SESSION_RIG_H

#include "fake_profile.h"
#include "session/session.h"

struct rig {
    struct session session;
    struct session_actions out; /* of the last step */
    struct profile profile;     /* change it before rig_start() */
    int64_t now_ms, rx_ms;
    bool has_position, lived;
    bool doubts;   /* else an event that follows comes at once */
    bool withhold; /* slots are not granted by themselves: rig_do(rig, SESSION_EV_SLOT) */
    uint64_t seed;
    uint64_t link, request; /* the newest */
};

void rig_init(struct rig *rig);
void rig_start(struct rig *rig);
void rig_do(struct rig *rig, enum session_event_kind kind);
void rig_end(struct rig *rig, enum session_event_kind kind, const struct profile_end *end);
void rig_close(struct rig *rig, int code);
void rig_rule(struct rig *rig, enum profile_rule_kind kind, int64_t delay_ms);
void rig_page(struct rig *rig, struct session_page page);
/* TICK at the deadline; one that only brings SAVE is passed over. */
void rig_tick(struct rig *rig);
/* As executors do: TICK at each deadline up to then. The link answers pings while `answers`. */
void rig_run(struct rig *rig, int64_t until_ms, bool answers);
/* From DIALING to LIVE, a catch-up included. */
void rig_live(struct rig *rig);
/* Start, and straight to LIVE. */
void rig_start_live(struct rig *rig);

/* The last step's first action of a kind; NULL if there is none. */
const struct session_action *rig_did(const struct rig *rig, enum session_action_kind kind);
enum session_state rig_state(const struct rig *rig);

#endif

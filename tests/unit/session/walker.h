/*
 * walker: what an executor knows of a session, kept apart from what the session believes, and the
 * invariants that each of its actions has to keep.
 */
#ifndef HAWSER_TESTS_SESSION_WALKER_H
#define HAWSER_TESTS_SESSION_WALKER_H

#include "fake_profile.h"
#include "session/session.h"

#define WALKER_LINKS 3

struct walker_link {
    uint64_t number; /* 0: none */
    bool open, closing;
};

struct walker {
    struct session session;
    struct session_actions out;
    struct profile profile;
    struct rng rng;
    enum session_state state;
    int64_t now_ms, rx_ms;
    struct walker_link links[WALKER_LINKS];
    uint64_t link, successor, link_newest; /* of the links: who delivers, who is to */
    uint64_t request, fallback, request_newest;
    bool follows; /* the fallback has just answered, and may be asked again without a slot */
    enum { PASS, HOLD, DISCARD } gate;
    bool stalled;
    enum { NOT_ASKED, ASKED_LINK, ASKED_FALLBACK } slot;
    bool granted; /* in this step; used or given back at its end */
    bool begun;
    bool kind; /* the world is, this time */
    unsigned most;
    uint64_t did[SESSION_DO_STATE + 1];
};

struct walker_link *walker_link(struct walker *w, uint64_t number);
/* A new process: no link, no request. */
void walker_forget(struct walker *w);
/* Keeps the executor's side true: what an event says about a link or request of ours is so. */
void walker_book(struct walker *w, const struct session_event *event);
/* One step of the session, and what must hold during and after it. */
void walker_step(struct walker *w, const struct session_event *event);

#endif

/* private: what the files of flow share. Nobody else includes it. */
#ifndef HAWSER_FLOW_PRIVATE_H
#define HAWSER_FLOW_PRIVATE_H

#include "flow/audit.h"
#include "flow/contiguous.h"
#include "flow/epoch.h"
#include "flow/event.h"
#include "flow/hold.h"
#include "flow/owed.h"
#include "flow/position.h"
#include "flow/unkeyed.h"
#include "flow/window.h"

/* What becomes of the link's messages. */
enum flow_mode {
    FLOW_MODE_PASS,
    FLOW_MODE_HOLD,
    FLOW_MODE_RELEASE, /* what is held goes out, what comes waits behind it */
    FLOW_MODE_DISCARD,
};

/* Keys of the link's newest events that are remembered while it has a successor, to see that both
 * have come to the same one. */
#define FLOW_MEET_KEYS 64

/* What is held of one link. */
struct lane {
    struct hold hold;
    bool any;           /* held something since the hold began */
    bool overflowed;    /* what is held is not all that came */
    bool missing_first; /* a message is missing before the first that is held */
    size_t unkeyed;     /* so many of what is held are unkeyed */
    size_t tail;        /* of them, behind the last event with a key */
    size_t covered;     /* of them, the first ones: the link before has shown them */
    /* Where sync stands beside the lane: see flow_make_way(). */
    const struct flow_event *lead; /* the first that sync can come to, until it has */
    bool met;                      /* it has: what the lane begins with follows what is known */
};

struct flow {
    struct event_maker maker;
    flow_sink sink;
    void (*gap)(void *arg, const struct flow_gap *gap);
    void *sink_arg;
    enum flow_mode mode;
    bool heals;  /* sync can be asked at any time */
    bool closer; /* messages that pass are looked at more closely */
    bool doubt;  /* something may be missing before the next event of the link */
    struct window window;
    bool by_position; /* keys of positions are in it */
    struct flow_stats stats;
    struct position position;
    bool learnt; /* the position is of no event, and not on disk */

    struct lane lanes[2];
    unsigned link;   /* which lane is the link's */
    bool succession; /* the other one is its successor's */
    bool leftover;   /* the other one has what is left of the link before; it goes out first */
    /* What sync has to reach: the first held event with an id or a position that is not behind us.
     * It lies in a lane. */
    const struct flow_event *reference;
    const struct flow_event *left; /* the same of what is left of the link before; else NULL */
    bool reached;
    bool asked; /* release: sync was asked about what comes before the first that is held */
    bool way;   /* what was held first has gone out since sync was asked: flow_make_way() */
    bool hole;  /* release came to a hole */
    struct owed owed;

    /* Succession. */
    uint8_t met_key[16];
    bool joins;                        /* nothing is held of the successor yet */
    bool meets, met;                   /* met_key is awaited; it came */
    uint8_t shown[FLOW_MEET_KEYS][16]; /* the link's newest, since it has a successor */
    size_t n_shown;                    /* ever */
    uint8_t link_key[16];              /* of the link's last event with a key */
    size_t link_tail;                  /* unkeyed events of the link since */
    bool has_link_key;
    bool repeats; /* the successor has shown link_key, known by then */

    struct contiguous contiguous;
    struct unkeyed unkeyed;
    struct epoch epoch;
    struct audit audit;
    uint64_t audit_mark; /* stats.emitted then */

    struct flow_page_result page;
};

/* ---- flow.c ---- */
/* 0: the sink took it, or it is a duplicate. Else the sink's answer, and nothing has happened. */
int flow_offer(struct flow *flow, struct flow_event *event, enum flow_result *result);
bool flow_is_duplicate(const struct flow *flow, const struct flow_event *event);
enum flow_result flow_drop(struct flow *flow); /* counted as discarded */
/* A held event that sync has brought meanwhile: it counts as a duplicate, and moves nothing. */
void flow_drop_copy(struct flow *flow, const struct flow_event *event);
void flow_say_missing(struct flow *flow);
/* Says the hole before the event, if there is one. It is settled then. */
void flow_say_hole(struct flow *flow, const struct flow_event *event);

/* What becomes of messages that pass has changed: sets `closer`. */
void flow_look(struct flow *flow);

/* ---- held.c ---- */
void flow_drop_held(struct flow *flow);
enum flow_result flow_hold_link(struct flow *flow, const struct flow_event *event);
enum flow_result flow_hold_successor(struct flow *flow, const struct flow_event *event);
/* While releasing: behind what is held. */
enum flow_result flow_queue(struct flow *flow, const struct flow_event *event);
/* Sync brings this item next: what is held of the link and belongs before it goes out. 0, or the
 * sink's answer: the item is to wait. */
int flow_make_way(struct flow *flow, const struct flow_event *item);
/* Messages passed until this one: it is held, and what follows. False: it does not fit. */
bool flow_hold_from(struct flow *flow, const struct flow_event *event);
/* The same for one that is in doubt. False: it does not fit, and sync has no copy of it. */
bool flow_hold_doubted(struct flow *flow, const struct flow_event *event);

/* ---- copies.c: unkeyed events of the link, and sync's copies of them ---- */
enum copy { COPY_STORE, COPY_DROP, COPY_WAIT };
/* What becomes of the unkeyed event that the lane holds first. */
enum copy copies_judge(struct flow *flow, const struct lane *lane);
/* Unkeyed events wait, and sync has not brought copies of them all. */
bool copies_missing(const struct flow *flow);
/* The link has shown this event with a key; fresh: it was not known. */
void copies_shown(struct flow *flow, const struct flow_event *event, bool fresh);
/* One came that was too large to be taken. */
void copies_missed(struct flow *flow);
/* The successor becomes the link: which of its unkeyed events the link has shown too. */
void copies_switch(struct flow *flow, struct lane *successor);

#endif

/*
 * audit.h: up to where all is whole, where requests begin, and what an audit is not sure of yet.
 *
 * What sync brings comes in order from flow_resume() on, so each item that is known or taken makes
 * all up to it whole, until an audit meets one that is unknown and young: a suspect. Nothing behind
 * it counts until sync shows it again and it is known or taken then.
 *
 * Decides: the position to resume from, and the age of suspects. Leaves: what is known, to flow.c.
 * Owns: a few positions; with an audit FLOW_SUSPECTS_MAX suspects, allocated when made. Fails:
 * never.
 */
#ifndef HAWSER_FLOW_AUDIT_H
#define HAWSER_FLOW_AUDIT_H

#include "flow/flow.h"
#include "flow/position.h"

struct audit_suspect {
    uint8_t key[16];
    int64_t first_ms;
};

struct audit {
    bool on;       /* there are audits */
    bool follows;  /* sync's items are followed: audits, or overlap */
    bool dirty;    /* whole is not on disk */
    bool unstored; /* nothing is: the first event's position is to be */
    bool broken;   /* at first_suspect */
    uint8_t first_suspect[16];
    struct position whole;  /* all up to here; audits only */
    struct position cursor; /* of the newest item of the present request, while not broken */
    struct position last;   /* the same, broken or not */
    uint64_t overlap;
    struct audit_suspect *suspects;
    unsigned n_suspects;
    char text[LIMIT_POSITION];
};

int audit_init(struct audit *audit, const struct profile *profile); /* ERR_NOMEM */
void audit_fini(struct audit *audit);
void audit_reset(struct audit *audit, struct slice position); /* as on disk */
void audit_learn(struct audit *audit, struct slice position); /* whole up to here, not on disk */
void audit_begin(struct audit *audit);                        /* a request begins anew */
/* Whether taking this event would make all up to it whole. */
bool audit_advances(const struct audit *audit, const struct flow_event *event);
/* Audits: an event was taken, and whole goes up to it. */
void audit_advance(struct audit *audit, struct slice position);
/* An item, known or taken. */
void audit_item(struct audit *audit, const struct flow_event *event);
/* An item that is not known: true when it is a suspect still. */
bool audit_suspects(struct audit *audit, const uint8_t key[16], int64_t now_ms);
void audit_break(struct audit *audit, const uint8_t key[16]); /* it is one */
void audit_clear(struct audit *audit, const uint8_t key[16]); /* it is known or taken */
void audit_done(struct audit *audit);
/* With `position`, the newest that was taken. */
struct slice audit_resume(struct audit *audit, const struct position *position);

#endif

/* reload_private: what the files of reload share. Nobody else includes it. */
#ifndef HAWSER_DAEMON_RELOAD_PRIVATE_H
#define HAWSER_DAEMON_RELOAD_PRIVATE_H

#include "daemon/generation.h"
#include "daemon/reload.h"
#include "daemon/upstream.h"
#include "profile/difference.h"

enum reload_phase { RELOAD_IDLE, RELOAD_READING, RELOAD_OPENING, RELOAD_TURNING };

/* What becomes of one stream. */
enum turn_phase {
    TURN_STOPPING, /* the old one says goodbye */
    TURN_MAKING,   /* there is none, and one is to be made */
    TURN_UNMADE,   /* it could not be, and is tried again later */
    TURN_OPENING,  /* the store is asked */
    TURN_AGAIN,    /* it could not, and is asked again later */
    TURN_DONE
};

struct turn {
    struct reload *reload;
    enum turn_phase phase;
    bool added, begins;        /* added: it was not there; begins: a stream of the new generation */
    size_t index;              /* of that generation, unless it is removed */
    struct upstream *upstream; /* NULL: while there is none */
    unsigned store_id;
    struct persist_opening opening;
    /* Copies, for the store's writer may outlive the stream in a stop. */
    char source_key[STORE_STATE_KEY + 1], state_key[STORE_STATE_KEY + 1], limits_key[BROKER_KEY];
};

struct reload {
    struct daemon *daemon;
    enum reload_phase phase;
    struct list_node asked, waiting; /* clients: for the next; for this one */
    bool wanted;                     /* somebody asked for the next */
    struct io_timer *timer;
    bool sweeping; /* clients were told to go, and perhaps listeners with them */

    /* Of the one that is under way. */
    struct io_worker *worker;
    struct io_job job;
    struct difference_limits limits;
    struct generation *next;
    struct difference difference;
    int status; /* of reading */
    struct turn *turns;
    size_t n_turns, n_opening; /* the store has been asked, and has not answered */
    struct persist_bounds bounds;
    bool bounds_running;
    bool removed;             /* a stream, and the store has not been told */
    int64_t cut_ms, again_ms; /* who has not stopped by then is cut; INT64_MAX */
};

/* Tells the store what it may fill, and which streams there are. */
void reload_bounds(struct reload *reload);

/* reload_commit.c: 0, or < 0 with every reason in the diag of `next`, and nothing has changed. */
int reload_commit(struct reload *reload);

/* reload_turn.c */
/* The turns that the difference asks for, none of them begun. ERR_NOMEM. */
int reload_turns_new(struct reload *reload);
void reload_turns_free(struct reload *reload);
/* Asks the store for those that are added. True: it answers with reload_opened(). */
bool reload_turns_prepare(struct reload *reload);
/* After the commit. */
void reload_turns_begin(struct reload *reload);
/* True: all are done. */
bool reload_turns_run(struct reload *reload);
/* A stream that goes and has not let go yet may be changing the very credential that this one would
 * share, or has it from an older profile. */
bool reload_credential_is_busy(const struct turn *turn);
struct turn *reload_turn(struct reload *reload, size_t index);

/* reload.c: the store has answered all that reload_turns_prepare() has asked. */
void reload_prepared(struct reload *reload);
void reload_fault(struct reload *reload, const char *file, unsigned line, const char *text);

#endif

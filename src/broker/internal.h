/*
 * internal.h - what the files of this room share; nobody else includes it.
 *
 * The life of a slot:
 *
 *     IDLE -ask-> WAITING -run-> SAVING -saved, run-> GRANTED -opened-> OPEN -ended-> IDLE
 *
 * It takes its part of every limit when it leaves WAITING; SAVING is left at once where nothing has
 * to outlive the process.
 */
#ifndef HAWSER_BROKER_INTERNAL_H
#define HAWSER_BROKER_INTERNAL_H

#include "base/list.h"
#include "base/rng.h"
#include "broker/broker.h"
#include "broker/rate.h"
#include "broker/scope.h"

#define BROKER_LOOK_MS 10000 /* how far ahead a wait is told whose end depends on others */
#define BROKER_AGO_MS ((int64_t)1 << 50) /* longer ago is as long ago */
#define BROKER_TELL_MS 1000 /* waits, and changes of them, shorter than it are not told */

enum slot_state { SLOT_IDLE, SLOT_WAITING, SLOT_SAVING, SLOT_GRANTED, SLOT_OPEN };

/* What a slot waits for. */
enum wait_kind {
    WAIT_NONE,
    WAIT_START, /* the start of the daemon is spread */
    WAIT_DIAL_RATE,
    WAIT_PER_HOST,
    WAIT_LINKS,
    WAIT_CONNECTS,
    WAIT_SESSIONS
};
struct wait {
    enum wait_kind kind;
    int64_t at_ms; /* not before; INT64_MAX: depends on others */
};

struct slot {
    struct list_node node; /* in the broker's list for its state */
    struct list_node tell; /* in its list of those to be told */
    struct broker_client *client;
    enum slot_state state;
    bool fallback;
    unsigned closing; /* connections before it that have not ended */
    bool reserved;    /* SAVING to OPEN: of the scope's sessions */
    int64_t asked_ms;
    int64_t start_ms; /* not before: spread at the start */
    uint64_t ticket;  /* SAVING: of the save that has it; 0: not saved yet */
    struct wait wait; /* WAITING */
    int64_t look_ms;  /* until when a wait for others is told to last */
    int64_t told_ms;  /* as last told */
    char told[BROKER_TEXT];
};

struct host {
    struct list_node node;
    char *name;
    unsigned refs;
    unsigned dialing; /* handshakes under way, or about to be */
};

struct broker_client {
    struct list_node node;
    struct broker *broker;
    char *name;
    struct host *host;
    struct scope *scope; /* NULL: the service sets no limits */
    const struct profile *profile;
    void *arg;
    struct slot slots[3]; /* by enum broker_slot */
};

struct broker {
    struct list_node clients, hosts, scopes;
    unsigned n_clients;
    /* Slots by state, each in the order they came into it. */
    struct list_node waiting, saving, ready, tell;
    struct bucket dial_rate;
    unsigned dial_per_host;
    struct rng rng;
    const struct broker_ops *ops;
    void *arg;
    bool started; /* now_ms is known; until then it is 0 */
    int64_t now_ms;
    int64_t deadline_ms, said_ms; /* said: to ops.deadline */
    bool changed, running;
    uint64_t ticket, saved_ticket;
};

/* Time goes on. */
void broker_touch(struct broker *broker, int64_t now_ms);
/* Something may be granted now that could not be before: broker_run() is due. */
void broker_changed(struct broker *broker);
void broker_say_deadline(struct broker *broker, int64_t deadline_ms);
/* The slot's part of every limit. */
void broker_take(struct slot *slot);
/* The reason for status: which limit, how full, shared by whom. */
void broker_text(const struct slot *slot, char out[BROKER_TEXT]);

#endif

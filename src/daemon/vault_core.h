/*
 * vault_core: what is to be done about one credential, as a pure machine: no clock, no file, no
 * request of its own, so that each order of events and each crash can be played through.
 *
 * Words: a *refresh* asks the service for a new token. With *rotation* its answer also replaces the
 * refresh token: whoever has lost the answer has lost the account. So the intent to ask is on disk
 * before the request goes out, and the answer is on disk before anybody uses it.
 *
 *     IDLE --want--> MARKING --marked--> ASKING --answered--> STORING --stored--> IDLE (used)
 *                       ^                  | lost
 *                       +---- PAUSING <----+   once; the second time it fails
 *
 * Decides: one refresh at a time for all who want one; what a lost answer leads to; when to refresh
 * next; what must be on disk before what.
 * Leaves: how all of this is done to vault.
 * Fails: never; what went wrong comes as an event and goes out as FAIL.
 */
#ifndef HAWSER_DAEMON_VAULT_CORE_H
#define HAWSER_DAEMON_VAULT_CORE_H

#include <stdbool.h>
#include <stdint.h>

#define VAULT_ASKS_MAX 2           /* with one refresh token, while answers get lost */
#define VAULT_PAUSE_MS 1000        /* before the second */
#define VAULT_STORE_AGAIN_MS 10000 /* what could not be written is tried again */
#define VAULT_AGAIN_MS 30000       /* between refreshes ahead of expiry, after one that failed */
#define VAULT_SOON_MS 5000         /* the least time from one refresh to the next */

enum vault_state { VAULT_IDLE, VAULT_MARKING, VAULT_ASKING, VAULT_PAUSING, VAULT_STORING };

/* What the shell does, in this order where several are set. */
enum {
    VAULT_DO_CANCEL = 1 << 0,  /* the request that is under way */
    VAULT_DO_MARK = 1 << 1,    /* write: core.asks refreshes are without an answer; then MARKED */
    VAULT_DO_ASK = 1 << 2,     /* send the request; then ANSWERED, LOST or REFUSED */
    VAULT_DO_STORE = 1 << 3,   /* write the answer, with no asks open; then STORED */
    VAULT_DO_USE = 1 << 4,     /* the answer is what counts from now on */
    VAULT_DO_TELL = 1 << 5,    /* who wanted it: here it is */
    VAULT_DO_FAIL = 1 << 6,    /* who wanted it: there is none */
    VAULT_DO_GIVE_UP = 1 << 7, /* with FAIL: since answers were lost, and asking on is no use */
    VAULT_DO_UNSTORED = 1 << 8 /* say that the answer is in memory only */
};

struct vault_core {
    enum vault_state state;
    bool rotates;    /* there is something to be kept on disk */
    unsigned asks;   /* refreshes without an answer, as on disk */
    bool gave_up;    /* and that was said in this life: who asks again wants it all the same */
    bool unstored;   /* an answer is in use that could not be written */
    bool writing;    /* a write is under way: MARKED or STORED is owed */
    bool mark_next;  /* and the mark that is wanted comes after it */
    int64_t wake_ms; /* monotonic; INT64_MAX: never */
    int64_t refresh_at_ms; /* of what is in use; INT64_MAX: it does not expire */
};

/* asks: as the file says, 0 where there is none. */
void vault_core_init(struct vault_core *core, bool rotates, unsigned asks);
/* Each returns what to do. */
unsigned vault_core_want(struct vault_core *core, int64_t now_ms);
unsigned vault_core_marked(struct vault_core *core, bool written, int64_t now_ms);
unsigned vault_core_answered(struct vault_core *core, int64_t now_ms);
/* sent: the request may have reached the service. */
unsigned vault_core_lost(struct vault_core *core, bool sent, int64_t now_ms);
unsigned vault_core_refused(struct vault_core *core, int64_t now_ms); /* an answer, but no token */
unsigned vault_core_stored(struct vault_core *core, bool written, int64_t now_ms);
/* A source was given another value: what was rotated away from the old one counts no more, and a
 * refresh under way ends. Who waits for that is told by the shell, or wants another. */
unsigned vault_core_replaced(struct vault_core *core, int64_t now_ms);
/* A value that came otherwise than by a refresh is to be kept. */
unsigned vault_core_keep(struct vault_core *core, int64_t now_ms);
unsigned vault_core_tick(struct vault_core *core, int64_t now_ms);
/* What is in use came at obtained_ms and expires at expires_ms, INT64_MAX: never. */
void vault_core_lifetime(struct vault_core *core, int64_t obtained_ms, int64_t expires_ms,
                         double refresh_at, int64_t now_ms);
int64_t vault_core_deadline_ms(const struct vault_core *core);

#endif

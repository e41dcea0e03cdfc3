/*
 * scope: who shares the limits of a service, and what they have used of them. For this room.
 *
 * A connection counts against `connects` from the moment it is granted until a period after its
 * handshake is over: somewhere in between the service has counted it. Against `sessions` it counts
 * from the grant on as well, for nobody knows beforehand whether the service will resume.
 */
#ifndef HAWSER_BROKER_SCOPE_H
#define HAWSER_BROKER_SCOPE_H

#include "base/list.h"
#include "broker/broker.h"
#include "broker/rate.h"

#define SCOPE_DIALING_MS 60000 /* what was under way at a crash is over by then */

struct scope {
    struct list_node node;
    enum profile_scope kind;
    char *name;                          /* of the stream, the credential or the host */
    char key[BROKER_KEY];                /* that its counts are saved under */
    unsigned refs;                       /* clients */
    int64_t longest_ms, longest_send_ms; /* of the periods of connects and sessions; of sends */
    bool persists;                       /* there are such limits */
    struct rate_log connects, sessions, sends;
    unsigned dialing;  /* connects that are not in the log yet */
    unsigned reserved; /* sessions that may come of connections that were granted */
    unsigned open;     /* connections that were granted and have not ended */
    bool dirty;        /* to be saved */
    uint64_t ticket;   /* of the newest save */
};

int scope_new(enum profile_scope kind, const char *name, struct scope **out);
void scope_free(struct scope *scope);
void scope_add_limits(struct scope *scope, const struct profile *profile);
/* Nothing in it counts any longer. */
bool scope_is_idle(struct scope *scope, int64_t now_ms);
/* At most BROKER_SAVED_MAX bytes. */
size_t scope_encode(struct scope *scope, int64_t now_ms, uint8_t *out);
/* False: damaged, or of a version that is not known; then nothing has changed. */
bool scope_restore(struct scope *scope, struct slice value, int64_t ago_ms, int64_t now_ms);

#endif

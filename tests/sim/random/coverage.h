/*
 * coverage: how often each thing that the model can do has happened, over all runs of a process.
 *
 * A simulation that no longer meets what it was made for proves nothing, and nobody would notice;
 * so a run of the default size must have met each line of this table, each state of a session, and
 * each transition that coverage.c expects.
 */
#ifndef HAWSER_TESTS_SIM_COVERAGE_H
#define HAWSER_TESTS_SIM_COVERAGE_H

#include <stdbool.h>

#include "session/session.h"

#define COVERAGE(X)                                                                                \
    X(DUPLICATE_ON_LINK, "event shown twice by a link")                                            \
    X(OLD_ON_LINK, "old event shown again by a link")                                              \
    X(LATE, "event stored out of order, as it was sent")                                           \
    X(BROKEN, "broken JSON on a link")                                                             \
    X(BROKEN_WHOLE, "broken event stored whole by sync")                                           \
    X(OVERSIZE, "message over the limit of a link")                                                \
    X(OVERSIZE_HELD, "the same, while events are held")                                            \
    X(OVERSIZE_WHOLE, "event too large for the link stored by sync")                               \
    X(HUGE, "event larger than the ring")                                                          \
    X(UNNAMED, "event without id stored")                                                          \
    X(HIDDEN, "event stored that sync never shows")                                                \
    X(EPHEMERAL, "ephemeral event seen by a consumer")                                             \
    X(WRONG_TENANT, "greeting of another tenant")                                                  \
    X(NO_HELLO, "link without a greeting")                                                         \
    X(LINK_AGAIN, "message that found no room")                                                    \
    X(SILENT, "link gone silent")                                                                  \
    X(LATE_ACK, "word of a link that is gone")                                                     \
    X(LATE_ANSWER, "answer to a request that was cancelled")                                       \
    X(HOLD_FULL, "full hold")                                                                      \
    X(PAGE_REPEATS, "page that repeats what was sent")                                             \
    X(PAGE_OLD, "page of nothing but old items")                                                   \
    X(PAGE_EMPTY_MORE, "empty page that promises more")                                            \
    X(PAGE_STALE, "page as of earlier")                                                            \
    X(SYNC_500, "sync: status 5xx")                                                                \
    X(SYNC_429, "sync: status 429")                                                                \
    X(SYNC_401, "sync: status 401")                                                                \
    X(SYNC_410, "sync: status 410, position too old")                                              \
    X(SYNC_GARBAGE, "sync: no JSON")                                                               \
    X(SYNC_TIMEOUT, "sync: timeout")                                                               \
    X(DIAL_FAILS, "dial that fails")                                                               \
    X(DIAL_STATUS, "handshake answered by a status")                                               \
    X(GAP_UPSTREAM, "gap upstream")                                                                \
    X(GAP_NO_RESUME, "gap no_resume")                                                              \
    X(GAP_NO_POSITION, "gap no_position")                                                          \
    X(GAP_EPOCH, "gap epoch")                                                                      \
    X(GAP_OVERSIZE, "gap oversize")                                                                \
    X(GAP_MALFORMED, "gap malformed")                                                              \
    X(START_NOW, "stream that starts now")                                                         \
    X(PAUSE, "paused by the operator")                                                             \
    X(RESUME, "resumed")                                                                           \
    X(RECONNECT, "reconnect by the operator")                                                      \
    X(CREDENTIAL, "changed credential")                                                            \
    X(REFRESH, "refresh asked for")                                                                \
    X(STOOD_STILL, "hawser stood still")                                                           \
    X(CRASH, "crash")                                                                              \
    X(CRASH_IN_FLIGHT, "crash with a commit in flight")                                            \
    X(CRASH_ON_DISK, "the same, and it was on disk")                                               \
    X(CRASH_STOPPING, "crash during a stop")                                                       \
    X(CLEAN_STOP, "clean stop")                                                                    \
    X(COMMIT_FAILED, "commit that failed")                                                         \
    X(FAILED_ON_DISK, "commit that failed, and was on disk")                                       \
    X(DISK_FULL, "commit without space")                                                           \
    X(STALL, "commit that took too long")                                                          \
    X(REOPEN_FAILED, "store that could not be opened again at once")                               \
    X(RESERVED, "block of seqs reserved")                                                          \
    X(SEEN_NOT_STORED, "seq delivered that never reached the disk")                                \
    X(RETAINED, "record taken by retention")                                                       \
    X(MADE_ROOM, "room made by retention for a commit")                                            \
    X(CONSUMER_COLD, "cold read")                                                                  \
    X(CONSUMER_TOLD, "consumer told of a loss")                                                    \
    X(CONSUMER_CUT, "consumer crashed in the middle of a line")                                    \
    X(CONSUMER_RESUMED, "consumer resumed by its last seq")                                        \
    X(CONSUMER_NOW, "consumer from now")                                                           \
    X(CONSUMER_OLDEST, "consumer from the oldest")                                                 \
    X(CONSUMER_SEQ, "consumer from a seq")                                                         \
    X(CONSUMER_TYPES, "consumer with a type filter")                                               \
    X(CONSUMER_STREAMS, "consumer of some streams")                                                \
    X(NAMED_BEGUN, "named consumer that began, or sought, on disk")                                \
    X(NAMED_ACKED, "acknowledgement answered")                                                     \
    X(NAMED_LOST, "cursor that a failed commit lost")                                              \
    X(NAMED_SEEK, "named consumer that seeks")                                                     \
    X(NAMED_TAKEOVER, "named consumer taken over")                                                 \
    X(NAMED_TOLD, "named consumer told of a loss")                                                 \
    X(NAMED_SETTLED, "a loss acknowledged by what came behind its notice")                         \
    X(NAMED_FULL, "full window")                                                                   \
    X(NOTICE, "notice")                                                                            \
    X(GHOST, "event stored that no link showed")                                                   \
    X(UNKEYED_SYNC, "event without id and position stored as sync has it")                         \
    X(UNKEYED_KEPT, "event without id and position stored as the link had it")                     \
    X(UNKEYED_PLACED, "event without id and position stored before what sync brought next")        \
    X(MOVE, "service asks to move")                                                                \
    X(TWO_LINKS, "two links at once")                                                              \
    X(EXPIRING, "token about to expire")                                                           \
    X(FALLBACK_OPEN, "fallback by SSE opened")                                                     \
    X(FALLBACK_EVENT, "event delivered by SSE")                                                    \
    X(FALLBACK_AGAIN, "event of SSE that found no room")                                           \
    X(FALLBACK_FAILS, "fallback refused")                                                          \
    X(LONG_POLL, "long-poll that waited")                                                          \
    X(NETWORK, "network changed, or the machine slept")                                            \
    X(CLOCK_JUMP, "wall clock jumped")                                                             \
    X(LIMITED, "dial that had to wait for a limit")                                                \
    X(SAVED_LOST, "state that a failed commit lost")                                               \
    X(TAKEN_UP, "wait taken up again after a crash")                                               \
    X(SAID, "something said in the log")

enum coverage {
#define X(id, text) COVER_##id,
    COVERAGE(X)
#undef X
        COVER_COUNT
};

void cover(enum coverage what);
void cover_transition(enum session_state from, enum session_state to);
/* One line; or the table. */
void coverage_print(bool in_detail);
/* Whether everything has happened; names what has not. */
bool coverage_complete(void);

#endif

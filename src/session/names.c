/* names: the enums as text, from the lists that define them. */
#include <assert.h>

#include "session/session.h"

const char *session_state_name(enum session_state state)
{
    static const char *const names[] = {
#define X(id, text) [SESSION_##id] = text,
        SESSION_STATES(X)
#undef X
    };
    assert((unsigned)state < sizeof(names) / sizeof(names[0]));
    return names[state];
}

const char *session_gap_name(enum session_gap gap)
{
    static const char *const names[] = {
#define X(id, text) [SESSION_GAP_##id] = text,
        SESSION_GAPS(X)
#undef X
    };
    assert((unsigned)gap < sizeof(names) / sizeof(names[0]));
    return names[gap];
}

const char *session_event_name(enum session_event_kind kind)
{
    static const char *const names[] = {
#define X(id) [SESSION_EV_##id] = #id,
        SESSION_EVENTS(X)
#undef X
    };
    assert((unsigned)kind < sizeof(names) / sizeof(names[0]));
    return names[kind];
}

const char *session_action_name(enum session_action_kind kind)
{
    static const char *const names[] = {
#define X(id) [SESSION_DO_##id] = #id,
        SESSION_ACTIONS(X)
#undef X
    };
    assert((unsigned)kind < sizeof(names) / sizeof(names[0]));
    return names[kind];
}

const char *session_purpose_name(enum session_purpose purpose)
{
    static const char *const names[] = {
#define X(id, text) [SESSION_FOR_##id] = text,
        SESSION_PURPOSES(X)
#undef X
    };
    assert((unsigned)purpose < sizeof(names) / sizeof(names[0]));
    return names[purpose];
}

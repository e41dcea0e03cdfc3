/* trace: an action as one line, for golden traces and debug logs. */
#include <stdarg.h>
#include <stdio.h>

#include "session/session.h"

static size_t put(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static size_t put(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out, size, format, args);
    va_end(args);
    if (n < 0 || size == 0)
        return 0;
    return (size_t)n < size ? (size_t)n : size - 1;
}

static size_t put_state(const struct session_action *action, char *out, size_t size)
{
    const char *from = session_state_name(action->from), *to = session_state_name(action->to);
    const char *why = action->text[0] != '\0' ? action->text : "-";
    if (action->retry_ms < 0)
        return put(out, size, "%s > %s (%s)", from, to, why);
    return put(out, size, "%s > %s (%s), next in %lld ms", from, to, why,
               (long long)action->retry_ms);
}

size_t session_trace_action(const struct session_action *action, char *out, size_t size)
{
    const char *name = session_action_name(action->kind);
    unsigned long long link = action->link, request = action->request;

    switch (action->kind) {
    case SESSION_DO_DIAL:
        return put(out, size, "%s link=%llu%s", name, link, action->moved ? " moved" : "");
    case SESSION_DO_LINK_ABORT:
    case SESSION_DO_LINK_PING:
    case SESSION_DO_HEARTBEAT:
    case SESSION_DO_SUCCEED:
    case SESSION_DO_SWITCH:
        return put(out, size, "%s link=%llu", name, link);
    case SESSION_DO_LINK_CLOSE:
        return put(out, size, "%s link=%llu code=%d", name, link, action->code);
    case SESSION_DO_HTTP_START:
        return put(out, size, "%s request=%llu%s%s%s", name, request,
                   action->purpose != SESSION_FOR_CATCHUP ? " " : "",
                   action->purpose != SESSION_FOR_CATCHUP ? session_purpose_name(action->purpose)
                                                          : "",
                   action->use_next ? " next" : "");
    case SESSION_DO_SAY:
        return put(out, size, "%s (%s)", name, action->text);
    case SESSION_DO_HTTP_CANCEL:
    case SESSION_DO_FALLBACK_START:
        return put(out, size, "%s request=%llu", name, request);
    case SESSION_DO_GAP:
        return put(out, size, "%s %s (%s)", name, session_gap_name(action->gap), action->text);
    case SESSION_DO_ASK_SLOT:
        return put(out, size, "%s%s", name, action->fallback ? " fallback" : "");
    case SESSION_DO_DROP_SLOT:
    case SESSION_DO_DOUBT:
    case SESSION_DO_TRUST:
    case SESSION_DO_UNKEYED_KEEP:
    case SESSION_DO_AUDITED:
    case SESSION_DO_FRESH:
    case SESSION_DO_SAVE:
    case SESSION_DO_HOLD:
    case SESSION_DO_RELEASE:
    case SESSION_DO_DISCARD:
    case SESSION_DO_FORGET:
    case SESSION_DO_REFRESH:
        return put(out, size, "%s", name);
    case SESSION_DO_STATE:
        return put_state(action, out, size);
    }
    return 0;
}

#include <stdio.h>

#include "profile/profile.h"

const char *profile_policy_name(enum profile_policy_kind kind)
{
    switch (kind) {
#define X(id, text)                                                                                \
    case PROFILE_POLICY_##id:                                                                      \
        return text;
        PROFILE_POLICY_ACTIONS(X)
#undef X
    }
    return "?";
}

const char *profile_failure_name(enum profile_failure failure)
{
    switch (failure) {
#define X(id, text)                                                                                \
    case PROFILE_FAILURE_##id:                                                                     \
        return text;
        PROFILE_FAILURES(X)
#undef X
    }
    return "?";
}

const char *profile_phase_name(enum profile_phase phase)
{
    switch (phase) {
#define X(id, text)                                                                                \
    case PROFILE_PHASE_##id:                                                                       \
        return text;
        PROFILE_PHASES(X)
#undef X
    }
    return "?";
}

size_t profile_end_describe(const struct profile_end *end, char *out, size_t size)
{
    int n = 0;

    switch (end->kind) {
    case PROFILE_END_CLOSE:
        n = snprintf(out, size, "close %d", end->code);
        break;
    case PROFILE_END_STATUS:
        n = snprintf(out, size, "status %d", end->code);
        break;
    case PROFILE_END_FAILURE:
        if (end->failure == PROFILE_FAILURE_TIMEOUT)
            n = snprintf(out, size, "timeout in %s", profile_phase_name(end->phase));
        else
            n = snprintf(out, size, "%s", profile_failure_name(end->failure));
        break;
    }
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

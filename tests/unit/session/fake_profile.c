#include "fake_profile.h"

#include <stdio.h>
#include <string.h>

#define MINUTE_MS 60000

void fake_profile(struct profile *profile)
{
    static const int64_t steps[] = {0, 1000, 2000, 4000, 8000, 16000, 30000};
    *profile = (struct profile){
        .name = "fake",
        .connect = {.close_code = 1001},
        .live = {.by_rule = true, .timeout_ms = 10000},
        .heartbeat = {.ws_ping_ms = 15000,
                      .pong_timeout_ms = 10000,
                      .idle_ms = 45000,
                      .send = PROFILE_NONE},
        .backoff = {.n_steps = 7, .jitter = 0.2, .reset_after_ms = 60000},
        .catchup = {.via = PROFILE_CATCHUP_HTTP, .settle_ms = 5000, .timeout_ms = 10000},
        .park_probe_ms = 60 * MINUTE_MS,
    };
    memcpy(profile->backoff.steps_ms, steps, sizeof(steps));
}

const struct profile_policy_action *
profile_policy(const struct profile *profile, const struct profile_end *end, const char **explain)
{
    static const struct {
        enum profile_end_kind kind;
        int code;
        struct profile_policy_action action;
        const char *explain;
    } rows[] = {
        {PROFILE_END_CLOSE, 1001, {PROFILE_POLICY_RETRY, 5000}, NULL},
        {PROFILE_END_CLOSE, 1008, {PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, NULL},
        {PROFILE_END_CLOSE, 4001, {PROFILE_POLICY_REFRESH, 0}, "token expired. Fix: renew it"},
        {PROFILE_END_CLOSE, 4004, {PROFILE_POLICY_PARK, 0}, NULL},
        {PROFILE_END_CLOSE, 4009, {PROFILE_POLICY_FORGET, 0}, NULL},
        {PROFILE_END_CLOSE, 4010, {PROFILE_POLICY_FRESH, 0}, NULL},
        {PROFILE_END_STATUS, 401, {PROFILE_POLICY_REFRESH, 0}, NULL},
        {PROFILE_END_STATUS, 426, {PROFILE_POLICY_FALLBACK, 0}, NULL},
        {PROFILE_END_STATUS, 403, {PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, NULL},
        {PROFILE_END_STATUS, 410, {PROFILE_POLICY_FORGET, 0}, NULL},
        {PROFILE_END_STATUS, 429, {PROFILE_POLICY_RETRY_AFTER, 0}, NULL},
        {PROFILE_END_FAILURE, PROFILE_FAILURE_TLS, {PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, NULL},
        {PROFILE_END_FAILURE, PROFILE_FAILURE_CREDENTIAL, {PROFILE_POLICY_PARK, 0}, NULL},
    };
    static const struct profile_policy_action other = {PROFILE_POLICY_RETRY, 0};
    int code = end->kind == PROFILE_END_FAILURE ? (int)end->failure : end->code;
    (void)profile;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].kind != end->kind || rows[i].code != code)
            continue;
        if (explain != NULL)
            *explain = rows[i].explain;
        return &rows[i].action;
    }
    if (explain != NULL)
        *explain = NULL;
    return &other;
}

size_t profile_end_describe(const struct profile_end *end, char *out, size_t size)
{
    static const char *const kinds[] = {"close", "status", "failure"};
    int code = end->kind == PROFILE_END_FAILURE ? (int)end->failure : end->code;
    return (size_t)snprintf(out, size, "%s %d", kinds[end->kind], code);
}

struct profile_end fake_close(int code, const char *text)
{
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = code, .retry_after_ms = -1};
    snprintf(end.text, sizeof(end.text), "%s", text);
    return end;
}

struct profile_end fake_status(int status, int64_t retry_after_ms)
{
    return (struct profile_end){
        .kind = PROFILE_END_STATUS, .code = status, .retry_after_ms = retry_after_ms};
}

struct profile_end fake_failure(enum profile_failure failure)
{
    return (struct profile_end){
        .kind = PROFILE_END_FAILURE, .failure = failure, .retry_after_ms = -1};
}

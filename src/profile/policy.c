#include "profile/policy.h"

#define MINUTE_MS (60 * 1000LL)
#define HOUR_MS (60 * MINUTE_MS)

#define CLOSE(first, last, ...)                                                                    \
    {                                                                                              \
        .kind = PROFILE_END_CLOSE, .rank = (first) == (last) ? ROW_CODE : ROW_RANGE,               \
        .from = (first), .to = (last), .action = {                                                 \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define STATUS(first, last, ...)                                                                   \
    {                                                                                              \
        .kind = PROFILE_END_STATUS, .rank = (first) == (last) ? ROW_CODE : ROW_RANGE,              \
        .from = (first), .to = (last), .action = {                                                 \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define FAILURE(id, ...)                                                                           \
    {                                                                                              \
        .kind = PROFILE_END_FAILURE, .rank = ROW_CODE, .from = PROFILE_FAILURE_##id,               \
        .to = PROFILE_FAILURE_##id, .action = {                                                    \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define DEFAULT(end_kind, ...)                                                                     \
    {                                                                                              \
        .kind = (end_kind), .rank = ROW_DEFAULT, .action = { __VA_ARGS__ }                         \
    }

/*
 * What holds where a profile says nothing. A refusal that time alone may mend (a certificate to
 * be renewed, an address to be corrected by the service) rests; what another try may mend is
 * tried again; what needs a person parks; where WebSocket does not get through, another transport
 * may (without one, `fallback` is a rest).
 */
static const struct row defaults[] = {
    CLOSE(1000, 1001, PROFILE_POLICY_RETRY, 5000),
    CLOSE(1008, 1008, PROFILE_POLICY_HOLD, 5 * MINUTE_MS),
    DEFAULT(PROFILE_END_CLOSE, PROFILE_POLICY_RETRY, 0),

    STATUS(401, 401, PROFILE_POLICY_REFRESH, 0),
    STATUS(408, 408, PROFILE_POLICY_RETRY_AFTER, 0),
    STATUS(429, 429, PROFILE_POLICY_RETRY_AFTER, 0),
    STATUS(426, 426, PROFILE_POLICY_FALLBACK, 0),
    STATUS(501, 501, PROFILE_POLICY_FALLBACK, 0),
    STATUS(500, 599, PROFILE_POLICY_RETRY_AFTER, 0),
    DEFAULT(PROFILE_END_STATUS, PROFILE_POLICY_HOLD, 5 * MINUTE_MS),

    FAILURE(TLS, PROFILE_POLICY_HOLD, 5 * MINUTE_MS),
    FAILURE(STRIPPED, PROFILE_POLICY_FALLBACK, 0),
    FAILURE(HANDSHAKE, PROFILE_POLICY_HOLD, 5 * MINUTE_MS),
    FAILURE(CREDENTIAL, PROFILE_POLICY_PARK, 0),
    FAILURE(PROXY, PROFILE_POLICY_RETRY_AFTER, 0),
    FAILURE(CONFIG, PROFILE_POLICY_PARK, 0),
    DEFAULT(PROFILE_END_FAILURE, PROFILE_POLICY_RETRY, 0),
};

static const struct profile_flap default_flaps[] = {
    {{PROFILE_POLICY_PARK, 0}, 1002, 1002, PROFILE_END_CLOSE, 3, 10 * MINUTE_MS},
    {{PROFILE_POLICY_PARK, 0}, 1003, 1003, PROFILE_END_CLOSE, 3, 10 * MINUTE_MS},
    {{PROFILE_POLICY_PARK, 0}, 1007, 1007, PROFILE_END_CLOSE, 3, 10 * MINUTE_MS},
    {{PROFILE_POLICY_PARK, 0}, 1010, 1010, PROFILE_END_CLOSE, 3, 10 * MINUTE_MS},
    {{PROFILE_POLICY_PARK, 0}, 1008, 1008, PROFILE_END_CLOSE, 3, HOUR_MS},
    {{PROFILE_POLICY_HOLD, 5 * MINUTE_MS}, 3000, 4999, PROFILE_END_CLOSE, 5, 5 * MINUTE_MS},
    {{PROFILE_POLICY_PARK, 0}, 403, 403, PROFILE_END_STATUS, 3, HOUR_MS},
    {{PROFILE_POLICY_PARK, 0}, 407, 407, PROFILE_END_STATUS, 3, HOUR_MS},
};

#define N_DEFAULTS (sizeof(defaults) / sizeof(defaults[0]))
#define N_DEFAULT_FLAPS (sizeof(default_flaps) / sizeof(default_flaps[0]))

static bool row_is_meant(const struct row *row, const struct profile_end *end)
{
    int code = end->kind == PROFILE_END_FAILURE ? (int)end->failure : end->code;

    if (row->kind != end->kind)
        return false;
    switch (row->rank) {
    case ROW_DEFAULT:
        return true;
    case ROW_RANGE:
    case ROW_CODE:
        return row->from <= code && code <= row->to;
    case ROW_LOCAL:
        return code == row->from &&
               (end->kind == PROFILE_END_FAILURE ? end->phase == row->phase : end->local);
    case ROW_TEXT:
        return code == row->from && memmem(end->text, strnlen(end->text, sizeof(end->text)),
                                           row->text.ptr, row->text.len) != NULL;
    }
    return false;
}

const struct row *policy_best(const struct row *rows, size_t n, const struct profile_end *end)
{
    const struct row *best = NULL;

    for (size_t i = 0; i < n; i++)
        if ((best == NULL || rows[i].rank > best->rank) && row_is_meant(&rows[i], end))
            best = &rows[i];
    return best;
}

const struct profile_policy_action *
profile_policy(const struct profile *profile, const struct profile_end *end, const char **explain)
{
    const struct profile_private *priv = profile->priv;
    const struct row *row;

    if (explain != NULL) {
        row = policy_best(priv->explain.at, priv->explain.n, end);
        *explain = row != NULL ? row->explain : explain_builtin(end);
    }
    row = policy_best(priv->policy.at, priv->policy.n, end);
    if (row == NULL)
        row = policy_best(defaults, N_DEFAULTS, end);
    return &row->action;
}

enum {
    WORDS_SHOWN = 200, /* bytes from the start that a text shows in any case */
    WORDS_LEAD = 40,   /* bytes that are shown before the words */
};

struct slice profile_status_words(const struct profile *profile, int status, struct slice body)
{
    const struct profile_private *priv = profile->priv;

    for (size_t i = 0; i < priv->policy.n; i++) {
        const struct row *row = &priv->policy.at[i];
        const char *at;
        size_t skip;

        if (row->rank != ROW_TEXT || row->kind != PROFILE_END_STATUS || row->from != status)
            continue;
        at = body.len != 0 ? memmem(body.ptr, body.len, row->text.ptr, row->text.len) : NULL;
        if (at == NULL)
            continue;
        skip = (size_t)(at - body.ptr);
        if (skip + row->text.len <= WORDS_SHOWN)
            return body;
        skip = skip > WORDS_LEAD ? skip - WORDS_LEAD : 0;
        while (((unsigned char)body.ptr[skip] & 0xC0) == 0x80)
            skip++; /* not within a character: the words begin with one */
        return slice_from(body, skip);
    }
    return body;
}

int policy_rows_add(struct rows *rows, struct arena *arena, const struct row *row)
{
    if (rows->n == rows->cap) {
        size_t cap = rows->cap != 0 ? rows->cap * 2 : 8;
        struct row *at = arena_alloc(arena, cap * sizeof(*at));

        if (at == NULL)
            return ERR_NOMEM;
        if (rows->n != 0)
            memcpy(at, rows->at, rows->n * sizeof(*at));
        rows->at = at;
        rows->cap = cap;
    }
    rows->at[rows->n++] = *row;
    return 0;
}

static bool covered(const struct profile *profile, const struct profile_flap *flap)
{
    for (unsigned i = 0; i < profile->n_flaps; i++) {
        const struct profile_flap *own = &profile->flaps[i];

        if (own->kind == flap->kind && own->code_from <= flap->code_from &&
            own->code_to >= flap->code_to)
            return true;
    }
    return false;
}

int policy_add_default_flaps(struct profile *profile)
{
    for (size_t i = 0; i < N_DEFAULT_FLAPS; i++) {
        if (covered(profile, &default_flaps[i]))
            continue;
        if (profile->n_flaps == PROFILE_FLAPS_MAX)
            return ERR_LIMIT;
        profile->flaps[profile->n_flaps++] = default_flaps[i];
    }
    return 0;
}

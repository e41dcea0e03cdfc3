#include "base/suggest.h"
#include "base/timefmt.h"
#include "profile/policy.h"

static const char *const action_names[] = {
#define X(id, text) text,
    PROFILE_POLICY_ACTIONS(X)
#undef X
};
static const char *const failure_names[] = {
#define X(id, text) text,
    PROFILE_FAILURES(X)
#undef X
};
static const char *const phase_names[] = {
#define X(id, text) text,
    PROFILE_PHASES(X)
#undef X
};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static int find(struct slice word, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slice_eq_str(word, names[i]))
            return (int)i;
    return -1;
}

int policy_failure_find(struct slice word)
{
    return find(word, failure_names, COUNT(failure_names));
}

int policy_phase_find(struct slice word)
{
    return find(word, phase_names, COUNT(phase_names));
}

int policy_unknown(struct error *err, const char *what, struct slice word,
                   const char *const *candidates, size_t n)
{
    const char *near = suggest(word, candidates, n);

    if (near == NULL)
        return error_set(err, ERR_PARSE, "unknown %s `" SLICE_FMT "`", what, SLICE_ARG(word));
    return error_set(err, ERR_PARSE, "unknown %s `" SLICE_FMT "`; did you mean `%s`?", what,
                     SLICE_ARG(word), near);
}

/* The first word; *rest is what follows it. */
static struct slice first_word(struct slice text, struct slice *rest)
{
    size_t n = 0;

    text = slice_trim(text);
    while (n < text.len && text.ptr[n] != ' ' && text.ptr[n] != '\t')
        n++;
    *rest = slice_trim(slice_from(text, n));
    return slice_make(text.ptr, n);
}

int policy_parse_action(struct slice text, struct profile_policy_action *out, struct error *err)
{
    struct slice argument, word = first_word(text, &argument);
    int kind = find(word, action_names, COUNT(action_names));
    bool takes_delay = kind == PROFILE_POLICY_RETRY || kind == PROFILE_POLICY_HOLD;

    if (word.len == 0)
        return error_set(err, ERR_PARSE, "no action; write one, such as `retry` or `hold 5m`");
    if (kind < 0)
        return policy_unknown(err, "action", word, action_names, COUNT(action_names));
    *out = (struct profile_policy_action){.kind = (enum profile_policy_kind)kind};
    if (argument.len == 0 && kind != PROFILE_POLICY_HOLD)
        return 0;
    if (!takes_delay)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` takes nothing behind it",
                         SLICE_ARG(word));
    if (duration_parse(argument, &out->delay_ms) != 0)
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT "` takes a duration such as 30s or 5m, not `" SLICE_FMT "`",
                         SLICE_ARG(word), SLICE_ARG(argument));
    return 0;
}

/* ---- what a row is for ---- */

static int parse_code(enum profile_end_kind kind, struct slice text, int *out, struct error *err)
{
    int least = kind == PROFILE_END_CLOSE ? POLICY_CLOSE_MIN : POLICY_STATUS_MIN;
    int most = kind == PROFILE_END_CLOSE ? POLICY_CLOSE_MAX : POLICY_STATUS_MAX;
    uint64_t code;

    if (slice_parse_u64(text, &code) != 0)
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT
                         "` is no %s; write CODE, FROM-TO, CODE/substring%s or default",
                         SLICE_ARG(text), kind == PROFILE_END_CLOSE ? "close code" : "HTTP status",
                         kind == PROFILE_END_CLOSE ? ", none, local/CODE" : "");
    if (code < (uint64_t)least || code > (uint64_t)most)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` is not from %d to %d", SLICE_ARG(text),
                         least, most);
    *out = (int)code;
    return 0;
}

static int parse_range(enum profile_end_kind kind, struct slice text, int *from, int *to,
                       struct error *err)
{
    const char *dash = slice_find_byte(text, '-');
    size_t n = dash != NULL ? (size_t)(dash - text.ptr) : text.len;
    int rc = parse_code(kind, slice_trim(slice_make(text.ptr, n)), from, err);

    *to = *from;
    if (rc == 0 && dash != NULL)
        rc = parse_code(kind, slice_trim(slice_from(text, n + 1)), to, err);
    if (rc == 0 && *from > *to)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` ends before it begins", SLICE_ARG(text));
    return rc;
}

static int parse_failure_key(struct slice key, struct row *out, struct error *err)
{
    const char *slash = slice_find_byte(key, '/');
    struct slice word = slice_make(key.ptr, slash != NULL ? (size_t)(slash - key.ptr) : key.len);
    int failure = policy_failure_find(word), phase;

    if (failure < 0) {
        const char *candidates[COUNT(failure_names) + 1];

        memcpy(candidates, failure_names, sizeof(failure_names));
        candidates[COUNT(failure_names)] = "default";
        return policy_unknown(err, "failure", word, candidates, COUNT(candidates));
    }
    out->from = out->to = failure;
    out->rank = ROW_CODE;
    if (slash == NULL)
        return 0;
    if (failure != PROFILE_FAILURE_TIMEOUT)
        return error_set(err, ERR_PARSE, "only `timeout` has a phase behind a \"/\"");
    word = slice_from(key, word.len + 1);
    phase = policy_phase_find(word);
    if (phase < 0)
        return policy_unknown(err, "phase", word, phase_names, COUNT(phase_names));
    out->phase = (enum profile_phase)phase;
    out->rank = ROW_LOCAL;
    return 0;
}

static int parse_code_key(enum profile_end_kind kind, struct slice key, struct row *out,
                          struct error *err)
{
    const char *slash = slice_find_byte(key, '/');
    struct slice head = slice_make(key.ptr, slash != NULL ? (size_t)(slash - key.ptr) : key.len);
    struct slice tail = slice_from(key, head.len + 1);
    int rc;

    if (slash == NULL) {
        rc = parse_range(kind, key, &out->from, &out->to, err);
        out->rank = out->from == out->to ? ROW_CODE : ROW_RANGE;
        return rc;
    }
    if (kind == PROFILE_END_CLOSE && slice_eq_str(head, "local")) {
        out->rank = ROW_LOCAL;
        rc = parse_code(kind, tail, &out->from, err);
    } else {
        out->rank = ROW_TEXT;
        out->text = tail;
        rc = parse_code(kind, head, &out->from, err);
        if (rc == 0 && tail.len == 0)
            rc = error_set(err, ERR_PARSE, "nothing stands behind the \"/\" of `" SLICE_FMT "`",
                           SLICE_ARG(key));
    }
    out->to = out->from;
    return rc;
}

int policy_parse_key(enum profile_end_kind kind, struct slice key, struct row *out,
                     struct error *err)
{
    *out = (struct row){.kind = kind};
    if (slice_eq_str(key, "default"))
        return 0;
    if (kind == PROFILE_END_FAILURE)
        return parse_failure_key(key, out, err);
    if (kind == PROFILE_END_CLOSE && slice_eq_str(key, "none")) {
        out->from = out->to = 1006;
        out->rank = ROW_CODE;
        return 0;
    }
    return parse_code_key(kind, key, out, err);
}

int policy_parse_explain_key(struct slice key, struct row *out, struct error *err)
{
    size_t digits = 0;

    while (digits < key.len && key.ptr[digits] >= '0' && key.ptr[digits] <= '9')
        digits++;
    if (slice_eq_str(key, "default"))
        return error_set(err, ERR_PARSE, "`default` explains nothing; name a code or a failure");
    if (digits != 0)
        return policy_parse_key(digits > 3 ? PROFILE_END_CLOSE : PROFILE_END_STATUS, key, out, err);
    if (slice_eq_str(key, "none") || slice_starts_with(key, SLICE("local/")))
        return policy_parse_key(PROFILE_END_CLOSE, key, out, err);
    return policy_parse_key(PROFILE_END_FAILURE, key, out, err);
}

/* ---- flap ---- */

static int parse_rate(struct slice rate, struct profile_flap *out, struct error *err)
{
    const char *slash = slice_find_byte(rate, '/');
    uint64_t count;

    if (slash == NULL ||
        slice_parse_u64(slice_make(rate.ptr, (size_t)(slash - rate.ptr)), &count) != 0 ||
        duration_parse(slice_from(rate, (size_t)(slash - rate.ptr) + 1), &out->period_ms) != 0)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` is no N/PERIOD, such as 3/2m",
                         SLICE_ARG(rate));
    if (count < 2 || count > PROFILE_FLAP_COUNT_MAX)
        return error_set(err, ERR_PARSE, "a flap counts from 2 to %d, not `" SLICE_FMT "`",
                         PROFILE_FLAP_COUNT_MAX, SLICE_ARG(rate));
    if (out->period_ms <= 0)
        return error_set(err, ERR_PARSE, "the period of `" SLICE_FMT "` must be longer than 0",
                         SLICE_ARG(rate));
    out->count = (unsigned)count;
    return 0;
}

int policy_parse_flap(enum profile_end_kind kind, struct slice line, struct profile_flap *out,
                      struct error *err)
{
    struct slice rest, key = first_word(line, &rest), rate = first_word(rest, &rest);
    struct row row;
    int rc = policy_parse_key(kind, key, &row, err);

    if (rc != 0)
        return error_wrap(err, "flap");
    if (row.rank != ROW_CODE && row.rank != ROW_RANGE)
        return error_set(err, ERR_PARSE, "flap: `" SLICE_FMT "` is %s", SLICE_ARG(key),
                         kind == PROFILE_END_FAILURE ? "no failure's name"
                                                     : "neither CODE nor FROM-TO");
    *out = (struct profile_flap){.kind = kind, .code_from = row.from, .code_to = row.to};
    rc = parse_rate(rate, out, err);
    if (rc == 0)
        rc = policy_parse_action(rest, &out->action, err);
    return rc == 0 ? 0 : error_wrap(err, "flap");
}

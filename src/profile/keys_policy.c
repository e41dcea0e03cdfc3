/* Setters of [close], [status], [failure], [explain] and [backoff]. */
#include "base/timefmt.h"
#include "profile/load.h"
#include "profile/policy.h"

#define STEP_MAX_MS (60 * 60 * 1000)

static void add_row(struct loader *l, const struct ini_entry *entry, enum profile_end_kind kind)
{
    struct error err = {0};
    struct row row;
    int rc = policy_parse_key(kind, slice_str(entry->key), &row, &err);

    if (rc == 0)
        rc = policy_parse_action(slice_str(entry->value), &row.action, &err);
    if (rc != 0)
        load_fault_error(l, entry, &err);
    else
        policy_rows_add(&l->priv->policy, l->arena, &row);
}

void set_close(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    add_row(l, entry, PROFILE_END_CLOSE);
}

void set_status(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    add_row(l, entry, PROFILE_END_STATUS);
}

void set_failure(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    add_row(l, entry, PROFILE_END_FAILURE);
}

void set_flap(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct slice rest = slice_str(entry->value);
    struct profile *profile = l->profile;

    while (rest.len != 0) {
        const char *newline = slice_find_byte(rest, '\n');
        size_t n = newline != NULL ? (size_t)(newline - rest.ptr) : rest.len;
        struct slice line = slice_trim(slice_make(rest.ptr, n));
        struct error err = {0};

        rest = slice_from(rest, n + 1);
        if (line.len == 0)
            continue;
        if (profile->n_flaps == PROFILE_FLAPS_MAX) {
            load_fault(l, entry, "flap: more than %d lines in all", PROFILE_FLAPS_MAX);
            return;
        }
        if (policy_parse_flap((enum profile_end_kind)key->least, line,
                              &profile->flaps[profile->n_flaps], &err) != 0)
            load_fault_error(l, entry, &err);
        else
            profile->n_flaps++;
    }
}

void set_explain(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct error err = {0};
    struct row row;

    if (policy_parse_explain_key(slice_str(entry->key), &row, &err) != 0) {
        load_fault_error(l, entry, &err);
        return;
    }
    row.explain = entry->value;
    policy_rows_add(&l->priv->explain, l->arena, &row);
}

static bool parse_steps(struct loader *l, const struct ini_entry *entry, int64_t *steps_ms,
                        unsigned *n)
{
    struct slice rest = slice_str(entry->value);
    bool more = true;

    for (*n = 0; more; ++*n) {
        const char *comma = slice_find_byte(rest, ',');
        size_t len = comma != NULL ? (size_t)(comma - rest.ptr) : rest.len;
        struct slice step = slice_trim(slice_make(rest.ptr, len));

        if (*n == PROFILE_BACKOFF_STEPS_MAX) {
            load_fault(l, entry, "steps: more than %d steps", PROFILE_BACKOFF_STEPS_MAX);
            return false;
        }
        if (duration_parse(step, &steps_ms[*n]) != 0 || steps_ms[*n] > STEP_MAX_MS) {
            load_fault(l, entry, "steps: `" SLICE_FMT "` is no duration up to 1h, such as 2s",
                       SLICE_ARG(step));
            return false;
        }
        more = comma != NULL;
        rest = slice_from(rest, len + 1);
    }
    if (steps_ms[*n - 1] == 0) {
        load_fault(l, entry, "steps: the last step must not be 0, or hawser would never pause");
        return false;
    }
    return true;
}

void set_steps(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    int64_t steps_ms[PROFILE_BACKOFF_STEPS_MAX];
    unsigned n;

    if (!parse_steps(l, entry, steps_ms, &n))
        return;
    memcpy(l->profile->backoff.steps_ms, steps_ms, n * sizeof(steps_ms[0]));
    l->profile->backoff.n_steps = n;
}

/* 0 to 1, with up to three decimals; no strtod, whose comma depends on the locale. */
static bool parse_fraction(struct slice text, double *out)
{
    static const unsigned scale[] = {1, 10, 100, 1000};
    const char *point = slice_find_byte(text, '.');
    size_t n = point != NULL ? (size_t)(point - text.ptr) : text.len;
    struct slice decimals = slice_from(text, n + 1);
    uint64_t whole, part = 0;

    if (slice_parse_u64(slice_make(text.ptr, n), &whole) != 0 || whole > 1 || decimals.len > 3)
        return false;
    if (point != NULL && slice_parse_u64(decimals, &part) != 0)
        return false;
    *out = (double)whole + (double)part / scale[decimals.len];
    return *out <= 1.0;
}

void set_jitter(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    if (!parse_fraction(slice_str(entry->value), &l->profile->backoff.jitter))
        load_fault(l, entry, "jitter: `%s` is no number from 0 to 1, such as 0.2", entry->value);
}

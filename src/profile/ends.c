/* Ends by their keys, for those who ask what one would lead to. */
#include <stdio.h>

#include "profile/policy.h"

static void end_of_row(const struct row *row, struct profile_end *out)
{
    *out = (struct profile_end){.kind = row->kind, .retry_after_ms = -1};
    if (row->kind == PROFILE_END_FAILURE) {
        out->failure = (enum profile_failure)row->from;
        out->phase = row->phase;
    } else {
        out->code = row->from;
        out->local = row->rank == ROW_LOCAL;
    }
    if (row->rank == ROW_TEXT)
        snprintf(out->text, sizeof(out->text), SLICE_FMT, SLICE_ARG(row->text));
}

int profile_end_parse(struct slice key, struct profile_end *out, struct error *err)
{
    struct row row;
    int rc = policy_parse_explain_key(key, &row, err);

    if (rc != 0)
        return rc;
    if (row.rank == ROW_RANGE)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` is a range; name one code of it",
                         SLICE_ARG(key));
    if (row.kind == PROFILE_END_FAILURE && row.from == PROFILE_FAILURE_TIMEOUT &&
        row.rank != ROW_LOCAL)
        return error_set(err, ERR_PARSE,
                         "a timeout of what? timeout/ and dns, tcp, tls, upgrade, live, answer, "
                         "http or proxy");
    end_of_row(&row, out);
    return 0;
}

size_t profile_end_key(const struct profile_end *end, char *out, size_t size)
{
    int n = 0;

    if (end->kind == PROFILE_END_FAILURE && end->failure == PROFILE_FAILURE_TIMEOUT)
        n = snprintf(out, size, "timeout/%s", profile_phase_name(end->phase));
    else if (end->kind == PROFILE_END_FAILURE)
        n = snprintf(out, size, "%s", profile_failure_name(end->failure));
    else
        n = snprintf(out, size, "%s%d%s%s", end->local ? "local/" : "", end->code,
                     end->text[0] != '\0' ? "/" : "", end->text);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

static bool same_row(const struct row *a, const struct row *b)
{
    return a->kind == b->kind && a->rank == b->rank && a->from == b->from && a->to == b->to &&
           (a->rank != ROW_LOCAL || a->phase == b->phase) &&
           (a->rank != ROW_TEXT || slice_eq(a->text, b->text));
}

static bool among(const struct rows *rows, size_t n, const struct row *row)
{
    for (size_t i = 0; i < n; i++)
        if (same_row(&rows->at[i], row))
            return true;
    return false;
}

static void visit_row(const struct row *row,
                      void (*visit)(void *arg, const struct profile_end *end, int to), void *arg)
{
    struct profile_end end;

    end_of_row(row, &end);
    if (row->kind != PROFILE_END_FAILURE || row->from != PROFILE_FAILURE_TIMEOUT ||
        row->rank == ROW_LOCAL) {
        visit(arg, &end, row->kind == PROFILE_END_FAILURE ? 0 : row->to);
        return;
    }
    for (int phase = PROFILE_PHASE_DNS; phase <= PROFILE_PHASE_PROXY; phase++) {
        end.phase = (enum profile_phase)phase;
        visit(arg, &end, 0);
    }
}

void profile_ends(const struct profile *profile,
                  void (*visit)(void *arg, const struct profile_end *end, int to), void *arg)
{
    const struct profile_private *priv = profile->priv;

    for (size_t i = 0; i < priv->policy.n; i++)
        if (priv->policy.at[i].rank != ROW_DEFAULT && !among(&priv->policy, i, &priv->policy.at[i]))
            visit_row(&priv->policy.at[i], visit, arg);
    for (size_t i = 0; i < priv->explain.n; i++)
        if (!among(&priv->explain, i, &priv->explain.at[i]) &&
            !among(&priv->policy, priv->policy.n, &priv->explain.at[i]))
            visit_row(&priv->explain.at[i], visit, arg);
}

void profile_ends_builtin(void (*visit)(void *arg, const struct profile_end *end, int to),
                          void *arg)
{
    explain_visit(visit, arg);
    for (int failure = PROFILE_FAILURE_DNS; failure <= PROFILE_FAILURE_CONFIG; failure++) {
        struct row row = {.kind = PROFILE_END_FAILURE, .rank = ROW_CODE, .from = failure};
        visit_row(&row, visit, arg);
    }
}

bool profile_flap_counts(const struct profile_flap *flap, const struct profile_end *end)
{
    int code = end->kind == PROFILE_END_FAILURE ? (int)end->failure : end->code;

    return flap->kind == end->kind && code >= flap->code_from && code <= flap->code_to;
}

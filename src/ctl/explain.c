/* explain: what an end means for a service, what hawser does about it, and what one does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/layout.h"
#include "ctl/offline.h"
#include "ctl/words.h"

enum { LABEL = 8, KEY = 16, ACTION = 12 }; /* columns */
enum { ENDS_MAX = 1024 };                  /* that a list shows */

/* Whose tables count. */
struct source {
    const struct profile *profile;
    struct profile *loaded; /* NULL: it is of the configuration */
    struct configuration configuration;
    bool configured;
};

static void source_fini(struct source *source)
{
    profile_free(source->loaded);
    if (source->configured)
        configuration_fini(&source->configuration);
}

static int of_stream(struct ctl *ctl, const char *name, struct source *source)
{
    struct configuration *configuration = &source->configuration;
    int status = configuration_load(offline_config(ctl), configuration);
    source->configured = true;
    for (size_t i = 0; configuration->settings != NULL && i < configuration->settings->n_streams;
         i++)
        if (configuration->profiles != NULL &&
            strcmp(configuration->settings->streams[i].name, name) == 0)
            source->profile = configuration->profiles[i];
    if (source->profile != NULL)
        return CTL_OK;
    if (status != 0 && configuration->diag != NULL)
        offline_print_diag(configuration->diag);
    fprintf(stderr, "hawserctl: %s has no stream %s that can be used\n", offline_config(ctl), name);
    return CTL_NOT_WELL;
}

static int of_profile(struct ctl *ctl, const char *name, struct source *source)
{
    const char *dirs[OFFLINE_DIRS];
    struct diag *diag = diag_new();
    struct settings *settings = offline_dirs(ctl, dirs);
    if (diag != NULL && profile_load(dirs, name, NULL, diag, &source->loaded) != 0)
        offline_print_diag(diag);
    source->profile = source->loaded;
    settings_free(settings);
    diag_free(diag);
    return source->profile != NULL ? CTL_OK : CTL_NOT_WELL;
}

/* ---- one end ---- */

struct answer {
    struct ctl *ctl;
    const struct profile *profile;
    bool named; /* the profile was */
    bool first;
    struct buf out;
};

struct meaning {
    struct profile_end end;
    int to; /* of a range; else end.code or 0 */
    char key[320];
    const struct profile_policy_action *action;
    struct reason reason; /* .what: all of it where it has no fix */
};

/* fault: of TLS, NULL: none is named. */
static void find_meaning(const struct answer *answer, const struct profile_end *end, int to,
                         const char *fault, struct meaning *out)
{
    const char *explain;
    size_t n = profile_end_key(end, out->key, sizeof(out->key));
    out->end = *end;
    out->to = to;
    if (end->kind != PROFILE_END_FAILURE && to > end->code) {
        snprintf(out->key + n, sizeof(out->key) - n, "-%d", to);
        out->end.code = to; /* a range's first has often a row of its own */
    }
    out->action = profile_policy(answer->profile, &out->end, &explain);
    if (fault != NULL) {
        snprintf(out->key, sizeof(out->key), "tls/%s", fault);
        explain = words_tls(fault);
    }
    struct slice all = slice_str(explain != NULL ? explain : "");
    const char *fix = explain != NULL ? strstr(explain, ". Fix: ") : NULL;
    out->reason = (struct reason){.cause = all};
    if (fix != NULL) {
        out->reason.cause.len = (size_t)(fix - explain);
        out->reason.fix = slice_str(fix + strlen(". Fix: "));
    }
}

static void write_flaps_json(struct answer *answer, const struct meaning *meaning)
{
    struct buf *out = &answer->out;
    bool first = true;
    (void)buf_append_str(out, ",\"flaps\":[");
    for (unsigned i = 0; i < answer->profile->n_flaps; i++) {
        const struct profile_flap *flap = &answer->profile->flaps[i];
        if (!profile_flap_counts(flap, &meaning->end) || !words_flap_matters(flap, meaning->action))
            continue;
        (void)buf_appendf(out, "%s{\"count\":%u,\"period_ms\":%lld,\"action\":\"%s\"",
                          first ? "" : ",", flap->count, (long long)flap->period_ms,
                          profile_policy_name(flap->action.kind));
        (void)buf_appendf(out, ",\"delay_ms\":%lld}", (long long)flap->action.delay_ms);
        first = false;
    }
    (void)buf_append_str(out, "]");
}

static void json_text(struct buf *out, const char *name, struct slice text)
{
    (void)buf_appendf(out, ",\"%s\":", name);
    (void)json_write_string(out, text);
}

static void write_json(struct answer *answer, const struct meaning *meaning)
{
    struct buf *out = &answer->out, does;
    static const char *const kinds[] = {[PROFILE_END_CLOSE] = "close",
                                        [PROFILE_END_STATUS] = "status",
                                        [PROFILE_END_FAILURE] = "failure"};
    buf_init(&does, 4096);
    words_action(answer->profile, meaning->action, &does);
    (void)buf_appendf(out, "%s{\"kind\":\"%s\"", answer->first ? "" : ",",
                      kinds[meaning->end.kind]);
    json_text(out, "code", slice_str(meaning->key));
    json_text(out, "cause", meaning->reason.cause);
    json_text(out, "fix", meaning->reason.fix);
    json_text(out, "action", slice_str(profile_policy_name(meaning->action->kind)));
    (void)buf_appendf(out, ",\"delay_ms\":%lld", (long long)meaning->action->delay_ms);
    json_text(out, "does", buf_slice(&does));
    write_flaps_json(answer, meaning);
    (void)buf_append_str(out, "}");
    buf_fini(&does);
}

static void line(struct answer *answer, const char *label, struct slice text)
{
    const struct terminal *terminal = &answer->ctl->terminal;
    size_t width = terminal->width < LAYOUT_WIDTH_TEXT ? terminal->width : LAYOUT_WIDTH_TEXT;
    if (text.len == 0)
        return;
    (void)buf_append_str(&answer->out, "  ");
    terminal_begin(terminal, &answer->out, STYLE_DIM);
    layout_pad(&answer->out, slice_str(label), LABEL, false);
    terminal_end(terminal, &answer->out);
    layout_wrap(&answer->out, text, 2 + LABEL, 2 + LABEL, width);
    (void)buf_append_byte(&answer->out, '\n');
}

static void write_text(struct answer *answer, const struct meaning *meaning)
{
    const struct profile *profile = answer->profile;
    struct buf text;
    char title[400];
    const char *kind = meaning->end.kind == PROFILE_END_CLOSE    ? "close "
                       : meaning->end.kind == PROFILE_END_STATUS ? "status "
                                                                 : "";
    buf_init(&text, 4096);
    snprintf(title, sizeof(title), "%s%s", kind, meaning->key);
    if (!answer->first)
        (void)buf_append_byte(&answer->out, '\n');
    terminal_begin(&answer->ctl->terminal, &answer->out, STYLE_STRONG);
    (void)buf_append_str(&answer->out, title);
    terminal_end(&answer->ctl->terminal, &answer->out);
    if (answer->named)
        (void)buf_appendf(&answer->out, ", of %s", profile->name);
    (void)buf_append_byte(&answer->out, '\n');
    line(answer, "means", meaning->reason.cause);
    words_action(profile, meaning->action, &text);
    line(answer, "hawser", buf_slice(&text));
    for (unsigned i = 0; i < profile->n_flaps; i++) {
        const struct profile_flap *flap = &profile->flaps[i];
        if (!profile_flap_counts(flap, &meaning->end) || !words_flap_matters(flap, meaning->action))
            continue;
        buf_clear(&text);
        words_flap(profile, flap, &text);
        line(answer, "if", buf_slice(&text));
    }
    line(answer, "do", meaning->reason.fix);
    if (answer->named && profile->docs != NULL)
        line(answer, "docs", slice_str(profile->docs));
    buf_fini(&text);
}

static void write_meaning(struct answer *answer, const struct profile_end *end, int to,
                          const char *fault)
{
    struct meaning meaning;
    find_meaning(answer, end, to, fault, &meaning);
    if (answer->ctl->json)
        write_json(answer, &meaning);
    else
        write_text(answer, &meaning);
    answer->first = false;
}

/* ---- what is asked for ---- */

/* Ends to be listed, put in order. */
struct ends {
    struct {
        struct profile_end end;
        int to;
    } at[ENDS_MAX];
    size_t n;
};

static void collect(void *arg, const struct profile_end *end, int to)
{
    struct ends *ends = arg;
    if (ends->n == ENDS_MAX)
        return;
    ends->at[ends->n].end = *end;
    ends->at[ends->n++].to = to;
}

static int by_number(const void *left, const void *right)
{
    const struct profile_end *a = left, *b = right;
    int key_a = a->kind == PROFILE_END_FAILURE ? (int)a->failure : a->code;
    int key_b = b->kind == PROFILE_END_FAILURE ? (int)b->failure : b->code;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (key_a != key_b)
        return key_a < key_b ? -1 : 1;
    if (a->phase != b->phase)
        return a->phase < b->phase ? -1 : 1;
    return strcmp(a->text, b->text);
}

static void write_row(struct answer *answer, const struct profile_end *end, int to)
{
    const struct terminal *terminal = &answer->ctl->terminal;
    size_t width = terminal->width < LAYOUT_WIDTH_TEXT ? terminal->width : LAYOUT_WIDTH_TEXT;
    struct meaning meaning;
    find_meaning(answer, end, to, NULL, &meaning);
    if (answer->ctl->json) {
        write_json(answer, &meaning);
        answer->first = false;
        return;
    }
    layout_pad(&answer->out, slice_str(meaning.key), KEY, false);
    if (strlen(meaning.key) > KEY && width > 0)
        (void)buf_appendf(&answer->out, "\n%*s", KEY, "");
    (void)buf_append_byte(&answer->out, ' ');
    layout_pad(&answer->out, slice_str(profile_policy_name(meaning.action->kind)), ACTION, false);
    layout_wrap(&answer->out, meaning.reason.cause, KEY + 1 + ACTION, KEY + 1 + ACTION, width);
    (void)buf_append_byte(&answer->out, '\n');
}

static int list(struct answer *answer)
{
    struct ends *ends = calloc(1, sizeof(*ends));
    if (ends == NULL)
        return CTL_NOT_WELL;
    if (!answer->ctl->json)
        (void)buf_appendf(&answer->out, "%-*s %-*s%s\n", KEY, "CODE", ACTION, "ACTION", "MEANS");
    if (answer->named)
        profile_ends(answer->profile, collect, ends);
    else
        profile_ends_builtin(collect, ends);
    qsort(ends->at, ends->n, sizeof(ends->at[0]), by_number);
    for (size_t i = 0; i < ends->n; i++)
        write_row(answer, &ends->at[i].end, ends->at[i].to);
    free(ends);
    return CTL_OK;
}

static void on_timeout(void *arg, const struct profile_end *end, int to)
{
    if (end->kind == PROFILE_END_FAILURE && end->failure == PROFILE_FAILURE_TIMEOUT)
        write_meaning(arg, end, to, NULL);
}

static int explain(struct answer *answer, const char *code)
{
    const char *fault = strncmp(code, "tls/", 4) == 0 ? code + 4 : code;
    struct profile_end end = {.kind = PROFILE_END_FAILURE, .failure = PROFILE_FAILURE_TLS};
    struct error err;
    if (words_tls(fault) != NULL) {
        write_meaning(answer, &end, 0, fault);
        return CTL_OK;
    }
    if (strcmp(code, "timeout") == 0) {
        profile_ends_builtin(on_timeout, answer);
        return CTL_OK;
    }
    if (profile_end_parse(slice_str(code), &end, &err) != 0) {
        fprintf(stderr,
                "hawserctl: %s\nhawserctl: a close code (1006, 4003), an HTTP status (403) or a "
                "failure; `hawserctl explain` lists them\n",
                err.text);
        return CTL_USAGE;
    }
    write_meaning(answer, &end, end.code, NULL);
    return CTL_OK;
}

static int give(struct answer *answer)
{
    struct ctl *ctl = answer->ctl;
    buf_init(&answer->out, BUF_UNBOUNDED);
    if (ctl->json) {
        (void)buf_append_str(&answer->out, "{\"ok\":\"explain\"");
        json_text(&answer->out, "profile", slice_str(answer->profile->name));
        (void)buf_append_str(&answer->out, ",\"ends\":[");
    }
    int result = ctl->n_args == 1 ? explain(answer, ctl->args[0]) : list(answer);
    if (ctl->json)
        (void)buf_append_str(&answer->out, "]}\n");
    if (result == CTL_OK)
        (void)terminal_write(buf_slice(&answer->out));
    buf_fini(&answer->out);
    return result;
}

int ctl_explain(struct ctl *ctl)
{
    const char *stream = ctl_option(ctl, "stream"), *profile = ctl_option(ctl, "profile");
    struct source source = {.profile = NULL};
    if (stream != NULL && profile != NULL)
        return ctl_usage(ctl, "one of --stream and --profile, not both");
    int result = stream != NULL ? of_stream(ctl, stream, &source)
                                : of_profile(ctl, profile != NULL ? profile : "generic", &source);
    if (result == CTL_OK) {
        struct answer answer = {.ctl = ctl,
                                .profile = source.profile,
                                .named = stream != NULL || profile != NULL,
                                .first = true};
        result = give(&answer);
    }
    source_fini(&source);
    return result;
}

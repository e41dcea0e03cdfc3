/* What only the whole shows of [connect], [auth], [fallback NAME] and what requests capture. */
#include <strings.h>

#include "profile/load.h"

/* ---- [connect] ---- */

static bool sets_idle(const struct profile_private *priv)
{
    for (unsigned i = 0; i < priv->n_rules; i++)
        for (unsigned j = 0; j < priv->rules[i].n_actions; j++) {
            const struct profile_rule_action *action = &priv->rules[i].actions[j];

            if (action->kind == PROFILE_RULE_SET && action->setting == PROFILE_SET_HEARTBEAT_IDLE)
                return true;
        }
    return false;
}

static void check_connect(struct loader *l)
{
    struct profile *p = l->profile;
    struct profile_private *priv = l->priv;

    priv->plaintext = l->stream != NULL && l->stream->plaintext;
    if (!p->connect.ping_forbidden)
        return;
    if (l->ws_ping != NULL && p->heartbeat.ws_ping_ms != 0)
        load_fault(l, l->ws_ping, "ws_ping: [connect] ping = forbid");
    p->heartbeat.ws_ping_ms = 0;
    if (p->heartbeat.idle_ms == 0 && p->heartbeat.ack_timeout_ms == 0 && !sets_idle(priv))
        load_fault(
            l, l->ping,
            "ping: forbid, so a dead link would never be noticed; it needs [heartbeat] idle, "
            "or a heartbeat that is answered");
}

/* ---- captures, foreach ---- */

static void check_request(struct loader *l, const struct http *http, const char *section)
{
    const char *name = http->name != NULL ? http->name : "", *space = *name != '\0' ? " " : "";

    if (load_http_uses(http, SLICE("each")) && !http->foreach)
        diag_add(l->diag, http->file, http->line, "[%s%s%s] names ${each} without `foreach`",
                 section, space, name);
    if (load_http_uses(http, SLICE("next")) && !l->profile->catchup.descending)
        diag_add(l->diag, http->file, http->line,
                 "[%s%s%s] names ${next} without `order = desc` in [catchup]", section, space,
                 name);
    if (http->persist_given && http->n_captures == 0)
        diag_add(l->diag, http->file, http->line,
                 "[%s%s%s] has `persist`, but captures nothing that could be kept", section, space,
                 name);
}

/* Pages follow one another, and so are asked for one by one. */
static void check_paged(struct loader *l, const struct ini_entry *entry)
{
    unsigned i = entry != NULL ? load_http_find(l, slice_str(entry->value)) : PROFILE_NONE;

    if (i != PROFILE_NONE && l->priv->https[i].foreach)
        load_fault(l, entry, "%s: [http %s] has a `foreach`", entry->key, l->priv->https[i].name);
}

static void check_captures(struct loader *l)
{
    struct profile_private *priv = l->priv;

    check_paged(l, l->catchup_http);
    check_paged(l, l->tip);
    check_paged(l, l->fallback_http);

    if (priv->connect.file != NULL)
        check_request(l, &priv->connect, "connect");
    for (unsigned i = 0; i < priv->n_https; i++) {
        check_request(l, &priv->https[i], "http");
        priv->http_secure |= priv->https[i].head.secure;
    }
}

/* ---- [auth] ---- */

static bool captures(const struct http *http, bool secret, const char *name)
{
    for (unsigned i = 0; i < http->n_captures; i++)
        if (http->captures[i].secret == secret &&
            (name == NULL || strcmp(http->captures[i].name, name) == 0))
            return true;
    return false;
}

static void check_token(struct loader *l)
{
    const struct param *secret;

    if (l->auth_token == NULL)
        return;
    secret = load_secret(l, slice_str(l->auth_token->value));
    if (secret == NULL)
        load_fault(l, l->auth_token, "token: [profile] secrets does not name `%s`",
                   l->auth_token->value);
    else
        l->profile->auth.token = secret->name;
}

static void check_refresh(struct loader *l)
{
    struct profile *p = l->profile;
    struct slice value;
    struct http *http;
    unsigned i;

    if (l->auth_refresh == NULL) {
        if (l->refresh_at != NULL)
            load_fault(l, l->refresh_at, "refresh_at: there is no `refresh`");
        return;
    }
    value = slice_str(l->auth_refresh->value);
    if (!slice_starts_with(value, SLICE("http:"))) {
        load_fault(l, l->auth_refresh, "refresh: `%s` is no http:NAME", l->auth_refresh->value);
        return;
    }
    i = load_http_find(l, slice_from(value, 5));
    if (i == PROFILE_NONE) {
        load_fault(l, l->auth_refresh, "refresh: there is no [http %s]",
                   l->auth_refresh->value + 5);
        return;
    }
    http = &l->priv->https[i];
    if (!captures(http, true, NULL)) {
        load_fault(l, l->auth_refresh,
                   "refresh: [http %s] brings no credential; it needs capture_secret.NAME",
                   http->name);
        return;
    }
    if (http->foreach)
        load_fault(l, l->auth_refresh, "refresh: [http %s] has a `foreach`", http->name);
    /* A rotated credential is the only one that is still good after a restart. */
    p->auth.persist = !http->persist_given || http->persist;
    http->persist = p->auth.persist;
    p->auth.ttl = captures(http, false, "ttl") ? "ttl" : NULL;
    /* Without what it asks with (an optional secret) the stream has no refresh. */
    if (!http->lacks_secret)
        p->auth.refresh = i;
}

/* ---- [fallback NAME] ---- */

static bool same_name(struct slice a, struct slice b, bool header)
{
    return a.len == b.len &&
           (header ? strncasecmp(a.ptr, b.ptr, a.len) == 0 : memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Lines of `base`, each replaced by that of the same name in `own`, then what is left of `own`. */
static void merge_lines(struct loader *l, const struct line *base, unsigned n_base,
                        struct line **own, unsigned *n_own, bool header)
{
    struct line *all = arena_alloc(l->arena, (n_base + *n_own + 1) * sizeof(*all));
    unsigned n = n_base;

    if (all == NULL)
        return;
    if (n_base != 0)
        memcpy(all, base, n_base * sizeof(*all));
    for (unsigned i = 0; i < *n_own; i++) {
        unsigned at = 0;

        while (at < n_base && !same_name(all[at].name, (*own)[i].name, header))
            at++;
        all[at < n_base ? at : n++] = (*own)[i];
    }
    *own = all;
    *n_own = n;
}

static void check_longpoll(struct loader *l, struct http *http)
{
    const struct http *base;
    unsigned i;

    if (http->url.n != 0)
        diag_add(l->diag, http->file, http->line,
                 "[fallback %s] takes its request from `http = NAME`, and so no `url`", http->name);
    if (l->fallback_http == NULL) {
        diag_add(l->diag, http->file, http->line, "[fallback %s] has no `http`", http->name);
        return;
    }
    i = load_http_find(l, slice_str(l->fallback_http->value));
    if (i == PROFILE_NONE) {
        load_fault(l, l->fallback_http, "http: there is no [http %s]", l->fallback_http->value);
        return;
    }
    base = &l->priv->https[i];
    l->profile->fallback.http = i;
    http->method = base->method;
    http->url = base->url;
    http->head = base->head;
    http->body = base->body;
    http->n_body = base->n_body;
    merge_lines(l, base->query, base->n_query, &http->query, &http->n_query, false);
    merge_lines(l, base->header, base->n_header, &http->header, &http->n_header, true);
    if (l->position != NULL && !load_http_uses(http, SLICE("position")))
        diag_add(l->diag, http->file, http->line,
                 "[fallback %s] would bring the same again and again: nothing in it carries "
                 "${position}",
                 http->name);
}

static void check_fallback(struct loader *l)
{
    struct http *http = &l->priv->fallback;

    l->profile->fallback.http = PROFILE_NONE;
    if (!l->profile->fallback.exists)
        return;
    check_request(l, http, "fallback");
    if (!l->has_transport) {
        diag_add(l->diag, http->file, http->line, "[fallback %s] has no `transport`", http->name);
        return;
    }
    if (!l->transport_known)
        return; /* said already */
    switch (l->profile->fallback.transport) {
    case PROFILE_LONGPOLL:
        check_longpoll(l, http);
        break;
    case PROFILE_SSE:
    case PROFILE_NDJSON:
        if (l->fallback_http != NULL)
            load_fault(l, l->fallback_http, "http: only transport = longpoll takes one");
        if (http->url.n == 0 && !http->url.omitted)
            diag_add(l->diag, http->file, http->line, "[fallback %s] has no `url`", http->name);
        l->priv->http_secure |= http->head.secure;
        break;
    }
}

void load_check_connect(struct loader *l)
{
    check_connect(l);
    check_captures(l);
    check_token(l);
    check_refresh(l);
    check_fallback(l);
}

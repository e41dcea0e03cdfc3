/* Setters of [connect] (but for its request), [auth] and [limits]. */
#include "base/timefmt.h"
#include "profile/authority.h"
#include "profile/load.h"

#define RATE_COUNT_MAX 1000000
#define RATE_PERIOD_MAX_MS (30LL * 24 * 60 * 60 * 1000)
#define LINKS_MAX 1000000

int load_choose(struct loader *l, const struct ini_entry *entry, const char *const *words,
                int n_words)
{
    char list[128] = "";

    for (int i = 0; i < n_words; i++) {
        if (strcmp(entry->value, words[i]) == 0)
            return i;
        strncat(list, i != 0 ? ", " : "", sizeof(list) - strlen(list) - 1);
        strncat(list, words[i], sizeof(list) - strlen(list) - 1);
    }
    load_fault(l, entry, "%s: `%s` is none of %s", entry->key, entry->value, list);
    return -1;
}

/* ---- [connect] ---- */

/* Into a bool that is true where the service forbids it. */
void set_permission(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"allow", "forbid"};
    bool *forbidden = (bool *)((char *)l->profile + key->offset);

    *forbidden = load_choose(l, entry, words, 2) == 1;
    if (forbidden == &l->profile->connect.ping_forbidden)
        l->ping = entry;
}

void set_parallel(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"1", "2"};
    int i = load_choose(l, entry, words, 2);

    if (i >= 0)
        l->profile->connect.parallel = (unsigned)i + 1;
}

/* HOST, HOST:PORT or HOST:*; a wildcard must leave whole labels at the end, so that no stranger's
 * name fits (`*example.com` would match evil-example.com). */
static int parse_host(struct slice word, struct host_pattern *out, struct error *err)
{
    struct authority authority;
    size_t tail;

    *out = (struct host_pattern){0};
    if (word.len > 2 && word.ptr[word.len - 1] == '*' && word.ptr[word.len - 2] == ':') {
        out->any_port = true;
        word.len -= 2;
    }
    tail = word.len;
    while (tail > 0 && word.ptr[tail - 1] != '*' && word.ptr[tail - 1] != '?')
        tail--;
    if (!authority_parse(slice_from(word, tail), &authority) ||
        (authority.port != 0 && out->any_port) ||
        (tail != 0 && (authority.host.len < 2 || authority.host.ptr[0] != '.' ||
                       !authority_all_of(slice_make(word.ptr, tail), AUTHORITY_NAME_BYTES "*?"))))
        return error_set(err, ERR_PARSE,
                         "`" SLICE_FMT
                         "` is no HOST, HOST:PORT or HOST:*; a wildcard stands before "
                         "whole labels, as in *.example.com",
                         SLICE_ARG(word));
    out->port = authority.port;
    out->glob = slice_make(word.ptr, tail + authority.host.len);
    return 0;
}

/* Lower case, as hosts are compared. */
static struct slice keep_host(struct loader *l, struct slice host)
{
    char *copy = arena_text(l->arena, authority_undotted(host));

    for (char *c = copy; c != NULL && *c != '\0'; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    return copy != NULL ? slice_str(copy) : (struct slice){NULL, 0};
}

static int add_host(struct loader *l, struct slice word, struct error *err)
{
    struct profile_private *priv = l->priv;
    struct host_pattern pattern;
    int rc = parse_host(word, &pattern, err);

    if (rc != 0)
        return rc;
    if (priv->n_hosts == PROFILE_HOSTS_MAX)
        return error_set(err, ERR_PARSE, "more than %d hosts", PROFILE_HOSTS_MAX);
    if (priv->hosts == NULL)
        priv->hosts = arena_alloc(l->arena, PROFILE_HOSTS_MAX * sizeof(*priv->hosts));
    pattern.glob = keep_host(l, pattern.glob);
    if (priv->hosts == NULL || pattern.glob.ptr == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    priv->hosts[priv->n_hosts++] = pattern;
    return 0;
}

/* One word, with parameters put in; one that names a parameter without a value is left out. */
static int take_host(struct loader *l, struct slice word, struct error *err)
{
    struct resolver resolver = load_resolver(l);
    struct template template;
    int rc = template_compile(l->arena, TEMPLATE_HEADER, word, &resolver, &template, err);

    if (rc != 0 || template.omitted)
        return rc;
    if (template.n != 1 || template.pieces[0].kind != PIECE_LITERAL)
        return error_set(err, ERR_PARSE, "`" SLICE_FMT "` is not known beforehand",
                         SLICE_ARG(word));
    return add_host(l, template.pieces[0].text, err);
}

void set_hosts(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct slice rest = slice_str(entry->value);

    while (rest.len != 0) {
        struct error err = {0};
        size_t n = 0;

        while (n < rest.len && strchr(" \t\n,", rest.ptr[n]) == NULL)
            n++;
        if (n != 0 && take_host(l, slice_make(rest.ptr, n), &err) != 0) {
            load_fault_error(l, entry, &err);
            return;
        }
        rest = slice_from(rest, n + 1);
    }
}

/* ---- [auth] ---- */

void set_auth_token(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->auth_token = entry->value[0] != '\0' ? entry : NULL;
}

void set_auth_refresh(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->auth_refresh = entry->value[0] != '\0' ? entry : NULL;
}

void set_refresh_at(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct slice text = slice_str(entry->value);
    uint64_t percent;

    if (text.len == 0 || text.ptr[text.len - 1] != '%' ||
        slice_parse_u64(slice_make(text.ptr, text.len - 1), &percent) != 0 || percent < 1 ||
        percent > 99) {
        load_fault(l, entry, "refresh_at: `%s` is no part of a lifetime from 1%% to 99%%",
                   entry->value);
        return;
    }
    l->profile->auth.refresh_at = (double)percent / 100;
    l->refresh_at = entry;
}

/* ---- [limits] ---- */

/* A duration, or its unit alone: "300/5m", "4/s". */
static bool parse_period(struct slice text, int64_t *out)
{
    char one[8];

    if (text.len == 0 || text.len > 2 || (text.ptr[0] >= '0' && text.ptr[0] <= '9'))
        return duration_parse(text, out) == 0;
    one[0] = '1';
    memcpy(one + 1, text.ptr, text.len);
    return duration_parse(slice_make(one, text.len + 1), out) == 0;
}

void set_rate(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct profile_rate *rate = (void *)((char *)l->profile + key->offset);
    struct slice text = slice_str(entry->value);
    const char *slash = slice_find_byte(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text.ptr) : text.len;
    uint64_t count;
    int64_t period_ms;

    if (slash == NULL || slice_parse_u64(slice_trim(slice_make(text.ptr, n)), &count) != 0 ||
        !parse_period(slice_trim(slice_from(text, n + 1)), &period_ms))
        load_fault(l, entry, "%s: `%s` is no N/PERIOD, such as 300/5m or 4/s", entry->key,
                   entry->value);
    else if (count < 1 || count > RATE_COUNT_MAX || period_ms < 1 || period_ms > RATE_PERIOD_MAX_MS)
        load_fault(l, entry, "%s: `%s` is not from 1 to %d in at most 30d", entry->key,
                   entry->value, RATE_COUNT_MAX);
    else
        *rate = (struct profile_rate){(unsigned)count, period_ms};
}

void set_links(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    uint64_t n;

    if (slice_parse_u64(slice_str(entry->value), &n) != 0 || n > LINKS_MAX)
        load_fault(l, entry, "links: `%s` is no number from 0 (no limit) to %d", entry->value,
                   LINKS_MAX);
    else
        l->profile->limits.links = (unsigned)n;
}

void set_scope(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"stream", "credential", "host"};
    int i = load_choose(l, entry, words, 3);

    if (i >= 0)
        l->profile->limits.scope = (enum profile_scope)i;
}
_Static_assert(PROFILE_SCOPE_STREAM == 0 && PROFILE_SCOPE_CREDENTIAL == 1 &&
                   PROFILE_SCOPE_HOST == 2,
               "the words stand in this order");

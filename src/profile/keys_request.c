/* Setters of [connect] and [http NAME]. */
#include <strings.h>

#include "profile/load.h"

#define QUERY_PREFIX "query."
#define HEADER_PREFIX "header."

struct http *load_http(struct loader *l, const struct ini_entry *entry)
{
    struct profile_private *priv = l->priv;
    struct http *http;

    if (strcmp(entry->section, "connect") == 0)
        return &priv->connect;
    if (strcmp(entry->section, "fallback") == 0)
        return load_fallback(l, entry);
    for (unsigned i = 0; i < priv->n_https; i++)
        if (strcmp(priv->https[i].name, entry->name) == 0)
            return &priv->https[i];
    if (priv->n_https == PROFILE_HTTPS_MAX) {
        load_fault(l, entry, "more than %d [http] sections", PROFILE_HTTPS_MAX);
        return NULL;
    }
    if (priv->https == NULL)
        priv->https = arena_alloc(l->arena, PROFILE_HTTPS_MAX * sizeof(*priv->https));
    if (priv->https == NULL)
        return NULL;
    http = &priv->https[priv->n_https++];
    http->name = entry->name;
    http->file = entry->file;
    http->line = entry->line;
    return http;
}

void set_url(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct http *http = load_http(l, entry);
    bool connect = http == &l->priv->connect;
    struct error err = {0};

    if (http == NULL)
        return;
    /* Named, even if wrong: it is not to be called missing too. */
    http->file = entry->file;
    http->line = entry->line;
    http->url.omitted = true;
    l->unset_secret = false;
    if (load_url(l, entry->value, connect, &http->url, &http->head, &err) == 0) {
        http->lacks_secret |= l->unset_secret;
        return;
    }
    /* Told where it can be mended: at the stream's parameter, once for all URLs it is part of. */
    if (l->blamed == NULL)
        load_fault_error(l, entry, &err);
    else if (!l->blamed->blamed)
        diag_add(l->diag, l->blamed->file, l->blamed->line, "%s: %s", l->blamed->name, err.text);
    if (l->blamed != NULL)
        l->blamed->blamed = true;
}

static bool token_bytes(const char *text)
{
    return text[0] != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "!#$%&'*+-.^_`|~") == strlen(text);
}

static int compile(struct loader *l, struct http *http, enum template_context context,
                   struct slice text, struct template *out, struct error *err)
{
    struct resolver resolver = load_resolver(l);
    int rc;

    l->unset_secret = false;
    rc = template_compile(l->arena, context, text, &resolver, out, err);
    http->lacks_secret |= l->unset_secret;
    return rc;
}

/* An empty value is how a stream takes a line of the profile away, and a [fallback] one of its
 * [http NAME]: a line that is always left out. */
static void add_line(struct loader *l, const struct ini_entry *entry, struct http *http,
                     bool header, struct slice name)
{
    struct line **lines = header ? &http->header : &http->query;
    unsigned *n = header ? &http->n_header : &http->n_query;
    enum template_context context = header ? TEMPLATE_HEADER : TEMPLATE_QUERY;
    struct error err = {0};

    if (*n == PROFILE_LINES_MAX) {
        load_fault(l, entry, "%s: more than %d such lines", entry->key, PROFILE_LINES_MAX);
        return;
    }
    if (*lines == NULL)
        *lines = arena_alloc(l->arena, PROFILE_LINES_MAX * sizeof(**lines));
    if (*lines == NULL)
        return;
    (*lines)[*n] = (struct line){.name = name, .value = {.omitted = true}};
    if (entry->value[0] != '\0' &&
        compile(l, http, context, slice_str(entry->value), &(*lines)[*n].value, &err) != 0)
        load_fault_error(l, entry, &err);
    else
        ++*n;
}

void set_query(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct http *http = load_http(l, entry);
    struct buf name;

    if (http == NULL)
        return;
    buf_init(&name, LIMIT_INI_LINE * 4);
    if (template_encode(TEMPLATE_QUERY, slice_str(entry->key + sizeof(QUERY_PREFIX) - 1), &name) !=
        0)
        l->arena->failed = true;
    else
        add_line(l, entry, http, false, arena_slice(l->arena, buf_slice(&name)));
    buf_fini(&name);
}

/* Headers that say how the message itself is framed: only hawser can get them right. */
static bool own_header(const char *name)
{
    static const char *const own[] = {
        "Host", "Connection", "Upgrade", "Content-Length", "Transfer-Encoding", "TE", "Trailer"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcasecmp(name, own[i]) == 0)
            return true;
    return strncasecmp(name, "Sec-WebSocket-", 14) == 0;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return true;
    return false;
}

void set_header(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    const char *name = entry->key + sizeof(HEADER_PREFIX) - 1;
    struct http *http = load_http(l, entry);

    if (http == NULL)
        return;
    if (!token_bytes(name))
        load_fault(l, entry, "%s: `%s` is no name of a header", entry->key, name);
    else if (own_header(name))
        load_fault(l, entry, "%s: hawser writes `%s` itself%s", entry->key, name,
                   strcasecmp(name, "Sec-WebSocket-Protocol") == 0 ? "; see subprotocol" : "");
    else if (has_control(entry->value))
        load_fault(l, entry, "%s: a control byte (or a continued line) in a header", entry->key);
    else
        add_line(l, entry, http, true, slice_str(name));
}

void set_subprotocol(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct resolver resolver = load_resolver(l);
    struct error err = {0};

    if (has_control(entry->value))
        load_fault(l, entry, "subprotocol: a control byte (or a continued line)");
    else if (template_compile(l->arena, TEMPLATE_HEADER, slice_str(entry->value), &resolver,
                              &l->priv->subprotocol, &err) != 0)
        load_fault_error(l, entry, &err);
}

void set_method(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
    struct http *http = load_http(l, entry);

    if (http == NULL)
        return;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(entry->value, methods[i]) == 0) {
            http->method = methods[i];
            return;
        }
    load_fault(l, entry, "method: `%s` is none of GET, POST, PUT, PATCH, DELETE", entry->value);
}

/* Each line is a template of its own, so that one without a value can be left out. */
void set_body(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct http *http = load_http(l, entry);
    struct slice rest = slice_str(entry->value);

    if (http == NULL)
        return;
    http->body = arena_alloc(l->arena, PROFILE_LINES_MAX * sizeof(*http->body));
    while (rest.len != 0 && http->body != NULL) {
        const char *newline = slice_find_byte(rest, '\n');
        size_t n = newline != NULL ? (size_t)(newline - rest.ptr) : rest.len;
        struct error err = {0};

        if (http->n_body == PROFILE_LINES_MAX) {
            load_fault(l, entry, "body: more than %d lines", PROFILE_LINES_MAX);
            return;
        }
        if (compile(l, http, TEMPLATE_BODY, slice_make(rest.ptr, n), &http->body[http->n_body],
                    &err) != 0) {
            load_fault_error(l, entry, &err);
            return;
        }
        http->n_body++;
        rest = slice_from(rest, n + 1);
    }
}

static bool parse_ok_range(struct slice word, int *from, int *to)
{
    const char *dash = slice_find_byte(word, '-');
    size_t n = dash != NULL ? (size_t)(dash - word.ptr) : word.len;
    uint64_t first, last;

    if (slice_parse_u64(slice_make(word.ptr, n), &first) != 0)
        return false;
    last = first;
    if (dash != NULL && slice_parse_u64(slice_from(word, n + 1), &last) != 0)
        return false;
    *from = first <= 599 ? (int)first : 600;
    *to = last <= 599 ? (int)last : 600;
    return *from >= 200 && *to <= 599 && *from <= *to;
}

void set_ok(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct http *http = load_http(l, entry);
    struct slice rest = slice_str(entry->value);

    while (http != NULL && rest.len != 0) {
        size_t n = 0;

        while (n < rest.len && strchr(" \t\n,", rest.ptr[n]) == NULL)
            n++;
        if (n != 0 && http->n_ok == PROFILE_OK_MAX) {
            load_fault(l, entry, "ok: more than %d statuses", PROFILE_OK_MAX);
            return;
        }
        if (n != 0 && !parse_ok_range(slice_make(rest.ptr, n), &http->ok[http->n_ok].from,
                                      &http->ok[http->n_ok].to)) {
            load_fault(l, entry, "ok: `%.*s` is no status from 200 to 599, nor FROM-TO", (int)n,
                       rest.ptr);
            return;
        }
        http->n_ok += n != 0;
        rest = slice_from(rest, n + 1);
    }
}

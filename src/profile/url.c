/*
 * The URL of a request. Scheme and authority must be known when the profile is loaded: so the
 * host cannot be moved by anything that a message says, and plain text is refused before it is
 * ever spoken.
 */
#include "profile/authority.h"
#include "profile/load.h"

#define HOST_EXAMPLE "NAME, NAME:PORT, ADDRESS or [IPV6]:PORT"

enum url_part { URL_SCHEME, URL_AUTHORITY, URL_TARGET };

struct url_parser {
    struct loader *l;
    struct template_builder builder;
    struct buf head; /* scheme and authority so far */
    enum url_part part;
    size_t authority;    /* where it begins in head */
    struct param *param; /* the last that was put in */
    bool secure;         /* wss or https */
    bool unchecked;      /* a stand-in for a parameter is in the head */
};

/* ---- the parts in turn ---- */

static int put_head(struct url_parser *u, struct slice text, struct error *err)
{
    int rc = buf_append_slice(&u->head, text);

    if (rc == 0)
        rc = template_add_literal(&u->builder, text);
    return rc == 0 ? 0 : error_set(err, rc, "%s", error_text(rc));
}

static bool url_byte(char c)
{
    unsigned char b = (unsigned char)c;

    return b > ' ' && b < 0x7f && strchr("\"<>\\^`{|}", c) == NULL;
}

static int put_target(struct url_parser *u, struct slice text, struct error *err)
{
    int rc;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '#')
            return error_set(err, ERR_PARSE, "a URL with a fragment (\"#\") cannot be requested");
        if (!url_byte(text.ptr[i]))
            return error_set(err, ERR_PARSE,
                             "byte 0x%02x may not stand in a URL; write it as %%%02X",
                             (unsigned char)text.ptr[i], (unsigned char)text.ptr[i]);
    }
    rc = template_add_literal(&u->builder, text);
    return rc == 0 ? 0 : error_set(err, rc, "%s", error_text(rc));
}

/* Literal text: it may end the scheme and the authority. */
static int put_text(struct url_parser *u, struct slice text, struct error *err)
{
    size_t n = 0;
    int rc;

    if (u->part == URL_SCHEME) {
        const char *colon = memmem(text.ptr, text.len, "://", 3);

        n = colon != NULL ? (size_t)(colon - text.ptr) + 3 : text.len;
        rc = put_head(u, slice_make(text.ptr, n), err);
        if (rc != 0 || colon == NULL)
            return rc;
        u->part = URL_AUTHORITY;
        u->authority = u->head.len;
        text = slice_from(text, n);
    }
    if (u->part == URL_AUTHORITY) {
        for (n = 0; n < text.len && strchr("/?#", text.ptr[n]) == NULL;)
            n++;
        rc = put_head(u, slice_make(text.ptr, n), err);
        if (rc != 0 || n == text.len)
            return rc;
        u->part = URL_TARGET;
        text = slice_from(text, n);
    }
    return put_target(u, text, err);
}

static int put_value(struct url_parser *u, const struct token *token, struct slice value,
                     struct error *err)
{
    struct authority authority;
    int rc;

    u->unchecked |= u->l->placeholder && u->part != URL_TARGET;
    if (token->raw) {
        if (u->l->placeholder && u->part == URL_SCHEME)
            u->part = URL_TARGET; /* what the stream will give is a whole URL */
        return put_text(u, value, err);
    }
    switch (u->part) {
    case URL_SCHEME:
        break;
    case URL_AUTHORITY:
        if (!authority_parse(value, &authority))
            return error_set(err, ERR_PARSE, "`" SLICE_FMT "` is `" SLICE_FMT "`, which is no %s",
                             SLICE_ARG(token->text), SLICE_ARG(value), HOST_EXAMPLE);
        return put_head(u, value, err);
    case URL_TARGET:
        rc = template_encode(TEMPLATE_URL, value, &u->builder.literal);
        return rc == 0 ? 0 : error_set(err, rc, "%s", error_text(rc));
    }
    return error_set(err, ERR_PARSE,
                     "`${" SLICE_FMT "}` cannot be the scheme; for a whole URL write ${" SLICE_FMT
                     "|raw}",
                     SLICE_ARG(token->text), SLICE_ARG(token->text));
}

static int put_variable(struct url_parser *u, const struct token *token, struct error *err)
{
    struct resolver resolver = load_resolver(u->l);
    struct resolved found;

    u->l->placeholder = false;
    found = resolver.resolve(resolver.arg, TEMPLATE_URL, token->text, err);
    switch (found.kind) {
    case NAME_UNKNOWN:
        return ERR_PARSE;
    case NAME_VALUE:
        /* What is wrong from here on is likely to be wrong with this. */
        u->param = load_param(u->l, token->text);
        return put_value(u, token, found.value, err);
    case NAME_UNSET:
        return error_set(err, ERR_PARSE,
                         "`${" SLICE_FMT "}` has no value, and a URL cannot do "
                         "without; only query and header lines are left out",
                         SLICE_ARG(token->text));
    case NAME_RUNTIME:
    case NAME_SOURCE:
        break;
    }
    if (u->part != URL_TARGET)
        return error_set(err, ERR_PARSE,
                         "`${" SLICE_FMT "}` may stand behind the host only: scheme and host must "
                         "be known beforehand",
                         SLICE_ARG(token->text));
    return template_add_piece(
        &u->builder, u->l->arena,
        (struct piece){.kind = token->raw ? PIECE_RAW : PIECE_VARIABLE, .text = token->text}, err);
}

/* ---- the whole ---- */

static int check_head(struct url_parser *u, bool websocket, struct error *err)
{
    struct slice head = buf_slice(&u->head), text = slice_from(head, u->authority);
    struct authority authority;
    const char *secure = websocket ? "wss" : "https", *plain = websocket ? "ws" : "http";
    struct slice scheme;

    if (u->part == URL_SCHEME)
        return error_set(err, ERR_PARSE, "a whole URL is needed, such as %s://host/path", secure);
    scheme = slice_make(head.ptr, u->authority - 3);
    if (!slice_eq_str(scheme, secure) && !slice_eq_str(scheme, plain))
        return error_set(err, ERR_PARSE, "the scheme must be %s (or %s), not `" SLICE_FMT "`",
                         secure, plain, SLICE_ARG(scheme));
    if (!authority_parse(text, &authority)) {
        if (slice_find_byte(text, '@') != NULL)
            return error_set(err, ERR_PARSE, "user and password cannot stand in a URL");
        return error_set(
            err, ERR_PARSE, "`" SLICE_FMT "` is no %s%s", SLICE_ARG(text), HOST_EXAMPLE,
            text.len != 0 && !authority_all_of(text, "\t !\"#$%&'()*+,-./0123456789:;<="
                                                     ">?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]"
                                                     "^_`abcdefghijklmnopqrstuvwxyz{|}~")
                ? "; write a name outside ASCII in its xn-- form"
                : "");
    }
    u->secure = slice_eq_str(scheme, secure);
    if (u->secure || authority_is_loopback(authority.host) ||
        (u->l->stream != NULL && u->l->stream->plaintext))
        return 0;
    return error_set(err, ERR_PARSE,
                     "%s:// to `" SLICE_FMT
                     "` would send everything, secrets too, unencrypted; use "
                     "%s://, or set plaintext = yes for the stream",
                     plain, SLICE_ARG(authority.host), secure);
}

static int parse_url(struct url_parser *u, struct slice text, struct error *err)
{
    struct token token;
    int rc;

    while ((rc = template_token(&text, &token, err)) == 1) {
        rc = token.variable ? put_variable(u, &token, err) : put_text(u, token.text, err);
        if (rc != 0)
            break;
    }
    return rc;
}

int load_url(struct loader *l, const char *text, bool websocket, struct template *out,
             struct url_head *head, struct error *err)
{
    struct url_parser u = {.l = l};
    int rc;

    template_builder_init(&u.builder);
    buf_init(&u.head, LIMIT_INI_LINE);
    rc = parse_url(&u, slice_str(text), err);
    if (rc == 0 && !u.unchecked)
        rc = check_head(&u, websocket, err);
    l->blamed = rc != 0 && u.param != NULL && u.param->file != NULL ? u.param : NULL;
    if (rc == 0)
        rc = template_finish(&u.builder, l->arena, out, err);
    if (rc == 0)
        *head = (struct url_head){
            .authority = arena_slice(l->arena, slice_from(buf_slice(&u.head), u.authority)),
            .secure = u.secure};
    buf_fini(&u.head);
    template_builder_fini(&u.builder);
    return rc;
}

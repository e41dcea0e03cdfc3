#include "profile/template.h"

#include "json/json.h"

int template_token(struct slice *rest, struct token *out, struct error *err)
{
    const char *open, *close;
    struct slice name, text = *rest;

    if (text.ptr == NULL || text.len == 0)
        return 0;
    open = memmem(text.ptr, text.len, "${", 2);
    if (open != text.ptr) {
        size_t n = open != NULL ? (size_t)(open - text.ptr) : text.len;

        *out = (struct token){.text = slice_make(text.ptr, n)};
        *rest = slice_from(text, n);
        return 1;
    }
    close = slice_find_byte(text, '}');
    if (close == NULL)
        return error_set(err, ERR_PARSE, "\"${\" without a \"}\" behind it");
    name = slice_make(text.ptr + 2, (size_t)(close - text.ptr) - 2);
    *rest = slice_from(text, (size_t)(close - text.ptr) + 1);
    *out = (struct token){.variable = true};
    if (slice_find_byte(name, '|') != NULL) {
        const char *bar = slice_find_byte(name, '|');
        struct slice filter = slice_from(name, (size_t)(bar - name.ptr) + 1);

        if (!slice_eq_str(filter, "raw"))
            return error_set(err, ERR_PARSE,
                             "`" SLICE_FMT "`: the only thing that may follow \"|\" is raw",
                             SLICE_ARG(name));
        out->raw = true;
        name.len = (size_t)(bar - name.ptr);
    }
    if (name.len == 0)
        return error_set(err, ERR_PARSE, "\"${}\" names nothing");
    out->text = name;
    return 1;
}

/* ---- building ---- */

void template_builder_init(struct template_builder *builder)
{
    builder->n = 0;
    builder->omitted = false;
    buf_init(&builder->literal, LIMIT_INI_LINE * 4);
}

void template_builder_fini(struct template_builder *builder)
{
    buf_fini(&builder->literal);
}

int template_add_literal(struct template_builder *builder, struct slice encoded)
{
    return buf_append_slice(&builder->literal, encoded);
}

static int push(struct template_builder *builder, struct piece piece, struct error *err)
{
    if (builder->n == TEMPLATE_PIECES_MAX)
        return error_set(err, ERR_PARSE, "more than %d pieces in one template",
                         TEMPLATE_PIECES_MAX);
    builder->pieces[builder->n++] = piece;
    return 0;
}

static int flush_literal(struct template_builder *builder, struct arena *arena, struct error *err)
{
    struct slice text;

    if (builder->literal.len == 0)
        return 0;
    text = arena_slice(arena, buf_slice(&builder->literal));
    if (text.ptr == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    buf_clear(&builder->literal);
    return push(builder, (struct piece){.kind = PIECE_LITERAL, .text = text}, err);
}

int template_add_piece(struct template_builder *builder, struct arena *arena, struct piece piece,
                       struct error *err)
{
    int rc = flush_literal(builder, arena, err);

    if (rc != 0)
        return rc;
    piece.text = arena_slice(arena, piece.text);
    if (piece.text.ptr == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    return push(builder, piece, err);
}

int template_finish(struct template_builder *builder, struct arena *arena, struct template *out,
                    struct error *err)
{
    int rc = flush_literal(builder, arena, err);

    if (rc != 0)
        return rc;
    out->pieces = arena_copy(arena, builder->pieces, builder->n, sizeof(builder->pieces[0]));
    if (out->pieces == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    out->n = builder->n;
    out->omitted = builder->omitted;
    return 0;
}

/* Literal text of the profile: only a query line holds plain text that is still to be encoded. */
static int add_text(struct template_builder *builder, enum template_context context,
                    struct slice text)
{
    return context == TEMPLATE_QUERY ? template_encode(context, text, &builder->literal)
                                     : template_add_literal(builder, text);
}

static int add_variable(struct template_builder *builder, struct arena *arena,
                        enum template_context context, const struct token *token,
                        const struct resolver *resolver, struct error *err)
{
    struct resolved found = resolver->resolve(resolver->arg, context, token->text, err);

    switch (found.kind) {
    case NAME_UNKNOWN:
        return ERR_PARSE;
    case NAME_UNSET:
        builder->omitted = true;
        return 0;
    case NAME_VALUE:
        return token->raw ? template_add_literal(builder, found.value)
                          : template_encode(context, found.value, &builder->literal);
    case NAME_RUNTIME:
        return template_add_piece(
            builder, arena,
            (struct piece){.kind = token->raw ? PIECE_RAW : PIECE_VARIABLE, .text = token->text},
            err);
    case NAME_SOURCE:
        return template_add_piece(
            builder, arena,
            (struct piece){.kind = token->raw ? PIECE_SOURCE_RAW : PIECE_SOURCE,
                           .text = token->text,
                           .source = found.source},
            err);
    }
    return ERR_PARSE;
}

int template_compile(struct arena *arena, enum template_context context, struct slice text,
                     const struct resolver *resolver, struct template *out, struct error *err)
{
    struct template_builder builder;
    struct token token = {0};
    int rc;

    template_builder_init(&builder);
    while ((rc = template_token(&text, &token, err)) == 1) {
        rc = token.variable ? add_variable(&builder, arena, context, &token, resolver, err)
                            : add_text(&builder, context, token.text);
        if (rc != 0)
            break;
    }
    if (rc == 0)
        rc = template_finish(&builder, arena, out, err);
    template_builder_fini(&builder);
    return rc == ERR_NOMEM || rc == ERR_LIMIT ? error_set(err, rc, "%s", error_text(rc)) : rc;
}

bool template_uses(const struct template *template, struct slice variable)
{
    for (unsigned i = 0; i < template->n; i++) {
        const struct piece *piece = &template->pieces[i];

        if ((piece->kind == PIECE_VARIABLE || piece->kind == PIECE_RAW) &&
            slice_eq(piece->text, variable))
            return true;
    }
    return false;
}

/* ---- encoding ---- */

/* RFC 3986, section 2.3. */
static bool unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static int encode_percent(struct slice value, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        char triple[3] = {'%', digits[c >> 4], digits[c & 15]};
        int rc = unreserved(c) ? buf_append_byte(out, (char)c) : buf_append(out, triple, 3);

        if (rc != 0)
            return rc;
    }
    return 0;
}

/* As json_write_string, without the quotes. */
static int encode_json(struct slice value, struct buf *out)
{
    size_t start = out->len;
    int rc = json_write_string(out, value);

    if (rc != 0)
        return rc;
    out->len--;
    memmove(out->data + start, out->data + start + 1, out->len - start - 1);
    out->len--;
    return 0;
}

int template_encode(enum template_context context, struct slice value, struct buf *out)
{
    switch (context) {
    case TEMPLATE_URL:
    case TEMPLATE_QUERY:
        return encode_percent(value, out);
    case TEMPLATE_BODY:
        return encode_json(value, out);
    case TEMPLATE_HEADER:
    case TEMPLATE_MESSAGE:
        break;
    }
    return buf_append_slice(out, value);
}

/* ---- rendering ---- */

/* What no encoding makes good: bytes that would end the line, or the URL. */
static int check_value(enum template_context context, const struct piece *piece, struct slice value,
                       struct error *err)
{
    bool url = context == TEMPLATE_URL || context == TEMPLATE_QUERY;

    if (context != TEMPLATE_HEADER && !(url && piece->kind == PIECE_RAW))
        return 0;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if (url ? c <= ' ' || c >= 0x7f || c == '#' : (c < ' ' && c != '\t') || c == 0x7f)
            return error_set(err, ERR_INVAL,
                             "the value of ${" SLICE_FMT "} holds byte 0x%02x, which may not stand "
                             "in a %s",
                             SLICE_ARG(piece->text), c, url ? "URL" : "header");
    }
    return 0;
}

int template_render_piece(const struct piece *piece, enum template_context context,
                          profile_lookup lookup, void *arg, struct buf *out, struct error *err)
{
    struct slice value;
    int rc;

    if (piece->kind == PIECE_LITERAL) {
        rc = buf_append_slice(out, piece->text);
    } else {
        value = lookup(arg, piece->text);
        if (value.ptr == NULL)
            return 0;
        rc = check_value(context, piece, value, err);
        if (rc != 0)
            return rc;
        rc = piece->kind == PIECE_RAW ? buf_append_slice(out, value)
                                      : template_encode(context, value, out);
    }
    return rc == 0 ? 1 : error_set(err, rc, "%s", error_text(rc));
}

int template_render(const struct template *template, enum template_context context,
                    profile_lookup lookup, void *arg, struct buf *out, struct error *err)
{
    size_t start = out->len;

    if (template->omitted)
        return 0;
    for (unsigned i = 0; i < template->n; i++) {
        int rc = template_render_piece(&template->pieces[i], context, lookup, arg, out, err);

        if (rc != 1) {
            out->len = start;
            return rc;
        }
    }
    return 1;
}

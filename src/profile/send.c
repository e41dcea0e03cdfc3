/* [send NAME]: its text, made of variables and of the message that was read last. */
#include "profile/scanner.h"
#include "profile/template.h"

static int place_error(const struct piece *piece, int rc, struct error *err)
{
    if (rc == ERR_INVAL)
        return error_set(err, rc,
                         "`" SLICE_FMT "` is neither a string nor a number; write ${" SLICE_FMT
                         "|raw} for what stands there",
                         SLICE_ARG(piece->text), SLICE_ARG(piece->text));
    if (rc == ERR_LIMIT)
        return error_set(err, rc, "`" SLICE_FMT "` is longer than %d bytes", SLICE_ARG(piece->text),
                         LIMIT_VARIABLE);
    return error_set(err, rc, "%s", error_text(rc));
}

/* As it is written: what looks the same in every JSON text, and anything where that is asked for.
 */
static bool as_written(const struct profile_scanner *s, const struct piece *piece,
                       struct slice *out)
{
    const struct json_value *value = &s->slots[piece->source.level][piece->source.slot];
    bool raw = piece->kind == PIECE_SOURCE_RAW;

    if (piece->source.header)
        return false;
    *out = value->raw;
    switch (value->type) {
    case JSON_TRUE:
    case JSON_FALSE:
        return true;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        return raw;
    case JSON_ABSENT:
    case JSON_NUMBER:
    case JSON_STRING:
        break;
    }
    return false;
}

/* Absent is empty text. */
static int render_place(struct profile_scanner *s, const struct piece *piece, struct buf *out,
                        struct error *err)
{
    struct slice text;
    int rc;

    if (!s->at_message)
        return 0;
    rc = as_written(s, piece, &text) ? 0 : scanner_source(s, &piece->source, &s->part, &text);
    if (rc == ERR_NOTFOUND)
        return 0;
    if (rc != 0)
        return place_error(piece, rc, err);
    rc = piece->kind == PIECE_SOURCE_RAW ? buf_append_slice(out, text)
                                         : template_encode(TEMPLATE_BODY, text, out);
    return rc == 0 ? 0 : error_set(err, rc, "%s", error_text(rc));
}

static int render_piece(struct profile_scanner *s, const struct piece *piece, profile_lookup lookup,
                        void *arg, struct buf *out, struct error *err)
{
    int rc;

    if (piece->kind != PIECE_SOURCE && piece->kind != PIECE_SOURCE_RAW)
        return template_render_piece(piece, TEMPLATE_BODY, lookup, arg, out, err);
    rc = render_place(s, piece, out, err);
    return rc == 0 ? 1 : rc;
}

int profile_render_send(const struct profile *profile, unsigned send,
                        struct profile_scanner *scanner, profile_lookup lookup, void *arg,
                        struct buf *out, struct error *err)
{
    const struct template *text = &profile->priv->sends[send].text;

    buf_clear(out);
    if (text->omitted)
        return 0;
    for (unsigned i = 0; i < text->n; i++) {
        int rc = render_piece(scanner, &text->pieces[i], lookup, arg, out, err);

        if (rc == 1)
            continue;
        buf_wipe(out); /* it may hold a secret already */
        if (rc < 0 && err != NULL)
            return error_wrap(err, "[send %s]", profile->sends[send].name);
        return rc;
    }
    return 1;
}

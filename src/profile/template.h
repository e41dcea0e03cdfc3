/*
 * template.h - "${name}" in a text, encoded by where it stands.
 *
 * Decides: the grammar, and what a value looks like in a URL, a header, a JSON body.
 * Leaves: which names there are and what they stand for, to a resolver when it compiles and to
 * a lookup when it renders.
 * Fails: ERR_PARSE (compiling), ERR_INVAL (rendering), with a text; nobody's value is in it.
 */
#ifndef HAWSER_PROFILE_TEMPLATE_H
#define HAWSER_PROFILE_TEMPLATE_H

#include "base/error.h"
#include "profile/internal.h"

#define TEMPLATE_PIECES_MAX 64

/* What a name stands for. */
enum name_kind {
    NAME_UNKNOWN, /* the resolver has written the error */
    NAME_VALUE,   /* known now: a parameter */
    NAME_UNSET,   /* a parameter that has no value */
    NAME_RUNTIME, /* known when it is rendered */
    NAME_SOURCE   /* of the message */
};

struct resolved {
    enum name_kind kind;
    struct slice value;
    struct source source;
};

struct resolver {
    struct resolved (*resolve)(void *arg, enum template_context context, struct slice name,
                               struct error *err);
    void *arg;
};

/* One step through a text. */
struct token {
    bool variable, raw;
    struct slice text; /* literal text, or the name */
};

/* 1 and a token, 0 at the end, or ERR_PARSE. */
int template_token(struct slice *rest, struct token *out, struct error *err);

/* Collects pieces; neighbouring literals become one. */
struct template_builder {
    struct buf literal;
    struct piece pieces[TEMPLATE_PIECES_MAX];
    unsigned n;
    bool omitted;
};
void template_builder_init(struct template_builder *builder);
void template_builder_fini(struct template_builder *builder);
int template_add_literal(struct template_builder *builder, struct slice encoded);
int template_add_piece(struct template_builder *builder, struct arena *arena, struct piece piece,
                       struct error *err);
int template_finish(struct template_builder *builder, struct arena *arena, struct template *out,
                    struct error *err);

/* The whole of it, for every context but TEMPLATE_URL (see url.h). */
int template_compile(struct arena *arena, enum template_context context, struct slice text,
                     const struct resolver *resolver, struct template *out, struct error *err);

/* True if the template names the variable. */
bool template_uses(const struct template *template, struct slice variable);

/* Appends `value` as it must look in the context. */
int template_encode(enum template_context context, struct slice value, struct buf *out);

/* As template_render(), of one piece that is not of the message. */
int template_render_piece(const struct piece *piece, enum template_context context,
                          profile_lookup lookup, void *arg, struct buf *out, struct error *err);

/*
 * 1: appended. 0: a variable is unset, nothing was appended. ERR_INVAL: the value may not stand
 * there (a control byte in a header, a space in a raw piece of a URL). ERR_NOMEM, ERR_LIMIT.
 */
int template_render(const struct template *template, enum template_context context,
                    profile_lookup lookup, void *arg, struct buf *out, struct error *err);

#endif

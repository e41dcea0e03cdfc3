#include <stdlib.h>

#include "profile/rule.h"

/* ---- reading ---- */

struct parser {
    struct slice rest;
    struct arena *arena;
    const struct expr_names *names;
    struct error *err;
    unsigned depth, tests;
    bool unset;
};

static int parse_any(struct parser *p, struct expr **out);

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct parser *p)
{
    while (p->rest.len != 0 && is_blank(p->rest.ptr[0]))
        p->rest = slice_from(p->rest, 1);
}

/* Takes the word if it is next. */
static bool take(struct parser *p, const char *word)
{
    skip_blanks(p);
    if (!slice_starts_with(p->rest, slice_str(word)))
        return false;
    p->rest = slice_from(p->rest, strlen(word));
    return true;
}

static int fail(struct parser *p, const char *what)
{
    struct slice near = p->rest;

    if (near.len == 0)
        return error_set(p->err, ERR_PARSE, "%s, but it ends there", what);
    if (near.len > 24)
        near.len = 24;
    return error_set(p->err, ERR_PARSE, "%s, not `" SLICE_FMT "`", what, SLICE_ARG(near));
}

static bool at_operator(struct slice s)
{
    return slice_starts_with(s, SLICE("==")) || slice_starts_with(s, SLICE("!=")) ||
           slice_starts_with(s, SLICE("&&")) || s.ptr[0] == '|';
}

/* Up to a blank, a parenthesis or an operator. */
static struct slice take_word(struct parser *p)
{
    struct slice s = p->rest;
    size_t n = 0;

    while (n < s.len && !is_blank(s.ptr[n]) && s.ptr[n] != ')' && !at_operator(slice_from(s, n)))
        n++;
    p->rest = slice_from(s, n);
    return slice_make(s.ptr, n);
}

static struct expr *new_expr(struct parser *p, enum expr_kind kind)
{
    struct expr *expr = arena_alloc(p->arena, sizeof(*expr));

    if (expr == NULL)
        error_set(p->err, ERR_NOMEM, "out of memory");
    else
        expr->kind = kind;
    return expr;
}

static int read_param(struct parser *p, struct operand *operand)
{
    struct token token;
    struct resolved found;
    int rc = template_token(&p->rest, &token, p->err);

    if (rc < 0)
        return rc;
    found =
        p->names->resolver.resolve(p->names->resolver.arg, TEMPLATE_MESSAGE, token.text, p->err);
    operand->kind = OPERAND_TEXT;
    switch (found.kind) {
    case NAME_UNKNOWN:
        return ERR_PARSE;
    case NAME_UNSET:
        p->unset = true;
        return 0;
    case NAME_VALUE:
        operand->text = arena_slice(p->arena, found.value);
        return operand->text.ptr != NULL ? 0 : error_set(p->err, ERR_NOMEM, "out of memory");
    case NAME_RUNTIME:
    case NAME_SOURCE:
        break;
    }
    return error_set(p->err, ERR_PARSE,
                     "`${" SLICE_FMT "}` is no parameter, and only those can be "
                     "compared with",
                     SLICE_ARG(token.text));
}

/* The length of the JSON string that starts here, 0 if it does not end. */
static size_t string_length(struct slice s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '"')
            return i + 1;
    }
    return 0;
}

static int decode_operand(struct parser *p, const struct json_value *value, struct operand *operand)
{
    struct buf text;
    int rc;

    buf_init(&text, LIMIT_INI_LINE);
    rc = json_string_decode(value, &text);
    if (rc == 0) {
        operand->kind = OPERAND_STRING;
        operand->text = arena_slice(p->arena, buf_slice(&text));
        rc = operand->text.ptr != NULL ? 0 : ERR_NOMEM;
    }
    buf_fini(&text);
    return rc == 0 ? 0 : error_set(p->err, rc, "%s", error_text(rc));
}

/* A JSON value: the room that reads messages reads this too, so that both agree. */
static int read_json(struct parser *p, struct operand *operand)
{
    struct json_paths *whole = NULL;
    struct json_value value = {0};
    struct slice text, before = p->rest;
    unsigned slot;
    int rc;

    if (p->rest.ptr[0] == '"') {
        text = slice_make(p->rest.ptr, string_length(p->rest));
        p->rest = slice_from(p->rest, text.len);
    } else {
        text = take_word(p);
    }
    rc = json_paths_new(&whole);
    if (rc == 0)
        rc = json_paths_add(whole, SLICE(""), &slot, p->err);
    if (rc == 0 && json_scan(whole, text, &value, NULL) != 0)
        value.type = JSON_ABSENT;
    json_paths_free(whole);
    if (rc != 0)
        return error_set(p->err, rc, "%s", error_text(rc));
    operand->literal = value.type;
    operand->kind = OPERAND_LITERAL;
    switch (value.type) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        return 0;
    case JSON_NUMBER:
        operand->kind = OPERAND_NUMBER;
        operand->is_int = json_int64(&value, &operand->integer) == 0;
        operand->text = arena_slice(p->arena, text);
        return operand->text.ptr != NULL ? 0 : error_set(p->err, ERR_NOMEM, "out of memory");
    case JSON_STRING:
        return decode_operand(p, &value, operand);
    case JSON_ABSENT:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    p->rest = before;
    return fail(p, "a value must follow (a JSON string in quotes, a number, true, false, null or "
                   "${parameter})");
}

static int parse_operand(struct parser *p, struct operand *operand)
{
    skip_blanks(p);
    if (p->rest.len == 0)
        return fail(p, "a value must follow");
    return slice_starts_with(p->rest, SLICE("${")) ? read_param(p, operand) : read_json(p, operand);
}

static int parse_place(struct parser *p, struct source *out)
{
    struct slice place;

    skip_blanks(p);
    place = take_word(p);
    if (place.len == 0)
        return fail(p, "a JSON Pointer or \"(\" must stand here");
    return p->names->source(p->names->arg, place, out, p->err);
}

static bool take_bar(struct parser *p)
{
    skip_blanks(p);
    return !slice_starts_with(p->rest, SLICE("||")) && take(p, "|");
}

static int parse_places(struct parser *p, struct expr *expr)
{
    struct source others[EXPR_PLACES_MAX - 1];
    unsigned n = 0;
    int rc = parse_place(p, &expr->source);

    while (rc == 0 && take_bar(p)) {
        if (n == EXPR_PLACES_MAX - 1)
            return error_set(p->err, ERR_PARSE, "more than %d places in one test", EXPR_PLACES_MAX);
        rc = parse_place(p, &others[n++]);
    }
    if (rc != 0 || n == 0)
        return rc;
    expr->others = arena_copy(p->arena, others, n, sizeof(others[0]));
    if (expr->others == NULL)
        return error_set(p->err, ERR_NOMEM, "out of memory");
    expr->n_others = n;
    return 0;
}

static int parse_test(struct parser *p, struct expr **out)
{
    struct expr *expr;
    int rc;

    if (++p->tests > EXPR_TESTS_MAX)
        return error_set(p->err, ERR_PARSE, "more than %d tests in one expression", EXPR_TESTS_MAX);
    expr = new_expr(p, EXPR_EXISTS);
    if (expr == NULL)
        return ERR_NOMEM;
    rc = parse_places(p, expr);
    if (rc != 0)
        return rc;
    *out = expr;
    if (take(p, "exists"))
        return 0;
    if (take(p, "=="))
        expr->kind = EXPR_EQ;
    else if (take(p, "!="))
        expr->kind = EXPR_NE;
    else
        return fail(p, "==, != or exists must follow");
    return parse_operand(p, &expr->operand);
}

static int parse_primary(struct parser *p, struct expr **out)
{
    int rc;

    if (!take(p, "("))
        return parse_test(p, out);
    if (++p->depth > EXPR_DEPTH_MAX)
        return error_set(p->err, ERR_PARSE, "more than %d parentheses in one another",
                         EXPR_DEPTH_MAX);
    rc = parse_any(p, out);
    if (rc == 0 && !take(p, ")"))
        rc = fail(p, "\")\" must stand here");
    p->depth--;
    return rc;
}

/* `part` joined by `word`, as one node of `kind` when there are several. */
static int parse_chain(struct parser *p, enum expr_kind kind, const char *word,
                       int (*part)(struct parser *, struct expr **), struct expr **out)
{
    struct expr *last, *chain;
    int rc = part(p, out);

    if (rc != 0 || !take(p, word))
        return rc;
    chain = new_expr(p, kind);
    if (chain == NULL)
        return ERR_NOMEM;
    chain->child = last = *out;
    *out = chain;
    do {
        struct expr *more;

        rc = part(p, &more);
        if (rc != 0)
            return rc;
        last->next = more;
        last = more;
    } while (take(p, word));
    return 0;
}

static int parse_term(struct parser *p, struct expr **out)
{
    return parse_chain(p, EXPR_AND, "&&", parse_primary, out);
}

static int parse_any(struct parser *p, struct expr **out)
{
    return parse_chain(p, EXPR_OR, "||", parse_term, out);
}

int expr_parse(struct arena *arena, struct slice text, const struct expr_names *names,
               const struct expr **out, bool *unset, struct error *err)
{
    struct parser p = {.rest = text, .arena = arena, .names = names, .err = err};
    struct expr *expr = NULL;
    int rc = parse_any(&p, &expr);

    if (rc != 0)
        return rc;
    skip_blanks(&p);
    if (p.rest.len != 0)
        return fail(&p, "&& or || must stand here");
    *unset = p.unset;
    *out = p.unset ? NULL : expr;
    return 0;
}

/* ---- asking ---- */

#define NUMBER_TEXT_MAX 64 /* longer numbers are compared as text */

static bool as_double(struct slice text, double *out)
{
    char copy[NUMBER_TEXT_MAX + 1];

    if (text.len > NUMBER_TEXT_MAX)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *out = strtod(copy, NULL);
    return true;
}

static bool number_eq(const struct json_value *value, const struct operand *operand)
{
    int64_t integer;
    double a, b;

    if (operand->is_int && json_int64(value, &integer) == 0)
        return integer == operand->integer;
    if (as_double(value->raw, &a) && as_double(operand->text, &b))
        return !(a < b) && !(a > b);
    return slice_eq(value->raw, operand->text);
}

static bool value_eq(const struct json_value *value, const struct operand *operand)
{
    switch (operand->kind) {
    case OPERAND_STRING:
        return value->type == JSON_STRING && json_string_eq(value, operand->text);
    case OPERAND_TEXT:
        return value->type == JSON_NUMBER
                   ? slice_eq(value->raw, operand->text)
                   : value->type == JSON_STRING && json_string_eq(value, operand->text);
    case OPERAND_NUMBER:
        return value->type == JSON_NUMBER && number_eq(value, operand);
    case OPERAND_LITERAL:
        return value->type == operand->literal;
    }
    return false;
}

static bool header_eq(struct slice header, const struct operand *operand)
{
    return header.ptr != NULL && operand->kind != OPERAND_LITERAL &&
           slice_eq(header, operand->text);
}

static bool is_present(const struct source *source, const struct expr_subject *subject)
{
    return source->header ? subject->headers[source->slot].ptr != NULL
                          : subject->slots[source->level][source->slot].type != JSON_ABSENT;
}

/* The place that counts: the first that is present. */
static const struct source *pick(const struct expr *expr, const struct expr_subject *subject)
{
    const struct source *at = &expr->source;

    for (unsigned i = 0; i < expr->n_others && !is_present(at, subject); i++)
        at = &expr->others[i];
    return at;
}

static bool source_eq(const struct expr *expr, const struct expr_subject *subject)
{
    const struct source *at = pick(expr, subject);

    return at->header ? header_eq(subject->headers[at->slot], &expr->operand)
                      : value_eq(&subject->slots[at->level][at->slot], &expr->operand);
}

bool expr_holds(const struct expr *expr, const struct expr_subject *subject)
{
    const struct expr *child;

    switch (expr->kind) {
    case EXPR_AND:
        for (child = expr->child; child != NULL; child = child->next)
            if (!expr_holds(child, subject))
                return false;
        return true;
    case EXPR_OR:
        for (child = expr->child; child != NULL; child = child->next)
            if (expr_holds(child, subject))
                return true;
        return false;
    case EXPR_EQ:
        return source_eq(expr, subject);
    case EXPR_NE:
        return !source_eq(expr, subject);
    case EXPR_EXISTS:
        return is_present(pick(expr, subject), subject);
    }
    return false;
}

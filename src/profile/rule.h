/*
 * rule.h - match expressions, and the actions of [on NAME].
 *
 *     expression = term *( "||" term )          && binds tighter than ||
 *     term       = test *( "&&" test )
 *     test       = "(" expression ")" / place ( "exists" / ( "==" / "!=" ) value )
 *     place      = a JSON Pointer, or "header:NAME" in a profile with a header block
 *     value      = JSON string / number / true / false / null / "${" parameter "}"
 *
 * `!=` is the contrary of `==`, so it holds where the place is absent. Nothing but null equals
 * null, and an absent value equals nothing.
 */
#ifndef HAWSER_PROFILE_RULE_H
#define HAWSER_PROFILE_RULE_H

#include "base/error.h"
#include "profile/internal.h"
#include "profile/template.h"

#define EXPR_DEPTH_MAX 32 /* parentheses in one another */
#define EXPR_TESTS_MAX 64 /* in one expression */
#define RULE_DO_MAX 16    /* actions of one rule */

/* Where names lead: to a place of the message, or to a parameter. */
struct expr_names {
    int (*source)(void *arg, struct slice place, struct source *out, struct error *err);
    struct resolver resolver;
    void *arg;
};

/* *unset: a parameter that the expression names has no value; *out is NULL then. */
int expr_parse(struct arena *arena, struct slice text, const struct expr_names *names,
               const struct expr **out, bool *unset, struct error *err);

/* What an expression is asked of. */
struct expr_subject {
    const struct json_value *slots;
    const struct slice *headers;
};
bool expr_holds(const struct expr *expr, const struct expr_subject *subject);

/* "live, ignore" or one action a line; a TEXT reaches to the end of its line. */
int rule_parse_do(struct arena *arena, const char *rule, struct slice text,
                  const struct profile_rule_action **out, unsigned *n, struct error *err);

#endif

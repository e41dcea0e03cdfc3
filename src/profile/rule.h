/*
 * rule.h - match expressions, and the actions of [on NAME].
 *
 *     expression = term *( "||" term )          && binds tighter than ||
 *     term       = test *( "&&" test )
 *     test       = "(" expression ")" / place *( "|" place ) ( "exists" / ( "==" / "!=" ) value )
 *     place      = a JSON Pointer, "^" and one into what the message was taken out of, or
 *                  "header:NAME"; of several the first that is present
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
#define EXPR_PLACES_MAX 8 /* in `a | b` of one test */
#define RULE_DO_MAX 16    /* actions of one rule */
#define RULE_TAKEN_MAX 64 /* values that all rules of a profile take from messages */

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
    struct json_value *const *slots; /* by level */
    const struct slice *headers;
};
bool expr_holds(const struct expr *expr, const struct expr_subject *subject);

/* What an action names beyond itself. */
struct rule_names {
    int (*variable)(void *arg, struct slice name, unsigned *index, struct error *err);
    int (*taken)(void *arg, struct slice places, unsigned *index, struct error *err);
    void *arg;
};
/* "live, ignore" or one action a line; a TEXT reaches to the end of its line. What `send` and
 * `call` name stays in .text: it may stand further down in the profile. */
int rule_parse_do(struct arena *arena, const char *rule, struct slice text,
                  const struct rule_names *names, struct profile_rule_action **out, unsigned *n,
                  struct error *err);

#endif

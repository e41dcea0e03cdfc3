/*
 * http_text: what RFC 9110 calls a token and a field value. Private to wire.
 *
 * Decides: which bytes a name and a value may hold, and how words are compared. Fails: never.
 */
#ifndef HAWSER_WIRE_HTTP_TEXT_H
#define HAWSER_WIRE_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

static inline char http_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* RFC 9110 5.6.2: a header's name or a method is made of these, of at least one. */
bool http_is_token(struct slice text);
/* RFC 9110 5.5: no control byte but the tab. */
bool http_is_value(struct slice text);
bool http_eq_nocase(struct slice a, struct slice b);
/* Takes the next element, trimmed, off a comma-separated list; false when there is none. */
bool http_list_next(struct slice *list, struct slice *element);
/* Whether a comma-separated list has this element; letters of either case are equal. */
bool http_list_has(struct slice list, struct slice element);

#endif

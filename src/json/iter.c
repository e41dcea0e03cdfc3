/*
 * Walks a container that a scan has checked, so a value's end is found by its brackets and quotes
 * alone. A slice that was not checked yields nonsense or nothing, but is not read past.
 */
#include "json/json.h"
#include "json/lex.h"

static enum json_type type_of(char c)
{
    switch (c) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

/* Past the string whose opening quote is at `p`. */
static const char *skip_string(const char *p, const char *end, bool *escaped)
{
    *escaped = false;
    p++;
    while (p < end && *p != '"') {
        if (*p == '\\') {
            *escaped = true;
            p++;
        }
        /* Whatever this byte is, it is text: most often the start of a run. */
        if (p < end)
            p = lex_plain_end(p + 1, end);
    }
    return p < end ? p + 1 : end;
}

static const char *skip_container(const char *p, const char *end)
{
    size_t depth = 0;
    bool escaped;

    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end, &escaped);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']') && --depth == 0)
            return p + 1;
        p++;
    }
    return end;
}

/* A number or a literal. Takes a byte at least, so that a walk always ends. */
static const char *skip_word(const char *p, const char *end)
{
    p++;
    while (p < end && *p != ',' && *p != ']' && *p != '}' && lex_blank(p, end) == p)
        p++;
    return p;
}

/* The value at it->at, which is not blank. */
static void take_value(struct json_iter *it, struct json_value *value)
{
    const char *start = it->at;

    *value = (struct json_value){.type = type_of(*start)};
    if (value->type == JSON_STRING)
        it->at = skip_string(start, it->end, &value->escaped);
    else if (value->type == JSON_OBJECT || value->type == JSON_ARRAY)
        it->at = skip_container(start, it->end);
    else
        it->at = skip_word(start, it->end);
    value->raw = slice_make(start, (size_t)(it->at - start));
}

/* Past blanks and one `mark`, where there is one; false at the end. */
static bool skip_to_value(struct json_iter *it, char mark)
{
    it->at = lex_blank(it->at, it->end);
    if (it->at < it->end && *it->at == mark)
        it->at = lex_blank(it->at + 1, it->end);
    return it->at < it->end;
}

/* What lies between the brackets. */
static struct json_iter iter_inner(const struct json_value *value, enum json_type type)
{
    if (value->type != type)
        return (struct json_iter){NULL, NULL};
    return (struct json_iter){value->raw.ptr + 1, value->raw.ptr + value->raw.len - 1};
}

struct json_iter json_iter_array(const struct json_value *array)
{
    return iter_inner(array, JSON_ARRAY);
}

struct json_iter json_iter_object(const struct json_value *object)
{
    return iter_inner(object, JSON_OBJECT);
}

bool json_iter_next(struct json_iter *it, struct json_value *element)
{
    if (!skip_to_value(it, ','))
        return false;
    take_value(it, element);
    return true;
}

bool json_iter_next_member(struct json_iter *it, struct json_value *name, struct json_value *value)
{
    if (!skip_to_value(it, ','))
        return false;
    take_value(it, name);
    if (!skip_to_value(it, ':'))
        return false;
    take_value(it, value);
    return true;
}

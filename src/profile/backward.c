#include "profile/backward.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* `p` is behind the closing quote; the start of the string. Inside it each quote is escaped: an odd
 * number of backslashes stands before it. */
static const char *string_start(const char *p, const char *start)
{
    p--;
    while (p > start) {
        const char *slash = --p;

        if (*p != '"')
            continue;
        while (slash > start && slash[-1] == '\\')
            slash--;
        if ((p - slash) % 2 == 0)
            return p;
        p = slash;
    }
    return start;
}

static const char *container_start(const char *p, const char *start)
{
    size_t depth = 0;

    while (p > start) {
        if (p[-1] == '"') {
            p = string_start(p, start);
            continue;
        }
        p--;
        if (*p == ']' || *p == '}')
            depth++;
        else if ((*p == '[' || *p == '{') && --depth == 0)
            return p;
    }
    return start;
}

bool backward_element(struct json_iter *it, struct slice *element)
{
    const char *end = it->end, *p;

    if (it->at == NULL)
        return false;
    while (end > it->at && (is_blank(end[-1]) || end[-1] == ','))
        end--;
    if (end == it->at)
        return false;
    if (end[-1] == '"') {
        p = string_start(end, it->at);
    } else if (end[-1] == ']' || end[-1] == '}') {
        p = container_start(end, it->at);
    } else {
        p = end - 1;
        while (p > it->at && !is_blank(p[-1]) && p[-1] != ',')
            p--;
    }
    *element = slice_make(p, (size_t)(end - p));
    it->end = p;
    return true;
}

/* CR LF ends a line too. */
static struct slice trim_line(struct slice line)
{
    if (line.len != 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return slice_trim(line);
}

bool backward_line(struct slice *text, struct slice *line)
{
    while (text->len != 0) {
        const char *newline = memrchr(text->ptr, '\n', text->len);
        size_t before = newline != NULL ? (size_t)(newline - text->ptr) : 0;

        *line = trim_line(newline != NULL ? slice_from(*text, before + 1) : *text);
        text->len = before;
        if (line->len != 0)
            return true;
    }
    return false;
}

bool forward_line(struct slice *text, struct slice *line)
{
    while (text->len != 0) {
        const char *newline = slice_find_byte(*text, '\n');
        size_t len = newline != NULL ? (size_t)(newline - text->ptr) : text->len;

        *line = trim_line(slice_make(text->ptr, len));
        *text = slice_from(*text, len + 1);
        if (line->len != 0)
            return true;
    }
    return false;
}

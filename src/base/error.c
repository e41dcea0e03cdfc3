#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct description {
    const char *name;
    const char *text;
};

#define DESCRIPTION(code, text) {#code, text},
static const struct description descriptions[] = {HAWSER_ERRORS(DESCRIPTION)};
#undef DESCRIPTION

static const struct description *describe(int code)
{
    static const struct description success = {"OK", "success"};
    static const struct description unknown = {"ERR_UNKNOWN", "unknown error"};

    if (code == 0)
        return &success;
    if (code > 0 || code < -ERROR_COUNT)
        return &unknown;
    return &descriptions[-1 - code];
}

const char *error_name(int code)
{
    return describe(code)->name;
}

const char *error_text(int code)
{
    return describe(code)->text;
}

int error_from_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return ERR_NOMEM;
    case EINVAL:
        return ERR_INVAL;
    case EAGAIN:
        return ERR_AGAIN;
    case ENOENT:
        return ERR_NOTFOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EBUSY:
    case EADDRINUSE:
        return ERR_BUSY;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case EACCES:
    case EPERM:
        return ERR_PERM;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECANCELED:
        return ERR_CANCELED;
    default:
        return ERR_IO;
    }
}

/* Replaces the end of a full text by "...", without leaving half a UTF-8 character before it. */
static void mark_cut(char *text, size_t size)
{
    size_t end = size - sizeof "...";

    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", sizeof "...");
}

int error_vset(struct error *e, int code, const char *fmt, va_list args)
{
    /* Not formatted in place, since the arguments may refer to the old text. */
    char text[sizeof e->text];
    int n;

    assert(code < 0);
    if (e == NULL)
        return code;
    n = vsnprintf(text, sizeof text, fmt, args);
    if (n < 0)
        snprintf(text, sizeof text, "%s", error_text(code));
    else if ((size_t)n >= sizeof text)
        mark_cut(text, sizeof text);
    e->code = code;
    memcpy(e->text, text, sizeof text);
    return code;
}

int error_set(struct error *e, int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    error_vset(e, code, fmt, args);
    va_end(args);
    return code;
}

int error_wrap(struct error *e, const char *fmt, ...)
{
    char prefix[sizeof e->text];
    va_list args;
    int n;

    assert(e != NULL && e->code < 0);
    va_start(args, fmt);
    n = vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    if (n < 0)
        return e->code;
    return error_set(e, e->code, "%s: %s", prefix, e->text);
}

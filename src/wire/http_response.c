#include "wire/http.h"
#include "wire/http_date.h"
#include "wire/http_text.h"

enum { RETRY_AFTER_S_MAX = 24 * 3600, KEEP_ALIVE_S_MAX = 24 * 3600 };

/* Takes one line "name: value\n" off the list. */
static bool next_header(struct slice *lines, struct slice *name, struct slice *value)
{
    const char *lf = slice_find_byte(*lines, '\n');
    const char *colon = slice_find_byte(*lines, ':');

    if (lf == NULL || colon == NULL)
        return false;
    *name = slice_make(lines->ptr, (size_t)(colon - lines->ptr));
    *value = slice_make(colon + 2, (size_t)(lf - colon) - 2);
    *lines = slice_from(*lines, (size_t)(lf - lines->ptr) + 1);
    return true;
}

struct slice http_response_header(const struct http_response *response, const char *name)
{
    struct slice lines = buf_slice(&response->headers);
    struct slice at, value;

    while (next_header(&lines, &at, &value)) {
        if (slice_eq_str(at, name))
            return value;
    }
    return slice_make(NULL, 0);
}

bool http_response_header_next(const struct http_response *response, const char *name,
                               struct slice *at, struct slice *value)
{
    struct slice found;

    if (at->ptr == NULL)
        *at = buf_slice(&response->headers);
    while (next_header(at, &found, value)) {
        if (slice_eq_str(found, name))
            return true;
    }
    return false;
}

int http_response_header_joined(const struct http_response *response, const char *name,
                                struct buf *out)
{
    struct slice lines = buf_slice(&response->headers);
    struct slice at, value;
    size_t before = out->len;
    bool first = true;
    int rc = 0;

    while (rc == 0 && next_header(&lines, &at, &value)) {
        if (!slice_eq_str(at, name))
            continue;
        rc = first ? 0 : buf_append_str(out, ", ");
        if (rc == 0)
            rc = buf_append_slice(out, value);
        first = false;
    }
    if (rc != 0)
        out->len = before;
    return rc;
}

int64_t http_retry_after_ms(const struct http_response *response, int64_t now_unix_s)
{
    struct slice text = http_response_header(response, "retry-after");
    int64_t delay_s;
    uint64_t seconds;
    int rc = slice_parse_u64(text, &seconds);

    if (rc == 0 && seconds <= RETRY_AFTER_S_MAX)
        delay_s = (int64_t)seconds;
    else if (rc == 0 || rc == ERR_LIMIT)
        delay_s = RETRY_AFTER_S_MAX;
    else if (http_date_parse(text, now_unix_s, &delay_s))
        delay_s -= now_unix_s;
    else
        return -1;
    if (delay_s < 0)
        delay_s = 0;
    return (delay_s < RETRY_AFTER_S_MAX ? delay_s : RETRY_AFTER_S_MAX) * 1000;
}

/* "timeout=5": the number behind this name. */
static bool parameter(struct slice element, struct slice name, uint64_t *value)
{
    if (element.len <= name.len || element.ptr[name.len] != '=' ||
        !http_eq_nocase(slice_make(element.ptr, name.len), name))
        return false;
    return slice_parse_u64(slice_from(element, name.len + 1), value) == 0;
}

int64_t http_keep_alive_ms(const struct http_response *response)
{
    struct slice list = http_response_header(response, "keep-alive");
    struct slice element;
    int64_t timeout_s = -1;
    uint64_t value;

    while (http_list_next(&list, &element)) {
        if (parameter(element, SLICE("timeout"), &value))
            timeout_s = value < KEEP_ALIVE_S_MAX ? (int64_t)value : KEEP_ALIVE_S_MAX;
        else if (parameter(element, SLICE("max"), &value) && value == 0)
            return 0;
    }
    return timeout_s < 0 ? -1 : timeout_s * 1000;
}

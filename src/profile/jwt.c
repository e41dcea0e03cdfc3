/* When a token says that it expires. What it says is not checked: that is the service's business,
 * and a lie only makes us refresh too early or too late. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/limits.h"
#include "profile/profile.h"

#define NUMBER_TEXT_MAX 32
#define YEAR_9999_S 253402300799LL

/* The second of exactly three parts (RFC 7519, section 3; an encrypted token has five). */
static bool claims_part(struct slice token, struct slice *out)
{
    const char *first = slice_find_byte(token, '.'), *second;
    struct slice rest;

    if (first == NULL)
        return false;
    rest = slice_from(token, (size_t)(first - token.ptr) + 1);
    second = slice_find_byte(rest, '.');
    if (second == NULL)
        return false;
    *out = slice_make(rest.ptr, (size_t)(second - rest.ptr));
    return out->len != 0 && out->len <= LIMIT_SECRET &&
           slice_find_byte(slice_from(rest, out->len + 1), '.') == NULL;
}

/* RFC 7515, section 2: base64url without padding; some put the padding on all the same. */
static int decode(struct slice part, struct buf *standard, struct buf *out)
{
    int rc;

    while (part.len != 0 && part.ptr[part.len - 1] == '=')
        part.len--;
    rc = buf_reserve(standard, part.len + 3);
    if (rc == 0)
        rc = buf_reserve(out, part.len);
    for (size_t i = 0; rc == 0 && i < part.len; i++) {
        char c = part.ptr[i];

        rc = buf_append_byte(standard, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (rc == 0 && standard->len % 4 != 0)
        rc = buf_append_byte(standard, '=');
    return rc == 0 ? base64_decode(out, buf_slice(standard)) : rc;
}

/* A NumericDate: a JSON number, which may have a fraction or an exponent. */
static int64_t read_date(const struct json_value *value)
{
    char text[NUMBER_TEXT_MAX + 1];
    double number;

    if (value->type != JSON_NUMBER || value->raw.len > NUMBER_TEXT_MAX)
        return -1;
    memcpy(text, value->raw.ptr, value->raw.len);
    text[value->raw.len] = '\0';
    number = strtod(text, NULL);
    return number >= 0 && number <= (double)YEAR_9999_S ? (int64_t)number : -1;
}

static int64_t read_exp(struct slice claims)
{
    struct json_paths *paths = NULL;
    struct json_value value = {0};
    int64_t exp = -1;
    unsigned slot;

    if (json_paths_new(&paths) == 0 && json_paths_add(paths, SLICE("/exp"), &slot, NULL) == 0 &&
        json_scan(paths, claims, &value, NULL) == 0)
        exp = read_date(&value);
    json_paths_free(paths);
    return exp;
}

int64_t profile_jwt_expiry_s(struct slice token)
{
    struct buf standard, claims;
    struct slice part;
    int64_t exp = -1;

    if (!claims_part(token, &part))
        return -1;
    buf_init(&standard, LIMIT_SECRET + 3);
    buf_init(&claims, LIMIT_SECRET);
    if (decode(part, &standard, &claims) == 0)
        exp = read_exp(buf_slice(&claims));
    buf_wipe(&standard);
    buf_wipe(&claims);
    buf_fini(&standard);
    buf_fini(&claims);
    return exp;
}

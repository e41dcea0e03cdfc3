#include "wire/http_text.h"

static bool is_token_byte(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http_is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_token_byte((unsigned char)text.ptr[i]))
            return false;
    }
    return text.len > 0;
}

bool http_is_value(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

bool http_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (http_lower(a.ptr[i]) != http_lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool http_list_next(struct slice *list, struct slice *element)
{
    while (list->len > 0) {
        const char *comma = slice_find_byte(*list, ',');
        size_t len = comma != NULL ? (size_t)(comma - list->ptr) : list->len;

        *element = slice_trim(slice_make(list->ptr, len));
        *list = slice_from(*list, len + (comma != NULL));
        if (element->len > 0)
            return true;
    }
    return false;
}

bool http_list_has(struct slice list, struct slice element)
{
    struct slice at;

    while (http_list_next(&list, &at)) {
        if (http_eq_nocase(at, element))
            return true;
    }
    return false;
}

#include "profile/scanner.h"

/* `next` as text; .ptr NULL where absent. */
static int read_next(struct profile_scanner *s, struct slice *out, struct error *err)
{
    const struct profile_private *priv = s->profile->priv;
    int rc;

    *out = (struct slice){NULL, 0};
    if (!priv->has_next)
        return 0;
    rc = scanner_text(&s->slots[priv->page_next], &s->next, out);
    if (rc == 0 && out->len != 0)
        return 0;
    *out = (struct slice){NULL, 0};
    if (rc == 0 || rc == ERR_NOTFOUND)
        return 0;
    if (rc == ERR_LIMIT)
        return error_set(err, ERR_PROTOCOL, "`%s` of the page is longer than %d bytes",
                         priv->next_pointer, LIMIT_POSITION);
    return error_set(err, ERR_PROTOCOL, "`%s` of the page is neither a string nor a number",
                     priv->next_pointer);
}

/* Without a pointer for it, a page that brought something may be followed by another. */
static int read_more(const struct profile_scanner *s, size_t n_items, bool *out, struct error *err)
{
    const struct profile_private *priv = s->profile->priv;

    *out = n_items != 0;
    if (!priv->has_more)
        return 0;
    switch (s->slots[priv->page_more].type) {
    case JSON_TRUE:
        *out = true;
        return 0;
    case JSON_FALSE:
    case JSON_NULL:
    case JSON_ABSENT:
        *out = false;
        return 0;
    case JSON_NUMBER:
    case JSON_STRING:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return error_set(err, ERR_PROTOCOL, "`%s` of the page is neither true nor false",
                     priv->more_pointer);
}

static size_t count_items(struct json_iter items)
{
    struct json_value item;
    size_t n = 0;

    while (json_iter_next(&items, &item))
        n++;
    return n;
}

int profile_page_parse(struct profile_scanner *scanner, struct slice body, struct profile_page *out,
                       struct error *err)
{
    const struct profile_private *priv = scanner->profile->priv;
    const struct json_value *items;
    size_t error_offset = 0;
    int rc;

    memset(out, 0, sizeof(*out));
    if (json_scan(priv->page_paths, body, scanner->slots, &error_offset) != 0)
        return error_set(err, ERR_PARSE, "the page is no JSON: byte %zu of %zu is wrong",
                         error_offset, body.len);
    items = &scanner->slots[priv->page_items];
    /* null is how some servers write a list of none. */
    if (items->type == JSON_ARRAY) {
        out->items = json_iter_array(items);
        out->n_items = count_items(out->items);
    } else if (items->type != JSON_NULL) {
        return error_set(err, ERR_PROTOCOL, "the page has no list at `%s`%s", priv->items_pointer,
                         items->type == JSON_ABSENT ? "" : ", but something else");
    }
    rc = read_next(scanner, &out->next, err);
    return rc == 0 ? read_more(scanner, out->n_items, &out->more, err) : rc;
}

bool profile_page_next(struct profile_scanner *scanner, struct profile_page *page,
                       struct profile_message *out)
{
    struct json_value item;

    if (page->items.at == NULL || !json_iter_next(&page->items, &item))
        return false;
    scanner_read_item(scanner, item.raw, out);
    return true;
}

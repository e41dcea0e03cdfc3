#include "profile/backward.h"
#include "profile/scanner.h"

/* `next` as text; .ptr NULL where absent. */
static int read_next(struct profile_scanner *s, struct slice *out, struct error *err)
{
    const struct profile_private *priv = s->profile->priv;
    int rc;

    *out = (struct slice){NULL, 0};
    if (!priv->has_next)
        return 0;
    rc = scanner_text(&s->slots[LEVEL_MESSAGE][priv->page_next], &s->next, out);
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
    switch (s->slots[LEVEL_MESSAGE][priv->page_more].type) {
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

static bool is_gone(const struct profile_scanner *s)
{
    struct expr_subject subject = {s->slots, s->headers};

    return s->profile->priv->gone != NULL && expr_holds(s->profile->priv->gone, &subject);
}

/* An item a line; a line that is none is said with its number. */
static int parse_lines(struct slice body, struct profile_page *out, struct error *err)
{
    struct slice rest = body, line;
    size_t error_offset = 0;

    out->lines = body;
    while (forward_line(&rest, &line)) {
        out->n_items++;
        if (json_scan(NULL, line, NULL, &error_offset) != 0)
            return error_set(err, ERR_PARSE,
                             "item %zu of the page is no JSON: byte %zu of %zu is wrong",
                             out->n_items, error_offset, line.len);
    }
    out->more = out->n_items != 0;
    return 0;
}

int profile_page_parse(struct profile_scanner *scanner, struct slice body, struct profile_page *out,
                       struct error *err)
{
    const struct profile_private *priv = scanner->profile->priv;
    const struct json_value *items;
    size_t error_offset = 0;
    int rc;

    memset(out, 0, sizeof(*out));
    scanner->at_message = false;
    if (priv->page_ndjson)
        return parse_lines(body, out, err);
    if (json_scan(priv->page_paths, body, scanner->slots[LEVEL_MESSAGE], &error_offset) != 0)
        return error_set(err, ERR_PARSE, "the page is no JSON: byte %zu of %zu is wrong",
                         error_offset, body.len);
    out->gone = is_gone(scanner);
    items = &scanner->slots[LEVEL_MESSAGE][priv->page_items];
    if (items->type == JSON_ARRAY) {
        out->items = json_iter_array(items);
        out->n_items = count_items(out->items);
    } else if (out->gone) {
        return 0;                          /* nothing else need be in it */
    } else if (items->type != JSON_NULL) { /* which is how some servers write a list of none */
        return error_set(err, ERR_PROTOCOL, "the page has no list at `%s`%s", priv->items_pointer,
                         items->type == JSON_ABSENT ? "" : ", but something else");
    }
    rc = read_next(scanner, &out->next, err);
    return rc == 0 ? read_more(scanner, out->n_items, &out->more, err) : rc;
}

static bool take_item(const struct profile *profile, struct profile_page *page, struct slice *item)
{
    struct json_value value;

    if (profile->priv->page_ndjson)
        return profile->catchup.descending ? backward_line(&page->lines, item)
                                           : forward_line(&page->lines, item);
    if (profile->catchup.descending)
        return backward_element(&page->items, item);
    if (page->items.at == NULL || !json_iter_next(&page->items, &value))
        return false;
    *item = value.raw;
    return true;
}

bool profile_page_next(struct profile_scanner *scanner, struct profile_page *page,
                       struct profile_message *out)
{
    struct slice item;

    if (!take_item(scanner->profile, page, &item))
        return false;
    scanner_read_item(scanner, item, out);
    return true;
}

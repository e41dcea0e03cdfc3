/* Setters of [catchup], and of [http NAME] format. */
#include "profile/load.h"

void set_via(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"none", "http", "url", "session"};
    int i = load_choose(l, entry, words, 4);

    if (i < 0)
        return;
    l->profile->catchup.via = (enum profile_catchup_via)i;
    l->catchup_via = entry;
}
_Static_assert(PROFILE_CATCHUP_NONE == 0 && PROFILE_CATCHUP_HTTP == 1 && PROFILE_CATCHUP_URL == 2 &&
                   PROFILE_CATCHUP_SESSION == 3,
               "the words stand in this order");

void set_order(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"asc", "desc"};

    l->profile->catchup.descending = load_choose(l, entry, words, 2) == 1;
    l->order = entry;
}

void set_format(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"json", "ndjson"};
    struct http *http = load_http(l, entry);

    if (http != NULL)
        http->ndjson = load_choose(l, entry, words, 2) == 1;
}

static bool add_page_pointer(struct loader *l, const struct ini_entry *entry, unsigned *slot)
{
    struct error err = {0};

    if (load_pointer(l->priv->page_paths, slice_str(entry->value), slot, &err) == 0)
        return true;
    load_fault_error(l, entry, &err);
    return false;
}

void set_items(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->items = entry;
    if (add_page_pointer(l, entry, &l->priv->page_items))
        l->priv->items_pointer = entry->value;
}

void set_next(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    if (entry->value[0] == '\0')
        return;
    l->next = entry;
    l->priv->has_next = add_page_pointer(l, entry, &l->priv->page_next);
    l->priv->next_pointer = entry->value;
}

void set_more(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    if (entry->value[0] == '\0')
        return;
    l->more = entry;
    l->priv->has_more = add_page_pointer(l, entry, &l->priv->page_more);
    l->priv->more_pointer = entry->value;
}

/* Setters of [fallback NAME], but for its request. */
#include "profile/load.h"

#define AFTER_MAX 1000

struct http *load_fallback(struct loader *l, const struct ini_entry *entry)
{
    struct http *http = &l->priv->fallback;

    if (http->name == NULL) {
        *http = (struct http){.name = entry->name, .file = entry->file, .line = entry->line};
        l->profile->fallback.exists = true;
        l->profile->fallback.name = http->name;
    }
    if (strcmp(http->name, entry->name) == 0)
        return http;
    if (!l->too_many_fallbacks)
        load_fault(l, entry, "[fallback %s]: there is [fallback %s] already, and only one can be",
                   entry->name, http->name);
    l->too_many_fallbacks = true;
    return NULL;
}

void set_transport(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"longpoll", "sse", "ndjson"};
    int i = load_choose(l, entry, words, 3);

    if (load_fallback(l, entry) == NULL)
        return;
    l->has_transport = true;
    l->transport_known = i >= 0;
    if (i >= 0)
        l->profile->fallback.transport = (enum profile_transport)i;
}
_Static_assert(PROFILE_LONGPOLL == 0 && PROFILE_SSE == 1 && PROFILE_NDJSON == 2,
               "the words stand in this order");

void set_fallback_http(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->fallback_http = entry->value[0] != '\0' ? entry : NULL;
}

void set_after(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    uint64_t n;

    if (strcmp(entry->value, "never") == 0)
        l->profile->fallback.after = 0;
    else if (slice_parse_u64(slice_str(entry->value), &n) != 0 || n < 1 || n > AFTER_MAX)
        load_fault(l, entry, "after: `%s` is neither a number of links from 1 to %d nor `never`",
                   entry->value, AFTER_MAX);
    else
        l->profile->fallback.after = (unsigned)n;
}

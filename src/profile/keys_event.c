/* Setters of [message], [event], [position] and [live]. */
#include "profile/load.h"

/* ---- words ---- */

void set_header_block(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"no", "yes"};

    l->priv->header_block = load_choose(l, entry, words, 2) == 1;
}

void set_dedup(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"id", "position", "hash", "off"};
    int i = load_choose(l, entry, words, 4);

    if (i < 0)
        return;
    l->profile->dedup = (enum profile_dedup)i;
    l->dedup = entry;
}
_Static_assert(PROFILE_DEDUP_ID == 0 && PROFILE_DEDUP_POSITION == 1 && PROFILE_DEDUP_HASH == 2 &&
                   PROFILE_DEDUP_OFF == 3,
               "the words stand in this order");

void set_compare(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"opaque", "int"};
    int i = load_choose(l, entry, words, 2);

    if (i < 0)
        return;
    l->profile->compare = (enum profile_compare)i;
    l->compare = entry;
}
_Static_assert(PROFILE_COMPARE_OPAQUE == 0 && PROFILE_COMPARE_INT == 1,
               "the words stand in this order");

void set_live_when(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"open", "rule"};

    l->profile->live.by_rule = load_choose(l, entry, words, 2) == 1;
    l->live_when = entry;
}

void set_unkeyed(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"store", "sync"};

    l->profile->unkeyed_sync = load_choose(l, entry, words, 2) == 1;
    l->unkeyed = entry;
}

void set_contiguous(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"no", "yes"};

    l->profile->position.contiguous = load_choose(l, entry, words, 2) == 1;
    l->contiguous = entry;
}

void set_overlap(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    int64_t value;

    if (slice_parse_i64(slice_str(entry->value), &value) != 0 || value < 0)
        load_fault(l, entry, "overlap: `%s` is no number from 0 on, in units of the position",
                   entry->value);
    else
        l->profile->position.overlap = value;
    l->overlap = entry;
}

/* An empty value takes the key away; the rest waits until all is known. */
void set_kept(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    const struct ini_entry **kept = (void *)((char *)l + key->offset);

    *kept = entry->value[0] != '\0' ? entry : NULL;
}

/* ---- [message] ---- */

void set_batch(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    static const char *const words[] = {"", "array"};

    if (entry->value[0] == '\0')
        l->priv->framing.batch = false;
    else
        l->priv->framing.batch = load_choose(l, entry, words + 1, 1) == 0;
}

static bool add_frame_pointer(struct loader *l, const struct ini_entry *entry,
                              struct json_paths *paths, struct slice pointer, unsigned *slot)
{
    struct error err = {0};

    if (load_pointer(paths, pointer, slot, &err) == 0)
        return true;
    load_fault_error(l, entry, &err);
    return false;
}

/* With an asterisk as its last token: each element of the list before it. */
void set_split(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct framing *framing = &l->priv->framing;
    struct slice list = slice_str(entry->value);

    if (list.len == 0)
        return;
    if (list.len < 2 || list.ptr[0] != '/' || memcmp(list.ptr + list.len - 2, "/*", 2) != 0 ||
        memchr(list.ptr, '*', list.len - 1) != NULL) {
        load_fault(l, entry,
                   "split: `%s` is no JSON Pointer with one * at its end, such as /data/*",
                   entry->value);
        return;
    }
    list.len -= 2;
    framing->split = add_frame_pointer(l, entry, framing->frame_paths, list, &framing->split_slot);
    framing->split_pointer = entry->value;
    framing->rules = LEVEL_FRAME;
}

void set_decode(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct framing *framing = &l->priv->framing;

    if (entry->value[0] == '\0')
        return;
    framing->decode = add_frame_pointer(l, entry, framing->outer_paths, slice_str(entry->value),
                                        &framing->decode_slot);
    framing->decode_pointer = entry->value;
}

/* ---- lists ---- */

static struct type_glob make_glob(struct slice glob)
{
    size_t tail = glob.len;

    while (tail > 0 && glob.ptr[tail - 1] != '*' && glob.ptr[tail - 1] != '?')
        tail--;
    return (struct type_glob){glob, slice_from(glob, tail)};
}

void set_ephemeral(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    struct type_glob list[PROFILE_EPHEMERAL_MAX];
    struct slice rest = slice_str(entry->value);
    unsigned n = 0;

    while (rest.len != 0) {
        size_t len = 0;

        while (len < rest.len && strchr(" \t\n,", rest.ptr[len]) == NULL)
            len++;
        if (len != 0 && n == PROFILE_EPHEMERAL_MAX) {
            load_fault(l, entry, "ephemeral: more than %d globs", PROFILE_EPHEMERAL_MAX);
            return;
        }
        if (len != 0)
            list[n++] = make_glob(slice_make(rest.ptr, len));
        rest = slice_from(rest, len + 1);
    }
    l->priv->ephemeral = arena_copy(l->arena, list, n, sizeof(list[0]));
    l->priv->n_ephemeral = l->priv->ephemeral != NULL ? n : 0;
}

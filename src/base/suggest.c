#include "base/suggest.h"

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * The Damerau-Levenshtein distance in its restricted form (no part is edited twice), by the
 * usual table of prefixes, of which three rows are kept: a swap looks back two.
 */
static size_t edit_distance(struct slice a, struct slice b)
{
    size_t rows[3][SUGGEST_WORD_MAX + 1];

    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replace = above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);

            row[j] = least(replace, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

const char *suggest(struct slice word, const char *const *candidates, size_t n)
{
    size_t limit = word.len / 3 > 1 ? word.len / 3 : 1;
    const char *nearest = NULL;

    if (word.len == 0 || word.len > SUGGEST_WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        struct slice candidate = slice_str(candidates[i]);
        size_t distance;

        if (candidate.len > SUGGEST_WORD_MAX)
            continue;
        distance = edit_distance(word, candidate);
        if (distance > limit)
            continue;
        nearest = candidates[i];
        /* From here on only a nearer one will do. */
        if (distance == 0)
            break;
        limit = distance - 1;
    }
    return nearest;
}

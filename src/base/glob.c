#include "base/glob.h"

/*
 * Only the last '*' passed is ever revisited: whatever an earlier one could match instead, the
 * later one can make up for. So one mark is enough, and no recursion is needed.
 */
bool glob_match(struct slice pattern, struct slice text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = SIZE_MAX; /* where the last '*' was */
    size_t taken = 0;       /* where the text goes on behind what that '*' took */

    while (t < text.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            taken = t;
        } else if (p < pattern.len && (pattern.ptr[p] == '?' || pattern.ptr[p] == text.ptr[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p == pattern.len;
}

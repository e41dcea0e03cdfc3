#include "daemon/expiry.h"

enum { S_PER_DAY = 86400 };

static const int64_t before_s[] = {14 * S_PER_DAY, 3 * S_PER_DAY, 1 * S_PER_DAY, 0};
enum { STEPS = sizeof(before_s) / sizeof(before_s[0]) };

void expiry_set(struct expiry *expiry, int64_t at_s)
{
    if (expiry->at_s != at_s)
        *expiry = (struct expiry){.at_s = at_s};
}

bool expiry_is_due(struct expiry *expiry, int64_t now_s)
{
    unsigned passed = 0;
    if (expiry->at_s == 0)
        return false;
    while (passed < STEPS && expiry->at_s - now_s <= before_s[passed])
        passed++;
    bool due = passed > expiry->said;
    if (due)
        expiry->said = passed;
    return due;
}

int64_t expiry_next_s(const struct expiry *expiry, int64_t now_s)
{
    if (expiry->at_s == 0 || expiry->said == STEPS)
        return -1;
    int64_t next = expiry->at_s - before_s[expiry->said] - now_s;
    if (next < 1)
        return 1;
    return next < EXPIRY_LOOK_S ? next : EXPIRY_LOOK_S;
}

#include "flow/contiguous.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { BUCKETS = FLOW_SEQUENCES_MAX };

_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a mask picks the bucket");
_Static_assert(FLOW_SEQUENCES_MAX < UINT16_MAX, "links are 16 bits");

int contiguous_init(struct contiguous *contiguous, bool on)
{
    *contiguous = (struct contiguous){.on = on};
    if (!on)
        return 0;
    contiguous->sequences = calloc(FLOW_SEQUENCES_MAX, sizeof *contiguous->sequences);
    contiguous->buckets = calloc(BUCKETS, sizeof *contiguous->buckets);
    if (contiguous->sequences != NULL && contiguous->buckets != NULL)
        return 0;
    contiguous_fini(contiguous);
    return ERR_NOMEM;
}

void contiguous_fini(struct contiguous *contiguous)
{
    free(contiguous->sequences);
    free(contiguous->buckets);
    *contiguous = (struct contiguous){0};
}

void contiguous_reset(struct contiguous *contiguous, struct slice position)
{
    if (!contiguous->on)
        return;
    contiguous->known = position.ptr != NULL && slice_parse_u64(position, &contiguous->newest) == 0;
    contiguous->count = contiguous->oldest = contiguous->youngest = 0;
    memset(contiguous->buckets, 0, BUCKETS * sizeof *contiguous->buckets);
}

const char *contiguous_fault(struct slice position)
{
    uint64_t n;

    return slice_parse_u64(position, &n) == 0 ? NULL : "a contiguous position is over 2^64 - 1";
}

/* ---- sequences with a key ---- */

static struct contiguous_sequence *at(const struct contiguous *contiguous, uint16_t link)
{
    return link != 0 ? &contiguous->sequences[link - 1] : NULL;
}

static uint16_t *bucket_of(const struct contiguous *contiguous, uint64_t id)
{
    return &contiguous->buckets[id & (BUCKETS - 1)];
}

static uint16_t find(const struct contiguous *contiguous, uint64_t id)
{
    uint16_t link = *bucket_of(contiguous, id);

    while (link != 0 && at(contiguous, link)->id != id)
        link = at(contiguous, link)->chain;
    return link;
}

static void unlink_use(struct contiguous *contiguous, uint16_t link)
{
    const struct contiguous_sequence *s = at(contiguous, link);

    if (s->older != 0)
        at(contiguous, s->older)->newer = s->newer;
    else
        contiguous->oldest = s->newer;
    if (s->newer != 0)
        at(contiguous, s->newer)->older = s->older;
    else
        contiguous->youngest = s->older;
}

static void link_use(struct contiguous *contiguous, uint16_t link)
{
    struct contiguous_sequence *s = at(contiguous, link);

    s->older = contiguous->youngest;
    s->newer = 0;
    if (s->older != 0)
        at(contiguous, s->older)->newer = link;
    else
        contiguous->oldest = link;
    contiguous->youngest = link;
}

/* Takes the one used longest ago out of its bucket and out of the order of use. */
static uint16_t forget_oldest(struct contiguous *contiguous)
{
    uint16_t link = contiguous->oldest;
    uint16_t *from = bucket_of(contiguous, at(contiguous, link)->id);

    while (*from != link)
        from = &at(contiguous, *from)->chain;
    *from = at(contiguous, link)->chain;
    unlink_use(contiguous, link);
    return link;
}

static struct contiguous_sequence *use(struct contiguous *contiguous, uint64_t id)
{
    uint16_t link = find(contiguous, id);
    uint16_t *bucket;

    if (link != 0) {
        unlink_use(contiguous, link);
        link_use(contiguous, link);
        return at(contiguous, link);
    }
    link = contiguous->count < FLOW_SEQUENCES_MAX ? (uint16_t)++contiguous->count
                                                  : forget_oldest(contiguous);
    bucket = bucket_of(contiguous, id);
    *at(contiguous, link) = (struct contiguous_sequence){.id = id, .chain = *bucket};
    *bucket = link;
    link_use(contiguous, link);
    /* Positions of their own: what is known of all would compare one sequence with another. */
    contiguous->known = false;
    return at(contiguous, link);
}

/* ---- positions ---- */

static bool position_of(const struct flow_event *event, uint64_t *position)
{
    return event->position.ptr != NULL && !event->snapshot && !event->ephemeral &&
           slice_parse_u64(event->position, position) == 0;
}

bool contiguous_hole(const struct contiguous *contiguous, const struct flow_event *event,
                     uint64_t *after)
{
    uint64_t position;

    if (!position_of(event, &position))
        return false;
    if (event->sequence != 0) {
        const struct contiguous_sequence *s = at(contiguous, find(contiguous, event->sequence));

        if (s == NULL)
            return false;
        *after = s->newest;
    } else if (contiguous->known) {
        *after = contiguous->newest;
    } else {
        return false;
    }
    return position > *after && position - *after > 1;
}

bool contiguous_follows(const struct contiguous *contiguous, const struct flow_event *event)
{
    uint64_t position;

    return contiguous->known && event->sequence == 0 && position_of(event, &position) &&
           position > 0 && position - 1 == contiguous->newest;
}

static void settle(struct contiguous *contiguous, const struct flow_event *event, uint64_t position)
{
    uint64_t *newest = &contiguous->newest;

    if (event->sequence != 0) {
        newest = &use(contiguous, event->sequence)->newest;
    } else if (!contiguous->known) {
        contiguous->known = contiguous->count == 0;
        *newest = position;
    }
    if (position > *newest)
        *newest = position;
}

void contiguous_note(struct contiguous *contiguous, const struct flow_event *event)
{
    uint64_t position;

    if (position_of(event, &position))
        settle(contiguous, event, position);
}

void contiguous_pass_over(struct contiguous *contiguous, const struct flow_event *event)
{
    uint64_t position;

    if (position_of(event, &position) && position > 0)
        settle(contiguous, event, position - 1);
}

#include "flow/epoch.h"

void epoch_init(struct epoch *epoch, bool on, unsigned window, int64_t overlap)
{
    *epoch = (struct epoch){
        .on = on,
        .overlap = overlap > 0 ? (uint64_t)overlap : 0,
        .interval = (window + EPOCH_MARKS - 1) / EPOCH_MARKS,
    };
    epoch_reset(epoch, slice_make(NULL, 0));
}

void epoch_reset(struct epoch *epoch, struct slice position)
{
    epoch->row = 0;
    epoch->allowance = epoch->overlap;
    epoch->left = epoch->interval;
    epoch->mark = 0;
    epoch->floor.compare = PROFILE_COMPARE_INT;
    position_set(&epoch->floor, position);
    for (unsigned i = 0; i < EPOCH_MARKS; i++)
        epoch->marks[i] = (struct position){.compare = PROFILE_COMPARE_INT};
}

void epoch_first(struct epoch *epoch, struct slice position)
{
    position_set(&epoch->floor, position);
}

void epoch_loaded(struct epoch *epoch)
{
    epoch->allowance++; /* positions are whole numbers, each its own */
}

void epoch_mark(struct epoch *epoch, const struct position *position)
{
    struct position *mark = &epoch->marks[epoch->mark];

    epoch->left = epoch->interval;
    if (mark->known) { /* a whole window ago */
        position_set(&epoch->floor, position_text(mark));
        epoch->allowance = epoch->overlap;
    }
    position_set(mark, position_text(position));
    epoch->mark = (epoch->mark + 1) % EPOCH_MARKS;
}

static bool is_below(const struct epoch *epoch, const struct flow_event *event)
{
    char text[LIMIT_POSITION];
    struct slice floor;

    if (!epoch->on || event->snapshot || event->sequence != 0 || event->via == FLOW_VIA_AUDIT ||
        event->id.ptr == NULL || event->position.ptr == NULL || epoch->floor.number.ptr == NULL)
        return false;
    floor = position_minus(position_text(&epoch->floor), epoch->allowance, text);
    return position_compare(event->position, floor) < 0;
}

bool epoch_begins(const struct epoch *epoch, const struct flow_event *event)
{
    return epoch->row + 1 == FLOW_EPOCH_IDS && is_below(epoch, event);
}

void epoch_late(struct epoch *epoch, const struct flow_event *event)
{
    if (is_below(epoch, event))
        epoch->row++;
    else if (event->id.ptr != NULL && event->via != FLOW_VIA_AUDIT && !event->snapshot)
        epoch->row = 0;
}

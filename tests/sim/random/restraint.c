/* restraint: how soon hawser may dial, as the profile promises it, over all of its lives. */
#include <string.h>

#include "world.h"

static const int64_t steps_ms[] = {0, 1000, 2000, 4000, 8000, 16000, 30000};
#define STEPS (sizeof(steps_ms) / sizeof(steps_ms[0]))

/* Being live takes steps back; so does a life of hawser that ends with it. */
void restraint_lived(struct feed *feed)
{
    struct restraint *r = &feed->restraint;
    int64_t lived = feed->world->now_ms - r->live_since_ms;
    unsigned back = lived >= 60000 ? STEPS : (unsigned)(lived / 10000);
    r->step = back >= r->step ? 0 : r->step - back;
}

static void back_off(struct restraint *r)
{
    r->least_ms = steps_ms[r->step < STEPS ? r->step : STEPS - 1] * 8 / 10;
    if (r->step == STEPS)
        return;
    r->step++;
    r->unsaved++;
}

/* What was not on disk never was. */
void restraint_new_life(struct feed *feed)
{
    struct restraint *r = &feed->restraint;
    r->step = r->unsaved >= r->step ? 0 : r->step - r->unsaved;
    r->unsaved = r->unsaved_flying = 0;
    if (feed->state == SESSION_DIALING || feed->state == SESSION_OPENING ||
        feed->state == SESSION_GREETING) {
        /* An attempt that ended with hawser has failed. */
        r->waits = r->saved = true;
        r->excused = false;
        r->waiting_since_ms = feed->world->now_ms;
        back_off(r);
        return;
    }
    if (!r->waits || r->saved)
        return;
    r->excused = true;
    r->waits = false;
}

void restraint_watch(struct feed *feed, const struct session_action *action)
{
    struct restraint *r = &feed->restraint;
    int64_t now = feed->world->now_ms;
    if (action->from == SESSION_LIVE)
        restraint_lived(feed);
    /* The same wait, in the next life. */
    if (action->from == SESSION_STARTING && action->to == SESSION_WAITING && r->waits && r->saved)
        return;
    bool waited = r->waits;
    /* What the disk has of a wait is taken up in the next life, though the store stalled since. */
    r->waits = action->to == SESSION_WAITING || (waited && action->to == SESSION_STALLED);
    if (action->to == SESSION_LIVE)
        r->live_since_ms = now;
    /* From the start only a life that ended in an attempt waits; else it is for a slot. */
    bool backs_off =
        action->from != SESSION_STARTING || strstr(action->text, "hawser itself") != NULL;
    if (action->to == SESSION_WAITING && action->from != SESSION_WAITING && backs_off) {
        r->waiting_since_ms = now;
        r->least_ms = 0;
        r->saved = r->flying = false;
        if (!r->excused)
            back_off(r);
    }
    if (action->to != SESSION_DIALING)
        return;
    if (waited && !r->excused && now - r->waiting_since_ms < r->least_ms)
        world_violation(feed->world, 10, "%s is dialled after %lld ms; the backoff asks for %lld",
                        feed->name, (long long)(now - r->waiting_since_ms), (long long)r->least_ms);
    r->excused = false;
    r->unsaved = r->unsaved_flying = 0; /* an attempt is on disk before it is made */
}

/* The limits of the profile, over all lives. */
void restraint_dialled(struct feed *feed)
{
    const struct profile_rate *rate = &feed->profile->limits.connects;
    int64_t now = feed->world->now_ms;
    uint64_t n = feed->n_dials++;
    feed->dials_ms[n % WORLD_DIALS] = now;
    if (rate->count == 0 || n < rate->count || feed->world->jumpy)
        return;
    int64_t before = feed->dials_ms[(n - rate->count) % WORLD_DIALS];
    if (now - before < rate->period_ms)
        world_violation(feed->world, 11, "%s is dialled %u times in %lld ms", feed->name,
                        rate->count + 1, (long long)(now - before));
}

/* ---- what of it is on disk ---- */

static void take_off(struct restraint *r)
{
    r->flying = true;
    r->unsaved_flying = r->unsaved;
}

/* Whose wait the batch takes to disk: it was filled after the wait began. */
void restraint_flying(struct world *world, const struct hub_batch *batch)
{
    for (unsigned i = 0; i < world->n_feeds; i++) {
        char key[STORE_STATE_KEY + 1];
        stream_state_key(world->feeds[i].name, key);
        for (size_t j = 0; j < batch->n_states; j++)
            if (slice_eq_str(batch->states[j].key, key))
                take_off(&world->feeds[i].restraint);
    }
}

void restraint_saved(struct world *world, bool on_disk)
{
    for (unsigned i = 0; i < world->n_feeds; i++) {
        struct restraint *r = &world->feeds[i].restraint;
        r->saved = r->saved || (on_disk && r->flying);
        if (on_disk)
            r->unsaved -= r->unsaved_flying < r->unsaved ? r->unsaved_flying : r->unsaved;
        r->flying = false;
        r->unsaved_flying = 0;
    }
}

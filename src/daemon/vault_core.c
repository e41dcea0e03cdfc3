#include "daemon/vault_core.h"

void vault_core_init(struct vault_core *core, bool rotates, unsigned asks)
{
    *core = (struct vault_core){
        .rotates = rotates,
        .asks = asks,
        .wake_ms = INT64_MAX,
        .refresh_at_ms = INT64_MAX,
    };
}

static unsigned fail(struct vault_core *core, int64_t now_ms)
{
    core->state = VAULT_IDLE;
    core->wake_ms = core->unstored ? now_ms + VAULT_STORE_AGAIN_MS : INT64_MAX;
    if (core->refresh_at_ms < now_ms + VAULT_AGAIN_MS)
        core->refresh_at_ms = now_ms + VAULT_AGAIN_MS;
    return VAULT_DO_FAIL;
}

static unsigned give_up(struct vault_core *core, int64_t now_ms)
{
    core->gave_up = true;
    /* Nothing that passes by itself: only somebody who asks again, or a new source, helps. */
    core->refresh_at_ms = INT64_MAX;
    return fail(core, now_ms) | VAULT_DO_GIVE_UP;
}

static unsigned mark(struct vault_core *core)
{
    core->wake_ms = INT64_MAX;
    if (!core->rotates) {
        core->state = VAULT_ASKING;
        return VAULT_DO_ASK;
    }
    core->state = VAULT_MARKING;
    if (core->asks < VAULT_ASKS_MAX)
        core->asks++;
    core->mark_next = core->writing;
    if (core->writing)
        return 0;
    core->writing = true;
    return VAULT_DO_MARK;
}

/* A write has ended. True if that for a refresh that waits is to come now. */
static bool write_ended(struct vault_core *core)
{
    core->writing = core->mark_next && core->state == VAULT_MARKING;
    core->mark_next = false;
    return core->writing;
}

unsigned vault_core_want(struct vault_core *core, int64_t now_ms)
{
    if (core->state != VAULT_IDLE)
        return 0;
    if (core->rotates && core->asks >= VAULT_ASKS_MAX && !core->gave_up)
        return give_up(core, now_ms);
    return mark(core);
}

unsigned vault_core_marked(struct vault_core *core, bool written, int64_t now_ms)
{
    if (write_ended(core))
        return VAULT_DO_MARK;
    if (core->state != VAULT_MARKING)
        return 0;
    if (!written) {
        /* An answer could not be written either, and would be lost with the process. */
        core->asks--;
        return fail(core, now_ms);
    }
    core->state = VAULT_ASKING;
    return VAULT_DO_ASK;
}

unsigned vault_core_answered(struct vault_core *core, int64_t now_ms)
{
    (void)now_ms;
    if (core->state != VAULT_ASKING)
        return 0;
    core->asks = 0;
    core->gave_up = false;
    if (!core->rotates) {
        core->state = VAULT_IDLE;
        return VAULT_DO_USE | VAULT_DO_TELL;
    }
    core->state = VAULT_STORING;
    core->writing = true;
    return VAULT_DO_STORE;
}

unsigned vault_core_lost(struct vault_core *core, bool sent, int64_t now_ms)
{
    if (core->state != VAULT_ASKING)
        return 0;
    if (!core->rotates)
        return fail(core, now_ms);
    if (!sent) {
        /* On disk it stays counted, until something else is written: a crash is not that likely. */
        core->asks--;
        return fail(core, now_ms);
    }
    if (core->asks >= VAULT_ASKS_MAX)
        return give_up(core, now_ms);
    core->state = VAULT_PAUSING;
    core->wake_ms = now_ms + VAULT_PAUSE_MS;
    return 0;
}

unsigned vault_core_refused(struct vault_core *core, int64_t now_ms)
{
    unsigned todo;

    if (core->state != VAULT_ASKING)
        return 0;
    core->asks = 0;
    core->refresh_at_ms = INT64_MAX; /* asked again, it would say the same */
    todo = fail(core, now_ms);
    if (!core->rotates)
        return todo;
    core->writing = true;
    return todo | VAULT_DO_MARK;
}

unsigned vault_core_stored(struct vault_core *core, bool written, int64_t now_ms)
{
    unsigned todo;

    if (write_ended(core)) {
        core->unstored = !written;
        return VAULT_DO_MARK;
    }
    if (core->state == VAULT_IDLE || core->state == VAULT_STORING) {
        todo = !written && !core->unstored ? VAULT_DO_UNSTORED : 0;
        core->unstored = !written;
        core->wake_ms = written ? INT64_MAX : now_ms + VAULT_STORE_AGAIN_MS;
        if (core->state == VAULT_IDLE)
            return todo;
        core->state = VAULT_IDLE;
        return todo | VAULT_DO_USE | VAULT_DO_TELL;
    }
    return 0;
}

unsigned vault_core_replaced(struct vault_core *core, int64_t now_ms)
{
    unsigned todo = 0;

    (void)now_ms;
    core->asks = 0;
    core->gave_up = false;
    core->refresh_at_ms = INT64_MAX;
    switch (core->state) {
    case VAULT_IDLE:
        return 0;
    case VAULT_STORING: /* the answer is about the old one, but written it is, and then overruled */
        return 0;
    case VAULT_ASKING:
        todo = VAULT_DO_CANCEL;
        break;
    case VAULT_MARKING:
    case VAULT_PAUSING:
        break;
    }
    core->state = VAULT_IDLE;
    core->wake_ms = INT64_MAX;
    return todo;
}

unsigned vault_core_keep(struct vault_core *core, int64_t now_ms)
{
    if (!core->rotates)
        return 0;
    if (core->writing || core->state != VAULT_IDLE) {
        core->unstored = true;
        if (core->wake_ms == INT64_MAX)
            core->wake_ms = now_ms + VAULT_PAUSE_MS;
        return 0;
    }
    core->writing = true;
    return VAULT_DO_STORE;
}

unsigned vault_core_tick(struct vault_core *core, int64_t now_ms)
{
    if (now_ms >= core->wake_ms) {
        core->wake_ms = INT64_MAX;
        if (core->state == VAULT_PAUSING)
            return mark(core);
        if (core->state == VAULT_IDLE && core->unstored && !core->writing) {
            core->writing = true;
            return VAULT_DO_STORE;
        }
    }
    if (core->state == VAULT_IDLE && now_ms >= core->refresh_at_ms)
        return vault_core_want(core, now_ms);
    return 0;
}

void vault_core_lifetime(struct vault_core *core, int64_t obtained_ms, int64_t expires_ms,
                         double refresh_at, int64_t now_ms)
{
    int64_t at_ms;

    core->refresh_at_ms = INT64_MAX;
    if (expires_ms == INT64_MAX)
        return;
    at_ms = expires_ms > obtained_ms
                ? obtained_ms + (int64_t)((double)(expires_ms - obtained_ms) * refresh_at)
                : expires_ms;
    core->refresh_at_ms = at_ms > now_ms + VAULT_SOON_MS ? at_ms : now_ms + VAULT_SOON_MS;
}

int64_t vault_core_deadline_ms(const struct vault_core *core)
{
    int64_t refresh_at_ms = core->state == VAULT_IDLE ? core->refresh_at_ms : INT64_MAX;

    return core->wake_ms < refresh_at_ms ? core->wake_ms : refresh_at_ms;
}

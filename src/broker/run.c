/*
 * Granting. In one pass those who wait are looked at, who waited longest first, and each that no
 * limit holds takes its part of all of them; then what has to outlive the process is saved, once a
 * scope; whose save is on disk is granted; and who has waited a while, or will, is told.
 */
#include <string.h>

#include "broker/internal.h"

static void later_of(struct wait *wait, enum wait_kind kind, int64_t at_ms)
{
    if (at_ms > wait->at_ms)
        *wait = (struct wait){kind, at_ms};
}

/* The last of the reasons to end. `ahead`: slots that wait for nothing but the dial rate, too. */
static struct wait look(const struct slot *slot, unsigned ahead)
{
    const struct broker_client *client = slot->client;
    const struct broker *broker = client->broker;
    const struct scope *scope = client->scope;
    struct wait wait = {WAIT_NONE, broker->now_ms};
    later_of(&wait, WAIT_START, slot->start_ms);
    if (client->host->dialing >= broker->dial_per_host)
        later_of(&wait, WAIT_PER_HOST, INT64_MAX);
    if (scope != NULL) {
        const struct profile *profile = client->profile;
        if (profile->limits.links > 0 && scope->open >= profile->limits.links)
            later_of(&wait, WAIT_LINKS, INT64_MAX);
        later_of(&wait, WAIT_CONNECTS,
                 rate_free_ms(&scope->connects, &profile->limits.connects, scope->dialing,
                              broker->now_ms));
        if (!slot->fallback)
            later_of(&wait, WAIT_SESSIONS,
                     rate_free_ms(&scope->sessions, &profile->limits.sessions, scope->reserved,
                                  broker->now_ms));
    }
    if (wait.kind == WAIT_NONE)
        later_of(&wait, WAIT_DIAL_RATE, bucket_when_ms(&broker->dial_rate, ahead + 1));
    return wait;
}

static void choose(struct broker *broker)
{
    struct list_node *node, *after;
    unsigned ahead = 0;
    bucket_fill(&broker->dial_rate, broker->now_ms);
    list_for_each(node, after, &broker->waiting)
    {
        struct slot *slot = LIST_ENTRY(node, struct slot, node);
        slot->wait = look(slot, ahead);
        if (slot->wait.kind == WAIT_DIAL_RATE)
            ahead++;
        if (slot->wait.kind != WAIT_NONE)
            continue;
        broker_take(slot);
        list_remove(&slot->node);
        list_remove(&slot->tell);
        const struct scope *scope = slot->client->scope;
        slot->state = SLOT_SAVING;
        list_push_back(scope != NULL && scope->persists ? &broker->saving : &broker->ready,
                       &slot->node);
    }
}

static void save_dirty(struct broker *broker)
{
    struct list_node *node, *after;
    list_for_each(node, after, &broker->scopes)
    {
        struct scope *scope = LIST_ENTRY(node, struct scope, node);
        uint8_t bytes[BROKER_SAVED_MAX];
        if (!scope->dirty)
            continue;
        scope->dirty = false;
        scope->ticket = ++broker->ticket;
        size_t size = scope_encode(scope, broker->now_ms, bytes);
        broker->ops->save(broker->arg, slice_str(scope->key), slice_make((char *)bytes, size),
                          scope->ticket);
    }
    list_for_each(node, after, &broker->saving)
    {
        struct slot *slot = LIST_ENTRY(node, struct slot, node);
        if (slot->ticket == 0)
            slot->ticket = slot->client->scope->ticket;
    }
}

static void grant(struct broker *broker)
{
    while (!list_empty(&broker->ready)) {
        struct slot *slot = LIST_ENTRY(list_first(&broker->ready), struct slot, node);
        list_remove(&slot->node);
        slot->state = SLOT_GRANTED;
        broker->ops->granted(slot->client->arg);
    }
}

/* A wait that ends with others' connections is told to last a while, and looked at again then. */
static int64_t guess_ms(struct slot *slot)
{
    int64_t now = slot->client->broker->now_ms;
    if (slot->wait.at_ms != INT64_MAX)
        return slot->wait.at_ms;
    if (slot->look_ms <= now)
        slot->look_ms = now + BROKER_LOOK_MS;
    return slot->look_ms;
}

/* Puts the slot into the list of those to be told, if there is news. Returns when to look again. */
static int64_t look_for_news(struct slot *slot)
{
    struct broker *broker = slot->client->broker;
    int64_t at_ms = guess_ms(slot), quiet_ms = slot->asked_ms + BROKER_TELL_MS;
    bool known = slot->wait.at_ms != INT64_MAX;
    char text[BROKER_TEXT];
    if (slot->told[0] == '\0' && broker->now_ms < quiet_ms && (!known || at_ms <= quiet_ms))
        return known ? at_ms : quiet_ms; /* it may be over in a moment */
    broker_text(slot, text);
    int64_t moved_ms = at_ms > slot->told_ms ? at_ms - slot->told_ms : slot->told_ms - at_ms;
    if (strcmp(text, slot->told) == 0 && moved_ms < BROKER_TELL_MS)
        return at_ms;
    memcpy(slot->told, text, sizeof(text));
    slot->told_ms = at_ms;
    list_remove(&slot->tell);
    list_push_back(&broker->tell, &slot->tell);
    return at_ms;
}

static int64_t tell(struct broker *broker)
{
    struct list_node *node, *after;
    int64_t next_ms = INT64_MAX;
    list_for_each(node, after, &broker->waiting)
    {
        int64_t look_ms = look_for_news(LIST_ENTRY(node, struct slot, node));
        if (look_ms < next_ms)
            next_ms = look_ms;
    }
    while (!list_empty(&broker->tell)) {
        struct slot *slot = LIST_ENTRY(list_first(&broker->tell), struct slot, tell);
        list_remove(&slot->tell);
        broker->ops->later(slot->client->arg, slot->told_ms, slot->told);
    }
    return next_ms;
}

/* The callbacks may call anything but broker_free() and broker_client_free(). */
void broker_run(struct broker *broker, int64_t now_ms)
{
    broker_touch(broker, now_ms);
    if (broker->running || (!broker->changed && broker->now_ms < broker->deadline_ms))
        return;
    int64_t next_ms;
    broker->running = true;
    do {
        broker->changed = false;
        choose(broker);
        save_dirty(broker);
        grant(broker);
        next_ms = tell(broker);
    } while (broker->changed);
    broker->running = false;
    broker_say_deadline(broker, next_ms);
}

void broker_saved(struct broker *broker, uint64_t ticket, int64_t now_ms)
{
    struct list_node *node, *after;
    broker_touch(broker, now_ms);
    if (ticket > broker->saved_ticket)
        broker->saved_ticket = ticket;
    list_for_each(node, after, &broker->saving)
    {
        struct slot *slot = LIST_ENTRY(node, struct slot, node);
        if (slot->ticket == 0 || slot->ticket > ticket)
            continue;
        list_remove(&slot->node);
        list_push_back(&broker->ready, &slot->node);
        broker_changed(broker);
    }
}

void broker_unsaved(struct broker *broker, int64_t now_ms)
{
    struct list_node *node, *after;
    broker_touch(broker, now_ms);
    list_for_each(node, after, &broker->saving) LIST_ENTRY(node, struct slot, node)->ticket = 0;
    list_for_each(node, after, &broker->scopes)
    {
        struct scope *scope = LIST_ENTRY(node, struct scope, node);
        if (scope->ticket <= broker->saved_ticket)
            continue;
        scope->dirty = true;
        broker_changed(broker);
    }
}

void broker_restore(struct broker *broker, struct slice key, struct slice value, int64_t ago_ms)
{
    struct list_node *node, *after;
    if (ago_ms < 0)
        ago_ms = 0;
    list_for_each(node, after, &broker->scopes)
    {
        struct scope *scope = LIST_ENTRY(node, struct scope, node);
        if (slice_eq_str(key, scope->key))
            (void)scope_restore(scope, value, ago_ms < BROKER_AGO_MS ? ago_ms : BROKER_AGO_MS,
                                broker->now_ms); /* damaged: as if there were none */
    }
}

int64_t broker_deadline_ms(const struct broker *broker)
{
    return broker->deadline_ms;
}

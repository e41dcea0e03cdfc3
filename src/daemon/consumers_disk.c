/* Named consumers and the disk: saving, what was saved, restoring, expiry. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/consumers_private.h"

#define KEY_PREFIX "consumer/"

enum { PUT_AT_ONCE = 64 };

/* ---- saving ---- */

void consumers_save(struct consumers *consumers, struct named *named)
{
    struct daemon *daemon = consumers->daemon;
    if (named->consumer.saving == 0 && list_empty(&named->node))
        list_push_back(&consumers->due, &named->node);
    if (consumer_need(&named->consumer) == CONSUMER_NEED_NOW)
        consumers->urgent = true;
    daemon->flush_wanted = true;
    io_idle_arm(daemon->soon);
}

/* What is saved of it now; returns the length of its key. The key has no end. */
static size_t form_key(const struct named *named, char key[STORE_STATE_KEY])
{
    size_t key_len = sizeof(KEY_PREFIX) - 1, name_len = strlen(named->name);
    memcpy(key, KEY_PREFIX, key_len);
    memcpy(key + key_len, named->name, name_len);
    return key_len + name_len;
}

static size_t form_value(const struct named *named, char value[CONSUMER_SAVED_MAX])
{
    struct consumer_saved saved = {
        .uid = (uint32_t)named->uid, .cursor = named->consumer.cursor, .seen_us = named->seen_us};
    if (named->filter != NULL)
        saved.filter = named->filter->filter;
    return consumer_saved_encode(&saved, value);
}

static uint64_t save(struct consumers *consumers, struct named *named)
{
    char key[STORE_STATE_KEY], value[CONSUMER_SAVED_MAX];
    struct slice bytes = {NULL, 0};
    size_t key_len = form_key(named, key);
    if (named->client != NULL)
        named->seen_us = io_wall_us();
    if (!named->forgotten)
        bytes = slice_make(value, form_value(named, value));
    return hub_save(consumers->daemon->hub, slice_make(key, key_len), bytes);
}

void consumers_put(struct consumers *consumers)
{
    struct list_node *node;
    while (!consumers->blocked && (node = list_first(&consumers->due)) != NULL) {
        struct named *named = LIST_ENTRY(node, struct named, node);
        uint64_t ticket = save(consumers, named);
        if (ticket == 0) {
            consumers->blocked = true;
            return;
        }
        consumer_saving(&named->consumer);
        named->stale = false;
        named->ticket = ticket;
        list_remove(node);
        list_push_back(&consumers->flying, node);
    }
    if (list_empty(&consumers->due))
        consumers->urgent = false;
}

bool consumers_due(const struct consumers *consumers)
{
    return consumers->urgent && !consumers->blocked && !list_empty(&consumers->due);
}

void consumers_room(struct consumers *consumers)
{
    consumers->blocked = false;
    if (!list_empty(&consumers->due))
        consumers->daemon->flush_wanted = true;
}

/* ---- saved, or lost ---- */

static void answer_waiting(struct consumers *consumers)
{
    struct list_node *node, *after;
    list_for_each(node, after, &consumers->waiting)
    {
        struct client *client = LIST_ENTRY(node, struct client, wait.node);
        const struct named *named = client->wait.consumer;
        if (!named->lost && !consumer_is_saved(&named->consumer, client->wait.change))
            continue;
        list_remove(node);
        request_done(client, named->lost);
    }
}

/* What was under way is settled, one way or the other, and all who waited for it have been told. */
static void settle(struct consumers *consumers, struct named *named)
{
    bool more = consumer_need(&named->consumer) == CONSUMER_NEED_NOW;
    /* What was under way may have begun before it was to be forgotten. */
    bool gone = named->forgotten ? !named->lost && !more : named->lost && !named->on_disk;
    if (gone && named->client == NULL) {
        consumers_remove(consumers, named);
        return;
    }
    if (named->lost) {
        /* A commit that failed may be on disk after all: it is to say what we say. */
        named->forgotten = false;
        consumer_change(&named->consumer);
    } else {
        named->on_disk = true;
    }
    named->lost = false;
    if (consumer_need(&named->consumer) == CONSUMER_NEED_NOW)
        consumers_save(consumers, named);
}

void consumers_saved(struct consumers *consumers, uint64_t ticket, bool lost)
{
    struct list_node done, *node, *after;
    list_init(&done);
    while ((node = list_first(&consumers->flying)) != NULL) {
        struct named *named = LIST_ENTRY(node, struct named, node);
        if (!lost && named->ticket > ticket)
            break;
        list_remove(node);
        list_push_back(&done, node);
        named->lost = lost;
        if (lost)
            consumer_lost(&named->consumer);
        else
            consumer_saved(&named->consumer);
        consumers_answer(named, lost);
    }
    answer_waiting(consumers);
    list_for_each(node, after, &done)
    {
        struct named *named = LIST_ENTRY(node, struct named, node);
        list_remove(node);
        settle(consumers, named);
    }
    consumers->daemon->serve_wanted = true; /* answers, for whom there were any */
    io_idle_arm(consumers->daemon->soon);
}

/* ---- now and then ---- */

static int64_t expire_ms(const struct consumers *consumers)
{
    return consumers->daemon->settings->store.consumer_expire_ms;
}

/* Those it has not seen since it started may have had nothing to connect to. */
static bool is_expired(const struct consumers *consumers, const struct named *named, int64_t now_us)
{
    int64_t up_ms = io_now_ms(consumers->daemon->loop) - consumers->started_ms;
    int64_t grace_ms = expire_ms(consumers);
    if (grace_ms > CONSUMERS_GRACE_MS)
        grace_ms = CONSUMERS_GRACE_MS;
    return named->client == NULL && up_ms >= grace_ms &&
           (now_us - named->seen_us) / 1000 >= expire_ms(consumers);
}

static void look_at(struct consumers *consumers, struct named *named, int64_t now_us)
{
    if (named->seen_us > now_us)
        named->seen_us = now_us; /* the clock was set back */
    if (!named->forgotten && is_expired(consumers, named, now_us)) {
        log_notice(NULL, NULL, "consumer %s: forgotten, not seen for %lld hours", named->name,
                   (long long)((now_us - named->seen_us) / 3600000000));
        named->forgotten = true;
        consumer_change(&named->consumer);
    }
    /* Of one that is connected the disk knows so, to an eighth of the time. */
    if (named->client != NULL && (now_us - named->seen_us) / 1000 >= expire_ms(consumers) / 8)
        named->stale = true;
    if (named->consumer.saving == 0 &&
        (named->stale || consumer_need(&named->consumer) != CONSUMER_NEED_NOTHING))
        consumers_save(consumers, named);
}

/* A clock that was set forth has measured nothing: how long ago they were seen stays as it was. Of
 * one that was set back look_at() sees it, and is in no hurry. */
static void follow_clock(struct consumers *consumers, int64_t now_us)
{
    int64_t stepped_us =
        clock_step_look(&consumers->clock, now_us, io_now_ms(consumers->daemon->loop));
    for (size_t i = 0; stepped_us > 0 && i < consumers->n; i++) {
        struct named *named = consumers->all[i];
        if (__builtin_add_overflow(named->seen_us, stepped_us, &named->seen_us))
            named->seen_us = now_us;
        named->stale = true;
    }
}

static void look_at_all(struct consumers *consumers)
{
    int64_t now_us = io_wall_us();
    follow_clock(consumers, now_us);
    for (size_t i = 0; i < consumers->n; i++)
        look_at(consumers, consumers->all[i], now_us);
}

void consumers_scan_on(void *arg)
{
    struct consumers *consumers = arg;
    look_at_all(consumers);
    io_timer_set(consumers->scan_timer, CONSUMERS_SCAN_MS);
}

bool consumers_settle(struct consumers *consumers)
{
    look_at_all(consumers);
    return list_empty(&consumers->due) && list_empty(&consumers->flying);
}

/* ---- restoring ---- */

/* While they are read. */
struct restoring {
    struct consumers *consumers;
    const uint64_t *streams; /* whose numbers may stay */
};

static void on_state(void *arg, struct slice key, struct slice value, int64_t ago_ms)
{
    const struct restoring *restoring = arg;
    struct consumers *consumers = restoring->consumers;
    struct slice name = slice_from(key, sizeof(KEY_PREFIX) - 1);
    struct consumer_saved saved;
    (void)ago_ms;
    if (!slice_starts_with(key, SLICE(KEY_PREFIX)))
        return;
    if (!ndjson_is_consumer(name) || !consumer_saved_decode(value, &saved)) {
        log_error(NULL, NULL, "store: what was saved of consumer %.*s is damaged; it begins anew",
                  slice_width(name), slice_chars(name));
        return;
    }
    bool stale = false;
    for (unsigned i = 0; i < STORE_ID_WORDS; i++) {
        stale = stale || (saved.filter.streams[i] & ~restoring->streams[i]) != 0;
        saved.filter.streams[i] &= restoring->streams[i];
    }
    struct consumers_filter *filter = consumers_filter_new(&saved.filter);
    struct named *named = filter != NULL ? consumers_add(consumers, name) : NULL;
    if (named == NULL) {
        consumers_filter_free(filter);
        log_error(NULL, NULL, "consumer %.*s: no memory, or no room for its name",
                  slice_width(name), slice_chars(name));
        return;
    }
    named->uid = saved.uid;
    named->seen_us = saved.seen_us;
    named->filter = filter;
    named->on_disk = true;
    named->stale = stale;
    consumer_init(&named->consumer, saved.cursor, true);
}

/* Streams that are no longer configured are let go of, before another may get their numbers. */
static int put_stale(struct consumers *consumers, struct error *err)
{
    struct {
        char key[STORE_STATE_KEY], value[CONSUMER_SAVED_MAX];
    } *room = calloc(PUT_AT_ONCE, sizeof(*room));
    struct store_state states[PUT_AT_ONCE];
    size_t n = 0;
    int status = room == NULL ? error_set(err, ERR_NOMEM, "out of memory") : 0;
    for (size_t i = 0; i < consumers->n && status == 0; i++) {
        struct named *named = consumers->all[i];
        if (named->stale) {
            states[n].key = slice_make(room[n].key, form_key(named, room[n].key));
            states[n].value = slice_make(room[n].value, form_value(named, room[n].value));
            named->stale = false;
            n++;
        }
        if (n == PUT_AT_ONCE || (n > 0 && i + 1 == consumers->n)) {
            status = persist_put_states(consumers->daemon->persist, states, n, err);
            n = 0;
        }
    }
    free(room);
    return status;
}

int consumers_restore(struct consumers *consumers, const uint64_t streams[STORE_ID_WORDS],
                      struct error *err)
{
    struct restoring restoring = {.consumers = consumers, .streams = streams};
    int status = persist_states(consumers->daemon->persist, on_state, &restoring, err);
    if (status == 0)
        status = put_stale(consumers, err);
    io_timer_set(consumers->scan_timer, CONSUMERS_SCAN_MS);
    return status;
}

#include "broker/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

int broker_new(const struct broker_options *options, struct broker **out)
{
    struct broker *broker = calloc(1, sizeof(*broker));
    if (broker == NULL)
        return ERR_NOMEM;
    list_init(&broker->clients);
    list_init(&broker->hosts);
    list_init(&broker->scopes);
    list_init(&broker->waiting);
    list_init(&broker->saving);
    list_init(&broker->ready);
    list_init(&broker->tell);
    bucket_init(&broker->dial_rate, options->dial_rate);
    broker->dial_per_host = options->dial_per_host;
    rng_seed(&broker->rng, options->seed);
    broker->ops = options->ops;
    broker->arg = options->arg;
    broker->deadline_ms = broker->said_ms = INT64_MAX;
    *out = broker;
    return 0;
}

void broker_free(struct broker *broker)
{
    if (broker == NULL)
        return;
    broker->running = true; /* says nothing any more */
    while (!list_empty(&broker->clients))
        broker_client_free(LIST_ENTRY(list_first(&broker->clients), struct broker_client, node));
    while (!list_empty(&broker->scopes))
        scope_free(LIST_ENTRY(list_first(&broker->scopes), struct scope, node));
    free(broker);
}

/* Times are monotonic: what was restored before the first is counted back from it. */
void broker_touch(struct broker *broker, int64_t now_ms)
{
    struct list_node *node, *after;
    if (!broker->started) {
        broker->started = true;
        broker->now_ms = now_ms;
        list_for_each(node, after, &broker->scopes)
        {
            rate_shift(&LIST_ENTRY(node, struct scope, node)->connects, now_ms);
            rate_shift(&LIST_ENTRY(node, struct scope, node)->sessions, now_ms);
        }
    }
    if (now_ms > broker->now_ms)
        broker->now_ms = now_ms;
}

void broker_say_deadline(struct broker *broker, int64_t deadline_ms)
{
    broker->deadline_ms = deadline_ms;
    if (deadline_ms == broker->said_ms)
        return;
    broker->said_ms = deadline_ms;
    broker->ops->deadline(broker->arg, deadline_ms);
}

/* Something may be granted now that could not be before. */
void broker_changed(struct broker *broker)
{
    broker->changed = true;
    if (!broker->running)
        broker_say_deadline(broker, broker->now_ms);
}

/* What was used of the old rate counts as the same part of the new one: to configure is no way to
 * dial more. */
void broker_configure(struct broker *broker, struct profile_rate dial_rate, unsigned dial_per_host,
                      int64_t now_ms)
{
    broker_touch(broker, now_ms);
    bucket_change(&broker->dial_rate, dial_rate, broker->now_ms);
    broker->dial_per_host = dial_per_host;
    broker_changed(broker);
}

/* ---- clients ---- */

static struct host *find_host(struct broker *broker, const char *name)
{
    struct list_node *node, *after;
    list_for_each(node, after, &broker->hosts)
    {
        struct host *host = LIST_ENTRY(node, struct host, node);
        if (strcmp(host->name, name) == 0)
            return host;
    }
    struct host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        return NULL;
    host->name = strdup(name);
    if (host->name == NULL) {
        free(host);
        return NULL;
    }
    list_push_back(&broker->hosts, &host->node);
    return host;
}

static void let_go_of_host(struct host *host)
{
    if (host == NULL || --host->refs > 0)
        return;
    list_remove(&host->node);
    free(host->name);
    free(host);
}

/* What scopes without a client have counted is kept while it counts: a stream may come back. */
static struct scope *find_scope(struct broker *broker, enum profile_scope kind, const char *name)
{
    struct list_node *node, *after;
    struct scope *found = NULL;
    list_for_each(node, after, &broker->scopes)
    {
        struct scope *scope = LIST_ENTRY(node, struct scope, node);
        if (scope->kind == kind && strcmp(scope->name, name) == 0)
            found = scope;
        else if (broker->started && scope_is_idle(scope, broker->now_ms))
            scope_free(scope);
    }
    if (found == NULL && scope_new(kind, name, &found) == 0)
        list_push_back(&broker->scopes, &found->node);
    return found;
}

static bool is_limited(const struct profile *profile)
{
    return profile->limits.connects.count > 0 || profile->limits.sessions.count > 0 ||
           profile->limits.sends.count > 0 || profile->limits.links > 0;
}

static const char *scope_name(const struct broker_client_options *options)
{
    switch (options->profile->limits.scope) {
    case PROFILE_SCOPE_STREAM:
        return options->name;
    case PROFILE_SCOPE_CREDENTIAL:
        return options->credential;
    case PROFILE_SCOPE_HOST:
        return options->host;
    }
    return options->name;
}

int broker_client_new(struct broker *broker, const struct broker_client_options *options,
                      struct broker_client **out)
{
    struct broker_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return ERR_NOMEM;
    const struct profile *profile = options->profile;
    list_init(&client->node);
    client->broker = broker;
    client->profile = profile;
    client->arg = options->arg;
    for (unsigned i = 0; i < 3; i++) {
        struct slot *slot = &client->slots[i];
        slot->client = client;
        slot->fallback = i == BROKER_FALLBACK;
        list_init(&slot->node);
        list_init(&slot->tell);
    }
    client->name = strdup(options->name);
    client->host = client->name != NULL ? find_host(broker, options->host) : NULL;
    if (client->host != NULL)
        client->host->refs++;
    if (client->host != NULL && is_limited(profile)) {
        client->scope = find_scope(broker, profile->limits.scope, scope_name(options));
        if (client->scope != NULL)
            client->scope->refs++;
    }
    if (client->host == NULL || (is_limited(profile) && client->scope == NULL)) {
        let_go_of_host(client->host);
        free(client->name);
        free(client);
        return ERR_NOMEM;
    }
    if (client->scope != NULL)
        scope_add_limits(client->scope, profile);
    list_push_back(&broker->clients, &client->node);
    broker->n_clients++;
    *out = client;
    return 0;
}

const char *broker_unrestored(const struct broker_client *client)
{
    const struct scope *scope = client->scope;
    if (scope == NULL || scope->refs > 1 || scope->connects.n > 0 || scope->sessions.n > 0)
        return NULL;
    return scope->key;
}

/* ---- what a slot takes and gives back ---- */

void broker_take(struct slot *slot)
{
    struct broker_client *client = slot->client;
    struct scope *scope = client->scope;
    bucket_take(&client->broker->dial_rate);
    client->host->dialing++;
    if (scope == NULL)
        return;
    scope->dialing++;
    scope->open++;
    scope->dirty = scope->persists;
    slot->reserved = client->profile->limits.sessions.count > 0 && !slot->fallback;
    if (slot->reserved)
        scope->reserved++;
}

/* The handshake is over, one way or the other. */
static void end_dialing(struct slot *slot)
{
    struct broker_client *client = slot->client;
    client->host->dialing--;
    if (client->scope == NULL)
        return;
    client->scope->dialing--;
    rate_add(&client->scope->connects, 1, client->broker->now_ms);
}

/* No connection was made. Its token is gone all the same: one that is given back late is one too
 * many just then. */
static void undo_dialing(struct slot *slot)
{
    struct broker_client *client = slot->client;
    client->host->dialing--;
    if (client->scope == NULL)
        return;
    client->scope->dialing--;
    client->scope->dirty = client->scope->persists;
}

static void end_reservation(struct slot *slot)
{
    if (!slot->reserved)
        return;
    slot->reserved = false;
    slot->client->scope->reserved--;
    slot->client->scope->dirty = true;
}

/* Back to IDLE, with all that it has. */
static void reset(struct slot *slot, bool connected)
{
    switch (slot->state) {
    case SLOT_IDLE:
        return;
    case SLOT_WAITING:
        break;
    case SLOT_SAVING:
    case SLOT_GRANTED:
        if (connected)
            end_dialing(slot);
        else
            undo_dialing(slot);
        /* fall through */
    case SLOT_OPEN:
        end_reservation(slot);
        if (slot->client->scope != NULL)
            slot->client->scope->open--;
        break;
    }
    list_remove(&slot->node);
    list_remove(&slot->tell);
    slot->state = SLOT_IDLE;
    broker_changed(slot->client->broker);
}

static void end_closing(struct slot *slot)
{
    slot->closing--;
    if (slot->client->scope != NULL)
        slot->client->scope->open--;
    broker_changed(slot->client->broker);
}

void broker_client_free(struct broker_client *client)
{
    if (client == NULL)
        return;
    for (unsigned i = 0; i < 3; i++) {
        reset(&client->slots[i], client->slots[i].state == SLOT_GRANTED);
        while (client->slots[i].closing > 0)
            end_closing(&client->slots[i]);
    }
    list_remove(&client->node);
    client->broker->n_clients--;
    let_go_of_host(client->host);
    if (client->scope != NULL)
        client->scope->refs--;
    free(client->name);
    free(client);
}

/* The next connection is asked for while this one is still closing. It counts until its end, which
 * comes before the next one is made. */
static void outlive(struct slot *slot)
{
    if (slot->state != SLOT_GRANTED && slot->state != SLOT_OPEN)
        return;
    if (slot->state == SLOT_GRANTED)
        end_dialing(slot);
    end_reservation(slot);
    slot->closing++;
}

/* ---- slots ---- */

/* Of the streams that start with the daemon none knows what the others do. */
static int64_t spread_ms(struct broker *broker)
{
    uint64_t over = (uint64_t)(broker->n_clients - 1) * BROKER_SPREAD_EACH_MS;
    return (int64_t)rng_below(&broker->rng,
                              (over < BROKER_SPREAD_MS ? over : BROKER_SPREAD_MS) + 1);
}

void broker_ask(struct broker_client *client, enum broker_slot which, bool at_start, int64_t now_ms)
{
    struct broker *broker = client->broker;
    struct slot *slot = &client->slots[which];
    broker_touch(broker, now_ms);
    if (slot->state == SLOT_WAITING || slot->state == SLOT_SAVING)
        return;
    outlive(slot);
    slot->state = SLOT_WAITING;
    slot->asked_ms = broker->now_ms;
    slot->start_ms = at_start ? broker->now_ms + spread_ms(broker) : broker->now_ms;
    slot->ticket = 0;
    slot->wait = (struct wait){0};
    slot->look_ms = INT64_MIN;
    slot->told[0] = '\0';
    list_push_back(&broker->waiting, &slot->node);
    broker_changed(broker);
}

void broker_drop(struct broker_client *client, enum broker_slot which, int64_t now_ms)
{
    broker_touch(client->broker, now_ms);
    reset(&client->slots[which], false);
}

void broker_opened(struct broker_client *client, enum broker_slot which, int64_t now_ms)
{
    struct slot *slot = &client->slots[which];
    broker_touch(client->broker, now_ms);
    if (slot->state != SLOT_GRANTED)
        return;
    end_dialing(slot);
    slot->state = SLOT_OPEN;
    broker_changed(client->broker);
}

void broker_ended(struct broker_client *client, enum broker_slot which, int64_t now_ms)
{
    struct slot *slot = &client->slots[which];
    broker_touch(client->broker, now_ms);
    if (slot->closing > 0)
        end_closing(slot);
    else if (slot->state == SLOT_GRANTED || slot->state == SLOT_OPEN)
        reset(slot, true);
}

void broker_session(struct broker_client *client, int64_t now_ms)
{
    broker_touch(client->broker, now_ms);
    if (client->scope == NULL)
        return;
    /* The younger connection is the one whose answer was waited for. */
    struct slot *slot = &client->slots[BROKER_SUCCESSOR];
    if (!slot->reserved)
        slot = &client->slots[BROKER_LINK];
    rate_add(&client->scope->sessions, 1, client->broker->now_ms);
    client->scope->dirty = client->scope->persists;
    end_reservation(slot);
    broker_changed(client->broker);
}

void broker_switched(struct broker_client *client)
{
    /* Both are granted, and so in no list. */
    struct slot *link = &client->slots[BROKER_LINK];
    struct slot *successor = &client->slots[BROKER_SUCCESSOR];
    enum slot_state state = successor->state;
    bool reserved = successor->reserved;
    unsigned closing = successor->closing;
    if ((state != SLOT_GRANTED && state != SLOT_OPEN) || link->state == SLOT_WAITING ||
        link->state == SLOT_SAVING)
        return;
    successor->state = link->state;
    successor->reserved = link->reserved;
    successor->closing = link->closing;
    link->state = state;
    link->reserved = reserved;
    link->closing = closing;
}

int64_t broker_send(struct broker_client *client, int64_t now_ms)
{
    const struct profile_rate *limit = &client->profile->limits.sends;
    if (limit->count == 0)
        return 0;
    broker_touch(client->broker, now_ms);
    int64_t now = client->broker->now_ms;
    struct rate_log *sends = &client->scope->sends;
    int64_t free_ms = rate_free_ms(sends, limit, 0, now);
    if (free_ms > now)
        return free_ms - now;
    rate_expire(sends, client->scope->longest_send_ms, now);
    rate_add(sends, 1, now);
    return 0;
}

#include "daemon/consumers.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/consumers_private.h"

/* ---- names ---- */

/* Where the name is, or belongs. */
static size_t place_of(const struct consumers *consumers, struct slice name, bool *found)
{
    size_t low = 0, high = consumers->n;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *there = consumers->all[middle]->name;
        int order = strncmp(there, name.ptr, name.len);
        if (order == 0)
            order = there[name.len] != '\0';
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct named *consumers_find(const struct consumers *consumers, struct slice name)
{
    bool found;
    size_t at = place_of(consumers, name, &found);
    return found ? consumers->all[at] : NULL;
}

struct named *consumers_add(struct consumers *consumers, struct slice name)
{
    bool found;
    size_t at = place_of(consumers, name, &found);
    struct named *named =
        consumers->n < LIMIT_CONSUMERS && !found ? calloc(1, sizeof(*named)) : NULL;
    if (named == NULL)
        return NULL;
    list_init(&named->node);
    memcpy(named->name, name.ptr, name.len);
    memmove(consumers->all + at + 1, consumers->all + at,
            (consumers->n - at) * sizeof(consumers->all[0]));
    consumers->all[at] = named;
    consumers->n++;
    return named;
}

void consumers_remove(struct consumers *consumers, struct named *named)
{
    bool found;
    size_t at = place_of(consumers, slice_str(named->name), &found);
    memmove(consumers->all + at, consumers->all + at + 1,
            (consumers->n - at - 1) * sizeof(consumers->all[0]));
    consumers->n--;
    list_remove(&named->node);
    consumers_filter_free(named->filter);
    free(named);
}

struct consumers_filter *consumers_filter_new(const struct fanout_filter *filter)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < filter->n_types; i++)
        bytes += filter->types[i].len;
    struct consumers_filter *copy = malloc(sizeof(*copy) + bytes);
    if (copy == NULL)
        return NULL;
    char *at = copy->text;
    copy->refs = 1;
    copy->filter = *filter;
    for (unsigned i = 0; i < filter->n_types; i++) {
        memcpy(at, filter->types[i].ptr, filter->types[i].len);
        copy->filter.types[i].ptr = at;
        at += filter->types[i].len;
    }
    return copy;
}

void consumers_filter_free(struct consumers_filter *filter)
{
    if (filter != NULL && --filter->refs == 0)
        free(filter);
}

size_t consumers_count(const struct consumers *consumers, size_t *connected)
{
    *connected = 0;
    for (size_t i = 0; i < consumers->n; i++)
        *connected += consumers->all[i]->client != NULL;
    return consumers->n;
}

/* ---- connecting ---- */

void consumers_wait(struct client *client, struct list_node *list)
{
    list_push_back(list, &client->wait.node);
}

static int take_seat(struct named *named, uint32_t window)
{
    struct seat *seat = calloc(1, sizeof(*seat) + window * sizeof(seat->seqs[0]));
    if (seat == NULL)
        return ERR_NOMEM;
    buf_init(&seat->ids, (size_t)CONSUMERS_ACKS_MAX * NDJSON_ID_MAX);
    consumer_attach(&named->consumer, seat->seqs, window);
    named->seat = seat;
    return 0;
}

static void leave_seat(struct named *named)
{
    if (named->seat == NULL)
        return;
    consumer_detach(&named->consumer);
    buf_fini(&named->seat->ids);
    free(named->seat);
    named->seat = NULL;
}

struct consumer *consumers_consumer(const struct client *client)
{
    return &client->consumer->consumer;
}

void consumers_leave(struct client *client)
{
    struct named *named = client->consumer;
    list_remove(&client->wait.node);
    client->wait.what = CLIENT_WAITS_FOR_NOTHING;
    client->consumer = NULL;
    if (named == NULL)
        return;
    leave_seat(named);
    named->client = NULL;
    named->seen_us = io_wall_us();
    named->stale = true;
}

/* It is told, and closed, in a turn of its own: who asked for it may be in the midst of a walk over
 * all clients. */
static void evict(struct consumers *consumers, struct client *client)
{
    outlet_unsubscribe(&client->outlet);
    consumers_leave(client);
    client->evicted = true;
    list_push_back(&consumers->evicted, &client->wait.node);
    io_idle_arm(consumers->daemon->soon);
}

void consumers_run(struct consumers *consumers)
{
    struct list_node *node;
    while ((node = list_first(&consumers->evicted)) != NULL) {
        struct client *client = LIST_ENTRY(node, struct client, wait.node);
        list_remove(node);
        if (io_stream_queued(client->outlet.stream) > 0)
            client_close(client); /* it does not read */
        else
            client->guest.ops->bye(&client->guest,
                                   "another connection has taken this consumer over");
    }
}

static bool is_owner(const struct client *client, const struct named *named)
{
    return client->uid == 0 || client->uid == named->uid;
}

static enum ndjson_error check_free(struct consumers *consumers, struct client *client,
                                    struct named *named, bool takeover, struct error *err)
{
    struct client *other = named->client;
    if (!is_owner(client, named)) {
        error_set(err, ERR_PERM, "consumer %s belongs to another user (uid %d)", named->name,
                  (int)named->uid);
        return NDJSON_E_FORBIDDEN;
    }
    if (named->forgotten) {
        error_set(err, ERR_BUSY, "consumer %s is being forgotten; try again", named->name);
        return NDJSON_E_CONSUMER_BUSY;
    }
    if (other == NULL)
        return NDJSON_OK;
    if (!takeover && !io_stream_hung_up(other->outlet.stream)) {
        error_set(err, ERR_BUSY,
                  "consumer %s is connected (pid %d); \"takeover\":true ends that connection",
                  named->name, (int)other->pid);
        return NDJSON_E_CONSUMER_BUSY;
    }
    log_info(NULL, NULL, "consumer %s: pid %d takes over from pid %d", named->name,
             (int)client->pid, (int)other->pid);
    evict(consumers, other);
    return NDJSON_OK;
}

static struct named *make(struct consumers *consumers, struct client *client, struct slice name,
                          uint64_t cursor, struct error *err)
{
    if (consumers->n == LIMIT_CONSUMERS) {
        error_set(err, ERR_LIMIT, "there are %d consumers already; forget one that is not used",
                  LIMIT_CONSUMERS);
        return NULL;
    }
    struct named *named = consumers_add(consumers, name);
    if (named == NULL) {
        error_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    named->uid = client->uid;
    consumer_init(&named->consumer, cursor, false);
    log_info(NULL, NULL, "consumer %s: new, of uid %d, from seq %llu on", named->name,
             (int)named->uid, (unsigned long long)cursor + 1);
    return named;
}

/* What its user asks for from now on. */
static void set_filter(struct named *named, struct consumers_filter *filter)
{
    if (named->filter != NULL && fanout_filter_eq(&named->filter->filter, &filter->filter) &&
        named->filter->filter.notices == filter->filter.notices) {
        consumers_filter_free(filter);
        return;
    }
    consumers_filter_free(named->filter);
    named->filter = filter;
    named->consumer.lag.known = false;
    named->stale = true;
}

/* Without memory its lag counts what it counted before; what it gets is right. */
void consumers_view(struct client *client)
{
    struct consumers_filter *filter =
        client->consumer != NULL ? consumers_filter_new(&client->outlet.filter) : NULL;
    if (filter != NULL)
        set_filter(client->consumer, filter);
}

enum ndjson_error consumers_connect(struct consumers *consumers, struct client *client,
                                    struct slice name, const struct consumers_start *start,
                                    bool *later, struct error *err)
{
    struct named *named = consumers_find(consumers, name);
    enum ndjson_error error = NDJSON_OK;
    if (named != NULL)
        error = check_free(consumers, client, named, start->takeover, err);
    if (error != NDJSON_OK)
        return error;
    struct consumers_filter *filter = consumers_filter_new(&client->outlet.filter);
    bool is_new = named == NULL;
    if (filter != NULL && is_new)
        named = make(consumers, client, name, start->from_seq, err);
    else if (filter == NULL)
        error_set(err, ERR_NOMEM, "out of memory");
    if (filter == NULL || named == NULL) {
        consumers_filter_free(filter);
        return err->code == ERR_LIMIT ? NDJSON_E_TOO_MANY : NDJSON_E_INTERNAL;
    }
    set_filter(named, filter);
    if (start->seek && !is_new) {
        consumer_seek(&named->consumer, start->from_seq);
        consumer_change(&named->consumer);
    }
    if (take_seat(named, start->window) != 0) {
        consumers_save(consumers, named);
        error_set(err, ERR_NOMEM, "out of memory");
        return NDJSON_E_INTERNAL;
    }
    named->client = client;
    client->consumer = named;
    *later = is_new || start->seek || !named->on_disk;
    if (!*later)
        return NDJSON_OK;
    client->wait.change = named->consumer.change;
    client->wait.consumer = named;
    consumers_wait(client, &consumers->waiting);
    consumers_save(consumers, named);
    return NDJSON_OK;
}

/* ---- acknowledging ---- */

bool consumers_busy(const struct client *client)
{
    return client->consumer != NULL && client->consumer->seat != NULL &&
           client->consumer->seat->count == CONSUMERS_ACKS_MAX;
}

static int queue_answer(struct named *named, struct slice id)
{
    struct seat *seat = named->seat;
    if (buf_append_slice(&seat->ids, id) != 0)
        return ERR_NOMEM;
    unsigned at = (seat->first + seat->count++) % CONSUMERS_ACKS_MAX;
    seat->acks[at].change = consumer_change(&named->consumer);
    seat->acks[at].id_len = (uint16_t)id.len;
    return 0;
}

enum ndjson_error consumers_ack(struct client *client, uint64_t seq, struct slice id,
                                struct error *err)
{
    struct named *named = client->consumer;
    if (named == NULL) {
        error_set(err, ERR_INVAL,
                  "only a subscription with \"consumer\" on this connection acknowledges");
        return NDJSON_E_BAD_REQUEST;
    }
    if (consumer_ack(&named->consumer, seq) != 0) {
        error_set(err, ERR_INVAL, "seq %llu is above what was delivered here, %llu",
                  (unsigned long long)seq,
                  (unsigned long long)consumer_acknowledgeable(&named->consumer));
        return NDJSON_E_BAD_REQUEST;
    }
    client->outlet.full = false;
    if (id.ptr == NULL)
        return NDJSON_OK;
    if (queue_answer(named, id) != 0) {
        error_set(err, ERR_NOMEM, "out of memory");
        return NDJSON_E_INTERNAL;
    }
    consumers_save(client->listener->daemon->consumers, named);
    return NDJSON_OK;
}

void consumers_full(struct client *client)
{
    const struct named *named = client->consumer;
    const struct consumer *consumer = &named->consumer;
    if (ndjson_write_window_full(&client->outlet.head, slice_str(named->name), consumer->window,
                                 consumer->seqs[consumer->first]) != 0)
        client->outlet.ending = true;
}

void consumers_answer(struct named *named, bool lost)
{
    struct seat *seat = named->seat;
    struct client *client = named->client;
    size_t used = 0;
    while (seat != NULL && seat->count > 0 &&
           (lost || consumer_is_saved(&named->consumer, seat->acks[seat->first].change))) {
        struct slice id = slice_make(seat->ids.data + used, seat->acks[seat->first].id_len);
        if (lost)
            client_reply_error(client, id, NDJSON_E_INTERNAL,
                               "the store has failed; acknowledge again");
        else if (ndjson_write_ok(&client->outlet.head, id, "ack") != 0)
            client->outlet.ending = true;
        used += id.len;
        seat->first = (seat->first + 1) % CONSUMERS_ACKS_MAX;
        seat->count--;
    }
    if (used > 0)
        buf_consume(&seat->ids, used);
}

/* ---- managing ---- */

static enum ndjson_error find_free(struct consumers *consumers, struct client *client,
                                   struct slice name, struct named **out, struct error *err)
{
    struct named *named = consumers_find(consumers, name);
    *out = named;
    if (named == NULL || named->forgotten) {
        error_set(err, ERR_NOTFOUND, "no consumer \"%.*s\"", (int)name.len, name.ptr);
        return NDJSON_E_UNKNOWN_CONSUMER;
    }
    struct client *other = named->client;
    /* Who asks is here, though it may have hung up since: it cannot wait for what it asks, and be
     * evicted too. */
    if (other == NULL || (other != client && io_stream_hung_up(other->outlet.stream))) {
        if (other != NULL)
            evict(consumers, other);
        client->wait.consumer = named;
        return NDJSON_OK;
    }
    error_set(err, ERR_BUSY, "consumer %s is connected (pid %d); end that first", named->name,
              (int)other->pid);
    return NDJSON_E_CONSUMER_BUSY;
}

static void wait_for_disk(struct consumers *consumers, struct client *client, struct named *named)
{
    client->wait.change = consumer_change(&named->consumer);
    consumers_wait(client, &consumers->waiting);
    consumers_save(consumers, named);
}

enum ndjson_error consumers_seek(struct consumers *consumers, struct client *client,
                                 struct slice name, uint64_t seq, struct error *err)
{
    struct named *named;
    enum ndjson_error error = find_free(consumers, client, name, &named, err);
    if (error != NDJSON_OK)
        return error;
    consumer_seek(&named->consumer, seq);
    wait_for_disk(consumers, client, named);
    return NDJSON_OK;
}

enum ndjson_error consumers_forget(struct consumers *consumers, struct client *client,
                                   struct slice name, struct error *err)
{
    struct named *named;
    enum ndjson_error error = find_free(consumers, client, name, &named, err);
    if (error != NDJSON_OK)
        return error;
    named->forgotten = true;
    wait_for_disk(consumers, client, named);
    return NDJSON_OK;
}

/* ---- life ---- */

int consumers_new(struct daemon *daemon, struct consumers **out, struct error *err)
{
    struct consumers *consumers = calloc(1, sizeof(*consumers));
    if (consumers == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    consumers->daemon = daemon;
    list_init(&consumers->due);
    list_init(&consumers->flying);
    list_init(&consumers->waiting);
    list_init(&consumers->evicted);
    list_init(&consumers->listing);
    list_init(&consumers->asked);
    list_init(&consumers->lags_listing);
    list_init(&consumers->lags_asked);
    if (io_timer_new(daemon->loop, consumers_scan_on, consumers, &consumers->scan_timer) != 0) {
        free(consumers);
        return error_set(err, ERR_NOMEM, "out of memory");
    }
    consumers->started_ms = io_now_ms(daemon->loop);
    *out = consumers;
    return 0;
}

void consumers_free(struct consumers *consumers)
{
    if (consumers == NULL)
        return;
    consumers_count_free(consumers);
    while (consumers->n > 0)
        consumers_remove(consumers, consumers->all[consumers->n - 1]);
    io_timer_close(consumers->scan_timer);
    free(consumers);
}

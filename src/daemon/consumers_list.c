/*
 * How far each named consumer lags: the events that it matches and has not acknowledged, counted by
 * the reader's thread in one pass for all of them. What was counted once is remembered (see
 * consumer_lag()), so as a rule only what came since is read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/consumers_private.h"

static void begin(struct consumers *consumers);

/* ---- the answer ---- */

/* One count serves all: what a client may see of it is its own, or everything. */
static bool may_see(const struct client *client, const struct named *named)
{
    return client->listener->control || client->uid == 0 || client->uid == named->uid;
}

static void answer(struct consumers *consumers, struct client *client)
{
    const struct count *count = &consumers->count;
    struct ndjson_consumer *rows = calloc(count->n + 1, sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; rows != NULL && i < count->n; i++) {
        const struct count_of *of = &count->of[i];
        const struct named *named = consumers_find(consumers, slice_str(of->name));
        if (named == NULL || !may_see(client, named))
            continue;
        int64_t seen_ms = (io_wall_us() - named->seen_us) / 1000;
        bool connected = named->client != NULL;
        rows[n++] = (struct ndjson_consumer){
            .name = slice_str(of->name),
            .uid = (unsigned)named->uid,
            .connected = connected,
            .pid = connected ? (int)named->client->pid : 0,
            .cursor = of->cursor,
            .lag = of->events,
            .unacked = named->consumer.unacked,
            .window = named->consumer.window,
            .seen_ms = connected || seen_ms < 0 ? 0 : seen_ms,
        };
    }
    if (rows == NULL ||
        ndjson_write_consumers(&client->outlet.head, client_wait_id(client), rows, n) != 0)
        client_reply_error(client, client_wait_id(client), NDJSON_E_INTERNAL,
                           "no memory for the answer");
    free(rows);
}

static void answer_all(struct consumers *consumers, const struct error *err)
{
    struct list_node *node;
    while ((node = list_first(&consumers->listing)) != NULL) {
        struct client *client = LIST_ENTRY(node, struct client, wait.node);
        list_remove(node);
        if (err == NULL)
            answer(consumers, client);
        else
            client_reply_error(client, client_wait_id(client), NDJSON_E_INTERNAL, err->text);
        request_done(client, false);
    }
}

static void tell_lags(struct consumers *consumers)
{
    struct list_node *node;
    while ((node = list_first(&consumers->lags_listing)) != NULL) {
        struct consumers_wait *wait = LIST_ENTRY(node, struct consumers_wait, node);
        list_remove(node);
        wait->done(wait->arg);
    }
}

/* ---- the count ---- */

void consumers_count_free(struct consumers *consumers)
{
    struct count *count = &consumers->count;
    for (size_t i = 0; i < count->n; i++)
        consumers_filter_free(count->of[i].filter);
    free(count->of);
    free(count->rows);
    *count = (struct count){.n = 0};
}

static void end(struct consumers *consumers, const struct error *err)
{
    struct count *count = &consumers->count;
    tally_finish(&count->tally);
    for (size_t i = 0; err == NULL && i < count->n; i++) {
        struct count_of *of = &count->of[i];
        struct named *named = consumers_find(consumers, slice_str(of->name));
        if (of->row != NULL)
            of->events += of->row->events;
        if (named != NULL && named->filter == of->filter && named->consumer.cursor == of->cursor)
            consumer_counted(&named->consumer, count->to_seq, of->events, of->trimmed_seq,
                             of->trimmed_sum);
    }
    count->done = err == NULL;
    answer_all(consumers, err);
    tell_lags(consumers);
    consumers_count_free(consumers);
    if (!list_empty(&consumers->asked) || !list_empty(&consumers->lags_asked))
        begin(consumers);
}

static void on_event(void *arg, const struct store_event *event)
{
    struct consumers *consumers = arg;
    tally_event(&consumers->count.tally, event->seq,
                event->kind == STORE_GAP ? FANOUT_GAP : FANOUT_EVENT, event->stream, event->type);
}

static void read_on(struct consumers *consumers, uint64_t after_seq)
{
    struct count *count = &consumers->count;
    count->read.after_seq = after_seq;
    persist_read_start(consumers->daemon->persist, &count->read);
}

/* Where counting begins for each, as retention's marks say. Rows keep their memory: they are put in
 * order later. */
static size_t make_rows(struct consumers *consumers, const uint64_t *trimmed)
{
    struct count *count = &consumers->count;
    size_t n = 0;
    for (size_t i = 0; i < count->n; i++) {
        struct count_of *of = &count->of[i];
        const struct named *named = consumers_find(consumers, slice_str(of->name));
        uint64_t after_seq;
        for (unsigned s = 0; s < LIMIT_STREAMS; s++) {
            if ((of->filter->filter.streams[s / 64] >> (s % 64) & 1) == 0)
                continue;
            of->trimmed_sum += trimmed[s];
            if (trimmed[s] > of->trimmed_seq)
                of->trimmed_seq = trimmed[s];
        }
        bool known = named != NULL && named->filter == of->filter &&
                     named->consumer.cursor == of->cursor &&
                     consumer_lag(&named->consumer, of->trimmed_seq, of->trimmed_sum, &after_seq,
                                  &of->events);
        if (!known) {
            after_seq = of->cursor;
            of->events = 0;
        }
        if (after_seq < count->to_seq)
            count->rows[n++] = (struct tally_row){
                .filter = &of->filter->filter, .after_seq = after_seq, .arg = of};
    }
    return n;
}

static void on_page(void *arg, const struct persist_page *page, const struct error *err)
{
    struct consumers *consumers = arg;
    struct count *count = &consumers->count;
    uint64_t done_seq = page->done_seq;
    if (!count->counting && err == NULL) {
        count->counting = true;
        tally_begin(&count->tally, count->rows, make_rows(consumers, page->told));
        for (size_t i = 0; i < count->tally.count; i++)
            ((struct count_of *)count->rows[i].arg)->row = &count->rows[i];
        memcpy(count->streams.streams, count->tally.streams, sizeof(count->streams.streams));
        count->read.forgive = false;
        done_seq = tally_after_seq(&count->tally);
    } else if (err != NULL && err->code == ERR_CORRUPT) {
        log_error(NULL, NULL, "consumers: %s", err->text); /* it reaches nobody: it does not wait */
        done_seq++;
        err = NULL;
    }
    if (err != NULL || done_seq >= count->to_seq)
        end(consumers, err);
    else
        read_on(consumers, done_seq);
}

static int copy_names(struct consumers *consumers)
{
    struct count *count = &consumers->count;
    count->of = calloc(consumers->n + 1, sizeof(*count->of));
    count->rows = calloc(consumers->n + 1, sizeof(*count->rows));
    if (count->of == NULL || count->rows == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < consumers->n; i++) {
        struct named *named = consumers->all[i];
        struct count_of *of = &count->of[count->n];
        if (named->forgotten)
            continue;
        *of = (struct count_of){.filter = named->filter, .cursor = named->consumer.cursor};
        memcpy(of->name, named->name, sizeof(of->name));
        of->filter->refs++;
        for (unsigned k = 0; k < LIMIT_STREAMS / 64; k++)
            count->streams.streams[k] |= of->filter->filter.streams[k];
        count->n++;
    }
    return 0;
}

/* First retention's marks: a read of nothing, which forgives. */
static void begin(struct consumers *consumers)
{
    struct count *count = &consumers->count;
    struct list_node *node;
    struct error err;
    while ((node = list_first(&consumers->asked)) != NULL) {
        list_remove(node);
        list_push_back(&consumers->listing, node);
    }
    while ((node = list_first(&consumers->lags_asked)) != NULL) {
        list_remove(node);
        list_push_back(&consumers->lags_listing, node);
    }
    count->running = true;
    count->to_seq = fanout_published_seq(hub_fanout(consumers->daemon->hub));
    if (copy_names(consumers) != 0) {
        error_set(&err, ERR_NOMEM, "out of memory");
        answer_all(consumers, &err);
        while ((node = list_first(&consumers->lags_listing)) != NULL)
            list_remove(node);
        consumers_count_free(consumers);
        return;
    }
    count->read = (struct persist_read){.filter = &count->streams,
                                        .to_seq = count->to_seq,
                                        .forgive = true,
                                        .visit = on_event,
                                        .on_done = on_page,
                                        .arg = consumers};
    read_on(consumers, count->to_seq);
}

void consumers_list(struct consumers *consumers, struct client *client)
{
    consumers_wait(client, &consumers->asked);
    if (!consumers->count.running)
        begin(consumers);
}

bool consumers_count_lags(struct consumers *consumers, struct consumers_wait *wait)
{
    if (consumers->n == 0)
        return false;
    list_push_back(&consumers->lags_asked, &wait->node);
    if (!consumers->count.running)
        begin(consumers);
    return true;
}

/* What the count that has just ended found; NULL: none has, or it was not about this one. Both are
 * in the order of their names. */
static const struct count_of *counted(const struct count *count, size_t *at, const char *name)
{
    while (count->done && *at < count->n && strcmp(count->of[*at].name, name) < 0)
        ++*at;
    return count->done && *at < count->n && strcmp(count->of[*at].name, name) == 0 ? &count->of[*at]
                                                                                   : NULL;
}

void consumers_each(const struct consumers *consumers,
                    void (*visit)(void *arg, const struct consumers_row *row), void *arg)
{
    size_t at = 0;
    for (size_t i = 0; i < consumers->n; i++) {
        const struct named *named = consumers->all[i];
        const struct count_of *of = counted(&consumers->count, &at, named->name);
        struct consumers_row row = {
            .name = named->name,
            .connected = named->client != NULL,
            .lag_known = of != NULL || named->consumer.lag.known,
            .lag = of != NULL ? of->events : named->consumer.lag.events,
        };
        if (!named->forgotten)
            visit(arg, &row);
    }
}

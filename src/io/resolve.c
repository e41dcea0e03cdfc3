/*
 * Names are looked up by getaddrinfo() on threads of our own, one a lookup, detached. libuv's pool
 * would do the same with a fixed number of threads, and joins them at exit: a few names whose
 * server is dead would hold up all other names, and then the end of the process.
 *
 * One name is looked up by one thread at a time: who asks for it meanwhile shares the answer, also
 * of a lookup that others have waited for in vain. So a dead name costs one thread however often it
 * is tried anew, and cannot take those of other names.
 *
 * A lookup belongs to its thread while that runs, then to the loop. The two meet in the hub, which
 * the threads keep alive beyond the loop; one that comes back to find the loop gone, or nobody
 * waiting, frees its lookup and that is all.
 */
#include "io/internal.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct hub {
    pthread_mutex_t lock;
    uv_async_t *async;         /* NULL: the loop is gone */
    struct list_node finished; /* lookups for the loop */
    unsigned refs;             /* the loop and each thread */
};

struct resolver {
    struct io_object object;
    uv_async_t async;
    struct hub *hub;
    unsigned running;         /* threads, abandoned ones too */
    struct list_node lookups; /* that have no answer yet */
};

struct lookup {
    /* Only the loop's thread looks at these. */
    struct list_node all;     /* in resolver->lookups, else alone */
    struct list_node waiters; /* resolves; none: nobody waits any more */
    bool has_thread;
    bool finishing; /* those who wait are being told: lookup_finish() frees it */

    struct list_node node; /* in hub->finished */
    struct hub *hub;
    int status;
    struct error err;
    unsigned count;
    struct io_address addresses[IO_ADDRESSES_MAX]; /* of no port */
    char host[];
};

struct io_resolve {
    struct io_object object;
    uv_timer_t timer;
    struct list_node node; /* in lookup->waiters */
    struct lookup *lookup;
    bool answered; /* numeric: the timer only defers the answer */
    uint16_t port;
    int64_t timeout_ms;
    io_resolve_cb cb;
    void *arg;
};

static void hub_unref_locked(struct hub *hub)
{
    bool last = --hub->refs == 0;

    pthread_mutex_unlock(&hub->lock);
    if (last) {
        pthread_mutex_destroy(&hub->lock);
        free(hub);
    }
}

/* ---- on the lookup's thread ---- */

static unsigned count_family(const struct addrinfo *list, int family)
{
    unsigned count = 0;

    for (; list != NULL; list = list->ai_next)
        count += list->ai_family == family;
    return count;
}

/* What is left for a family beside so many of the other: all, or half at least. */
static unsigned places_beside(unsigned other)
{
    return other < IO_ADDRESSES_MAX / 2 ? IO_ADDRESSES_MAX - other : IO_ADDRESSES_MAX / 2;
}

static unsigned take_addresses(const struct addrinfo *list, struct io_address out[IO_ADDRESSES_MAX])
{
    unsigned count = 0;
    unsigned left4 = places_beside(count_family(list, AF_INET6));
    unsigned left6 = places_beside(count_family(list, AF_INET));

    for (; list != NULL; list = list->ai_next) {
        unsigned *left = list->ai_family == AF_INET    ? &left4
                         : list->ai_family == AF_INET6 ? &left6
                                                       : NULL;

        if (left == NULL || *left == 0)
            continue;
        --*left;
        memset(&out[count], 0, sizeof out[count]);
        memcpy(&out[count++], list->ai_addr, list->ai_addrlen);
    }
    return count;
}

/* Returns getaddrinfo's own code. */
static int lookup_run(struct lookup *lookup, int flags)
{
    struct addrinfo hints = {.ai_flags = flags, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int gai = getaddrinfo(lookup->host, NULL, &hints, &list);

    if (gai != 0) {
        lookup->status = error_set(&lookup->err, ERR_DNS, "resolve %s: %s", lookup->host,
                                   gai == EAI_SYSTEM ? strerror(errno) : gai_strerror(gai));
        return gai;
    }
    lookup->count = take_addresses(list, lookup->addresses);
    freeaddrinfo(list);
    if (lookup->count == 0)
        lookup->status = error_set(&lookup->err, ERR_DNS, "resolve %s: no address", lookup->host);
    return 0;
}

static void *lookup_main(void *arg)
{
    struct lookup *lookup = arg;
    struct hub *hub = lookup->hub;

    lookup_run(lookup, AI_ADDRCONFIG);
    pthread_mutex_lock(&hub->lock);
    if (hub->async != NULL) {
        list_push_back(&hub->finished, &lookup->node);
        uv_async_send(hub->async);
    } else {
        free(lookup);
    }
    hub_unref_locked(hub);
    return NULL;
}

/* ---- on the loop's thread ---- */

/* Hands the lookup to a thread of its own. */
static int lookup_start(struct resolver *resolver, struct lookup *lookup)
{
    struct hub *hub = resolver->hub;
    pthread_t thread;
    int rc;

    pthread_mutex_lock(&hub->lock);
    hub->refs++;
    pthread_mutex_unlock(&hub->lock);
    lookup->hub = hub;
    rc = io_thread_create(&thread, lookup_main, lookup);
    if (rc != 0) {
        pthread_mutex_lock(&hub->lock);
        hub_unref_locked(hub);
        return error_from_errno(rc);
    }
    pthread_detach(thread);
    resolver->running++;
    return 0;
}

/* Ends the request with what the lookup says. */
static void resolve_finish(struct io_resolve *resolve, const struct lookup *lookup)
{
    struct io_address addresses[IO_ADDRESSES_MAX];
    uint16_t port = htons(resolve->port);
    io_resolve_cb cb = resolve->cb;
    void *arg = resolve->arg;

    /* The port has the same place in both families (RFC 3493 3.3). */
    for (unsigned i = 0; i < lookup->count; i++) {
        addresses[i] = lookup->addresses[i];
        memcpy(addresses[i].u.bytes + offsetof(struct sockaddr_in, sin_port), &port, sizeof port);
    }
    list_remove(&resolve->node);
    io_object_begin_close(&resolve->object);
    io_object_close_handle((uv_handle_t *)&resolve->timer);
    cb(arg, lookup->status, lookup->status != 0 ? &lookup->err : NULL, addresses, lookup->count);
}

/* Tells all who wait, each of whom may cancel another or ask anew, and frees it. */
static void lookup_finish(struct lookup *lookup)
{
    lookup->finishing = true;
    list_remove(&lookup->all);
    while (!list_empty(&lookup->waiters))
        resolve_finish(LIST_ENTRY(lookup->waiters.next, struct io_resolve, node), lookup);
    free(lookup);
}

/* The first that has no thread, NULL: none. */
static struct lookup *lookup_waiting(struct resolver *resolver)
{
    struct list_node *node = resolver->lookups.next;

    for (; node != &resolver->lookups; node = node->next) {
        struct lookup *lookup = LIST_ENTRY(node, struct lookup, all);

        if (!lookup->has_thread)
            return lookup;
    }
    return NULL;
}

static void resolve_next(struct resolver *resolver)
{
    struct lookup *lookup;

    while (resolver->running < IO_LOOKUPS_MAX && (lookup = lookup_waiting(resolver)) != NULL) {
        int rc = lookup_start(resolver, lookup);

        lookup->has_thread = rc == 0;
        if (rc != 0) {
            lookup->status = error_set(&lookup->err, rc, "resolve %s: cannot start a thread: %s",
                                       lookup->host, error_text(rc));
            lookup_finish(lookup);
        }
    }
}

static void on_finished(uv_async_t *async)
{
    struct resolver *resolver = async->data;
    struct hub *hub = resolver->hub;

    io_turn_begin(resolver->object.loop);
    for (;;) {
        struct lookup *lookup = NULL;

        pthread_mutex_lock(&hub->lock);
        if (!list_empty(&hub->finished)) {
            lookup = LIST_ENTRY(hub->finished.next, struct lookup, node);
            list_remove(&lookup->node);
        }
        pthread_mutex_unlock(&hub->lock);
        if (lookup == NULL)
            break;
        resolver->running--;
        lookup_finish(lookup);
    }
    resolve_next(resolver);
}

/* The request lets go of its lookup: one that has a thread runs on, and may be shared yet. */
static void resolve_abandon(struct io_resolve *resolve)
{
    struct lookup *lookup = resolve->lookup;

    list_remove(&resolve->node);
    if (list_empty(&lookup->waiters) && !lookup->has_thread && !lookup->finishing) {
        list_remove(&lookup->all);
        free(lookup);
    }
    resolve->lookup = NULL;
}

void io_resolve_cancel(struct io_resolve *resolve)
{
    resolve_abandon(resolve);
    io_object_begin_close(&resolve->object);
    io_object_close_handle((uv_handle_t *)&resolve->timer);
}

static void resolve_close(struct io_object *object)
{
    io_resolve_cancel((struct io_resolve *)object);
}

static void on_resolve_timer(uv_timer_t *timer)
{
    struct io_resolve *resolve = timer->data;
    io_resolve_cb cb = resolve->cb;
    void *arg = resolve->arg;
    struct error err;

    if (resolve->answered) {
        lookup_finish(resolve->lookup);
        return;
    }
    error_set(&err, ERR_TIMEOUT, "resolve %s: no answer within %g s", resolve->lookup->host,
              (double)resolve->timeout_ms / 1000);
    io_resolve_cancel(resolve);
    cb(arg, ERR_TIMEOUT, &err, NULL, 0);
}

static struct lookup *lookup_find(struct resolver *resolver, const char *host)
{
    struct list_node *node = resolver->lookups.next;

    for (; node != &resolver->lookups; node = node->next) {
        struct lookup *lookup = LIST_ENTRY(node, struct lookup, all);

        if (strcasecmp(lookup->host, host) == 0)
            return lookup;
    }
    return NULL;
}

/* *answered: it is numeric, and its answer there. */
static struct lookup *lookup_new(struct resolver *resolver, const char *host, bool *answered)
{
    struct lookup *lookup = calloc(1, sizeof *lookup + strlen(host) + 1);

    if (lookup == NULL)
        return NULL;
    memcpy(lookup->host, host, strlen(host) + 1);
    list_init(&lookup->all);
    list_init(&lookup->waiters);
    *answered = lookup_run(lookup, AI_NUMERICHOST) == 0;
    if (*answered)
        return lookup;
    lookup->status = 0;
    list_push_back(&resolver->lookups, &lookup->all);
    if (resolver->running < IO_LOOKUPS_MAX)
        uv_async_send(&resolver->async);
    return lookup;
}

int io_resolve_start(struct io_loop *loop, const char *host, uint16_t port, int64_t timeout_ms,
                     io_resolve_cb cb, void *arg, struct io_resolve **out)
{
    struct io_resolve *resolve = calloc(1, sizeof *resolve);

    if (resolve == NULL)
        return ERR_NOMEM;
    resolve->lookup = lookup_find(loop->resolver, host);
    if (resolve->lookup == NULL)
        resolve->lookup = lookup_new(loop->resolver, host, &resolve->answered);
    if (resolve->lookup == NULL) {
        free(resolve);
        return ERR_NOMEM;
    }
    io_object_init(&resolve->object, loop, resolve_close);
    uv_timer_init(&loop->uv, &resolve->timer);
    io_object_adopt(&resolve->object, (uv_handle_t *)&resolve->timer);
    list_push_back(&resolve->lookup->waiters, &resolve->node);
    resolve->port = port;
    resolve->timeout_ms = timeout_ms;
    resolve->cb = cb;
    resolve->arg = arg;
    *out = resolve;
    uv_timer_start(&resolve->timer, on_resolve_timer,
                   resolve->answered || timeout_ms < 0 ? 0 : (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- with the loop ---- */

int resolver_new(struct io_loop *loop, struct resolver **out)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    struct hub *hub = calloc(1, sizeof *hub);
    int rc;

    if (resolver == NULL || hub == NULL) {
        rc = ERR_NOMEM;
        goto err_after_alloc;
    }
    rc = uv_async_init(&loop->uv, &resolver->async, on_finished);
    if (rc != 0) {
        rc = io_error_code(rc);
        goto err_after_alloc;
    }
    /* Not one of the user's objects: it goes last, by resolver_close. */
    resolver->object = (struct io_object){.loop = loop};
    io_object_adopt(&resolver->object, (uv_handle_t *)&resolver->async);
    list_init(&resolver->lookups);
    pthread_mutex_init(&hub->lock, NULL);
    list_init(&hub->finished);
    hub->async = &resolver->async;
    hub->refs = 1;
    resolver->hub = hub;
    *out = resolver;
    return 0;

err_after_alloc:
    free(resolver);
    free(hub);
    return rc;
}

void resolver_close(struct resolver *resolver)
{
    struct hub *hub = resolver->hub;

    /* Of those without a thread none is left, since nobody waits; the others are their threads'. */
    assert(lookup_waiting(resolver) == NULL);
    pthread_mutex_lock(&hub->lock);
    hub->async = NULL;
    while (!list_empty(&hub->finished)) {
        struct lookup *lookup = LIST_ENTRY(hub->finished.next, struct lookup, node);

        list_remove(&lookup->node);
        free(lookup);
    }
    hub_unref_locked(hub);
    io_object_close_handle((uv_handle_t *)&resolver->async);
}

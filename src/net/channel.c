#include "net/channel.h"

#include <stdlib.h>

struct net_pool {
    struct net_pool_options options;
    struct list_node idle; /* the longest idle first */
    struct list_node busy;
    unsigned n_idle;
};

/* ---- the pool ---- */

int net_pool_new(const struct net_pool_options *options, struct net_pool **out)
{
    static const struct net_pool_options defaults = {
        .idle_max = NET_POOL_IDLE_MAX,
        .idle_each = NET_POOL_IDLE_EACH,
        .idle_ms = NET_POOL_IDLE_MS,
        .fresh_ms = NET_POOL_FRESH_MS,
    };
    struct net_pool *pool = malloc(sizeof *pool);

    if (pool == NULL)
        return ERR_NOMEM;
    *pool = (struct net_pool){.options = options != NULL ? *options : defaults};
    list_init(&pool->idle);
    list_init(&pool->busy);
    *out = pool;
    return 0;
}

void net_pool_clear(struct net_pool *pool)
{
    struct list_node *node, *after;

    list_for_each(node, after, &pool->idle) channel_close(LIST_ENTRY(node, struct channel, node));
}

void net_pool_free(struct net_pool *pool)
{
    struct list_node *node, *after;

    if (pool == NULL)
        return;
    net_pool_clear(pool);
    list_for_each(node, after, &pool->busy)
    {
        list_remove(node);
        LIST_ENTRY(node, struct channel, node)->pool = NULL;
    }
    free(pool);
}

unsigned net_pool_idle(const struct net_pool *pool)
{
    return pool->n_idle;
}

/* ---- the proxy ---- */

/* In one piece with what it points to, which follows it. */
static size_t proxy_size(const struct net_proxy *proxy)
{
    return sizeof *proxy + proxy->host.len + proxy->user.len + proxy->password.len;
}

static struct slice copy_slice(char **at, struct slice text)
{
    struct slice copy = slice_make(text.ptr != NULL ? *at : NULL, text.len);

    memcpy(*at, slice_chars(text), text.len);
    *at += text.len;
    return copy;
}

static int proxy_copy(const struct net_proxy *proxy, struct net_proxy **out)
{
    char *at;

    *out = NULL;
    if (proxy == NULL)
        return 0;
    *out = malloc(proxy_size(proxy));
    if (*out == NULL)
        return ERR_NOMEM;
    at = (char *)(*out + 1);
    **out = *proxy;
    (*out)->host = copy_slice(&at, proxy->host);
    (*out)->user = copy_slice(&at, proxy->user);
    (*out)->password = copy_slice(&at, proxy->password);
    return 0;
}

static void proxy_free(struct net_proxy *proxy)
{
    if (proxy != NULL)
        explicit_bzero(proxy, proxy_size(proxy));
    free(proxy);
}

static bool same_proxy(const struct net_proxy *a, const struct net_proxy *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->port == b->port && slice_eq(a->host, b->host) && slice_eq(a->user, b->user) &&
           slice_eq(a->password, b->password);
}

/* ---- finding ---- */

static bool same_origin(const struct conn *a, const struct conn *b)
{
    return a->secure == b->secure && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* The origin, and what the connection was allowed and made to trust when it was dialled. */
static bool is_fit(const struct channel *channel, const struct net_options *options,
                   const struct http_url *url)
{
    const struct conn *conn = &channel->conn;

    if (conn->secure != url->secure || conn->port != url->port ||
        !slice_eq_str(url->host, conn->host) || !same_proxy(channel->proxy, options->proxy))
        return false;
    return conn->secure ? conn->options.tls == options->tls
                        : conn->options.allow_plaintext == options->allow_plaintext;
}

/* Of those that are fit, the one used last: its server has had the least time to give it up. */
static struct channel *find_idle(struct net_pool *pool, const struct net_options *options,
                                 const struct http_url *url)
{
    struct list_node *node;

    for (node = pool->idle.prev; node != &pool->idle; node = node->prev) {
        struct channel *channel = LIST_ENTRY(node, struct channel, node);

        if (is_fit(channel, options, url))
            return channel;
    }
    return NULL;
}

static void leave_list(struct channel *channel)
{
    if (channel->pool != NULL && channel->events == NULL && !list_empty(&channel->node))
        channel->pool->n_idle--;
    list_remove(&channel->node);
}

/* Makes room for one more to this origin. */
static void evict(struct net_pool *pool, const struct conn *conn)
{
    struct channel *oldest = NULL;
    struct list_node *node, *after;
    unsigned count = 0;

    list_for_each(node, after, &pool->idle)
    {
        struct channel *channel = LIST_ENTRY(node, struct channel, node);

        if (!same_origin(&channel->conn, conn))
            continue;
        if (count++ == 0)
            oldest = channel;
    }
    if (count >= pool->options.idle_each)
        channel_close(oldest);
    else if (pool->n_idle >= pool->options.idle_max)
        channel_close(LIST_ENTRY(list_first(&pool->idle), struct channel, node));
}

/* ---- what the connection says ---- */

static bool is_idle(const struct channel *channel)
{
    return channel->events == NULL;
}

/* Idle, or taken but not told so: whatever comes then ends the connection. */
static bool is_unused(const struct channel *channel)
{
    return is_idle(channel) || !channel->up;
}

static void on_up(void *arg)
{
    struct channel *channel = arg;

    channel->up = true;
    channel->events->on_up(channel->arg);
}

static void on_failed(void *arg, const struct net_end *end)
{
    struct channel *channel = arg;

    channel->events->on_failed(channel->arg, end);
}

static void end(struct channel *channel, int status, const char *text)
{
    if (is_idle(channel))
        channel_close(channel);
    else
        channel->events->on_end(channel->arg, status, text);
}

static void on_bytes(void *arg, struct slice *bytes)
{
    struct channel *channel = arg;

    if (!is_unused(channel)) {
        channel->events->on_bytes(channel->arg, bytes);
        return;
    }
    *bytes = slice_from(*bytes, bytes->len);
    end(channel, ERR_PROTOCOL, "bytes came that nobody had asked for");
}

static void on_end(void *arg, int status, const char *text)
{
    end(arg, status, text);
}

static void on_deadline(void *arg)
{
    struct channel *channel = arg;

    if (is_idle(channel))
        channel_close(channel);
    else
        channel->events->on_deadline(channel->arg);
}

static void destroy(void *arg)
{
    struct channel *channel = arg;

    conn_fini(&channel->conn);
    proxy_free(channel->proxy);
    free(channel);
}

static void on_soon(void *arg)
{
    struct channel *channel = arg;

    conn_enter(&channel->conn);
    on_up(channel);
    conn_leave(&channel->conn);
}

/* ---- life ---- */

static void join(struct channel *channel, const struct conn_events *events, void *arg)
{
    leave_list(channel);
    channel->events = events;
    channel->arg = arg;
    if (channel->pool != NULL)
        list_push_back(&channel->pool->busy, &channel->node);
}

static int dial(struct io_loop *loop, const struct net_options *options, const struct http_url *url,
                struct channel **out, struct error *err)
{
    static const struct conn_events conn_events = {
        .on_up = on_up,
        .on_failed = on_failed,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .on_deadline = on_deadline,
        .destroy = destroy,
    };
    struct channel *channel = calloc(1, sizeof *channel);
    int rc;

    if (channel == NULL)
        return error_set(err, ERR_NOMEM, "request: out of memory");
    if (proxy_copy(options->proxy, &channel->proxy) != 0 ||
        io_idle_new(loop, on_soon, channel, &channel->soon) != 0) {
        rc = error_set(err, ERR_NOMEM, "request: out of memory");
        goto err_partial;
    }
    rc = conn_init(&channel->conn, loop, options, url, &conn_events, channel, err);
    if (rc != 0)
        goto err_after_idle;
    channel->pool = options->pool;
    list_init(&channel->node);
    *out = channel;
    return 0;

err_after_idle:
    io_idle_close(channel->soon);
err_partial:
    proxy_free(channel->proxy);
    free(channel);
    return rc;
}

int channel_open(struct io_loop *loop, const struct net_options *options,
                 const struct http_url *url, enum channel_reuse reuse,
                 const struct conn_events *events, void *arg, struct channel **out,
                 struct error *err)
{
    struct net_pool *pool = options->pool;
    struct channel *channel = NULL;
    int rc;

    if (pool != NULL && reuse != CHANNEL_FRESH)
        channel = find_idle(pool, options, url);
    if (channel != NULL && reuse == CHANNEL_JUST_USED &&
        io_now_ms(loop) - channel->idle_since_ms > pool->options.fresh_ms)
        channel = NULL;
    if (channel != NULL) {
        channel->reused = true;
        channel->up = false;
        conn_deadline(&channel->conn, -1);
        io_idle_arm(channel->soon);
    } else {
        rc = dial(loop, options, url, &channel, err);
        if (rc != 0)
            return rc;
    }
    join(channel, events, arg);
    *out = channel;
    return 0;
}

/* The server's time ends when it counts, not when we do: we leave first. */
static int64_t idle_ms(const struct net_pool *pool, int64_t server_ms)
{
    int64_t ms =
        server_ms < 2 * NET_POOL_MARGIN_MS ? server_ms / 2 : server_ms - NET_POOL_MARGIN_MS;

    return server_ms < 0 || ms > pool->options.idle_ms ? pool->options.idle_ms : ms;
}

void channel_release(struct channel *channel, int64_t server_ms)
{
    struct net_pool *pool = channel->pool;
    int64_t keep_ms = pool != NULL ? idle_ms(pool, server_ms) : 0;

    /* A request that is still on its way out would be the beginning of the next. */
    if (keep_ms <= 0 || channel->conn.paused || conn_queued(&channel->conn) != 0) {
        channel_close(channel);
        return;
    }
    evict(pool, &channel->conn);
    list_remove(&channel->node);
    channel->events = NULL;
    channel->idle_since_ms = io_now_ms(channel->conn.loop);
    list_push_back(&pool->idle, &channel->node);
    pool->n_idle++;
    conn_deadline(&channel->conn, keep_ms);
}

void channel_close(struct channel *channel)
{
    leave_list(channel);
    channel->events = NULL;
    io_idle_close(channel->soon);
    conn_close(&channel->conn);
}

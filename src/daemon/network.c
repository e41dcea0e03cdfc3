/*
 * What a change of the network means: something for a stream only if its own way has changed. A
 * host of containers makes and removes addresses, routes and links all day.
 */
#include "daemon/network.h"

#include <string.h>

#include "base/log.h"
#include "daemon/upstream_private.h"

/* True if it is not what it was. */
static bool look(struct upstream_route *route)
{
    char now[UPSTREAM_ROUTE_MAX];
    io_network_route(&route->peer, now, sizeof(now));
    if (strcmp(now, route->text) == 0)
        return false;
    memcpy(route->text, now, sizeof(route->text));
    return true;
}

static const char *or_none(const char *route)
{
    return route[0] != '\0' ? route : "none";
}

void upstream_network(struct upstream *upstream, int64_t slept_ms)
{
    bool changed = false;
    for (unsigned i = 0; i < UPSTREAM_LINKS_MAX; i++) {
        struct upstream_link *link = &upstream->links[i];
        if (link->link == NULL || !link->route.known || !look(&link->route))
            continue;
        changed = true;
        log_notice(upstream->settings->name, link->id, "the way to %s has changed: %s",
                   link->address, or_none(link->route.text));
    }
    /* Of the last peer, while there is none to ask; without one, where the outside is. */
    if (look(&upstream->route) && upstream_link(upstream) == NULL)
        changed = true;
    if (changed || slept_ms > 0)
        stream_network(upstream->stream, slept_ms);
}

static void on_network(void *arg, int64_t slept_ms)
{
    struct daemon *daemon = arg;
    if (slept_ms > 0) {
        log_notice(NULL, NULL, "the machine has slept");
        vaults_slept(daemon->vaults);
    }
    net_pool_clear(daemon->pool); /* dialled the old way; to dial again costs little */
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        if (daemon->upstreams[i]->started)
            upstream_network(daemon->upstreams[i], slept_ms);
}

void network_watch(struct daemon *daemon)
{
    struct error err;
    if (io_network_start(daemon->loop, on_network, daemon, &daemon->network, &err) != 0)
        log_warning(NULL, NULL, "changes of the network are not seen: %s", err.text);
}

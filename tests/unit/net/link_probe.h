/* A link that writes down what it is told, and may be told to act at its k-th event. */
#ifndef HAWSER_TESTS_NET_LINK_PROBE_H
#define HAWSER_TESTS_NET_LINK_PROBE_H

#include <stdio.h>
#include <string.h>

#include "net/net.h"
#include "unit/io/fixture.h"
#include "unit/net/peer.h"

struct probe {
    struct fixture *f;
    struct net_options options;
    struct net_link *link;
    struct io_timer *timer;

    int events; /* calls so far */
    int act_at; /* the event, from 1 on, at which act() is called; 0: never */
    void (*act)(struct probe *probe);
    bool aborted; /* by act: no further event is right */

    int refuse_every; /* messages: each such is refused once, and asked for 1 ms later */
    bool refused;
    bool stays_paused;      /* nobody asks for it */
    bool resumes_at_once;   /* asks for it before it has refused */
    bool silent_on_message; /* only counts */

    int messages, pongs;
    size_t bytes;
    uint64_t oversize;
    char trace[2048];
    bool closed;
    struct net_end end;
    int refused_status; /* of the answer that on_closed had, 0: none */
    char location[100];
};

static inline void probe_note(struct probe *probe, const char *what, struct slice text)
{
    size_t len = strlen(probe->trace);

    assert_false(probe->aborted);
    assert_false(probe->closed);
    snprintf(probe->trace + len, sizeof probe->trace - len, "%s%s" SLICE_FMT, len != 0 ? " " : "",
             what, SLICE_ARG(text));
}

static inline void probe_event(struct probe *probe)
{
    if (++probe->events == probe->act_at)
        probe->act(probe);
}

static inline void probe_abort(struct probe *probe)
{
    net_link_abort(probe->link);
    probe->aborted = true;
    fixture_event(probe->f);
}

static inline void probe_on_connected(void *arg, const char *address, const char *tls)
{
    struct probe *probe = arg;

    char peer[64];

    assert_int_equal(strncmp(address, "127.0.0.", 8), 0);
    assert_non_null(net_link_peer(probe->link));
    io_address_format(net_link_peer(probe->link), peer, sizeof peer);
    assert_int_equal(strncmp(peer, address, strlen(peer)), 0);
    assert_string_equal(address + strlen(peer), probe->options.proxy != NULL ? " (proxy)" : "");
    probe_note(probe, tls != NULL ? "connected-tls" : "connected", SLICE(""));
    probe_event(probe);
}

static inline void probe_on_open(void *arg, const struct http_response *response)
{
    struct probe *probe = arg;

    assert_int_equal(response->status, 101);
    probe_note(probe, "open", SLICE(""));
    probe_event(probe);
}

static inline int probe_on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct probe *probe = arg;

    if (probe->refuse_every != 0 && !probe->refused &&
        (probe->messages + 1) % probe->refuse_every == 0) {
        assert_false(probe->aborted);
        probe->refused = true;
        if (probe->resumes_at_once)
            net_link_resume(probe->link);
        else if (!probe->stays_paused)
            io_timer_set(probe->timer, 1);
        return ERR_AGAIN;
    }
    probe->refused = false;
    probe->messages++;
    probe->bytes += payload.len;
    if (!probe->silent_on_message)
        probe_note(probe, type == WS_TEXT ? "text:" : "binary:", payload);
    assert_false(probe->aborted);
    probe_event(probe);
    return 0;
}

static inline void probe_on_pong(void *arg, int64_t rtt_ms)
{
    struct probe *probe = arg;

    assert_true(rtt_ms >= 0 && rtt_ms < GUARD_MS);
    probe->pongs++;
    probe_note(probe, "pong", SLICE(""));
    probe_event(probe);
}

static inline void probe_on_oversize(void *arg, uint64_t bytes)
{
    struct probe *probe = arg;

    probe->oversize = bytes;
    probe_note(probe, "oversize", SLICE(""));
    probe_event(probe);
}

static inline void probe_on_closed(void *arg, const struct net_end *end,
                                   const struct http_response *response)
{
    struct probe *probe = arg;

    if (response != NULL) {
        probe->refused_status = response->status;
        snprintf(probe->location, sizeof probe->location, SLICE_FMT,
                 SLICE_ARG(http_response_header(response, "location")));
    }
    probe_note(probe, "closed", SLICE(""));
    probe->closed = true;
    probe->end = *end;
    net_link_abort(probe->link); /* needless here, and harmless */
    fixture_event(probe->f);
}

static inline void probe_on_resume(void *arg)
{
    struct probe *probe = arg;

    if (!probe->closed && !probe->aborted)
        net_link_resume(probe->link);
}

static inline struct net_options probe_options(void)
{
    return (struct net_options){
        .dns_timeout_ms = 5000,
        .tcp_timeout_ms = 5000,
        .tls_timeout_ms = 5000,
        .upgrade_timeout_ms = 5000,
        .http_timeout_ms = 5000,
    };
}

/* An empty option struct means probe_options(). */
static inline void probe_open_url(struct probe *probe, const char *url)
{
    static const struct net_link_events events = {
        probe_on_connected, probe_on_open,     probe_on_message,
        probe_on_pong,      probe_on_oversize, probe_on_closed,
    };
    struct error err = {0};
    int rc;

    if (probe->options.tcp_timeout_ms == 0)
        probe->options = probe_options();
    assert_int_equal(io_timer_new(probe->f->loop, probe_on_resume, probe, &probe->timer), 0);
    rc = net_link_open(probe->f->loop, &probe->options, slice_str(url), SLICE("X-Test: yes\r\n"),
                       SLICE(""), 65536, &events, probe, &probe->link, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    assert_int_equal(probe->events, 0);
}

static inline void probe_open(struct probe *probe, const struct peer *peer)
{
    char url[100];

    snprintf(url, sizeof url, "%s://127.0.0.1:%u/path?q=1", peer->tls ? "wss" : "ws", peer->port);
    probe_open_url(probe, url);
}

/* The whole life of a link with a peer that follows `script`. */
static inline void probe_run(struct probe *probe, struct peer *peer, peer_script script)
{
    peer_start(peer, script);
    probe_open(probe, peer);
    fixture_run(probe->f, 1);
    if (probe->aborted)
        fixture_run_ms(probe->f, 2);
    io_timer_close(probe->timer);
    peer_stop(peer);
}

#endif

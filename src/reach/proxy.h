/*
 * proxy: which proxy the links and requests of one stream go through.
 *
 * Decides: `proxy` of the stream, for every address; without it the environment's
 * ($https_proxy for wss and https, $http_proxy for ws and http, else $all_proxy; the lower-case one
 * before the upper-case one), but for what $no_proxy excepts. The password is read anew each time.
 * Owns: the password, wiped at the end; the watch of its file.
 * Fails: with a text that names the variable or the secret's source, never a value; lacks_secret
 * tells that it is the password that cannot be had: else what is written cannot be used, and will
 * not before somebody changes it.
 */
#ifndef HAWSER_REACH_PROXY_H
#define HAWSER_REACH_PROXY_H

#include "base/buf.h"
#include "config/proxy_url.h"
#include "config/settings.h"
#include "net/net.h"

struct proxy {
    const struct settings_stream *settings;
    struct proxy_url url;
    struct buf password;
    struct net_proxy chosen;
    bool failed, lacks_secret; /* the last time that it was asked */
    /* What chose it then: "proxy" of the stream, or the environment variable; NULL: nothing. */
    const char *from;
    bool exempt; /* by $no_proxy, though .from has one */
    struct io_watch *watch;
    void (*changed)(void *arg);
    void *arg;
};

/* settings are borrowed. changed is called when the password's file is not what it was. */
int proxy_init(struct proxy *proxy, struct io_loop *loop, const struct settings_stream *settings,
               void (*changed)(void *arg), void *arg, struct error *err);
void proxy_fini(struct proxy *proxy);
/* *out: for requests to url, NULL: straight; valid until the next call. */
int proxy_choose(struct proxy *proxy, struct slice url, const struct net_proxy **out,
                 struct error *err);

#endif

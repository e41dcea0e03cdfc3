/*
 * trust: the trust anchors of one stream.
 *
 * Decides: when they are read anew: when their file changes, after a failed attempt, and each hour.
 * Owns: the TLS context, which links keep for themselves as long as they need it.
 */
#ifndef HAWSER_DAEMON_TRUST_H
#define HAWSER_DAEMON_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"
#include "tls/tls.h"

#define TRUST_MS 3600000 /* the system's bundle is replaced now and then */

struct trust {
    const char *path; /* NULL: the system's */
    struct tls_context *tls;
    int64_t loaded_ms;
    bool stale;
    struct io_watch *watch;
    void (*changed)(void *arg);
    void *arg;
};

/* changed is called when the file of path is not what it was. */
int trust_init(struct trust *trust, struct io_loop *loop, const char *path,
               void (*changed)(void *arg), void *arg, struct error *err);
void trust_fini(struct trust *trust);
/* Makes trust->tls good for use. anew: the last attempt failed, and they may have been renewed; not
 * for each request, for a system's bundle takes long. */
int trust_need(struct trust *trust, int64_t now_ms, bool anew, struct error *err);

#endif

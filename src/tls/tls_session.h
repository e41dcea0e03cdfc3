/*
 * tls_session: sessions that can be resumed, kept in memory. Private to tls.
 *
 * Decides: how many are kept, how long one is good, that each is offered once: a connection takes
 * it out and, if it gets through, puts back what the server gave it then. So a session that a
 * server chokes on is gone with the attempt, and the next handshake is a full one.
 * Leaves: what may be resumed to the context that it is kept in: the same trust anchors, pins and
 * client certificate, for whoever changes them makes a new context.
 * Owns: the sessions, whose secrets are wiped when they go.
 * Fails: only for want of memory, and then a handshake is a full one.
 */
#ifndef HAWSER_TLS_SESSION_H
#define HAWSER_TLS_SESSION_H

#include <mbedtls/ssl.h>

#include "tls/tls.h"
#include "tls/tls_explain.h"

struct tls_session {
    char *host;
    uint16_t port;
    int64_t verified_s;            /* when the server was verified in full */
    struct tls_cert leaf, soonest; /* what was found then */
    mbedtls_ssl_session session;
};

struct tls_sessions {
    struct tls_session *kept[TLS_SESSIONS_MAX]; /* the newest first */
    unsigned n;
};

/* What the handshake, or a ticket after it, has left in ssl; NULL where that is nothing to resume.
 */
struct tls_session *tls_session_new(const mbedtls_ssl_context *ssl, const char *host,
                                    uint16_t port);
void tls_session_free(struct tls_session *session);

/* The caller's from now on; NULL: none that is still good. */
struct tls_session *tls_sessions_take(struct tls_sessions *sessions, const char *host,
                                      uint16_t port, int64_t now_s);
/* Takes ownership, in place of another of that host and port. */
void tls_sessions_put(struct tls_sessions *sessions, struct tls_session *session);
void tls_sessions_fini(struct tls_sessions *sessions);

#endif

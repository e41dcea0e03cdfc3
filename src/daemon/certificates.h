/*
 * certificates: the ends of those that a stream depends on, watched and said.
 *
 * Decides: the words, and that of the peer's chain the certificate counts that expires first.
 * Leaves: when it is to be said to expiry. Owns: its timer. Never fails.
 */
#ifndef HAWSER_DAEMON_CERTIFICATES_H
#define HAWSER_DAEMON_CERTIFICATES_H

#include "daemon/expiry.h"
#include "io/io.h"
#include "tls/tls.h"

struct certificate {
    struct expiry expiry; /* .at_s: 0 while none is known */
    char whose[304];      /* "CN=x, issued by CN=y" */
};

struct certificates {
    struct certificate peer, own;
    struct io_timer *timer;
    void (*say)(void *arg, const char *text);
    void *arg;
};

/* say is called from the functions below and from the loop. */
int certificates_init(struct certificates *certificates, struct io_loop *loop,
                      void (*say)(void *arg, const char *text), void *arg);
void certificates_fini(struct certificates *certificates);
/* What a connection has found, and what it was made from. */
void certificates_peer(struct certificates *certificates, const struct tls *tls);
void certificates_own(struct certificates *certificates, const struct tls_context *context);

#endif

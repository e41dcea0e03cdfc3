/*
 * certificates: the ends of those that a stream depends on, watched and said.
 *
 * Decides: the words; that of a peer's chain the certificate counts that expires first; that link,
 * sync and fallback, which may have other peers, each have one, and that one which several have is
 * said once. Leaves: when it is to be said to expiry. Owns: its timer. Never fails.
 */
#ifndef HAWSER_DAEMON_CERTIFICATES_H
#define HAWSER_DAEMON_CERTIFICATES_H

#include "daemon/expiry.h"
#include "io/io.h"
#include "tls/tls.h"

/* What a connection was for: the number of its [http NAME], of which those that are too many share
 * the last place, or one of these. */
enum { CERTIFICATES_HTTPS = 4, CERTIFICATES_LINK = 1 << 16, CERTIFICATES_STREAM };
enum { CERTIFICATES_PEERS = CERTIFICATES_HTTPS + 2 };

struct certificate {
    struct expiry expiry; /* .at_s: 0 while none is known */
    char whose[304];      /* "CN=x, issued by CN=y" */
};

struct certificates {
    struct certificate peers[CERTIFICATES_PEERS], own;
    struct io_timer *timer;
    void (*say)(void *arg, const char *text);
    void *arg;
};

/* say is called from the functions below and from the loop. */
int certificates_init(struct certificates *certificates, struct io_loop *loop,
                      void (*say)(void *arg, const char *text), void *arg);
void certificates_fini(struct certificates *certificates);
/* What a connection has found, and what it was made from. */
void certificates_peer(struct certificates *certificates, unsigned of, const struct tls *tls);
void certificates_own(struct certificates *certificates, const struct tls_context *context);
/* That of the service which expires first; .expiry.at_s is 0 where none is known. */
const struct certificate *certificates_soonest(const struct certificates *certificates);

#endif

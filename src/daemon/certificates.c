#include "daemon/certificates.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"

enum { S_PER_DAY = 86400 };

static int64_t now_s(void)
{
    return io_wall_us() / 1000000;
}

/* "in 3 days", "in 5h12m"; the day too, since a log is read later. */
static void describe(const struct certificate *certificate, const char *what, char *out,
                     size_t size)
{
    char day[32], rest[DURATION_TEXT_SIZE] = "";
    int64_t left_s = certificate->expiry.at_s - now_s(), days = (left_s + 59) / S_PER_DAY;
    time_format_us(certificate->expiry.at_s * 1000000, day);
    day[10] = '\0';
    if (days > 0)
        snprintf(rest, sizeof(rest), "%" PRId64 " day%s", days, days == 1 ? "" : "s");
    else if (left_s > 0)
        duration_format(left_s * 1000, rest, sizeof(rest));
    if (left_s > 0)
        snprintf(out, size, "%s of %s expires in %s (%s): renew it", what, certificate->whose, rest,
                 day);
    else
        snprintf(out, size, "%s of %s has expired (%s): renew it", what, certificate->whose, day);
}

/* Whichever comes first; -1: neither. */
static int64_t sooner(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

static bool is_same(const struct certificate *a, const struct certificate *b)
{
    return a->expiry.at_s == b->expiry.at_s && strcmp(a->whose, b->whose) == 0;
}

/* It has been said, of whatever connection. */
static void look_at_peer(struct certificates *certificates, struct certificate *peer, int64_t now)
{
    char text[480];
    if (!expiry_is_due(&peer->expiry, now))
        return;
    for (unsigned i = 0; i < CERTIFICATES_PEERS; i++)
        if (is_same(&certificates->peers[i], peer))
            certificates->peers[i].expiry = peer->expiry;
    describe(peer, "the service's certificate", text, sizeof(text));
    certificates->say(certificates->arg, text);
}

static void look(struct certificates *certificates)
{
    char text[480];
    int64_t now = now_s(), next_s = -1;
    for (unsigned i = 0; i < CERTIFICATES_PEERS; i++) {
        struct certificate *peer = &certificates->peers[i];
        look_at_peer(certificates, peer, now);
        next_s = sooner(next_s, expiry_next_s(&peer->expiry, now));
    }
    if (expiry_is_due(&certificates->own.expiry, now)) {
        describe(&certificates->own, "our client certificate", text, sizeof(text));
        certificates->say(certificates->arg, text);
    }
    next_s = sooner(next_s, expiry_next_s(&certificates->own.expiry, now));
    if (next_s < 0)
        io_timer_clear(certificates->timer);
    else
        io_timer_set(certificates->timer, next_s * 1000);
}

static void on_timer(void *arg)
{
    look(arg);
}

int certificates_init(struct certificates *certificates, struct io_loop *loop,
                      void (*say)(void *arg, const char *text), void *arg)
{
    *certificates = (struct certificates){.say = say, .arg = arg};
    return io_timer_new(loop, on_timer, certificates, &certificates->timer);
}

void certificates_fini(struct certificates *certificates)
{
    if (certificates->timer != NULL)
        io_timer_close(certificates->timer);
}

/* True: it is another than before. */
static bool set(struct certificate *certificate, int64_t at_s, const char *whose)
{
    if (certificate->expiry.at_s == at_s)
        return false;
    expiry_set(&certificate->expiry, at_s);
    snprintf(certificate->whose, sizeof(certificate->whose), "%s", whose);
    return true;
}

static struct certificate *place(struct certificates *certificates, unsigned of)
{
    if (of == CERTIFICATES_LINK)
        return &certificates->peers[CERTIFICATES_HTTPS];
    if (of == CERTIFICATES_STREAM)
        return &certificates->peers[CERTIFICATES_HTTPS + 1];
    return &certificates->peers[of < CERTIFICATES_HTTPS ? of : CERTIFICATES_HTTPS - 1];
}

void certificates_peer(struct certificates *certificates, unsigned of, const struct tls *tls)
{
    struct certificate *peer = place(certificates, of);
    if (!set(peer, tls_peer_expiry_s(tls), tls_peer_expiring(tls)))
        return;
    for (unsigned i = 0; i < CERTIFICATES_PEERS; i++) /* what has been said of it elsewhere */
        if (is_same(&certificates->peers[i], peer) &&
            certificates->peers[i].expiry.said > peer->expiry.said)
            peer->expiry = certificates->peers[i].expiry;
    look(certificates);
}

void certificates_own(struct certificates *certificates, const struct tls_context *context)
{
    if (set(&certificates->own, tls_context_expiry_s(context), tls_context_expiring(context)))
        look(certificates);
}

const struct certificate *certificates_soonest(const struct certificates *certificates)
{
    const struct certificate *soonest = &certificates->peers[0];
    for (unsigned i = 1; i < CERTIFICATES_PEERS; i++) {
        const struct certificate *peer = &certificates->peers[i];
        if (peer->expiry.at_s != 0 &&
            (soonest->expiry.at_s == 0 || peer->expiry.at_s < soonest->expiry.at_s))
            soonest = peer;
    }
    return soonest;
}

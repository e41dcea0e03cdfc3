#include "daemon/certificates.h"

#include <inttypes.h>
#include <stdio.h>

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

static void look(struct certificates *certificates)
{
    char text[480];
    int64_t now = now_s();
    if (expiry_is_due(&certificates->peer.expiry, now)) {
        describe(&certificates->peer, "the service's certificate", text, sizeof(text));
        certificates->say(certificates->arg, text);
    }
    if (expiry_is_due(&certificates->own.expiry, now)) {
        describe(&certificates->own, "our client certificate", text, sizeof(text));
        certificates->say(certificates->arg, text);
    }
    int64_t next_s = sooner(expiry_next_s(&certificates->peer.expiry, now),
                            expiry_next_s(&certificates->own.expiry, now));
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

static void set(struct certificates *certificates, struct certificate *certificate, int64_t at_s,
                const char *whose)
{
    if (certificate->expiry.at_s == at_s)
        return;
    expiry_set(&certificate->expiry, at_s);
    snprintf(certificate->whose, sizeof(certificate->whose), "%s", whose);
    look(certificates);
}

void certificates_peer(struct certificates *certificates, const struct tls *tls)
{
    set(certificates, &certificates->peer, tls_peer_expiry_s(tls), tls_peer_expiring(tls));
}

void certificates_own(struct certificates *certificates, const struct tls_context *context)
{
    set(certificates, &certificates->own, tls_context_expiry_s(context),
        tls_context_expiring(context));
}

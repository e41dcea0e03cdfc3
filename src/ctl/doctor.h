/*
 * doctor: walks to a service, layer by layer, without a daemon, over the very code that hawserd
 * dials with: net's link, and reach's secrets, proxy, trust, redirects and cookies.
 *
 * Decides: the order of the walk, what is asked of the service (a link, its hello, pings, a
 * catch-up request), and what never is: it spends no refresh token, acknowledges nothing, and
 * makes no request that a rule calls for. Leaves: what the facts mean to doctor_facts.h.
 * Owns: the secrets' values, wiped at the end; a loop of its own, which runs only in doctor_run().
 *
 *     doctor.c         options, the walk            doctor_link.c   a dial, redirects, hello
 *     doctor_target.c, doctor_secrets.c  whom       doctor_hello.c  what messages ask for
 *     doctor_way.c     names and TCP                doctor_listen.c pings and listening
 *     doctor_sync.c    catch-up, fallback           doctor_dials.c  several dials compared
 *     doctor_curl.c    the handshake by hand        doctor_bundle.c what a ticket needs
 *     doctor_print.c, doctor_json.c  the report     doctor_judge*.c facts to findings, pure
 */
#ifndef HAWSER_CTL_DOCTOR_H
#define HAWSER_CTL_DOCTOR_H

#include "ctl/ctl.h"
#include "ctl/doctor_facts.h"
#include "engine/arrivals.h"
#include "profile/configuration.h"
#include "reach/outgoing.h"
#include "reach/proxy.h"
#include "reach/trust.h"

#define DOCTOR_LISTEN_MS 10000 /* unless --listen says otherwise */
#define DOCTOR_LISTEN_MAX_MS (24LL * 3600 * 1000)
#define DOCTOR_PONG_MS 5000         /* for a pong */
#define DOCTOR_POLL_MS 5000         /* for a long poll, which may take as long as it likes */
#define DOCTOR_EXTRA 32             /* KEY=VALUE arguments */
#define DOCTOR_BUSY_PING_MS 5000    /* while messages come, pings look for what holds frames back */
#define DOCTOR_BUNDLE_MAX (8 << 20) /* bytes */

struct doctor_options {
    const char *target, *profile, *config, *bundle;
    const char *extra[DOCTOR_EXTRA]; /* "KEY=VALUE", of a stream */
    unsigned n_extra;
    int64_t listen_ms;
    unsigned dials;
    bool curl;
};

struct doctor {
    struct ctl *ctl;
    struct doctor_options options;
    struct io_loop *loop;
    bool woken;

    struct configuration configuration; /* of the daemon's file */
    struct settings *own_settings;      /* of an address */
    struct profile *own_profile;
    const struct settings_stream *stream;
    const struct profile *profile;
    const char *state_dir;

    struct redact redact;
    struct buf values[DOCTOR_SECRETS];
    struct buf variables[PROFILE_VARIABLES_MAX];
    bool variable_set[PROFILE_VARIABLES_MAX];
    uint64_t n; /* counts the link's messages */
    char scratch[64];

    struct proxy proxy;
    struct trust trust;
    bool has_proxy, has_trust;
    struct io_address found[IO_ADDRESSES_MAX]; /* of the name */
    struct cookie_jar *cookies;
    struct profile_scanner *scanner;
    struct outgoing first; /* the request for the link, as it is made at first */

    struct doctor_facts facts;
    struct doctor_report report;
};

/* ---- the loop ---- */
/* Until doctor_wake(). */
void doctor_run(struct doctor *doctor);
void doctor_wake(struct doctor *doctor);

/* ---- doctor_target.c ---- */
/* Finds the stream, or makes one of an address; -1, or the exit status, and it has been said. */
int doctor_target_open(struct doctor *doctor);
void doctor_target_close(struct doctor *doctor);
/* Reads the secrets and learns them for redaction (doctor_secrets.c). */
int doctor_secrets_read(struct doctor *doctor, struct error *err);
/* Once more, after others were learnt: only so many are kept. */
int doctor_secrets_learn(struct doctor *doctor, struct error *err);
/* A profile_lookup; arg is the doctor. */
struct slice doctor_look_up(void *arg, struct slice name);
void doctor_set(struct doctor *doctor, unsigned variable, struct slice value);
/* Renders the link's request into .first, and tells where it goes in the facts. */
int doctor_request(struct doctor *doctor, struct error *err);
/* How to connect to the url; proxy and trust are in the facts too. */
int doctor_net_options(struct doctor *doctor, struct slice url, struct net_options *out,
                       struct error *err);
/* New trust anchors, so that no session is resumed. */
int doctor_trust_anew(struct doctor *doctor, struct error *err);
/* Printable, one line, secrets out. */
void doctor_show(const struct doctor *doctor, char *out, size_t size, struct slice text);

/* ---- the walk ---- */
void doctor_look_up_name(struct doctor *doctor);
void doctor_try_addresses(struct doctor *doctor);
/* A link, held open while `stay` is called, then closed. NULL: only as far as TLS. */
struct doctor_link;
void doctor_dial(struct doctor *doctor, void (*stay)(struct doctor_link *link));
void doctor_ping(struct doctor_link *link, unsigned pings);
void doctor_listen(struct doctor_link *link);
void doctor_sync(struct doctor *doctor);
/* reached: the link's host answers. Where it does not, only a fallback of another one is tried. */
void doctor_fallback(struct doctor *doctor, bool reached);
void doctor_dials(struct doctor *doctor);

/* ---- what comes out ---- */
void doctor_ask_daemon(struct doctor *doctor);
int doctor_curl(struct doctor *doctor);
void doctor_print(const struct doctor *doctor, struct buf *out, bool colour);
int doctor_json(const struct doctor *doctor, struct buf *out);
int doctor_bundle(struct doctor *doctor, struct error *err);

#endif

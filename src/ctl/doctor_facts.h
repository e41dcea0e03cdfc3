/*
 * doctor_facts: what a walk to a service has found, and what that means. Pure.
 *
 * Decides: which layer is at fault, its cause and what to do: in the service's own words where its
 * profile has some, else by what the failure itself shows; what is not looked at any more, because
 * what lies below it fails. Leaves: finding out to the other files of doctor, printing to
 * doctor_print and doctor_json. Fails: never; what finds no room is left out, and counted.
 */
#ifndef HAWSER_CTL_DOCTOR_FACTS_H
#define HAWSER_CTL_DOCTOR_FACTS_H

#include "net/net.h"
#include "profile/profile.h"

enum {
    DOCTOR_SECRETS = 16,
    DOCTOR_CHAIN = 8, /* certificates of a chain that are shown */
    DOCTOR_PINGS = 5,
    DOCTOR_SAID = 8, /* words of rules that are kept */
    DOCTOR_FINDINGS = 80,
    DOCTOR_DIALS_MAX = 20,
};

#define DOCTOR_SOON_MS (14LL * 86400 * 1000) /* what ends within it is said */
#define DOCTOR_SLOW_PING_MS 1000             /* held back rather than far away */

/* ---- facts ---- */

struct doctor_secret {
    const char *name, *source; /* source NULL: not configured, which the profile allows */
    int status;                /* of reading it */
    char error[400];
    char file[160];    /* "0600 root:hawser"; "" where it is no file */
    bool unreadable;   /* by the user hawser, though not by us */
    int64_t expires_s; /* unix time; -1: it does not say */
    bool rotated;      /* the value is one that a refresh has brought */
};

struct doctor_proxy {
    bool used, exempt, login;
    const char *from; /* see reach/proxy.h */
    char host[256];
    uint16_t port;
    int status;
    char error[400];
};

struct doctor_lookup {
    bool tried;
    char host[256]; /* the service's, or the proxy's */
    int status;
    char error[300];
    int64_t took_ms;
};

struct doctor_address {
    char text[64], route[160];
    int status;
    char error[200];
    int64_t took_ms;
};

struct doctor_certificate {
    int depth;
    char subject[128], issuer[128], names[160], pin[72];
    int64_t valid_from_s, valid_to_s;
    enum tls_fault fault;
};

/* What a rule of the profile wants that ends or stops a link. */
struct doctor_rule {
    bool said;
    enum profile_rule_kind kind;
    char name[64], text[300];
};

struct doctor_listening {
    int64_t listened_ms; /* 0: it was not done */
    uint64_t messages, events, bytes;
    int64_t longest_silence_ms; /* in which nothing came at all */
    int64_t silent_ms, age_ms;  /* at the end */
    uint64_t held_back;         /* floods of what something had held */
    int64_t held_ms;            /* the longest time */
    bool pinged;                /* at the end */
    int64_t pong_ms;            /* -1: none came */
    int64_t slowest_pong_ms;    /* of those in between; -1: none */
};

struct doctor_dial {
    bool tried;
    char id[9];
    int64_t began_us, ended_us; /* wall clock; 0: not yet */
    char where[300];            /* "host:port/path" */
    char redirects[400];        /* " > " between them */
    char address[96], tls[96], alpn[32];
    int64_t took_ms[NET_PHASES];                   /* -1: not begun */
    struct doctor_certificate chain[DOCTOR_CHAIN]; /* the root first */
    unsigned n_chain;
    enum tls_fault fault;
    int http_status;    /* of the upgrade; 0: no answer */
    struct buf headers; /* of the answer, "name: value\n" each; secrets out */
    struct buf request; /* as it was sent, secrets out */
    char subprotocol[160];
    bool opened, deflate;
    bool left_out; /* TLS is up, and there is no credential to go on with */

    bool ended; /* by the service, or on the way: .end */
    enum net_end_kind end_kind;
    enum net_phase end_phase;
    struct profile_end end;

    /* What it said. */
    bool live;
    int64_t live_ms; /* from open on */
    char first[300]; /* its first message, printable, secrets out */
    uint64_t messages;
    struct doctor_rule rule;
    char said[DOCTOR_SAID][200];
    unsigned n_said;
    uint64_t faults; /* messages that are not as the profile says; the first is in .said */
    unsigned calls;  /* requests that rules ask for and that were not made */

    unsigned pings;
    int64_t pongs_ms[DOCTOR_PINGS]; /* -1: none */
    struct doctor_listening listening;
};

/* A request: that of the catch-up, or of the fallback. */
struct doctor_sync {
    bool tried;
    const char *what; /* "catch-up", "newest position", or the fallback's transport */
    char where[300];
    int64_t took_ms;
    int status; /* 0: no answer */
    bool ok, parsed;
    struct profile_end end;
    char error[300]; /* of the page */
    size_t items, bytes;
    /* Of the fallback. */
    bool streams;  /* its answer has no end; no more than its beginning was awaited */
    bool as_sync;  /* it is the catch-up's request, with a wait: not made once more */
    bool waits;    /* a long poll that was not answered at once, as is its nature */
    char type[80]; /* Content-Type of a stream */
};

struct doctor_daemon {
    bool asked, reachable, has_stream;
    bool link; /* it has one up */
    char state[24];
    char error[200];
    struct buf status; /* its answer, JSON */
};

/* One of several dials. */
struct doctor_visit {
    bool opened, live, synced, sync_tried;
    char address[96], server[96], cookies[160], pin[72], what[200];
    int64_t open_ms, live_ms, rtt_ms;
    int sync_status;
};

struct doctor_facts {
    const char *name;       /* of the stream, or the address */
    char url[300];          /* "wss://host:port/path" */
    bool secure, plaintext; /* it is wss; ws is allowed to other machines */
    int64_t now_s;
    bool no_link, no_dials; /* they would stand in the way of hawserd's own link */
    struct doctor_secret secrets[DOCTOR_SECRETS];
    unsigned n_secrets;
    bool refreshes;       /* hawserd gets fresh ones by itself */
    char kept_error[300]; /* why what it got last cannot be read; "": it can, or there is none */
    struct doctor_proxy proxy;
    int trust_status;
    char trust_error[400];
    char own[300]; /* the client certificate, "": none */
    int64_t own_expires_s;
    struct doctor_lookup lookup;
    struct doctor_address addresses[IO_ADDRESSES_MAX];
    unsigned n_addresses;
    struct doctor_dial dial;
    struct doctor_sync sync, fallback;
    struct doctor_daemon daemon;
    struct doctor_visit visits[DOCTOR_DIALS_MAX];
    unsigned n_visits;
};

/* ---- findings ---- */

enum doctor_verdict {
    DOCTOR_WELL,
    DOCTOR_NOTE, /* no fault, but worth knowing */
    DOCTOR_ILL,
    DOCTOR_SKIPPED,
    DOCTOR_DETAIL, /* more about the finding before it */
};

struct doctor_finding {
    const char *layer;
    enum doctor_verdict verdict;
    char text[800], cause[400], fix[400]; /* cause and fix "": there is none to name */
};

struct doctor_report {
    struct doctor_finding findings[DOCTOR_FINDINGS];
    unsigned n, left_out;
    bool ill;
    const char *stopped; /* at which layer; NULL: all were looked at */
};

struct doctor_finding *doctor_say(struct doctor_report *report, const char *layer,
                                  enum doctor_verdict verdict, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Takes cause and fix from a text of the form "cause. Fix: fix"; NULL is none. */
void doctor_explain(struct doctor_finding *finding, const char *text);
void doctor_cause(struct doctor_finding *finding, const char *cause, const char *fix);

/* What stands below the link: credential, proxy, name, addresses. False: what comes after them
 * cannot work, and is not to be tried. To be asked again as facts come in. */
bool doctor_judge_way(const struct doctor_facts *facts, struct doctor_report *report);
/* Tunnel, TLS, upgrade, hello, pings, listening, in doctor_judge_link.c. */
void doctor_judge_link(const struct doctor_facts *facts, const struct profile *profile,
                       struct doctor_report *report);
void doctor_judge_sync(const struct doctor_facts *facts, const struct profile *profile,
                       struct doctor_report *report);
/* What delivers while no WebSocket does. */
void doctor_judge_fallback(const struct doctor_facts *facts, const struct profile *profile,
                           struct doctor_report *report);
/* Several dials beside each other, in doctor_judge_dials.c. */
void doctor_judge_dials(const struct doctor_facts *facts, const struct profile *profile,
                        struct doctor_report *report);
/* All of it, in order. */
void doctor_judge(const struct doctor_facts *facts, const struct profile *profile,
                  struct doctor_report *report);

#endif

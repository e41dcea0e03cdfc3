#include "ctl/words.h"

#include <string.h>

#include "base/timefmt.h"

static void say(struct buf *out, const char *text)
{
    (void)buf_append_str(out, text);
}

static void duration(int64_t ms, struct buf *out)
{
    char text[DURATION_TEXT_SIZE];
    duration_format(ms, text, sizeof(text));
    say(out, text);
}

static void backoff(const struct profile *profile, struct buf *out)
{
    say(out, "after the backoff: ");
    for (unsigned i = 0; i < profile->backoff.n_steps; i++) {
        say(out, i > 0 ? ", " : "");
        if (profile->backoff.steps_ms[i] == 0)
            say(out, "at once");
        else
            duration(profile->backoff.steps_ms[i], out);
    }
}

static void fallback(const struct profile *profile, struct buf *out)
{
    if (!profile->fallback.exists) {
        say(out, "rests for 5m, since the profile has no fallback, then tries again");
        return;
    }
    (void)buf_appendf(out,
                      "goes to the fallback %s, which delivers while the WebSocket is tried "
                      "every ",
                      profile->fallback.name);
    duration(profile->fallback.retry_primary_ms, out);
    say(out, " and ever more rarely");
}

static void park(const struct profile *profile, struct buf *out)
{
    say(out, "parks: nothing is tried until someone acts, or credential or configuration change");
    if (profile->park_probe_ms <= 0)
        return;
    say(out, "; but one quiet attempt after ");
    duration(profile->park_probe_ms, out);
    say(out, ", then after twice as long, up to a day");
}

void words_action(const struct profile *profile, const struct profile_policy_action *action,
                  struct buf *out)
{
    switch (action->kind) {
    case PROFILE_POLICY_RETRY:
        say(out, "reconnects ");
        backoff(profile, out);
        if (action->delay_ms > 0) {
            say(out, "; not before ");
            duration(action->delay_ms, out);
        }
        return;
    case PROFILE_POLICY_RETRY_AFTER:
        say(out, "reconnects when the answer's Retry-After says so; without one ");
        backoff(profile, out);
        return;
    case PROFILE_POLICY_REFRESH:
        say(out, profile->auth.refresh != PROFILE_NONE
                     ? "gets a fresh credential by the profile's [auth], then reconnects"
                     : "reads the credential anew, then reconnects");
        say(out, "; the second time without having been live it parks");
        return;
    case PROFILE_POLICY_FRESH:
        say(out, "forgets the session that the service gave it, and reconnects for a new one ");
        backoff(profile, out);
        return;
    case PROFILE_POLICY_FORGET:
        say(out, "drops its position, which stores a gap, and reconnects ");
        backoff(profile, out);
        return;
    case PROFILE_POLICY_FALLBACK:
        fallback(profile, out);
        return;
    case PROFILE_POLICY_HOLD:
        say(out, "rests for ");
        duration(action->delay_ms, out);
        say(out, ", or as long as Retry-After says, then tries again");
        return;
    case PROFILE_POLICY_PARK:
        park(profile, out);
        return;
    }
}

void words_flap(const struct profile *profile, const struct profile_flap *flap, struct buf *out)
{
    (void)buf_appendf(out, "%u times within ", flap->count);
    duration(flap->period_ms, out);
    say(out, ": ");
    words_action(profile, &flap->action, out);
}

bool words_flap_matters(const struct profile_flap *flap, const struct profile_policy_action *action)
{
    if (action->kind == PROFILE_POLICY_PARK)
        return false;
    if (action->kind == PROFILE_POLICY_HOLD)
        return flap->action.kind == PROFILE_POLICY_PARK ||
               (flap->action.kind == PROFILE_POLICY_HOLD &&
                flap->action.delay_ms > action->delay_ms);
    return true;
}

/* ---- TLS ---- */

static const struct {
    const char *fault, *text;
} tls_texts[] = {
    {"expired", "a certificate of the chain is past its end. Fix: the service must renew it; check "
                "this machine's clock"},
    {"not_yet_valid", "a certificate is valid only from a later time on. Fix: check this machine's "
                      "clock; else the service must mend it"},
    {"self_signed", "the service's certificate is its own authority. Fix: name it in tls_ca, if it "
                    "is the right one"},
    {"unknown_root", "the chain ends in an authority that is not trusted here, as where something "
                     "inspects TLS between. Fix: name that authority in tls_ca, if it is the right "
                     "one"},
    {"unknown_issuer",
     "who signed the certificate is neither sent nor known here. Fix: the service "
     "must send its intermediate certificate; a private authority is named by "
     "tls_ca"},
    {"wrong_host", "the certificate is another host's. Fix: check the host, and what answers at "
                   "its address"},
    {"unfit", "the certificate is not meant for a server, or signed too weakly. Fix: the service "
              "must get another"},
    {"pin", "the service's key is none of those that tls_pin names. Fix: find out whether the "
            "service has a new key, and only then name it"},
    {"own_certificate", "the service wants a certificate of ours, or does not take the one it got. "
                        "Fix: see tls_cert and tls_key, and when the certificate expires"},
    {"version", "the service speaks no version of TLS that will do. Fix: see tls_min; else the "
                "service must learn a newer one"},
    {"nothing_in_common", "there is no cipher that both sides take. Fix: the service must offer a "
                          "strong one"},
    {"host_not_served", "the server knows no host of that name. Fix: check the host"},
    {"not_tls", "something else than TLS is spoken on this port. Fix: check the port, and whether "
                "the address should begin with ws://"},
    {"other", "TLS failed in some other way. Fix: see the error beside it"},
};
#define N_TLS (sizeof(tls_texts) / sizeof(tls_texts[0]))

const char *words_tls(const char *fault)
{
    for (size_t i = 0; i < N_TLS; i++)
        if (strcmp(tls_texts[i].fault, fault) == 0)
            return tls_texts[i].text;
    return NULL;
}

const char *words_tls_fault(size_t i)
{
    return i < N_TLS ? tls_texts[i].fault : NULL;
}

/*
 * heartbeat: is the link alive? Alive means a proven round trip: any frame counts. A link on which
 * nothing has come for pong_timeout after a ping, or for idle, is half-open: neither end would ever
 * learn of it. The service's own heartbeat wants more: its acknowledgement, for a proxy may answer
 * pings long after the service behind it is gone.
 *
 * hawser's own silence proves nothing about the peer: rx_ms comes from whoever reads, and a TICK
 * that is itself late means that the process stood still; then the clocks start anew.
 */
#include <stdio.h>
#include <string.h>

#include "session/machine.h"

static int64_t add(int64_t at, int64_t delay)
{
    return delay > SESSION_NEVER - at ? SESSION_NEVER : at + delay;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The profile's word, unless its own cuts have taught us better. */
static int64_t ping_every_ms(const struct session *s)
{
    int64_t every = s->profile->heartbeat.ws_ping_ms, learnt = s->rhythm.ping_ms;
    if (s->profile->connect.ping_forbidden)
        return 0;
    return learnt > 0 && (every <= 0 || learnt < every) ? learnt : every;
}

static int64_t beat_every_ms(const struct session *s)
{
    int64_t every = s->profile->heartbeat.every_ms, learnt = s->rhythm.ping_ms;
    if (s->profile->heartbeat.send == PROFILE_NONE)
        return 0;
    return learnt > 0 && every > 0 && learnt < every ? learnt : every;
}

static bool can_beat(const struct session *s)
{
    return s->profile->heartbeat.send != PROFILE_NONE;
}

static void plan_ping(const struct session *s, struct session_pulse *pulse)
{
    pulse->ping_at_ms =
        pulse->ping_every_ms > 0 ? session_after(s, pulse->ping_every_ms) : SESSION_NEVER;
}

static void plan_beat(const struct session *s, struct session_pulse *pulse)
{
    pulse->beat_at_ms = pulse->beats && pulse->beat_every_ms > 0
                            ? session_after(s, pulse->beat_every_ms)
                            : SESSION_NEVER;
}

/* Nothing is awaited, and all that is periodic begins now. */
static void begin_anew(const struct session *s, struct session_pulse *pulse)
{
    pulse->rx_ms = s->now_ms;
    pulse->pinged_ms = -1;
    pulse->beat_ms = -1;
    plan_ping(s, pulse);
    plan_beat(s, pulse);
}

void session_pulse_start(const struct session *s, struct session_pulse *pulse)
{
    int64_t age = s->profile->connect.max_age_ms, learnt = s->rhythm.max_age_ms;
    *pulse = (struct session_pulse){
        .opened_ms = s->now_ms,
        .ping_every_ms = ping_every_ms(s),
        .beat_every_ms = beat_every_ms(s),
        .idle_ms = s->profile->heartbeat.idle_ms,
        .live_timeout_ms = s->profile->live.timeout_ms,
        .max_age_ms = learnt > 0 && (age <= 0 || learnt < age) ? learnt : age,
        .beats = !s->profile->live.by_rule && can_beat(s),
    };
    for (unsigned i = 0; i < PROFILE_SENDS_MAX; i++)
        pulse->answer_by_ms[i] = SESSION_NEVER;
    begin_anew(s, pulse);
}

void session_pulse_accepted(const struct session *s, struct session_pulse *pulse)
{
    if (pulse->beats || !can_beat(s))
        return;
    pulse->beats = true;
    plan_beat(s, pulse);
}

/* What a peer names is kept within what does neither of us harm; 0 switches off. */
static int64_t bounded(int64_t value_ms)
{
    if (value_ms <= 0)
        return 0;
    if (value_ms < SESSION_SET_MIN_MS)
        return SESSION_SET_MIN_MS;
    return value_ms < SESSION_SET_MAX_MS ? value_ms : SESSION_SET_MAX_MS;
}

void session_pulse_set(const struct session *s, struct session_pulse *pulse,
                       enum profile_setting setting, int64_t value_ms)
{
    int64_t value = bounded(value_ms);
    switch (setting) {
    case PROFILE_SET_HEARTBEAT_EVERY:
        pulse->beat_every_ms = value;
        pulse->beats = can_beat(s); /* who names an interval wants to see it kept */
        plan_beat(s, pulse);
        return;
    case PROFILE_SET_HEARTBEAT_IDLE:
        pulse->idle_ms = value;
        return;
    case PROFILE_SET_HEARTBEAT_WS_PING:
        pulse->ping_every_ms = s->profile->connect.ping_forbidden ? 0 : value;
        plan_ping(s, pulse);
        return;
    case PROFILE_SET_LIVE_TIMEOUT:
        pulse->live_timeout_ms = value;
        return;
    case PROFILE_SET_CONNECT_MAX_AGE:
        pulse->max_age_ms = value;
        return;
    case PROFILE_SETTING_COUNT:
        return;
    }
}

void session_pulse_rx(struct session_pulse *pulse, int64_t rx_ms)
{
    if (rx_ms <= pulse->rx_ms)
        return;
    pulse->rx_ms = rx_ms;
    if (rx_ms > pulse->pinged_ms)
        pulse->pinged_ms = -1;
}

void session_pulse_ponged(struct session_pulse *pulse)
{
    pulse->pinged_ms = -1;
}

void session_pulse_acked(struct session_pulse *pulse)
{
    pulse->beat_ms = -1;
}

/* ---- answers ---- */

void session_pulse_sent(const struct session *s, struct session_pulse *pulse, unsigned send)
{
    if (send >= s->profile->n_sends || send >= PROFILE_SENDS_MAX)
        return;
    int64_t timeout = s->profile->sends[send].answer_timeout_ms;
    if (timeout > 0 && pulse->answer_by_ms[send] == SESSION_NEVER)
        pulse->answer_by_ms[send] = session_after(s, timeout);
}

void session_pulse_answered(struct session_pulse *pulse, uint32_t sends)
{
    for (unsigned i = 0; i < PROFILE_SENDS_MAX; i++)
        if (sends & 1u << i)
            pulse->answer_by_ms[i] = SESSION_NEVER;
}

static unsigned first_answer(const struct session_pulse *pulse)
{
    unsigned first = 0;
    for (unsigned i = 1; i < PROFILE_SENDS_MAX; i++)
        if (pulse->answer_by_ms[i] < pulse->answer_by_ms[first])
            first = i;
    return first;
}

/* ---- deadlines ---- */

static int64_t pong_deadline_ms(const struct session *s, const struct session_pulse *pulse)
{
    int64_t timeout = s->profile->heartbeat.pong_timeout_ms;
    return pulse->pinged_ms < 0 || timeout <= 0 ? SESSION_NEVER : add(pulse->pinged_ms, timeout);
}

static int64_t ack_deadline_ms(const struct session *s, const struct session_pulse *pulse)
{
    int64_t timeout = s->profile->heartbeat.ack_timeout_ms;
    return pulse->beat_ms < 0 || timeout <= 0 ? SESSION_NEVER : add(pulse->beat_ms, timeout);
}

static int64_t idle_deadline_ms(const struct session_pulse *pulse)
{
    return pulse->idle_ms <= 0 ? SESSION_NEVER : add(pulse->rx_ms, pulse->idle_ms);
}

static int64_t death_ms(const struct session *s, const struct session_pulse *pulse)
{
    int64_t silent = earlier(pong_deadline_ms(s, pulse), idle_deadline_ms(pulse));
    int64_t unanswered =
        earlier(ack_deadline_ms(s, pulse), pulse->answer_by_ms[first_answer(pulse)]);
    return earlier(silent, unanswered);
}

int64_t session_pulse_deadline_ms(const struct session *s, const struct session_pulse *pulse)
{
    return earlier(earlier(pulse->ping_at_ms, pulse->beat_at_ms), death_ms(s, pulse));
}

/* ---- the tick ---- */

static void ping(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_LINK_PING)->link = s->link;
    if (s->pulse.pinged_ms < 0)
        s->pulse.pinged_ms = s->now_ms;
    plan_ping(s, &s->pulse);
}

static void beat(struct session *s, struct session_actions *out)
{
    session_do(out, SESSION_DO_HEARTBEAT)->link = s->link;
    if (s->pulse.beat_ms < 0)
        s->pulse.beat_ms = s->now_ms;
    plan_beat(s, &s->pulse);
}

void session_heartbeat_probe(struct session *s, struct session_actions *out)
{
    if (!s->profile->connect.ping_forbidden)
        ping(s, out);
    else if (s->pulse.beats)
        beat(s, out);
}

static void describe(const struct session *s, int64_t dead, struct profile_end *end)
{
    const struct session_pulse *pulse = &s->pulse;
    unsigned answer = first_answer(pulse);
    *end = (struct profile_end){
        .kind = PROFILE_END_CLOSE, .code = 1006, .local = true, .retry_after_ms = -1};
    if (dead == pong_deadline_ms(s, pulse)) {
        snprintf(end->text, sizeof(end->text), "no answer to a ping for %lld s (half-open)",
                 (long long)(s->profile->heartbeat.pong_timeout_ms / 1000));
    } else if (dead == idle_deadline_ms(pulse)) {
        snprintf(end->text, sizeof(end->text), "nothing came for %lld s (half-open)",
                 (long long)(pulse->idle_ms / 1000));
    } else if (dead == ack_deadline_ms(s, pulse)) {
        snprintf(end->text, sizeof(end->text), "our heartbeat was not answered for %lld s%s",
                 (long long)(s->profile->heartbeat.ack_timeout_ms / 1000), " (half-open)");
    } else {
        end->kind = PROFILE_END_FAILURE;
        end->failure = PROFILE_FAILURE_TIMEOUT;
        end->phase = PROFILE_PHASE_ANSWER;
        snprintf(end->text, sizeof(end->text), "no answer to [send %s] within %lld s",
                 s->profile->sends[answer].name,
                 (long long)(s->profile->sends[answer].answer_timeout_ms / 1000));
    }
}

/* hawser itself stood still: what has come meanwhile has yet to be read. */
static void forgive(struct session *s, struct session_actions *out)
{
    struct session_pulse *pulse = &s->pulse;
    bool pings = pulse->ping_every_ms > 0;
    for (unsigned i = 0; i < s->profile->n_sends && i < PROFILE_SENDS_MAX; i++)
        if (pulse->answer_by_ms[i] != SESSION_NEVER)
            pulse->answer_by_ms[i] = session_after(s, s->profile->sends[i].answer_timeout_ms);
    bool beats = pulse->beat_at_ms != SESSION_NEVER;
    begin_anew(s, pulse);
    if (pings)
        ping(s, out);
    if (beats)
        beat(s, out);
}

bool session_heartbeat_tick(struct session *s, struct session_actions *out, struct profile_end *end)
{
    int64_t dead = death_ms(s, &s->pulse);

    if (s->now_ms < dead) {
        if (s->now_ms >= s->pulse.ping_at_ms)
            ping(s, out);
        if (s->now_ms >= s->pulse.beat_at_ms)
            beat(s, out);
        return false;
    }
    if (s->now_ms - dead > SESSION_LATE_MS) {
        forgive(s, out);
        return false;
    }
    describe(s, dead, end);
    return true;
}

/*
 * machine: what the files of this room share. Not for other rooms.
 *
 * Decides: nothing; each function's file does.
 * All of them act on s->now_ms, which session_step() has set, and append to `out`.
 */
#ifndef HAWSER_SESSION_MACHINE_H
#define HAWSER_SESSION_MACHINE_H

#include "session/session.h"

#define SESSION_NEVER INT64_MAX

#define SESSION_BIT(state) (1u << SESSION_##state)
/* States that have a link which serves. */
#define SESSION_LINKED                                                                             \
    (SESSION_BIT(DIALING) | SESSION_BIT(OPENING) | SESSION_BIT(GREETING) |                         \
     SESSION_BIT(CATCHING_UP) | SESSION_BIT(LIVE) | SESSION_BIT(POLLING))

static inline bool session_in(const struct session *s, unsigned states)
{
    return (1u << s->state & states) != 0;
}

/* Worst cases of the building blocks, in actions. session.c adds them up. */
enum {
    SESSION_COST_STATE = 1,
    SESSION_COST_CLOSE = 1,                        /* LINK_CLOSE or LINK_ABORT */
    SESSION_COST_DIAL = 2,                         /* STATE, ASK_SLOT; then DIAL, STATE */
    SESSION_COST_REQUEST = 1,                      /* HTTP_START */
    SESSION_COST_ABANDON = 2,                      /* HTTP_CANCEL, DISCARD */
    SESSION_COST_LEAVE = SESSION_COST_ABANDON + 2, /* and DROP_SLOT, GAP no_position */
    SESSION_COST_FORGET = 2,                       /* FORGET, GAP epoch */
    SESSION_COST_FOLLOW = SESSION_COST_FORGET + SESSION_COST_STATE, /* or REFRESH, or FRESH */
    SESSION_COST_SAY = 1,
    SESSION_COST_SAVE = 1,  /* of any step */
    SESSION_COST_PROBE = 2, /* LINK_PING, HEARTBEAT */
    SESSION_COST_LIVE =
        3 + SESSION_COST_STATE, /* GAP no_resume or no_position, HTTP_CANCEL, RELEASE */
};

/* ---- session.c: the machine itself ---- */
struct session_action *session_do(struct session_actions *out, enum session_action_kind kind);
/* now + delay, without overflow; a negative delay is none. */
int64_t session_after(const struct session *s, int64_t delay_ms);
/* The one function that changes the state. Writes the reason, checks the transition table and
 * emits STATE. wake_ms is the new state's deadline or SESSION_NEVER. */
void session_enter(struct session *s, struct session_actions *out, enum session_state to,
                   int64_t wake_ms, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Cuts text at size - 1 bytes, never within a UTF-8 character. Returns the length. */
size_t session_copy_text(char *out, size_t size, const char *text);
void session_gap(struct session_actions *out, enum session_gap gap, const char *text);
/* Drops the position, if there is one, and says so. */
void session_forget(struct session *s, struct session_actions *out, const char *why);

/* ---- slot.c: the broker's leave to dial ---- */
/* Asks for a slot, one at a time: a wish for another kind takes the place of the one before. When
 * it is granted, session_slot_granted() calls who wanted it. */
void session_ask_slot(struct session *s, struct session_actions *out, enum session_wish wish,
                      const char *why);
/* No longer wanted. Nothing where none was asked for. */
void session_drop_slot(struct session *s, struct session_actions *out);
void session_slot_granted(struct session *s, struct session_actions *out);
void session_slot_later(struct session *s, struct session_actions *out, int64_t at_ms,
                        const char *why);

/* ---- link.c: the one link ---- */
/* The session wants to dial: asks for a slot, after the old link's end and when the store takes
 * events. The state stays, but for STALLED and PAUSED, which are over: WAITING. */
void session_dial(struct session *s, struct session_actions *out, const char *why);
/* The slot for it is there. */
void session_dial_now(struct session *s, struct session_actions *out, const char *why);
/* Starts the close handshake of an open link; drops one that is not open. */
void session_link_close(struct session *s, struct session_actions *out, int code);
void session_link_abort(struct session *s, struct session_actions *out);
/* Leaves an open link by our own will and dials anew, without backoff. */
void session_redial(struct session *s, struct session_actions *out, const char *why);
/* The link is open and the service has accepted us. */
void session_accepted(struct session *s, struct session_actions *out);
void session_go_live(struct session *s, struct session_actions *out, const char *why);
/* Leaves whatever the link was doing: cancels the request, drops what is held, says the gap. */
void session_leave_link(struct session *s, struct session_actions *out);
/* The link has ended, or is being closed because of `end`: what follows by policy. */
void session_lost(struct session *s, struct session_actions *out, const struct profile_end *end);
/* The same where the action is known already. end is NULL when a rule asked. */
void session_lost_to(struct session *s, struct session_actions *out,
                     const struct profile_policy_action *action, const struct profile_end *end,
                     const char *why);
/* LINK_CLOSED, LINK_FAILED or LINK_ABORT of a link whose end was decided before. */
void session_closed(struct session *s, struct session_actions *out);

/* ---- policy.c: what an end leads to ---- */
/* The row for this end, with flaps counted in; why gets what to say about it: the end, its rhythm,
 * and the service's own explanation if there is room. */
struct profile_policy_action session_judge(struct session *s, const struct profile_end *end,
                                           char *why, size_t size);
/* Enters the state that the action asks for. end is NULL when a rule asked. */
void session_follow(struct session *s, struct session_actions *out,
                    const struct profile_policy_action *action, const struct profile_end *end,
                    const char *why);
/* The captured variables are of no use; nor is what the service would have resumed by them. */
void session_fresh(struct session *s, struct session_actions *out);
/* The wait for another try of the refresh is over. */
void session_refresh_again(struct session *s, struct session_actions *out);
void session_wait_backoff(struct session *s, struct session_actions *out,
                          const struct profile_policy_action *action, const struct profile_end *end,
                          const char *why);
/* The next wake-up of a parked stream, SESSION_NEVER: someone has to come. */
int64_t session_next_probe_ms(struct session *s);
void session_park(struct session *s, struct session_actions *out, const struct profile_end *end,
                  const char *why);
bool session_same_end(const struct profile_end *a, const struct profile_end *b);

/* ---- backoff.c: how long ---- */
/* A link has been LIVE for so long: takes steps back. */
void session_backoff_lived(struct session *s, int64_t lived_ms);
/* The delay of step number `step`, and of a policy action on top of it. */
int64_t session_backoff_step_ms(struct session *s, unsigned step);
int64_t session_backoff_delay_ms(struct session *s, const struct profile_policy_action *action,
                                 const struct profile_end *end, unsigned step);
/* delay lengthened by up to a tenth. */
int64_t session_jitter_up_ms(struct session *s, int64_t delay_ms);

/* ---- heartbeat.c: the pulse of a link ---- */
/* The link has just opened. A successor has a pulse of its own, which becomes s->pulse. */
void session_pulse_start(const struct session *s, struct session_pulse *pulse);
/* The service has accepted us: its own heartbeat begins, where it did not at the opening. */
void session_pulse_accepted(const struct session *s, struct session_pulse *pulse);
void session_pulse_set(const struct session *s, struct session_pulse *pulse,
                       enum profile_setting setting, int64_t value_ms);
void session_pulse_rx(struct session_pulse *pulse, int64_t rx_ms);
void session_pulse_acked(struct session_pulse *pulse);
void session_pulse_sent(const struct session *s, struct session_pulse *pulse, unsigned send);
void session_pulse_answered(struct session_pulse *pulse, uint32_t sends);
int64_t session_pulse_deadline_ms(const struct session *s, const struct session_pulse *pulse);
/* Pings and beats when due. True when the link is dead; *end then says why. */
bool session_heartbeat_tick(struct session *s, struct session_actions *out,
                            struct profile_end *end);
/* Asks the peer for a sign of life now, by what the service allows. */
void session_heartbeat_probe(struct session *s, struct session_actions *out);

/* ---- rtt.c, rhythm.c: what links are like ---- */
void session_rtt_pong(struct session *s, struct session_actions *out, int64_t rtt_ms);
/* The link, which was open, has broken without a close frame. */
void session_rhythm_cut(struct session *s, struct session_actions *out);

/* ---- saved.c: what outlives the process ---- */
void session_restore(struct session *s, const struct session_init_args *args);
/* START: takes up what was saved, or dials. */
void session_begin(struct session *s, struct session_actions *out);
/* Plans SAVE for when time alone will have brought news. */
void session_plan_save(struct session *s);
/* SAVE, if the step has brought news: its last action. */
void session_end_step(struct session *s, struct session_actions *out);

/* ---- rules.c ---- */
void session_on_rule(struct session *s, const struct session_event *event,
                     struct session_actions *out);

/* ---- outside.c: the operator, the store, the credentials ---- */
/* STOP and PAUSE: `to` is STOPPED or PAUSED. */
void session_on_leave(struct session *s, struct session_actions *out, enum session_state to);
void session_on_resume(struct session *s, struct session_actions *out);
void session_on_reconnect(struct session *s, struct session_actions *out);
void session_on_credential(struct session *s, struct session_actions *out);
void session_on_refresh_failed(struct session *s, struct session_actions *out,
                               const struct profile_end *end);
void session_on_network(struct session *s, struct session_actions *out);
void session_on_stalled(struct session *s, struct session_actions *out);
void session_on_ready(struct session *s, struct session_actions *out, bool has_position);

/* ---- catchup.c ---- */
void session_hold(struct session *s, struct session_actions *out);
void session_catchup_begin(struct session *s, struct session_actions *out, const char *why);
/* No more requests; one that is outstanding is cancelled. */
void session_catchup_end(struct session *s, struct session_actions *out);
/* The same, and what is held is dropped: the link has no use for it any more. */
void session_catchup_abandon(struct session *s, struct session_actions *out);
void session_catchup_tick(struct session *s, struct session_actions *out);
void session_catchup_page(struct session *s, struct session_actions *out,
                          const struct session_page *page);
void session_catchup_failed(struct session *s, struct session_actions *out,
                            const struct profile_end *end);
void session_catchup_overflow(struct session *s, struct session_actions *out);

#endif

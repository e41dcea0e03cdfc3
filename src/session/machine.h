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

/* Worst cases of the building blocks, in actions. check.c adds them up. */
enum {
    SESSION_COST_STATE = 1,
    SESSION_COST_CLOSE = 1,                        /* LINK_CLOSE or LINK_ABORT */
    SESSION_COST_DIAL = 2,                         /* STATE, ASK_SLOT; then DIAL, STATE */
    SESSION_COST_REQUEST = 1,                      /* HTTP_START */
    SESSION_COST_ABANDON = 2,                      /* HTTP_CANCEL, DISCARD */
    SESSION_COST_LEAVE = SESSION_COST_ABANDON + 3, /* and DROP_SLOT, the successor's LINK_CLOSE, GAP
                                                      no_position */
    SESSION_COST_FORGET = 2,                       /* FORGET, GAP epoch */
    /* FORGET, FRESH or REFRESH; the fallback's ASK_SLOT or HTTP_START */
    SESSION_COST_FOLLOW = SESSION_COST_FORGET + SESSION_COST_STATE + 1,
    SESSION_COST_STOP = 2,    /* the fallback's HTTP_CANCEL, DROP_SLOT */
    SESSION_COST_CATCHUP = 3, /* HOLD, HTTP_START, STATE */
    SESSION_COST_SWITCH = 4,  /* SWITCH, LINK_CLOSE, DISCARD, HTTP_CANCEL */
    SESSION_COST_PUT_OFF = 1, /* the successor's DROP_SLOT, or LINK_CLOSE */
    SESSION_COST_SAY = 1,
    SESSION_COST_SAVE = 1,  /* of any step */
    SESSION_COST_PROBE = 2, /* LINK_PING, HEARTBEAT */
    SESSION_COST_LIVE =
        5 + SESSION_COST_STATE, /* GAP no_resume, no_position, HTTP_CANCEL, RELEASE, DOUBT */
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
void session_say(struct session_actions *out, const char *text);
/* Drops the position, if there is one, and says so. */
void session_forget(struct session *s, struct session_actions *out, const char *why);

/* ---- check.c ---- */
void session_check(const struct session *s);

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
/* The position is older than it is good for: what lies between is lost. why: of SESSION_TEXT bytes,
 * gets how old. */
bool session_too_old(const struct session *s, char *why);
/* Drops such a one. Before each way to resume from it. */
void session_check_age(struct session *s, struct session_actions *out);
/* The link is open, and the service has not accepted us yet. */
bool session_greeting(const struct session *s);
/* It has not in time: what that end is. */
void session_not_accepted(const struct session_pulse *pulse, struct profile_end *end);
/* The link is open and the service has accepted us. */
void session_accepted(struct session *s, struct session_actions *out);
void session_go_live(struct session *s, struct session_actions *out, const char *why);
/* The gaps that could not be said when they began, now that the stream delivers again. */
void session_say_owed(struct session *s, struct session_actions *out);
/* What delivered, delivers no more, and nothing leads back to where it stopped: a gap. */
void session_lost_sight(struct session *s, struct session_actions *out);
/* Leaves whatever the link was doing: cancels the request, drops what is held, says the gap; a
 * fallback and a successor end as well. */
void session_leave_link(struct session *s, struct session_actions *out);
/* The link has ended, or is being closed because of `end`: what follows by policy. */
void session_lost(struct session *s, struct session_actions *out, const struct profile_end *end);
/* The same where the action is known already. end is NULL when a rule asked. */
void session_lost_to(struct session *s, struct session_actions *out,
                     const struct profile_policy_action *action, const struct profile_end *end,
                     const char *why);
/* A link is on its way out: it still counts. */
bool session_closing(const struct session *s);
/* LINK_CLOSED, LINK_FAILED or LINK_ABORT of a link whose end was decided before. */
void session_closed(struct session *s, struct session_actions *out);
/* What waited for the end of a link that was closing goes on, if that was the last such. */
void session_gone(struct session *s, struct session_actions *out);

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
/* A pong answers whatever went before it, be it within the same millisecond. */
void session_pulse_ponged(struct session_pulse *pulse);
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
/* The stream delivers all there is, as far as can be known. */
bool session_is_whole(const struct session *s);
/* The link has been heard at that time: it is none that a sleep has ended. */
void session_woken(struct session *s, int64_t rx_ms);
/* Plans SAVE for when time alone will have brought news. */
void session_plan_save(struct session *s);
void session_begin_step(struct session *s);
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
void session_on_network(struct session *s, struct session_actions *out, int64_t slept_ms);
void session_on_stalled(struct session *s, struct session_actions *out);
void session_on_ready(struct session *s, struct session_actions *out, bool has_position);

/* ---- catchup.c ---- */
void session_hold(struct session *s, struct session_actions *out);
/* flow holds, by itself or by another action than HOLD. */
void session_holds(struct session *s);
void session_release(struct session *s, struct session_actions *out);
void session_discard(struct session *s, struct session_actions *out);
/* A new purpose, with nothing known of it yet; session_request() asks. */
void session_ask_for(struct session *s, enum session_purpose purpose);
void session_request(struct session *s, struct session_actions *out);
/* The next request goes out in SESSION_ASK_MS. */
void session_pace(struct session *s);
/* There is more, and the page leads on to it. An empty page without a cursor leads nowhere. */
bool session_promised(const struct session_page *page);
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

/* Sync was given its time. What it then still promises or owes is a gap. */
void session_say_missing(const struct session *s, struct session_actions *out,
                         const struct session_page *page, bool promised);

/* ---- doubt.c: a catch-up that only sync's word says is whole ---- */
/* The stream has just gone live by it: sync has had nothing more since sync.quiet_ms. */
void session_doubt(struct session *s, struct session_actions *out);
bool session_doubts(const struct session *s);
/* flow holds no more, and goes on doubting where the session does. */
void session_doubt_on(const struct session *s, struct session_actions *out);
void session_on_doubt(struct session *s, struct session_actions *out);
void session_on_follows(struct session *s, struct session_actions *out);
void session_doubt_tick(struct session *s, struct session_actions *out);
void session_doubt_page(struct session *s, struct session_actions *out,
                        const struct session_page *page);
void session_doubt_failed(struct session *s, struct session_actions *out, int64_t delay_ms,
                          const char *why);

/* ---- heal.c: what a live link leaves out, and its requests ---- */
void session_on_hole(struct session *s, struct session_actions *out, const char *missing);
void session_on_unkeyed(struct session *s, struct session_actions *out);
void session_live_page(struct session *s, struct session_actions *out,
                       const struct session_page *page);
void session_live_failed(struct session *s, struct session_actions *out,
                         const struct profile_end *end);
/* The position was dropped: there is nothing to ask for. */
void session_live_forgot(struct session *s, struct session_actions *out);
void session_live_tick(struct session *s, struct session_actions *out);
int64_t session_live_deadline_ms(const struct session *s);

/* ---- audit.c ---- */
/* The stream is live, or an audit is over: when the next begins. */
void session_audit_plan(struct session *s);
/* AUDITED, where there are audits. */
void session_audited(struct session *s, struct session_actions *out);
void session_on_window_half(struct session *s);
void session_audit_page(struct session *s, struct session_actions *out,
                        const struct session_page *page);
/* The next one, no sooner than after delay_ms. */
void session_audit_failed(struct session *s, struct session_actions *out, int64_t delay_ms,
                          const char *why);
void session_audit_tick(struct session *s, struct session_actions *out);
int64_t session_audit_deadline_ms(const struct session *s);

/* ---- fallback.c ---- */
/* Is the fallback what this action leads to, here and now? */
bool session_fallback_takes(const struct session *s, const struct profile_policy_action *action);
/* A link's end leads to the fallback; POLLING. */
void session_fallback_begin(struct session *s, struct session_actions *out,
                            const struct profile_policy_action *action,
                            const struct profile_end *end, const char *why);
/* Back to the fallback that the stream was on; without a position to begin at, to the WebSocket. */
void session_fallback_resume(struct session *s, struct session_actions *out, const char *why);
/* Its next request, when it is due and nothing is in its way. */
void session_fallback_go(struct session *s, struct session_actions *out);
/* The slot for it is there. */
void session_fallback_start(struct session *s, struct session_actions *out);
void session_on_fallback_open(struct session *s, struct session_actions *out, uint64_t request);
void session_fallback_page(struct session *s, struct session_actions *out,
                           const struct session_page *page);
void session_fallback_ended(struct session *s, struct session_actions *out,
                            const struct profile_end *end);
/* The stream is no longer one that goes back to it. */
void session_fallback_over(struct session *s);
/* It ends here, whatever it is doing. */
void session_fallback_stop(struct session *s, struct session_actions *out);
/* A link is about to be dialled: true when that is beside the fallback, which otherwise ends. */
bool session_fallback_dials(struct session *s, struct session_actions *out);
/* The link beside it is open; the service has yet to accept it. */
void session_fallback_link_open(struct session *s);
void session_fallback_link_lost(struct session *s, struct session_actions *out,
                                const struct profile_policy_action *action,
                                const struct profile_end *end, const char *why);
/* The operator wants the WebSocket tried now. */
void session_fallback_try_primary(struct session *s, struct session_actions *out);
void session_fallback_tick(struct session *s, struct session_actions *out);
int64_t session_fallback_deadline_ms(const struct session *s);

/* ---- handover.c ---- */
/* When the link that has just opened is handed over for its age. */
void session_plan_age(struct session *s);
/* A handover is wanted. `why` is static. */
void session_handover(struct session *s, struct session_actions *out, const char *why, bool moved,
                      bool by_service);
/* The stream is live: a handover that had to wait may begin. */
void session_handover_live(struct session *s);
/* The slot for the successor is there. */
void session_successor_dial(struct session *s, struct session_actions *out);
/* LINK_*, HELD_* and what concerns a pulse, of the successor. False: it is about another link. */
bool session_on_successor(struct session *s, const struct session_event *event,
                          struct session_actions *out);
/* It is, and it is open. */
bool session_is_successor(const struct session *s, uint64_t link);
/* The rules ALIVE, LIVE and SET of it. */
void session_successor_told(struct session *s, struct session_actions *out,
                            const struct profile_trigger *rule);
/* It is of no use, and is closed; another one may be. */
void session_successor_refused(struct session *s, struct session_actions *out,
                               const struct profile_policy_action *action, const char *why);
void session_on_met(struct session *s, struct session_actions *out);
/* The link has ended, and is gone. True when a successor goes on in its place. */
bool session_handover_outlives(struct session *s, struct session_actions *out,
                               const struct profile_end *end);
/* The link is left: its successor is, too. */
void session_handover_drop(struct session *s, struct session_actions *out);
/* It begins anew later: the hold is needed for something else. */
void session_handover_put_off(struct session *s, struct session_actions *out);
void session_handover_tick(struct session *s, struct session_actions *out);
int64_t session_handover_deadline_ms(const struct session *s);

#endif

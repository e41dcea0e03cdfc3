/*
 * What messages mean to a link that only looks: captures and sends are done, as they are what a
 * service waits for; what would change something (requests, acknowledgements) is not.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/doctor_link.h"

enum { SEND_BYTES = 65536 };

bool doctor_hello_send(struct doctor_link *link, unsigned send)
{
    struct doctor *doctor = link->doctor;
    const struct profile_send *what = &doctor->profile->sends[send];
    struct error err = {0};
    struct buf text;
    if (what->once && (link->sent & 1u << send) != 0)
        return true;
    buf_init(&text, SEND_BYTES);
    int rc = buf_reserve(&text, SEND_BYTES); /* at once: growing would leave copies of secrets */
    if (rc == 0)
        rc = profile_render_send(doctor->profile, send, doctor->scanner, doctor_look_up, doctor,
                                 &text, &err);
    if (rc == 1) {
        link->sent |= 1u << send;
        if (link->link != NULL)
            (void)net_link_send(link->link, WS_TEXT, buf_slice(&text));
    }
    buf_wipe(&text);
    buf_fini(&text);
    return rc == 1;
}

void doctor_hello_open(struct doctor_link *link)
{
    const struct profile *profile = link->doctor->profile;
    link->facts->live = !profile->live.by_rule;
    for (unsigned i = 0; i < profile->n_sends && !profile->connect.data_forbidden; i++)
        if (profile->sends[i].when == PROFILE_SEND_ON_OPEN)
            (void)doctor_hello_send(link, i);
}

static void say(struct doctor_link *link, const char *text)
{
    struct doctor_dial *facts = link->facts;
    if (facts->n_said < DOCTOR_SAID && text != NULL)
        snprintf(facts->said[facts->n_said++], sizeof(facts->said[0]), "%.199s", text);
}

/* Once: where one message is at fault the next ones mostly are too. */
static void say_fault(struct doctor_link *link, const char *fault)
{
    char text[200];
    if (link->facts->faults++ > 0)
        return;
    snprintf(text, sizeof(text), "a message is not as the profile says: %.150s", fault);
    say(link, text);
}

static void stop(struct doctor_link *link, const struct profile_rule_action *action,
                 const char *otherwise)
{
    struct doctor_rule *rule = &link->facts->rule;
    if (rule->said)
        return;
    rule->said = true;
    rule->kind = action->kind;
    snprintf(rule->name, sizeof(rule->name), "%.60s", action->rule);
    snprintf(rule->text, sizeof(rule->text), "%.290s",
             action->text != NULL && action->text[0] != '\0' ? action->text : otherwise);
}

static void send_first(struct doctor_link *link, const struct profile_rule_action *action)
{
    unsigned i = 0;
    while (i < action->n_sends && !doctor_hello_send(link, action->sends[i]))
        i++;
}

static void set_beat(struct doctor_link *link, const struct profile_trigger *rule)
{
    if (rule->action->setting == PROFILE_SET_HEARTBEAT_EVERY)
        link->beat_ms = rule->value_ms;
}

static void do_rule(struct doctor_link *link, const struct profile_trigger *rule)
{
    const struct profile_rule_action *action = rule->action;
    switch (action->kind) {
    case PROFILE_RULE_EVENT:
    case PROFILE_RULE_IGNORE:
    case PROFILE_RULE_SNAPSHOT:
    case PROFILE_RULE_ALIVE:
    case PROFILE_RULE_FRESH:
    case PROFILE_RULE_FORGET:
        return;
    case PROFILE_RULE_LIVE:
        if (!link->facts->live)
            link->facts->live_ms = io_now_ms(link->doctor->loop) - link->opened_ms;
        link->facts->live = true;
        return;
    case PROFILE_RULE_CAPTURE:
        doctor_set(link->doctor, action->variable, rule->value);
        return;
    case PROFILE_RULE_SEND:
        send_first(link, action);
        return;
    case PROFILE_RULE_SET:
        set_beat(link, rule);
        return;
    case PROFILE_RULE_CALL:
        link->facts->calls++;
        return;
    case PROFILE_RULE_GAP:
    case PROFILE_RULE_SAY:
        say(link, action->text);
        return;
    case PROFILE_RULE_HANDOVER:
        say(link, "the service asks to move to another link");
        return;
    case PROFILE_RULE_RECONNECT:
        stop(link, action,
             "the service asks for a new connection. Fix: nothing, hawserd makes one");
        return;
    case PROFILE_RULE_REFRESH:
        stop(link, action,
             "the service asks for a fresh credential. Fix: put one where the source "
             "points to; with a refresh in the profile hawserd gets it by itself");
        return;
    case PROFILE_RULE_HOLD:
        stop(link, action, "the service asks to stay away for a while. Fix: see its documentation");
        return;
    case PROFILE_RULE_PARK:
        stop(link, action, "the service will not serve us so. Fix: see its documentation");
        return;
    }
}

void doctor_hello_message(struct doctor_link *link, struct slice payload)
{
    struct profile_frame frame;
    struct profile_message message;
    profile_frame_begin(link->doctor->scanner, payload, NULL, &frame);
    while (profile_frame_next(link->doctor->scanner, &frame, &message)) {
        if (link->listening) {
            link->facts->listening.events += message.event;
            if (message.time.ptr != NULL)
                arrivals_time(&link->arrivals, message.time);
        }
        if (message.fault != NULL)
            say_fault(link, message.fault);
        for (size_t i = 0; i < message.n_actions; i++)
            do_rule(link, &message.actions[i]);
    }
}

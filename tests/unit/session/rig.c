#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    fake_profile(&rig->profile);
    rig->seed = 1;
}

/* What comes at once: what follows counts to the same step. */
static void at_once(struct rig *rig, enum session_event_kind kind)
{
    struct session_event event = {
        .kind = kind, .link = rig->link, .now_ms = rig->now_ms, .last_rx_ms = rig->rx_ms};
    struct session_actions more;
    assert_int_equal(session_step(&rig->session, &event, &more), 0);
    assert_true(rig->out.count + more.count <= SESSION_ACTIONS_MAX);
    for (unsigned i = 0; i < more.count; i++)
        rig->out.item[rig->out.count++] = more.item[i];
}

static void step(struct rig *rig, struct session_event event)
{
    event.now_ms = rig->now_ms;
    event.last_rx_ms = rig->rx_ms;
    assert_int_equal(session_step(&rig->session, &event, &rig->out), 0);
    if (rig_did(rig, SESSION_DO_ASK_SLOT) != NULL && !rig->withhold)
        at_once(rig, SESSION_EV_SLOT);
    if (rig_did(rig, SESSION_DO_DOUBT) != NULL && !rig->doubts)
        at_once(rig, SESSION_EV_FOLLOWS);
    for (unsigned i = 0; i < rig->out.count; i++) {
        if (rig->out.item[i].kind == SESSION_DO_DIAL)
            rig->link = rig->out.item[i].link;
        if (rig->out.item[i].kind == SESSION_DO_HTTP_START ||
            rig->out.item[i].kind == SESSION_DO_FALLBACK_START)
            rig->request = rig->out.item[i].request;
    }
}

void rig_do(struct rig *rig, enum session_event_kind kind)
{
    step(rig, (struct session_event){.kind = kind,
                                     .link = rig->link,
                                     .request = rig->request,
                                     .has_position = rig->has_position});
}

void rig_start(struct rig *rig)
{
    struct session_init_args args = {.profile = &rig->profile,
                                     .seed = rig->seed,
                                     .has_position = rig->has_position,
                                     .lived = rig->lived};
    session_init(&rig->session, &args);
    rig_do(rig, SESSION_EV_START);
    assert_int_equal(rig_state(rig), SESSION_DIALING);
}

void rig_end(struct rig *rig, enum session_event_kind kind, const struct profile_end *end)
{
    step(rig, (struct session_event){
                  .kind = kind, .link = rig->link, .request = rig->request, .end = end});
}

void rig_close(struct rig *rig, int code)
{
    struct profile_end end = fake_close(code, "");
    rig_end(rig, SESSION_EV_LINK_CLOSED, &end);
}

void rig_rule(struct rig *rig, enum profile_rule_kind kind, int64_t delay_ms)
{
    struct profile_rule_action rule = {.kind = kind, .delay_ms = delay_ms, .rule = "hello"};
    struct profile_trigger trigger = {.action = &rule};
    step(rig, (struct session_event){.kind = SESSION_EV_RULE, .link = rig->link, .rule = &trigger});
}

void rig_page(struct rig *rig, struct session_page page)
{
    step(rig, (struct session_event){
                  .kind = SESSION_EV_HTTP_PAGE, .request = rig->request, .page = &page});
}

static void tick_once(struct rig *rig)
{
    int64_t deadline = session_deadline_ms(&rig->session);
    assert_true(deadline != INT64_MAX);
    if (deadline > rig->now_ms)
        rig->now_ms = deadline;
    rig_do(rig, SESSION_EV_TICK);
}

void rig_tick(struct rig *rig)
{
    do
        tick_once(rig);
    while (rig->out.count == 1 && rig->out.item[0].kind == SESSION_DO_SAVE);
}

void rig_run(struct rig *rig, int64_t until_ms, bool answers)
{
    while (session_deadline_ms(&rig->session) <= until_ms) {
        tick_once(rig);
        if (answers && rig_did(rig, SESSION_DO_LINK_PING) != NULL)
            rig->rx_ms = rig->now_ms + 1;
    }
    rig->now_ms = until_ms;
}

void rig_live(struct rig *rig)
{
    rig_do(rig, SESSION_EV_LINK_CONNECTED);
    rig_do(rig, SESSION_EV_LINK_OPEN);
    if (rig_state(rig) == SESSION_GREETING)
        rig_rule(rig, PROFILE_RULE_LIVE, 0);
    if (rig_state(rig) == SESSION_CATCHING_UP)
        rig_page(rig, (struct session_page){0});
    assert_int_equal(rig_state(rig), SESSION_LIVE);
}

void rig_start_live(struct rig *rig)
{
    rig_start(rig);
    rig_live(rig);
}

const struct session_action *rig_did(const struct rig *rig, enum session_action_kind kind)
{
    for (unsigned i = 0; i < rig->out.count; i++)
        if (rig->out.item[i].kind == kind)
            return &rig->out.item[i];
    return NULL;
}

enum session_state rig_state(const struct rig *rig)
{
    return session_state(&rig->session);
}

/* trace_script: the words of a trace, and what they do to a session. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "trace_script.h"
#include "trace_world.h"

#define SHOWN_BYTES 88  /* of a reason: explanations are long */
#define TICKS_MAX 20000 /* in one run: more is a loop */

/* ---- the session ---- */

/* An explanation is the profile's, and may change its words: "(...)". */
static void cut_explanation(char *text, const char *explain)
{
    char begin[24];
    snprintf(begin, sizeof(begin), " (%s", explain);
    char *at = strstr(text, begin);
    if (at != NULL)
        strcpy(at, " (...)");
}

static void cut(char *text)
{
    size_t len = strlen(text);
    if (len <= SHOWN_BYTES)
        return;
    len = SHOWN_BYTES;
    while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
        len--;
    strcpy(text + len, "...");
}

static void save(struct world *w)
{
    session_save(&w->session, w->now_ms, &w->saved);
    w->has_saved = true;
    w->saved_ms = w->now_ms;
}

/* What answers by itself is not shown. */
static bool hidden(struct world *w, const struct session_action *action)
{
    if (action->kind == SESSION_DO_LINK_PING) {
        w->pong_due = w->pongs;
        return w->pongs;
    }
    if (action->kind == SESSION_DO_HEARTBEAT) {
        w->ack_due = w->pongs;
        return w->pongs && !w->show_beats;
    }
    if (action->kind == SESSION_DO_SAVE)
        return !w->show_saves;
    if (action->kind == SESSION_DO_DOUBT) {
        w->follows_due = !w->show_doubts;
        return !w->show_doubts;
    }
    return !w->manual_slots &&
           (action->kind == SESSION_DO_ASK_SLOT || action->kind == SESSION_DO_DROP_SLOT);
}

static void show(struct world *w, struct session_action *action, const char *explain)
{
    char line[1024], full[1200];
    if (hidden(w, action))
        return;
    if (explain != NULL)
        cut_explanation(action->text, explain);
    cut(action->text);
    session_trace_action(action, line, sizeof(line));
    int len = snprintf(full, sizeof(full), "> [%6" PRId64 "] %s%s\n", w->now_ms,
                       action->kind == SESSION_DO_STATE ? "chat " : "", line);
    if (buf_append(w->out, full, (size_t)len) != 0)
        die(w, "out of memory");
}

static void step(struct world *w, struct session_event *event);

/* The peer answers within a millisecond, the broker and the disk at once; and in doubt an event
 * comes that follows. */
static void answer(struct world *w)
{
    struct session_event slot = {.kind = SESSION_EV_SLOT};
    struct session_event pong = {
        .kind = SESSION_EV_PONG, .link = w->link, .rtt_ms = w->pong_rtt_ms};
    struct session_event ack = {.kind = SESSION_EV_ACKED, .link = w->link};
    struct session_event follows = {.kind = SESSION_EV_FOLLOWS, .link = w->link};
    bool ponged = w->pong_due, acked = w->ack_due, followed = w->follows_due;
    w->pong_due = w->ack_due = w->follows_due = false;
    if (ponged || acked)
        w->rx_ms = w->now_ms + 1;
    if (ponged && w->pong_rtt_ms > 0)
        step(w, &pong);
    if (acked)
        step(w, &ack);
    if (followed)
        step(w, &follows);
    if (w->slot_asked && !w->manual_slots) {
        w->slot_asked = false;
        save(w);
        step(w, &slot);
    }
}

static void step(struct world *w, struct session_event *event)
{
    if (!w->started)
        die(w, "not started");
    event->now_ms = w->now_ms;
    event->last_rx_ms = w->rx_ms;
    const char *explain = NULL;
    if (event->end != NULL)
        profile_policy(w->profile, event->end, &explain);
    session_step(&w->session, event, &w->actions);
    for (unsigned i = 0; i < w->actions.count; i++) {
        struct session_action *action = &w->actions.item[i];
        if (action->kind == SESSION_DO_SAVE)
            save(w);
        if (action->kind == SESSION_DO_ASK_SLOT)
            w->slot_asked = true;
        if (action->kind == SESSION_DO_DROP_SLOT)
            w->slot_asked = false;
        if (action->kind == SESSION_DO_DIAL)
            w->link = action->link;
        if (action->kind == SESSION_DO_HTTP_START || action->kind == SESSION_DO_FALLBACK_START)
            w->request = action->request;
        show(w, action, explain);
    }
    answer(w);
}

static void tick(struct world *w)
{
    struct session_event event = {.kind = SESSION_EV_TICK};
    step(w, &event);
}

static void run_until(struct world *w, int64_t until_ms)
{
    unsigned ticks = 0;
    while (w->started && session_deadline_ms(&w->session) <= until_ms) {
        int64_t deadline = session_deadline_ms(&w->session);
        if (deadline > w->now_ms)
            w->now_ms = deadline;
        tick(w);
        if (++ticks > TICKS_MAX)
            die(w, "a loop: %u ticks until %" PRId64 " ms", ticks, w->now_ms);
    }
    if (until_ms > w->now_ms)
        w->now_ms = until_ms;
}

/* ---- commands ---- */

static void do_closed(struct world *w, struct words *words, struct session_event *event)
{
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .retry_after_ms = -1};
    end.local = take_flag(words, "local");
    const char *code = take_next(words);
    end.code = code != NULL ? (int)words_number(w, code) : 1006;
    parse_text(words, &end);
    event->end = &end;
    step(w, event);
}

static void do_failed(struct world *w, struct words *words, struct session_event *event)
{
    struct profile_end end;
    parse_end(w, words, &end);
    parse_text(words, &end);
    event->end = &end;
    step(w, event);
}

static void do_rule(struct world *w, struct words *words, struct session_event *event)
{
    static const char *const kinds[] = {
#define X(id, text) [PROFILE_RULE_##id] = text,
        PROFILE_RULE_ACTIONS(X)
#undef X
    };
    static const char *const settings[] = {
#define X(id, text) [PROFILE_SET_##id] = text,
        PROFILE_SETTINGS(X)
#undef X
    };
    const char *name = take_next(words);
    struct profile_rule_action rule = {.rule = name};
    unsigned kind = 0;
    while (kind < sizeof(kinds) / sizeof(kinds[0]) &&
           (name == NULL || strcmp(kinds[kind], name) != 0))
        kind++;
    if (kind == sizeof(kinds) / sizeof(kinds[0]))
        die(w, "which rule?");
    rule.kind = (enum profile_rule_kind)kind;
    rule.delay_ms = take_number(w, words, "delay", 0);
    struct profile_trigger trigger = {.action = &rule};
    for (unsigned i = 0; i < PROFILE_SETTING_COUNT && rule.kind == PROFILE_RULE_SET; i++) {
        const char *value = take(words, settings[i]);
        if (value == NULL)
            continue;
        rule.setting = (enum profile_setting)i;
        trigger.value_ms = words_number(w, value);
    }
    if (take_flag(words, "moved"))
        trigger.value = (struct slice){"wss://other.example.com/", 24};
    rule.text = take_next(words);
    event->rule = &trigger;
    step(w, event);
}

static void do_page(struct world *w, struct words *words, struct session_event *event)
{
    struct session_page page = {
        .items = (unsigned)take_number(w, words, "items", 0),
        .fresh = (unsigned)take_number(w, words, "fresh", 0),
        .more = take_flag(words, "more"),
        .reached_hold = take_flag(words, "reached"),
        .has_next = take_flag(words, "next"),
        .owed = take_flag(words, "owed"),
        .gone = take_flag(words, "gone"),
        .unkeyed = take_flag(words, "unkeyed"),
        .suspects = (unsigned)take_number(w, words, "suspects", 0),
        .found = (unsigned)take_number(w, words, "found", 0),
    };
    event->page = &page;
    step(w, event);
}

static void begin(struct world *w, const struct session_saved *saved, int64_t ago_ms,
                  bool source_changed)
{
    struct session_event event = {.kind = SESSION_EV_START};
    struct session_init_args args = {
        .profile = w->profile,
        .seed = w->seed,
        .has_position = w->has_position,
        .lived = w->lived,
        .learn_tip = w->learn_tip,
        .rtt_reconnects = w->rtt_reconnects,
        .source_changed = source_changed,
        .saved = saved,
        .saved_ago_ms = ago_ms,
    };
    session_init(&w->session, &args);
    w->started = true;
    w->slot_asked = false;
    step(w, &event);
}

static void do_start(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->rtt_reconnects = take_flag(words, "on_rtt=reconnect");
    w->learn_tip = take_flag(words, "now");
    trace_load_profile(w);
    begin(w, NULL, 0, false);
}

/* The process is gone, and so is all that was not saved; a new one begins MS later. */
static void do_restart(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    int64_t after = take_number(w, words, "after", 0);
    int64_t wall = take_number(w, words, "wall", w->now_ms + after - w->saved_ms);
    bool changed = take_flag(words, "source_changed");
    w->now_ms += after;
    w->lived = true;
    begin(w, w->has_saved ? &w->saved : NULL, wall, changed);
}

static void do_position(struct world *w, struct words *words, struct session_event *event)
{
    (void)words;
    w->has_position = true;
    if (w->started)
        step(w, event);
}

static void do_plain(struct world *w, struct words *words, struct session_event *event)
{
    (void)words;
    event->has_position = w->has_position;
    step(w, event);
}

static void do_network(struct world *w, struct words *words, struct session_event *event)
{
    event->slept_ms = take_number(w, words, "slept", 0);
    step(w, event);
}

static void do_hole(struct world *w, struct words *words, struct session_event *event)
{
    event->text = take_next(words);
    step(w, event);
}

static void do_rx(struct world *w, struct words *words, struct session_event *event)
{
    (void)words;
    (void)event;
    w->rx_ms = w->now_ms;
}

static void do_run(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    bool until = take_flag(words, "until");
    (void)take_flag(words, "for");
    const char *time = take_next(words);
    if (time == NULL)
        die(w, "run until or for how long?");
    run_until(w, until ? words_number(w, time) : w->now_ms + words_number(w, time));
}

static void do_tick(struct world *w, struct words *words, struct session_event *event)
{
    (void)words;
    (void)event;
    int64_t deadline = session_deadline_ms(&w->session);
    if (deadline == INT64_MAX)
        die(w, "nothing is due");
    if (deadline > w->now_ms)
        w->now_ms = deadline;
    tick(w);
}

static void do_jump(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    const char *time = take_next(words);
    if (time == NULL || words_number(w, time) < w->now_ms)
        die(w, "jump to when?");
    w->now_ms = words_number(w, time);
    tick(w);
}

static void do_pongs(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->pongs = take_flag(words, "on");
    if (!w->pongs && !take_flag(words, "off")) {
        const char *rtt = take_next(words);
        w->pongs = true;
        w->pong_rtt_ms = rtt != NULL ? (unsigned)words_number(w, rtt) : 0;
    }
}

static void do_pong(struct world *w, struct words *words, struct session_event *event)
{
    const char *rtt = take_next(words);
    event->rtt_ms = rtt != NULL ? words_number(w, rtt) : 0;
    w->rx_ms = w->now_ms;
    step(w, event);
}

static unsigned find_send(struct world *w, struct words *words)
{
    const char *name = take_next(words);
    for (unsigned i = 0; i < w->n_sends; i++)
        if (name != NULL && strcmp(w->sends[i].name, name) == 0)
            return i;
    die(w, "which send?");
}

static void do_sent(struct world *w, struct words *words, struct session_event *event)
{
    event->send = find_send(w, words);
    step(w, event);
}

static void do_answered(struct world *w, struct words *words, struct session_event *event)
{
    event->sends = 1u << find_send(w, words);
    w->rx_ms = w->now_ms;
    step(w, event);
}

static void do_saves(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->show_saves = take_flag(words, "shown");
}

static void do_beats(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->show_beats = take_flag(words, "shown");
}

static void do_doubts(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->show_doubts = take_flag(words, "shown");
}

static void do_trait(struct world *w, struct words *words, struct session_event *event)
{
    const char *name = take_next(words), *value = take_next(words);
    (void)event;
    if (name == NULL || value == NULL)
        die(w, "trait NAME VALUE");
    trace_add_trait(w, name, words_number(w, value));
}

static void do_send(struct world *w, struct words *words, struct session_event *event)
{
    const char *name = take_next(words), *timeout = take_next(words);
    (void)event;
    if (name == NULL || timeout == NULL)
        die(w, "send NAME TIMEOUT");
    trace_add_send(w, name, words_number(w, timeout));
}

static void do_slots(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->manual_slots = take_flag(words, "manual");
    (void)take_flag(words, "auto");
}

static void do_slot(struct world *w, struct words *words, struct session_event *event)
{
    if (!w->slot_asked)
        die(w, "no slot is asked for");
    w->slot_asked = false;
    save(w);
    do_plain(w, words, event);
}

static void do_slot_later(struct world *w, struct words *words, struct session_event *event)
{
    const char *delay = take_next(words);
    if (!w->slot_asked || delay == NULL)
        die(w, "slot-later MS [TEXT], when a slot is asked for");
    event->at_ms = w->now_ms + words_number(w, delay);
    event->text = take_next(words);
    step(w, event);
}

static void do_profile(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    const char *name = take_next(words);
    snprintf(w->profile_name, sizeof(w->profile_name), "%s", name != NULL ? name : "");
}

static void do_seed(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    const char *seed = take_next(words);
    w->seed = seed != NULL ? (uint64_t)words_number(w, seed) : 0;
}

/* set KEY = VALUE: the value is the rest of the line, as in a configuration. */
static void do_set(struct world *w, const char *line)
{
    const char *equals = strchr(line, '=');
    if (equals == NULL || w->n_sets == SETS_MAX)
        die(w, "set KEY = VALUE, at most %d times", SETS_MAX);
    char(*text)[128] = w->set_text[w->n_sets];
    size_t key = (size_t)(equals - line);
    while (key > 0 && line[key - 1] == ' ')
        key--;
    snprintf(text[0], sizeof(text[0]), "%.*s", (int)key, line);
    snprintf(text[1], sizeof(text[1]), "%s", equals + 1 + strspn(equals + 1, " "));
    w->sets[w->n_sets++] = (struct ini_entry){"stream", "chat", text[0], text[1], w->path, w->line};
}

static const struct command {
    const char *name;
    void (*run)(struct world *w, struct words *words, struct session_event *event);
    enum session_event_kind kind; /* of the event, where there is one */
} commands[] = {
    {"profile", do_profile, SESSION_EV_START},
    {"seed", do_seed, SESSION_EV_START},
    {"pongs", do_pongs, SESSION_EV_START},
    {"trait", do_trait, SESSION_EV_START},
    {"send", do_send, SESSION_EV_START},
    {"saves", do_saves, SESSION_EV_START},
    {"beats", do_beats, SESSION_EV_START},
    {"doubts", do_doubts, SESSION_EV_START},
    {"restart", do_restart, SESSION_EV_START},
    {"sent", do_sent, SESSION_EV_SENT},
    {"answered", do_answered, SESSION_EV_ANSWERED},
    {"acked", do_plain, SESSION_EV_ACKED},
    {"pong", do_pong, SESSION_EV_PONG},
    {"network", do_network, SESSION_EV_NETWORK},
    {"refresh_failed", do_failed, SESSION_EV_REFRESH_FAILED},
    {"expiring", do_plain, SESSION_EV_EXPIRING},
    {"window_half", do_plain, SESSION_EV_WINDOW_HALF},
    {"met", do_plain, SESSION_EV_MET},
    {"hole", do_hole, SESSION_EV_HOLE},
    {"doubt", do_plain, SESSION_EV_DOUBT},
    {"follows", do_plain, SESSION_EV_FOLLOWS},
    {"unkeyed", do_plain, SESSION_EV_UNKEYED},
    {"fallback_open", do_plain, SESSION_EV_FALLBACK_OPEN},
    {"fallback_failed", do_failed, SESSION_EV_FALLBACK_ENDED},
    {"fallback_closed", do_closed, SESSION_EV_FALLBACK_ENDED},
    {"slots", do_slots, SESSION_EV_START},
    {"slot", do_slot, SESSION_EV_SLOT},
    {"slot-later", do_slot_later, SESSION_EV_SLOT_LATER},
    {"rx", do_rx, SESSION_EV_TICK},
    {"run", do_run, SESSION_EV_TICK},
    {"tick", do_tick, SESSION_EV_TICK},
    {"jump", do_jump, SESSION_EV_TICK},
    {"start", do_start, SESSION_EV_START},
    {"stop", do_plain, SESSION_EV_STOP},
    {"connected", do_plain, SESSION_EV_LINK_CONNECTED},
    {"open", do_plain, SESSION_EV_LINK_OPEN},
    {"failed", do_failed, SESSION_EV_LINK_FAILED},
    {"closed", do_closed, SESSION_EV_LINK_CLOSED},
    {"rule", do_rule, SESSION_EV_RULE},
    {"held_first", do_plain, SESSION_EV_HELD_FIRST},
    {"held_full", do_plain, SESSION_EV_HELD_FULL},
    {"page", do_page, SESSION_EV_HTTP_PAGE},
    {"http_failed", do_failed, SESSION_EV_HTTP_FAILED},
    {"position", do_position, SESSION_EV_POSITION},
    {"store_stalled", do_plain, SESSION_EV_STORE_STALLED},
    {"store_ready", do_plain, SESSION_EV_STORE_READY},
    {"credential", do_plain, SESSION_EV_CREDENTIAL},
    {"pause", do_plain, SESSION_EV_PAUSE},
    {"resume", do_plain, SESSION_EV_RESUME},
    {"reconnect", do_plain, SESSION_EV_RECONNECT},
};

static void command(struct world *w, const char *line)
{
    struct words words;
    if (strncmp(line, "set ", 4) == 0) {
        do_set(w, line + 4);
        return;
    }
    words_split(w, line, &words);
    for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (words.count == 0 || strcmp(words.at[0], commands[i].name) != 0)
            continue;
        struct session_event event = {.kind = commands[i].kind};
        event.link = (uint64_t)take_number(w, &words, "link", (int64_t)w->link);
        event.request = (uint64_t)take_number(w, &words, "request", (int64_t)w->request);
        commands[i].run(w, &words, &event);
        const char *left = take_next(&words);
        if (left != NULL)
            die(w, "what is `%s` here?", left);
        return;
    }
    die(w, "unknown command");
}

/* One line that is no trace: time first, then the line itself, then what it leads to. */
static void input(struct world *w, const char *line)
{
    const char *rest = line;
    if (*line == '@' || *line == '+') {
        char *end;
        int64_t at = strtoll(line + 1, &end, 10);
        at = *line == '+' ? w->now_ms + at : at;
        if (end == line + 1 || *end != ' ' || at < w->now_ms)
            die(w, "no time, or one that is past (now is %" PRId64 ")", w->now_ms);
        run_until(w, at);
        rest = end + strspn(end, " ");
    }
    if (buf_append(w->out, line, strlen(line)) != 0 || buf_append(w->out, "\n", 1) != 0)
        die(w, "out of memory");
    if (*rest != '\0' && *rest != '#')
        command(w, rest);
}

void trace_play(const char *path, char *script, struct buf *out)
{
    struct world world = {.path = path, .out = out, .pongs = true, .seed = 1};
    for (char *line = script; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        world.line++;
        if (*line != '>')
            input(&world, line);
        line = end;
    }
    if (!world.started)
        die(&world, "nothing was started");
    profile_free(world.profile);
}

/* trace_script: the words of a trace, and what they do to a session. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "config/settings.h"
#include "profile/profile.h"
#include "session/session.h"
#include "trace_script.h"

#define LINE_MAX_BYTES 512
#define WORDS_MAX 12
#define SETS_MAX 16
#define SHOWN_BYTES 88  /* of a reason: explanations are long */
#define TICKS_MAX 20000 /* in one run: more is a loop */

struct world {
    const char *path;
    unsigned line;
    struct buf *out;

    char profile_name[64];
    char set_text[SETS_MAX][2][128];
    struct ini_entry sets[SETS_MAX];
    unsigned n_sets;
    struct profile *profile;
    uint64_t seed;
    bool has_position, pongs, started;
    bool manual_slots, slot_asked; /* a slot comes at once unless the script grants it */
    bool show_saves;

    struct session session;
    struct session_actions actions;
    int64_t now_ms, rx_ms;
    uint64_t link, request;
};

struct words {
    char text[LINE_MAX_BYTES];
    char *at[WORDS_MAX];
    unsigned count;
};

static void die(const struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void die(const struct world *w, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%u: ", w->path, w->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

/* ---- words ---- */

/* Splits at blanks; "..." is one word, without its quotes. */
static void split(const struct world *w, const char *line, struct words *words)
{
    char *p = words->text;
    if (strlen(line) >= sizeof(words->text))
        die(w, "the line is too long");
    strcpy(p, line);
    words->count = 0;
    while (*(p += strspn(p, " \t")) != '\0') {
        bool quoted = *p == '"';
        if (words->count == WORDS_MAX)
            die(w, "more than %d words", WORDS_MAX);
        words->at[words->count++] = quoted ? ++p : p;
        p += strcspn(p, quoted ? "\"" : " \t");
        if (*p != '\0')
            *p++ = '\0';
    }
}

static int64_t number(const struct world *w, const char *text)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0')
        die(w, "`%s` is no number", text);
    return value;
}

/* The value of the word NAME=VALUE, or NULL; marks it as used. */
static const char *take(struct words *words, const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 1; i < words->count; i++) {
        char *word = words->at[i];
        if (word == NULL || strncmp(word, name, len) != 0 || word[len] != '=')
            continue;
        words->at[i] = NULL;
        return word + len + 1;
    }
    return NULL;
}

static int64_t take_number(struct world *w, struct words *words, const char *name, int64_t other)
{
    const char *value = take(words, name);
    return value != NULL ? number(w, value) : other;
}

static bool take_flag(struct words *words, const char *name)
{
    for (unsigned i = 1; i < words->count; i++) {
        if (words->at[i] == NULL || strcmp(words->at[i], name) != 0)
            continue;
        words->at[i] = NULL;
        return true;
    }
    return false;
}

/* The next word that is left, or NULL. */
static const char *take_next(struct words *words)
{
    for (unsigned i = 1; i < words->count; i++) {
        const char *word = words->at[i];
        words->at[i] = NULL;
        if (word != NULL)
            return word;
    }
    return NULL;
}

/* ---- the session ---- */

static void load_profile(struct world *w)
{
    static const struct {
        const char *profile, *key, *value;
    } needs[] = {
        {"scaiwave", "host", "chat.example.com"},      {"scaiwave", "token", "env:TOKEN"},
        {"nchan", "host", "push.example.com"},         {"nchan", "path", "sub/builds"},
        {"generic", "url", "wss://feed.example.com/"},
    };
    static const char *const dirs[] = {"conf/profiles", NULL};
    struct ini_entry entries[SETS_MAX + 8];
    const struct ini_entry *rest[SETS_MAX + 8];
    struct settings_stream stream = {.name = "chat",
                                     .profile = w->profile_name,
                                     .park_probe_ms = 3600000,
                                     .rest = rest,
                                     .file = w->path,
                                     .line = 1};
    for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (strcmp(needs[i].profile, w->profile_name) != 0)
            continue;
        entries[stream.n_rest] =
            (struct ini_entry){"stream", "chat", needs[i].key, needs[i].value, w->path, 1};
        rest[stream.n_rest] = &entries[stream.n_rest];
        stream.n_rest++;
    }
    for (unsigned i = 0; i < w->n_sets; i++)
        rest[stream.n_rest++] = &w->sets[i];

    struct diag *diag = diag_new();
    if (diag == NULL)
        die(w, "out of memory");
    if (profile_load(dirs, w->profile_name, &stream, diag, &w->profile) != 0) {
        for (size_t i = 0; i < diag_count(diag); i++)
            fprintf(stderr, "%s\n", diag_get(diag, i));
        die(w, "the profile `%s` does not load", w->profile_name);
    }
    diag_free(diag);
}

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

static void show(struct world *w, struct session_action *action, const char *explain)
{
    char line[1024], full[1200];
    bool ping = action->kind == SESSION_DO_LINK_PING;
    if (ping && w->pongs) {
        w->rx_ms = w->now_ms + 1;
        return;
    }
    if (action->kind == SESSION_DO_SAVE && !w->show_saves)
        return;
    if (!w->manual_slots &&
        (action->kind == SESSION_DO_ASK_SLOT || action->kind == SESSION_DO_DROP_SLOT))
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
        if (action->kind == SESSION_DO_ASK_SLOT)
            w->slot_asked = true;
        if (action->kind == SESSION_DO_DROP_SLOT)
            w->slot_asked = false;
        if (action->kind == SESSION_DO_DIAL)
            w->link = action->link;
        if (action->kind == SESSION_DO_HTTP_START)
            w->request = action->request;
        show(w, action, explain);
    }
    if (w->slot_asked && !w->manual_slots) {
        struct session_event slot = {.kind = SESSION_EV_SLOT};
        w->slot_asked = false;
        step(w, &slot);
    }
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

static void parse_end(struct world *w, struct words *words, struct profile_end *end)
{
    static const char *const failures[] = {
#define X(id, text) [PROFILE_FAILURE_##id] = text,
        PROFILE_FAILURES(X)
#undef X
    };
    static const char *const phases[] = {
#define X(id, text) [PROFILE_PHASE_##id] = text,
        PROFILE_PHASES(X)
#undef X
    };
    *end = (struct profile_end){.kind = PROFILE_END_FAILURE, .retry_after_ms = -1};
    const char *status = take(words, "status"), *timeout = take(words, "timeout");
    bool known = false;
    if (status != NULL) {
        end->kind = PROFILE_END_STATUS;
        end->code = (int)number(w, status);
        end->retry_after_ms = take_number(w, words, "retry_after", -1);
        return;
    }
    for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]) && timeout != NULL; i++) {
        if (strcmp(phases[i], timeout) != 0)
            continue;
        end->failure = PROFILE_FAILURE_TIMEOUT;
        end->phase = (enum profile_phase)i;
        known = true;
    }
    for (unsigned i = 0; i < sizeof(failures) / sizeof(failures[0]) && timeout == NULL; i++) {
        if (!take_flag(words, failures[i]))
            continue;
        end->failure = (enum profile_failure)i;
        known = true;
    }
    if (!known)
        die(w, "how did it end?");
}

static void parse_text(struct words *words, struct profile_end *end)
{
    const char *text = take_next(words);
    snprintf(end->text, sizeof(end->text), "%s", text != NULL ? text : "");
}

static void do_closed(struct world *w, struct words *words, struct session_event *event)
{
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .retry_after_ms = -1};
    end.local = take_flag(words, "local");
    const char *code = take_next(words);
    end.code = code != NULL ? (int)number(w, code) : 1006;
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
    rule.text = take_next(words);
    struct profile_trigger trigger = {.action = &rule};
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
    };
    event->page = &page;
    step(w, event);
}

static void do_start(struct world *w, struct words *words, struct session_event *event)
{
    (void)words;
    load_profile(w);
    struct session_init_args args = {
        .profile = w->profile, .seed = w->seed, .has_position = w->has_position};
    session_init(&w->session, &args);
    w->started = true;
    step(w, event);
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
    run_until(w, until ? number(w, time) : w->now_ms + number(w, time));
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
    if (time == NULL || number(w, time) < w->now_ms)
        die(w, "jump to when?");
    w->now_ms = number(w, time);
    tick(w);
}

static void do_pongs(struct world *w, struct words *words, struct session_event *event)
{
    (void)event;
    w->pongs = take_flag(words, "on");
    (void)take_flag(words, "off");
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
    do_plain(w, words, event);
}

static void do_slot_later(struct world *w, struct words *words, struct session_event *event)
{
    const char *delay = take_next(words);
    if (!w->slot_asked || delay == NULL)
        die(w, "slot-later MS [TEXT], when a slot is asked for");
    event->at_ms = w->now_ms + number(w, delay);
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
    w->seed = seed != NULL ? (uint64_t)number(w, seed) : 0;
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
    split(w, line, &words);
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

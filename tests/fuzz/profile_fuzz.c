/*
 * Any bytes as a message of the link, or as a page of catch-up: what is said about them keeps its
 * bounds and lies where it may lie. The first byte picks the profile, and message or page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "profile/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "profile_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

#define CONNECT "[connect]\nurl = wss://h.example/\n"
#define RULES                                                                                      \
    "[on a]\nmatch = /type == \"hello\" && (/n == 1.5 || /b != true || /z exists)\n"               \
    "do = live, ignore\n[on b]\nmatch = /error/code == null || /error/code == 7\n"                 \
    "do = event, refresh, hold 5s, park text\n"

#define TAKES                                                                                      \
    "[on c]\nmatch = /c exists\ndo = capture v=/v | /l, set heartbeat.idle=/n*1000, handover /u\n" \
    "[send x]\non = stored\ntext = ${/id} ${^/id|raw} ${/p} ${v}\n"                                \
    "[send y]\non = open\ntext = y\nanswer = /n == 1\n"

static const char *const texts[] = {
    CONNECT,
    CONNECT RULES "[event]\ntype = /type\nid = /id | /data/0/id\nposition = /p\ntime = /t | /u\n"
                  "only = /type exists\nephemeral = *.typing chunk\n[position]\ncompare = int\n"
                  "[catchup]\nitems = /items\nnext = /next\nmore = /more\nmap.type = /kind\n",
    CONNECT RULES "[message]\nheader_block = yes\n[event]\nid = ${header:id}/${/id}-${/data}\n"
                  "position = header:id | /p\ntype = header:event\n[catchup]\nnext = /next\n",
    CONNECT RULES TAKES "[message]\nbatch = array\nsplit = /l/*\ndecode = /d\n"
                        "[event]\nid = ${^/id}-${/id}\nposition = /p | ^/p\ntype = ^/t\n"
                        "only = ^/type | /type != \"x\"\n[catchup]\nvia = http\nhttp = s\n"
                        "order = desc\nitems = /items\ngone = /error exists\n"
                        "[http s]\nurl = https://h.example/${position}\n",
    CONNECT "[message]\ndecode = /d\n[event]\nid = ^/id | /id\nposition = /p\n"
            "[catchup]\nvia = http\nhttp = s\norder = desc\n"
            "[http s]\nurl = https://h.example/${position}\nformat = ndjson\n",
};
#define N_PROFILES (sizeof(texts) / sizeof(texts[0]))

static struct profile *profiles[N_PROFILES];
static struct profile_scanner *scanners[N_PROFILES];

static void load(size_t i)
{
    char dir[] = "/tmp/hawser-fuzz-XXXXXX", path[64];
    const char *const dirs[] = {dir, NULL};
    struct diag *diag = diag_new();
    FILE *file;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/fuzz.ini", dir);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs(texts[i], file) >= 0 && fclose(file) == 0);
    CHECK(profile_load(dirs, "fuzz", NULL, diag, &profiles[i]) == 0);
    CHECK(profile_scanner_new(profiles[i], &scanners[i]) == 0);
    unlink(path);
    rmdir(dir);
    diag_free(diag);
}

static bool within(struct slice part, struct slice whole)
{
    return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static void check_message(const struct profile_message *m, struct slice text)
{
    CHECK(within(m->data, text));
    CHECK(m->id.ptr == NULL || (m->id.len > 0 && m->id.len <= LIMIT_EVENT_ID));
    CHECK(m->position.ptr == NULL || (m->position.len > 0 && m->position.len <= LIMIT_POSITION));
    CHECK(m->type.ptr == NULL || (m->type.len > 0 && m->type.len <= LIMIT_EVENT_TYPE));
    CHECK(m->time.ptr == NULL || (m->time.len > 0 && within(m->time, m->data)));
    CHECK(m->n_actions <= PROFILE_ACTIONS_MAX);
    for (size_t i = 0; i < m->n_actions; i++)
        CHECK(m->actions[i].action->kind != PROFILE_RULE_EVENT &&
              m->actions[i].action->kind != PROFILE_RULE_IGNORE);
    CHECK(m->json == (json_scan(NULL, m->data, NULL, NULL) == 0));
    CHECK(!m->ephemeral || m->type.ptr != NULL);
    CHECK(m->fault == NULL || m->fault[0] != '\0');
}

static void check_page(struct profile_scanner *scanner, struct slice body)
{
    struct profile_message message;
    struct profile_page page;
    struct error err = {0};
    size_t n = 0;
    int rc = profile_page_parse(scanner, body, &page, &err);

    CHECK(rc == 0 || ((rc == ERR_PARSE || rc == ERR_PROTOCOL) && err.text[0] != '\0'));
    if (rc != 0)
        return;
    CHECK(page.next.ptr == NULL || (page.next.len > 0 && page.next.len <= LIMIT_POSITION));
    while (profile_page_next(scanner, &page, &message)) {
        check_message(&message, body);
        CHECK(message.event && message.json && message.n_actions == 0);
        n++;
    }
    CHECK(n == page.n_items);
}

static struct slice lookup(void *arg, struct slice name)
{
    return SLICE("v\"");
}

/* What was decoded lies in memory of the scanner's. */
static bool decodes(size_t pick)
{
    return pick >= 3;
}

static void check_triggers(const struct profile_message *m)
{
    for (size_t i = 0; i < m->n_actions; i++) {
        const struct profile_trigger *trigger = &m->actions[i];

        CHECK(trigger->value.ptr == NULL ||
              (trigger->value.len > 0 && trigger->value.len <= LIMIT_VARIABLE));
        CHECK(trigger->action->kind != PROFILE_RULE_SET ||
              (trigger->value_ms >= PROFILE_SET_MIN_MS && trigger->value_ms <= PROFILE_SET_MAX_MS));
    }
}

static void check_frame(size_t pick, struct slice text)
{
    const struct profile_meta meta = {.id = SLICE("i")};
    struct profile_message message;
    struct profile_frame frame;
    struct buf sent;
    size_t n = 0;

    buf_init(&sent, 256);
    profile_frame_begin(scanners[pick], text, text.len % 2 ? &meta : NULL, &frame);
    while (profile_frame_next(scanners[pick], &frame, &message)) {
        check_message(&message, decodes(pick) ? message.data : text);
        check_triggers(&message);
        if (pick == 3)
            profile_render_send(profiles[pick], 0, scanners[pick], lookup, NULL, &sent, NULL);
        n++;
    }
    CHECK(!profile_frame_next(scanners[pick], &frame, &message));
    CHECK(n <= text.len + 1 && (n == 1 || pick == 3));
    buf_fini(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text;
    size_t pick;

    if (size == 0)
        return 0;
    for (size_t i = 0; i < N_PROFILES && scanners[i] == NULL; i++)
        load(i);
    text = slice_make((const char *)data + 1, size - 1);
    pick = data[0] % (2 * N_PROFILES);
    if (pick < N_PROFILES) {
        check_frame(pick, text);
    } else {
        check_page(scanners[pick - N_PROFILES], text);
    }
    return 0;
}

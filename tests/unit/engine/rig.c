#include "rig.h"

#include <string.h>

/* ---- what is written down ---- */

static void note(struct rig *rig, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(struct rig *rig, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    assert_true(rig->n_lines < RIG_LINES);
    assert_true(vasprintf(&rig->lines[rig->n_lines++], fmt, args) >= 0);
    va_end(args);
}

static void forget(struct rig *rig, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        free(rig->lines[i]);
    memmove(rig->lines, rig->lines + n, (rig->n_lines - n) * sizeof(rig->lines[0]));
    rig->n_lines -= n;
}

void rig_forget_lines(struct rig *rig)
{
    forget(rig, rig->n_lines);
}

bool rig_saw(struct rig *rig, const char *text)
{
    for (unsigned i = 0; i < rig->n_lines; i++) {
        if (strstr(rig->lines[i], text) == NULL)
            continue;
        forget(rig, i + 1);
        return true;
    }
    return false;
}

uint64_t rig_number(struct rig *rig, const char *text)
{
    for (unsigned i = rig->n_lines; i-- > 0;)
        if (strstr(rig->lines[i], text) != NULL)
            return strtoull(strstr(rig->lines[i], text) + strlen(text), NULL, 10);
    return 0;
}

static void print(struct rig *rig)
{
    for (unsigned i = 0; i < rig->n_lines; i++)
        print_message("  %s\n", rig->lines[i]);
}

void rig_assert_saw(struct rig *rig, const char *text)
{
    if (rig_saw(rig, text))
        return;
    print(rig);
    fail_msg("nobody asked for `%s`", text);
}

void rig_assert_silent(struct rig *rig, const char *text)
{
    for (unsigned i = 0; i < rig->n_lines; i++)
        if (strstr(rig->lines[i], text) != NULL)
            fail_msg("`%s` was asked for", rig->lines[i]);
}

void rig_assert_stored(struct rig *rig, const char *ids)
{
    assert_string_equal(buf_cstr(&rig->stored), ids);
    buf_clear(&rig->stored);
}

/* ---- the stream's operations ---- */

static int64_t op_now_ms(void *arg)
{
    return ((struct rig *)arg)->now_ms;
}

static int64_t op_wall_us(void *arg)
{
    return 1700000000000000 + ((struct rig *)arg)->now_ms * 1000;
}

static struct slice op_secret(void *arg, const char *name, struct error *err)
{
    struct rig *rig = arg;
    if (rig->secret != NULL)
        return slice_str(rig->secret);
    error_set(err, ERR_NOTFOUND, "secret %s is not there", name);
    return (struct slice){NULL, 0};
}

static void op_dial(void *arg, uint64_t link, const struct profile_request *request)
{
    note(arg, "dial %llu %.*s", (unsigned long long)link, SLICE_ARG(buf_slice(&request->url)));
}

static int op_link_send(void *arg, uint64_t link, struct slice text)
{
    struct rig *rig = arg;
    if (rig->link_status == 0)
        note(rig, "send %llu %.*s", (unsigned long long)link, SLICE_ARG(text));
    return rig->link_status;
}

static void op_link_close(void *arg, uint64_t link, int code, const char *reason)
{
    note(arg, "close %llu %d %s", (unsigned long long)link, code, reason);
}

static void op_link_abort(void *arg, uint64_t link)
{
    note(arg, "abort %llu", (unsigned long long)link);
}

static void op_link_ping(void *arg, uint64_t link)
{
    note(arg, "ping %llu", (unsigned long long)link);
}

static void op_link_resume(void *arg, uint64_t link)
{
    note(arg, "resume %llu", (unsigned long long)link);
}

static int64_t op_last_rx(void *arg, uint64_t link)
{
    (void)link;
    return ((struct rig *)arg)->now_ms;
}

static void op_http(void *arg, uint64_t request, unsigned http, const struct profile_request *form,
                    int64_t timeout_ms)
{
    struct rig *rig = arg;
    (void)http;
    (void)timeout_ms;
    rig->http = request;
    note(rig, "http %.*s %.*s", SLICE_ARG(buf_slice(&form->url)),
         SLICE_ARG(buf_slice(&form->body)));
}

static void op_http_stream(void *arg, uint64_t request, const struct profile_request *form,
                           int64_t timeout_ms, int64_t idle_ms)
{
    struct rig *rig = arg;
    (void)timeout_ms;
    (void)idle_ms;
    rig->streams = request;
    note(rig, "stream %.*s", SLICE_ARG(buf_slice(&form->url)));
}

static void op_http_resume(void *arg, uint64_t request)
{
    note(arg, "resume-body %d", request == ((struct rig *)arg)->streams);
}

static void op_http_cancel(void *arg, uint64_t request)
{
    (void)request;
    note(arg, "cancel");
}

static void op_refresh(void *arg)
{
    note(arg, "refresh");
}

static void op_secret_set(void *arg, const char *name, struct slice value)
{
    note(arg, "secret %s=%.*s", name, SLICE_ARG(value));
}

static void op_say(void *arg, const char *text)
{
    note(arg, "say %s", text);
}

static void op_state(void *arg, const struct session_action *action, uint64_t link)
{
    (void)link;
    note(arg, "state %s: %s", session_state_name(action->to), action->text);
}

static void op_gap(void *arg, enum session_gap reason, const char *detail)
{
    note(arg, "gap %s: %s", session_gap_name(reason), detail != NULL ? detail : "");
}

static void op_deadline(void *arg, int64_t deadline_ms)
{
    ((struct rig *)arg)->deadline_ms = deadline_ms;
}

static const struct stream_ops stream_ops = {
    .now_ms = op_now_ms,
    .wall_us = op_wall_us,
    .secret = op_secret,
    .dial = op_dial,
    .link_send = op_link_send,
    .link_close = op_link_close,
    .link_abort = op_link_abort,
    .link_ping = op_link_ping,
    .link_resume = op_link_resume,
    .link_last_rx_ms = op_last_rx,
    .http = op_http,
    .http_stream = op_http_stream,
    .http_resume = op_http_resume,
    .http_cancel = op_http_cancel,
    .refresh = op_refresh,
    .secret_set = op_secret_set,
    .say = op_say,
    .state = op_state,
    .gap = op_gap,
    .deadline = op_deadline,
};

/* ---- hub and broker ---- */

static void on_commit(void *arg, const struct hub_batch *batch)
{
    ((struct rig *)arg)->flying = batch;
}

static void on_published(void *arg)
{
    (void)arg;
}

static void on_room(void *arg)
{
    ((struct rig *)arg)->room = true;
}

static void on_wanted(void *arg)
{
    ((struct rig *)arg)->wanted = true;
}

static void on_saved(void *arg, uint64_t ticket, bool lost)
{
    struct rig *rig = arg;
    if (rig->stream != NULL)
        stream_saved(rig->stream, ticket, lost);
}

static const struct hub_ops hub_ops = {.commit = on_commit,
                                       .published = on_published,
                                       .room = on_room,
                                       .wanted = on_wanted,
                                       .saved = on_saved};

static void on_granted(void *arg)
{
    stream_slot(((struct rig *)arg)->stream);
}

static void on_later(void *arg, int64_t at_ms, const char *why)
{
    struct rig *rig = arg;
    note(rig, "later %s", why);
    stream_slot_later(rig->stream, at_ms, why);
}

static void on_broker_save(void *arg, struct slice key, struct slice value, uint64_t ticket)
{
    struct rig *rig = arg;
    (void)key;
    (void)value;
    rig->broker_ticket = ticket;
}

static void on_broker_deadline(void *arg, int64_t deadline_ms)
{
    ((struct rig *)arg)->broker_ms = deadline_ms;
}

static const struct broker_ops broker_ops = {.granted = on_granted,
                                             .later = on_later,
                                             .save = on_broker_save,
                                             .deadline = on_broker_deadline};

/* Which event a line is, for the list. */
static void list_line(struct rig *rig, struct slice line)
{
    char text[512];
    snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(line));
    char *gap = strstr(text, "\"notice\":\"gap\""), *at = strstr(text, "\"id\":\"");
    size_t skip = 6;
    if (gap != NULL) {
        assert_int_equal(buf_append_str(&rig->stored, "gap "), 0);
        at = strstr(gap, "\"reason\":\"");
        skip = 10;
    } else if (at == NULL) {
        at = strstr(text, "\"data\":");
        skip = 7;
    }
    at = at == NULL ? strstr(text, "\"text\":") : at;
    assert_non_null(at);
    at += skip;
    assert_int_equal(buf_append(&rig->stored, at, strcspn(at, "\"")), 0);
    assert_int_equal(buf_append_str(&rig->stored, " "), 0);
}

static void commit(struct rig *rig)
{
    const struct hub_batch *batch = rig->flying;
    uint64_t newest = 0;
    for (size_t i = 0; i < batch->count; i++) {
        list_line(rig, batch->records[i].line);
        newest = batch->records[i].seq;
    }
    for (size_t i = 0; i < batch->n_states; i++) {
        buf_clear(&rig->kept);
        assert_int_equal(buf_append_slice(&rig->kept, batch->states[i].value), 0);
    }
    rig->flying = NULL;
    hub_committed(rig->hub, 0);
    if (newest > 0)
        stream_durable(rig->stream, newest);
}

void rig_settle(struct rig *rig)
{
    for (unsigned i = 0; i < 200; i++) {
        if (rig->broker_ticket != 0) {
            uint64_t ticket = rig->broker_ticket;
            rig->broker_ticket = 0;
            broker_saved(rig->broker, ticket, rig->now_ms);
        } else if (rig->broker_ms <= rig->now_ms) {
            rig->broker_ms = INT64_MAX;
            broker_run(rig->broker, rig->now_ms);
        } else if (!rig->frozen && rig->flying != NULL) {
            commit(rig);
        } else if (!rig->frozen && rig->wanted) {
            rig->wanted = false;
            hub_flush(rig->hub);
        } else if (rig->room) {
            rig->room = false;
            stream_room(rig->stream);
        } else {
            return;
        }
    }
    fail_msg("it never comes to rest");
}

/* ---- life ---- */

static void make_stream(struct rig *rig, const struct rig_options *options)
{
    static const uint8_t key[16] = {7};
    struct stream_options stream = {
        .name = "chat",
        .profile = rig->loaded.profile,
        .hub = rig->hub,
        .hub_stream = rig->hub_stream,
        .broker = rig->client,
        .hash_key = key,
        .dedup_window = options->dedup_window > 0 ? options->dedup_window : 64,
        .hold_bytes = 2u << 20,
        .seed = 5,
        .start = options->start,
        .ops = &stream_ops,
        .ops_arg = rig,
    };
    assert_int_equal(stream_new(&stream, &rig->stream), 0);
    struct slice position = {NULL, 0};
    if (options->position != NULL)
        position = slice_str(options->position);
    stream_restore(rig->stream, position, false, options->position != NULL);
    if (options->state.ptr != NULL)
        stream_restore_state(rig->stream, options->state, 0, false);
}

void rig_open(struct rig *rig, const struct rig_options *options)
{
    static const char *const none[] = {NULL};
    *rig = (struct rig){
        .now_ms = 100000, .deadline_ms = INT64_MAX, .broker_ms = INT64_MAX, .secret = "s3cret"};
    buf_init(&rig->stored, 1u << 20);
    buf_init(&rig->kept, STORE_STATE_VALUE);
    rig->loaded = load_ok(options->profile, options->keys != NULL ? options->keys : none);
    struct hub_options hub = {
        .ring_bytes = options->ring_bytes > 0 ? options->ring_bytes : 4u << 20,
        .ring_entries = 2 * HUB_BATCH_RECORDS,
        .ops = &hub_ops,
        .ops_arg = rig,
    };
    assert_int_equal(hub_new(&hub, &rig->hub), 0);
    assert_int_equal(hub_stream_new(rig->hub, "chat", 1, SLICE(""), &rig->hub_stream), 0);
    struct broker_options broker = {
        .dial_rate = {.count = 1000, .period_ms = 1000},
        .dial_per_host = 10,
        .ops = &broker_ops,
        .arg = rig,
    };
    assert_int_equal(broker_new(&broker, &rig->broker), 0);
    struct broker_client_options client = {.name = "chat",
                                           .host = "h.example:443",
                                           .credential = "me",
                                           .profile = rig->loaded.profile,
                                           .arg = rig};
    assert_int_equal(broker_client_new(rig->broker, &client, &rig->client), 0);
    make_stream(rig, options);
    stream_start(rig->stream);
    rig_pass(rig, 0);
}

void rig_close(struct rig *rig)
{
    rig_forget_lines(rig);
    stream_free(rig->stream);
    broker_client_free(rig->client);
    broker_free(rig->broker);
    hub_free(rig->hub);
    unload(&rig->loaded);
    buf_fini(&rig->stored);
    buf_fini(&rig->kept);
}

void rig_pass(struct rig *rig, int64_t ms)
{
    int64_t until_ms = rig->now_ms + ms;
    rig_settle(rig);
    for (unsigned i = 0; i < 10000; i++) {
        int64_t next = rig->deadline_ms < rig->broker_ms ? rig->deadline_ms : rig->broker_ms;
        if (next > until_ms) {
            rig->now_ms = until_ms;
            return;
        }
        rig->now_ms = next > rig->now_ms ? next : rig->now_ms;
        if (rig->deadline_ms <= rig->now_ms) {
            rig->deadline_ms = INT64_MAX;
            stream_tick(rig->stream);
        }
        rig_settle(rig);
    }
    fail_msg("deadline after deadline");
}

void rig_link_up(struct rig *rig, uint64_t link)
{
    stream_link_connected(rig->stream, link);
    stream_link_open(rig->stream, link);
    rig_settle(rig);
}

int rig_offer(struct rig *rig, uint64_t link, const char *text)
{
    return stream_message(rig->stream, link, STREAM_TEXT, slice_str(text));
}

void rig_message(struct rig *rig, uint64_t link, const char *text)
{
    assert_int_equal(rig_offer(rig, link, text), 0);
    rig_settle(rig);
}

void rig_answer(struct rig *rig, uint64_t request, const char *body)
{
    struct buf bytes;
    buf_init(&bytes, LIMIT_HTTP_BODY);
    assert_int_equal(buf_append_str(&bytes, body), 0);
    stream_http_done(rig->stream, request, &bytes);
    buf_fini(&bytes);
    rig_settle(rig);
}

void rig_link_ends(struct rig *rig, uint64_t link, int code)
{
    struct profile_end end = {.kind = PROFILE_END_CLOSE, .code = code, .retry_after_ms = -1};
    stream_link_closed(rig->stream, link, 0, &end);
    rig_settle(rig);
}

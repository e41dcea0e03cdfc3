/* facts: what is known of one stream: cells of a table, and all of it as labels and texts. */
#include <stdio.h>
#include <string.h>

#include "ctl/layout.h"
#include "ctl/report.h"
#include "ctl/tell.h"

void report_cell(const struct view_stream *stream, enum report_column column, struct buf *out)
{
    char text[32];
    switch (column) {
    case REPORT_STREAM:
        (void)buf_append_str(out, stream->name);
        return;
    case REPORT_STATE:
        (void)buf_append_str(out, stream->state);
        return;
    case REPORT_FOR:
        tell_duration(stream->down_ms > stream->since_ms ? stream->down_ms : stream->since_ms, out);
        return;
    case REPORT_RATE:
        layout_rate(stream->messages_per_s, text, sizeof(text));
        (void)buf_append_str(out, text);
        return;
    case REPORT_LAST:
        tell_duration(stream->last_message_ms, out);
        return;
    case REPORT_RTT:
        tell_duration(stream->rtt_ms, out);
        return;
    case REPORT_EVENTS:
        (void)buf_append_i64(out, tell_counts(stream->stored, NULL));
        return;
    case REPORT_DUPLICATES:
        (void)buf_append_i64(out, stream->duplicates);
        return;
    case REPORT_POSITION:
        (void)buf_append_str(out, stream->position[0] != '\0' ? stream->position : "-");
        return;
    case REPORT_COLUMNS:
        return;
    }
}

struct facts {
    void (*visit)(void *arg, const char *label, struct slice text);
    void *arg;
    struct buf text;
};

static void give(struct facts *facts, const char *label)
{
    if (facts->text.len > 0)
        facts->visit(facts->arg, label, buf_slice(&facts->text));
    buf_clear(&facts->text);
}

static void give_link(struct facts *facts, const struct view_stream *stream)
{
    struct buf *text = &facts->text;
    if (stream->link[0] != '\0')
        (void)buf_appendf(text, "%s to %s, %s%s", stream->link, stream->address,
                          stream->tls[0] != '\0' ? stream->tls : "plain",
                          stream->deflate ? ", compressed" : "");
    give(facts, "link");
    if (stream->rtt_ms >= 0)
        (void)buf_appendf(text, "%lldms", (long long)stream->rtt_ms);
    give(facts, "rtt");
    (void)buf_appendf(text, "%lld opened, of %lld dials", (long long)stream->links,
                      (long long)stream->dials);
    give(facts, "links");
}

static void give_messages(struct facts *facts, const struct view_stream *stream)
{
    struct buf *text = &facts->text;
    char rate[32], bytes[32];
    layout_rate(stream->messages_per_s, rate, sizeof(rate));
    layout_bytes(stream->bytes, bytes, sizeof(bytes));
    (void)buf_appendf(text, "%lld, %s; %s a second in the last minute", (long long)stream->messages,
                      bytes, rate);
    if (stream->last_message_ms >= 0) {
        (void)buf_append_str(text, "; the last one ");
        tell_duration(stream->last_message_ms, text);
        (void)buf_append_str(text, " ago");
    }
    give(facts, "messages");
    if (tell_counts(stream->stored, text) == 0)
        (void)buf_append_str(text, "none since hawserd started");
    else
        (void)buf_appendf(text, "; the newest is seq %lld", (long long)stream->newest);
    give(facts, "stored");
}

static void give_number(struct facts *facts, const char *label, int64_t n)
{
    if (n > 0)
        (void)buf_append_i64(&facts->text, n);
    give(facts, label);
}

void report_facts(const struct view_stream *stream,
                  void (*visit)(void *arg, const char *label, struct slice text), void *arg)
{
    struct facts facts = {.visit = visit, .arg = arg};
    buf_init(&facts.text, 4096);
    (void)buf_append_str(&facts.text, stream->profile);
    give(&facts, "profile");
    give_link(&facts, stream);
    give_messages(&facts, stream);
    (void)buf_append_str(&facts.text, stream->position[0] != '\0' ? stream->position : "none");
    give(&facts, "position");
    (void)buf_append_i64(&facts.text, stream->duplicates);
    give(&facts, "duplicates");
    give_number(&facts, "ephemeral", stream->ephemeral);
    give_number(&facts, "malformed", stream->malformed);
    give_number(&facts, "late", stream->late);
    give_number(&facts, "unkeyed", stream->unkeyed);
    give_number(&facts, "held", stream->held);
    give_number(&facts, "held back", stream->held_back);
    buf_fini(&facts.text);
}

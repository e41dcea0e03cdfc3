/* What a slot waits for, in words. */
#include <stdarg.h>
#include <stdio.h>

#include "base/timefmt.h"
#include "broker/internal.h"

struct text {
    char *out;
    size_t len; /* always below BROKER_TEXT */
};

/* False, and nothing is added: it does not fit, or not with `spare` bytes behind it. */
__attribute__((format(printf, 3, 4))) static bool add(struct text *text, size_t spare,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = BROKER_TEXT - text->len;
    int n = vsnprintf(text->out + text->len, room, format, args);
    va_end(args);
    if (n < 0 || (size_t)n + spare >= room) {
        text->out[text->len] = '\0';
        return false;
    }
    text->len += (size_t)n;
    return true;
}

#define AND_MORE sizeof(", and 255 more)")

static void add_streams(struct text *text, const struct slot *slot)
{
    struct broker *broker = slot->client->broker;
    struct list_node *node, *after;
    unsigned named = 0, others = 0;
    list_for_each(node, after, &broker->clients)
    {
        const struct broker_client *client = LIST_ENTRY(node, struct broker_client, node);
        if (client->scope != slot->client->scope)
            continue;
        if (others > 0 ||
            !add(text, AND_MORE, "%s%s", named == 0 ? " (streams " : ", ", client->name))
            others++;
        else
            named++;
    }
    if (others > 0)
        add(text, 0, named == 0 ? " (%u streams)" : ", and %u more)", others);
    else
        add(text, 0, ")");
}

static void add_scope(struct text *text, const struct slot *slot)
{
    const struct scope *scope = slot->client->scope;
    switch (scope->kind) {
    case PROFILE_SCOPE_STREAM:
        add(text, 0, "this stream");
        return;
    case PROFILE_SCOPE_CREDENTIAL:
        add(text, 0, "this credential");
        break;
    case PROFILE_SCOPE_HOST:
        add(text, 0, "this host");
        break;
    }
    if (scope->refs > 1)
        add_streams(text, slot);
}

static void add_rate(struct text *text, const struct slot *slot, const char *limit,
                     const struct profile_rate *rate, uint64_t used)
{
    char period[DURATION_TEXT_SIZE];
    duration_format(rate->period_ms, period, sizeof(period));
    add(text, 0, "limits.%s: %llu of %u in %s used by ", limit, (unsigned long long)used,
        rate->count, period);
    add_scope(text, slot);
}

void broker_text(const struct slot *slot, char out[BROKER_TEXT])
{
    const struct broker_client *client = slot->client;
    const struct broker *broker = client->broker;
    const struct scope *scope = client->scope;
    struct text text = {.out = out};
    char period[DURATION_TEXT_SIZE];
    out[0] = '\0';
    switch (slot->wait.kind) {
    case WAIT_NONE:
        break;
    case WAIT_START:
        add(&text, 0, "the streams of the daemon start one after the other");
        break;
    case WAIT_DIAL_RATE:
        duration_format(broker->dial_rate.rate.period_ms, period, sizeof(period));
        add(&text, 0, "dial_rate: all streams together dial %u times in %s",
            broker->dial_rate.rate.count, period);
        break;
    case WAIT_PER_HOST:
        if (!add(&text, 0, "dial_per_host: %u of %u handshakes under way with %s",
                 client->host->dialing, broker->dial_per_host, client->host->name))
            add(&text, 0, "dial_per_host: %u of %u handshakes under way with this host",
                client->host->dialing, broker->dial_per_host);
        break;
    case WAIT_LINKS:
        add(&text, 0, "limits.links: %u of %u at once used by ", scope->open,
            client->profile->limits.links);
        add_scope(&text, slot);
        break;
    case WAIT_CONNECTS: {
        const struct profile_rate *rate = &client->profile->limits.connects;
        add_rate(&text, slot, "connects", rate,
                 scope->dialing + rate_count(&scope->connects, rate->period_ms, broker->now_ms));
        break;
    }
    case WAIT_SESSIONS: {
        const struct profile_rate *rate = &client->profile->limits.sessions;
        add_rate(&text, slot, "sessions", rate,
                 scope->reserved + rate_count(&scope->sessions, rate->period_ms, broker->now_ms));
        break;
    }
    }
}

/* status: what is not well, why, since when, and what happens next. */
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "ctl/ctl.h"
#include "json/json.h"

/* ---- reading the reply: values by JSON Pointer ---- */

static struct json_value at(struct slice object, const char *pointer)
{
    struct json_value value = {.type = JSON_ABSENT};
    struct json_paths *paths = NULL;
    unsigned slot;
    if (json_paths_new(&paths) == 0 &&
        json_paths_add(paths, slice_str(pointer), &slot, NULL) == 0 &&
        json_scan(paths, object, &value, NULL) != 0)
        value.type = JSON_ABSENT;
    json_paths_free(paths);
    return value;
}

static int64_t int_at(struct slice object, const char *pointer, int64_t absent)
{
    struct json_value value = at(object, pointer);
    int64_t number;
    return value.type == JSON_NUMBER && json_int64(&value, &number) == 0 ? number : absent;
}

/* Into out, cut to its size; a position is the service's and may be anything. */
static const char *text_at(struct slice object, const char *pointer, char *out, size_t size)
{
    struct json_value value = at(object, pointer);
    struct buf text;
    buf_init(&text, 65536);
    out[0] = '\0';
    if (value.type == JSON_STRING && json_string_decode(&value, &text) == 0)
        snprintf(out, size, "%s", buf_cstr(&text));
    terminal_clean(out, strlen(out));
    buf_fini(&text);
    return out;
}

/* ---- printing ---- */

static bool is_well(const char *state)
{
    static const char *const bad[] = {"waiting", "held", "parked", "stalled", "stopped"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (strcmp(state, bad[i]) == 0)
            return false;
    return true;
}

static const char *paint(const struct ctl *ctl, const char *state)
{
    if (!ctl->colour)
        return "";
    if (strcmp(state, "live") == 0 || strcmp(state, "ok") == 0)
        return "\033[32m";
    return is_well(state) && strcmp(state, "failing") != 0 ? "\033[33m" : "\033[1;31m";
}

static void print_text(struct slice stream, const char *pointer, const char *label)
{
    char text[512];
    if (text_at(stream, pointer, text, sizeof(text))[0] != '\0')
        printf("    %-7s %s\n", label, text);
}

/* Why the stream is not live, and what happens next. */
static void print_next(struct slice stream)
{
    char delay[DURATION_TEXT_SIZE], reason[512], limit[512];
    bool fallback = at(stream, "/fallback").type == JSON_TRUE;
    int64_t retry_ms = int_at(stream, "/retry_in_ms", -1);
    text_at(stream, "/reason", reason, sizeof(reason));
    text_at(stream, "/waits_for", limit, sizeof(limit));
    if (reason[0] != '\0' && strcmp(reason, limit) != 0)
        printf("    why:    %s\n", reason);
    if (fallback)
        printf("    by:     the fallback delivers\n");
    if (limit[0] != '\0')
        printf("    limit:  %s\n", limit);
    if (retry_ms >= 0) {
        duration_format(retry_ms, delay, sizeof(delay));
        printf("    next:   %s in %s (%lld in a row so far)\n",
               fallback ? "attempt of the WebSocket" : "attempt", delay,
               (long long)int_at(stream, "/attempts", 0));
    }
}

/* One that ends soon; the warning says whose it is. */
static void print_certificate(struct slice stream, const char *pointer, const char *label)
{
    const int64_t day_ms = 86400 * INT64_C(1000);
    int64_t left_ms = int_at(stream, pointer, -1);
    if (left_ms == 0)
        printf("    %-7s has expired\n", label);
    else if (left_ms > 0 && left_ms <= day_ms)
        printf("    %-7s expires within a day\n", label);
    else if (left_ms > 0 && left_ms <= 14 * day_ms)
        printf("    %-7s expires in %lld days\n", label, (long long)(left_ms / day_ms));
}

/* What an operator wants to know of a stream that is live, too. */
static void print_news(struct slice stream)
{
    char text[DURATION_TEXT_SIZE];
    int64_t audited = int_at(stream, "/audited", 0);
    int64_t expires_ms = int_at(stream, "/credential_expires_in_ms", -1);
    print_text(stream, "/successor", "second:"); /* link, which is to take over */
    if (audited > 0)
        printf("    audit:  found %lld that the link did not bring\n", (long long)audited);
    if (expires_ms == 0)
        printf("    token:  has expired\n");
    if (expires_ms > 0) {
        duration_format(expires_ms, text, sizeof(text));
        printf("    token:  expires in %s\n", text);
    }
    print_certificate(stream, "/certificate/expires_in_ms", "cert:");
    print_certificate(stream, "/own_certificate/expires_in_ms", "ours:");
    print_text(stream, "/warning", "said:");
    if (int_at(stream, "/warned_ms", -1) >= 0) {
        duration_format(int_at(stream, "/warned_ms", 0), text, sizeof(text));
        printf("            %s ago\n", text);
    }
}

static void print_gaps(struct slice stream)
{
    struct json_value gaps = at(stream, "/gaps"), name, count;
    struct json_iter it = json_iter_object(&gaps);
    int64_t number;
    bool any = false;
    while (json_iter_next_member(&it, &name, &count)) {
        if (json_int64(&count, &number) != 0 || number == 0)
            continue;
        printf("%s%.*s %lld", any ? ", " : "    gaps:   ", (int)(name.raw.len - 2),
               name.raw.ptr + 1, (long long)number);
        any = true;
    }
    if (any)
        printf("\n");
}

/* By whatever way they came. */
static int64_t stored(struct slice stream)
{
    struct json_value kinds = at(stream, "/stored"), name, count;
    struct json_iter it = json_iter_object(&kinds);
    int64_t number, sum = 0;
    while (json_iter_next_member(&it, &name, &count))
        if (json_int64(&count, &number) == 0)
            sum += number;
    return sum;
}

/* Returns false if the stream is not well. */
static bool print_stream(const struct ctl *ctl, struct slice stream)
{
    char name[LIMIT_STREAM_NAME + 1], state[32], since[DURATION_TEXT_SIZE], position[40], rtt[24];
    text_at(stream, "/stream", name, sizeof(name));
    text_at(stream, "/state", state, sizeof(state));
    text_at(stream, "/position", position, sizeof(position));
    duration_format(int_at(stream, "/since_ms", 0), since, sizeof(since));
    snprintf(rtt, sizeof(rtt), "-");
    if (int_at(stream, "/rtt_ms", -1) >= 0)
        snprintf(rtt, sizeof(rtt), "%lldms", (long long)int_at(stream, "/rtt_ms", 0));
    printf("%-20s %s%-12s%s %8s %12lld %10lld %7s  %s\n", name, paint(ctl, state), state,
           ctl->colour ? "\033[0m" : "", since, (long long)stored(stream),
           (long long)int_at(stream, "/duplicates", 0), rtt, position[0] ? position : "-");
    if (strcmp(state, "live") != 0)
        print_next(stream);
    else
        print_text(stream, "/waits_for", "limit:");
    print_news(stream);
    print_gaps(stream);
    return is_well(state);
}

static bool print_store(const struct ctl *ctl, struct slice reply)
{
    char state[32], reason[512];
    text_at(reply, "/store/state", state, sizeof(state));
    text_at(reply, "/store/reason", reason, sizeof(reason));
    printf("\nstore: %s%s%s, seq %lld to %lld, %.1f MiB\n", paint(ctl, state), state,
           ctl->colour ? "\033[0m" : "", (long long)int_at(reply, "/store/oldest", 0),
           (long long)int_at(reply, "/store/newest", 0),
           (double)int_at(reply, "/store/bytes", 0) / (1024 * 1024));
    if (reason[0] != '\0')
        printf("    why:  %s\n", reason);
    return strcmp(state, "ok") == 0;
}

static int print_reply(const struct ctl *ctl, struct slice reply, bool one)
{
    struct json_value streams = at(reply, "/streams"), element;
    struct json_iter it = json_iter_array(&streams);
    bool well = true;
    size_t n = 0;
    char server[64], up[DURATION_TEXT_SIZE];
    duration_format(int_at(reply, "/uptime_ms", 0), up, sizeof(up));
    printf("%s, up %s\n\n", text_at(reply, "/server", server, sizeof(server)), up);
    printf("%-20s %-12s %8s %12s %10s %7s  %s\n", "STREAM", "STATE", "SINCE", "EVENTS",
           "DUPLICATES", "RTT", "POSITION");
    for (; json_iter_next(&it, &element); n++)
        well = print_stream(ctl, element.raw) && well;
    if (one && n == 0) {
        fprintf(stderr, "hawserctl: no stream of that name\n");
        return CTL_NOT_WELL;
    }
    well = print_store(ctl, reply) && well;
    return well ? CTL_OK : CTL_NOT_WELL;
}

/* As print_reply, without the print. */
static int judge(struct slice reply)
{
    struct json_value streams = at(reply, "/streams"), element;
    struct json_iter it = json_iter_array(&streams);
    char state[32];
    bool well = strcmp(text_at(reply, "/store/state", state, sizeof(state)), "ok") == 0;
    while (json_iter_next(&it, &element))
        well = is_well(text_at(element.raw, "/state", state, sizeof(state))) && well;
    return well ? CTL_OK : CTL_NOT_WELL;
}

int ctl_status(struct ctl *ctl)
{
    struct connection connection;
    struct slice reply;
    bool one = ctl->argc == 2;
    if (ctl->argc > 2)
        return ctl_usage("status takes at most one stream");
    if (connection_ask(&connection, ctl, "status", one ? ctl->argv[1] : NULL, &reply) != CTL_OK)
        return CTL_UNREACHABLE;
    if (ctl->json)
        printf("%.*s\n", (int)reply.len, reply.ptr);
    int result = ctl->json ? judge(reply) : print_reply(ctl, reply, one);
    connection_close(&connection);
    return result;
}

/* tail: prints events as they come, and goes on where it was when hawserd comes back. As a named
 * consumer it may acknowledge what it has printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "json/json.h"

enum {
    SEQ,
    STREAM,
    TYPE,
    TIME,
    VIA,
    SNAPSHOT,
    DATA,
    TEXT,
    BASE64,
    NOTICE,
    ERROR,
    OK,
    NEXT,
    N_POINTERS
};
static const char *const pointers[N_POINTERS] = {
    "/seq",  "/stream", "/type",   "/time",  "/via", "/snapshot", "/data",
    "/text", "/base64", "/notice", "/error", "/ok",  "/next"};

enum { TAIL_TYPES_MAX = 32 }; /* as many as a request may name */

struct tail {
    const struct ctl *ctl;
    const char *from, *types[TAIL_TYPES_MAX];
    const char *consumer; /* NULL: none */
    unsigned n_types;
    uint64_t count, seen, last_seq, acked_seq;
    bool payload, notices, clean, ack;
    bool any; /* last_seq is known */
    struct json_paths *paths;
    struct json_value slots[N_POINTERS];
};

static int check(struct tail *tail)
{
    const struct ctl *ctl = tail->ctl;
    uint64_t seq;
    if (tail->ack && tail->consumer == NULL)
        return ctl_usage(ctl, "--ack is for a --consumer");
    if (tail->from == NULL)
        tail->from = tail->consumer != NULL ? "cursor" : "now";
    if (strcmp(tail->from, "cursor") == 0 && tail->consumer == NULL)
        return ctl_usage(ctl, "--from cursor is for a --consumer");
    if (strcmp(tail->from, "cursor") != 0 && strcmp(tail->from, "now") != 0 &&
        strcmp(tail->from, "oldest") != 0 && slice_parse_u64(slice_str(tail->from), &seq) != 0)
        return ctl_usage(ctl, "--from takes now, oldest, cursor or a seq");
    return CTL_OK;
}

static int parse(struct tail *tail)
{
    const struct ctl *ctl = tail->ctl;
    const char *count = ctl_option(ctl, "count");
    for (int i = 0; i < ctl->n_options; i++) {
        if (strcmp(ctl->options[i].name, "type") != 0)
            continue;
        if (tail->n_types == TAIL_TYPES_MAX)
            return ctl_usage(ctl, "at most 32 types");
        tail->types[tail->n_types++] = ctl->options[i].value;
    }
    if (count != NULL && (slice_parse_u64(slice_str(count), &tail->count) != 0 || tail->count == 0))
        return ctl_usage(ctl, "--count takes a number from 1 on");
    tail->from = ctl_option(ctl, "from");
    tail->consumer = ctl_option(ctl, "consumer");
    tail->payload = ctl_option(ctl, "payload") != NULL;
    tail->notices = ctl_option(ctl, "notices") != NULL;
    tail->ack = ctl_option(ctl, "ack") != NULL;
    return check(tail);
}

static void write_list(struct buf *out, const char *key, char *const *items, unsigned n)
{
    (void)buf_appendf(out, ",\"%s\":[", key);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            (void)buf_append_byte(out, ',');
        (void)json_write_string(out, slice_str(items[i]));
    }
    (void)buf_append_byte(out, ']');
}

static void write_subscribe(struct tail *tail, struct buf *out)
{
    uint64_t seq;
    (void)buf_append_str(out, "{\"op\":\"subscribe\",\"from\":");
    if (tail->any && tail->consumer != NULL)
        (void)buf_append_str(out, "\"cursor\"");
    else if (tail->any)
        (void)buf_append_u64(out, tail->last_seq);
    else if (slice_parse_u64(slice_str(tail->from), &seq) != 0)
        (void)json_write_string(out, slice_str(tail->from));
    else
        (void)buf_append_u64(out, seq);
    if (tail->consumer != NULL) {
        (void)buf_append_str(out, ",\"consumer\":");
        (void)json_write_string(out, slice_str(tail->consumer));
    }
    if (tail->ctl->n_args > 0)
        write_list(out, "streams", tail->ctl->args, (unsigned)tail->ctl->n_args);
    if (tail->n_types > 0)
        write_list(out, "types", (char *const *)tail->types, tail->n_types);
    (void)buf_appendf(out, ",\"notices\":%s}\n", tail->notices ? "true" : "false");
}

/* A value for people: a string without its quotes and still escaped, anything else as it is. */
static struct slice bare(const struct json_value *value)
{
    if (value->type == JSON_ABSENT || value->type == JSON_NULL)
        return slice_str("-");
    if (value->type == JSON_STRING)
        return slice_make(value->raw.ptr + 1, value->raw.len - 2);
    return value->raw;
}

static const struct json_value *payload_of(const struct tail *tail)
{
    for (int i = DATA; i <= BASE64; i++)
        if (tail->slots[i].type != JSON_ABSENT)
            return &tail->slots[i];
    return &tail->slots[DATA];
}

static void print_event(struct tail *tail, struct slice line)
{
    struct slice data = bare(payload_of(tail)), seq = bare(&tail->slots[SEQ]);
    struct slice stream = bare(&tail->slots[STREAM]), type = bare(&tail->slots[TYPE]);
    struct slice time = bare(&tail->slots[TIME]), via = bare(&tail->slots[VIA]);
    if (tail->slots[SNAPSHOT].type == JSON_TRUE)
        via = SLICE("state"); /* a row of a snapshot: how things are, not what has happened */
    if (tail->ctl->json)
        printf("%.*s\n", (int)line.len, line.ptr);
    else if (tail->payload)
        printf("%.*s\n", (int)data.len, data.ptr);
    else
        printf("%10.*s  %.*s  %-12.*s  %-5.*s  %-20.*s  %.*s\n", (int)seq.len, seq.ptr,
               (int)time.len, time.ptr, (int)stream.len, stream.ptr, (int)via.len, via.ptr,
               (int)type.len, type.ptr, (int)data.len, data.ptr);
}

/* Returns -1 to go on, else an exit status. */
static int take_line(struct tail *tail, struct slice line)
{
    int64_t seq;
    if (tail->clean) /* JSON escapes C0 only */
        terminal_clean((char *)line.ptr, line.len);
    if (json_scan(tail->paths, line, tail->slots, NULL) != 0) {
        fprintf(stderr, "hawserctl: hawserd sent a line that is no JSON\n");
        return CTL_NOT_WELL;
    }
    if (tail->slots[ERROR].type != JSON_ABSENT) {
        return ctl_show_reply(tail->ctl, line);
    }
    if (tail->slots[OK].type != JSON_ABSENT && tail->slots[NEXT].type == JSON_ABSENT)
        return -1;
    if (tail->slots[SEQ].type == JSON_NUMBER && json_int64(&tail->slots[SEQ], &seq) == 0) {
        if (tail->consumer != NULL && tail->any && (uint64_t)seq <= tail->last_seq)
            return -1; /* once more, on a new connection */
        tail->last_seq = (uint64_t)seq;
        tail->any = true;
    }
    if (tail->slots[NOTICE].type != JSON_ABSENT) {
        if (tail->ctl->json)
            printf("%.*s\n", (int)line.len, line.ptr);
        else
            fprintf(stderr, "%.*s\n", (int)line.len, line.ptr);
        return -1;
    }
    if (tail->slots[NEXT].type == JSON_NUMBER && json_int64(&tail->slots[NEXT], &seq) == 0 &&
        !tail->any && seq > 0) {
        /* The reply to subscribe: what comes while we are away comes after this. */
        tail->last_seq = (uint64_t)seq - 1;
        tail->any = true;
    }
    if (tail->slots[SEQ].type == JSON_ABSENT)
        return -1;
    print_event(tail, line);
    tail->seen++;
    return tail->count > 0 && tail->seen >= tail->count ? CTL_OK : -1;
}

/* What is printed, and out of our hands. id: an answer is to come. */
static int acknowledge(struct tail *tail, struct connection *connection, bool id, struct error *err)
{
    char request[96];
    if (fflush(stdout) != 0 || ferror(stdout) || !tail->ack || !tail->any ||
        tail->acked_seq == tail->last_seq)
        return 0;
    tail->acked_seq = tail->last_seq;
    int n = snprintf(request, sizeof(request), "{\"op\":\"ack\",\"seq\":%llu%s}\n",
                     (unsigned long long)tail->last_seq, id ? ",\"id\":\"tail\"" : "");
    return connection_send(connection, slice_make(request, (size_t)n), err);
}

/* All that was wanted is printed: until it is on disk that it was. */
static int finish(struct tail *tail, struct connection *connection)
{
    struct error err = {0};
    struct slice line;
    bool asked = tail->ack && tail->any;
    tail->acked_seq = 0;
    int status = acknowledge(tail, connection, true, &err);
    while (status == 0 && asked && !ferror(stdout)) {
        status = connection_line(connection, CTL_ANSWER_SECONDS * 1000, &line, &err);
        if (status == 0 && json_scan(tail->paths, line, tail->slots, NULL) == 0 &&
            (tail->slots[OK].type != JSON_ABSENT || tail->slots[ERROR].type != JSON_ABSENT))
            break;
    }
    if (status == 0 && (!asked || tail->slots[ERROR].type == JSON_ABSENT))
        return CTL_OK;
    fprintf(stderr, "hawserctl: not acknowledged: %s\n",
            status != 0 ? err.text : "hawserd has refused it");
    return CTL_NOT_WELL;
}

/* Follows one connection to its end. Returns -1 when it ended, else an exit status. */
static int follow(struct tail *tail, struct connection *connection)
{
    struct buf request;
    struct error err = {0};
    struct slice line;
    int result = -1;
    buf_init(&request, LIMIT_LINE_IN);
    write_subscribe(tail, &request);
    int status = connection_send(connection, buf_slice(&request), &err);
    buf_fini(&request);
    while (status == 0 && result < 0) {
        if (connection->used == connection->in.len)
            status = acknowledge(tail, connection, false, &err);
        if (status == 0)
            status = connection_line(connection, -1, &line, &err);
        if (status == 0)
            result = take_line(tail, line);
    }
    if (result == CTL_OK)
        result = finish(tail, connection);
    if (ferror(stdout) || connection->reader_gone)
        return CTL_OK; /* whoever read us has gone */
    return result;
}

static int run(struct tail *tail)
{
    struct connection connection;
    struct error err = {0};
    bool before = false, told = false;
    for (;;) {
        int status = connection_open(&connection, tail->ctl->socket, &err);
        if (status != 0 && !before) {
            fprintf(stderr, "hawserctl: %s\n", err.text);
            return CTL_UNREACHABLE;
        }
        if (status == 0) {
            before = true;
            told = false;
            connection.reader_fd = STDOUT_FILENO;
            int result = follow(tail, &connection);
            connection_close(&connection);
            if (result >= 0)
                return result;
        }
        if (!told)
            fprintf(stderr, "hawserctl: hawserd has gone; waiting for it to come back\n");
        told = true;
        usleep(500 * 1000);
    }
}

int ctl_tail(struct ctl *ctl)
{
    struct tail tail = {.ctl = ctl};
    unsigned slot;
    int result = parse(&tail);
    if (result != CTL_OK)
        return result;
    if (json_paths_new(&tail.paths) != 0)
        return CTL_NOT_WELL;
    for (size_t i = 0; i < N_POINTERS; i++)
        (void)json_paths_add(tail.paths, slice_str(pointers[i]), &slot, NULL);
    tail.clean = (!ctl->json && !tail.payload) || isatty(STDOUT_FILENO);
    result = run(&tail);
    json_paths_free(tail.paths);
    fflush(stdout);
    return result;
}

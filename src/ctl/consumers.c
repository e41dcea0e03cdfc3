/* consumers: the named consumers, how far each is behind; seek and forget. */
#include <stdio.h>
#include <string.h>

#include "base/timefmt.h"
#include "ctl/ctl.h"
#include "json/json.h"

static struct json_value member(const struct json_value *object, const char *name)
{
    struct json_iter it = json_iter_object(object);
    struct json_value key, value;
    while (json_iter_next_member(&it, &key, &value))
        if (json_string_eq(&key, slice_str(name)))
            return value;
    return (struct json_value){.type = JSON_ABSENT};
}

static long long number(const struct json_value *object, const char *name)
{
    struct json_value value = member(object, name);
    int64_t n = 0;
    if (value.type == JSON_NUMBER)
        (void)json_int64(&value, &n);
    return n;
}

static void print_row(const struct json_value *row)
{
    struct json_value name = member(row, "consumer");
    char ago[DURATION_TEXT_SIZE] = "";
    bool connected = member(row, "connected").type == JSON_TRUE;
    if (name.type != JSON_STRING)
        return;
    if (!connected)
        duration_format(number(row, "seen_ms"), ago, sizeof(ago));
    printf("%-24.*s %8lld %14lld %10lld %9lld  %s%s\n", (int)name.raw.len - 2, name.raw.ptr + 1,
           number(row, "uid"), number(row, "cursor"), number(row, "lag"), number(row, "unacked"),
           ago, connected ? "connected" : " ago");
}

static void print_rows(const struct json_value *rows)
{
    struct json_iter it = json_iter_array(rows);
    struct json_value row;
    printf("%-24s %8s %14s %10s %9s  %s\n", "CONSUMER", "UID", "CURSOR", "LAG", "UNACKED", "SEEN");
    while (json_iter_next(&it, &row))
        print_row(&row);
}

static int list(struct ctl *ctl)
{
    struct connection connection;
    struct json_value rows = {.type = JSON_ABSENT};
    struct slice reply;
    if (connection_ask(&connection, ctl, "consumers", NULL, &reply) != CTL_OK)
        return CTL_UNREACHABLE;
    if (json_scan(NULL, reply, NULL, NULL) == 0 && slice_starts_with(reply, SLICE("{"))) {
        struct json_value object = {.type = JSON_OBJECT, .raw = reply};
        rows = member(&object, "consumers");
    }
    int result = rows.type == JSON_ARRAY ? CTL_OK : CTL_NOT_WELL;
    if (result == CTL_OK && !ctl->json)
        print_rows(&rows);
    else
        (void)ctl_show_reply(ctl, reply);
    connection_close(&connection);
    return result;
}

/* to NULL: none. */
static int write_change(struct buf *out, const char *op, const char *name, const char *to)
{
    uint64_t seq;
    int status = buf_appendf(out, "{\"op\":\"%s\",\"consumer\":", op);
    if (status == 0)
        status = json_write_string(out, slice_str(name));
    if (status == 0 && to != NULL && slice_parse_u64(slice_str(to), &seq) == 0)
        status = buf_appendf(out, ",\"to\":%llu", (unsigned long long)seq);
    else if (status == 0 && to != NULL)
        status = buf_appendf(out, ",\"to\":\"%s\"", to);
    return status == 0 ? buf_append_str(out, "}\n") : status;
}

static int change(struct ctl *ctl, const char *op, const char *name, const char *to)
{
    struct connection connection;
    struct buf request;
    struct slice reply;
    int result;
    buf_init(&request, LIMIT_LINE_IN);
    if (write_change(&request, op, name, to) != 0)
        result = ctl_usage(ctl, "the consumer's name is too long");
    else
        result = connection_ask_line(&connection, ctl, buf_slice(&request), &reply);
    buf_fini(&request);
    if (result != CTL_OK)
        return result;
    result = ctl_show_reply(ctl, reply);
    connection_close(&connection);
    return result;
}

int ctl_consumers(struct ctl *ctl)
{
    uint64_t seq;
    if (ctl->n_args == 0)
        return list(ctl);
    if (ctl->n_args == 2 && strcmp(ctl->args[0], "forget") == 0)
        return change(ctl, "forget", ctl->args[1], NULL);
    if (ctl->n_args != 3 || strcmp(ctl->args[0], "seek") != 0)
        return ctl_usage(ctl, "after consumers comes nothing, forget NAME, or seek NAME WHERE");
    if (strcmp(ctl->args[2], "oldest") != 0 && strcmp(ctl->args[2], "newest") != 0 &&
        slice_parse_u64(slice_str(ctl->args[2]), &seq) != 0)
        return ctl_usage(ctl, "seek takes a seq, oldest or newest");
    return change(ctl, "seek", ctl->args[1], ctl->args[2]);
}

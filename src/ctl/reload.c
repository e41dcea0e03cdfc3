/* reload: the running hawserd reads its configuration anew; prints what that has changed. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "json/json.h"

/* Upstreams have 3.5 s to say goodbye, and then the disk has to take their last events. */
#define RELOAD_SECONDS 60

enum { OK, CHANGED, DETAIL, ERRORS, SLOTS };

static int scan(struct slice reply, struct json_value slots[SLOTS])
{
    static const char *const pointers[SLOTS] = {"/ok", "/changed", "/detail", "/errors"};
    struct json_paths *paths;
    unsigned slot;
    int status = json_paths_new(&paths);
    if (status != 0)
        return status;
    for (size_t i = 0; i < SLOTS && status == 0; i++)
        status = json_paths_add(paths, slice_str(pointers[i]), &slot, NULL);
    if (status == 0)
        status = json_scan(paths, reply, slots, NULL);
    json_paths_free(paths);
    return status;
}

static void print_text(FILE *out, const char *before, const struct json_value *text)
{
    struct buf line;
    buf_init(&line, CTL_LINE_MAX);
    if (text->type == JSON_STRING && json_string_decode(text, &line) == 0) {
        terminal_clean(line.data, line.len);
        fprintf(out, "%s%.*s\n", before, (int)line.len, line.data);
    }
    buf_fini(&line);
}

static size_t print_texts(FILE *out, const struct json_value *list)
{
    struct json_iter it = json_iter_array(list);
    struct json_value text;
    size_t n = 0;
    for (; json_iter_next(&it, &text); n++)
        print_text(out, "", &text);
    return n;
}

static int show(const struct ctl *ctl, struct slice reply)
{
    struct json_value slots[SLOTS];
    if (ctl->json || scan(reply, slots) != 0)
        return ctl_show_reply(ctl, reply);
    if (slots[OK].type == JSON_STRING) {
        if (slots[CHANGED].type != JSON_ARRAY || print_texts(stdout, &slots[CHANGED]) == 0)
            puts("nothing has changed");
        return CTL_OK;
    }
    if (slots[ERRORS].type == JSON_ARRAY)
        print_texts(stderr, &slots[ERRORS]);
    print_text(stderr, "hawserctl: ", &slots[DETAIL]);
    return CTL_NOT_WELL;
}

int ctl_reload(struct ctl *ctl)
{
    struct connection connection;
    struct slice reply;
    struct error err = {0};
    if (ctl->argc != 1)
        return ctl_usage(ctl, "reload takes nothing more");
    int status = connection_open(&connection, ctl->socket, &err);
    if (status != 0) {
        fprintf(stderr, "hawserctl: %s\n", err.text);
        return CTL_UNREACHABLE;
    }
    status = connection_send(&connection, SLICE("{\"op\":\"reload\"}\n"), &err);
    if (status == 0)
        status = connection_line(&connection, RELOAD_SECONDS * 1000, &reply, &err);
    int result = status == 0 ? show(ctl, reply) : CTL_UNREACHABLE;
    if (status != 0)
        fprintf(stderr, "hawserctl: %s\n", err.text);
    connection_close(&connection);
    return result;
}

/* hawserctl: finds the command and runs it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/commands.h"
#include "json/json.h"

static struct json_value text_member(struct slice reply, const char *wanted)
{
    struct json_value object = {.type = JSON_OBJECT, .raw = reply}, name, value;
    struct json_iter it = json_iter_object(&object);
    while (json_iter_next_member(&it, &name, &value))
        if (json_string_eq(&name, slice_str(wanted)) && value.type == JSON_STRING)
            return value;
    return (struct json_value){.type = JSON_ABSENT};
}

/* "hawserctl: the stream is waiting; nothing was sent (not_live)" */
static void show_error(struct slice reply)
{
    struct buf text;
    bool object = slice_starts_with(reply, SLICE("{")) && json_scan(NULL, reply, NULL, NULL) == 0;
    struct json_value none = {.type = JSON_ABSENT};
    struct json_value code = object ? text_member(reply, "error") : none;
    struct json_value detail = object ? text_member(reply, "detail") : none;
    buf_init(&text, BUF_UNBOUNDED);
    if (code.type != JSON_STRING) {
        (void)buf_append_slice(&text, reply);
    } else if (detail.type != JSON_STRING) {
        (void)json_string_decode(&code, &text);
    } else {
        (void)json_string_decode(&detail, &text);
        (void)buf_append_str(&text, " (");
        (void)json_string_decode(&code, &text);
        (void)buf_append_str(&text, ")");
    }
    if (text.len > 0)
        terminal_clean(text.data, text.len);
    fprintf(stderr, "hawserctl: %.*s\n", (int)text.len, text.len > 0 ? text.data : "");
    buf_fini(&text);
}

int ctl_show_reply(const struct ctl *ctl, struct slice reply)
{
    int result = slice_starts_with(reply, SLICE("{\"ok\"")) ? CTL_OK : CTL_NOT_WELL;
    if (ctl->json)
        printf("%.*s\n", (int)reply.len, reply.ptr);
    else if (result != CTL_OK)
        show_error(reply);
    return result;
}

int ctl_control(struct ctl *ctl)
{
    struct connection connection;
    struct slice reply;
    if (connection_ask(&connection, ctl, ctl->command->name, ctl->args[0], &reply) != CTL_OK)
        return CTL_UNREACHABLE;
    int result = ctl_show_reply(ctl, reply);
    connection_close(&connection);
    return result;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {
        .socket = CTL_DEFAULT_SOCKET, .terminal = terminal_look(), .argc = argc, .argv = argv};
    signal(SIGPIPE, SIG_IGN); /* who reads us may go: that is an end, and no failure */
    char **args = ctl.args = calloc((size_t)argc + 1, sizeof(*args));
    if (args == NULL)
        return CTL_NOT_WELL;
    int result = command_parse(&ctl);
    if (result == CTL_OK)
        result = ctl.command->run(&ctl);
    free(args);
    return result < 0 ? CTL_OK : result;
}

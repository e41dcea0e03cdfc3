/* send: a text for a service. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "ctl/ctl.h"
#include "json/json.h"

/* Standard input to its end, less one last newline. False: said already. */
static bool read_input(struct buf *text)
{
    char bytes[4096];
    ssize_t n;
    while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0) {
        if (buf_append(text, bytes, (size_t)n) != 0) {
            fprintf(stderr, "hawserctl: more than %d bytes to send\n", LIMIT_LINE_IN);
            return false;
        }
    }
    if (n < 0) {
        fprintf(stderr, "hawserctl: standard input: %s\n", strerror(errno));
        return false;
    }
    if (text->len > 0 && text->data[text->len - 1] == '\n')
        text->len--;
    return true;
}

static int request(struct buf *line, const char *stream, struct slice text)
{
    int status = buf_append_str(line, "{\"op\":\"send\",\"stream\":");
    if (status == 0)
        status = json_write_string(line, slice_str(stream));
    if (status == 0)
        status = buf_append_str(line, ",\"text\":");
    if (status == 0)
        status = json_write_string(line, text);
    return status != 0 ? status : buf_append_str(line, "}\n");
}

static int exchange(struct ctl *ctl, struct slice line)
{
    struct connection connection;
    struct slice reply;
    if (connection_ask_line(&connection, ctl, line, &reply) != CTL_OK)
        return CTL_UNREACHABLE;
    int result = ctl_show_reply(ctl, reply);
    connection_close(&connection);
    return result;
}

int ctl_send(struct ctl *ctl)
{
    struct buf text, line;
    int result = CTL_USAGE;
    buf_init(&text, LIMIT_LINE_IN);
    buf_init(&line, 8 * LIMIT_LINE_IN);
    if (strcmp(ctl->args[1], "-") != 0 && buf_append_str(&text, ctl->args[1]) != 0)
        fprintf(stderr, "hawserctl: more than %d bytes to send\n", LIMIT_LINE_IN);
    else if (strcmp(ctl->args[1], "-") == 0 && !read_input(&text))
        result = CTL_USAGE;
    else if (!utf8_valid(text.data, text.len))
        fprintf(stderr, "hawserctl: the text is not UTF-8\n");
    else if (request(&line, ctl->args[0], buf_slice(&text)) == 0)
        result = exchange(ctl, buf_slice(&line));
    buf_fini(&text);
    buf_fini(&line);
    return result;
}

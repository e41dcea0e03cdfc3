#include "daemon/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/consumers.h"
#include "daemon/upstream.h"

static const struct slice no_id = {NULL, 0};

void client_close(struct client *client)
{
    consumers_leave(client);
    listener_remove(client->listener, &client->guest);
    outlet_fini(&client->outlet);
    io_stream_close(client->outlet.stream);
    ndjson_request_fini(&client->request);
    buf_fini(&client->in);
    free(client);
}

/* ---- reading ---- */

void client_reply_error(struct client *client, struct slice id, enum ndjson_error error,
                        const char *detail)
{
    if (ndjson_write_error(&client->outlet.head, id, error, detail) != 0)
        client->outlet.ending = true; /* no memory */
}

static void too_long(struct client *client)
{
    client_reply_error(client, no_id, NDJSON_E_TOO_LONG,
                       "a request line is at most 65536 bytes; closing");
    client->outlet.ending = true;
}

/* Of what it has asked something is not done yet, or there is no room for the replies: it may ask
 * faster than it reads, and waits then. */
static bool has_to_wait(const struct client *client)
{
    return client->outlet.ending || client->evicted ||
           client->outlet.head.len > CLIENT_REPLIES_HIGH ||
           client->wait.what != CLIENT_WAITS_FOR_NOTHING || consumers_busy(client);
}

/* Handles the whole lines that have come. */
static void take_lines(struct client *client)
{
    size_t used = 0;
    while (!has_to_wait(client)) {
        struct slice rest = slice_from(buf_slice(&client->in), used);
        const char *end = slice_find_byte(rest, '\n');
        struct slice line = slice_make(rest.ptr, end != NULL ? (size_t)(end - rest.ptr) : rest.len);
        size_t taken = line.len + 1;
        /* The end of a line may be CR LF, of which the LF may not be here yet. */
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len > LIMIT_LINE_IN)
            too_long(client);
        if (end == NULL || line.len > LIMIT_LINE_IN)
            break;
        if (line.len > 0)
            request_handle(client, line);
        used += taken;
    }
    buf_consume(&client->in, used);
}

static bool line_waits(const struct client *client)
{
    return slice_find_byte(buf_slice(&client->in), '\n') != NULL;
}

/* Its requests have waited for room; when all are handled, more are taken from the socket. */
static void take_up(struct client *client)
{
    if (client->reading || has_to_wait(client))
        return;
    take_lines(client);
    if (has_to_wait(client) || line_waits(client))
        return;
    if (client->in.len == 0 && client->in.cap > LIMIT_LINE_IN)
        buf_fini(&client->in); /* a burst of requests has passed */
    if (client->deaf)
        client->outlet.ending = !client->outlet.subscribed;
    else if (io_stream_read_start(client->outlet.stream) == 0)
        client->reading = true;
}

/* ---- its outlet ---- */

static void on_room(void *arg)
{
    take_up(arg);
}

static void on_last(void *arg)
{
    struct client *client = arg;
    if (ndjson_write_bye(&client->outlet.head, client->bye) != 0)
        buf_clear(&client->outlet.head);
}

static void on_unreadable(void *arg, const struct error *err)
{
    struct client *client = arg;
    log_error(NULL, NULL, "listen %s: pid %d: %s", client->listener->name, (int)client->pid,
              err->text);
    client_reply_error(client, no_id, NDJSON_E_INTERNAL, err->text);
}

static void on_end(void *arg)
{
    client_close(arg);
}

static void on_full(void *arg)
{
    consumers_full(arg);
}

static const struct outlet_events outlet_events = {.on_full = on_full,
                                                   .on_room = on_room,
                                                   .on_last = on_last,
                                                   .on_unreadable = on_unreadable,
                                                   .on_end = on_end};

void client_pump(struct client *client)
{
    outlet_want(&client->outlet);
}

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    struct client *client = arg;
    (void)err;
    if (n < 0 || (n == 0 && io_stream_hung_up(client->outlet.stream))) {
        client_close(client);
        return;
    }
    if (n == 0) {
        /* It may shut down its sending side and go on listening, as socat does: a subscriber for
         * as long as it likes, others until they have their replies. */
        client->reading = false;
        client->deaf = true;
    } else if (buf_append(&client->in, bytes, (size_t)n) != 0) {
        client->outlet.ending = true;
    } else {
        take_lines(client);
    }
    if (client->reading && (has_to_wait(client) || line_waits(client))) {
        io_stream_read_stop(client->outlet.stream);
        client->reading = false;
    }
    client_pump(client);
}

static void on_drain(void *arg, int status)
{
    struct client *client = arg;
    outlet_drained(&client->outlet, status);
}

static const struct io_stream_events stream_events = {.on_read = on_read, .on_drain = on_drain};

/* ---- life ---- */

static int greet(struct client *client)
{
    struct daemon *daemon = client->listener->daemon;
    const struct store_info *info = persist_info(daemon->persist);
    struct ndjson_stream_state *states = calloc(daemon->n_upstreams + 1, sizeof(*states));
    unsigned n = 0;
    if (states == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct session_status status;
        if (!listener_sees(client->listener, daemon->upstreams[i]->store_id))
            continue;
        stream_session_status(daemon->upstreams[i]->stream, &status);
        states[n].name = daemon->upstreams[i]->settings->name;
        states[n++].state = session_state_name(status.state);
    }
    int status = ndjson_write_greeting(&client->outlet.head, "hawserd " HAWSER_VERSION,
                                       info->instance, info->oldest_seq,
                                       fanout_published_seq(hub_fanout(daemon->hub)), states, n);
    free(states);
    return status;
}

/* ---- as a guest of its listener ---- */

static struct client *client_of(struct guest *guest)
{
    return LIST_ENTRY(guest, struct client, guest);
}

static void guest_serve(struct guest *guest)
{
    client_pump(client_of(guest));
}

static bool guest_gone(struct guest *guest)
{
    const struct client *client = client_of(guest);
    return !client->reading && io_stream_hung_up(client->outlet.stream);
}

/* It ends when it has got what is there for it; one that does not read stays until it is closed. */
static void guest_bye(struct guest *guest, const char *reason)
{
    struct client *client = client_of(guest);
    client->bye = reason;
    if (client->wait.what == CLIENT_WAITS_FOR_RELOAD)
        return; /* the answer first, which comes soon: request_reloaded() */
    client->outlet.leaving = true;
    client_pump(client);
}

static void guest_close(struct guest *guest)
{
    client_close(client_of(guest));
}

static const char *guest_view(struct guest *guest)
{
    struct client *client = client_of(guest);
    if (!listener_show(client->listener, &client->outlet))
        return LISTENER_NO_STREAM;
    consumers_view(client);
    return NULL;
}

static const struct guest_ops guest_ops = {.serve = guest_serve,
                                           .gone = guest_gone,
                                           .bye = guest_bye,
                                           .close = guest_close,
                                           .view = guest_view};

int client_new(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid)
{
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return ERR_NOMEM;
    client->listener = listener;
    client->uid = uid;
    client->pid = pid;
    list_init(&client->wait.node);
    buf_init(&client->in, LIMIT_LINE_IN + IO_READ_SIZE);
    outlet_init(&client->outlet, listener->daemon, stream, CLIENT_REPLIES_MAX, &outlet_events,
                client);
    ndjson_request_init(&client->request);
    int status = greet(client);
    io_stream_events(stream, &stream_events, client);
    if (status == 0)
        status = io_stream_read_start(stream);
    if (status != 0) {
        ndjson_request_fini(&client->request);
        outlet_fini(&client->outlet);
        free(client);
        return status;
    }
    client->reading = true;
    listener_add(listener, &client->guest, &guest_ops, uid);
    log_debug(NULL, NULL, "listen %s: pid %d (uid %d) connected", listener->name, (int)pid,
              (int)uid);
    client_pump(client);
    return 0;
}

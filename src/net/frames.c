#include <string.h>

#include "net/link.h"

enum { KEEP_CAPACITY = 64 * 1024 }; /* bytes of the frame buffer that are not given back */

/* ---- out ---- */

/* Masks are not to be foreseen by whoever chooses the payload (RFC 6455 10.3): from the kernel. */
static const uint8_t *next_mask(struct net_link *link)
{
    if (link->masks_left == 0) {
        if (tls_random(link->masks, sizeof link->masks) != 0)
            return NULL;
        link->masks_left = LINK_MASKS;
    }
    return link->masks[--link->masks_left];
}

static int send_frame(struct net_link *link, enum ws_type type, struct slice payload)
{
    const uint8_t *mask = next_mask(link);
    bool message = type == WS_TEXT || type == WS_BINARY;
    int rc;

    if (mask == NULL)
        return ERR_IO;
    buf_clear(&link->frame);
    rc = message ? ws_message_write(&link->frame, &link->terms, type, payload, mask)
                 : ws_frame_write(&link->frame, type, payload, mask);
    if (rc == 0)
        rc = conn_send(&link->conn, link->frame.data, link->frame.len);
    buf_wipe(&link->frame); /* a login may go this way; the mask stands before it */
    if (link->frame.cap > KEEP_CAPACITY)
        buf_fini(&link->frame);
    return rc;
}

static int check_room(const struct net_link *link, size_t bytes)
{
    size_t queued;

    if (link->conn.closed || link->state != LINK_OPEN)
        return ERR_EOF;
    if (bytes > LIMIT_MESSAGE_MAX)
        return ERR_LIMIT;
    queued = conn_queued(&link->conn);
    return queued != 0 && queued + bytes > NET_QUEUE_MAX ? ERR_AGAIN : 0;
}

void link_drained(void *arg)
{
    struct net_link *link = arg;

    if (link->state != LINK_OPEN)
        return;
    if (link->pong_due)
        (void)send_frame(link, WS_PONG, slice_make(link->pong, link->pong_len));
    link->pong_due = false;
    if (link->wants_room) {
        link->wants_room = false;
        link->events->on_room(link->arg);
    }
}

int net_link_send(struct net_link *link, enum ws_type type, struct slice payload)
{
    int rc = check_room(link, payload.len);

    if (type != WS_TEXT && type != WS_BINARY)
        return ERR_INVAL;
    /* What fits all the same says nothing of what did not: that still waits. */
    if (rc == ERR_AGAIN)
        link->wants_room = link->events->on_room != NULL;
    return rc != 0 ? rc : send_frame(link, type, payload);
}

struct ping {
    uint32_t cookie;
    uint32_t number;
    int64_t sent_ms;
};

int net_link_ping(struct net_link *link)
{
    struct ping ping = {.cookie = link->ping_cookie, .number = link->ping_count + 1};
    int rc = check_room(link, sizeof ping);

    if (rc != 0)
        return rc;
    ping.sent_ms = io_clock_ms();
    rc = send_frame(link, WS_PING, slice_make((const char *)&ping, sizeof ping));
    if (rc == 0)
        link->ping_count++;
    return rc;
}

void link_send_close(struct net_link *link, int code, struct slice reason)
{
    const uint8_t *mask = next_mask(link);

    if (mask == NULL)
        return;
    buf_clear(&link->frame);
    if (ws_close_write(&link->frame, code, reason, mask) != 0 &&
        ws_close_write(&link->frame, WS_CLOSE_NONE, SLICE(""), mask) != 0)
        return;
    (void)conn_send(&link->conn, link->frame.data, link->frame.len);
}

/* ---- in ---- */

static int on_message(void *arg, enum ws_type type, struct slice payload)
{
    struct net_link *link = arg;

    if (link->conn.closed)
        return ERR_AGAIN; /* stops the decoder */
    if (link->state != LINK_OPEN)
        return 0;
    return link->events->on_message(link->arg, type, payload) == 0 ? 0 : ERR_AGAIN;
}

static void on_oversize(void *arg, uint64_t bytes)
{
    struct net_link *link = arg;

    if (!link->conn.closed && link->state == LINK_OPEN)
        link->events->on_oversize(link->arg, bytes);
}

/* A peer that sends pings and reads no pongs gets none above the bound, and then one for the
 * latest, which is what counts (RFC 6455 5.5.3). */
static void on_ping(void *arg, struct slice payload)
{
    struct net_link *link = arg;
    int rc = check_room(link, payload.len);

    link->pong_due = rc == ERR_AGAIN;
    if (link->pong_due) {
        memcpy(link->pong, slice_chars(payload), payload.len);
        link->pong_len = payload.len;
    } else if (rc == 0) {
        (void)send_frame(link, WS_PONG, payload);
    }
}

static void on_pong(void *arg, struct slice payload)
{
    struct net_link *link = arg;
    struct ping ping;
    int64_t rtt_ms;

    if (link->conn.closed || link->state != LINK_OPEN || payload.len != sizeof ping)
        return;
    memcpy(&ping, payload.ptr, sizeof ping);
    rtt_ms = io_clock_ms() - ping.sent_ms;
    if (ping.cookie != link->ping_cookie || ping.number == 0 || ping.number > link->ping_count ||
        rtt_ms < 0)
        return;
    link->events->on_pong(link->arg, rtt_ms);
}

static void on_close(void *arg, int code, struct slice reason)
{
    struct net_link *link = arg;

    if (link->conn.closed)
        return;
    if (link->state == LINK_CLOSING) {
        /* The answer to ours. It is for the server to hang up first (RFC 6455 7.1.1), within the
         * time that it had for the answer. */
        link->state = LINK_DRAINING;
        return;
    }
    link_send_close(link, code, SLICE(""));
    link_set_end(link, NET_END_CLOSE, code, false, reason);
    link_drain(link);
}

int link_decoder_new(struct net_link *link, uint64_t max_message)
{
    struct ws_handler handler = {
        .on_message = on_message,
        .on_ping = on_ping,
        .on_pong = on_pong,
        .on_oversize = on_oversize,
        .on_close = on_close,
        .arg = link,
    };

    return ws_decoder_new(&handler, max_message, &link->decoder);
}

static void protocol_error(struct net_link *link, int code, const struct error *err)
{
    if (link->state == LINK_OPEN) {
        link_send_close(link, code, slice_str(err->text));
        link_set_end(link, NET_END_CLOSE, code, true, slice_str(err->text));
    }
    link_drain(link);
}

void link_frames(struct net_link *link, struct slice *bytes)
{
    struct error err;
    int code;
    int rc;

    do {
        rc = ws_decoder_run(link->decoder, bytes, &code, &err);
        if (link->conn.closed)
            return;
        if (rc == ERR_BUSY || (rc == ERR_AGAIN && link->state == LINK_OPEN)) {
            conn_pause(&link->conn);
            if (rc == ERR_BUSY)
                conn_resume(&link->conn); /* in the loop's next turn */
            return;
        }
        /* A message that was refused by a link that is closing now is dropped in the next round. */
    } while (rc == ERR_AGAIN);
    if (rc != 0) {
        protocol_error(link, code, &err);
        *bytes = slice_from(*bytes, bytes->len);
    }
}

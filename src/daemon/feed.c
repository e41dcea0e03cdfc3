#include "daemon/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/outlet.h"
#include "wire/delivery.h"
#include "wire/ndjson.h"

#define FEED_HEAD_MAX 4096 /* bytes of an error or of `bye` */

struct feed {
    struct guest guest;
    struct listener *listener;
    struct outlet outlet;
    struct delivery_payload *payload; /* NULL: lines go out as they are */
    pid_t pid;
    const char *bye;
    size_t heard; /* bytes it has sent */
    bool deaf;    /* it has shut down its side: nothing more will come */
};

static void close_feed(struct feed *feed)
{
    listener_remove(feed->listener, &feed->guest);
    outlet_fini(&feed->outlet);
    io_stream_close(feed->outlet.stream);
    delivery_payload_free(feed->payload);
    free(feed);
}

/* ---- its outlet ---- */

static int on_frame(void *arg, struct slice line, struct buf *out)
{
    struct feed *feed = arg;
    return delivery_payload_write(feed->payload, out, line);
}

/* In payload format there is no word for it. */
static void on_last(void *arg)
{
    struct feed *feed = arg;
    if (feed->payload == NULL && ndjson_write_bye(&feed->outlet.head, feed->bye) != 0)
        buf_clear(&feed->outlet.head);
}

static void on_unreadable(void *arg, const struct error *err)
{
    struct feed *feed = arg;
    log_error(NULL, NULL, "listen %s: pid %d: %s", feed->listener->name, (int)feed->pid, err->text);
    if (feed->payload == NULL && ndjson_write_error(&feed->outlet.head, slice_make(NULL, 0),
                                                    NDJSON_E_INTERNAL, err->text) != 0)
        feed->outlet.ending = true;
}

static void on_end(void *arg)
{
    close_feed(arg);
}

static const struct outlet_events envelope_events = {
    .on_last = on_last, .on_unreadable = on_unreadable, .on_end = on_end};
static const struct outlet_events payload_events = {
    .frame = on_frame, .on_last = on_last, .on_unreadable = on_unreadable, .on_end = on_end};

/* ---- its stream ---- */

static void on_read(void *arg, const char *bytes, ssize_t n, const struct error *err)
{
    struct feed *feed = arg;
    (void)bytes;
    (void)err;
    feed->heard += n > 0 ? (size_t)n : 0;
    if (n < 0 || feed->heard > FEED_INPUT_MAX || (n == 0 && io_stream_hung_up(feed->outlet.stream)))
        close_feed(feed);
    else if (n == 0)
        feed->deaf = true; /* as socat does whose input has ended: it goes on listening */
}

static void on_drain(void *arg, int status)
{
    struct feed *feed = arg;
    outlet_drained(&feed->outlet, status);
}

static const struct io_stream_events stream_events = {.on_read = on_read, .on_drain = on_drain};

/* ---- as a guest ---- */

static struct feed *feed_of(struct guest *guest)
{
    return LIST_ENTRY(guest, struct feed, guest);
}

static void guest_serve(struct guest *guest)
{
    outlet_want(&feed_of(guest)->outlet);
}

static bool guest_gone(struct guest *guest)
{
    const struct feed *feed = feed_of(guest);
    return feed->deaf && io_stream_hung_up(feed->outlet.stream);
}

static void guest_bye(struct guest *guest, const char *reason)
{
    struct feed *feed = feed_of(guest);
    feed->bye = reason;
    feed->outlet.leaving = true;
    outlet_want(&feed->outlet);
}

static void guest_close(struct guest *guest)
{
    close_feed(feed_of(guest));
}

static const char *guest_view(struct guest *guest)
{
    struct feed *feed = feed_of(guest);
    (void)listener_show(feed->listener, &feed->outlet); /* it wants all there is */
    return NULL;
}

static const struct guest_ops guest_ops = {.serve = guest_serve,
                                           .gone = guest_gone,
                                           .bye = guest_bye,
                                           .close = guest_close,
                                           .view = guest_view};

/* ---- life ---- */

static void subscribe(struct feed *feed)
{
    const struct settings_listen *settings = feed->listener->settings;
    const struct store_info *info = persist_info(feed->listener->daemon->persist);
    bool oldest = settings->from == SETTINGS_FROM_OLDEST;
    uint64_t before_oldest = info->oldest_seq > 0 ? info->oldest_seq - 1 : 0;
    memcpy(feed->outlet.filter.streams, feed->listener->streams,
           sizeof(feed->outlet.filter.streams));
    outlet_subscribe(&feed->outlet, oldest ? before_oldest : UINT64_MAX, oldest);
}

int feed_new(struct listener *listener, struct io_stream *stream, uid_t uid, pid_t pid)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    bool payload = listener->settings->format == SETTINGS_FORMAT_PAYLOAD;
    int status = feed == NULL ? ERR_NOMEM : 0;
    if (status == 0 && payload)
        status = delivery_payload_new(&feed->payload);
    if (status == 0) {
        io_stream_events(stream, &stream_events, feed);
        status = io_stream_read_start(stream);
    }
    if (status != 0) {
        if (feed != NULL)
            delivery_payload_free(feed->payload);
        free(feed);
        return status;
    }
    feed->listener = listener;
    feed->pid = pid;
    outlet_init(&feed->outlet, listener->daemon, stream, FEED_HEAD_MAX,
                payload ? &payload_events : &envelope_events, feed);
    listener_add(listener, &feed->guest, &guest_ops, uid);
    subscribe(feed);
    outlet_want(&feed->outlet);
    return 0;
}

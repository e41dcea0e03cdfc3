/* gaps: what is said to be missing, in its place among the events, though the hub may have no room.
 */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"

/* The slices of a gap point into its own entry. */
static void point(struct stream *stream, unsigned at)
{
    struct hub_gap *gap = &stream->gaps[at].gap;
    gap->detail = stream->gaps[at].detail[0] != '\0' ? stream->gaps[at].detail : NULL;
    if (gap->after.ptr != NULL)
        gap->after.ptr = stream->gaps[at].after;
    if (gap->before.ptr != NULL)
        gap->before.ptr = stream->gaps[at].before;
}

void stream_gaps_pump(struct stream *stream)
{
    while (stream->n_gaps > 0) {
        if (hub_gap(stream->hub, stream->hub_stream, &stream->gaps[0].gap) != 0)
            return;
        stream->n_gaps--;
        for (unsigned i = 0; i < stream->n_gaps; i++) {
            stream->gaps[i] = stream->gaps[i + 1];
            point(stream, i);
        }
    }
}

static struct slice keep(char place[LIMIT_POSITION], struct slice position)
{
    if (position.ptr == NULL || position.len > LIMIT_POSITION)
        return (struct slice){NULL, 0};
    memcpy(place, position.ptr, position.len);
    return slice_make(place, position.len);
}

void stream_gap_between(struct stream *stream, enum session_gap reason, struct slice after,
                        struct slice before, const char *detail)
{
    /* When too many wait for room, the newest is folded into the last: it still says that events
     * are missing, which is what a gap is for. */
    bool full = stream->n_gaps == STREAM_GAPS_MAX;
    unsigned at = full ? STREAM_GAPS_MAX - 1 : stream->n_gaps++;
    bool forget = stream->forget || (full && stream->gaps[at].gap.forget);
    stream->forget = false;
    snprintf(stream->gaps[at].detail, sizeof(stream->gaps[at].detail), "%s",
             detail != NULL ? detail : "");
    stream->gaps[at].gap = (struct hub_gap){
        .reason = reason,
        .after = keep(stream->gaps[at].after, after),
        .before = keep(stream->gaps[at].before, before),
        .forget = forget,
        .now_us = stream->ops->wall_us(stream->arg),
    };
    point(stream, at);
    stream->ops->gap(stream->arg, reason, detail);
    stream_gaps_pump(stream);
}

void stream_gap(struct stream *stream, enum session_gap reason, const char *detail)
{
    stream_gap_between(stream, reason, flow_position(stream->flow), slice_make(NULL, 0), detail);
}

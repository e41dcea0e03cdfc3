/* A flow with a hand-made profile and a sink that writes down what it takes. */
#ifndef TEST_FLOW_RIG_H
#define TEST_FLOW_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "flow/flow.h"

struct rig {
    struct profile profile;
    struct flow *flow;
    int refuse_at; /* the sink refuses its n-th call from here (1 = the next), once; 0: none */
    int refuse_with;
    char log[8192]; /* what was taken: "id@position " each; '!' live, '~' ephemeral, '+' advances */
    struct flow_event last; /* its slices are good no longer than the message they are from */
    char last_malformed[64];
    char resume[64]; /* stored last */
};

static const uint8_t rig_hash_key[16] = "0123456789abcde";

static inline int rig_sink(void *arg, const struct flow_event *event)
{
    struct rig *rig = arg;
    size_t n = strlen(rig->log);

    if (rig->refuse_at > 0 && --rig->refuse_at == 0)
        return rig->refuse_with;
    snprintf(rig->log + n, sizeof rig->log - n, "%s%s" SLICE_FMT "%s" SLICE_FMT "%s ",
             event->ephemeral ? "~" : "", event->via == FLOW_VIA_LIVE ? "!" : "",
             SLICE_ARG(event->id), event->position.ptr != NULL ? "@" : "",
             SLICE_ARG(event->position), event->resume.ptr != NULL ? "+" : "");
    if (event->resume.ptr != NULL)
        snprintf(rig->resume, sizeof rig->resume, SLICE_FMT, SLICE_ARG(event->resume));
    rig->last = *event;
    snprintf(rig->last_malformed, sizeof rig->last_malformed, "%s",
             event->malformed != NULL ? event->malformed : "");
    return 0;
}

/* "? " too large, "?11-14 " a hole, "?9>3! " another epoch. */
static inline void rig_gap(void *arg, const struct flow_gap *gap)
{
    struct rig *rig = arg;
    size_t n = strlen(rig->log);
    const char *middle = "", *end = "";

    switch (gap->reason) {
    case FLOW_GAP_OVERSIZE:
        break;
    case FLOW_GAP_HOLE:
        middle = "-";
        break;
    case FLOW_GAP_EPOCH:
        middle = ">";
        end = "!";
        break;
    }
    snprintf(rig->log + n, sizeof rig->log - n, "?" SLICE_FMT "%s" SLICE_FMT "%s ",
             SLICE_ARG(gap->after), middle, SLICE_ARG(gap->before), end);
}

/* rig->profile is set. */
static inline void rig_open_profile(struct rig *rig, unsigned window, size_t hold_bytes)
{
    rig->refuse_with = ERR_AGAIN;
    const struct flow_options options = {
        .profile = &rig->profile,
        .hash_key = rig_hash_key,
        .dedup_window = window,
        .hold_bytes = hold_bytes,
        .sink = rig_sink,
        .gap = rig_gap,
        .sink_arg = rig,
    };
    assert_int_equal(flow_new(&options, &rig->flow), 0);
}

static inline void rig_open_with(struct rig *rig, enum profile_dedup dedup,
                                 enum profile_compare compare, unsigned window, size_t hold_bytes)
{
    *rig = (struct rig){.profile.dedup = dedup, .profile.compare = compare};
    rig_open_profile(rig, window, hold_bytes);
}

static inline void rig_open(struct rig *rig, enum profile_dedup dedup, enum profile_compare compare)
{
    rig_open_with(rig, dedup, compare, 1000, 65536);
}

static inline void rig_close(struct rig *rig)
{
    flow_free(rig->flow);
}

static inline struct slice optional(const char *text)
{
    return text != NULL ? slice_str(text) : slice_make(NULL, 0);
}

/* NULL: absent. */
static inline struct profile_message message_of(const char *id, const char *position)
{
    return (struct profile_message){
        .json = true,
        .event = true,
        .id = optional(id),
        .position = optional(position),
        .type = SLICE("t"),
        .data = SLICE("{}"),
    };
}

static inline enum flow_result live(struct rig *rig, const char *id, const char *position)
{
    struct profile_message message = message_of(id, position);

    return flow_message(rig->flow, FLOW_LINK, &message, message.data, false, 1000);
}

static inline enum flow_result next_live(struct rig *rig, const char *id, const char *position)
{
    struct profile_message message = message_of(id, position);

    return flow_message(rig->flow, FLOW_SUCCESSOR, &message, message.data, false, 1000);
}

static inline enum flow_result audit(struct rig *rig, const char *id, const char *position,
                                     int64_t now_ms)
{
    struct profile_message message = message_of(id, position);

    return flow_audit_item(rig->flow, &message, 1000, now_ms);
}

static inline struct flow_page_result page_of(struct rig *rig)
{
    struct flow_page_result page;

    flow_page_end(rig->flow, &page);
    return page;
}

static inline enum flow_result item(struct rig *rig, const char *id, const char *position)
{
    struct profile_message message = message_of(id, position);

    return flow_item(rig->flow, FLOW_VIA_SYNC, &message, 1000);
}

static inline void assert_log(struct rig *rig, const char *expected)
{
    assert_string_equal(rig->log, expected);
    rig->log[0] = '\0';
}

static inline void assert_position(struct rig *rig, const char *expected)
{
    struct slice position = flow_position(rig->flow);

    if (expected == NULL)
        assert_null(position.ptr);
    else
        assert_true(slice_eq_str(position, expected));
}

static inline void assert_resume(struct rig *rig, const char *expected)
{
    struct slice position = flow_resume(rig->flow);

    if (expected == NULL)
        assert_null(position.ptr);
    else
        assert_true(slice_eq_str(position, expected));
}

static inline struct flow_stats stats_of(struct rig *rig)
{
    struct flow_stats stats;

    flow_stats(rig->flow, &stats);
    return stats;
}

#endif

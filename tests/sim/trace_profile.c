/* trace_profile: the profile of a trace: a shipped one, with keys set over it, and traits. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_world.h"

#define FIELD(name, member, kind)                                                                  \
    {                                                                                              \
        name, offsetof(struct profile, member), kind                                               \
    }

/* What a profile may say that no shipped one says: fields of the compiled profile. */
static const struct {
    const char *name;
    size_t offset;
    enum { TIME, COUNT, FLAG, VIA, TRANSPORT } kind;
} fields[] = {
    FIELD("ping_forbidden", connect.ping_forbidden, FLAG),
    FIELD("max_age", connect.max_age_ms, TIME),
    FIELD("parallel", connect.parallel, COUNT),
    FIELD("heartbeat.send", heartbeat.send, COUNT),
    FIELD("heartbeat.every", heartbeat.every_ms, TIME),
    FIELD("heartbeat.ack_timeout", heartbeat.ack_timeout_ms, TIME),
    FIELD("heartbeat.ws_ping", heartbeat.ws_ping_ms, TIME),
    FIELD("heartbeat.idle", heartbeat.idle_ms, TIME),
    FIELD("catchup.via", catchup.via, VIA),
    FIELD("catchup.tip", catchup.tip, COUNT),
    FIELD("catchup.audit", catchup.audit_ms, TIME),
    FIELD("fallback", fallback.exists, FLAG),
    FIELD("fallback.transport", fallback.transport, TRANSPORT),
    FIELD("fallback.after", fallback.after, COUNT),
    FIELD("fallback.idle", fallback.idle_ms, TIME),
    FIELD("fallback.retry_primary", fallback.retry_primary_ms, TIME),
    FIELD("position.max_age", position.max_age_ms, TIME),
    FIELD("position.contiguous", position.contiguous, FLAG),
    FIELD("park_probe", park_probe_ms, TIME),
};

void trace_add_trait(struct world *w, const char *name, int64_t value)
{
    if (w->n_traits == SETS_MAX)
        die(w, "too many traits");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i].name, name) != 0)
            continue;
        w->traits[w->n_traits++] = (struct trait){fields[i].name, value};
        return;
    }
    die(w, "no such trait: `%s`", name);
}

void trace_add_send(struct world *w, const char *name, int64_t timeout_ms)
{
    if (w->n_sends == PROFILE_SENDS_MAX)
        die(w, "too many sends");
    char *copy = w->send_names[w->n_sends];
    snprintf(copy, sizeof(w->send_names[0]), "%s", name);
    w->sends[w->n_sends].name = copy;
    w->sends[w->n_sends].answered = true;
    w->sends[w->n_sends++].answer_timeout_ms = timeout_ms;
}

static void apply_trait(struct world *w, const struct trait *trait)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char *at = (char *)w->profile + fields[i].offset;
        if (strcmp(fields[i].name, trait->name) != 0)
            continue;
        switch (fields[i].kind) {
        case TIME:
            *(int64_t *)at = trait->value;
            return;
        case COUNT:
            *(unsigned *)at = (unsigned)trait->value;
            return;
        case FLAG:
            *(bool *)at = trait->value != 0;
            return;
        case VIA:
            *(enum profile_catchup_via *)at = (enum profile_catchup_via)trait->value;
            return;
        case TRANSPORT:
            *(enum profile_transport *)at = (enum profile_transport)trait->value;
            return;
        }
    }
}

/* A trace says for itself what more than a link and catching up there is. */
static void apply_traits(struct world *w)
{
    w->profile->heartbeat.send = PROFILE_NONE;
    w->profile->catchup.tip = PROFILE_NONE;
    w->profile->catchup.audit_ms = 0;
    memset(&w->profile->fallback, 0, sizeof(w->profile->fallback));
    w->profile->fallback.http = PROFILE_NONE;
    w->profile->fallback.name = "other";
    if (w->n_sends > 0) {
        w->profile->sends = w->sends;
        w->profile->n_sends = w->n_sends;
    }
    for (unsigned i = 0; i < w->n_traits; i++)
        apply_trait(w, &w->traits[i]);
}

void trace_load_profile(struct world *w)
{
    static const struct {
        const char *profile, *key, *value;
    } needs[] = {
        {"scaiwave", "host", "chat.example.com"},      {"scaiwave", "token", "env:TOKEN"},
        {"nchan", "host", "push.example.com"},         {"nchan", "path", "sub/builds"},
        {"generic", "url", "wss://feed.example.com/"},
    };
    static const char *const dirs[] = {"conf/profiles", NULL};
    struct ini_entry entries[SETS_MAX + 8];
    const struct ini_entry *rest[SETS_MAX + 8];
    struct settings_stream stream = {.name = "chat",
                                     .profile = w->profile_name,
                                     .park_probe_ms = 3600000,
                                     .rest = rest,
                                     .file = w->path,
                                     .line = 1};
    for (unsigned i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (strcmp(needs[i].profile, w->profile_name) != 0)
            continue;
        entries[stream.n_rest] =
            (struct ini_entry){"stream", "chat", needs[i].key, needs[i].value, w->path, 1};
        rest[stream.n_rest] = &entries[stream.n_rest];
        stream.n_rest++;
    }
    for (unsigned i = 0; i < w->n_sets; i++)
        rest[stream.n_rest++] = &w->sets[i];

    struct diag *diag = diag_new();
    if (diag == NULL)
        die(w, "out of memory");
    if (profile_load(dirs, w->profile_name, &stream, diag, &w->profile) != 0) {
        for (size_t i = 0; i < diag_count(diag); i++)
            fprintf(stderr, "%s\n", diag_get(diag, i));
        die(w, "the profile `%s` does not load", w->profile_name);
    }
    diag_free(diag);
    apply_traits(w);
}

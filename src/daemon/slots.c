#include "daemon/slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "daemon/upstream.h"
#include "reach/secrets.h"

struct slots {
    struct daemon *daemon;
    struct broker *broker;
    struct io_timer *timer;
    struct {
        uint64_t hub, broker;
    } saves[SLOTS_SAVES_MAX]; /* tickets of saves on their way, oldest first */
    size_t n_saves;
    bool unsaved; /* the hub had no room, or has lost some: all are saved anew when it has */
};

/* ---- the broker's wishes ---- */

static void op_granted(void *arg)
{
    struct upstream *upstream = arg;
    stream_slot(upstream->stream);
}

static void op_later(void *arg, int64_t at_ms, const char *why)
{
    struct upstream *upstream = arg;
    stream_slot_later(upstream->stream, at_ms, why);
}

static void op_save(void *arg, struct slice key, struct slice value, uint64_t ticket)
{
    struct slots *slots = arg;
    if (slots->unsaved)
        return; /* none is to overtake one that was not taken */
    uint64_t taken = hub_save(slots->daemon->hub, key, value);
    if (taken == 0) {
        slots->unsaved = true;
        return;
    }
    /* Where there are more than can be told apart the last ones are one, done with the last. */
    if (slots->n_saves == SLOTS_SAVES_MAX)
        slots->n_saves--;
    slots->saves[slots->n_saves].hub = taken;
    slots->saves[slots->n_saves].broker = ticket;
    slots->n_saves++;
}

static void op_deadline(void *arg, int64_t deadline_ms)
{
    struct slots *slots = arg;
    int64_t wait_ms = deadline_ms - io_now_ms(slots->daemon->loop);
    if (deadline_ms == INT64_MAX)
        io_timer_clear(slots->timer);
    else if (wait_ms > 0)
        io_timer_set(slots->timer, wait_ms);
    else
        io_idle_arm(slots->daemon->soon);
}

static const struct broker_ops broker_ops = {
    .granted = op_granted, .later = op_later, .save = op_save, .deadline = op_deadline};

static void on_timer(void *arg)
{
    struct slots *slots = arg;
    io_idle_arm(slots->daemon->soon);
}

void slots_run(struct slots *slots)
{
    broker_run(slots->broker, io_now_ms(slots->daemon->loop));
}

/* ---- from the hub ---- */

void slots_saved(struct slots *slots, uint64_t ticket, bool lost)
{
    size_t done = 0;
    if (lost) {
        slots->n_saves = 0;
        slots->unsaved = true;
        return;
    }
    while (done < slots->n_saves && slots->saves[done].hub <= ticket)
        done++;
    if (done == 0)
        return;
    uint64_t saved = slots->saves[done - 1].broker;
    slots->n_saves -= done;
    memmove(slots->saves, slots->saves + done, slots->n_saves * sizeof(slots->saves[0]));
    broker_saved(slots->broker, saved, io_now_ms(slots->daemon->loop));
}

void slots_room(struct slots *slots)
{
    if (!slots->unsaved)
        return;
    slots->unsaved = false;
    broker_unsaved(slots->broker, io_now_ms(slots->daemon->loop));
}

/* ---- what was saved ---- */

#define SOURCE_BYTES 16

static int add_secret(struct buf *text, const char *source)
{
    struct buf value;
    struct error err;
    /* What a command gives may differ each time; a change of the command itself is one. */
    if (source == NULL || strncmp(source, "exec:", 5) == 0)
        return 0;
    buf_init(&value, LIMIT_SECRET);
    int status = 0;
    if (secret_read(source, &value, &err) == 0)
        status = buf_append_slice(text, buf_slice(&value));
    buf_wipe(&value);
    buf_fini(&value);
    return status;
}

/* Configuration and credentials of a stream as one number, which says nothing of either. */
static int source_hash(const struct upstream *upstream, uint8_t out[SOURCE_BYTES])
{
    const struct settings_stream *settings = upstream->settings;
    const struct profile *profile = upstream->profile;
    struct buf text;
    buf_init(&text, BUF_UNBOUNDED);
    /* All at once: growing would leave secrets behind in freed memory. */
    int status = buf_reserve(&text, profile->fingerprint.len + settings->n_rest * LIMIT_INI_LINE +
                                        profile->n_secrets * LIMIT_SECRET + LIMIT_INI_LINE);
    if (status == 0)
        status = buf_append_slice(&text, profile->fingerprint);
    for (size_t i = 0; status == 0 && i < settings->n_rest; i++)
        status = buf_appendf(&text, "%s=%s\n", settings->rest[i]->key, settings->rest[i]->value);
    for (size_t i = 0; status == 0 && i < profile->n_secrets; i++)
        status = add_secret(&text, profile->secrets[i].source);
    if (status == 0)
        siphash128(persist_info(upstream->daemon->persist)->hash_key, text.data, text.len, out);
    buf_wipe(&text);
    buf_fini(&text);
    return status;
}

void slots_source_key(const char *name, char out[STORE_STATE_KEY + 1])
{
    snprintf(out, STORE_STATE_KEY + 1, "source/%s", name);
}

bool slots_stream_state(const char *name, unsigned number, char key[STORE_STATE_KEY + 1])
{
    switch (number) {
    case 0:
        stream_state_key(name, key);
        return true;
    case 1:
        slots_source_key(name, key);
        return true;
    case 2:
        broker_stream_key(name, key);
        return true;
    default:
        return false;
    }
}

/* While the states are read. */
struct restoring {
    struct slots *slots;
    uint8_t (*source)[SOURCE_BYTES]; /* now, by upstream */
    bool *same;                      /* as when the state was saved */
};

static bool is_named(struct slice key, const char *prefix, const char *name)
{
    return slice_starts_with(key, slice_str(prefix)) &&
           slice_eq_str(slice_from(key, strlen(prefix)), name);
}

/* In the order of keys: "limits/", "source/", "stream/". */
static void on_state(void *arg, struct slice key, struct slice value, int64_t ago_ms)
{
    struct restoring *restoring = arg;
    struct daemon *daemon = restoring->slots->daemon;
    if (slice_starts_with(key, SLICE("limits/"))) {
        broker_restore(restoring->slots->broker, key, value, ago_ms);
        return;
    }
    for (size_t i = 0; i < daemon->n_upstreams; i++) {
        struct upstream *upstream = daemon->upstreams[i];
        if (is_named(key, "source/", upstream->settings->name))
            restoring->same[i] = value.len == SOURCE_BYTES &&
                                 memcmp(value.ptr, restoring->source[i], SOURCE_BYTES) == 0;
        else if (is_named(key, "stream/", upstream->settings->name))
            stream_restore_state(upstream->stream, value, ago_ms, !restoring->same[i]);
    }
}

/* One that the hub has no room for now is as one that has changed, at the next start. */
static void save_source(const struct upstream *upstream, const uint8_t source[SOURCE_BYTES])
{
    char key[STORE_STATE_KEY + 1];
    slots_source_key(upstream->settings->name, key);
    (void)hub_save(upstream->daemon->hub, slice_str(key),
                   slice_make((const char *)source, SOURCE_BYTES));
}

static void save_sources(const struct restoring *restoring)
{
    struct daemon *daemon = restoring->slots->daemon;
    for (size_t i = 0; i < daemon->n_upstreams; i++)
        if (!restoring->same[i])
            save_source(daemon->upstreams[i], restoring->source[i]);
}

int slots_restore_one(struct slots *slots, struct upstream *upstream,
                      const struct persist_kept *source, const struct persist_kept *state,
                      const struct persist_kept *limits)
{
    uint8_t now[SOURCE_BYTES];
    int status = source_hash(upstream, now);
    if (status != 0)
        return status;
    bool same = source->found && source->value.len == SOURCE_BYTES &&
                memcmp(source->value.data, now, SOURCE_BYTES) == 0;
    if (limits->found)
        broker_restore(slots->broker, slice_str(limits->key), buf_slice(&limits->value),
                       limits->ago_ms);
    if (state->found)
        stream_restore_state(upstream->stream, buf_slice(&state->value), state->ago_ms, !same);
    if (!same)
        save_source(upstream, now);
    return 0;
}

void slots_configure(struct slots *slots)
{
    const struct settings_daemon *settings = &slots->daemon->settings->daemon;
    struct profile_rate rate = {settings->dial_rate_count, settings->dial_rate_ms};
    broker_configure(slots->broker, rate, settings->dial_per_host, io_now_ms(slots->daemon->loop));
}

int slots_restore(struct slots *slots, struct error *err)
{
    size_t n = slots->daemon->n_upstreams;
    struct restoring restoring = {.slots = slots,
                                  .source = calloc(n + 1, sizeof(*restoring.source)),
                                  .same = calloc(n + 1, sizeof(*restoring.same))};
    int status = restoring.source == NULL || restoring.same == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; status == 0 && i < n; i++)
        status = source_hash(slots->daemon->upstreams[i], restoring.source[i]);
    if (status != 0)
        error_set(err, status, "out of memory");
    else
        status = persist_states(slots->daemon->persist, on_state, &restoring, err);
    if (status == 0)
        save_sources(&restoring);
    free(restoring.source);
    free(restoring.same);
    return status;
}

/* ---- life ---- */

int slots_new(struct daemon *daemon, struct slots **out, struct error *err)
{
    struct slots *slots = calloc(1, sizeof(*slots));
    if (slots == NULL)
        return error_set(err, ERR_NOMEM, "out of memory");
    slots->daemon = daemon;
    struct broker_options options = {
        .dial_rate = {daemon->settings->daemon.dial_rate_count,
                      daemon->settings->daemon.dial_rate_ms},
        .dial_per_host = daemon->settings->daemon.dial_per_host,
        .ops = &broker_ops,
        .arg = slots,
    };
    (void)tls_random(&options.seed, sizeof(options.seed));
    int status = io_timer_new(daemon->loop, on_timer, slots, &slots->timer);
    if (status == 0)
        status = broker_new(&options, &slots->broker);
    if (status != 0) {
        slots_free(slots);
        return error_set(err, status, "out of memory");
    }
    *out = slots;
    return 0;
}

void slots_free(struct slots *slots)
{
    if (slots == NULL)
        return;
    broker_free(slots->broker);
    if (slots->timer != NULL)
        io_timer_close(slots->timer);
    free(slots);
}

/* The second line of the fingerprint is the authority of the profile's url. */
static struct slice authority(const struct profile *profile)
{
    struct slice rest = profile->fingerprint;
    const char *end = memchr(rest.ptr, '\n', rest.len);
    if (end == NULL)
        return rest;
    rest = slice_from(rest, (size_t)(end - rest.ptr) + 1);
    end = memchr(rest.ptr, '\n', rest.len);
    return end == NULL ? rest : slice_make(rest.ptr, (size_t)(end - rest.ptr));
}

/* Who we are to the service: streams for which all of it is the same share what it allows. */
static int name_credential(const struct profile *profile, const char *host, struct buf *out)
{
    int status = buf_appendf(out, "%s\n%s\n", profile->name, host);
    for (size_t i = 0; status == 0 && i < profile->n_secrets; i++)
        if (profile->secrets[i].source != NULL)
            status =
                buf_appendf(out, "%s=%s\n", profile->secrets[i].name, profile->secrets[i].source);
    return status;
}

int slots_client_new(struct slots *slots, struct upstream *upstream, struct broker_client **out)
{
    struct buf host, credential;
    buf_init(&host, BUF_UNBOUNDED);
    buf_init(&credential, BUF_UNBOUNDED);
    int status = buf_append_slice(&host, authority(upstream->profile));
    if (status == 0)
        status = name_credential(upstream->profile, buf_cstr(&host), &credential);
    if (status == 0) {
        struct broker_client_options options = {
            .name = upstream->settings->name,
            .host = buf_cstr(&host),
            .credential = buf_cstr(&credential),
            .profile = upstream->profile,
            .arg = upstream,
        };
        status = broker_client_new(slots->broker, &options, out);
    }
    buf_fini(&host);
    buf_fini(&credential);
    return status;
}

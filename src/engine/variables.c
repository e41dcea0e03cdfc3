/* variables: what the names in templates stand for, and what messages and answers give to them. */
#include <stdio.h>
#include <string.h>

#include "engine/stream_private.h"

/* ---- looking up ---- */

/* RFC 9562, version 4. */
static struct slice make_uuid(struct stream_lookup *lookup)
{
    uint64_t a = rng_u64(&lookup->stream->rng), b = rng_u64(&lookup->stream->rng);
    snprintf(lookup->text, sizeof(lookup->text), "%08x-%04x-4%03x-%04x-%012llx",
             (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xFFFF), (unsigned)(a & 0xFFF),
             (unsigned)(b >> 48 & 0x3FFF) | 0x8000u, (unsigned long long)(b & 0xFFFFFFFFFFFFull));
    return slice_str(lookup->text);
}

static struct slice next_number(struct stream_lookup *lookup)
{
    struct stream_link *link = lookup->link;
    if (link == NULL)
        link = stream_link_as(lookup->stream, STREAM_LINK);
    snprintf(lookup->text, sizeof(lookup->text), "%llu",
             link != NULL ? (unsigned long long)++link->n : 1ull);
    return slice_str(lookup->text);
}

static struct slice read_secret(struct stream_lookup *lookup, struct slice name)
{
    char secret[LIMIT_STREAM_NAME];
    snprintf(secret, sizeof(secret), SLICE_FMT, SLICE_ARG(name));
    return lookup->stream->ops->secret(lookup->stream->arg, secret, &lookup->err);
}

static int variable_number(const struct stream *stream, struct slice name)
{
    for (unsigned i = 0; i < stream->profile->n_variables; i++)
        if (slice_eq_str(name, stream->profile->variables[i]))
            return (int)i;
    return -1;
}

struct slice stream_look_up(void *arg, struct slice name)
{
    struct stream_lookup *lookup = arg;
    struct stream *stream = lookup->stream;
    static const struct slice secret = SLICE_INIT("secret.");
    if (slice_eq_str(name, "position"))
        return lookup->position;
    if (slice_eq_str(name, "next"))
        return lookup->next;
    if (slice_starts_with(name, secret))
        return read_secret(lookup, slice_from(name, secret.len));
    if (slice_eq_str(name, "n"))
        return next_number(lookup);
    if (slice_eq_str(name, "uuid"))
        return make_uuid(lookup);
    if (slice_eq_str(name, "now_ms")) {
        snprintf(lookup->text, sizeof(lookup->text), "%lld",
                 (long long)(stream->ops->wall_us(stream->arg) / 1000));
        return slice_str(lookup->text);
    }
    if (slice_eq_str(name, "each"))
        return lookup->each;
    int i = variable_number(stream, name);
    if (i < 0 || !stream->variables.set[i])
        return (struct slice){NULL, 0};
    struct slice value = buf_slice(&stream->variables.at[i]);
    return value.ptr != NULL ? value : SLICE("");
}

/* ---- capturing ---- */

static bool is_address(struct slice value)
{
    static const char *const schemes[] = {"ws://", "wss://", "http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (slice_starts_with(value, slice_str(schemes[i])))
            return true;
    return false;
}

static bool refused(struct stream *stream, unsigned variable, struct slice value)
{
    struct error err = {0};
    const char *name = stream->profile->variables[variable];
    if (value.len > LIMIT_VARIABLE) {
        stream_say(stream,
                   "the value for variable %s is %zu bytes, limit is %d; it is left as it was",
                   name, value.len, LIMIT_VARIABLE);
        return true;
    }
    if (!is_address(value) || profile_address_ok(stream->profile, value, &err) == 0)
        return false;
    stream_say(stream, "the service gave an address for variable %s that is not followed: %.300s",
               name, err.text);
    return true;
}

static void unset(struct stream *stream, unsigned variable)
{
    bool news = stream->variables.set[variable] && stream->variables.persist[variable];
    buf_wipe(&stream->variables.at[variable]);
    stream->variables.set[variable] = stream->variables.persist[variable] = false;
    if (news)
        stream_save(stream);
}

void stream_capture(struct stream *stream, unsigned variable, struct slice value, bool persist)
{
    struct stream_variables *variables = &stream->variables;
    struct buf *place = &variables->at[variable];
    bool was = variables->set[variable] && variables->persist[variable];
    if (refused(stream, variable, value))
        return;
    if (variables->set[variable] && variables->persist[variable] == persist &&
        slice_eq(buf_slice(place), value))
        return;
    buf_wipe(place);
    /* All it may need at first: growing would leave copies of what may be a secret. */
    variables->set[variable] =
        buf_reserve(place, value.len) == 0 && buf_append_slice(place, value) == 0;
    variables->persist[variable] = persist;
    if (!variables->set[variable])
        stream_say(stream, "no memory for variable %s", stream->profile->variables[variable]);
    if (was || persist)
        stream_save(stream);
}

void stream_capture_rule(struct stream *stream, const struct profile_trigger *rule)
{
    if (rule->value.ptr != NULL)
        stream_capture(stream, rule->action->variable, rule->value, false);
    else if (rule->action->value == PROFILE_NONE)
        unset(stream, rule->action->variable);
}

struct answer {
    struct stream *stream;
    bool persist;
};

static void on_capture(void *arg, const struct profile_capture *capture)
{
    const struct answer *answer = arg;
    struct stream *stream = answer->stream;
    if (capture->secret) {
        if (capture->value.len > LIMIT_SECRET)
            stream_say(stream, "the value for secret %s is %zu bytes, limit is %d; it is not taken",
                       capture->name, capture->value.len, LIMIT_SECRET);
        else
            stream->ops->secret_set(stream->arg, capture->name, capture->value);
        return;
    }
    int i = variable_number(stream, slice_str(capture->name));
    if (i >= 0)
        stream_capture(stream, (unsigned)i, capture->value, answer->persist);
}

void stream_capture_answer(struct stream *stream, unsigned http, struct slice body)
{
    struct answer answer = {stream, profile_http_persists(stream->profile, http)};
    struct error err = {0};
    if (profile_http_capture(stream->profile, http, stream->scanner, body, on_capture, &answer,
                             &err) != 0)
        stream_say(stream, "the answer to a call is not as the profile says: %.300s", err.text);
}

void stream_fresh(struct stream *stream)
{
    bool news = false;
    for (unsigned i = 0; i < stream->profile->n_variables; i++)
        news = news || (stream->variables.set[i] && stream->variables.persist[i]);
    saved_variables_clear(&stream->variables);
    if (news)
        stream_save(stream);
}

/* ---- where the service wants us ---- */

bool stream_move(struct stream *stream, struct slice address)
{
    struct error err = {0};
    stream->moved[0] = '\0';
    if (address.ptr == NULL)
        return false;
    if (address.len >= sizeof(stream->moved) || slice_find_byte(address, '\0') != NULL)
        error_set(&err, ERR_LIMIT, "it is %zu bytes, limit is %zu", address.len,
                  sizeof(stream->moved) - 1);
    else if (profile_address_ok(stream->profile, address, &err) == 0) {
        memcpy(stream->moved, address.ptr, address.len);
        stream->moved[address.len] = '\0';
        return true;
    }
    stream_say(stream, "the service named an address to move to that is not followed: %.300s",
               err.text);
    return false;
}

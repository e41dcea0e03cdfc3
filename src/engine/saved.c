/*
 * The bytes, all integers little-endian:
 *
 *     "HWSS" version:u8
 *     state:u8 flags:u8 wait_ms:i64 since_ms:i64 live_ago_ms:i64
 *     step attempts refreshes probes fallback_attempts: u32 each
 *     park: kind:u8 failure:u8 code:i32
 *     flaps: rows:u8 times:u8, then ago_ms:u32 each
 *     reason: u16 length, bytes
 *     variables: u8 count, each: u8 length, name, u16 length, value
 *     crc32c:u32 of all before
 */
#include "engine/saved.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"

#define MAGIC "HWSS"
#define VERSION 1
#define FLAP_TIMES (sizeof(((struct session_saved *)0)->flaps[0].ago_ms) / sizeof(uint32_t))
enum { FLAG_DIALLED = 1, FLAG_WAKES = 2, FLAGS = FLAG_DIALLED | FLAG_WAKES };

void saved_variables_init(struct stream_variables *variables)
{
    for (unsigned i = 0; i < PROFILE_VARIABLES_MAX; i++) {
        buf_init(&variables->at[i], LIMIT_VARIABLE);
        variables->set[i] = variables->persist[i] = false;
    }
}

void saved_variables_clear(struct stream_variables *variables)
{
    for (unsigned i = 0; i < PROFILE_VARIABLES_MAX; i++) {
        buf_wipe(&variables->at[i]);
        variables->set[i] = variables->persist[i] = false;
    }
}

void saved_variables_fini(struct stream_variables *variables)
{
    saved_variables_clear(variables);
    for (unsigned i = 0; i < PROFILE_VARIABLES_MAX; i++)
        buf_fini(&variables->at[i]);
}

/* ---- writing: the first error sticks ---- */

struct writer {
    struct buf *out;
    int status;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
    if (w->status == 0)
        w->status = buf_append(w->out, bytes, n);
}

static void put_uint(struct writer *w, uint64_t value, unsigned n)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < n; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    put(w, bytes, n);
}

static void put_text(struct writer *w, struct slice text, unsigned n)
{
    put_uint(w, text.len, n);
    put(w, text.ptr, text.len);
}

static void put_state(struct writer *w, const struct session_saved *s)
{
    put_uint(w, s->state, 1);
    put_uint(w, (s->dialled ? FLAG_DIALLED : 0) | (s->wakes_on_credential ? FLAG_WAKES : 0), 1);
    put_uint(w, (uint64_t)s->wait_ms, 8);
    put_uint(w, (uint64_t)s->since_ms, 8);
    put_uint(w, (uint64_t)s->live_ago_ms, 8);
    put_uint(w, s->step, 4);
    put_uint(w, s->attempts, 4);
    put_uint(w, s->refreshes, 4);
    put_uint(w, s->probes, 4);
    put_uint(w, s->fallback_attempts, 4);
    put_uint(w, s->park.kind, 1);
    put_uint(w, s->park.failure, 1);
    put_uint(w, (uint32_t)s->park.code, 4);
    put_uint(w, PROFILE_FLAPS_MAX, 1);
    put_uint(w, FLAP_TIMES, 1);
    for (unsigned i = 0; i < PROFILE_FLAPS_MAX; i++)
        for (unsigned j = 0; j < FLAP_TIMES; j++)
            put_uint(w, s->flaps[i].ago_ms[j], 4);
    put_text(w, slice_str(s->reason), 2);
}

static void put_variables(struct writer *w, const struct profile *profile,
                          const struct stream_variables *variables)
{
    unsigned count = 0;
    for (unsigned i = 0; i < profile->n_variables; i++)
        count += variables->set[i] && variables->persist[i];
    put_uint(w, count, 1);
    for (unsigned i = 0; i < profile->n_variables; i++) {
        if (!variables->set[i] || !variables->persist[i])
            continue;
        put_text(w, slice_str(profile->variables[i]), 1);
        put_text(w, buf_slice(&variables->at[i]), 2);
    }
}

int saved_encode(const struct session_saved *state, const struct profile *profile,
                 const struct stream_variables *variables, struct buf *out)
{
    struct writer w = {.out = out};
    size_t begin = out->len;
    put(&w, MAGIC, strlen(MAGIC));
    put_uint(&w, VERSION, 1);
    put_state(&w, state);
    put_variables(&w, profile, variables);
    if (w.status == 0)
        put_uint(&w, crc32c(0, out->data + begin, out->len - begin), 4);
    return w.status;
}

/* ---- reading: what is not there is zero, and the whole is bad ---- */

struct reader {
    struct slice left;
    bool bad;
};

static struct slice get(struct reader *r, size_t n)
{
    struct slice out = {NULL, 0};
    if (r->bad || n > r->left.len) {
        r->bad = true;
        return out;
    }
    out = slice_make(r->left.ptr, n);
    r->left = slice_from(r->left, n);
    return out;
}

static uint64_t get_uint(struct reader *r, unsigned n)
{
    struct slice bytes = get(r, n);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value |= (uint64_t)(unsigned char)bytes.ptr[i] << 8 * i;
    return value;
}

/* At most `most`. */
static unsigned get_below(struct reader *r, unsigned n, uint64_t most)
{
    uint64_t value = get_uint(r, n);
    if (value > most)
        r->bad = true;
    return r->bad ? 0 : (unsigned)value;
}

/* A length of time, or -1 for none. */
static int64_t get_ms(struct reader *r)
{
    int64_t value = (int64_t)get_uint(r, 8);
    if (value < -1)
        r->bad = true;
    return r->bad ? -1 : value;
}

static unsigned failures(void)
{
    unsigned n = 0;
#define X(id, text) n++;
    PROFILE_FAILURES(X)
#undef X
    return n;
}

static void get_reason(struct reader *r, struct session_saved *s)
{
    struct slice text = get(r, get_below(r, 2, sizeof(s->reason) - 1));
    if (r->bad || slice_find_byte(text, '\0') != NULL || !utf8_valid(text.ptr, text.len)) {
        r->bad = true;
        return;
    }
    if (text.len > 0)
        memcpy(s->reason, text.ptr, text.len);
    s->reason[text.len] = '\0';
}

static void get_state(struct reader *r, struct session_saved *s)
{
    s->state = (enum session_state)get_below(r, 1, SESSION_STATE_COUNT - 1);
    unsigned flags = get_below(r, 1, FLAGS);
    s->dialled = (flags & FLAG_DIALLED) != 0;
    s->wakes_on_credential = (flags & FLAG_WAKES) != 0;
    s->wait_ms = get_ms(r);
    s->since_ms = get_ms(r);
    s->live_ago_ms = get_ms(r);
    s->step = get_below(r, 4, UINT32_MAX);
    s->attempts = get_below(r, 4, UINT32_MAX);
    s->refreshes = get_below(r, 4, UINT32_MAX);
    s->probes = get_below(r, 4, UINT32_MAX);
    s->fallback_attempts = get_below(r, 4, UINT32_MAX);
    s->park.kind = (enum profile_end_kind)get_below(r, 1, PROFILE_END_FAILURE);
    s->park.failure = (enum profile_failure)get_below(r, 1, failures() - 1);
    s->park.code = (int)get_below(r, 4, INT32_MAX);
    s->park.retry_after_ms = -1;
    if (get_uint(r, 1) != PROFILE_FLAPS_MAX || get_uint(r, 1) != FLAP_TIMES)
        r->bad = true;
    for (unsigned i = 0; i < PROFILE_FLAPS_MAX; i++)
        for (unsigned j = 0; j < FLAP_TIMES; j++)
            s->flaps[i].ago_ms[j] = (uint32_t)get_uint(r, 4);
    get_reason(r, s);
}

/* Twice: first to see that all is well, then with `out` to take it. */
static void get_variables(struct reader *r, const struct profile *profile,
                          struct stream_variables *out)
{
    unsigned count = get_below(r, 1, PROFILE_VARIABLES_MAX);
    for (unsigned i = 0; i < count && !r->bad; i++) {
        struct slice name = get(r, get_below(r, 1, UINT8_MAX));
        struct slice value = get(r, get_below(r, 2, LIMIT_VARIABLE));
        for (unsigned v = 0; out != NULL && !r->bad && v < profile->n_variables; v++) {
            if (!slice_eq_str(name, profile->variables[v]))
                continue;
            buf_clear(&out->at[v]);
            out->persist[v] = true;
            out->set[v] = buf_append_slice(&out->at[v], value) == 0;
        }
    }
}

bool saved_decode(struct slice bytes, const struct profile *profile, struct session_saved *state,
                  struct stream_variables *variables)
{
    struct session_saved s = {0};
    if (bytes.len < 4 || bytes.len > STORE_STATE_VALUE)
        return false;
    struct reader crc = {.left = slice_from(bytes, bytes.len - 4)};
    struct reader r = {.left = slice_make(bytes.ptr, bytes.len - 4)};
    if (get_uint(&crc, 4) != crc32c(0, r.left.ptr, r.left.len))
        return false;
    if (!slice_eq_str(get(&r, strlen(MAGIC)), MAGIC) || get_uint(&r, 1) != VERSION)
        return false;
    get_state(&r, &s);
    struct reader again = r;
    get_variables(&r, profile, NULL);
    if (r.bad || r.left.len > 0)
        return false;
    *state = s;
    get_variables(&again, profile, variables);
    return true;
}

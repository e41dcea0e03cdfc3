#include "broker/scope.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/siphash.h"

/* Names may be long; the hash only has to part them. */
static void write_key(enum profile_scope kind, const char *name, char out[BROKER_KEY])
{
    static const char *const kinds[] = {[PROFILE_SCOPE_STREAM] = "stream",
                                        [PROFILE_SCOPE_CREDENTIAL] = "credential",
                                        [PROFILE_SCOPE_HOST] = "host"};
    static const uint8_t hash_key[16] = "hawser.limits";
    uint8_t hash[16];
    siphash128(hash_key, name, strlen(name), hash);
    int at = snprintf(out, BROKER_KEY, "limits/%s/", kinds[kind]);
    for (unsigned i = 0; i < sizeof(hash); i++)
        at += snprintf(out + at, BROKER_KEY - (size_t)at, "%02x", hash[i]);
}

void broker_stream_key(const char *name, char out[BROKER_KEY])
{
    write_key(PROFILE_SCOPE_STREAM, name, out);
}

int scope_new(enum profile_scope kind, const char *name, struct scope **out)
{
    struct scope *scope = calloc(1, sizeof(*scope));
    if (scope == NULL)
        return ERR_NOMEM;
    scope->kind = kind;
    scope->name = strdup(name);
    if (scope->name == NULL) {
        free(scope);
        return ERR_NOMEM;
    }
    write_key(kind, name, scope->key);
    list_init(&scope->node);
    *out = scope;
    return 0;
}

void scope_free(struct scope *scope)
{
    list_remove(&scope->node);
    free(scope->name);
    free(scope);
}

static void add_limit(struct scope *scope, const struct profile_rate *limit)
{
    if (limit->count == 0)
        return;
    scope->persists = true;
    if (limit->period_ms > scope->longest_ms)
        scope->longest_ms = limit->period_ms;
}

void scope_add_limits(struct scope *scope, const struct profile *profile)
{
    add_limit(scope, &profile->limits.connects);
    add_limit(scope, &profile->limits.sessions);
    if (profile->limits.sends.period_ms > scope->longest_send_ms)
        scope->longest_send_ms = profile->limits.sends.period_ms;
}

static void expire(struct scope *scope, int64_t now_ms)
{
    rate_expire(&scope->connects, scope->longest_ms, now_ms);
    rate_expire(&scope->sessions, scope->longest_ms, now_ms);
}

bool scope_is_idle(struct scope *scope, int64_t now_ms)
{
    expire(scope, now_ms);
    return scope->refs == 0 && scope->connects.n == 0 && scope->sessions.n == 0;
}

/* ---- what is saved ---- */
/*
 *  0  u32 crc       CRC-32C of the key, then of the rest
 *  4  u16 version   1
 *  6  u16 marks of connects
 *  8  u16 marks of sessions
 * 10  u16 dialing
 * 12  u16 reserved
 * 14  u16 zero
 * 16  the marks: u32 how long ago in ms, u32 count; connects, then sessions, oldest first
 *
 * All little-endian.
 */
enum { VERSION = 1, HEADER = 16, MARK = 8 };
_Static_assert(HEADER + 2 * RATE_MARKS * MARK <= BROKER_SAVED_MAX, "the fullest scope fits");

static void put16(uint8_t *at, unsigned value)
{
    uint16_t little = htole16((uint16_t)(value < UINT16_MAX ? value : UINT16_MAX));
    memcpy(at, &little, sizeof(little));
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static unsigned get16(const uint8_t *at)
{
    uint16_t little;
    memcpy(&little, at, sizeof(little));
    return le16toh(little);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t little;
    memcpy(&little, at, sizeof(little));
    return le32toh(little);
}

static uint32_t checksum(const struct scope *scope, const uint8_t *bytes, size_t size)
{
    return crc32c(crc32c(0, scope->key, strlen(scope->key)), bytes + 4, size - 4);
}

static uint8_t *encode_log(uint8_t *at, const struct rate_log *log, int64_t now_ms)
{
    for (unsigned i = 0; i < log->n; i++, at += MARK) {
        int64_t ago = now_ms - log->marks[i].at_ms;
        put32(at, ago < UINT32_MAX ? (uint32_t)ago : UINT32_MAX);
        put32(at + 4, log->marks[i].count);
    }
    return at;
}

size_t scope_encode(struct scope *scope, int64_t now_ms, uint8_t *out)
{
    expire(scope, now_ms);
    put16(out + 4, VERSION);
    put16(out + 6, scope->connects.n);
    put16(out + 8, scope->sessions.n);
    put16(out + 10, scope->dialing);
    put16(out + 12, scope->reserved);
    put16(out + 14, 0);
    uint8_t *end = encode_log(out + HEADER, &scope->connects, now_ms);
    end = encode_log(end, &scope->sessions, now_ms);
    put32(out, checksum(scope, out, (size_t)(end - out)));
    return (size_t)(end - out);
}

/* Marks as they are written: in order, and none of nothing. */
static bool decode_log(const uint8_t *at, unsigned n, int64_t saved_ms, struct rate_log *log)
{
    log->n = 0;
    for (unsigned i = 0; i < n; i++, at += MARK) {
        uint32_t ago = get32(at), count = get32(at + 4);
        if (count == 0 || (i > 0 && ago > get32(at - MARK)))
            return false;
        rate_add(log, count, saved_ms - (int64_t)ago);
    }
    return true;
}

bool scope_restore(struct scope *scope, struct slice value, int64_t ago_ms, int64_t now_ms)
{
    const uint8_t *bytes = (const uint8_t *)value.ptr;
    struct rate_log connects, sessions;
    if (value.len < HEADER || get16(bytes + 4) != VERSION)
        return false;
    unsigned n_connects = get16(bytes + 6), n_sessions = get16(bytes + 8);
    if (n_connects > RATE_MARKS || n_sessions > RATE_MARKS ||
        value.len != HEADER + (size_t)(n_connects + n_sessions) * MARK ||
        get32(bytes) != checksum(scope, bytes, value.len))
        return false;
    int64_t saved_ms = now_ms - ago_ms;
    if (!decode_log(bytes + HEADER, n_connects, saved_ms, &connects) ||
        !decode_log(bytes + HEADER + n_connects * MARK, n_sessions, saved_ms, &sessions))
        return false;
    /* What was under way then has been counted by the service since. */
    int64_t over_ms = saved_ms + (ago_ms < SCOPE_DIALING_MS ? ago_ms : SCOPE_DIALING_MS);
    rate_add(&connects, get16(bytes + 10), over_ms);
    rate_add(&sessions, get16(bytes + 12), over_ms);
    scope->connects = connects;
    scope->sessions = sessions;
    return true;
}

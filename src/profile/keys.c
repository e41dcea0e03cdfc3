/* The key table: every section and key of the profile language, with its type and bounds. */
#include <stddef.h>

#include "base/suggest.h"
#include "base/timefmt.h"
#include "profile/load.h"

#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)
#define KEYS_MAX 128

static key_setter set_title, set_docs, set_params, set_secrets, set_duration, set_size,
    set_close_code, set_ws_ping, set_audit;

#define DURATION(section, name, field, least, most)                                                \
    {                                                                                              \
        section, name, false, set_duration, offsetof(struct profile, field), least, most           \
    }

/* For check.c and its like to look at when the whole is known. */
#define KEPT(section, name, field)                                                                 \
    {                                                                                              \
        section, name, false, set_kept, offsetof(struct loader, field)                             \
    }

static const struct key keys[] = {
    {"profile", "title", false, set_title},
    {"profile", "params", false, set_params},
    {"profile", "secrets", false, set_secrets},
    {"profile", "docs", false, set_docs},

    {"connect", "url", false, set_url},
    {"connect", "query.*", false, set_query},
    {"connect", "header.*", false, set_header},
    {"connect", "subprotocol", false, set_subprotocol},
    {"connect", "data", false, set_permission, offsetof(struct profile, connect.data_forbidden)},
    {"connect", "ping", false, set_permission, offsetof(struct profile, connect.ping_forbidden)},
    {"connect", "parallel", false, set_parallel},
    {"connect", "hosts", false, set_hosts},
    DURATION("connect", "max_age", connect.max_age_ms, 0, 30 * 24 * HOUR_MS),
    {"connect", "close_code", false, set_close_code},
    {"connect", "max_message", false, set_size, offsetof(struct profile, connect.max_message), 1,
     LIMIT_MESSAGE_MAX},

    {"http", "method", true, set_method},
    {"http", "url", true, set_url},
    {"http", "query.*", true, set_query},
    {"http", "header.*", true, set_header},
    {"http", "body", true, set_body},
    {"http", "ok", true, set_ok},
    {"http", "format", true, set_format},
    {"http", "capture.*", true, set_capture},
    {"http", "capture_secret.*", true, set_capture_secret},
    {"http", "persist", true, set_persist},
    {"http", "foreach", true, set_foreach},

    {"auth", "token", false, set_auth_token},
    {"auth", "refresh", false, set_auth_refresh},
    {"auth", "refresh_at", false, set_refresh_at},

    {"live", "when", false, set_live_when},
    DURATION("live", "timeout", live.timeout_ms, 1, HOUR_MS),

    {"message", "header_block", false, set_header_block},
    {"message", "batch", false, set_batch},
    {"message", "split", false, set_split},
    {"message", "decode", false, set_decode},

    KEPT("event", "only", only),
    KEPT("event", "type", type),
    KEPT("event", "id", id),
    KEPT("event", "position", position),
    KEPT("event", "time", time),
    {"event", "unkeyed", false, set_unkeyed},
    {"event", "dedup", false, set_dedup},
    {"event", "ephemeral", false, set_ephemeral},

    {"position", "compare", false, set_compare},
    {"position", "contiguous", false, set_contiguous},
    KEPT("position", "key", key),
    {"position", "overlap", false, set_overlap},
    DURATION("position", "max_age", position.max_age_ms, 0, 366 * 24 * HOUR_MS),

    {"on", "match", true, set_match},
    {"on", "do", true, set_do},

    {"send", "text", true, set_send_text},
    {"send", "on", true, set_send_on},
    {"send", "once", true, set_send_once},
    {"send", "answer", true, set_send_answer},
    {"send", "answer_timeout", true, set_answer_timeout, 0, 1, HOUR_MS},

    {"heartbeat", "ws_ping", false, set_ws_ping, offsetof(struct profile, heartbeat.ws_ping_ms), 0,
     HOUR_MS},
    DURATION("heartbeat", "pong_timeout", heartbeat.pong_timeout_ms, 1, HOUR_MS),
    DURATION("heartbeat", "idle", heartbeat.idle_ms, 0, 24 * HOUR_MS),
    KEPT("heartbeat", "send", heartbeat_send),
    DURATION("heartbeat", "every", heartbeat.every_ms, 0, HOUR_MS),
    KEPT("heartbeat", "ack", ack),
    DURATION("heartbeat", "ack_timeout", heartbeat.ack_timeout_ms, 0, HOUR_MS),

    {"close", "flap", false, set_flap, 0, PROFILE_END_CLOSE},
    {"close", "*", false, set_close},
    {"status", "flap", false, set_flap, 0, PROFILE_END_STATUS},
    {"status", "*", false, set_status},
    {"failure", "flap", false, set_flap, 0, PROFILE_END_FAILURE},
    {"failure", "*", false, set_failure},

    {"backoff", "steps", false, set_steps},
    {"backoff", "jitter", false, set_jitter},
    DURATION("backoff", "reset_after", backoff.reset_after_ms, 0, 24 * HOUR_MS),

    {"catchup", "via", false, set_via},
    KEPT("catchup", "http", catchup_http),
    {"catchup", "items", false, set_items},
    {"catchup", "next", false, set_next},
    {"catchup", "more", false, set_more},
    {"catchup", "order", false, set_order},
    KEPT("catchup", "gone", gone),
    KEPT("catchup", "tip", tip),
    {"catchup", "audit", false, set_audit, 0, 0, 24 * HOUR_MS},
    KEPT("catchup", "map.type", map_type),
    KEPT("catchup", "map.id", map_id),
    KEPT("catchup", "map.position", map_position),
    KEPT("catchup", "map.key", map_key),
    KEPT("catchup", "map.time", map_time),
    DURATION("catchup", "settle", catchup.settle_ms, 0, HOUR_MS),
    DURATION("catchup", "timeout", catchup.timeout_ms, 1, HOUR_MS),

    {"fallback", "transport", true, set_transport},
    {"fallback", "http", true, set_fallback_http},
    {"fallback", "url", true, set_url},
    {"fallback", "query.*", true, set_query},
    {"fallback", "header.*", true, set_header},
    {"fallback", "after", true, set_after},
    {"fallback", "retry_primary", true, set_duration,
     offsetof(struct profile, fallback.retry_primary_ms), SECOND_MS, PROFILE_RETRY_PRIMARY_MAX_MS},
    {"fallback", "idle", true, set_duration, offsetof(struct profile, fallback.idle_ms), 0,
     24 * HOUR_MS},
    {"fallback", "timeout", true, set_duration, offsetof(struct profile, fallback.timeout_ms), 1,
     HOUR_MS},

    {"limits", "connects", false, set_rate, offsetof(struct profile, limits.connects)},
    {"limits", "sends", false, set_rate, offsetof(struct profile, limits.sends)},
    {"limits", "sessions", false, set_rate, offsetof(struct profile, limits.sessions)},
    {"limits", "links", false, set_links},
    {"limits", "scope", false, set_scope},

    {"explain", "*", false, set_explain},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))
_Static_assert(N_KEYS <= KEYS_MAX, "raise KEYS_MAX");

void profile_describe(void (*visit)(void *arg, const char *section, const char *key, bool named),
                      void *arg)
{
    for (size_t i = 0; i < N_KEYS; i++)
        visit(arg, keys[i].section, keys[i].name, keys[i].named);
}

/* ---- plain types ---- */

static void set_title(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->profile->title = entry->value;
}

static void set_docs(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->profile->docs = entry->value;
}

static void set_params(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    load_declare(l, entry, false);
}

static void set_secrets(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    load_declare(l, entry, true);
}

bool load_duration(struct loader *l, const struct key *key, const struct ini_entry *entry,
                   int64_t *out)
{
    char least[DURATION_TEXT_SIZE], most[DURATION_TEXT_SIZE];
    int64_t value;

    if (duration_parse(slice_str(entry->value), &value) != 0) {
        load_fault(l, entry, "%s: `%s` is no duration such as 500ms, 30s or 5m", entry->key,
                   entry->value);
    } else if (value < key->least || value > key->most) {
        duration_format(key->least, least, sizeof(least));
        duration_format(key->most, most, sizeof(most));
        load_fault(l, entry, "%s: `%s` is not from %s to %s", entry->key, entry->value, least,
                   most);
    } else {
        *out = value;
        return true;
    }
    return false;
}

static void set_duration(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    load_duration(l, key, entry, (void *)((char *)l->profile + key->offset));
}

static void set_audit(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    l->audit = entry;
    load_duration(l, key, entry, &l->profile->catchup.audit_ms);
}

static void set_ws_ping(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    set_duration(l, key, entry);
    l->ws_ping = entry;
}

static void set_size(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    uint64_t value;

    if (size_parse(slice_str(entry->value), &value) != 0)
        load_fault(l, entry, "%s: `%s` is no size such as 64K or 1M", entry->key, entry->value);
    else if (value < (uint64_t)key->least || value > (uint64_t)key->most)
        load_fault(l, entry, "%s: `%s` is not from %lld to %lld bytes", entry->key, entry->value,
                   (long long)key->least, (long long)key->most);
    else
        *(uint64_t *)(void *)((char *)l->profile + key->offset) = value;
}

/* Codes that may go over the wire (RFC 6455 section 7.4, and its IANA registry). */
static void set_close_code(struct loader *l, const struct key *key, const struct ini_entry *entry)
{
    uint64_t code;

    if (slice_parse_u64(slice_str(entry->value), &code) != 0 ||
        !((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
          (code >= 3000 && code <= 4999)))
        load_fault(l, entry, "close_code: `%s` is no code that a client may send", entry->value);
    else
        l->profile->connect.close_code = (int)code;
}

/* ---- finding ---- */

static bool section_known(const char *section, bool *named)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].section, section) == 0) {
            *named = keys[i].named;
            return true;
        }
    return false;
}

static void say_unknown_section(struct loader *l, const struct ini_entry *entry)
{
    const char *candidates[KEYS_MAX], *near;

    for (size_t i = 0; i < N_KEYS; i++)
        candidates[i] = keys[i].section;
    near = suggest(slice_str(entry->section), candidates, N_KEYS);
    if (near != NULL)
        load_fault(l, entry, "unknown section [%s]; did you mean [%s]?", entry->section, near);
    else
        load_fault(l, entry, "unknown section [%s]", entry->section);
}

static void say_unknown_key(struct loader *l, const struct ini_entry *entry)
{
    const char *candidates[KEYS_MAX], *near;
    size_t n = 0;

    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].section, entry->section) == 0)
            candidates[n++] = keys[i].name;
    near = suggest(slice_str(entry->key), candidates, n);
    if (near != NULL)
        load_fault(l, entry, "unknown key `%s` in [%s]; did you mean `%s`?", entry->key,
                   entry->section, near);
    else
        load_fault(l, entry, "unknown key `%s` in [%s]", entry->key, entry->section);
}

static bool key_matches(const struct key *key, const struct ini_entry *entry)
{
    size_t n = strlen(key->name);

    if (strcmp(key->section, entry->section) != 0)
        return false;
    if (key->name[n - 1] == '*')
        return strncmp(key->name, entry->key, n - 1) == 0 && entry->key[n - 1] != '\0';
    return strcmp(key->name, entry->key) == 0;
}

/* The header of a section: its name is checked, and a named one exists from here on. */
static void open_section(struct loader *l, const struct ini_entry *entry)
{
    if (strcmp(entry->section, "http") == 0)
        load_http(l, entry);
    else if (strcmp(entry->section, "on") == 0)
        load_rule(l, entry);
    else if (strcmp(entry->section, "send") == 0)
        load_send(l, entry);
    else if (strcmp(entry->section, "fallback") == 0)
        load_fallback(l, entry);
}

/* Faults of a section are said at its header; an override has none. */
static bool has_header(const struct loader *l, const struct ini_entry *entry)
{
    for (size_t i = 0; i < l->n_entries; i++)
        if (l->entries[i].key == NULL && strcmp(l->entries[i].section, entry->section) == 0 &&
            strcmp(l->entries[i].name, entry->name) == 0)
            return true;
    return false;
}

static bool section_ok(struct loader *l, const struct ini_entry *entry)
{
    bool named, known = section_known(entry->section, &named);

    if (known && named == (entry->name[0] != '\0'))
        return true;
    if (entry->key != NULL && has_header(l, entry))
        return false;
    if (!known)
        say_unknown_section(l, entry);
    else if (named)
        load_fault(l, entry, "[%s] needs a name: [%s NAME]", entry->section, entry->section);
    else
        load_fault(l, entry, "[%s] takes no name, but there is `%s`", entry->section, entry->name);
    return false;
}

void load_key(struct loader *l, const struct ini_entry *entry)
{
    if (!section_ok(l, entry))
        return;
    if (entry->key == NULL) {
        open_section(l, entry);
        return;
    }
    for (size_t i = 0; i < N_KEYS; i++)
        if (key_matches(&keys[i], entry)) {
            keys[i].set(l, &keys[i], entry);
            return;
        }
    say_unknown_key(l, entry);
}

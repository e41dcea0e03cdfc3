#include "config/keys.h"

#include "base/limits.h"
#include "base/suggest.h"

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE (60 * MS_PER_SECOND)
#define MS_PER_DAY (24 * 60 * MS_PER_MINUTE)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The target of a key: a member of the section's struct. */
#define AT(section, member) .offset = offsetof(struct settings_##section, member)
#define ALSO(section, member) .also = offsetof(struct settings_##section, member)

static const struct key daemon_keys[] = {
    {"state_dir", KEY_PATH, AT(daemon, state_dir), .default_text = "/var/lib/hawser",
     .help = "Where the store and rotated credentials are kept; $STATE_DIRECTORY wins"},
    {"runtime_dir", KEY_PATH, AT(daemon, runtime_dir), .default_text = "/run/hawser",
     .help = "Where the control socket is made; $RUNTIME_DIRECTORY wins"},
    {"profile_dir", KEY_PATH, AT(daemon, profile_dir), .default_text = "/etc/hawser/profiles",
     .help = "Profiles of your own, searched before the shipped ones"},
    {"log", KEY_LOG_LEVEL, AT(daemon, log), .default_text = "info",
     .help = "The least grave messages that are logged; a stream may set its own"},
    {"log_format", KEY_CHOICE, AT(daemon, log_format), .default_text = "auto",
     .words = {"auto", "text", "json", "journal"},
     .help = "How log lines are written; auto: to the journal with its fields where standard error "
             "leads there, else as text"},
    {"dial_rate", KEY_RATE, AT(daemon, dial_rate_count), ALSO(daemon, dial_rate_ms),
     .default_text = "20/s", .min = 1, .max = SETTINGS_RATE_MAX,
     .help = "Connections that are begun in a time, over all streams together"},
    {"dial_per_host", KEY_COUNT, AT(daemon, dial_per_host), .default_text = "4", .min = 1,
     .max = 256, .help = "Handshakes under way at once with one host"},
};

static const struct key store_keys[] = {
    {"retain_size", KEY_SIZE, AT(store, retain_size_bytes), .default_text = "1G", .min = 1 * MIB,
     .max = 1024 * GIB,
     .help = "The store's file grows no larger; then the oldest events of the stream furthest over "
             "its share go first"},
    {"commit_interval", KEY_DURATION, AT(store, commit_interval_ms), .default_text = "0",
     .max = MS_PER_MINUTE,
     .help = "How long events are gathered before they are written; 0 is as fast as the disk, 1s "
             "is kind to flash"},
    {"deliver", KEY_CHOICE, AT(store, deliver), .default_text = "stored",
     .words = {"stored", "received"},
     .help = "stored: on disk before any program sees it; received: at once, and after a crash "
             "perhaps again under a new seq"},
    {"min_free", KEY_PERCENT, AT(store, min_free_percent), .default_text = "5%", .max = 90,
     .help = "Of the file system: with less free the store does not grow and keeps to what it has"},
    {"consumer_expire", KEY_DURATION, AT(store, consumer_expire_ms), .default_text = "30d",
     .min = MS_PER_SECOND, .max = 3650 * MS_PER_DAY,
     .help = "A named consumer that has not been connected for so long is forgotten"},
};

static const struct key listen_keys[] = {
    {"path", KEY_SOCKET_PATH, AT(listen, path), .max = SETTINGS_SOCKET_PATH_MAX,
     .help = "The Unix socket that programs connect to"},
    {"tcp", KEY_TEXT, AT(listen, tcp),
     .help = "Instead of path, for http: ADDRESS:PORT; other than loopback only with auth"},
    {"protocol", KEY_CHOICE, AT(listen, protocol), .default_text = "ndjson",
     .words = {"ndjson", "feed", "http"},
     .help = "ndjson: one JSON object a line, in both directions; feed: the same lines to whoever "
             "connects, nothing is asked; http: /events /metrics /status /healthz /readyz"},
    {"format", KEY_CHOICE, AT(listen, format), .default_text = "envelope",
     .words = {"envelope", "payload"},
     .help = "Of a feed: envelope, the lines of ndjson; payload, the service's messages alone"},
    {"from", KEY_CHOICE, AT(listen, from), .default_text = "now", .words = {"now", "oldest"},
     .help = "Where a feed begins"},
    {"auth", KEY_TEXT, AT(listen, auth),
     .help = "Of http: where the token is found that requests must bear (Authorization: Bearer)"},
    {"mode", KEY_MODE, AT(listen, mode), .default_text = "0660",
     .help = "The socket's file permissions, octal"},
    {"group", KEY_TEXT, AT(listen, group),
     .help = "The socket's group; without it the daemon's own"},
    {"allow_users", KEY_LIST, AT(listen, allow_users), .default_text = "*",
     .help = "Of those whom the permissions let in, the users that may connect; * is everyone"},
    {"streams", KEY_LIST, AT(listen, streams), .default_text = "*",
     .help = "The streams that can be read here, as names with * and ?"},
    {"control", KEY_BOOL, AT(listen, control), .default_text = "no",
     .help = "Whether programs here may reconnect, pause and resume streams"},
    {"send", KEY_BOOL, AT(listen, send), .default_text = "no",
     .help = "Whether programs here may send to the services"},
    {"max_clients", KEY_COUNT, AT(listen, max_clients), .default_text = "1024", .min = 1,
     .max = 65536, .help = "Connections at once; one more is refused with an error"},
};

static const struct key stream_keys[] = {
    {"profile", KEY_NAME, AT(stream, profile),
     .help = "What the service's protocol looks like; \"hawserctl profiles\" lists them"},
    {"start", KEY_START, AT(stream, start), ALSO(stream, start_position), .default_text = "now",
     .max = LIMIT_POSITION,
     .help = "Where a stream begins that has never run: now, oldest or a position"},
    {"retain_size", KEY_SIZE, AT(stream, retain_size_bytes), .default_text = "256M",
     .min = 64 * KIB, .max = 1024 * GIB,
     .help = "Stored events of this stream beyond it go, oldest first"},
    {"retain_age", KEY_DURATION, AT(stream, retain_age_ms), .default_text = "7d",
     .min = MS_PER_SECOND, .max = 3650 * MS_PER_DAY, .help = "Stored events older than it go"},
    {"dedup_window", KEY_COUNT, AT(stream, dedup_window), .default_text = "100000", .min = 1,
     .max = 10000000, .help = "Events remembered so that a repeated one is dropped"},
    {"tls_ca", KEY_PATH, AT(stream, tls_ca),
     .help = "Certificates (PEM) that may vouch for the service; without it the system's"},
    {"proxy", KEY_PROXY, AT(stream, proxy),
     .help = "The proxy to go through, http://HOST:PORT or http://USER@HOST:PORT, for every "
             "address; none: through none; without it as $HTTPS_PROXY and $NO_PROXY say"},
    {"proxy_password", KEY_SECRET, AT(stream, proxy_password),
     .help = "Where the password of the proxy's user is to be found, as for any secret"},
    {"tls_cert", KEY_PATH, AT(stream, tls_cert),
     .help = "Our own certificate (PEM), and what leads from it to its root, for a service that "
             "asks for one"},
    {"tls_key", KEY_PATH, AT(stream, tls_key),
     .help = "The key of tls_cert, not encrypted, which others cannot read; without it it is in "
             "tls_cert too"},
    {"tls_pin", KEY_PINS, AT(stream, tls_pins), ALSO(stream, n_tls_pins),
     .help = "Keys of which the service must have one, besides a certificate that verifies: "
             "sha256/ and the base64 of the SHA-256 of its SubjectPublicKeyInfo"},
    {"tls_min", KEY_CHOICE, AT(stream, tls_min), .default_text = "1.2", .words = {"1.2", "1.3"},
     .help = "The oldest version of TLS that will do"},
    {"plaintext", KEY_BOOL, AT(stream, plaintext), .default_text = "no",
     .help = "Whether ws:// and http:// may go to addresses other than loopback"},
    {"deflate", KEY_BOOL, AT(stream, deflate), .default_text = "yes",
     .help = "Whether compression (permessage-deflate) is offered to the service"},
    {"dns_timeout", KEY_DURATION, AT(stream, dns_timeout_ms), .default_text = "10s", .min = 10,
     .max = 10 * MS_PER_MINUTE, .help = "The longest wait for the host's addresses"},
    {"tcp_timeout", KEY_DURATION, AT(stream, tcp_timeout_ms), .default_text = "10s", .min = 10,
     .max = 10 * MS_PER_MINUTE, .help = "The longest wait for a connection"},
    {"proxy_timeout", KEY_DURATION, AT(stream, proxy_timeout_ms), .default_text = "10s", .min = 10,
     .max = 10 * MS_PER_MINUTE, .help = "The longest wait for the proxy to open a tunnel"},
    {"tls_timeout", KEY_DURATION, AT(stream, tls_timeout_ms), .default_text = "10s", .min = 10,
     .max = 10 * MS_PER_MINUTE, .help = "The longest wait for the TLS handshake"},
    {"upgrade_timeout", KEY_DURATION, AT(stream, upgrade_timeout_ms), .default_text = "10s",
     .min = 10, .max = 10 * MS_PER_MINUTE,
     .help = "The longest wait for the answer to the upgrade"},
    {"park_probe", KEY_NEVER, AT(stream, park_probe_ms), .default_text = "1h", .min = MS_PER_SECOND,
     .max = 30 * MS_PER_DAY,
     .help = "A parked stream quietly tries once after it, then after twice as long, up to a day; "
             "never forbids it"},
    {"on_rtt", KEY_FLAG, AT(stream, rtt_reconnects), .default_text = "say",
     .words = {"say", "reconnect"},
     .help = "When pings take over three times as long as they did for five minutes: say so, or "
             "dial anew, which may lead somewhere better"},
    {"log", KEY_LOG_LEVEL, AT(stream, log), ALSO(stream, has_log),
     .help = "As in [daemon], for this stream only"},
};

const struct key_section key_sections[SECTION_COUNT] = {
    [SECTION_DAEMON] = {"daemon", false, daemon_keys, COUNT(daemon_keys)},
    [SECTION_STORE] = {"store", false, store_keys, COUNT(store_keys)},
    [SECTION_LISTEN] = {"listen", true, listen_keys, COUNT(listen_keys)},
    [SECTION_STREAM] = {"stream", true, stream_keys, COUNT(stream_keys)},
};

const struct key_section *keys_section(const char *name)
{
    for (size_t i = 0; i < COUNT(key_sections); i++) {
        if (strcmp(key_sections[i].name, name) == 0)
            return &key_sections[i];
    }
    return NULL;
}

const struct key *keys_find(const struct key_section *section, const char *name)
{
    for (size_t i = 0; i < section->n_keys; i++) {
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    }
    return NULL;
}

const char *keys_suggest(const struct key_section *section, struct slice word)
{
    const char *names[COUNT(stream_keys)];

    _Static_assert(COUNT(stream_keys) >= COUNT(listen_keys) &&
                       COUNT(stream_keys) >= COUNT(daemon_keys) &&
                       COUNT(stream_keys) >= COUNT(store_keys),
                   "[stream] has the most keys");
    for (size_t i = 0; i < section->n_keys; i++)
        names[i] = section->keys[i].name;
    return suggest(word, names, section->n_keys);
}

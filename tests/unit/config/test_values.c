/* Each type of value: what is read, what is refused, and what the refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "unit/config/config_dir.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* A value that is refused, as the one key of [section NAME]. */
struct refusal {
    const char *key, *value, *message;
};

static void check_refusals(struct config_dir *d, const char *head, unsigned line,
                           const struct refusal *rows, size_t n)
{
    char text[1024];

    for (size_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "%s%s = %s\n", head, rows[i].key, rows[i].value);
        assert_one_error(d, text, line, rows[i].message);
    }
}

/* [stream a] with one more key. */
static const struct settings_stream *stream_with(struct config_dir *d, const char *key,
                                                 const char *value)
{
    const struct settings *s;
    char text[2048];

    snprintf(text, sizeof text, "[stream a]\nprofile = generic\n%s = %s\n", key, value);
    s = config_dir_load_text(d, text);
    assert_no_errors(d);
    assert_int_equal(s->n_streams, 1);
    return &s->streams[0];
}

#define STREAM "[stream a]\nprofile = generic\n"
#define LISTEN "[listen a]\npath = /s\n"

static void test_durations(void **state)
{
    static const struct refusal rows[] = {
        {"tcp_timeout", "", "tcp_timeout wants a duration (500ms, 30s, 5m, 24h, 7d), not \"\""},
        {"tcp_timeout", "10s # slow",
         "tcp_timeout wants a duration (500ms, 30s, 5m, 24h, 7d), not \"10s # slow\"; a comment "
         "has "
         "a line of its own"},
        {"tcp_timeout", "10", "tcp_timeout wants a duration (500ms, 30s, 5m, 24h, 7d), not \"10\""},
        {"tcp_timeout", "1 s",
         "tcp_timeout wants a duration (500ms, 30s, 5m, 24h, 7d), not \"1 s\""},
        {"tcp_timeout", "-1s",
         "tcp_timeout wants a duration (500ms, 30s, 5m, 24h, 7d), not \"-1s\""},
        {"tcp_timeout", "never",
         "tcp_timeout wants a duration (500ms, 30s, 5m, 24h, 7d), not \"never\""},
        {"tcp_timeout", "9ms", "tcp_timeout wants 10ms to 10m, not \"9ms\""},
        {"tcp_timeout", "601s", "tcp_timeout wants 10ms to 10m, not \"601s\""},
        {"tcp_timeout", "99999999999999999999s",
         "tcp_timeout wants 10ms to 10m, not \"99999999999999999999s\""},
        {"retain_age", "999ms", "retain_age wants 1s to 3650d, not \"999ms\""},
        {"park_probe", "0", "park_probe wants 1s to 30d, not \"0\""},
        {"park_probe", "nevr",
         "park_probe wants a duration (500ms, 30s, 5m, 24h, 7d) or never, not \"nevr\""},
    };

    assert_int_equal(stream_with(*state, "tcp_timeout", "10ms")->tcp_timeout_ms, 10);
    assert_int_equal(stream_with(*state, "tcp_timeout", "10m")->tcp_timeout_ms, 600000);
    assert_int_equal(stream_with(*state, "retain_age", "24h")->retain_age_ms, 86400000);
    assert_int_equal(stream_with(*state, "retain_age", "3650d")->retain_age_ms,
                     INT64_C(315360000000));
    assert_int_equal(stream_with(*state, "park_probe", "30d")->park_probe_ms, INT64_C(2592000000));
    assert_int_equal(stream_with(*state, "park_probe", "never")->park_probe_ms, -1);
    check_refusals(*state, STREAM, 3, rows, COUNT(rows));
}

static void test_sizes(void **state)
{
    static const struct refusal rows[] = {
        {"retain_size", "", "retain_size wants a size (64K, 16M, 2G), not \"\""},
        {"retain_size", "16MB", "retain_size wants a size (64K, 16M, 2G), not \"16MB\""},
        {"retain_size", "1.5G", "retain_size wants a size (64K, 16M, 2G), not \"1.5G\""},
        {"retain_size", "65535", "retain_size wants 64K to 1024G, not \"65535\""},
        {"retain_size", "0", "retain_size wants 64K to 1024G, not \"0\""},
        {"retain_size", "1025G", "retain_size wants 64K to 1024G, not \"1025G\""},
        {"retain_size", "17179869184G", "retain_size wants 64K to 1024G, not \"17179869184G\""},
        {"retain_size", "17179869183G", "retain_size wants 64K to 1024G, not \"17179869183G\""},
    };

    assert_int_equal(stream_with(*state, "retain_size", "64K")->retain_size_bytes, 65536);
    assert_int_equal(stream_with(*state, "retain_size", "65537")->retain_size_bytes, 65537);
    assert_int_equal(stream_with(*state, "retain_size", "1024G")->retain_size_bytes, UINT64_C(1)
                                                                                         << 40);
    check_refusals(*state, STREAM, 3, rows, COUNT(rows));
    assert_one_error(*state, "[store]\nretain_size = 1048575\n", 2,
                     "retain_size wants 1M to 1024G, not \"1048575\"");
}

static void test_counts(void **state)
{
    static const struct refusal rows[] = {
        {"dedup_window", "", "dedup_window wants a whole number, not \"\""},
        {"dedup_window", "many", "dedup_window wants a whole number, not \"many\""},
        {"dedup_window", "1e3", "dedup_window wants a whole number, not \"1e3\""},
        {"dedup_window", "0", "dedup_window wants 1 to 10000000, not \"0\""},
        {"dedup_window", "-5", "dedup_window wants 1 to 10000000, not \"-5\""},
        {"dedup_window", "10000001", "dedup_window wants 1 to 10000000, not \"10000001\""},
        {"dedup_window", "4294967297", "dedup_window wants 1 to 10000000, not \"4294967297\""},
    };

    assert_int_equal(stream_with(*state, "dedup_window", "1")->dedup_window, 1);
    assert_int_equal(stream_with(*state, "dedup_window", "10000000")->dedup_window, 10000000);
    check_refusals(*state, STREAM, 3, rows, COUNT(rows));
}

/* Whole sections, for what [daemon] has alone. */
static void test_rates(void **state)
{
    static const struct {
        const char *text;
        unsigned count;
        int64_t period_ms;
    } good[] = {{"1/s", 1, 1000},
                {"20/1s", 20, 1000},
                {"300/5m", 300, 300000},
                {"1000/24h", 1000, 86400000},
                {"10000/30d", 10000, INT64_C(2592000000)}};
    static const char *const bad[] = {"",     "20",     "20/",  "/s", "20/0",
                                      "20/5", "20 / s", "-1/s", "x/s"};
    static const char *const out[] = {"0/s", "10001/s", "4294967297/s", "1/31d",
                                      "99999999999999999999/s"};
    char text[160], want[160];

    for (size_t i = 0; i < COUNT(good); i++) {
        snprintf(text, sizeof text, "[daemon]\ndial_rate = %s\n", good[i].text);
        const struct settings *s = config_dir_load_text(*state, text);

        assert_int_equal(s->daemon.dial_rate_count, good[i].count);
        assert_int_equal(s->daemon.dial_rate_ms, good[i].period_ms);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[daemon]\ndial_rate = %s\n", bad[i]);
        snprintf(want, sizeof want,
                 "dial_rate wants so many in a time (20/s, 300/5m, 1000/24h), not \"%s\"", bad[i]);
        assert_one_error(*state, text, 2, want);
    }
    for (size_t i = 0; i < COUNT(out); i++) {
        snprintf(text, sizeof text, "[daemon]\ndial_rate = %s\n", out[i]);
        snprintf(want, sizeof want, "dial_rate wants 1 to 10000 in at most 30 days, not \"%s\"",
                 out[i]);
        assert_one_error(*state, text, 2, want);
    }
    assert_one_error(*state, "[daemon]\ndial_per_host = 0\n", 2,
                     "dial_per_host wants 1 to 256, not \"0\"");
    assert_one_error(*state, "[daemon]\ndial_per_host = 257\n", 2,
                     "dial_per_host wants 1 to 256, not \"257\"");
}

static void test_booleans_and_choices(void **state)
{
    static const struct refusal rows[] = {
        {"plaintext", "true", "plaintext wants no or yes, not \"true\""},
        {"plaintext", "1", "plaintext wants no or yes, not \"1\""},
        {"plaintext", "yse", "plaintext wants no or yes, not \"yse\"; did you mean \"yes\"?"},
        {"plaintext", "", "plaintext wants no or yes, not \"\""},
        {"on_rtt", "yes", "on_rtt wants say or reconnect, not \"yes\""},
        {"log", "verbose", "log wants error, warning, notice, info or debug, not \"verbose\""},
        {"log", "waring",
         "log wants error, warning, notice, info or debug, not \"waring\"; did you mean "
         "\"warning\"?"},
    };
    const struct settings_stream *stream;

    assert_true(stream_with(*state, "plaintext", "yes")->plaintext);
    assert_false(stream_with(*state, "plaintext", "no")->plaintext);
    assert_false(stream_with(*state, "deflate", "no")->deflate);
    assert_true(stream_with(*state, "on_rtt", "reconnect")->rtt_reconnects);
    assert_false(stream_with(*state, "on_rtt", "say")->rtt_reconnects);
    stream = stream_with(*state, "log", "debug");
    assert_true(stream->has_log);
    assert_int_equal(stream->log, LOG_LEVEL_DEBUG);
    assert_false(stream_with(*state, "plaintext", "no")->has_log);
    check_refusals(*state, STREAM, 3, rows, COUNT(rows));
    assert_int_equal(config_dir_load_text(*state, "[store]\ndeliver = received\n")->store.deliver,
                     SETTINGS_DELIVER_RECEIVED);
    assert_one_error(*state, "[store]\ndeliver = recieved\n", 2,
                     "deliver wants stored or received, not \"recieved\"; did you mean "
                     "\"received\"?");
    assert_one_error(*state, LISTEN "protocol = https\n", 3,
                     "protocol wants ndjson, feed or http, not \"https\"; did you mean \"http\"?");
}

static void test_percentages(void **state)
{
    static const struct refusal rows[] = {
        {"min_free", "5", "min_free wants a percentage (5%), not \"5\""},
        {"min_free", "%", "min_free wants a percentage (5%), not \"%\""},
        {"min_free", "5 %", "min_free wants a percentage (5%), not \"5 %\""},
        {"min_free", "91%", "min_free wants 0% to 90%, not \"91%\""},
        {"min_free", "-1%", "min_free wants 0% to 90%, not \"-1%\""},
    };
    const struct settings *s = config_dir_load_text(*state, "[store]\nmin_free = 90%\n");

    assert_no_errors(*state);
    assert_int_equal(s->store.min_free_percent, 90);
    s = config_dir_load_text(*state, "[store]\nmin_free = 0%\n");
    assert_int_equal(s->store.min_free_percent, 0);
    check_refusals(*state, "[store]\n", 2, rows, COUNT(rows));
}

static void test_modes(void **state)
{
    static const struct {
        const char *text;
        unsigned mode;
    } good[] = {{"0660", 0660}, {"660", 0660}, {"0777", 0777}, {"000", 0}};
    static const struct refusal rows[] = {
        {"mode", "", "mode wants octal permissions (0660), not \"\""},
        {"mode", "66", "mode wants octal permissions (0660), not \"66\""},
        {"mode", "0680", "mode wants octal permissions (0660), not \"0680\""},
        {"mode", "1777", "mode wants octal permissions (0660), not \"1777\""},
        {"mode", "00660", "mode wants octal permissions (0660), not \"00660\""},
        {"mode", "rw-rw----", "mode wants octal permissions (0660), not \"rw-rw----\""},
    };
    char text[128];

    for (size_t i = 0; i < COUNT(good); i++) {
        const struct settings *s;

        snprintf(text, sizeof text, LISTEN "mode = %s\n", good[i].text);
        s = config_dir_load_text(*state, text);
        assert_no_errors(*state);
        assert_int_equal(s->listens[0].mode, good[i].mode);
    }
    check_refusals(*state, LISTEN, 3, rows, COUNT(rows));
}

static void test_texts_and_paths(void **state)
{
    static const struct refusal rows[] = {
        {"tls_ca", "", "tls_ca wants an absolute path, not \"\""},
        {"tls_ca", "ca.pem", "tls_ca wants an absolute path, not \"ca.pem\""},
        {"tls_ca", "/a\n b", "tls_ca wants an absolute path, not \"/a\nb\""},
        {"profile", "../x", "profile wants a name of letters, digits and \"_.-\", not \"../x\""},
    };

    assert_string_equal(stream_with(*state, "tls_ca", "/etc/a b.pem")->tls_ca, "/etc/a b.pem");
    check_refusals(*state, STREAM, 3, rows, 3);
    /* It is wrong, and so not missing besides. */
    assert_one_error(*state, "[stream c]\nprofile = ../x\n", 2, rows[3].message);
    assert_one_error(*state, LISTEN "group =\n", 3, "group wants some text, not \"\"");
}

#define PIN_A "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define PIN_B "//////////////////////////////////////////8="
#define PIN_TYPE "tls_pin wants sha256/ and 44 characters of base64, one or more of them, not "

static void test_pins(void **state)
{
    static const struct refusal rows[] = {
        {"tls_pin", "", PIN_TYPE "\"\""},
        {"tls_pin", "sha256/", PIN_TYPE "\"sha256/\""},
        {"tls_pin", "sha256/AAEC", PIN_TYPE "\"sha256/AAEC\""},
        {"tls_pin", PIN_A " md5/AAEC", PIN_TYPE "\"md5/AAEC\""},
        {"tls_pin", PIN_A "AAAA", PIN_TYPE "\"" PIN_A "AAAA\""},
        {"tls_min", "1.1", "tls_min wants 1.2 or 1.3, not \"1.1\"; did you mean \"1.2\"?"},
    };
    static const uint8_t ones[SETTINGS_PIN_SIZE] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const struct settings_stream *stream = stream_with(*state, "plaintext", "no");
    char many[64 * (SETTINGS_PINS_MAX + 1)] = "";

    assert_int_equal(stream->n_tls_pins, 0);
    assert_int_equal(stream->tls_min, SETTINGS_TLS_1_2);
    stream = stream_with(*state, "tls_pin", PIN_A ", sha256/" PIN_B "\n sha256/" PIN_B);
    assert_int_equal(stream->n_tls_pins, 3);
    for (unsigned i = 0; i < SETTINGS_PIN_SIZE; i++)
        assert_int_equal(stream->tls_pins[0][i], i);
    assert_memory_equal(stream->tls_pins[1], ones, SETTINGS_PIN_SIZE);
    assert_memory_equal(stream->tls_pins[2], ones, SETTINGS_PIN_SIZE);
    check_refusals(*state, STREAM, 3, rows, COUNT(rows));
    for (unsigned i = 0; i < SETTINGS_PINS_MAX; i++)
        strcat(many, PIN_A " ");
    assert_int_equal(stream_with(*state, "tls_pin", many)->n_tls_pins, SETTINGS_PINS_MAX);
    strcat(many, PIN_A);
    {
        char text[2048];

        snprintf(text, sizeof text, STREAM "tls_pin = %s\n", many);
        assert_one_error(*state, text, 3, "tls_pin wants at most 16 pins");
    }
}

/* What only together makes sense, and what the library must be able to do. */
static void test_tls_keys_together(void **state)
{
    struct config_dir *d = *state;

    assert_one_error(d, STREAM "tls_key = /k.pem\n", 1,
                     "[stream a] has tls_key and no tls_cert: which certificate is it the key of?");
    assert_string_equal(stream_with(d, "tls_cert", "/c.pem")->tls_cert, "/c.pem");
    if (HAWSER_TLS13)
        assert_int_equal(stream_with(d, "tls_min", "1.3")->tls_min, SETTINGS_TLS_1_3);
    else
        assert_one_error(
            d, STREAM "tls_min = 1.3\n", 1,
            "[stream a] has tls_min = 1.3, and this hawser is built with " HAWSER_TLS_LIBRARY
            ", which has TLS 1.2 only; mbedTLS 3.6 and newer have both");
}

/* A socket's path at the length that the kernel takes, and one past. */
static void test_socket_path_at_the_bound_and_one_past(void **state)
{
    char text[256], message[256];
    const struct settings *s;

    snprintf(text, sizeof text, "[listen a]\npath = /%0*d\n", SETTINGS_SOCKET_PATH_MAX - 1, 0);
    s = config_dir_load_text(*state, text);
    assert_no_errors(*state);
    assert_int_equal(strlen(s->listens[0].path), SETTINGS_SOCKET_PATH_MAX);
    snprintf(text, sizeof text, "[listen a]\npath = /%0*d\n", SETTINGS_SOCKET_PATH_MAX, 0);
    snprintf(message, sizeof message,
             "path wants an absolute path of at most 107 bytes, not \"/%0*d\"",
             SETTINGS_SOCKET_PATH_MAX, 0);
    config_dir_load_text(*state, text);
    assert_error(*state, 0, 2, message);
}

static void test_lists(void **state)
{
    const struct settings_listen *listen;
    char text[1024];
    size_t len;

    listen = config_dir_load_text(*state, LISTEN "streams = chat-*, odds\n  ,\tnews a?\n")->listens;
    assert_no_errors(*state);
    assert_string_equal(listen->streams[0], "chat-*");
    assert_string_equal(listen->streams[1], "odds");
    assert_string_equal(listen->streams[2], "news");
    assert_string_equal(listen->streams[3], "a?");
    assert_null(listen->streams[4]);
    assert_one_error(*state, LISTEN "allow_users = , ,\n", 3,
                     "allow_users wants words separated by blanks or commas, not \"\"");
    for (int over = 0; over <= 1; over++) {
        len = (size_t)snprintf(text, sizeof text, LISTEN "allow_users =");
        for (int i = 0; i < SETTINGS_LIST_MAX + over; i++)
            len += (size_t)snprintf(text + len, sizeof text - len, " u%d", i);
        listen = config_dir_load_text(*state, text)->listens;
        assert_int_equal(diag_count(((struct config_dir *)*state)->diag), over);
        if (over == 0)
            assert_string_equal(listen->allow_users[SETTINGS_LIST_MAX - 1], "u63");
        else
            assert_error(*state, 0, 3, "allow_users wants at most 64 words");
    }
}

static void test_start(void **state)
{
    const struct settings_stream *stream;
    char value[LIMIT_POSITION + 2], text[LIMIT_POSITION + 64];

    stream = stream_with(*state, "start", "oldest");
    assert_int_equal(stream->start, SETTINGS_START_OLDEST);
    assert_null(stream->start_position);
    stream = stream_with(*state, "start", "now");
    assert_int_equal(stream->start, SETTINGS_START_NOW);
    assert_null(stream->start_position);
    stream = stream_with(*state, "start", "s72594_4483_1934");
    assert_int_equal(stream->start, SETTINGS_START_POSITION);
    assert_string_equal(stream->start_position, "s72594_4483_1934");
    assert_one_error(*state, STREAM "start =\n", 3,
                     "start wants now, oldest or a position of at most 512 bytes, not \"\"");
    snprintf(value, sizeof value, "%0*d", LIMIT_POSITION, 0);
    stream = stream_with(*state, "start", value);
    assert_int_equal(strlen(stream->start_position), LIMIT_POSITION);
    snprintf(text, sizeof text, STREAM "start = %s1\n", value);
    config_dir_load_text(*state, text);
    assert_int_equal(diag_count(((struct config_dir *)*state)->diag), 1);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, config_dir_setup, config_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_durations),
        WITH_DIR(test_sizes),
        WITH_DIR(test_counts),
        WITH_DIR(test_rates),
        WITH_DIR(test_counts),
        WITH_DIR(test_booleans_and_choices),
        WITH_DIR(test_percentages),
        WITH_DIR(test_modes),
        WITH_DIR(test_texts_and_paths),
        WITH_DIR(test_pins),
        WITH_DIR(test_tls_keys_together),
        WITH_DIR(test_socket_path_at_the_bound_and_one_past),
        WITH_DIR(test_lists),
        WITH_DIR(test_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

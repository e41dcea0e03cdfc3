/* Sections and keys: defaults, what later files override, and what is said about mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "unit/config/config_dir.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_defaults(void **state)
{
    const struct settings *s = config_dir_load_text(
        *state, "[listen events]\npath = /run/hawser/events.sock\n[stream chat]\nprofile = x\n");
    const struct settings_listen *listen = &s->listens[0];
    const struct settings_stream *stream = &s->streams[0];

    assert_no_errors(*state);
    assert_string_equal(s->daemon.state_dir, "/var/lib/hawser");
    assert_string_equal(s->daemon.runtime_dir, "/run/hawser");
    assert_string_equal(s->daemon.profile_dir, "/etc/hawser/profiles");
    assert_int_equal(s->daemon.log, LOG_LEVEL_INFO);
    assert_int_equal(s->daemon.dial_rate_count, 20);
    assert_int_equal(s->daemon.dial_rate_ms, 1000);
    assert_int_equal(s->daemon.dial_per_host, 4);
    assert_int_equal(s->store.retain_size_bytes, 1 << 30);
    assert_int_equal(s->store.commit_interval_ms, 0);
    assert_int_equal(s->store.deliver, SETTINGS_DELIVER_STORED);
    assert_int_equal(s->store.min_free_percent, 5);
    assert_int_equal(s->store.consumer_expire_ms, INT64_C(30) * 86400 * 1000);
    assert_int_equal(s->n_listens, 1);
    assert_string_equal(listen->name, "events");
    assert_string_equal(listen->path, "/run/hawser/events.sock");
    assert_int_equal(listen->protocol, SETTINGS_PROTOCOL_NDJSON);
    assert_int_equal(listen->mode, 0660);
    assert_null(listen->group);
    assert_string_equal(listen->allow_users[0], "*");
    assert_null(listen->allow_users[1]);
    assert_string_equal(listen->streams[0], "*");
    assert_null(listen->streams[1]);
    assert_false(listen->control);
    assert_int_equal(listen->max_clients, 1024);
    assert_int_equal(listen->line, 1);
    assert_int_equal(s->n_streams, 1);
    assert_string_equal(stream->name, "chat");
    assert_string_equal(stream->profile, "x");
    assert_int_equal(stream->start, SETTINGS_START_NOW);
    assert_null(stream->start_position);
    assert_int_equal(stream->retain_size_bytes, 256 << 20);
    assert_int_equal(stream->retain_age_ms, 7 * 86400 * 1000);
    assert_int_equal(stream->dedup_window, 100000);
    assert_null(stream->tls_ca);
    assert_false(stream->plaintext);
    assert_true(stream->deflate);
    assert_int_equal(stream->dns_timeout_ms, 10000);
    assert_int_equal(stream->tcp_timeout_ms, 10000);
    assert_int_equal(stream->tls_timeout_ms, 10000);
    assert_int_equal(stream->upgrade_timeout_ms, 10000);
    assert_int_equal(stream->park_probe_ms, 3600000);
    assert_false(stream->rtt_reconnects);
    assert_false(stream->has_log);
    assert_int_equal(stream->n_tags, 0);
    assert_int_equal(stream->n_rest, 0);
    assert_int_equal(stream->line, 3);
}

static void test_an_empty_file_is_good(void **state)
{
    const struct settings *s = config_dir_load_text(*state, "");

    assert_no_errors(*state);
    assert_int_equal(s->n_streams, 0);
    assert_int_equal(s->n_listens, 0);
    assert_string_equal(s->daemon.state_dir, "/var/lib/hawser");
}

static void test_a_missing_file_is_an_error(void **state)
{
    struct config_dir *d = *state;
    const struct settings *s = config_dir_load(d);

    assert_int_equal(diag_count(d->diag), 1);
    assert_non_null(strstr(diag_get(d->diag, 0), "cannot be read: No such file"));
    assert_string_equal(s->daemon.runtime_dir, "/run/hawser");
}

static void test_rest_and_tags(void **state)
{
    const struct settings_stream *stream;

    stream = config_dir_load_text(*state, "[stream chat]\n"
                                          "profile = scaiwave\n"
                                          "host = chat.example.com\n"
                                          "token = credential:chat-token\n"
                                          "tag.team = ops\n"
                                          "tag.site = a = b; c\n"
                                          "http:sync.url = https://x/\n"
                                          "heartbeat.idle = 45s\n")
                 ->streams;
    assert_no_errors(*state);
    assert_int_equal(stream->n_tags, 2);
    assert_string_equal(stream->tags[0].name, "team");
    assert_string_equal(stream->tags[0].value, "ops");
    assert_string_equal(stream->tags[1].name, "site");
    assert_string_equal(stream->tags[1].value, "a = b; c");
    assert_int_equal(stream->n_rest, 4);
    assert_string_equal(stream->rest[0]->key, "host");
    assert_string_equal(stream->rest[0]->value, "chat.example.com");
    assert_int_equal(stream->rest[0]->line, 3);
    assert_string_equal(stream->rest[1]->key, "token");
    assert_string_equal(stream->rest[2]->key, "http:sync.url");
    assert_string_equal(stream->rest[3]->key, "heartbeat.idle");
    assert_string_equal(stream->rest[3]->file, ((struct config_dir *)*state)->main);
}

static void test_later_files_override(void **state)
{
    struct config_dir *d = *state;
    const struct settings *s;
    const struct settings_stream *chat;
    char path[256];

    config_dir_write(d, "hawser.ini",
                     "[daemon]\nlog = info\nstate_dir = /a\n[stream chat]\nprofile = one\n"
                     "host = h1\ntag.t = 1\ndns_timeout = 1s\n");
    config_dir_write(d, "conf.d/20-second.ini",
                     "[stream chat]\nhost = h3\ntag.t = 3\n[stream news]\nprofile = n\n");
    config_dir_write(d, "conf.d/10-first.ini",
                     "[daemon]\nlog = debug\n[stream chat]\nprofile = two\nhost = h2\nkey = k\n"
                     "tag.t = 2\ntag.u = 2\n[listen l]\npath = /s\n");
    config_dir_write(d, "conf.d/30-not-read.conf", "[oops]\n");
    config_dir_write(d, "conf.d/.hidden.ini", "[oops]\n");
    config_dir_write(d, "conf.d/.ini", "[oops]\n");
    config_dir_write(d, "conf.d/backup.ini~", "[oops]\n");
    s = config_dir_load(d);
    assert_no_errors(d);
    assert_int_equal(s->daemon.log, LOG_LEVEL_DEBUG);
    assert_string_equal(s->daemon.state_dir, "/a");
    assert_int_equal(s->n_listens, 1);
    assert_int_equal(s->n_streams, 2);
    chat = &s->streams[0];
    assert_string_equal(chat->name, "chat");
    assert_string_equal(chat->profile, "two");
    assert_int_equal(chat->dns_timeout_ms, 1000);
    assert_string_equal(chat->file, d->main);
    assert_int_equal(chat->line, 4);
    assert_int_equal(chat->n_rest, 2);
    assert_string_equal(chat->rest[0]->key, "host");
    assert_string_equal(chat->rest[0]->value, "h3");
    snprintf(path, sizeof path, "%s/conf.d/20-second.ini", d->dir);
    assert_string_equal(chat->rest[0]->file, path);
    assert_int_equal(chat->rest[0]->line, 2);
    assert_string_equal(chat->rest[1]->key, "key");
    assert_int_equal(chat->n_tags, 2);
    assert_string_equal(chat->tags[0].value, "3");
    assert_string_equal(chat->tags[1].value, "2");
    assert_string_equal(s->streams[1].name, "news");
}

/* start = POSITION of one file does not linger when a later one says now. */
static void test_start_is_overridden_as_a_whole(void **state)
{
    struct config_dir *d = *state;
    const struct settings *s;

    config_dir_write(d, "hawser.ini", "[stream chat]\nprofile = p\nstart = 17\n");
    config_dir_write(d, "conf.d/a.ini", "[stream chat]\nstart = now\n");
    s = config_dir_load(d);
    assert_no_errors(d);
    assert_int_equal(s->streams[0].start, SETTINGS_START_NOW);
    assert_null(s->streams[0].start_position);
}

static void test_errors_of_all_files_at_once(void **state)
{
    struct config_dir *d = *state;
    char want[512];

    config_dir_write(d, "hawser.ini", "[daemon]\nlog = x\n[stream chat]\n");
    config_dir_write(d, "conf.d/a.ini", "oops\n[store]\nretain_size = 1X\n");
    config_dir_load(d);
    assert_int_equal(diag_count(d->diag), 4);
    snprintf(want, sizeof want,
             "%s/conf.d/a.ini:1: neither [section] nor key = value nor "
             "# comment: \"oops\"",
             d->dir);
    assert_string_equal(diag_get(d->diag, 0), want);
    snprintf(want, sizeof want,
             "%s/conf.d/a.ini:3: retain_size wants a size (64K, 16M, 2G), not "
             "\"1X\"",
             d->dir);
    assert_string_equal(diag_get(d->diag, 1), want);
    assert_error(d, 2, 2, "log wants error, warning, notice, info or debug, not \"x\"");
    assert_error(d, 3, 3,
                 "[stream chat] has no profile; \"hawserctl profiles\" lists those there "
                 "are");
}

static void test_unknown_sections_and_keys(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *message;
    } rows[] = {
        {"[deamon]\nlog = none\n", 1, "there is no section [deamon]; did you mean [daemon]?"},
        {"\n[strem chat]\nprofile = x\n", 2, "there is no section [strem]; did you mean [stream]?"},
        {"[upstream-servers]\n", 1,
         "there is no section [upstream-servers]; there are [daemon], [store], [listen NAME] and "
         "[stream NAME]"},
        {"[daemon]\nstatedir = /x\n", 2,
         "there is no key \"statedir\" in [daemon]; did you mean \"state_dir\"?"},
        {"[daemon]\nretain_size = 1G\n", 2,
         "there is no key \"retain_size\" in [daemon]; it belongs in [store]"},
        {"[daemon]\ndns_timeout = 1s\n", 2,
         "there is no key \"dns_timeout\" in [daemon]; it belongs in [stream NAME]"},
        {"[store]\ncolour = blue\n", 2, "there is no key \"colour\" in [store]"},
        {"[listen l]\npath = /s\nmax_client = 1\n", 3,
         "there is no key \"max_client\" in [listen]; did you mean \"max_clients\"?"},
        {"[daemon x]\n", 1, "[daemon] takes no name, it is not [daemon x]"},
        {"[stream]\nprofile = x\n", 1, "[stream] wants a name, as in [stream NAME]"},
        {"[listen]\npath = /s\n", 1, "[listen] wants a name, as in [listen NAME]"},
        {"[listen events]\nmode = 0600\n", 1,
         "[listen events] has no path; add path = /run/hawser/events.sock"},
        {"[stream chat]\nhost = h\n", 1,
         "[stream chat] has no profile; \"hawserctl profiles\" lists those there are"},
        {"[listen a]\npath = /s\ntcp = 127.0.0.1:1\nprotocol = http\n", 1,
         "[listen a] has both path and tcp; make it two sections"},
        {"[listen a]\ntcp = 127.0.0.1:1\n", 1,
         "[listen a] listens on tcp, which only protocol = http may: on a path, file permissions "
         "say who may connect"},
        {"[listen a]\ntcp = 127.0.0.1\nprotocol = http\n", 1,
         "[listen a] tcp is not ADDRESS:PORT, such as 127.0.0.1:9472 or [::1]:9472: \"127.0.0.1\""},
        {"[listen a]\ntcp = localhost:65536\nprotocol = http\n", 1,
         "[listen a] tcp is not ADDRESS:PORT, such as 127.0.0.1:9472 or [::1]:9472: "
         "\"localhost:65536\""},
        {"[listen a]\ntcp = ::1:80\nprotocol = http\n", 1,
         "[listen a] tcp is not ADDRESS:PORT, such as 127.0.0.1:9472 or [::1]:9472: \"::1:80\""},
        {"[listen a]\ntcp = 0.0.0.0:9472\nprotocol = http\n", 1,
         "[listen a] 0.0.0.0:9472 can be reached from other machines; add auth = credential:NAME, "
         "or listen on 127.0.0.1"},
        {"[listen a]\ntcp = [::]:9472\nprotocol = http\n", 1,
         "[listen a] [::]:9472 can be reached from other machines; add auth = credential:NAME, or "
         "listen on 127.0.0.1"},
        {"[listen a]\npath = /s\nprotocol = http\nauth = hunter2\n", 1,
         "[listen a] auth says where the token is, never the token itself: credential:NAME, "
         "file:/PATH or env:NAME"},
        {"[listen a]\npath = /s\nauth = env:T\n", 1, "[listen a] auth is for protocol = http"},
        {"[listen a]\npath = /s\nformat = payload\n", 1,
         "[listen a] format is for protocol = feed"},
        {"[listen a]\npath = /s\nfrom = oldest\n", 1, "[listen a] from is for protocol = feed"},
        {"[listen a]\npath = /s\nprotocol = feed\ncontrol = yes\n", 1,
         "[listen a] control is for protocol = ndjson"},
        {"[listen a]\ntcp = [::1]:1\nprotocol = http\n[listen b]\ntcp = [::1]:1\nprotocol = "
         "http\n",
         4, "[listen b] and [listen a] have the same address: [::1]:1"},
        {"[listen a]\npath = /s\n[listen b]\npath = /s\n", 3,
         "[listen b] and [listen a] have the same path: /s"},
        {"[stream chat]\nprofile = x\ntag. = y\n", 3,
         "a tag's name is of at most 64 letters, digits and \"_.-\" and starts with none of "
         "\".-\": \"\""},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_one_error(*state, rows[i].text, rows[i].line, rows[i].message);
}

static void test_names(void **state)
{
    static const char *const good[] = {"a", "A-b_c.9", "_", "0", "x.-"};
    static const char *const bad[] = {".", "..", ".a", "-a", "a b", "a/b", "a:b", "\xC3\xA9", "a*"};
    struct config_dir *d = *state;
    char text[256], name[LIMIT_STREAM_NAME + 2];

    for (size_t i = 0; i < COUNT(good); i++) {
        snprintf(text, sizeof text, "[stream %s]\nprofile = x\n[listen %s]\npath = /s\n", good[i],
                 good[i]);
        assert_string_equal(config_dir_load_text(d, text)->streams[0].name, good[i]);
        assert_no_errors(d);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof text, "[stream %s]\nprofile = x\n", bad[i]);
        assert_int_equal(config_dir_load_text(d, text)->n_streams, 0);
        assert_int_equal(diag_count(d->diag), 1);
    }
    for (int over = 0; over <= 1; over++) {
        snprintf(name, sizeof name, "%0*d", LIMIT_STREAM_NAME + over, 0);
        snprintf(text, sizeof text, "[stream %s]\nprofile = x\n", name);
        config_dir_load_text(d, text);
        assert_int_equal(diag_count(d->diag), over);
    }
}

/* Writes `n` numbered lines behind a head. */
static void load_numbered(struct config_dir *d, const char *head, const char *format, int n)
{
    FILE *file = fopen(d->main, "w");

    assert_non_null(file);
    fputs(head, file);
    for (int i = 0; i < n; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        fprintf(file, format, i);
#pragma GCC diagnostic pop
    }
    assert_int_equal(fclose(file), 0);
    config_dir_load(d);
}

static void test_bounds_and_one_past(void **state)
{
    static const struct {
        const char *head, *format;
        int limit;
        unsigned line; /* of the one past */
        const char *message;
    } rows[] = {
        {"", "[stream s%d]\nprofile = x\n", LIMIT_STREAMS, 2 * LIMIT_STREAMS + 1,
         "at most 256 [stream] sections are read"},
        {"", "[listen l%1$d]\npath = /l%1$d\n", LIMIT_LISTENERS, 2 * LIMIT_LISTENERS + 1,
         "at most 16 [listen] sections are read"},
        {"[stream s]\nprofile = x\n", "tag.t%d = v\n", SETTINGS_TAGS_MAX, SETTINGS_TAGS_MAX + 3,
         "a stream has at most 32 tags"},
        {"[stream s]\nprofile = x\n", "key%d = v\n", SETTINGS_REST_MAX, SETTINGS_REST_MAX + 3,
         "a stream sets at most 1024 keys of its profile"},
    };
    struct config_dir *d = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        load_numbered(d, rows[i].head, rows[i].format, rows[i].limit);
        assert_no_errors(d);
        load_numbered(d, rows[i].head, rows[i].format, rows[i].limit + 1);
        assert_error(d, 0, rows[i].line, rows[i].message);
        assert_int_equal(diag_count(d->diag), 1);
    }
}

static void test_tag_value_at_the_bound_and_one_past(void **state)
{
    char text[SETTINGS_TAG_VALUE_MAX + 64];

    for (int over = 0; over <= 1; over++) {
        snprintf(text, sizeof text, "[stream s]\nprofile = x\ntag.t = %0*d\n",
                 SETTINGS_TAG_VALUE_MAX + over, 0);
        config_dir_load_text(*state, text);
        assert_int_equal(diag_count(((struct config_dir *)*state)->diag), over);
    }
    assert_error(*state, 0, 3, "a tag's value is at most 1024 bytes long");
}

/* 512 files in conf.d are read, one more and none is. */
static void test_files_at_the_bound_and_one_past(void **state)
{
    enum { FILES = 512 };
    struct config_dir *d = *state;
    char name[64], want[256];

    config_dir_write(d, "hawser.ini", "");
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "conf.d/%d.ini", i);
        config_dir_write(d, name, i == FILES / 2 ? "[store]\nmin_free = 7%\n" : "");
    }
    assert_int_equal(config_dir_load(d)->store.min_free_percent, 7);
    assert_no_errors(d);
    config_dir_write(d, "conf.d/more.ini", "");
    config_dir_load(d);
    snprintf(want, sizeof want, "%s/conf.d: holds 513 files, at most 512 are read", d->dir);
    assert_string_equal(diag_get(d->diag, 0), want);
    assert_int_equal(diag_count(d->diag), 1);
}

static void test_a_wrong_value_keeps_the_default(void **state)
{
    const struct settings *s = config_dir_load_text(*state, "[store]\nmin_free = much\n");

    assert_int_equal(diag_count(((struct config_dir *)*state)->diag), 1);
    assert_int_equal(s->store.min_free_percent, 5);
}

static void count_key(void *arg, const struct settings_key *key)
{
    unsigned *n = arg;

    assert_non_null(key->section);
    assert_true(strlen(key->key) > 0);
    assert_true(strlen(key->type) > 0);
    assert_true(strlen(key->help) > 0);
    assert_int_not_equal(key->help[strlen(key->help) - 1], '.');
    assert_string_equal(settings_suggest_key(key->section, slice_str(key->key)), key->key);
    ++*n;
}

static void test_describes_each_key(void **state)
{
    unsigned n = 0;

    settings_describe(count_key, &n);
    assert_true(n > 0);
    assert_string_equal(settings_suggest_key("stream", SLICE("dns_timout")), "dns_timeout");
    assert_null(settings_suggest_key("stream", SLICE("host")));
    assert_null(settings_suggest_key("no such", SLICE("log")));
    settings_free(NULL);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, config_dir_setup, config_dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_defaults),
        WITH_DIR(test_an_empty_file_is_good),
        WITH_DIR(test_a_missing_file_is_an_error),
        WITH_DIR(test_rest_and_tags),
        WITH_DIR(test_later_files_override),
        WITH_DIR(test_start_is_overridden_as_a_whole),
        WITH_DIR(test_errors_of_all_files_at_once),
        WITH_DIR(test_unknown_sections_and_keys),
        WITH_DIR(test_names),
        WITH_DIR(test_bounds_and_one_past),
        WITH_DIR(test_tag_value_at_the_bound_and_one_past),
        WITH_DIR(test_files_at_the_bound_and_one_past),
        WITH_DIR(test_a_wrong_value_keeps_the_default),
        cmocka_unit_test(test_describes_each_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

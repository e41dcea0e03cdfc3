/*
 * describe: the tables that the code is made of, as one JSON document, so that manual pages,
 * completions, dashboards and whatever else repeats them can be compared with them.
 */
#include <stdio.h>
#include <string.h>

#include "config/settings.h"
#include "daemon/metrics_page.h"
#include "flow/flow.h"
#include "profile/profile.h"
#include "session/session.h"
#include "tls/tls.h"
#include "wire/ndjson.h"

static struct buf out;
static bool first = true;

static void text(const char *value)
{
    if (value == NULL)
        (void)buf_append_str(&out, "null");
    else
        (void)json_write_string(&out, slice_str(value));
}

static void item(const char *value)
{
    if (!first)
        (void)buf_append_str(&out, ",");
    first = false;
    text(value);
}

static void begin(const char *name)
{
    (void)buf_append_str(&out, out.len > 1 ? ",\n" : "\n");
    text(name);
    (void)buf_append_str(&out, ":[");
    first = true;
}

static void end(void)
{
    (void)buf_append_str(&out, "]");
}

static void list(const char *name, const char *const *words, size_t n)
{
    begin(name);
    for (size_t i = 0; i < n; i++)
        item(words[i]);
    end();
}
#define LIST(name, ...)                                                                            \
    do {                                                                                           \
        static const char *const words[] = {__VA_ARGS__};                                          \
        list(name, words, sizeof(words) / sizeof(words[0]));                                       \
    } while (0)

struct member {
    const char *name, *value;
};

static void object(const struct member *members, size_t n)
{
    (void)buf_append_str(&out, first ? "\n{" : ",\n{");
    first = false;
    for (size_t i = 0; i < n; i++) {
        (void)buf_append_str(&out, i > 0 ? "," : "");
        text(members[i].name);
        (void)buf_append_str(&out, ":");
        text(members[i].value);
    }
    (void)buf_append_str(&out, "}");
}

static void on_setting(void *arg, const struct settings_key *key)
{
    const struct member members[] = {{"section", key->section},
                                     {"key", key->key},
                                     {"type", key->type},
                                     {"default", key->default_text},
                                     {"help", key->help}};
    (void)arg;
    object(members, sizeof(members) / sizeof(members[0]));
}

static void on_metric(void *arg, const struct metric_info *info)
{
    const struct member members[] = {
        {"name", info->name}, {"type", info->type}, {"labels", info->labels}, {"help", info->help}};
    (void)arg;
    object(members, sizeof(members) / sizeof(members[0]));
}

static void on_profile_key(void *arg, const char *section, const char *key, bool named)
{
    char line[128];
    (void)arg;
    snprintf(line, sizeof(line), "[%s%s] %s", section, named ? " NAME" : "", key);
    item(line);
}

/* Notices have no table: each is a line of its own writer's. */
static void on_notice(struct buf *line)
{
    struct json_paths *paths = NULL;
    struct json_value value;
    struct buf name;
    unsigned slot;
    buf_init(&name, 64);
    if (json_paths_new(&paths) == 0 && json_paths_add(paths, SLICE("/notice"), &slot, NULL) == 0 &&
        json_scan(paths, buf_slice(line), &value, NULL) == 0 &&
        json_string_decode(&value, &name) == 0)
        item(buf_cstr(&name));
    json_paths_free(paths);
    buf_fini(&name);
    buf_clear(line);
}

static void notices(void)
{
    struct buf line;
    buf_init(&line, 4096);
    begin("notices");
    (void)ndjson_write_stream_notice(&line, "s", "live", "", -1);
    on_notice(&line);
    (void)ndjson_write_gap(&line, 1, "s", "upstream", SLICE(""), SLICE(""), NULL);
    on_notice(&line);
    (void)ndjson_write_store_reset(&line, "i", 1);
    on_notice(&line);
    (void)ndjson_write_window_full(&line, SLICE("c"), 1, 1);
    on_notice(&line);
    (void)ndjson_write_bye(&line, "");
    on_notice(&line);
    end();
    buf_fini(&line);
}

int main(void)
{
    buf_init(&out, BUF_UNBOUNDED);
    (void)buf_append_str(&out, "{");
    begin("settings");
    settings_describe(on_setting, NULL);
    end();
    begin("profile_keys");
    profile_describe(on_profile_key, NULL);
    end();
#define X(id, name) name,
    LIST("rule_actions", PROFILE_RULE_ACTIONS(X));
    LIST("policy_actions", PROFILE_POLICY_ACTIONS(X));
    LIST("failures", PROFILE_FAILURES(X));
    LIST("phases", PROFILE_PHASES(X));
    LIST("link_settings", PROFILE_SETTINGS(X));
    LIST("states", SESSION_STATES(X));
    LIST("gap_reasons", SESSION_GAPS(X));
    LIST("ops", NDJSON_OPS(X));
    LIST("errors", NDJSON_ERRORS(X));
    LIST("vias", FLOW_VIAS(X));
    LIST("tls_faults", TLS_FAULTS(X));
#undef X
    notices();
    begin("metrics");
    metrics_describe(on_metric, NULL);
    end();
    (void)buf_append_str(&out, "\n}\n");
    fwrite(out.data, 1, out.len, stdout);
    buf_fini(&out);
    return 0;
}

#include "config/settings.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/suggest.h"
#include "config/file.h"
#include "config/keys.h"
#include "config/listen.h"
#include "config/value.h"

struct settings_private {
    struct ini *ini;
    struct pool pool;
};

/* Entries come one after the other; a header says where those behind it go. */
struct loader {
    struct settings *settings;
    struct diag *diag;
    const struct key_section
        *section; /* NULL: a section that was refused, whose keys are skipped */
    char *target; /* its struct */
};

/* ---- sections ---- */

/* Gives each key of a section its default, by the reader that a configured value would meet. */
static int set_defaults(struct settings *s, const struct key_section *section, void *target)
{
    for (size_t i = 0; i < section->n_keys; i++) {
        const struct key *key = &section->keys[i];
        int rc = 0;

        if (key->default_text != NULL)
            rc = value_read(key, key->default_text, target, &s->priv->pool, NULL);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static struct settings_listen *find_listen(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_listens; i++) {
        if (strcmp(s->listens[i].name, name) == 0)
            return &s->listens[i];
    }
    return NULL;
}

static struct settings_stream *find_stream(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->n_streams; i++) {
        if (strcmp(s->streams[i].name, name) == 0)
            return &s->streams[i];
    }
    return NULL;
}

/* Says that there are too many sections of one kind; `limit` of them are enough. */
static void refuse_more(const struct loader *l, const struct ini_entry *header, int limit)
{
    diag_add(l->diag, header->file, header->line, "at most %d [%s] sections are read", limit,
             header->section);
}

/* The listener that a header begins or goes on with; *out stays NULL when it was refused. */
static int obtain_listen(struct loader *l, const struct ini_entry *header, char **out)
{
    struct settings *s = l->settings;
    struct settings_listen *listen = find_listen(s, header->name);
    int rc = 0;

    if (listen == NULL && s->n_listens == LIMIT_LISTENERS) {
        refuse_more(l, header, LIMIT_LISTENERS);
        return 0;
    }
    if (listen == NULL) {
        listen = &s->listens[s->n_listens++];
        listen->name = header->name;
        listen->file = header->file;
        listen->line = header->line;
        rc = set_defaults(s, l->section, listen);
    }
    *out = (char *)listen;
    return rc;
}

static int obtain_stream(struct loader *l, const struct ini_entry *header, char **out)
{
    struct settings *s = l->settings;
    struct settings_stream *stream = find_stream(s, header->name);
    int rc = 0;

    if (stream == NULL && s->n_streams == LIMIT_STREAMS) {
        refuse_more(l, header, LIMIT_STREAMS);
        return 0;
    }
    if (stream == NULL) {
        stream = &s->streams[s->n_streams++];
        stream->name = header->name;
        stream->file = header->file;
        stream->line = header->line;
        rc = set_defaults(s, l->section, stream);
    }
    *out = (char *)stream;
    return rc;
}

static void refuse_section(const struct loader *l, const struct ini_entry *header)
{
    const char *names[SECTION_COUNT];
    const char *near;

    for (size_t i = 0; i < SECTION_COUNT; i++)
        names[i] = key_sections[i].name;
    near = suggest(slice_str(header->section), names, SECTION_COUNT);
    if (near != NULL)
        diag_add(l->diag, header->file, header->line,
                 "there is no section [%s]; did you mean [%s]?", header->section, near);
    else
        diag_add(l->diag, header->file, header->line,
                 "there is no section [%s]; there are [daemon], [store], [listen NAME] and "
                 "[stream NAME]",
                 header->section);
}

/* Whether a header has a name where its section wants one, and a good one. */
static bool is_named_well(const struct loader *l, const struct ini_entry *header)
{
    if (!l->section->named) {
        if (header->name[0] != '\0')
            diag_add(l->diag, header->file, header->line, "[%s] takes no name, it is not [%s %s]",
                     header->section, header->section, header->name);
        return header->name[0] == '\0';
    }
    if (header->name[0] == '\0')
        diag_add(l->diag, header->file, header->line, "[%s] wants a name, as in [%s NAME]",
                 header->section, header->section);
    else if (!value_is_name(header->name, LIMIT_STREAM_NAME))
        diag_add(l->diag, header->file, header->line,
                 "a name is of at most %d letters, digits and \"_.-\" and starts with none of "
                 "\".-\": \"%s\"",
                 (int)LIMIT_STREAM_NAME, header->name);
    else
        return true;
    return false;
}

static int take_header(struct loader *l, const struct ini_entry *header)
{
    l->target = NULL;
    l->section = keys_section(header->section);
    if (l->section == NULL)
        refuse_section(l, header);
    else if (!is_named_well(l, header))
        l->section = NULL;
    if (l->section == NULL)
        return 0;
    switch ((enum section_id)(l->section - key_sections)) {
    case SECTION_DAEMON:
        l->target = (char *)&l->settings->daemon;
        return 0;
    case SECTION_STORE:
        l->target = (char *)&l->settings->store;
        return 0;
    case SECTION_LISTEN:
        return obtain_listen(l, header, &l->target);
    case SECTION_STREAM:
        return obtain_stream(l, header, &l->target);
    case SECTION_COUNT:
        break;
    }
    return 0;
}

/* ---- keys ---- */

static void refuse_key(const struct loader *l, const struct ini_entry *entry)
{
    const char *near = keys_suggest(l->section, slice_str(entry->key));

    if (near != NULL) {
        diag_add(l->diag, entry->file, entry->line,
                 "there is no key \"%s\" in [%s]; did you mean \"%s\"?", entry->key, entry->section,
                 near);
        return;
    }
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        if (keys_find(&key_sections[i], entry->key) != NULL) {
            diag_add(l->diag, entry->file, entry->line,
                     "there is no key \"%s\" in [%s]; it belongs in [%s%s]", entry->key,
                     entry->section, key_sections[i].name, key_sections[i].named ? " NAME" : "");
            return;
        }
    }
    diag_add(l->diag, entry->file, entry->line, "there is no key \"%s\" in [%s]", entry->key,
             entry->section);
}

/* Makes room for one more in an array of a stream, which is made in full at the first. */
static void *array_room(struct pool *pool, const void *array, size_t max, size_t size)
{
    return array != NULL ? (void *)array : pool_alloc(pool, max * size);
}

/* "tag.NAME = value" */
static int take_tag(struct loader *l, struct settings_stream *stream, const struct ini_entry *entry)
{
    const char *name = entry->key + strlen("tag.");
    struct settings_tag *tags;
    size_t i = 0;

    if (!value_is_name(name, SETTINGS_NAME_MAX)) {
        diag_add(l->diag, entry->file, entry->line,
                 "a tag's name is of at most %d letters, digits and \"_.-\" and starts with none "
                 "of \".-\": \"%s\"",
                 (int)SETTINGS_NAME_MAX, name);
        return 0;
    }
    if (strlen(entry->value) > SETTINGS_TAG_VALUE_MAX) {
        diag_add(l->diag, entry->file, entry->line, "a tag's value is at most %d bytes long",
                 (int)SETTINGS_TAG_VALUE_MAX);
        return 0;
    }
    tags = array_room(&l->settings->priv->pool, stream->tags, SETTINGS_TAGS_MAX, sizeof *tags);
    if (tags == NULL)
        return ERR_NOMEM;
    stream->tags = tags;
    while (i < stream->n_tags && strcmp(tags[i].name, name) != 0)
        i++;
    if (i == SETTINGS_TAGS_MAX) {
        diag_add(l->diag, entry->file, entry->line, "a stream has at most %d tags",
                 (int)SETTINGS_TAGS_MAX);
        return 0;
    }
    tags[i] = (struct settings_tag){name, entry->value};
    if (i == stream->n_tags)
        stream->n_tags++;
    return 0;
}

/* A key that only the stream's profile can judge. */
static int take_rest(struct loader *l, struct settings_stream *stream,
                     const struct ini_entry *entry)
{
    const struct ini_entry **rest = array_room(&l->settings->priv->pool, stream->rest,
                                               SETTINGS_REST_MAX, sizeof(struct ini_entry *));
    size_t i = 0;

    if (rest == NULL)
        return ERR_NOMEM;
    stream->rest = rest;
    while (i < stream->n_rest && strcmp(rest[i]->key, entry->key) != 0)
        i++;
    if (i == SETTINGS_REST_MAX) {
        diag_add(l->diag, entry->file, entry->line, "a stream sets at most %d keys of its profile",
                 (int)SETTINGS_REST_MAX);
        return 0;
    }
    rest[i] = entry;
    if (i == stream->n_rest)
        stream->n_rest++;
    return 0;
}

static int take_key(struct loader *l, const struct ini_entry *entry)
{
    const struct key *key;
    struct error err;
    int rc;

    if (l->target == NULL)
        return 0;
    key = keys_find(l->section, entry->key);
    if (key != NULL) {
        rc = value_read(key, entry->value, l->target, &l->settings->priv->pool, &err);
        if (rc == ERR_NOMEM)
            return rc;
        if (rc != 0)
            diag_add(l->diag, entry->file, entry->line, "%s", err.text);
        return 0;
    }
    if (l->section != &key_sections[SECTION_STREAM]) {
        refuse_key(l, entry);
        return 0;
    }
    if (strncmp(entry->key, "tag.", strlen("tag.")) == 0)
        return take_tag(l, (struct settings_stream *)(void *)l->target, entry);
    return take_rest(l, (struct settings_stream *)(void *)l->target, entry);
}

/* ---- the whole ---- */

bool keys_given(const struct settings *s, const char *section, const char *name, const char *key)
{
    for (size_t i = 0; i < ini_count(s->priv->ini); i++) {
        const struct ini_entry *entry = ini_get(s->priv->ini, i);

        if (entry->key != NULL && strcmp(entry->section, section) == 0 &&
            strcmp(entry->name, name) == 0 && strcmp(entry->key, key) == 0)
            return true;
    }
    return false;
}

static void check_tls(const struct settings_stream *stream, struct diag *diag)
{
    if (stream->tls_key != NULL && stream->tls_cert == NULL)
        diag_add(diag, stream->file, stream->line,
                 "[stream %s] has tls_key and no tls_cert: which certificate is it the key of?",
                 stream->name);
    if (stream->tls_min == SETTINGS_TLS_1_3 && !HAWSER_TLS13)
        diag_add(diag, stream->file, stream->line,
                 "[stream %s] has tls_min = 1.3, and this hawser is built with " HAWSER_TLS_LIBRARY
                 ", which has TLS 1.2 only; mbedTLS 3.6 and newer have both",
                 stream->name);
}

static void check_streams(const struct settings *s, struct diag *diag)
{
    for (size_t i = 0; i < s->n_streams; i++) {
        if (s->streams[i].profile == NULL &&
            !keys_given(s, "stream", s->streams[i].name, "profile"))
            diag_add(diag, s->streams[i].file, s->streams[i].line,
                     "[stream %s] has no profile; \"hawserctl profiles\" lists those there are",
                     s->streams[i].name);
        if (s->streams[i].proxy_password != NULL &&
            (s->streams[i].proxy == NULL || strchr(s->streams[i].proxy, '@') == NULL))
            diag_add(diag, s->streams[i].file, s->streams[i].line,
                     "[stream %s] has a proxy_password but no user for it; write "
                     "proxy = http://USER@HOST:PORT",
                     s->streams[i].name);
        check_tls(&s->streams[i], diag);
    }
}

static int interpret(struct settings *s, struct diag *diag)
{
    struct loader l = {.settings = s, .diag = diag};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ini_count(s->priv->ini); i++) {
        const struct ini_entry *entry = ini_get(s->priv->ini, i);

        rc = entry->key == NULL ? take_header(&l, entry) : take_key(&l, entry);
    }
    listen_check(s, diag);
    check_streams(s, diag);
    return rc;
}

/* FILE, then what lies in conf.d beside it. */
static int read_files(struct ini *ini, const char *path, struct diag *diag)
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash != NULL ? (int)(slash - path + 1) : 0;
    char *dir;
    int rc = ini_read_file(ini, path, diag);

    if (rc == ERR_NOMEM)
        return rc;
    if (asprintf(&dir, "%.*sconf.d", dir_len, path) < 0)
        return ERR_NOMEM;
    rc = file_read_dir(ini, dir, diag);
    free(dir);
    return rc;
}

static struct settings *new_settings(void)
{
    struct settings *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->priv = calloc(1, sizeof *s->priv);
    s->listens = calloc(LIMIT_LISTENERS, sizeof *s->listens);
    s->streams = calloc(LIMIT_STREAMS, sizeof *s->streams);
    if (s->priv != NULL)
        s->priv->ini = ini_new();
    if (s->priv != NULL && s->listens != NULL && s->streams != NULL && s->priv->ini != NULL)
        return s;
    settings_free(s);
    return NULL;
}

/* text.ptr NULL: from the file. */
static int load(const char *path, struct slice text, struct diag *diag, struct settings **out)
{
    struct settings *s = new_settings();
    int rc;

    if (s == NULL)
        return ERR_NOMEM;
    rc = set_defaults(s, &key_sections[SECTION_DAEMON], &s->daemon);
    if (rc == 0)
        rc = set_defaults(s, &key_sections[SECTION_STORE], &s->store);
    if (rc == 0)
        rc = text.ptr != NULL ? ini_read_text(s->priv->ini, path, text, diag)
                              : read_files(s->priv->ini, path, diag);
    if (rc == 0)
        rc = interpret(s, diag);
    if (rc != 0) {
        settings_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

int settings_load(const char *path, struct diag *diag, struct settings **out)
{
    return load(path, slice_make(NULL, 0), diag, out);
}

int settings_read(const char *label, struct slice text, struct diag *diag, struct settings **out)
{
    return load(label, text, diag, out);
}

void settings_free(struct settings *settings)
{
    if (settings == NULL)
        return;
    if (settings->priv != NULL) {
        ini_free(settings->priv->ini);
        pool_fini(&settings->priv->pool);
        free(settings->priv);
    }
    free(settings->listens);
    free(settings->streams);
    free(settings);
}

const struct ini *settings_ini(const struct settings *settings)
{
    return settings->priv->ini;
}

void settings_describe(void (*visit)(void *arg, const struct settings_key *key), void *arg)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        for (size_t j = 0; j < key_sections[i].n_keys; j++) {
            const struct key *key = &key_sections[i].keys[j];
            struct settings_key row = {key_sections[i].name, key->name, value_type_text(key),
                                       key->default_text, key->help};

            visit(arg, &row);
        }
    }
}

const char *settings_suggest_key(const char *section, struct slice word)
{
    const struct key_section *s = keys_section(section);

    return s != NULL ? keys_suggest(s, word) : NULL;
}

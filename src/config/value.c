#include "config/value.h"

#include <ctype.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/suggest.h"
#include "base/timefmt.h"
#include "config/proxy_url.h"
#include "config/secret_source.h"

bool value_is_name(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len == 0 || len > max || text[0] == '.' || text[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x80 || (!isalnum(c) && strchr("_.-", c) == NULL))
            return false;
    }
    return true;
}

static bool holds_comment(const char *text)
{
    return strstr(text, " #") != NULL || strstr(text, " ;") != NULL ||
           strstr(text, "\t#") != NULL || strstr(text, "\t;") != NULL;
}

static int refuse(const struct key *key, const char *text, struct error *err)
{
    return error_set(err, ERR_PARSE, "%s wants %s, not \"%s\"%s", key->name, value_type_text(key),
                     text, holds_comment(text) ? "; a comment has a line of its own" : "");
}

static void *target(const struct key *key, char *section)
{
    return section + key->offset;
}

/* One line of text, of the form that the key's type asks for. */
static bool is_good_text(const struct key *key, const char *text)
{
    if (text[0] == '\0' || strchr(text, '\n') != NULL)
        return false;
    if (key->max != 0 && strlen(text) > (size_t)key->max)
        return false;
    if (key->type == KEY_PATH || key->type == KEY_SOCKET_PATH)
        return text[0] == '/';
    return key->type != KEY_NAME || value_is_name(text, SETTINGS_NAME_MAX);
}

static int keep_text(const struct key *key, const char *text, const char **out, struct pool *pool,
                     struct error *err)
{
    if (!is_good_text(key, text))
        return refuse(key, text, err);
    *out = pool_dup(pool, slice_str(text));
    return *out != NULL ? 0 : ERR_NOMEM;
}

static int read_text(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    return keep_text(key, text, target(key, section), pool, err);
}

static int read_start(const struct key *key, const char *text, char *section, struct pool *pool,
                      struct error *err)
{
    enum settings_start *start = target(key, section);
    const char **position = (const char **)(void *)(section + key->also);

    *position = NULL;
    if (strcmp(text, "now") == 0) {
        *start = SETTINGS_START_NOW;
        return 0;
    }
    if (strcmp(text, "oldest") == 0) {
        *start = SETTINGS_START_OLDEST;
        return 0;
    }
    *start = SETTINGS_START_POSITION;
    return keep_text(key, text, position, pool, err);
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '\n';
}

static int read_list(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    const char **words = pool_alloc(pool, (SETTINGS_LIST_MAX + 1) * sizeof *words);
    size_t n = 0;

    if (words == NULL)
        return ERR_NOMEM;
    for (;;) {
        size_t len = 0;

        while (is_separator(*text))
            text++;
        if (*text == '\0')
            break;
        while (text[len] != '\0' && !is_separator(text[len]))
            len++;
        if (n == SETTINGS_LIST_MAX)
            return error_set(err, ERR_PARSE, "%s wants at most %d words", key->name,
                             (int)SETTINGS_LIST_MAX);
        words[n] = pool_dup(pool, slice_make(text, len));
        if (words[n++] == NULL)
            return ERR_NOMEM;
        text += len;
    }
    if (n == 0)
        return refuse(key, "", err);
    *(const char *const **)target(key, section) = words;
    return 0;
}

/* "sha256/BASE64", with two slashes as curl writes it, or the base64 alone. */
static int read_pin(const struct key *key, const char *word, uint8_t out[SETTINGS_PIN_SIZE],
                    struct error *err)
{
    static const char prefix[] = "sha256/";
    const char *text = word;
    struct buf bytes;
    int rc;

    if (strncmp(text, prefix, sizeof prefix - 1) == 0)
        text += sizeof prefix - 1;
    /* The base64 may begin with a slash too. */
    if (text != word && strlen(text) == base64_encoded_len(SETTINGS_PIN_SIZE) + 1 && text[0] == '/')
        text++;
    buf_init(&bytes, SETTINGS_PIN_SIZE);
    rc = base64_decode(&bytes, slice_str(text));
    if (rc == 0 && bytes.len == SETTINGS_PIN_SIZE)
        memcpy(out, bytes.data, SETTINGS_PIN_SIZE);
    else if (rc != ERR_NOMEM)
        rc = refuse(key, word, err);
    buf_fini(&bytes);
    return rc;
}

static int read_pins(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    uint8_t(*pins)[SETTINGS_PIN_SIZE] = pool_alloc(pool, SETTINGS_PINS_MAX * sizeof *pins);
    const char *const *words;
    struct key list = {.name = key->name, .type = KEY_LIST};
    size_t n = 0;
    int rc = read_list(&list, text, (char *)&words, pool, err);

    if (rc != 0)
        return rc == ERR_PARSE && text[0] == '\0' ? refuse(key, text, err) : rc;
    if (pins == NULL)
        return ERR_NOMEM;
    for (; words[n] != NULL; n++) {
        if (n == SETTINGS_PINS_MAX)
            return error_set(err, ERR_PARSE, "%s wants at most %d pins", key->name,
                             (int)SETTINGS_PINS_MAX);
        rc = read_pin(key, words[n], pins[n], err);
        if (rc != 0)
            return rc;
    }
    *(const uint8_t(**)[SETTINGS_PIN_SIZE])target(key, section) =
        (const uint8_t(*)[SETTINGS_PIN_SIZE])pins;
    *(size_t *)(void *)(section + key->also) = n;
    return 0;
}

/* "wants yes or no, not "yse"; did you mean "yes"?" */
static int refuse_word(const struct key *key, const char *text, const char *const *words, size_t n,
                       struct error *err)
{
    char list[64] = "";
    const char *near = suggest(slice_str(text), words, n);
    size_t len = 0;

    for (size_t i = 0; i < n && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s",
                                i == 0       ? ""
                                : i + 1 == n ? " or "
                                             : ", ",
                                words[i]);
    if (near != NULL)
        return error_set(err, ERR_PARSE, "%s wants %s, not \"%s\"; did you mean \"%s\"?", key->name,
                         list, text, near);
    return error_set(err, ERR_PARSE, "%s wants %s, not \"%s\"", key->name, list, text);
}

/* The place of `text` among the words. */
static int find_word(const struct key *key, const char *text, const char *const *words, size_t n,
                     unsigned *out, struct error *err)
{
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(words[i], text) == 0) {
            *out = i;
            return 0;
        }
    }
    return refuse_word(key, text, words, n, err);
}

static int read_bool(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    static const char *const words[] = {"no", "yes"};
    unsigned place;
    int rc = find_word(key, text, words, 2, &place, err);

    if (rc == 0)
        *(bool *)target(key, section) = place == 1;
    return rc;
}

static int read_choice(const struct key *key, const char *text, char *section, struct pool *pool,
                       struct error *err)
{
    unsigned n = 0, place;
    int rc;

    while (n < KEY_WORDS_MAX && key->words[n] != NULL)
        n++;
    rc = find_word(key, text, key->words, n, &place, err);
    if (rc != 0)
        return rc;
    /* The target's type is any enum, all of which are as large. */
    _Static_assert(sizeof(enum settings_deliver) == sizeof place &&
                       sizeof(enum settings_protocol) == sizeof place &&
                       sizeof(enum settings_tls) == sizeof place,
                   "an enum is as large as an unsigned");
    memcpy(target(key, section), &place, sizeof place);
    return 0;
}

static int read_log_level(const struct key *key, const char *text, char *section, struct pool *pool,
                          struct error *err)
{
    const char *words[LOG_LEVEL_DEBUG + 1];
    unsigned place;
    int rc;

    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
        words[level] = log_level_name((enum log_level)level);
    rc = find_word(key, text, words, LOG_LEVEL_DEBUG + 1, &place, err);
    if (rc != 0)
        return rc;
    *(enum log_level *)target(key, section) = (enum log_level)place;
    if (key->also != 0)
        *(bool *)(section + key->also) = true;
    return 0;
}

typedef void (*scale_writer)(int64_t value, char *out, size_t size);

static void write_duration(int64_t value, char *out, size_t size)
{
    duration_format(value, out, size);
}

/* In the largest unit that it is a whole number of. */
static void write_size(int64_t value, char *out, size_t size)
{
    static const char units[] = {'G', 'M', 'K'};

    for (unsigned i = 0; value != 0 && i < sizeof units; i++) {
        int64_t unit = INT64_C(1) << (30 - 10 * i);

        if (value % unit == 0) {
            snprintf(out, size, "%lld%c", (long long)(value / unit), units[i]);
            return;
        }
    }
    snprintf(out, size, "%lld", (long long)value);
}

static void write_number(int64_t value, char *out, size_t size)
{
    snprintf(out, size, "%lld", (long long)value);
}

static void write_percent(int64_t value, char *out, size_t size)
{
    snprintf(out, size, "%lld%%", (long long)value);
}

/* Judges a number that a parser has read with result `rc`. */
static int check_number(const struct key *key, const char *text, int rc, int64_t value,
                        scale_writer write, struct error *err)
{
    char min[32], max[32];

    if (rc == ERR_PARSE)
        return refuse(key, text, err);
    if (rc == 0 && value >= key->min && value <= key->max)
        return 0;
    write(key->min, min, sizeof min);
    write(key->max, max, sizeof max);
    return error_set(err, ERR_PARSE, "%s wants %s to %s, not \"%s\"", key->name, min, max, text);
}

static int read_duration(const struct key *key, const char *text, char *section, struct pool *pool,
                         struct error *err)
{
    int64_t value = 0;
    int rc = duration_parse(slice_str(text), &value);

    rc = check_number(key, text, rc, value, write_duration, err);
    if (rc == 0)
        *(int64_t *)target(key, section) = value;
    return rc;
}

static int read_never(const struct key *key, const char *text, char *section, struct pool *pool,
                      struct error *err)
{
    if (strcmp(text, "never") != 0)
        return read_duration(key, text, section, pool, err);
    *(int64_t *)target(key, section) = -1;
    return 0;
}

static int read_size(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    uint64_t value = 0;
    int rc = size_parse(slice_str(text), &value);

    if (rc == 0 && value > INT64_MAX)
        rc = ERR_LIMIT;
    rc = check_number(key, text, rc, (int64_t)value, write_size, err);
    if (rc == 0)
        *(uint64_t *)target(key, section) = value;
    return rc;
}

static int read_unsigned(const struct key *key, const char *text, struct slice digits,
                         scale_writer write, unsigned *out, struct error *err)
{
    int64_t value = 0;
    int rc = slice_parse_i64(digits, &value);

    rc = check_number(key, text, rc, value, write, err);
    if (rc == 0)
        *out = (unsigned)value;
    return rc;
}

static int read_count(const struct key *key, const char *text, char *section, struct pool *pool,
                      struct error *err)
{
    return read_unsigned(key, text, slice_str(text), write_number, target(key, section), err);
}

static int read_percent(const struct key *key, const char *text, char *section, struct pool *pool,
                        struct error *err)
{
    struct slice digits = slice_str(text);

    if (digits.len == 0 || digits.ptr[digits.len - 1] != '%')
        return refuse(key, text, err);
    digits.len--;
    return read_unsigned(key, text, digits, write_percent, target(key, section), err);
}

static int read_mode(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    size_t len = strlen(text);
    unsigned mode = 0;

    if (len < 3 || len > 4 || (len == 4 && text[0] != '0'))
        return refuse(key, text, err);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '7')
            return refuse(key, text, err);
        mode = mode * 8 + (unsigned)(text[i] - '0');
    }
    *(unsigned *)target(key, section) = mode;
    return 0;
}

static int read_flag(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    unsigned place;
    int rc = find_word(key, text, key->words, 2, &place, err);

    if (rc == 0)
        *(bool *)target(key, section) = place == 1;
    return rc;
}

static int read_rate(const struct key *key, const char *text, char *section, struct pool *pool,
                     struct error *err)
{
    uint64_t count = 0;
    int64_t period_ms = 0;
    int rc = rate_parse(slice_str(text), &count, &period_ms);

    if (rc == ERR_PARSE)
        return refuse(key, text, err);
    if (rc != 0 || count < (uint64_t)key->min || count > (uint64_t)key->max ||
        period_ms > SETTINGS_RATE_PERIOD_MAX_MS)
        return error_set(err, ERR_PARSE, "%s wants %lld to %lld in at most %d days, not \"%s\"",
                         key->name, (long long)key->min, (long long)key->max,
                         (int)(SETTINGS_RATE_PERIOD_MAX_MS / (86400 * 1000)), text);
    *(unsigned *)target(key, section) = (unsigned)count;
    *(int64_t *)(void *)(section + key->also) = period_ms;
    return 0;
}

static int read_proxy(const struct key *key, const char *text, char *section, struct pool *pool,
                      struct error *err)
{
    struct proxy_url url;
    struct error why = {0};

    if (text[0] == '\0')
        return refuse(key, text, err);
    if (strcmp(text, "none") == 0)
        return keep_text(key, text, target(key, section), pool, err);
    if (proxy_url_parse(text, &url, &why) == 0 && url.has_password) {
        explicit_bzero(&url, sizeof url);
        return error_set(err, ERR_PARSE,
                         "%s: a password is not written into the configuration itself; write "
                         "http://USER@HOST:PORT, and proxy_password = file:/PATH or "
                         "credential:NAME",
                         key->name);
    }
    explicit_bzero(&url, sizeof url);
    if (why.code != 0)
        return error_set(err, ERR_PARSE, "%s: %s", key->name, why.text);
    return keep_text(key, text, target(key, section), pool, err);
}

static int read_secret(const struct key *key, const char *text, char *section, struct pool *pool,
                       struct error *err)
{
    const char *why = NULL;

    if (text[0] == '\0')
        return refuse(key, text, err);
    if (!secret_source_ok(text, &why))
        return error_set(err, ERR_PARSE, "%s: %s", key->name, why);
    if (slice_starts_with(slice_str(text), SLICE("exec:")))
        return error_set(err, ERR_PARSE,
                         "%s: exec: is not for this key; file:, credential: or env: are",
                         key->name);
    return keep_text(key, text, target(key, section), pool, err);
}

static const struct {
    const char *text;
    int (*read)(const struct key *key, const char *text, char *section, struct pool *pool,
                struct error *err);
} types[] = {
    [KEY_TEXT] = {"some text", read_text},
    [KEY_NAME] = {"a name of letters, digits and \"_.-\"", read_text},
    [KEY_PATH] = {"an absolute path", read_text},
    [KEY_SOCKET_PATH] = {"an absolute path of at most 107 bytes", read_text},
    [KEY_LIST] = {"words separated by blanks or commas", read_list},
    [KEY_BOOL] = {"yes or no", read_bool},
    [KEY_CHOICE] = {"one of its words", read_choice},
    [KEY_LOG_LEVEL] = {"error, warning, notice, info or debug", read_log_level},
    [KEY_START] = {"now, oldest or a position of at most 512 bytes", read_start},
    [KEY_DURATION] = {"a duration (500ms, 30s, 5m, 24h, 7d)", read_duration},
    [KEY_NEVER] = {"a duration (500ms, 30s, 5m, 24h, 7d) or never", read_never},
    [KEY_SIZE] = {"a size (64K, 16M, 2G)", read_size},
    [KEY_COUNT] = {"a whole number", read_count},
    [KEY_PERCENT] = {"a percentage (5%)", read_percent},
    [KEY_MODE] = {"octal permissions (0660)", read_mode},
    [KEY_FLAG] = {"one of its words", read_flag},
    [KEY_PROXY] = {"a proxy (http://HOST:PORT) or none", read_proxy},
    [KEY_SECRET] = {"a secret's place (file:, credential:, env:)", read_secret},
    [KEY_PINS] = {"sha256/ and 44 characters of base64, one or more of them", read_pins},
    [KEY_RATE] = {"so many in a time (20/s, 300/5m, 1000/24h)", read_rate},
};

const char *value_type_text(const struct key *key)
{
    return types[key->type].text;
}

int value_read(const struct key *key, const char *text, void *section, struct pool *pool,
               struct error *err)
{
    return types[key->type].read(key, text, section, pool, err);
}

#include "config/ini.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "config/pool.h"

struct ini {
    struct pool pool;
    struct ini_entry *entries;
    size_t n;
    size_t cap;
};

/* What an indented line would continue. */
enum continues {
    CONTINUES_NOTHING,
    CONTINUES_VALUE,
    CONTINUES_FAULT, /* a line that was refused: what belongs to it is passed over */
};

enum place {
    PLACE_OUTSIDE, /* of any section */
    PLACE_INSIDE,
    PLACE_FAULT, /* after a header that was refused */
};

struct reader {
    struct ini *ini;
    struct diag *diag;
    enum place place;
    enum continues continues;
    struct ini_entry at; /* the section, the file and the line that is read */
    struct ini_entry entry;
    struct buf
        value; /* of `entry`, which is complete only when the next line begins no more of it */
};

struct ini *ini_new(void)
{
    return calloc(1, sizeof(struct ini));
}

void ini_free(struct ini *ini)
{
    if (ini == NULL)
        return;
    pool_fini(&ini->pool);
    free(ini->entries);
    free(ini);
}

size_t ini_count(const struct ini *ini)
{
    return ini->n;
}

const struct ini_entry *ini_get(const struct ini *ini, size_t i)
{
    return i < ini->n ? &ini->entries[i] : NULL;
}

static int append_entry(struct ini *ini, const struct ini_entry *entry)
{
    if (ini->n == ini->cap) {
        size_t cap = ini->cap != 0 ? ini->cap * 2 : 64;
        struct ini_entry *entries = reallocarray(ini->entries, cap, sizeof *entries);

        if (entries == NULL)
            return ERR_NOMEM;
        ini->entries = entries;
        ini->cap = cap;
    }
    ini->entries[ini->n++] = *entry;
    return 0;
}

#define fault(r, ...) diag_add((r)->diag, (r)->at.file, (r)->at.line, __VA_ARGS__)

/* Whatever value was being read is complete. */
static int finish_value(struct reader *r)
{
    if (r->continues != CONTINUES_VALUE)
        return 0;
    r->continues = CONTINUES_NOTHING;
    r->entry.value = pool_dup(&r->ini->pool, buf_slice(&r->value));
    if (r->entry.value == NULL)
        return ERR_NOMEM;
    return append_entry(r->ini, &r->entry);
}

static bool is_word(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '_' && c != '-')
            return false;
    }
    return s.len != 0;
}

/* "[section]" or "[section name]"; `line` starts with '['. */
static int read_header(struct reader *r, struct slice line)
{
    struct slice inner, word;
    struct ini_entry header = {.file = r->at.file, .line = r->at.line};

    r->place = PLACE_FAULT;
    if (line.ptr[line.len - 1] != ']') {
        fault(r, "a section's line ends with \"]\", not as in \"" SLICE_FMT "\"", SLICE_ARG(line));
        return 0;
    }
    inner = slice_trim(slice_make(line.ptr + 1, line.len - 2));
    word = inner;
    for (size_t i = 0; i < inner.len && word.len == inner.len; i++) {
        if (inner.ptr[i] == ' ' || inner.ptr[i] == '\t')
            word.len = i;
    }
    if (!is_word(word)) {
        fault(r, "a section is written [section] or [section name], not \"" SLICE_FMT "\"",
              SLICE_ARG(line));
        return 0;
    }
    r->place = PLACE_INSIDE;
    header.section = pool_dup(&r->ini->pool, word);
    header.name = pool_dup(&r->ini->pool, slice_trim(slice_from(inner, word.len)));
    if (header.section == NULL || header.name == NULL)
        return ERR_NOMEM;
    r->at = header;
    return append_entry(r->ini, &header);
}

/* "key = value". */
static int read_key(struct reader *r, struct slice line)
{
    const char *equals = slice_find_byte(line, '=');
    size_t key_len = equals != NULL ? (size_t)(equals - line.ptr) : line.len;
    struct slice key = slice_trim(slice_make(line.ptr, key_len));

    r->continues = CONTINUES_FAULT;
    if (equals == NULL || key.len == 0) {
        fault(r, "neither [section] nor key = value nor # comment: \"" SLICE_FMT "\"",
              SLICE_ARG(line));
        return 0;
    }
    if (r->place == PLACE_OUTSIDE)
        fault(r, "stands before any [section]: \"" SLICE_FMT "\"", SLICE_ARG(line));
    if (r->place != PLACE_INSIDE)
        return 0;
    r->entry = r->at;
    r->entry.key = pool_dup(&r->ini->pool, key);
    if (r->entry.key == NULL)
        return ERR_NOMEM;
    r->continues = CONTINUES_VALUE;
    buf_clear(&r->value);
    return buf_append_slice(&r->value, slice_trim(slice_from(line, key_len + 1)));
}

/* An indented line. */
static int read_more(struct reader *r, struct slice line)
{
    int rc = 0;

    if (r->continues == CONTINUES_NOTHING) {
        fault(r,
              "an indented line continues the value in the line before it, and there is none; take "
              "the blanks before it away: \"" SLICE_FMT "\"",
              SLICE_ARG(line));
        r->continues = CONTINUES_FAULT;
    }
    if (r->continues == CONTINUES_FAULT)
        return 0;
    if (r->value.len != 0)
        rc = buf_append_byte(&r->value, '\n');
    return rc == 0 ? buf_append_slice(&r->value, line) : rc;
}

/* Whether a line is text that may stand in a file of ours; says so if not. */
static bool is_text(struct reader *r, struct slice line)
{
    if (line.len > LIMIT_INI_LINE) {
        fault(r, "the line is %zu bytes long, at most %d are read", line.len, (int)LIMIT_INI_LINE);
        return false;
    }
    if (!utf8_valid(line.ptr, line.len)) {
        fault(r, "the line is not UTF-8");
        return false;
    }
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            fault(r, "the line holds a control character (byte 0x%02x)", (unsigned)c);
            return false;
        }
    }
    return true;
}

static int read_line(struct reader *r, struct slice line)
{
    bool indented = line.len != 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
    bool good = is_text(r, line);
    int rc;

    line = slice_trim(line);
    /* Wherever it starts, a comment does not end a value: so a line of one can be commented out. */
    if (good && line.len != 0 && (line.ptr[0] == '#' || line.ptr[0] == ';'))
        return 0;
    if (indented && line.len != 0)
        return good ? read_more(r, line) : 0;
    rc = finish_value(r);
    if (rc != 0)
        return rc;
    /* What continues a refused line would only be refused too. */
    r->continues = good ? CONTINUES_NOTHING : CONTINUES_FAULT;
    if (!good || line.len == 0)
        return 0;
    return line.ptr[0] == '[' ? read_header(r, line) : read_key(r, line);
}

static int compare_entries(const void *a, const void *b)
{
    const struct ini_entry *x = *(const struct ini_entry *const *)a;
    const struct ini_entry *y = *(const struct ini_entry *const *)b;
    int order = strcmp(x->section, y->section);

    if (order == 0)
        order = strcmp(x->name, y->name);
    if (order == 0)
        order = strcmp(x->key, y->key);
    if (order == 0)
        order = x->line < y->line ? -1 : 1;
    return order;
}

static bool is_same_key(const struct ini_entry *a, const struct ini_entry *b)
{
    return strcmp(a->section, b->section) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->key, b->key) == 0;
}

/* Of the entries from `first` on, all of one file, none may set what another has set. */
static int check_duplicates(const struct ini *ini, size_t first, struct diag *diag)
{
    size_t n = 0;
    const struct ini_entry **sorted;

    if (ini->n == first)
        return 0;
    sorted = reallocarray(NULL, ini->n - first, sizeof *sorted);
    if (sorted == NULL)
        return ERR_NOMEM;
    for (size_t i = first; i < ini->n; i++) {
        if (ini->entries[i].key != NULL)
            sorted[n++] = &ini->entries[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_entries);
    for (size_t i = 1; i < n; i++) {
        if (is_same_key(sorted[i - 1], sorted[i]))
            diag_add(diag, sorted[i]->file, sorted[i]->line,
                     "line %u has set this key already: \"%s\"", sorted[i - 1]->line,
                     sorted[i]->key);
    }
    free(sorted);
    return 0;
}

static int read_lines(struct reader *r, struct slice text)
{
    int rc = 0;

    if (slice_starts_with(text, SLICE("\xEF\xBB\xBF")))
        text = slice_from(text, 3);
    while (rc == 0 && text.len != 0) {
        const char *newline = slice_find_byte(text, '\n');
        size_t len = newline != NULL ? (size_t)(newline - text.ptr) : text.len;
        struct slice line = slice_make(text.ptr, len);

        if (line.len != 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        r->at.line++;
        rc = read_line(r, line);
        text = slice_from(text, len + 1);
    }
    return rc == 0 ? finish_value(r) : rc;
}

int ini_read_text(struct ini *ini, const char *file_label, struct slice text, struct diag *diag)
{
    struct reader r = {.ini = ini, .diag = diag};
    size_t first = ini->n;
    int rc;

    if (text.len > LIMIT_INI_FILE) {
        diag_add(diag, file_label, 0, "the file is longer than the %d bytes that are read",
                 (int)LIMIT_INI_FILE);
        return ERR_LIMIT;
    }
    r.at.file = pool_dup(&ini->pool, slice_str(file_label));
    if (r.at.file == NULL)
        return ERR_NOMEM;
    buf_init(&r.value, LIMIT_INI_FILE);
    rc = read_lines(&r, text);
    buf_fini(&r.value);
    return rc == 0 ? check_duplicates(ini, first, diag) : rc;
}

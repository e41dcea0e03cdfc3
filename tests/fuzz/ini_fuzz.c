/*
 * Any bytes as the text of an INI file: whatever is kept is text, has a section and a line, and
 * written out again is read as the same entries without a fault.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "config/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "ini_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

static void check_entry(const struct ini_entry *entry)
{
    CHECK(entry->line > 0);
    CHECK(entry->section[0] != '\0');
    CHECK(entry->name != NULL);
    CHECK((entry->key == NULL) == (entry->value == NULL));
    if (entry->key == NULL)
        return;
    CHECK(entry->key[0] != '\0' && utf8_valid(entry->key, strlen(entry->key)));
    CHECK(utf8_valid(entry->value, strlen(entry->value)));
    for (const char *p = entry->value; *p != '\0'; p++)
        CHECK((unsigned char)*p >= 0x20 || *p == '\n' || *p == '\t');
}

/* The entry as a file would hold it. */
static void write_entry(struct buf *out, const struct ini_entry *entry)
{
    if (entry->key == NULL) {
        CHECK(buf_appendf(out, "[%s %s]\n", entry->section, entry->name) == 0);
        return;
    }
    CHECK(buf_appendf(out, "%s = ", entry->key) == 0);
    for (const char *p = entry->value; *p != '\0'; p++)
        CHECK(buf_append_str(out, *p == '\n' ? "\n  " : (char[]){*p, '\0'}) == 0);
    CHECK(buf_append_byte(out, '\n') == 0);
}

static void check_same(const struct ini *a, const struct ini *b)
{
    CHECK(ini_count(a) == ini_count(b));
    for (size_t i = 0; i < ini_count(a); i++) {
        const struct ini_entry *x = ini_get(a, i);
        const struct ini_entry *y = ini_get(b, i);

        CHECK(strcmp(x->section, y->section) == 0 && strcmp(x->name, y->name) == 0);
        CHECK((x->key == NULL) == (y->key == NULL));
        CHECK(x->key == NULL || strcmp(x->key, y->key) == 0);
        CHECK(x->key == NULL || strcmp(x->value, y->value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ini *first = ini_new(), *second = ini_new();
    struct diag *diag = diag_new();
    struct buf text;
    size_t faults;

    CHECK(first != NULL && second != NULL && diag != NULL);
    buf_init(&text, BUF_UNBOUNDED);
    ini_read_text(first, "fuzz", slice_make((const char *)data, size), diag);
    faults = diag_count(diag);
    for (size_t i = 0; i < ini_count(first); i++) {
        check_entry(ini_get(first, i));
        write_entry(&text, ini_get(first, i));
    }
    CHECK(ini_read_text(second, "again", buf_slice(&text), diag) == 0);
    check_same(first, second);
    /* What the first reading refused is gone, but for keys that are set twice. */
    CHECK(diag_count(diag) <= 2 * faults);
    ini_free(first);
    ini_free(second);
    diag_free(diag);
    buf_fini(&text);
    return 0;
}

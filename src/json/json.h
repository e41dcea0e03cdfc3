/*
 * json: a strict RFC 8259 scanner, and a writer.
 *
 * Decides: what is well-formed JSON (UTF-8 checked, no byte order mark, depth bounded by
 * LIMIT_JSON_DEPTH), and where in a text the values named by a set of RFC 6901 pointers lie, in
 * one pass over the bytes. Values come back as byte-exact slices of the input. A lone surrogate
 * can be written as an escape (RFC 8259, section 8.2), so such a text is accepted; decoded it
 * becomes U+FFFD, so that what leaves here is always UTF-8. Numbers are of any size.
 * Leaves: what the values mean, to profile.
 * Owns: nothing of the input; a json_paths owns its compiled pointers.
 * Fails: ERR_PARSE with the byte offset of the first wrong byte.
 *
 * json_scan neither allocates nor recurses.
 */
#ifndef HAWSER_JSON_JSON_H
#define HAWSER_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

enum json_type {
    JSON_ABSENT = 0, /* the pointer names nothing in this text */
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* One value inside a scanned text: borrowed, byte for byte (a string with its quotes). */
struct json_value {
    enum json_type type;
    bool escaped; /* a string that holds at least one backslash escape */
    struct slice raw;
};

/* A compiled set of JSON Pointers; slot numbers are handed out 0, 1, 2, ... */
struct json_paths;

int json_paths_new(struct json_paths **out);
void json_paths_free(struct json_paths *paths);
/* Adds an RFC 6901 pointer ("" is the whole text); an equal pointer gets its old slot. A token
 * such as "0" is a member's name in an object, and an index in an array; "-" is no element.
 * ERR_PARSE for a bad pointer (no leading '/', "~" not followed by 0 or 1), ERR_NOMEM. */
int json_paths_add(struct json_paths *paths, struct slice pointer, unsigned *slot,
                   struct error *err);
unsigned json_paths_count(const struct json_paths *paths);

/*
 * Checks the whole text and fills slots[0..count-1] in the same pass. Of duplicate member names
 * the last wins. On ERR_PARSE *error_offset (may be NULL) is the byte where it went wrong, of a
 * bad UTF-8 character its first, of a text that stops too early its length; the slots are then
 * unspecified. paths may be NULL: only checks.
 */
int json_scan(const struct json_paths *paths, struct slice text, struct json_value *slots,
              size_t *error_offset);

/* The text of a string value, unescaped to UTF-8; appended to out. It may hold a NUL. ERR_INVAL if
 * not a string, or as buf_append fails; then nothing is appended. */
int json_string_decode(const struct json_value *value, struct buf *out);
/* True if value is a string whose decoded text equals `text`. */
bool json_string_eq(const struct json_value *value, struct slice text);
/* An integer number (no fraction, no exponent) or ERR_INVAL / ERR_LIMIT when over int64. */
int json_int64(const struct json_value *value, int64_t *out);

/* Walks the elements of an array slice that a scan has already checked.
 * struct json_iter it = json_iter_array(value); while (json_iter_next(&it, &element)) ... */
struct json_iter {
    const char *at, *end;
};
struct json_iter json_iter_array(const struct json_value *array);
bool json_iter_next(struct json_iter *it, struct json_value *element);
/* The same over an object's members; `name` is the raw string value of the member's name. */
struct json_iter json_iter_object(const struct json_value *object);
bool json_iter_next_member(struct json_iter *it, struct json_value *name, struct json_value *value);

/* Writer: appends `text` as a JSON string with its quotes. Input that is not UTF-8 has each
 * invalid byte replaced by U+FFFD, so that the output is always valid. Fails as buf_append does,
 * then nothing is appended. */
int json_write_string(struct buf *out, struct slice text);
/* Appends checked JSON on one line: raw CR and LF (legal only between tokens) become spaces. */
int json_write_flat(struct buf *out, struct slice checked_json);

#endif

/*
 * json against jansson: both accept the same texts, find the same values at the same places, and
 * read the same strings and numbers. Known differences:
 *
 * - jansson refuses the escape of a lone surrogate, which we accept and decode as U+FFFD;
 * - jansson refuses a member name that holds a NUL;
 * - jansson refuses a number that does not fit a double, we keep its digits;
 * - jansson nests 2048 deep, we LIMIT_JSON_DEPTH;
 * - jansson loses a NUL byte behind a number or a literal, which we refuse as any other.
 *
 * A broken promise ends the process, as libFuzzer wants it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "json/json.h"

/*
 * Both name their types alike, so jansson's are given other names here. Its json_is_...() macros
 * expand to the names as they stand later, and are not to be used.
 */
#define JSON_OBJECT THEIR_OBJECT
#define JSON_ARRAY THEIR_ARRAY
#define JSON_STRING THEIR_STRING
#define JSON_INTEGER THEIR_INTEGER
#define JSON_REAL THEIR_REAL
#define JSON_TRUE THEIR_TRUE
#define JSON_FALSE THEIR_FALSE
#define JSON_NULL THEIR_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_INTEGER
#undef JSON_REAL
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { POINTERS_MAX = 64 /* of one text that are looked up */ };

#define CHECK(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *what, int line)
{
    fprintf(stderr, "json_fuzz.c:%d: does not hold: %s\n", line, what);
    abort();
}

/* Where a value of jansson's tree lies, as a pointer. */
struct place {
    const json_t *value;
    unsigned slot;
};

struct places {
    struct json_paths *paths;
    struct buf pointer; /* of the value that is visited */
    struct place list[POINTERS_MAX];
    size_t n;
};

static void append_token(struct buf *pointer, const char *name)
{
    CHECK(buf_append_byte(pointer, '/') == 0);
    for (; *name != '\0'; name++) {
        if (*name == '~' || *name == '/')
            CHECK(buf_append_str(pointer, *name == '~' ? "~0" : "~1") == 0);
        else
            CHECK(buf_append_byte(pointer, *name) == 0);
    }
}

/* Notes the pointers of a tree, parents first. Its depth is within ours, so recursion is. */
static void note_places(struct places *places, const json_t *value)
{
    size_t len = places->pointer.len;
    size_t index;
    json_t *child;

    if (places->n == POINTERS_MAX)
        return;
    places->list[places->n].value = value;
    CHECK(json_paths_add(places->paths, buf_slice(&places->pointer), &places->list[places->n].slot,
                         NULL) == 0);
    places->n++;
    if (json_typeof(value) == THEIR_OBJECT) {
        for (void *at = json_object_iter((json_t *)value); at != NULL;
             at = json_object_iter_next((json_t *)value, at)) {
            append_token(&places->pointer, json_object_iter_key(at));
            note_places(places, json_object_iter_value(at));
            places->pointer.len = len;
        }
    }
    json_array_foreach((json_t *)value, index, child)
    {
        CHECK(buf_appendf(&places->pointer, "/%zu", index) == 0);
        note_places(places, child);
        places->pointer.len = len;
    }
}

static void check_string(const struct json_value *ours, const json_t *theirs)
{
    struct slice want = slice_make(json_string_value(theirs), json_string_length(theirs));
    struct buf text;

    buf_init(&text, BUF_UNBOUNDED);
    CHECK(json_string_decode(ours, &text) == 0);
    CHECK(slice_eq(buf_slice(&text), want));
    CHECK(json_string_eq(ours, want));
    buf_fini(&text);
}

static void check_number(const struct json_value *ours, const json_t *theirs)
{
    char *digits = slice_dup(ours->raw);
    int64_t integer;

    CHECK(digits != NULL);
    CHECK(strtod(digits, NULL) == json_real_value(theirs));
    if (json_int64(ours, &integer) == 0)
        CHECK(integer == strtoll(digits, NULL, 10));
    free(digits);
}

/* Ours is what theirs is; what lies inside containers has places of its own. */
static void check_value(const struct json_value *ours, const json_t *theirs)
{
    switch (json_typeof(theirs)) {
    case THEIR_OBJECT:
        CHECK(ours->type == JSON_OBJECT);
        break;
    case THEIR_ARRAY:
        CHECK(ours->type == JSON_ARRAY);
        break;
    case THEIR_STRING:
        CHECK(ours->type == JSON_STRING);
        check_string(ours, theirs);
        break;
    case THEIR_INTEGER:
        broken("an integer, though reals were asked for", __LINE__);
        break;
    case THEIR_REAL:
        CHECK(ours->type == JSON_NUMBER);
        check_number(ours, theirs);
        break;
    case THEIR_TRUE:
        CHECK(ours->type == JSON_TRUE);
        break;
    case THEIR_FALSE:
        CHECK(ours->type == JSON_FALSE);
        break;
    case THEIR_NULL:
        CHECK(ours->type == JSON_NULL);
        break;
    }
}

static void check_places(struct slice text, const json_t *tree)
{
    struct places places = {.n = 0};
    struct json_value slots[POINTERS_MAX];

    CHECK(json_paths_new(&places.paths) == 0);
    buf_init(&places.pointer, BUF_UNBOUNDED);
    note_places(&places, tree);
    CHECK(json_scan(places.paths, text, slots, NULL) == 0);
    for (size_t i = 0; i < places.n; i++)
        check_value(&slots[places.list[i].slot], places.list[i].value);
    buf_fini(&places.pointer);
    json_paths_free(places.paths);
}

/* Each value that a walk yields is a text of its own. */
static void check_walk(const struct json_value *value)
{
    struct json_iter it = json_iter_array(value);
    struct json_value name, part;

    CHECK(json_scan(NULL, value->raw, NULL, NULL) == 0);
    while (json_iter_next(&it, &part))
        CHECK(json_scan(NULL, part.raw, NULL, NULL) == 0);
    it = json_iter_object(value);
    while (json_iter_next_member(&it, &name, &part)) {
        CHECK(name.type == JSON_STRING);
        CHECK(json_scan(NULL, name.raw, NULL, NULL) == 0);
        CHECK(json_scan(NULL, part.raw, NULL, NULL) == 0);
    }
}

/* What we accept can be walked, and written on one line without changing its meaning. */
static void check_accepted(struct slice text)
{
    struct json_paths *paths;
    struct json_value whole, flat;
    struct buf line;
    unsigned slot;

    CHECK(json_paths_new(&paths) == 0);
    CHECK(json_paths_add(paths, SLICE(""), &slot, NULL) == 0);
    CHECK(json_scan(paths, text, &whole, NULL) == 0);
    check_walk(&whole);
    buf_init(&line, BUF_UNBOUNDED);
    CHECK(json_write_flat(&line, text) == 0);
    CHECK(slice_find_byte(buf_slice(&line), '\n') == NULL);
    CHECK(json_scan(paths, buf_slice(&line), &flat, NULL) == 0);
    CHECK(flat.type == whole.type && flat.raw.len == whole.raw.len);
    buf_fini(&line);
    json_paths_free(paths);
}

/* Any bytes at all can be written as a string, which is then JSON. */
static void check_writer(struct slice bytes)
{
    struct buf json;

    buf_init(&json, BUF_UNBOUNDED);
    CHECK(json_write_string(&json, bytes) == 0);
    CHECK(json_scan(NULL, buf_slice(&json), NULL, NULL) == 0);
    buf_fini(&json);
}

/* Containers that are open where a well-formed text stands at `at`. */
static size_t depth_at(struct slice text, size_t at)
{
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < at; i++) {
        char c = text.ptr[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{'))
            depth++;
        else if (!quoted && (c == ']' || c == '}'))
            depth--;
    }
    return depth;
}

/* Whether jansson refused the text for one of its own limits: then it has not judged the rest. */
static bool is_limit_of_theirs(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_null_byte_in_key:
    case json_error_numeric_overflow:
    case json_error_stack_overflow:
        return true;
    default:
        return strstr(error->text, "invalid Unicode") != NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_make((const char *)data, size);
    json_error_t error;
    size_t wrong = SIZE_MAX;
    int rc = json_scan(NULL, text, NULL, &wrong);
    json_t *tree = json_loadb(slice_chars(text), size,
                              JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);

    if (rc == 0)
        check_accepted(text);
    else
        CHECK(rc == ERR_PARSE && wrong <= size);
    if (rc == 0 && tree != NULL)
        check_places(text, tree);
    else if (rc == 0)
        CHECK(is_limit_of_theirs(&error));
    else if (tree != NULL)
        CHECK((wrong < size && data[wrong] == '\0') || depth_at(text, wrong) == LIMIT_JSON_DEPTH);
    json_decref(tree);
    check_writer(text);
    return 0;
}

/*
 * What one message of the wire holds: the messages of a batch, the text that another text holds
 * as a string, the elements that are events of their own.
 *
 *     frame  --batch-->  roots  --decode-->  bodies  --split-->  elements, then the body itself
 *
 * A body's rules are asked before its elements are read, since they say whether these are events
 * and rows of a snapshot; and once more when it comes itself, for what they take from it.
 */
#include "profile/scanner.h"

enum stage { STAGE_FRAME, STAGE_ROOTS, STAGE_ELEMENTS, STAGE_BODY, STAGE_END };

void profile_frame_begin(struct profile_scanner *scanner, struct slice text,
                         const struct profile_meta *meta, struct profile_frame *out)
{
    out->text = text;
    out->has_meta = meta != NULL;
    if (out->has_meta)
        out->meta = *meta;
    out->stage = STAGE_FRAME;
}

/* Without any key of [message] about frames. */
static bool next_whole(struct profile_scanner *s, struct profile_frame *frame,
                       struct profile_message *out)
{
    struct slice text = frame->text;

    frame->stage = STAGE_END;
    scanner_begin(out);
    scanner_headers(s, frame->has_meta ? &frame->meta : NULL, &text, out);
    scanner_read_message(s, text, out);
    return true;
}

/* ---- decode ---- */

/*
 * The body of a root: the text in the string at `decode`, any other value there as it is, or the
 * root itself where there is none. False: the string is no JSON, or too long; that is a fault.
 */
static bool decode(struct profile_scanner *s, struct slice root, struct slice *body,
                   struct profile_message *out)
{
    const struct framing *framing = &s->profile->priv->framing;
    const struct json_value *value;
    size_t error_offset;

    *body = root;
    if (!framing->decode)
        return true;
    value = &s->slots[LEVEL_OUTER][framing->decode_slot];
    if (value->type == JSON_ABSENT || value->type == JSON_NULL)
        return false;
    if (value->type != JSON_STRING) {
        *body = value->raw;
        return true;
    }
    *body = slice_make(value->raw.ptr + 1, value->raw.len - 2);
    if (value->escaped) {
        buf_clear(&s->decoded);
        if (json_string_decode(value, &s->decoded) != 0) {
            scanner_fault(s, out, "the text at %s is longer than %zu bytes",
                          framing->decode_pointer, s->decoded.max);
            return false;
        }
        *body = buf_slice(&s->decoded);
    }
    if (json_scan(NULL, *body, NULL, &error_offset) == 0)
        return true;
    scanner_fault(s, out, "the text at %s is no JSON: byte %zu of %zu is wrong",
                  framing->decode_pointer, error_offset, body->len);
    return false;
}

/* ---- split ---- */

/* Reads a text known to be JSON into the slots of a level, all absent where `present` is false. */
static void read_level(struct profile_scanner *s, enum level level, const struct json_paths *paths,
                       struct slice text, bool present)
{
    if (present)
        json_scan(paths, text, s->slots[level], NULL);
    else
        scanner_clear(s, level, paths);
}

/* The body as the one message it is: nothing was to be split from it. */
static bool body_alone(struct profile_scanner *s, struct profile_frame *frame, bool decoded,
                       bool odd, struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    enum verdict verdict;

    read_level(s, LEVEL_MESSAGE, priv->message.paths, frame->root, decoded);
    verdict = scanner_rules(s, out);
    out->data = frame->root;
    out->json = true;
    if (priv->framing.split && !odd)
        out->event = verdict == VERDICT_EVENT;
    else if (out->fault != NULL)
        out->event = verdict != VERDICT_IGNORE; /* what it is made of cannot be seen: keep it */
    else
        out->event = scanner_event(s, verdict);
    if (out->event || !priv->framing.split)
        scanner_fields(s, &priv->message, out);
    return true;
}

/* A root, which is JSON. True: out is a message. False: elements come, or the body. */
static bool open_root(struct profile_scanner *s, struct profile_frame *frame, struct slice root,
                      struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    const struct framing *framing = &priv->framing;
    const struct json_value *list;
    struct profile_message asked;
    bool decoded;

    if (framing->decode)
        json_scan(framing->outer_paths, root, s->slots[LEVEL_OUTER], NULL);
    decoded = decode(s, root, &frame->root, out);
    if (!decoded)
        frame->root = root;
    if (framing->split)
        read_level(s, LEVEL_FRAME, framing->frame_paths, frame->root, decoded);
    if (!framing->split || !decoded)
        return body_alone(s, frame, decoded, out->fault != NULL, out);
    list = &s->slots[LEVEL_FRAME][framing->split_slot];
    if (list->type == JSON_ABSENT || list->type == JSON_NULL)
        return body_alone(s, frame, true, false, out);
    if (list->type != JSON_ARRAY) {
        scanner_fault(s, out, "split = %s meets something else than a list",
                      framing->split_pointer);
        return body_alone(s, frame, true, true, out);
    }
    scanner_begin(&asked);
    frame->verdict = scanner_rules(s, &asked);
    frame->snapshot = asked.snapshot;
    frame->elements = json_iter_array(list);
    frame->stage = STAGE_ELEMENTS;
    return false;
}

static bool next_element(struct profile_scanner *s, struct profile_frame *frame,
                         struct profile_message *out)
{
    const struct profile_private *priv = s->profile->priv;
    struct json_value element;

    if (!json_iter_next(&frame->elements, &element)) {
        frame->stage = STAGE_BODY;
        return false;
    }
    read_level(s, LEVEL_MESSAGE, priv->message.paths, element.raw, true);
    out->json = true;
    out->data = element.raw;
    out->snapshot = frame->snapshot;
    out->event = scanner_event(s, (enum verdict)frame->verdict);
    scanner_fields(s, &priv->message, out);
    return true;
}

/* Behind its elements: what its rules do. */
static bool next_body(struct profile_scanner *s, struct profile_frame *frame,
                      struct profile_message *out)
{
    frame->stage = STAGE_ROOTS;
    scanner_clear(s, LEVEL_MESSAGE, s->profile->priv->message.paths);
    scanner_rules(s, out);
    out->json = true;
    out->data = frame->root;
    return true;
}

/* ---- batch ---- */

static bool next_root(struct profile_scanner *s, struct profile_frame *frame,
                      struct profile_message *out)
{
    struct json_value root;

    if (frame->batch.at != NULL && json_iter_next(&frame->batch, &root))
        return open_root(s, frame, root.raw, out);
    frame->stage = STAGE_END;
    return false;
}

static struct slice trim_json(struct slice text)
{
    const char *const blanks = " \t\r\n";

    while (text.len != 0 && memchr(blanks, text.ptr[0], 4) != NULL)
        text = slice_from(text, 1);
    while (text.len != 0 && memchr(blanks, text.ptr[text.len - 1], 4) != NULL)
        text.len--;
    return text;
}

static bool open_frame(struct profile_scanner *s, struct profile_frame *frame,
                       struct profile_message *out)
{
    struct json_value whole = {.type = JSON_ARRAY};
    struct slice text = frame->text;
    size_t error_offset;

    frame->stage = STAGE_ROOTS;
    frame->batch = (struct json_iter){NULL, NULL};
    scanner_headers(s, frame->has_meta ? &frame->meta : NULL, &text, out);
    if (json_scan(NULL, text, NULL, &error_offset) != 0) {
        out->data = text;
        scanner_read_text(s, error_offset, out);
        return true;
    }
    whole.raw = trim_json(text);
    if (!s->profile->priv->framing.batch || whole.raw.ptr[0] != '[')
        return open_root(s, frame, text, out);
    frame->batch = json_iter_array(&whole);
    return false;
}

bool profile_frame_next(struct profile_scanner *s, struct profile_frame *frame,
                        struct profile_message *out)
{
    if (frame->stage == STAGE_END)
        return false;
    s->at_message = true;
    if (s->profile->priv->framing.whole)
        return next_whole(s, frame, out);
    scanner_begin(out);
    for (;;) {
        bool found = false;

        switch ((enum stage)frame->stage) {
        case STAGE_FRAME:
            found = open_frame(s, frame, out);
            break;
        case STAGE_ROOTS:
            found = next_root(s, frame, out);
            break;
        case STAGE_ELEMENTS:
            found = next_element(s, frame, out);
            break;
        case STAGE_BODY:
            found = next_body(s, frame, out);
            break;
        case STAGE_END:
            return false;
        }
        if (found)
            return true;
    }
}

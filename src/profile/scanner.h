/*
 * scanner.h - one stream's scratch memory for reading messages and pages.
 *
 * All of it is allocated when the scanner is made, so that reading a message allocates nothing.
 */
#ifndef HAWSER_PROFILE_SCANNER_H
#define HAWSER_PROFILE_SCANNER_H

#include "profile/internal.h"
#include "profile/rule.h"

#define SCAN_FAULT_BYTES 160

struct profile_scanner {
    const struct profile *profile;
    struct json_value *slots[LEVELS];      /* as many as the largest set of pointers has */
    bool has_headers;                      /* they came with the message being read */
    bool at_message;                       /* the slots are those of a message, not of a page */
    struct slice *headers;                 /* as many as the profile asks for */
    struct buf id, position, type, next;   /* decoded text; the bound is the buffer's own */
    struct buf key, part;                  /* part: of an id made of several, or of a [send] */
    struct buf decoded;                    /* [message] decode */
    struct buf taken[PROFILE_ACTIONS_MAX]; /* values of triggers */
    char fault[SCAN_FAULT_BYTES];
};

/* What the rules said about whether the message is an event; the last one decides. */
enum verdict { VERDICT_NONE, VERDICT_EVENT, VERDICT_IGNORE };

/* The first fault is the one that is told. */
void scanner_fault(struct profile_scanner *scanner, struct profile_message *out, const char *fmt,
                   ...) __attribute__((format(printf, 3, 4)));

/* frame.c reads a message with these. The first two are in the way of each one, so they are inline.
 */
static inline void scanner_begin(struct profile_message *out)
{
    memset(out, 0, offsetof(struct profile_message, actions));
    out->n_actions = 0;
    out->answers = 0;
    out->acks = false;
    out->fault = NULL;
}

void scanner_take_headers(struct profile_scanner *scanner, const struct profile_meta *meta,
                          struct slice *text, struct profile_message *out);
/* Fills the headers, where the profile asks for any: from meta where there is one, else from the
 * block that it takes off the text in a profile that has one. */
static inline void scanner_headers(struct profile_scanner *scanner, const struct profile_meta *meta,
                                   struct slice *text, struct profile_message *out)
{
    const struct profile_private *priv = scanner->profile->priv;

    if (priv->header_block || priv->n_headers != 0)
        scanner_take_headers(scanner, meta, text, out);
}

void scanner_clear(struct profile_scanner *scanner, enum level level,
                   const struct json_paths *paths);
enum verdict scanner_rules(struct profile_scanner *scanner, struct profile_message *out);
bool scanner_event(const struct profile_scanner *scanner, enum verdict verdict);
void scanner_fields(struct profile_scanner *scanner, const struct fields *fields,
                    struct profile_message *out);
/* Text that is one message, JSON or not. */
void scanner_read_message(struct profile_scanner *scanner, struct slice text,
                          struct profile_message *out);
/* Text that is no JSON, from that byte on. */
void scanner_read_text(struct profile_scanner *scanner, size_t error_offset,
                       struct profile_message *out);

/* trigger.c: adds the action with what it takes from the message. */
void scanner_trigger(struct profile_scanner *scanner, const struct profile_rule_action *action,
                     struct profile_message *out);

/* The text of the first of the places that holds something; as scanner_text(). *at (may be NULL)
 * is the place, of whatever comes back but ERR_NOTFOUND. */
int scanner_source(const struct profile_scanner *scanner, const struct source *source,
                   struct buf *scratch, struct slice *out);
int scanner_sources(const struct profile_scanner *scanner, const struct sources *sources,
                    struct buf *scratch, struct slice *out, const struct source **at);
/* How long it is as it is written, for the message about it. */
size_t scanner_source_len(const struct profile_scanner *scanner, const struct source *source);

/* A page's item, read as a message. */
void scanner_read_item(struct profile_scanner *scanner, struct slice text,
                       struct profile_message *out);

/*
 * The text of a value: a string decoded (into scratch, only if it holds escapes), a number as it
 * is written. ERR_NOTFOUND when absent, null or empty, ERR_INVAL for any other type, ERR_LIMIT
 * when longer than scratch may be.
 */
int scanner_text(const struct json_value *value, struct buf *scratch, struct slice *out);

#endif

/*
 * internal.h - the compiled form of a profile, shared by the files of this room only.
 *
 * All of it lies in the arena of the profile and does not change once profile_load() is done.
 */
#ifndef HAWSER_PROFILE_INTERNAL_H
#define HAWSER_PROFILE_INTERNAL_H

#include "base/limits.h"
#include "profile/arena.h"
#include "profile/profile.h"

/* ---- where a value in a message stands ---- */
/*
 * What one message is read from, inside out. Most profiles have LEVEL_MESSAGE alone. With [message]
 * split that is an element, and LEVEL_FRAME what it was split from; with decode LEVEL_OUTER is what
 * held the text. A page or an item of one is read as LEVEL_MESSAGE.
 */
enum level { LEVEL_MESSAGE, LEVEL_FRAME, LEVEL_OUTER, LEVELS };

struct source {
    bool header; /* of the header block, else a JSON Pointer */
    enum level level : 8;
    unsigned slot; /* into the scanner's headers, or its slots of that level */
};

/* The first of them that is present counts. */
struct sources {
    const struct source *at;
    unsigned n;
};

/* ---- templates ---- */
enum piece_kind {
    PIECE_LITERAL,   /* text as it goes out: encoded when it was compiled */
    PIECE_VARIABLE,  /* text names a variable, encoded by where it stands */
    PIECE_RAW,       /* the same, not encoded */
    PIECE_SOURCE,    /* taken from the message, encoded by where it stands */
    PIECE_SOURCE_RAW /* the same, not encoded; an array or object as it is written */
};

struct piece {
    enum piece_kind kind;
    struct slice text;
    struct source source;
};

struct template
{
    const struct piece *pieces;
    unsigned n;
    bool omitted; /* it names a parameter that has no value: the line is left out */
};

/* How variables are encoded, and what the outcome may hold. */
enum template_context {
    TEMPLATE_URL,    /* literals are URL text already, variables are percent-encoded */
    TEMPLATE_QUERY,  /* all is plain text and percent-encoded */
    TEMPLATE_HEADER, /* control bytes are refused */
    TEMPLATE_BODY,   /* variables are escaped as inside a JSON string */
    TEMPLATE_MESSAGE /* of pieces of the message; nothing is encoded */
};

struct line { /* a query or header line */
    struct slice name;
    struct template value;
};

/* ---- expressions ---- */
enum expr_kind { EXPR_AND, EXPR_OR, EXPR_EQ, EXPR_NE, EXPR_EXISTS };
enum operand_kind { OPERAND_STRING, OPERAND_TEXT, OPERAND_NUMBER, OPERAND_LITERAL };

struct operand {
    enum operand_kind kind; /* TEXT: a parameter; equals a string or a number written so */
    enum json_type literal; /* true, false or null */
    struct slice text;      /* decoded */
    bool is_int;
    int64_t integer;
};

struct expr {
    enum expr_kind kind;
    const struct expr *child; /* AND, OR: the first of at least two */
    const struct expr *next;  /* sibling */
    struct source source;
    const struct source *others; /* `a | b`: looked at where the one before is absent */
    unsigned n_others;
    struct operand operand;
};

struct rule {
    const char *name;
    const struct expr *match; /* NULL: it can never match, for want of a parameter */
    struct profile_rule_action *actions;
    unsigned n_actions;
    const char *file; /* of what the rule was first named by */
    unsigned line;
    const char *do_file; /* of its `do` */
    unsigned do_line;
    bool has_match, has_do;
};

/* ---- policy ---- */
enum row_rank { /* how exactly a row says what it is for */
                ROW_DEFAULT,
                ROW_RANGE,
                ROW_CODE,
                ROW_LOCAL, /* the close was ours; or the phase of a timeout */
                ROW_TEXT   /* CODE/substring */
};

/* One row of [close], [status], [failure] or [explain]. */
struct row {
    enum profile_end_kind kind;
    enum row_rank rank;
    int from, to; /* codes; of a FAILURE: enum profile_failure */
    enum profile_phase phase;
    struct slice text; /* substring */
    struct profile_policy_action action;
    const char *explain;
};

struct rows {
    struct row *at;
    size_t n, cap;
};

/* ---- requests ---- */
struct url_head {
    struct slice authority; /* HOST[:PORT] as the URL has it */
    bool secure;            /* wss or https */
};

/* What an answer gives to a variable or a secret. */
struct capture {
    const char *name;
    bool secret;
    struct sources sources;
};

#define PROFILE_OK_MAX 8
struct http {
    const char *name;
    struct url_head head;
    const char *method;
    struct template url;
    struct line *query, *header;
    unsigned n_query, n_header;
    struct template *body; /* line by line */
    unsigned n_body;
    struct {
        int from, to;
    } ok[PROFILE_OK_MAX];
    unsigned n_ok;
    bool ndjson; /* as a page: an item a line */
    struct capture *captures;
    unsigned n_captures;
    const struct slice *each; /* the values of foreach */
    unsigned n_each;
    bool foreach;
    bool persist, persist_given;
    bool lacks_secret; /* it names a secret that has no source */
    const char *file;
    unsigned line;
};

/* ---- where the service may send us ---- */
struct host_pattern {
    struct slice glob; /* a host's name with wildcards, or an authority's host */
    unsigned port;     /* 0: the scheme's own, or that of [connect] url */
    bool any_port;
};

/* ---- what a message, or an item of a page, is made of ---- */
struct fields {
    struct json_paths *paths;
    struct sources id, position, key, type, time;
    struct template id_template; /* .n != 0: instead of id */
};

/* A glob over types, with what follows its last wildcard: most types differ there already. */
struct type_glob {
    struct slice glob, tail;
};

/* ---- [send NAME] ---- */
struct send {
    struct template text;
    const struct expr *answer; /* NULL: none is awaited */
};

/* ---- [message] ---- */
struct framing {
    bool whole; /* none of the following: a frame is one message */
    bool batch;
    bool split, decode;
    unsigned split_slot;  /* of LEVEL_FRAME */
    unsigned decode_slot; /* of LEVEL_OUTER */
    const char *split_pointer, *decode_pointer;
    struct json_paths *frame_paths, *outer_paths;
    enum level rules; /* what rules are about */
};

/* Among the headers: a message that is no JSON, whole. No header's name holds a colon. */
#define SOURCE_TEXT "text:"

struct profile_private {
    struct arena arena;
    struct profile *profile; /* that it is of */
    unsigned users;
    struct http connect;
    struct template subprotocol;
    struct http *https;
    unsigned n_https;
    struct fields captured; /* .paths of all captures; nothing else */
    struct http fallback;   /* as it is rendered: what it leaves open is of its [http NAME] */
    struct host_pattern *hosts;
    unsigned n_hosts;
    bool plaintext;   /* the stream allows it to other hosts than this one */
    bool http_secure; /* a URL of [http NAME] or [fallback NAME] is https:// */

    bool header_block;
    const char **headers; /* names that sources ask for */
    unsigned n_headers;
    bool asks_text; /* one of them is SOURCE_TEXT */

    struct fields message, item;
    const struct expr *only; /* NULL: every message is an event */
    struct rule *rules;
    unsigned n_rules;
    const struct sources *taken; /* what rules take from a message, by profile_rule_action.value */
    unsigned n_taken;
    const struct type_glob *ephemeral;
    unsigned n_ephemeral;

    struct framing framing;
    const struct send *sends; /* as profile->sends */
    bool answered;            /* some of them await an answer */
    const struct expr *acks;  /* [heartbeat] ack */

    struct json_paths *page_paths;
    unsigned page_items, page_next, page_more; /* slots */
    bool has_next, has_more, page_ndjson;
    const struct expr *gone;
    const char *items_pointer, *next_pointer, *more_pointer;

    struct rows policy, explain;
};

#endif

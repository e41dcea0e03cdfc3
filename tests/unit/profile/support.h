/* Profiles made of text, for the tests of this folder. */
#ifndef HAWSER_TEST_PROFILE_SUPPORT_H
#define HAWSER_TEST_PROFILE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "profile/profile.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* What every profile needs, on two lines. */
#define CONNECT "[connect]\nurl = wss://h.example/\n"

struct loaded {
    struct profile *profile; /* NULL if it was refused */
    struct diag *diag;
    int rc;
};

/*
 * Loads `text` as profile "test" for a stream whose further keys are `keys`: "KEY=VALUE", ended
 * by NULL, on lines 12, 13, ... of hawser.ini; the stream itself is on line 11. keys NULL: for no
 * stream.
 */
struct loaded load_text(const char *text, const char *const *keys);
/* The same with plaintext = yes. */
struct loaded load_plaintext(const char *text, const char *const *keys);
/* The same from the shipped profiles. */
struct loaded load_shipped(const char *name, const char *const *keys);
void unload(struct loaded *loaded);

/* load_text() that must succeed. */
struct loaded load_ok(const char *text, const char *const *keys);

/* Exactly one fault, which ends in `expected`: "test.ini:3: message" or "hawser.ini:12: message".
 */
void assert_fault(const struct loaded *loaded, const char *expected);

/* Loads, expects the fault, unloads. */
void check_fault(const char *text, const char *const *keys, const char *expected);

void assert_slice(struct slice got, const char *want); /* want NULL: absent */

/* The first message of a frame: the only one without [message] batch, split and decode. */
void scan_first(struct profile_scanner *scanner, struct slice text, struct profile_message *out);

/* A profile at work: what the last message scanned came to. */
struct scan {
    struct loaded loaded;
    struct profile_scanner *scanner;
    struct profile_message message;
    char *copy; /* of the message just scanned */
};
void scan_start(struct scan *s, const char *text, const char *const *keys);
void scan_start_shipped(struct scan *s, const char *name, const char *const *keys);
void scan_stop(struct scan *s);
/* From memory that ends with the message, so that reading past it is seen. */
void scan_text(struct scan *s, const char *text);

/* A lookup over {"name", "value", ..., NULL}. */
struct slice lookup_pairs(void *pairs, struct slice name);

#endif

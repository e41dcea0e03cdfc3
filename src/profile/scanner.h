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
    struct json_value *slots;            /* as many as the largest set of pointers has */
    struct slice *headers;               /* as many as the profile asks for */
    struct buf id, position, type, next; /* decoded text; the bound is the buffer's own */
    struct buf part;                     /* of an id made of several */
    char fault[SCAN_FAULT_BYTES];
};

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

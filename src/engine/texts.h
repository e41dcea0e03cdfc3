/*
 * texts: a bounded queue of texts for the service, in order.
 *
 * Decides: what fits. Leaves: when a text goes, to sends.c. Owns: the bytes, which may hold
 * secrets and are wiped as they leave.
 * Fails: texts_push() says ERR_LIMIT at the bound.
 */
#ifndef HAWSER_ENGINE_TEXTS_H
#define HAWSER_ENGINE_TEXTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct stream_text {
    uint64_t link, seq;
    unsigned send;
    bool gone; /* taken out of the middle */
    size_t at, len;
};

struct stream_texts {
    struct stream_text *items; /* a ring */
    unsigned max, head, count;
    char *bytes; /* those of the first begin at `begin` */
    size_t size, begin, end;
};

int texts_init(struct stream_texts *texts, unsigned max, size_t bytes); /* ERR_NOMEM */
void texts_fini(struct stream_texts *texts);
void texts_clear(struct stream_texts *texts);
int texts_push(struct stream_texts *texts, const struct stream_text *text, struct slice bytes);
/* Number i from the front. */
struct stream_text *texts_at(const struct stream_texts *texts, unsigned i);
struct slice texts_bytes(const struct stream_texts *texts, const struct stream_text *text);
/* Takes it out; those at the front that are gone make room. */
void texts_remove(struct stream_texts *texts, struct stream_text *text);

#endif

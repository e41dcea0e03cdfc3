#include "engine/texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int texts_init(struct stream_texts *texts, unsigned max, size_t bytes)
{
    *texts = (struct stream_texts){.max = max, .size = bytes};
    texts->items = calloc(max, sizeof(*texts->items));
    texts->bytes = malloc(bytes);
    return texts->items != NULL && texts->bytes != NULL ? 0 : ERR_NOMEM;
}

void texts_fini(struct stream_texts *texts)
{
    texts_clear(texts);
    free(texts->items);
    free(texts->bytes);
    *texts = (struct stream_texts){0};
}

void texts_clear(struct stream_texts *texts)
{
    if (texts->bytes != NULL && texts->end > 0)
        explicit_bzero(texts->bytes, texts->end);
    texts->begin = texts->end = 0;
    texts->head = texts->count = 0;
}

struct stream_text *texts_at(const struct stream_texts *texts, unsigned i)
{
    return &texts->items[(texts->head + i) % texts->max];
}

struct slice texts_bytes(const struct stream_texts *texts, const struct stream_text *text)
{
    return slice_make(texts->bytes + text->at, text->len);
}

/* What the front has left empty is used again. */
static void compact(struct stream_texts *texts)
{
    size_t shift = texts->begin;
    memmove(texts->bytes, texts->bytes + shift, texts->end - shift);
    explicit_bzero(texts->bytes + texts->end - shift, shift);
    for (unsigned i = 0; i < texts->count; i++)
        texts_at(texts, i)->at -= shift;
    texts->begin = 0;
    texts->end -= shift;
}

int texts_push(struct stream_texts *texts, const struct stream_text *text, struct slice bytes)
{
    if (texts->count == texts->max || bytes.len > texts->size - (texts->end - texts->begin))
        return ERR_LIMIT;
    if (bytes.len > texts->size - texts->end)
        compact(texts);
    struct stream_text *place = texts_at(texts, texts->count++);
    *place = *text;
    place->gone = false;
    place->at = texts->end;
    place->len = bytes.len;
    if (bytes.len > 0)
        memcpy(texts->bytes + texts->end, bytes.ptr, bytes.len);
    texts->end += bytes.len;
    return 0;
}

void texts_remove(struct stream_texts *texts, struct stream_text *text)
{
    explicit_bzero(texts->bytes + text->at, text->len);
    text->gone = true;
    while (texts->count > 0 && texts_at(texts, 0)->gone) {
        texts->begin = texts_at(texts, 0)->at + texts_at(texts, 0)->len;
        texts->head = (texts->head + 1) % texts->max;
        texts->count--;
    }
    if (texts->count == 0)
        texts->begin = texts->end = 0;
}

#include "flow/hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct record {
    size_t size; /* of the whole record */
    bool marked;
    struct flow_event event;
    char bytes[];
};

_Static_assert(sizeof(struct record) + _Alignof(struct record) <= FLOW_HOLD_COST,
               "flow.h says what an event costs");

#define RECORD_ALIGN _Alignof(struct record)

int hold_init(struct hold *hold, size_t size)
{
    *hold = (struct hold){.size = size - size % RECORD_ALIGN};
    hold->memory = malloc(hold->size > 0 ? hold->size : 1);
    hold_clear(hold);
    return hold->memory != NULL ? 0 : ERR_NOMEM;
}

void hold_fini(struct hold *hold)
{
    free(hold->memory);
    *hold = (struct hold){0};
}

void hold_clear(struct hold *hold)
{
    hold->read_at = hold->write_at = hold->used = hold->count = 0;
    hold->wrap_at = hold->size;
}

size_t hold_need(const struct flow_event *event)
{
    size_t n = sizeof(struct record) + event->id.len + event->position.len + event->type.len +
               event->time.len + event->data.len;

    if (event->malformed != NULL)
        n += strlen(event->malformed) + 1;
    return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

/* Room for n contiguous bytes, or NULL. */
static char *take(struct hold *hold, size_t n)
{
    size_t unused, to_end;
    char *at;

    if (hold->count == 0)
        hold_clear(hold);
    unused = hold->size - hold->used;
    to_end = hold->size - hold->write_at;
    if (n > unused)
        return NULL;
    if (n > to_end) {
        if (n > unused - to_end)
            return NULL;
        hold->wrap_at = hold->write_at;
        hold->used += to_end;
        hold->write_at = 0;
    }
    at = hold->memory + hold->write_at;
    hold->write_at += n;
    hold->used += n;
    hold->count++;
    return at;
}

static void copy_slice(struct slice *slice, char **at)
{
    if (slice->ptr == NULL)
        return;
    if (slice->len > 0)
        memcpy(*at, slice->ptr, slice->len);
    slice->ptr = *at;
    *at += slice->len;
}

struct flow_event *hold_push(struct hold *hold, const struct flow_event *event)
{
    size_t need = hold_need(event);
    struct record *record = (struct record *)take(hold, need);
    char *at;

    if (record == NULL)
        return NULL;
    hold->newest = (size_t)((char *)record - hold->memory);
    record->size = need;
    record->marked = false;
    record->event = *event;
    at = record->bytes;
    copy_slice(&record->event.id, &at);
    copy_slice(&record->event.position, &at);
    copy_slice(&record->event.type, &at);
    copy_slice(&record->event.time, &at);
    copy_slice(&record->event.data, &at);
    if (event->malformed != NULL)
        record->event.malformed = strcpy(at, event->malformed);
    return &record->event;
}

static struct record *front(const struct hold *hold)
{
    return (struct record *)(hold->memory + hold->read_at);
}

struct flow_event *hold_front(const struct hold *hold)
{
    return hold->count > 0 ? &front(hold)->event : NULL;
}

const struct flow_event *hold_next(const struct hold *hold, const struct flow_event *event)
{
    size_t at = (size_t)((const char *)event - offsetof(struct record, event) - hold->memory);
    const struct record *record = (const struct record *)(hold->memory + at);

    if (at == hold->newest)
        return NULL;
    at += record->size;
    record = (const struct record *)(hold->memory + (at == hold->wrap_at ? 0 : at));
    return &record->event;
}

void hold_pop(struct hold *hold)
{
    size_t size = front(hold)->size;

    assert(hold->count > 0);
    hold->count--;
    hold->used -= size;
    hold->read_at += size;
    if (hold->count > 0 && hold->read_at == hold->wrap_at) {
        hold->used -= hold->size - hold->wrap_at;
        hold->read_at = 0;
        hold->wrap_at = hold->size;
    }
}

void hold_mark(struct hold *hold)
{
    assert(hold->count > 0);
    ((struct record *)(hold->memory + hold->newest))->marked = true;
}

bool hold_is_marked(const struct hold *hold)
{
    assert(hold->count > 0);
    return front(hold)->marked;
}

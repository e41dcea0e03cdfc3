#include "flow/audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const struct slice none = {NULL, 0};

int audit_init(struct audit *audit, const struct profile *profile)
{
    *audit = (struct audit){
        .on = profile->catchup.audit_ms > 0,
        .overlap = profile->compare == PROFILE_COMPARE_INT && profile->position.overlap > 0
                       ? (uint64_t)profile->position.overlap
                       : 0,
        .whole.compare = profile->compare,
        .cursor.compare = profile->compare,
        .last.compare = profile->compare,
    };
    audit->follows = audit->on || audit->overlap > 0;
    if (!audit->on)
        return 0;
    audit->suspects = calloc(FLOW_SUSPECTS_MAX, sizeof *audit->suspects);
    return audit->suspects != NULL ? 0 : ERR_NOMEM;
}

void audit_fini(struct audit *audit)
{
    free(audit->suspects);
    *audit = (struct audit){0};
}

void audit_begin(struct audit *audit)
{
    if (audit->follows)
        position_set(&audit->cursor, none);
}

void audit_reset(struct audit *audit, struct slice position)
{
    position_set(&audit->whole, position);
    position_set(&audit->cursor, none);
    position_set(&audit->last, none);
    audit->dirty = audit->broken = audit->unstored = false;
    audit->n_suspects = 0;
}

void audit_learn(struct audit *audit, struct slice position)
{
    audit_reset(audit, position);
    audit->dirty = true;
}

/* ---- what is whole ---- */

static bool is_first_suspect(const struct audit *audit, const struct flow_event *event)
{
    return event->has_key && memcmp(audit->first_suspect, event->key, 16) == 0;
}

bool audit_advances(const struct audit *audit, const struct flow_event *event)
{
    if (event->position.ptr == NULL)
        return false;
    /* The first position there is: before it there is nothing to ask for. */
    if (!audit->whole.known || audit->unstored)
        return true;
    return event->via != FLOW_VIA_LIVE && (!audit->broken || is_first_suspect(audit, event)) &&
           position_advances(&audit->whole, event->position);
}

void audit_advance(struct audit *audit, struct slice position)
{
    position_set(&audit->whole, position);
    audit->dirty = audit->unstored = false;
}

static void go_up(struct position *position, struct slice to)
{
    if (!position->known || position_advances(position, to))
        position_set(position, to);
}

void audit_item(struct audit *audit, const struct flow_event *event)
{
    if (audit->n_suspects > 0 && event->has_key)
        audit_clear(audit, event->key);
    if (audit->broken && is_first_suspect(audit, event))
        audit->broken = false;
    if (event->position.ptr == NULL)
        return;
    go_up(&audit->last, event->position);
    if (audit->broken)
        return;
    go_up(&audit->cursor, event->position);
    if (audit->on && audit_advances(audit, event) &&
        !slice_eq(position_text(&audit->whole), event->position)) {
        position_set(&audit->whole, event->position);
        audit->dirty = true;
    }
}

/* ---- suspects ---- */

static struct audit_suspect *find(const struct audit *audit, const uint8_t key[16])
{
    for (unsigned i = 0; i < audit->n_suspects; i++)
        if (memcmp(audit->suspects[i].key, key, 16) == 0)
            return &audit->suspects[i];
    return NULL;
}

bool audit_suspects(struct audit *audit, const uint8_t key[16], int64_t now_ms)
{
    struct audit_suspect *suspect = find(audit, key);

    if (suspect != NULL)
        return now_ms - suspect->first_ms < FLOW_SUSPECT_MS;
    if (audit->n_suspects < FLOW_SUSPECTS_MAX) {
        suspect = &audit->suspects[audit->n_suspects++];
        memcpy(suspect->key, key, 16);
        suspect->first_ms = now_ms;
    }
    return true;
}

void audit_break(struct audit *audit, const uint8_t key[16])
{
    if (audit->broken)
        return;
    audit->broken = true;
    memcpy(audit->first_suspect, key, 16);
    position_set(&audit->cursor, none);
}

void audit_clear(struct audit *audit, const uint8_t key[16])
{
    struct audit_suspect *suspect = find(audit, key);

    if (suspect != NULL)
        *suspect = audit->suspects[--audit->n_suspects];
}

void audit_done(struct audit *audit)
{
    if (audit->on && audit->last.known &&
        (!audit->whole.known || position_advances(&audit->whole, position_text(&audit->last))) &&
        !slice_eq(position_text(&audit->whole), position_text(&audit->last))) {
        position_set(&audit->whole, position_text(&audit->last));
        audit->dirty = true;
    }
    position_set(&audit->cursor, none);
    position_set(&audit->last, none);
    audit->broken = false;
    audit->n_suspects = 0;
}

/* ---- where to begin ---- */

struct slice audit_resume(struct audit *audit, const struct position *position)
{
    const struct position *from = audit->on ? &audit->whole : position;

    if (audit->follows && audit->cursor.known)
        return position_text(&audit->cursor);
    if (audit->overlap == 0 || from->number.ptr == NULL)
        return position_text(from);
    return position_minus(position_text(from), audit->overlap, audit->text);
}

/*
 * Reading: a merge of the chosen streams by seq, in a read transaction of its own.
 *
 * Only what an append has confirmed is served: seqs up to newest_seq as it was before the
 * transaction began, which the transaction therefore has. A commit that failed half-way may lie in
 * the file above it.
 */
#include "store/internal.h"

#include <stdlib.h>

/* One stream in the merge. */
struct source {
    const struct stream *stream;
    MDB_cursor *cursor; /* NULL: no more records */
    uint64_t seq;       /* of the record it is at, UINT64_MAX: no more */
    MDB_val value;      /* that record */
    uint64_t lost_from; /* not yet told, 0: nothing */
    uint64_t lost_to;
};

struct merge {
    struct store *store;
    struct store_read *read;
    uint64_t to; /* no further than this */
    struct source sources[LIMIT_STREAMS];
    size_t count;
    uint64_t next_lost; /* the smallest lost_to that has not been told, or UINT64_MAX */
};

int store_reader_take(struct store *store, struct reader **out, struct error *err)
{
    struct reader *reader;
    int rc;

    store_enter(store);
    pthread_rwlock_rdlock(&store->map);
    if (store->unmapped) {
        pthread_rwlock_unlock(&store->map);
        store_leave();
        return error_set(err, ERR_IO, "%s: its map was lost; it must be opened again", store->path);
    }
    pthread_mutex_lock(&store->readers_lock);
    reader = store->readers;
    if (reader != NULL)
        store->readers = reader->next;
    pthread_mutex_unlock(&store->readers_lock);
    if (reader == NULL)
        reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        rc = error_set(err, ERR_NOMEM, "%s: out of memory", store->path);
        goto err_after_lock;
    }
    rc = reader->txn == NULL ? mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn)
                             : mdb_txn_renew(reader->txn);
    if (rc != 0) {
        rc = store_lmdb_error(store, rc, "cannot read", err);
        goto err_after_reader;
    }
    *out = reader;
    return 0;

err_after_reader:
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        if (reader->cursors[i] != NULL)
            mdb_cursor_close(reader->cursors[i]);
    }
    if (reader->txn != NULL)
        mdb_txn_abort(reader->txn);
    free(reader);
err_after_lock:
    pthread_rwlock_unlock(&store->map);
    store_leave();
    return rc;
}

void store_reader_give(struct store *store, struct reader *reader)
{
    mdb_txn_reset(reader->txn);
    pthread_mutex_lock(&store->readers_lock);
    reader->next = store->readers;
    store->readers = reader;
    pthread_mutex_unlock(&store->readers_lock);
    pthread_rwlock_unlock(&store->map);
    store_leave();
}

void store_readers_free(struct store *store)
{
    struct reader *reader;

    while ((reader = store->readers) != NULL) {
        store->readers = reader->next;
        for (size_t i = 0; i < LIMIT_STREAMS; i++) {
            if (reader->cursors[i] != NULL)
                mdb_cursor_close(reader->cursors[i]);
        }
        mdb_txn_abort(reader->txn);
        free(reader);
    }
}

int store_reader_cursor(struct reader *reader, const struct stream *stream, MDB_cursor **out)
{
    MDB_cursor **cursor = &reader->cursors[stream->id];
    int rc = *cursor == NULL ? mdb_cursor_open(reader->txn, stream->records, cursor)
                             : mdb_cursor_renew(reader->txn, *cursor);

    *out = *cursor;
    return rc;
}

/* Not ERR_CORRUPT, which is a single record's: what comes behind damaged pages nobody knows. */
static int fail_stream(const struct merge *m, const struct stream *stream, int rc,
                       struct error *err)
{
    rc = store_lmdb_error(m->store, rc, "cannot read records", err);
    if (err == NULL)
        return rc == ERR_CORRUPT ? ERR_IO : rc;
    if (rc == ERR_CORRUPT)
        err->code = ERR_IO;
    return error_wrap(err, "stream %s", stream->name);
}

/* Moves a source on; at the end of the range it drops out. */
static int advance(struct merge *m, struct source *s, MDB_cursor_op op, MDB_val *key,
                   struct error *err)
{
    uint64_t before = s->seq;
    int rc = mdb_cursor_get(s->cursor, key, &s->value, op);

    s->seq = rc == 0 ? store_seq(key) : UINT64_MAX;
    if (rc != 0 && rc != MDB_NOTFOUND)
        return fail_stream(m, s->stream, rc, err);
    if (s->seq > m->to)
        s->seq = UINT64_MAX;
    else if (s->seq <= before)
        return error_set(err, ERR_CORRUPT, "%s: stream %s: a damaged key after seq %llu",
                         m->store->path, s->stream->name, (unsigned long long)before);
    return 0;
}

static int add_source(struct merge *m, struct reader *reader, const struct stream *stream,
                      struct error *err)
{
    struct slice name = slice_str(stream->name);
    uint64_t after = m->read->after_seq, first = after + 1;
    struct source *s = &m->sources[m->count];
    MDB_val key = store_val(name.ptr, name.len), value;
    struct format_row row;
    int rc;

    /* Both also bound what retention has taken, so that most streams cost nothing here. */
    if (atomic_load(&stream->newest_seq) <= after || atomic_load(&stream->forgotten))
        return 0;
    rc = mdb_get(reader->txn, m->store->names, &key, &value);
    if (rc == MDB_NOTFOUND)
        return 0; /* it is just being forgotten */
    if (rc != 0)
        return fail_stream(m, stream, rc, err);
    if (format_row_decode(value.mv_data, value.mv_size, name, &row) != 0)
        return fail_stream(m, stream, MDB_CORRUPTED, err);
    *s = (struct source){.stream = stream, .seq = after};
    if (row.trimmed_seq > after) {
        s->lost_from = row.first_seq > first ? row.first_seq : first;
        s->lost_to = row.trimmed_seq;
        if (s->lost_to < m->next_lost)
            m->next_lost = s->lost_to;
    }
    m->count++;
    rc = store_reader_cursor(reader, stream, &s->cursor);
    if (rc != 0)
        return fail_stream(m, stream, rc, err);
    key = store_val(&first, sizeof first);
    return advance(m, s, MDB_SET_RANGE, &key, err);
}

static int add_sources(struct merge *m, struct reader *reader, struct error *err)
{
    for (unsigned id = 0; id < LIMIT_STREAMS; id++) {
        const struct stream *stream = m->store->streams[id];
        int rc;

        if (stream == NULL || (m->read->streams[id / 64] >> id % 64 & 1) == 0)
            continue;
        rc = add_source(m, reader, stream, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Tells what retention took up to `upto`: wholly when it is to be told before a later event
 * (whole), else as far as the read has come. */
static void tell_lost(struct merge *m, uint64_t upto, bool whole)
{
    m->next_lost = UINT64_MAX;
    for (size_t i = 0; i < m->count; i++) {
        struct source *s = &m->sources[i];
        uint64_t to = s->lost_to < upto ? s->lost_to : upto;

        if (s->lost_from == 0)
            continue;
        if (s->lost_from <= to && (!whole || to == s->lost_to)) {
            if (m->read->lost != NULL)
                m->read->lost(m->read->arg, s->stream->id, s->lost_from, to);
            s->lost_from = 0;
        } else if (s->lost_to < m->next_lost) {
            m->next_lost = s->lost_to;
        }
    }
}

/* The source with the smallest seq, NULL at the end; *limit: it stays so up to here. */
static struct source *smallest(struct merge *m, uint64_t *limit)
{
    struct source *best = NULL;

    *limit = UINT64_MAX;
    for (size_t i = 0; i < m->count; i++) {
        struct source *s = &m->sources[i];

        if (s->seq == UINT64_MAX)
            continue;
        if (best == NULL || s->seq < best->seq) {
            if (best != NULL)
                *limit = best->seq;
            best = s;
        } else if (s->seq < *limit) {
            *limit = s->seq;
        }
    }
    return best;
}

static int merge(struct merge *m, struct error *err)
{
    size_t visits = 0;
    uint64_t limit = 0;
    struct source *s = NULL;
    int rc = 0;

    for (;;) {
        struct store_event event;
        MDB_val key;

        if (s == NULL || s->seq >= limit)
            s = smallest(m, &limit);
        if (s == NULL) {
            m->read->done_seq = m->to;
            break;
        }
        m->read->done_seq = s->seq - 1;
        if (visits++ == m->read->max_visits)
            break;
        if (format_record_decode(s->value.mv_data, s->value.mv_size, s->seq, s->stream->id,
                                 &event) != 0) {
            rc = error_set(err, ERR_CORRUPT, "%s: stream %s: the record of seq %llu is damaged",
                           m->store->path, s->stream->name, (unsigned long long)s->seq);
            break;
        }
        if (s->seq > m->next_lost)
            tell_lost(m, s->seq - 1, true);
        if (!m->read->visit(m->read->arg, &event))
            break;
        m->read->done_seq = s->seq;
        rc = advance(m, s, MDB_NEXT, &key, err);
        if (rc != 0)
            break;
    }
    tell_lost(m, m->read->done_seq, false);
    return rc;
}

int store_read(struct store *store, struct store_read *read, struct error *err)
{
    struct merge m = {.store = store, .read = read, .next_lost = UINT64_MAX};
    struct reader *reader;
    int rc;

    read->done_seq = read->after_seq;
    /* Before the transaction begins: what is confirmed now, it will see. */
    m.to = atomic_load(&store->newest_seq);
    if (m.to > read->to_seq)
        m.to = read->to_seq;
    if (m.to <= read->after_seq)
        return 0;
    rc = store_reader_take(store, &reader, err);
    if (rc != 0)
        return rc;
    rc = add_sources(&m, reader, err);
    if (rc == 0)
        rc = merge(&m, err);
    store_reader_give(store, reader);
    return rc;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

int store_reader_row(struct store *store, struct reader *reader, const struct stream *stream,
                     struct format_row *row, struct error *err)
{
    struct slice name = slice_str(stream->name);
    MDB_val key = store_val(name.ptr, name.len), value;
    int rc = mdb_get(reader->txn, store->names, &key, &value);

    if (rc != 0)
        return store_lmdb_error(store, rc, "cannot read a stream's state", err);
    rc = format_row_decode(value.mv_data, value.mv_size, name, row);
    if (rc != 0)
        return error_set(err, rc, "%s: the row of stream %s is damaged", store->path, stream->name);
    return 0;
}

int store_stream_info(struct store *store, unsigned stream, struct store_stream_info *out,
                      struct error *err)
{
    const struct stream *s;
    struct reader *reader;
    struct format_row row;
    MDB_stat stat;
    int rc = store_reader_take(store, &reader, err);

    if (rc != 0)
        return rc;
    s = stream < LIMIT_STREAMS ? store->streams[stream] : NULL;
    if (s == NULL || atomic_load(&s->forgotten)) {
        rc = error_set(err, ERR_NOTFOUND, "%s: no stream %u", store->path, stream);
        goto out;
    }
    rc = store_reader_row(store, reader, s, &row, err);
    if (rc != 0)
        goto out;
    rc = mdb_stat(reader->txn, s->records, &stat);
    if (rc != 0) {
        rc = store_lmdb_error(store, rc, "cannot read a stream's state", err);
        goto out;
    }
    out->oldest_seq = atomic_load(&s->oldest_seq);
    out->newest_seq = max_u64(atomic_load(&s->newest_seq), row.trimmed_seq);
    out->trimmed_seq = row.trimmed_seq;
    out->records = stat.ms_entries;
    out->bytes =
        (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * store->page_bytes;
out:
    store_reader_give(store, reader);
    return rc;
}

/*
 * Appending a batch: one transaction for records, positions, dedup keys, saved states and the
 * reservation.
 *
 * First the whole batch is looked at, without LMDB: what is wrong with it is found before anything
 * is written, and each stream's share of it is counted. Then the transaction; only when it is on
 * disk does the memory of streams and store follow.
 *
 * Dedup keys are packed: a commit adds to the newest row, as long as that has no page of its own.
 * So those of a stream whose events come one by one are no more rows than need be, which all have
 * to be read when it is opened. They are trimmed in the same transaction, behind the window and in
 * strides, so that a commit does not touch the old end of the database each time: TRIM_ROWS once
 * there are half as many more than the window; as many as it takes (up to TRIM_ROWS_MAX) while
 * there are more.
 */
#include "store/internal.h"

enum {
    TRIM_ROWS = 256,
    TRIM_ROWS_MAX = 4096,
    NODE_BYTES = 24, /* LMDB's own for a row: header, key, index */
    NODE_HEADER = 8,
    NODE_INDEX = 2,
    PAGE_HEADER = 16,
    SHARED_MAX = 32 * 1024, /* bytes of a value that shares the largest page there is */
};

/* A row of dedup keys that is about to be written. */
struct keys_row {
    uint64_t seq;
    const uint8_t *keys; /* what comes */
    size_t count;
    size_t n_older; /* what the row has already */
    uint8_t older[SHARED_MAX];
};

struct batch {
    const struct store_record *records;
    size_t count;
    const struct store_state *states;
    size_t n_states;
    int64_t now_us;
    uint64_t reserve_seq;
    uint64_t bytes; /* of file that it may take */
    struct stream *touched[LIMIT_STREAMS];
    size_t touched_count;
};

static int check_record(const struct store_record *r, uint64_t newest, struct error *err)
{
    if (r->seq <= newest)
        return error_set(err, ERR_INVAL, "store: seq %llu after %llu: they must increase",
                         (unsigned long long)r->seq, (unsigned long long)newest);
    if (r->type.len > LIMIT_EVENT_TYPE || r->line.len > STORE_LINE_MAX ||
        (r->position.ptr != NULL && r->position.len > LIMIT_POSITION))
        return error_set(err, ERR_LIMIT,
                         "store: seq %llu: type of %zu, line of %zu, position of %zu bytes: at most"
                         " %d, %d and %d",
                         (unsigned long long)r->seq, r->type.len, r->line.len, r->position.len,
                         LIMIT_EVENT_TYPE, STORE_LINE_MAX, LIMIT_POSITION);
    return 0;
}

static uint64_t file_bytes(const struct store *store, const struct store_record *r)
{
    uint64_t bytes = format_record_size(r) + NODE_BYTES + (r->has_key ? FORMAT_KEY : 0);

    /* What is larger than half a page has pages of its own. */
    if (bytes * 2 > store->page_bytes)
        bytes += 2 * store->page_bytes;
    return bytes + bytes / 4;
}

static int plan_record(struct store *store, struct batch *b, const struct store_record *r,
                       struct error *err)
{
    struct stream *stream = r->stream < LIMIT_STREAMS ? store->streams[r->stream] : NULL;
    struct pending *p;

    if (stream == NULL || !stream->opened || atomic_load(&stream->forgotten))
        return error_set(err, ERR_INVAL, "store: seq %llu: stream %u is not open",
                         (unsigned long long)r->seq, r->stream);
    p = &stream->pending;
    if (p->first_seq == 0) {
        *p = (struct pending){.first_seq = r->seq};
        b->touched[b->touched_count++] = stream;
    }
    p->last_seq = r->seq;
    if (r->position.ptr != NULL || r->forget_position)
        p->position = r;
    if (r->has_key && stream->row.dedup_window > 0) {
        if (p->keys++ == 0)
            p->key_seq = r->seq;
    }
    b->bytes += file_bytes(store, r);
    return 0;
}

static int plan(struct store *store, struct batch *b, struct error *err)
{
    uint64_t newest = atomic_load(&store->newest_seq);
    uint64_t bound = store_bound(store);
    size_t keys = 0;
    int rc = store_states_check(b->states, b->n_states, err);

    for (size_t i = 0; i < b->count && rc == 0; i++) {
        rc = check_record(&b->records[i], newest, err);
        newest = b->records[i].seq;
        if (rc == 0)
            rc = plan_record(store, b, &b->records[i], err);
    }
    if (rc != 0)
        return rc;
    b->bytes += store_states_bytes(store, b->states, b->n_states);
    b->bytes += (b->touched_count * STORE_STREAM_PAGES + STORE_COMMON_PAGES) * store->page_bytes;
    if (b->bytes > STORE_BATCH_MAX)
        return error_set(err, ERR_LIMIT, "store: a batch of about %llu bytes: at most %d",
                         (unsigned long long)b->bytes, STORE_BATCH_MAX);
    if (b->bytes > bound)
        return error_set(err, ERR_LIMIT,
                         "%s: about %llu bytes in one go do not fit into retain_size (%llu bytes):"
                         " raise it",
                         store->path, (unsigned long long)b->bytes, (unsigned long long)bound);
    for (size_t i = 0; i < b->touched_count; i++) {
        b->touched[i]->pending.keys_at = keys;
        keys += b->touched[i]->pending.keys;
    }
    buf_clear(&store->key_scratch);
    rc = buf_reserve(&store->key_scratch, keys * FORMAT_KEY);
    return rc == 0 ? 0 : error_set(err, rc, "%s: out of memory", store->path);
}

static int put_record(struct store *store, MDB_txn *txn, struct stream *stream,
                      const struct store_record *r)
{
    MDB_val key = store_val(&r->seq, sizeof r->seq);
    MDB_val value = {format_record_size(r), NULL};
    int rc = store_fault(store, STORE_FAULT_PUT);

    if (rc == 0 && stream->cursor == NULL)
        rc = mdb_cursor_open(txn, stream->records, &stream->cursor);
    if (rc == 0)
        rc = mdb_cursor_put(stream->cursor, &key, &value, MDB_APPEND | MDB_RESERVE);
    if (rc == 0)
        format_record_encode(value.mv_data, r);
    return rc;
}

static int put_records(struct store *store, MDB_txn *txn, const struct batch *b)
{
    uint8_t *keys = (uint8_t *)store->key_scratch.data;

    for (size_t i = 0; i < b->count; i++) {
        const struct store_record *r = &b->records[i];
        struct stream *stream = store->streams[r->stream];
        struct pending *p = &stream->pending;
        int rc = put_record(store, txn, stream, r);

        if (rc != 0)
            return rc;
        if (r->has_key && p->keys_done < p->keys)
            memcpy(keys + (p->keys_at + p->keys_done++) * FORMAT_KEY, r->key, FORMAT_KEY);
    }
    return 0;
}

/* Deletes whole rows from the old end; at least dedup_window keys stay. */
static int trim_keys(struct store *store, MDB_cursor *cursor, struct stream *stream)
{
    uint64_t window = stream->row.dedup_window;
    uint64_t high = window + window / 2;
    uint64_t *total = &stream->pending.dedup;
    MDB_val key, value;
    int rc = 0;

    if (*total <= high)
        return 0;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (unsigned rows = 0; rc == 0 && rows < TRIM_ROWS_MAX; rows++) {
        size_t count = format_keys_count(value.mv_size);

        if (*total < window + count || (*total <= high && rows >= TRIM_ROWS))
            return 0;
        rc = store_fault(store, STORE_FAULT_PUT);
        if (rc == 0)
            rc = mdb_cursor_del(cursor, 0);
        if (rc == 0) {
            *total -= count;
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Bytes of the largest value that LMDB puts into a page together with others. */
static size_t shared_bytes(const struct store *store)
{
    size_t half = (store->page_bytes - PAGE_HEADER) / 2;

    return (half & ~(size_t)1) - NODE_HEADER - sizeof(uint64_t) - NODE_INDEX;
}

/* Takes the newest row's keys along, if it is still in a page with others; what becomes of it then
 * is larger, or has a page of its own, and is complete. */
static int join_last_row(const struct store *store, const struct stream *stream, MDB_cursor *cursor,
                         struct keys_row *row)
{
    const uint8_t *keys;
    MDB_val key, value;
    size_t count;
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);

    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : rc;
    if (value.mv_size > shared_bytes(store) || value.mv_size > sizeof row->older ||
        value.mv_size + row->count * FORMAT_KEY + PAGE_HEADER > store->page_bytes ||
        format_keys_decode(value.mv_data, value.mv_size, store_seq(&key), stream->row.id, &keys,
                           &count) != 0)
        return 0;
    memcpy(row->older, keys, count * FORMAT_KEY);
    row->n_older = count;
    row->seq = store_seq(&key);
    return 0;
}

static int put_row(const struct stream *stream, MDB_cursor *cursor, const struct keys_row *row)
{
    MDB_val key = store_val(&row->seq, sizeof row->seq);
    MDB_val value = {format_keys_size(row->n_older + row->count), NULL};
    unsigned flags = MDB_RESERVE | (row->n_older == 0 ? MDB_APPEND : 0);
    int rc = mdb_cursor_put(cursor, &key, &value, flags);

    if (rc == 0)
        format_keys_encode(value.mv_data, row->seq, stream->row.id, row->older, row->n_older,
                           row->keys, row->count);
    return rc;
}

static int put_keys(struct store *store, MDB_txn *txn, struct stream *stream)
{
    struct pending *p = &stream->pending;
    struct keys_row row;
    MDB_cursor *cursor;
    int rc;

    p->dedup = stream->dedup + p->keys;
    if (p->keys == 0)
        return 0;
    row.seq = p->key_seq;
    row.count = p->keys;
    row.n_older = 0;
    row.keys = (const uint8_t *)store->key_scratch.data + p->keys_at * FORMAT_KEY;
    rc = store_fault(store, STORE_FAULT_PUT);
    if (rc == 0)
        rc = mdb_cursor_open(txn, stream->keys, &cursor);
    if (rc != 0)
        return rc;
    rc = join_last_row(store, stream, cursor, &row);
    if (rc == 0)
        rc = put_row(stream, cursor, &row);
    if (rc == 0)
        rc = trim_keys(store, cursor, stream);
    mdb_cursor_close(cursor);
    return rc;
}

/* The stream's row as it will be; false: as it is. */
static bool next_row(const struct stream *stream, struct format_row *row)
{
    const struct pending *p = &stream->pending;
    const struct store_record *r = p->position;

    if (r == NULL && stream->row.first_seq != 0)
        return false;
    *row = stream->row;
    if (row->first_seq == 0)
        row->first_seq = p->first_seq;
    if (r == NULL)
        return true;
    row->has_position = r->position.ptr != NULL;
    row->position_len = row->has_position ? r->position.len : 0;
    if (row->position_len != 0)
        memcpy(row->position, r->position.ptr, row->position_len);
    return true;
}

static int append_body(struct store *store, MDB_txn *txn, void *arg, const char **what)
{
    struct batch *b = arg;
    struct format_row row;
    int rc;

    for (size_t i = 0; i < b->touched_count; i++) {
        b->touched[i]->cursor = NULL; /* the transaction before, if any, has freed it */
        b->touched[i]->pending.keys_done = 0;
    }
    *what = "cannot write records";
    rc = put_records(store, txn, b);
    for (size_t i = 0; i < b->touched_count && rc == 0; i++) {
        *what = "cannot write dedup keys";
        rc = put_keys(store, txn, b->touched[i]);
        if (rc == 0 && next_row(b->touched[i], &row)) {
            *what = "cannot write a position";
            rc = store_put_row(store, txn, b->touched[i]->name, &row);
        }
    }
    if (rc != 0)
        return rc;
    *what = "cannot write saved states";
    rc = store_states_put(store, txn, b->states, b->n_states, b->now_us);
    if (rc != 0)
        return rc;
    *what = "cannot write the reservation";
    return store_put_reserved(store, txn, b->reserve_seq);
}

/* It is on disk: now it may be seen. The streams first, for readers look at the store's newest
 * before they look at a stream's. */
static void publish(struct store *store, const struct batch *b)
{
    uint64_t newest = atomic_load(&store->newest_seq);

    for (size_t i = 0; i < b->touched_count; i++) {
        struct stream *stream = b->touched[i];
        struct pending *p = &stream->pending;

        next_row(stream, &stream->row);
        stream->dedup = p->dedup;
        if (atomic_load(&stream->oldest_seq) == 0)
            atomic_store(&stream->oldest_seq, p->first_seq);
        atomic_store(&stream->newest_seq, p->last_seq);
    }
    if (b->count > 0)
        newest = b->records[b->count - 1].seq;
    if (b->reserve_seq > store->reserved_seq)
        store->reserved_seq = b->reserve_seq;
    atomic_store(&store->reserved_known,
                 newest > store->reserved_seq ? newest : store->reserved_seq);
    atomic_store(&store->newest_seq, newest);
}

/* What needs room but records is small, and has the reserve. */
static int write_batch(struct store *store, struct batch *b, struct error *err)
{
    int rc = store_write(store, STORE_WRITE_GROW, b->bytes, append_body, b, err);

    if (rc != ERR_FULL || b->count > 0 || store->failed.code != 0)
        return rc;
    rc = store_write(store, STORE_WRITE_RESERVE, 0, append_body, b, err);
    if (rc != 0) {
        store_leave_reserve(store, NULL);
        return rc;
    }
    publish(store, b);
    return store_leave_reserve(store, err);
}

/* For store_retain: what did not fit, and whose it is. */
static void note_starved(struct store *store, const struct batch *b)
{
    store->starved_bytes = b->bytes;
    memset(store->starved_streams, 0, sizeof store->starved_streams);
    for (size_t i = 0; i < b->touched_count; i++)
        store->starved_streams[b->touched[i]->id / 64] |= (uint64_t)1 << b->touched[i]->id % 64;
}

static int append_locked(struct store *store, struct batch *b, struct error *err)
{
    int rc = store_sticky(store, err);

    if (rc == 0)
        rc = plan(store, b, err);
    if (rc == 0 && (b->count > 0 || b->n_states > 0 || b->reserve_seq > store->reserved_seq))
        rc = write_batch(store, b, err);
    if (rc == 0)
        publish(store, b);
    if (rc == ERR_FULL && store->failed.code == 0 && b->count > 0)
        note_starved(store, b);
    else if (rc == 0 && b->count > 0)
        store->starved_bytes = 0;
    for (size_t i = 0; i < b->touched_count; i++)
        b->touched[i]->pending.first_seq = 0;
    return rc;
}

int store_append(struct store *store, const struct store_record *records, size_t count,
                 uint64_t reserve_seq, struct error *err)
{
    return store_append_with(store, records, count, NULL, 0, 0, reserve_seq, err);
}

int store_append_with(struct store *store, const struct store_record *records, size_t count,
                      const struct store_state *states, size_t n_states, int64_t now_us,
                      uint64_t reserve_seq, struct error *err)
{
    struct batch b = {.records = records,
                      .count = count,
                      .states = states,
                      .n_states = n_states,
                      .now_us = now_us,
                      .reserve_seq = reserve_seq};
    int rc;

    store_enter(store);
    pthread_mutex_lock(&store->write);
    rc = append_locked(store, &b, err);
    pthread_mutex_unlock(&store->write);
    store_leave();
    return rc;
}

/* The streams that a store knows: loading, making and finding them, their dedup keys. */
#include "store/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/siphash.h"

enum { DB_NAME = 16 /* bytes of "e.255" and its like */ };

static void db_name(char out[DB_NAME], char kind, unsigned id)
{
    snprintf(out, DB_NAME, "%c.%u", kind, id);
}

int store_put_row(struct store *store, MDB_txn *txn, const char *name, const struct format_row *row)
{
    uint8_t bytes[FORMAT_ROW_MAX];
    size_t size = format_row_encode(bytes, slice_str(name), row);

    return store_put(store, txn, store->names, slice_str(name), slice_make((char *)bytes, size));
}

static int open_dbs(struct stream *stream, MDB_txn *txn, unsigned flags)
{
    char name[DB_NAME];
    int rc;

    db_name(name, 'e', stream->row.id);
    rc = mdb_dbi_open(txn, name, flags | MDB_INTEGERKEY, &stream->records);
    if (rc != 0)
        return rc;
    db_name(name, 'd', stream->row.id);
    return mdb_dbi_open(txn, name, flags | MDB_INTEGERKEY, &stream->keys);
}

/* The seq at one end of the records, 0 when there are none. */
static int end_seq(MDB_txn *txn, MDB_dbi dbi, MDB_cursor_op op, uint64_t *seq)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);

    *seq = 0;
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, op);
    if (rc == 0)
        *seq = store_seq(&key);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int count_keys(MDB_txn *txn, MDB_dbi dbi, uint64_t *count)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);

    *count = 0;
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        *count += format_keys_count(value.mv_size);
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int load_stream(struct store *store, MDB_txn *txn, struct stream *stream, struct error *err)
{
    uint64_t oldest = 0, newest = 0;
    int rc = open_dbs(stream, txn, 0);

    if (rc == 0)
        rc = end_seq(txn, stream->records, MDB_FIRST, &oldest);
    if (rc == 0)
        rc = end_seq(txn, stream->records, MDB_LAST, &newest);
    if (rc != 0) {
        rc = store_lmdb_error(store, rc, "cannot read its records", err);
        return err != NULL ? error_wrap(err, "stream %s", stream->name) : rc;
    }
    if (newest < stream->row.trimmed_seq)
        newest = stream->row.trimmed_seq;
    atomic_init(&stream->oldest_seq, oldest);
    atomic_init(&stream->newest_seq, newest);
    if (newest > atomic_load(&store->newest_seq))
        atomic_store(&store->newest_seq, newest);
    return 0;
}

static int load_row(struct store *store, MDB_txn *txn, const MDB_val *key, const MDB_val *value,
                    struct error *err)
{
    struct slice name = slice_make(key->mv_data, key->mv_size);
    struct stream *stream;

    if (name.len == 0 || name.len > LIMIT_STREAM_NAME)
        return error_set(err, ERR_CORRUPT, "%s: a stream's name is damaged", store->path);
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return error_set(err, ERR_NOMEM, "%s: out of memory", store->path);
    memcpy(stream->name, name.ptr, name.len);
    if (format_row_decode(value->mv_data, value->mv_size, name, &stream->row) != 0 ||
        store->streams[stream->row.id] != NULL) {
        free(stream);
        return error_set(err, ERR_CORRUPT, "%s: the row of stream " SLICE_FMT " is damaged",
                         store->path, SLICE_ARG(name));
    }
    stream->id = stream->row.id;
    store->streams[stream->id] = stream;
    return load_stream(store, txn, stream, err);
}

int store_streams_load(struct store *store, MDB_txn *txn, struct error *err)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t newest;
    int rc = mdb_dbi_open(txn, "streams", 0, &store->names);

    if (rc == 0)
        rc = mdb_cursor_open(txn, store->names, &cursor);
    if (rc != 0)
        return store_lmdb_error(store, rc, "cannot read its streams", err);
    for (;;) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (rc == MDB_NOTFOUND) {
            rc = 0;
            break;
        }
        rc = rc != 0 ? store_lmdb_error(store, rc, "cannot read its streams", err)
                     : load_row(store, txn, &key, &value, err);
        if (rc != 0)
            break;
    }
    mdb_cursor_close(cursor);
    newest = atomic_load(&store->newest_seq);
    atomic_init(&store->reserved_known,
                newest > store->reserved_seq ? newest : store->reserved_seq);
    return rc;
}

static struct stream *find(struct store *store, const char *name)
{
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        if (store->streams[i] != NULL && !atomic_load(&store->streams[i]->forgotten) &&
            strcmp(store->streams[i]->name, name) == 0)
            return store->streams[i];
    }
    return NULL;
}

/* What store_stream_open is about to write. */
struct opening {
    struct stream *stream;
    struct stream *evict;  /* a removed one, whose place this takes; NULL: none */
    struct format_row row; /* as it shall be */
    bool create, drop_keys, write;
};

static int open_body(struct store *store, MDB_txn *txn, void *arg, const char **what)
{
    struct opening *o = arg;
    int rc = 0;

    *what = "cannot open a stream";
    if (o->evict != NULL && !atomic_load(&o->evict->forgotten))
        rc = store_forget(store, txn, o->evict);
    if (rc == 0 && o->create)
        rc = open_dbs(o->stream, txn, MDB_CREATE);
    if (rc == 0 && o->drop_keys)
        rc = mdb_drop(txn, o->stream->keys, 0);
    if (rc == 0)
        rc = store_put_row(store, txn, o->stream->name, &o->row);
    return rc;
}

static int write_opening(struct store *store, struct opening *o, struct error *err)
{
    enum store_write_mode mode = o->create ? STORE_WRITE_OPEN : STORE_WRITE_GROW;
    uint64_t need = 32 * store->page_bytes; /* a few paths from root to leaf */

    if (!o->write)
        return 0;
    if (o->evict != NULL) /* its pages are listed as free: 8 bytes for each, twice while it lasts */
        need += store_file_end(store) / store->page_bytes * 16;
    return store_write(store, mode, need, open_body, o, err);
}

static void plan_opening(struct store *store, const struct store_stream_options *options,
                         struct opening *o)
{
    uint8_t fingerprint[16];

    siphash128(store->instance.hash_key, options->fingerprint.ptr, options->fingerprint.len,
               fingerprint);
    o->row = o->stream->row;
    o->drop_keys = !o->create && memcmp(fingerprint, o->row.fingerprint, 16) != 0;
    if (o->drop_keys) {
        o->row.has_position = false;
        o->row.position_len = 0;
    }
    memcpy(o->row.fingerprint, fingerprint, 16);
    o->row.retain_size_bytes = options->retain_size_bytes;
    o->row.retain_age_ms = options->retain_age_ms;
    o->row.dedup_window = options->dedup_window;
    o->write = o->create || o->drop_keys ||
               o->row.retain_size_bytes != o->stream->row.retain_size_bytes ||
               o->row.retain_age_ms != o->stream->row.retain_age_ms ||
               o->row.dedup_window != o->stream->row.dedup_window;
}

static int new_stream(struct store *store, const char *name, struct opening *o, struct error *err)
{
    struct stream *stream;
    unsigned id = 0;

    while (id < LIMIT_STREAMS && store->streams[id] != NULL)
        id++;
    if (id == LIMIT_STREAMS) {
        o->evict = store_stream_to_evict(store);
        if (o->evict == NULL)
            return error_set(err, ERR_LIMIT,
                             "%s: there is no place for stream %s: %d are in use, with those that"
                             " were removed since hawserd started; start it again",
                             store->path, name, LIMIT_STREAMS);
        id = o->evict->id;
    }
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return error_set(err, ERR_NOMEM, "%s: out of memory", store->path);
    snprintf(stream->name, sizeof stream->name, "%s", name);
    stream->row.id = stream->id = id;
    o->stream = stream;
    return 0;
}

/* Counting takes a pass over the rows, once for each stream in a process. */
static int count_dedup(struct store *store, struct stream *stream, struct error *err)
{
    struct reader *reader;
    int rc = store_reader_take(store, &reader, err);

    if (rc != 0)
        return rc;
    rc = count_keys(reader->txn, stream->keys, &stream->dedup);
    store_reader_give(store, reader);
    return rc == 0 ? 0 : store_lmdb_error(store, rc, "cannot read dedup keys", err);
}

static int open_locked(struct store *store, const struct store_stream_options *options,
                       struct store_stream_state *out, struct error *err)
{
    struct opening o = {.stream = find(store, options->name)};
    int rc = 0;

    o.create = o.stream == NULL;
    if (o.create)
        rc = new_stream(store, options->name, &o, err);
    if (rc != 0)
        return rc;
    plan_opening(store, options, &o);
    rc = write_opening(store, &o, err);
    if (rc == 0 && !o.create && !o.drop_keys && !o.stream->opened)
        rc = count_dedup(store, o.stream, err);
    if (rc != 0) {
        if (o.create)
            free(o.stream);
        return rc;
    }
    if (o.evict != NULL && !atomic_load(&o.evict->forgotten)) {
        log_warning(options->name, NULL,
                    "%s: it takes the place of stream %s, which is not configured any more and"
                    " goes with all its events: the store has room for %d streams",
                    store->path, o.evict->name, LIMIT_STREAMS);
        store_evicted(store);
    }
    o.stream->row = o.row;
    o.stream->opened = true;
    atomic_store(&o.stream->removed, false);
    if (o.drop_keys)
        o.stream->dedup = 0;
    pthread_rwlock_wrlock(&store->map);
    store->streams[o.row.id] = o.stream;
    pthread_rwlock_unlock(&store->map);
    free(o.evict);
    *out = (struct store_stream_state){.id = o.row.id,
                                       .has_position = o.row.has_position,
                                       .position_len = o.row.position_len,
                                       .fingerprint_changed = o.drop_keys,
                                       .newest_seq = atomic_load(&o.stream->newest_seq)};
    memcpy(out->position, o.row.position, o.row.position_len);
    return 0;
}

int store_stream_open(struct store *store, const struct store_stream_options *options,
                      struct store_stream_state *out, struct error *err)
{
    size_t len = strlen(options->name);
    int rc;

    if (len == 0 || len > LIMIT_STREAM_NAME)
        return error_set(err, ERR_INVAL, "stream name of %zu bytes: 1 to %d are allowed", len,
                         LIMIT_STREAM_NAME);
    store_enter(store);
    pthread_mutex_lock(&store->write);
    rc = open_locked(store, options, out, err);
    pthread_mutex_unlock(&store->write);
    store_leave();
    return rc;
}

/* Asks the kernel to read it, and does not wait. *last: the page asked for before, for many rows
 * share one. */
static void prefetch(const MDB_val *value, uintptr_t *last)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)value->mv_data;
    size_t into_page = begin & (page - 1);

    if (begin - into_page == *last && into_page + value->mv_size <= page)
        return;
    *last = begin - into_page;
    madvise((char *)value->mv_data - into_page, into_page + value->mv_size, MADV_WILLNEED);
}

/* Moves to the row that holds the oldest of the `want` newest keys; *skip: keys before it there.
 * The rows lie scattered over the file: on a disk that is cold they are asked for all at once, for
 * one after the other is what opening a large store would wait for. */
static int seek_window(MDB_cursor *cursor, MDB_val *key, MDB_val *value, uint64_t want,
                       uint64_t *skip)
{
    uint64_t have = 0;
    uintptr_t last = 0;
    int rc = mdb_cursor_get(cursor, key, value, MDB_LAST);

    *skip = 0;
    while (rc == 0) {
        prefetch(value, &last);
        have += format_keys_count(value->mv_size);
        if (have >= want) {
            *skip = have - want;
            return 0;
        }
        rc = mdb_cursor_get(cursor, key, value, MDB_PREV);
    }
    if (rc == MDB_NOTFOUND && have > 0)
        rc = mdb_cursor_get(cursor, key, value, MDB_FIRST);
    return rc;
}

static int load_keys(struct store *store, const struct stream *stream, uint64_t window,
                     MDB_cursor *cursor, void (*visit)(void *arg, const uint8_t key[16]), void *arg,
                     struct error *err)
{
    uint64_t skip, damaged = 0;
    MDB_val key, value;
    int rc = seek_window(cursor, &key, &value, window, &skip);

    for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        const uint8_t *keys;
        size_t count;

        if (format_keys_decode(value.mv_data, value.mv_size, store_seq(&key), stream->id, &keys,
                               &count) != 0) {
            damaged = store_seq(&key);
            continue;
        }
        for (size_t i = skip; i < count; i++)
            visit(arg, keys + i * FORMAT_KEY);
        skip = 0;
    }
    if (rc != MDB_NOTFOUND)
        return store_lmdb_error(store, rc, "cannot read dedup keys", err);
    if (damaged != 0)
        return error_set(err, ERR_CORRUPT,
                         "%s: stream %s: the dedup keys at seq %llu are damaged; duplicates of that"
                         " time may be delivered again",
                         store->path, stream->name, (unsigned long long)damaged);
    return 0;
}

int store_dedup_load(struct store *store, unsigned stream,
                     void (*visit)(void *arg, const uint8_t key[16]), void *arg, struct error *err)
{
    struct reader *reader;
    MDB_cursor *cursor;
    const struct stream *s;
    struct format_row row;
    int rc = store_reader_take(store, &reader, err);

    if (rc != 0)
        return rc;
    s = stream < LIMIT_STREAMS ? store->streams[stream] : NULL;
    if (s == NULL || atomic_load(&s->forgotten))
        rc = error_set(err, ERR_NOTFOUND, "%s: no stream %u", store->path, stream);
    else
        rc = store_reader_row(store, reader, s, &row, err);
    if (rc == 0 && row.dedup_window > 0) {
        rc = mdb_cursor_open(reader->txn, s->keys, &cursor);
        if (rc == 0) {
            rc = load_keys(store, s, row.dedup_window, cursor, visit, arg, err);
            mdb_cursor_close(cursor);
        } else {
            rc = store_lmdb_error(store, rc, "cannot read dedup keys", err);
        }
    }
    store_reader_give(store, reader);
    return rc;
}

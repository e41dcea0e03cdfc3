/*
 * Retention: what is too old, too much for its stream, or too much for the file, is deleted from
 * the old end of its stream.
 *
 * A stream's size is the pages of its database of records; LMDB keeps count of them. The file's is
 * the pages of everything: when that comes within SLACK of the bound, the stream furthest over its
 * share yields, the share being what its own limit is of the sum of all limits. A stream that this
 * process has not opened, or that is removed, has no share and so yields first. An append
 * that found no room says how much it needs, and the same rule makes it. Where it is the file
 * system that has no room (min_free, a full disk) no stream loses its history for another: the
 * streams of that append make room out of their own, and where that is too little nothing is
 * deleted at all.
 *
 * LMDB can use a freed page in the second transaction after the one that freed it, so retention on
 * behalf of an append that found no room ends with a transaction that changes nothing.
 */
#include "store/internal.h"

enum {
    SLACK_PART = 16,               /* of the bound is kept free in the file */
    SLACK_MAX = 64 * LIMIT_MIB,    /* at most */
    BUDGET_RECORDS = 4096,         /* deleted in one transaction */
    BUDGET_BYTES = 32 * LIMIT_MIB, /* the same, of whole pages */
    BUDGET_STREAMS = 8,            /* forgotten in one transaction */
    STAT_EVERY = 16,               /* records between two looks at the size */
};

struct retain {
    struct store *store;
    MDB_txn *txn;
    int64_t now_us;
    unsigned records; /* budget left */
    uint64_t bytes;   /* the same */
    bool more;
    bool changed;
    uint64_t freed; /* on behalf of the file */
    uint64_t forgotten[STORE_ID_WORDS];
    uint64_t starved; /* still needed by an append */
};

static uint64_t pages_bytes(const struct store *store, const MDB_stat *stat)
{
    return (stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages) *
           store->page_bytes;
}

static int db_bytes(struct retain *r, MDB_dbi dbi, uint64_t *bytes)
{
    MDB_stat stat;
    int rc = mdb_stat(r->txn, dbi, &stat);

    *bytes = rc == 0 ? pages_bytes(r->store, &stat) : 0;
    return rc;
}

static bool spent(const struct retain *r)
{
    return r->records == 0 || r->bytes == 0;
}

/* Deletes the record the cursor is at and moves to the next. */
static int delete_one(struct retain *r, struct stream *stream, MDB_cursor *cursor, MDB_val *key,
                      MDB_val *value)
{
    uint64_t seq = store_seq(key);
    uint64_t size = value->mv_size;
    int rc = store_fault(r->store, STORE_FAULT_PUT);

    if (rc == 0)
        rc = mdb_cursor_del(cursor, 0);
    if (rc != 0)
        return rc;
    stream->pending.trimmed_seq = seq;
    r->changed = true;
    r->records--;
    r->bytes = size < r->bytes ? r->bytes - size : 0;
    rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    stream->pending.oldest_seq = rc == 0 ? store_seq(key) : 0;
    return rc;
}

/* Whether a record is older than its stream wants. A damaged one may be taken for too old: it can
 * not be served anyway, and is said to be lost. */
static bool expired(const struct retain *r, const struct stream *stream, const MDB_val *value)
{
    int64_t age_us, received_us;

    if (stream->row.retain_age_ms <= 0)
        return false;
    if (!format_record_received(value->mv_data, value->mv_size, &received_us))
        return true;
    if (__builtin_mul_overflow(stream->row.retain_age_ms, 1000, &age_us) ||
        __builtin_add_overflow(received_us, age_us, &received_us))
        return false;
    return received_us < r->now_us;
}

/* Deletes from the old end while the stream has more than `keep` bytes, or too old records. */
static int trim(struct retain *r, struct stream *stream, uint64_t keep, bool by_age)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t bytes = 0;
    int rc = mdb_cursor_open(r->txn, stream->records, &cursor);

    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (unsigned n = 0; rc == 0; n++) {
        if (n % STAT_EVERY == 0 || bytes <= keep)
            rc = db_bytes(r, stream->records, &bytes);
        if (rc != 0 || (bytes <= keep && !(by_age && expired(r, stream, &value))))
            break;
        if (spent(r)) {
            r->more = true;
            break;
        }
        rc = delete_one(r, stream, cursor, &key, &value);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int trim_streams(struct retain *r)
{
    struct store *store = r->store;
    int rc = 0;

    /* Whoever was first last time is last now: one flood does not use up the budget for ever. */
    for (unsigned i = 0; i < LIMIT_STREAMS && rc == 0; i++) {
        struct stream *stream = store->streams[(store->retain_next + i) % LIMIT_STREAMS];
        uint64_t keep;

        if (stream == NULL || atomic_load(&stream->oldest_seq) == 0)
            continue;
        keep = stream->row.retain_size_bytes;
        rc = trim(r, stream, keep == 0 ? UINT64_MAX : keep, true);
    }
    store->retain_next = (store->retain_next + 1) % LIMIT_STREAMS;
    return rc;
}

/* Bytes of all pages in use. */
static int used_bytes(struct retain *r, uint64_t *used)
{
    enum { FREE_DB = 0, MAIN_DB = 1, META_PAGES = 2 }; /* LMDB's own */
    const struct store *store = r->store;
    const MDB_dbi fixed[] = {FREE_DB, MAIN_DB, store->meta, store->names};
    uint64_t bytes;
    int rc = 0;

    *used = META_PAGES * store->page_bytes;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0] && rc == 0; i++) {
        rc = db_bytes(r, fixed[i], &bytes);
        *used += bytes;
    }
    for (size_t i = 0; i < LIMIT_STREAMS && rc == 0; i++) {
        if (store->streams[i] == NULL)
            continue;
        rc = db_bytes(r, store->streams[i]->records, &bytes);
        *used += bytes;
        if (rc == 0)
            rc = db_bytes(r, store->streams[i]->keys, &bytes);
        *used += bytes;
    }
    return rc;
}

static bool is_starved(const struct store *store, const struct stream *stream)
{
    return (store->starved_streams[stream->id / 64] >> stream->id % 64 & 1) != 0;
}

static bool has_share(const struct stream *stream)
{
    return stream->opened && !atomic_load(&stream->removed);
}

/* The stream furthest over its share of `total`, and its size; NULL: no stream has records. own:
 * of those that an append has found no room for. */
static int furthest_over(struct retain *r, uint64_t total, bool own, struct stream **out,
                         uint64_t *size)
{
    const struct store *store = r->store;
    double limits = 0, worst = 0;

    *out = NULL;
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        const struct stream *s = store->streams[i];

        if (s != NULL && has_share(s))
            limits +=
                s->row.retain_size_bytes != 0 ? (double)s->row.retain_size_bytes : (double)total;
    }
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        struct stream *s = store->streams[i];
        double share = 0, over;
        uint64_t bytes;
        int rc;

        if (s == NULL || (own && !is_starved(store, s)))
            continue;
        rc = db_bytes(r, s->records, &bytes);
        if (rc != 0)
            return rc;
        if (bytes == 0)
            continue;
        if (has_share(s))
            share =
                (double)total *
                (s->row.retain_size_bytes != 0 ? (double)s->row.retain_size_bytes : (double)total) /
                limits;
        over = (double)bytes - share;
        if (*out == NULL || over > worst) {
            *out = s;
            *size = bytes;
            worst = over;
        }
    }
    return 0;
}

/* Makes `excess` bytes free, a piece at a time from whoever is then furthest over. */
static int trim_file(struct retain *r, uint64_t total, uint64_t excess, bool own)
{
    const uint64_t piece = 16 * r->store->page_bytes;

    while (excess > 0) {
        struct stream *stream;
        uint64_t size, left, step = excess < piece ? excess : piece;
        int rc = furthest_over(r, total, own, &stream, &size);

        if (rc != 0 || stream == NULL)
            return rc;
        rc = trim(r, stream, size > step ? size - step : 0, false);
        if (rc == 0)
            rc = db_bytes(r, stream->records, &left);
        if (rc != 0)
            return rc;
        left = left < size ? size - left : 0;
        r->freed += left;
        excess = left < excess ? excess - left : 0;
        if (spent(r)) {
            r->more = r->more || excess > 0;
            return 0;
        }
    }
    return 0;
}

/* What the streams of an append that found no room have themselves. */
static int own_bytes(struct retain *r, uint64_t *sum)
{
    *sum = 0;
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        const struct stream *s = r->store->streams[i];
        uint64_t bytes;
        int rc;

        if (s == NULL || !is_starved(r->store, s))
            continue;
        rc = db_bytes(r, s->records, &bytes);
        if (rc != 0)
            return rc;
        *sum += bytes;
    }
    return 0;
}

/* For an append that found no room. */
static int make_room(struct retain *r, uint64_t total, uint64_t need)
{
    bool own = r->store->tight;
    uint64_t have = 0;
    int rc = own ? own_bytes(r, &have) : 0;

    if (rc != 0 || (own && have < need))
        return rc;
    return trim_file(r, total, need, own);
}

static int put_rows(struct retain *r)
{
    int rc = 0;

    for (size_t i = 0; i < LIMIT_STREAMS && rc == 0; i++) {
        struct stream *stream = r->store->streams[i];
        struct format_row row;

        if (stream == NULL || stream->pending.trimmed_seq == 0)
            continue;
        row = stream->row;
        row.trimmed_seq = stream->pending.trimmed_seq;
        rc = store_put_row(r->store, r->txn, stream->name, &row);
    }
    return rc;
}

/* Removed streams that have nothing left. */
static int forget_streams(struct retain *r)
{
    unsigned count = 0;
    int rc = 0;

    for (unsigned id = 0; id < LIMIT_STREAMS && rc == 0; id++) {
        const struct stream *s = r->store->streams[id];
        uint64_t bytes;

        if (s == NULL || !atomic_load(&s->removed) || atomic_load(&s->forgotten))
            continue;
        rc = db_bytes(r, s->records, &bytes);
        if (rc != 0 || bytes > 0)
            continue;
        if (count++ == BUDGET_STREAMS) {
            r->more = true;
            break;
        }
        rc = store_forget(r->store, r->txn, s);
        r->forgotten[id / 64] |= (uint64_t)1 << id % 64;
    }
    return rc;
}

static void begin(struct retain *r, MDB_txn *txn)
{
    *r = (struct retain){.store = r->store,
                         .txn = txn,
                         .now_us = r->now_us,
                         .records = BUDGET_RECORDS,
                         .bytes = BUDGET_BYTES};
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        if (r->store->streams[i] != NULL)
            r->store->streams[i]->pending.trimmed_seq = 0;
    }
}

static int retain_body(struct store *store, MDB_txn *txn, void *arg, const char **what)
{
    struct retain *r = arg;
    uint64_t bound = store_bound(store), slack = bound / SLACK_PART;
    uint64_t used, excess, need;
    int rc;

    begin(r, txn);
    *what = "cannot delete old records";
    rc = trim_streams(r);
    if (rc == 0)
        rc = used_bytes(r, &used);
    if (rc != 0)
        return rc;
    bound -= slack < SLACK_MAX ? slack : SLACK_MAX;
    excess = used > bound ? used - bound : 0;
    need = store->starved_bytes;
    rc = trim_file(r, bound < used ? bound : used, excess, false);
    if (rc == 0 && need > r->freed)
        rc = make_room(r, bound < used ? bound : used, need - r->freed);
    r->starved = need > r->freed ? need - r->freed : 0;
    if (rc == 0)
        rc = put_rows(r);
    *what = "cannot forget a stream";
    return rc == 0 ? forget_streams(r) : rc;
}

static int age_body(struct store *store, MDB_txn *txn, void *arg, const char **what)
{
    uint8_t bytes[FORMAT_RESERVED_BYTES];

    *what = "cannot write the reservation";
    format_reserved_encode(bytes, store->reserved_seq);
    return store_put(store, txn, store->meta, SLICE("reserved"),
                     slice_make((char *)bytes, sizeof bytes));
}

static void publish(struct retain *r)
{
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        struct stream *stream = r->store->streams[i];

        if (stream == NULL)
            continue;
        if (stream->pending.trimmed_seq != 0) {
            stream->row.trimmed_seq = stream->pending.trimmed_seq;
            atomic_store(&stream->oldest_seq, stream->pending.oldest_seq);
        }
        if (r->forgotten[i / 64] >> i % 64 & 1)
            store_forgotten(r->store, stream);
    }
}

static int retain_locked(struct store *store, struct retain *r, struct error *err)
{
    int rc = store_write(store, STORE_WRITE_RESERVE, 0, retain_body, r, err);
    bool starved = store->starved_bytes > 0;

    if (rc != 0) {
        store_leave_reserve(store, NULL);
        return rc;
    }
    publish(r);
    /* Without more to delete there is nothing more to be had for the append. */
    store->starved_bytes = r->more ? r->starved : 0;
    if (starved && store->starved_bytes == 0)
        rc = store_write(store, STORE_WRITE_RESERVE, 0, age_body, NULL, err);
    return rc != 0 ? rc : store_leave_reserve(store, err);
}

int store_retain(struct store *store, int64_t now_us, bool *more, struct error *err)
{
    struct retain r = {.store = store, .now_us = now_us};
    int rc;

    *more = false;
    store_enter(store);
    pthread_mutex_lock(&store->write);
    rc = retain_locked(store, &r, err);
    pthread_mutex_unlock(&store->write);
    store_leave();
    if (rc == 0)
        *more = r.more;
    return rc;
}

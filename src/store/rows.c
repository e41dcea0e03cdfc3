/*
 * The second pass of a check: every row of every database, read through LMDB, whose pages are known
 * to be sound by now.
 */
#include "store/internal.h"

#include <stdio.h>

static void say_lmdb(struct store_check *check, const char *what, int rc)
{
    store_check_say(check, STORE_CHECK_FATAL, "%s: %s", what, mdb_strerror(rc));
}

/* A pass over a database of records or keys. */
static void walk_seqs(struct store_check *check, MDB_txn *txn, const char *name, char kind,
                      unsigned id)
{
    char db[16], what[128];
    uint64_t last = 0;
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_dbi dbi;
    int rc;

    snprintf(db, sizeof db, "%c.%u", kind, id);
    snprintf(what, sizeof what, "stream %s: %s", name, kind == 'e' ? "records" : "dedup keys");
    store_check_say(check, STORE_CHECK_AT, "%s", what);
    rc = mdb_dbi_open(txn, db, MDB_INTEGERKEY, &dbi);
    if (rc == 0)
        rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0) {
        say_lmdb(check, what, rc);
        return;
    }
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t seq = store_seq(&key);
        struct store_event event;
        const uint8_t *keys;
        size_t count;

        if (seq <= last) {
            store_check_say(check, STORE_CHECK_FATAL, "%s: a damaged key after seq %llu", what,
                            (unsigned long long)last);
            break;
        }
        last = seq;
        store_check_went(check, value.mv_size);
        if ((kind == 'e'
                 ? format_record_decode(value.mv_data, value.mv_size, seq, id, &event)
                 : format_keys_decode(value.mv_data, value.mv_size, seq, id, &keys, &count)) != 0)
            store_check_say(check, STORE_CHECK_VALUE, "%s: seq %llu", what,
                            (unsigned long long)seq);
    }
    if (rc != 0 && rc != MDB_NOTFOUND)
        say_lmdb(check, what, rc);
    mdb_cursor_close(cursor);
}

static void walk_streams(struct store_check *check, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_dbi dbi;
    int rc = mdb_dbi_open(txn, "streams", 0, &dbi);

    store_check_say(check, STORE_CHECK_AT, "the streams");
    if (rc == 0)
        rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0) {
        say_lmdb(check, "the streams", rc);
        return;
    }
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        char name[LIMIT_STREAM_NAME + 1] = "";
        struct format_row row;

        if (key.mv_size <= LIMIT_STREAM_NAME)
            memcpy(name, key.mv_data, key.mv_size);
        if (name[0] == '\0' || format_row_decode(value.mv_data, value.mv_size,
                                                 slice_make(key.mv_data, key.mv_size), &row) != 0) {
            store_check_say(check, STORE_CHECK_FATAL, "the row of stream %s", name);
            continue;
        }
        walk_seqs(check, txn, name, 'e', row.id);
        walk_seqs(check, txn, name, 'd', row.id);
    }
    if (rc != MDB_NOTFOUND)
        say_lmdb(check, "the streams", rc);
    mdb_cursor_close(cursor);
}

static void walk_states(struct store_check *check, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_dbi dbi;
    int rc = mdb_dbi_open(txn, "state", 0, &dbi);

    store_check_say(check, STORE_CHECK_AT, "the saved states");
    if (rc == MDB_NOTFOUND)
        return; /* format 1, or the upgrade says so */
    if (rc == 0)
        rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0) {
        say_lmdb(check, "the saved states", rc);
        return;
    }
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct store_state state = {.key = slice_make(key.mv_data, key.mv_size)};
        int64_t saved_us;

        if (format_state_decode(value.mv_data, value.mv_size, &state, &saved_us) != 0)
            store_check_say(check, STORE_CHECK_VALUE, "saved state " SLICE_FMT,
                            SLICE_ARG(state.key));
    }
    if (rc != MDB_NOTFOUND)
        say_lmdb(check, "the saved states", rc);
    mdb_cursor_close(cursor);
}

static int open_env(const struct store *store, MDB_env *env, MDB_txn **txn)
{
    int rc = mdb_env_set_maxdbs(env, 2 * LIMIT_STREAMS + 4);

    /* As large as it may become: the pages are known to be good, but not the size in the head. */
    if (rc == 0)
        rc = mdb_env_set_mapsize(env, store_bound(store));
    if (rc == 0)
        rc = mdb_env_open(env, store->path, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
    return rc == 0 ? mdb_txn_begin(env, NULL, MDB_RDONLY, txn) : rc;
}

void store_check_rows(struct store_check *check, const struct store *store)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    int rc = mdb_env_create(&env);

    store_check_say(check, STORE_CHECK_AT, "the head of the file");
    if (rc == 0)
        rc = open_env(store, env, &txn);
    if (rc != 0) {
        say_lmdb(check, "cannot open", rc);
    } else {
        walk_streams(check, txn);
        walk_states(check, txn);
        mdb_txn_abort(txn);
    }
    if (env != NULL)
        mdb_env_close(env);
}

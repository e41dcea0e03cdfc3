/* Saved states: small values of the daemon's, in a database of their own. */
#include "store/internal.h"

enum {
    STATE_PAGES = 2, /* copied for one: its leaf, and its share of the branches */
    NODE_BYTES = 24, /* LMDB's own for a row: header, key, index */
};

int store_states_check(const struct store_state *states, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct store_state *s = &states[i];

        if (s->key.len == 0 || s->key.len > STORE_STATE_KEY || s->value.len > STORE_STATE_VALUE)
            return error_set(err, ERR_LIMIT,
                             "store: a state with a key of %zu and a value of %zu bytes: 1 to %d,"
                             " and at most %d",
                             s->key.len, s->value.len, STORE_STATE_KEY, STORE_STATE_VALUE);
    }
    return 0;
}

uint64_t store_states_bytes(const struct store *store, const struct store_state *states,
                            size_t count)
{
    uint64_t sum = 0, copied, most = store->states_bytes / store->page_bytes + STATE_PAGES;

    for (size_t i = 0; i < count; i++) {
        uint64_t bytes = states[i].key.len + format_state_size(&states[i]) + NODE_BYTES;

        if (bytes * 2 > store->page_bytes)
            bytes += 2 * store->page_bytes;
        sum += bytes + bytes / 4;
    }
    /* Many in one commit share their pages: no more are copied than there are. */
    copied = count * STATE_PAGES;
    most += sum / store->page_bytes;
    return sum + (copied < most ? copied : most) * store->page_bytes;
}

int store_states_measure(struct store *store, MDB_txn *txn)
{
    MDB_stat stat;
    int rc = mdb_stat(txn, store->states, &stat);

    if (rc == 0)
        store->states_bytes = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) *
                              store->page_bytes;
    return rc;
}

static int put_state(struct store *store, MDB_txn *txn, const struct store_state *state,
                     int64_t now_us)
{
    MDB_val key = store_val(state->key.ptr, state->key.len);
    MDB_val value = {format_state_size(state), NULL};
    int rc = store_fault(store, STORE_FAULT_PUT);

    if (rc != 0)
        return rc;
    if (state->value.ptr == NULL) {
        rc = mdb_del(txn, store->states, &key, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    rc = mdb_put(txn, store->states, &key, &value, MDB_RESERVE);
    if (rc == 0)
        format_state_encode(value.mv_data, state, now_us);
    return rc;
}

int store_states_put(struct store *store, MDB_txn *txn, const struct store_state *states,
                     size_t count, int64_t now_us)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++)
        rc = put_state(store, txn, &states[i], now_us);
    return rc == 0 && count > 0 ? store_states_measure(store, txn) : rc;
}

typedef void (*state_visitor)(void *arg, const struct store_state *state, int64_t saved_us);

static int visit_states(struct store *store, MDB_cursor *cursor, state_visitor visit, void *arg,
                        struct error *err)
{
    size_t damaged = 0;
    MDB_val key, value;
    int rc;

    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct store_state state = {.key = slice_make(key.mv_data, key.mv_size)};
        int64_t saved_us;

        if (format_state_decode(value.mv_data, value.mv_size, &state, &saved_us) != 0)
            damaged++;
        else
            visit(arg, &state, saved_us);
    }
    if (rc != MDB_NOTFOUND)
        return store_lmdb_error(store, rc, "cannot read saved states", err);
    if (damaged > 0)
        return error_set(err, ERR_CORRUPT,
                         "%s: %zu saved states are damaged; what they were about starts anew",
                         store->path, damaged);
    return 0;
}

int store_states(struct store *store, state_visitor visit, void *arg, struct error *err)
{
    struct reader *reader;
    MDB_cursor *cursor;
    int rc;

    rc = store_reader_take(store, &reader, err);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_open(reader->txn, store->states, &cursor);
    if (rc != 0) {
        rc = store_lmdb_error(store, rc, "cannot read saved states", err);
    } else {
        rc = visit_states(store, cursor, visit, arg, err);
        mdb_cursor_close(cursor);
    }
    store_reader_give(store, reader);
    return rc;
}

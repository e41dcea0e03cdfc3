/*
 * Upgrading: a store of an older format becomes one of this, a format at a time, each step in one
 * transaction together with the number of the format that it leads to. So a death in it leaves the
 * old store or the new one. The way back does not exist: an older hawser refuses the file.
 *
 * A new format: raise STORE_FORMAT, add the step that leads to it, describe it in format.h, and put
 * a store of the format before into the tests (tests/unit/store/golden).
 */
#include "store/internal.h"

#include "base/log.h"

/* Format 1 made the database of saved states with the first of them. */
static int make_states(struct store *store, MDB_txn *txn)
{
    return mdb_dbi_open(txn, "state", MDB_CREATE, &store->states);
}

/* steps[n] leads from format n + 1 to the next. */
static int (*const steps[])(struct store *store, MDB_txn *txn) = {make_states};
_Static_assert(sizeof steps / sizeof steps[0] == STORE_FORMAT - 1, "a step to each format");

static int upgrade_body(struct store *store, MDB_txn *txn, void *arg, const char **what)
{
    uint8_t bytes[FORMAT_VERSION_BYTES];
    int rc = steps[store->format - 1](store, txn);

    (void)arg;
    *what = "cannot upgrade it";
    format_version_encode(bytes, store->format + 1);
    if (rc == 0)
        rc = store_put(store, txn, store->meta, SLICE("format"),
                       slice_make((char *)bytes, sizeof bytes));
    return rc;
}

static int open_states(struct store *store, struct error *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

    if (rc == 0) {
        rc = mdb_dbi_open(txn, "state", 0, &store->states);
        if (rc == 0)
            rc = store_states_measure(store, txn);
        if (rc == 0)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    return rc == 0 ? 0 : store_lmdb_error(store, rc, "cannot read saved states", err);
}

int store_upgrade(struct store *store, struct error *err)
{
    uint32_t from = store->format;

    if (from == 0)
        return error_set(err, ERR_CORRUPT, "%s: there is no format 0", store->path);
    while (store->format < STORE_FORMAT) {
        int rc = store_write(store, STORE_WRITE_RESERVE, 0, upgrade_body, NULL, err);

        if (rc == 0)
            rc = store_leave_reserve(store, err);
        if (rc != 0)
            return rc;
        store->format++;
    }
    if (from != STORE_FORMAT)
        log_notice(NULL, NULL, "%s: upgraded from format %u to %d", store->path, from,
                   STORE_FORMAT);
    return open_states(store, err);
}

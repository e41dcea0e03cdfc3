/*
 * Write transactions, and what becomes of them when something fails.
 *
 * Happy path: begin, the body's puts, commit: LMDB writes the changed pages to places that nothing
 * refers to, syncs, then writes one meta page (synchronously) that refers to them.
 *
 * Failures:
 *   no map left (MDB_MAP_FULL), in a put or in the commit: LMDB says so before it has written a
 *     byte. The transaction is given up, the map grown, all of it done again; or ERR_FULL.
 *   no memory in a put: given up, nothing is written, ERR_NOMEM.
 *   no space (ENOSPC, EDQUOT) in a put: only spilled pages can have been written, to places that
 *     nothing refers to. ERR_FULL, and the store is as before.
 *   anything else in a put, and all failures of a commit: the store is failed. A commit writes,
 *     syncs and switches in one call, and does not say how far it came; after a failed sync the
 *     kernel may have dropped the pages and report success the next time. So nothing is tried again
 *     on this map: whoever owns the store closes it, and opens it when the cause is gone. A commit
 *     that failed for want of space says ERR_FULL all the same, so that it is known what to wait
 *     for.
 */
#include "store/internal.h"

#include <errno.h>

struct failure {
    int rc;           /* LMDB's */
    const char *what; /* the step */
    bool commit;
};

static bool no_space(int rc)
{
    return rc == ENOSPC || rc == EDQUOT;
}

int store_lmdb_error(struct store *store, int rc, const char *what, struct error *err)
{
    int code = ERR_IO;
    const char *advice = "";

    if (rc > 0) {
        code = no_space(rc) ? ERR_FULL : error_from_errno(rc);
        advice = no_space(rc) ? "; make room in its file system" : "";
    } else if (rc == MDB_MAP_FULL) {
        code = ERR_FULL;
    } else if (rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID ||
               rc == MDB_CURSOR_FULL || rc == MDB_PAGE_FULL || rc == MDB_BAD_TXN) {
        /* A transaction is spoilt without a word where the root of a database cannot be found. */
        code = ERR_CORRUPT;
        store_suspect(store, mdb_strerror(rc));
        advice = "; pages of data.mdb are damaged, and what is on them is not served: put a copy in"
                 " its place, or move the directory away to start with an empty store";
    } else if (rc == MDB_VERSION_MISMATCH) {
        code = ERR_FORMAT;
        advice = "; it was written by another version of LMDB";
    } else if (rc == MDB_READERS_FULL) {
        code = ERR_BUSY;
    }
    return error_set(err, code, "%s: %s: %s%s", store->path, what, mdb_strerror(rc), advice);
}

int store_sticky(struct store *store, struct error *err)
{
    if (store->failed.code == 0)
        return 0;
    return error_set(err, store->failed.code, "%s", store->failed.text);
}

/* Decides what a failed transaction means; the opening comment has the reasons. */
static int fail(struct store *store, const struct failure *f, struct error *err)
{
    struct error *e = &store->failed;
    bool harmless = no_space(f->rc) || f->rc == ENOMEM;

    if (!f->commit && harmless)
        return store_lmdb_error(store, f->rc, f->what, err);
    store_lmdb_error(store, f->rc, f->what, e);
    if (e->code != ERR_FULL && e->code != ERR_CORRUPT)
        e->code = ERR_IO;
    atomic_store(&store->is_failed, true);
    return store_sticky(store, err);
}

static int run(struct store *store, store_body body, void *arg, struct failure *f)
{
    MDB_txn *txn;
    int rc;

    f->commit = false;
    f->what = "cannot begin to write";
    f->rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (f->rc != 0)
        return f->rc;
    f->what = "cannot write";
    f->rc = body(store, txn, arg, &f->what);
    if (f->rc != 0) {
        mdb_txn_abort(txn);
        return f->rc;
    }
    f->commit = true;
    f->what = "cannot commit";
    rc = store_fault(store, STORE_FAULT_COMMIT);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return f->rc = rc;
    }
    f->rc = mdb_txn_commit(txn);
    if (f->rc == 0)
        f->rc = store_fault(store, STORE_FAULT_COMMIT_AFTER);
    return f->rc;
}

int store_write(struct store *store, enum store_write_mode mode, uint64_t need, store_body body,
                void *arg, struct error *err)
{
    struct failure f;
    int rc = store_sticky(store, err);

    if (rc == 0 && mode != STORE_WRITE_RESERVE)
        rc = store_fit(store, need, err);
    while (rc == 0) {
        if (mode == STORE_WRITE_OPEN)
            pthread_rwlock_wrlock(&store->map);
        run(store, body, arg, &f);
        if (mode == STORE_WRITE_OPEN)
            pthread_rwlock_unlock(&store->map);
        if (f.rc == 0)
            return 0;
        if (f.rc != MDB_MAP_FULL)
            return fail(store, &f, err);
        rc = mode == STORE_WRITE_RESERVE ? store_enter_reserve(store, err) : store_grow(store, err);
    }
    return rc;
}

int store_put(struct store *store, MDB_txn *txn, MDB_dbi dbi, struct slice key, struct slice value)
{
    MDB_val k = store_val(key.ptr, key.len);
    MDB_val v = store_val(value.ptr, value.len);
    int rc = store_fault(store, STORE_FAULT_PUT);

    return rc != 0 ? rc : mdb_put(txn, dbi, &k, &v, 0);
}

int store_put_reserved(struct store *store, MDB_txn *txn, uint64_t seq)
{
    uint8_t bytes[FORMAT_RESERVED_BYTES];

    if (seq <= store->reserved_seq)
        return 0;
    format_reserved_encode(bytes, seq);
    return store_put(store, txn, store->meta, SLICE("reserved"),
                     slice_make((char *)bytes, sizeof bytes));
}

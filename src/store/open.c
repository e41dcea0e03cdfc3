/*
 * Opening and closing: LMDB's environment, format and identity.
 *
 * MDB_NOMEMINIT is not used: it would write whatever the heap held (tokens, say) into the unused
 * parts of pages. LMDB keeps its page buffers, so that clearing them costs nothing per transaction.
 */
#include "store/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAP_START = 4 * LIMIT_MIB,
    READERS = 126, /* LMDB's default; a reader is a thread that reads right now */
};

int store_errno(struct error *err, const char *what, const char *path)
{
    int code = error_from_errno(errno);

    return error_set(err, code, "%s: %s: %s", path, what, strerror(errno));
}

/*
 * Pages that the file's end has lost (a copy cut short) would raise SIGBUS when read. LMDB itself
 * leaves pages off the end that it allocated and gave up in one transaction, so a short file may be
 * sound: it is extended, and a page of zeros that is needed is then found to be corrupt.
 */
static int extend_file(struct store *store, struct error *err)
{
    uint64_t end = store_file_end(store);
    mdb_filehandle_t fd;
    struct stat st;
    int rc = mdb_env_get_fd(store->env, &fd);

    if (rc != 0)
        return store_lmdb_error(store, rc, "cannot open", err);
    if (fstat(fd, &st) != 0)
        return store_errno(err, "cannot look at the file", store->path);
    if ((uint64_t)st.st_size < end && ftruncate(fd, (off_t)end) != 0)
        return store_errno(err, "cannot extend the file", store->path);
    return 0;
}

int store_open_env(struct store *store, const char *name, unsigned more_flags, struct error *err)
{
    unsigned flags = MDB_NOTLS | (store->options.no_sync ? MDB_NOSYNC : 0) | more_flags;
    uint64_t bound = store_bound(store);
    uint64_t map = bound < MAP_START ? bound : MAP_START;
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_create(&store->env);

    if (rc != 0)
        return store_lmdb_error(store, rc, "cannot open", err);
    mdb_env_set_assert(store->env, store_on_assert);
    mdb_env_set_maxdbs(store->env, 2 * LIMIT_STREAMS + 4);
    mdb_env_set_maxreaders(store->env, READERS);
    mdb_env_set_mapsize(store->env, map);
    rc = mdb_env_open(store->env, name, flags, 0600);
    if (rc != 0)
        return store_lmdb_error(store, rc, "cannot open", err);
    mdb_env_stat(store->env, &stat);
    store->page_bytes = stat.ms_psize;
    mdb_env_info(store->env, &info);
    store->map_bytes = info.me_mapsize;
    return extend_file(store, err);
}

void store_close_env(struct store *store)
{
    if (store->env != NULL)
        mdb_env_close(store->env);
    store->env = NULL;
    store->claimed_bytes = 0;
}

static int get_meta(struct store *store, MDB_txn *txn, const char *name, MDB_val *value,
                    struct error *err)
{
    MDB_val key = store_val(name, strlen(name));
    int rc = mdb_get(txn, store->meta, &key, value);

    if (rc == MDB_NOTFOUND)
        return error_set(err, ERR_CORRUPT, "%s: not a hawser store: it has no %s", store->path,
                         name);
    return rc == 0 ? 0 : store_lmdb_error(store, rc, "cannot read", err);
}

static int read_meta(struct store *store, MDB_txn *txn, struct error *err)
{
    MDB_val value;
    int rc = get_meta(store, txn, "format", &value, err);

    if (rc != 0)
        return rc;
    if (format_version_decode(value.mv_data, value.mv_size, &store->format) != 0)
        return error_set(err, ERR_CORRUPT, "%s: the format row is damaged", store->path);
    if (store->format > STORE_FORMAT)
        return error_set(err, ERR_FORMAT,
                         "%s: made by a newer hawser (format %u, this one knows up to %d); run that"
                         " version, or move the directory away to start with an empty store",
                         store->path, store->format, STORE_FORMAT);
    rc = get_meta(store, txn, "instance", &value, err);
    if (rc != 0)
        return rc;
    if (format_instance_decode(value.mv_data, value.mv_size, &store->instance) != 0)
        return error_set(err, ERR_CORRUPT, "%s: the instance row is damaged", store->path);
    rc = get_meta(store, txn, "reserved", &value, err);
    if (rc != 0)
        return rc;
    if (format_reserved_decode(value.mv_data, value.mv_size, &store->reserved_seq) != 0)
        return error_set(err, ERR_CORRUPT, "%s: the reserved row is damaged", store->path);
    return 0;
}

static int load(struct store *store, struct error *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return store_lmdb_error(store, rc, "cannot read", err);
    rc = mdb_dbi_open(txn, "meta", 0, &store->meta);
    if (rc == MDB_NOTFOUND) {
        rc = error_set(err, ERR_CORRUPT, "%s: not a hawser store: it has no meta", store->path);
    } else if (rc != 0) {
        rc = store_lmdb_error(store, rc, "cannot read", err);
    } else {
        rc = read_meta(store, txn, err);
        if (rc == 0)
            rc = store_streams_load(store, txn, err);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }
    /* Handles opened in it stay only if it is committed. */
    rc = mdb_txn_commit(txn);
    return rc == 0 ? 0 : store_lmdb_error(store, rc, "cannot read", err);
}

static struct store *store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    pthread_rwlockattr_t attr;

    if (store == NULL)
        return NULL;
    store->path = strdup(options->path);
    if (store->path == NULL) {
        free(store);
        return NULL;
    }
    store->options = *options;
    store->options.path = store->path;
    store->lock_fd = -1;
    buf_init(&store->key_scratch, BUF_UNBOUNDED);
    pthread_mutex_init(&store->write, NULL);
    pthread_mutex_init(&store->readers_lock, NULL);
    pthread_rwlockattr_init(&attr);
    /* A stream of readers must not keep the writer from growing the map. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&store->map, &attr);
    pthread_rwlockattr_destroy(&attr);
    return store;
}

int store_open(const struct store_options *options, struct store **out, struct error *err)
{
    struct store *store;
    int rc;

    if (options->path == NULL || options->path[0] == '\0' || options->min_free_percent > 100)
        return error_set(err, ERR_INVAL, "store: a path, and a min_free of 0-100%%, are needed");
    store = store_new(options);
    if (store == NULL)
        return error_set(err, ERR_NOMEM, "%s: out of memory", options->path);
    store_guard();
    rc = store_make_dir(store->path, err);
    if (rc == 0)
        rc = store_lock(store, err);
    store_enter(store);
    if (rc == 0)
        rc = store_create(store, err);
    if (rc == 0)
        rc = store_check(store, err);
    if (rc == 0)
        rc = store_open_env(store, store->path, 0, err);
    if (rc == 0)
        rc = load(store, err);
    if (rc == 0)
        rc = store_upgrade(store, err);
    if (rc == 0)
        rc = store_fit(store, 0, err);
    store_leave();
    if (rc != 0) {
        store_close(store);
        return rc;
    }
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_enter(store);
    store_readers_free(store);
    store_close_env(store);
    store_leave();
    /* The lock goes last: the next one must find the environment closed. */
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    for (size_t i = 0; i < LIMIT_STREAMS; i++)
        free(store->streams[i]);
    buf_fini(&store->key_scratch);
    pthread_mutex_destroy(&store->write);
    pthread_mutex_destroy(&store->readers_lock);
    pthread_rwlock_destroy(&store->map);
    free(store->path);
    free(store);
}

void store_configure(struct store *store, uint64_t retain_size_bytes, unsigned min_free_percent)
{
    pthread_mutex_lock(&store->write);
    store->options.retain_size_bytes = retain_size_bytes;
    store->options.min_free_percent = min_free_percent;
    pthread_mutex_unlock(&store->write);
}

bool store_failed(const struct store *store)
{
    return atomic_load(&store->is_failed);
}

void store_info(struct store *store, struct store_info *out)
{
    const uint8_t *u = store->instance.uuid;
    uint64_t oldest = UINT64_MAX;

    snprintf(out->instance, sizeof out->instance,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
    memcpy(out->hash_key, store->instance.hash_key, sizeof out->hash_key);
    store_enter(store);
    pthread_rwlock_rdlock(&store->map);
    for (size_t i = 0; i < LIMIT_STREAMS; i++) {
        uint64_t seq = store->streams[i] == NULL ? 0 : atomic_load(&store->streams[i]->oldest_seq);

        if (seq != 0 && seq < oldest)
            oldest = seq;
    }
    out->newest_seq = atomic_load(&store->newest_seq);
    /* An append that is just being published may have been seen by its stream only. */
    out->oldest_seq = oldest <= out->newest_seq ? oldest : out->newest_seq + 1;
    out->reserved_seq = atomic_load(&store->reserved_known);
    out->file_bytes = store->unmapped ? 0 : store_file_end(store);
    pthread_rwlock_unlock(&store->map);
    store_leave();
}

/*
 * Forgetting streams that are no longer configured.
 *
 * What such a stream has goes by its last limits, as ever. When nothing is left of it, its name,
 * position and dedup keys go, and the saved states that are its own, in one transaction; its
 * databases stay, empty, for whoever gets its id. An id that this process has appended under is not
 * given to another stream in this process: consumers may still have it, and memory its events.
 * A stream may have had the newest event of all: seqs are reserved up to there, for none is given
 * out twice.
 */
#include "store/internal.h"

#include <stdio.h>

#include "base/log.h"

void store_streams_keep(struct store *store, const char *const *names, size_t count,
                        uint64_t kept[STORE_ID_WORDS])
{
    memset(kept, 0, STORE_ID_WORDS * sizeof *kept);
    pthread_rwlock_rdlock(&store->map);
    for (unsigned id = 0; id < LIMIT_STREAMS; id++) {
        struct stream *stream = store->streams[id];
        size_t i = 0;

        if (stream == NULL || atomic_load(&stream->forgotten))
            continue;
        while (i < count && strcmp(names[i], stream->name) != 0)
            i++;
        atomic_store(&stream->removed, i == count);
        if (i < count)
            kept[id / 64] |= (uint64_t)1 << id % 64;
    }
    pthread_rwlock_unlock(&store->map);
}

struct stream *store_stream_to_evict(const struct store *store)
{
    struct stream *best = NULL;

    for (unsigned id = 0; id < LIMIT_STREAMS; id++) {
        struct stream *s = store->streams[id];

        if (s == NULL || s->opened || !atomic_load(&s->removed))
            continue;
        if (atomic_load(&s->forgotten))
            return s;
        if (best == NULL || atomic_load(&s->newest_seq) < atomic_load(&best->newest_seq))
            best = s;
    }
    return best;
}

static int delete_states(struct store *store, MDB_txn *txn, const char *name)
{
    const struct store_options *options = &store->options;
    char text[STORE_STATE_KEY + 1];
    int rc = 0;

    if (options->stream_state == NULL)
        return 0;
    for (unsigned i = 0; rc == 0 && options->stream_state(name, i, text); i++) {
        MDB_val key = store_val(text, strlen(text));

        rc = mdb_del(txn, store->states, &key, NULL);
        if (rc == MDB_NOTFOUND)
            rc = 0;
    }
    return rc != 0 ? rc : store_states_measure(store, txn);
}

int store_forget(struct store *store, MDB_txn *txn, const struct stream *stream)
{
    MDB_val key = store_val(stream->name, strlen(stream->name));
    int rc = store_fault(store, STORE_FAULT_PUT);

    if (rc == 0)
        rc = mdb_drop(txn, stream->records, 0);
    if (rc == 0)
        rc = mdb_drop(txn, stream->keys, 0);
    if (rc == 0)
        rc = mdb_del(txn, store->names, &key, NULL);
    if (rc == 0)
        rc = delete_states(store, txn, stream->name);
    return rc == 0 ? store_put_reserved(store, txn, atomic_load(&store->newest_seq)) : rc;
}

void store_evicted(struct store *store)
{
    uint64_t newest = atomic_load(&store->newest_seq);

    if (newest > store->reserved_seq)
        store->reserved_seq = newest;
}

void store_forgotten(struct store *store, struct stream *stream)
{
    store_evicted(store);
    atomic_store(&stream->forgotten, true);
    log_notice(stream->name, NULL, "%s: it is not configured and has no events left: forgotten",
               store->path);
}

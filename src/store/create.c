/*
 * Making a store: the directory, the first transaction, the identity.
 *
 * It is made under another name (new.mdb) and moved to its place when all of it is on the medium:
 * so there is either a store or none. LMDB alone would leave a file that is none, where the power
 * goes, or a write fails, before the first sync.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* So that a new file is still in its directory after a power failure: LMDB syncs only the file. */
static int sync_dir(const char *path, const char *suffix, struct error *err)
{
    char name[4096];
    int fd, rc = 0;

    if ((size_t)snprintf(name, sizeof name, "%s%s", path, suffix) >= sizeof name)
        return error_set(err, ERR_LIMIT, "%s: the path is too long", path);
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return store_errno(err, "cannot open the directory", name);
    if (fsync(fd) != 0)
        rc = store_errno(err, "cannot sync the directory", name);
    close(fd);
    return rc;
}

int store_make_dir(const char *path, struct error *err)
{
    if (mkdir(path, 0700) == 0)
        return sync_dir(path, "/..", err);
    if (errno != EEXIST)
        return store_errno(err, "cannot make the directory", path);
    return 0;
}

/* The first transaction of a new store. */
static int create_body(struct store *store, MDB_txn *txn, void *arg, const char **what)
{
    uint8_t version[FORMAT_VERSION_BYTES], instance[FORMAT_INSTANCE_BYTES];
    uint8_t reserved[FORMAT_RESERVED_BYTES];
    int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &store->meta);

    *what = "cannot make the store";
    if (rc == 0)
        rc = mdb_dbi_open(txn, "streams", MDB_CREATE, &store->names);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "state", MDB_CREATE, &store->states);
    format_version_encode(version, STORE_FORMAT);
    format_instance_encode(instance, &store->instance);
    format_reserved_encode(reserved, 0);
    if (rc == 0)
        rc = store_put(store, txn, store->meta, SLICE("format"),
                       slice_make((char *)version, sizeof version));
    if (rc == 0)
        rc = store_put(store, txn, store->meta, SLICE("instance"),
                       slice_make((char *)instance, sizeof instance));
    if (rc == 0)
        rc = store_put(store, txn, store->meta, SLICE("reserved"),
                       slice_make((char *)reserved, sizeof reserved));
    return rc;
}

static int identify(struct store *store, struct error *err)
{
    struct format_instance *instance = &store->instance;

    if (getrandom(instance, sizeof *instance, 0) != (ssize_t)sizeof *instance)
        return store_errno(err, "no random numbers", store->path);
    /* RFC 9562 5.4: version 4, variant 10. */
    instance->uuid[6] = (uint8_t)((instance->uuid[6] & 0x0F) | 0x40);
    instance->uuid[8] = (uint8_t)((instance->uuid[8] & 0x3F) | 0x80);
    return 0;
}

struct names {
    char data[4096], fresh[4096], fresh_lock[4096];
};

static int fill_names(const struct store *store, struct names *names, struct error *err)
{
    int longest;

    snprintf(names->data, sizeof names->data, "%s/data.mdb", store->path);
    snprintf(names->fresh, sizeof names->fresh, "%s/new.mdb", store->path);
    longest = snprintf(names->fresh_lock, sizeof names->fresh_lock, "%s/new.mdb-lock", store->path);
    if ((size_t)longest >= sizeof names->fresh_lock)
        return error_set(err, ERR_LIMIT, "%s: the path is too long", store->path);
    return 0;
}

/* What a death while one was being made has left. */
static int remove_fresh(const struct names *names, struct error *err)
{
    if (unlink(names->fresh) != 0 && errno != ENOENT)
        return store_errno(err, "cannot remove", names->fresh);
    if (unlink(names->fresh_lock) != 0 && errno != ENOENT)
        return store_errno(err, "cannot remove", names->fresh_lock);
    return 0;
}

static int write_fresh(struct store *store, const char *name, struct error *err)
{
    int rc = store_open_env(store, name, MDB_NOSUBDIR, err);

    if (rc == 0)
        rc = identify(store, err);
    if (rc == 0)
        rc = store_write(store, STORE_WRITE_OPEN, 0, create_body, NULL, err);
    store_close_env(store);
    return rc;
}

int store_create(struct store *store, struct error *err)
{
    struct names names;
    struct stat st;
    int rc = fill_names(store, &names, err);

    if (rc == 0)
        rc = remove_fresh(&names, err);
    if (rc != 0)
        return rc;
    if (stat(names.data, &st) == 0 && st.st_size > 0)
        return 0;
    rc = write_fresh(store, names.fresh, err);
    if (rc == 0 && rename(names.fresh, names.data) != 0)
        rc = store_errno(err, "cannot put a new store in place", names.data);
    if (rc != 0) {
        remove_fresh(&names, NULL);
        return rc;
    }
    rc = remove_fresh(&names, err);
    return rc != 0 || store->options.no_sync ? rc : sync_dir(store->path, "", err);
}

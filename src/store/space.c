/*
 * How large the file may become.
 *
 * LMDB extends the file a page at a time, as far as its map reaches; a write that then finds the
 * file system full fails in the middle of a commit. So blocks are claimed (fallocate) before the
 * transaction that may need them begins, and where none are to be had, or the file system has less
 * free than min_free_percent, the map is cut down to what is ours: LMDB then refuses cleanly,
 * before anything is written. Past the end of what appends may use there is always a reserve,
 * claimed at open, so that retention, which needs pages in order to free pages, works on a full
 * disk, and so that states can be saved there: a consumer's acknowledgement is one.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

enum {
    MAP_UNIT = 64 * 1024,     /* a multiple of any page size */
    MAP_MIN = LIMIT_MIB,      /* the least that retain_size can make of it */
    CLAIM_STEP = LIMIT_MIB,   /* blocks are claimed in steps of this */
    RESERVE_MIN = 256 * 1024, /* for retention in a small file */
    RESERVE_PART = 64,        /* and this part of a large one */
};
#define MAP_MAX ((uint64_t)1 << 46)

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t store_file_end(struct store *store)
{
    MDB_envinfo info;

    mdb_env_info(store->env, &info);
    return ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
}

uint64_t store_bound(const struct store *store)
{
    uint64_t bytes = store->options.retain_size_bytes;

    if (bytes == 0 || bytes > MAP_MAX)
        return MAP_MAX;
    return round_up(max_u64(bytes, MAP_MIN), MAP_UNIT);
}

/* Saved states may all be written anew while the pages of two commits before are not free yet. */
static uint64_t reserve(const struct store *store, uint64_t end)
{
    return round_up(RESERVE_MIN + end / RESERVE_PART + 3 * store->states_bytes, MAP_UNIT);
}

static int set_map(struct store *store, uint64_t bytes, struct error *err)
{
    MDB_envinfo info;
    int rc;

    if (bytes == store->map_bytes)
        return 0;
    pthread_rwlock_wrlock(&store->map);
    rc = mdb_env_set_mapsize(store->env, bytes);
    /* LMDB unmaps before it maps: after a failure there is nothing left to read from. */
    store->unmapped = rc != 0;
    pthread_rwlock_unlock(&store->map);
    if (rc != 0) {
        store_lmdb_error(store, rc, "cannot move the map", &store->failed);
        store->failed.code = ERR_IO;
        atomic_store(&store->is_failed, true);
        return store_sticky(store, err);
    }
    mdb_env_info(store->env, &info);
    store->map_bytes = info.me_mapsize;
    return 0;
}

/* What the file system can give before it has less free than it must. */
static uint64_t room(struct store *store)
{
    struct statvfs fs;
    uint64_t free_bytes, keep;

    if (statvfs(store->path, &fs) != 0)
        return MAP_MAX; /* cannot tell: let the claim find out */
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    keep = (uint64_t)fs.f_blocks * fs.f_frsize / 100 * store->options.min_free_percent;
    return free_bytes > keep ? free_bytes - keep : 0;
}

/* Whether the blocks up to there are ours now. */
static bool claim(struct store *store, uint64_t upto)
{
    mdb_filehandle_t fd;
    uint64_t from = store->claimed_bytes;

    if (upto <= from)
        return true;
    if (mdb_env_get_fd(store->env, &fd) != 0)
        return false;
    while (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(upto - from)) != 0) {
        if (errno == EINTR)
            continue;
        if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
            return false;
        break; /* it cannot promise, or something else is wrong: a failing commit will tell */
    }
    store->claimed_bytes = upto;
    return true;
}

int store_fit(struct store *store, uint64_t need, struct error *err)
{
    uint64_t end = store_file_end(store);
    uint64_t spare = reserve(store, end);
    uint64_t bound = store_bound(store);
    uint64_t most = bound + reserve(store, bound);
    uint64_t want = min_u64(end + need + spare, most);
    uint64_t step = min_u64(round_up(want, CLAIM_STEP), most);
    uint64_t have;

    store->claimed_bytes = max_u64(store->claimed_bytes, end);
    store->tight = false;
    if (want <= store->claimed_bytes)
        return 0;
    have = room(store);
    if (step - store->claimed_bytes <= have && claim(store, step))
        return 0;
    if (want - store->claimed_bytes <= have && claim(store, want))
        return 0;
    store->tight = true;
    /* The reserve is what keeps a full store alive; it is worth more than min_free. */
    if (!claim(store, end + spare))
        claim(store, end + RESERVE_MIN);
    return set_map(
        store, max_u64(end, store->claimed_bytes > spare ? store->claimed_bytes - spare : 0), err);
}

int store_grow(struct store *store, struct error *err)
{
    uint64_t bound = store_bound(store);
    uint64_t to = min_u64(store->map_bytes * 2, bound);

    if (store->tight)
        return error_set(
            err, ERR_FULL,
            "%s: full at %llu bytes: its file system has no room beyond min_free (%u%%);"
            " make room there, or let retention delete",
            store->path, (unsigned long long)store->map_bytes, store->options.min_free_percent);
    if (to <= store->map_bytes)
        return error_set(err, ERR_FULL,
                         "%s: full: retain_size (%llu bytes) is used up; let retention delete, or"
                         " raise it",
                         store->path, (unsigned long long)bound);
    return set_map(store, to, err);
}

int store_enter_reserve(struct store *store, struct error *err)
{
    claim(store, store_file_end(store) + RESERVE_MIN);
    if (store->claimed_bytes <= store->map_bytes)
        return error_set(err, ERR_FULL,
                         "%s: full: there is no room even to delete; make room in its file system",
                         store->path);
    if (store->map_outside == 0)
        store->map_outside = store->map_bytes;
    return set_map(store, store->claimed_bytes, err);
}

int store_leave_reserve(struct store *store, struct error *err)
{
    uint64_t back = store->map_outside;

    if (back == 0)
        return 0;
    store->map_outside = 0;
    return set_map(store, max_u64(back, store_file_end(store)), err);
}

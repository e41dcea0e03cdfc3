/*
 * Checking a store after a death inside it, in a child process: whatever killed the one before may
 * kill the child, and no more. The child only reads.
 *
 * Two passes. The first is over LMDB's pages (pages.c): it trusts nothing. The second reads every
 * row of every database through LMDB and looks at the checksums. What is wrong with the pages, or
 * with a row that says what the store is, closes the store: ERR_CORRUPT, until it is moved away. A
 * record, a row of keys or a state that is damaged is named in the log and the store is opened: it
 * is not served, as ever.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

enum {
    CHECK_CPU_S = 60,               /* and no more than this, for a walk that does not end */
    CHECK_BYTES_S = 16 * LIMIT_MIB, /* but a second for so much of the file */
    CHECK_NAMED = 16,               /* damaged values that are named one by one */
    CHECK_TEXT = 64 * 1024,         /* of the child's report */
    EXIT_SOUND = 0,
    EXIT_DAMAGED = 9,
};

/* ---- the child ---- */

void store_check_say(struct store_check *check, char kind, const char *fmt, ...)
{
    char text[256];
    va_list args;

    if (kind == STORE_CHECK_VALUE && ++check->values > CHECK_NAMED)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (kind == STORE_CHECK_FATAL)
        check->damaged = true;
    dprintf(check->fd, "%c%s\n", kind, text);
}

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

static void walk_rows(struct store_check *check, const struct store *store)
{
    MDB_env *env;
    MDB_txn *txn;
    int rc = mdb_env_create(&env);

    store_check_say(check, STORE_CHECK_AT, "the head of the file");
    if (rc == 0)
        rc = mdb_env_set_maxdbs(env, 2 * LIMIT_STREAMS + 4);
    /* As large as it may become: the pages are known to be good, but not the size in the head. */
    if (rc == 0)
        rc = mdb_env_set_mapsize(env, store_bound(store));
    if (rc == 0)
        rc = mdb_env_open(env, store->path, MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        say_lmdb(check, "cannot open", rc);
        return;
    }
    walk_streams(check, txn);
    walk_states(check, txn);
}

static void set_limits(const struct store *store)
{
    static const int fatal[] = {SIGBUS, SIGSEGV, SIGABRT, SIGTERM, SIGINT, SIGHUP};
    struct rlimit none = {0, 0}, cpu = {CHECK_CPU_S, RLIM_INFINITY};
    char name[4096];
    struct stat st;

    snprintf(name, sizeof name, "%s/data.mdb", store->path);
    if (stat(name, &st) == 0)
        cpu.rlim_cur += (rlim_t)st.st_size / CHECK_BYTES_S;
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &cpu);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        signal(fatal[i], SIG_DFL);
}

static void child(const struct store *store, int fd) __attribute__((noreturn));
static void child(const struct store *store, int fd)
{
    struct store_check check = {.fd = fd};

    close(store->lock_fd);
    set_limits(store);
    store_check_pages(&check, store->path);
    if (!check.damaged)
        walk_rows(&check, store);
    if (check.values > CHECK_NAMED)
        store_check_say(&check, STORE_CHECK_MORE, "and %zu more", check.values - CHECK_NAMED);
    _exit(check.damaged ? EXIT_DAMAGED : EXIT_SOUND);
}

/* ---- the parent ---- */

/* The child's report, and how it ended. */
struct outcome {
    char *text;
    int status;
};

static int run_child(struct store *store, struct outcome *out, struct error *err)
{
    size_t len = 0;
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return store_errno(err, "cannot start the check", store->path);
    pid = fork();
    if (pid == 0)
        child(store, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return store_errno(err, "cannot start the check", store->path);
    }
    for (;;) {
        char bytes[1024];
        ssize_t n = read(ends[0], bytes, sizeof bytes);

        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0 && len + (size_t)n < CHECK_TEXT) {
            memcpy(out->text + len, bytes, (size_t)n);
            len += (size_t)n;
        }
    }
    out->text[len] = '\0';
    close(ends[0]);
    while (waitpid(pid, &out->status, 0) < 0) {
        if (errno != EINTR)
            return store_errno(err, "cannot wait for the check", store->path);
    }
    return 0;
}

/* Logs what was found; *at: the last place that it came to, *first: the first thing that closes the
 * store. */
static void tell(const struct store *store, char *text, const char **at, const char **first)
{
    char *rest, *line = strtok_r(text, "\n", &rest);

    for (; line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == STORE_CHECK_AT) {
            *at = line + 1;
            continue;
        }
        log_error(NULL, NULL, "%s: damaged: %s", store->path, line + 1);
        if (line[0] == STORE_CHECK_FATAL && *first == NULL)
            *first = line + 1;
    }
}

static int judge(struct store *store, struct outcome *out, struct error *err)
{
    static const char advice[] =
        "nothing of it is served; put a copy in its place, or move the directory away to start with"
        " an empty store, and have the disk and the memory looked at";
    const char *at = "the beginning", *first = NULL;

    tell(store, out->text, &at, &first);
    if (WIFEXITED(out->status) && WEXITSTATUS(out->status) == EXIT_SOUND)
        return 0;
    if (WIFEXITED(out->status) && WEXITSTATUS(out->status) == EXIT_DAMAGED)
        return error_set(err, ERR_CORRUPT, "%s: damaged: %s; %s", store->path,
                         first != NULL ? first : at, advice);
    if (WIFSIGNALED(out->status) && WTERMSIG(out->status) == SIGKILL)
        return error_set(err, ERR_IO, "%s: the check was killed at %s; start again", store->path,
                         at);
    return error_set(err, ERR_CORRUPT, "%s: damaged: the check ended with status %#x at %s; %s",
                     store->path, (unsigned)out->status, at, advice);
}

int store_check(struct store *store, struct error *err)
{
    struct outcome out = {.text = NULL};
    int rc;

    if (store->died[0] == '\0')
        return 0;
    out.text = malloc(CHECK_TEXT);
    if (out.text == NULL)
        return error_set(err, ERR_NOMEM, "%s: out of memory", store->path);
    log_notice(NULL, NULL, "%s: a process died inside the store (%s): checking all of it",
               store->path, store->died);
    rc = run_child(store, &out, err);
    if (rc == 0)
        rc = judge(store, &out, err);
    free(out.text);
    if (rc != 0)
        return rc;
    log_notice(NULL, NULL, "%s: checked", store->path);
    store_forget_death(store);
    return 0;
}

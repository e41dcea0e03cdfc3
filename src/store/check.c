/*
 * Checking a store that is suspected (guard.c), in a child process: whatever killed the one before
 * may kill the child, and no more. The child only reads.
 *
 * Two passes. The first is over LMDB's pages (pages.c): it trusts nothing. The second reads every
 * row of every database through LMDB and looks at the checksums (rows.c). What is wrong with the
 * pages, or with a row that says what the store is, closes the store: ERR_CORRUPT, until it is
 * moved away. A record, a row of keys or a state that is damaged is named in the log and the store
 * is opened: it is not served, as ever.
 *
 * The child tells how far it is, so that the parent can say so, and gives up on a disk that does
 * not answer (ERR_IO); its time on the CPU is bounded too. The suspicion stays in both cases.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum {
    CHECK_CPU_S = 60,               /* and no more than this, for a walk that does not end */
    CHECK_BYTES_S = 16 * LIMIT_MIB, /* but a second for so much of the file */
    CHECK_NAMED = 16,               /* damaged values that are named one by one */
    CHECK_TOLD_BYTES = LIMIT_MIB,   /* between two words of the child's on how far it is */
    CHECK_SILENT_S = 60,            /* without such a word: the disk does not answer */
    CHECK_SAID_S = 10,              /* between two lines of the log on how far it is */
    CHECK_TEXT = 256,               /* of a line of the child's */
    EXIT_SOUND = 0,
    EXIT_DAMAGED = 9,
};

/* ---- the child ---- */

void store_check_say(struct store_check *check, char kind, const char *fmt, ...)
{
    char text[CHECK_TEXT - 2];
    va_list args;

    if (kind == STORE_CHECK_FATAL)
        check->damaged = true;
    if ((kind == STORE_CHECK_VALUE || kind == STORE_CHECK_FATAL) && ++check->found > CHECK_NAMED)
        return;
    if (check->fd < 0)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    /* Names come from the file. */
    for (char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    dprintf(check->fd, "%c%s\n", kind, text);
}

void store_check_went(struct store_check *check, uint64_t bytes)
{
    check->went += bytes;
    if (check->went - check->told < CHECK_TOLD_BYTES)
        return;
    check->told = check->went;
    store_check_say(check, STORE_CHECK_WENT, "%llu", (unsigned long long)check->went);
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
        store_check_rows(&check, store);
    if (check.found > CHECK_NAMED)
        store_check_say(&check, STORE_CHECK_MORE, "and %zu more", check.found - CHECK_NAMED);
    _exit(check.damaged ? EXIT_DAMAGED : EXIT_SOUND);
}

/* ---- the parent ---- */

/* The child, as the parent sees it. */
struct watch {
    struct store *store;
    pid_t pid;
    int fd;                /* its report */
    char line[CHECK_TEXT]; /* that has come so far */
    size_t line_len;
    char at[CHECK_TEXT];    /* where it is */
    char first[CHECK_TEXT]; /* the first thing that closes the store, "": none */
    uint64_t went;          /* bytes that it has looked at */
    int status;
};

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static void take_line(struct watch *w)
{
    const char *text = w->line + 1;

    w->line[w->line_len] = '\0';
    if (w->line[0] == STORE_CHECK_WENT) {
        slice_parse_u64(slice_str(text), &w->went);
        return;
    }
    if (w->line[0] == STORE_CHECK_AT) {
        snprintf(w->at, sizeof w->at, "%s", text);
        return;
    }
    log_error(NULL, NULL, "%s: damaged: %s", w->store->path, text);
    if (w->line[0] == STORE_CHECK_FATAL && w->first[0] == '\0')
        snprintf(w->first, sizeof w->first, "%s", text);
}

static void take_bytes(struct watch *w, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            take_line(w);
            w->line_len = 0;
        } else if (w->line_len + 1 < sizeof w->line) {
            w->line[w->line_len++] = bytes[i];
        }
    }
}

static void say_how_far(const struct watch *w, time_t seconds)
{
    const struct store_options *options = &w->store->options;

    if (options->checking != NULL)
        options->checking(options->checking_arg, w->went);
    if (seconds > 0 && seconds % CHECK_SAID_S == 0)
        log_notice(NULL, NULL, "%s: checking for %lld s, %llu MiB so far, now %s", w->store->path,
                   (long long)seconds, (unsigned long long)(w->went / LIMIT_MIB), w->at);
}

/* False: it has been silent for too long. */
static bool follow(struct watch *w)
{
    time_t begun = now_s(), heard = begun, said = begun;
    char bytes[1024];

    for (;;) {
        struct pollfd poll_fd = {.fd = w->fd, .events = POLLIN};
        ssize_t n = poll(&poll_fd, 1, 1000) > 0 ? read(w->fd, bytes, sizeof bytes) : -1;
        time_t now = now_s();

        if (n == 0)
            return true;
        if (n > 0) {
            take_bytes(w, bytes, (size_t)n);
            heard = now;
        }
        if (now != said)
            say_how_far(w, now - begun);
        said = now;
        if (now - heard >= CHECK_SILENT_S)
            return false;
    }
}

static int start_child(struct watch *w, struct error *err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return store_errno(err, "cannot start the check", w->store->path);
    w->pid = fork();
    if (w->pid == 0)
        child(w->store, ends[1]);
    close(ends[1]);
    if (w->pid < 0) {
        close(ends[0]);
        return store_errno(err, "cannot start the check", w->store->path);
    }
    w->fd = ends[0];
    return 0;
}

static int judge(const struct watch *w, struct error *err)
{
    static const char advice[] =
        "nothing of it is served; put a copy in its place, or move the directory away to start with"
        " an empty store, and have the disk and the memory looked at";
    const char *path = w->store->path;

    if (WIFEXITED(w->status) && WEXITSTATUS(w->status) == EXIT_SOUND)
        return 0;
    if (WIFEXITED(w->status) && WEXITSTATUS(w->status) == EXIT_DAMAGED)
        return error_set(err, ERR_CORRUPT, "%s: damaged: %s; %s", path,
                         w->first[0] != '\0' ? w->first : w->at, advice);
    if (WIFSIGNALED(w->status) && WTERMSIG(w->status) == SIGKILL)
        return error_set(err, ERR_IO, "%s: the check was killed at %s; start again", path, w->at);
    return error_set(err, ERR_CORRUPT, "%s: damaged: the check ended with status %#x at %s; %s",
                     path, (unsigned)w->status, w->at, advice);
}

static int run_child(struct watch *w, struct error *err)
{
    int rc = start_child(w, err);
    bool ended;

    if (rc != 0)
        return rc;
    ended = follow(w);
    close(w->fd);
    if (!ended) {
        kill(w->pid, SIGKILL); /* and is not waited for: it ends when the disk answers */
        return error_set(err, ERR_IO,
                         "%s: the check has come no further for %d s at %s: the disk does not"
                         " answer; start again when it does",
                         w->store->path, CHECK_SILENT_S, w->at);
    }
    while (waitpid(w->pid, &w->status, 0) < 0) {
        if (errno != EINTR)
            return store_errno(err, "cannot wait for the check", w->store->path);
    }
    return judge(w, err);
}

int store_check(struct store *store, struct error *err)
{
    struct watch watch = {.store = store, .at = "the beginning"};
    time_t begun = now_s();
    int rc;

    if (store->suspicion[0] == '\0')
        return 0;
    log_notice(NULL, NULL, "%s: checking all of it, because of %s", store->path, store->suspicion);
    rc = run_child(&watch, err);
    if (rc != 0)
        return rc;
    log_notice(NULL, NULL, "%s: checked, %llu MiB in %lld s; its pages are sound", store->path,
               (unsigned long long)(watch.went / LIMIT_MIB), (long long)(now_s() - begun));
    store_clear_suspicion(store);
    return 0;
}

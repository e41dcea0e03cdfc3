/*
 * The lock, and the suspicion that a death inside the store leaves in it.
 *
 * A map turns a bad disk, a file cut short and damaged pages into SIGBUS, SIGSEGV and assertions:
 * the process dies of them, and with its last act writes how into the lock file. So it does when
 * LMDB itself finds a page that is none. Whoever opens the store next finds that there and has it
 * checked (check.c) before it is used. The note stays until a check has found the store sound,
 * whatever happens to the process that checks.
 *
 * The handlers stay for the life of the process. They hand every fault on to whoever had it before
 * (a sanitizer, or the kernel): none is hidden.
 */
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"

#define NOTE "suspect: "
enum { LOCK_TEXT = 256 };

/* The lock of the store that this thread is in, or -1. */
static _Thread_local volatile sig_atomic_t inside = -1;
static _Thread_local unsigned depth; /* a stream's opening reads */
static struct sigaction old_bus, old_segv;

void store_enter(const struct store *store)
{
    depth++;
    inside = store->lock_fd;
}

void store_leave(void)
{
    if (--depth == 0)
        inside = -1;
}

/* Async-signal-safe. On a full disk it fits into the block that holds the pid. */
static void note(const char *how)
{
    char line[LOCK_TEXT];
    size_t len = sizeof NOTE - 1, n = 0;

    if (inside < 0)
        return;
    memcpy(line, NOTE, len);
    while (how[n] != '\0' && how[n] != '\n' && n < STORE_SUSPICION - 1)
        line[len++] = how[n++];
    line[len++] = '\n';
    if (lseek(inside, 0, SEEK_END) < 0 || write(inside, line, len) < 0)
        return; /* it dies all the same */
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
    int saved = errno;

    (void)context;
    note(signum == SIGBUS ? "a death by SIGBUS" : "a death by SIGSEGV");
    sigaction(signum, signum == SIGBUS ? &old_bus : &old_segv, NULL);
    /* A real fault comes again on return; one that was sent does not. */
    if (info->si_code <= 0)
        raise(signum);
    errno = saved;
}

/* Unless it is there: somebody else may have set one since. */
static void install(int signum, struct sigaction *old)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction now;

    if (sigaction(signum, NULL, &now) != 0 || now.sa_sigaction == on_fault)
        return;
    *old = now;
    sigemptyset(&action.sa_mask);
    sigaction(signum, &action, NULL);
}

void store_guard(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    install(SIGBUS, &old_bus);
    install(SIGSEGV, &old_segv);
    pthread_mutex_unlock(&lock);
}

void store_suspect(struct store *store, const char *why)
{
    if (!atomic_exchange(&store->suspected, true))
        note(why);
}

/* LMDB aborts when it returns. */
void store_on_assert(MDB_env *env, const char *text)
{
    const char *path = NULL;

    note(text);
    mdb_env_get_path(env, &path);
    log_error(NULL, NULL, "%s: LMDB: %s; the store is damaged", path != NULL ? path : "store",
              text);
}

static int busy(int fd, const char *path, struct error *err)
{
    char pid[24];
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    uint64_t number;

    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    if (slice_parse_u64(slice_str(pid), &number) != 0)
        return error_set(err, ERR_BUSY, "%s: in use by another process", path);
    return error_set(err, ERR_BUSY, "%s: in use by process %llu; stop it first", path,
                     (unsigned long long)number);
}

static void read_note(struct store *store)
{
    char text[LOCK_TEXT];
    ssize_t n = pread(store->lock_fd, text, sizeof text - 1, 0);
    const char *at;

    text[n > 0 ? n : 0] = '\0';
    at = strstr(text, "\n" NOTE);
    if (at != NULL) {
        at += sizeof NOTE;
        snprintf(store->suspicion, sizeof store->suspicion, "%.*s", (int)strcspn(at, "\n"), at);
    }
}

/* Over what is there, so that the block stays ours. The pid only makes a message better: a full
 * disk must not keep the store shut. */
static void write_lock(const struct store *store)
{
    char text[LOCK_TEXT];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (store->suspicion[0] != '\0')
        len += snprintf(text + len, sizeof text - (size_t)len, NOTE "%s\n", store->suspicion);
    if (pwrite(store->lock_fd, text, (size_t)len, 0) != len || ftruncate(store->lock_fd, len) != 0)
        log_debug(NULL, NULL, "%s/lock: cannot write the pid", store->path);
}

/* The lock is flock's: it ends with the process however that ends, and holds within one too. */
int store_lock(struct store *store, struct error *err)
{
    char name[4096];
    int fd;

    if ((size_t)snprintf(name, sizeof name, "%s/lock", store->path) >= sizeof name)
        return error_set(err, ERR_LIMIT, "%s: the path is too long", store->path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return store_errno(err, "cannot open", name);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int rc = errno == EWOULDBLOCK ? busy(fd, store->path, err)
                                      : store_errno(err, "cannot lock", name);

        close(fd);
        return rc;
    }
    store->lock_fd = fd;
    read_note(store);
    write_lock(store);
    return 0;
}

void store_clear_suspicion(struct store *store)
{
    store->suspicion[0] = '\0';
    write_lock(store);
}

#include "daemon/activation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "daemon/notify.h"

enum {
    FIRST_FD = 3,     /* sd_listen_fds(3) */
    FDNAME_MAX = 255, /* bytes of a FileDescriptorName, likewise */
};

#define KEPT "kept/" /* then the listener's name, a slash, and what tells it from all others */

struct held {
    char name[FDNAME_MAX + 1]; /* the manager's for it */
    int fd;                    /* -1: its listener has it */
    bool kept;
    const struct io_listener *by;     /* who accepts on it; NULL: nobody */
    const struct io_listener *before; /* the same, until it goes: `by` is to take its place */
    struct io_listening at;
};

struct activation {
    struct held held[ACTIVATION_MAX];
    size_t n;
    bool manager; /* one that may keep what is ours */
};

/* ---- what is handed over ---- */

/* The next of names that colons separate. */
static void next_name(const char **names, char out[FDNAME_MAX + 1])
{
    size_t len = strcspn(*names, ":");
    snprintf(out, FDNAME_MAX + 1, "%.*s", (int)len, *names);
    *names += len + ((*names)[len] == ':');
}

static void take(struct activation *activation, int fd, const char *name)
{
    struct held *held = &activation->held[activation->n];
    struct io_listening at;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (io_listening(fd, &at) != 0) {
        log_warning(NULL, NULL,
                    "the service manager gives descriptor %d (%s), which is no Unix or TCP socket "
                    "that listens; it is left alone",
                    fd, name);
        return;
    }
    if (activation->n == ACTIVATION_MAX) {
        log_warning(NULL, NULL, "the service manager gives more than %d sockets; %s is left alone",
                    ACTIVATION_MAX, at.name);
        return;
    }
    *held = (struct held){.fd = fd, .at = at};
    held->kept = strncmp(name, KEPT, strlen(KEPT)) == 0;
    snprintf(held->name, sizeof(held->name), "%s", name);
    activation->n++;
}

/* The numbers of a variable, 0 where it is missing or nonsense. */
static uint64_t number(const char *variable)
{
    const char *text = getenv(variable);
    uint64_t value;
    return text != NULL && slice_parse_u64(slice_str(text), &value) == 0 ? value : 0;
}

static void take_all(struct activation *activation)
{
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t n = number("LISTEN_FDS");
    char name[FDNAME_MAX + 1];
    if (number("LISTEN_PID") != (uint64_t)getpid() || n > INT16_MAX)
        return;
    for (uint64_t i = 0; i < n; i++) {
        name[0] = '\0';
        if (names != NULL)
            next_name(&names, name);
        take(activation, FIRST_FD + (int)i, name);
    }
}

int activation_new(struct activation **out)
{
    struct activation *activation = calloc(1, sizeof(*activation));
    if (activation == NULL)
        return ERR_NOMEM;
    activation->manager = notify_wanted();
    take_all(activation);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *out = activation;
    return 0;
}

void activation_free(struct activation *activation)
{
    if (activation == NULL)
        return;
    for (size_t i = 0; i < activation->n; i++)
        if (activation->held[i].fd >= 0)
            close(activation->held[i].fd);
    free(activation);
}

/* ---- which is whose ---- */

/* What a listener's own socket is called at the manager's: by the file at its path, where it has
 * one. The name in it is for people. */
static void kept_name(const char *name, const struct stat *st, char out[FDNAME_MAX + 1])
{
    snprintf(out, FDNAME_MAX + 1, KEPT "%s/%jx.%jx", name, (uintmax_t)st->st_dev,
             (uintmax_t)st->st_ino);
}

/* The section may have another name by now; the file and the address tell. */
static bool fits_kept(const struct held *held, const struct activation_wish *wish)
{
    const char *file = strrchr(held->name, '/');
    char expected[FDNAME_MAX + 1];
    struct stat st;
    if (held->at.tcp)
        return io_tcp_same(held->at.name, wish->tcp);
    if (lstat(wish->path, &st) != 0)
        return false;
    kept_name("", &st, expected);
    return strcmp(file, strrchr(expected, '/')) == 0;
}

/* A given one is its name's: a listener that only has another path by now goes on with it. The two
 * share it until the old one goes, or the new one, if nothing comes of the change. */
static bool is_free(const struct held *held, const struct activation_wish *wish)
{
    return held->by == NULL || (!held->kept && !held->at.tcp && held->before == NULL &&
                                strcmp(held->name, wish->name) == 0);
}

static bool fits(const struct held *held, const struct activation_wish *wish)
{
    if (!is_free(held, wish) || held->at.tcp != (wish->tcp != NULL))
        return false;
    if (held->kept)
        return fits_kept(held, wish);
    if (held->at.tcp)
        return io_tcp_same(held->at.name, wish->tcp);
    return strcmp(held->name, wish->name) == 0 || strcmp(held->at.name, wish->path) == 0;
}

static int listen_given(struct held *held, struct io_loop *loop, io_accept_cb cb, void *arg,
                        struct io_listener **out, struct error *err)
{
    int fd = fcntl(held->fd, F_DUPFD_CLOEXEC, FIRST_FD);
    int status = fd < 0 ? error_set(err, ERR_LIMIT, "no file descriptors left")
                        : io_listen_fd(loop, fd, cb, arg, out, err);
    if (status != 0 && fd >= 0)
        close(fd);
    return status;
}

static int listen_kept(struct held *held, struct io_loop *loop, const struct activation_wish *wish,
                       io_accept_cb cb, void *arg, struct io_listener **out, struct error *err)
{
    int status = io_listen_fd(loop, held->fd, cb, arg, out, err);
    if (status != 0)
        return status;
    held->fd = -1;
    if (wish->path != NULL)
        status = io_listener_claim(*out, wish->path, wish->mode, wish->group, err);
    if (status != 0)
        io_listener_close(*out);
    return status;
}

int activation_listen(struct activation *activation, struct io_loop *loop,
                      const struct activation_wish *wish, io_accept_cb cb, void *arg,
                      struct io_listener **out, struct error *err)
{
    struct held *held = NULL;
    int status;
    *out = NULL;
    for (size_t i = 0; held == NULL && i < activation->n; i++)
        if (fits(&activation->held[i], wish))
            held = &activation->held[i];
    if (held == NULL)
        return 0;
    status = held->kept ? listen_kept(held, loop, wish, cb, arg, out, err)
                        : listen_given(held, loop, cb, arg, out, err);
    if (status != 0) {
        *out = NULL;
        return status;
    }
    held->before = held->by;
    held->by = *out;
    return 0;
}

/* ---- what is left with the manager ---- */

void activation_keep(struct activation *activation, const char *name,
                     const struct io_listener *listener)
{
    struct held *held = &activation->held[activation->n];
    struct stat st = {0};
    if (!activation->manager)
        return;
    for (size_t i = 0; i < activation->n; i++)
        if (activation->held[i].by == listener)
            return;
    if (activation->n == ACTIVATION_MAX) {
        log_warning(NULL, NULL, "listen %s: there are %d sockets at the service manager's already",
                    name, ACTIVATION_MAX);
        return;
    }
    *held = (struct held){.fd = -1, .kept = true, .by = listener};
    if (!io_listener_file(listener, &st.st_dev, &st.st_ino))
        (void)fstat(io_listener_fd(listener), &st);
    kept_name(name, &st, held->name);
    notify_store(io_listener_fd(listener), held->name);
    activation->n++;
}

static void drop(struct activation *activation, size_t i)
{
    struct held *held = &activation->held[i];
    notify_unstore(held->name);
    if (held->fd >= 0)
        close(held->fd);
    activation->n--;
    memmove(held, held + 1, (activation->n - i) * sizeof(*held));
}

static void tell_unwanted(const struct held *held)
{
    log_warning(NULL, NULL,
                "the service manager listens on %s (%s), which no [listen] section wants: "
                "who connects there waits in vain",
                held->at.name, held->name);
}

void activation_release(struct activation *activation, struct io_listener *listener, bool stays)
{
    for (size_t i = 0; i < activation->n; i++) {
        struct held *held = &activation->held[i];
        if (held->before == listener)
            held->before = NULL;
        if (held->by != listener)
            continue;
        held->by = held->before;
        held->before = NULL;
        if (held->kept && stays)
            io_listener_leave(listener);
        else if (held->kept)
            drop(activation, i);
        else if (held->by == NULL && !stays)
            tell_unwanted(held);
        return;
    }
}

bool activation_gave(const struct activation *activation, const struct io_listener *listener)
{
    for (size_t i = 0; i < activation->n; i++)
        if (activation->held[i].by == listener)
            return !activation->held[i].kept;
    return false;
}

void activation_settle(struct activation *activation)
{
    for (size_t i = activation->n; i-- > 0;) {
        const struct held *held = &activation->held[i];
        if (held->by != NULL)
            continue;
        if (held->kept)
            drop(activation, i);
        else
            tell_unwanted(held);
    }
}

/*
 * A child is over when its first process has ended: what that wrote lies in the pipe by then, and
 * is read before the pipe is closed. Whatever it has left behind in its process group is killed,
 * and a process that has left the group writes to a pipe that nobody reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/internal.h"

struct io_child {
    struct io_object object;
    uv_process_t process;
    uv_timer_t timer;
    uv_poll_t poll;
    int fd; /* the end of the pipe that we read */
    bool exited;
    int64_t timeout_ms;
    struct buf output; /* one byte more than may come */
    void (*cb)(void *arg, const struct io_child_result *result);
    void *arg;
};

static void child_close(struct io_object *object)
{
    io_child_cancel((struct io_child *)object);
}

static void child_destroy(struct io_object *object)
{
    struct io_child *child = (struct io_child *)object;

    buf_wipe(&child->output);
    buf_fini(&child->output);
    free(child);
}

/* No callback after this. The process is reaped when it is dead, and the memory freed then. */
static void let_go(struct io_child *child)
{
    io_object_begin_close(&child->object);
    /* Its group, which the kernel keeps the number of while anyone is in it. */
    (void)kill(-child->process.pid, SIGKILL);
    uv_poll_stop(&child->poll);
    io_object_close_handle((uv_handle_t *)&child->poll);
    close(child->fd);
    io_object_close_handle((uv_handle_t *)&child->timer);
    if (child->exited)
        io_object_close_handle((uv_handle_t *)&child->process);
}

void io_child_cancel(struct io_child *child)
{
    let_go(child);
}

/* In the one callback; err is NULL for success. */
static void finish(struct io_child *child, const struct error *err)
{
    struct io_child_result result = {.output = buf_slice(&child->output)};

    if (err != NULL) {
        result.status = err->code;
        result.err = *err;
    }
    let_go(child);
    child->cb(child->arg, &result);
    buf_wipe(&child->output);
}

static void fail(struct io_child *child, int code, const char *text)
{
    struct error err;

    error_set(&err, code, "%s", text);
    finish(child, &err);
}

/* Reads all that is there. ERR_LIMIT: too much; ERR_EOF: nobody holds the other end any more. */
static int read_output(struct io_child *child)
{
    struct buf *output = &child->output;

    for (;;) {
        ssize_t n = read(child->fd, output->data + output->len, output->cap - output->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? ERR_AGAIN : ERR_EOF;
        output->len += (size_t)n;
        if (output->len > IO_CHILD_OUTPUT_MAX)
            return ERR_LIMIT;
    }
}

static void over_limit(struct io_child *child)
{
    char text[80];

    snprintf(text, sizeof text, "more than %d bytes of output", IO_CHILD_OUTPUT_MAX);
    fail(child, ERR_LIMIT, text);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct io_child *child = poll->data;
    int rc;

    (void)events;
    io_turn_begin(child->object.loop);
    rc = status < 0 ? ERR_EOF : read_output(child);
    if (rc == ERR_LIMIT)
        over_limit(child);
    else if (rc == ERR_EOF) /* it has closed its output: its end is what counts */
        uv_poll_stop(&child->poll);
}

static void on_timeout(uv_timer_t *timer)
{
    struct io_child *child = timer->data;
    char text[80];

    snprintf(text, sizeof text, "not finished within %g s", (double)child->timeout_ms / 1000);
    fail(child, ERR_TIMEOUT, text);
}

static void on_exited(uv_process_t *process, int64_t status, int signum)
{
    struct io_child *child = process->data;
    char text[80];

    io_turn_begin(child->object.loop);
    child->exited = true;
    if (child->object.closing) {
        io_object_close_handle((uv_handle_t *)process);
        return;
    }
    if (read_output(child) == ERR_LIMIT) {
        over_limit(child);
    } else if (signum != 0) {
        snprintf(text, sizeof text, "killed by signal %d (%s)", signum, strsignal(signum));
        fail(child, ERR_IO, text);
    } else if (status != 0) {
        snprintf(text, sizeof text, "exit status %lld", (long long)status);
        fail(child, ERR_IO, text);
    } else {
        finish(child, NULL);
    }
}

/* The handles that a child has besides its process. On failure the caller closes the object. */
static int open_handles(struct io_child *child, int read_fd)
{
    uv_loop_t *uv = &child->object.loop->uv;

    child->fd = read_fd;
    uv_timer_init(uv, &child->timer);
    io_object_adopt(&child->object, (uv_handle_t *)&child->timer);
    return uv_poll_init(uv, &child->poll, read_fd);
}

static int spawn(struct io_child *child, const char *const *argv, int write_fd)
{
    static char *no_environment[] = {NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = write_fd},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .exit_cb = on_exited,
        .file = argv[0],
        .args = (char **)argv,
        .env = no_environment,
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = 3,
        .stdio = stdio,
    };
    int rc;

    io_cloexec_all(); /* whatever a library may have opened since the start */
    rc = uv_spawn(&child->object.loop->uv, &child->process, &options);
    io_object_adopt(&child->object, (uv_handle_t *)&child->process);
    return rc;
}

/* Pipe and memory. */
static struct io_child *child_new(struct io_loop *loop, int fds[2], struct error *err)
{
    struct io_child *child;

    if (pipe2(fds, O_CLOEXEC) != 0) {
        error_set(err, error_from_errno(errno), "pipe: %s", strerror(errno));
        return NULL;
    }
    child = calloc(1, sizeof *child);
    if (child != NULL)
        buf_init(&child->output, IO_CHILD_OUTPUT_MAX + 1);
    /* In one piece: growing would leave copies of what may be a secret. */
    if (child == NULL || buf_reserve(&child->output, IO_CHILD_OUTPUT_MAX + 1) != 0 ||
        fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
        error_set(err, ERR_NOMEM, "child process: out of memory");
        close(fds[0]);
        close(fds[1]);
        free(child);
        return NULL;
    }
    io_object_init(&child->object, loop, child_close);
    child->object.destroy = child_destroy;
    return child;
}

int io_child_start(struct io_loop *loop, const char *const *argv, int64_t timeout_ms,
                   void (*cb)(void *arg, const struct io_child_result *result), void *arg,
                   struct io_child **out, struct error *err)
{
    struct io_child *child;
    int fds[2];
    int rc;

    if (argv[0] == NULL || argv[0][0] != '/')
        return error_set(err, ERR_INVAL, "a program is named by its whole path");
    child = child_new(loop, fds, err);
    if (child == NULL)
        return err->code;
    child->cb = cb;
    child->arg = arg;
    child->timeout_ms = timeout_ms;
    rc = open_handles(child, fds[0]);
    if (rc != 0)
        goto err_after_timer;
    io_object_adopt(&child->object, (uv_handle_t *)&child->poll);
    rc = spawn(child, argv, fds[1]);
    if (rc != 0)
        goto err_after_spawn;
    close(fds[1]);
    uv_timer_start(&child->timer, on_timeout, timeout_ms > 0 ? (uint64_t)timeout_ms : 0, 0);
    (void)uv_poll_start(&child->poll, UV_READABLE, on_readable);
    *out = child;
    return 0;

err_after_spawn:
    io_object_close_handle((uv_handle_t *)&child->process);
    io_object_close_handle((uv_handle_t *)&child->poll);
err_after_timer:
    io_object_begin_close(&child->object);
    io_object_close_handle((uv_handle_t *)&child->timer);
    close(fds[0]);
    close(fds[1]);
    return error_set(err, io_error_code(rc), "%s: %s", argv[0], uv_strerror(rc));
}

/*
 * io: the only room that knows libuv.
 *
 * Ownership: an object made by *_start/_connect/_listen belongs to the caller until *_close; close
 * is legal at any moment, once, and frees the object later by itself; after it no callback fires.
 * Asynchrony: a non-zero return means the callback never fires; zero means exactly once (or as
 * often as said), never inline. Threads: everything on the loop's thread, but a worker's run().
 * Fails: with an ERR_ code and, where there is a struct error, the system's own words:
 * "connect to 127.0.0.1:1: connection refused".
 */
#ifndef HAWSER_IO_IO_H
#define HAWSER_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"

struct io_loop;
int io_loop_new(struct io_loop **out, struct error *err); /* SIGPIPE is ignored from now on */
void io_loop_free(struct io_loop *loop); /* closes what is left and asserts nothing leaks */
int io_loop_run(struct io_loop *loop);   /* until io_loop_stop(), which may come before */
void io_loop_stop(struct io_loop *loop);
/* cb after each turn of the loop from now on, when it is about to wait again: busy_us is how long
 * it worked since its last wait. Costs two looks at the clock a turn. For as long as the loop
 * lives; cb does not close anything. ERR_LIMIT beyond IO_TURN_WATCHERS. */
#define IO_TURN_WATCHERS 4
typedef void (*io_turn_cb)(void *arg, int64_t busy_us);
int io_loop_on_turn(struct io_loop *loop, io_turn_cb cb, void *arg);
int64_t io_now_ms(struct io_loop *loop); /* monotonic, as of this iteration */
int64_t io_clock_ms(void);               /* monotonic, right now */
int64_t io_clock_us(void);               /* the same in microseconds; from any thread */
int64_t io_wall_us(void);                /* unix time in microseconds */
const char *io_library(void);            /* "1.44.2", of libuv, as it runs */

/* ---- timers ---- */
struct io_timer;
typedef void (*io_timer_cb)(void *arg);
int io_timer_new(struct io_loop *loop, io_timer_cb cb, void *arg, struct io_timer **out);
/* One shot, counted from io_now_ms(); replaces what was set. A timer that is set from a timer's
 * callback fires in a later turn of the loop, however short the delay. */
void io_timer_set(struct io_timer *timer, int64_t delay_ms);
void io_timer_clear(struct io_timer *timer);
void io_timer_close(struct io_timer *timer);

/* ---- once after the current batch of I/O: "do this when I return to the loop" ---- */
struct io_idle;
int io_idle_new(struct io_loop *loop, io_timer_cb cb, void *arg, struct io_idle **out);
void io_idle_arm(struct io_idle *idle); /* fires once, soon; arming twice is once */
void io_idle_close(struct io_idle *idle);

/* ---- what takes long by itself, and that many may have to do at once ---- */
/* cb is called once, soon, never inline, and those of IO_HEAVY_PER_TURN in one turn of the loop, in
 * the order in which they asked: what is due besides has its turn in between. */
#define IO_HEAVY_PER_TURN 2
struct io_heavy {
    struct list_node node; /* io's; list_init() it */
    io_timer_cb cb;
    void *arg;
};
void io_heavy_ask(struct io_loop *loop,
                  struct io_heavy *heavy);    /* caller's memory; twice is once */
void io_heavy_cancel(struct io_heavy *heavy); /* the callback will not fire */

/* ---- signals ---- */
struct io_signal;
int io_signal_start(struct io_loop *loop, int signum, void (*cb)(void *arg, int signum), void *arg,
                    struct io_signal **out);
void io_signal_close(struct io_signal *signal);

/* ---- names ---- */
#define IO_ADDRESSES_MAX 16 /* of one name; more are left out, and of neither family all */
#define IO_LOOKUPS_MAX 320  /* threads in the resolver at once, one a name; more names wait */
struct io_address {
    union {
        uint16_t family;
        char bytes[128]; /* a struct sockaddr_storage */
    } u;
};
struct io_resolve;
/* Numeric addresses answer without the resolver. ERR_DNS with the resolver's words; ERR_TIMEOUT
 * after timeout_ms (the thread that hangs is abandoned to itself, and holds up neither other
 * lookups nor io_loop_free; who asks for the same name meanwhile waits for that thread too). The
 * request is gone when its callback is called: it is not cancelled
 * after that. */
typedef void (*io_resolve_cb)(void *arg, int status, const struct error *err,
                              const struct io_address *addresses, unsigned count);
int io_resolve_start(struct io_loop *loop, const char *host, uint16_t port, int64_t timeout_ms,
                     io_resolve_cb cb, void *arg, struct io_resolve **out);
void io_resolve_cancel(struct io_resolve *resolve); /* the callback will not fire */
void io_address_format(const struct io_address *address, char *out, size_t size); /* ip:port */
/* Of a numeric address, without brackets and scope. False: it is none. */
bool io_address_parse(const char *ip, uint16_t port, struct io_address *out);
bool io_address_is_loopback(const struct io_address *address);

/* ---- streams: TCP and Unix ---- */
#define IO_READ_SIZE (256 * 1024)  /* bytes of one read, at most; one read a stream and turn */
#define IO_WRITEV_MAX 256          /* slices that one call looks at */
#define IO_TCP_KEEPALIVE_IDLE_S 30 /* then IO_TCP_KEEPALIVE_COUNT probes, each INTERVAL apart */
#define IO_TCP_KEEPALIVE_INTERVAL_S 10
#define IO_TCP_KEEPALIVE_COUNT 3
#define IO_TCP_USER_TIMEOUT_MS 60000 /* sent and not acknowledged for so long: the peer is gone */
struct io_stream;
struct io_stream_events {
    /* Bytes came (n > 0), valid during the call; n == 0: end of file; n < 0: an ERR_ code, and err
     * says more. After n <= 0 no more reads. */
    void (*on_read)(void *arg, const char *bytes, ssize_t n, const struct error *err);
    /* All that io_stream_write() had queued is out (0), or the stream is broken (< 0). */
    void (*on_drain)(void *arg, int status);
};
typedef void (*io_connect_cb)(void *arg, int status, const struct error *err);
/* NODELAY, keepalive and TCP_USER_TIMEOUT are set. The stream is usable when cb said 0; when cb
 * says more it is still the caller's to close. */
int io_tcp_connect(struct io_loop *loop, const struct io_address *address, int64_t timeout_ms,
                   io_connect_cb cb, void *arg, struct io_stream **out, struct error *err);
void io_stream_events(struct io_stream *stream, const struct io_stream_events *events, void *arg);
int io_stream_read_start(struct io_stream *stream);
void io_stream_read_stop(struct io_stream *stream);
/* Writes what fits now; the rest is copied and queued, and on_drain follows. Returns 0 or ERR_; the
 * caller bounds what waits by io_stream_queued(). A stream whose write has failed comes to its end
 * for reading too. */
int io_stream_write(struct io_stream *stream, const void *bytes, size_t n);
size_t io_stream_queued(const struct io_stream *stream);
/* writev now: bytes written, or ERR_AGAIN if none (or if something is queued), or another ERR_. To
 * hear when there is room again, queue something with io_stream_write(): on_drain tells. */
ssize_t io_stream_try_writev(struct io_stream *stream, const struct slice *slices, unsigned count);
void io_stream_close(struct io_stream *stream);
int io_stream_fd(const struct io_stream *stream); /* -1: none; stays the stream's */
/* After the end of file of a Unix stream: true if the peer has gone altogether; false if it only
 * sends no more (shutdown(SHUT_WR)) and still listens. */
bool io_stream_hung_up(const struct io_stream *stream);
/* SO_PEERCRED of a Unix stream. */
int io_stream_peer(const struct io_stream *stream, uid_t *uid, gid_t *gid, pid_t *pid);

/* ---- listeners ---- */
#define IO_LISTEN_BACKLOG 512 /* connections that wait to be accepted */
struct io_listener;
typedef void (*io_accept_cb)(void *arg, struct io_stream *stream); /* takes the stream */
/* Binds path with mode and gid (gid -1: leave). A socket that nobody listens on is replaced; one
 * that a live process has is ERR_BUSY; another kind of file is ERR_EXISTS. The path appears when
 * all is right: mode, group, and somebody listening. Unlinked at close, if it is still the same
 * socket. */
int io_unix_listen(struct io_loop *loop, const char *path, unsigned mode, gid_t gid,
                   io_accept_cb cb, void *arg, struct io_listener **out, struct error *err);
/* "127.0.0.1:9472" or "[::1]:9472", numbers only; port 0: a free one. */
int io_tcp_listen(struct io_loop *loop, const char *address, io_accept_cb cb, void *arg,
                  struct io_listener **out, struct error *err);
/* Whether two such addresses are the same, however they are written; NULL is none. */
bool io_tcp_same(const char *a, const char *b);
/* The path; or the address, with the port that it got. */
const char *io_listener_name(const struct io_listener *listener);
/* Descriptors run out: the last `keep` of them are not for new connections here, which are told
 * `refusal` (borrowed for good) and closed. Old ones are kept. */
void io_listener_refusal(struct io_listener *listener, unsigned keep, struct slice refusal);
/* Connections are another's from now on: cb is called with that arg. */
void io_listener_give(struct io_listener *listener, void *arg);
/* Other mode and group for the file of a Unix listener, if it is still its own; others are left as
 * they are. */
int io_listener_permit(struct io_listener *listener, unsigned mode, gid_t gid, struct error *err);
void io_listener_close(struct io_listener *listener);

/* A socket that listens already may come from elsewhere, and may go on without us. */
struct io_listening {
    bool tcp;
    char name[128]; /* the path it was bound to, or ip:port */
};
/* What listens on a descriptor. ERR_INVAL: no stream socket of Unix or TCP that listens. */
int io_listening(int fd, struct io_listening *out);
/* Accepts on fd, and takes it; on failure it stays the caller's. No file is unlinked at close. */
int io_listen_fd(struct io_loop *loop, int fd, io_accept_cb cb, void *arg, struct io_listener **out,
                 struct error *err);
int io_listener_fd(const struct io_listener *listener); /* stays the listener's */
/* The socket's file is at path, as the caller knows: it gets mode and gid (-1: leave), and is
 * unlinked at close as that of io_unix_listen() is. */
int io_listener_claim(struct io_listener *listener, const char *path, unsigned mode, gid_t gid,
                      struct error *err);
/* What tells the socket's file from any other. False: none is unlinked at close. */
bool io_listener_file(const struct io_listener *listener, dev_t *device, ino_t *inode);
/* Its file stays at close: somebody else holds the same socket, and will accept. */
void io_listener_leave(struct io_listener *listener);

/* ---- child processes ---- */
#define IO_CHILD_OUTPUT_MAX (64 * 1024)
struct io_child;
struct io_child_result {
    int status;          /* 0: it ended by itself with exit status 0; else ERR_ with err */
    struct error err;    /* "exit status 3", "killed by signal 9", "not finished within 10 s" */
    struct slice output; /* its standard output, valid during the call; wiped after it */
};
/* Runs argv[0] (a path, no PATH search, no shell) with an empty environment, / as its directory,
 * nothing on standard input, standard error to ours, no other descriptor, default signals and its
 * own process group, which is killed whole when timeout_ms has passed, more than
 * IO_CHILD_OUTPUT_MAX has come or its first process has ended: what that one says counts, and a
 * grandchild that keeps the pipe open delays nothing. Ends in exactly one cb; the child is gone
 * when that is called: it is not cancelled after that. ERR_NOTFOUND, ERR_PERM, ERR_IO. */
int io_child_start(struct io_loop *loop, const char *const *argv, int64_t timeout_ms,
                   void (*cb)(void *arg, const struct io_child_result *result), void *arg,
                   struct io_child **out, struct error *err);
void io_child_cancel(struct io_child *child); /* kills it; cb will not fire */
/* Marks every descriptor that this process was given close-on-exec, but 0, 1 and 2. Call at start.
 */
void io_cloexec_all(void);

/* ---- files that change ---- */
struct io_watch;
/* cb fires soon after the file of that path was written, replaced (rename counts), made, removed
 * or got other rights, also when its directory itself comes or goes; several changes close together
 * may be told once, and one change twice. The directory is watched, or the nearest one above that
 * exists, and those of symbolic links on the way. Fails for want of memory only: where the system
 * has no more watches, it looks each IO_WATCH_BLIND_MS; each IO_WATCH_LOOK_MS it does anyway, since
 * there are file systems that tell nothing. */
#define IO_WATCH_BLIND_MS 2000
#define IO_WATCH_LOOK_MS 30000
int io_watch_start(struct io_loop *loop, const char *path, void (*cb)(void *arg), void *arg,
                   struct io_watch **out, struct error *err);
void io_watch_close(struct io_watch *watch);

/* ---- the network ---- */
struct io_network;
/* cb fires IO_NETWORK_DEBOUNCE_MS after the last of a run of changes of addresses, routes or links
 * (rtnetlink), at least each IO_NETWORK_RUN_MS while they go on; and when boottime has run
 * IO_NETWORK_SLEPT_MS ahead of monotonic, that is, after a suspend (slept_ms: of so long; else 0).
 */
#define IO_NETWORK_DEBOUNCE_MS 1000
#define IO_NETWORK_RUN_MS 5000
#define IO_NETWORK_SLEPT_MS 2000
#define IO_NETWORK_TICK_MS 1000 /* how often the clocks are compared */
int io_network_start(struct io_loop *loop, void (*cb)(void *arg, int64_t slept_ms), void *arg,
                     struct io_network **out, struct error *err);
void io_network_close(struct io_network *network);
/* The address that this host would use towards that one, the interface and the gateway if there is
 * one, as text ("192.0.2.5 eth0 via 192.0.2.1"); "" if there is no route. Sends nothing. */
void io_network_route(const struct io_address *to, char *out, size_t size);

/* ---- worker: one thread of its own, jobs in order ---- */
struct io_worker;
struct io_job {
    void (*run)(struct io_job *job);  /* on the worker's thread */
    void (*done)(struct io_job *job); /* on the loop's thread, after run */
    struct io_job *next;              /* the worker's */
};
int io_worker_start(struct io_loop *loop, const char *name, struct io_worker **out,
                    struct error *err);
void io_worker_submit(struct io_worker *worker, struct io_job *job); /* job: caller's memory */
/* Waits for the job that runs, drops those that have not begun; done() fires for none that has not
 * had it yet. */
void io_worker_stop(struct io_worker *worker);

#endif

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/internal.h"

enum {
    BUFFER = 32 * 1024,
    READS_MAX = 64, /* in one turn; what is left is read in the next */
};

struct io_network {
    struct io_object object;
    uv_poll_t poll;
    uv_timer_t settle; /* a run of changes goes on while this is set */
    uv_timer_t tick;
    int fd;
    int64_t run_started_ms;
    int64_t ahead_ms; /* boottime before monotonic, when last looked */
    void (*cb)(void *arg, int64_t slept_ms);
    void *arg;
};

/* ---- changes ---- */

static bool is_change(uint16_t type)
{
    return type == RTM_NEWADDR || type == RTM_DELADDR || type == RTM_NEWROUTE ||
           type == RTM_DELROUTE || type == RTM_NEWLINK || type == RTM_DELLINK;
}

static bool has_change(const char *bytes, size_t n)
{
    while (n >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr header;
        size_t step;

        memcpy(&header, bytes, sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > n)
            return false;
        if (is_change(header.nlmsg_type))
            return true;
        step = NLMSG_ALIGN(header.nlmsg_len);
        bytes += step < n ? step : n;
        n -= step < n ? step : n;
    }
    return false;
}

/* Reads what is there. */
static bool read_changes(struct io_network *network)
{
    bool changed = false;

    for (int i = 0; i < READS_MAX; i++) {
        char bytes[BUFFER];
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof from;
        ssize_t n = recvfrom(network->fd, bytes, sizeof bytes, MSG_DONTWAIT,
                             (struct sockaddr *)&from, &from_len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (from.nl_pid == 0) /* the kernel's own */
            changed |= has_change(bytes, (size_t)n);
    }
    return changed;
}

static void on_settled(uv_timer_t *timer)
{
    struct io_network *network = timer->data;

    network->cb(network->arg, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct io_network *network = poll->data;
    int64_t now_ms = io_now_ms(network->object.loop);
    int64_t wait_ms, left_ms;

    (void)events;
    io_turn_begin(network->object.loop);
    if (status < 0 || !read_changes(network))
        return;
    if (!uv_is_active((uv_handle_t *)&network->settle))
        network->run_started_ms = now_ms;
    wait_ms = IO_NETWORK_DEBOUNCE_MS;
    left_ms = network->run_started_ms + IO_NETWORK_RUN_MS - now_ms;
    if (wait_ms > left_ms)
        wait_ms = left_ms > 0 ? left_ms : 0;
    uv_timer_start(&network->settle, on_settled, (uint64_t)wait_ms, 0);
}

/* ---- sleep ---- */

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now = {0};

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t boottime_ahead_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME) - clock_ms(CLOCK_MONOTONIC);
}

/* Timers stand still in a suspend, so the first tick after it comes soon. */
static void on_tick(uv_timer_t *timer)
{
    struct io_network *network = timer->data;
    int64_t ahead_ms = boottime_ahead_ms();
    int64_t slept_ms = ahead_ms - network->ahead_ms;

    network->ahead_ms = ahead_ms;
    if (slept_ms < IO_NETWORK_SLEPT_MS)
        return;
    uv_timer_stop(&network->settle); /* what has changed meanwhile is told along with it */
    network->cb(network->arg, slept_ms);
}

/* ---- life ---- */

static void network_close(struct io_object *object)
{
    io_network_close((struct io_network *)object);
}

/*
 * -1 and errno. Of a flood the kernel drops what finds no room, and says so by an error unless it
 * is asked not to; all that is wanted is that there was a change, which what is there says as well.
 */
static int open_rtnetlink(unsigned groups)
{
    static const int yes = 1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    int saved;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int io_network_start(struct io_loop *loop, void (*cb)(void *arg, int64_t slept_ms), void *arg,
                     struct io_network **out, struct error *err)
{
    struct io_network *network = calloc(1, sizeof *network);
    int rc;

    if (network == NULL)
        return error_set(err, ERR_NOMEM, "network watch: out of memory");
    network->fd = open_rtnetlink(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
                                 RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE);
    rc = network->fd < 0 ? -errno : uv_poll_init(&loop->uv, &network->poll, network->fd);
    if (rc != 0) {
        if (network->fd >= 0)
            close(network->fd);
        free(network);
        return error_set(err, io_error_code(rc), "rtnetlink: %s", uv_strerror(rc));
    }
    network->cb = cb;
    network->arg = arg;
    network->ahead_ms = boottime_ahead_ms();
    io_object_init(&network->object, loop, network_close);
    io_object_adopt(&network->object, (uv_handle_t *)&network->poll);
    uv_timer_init(&loop->uv, &network->settle);
    io_object_adopt(&network->object, (uv_handle_t *)&network->settle);
    uv_timer_init(&loop->uv, &network->tick);
    io_object_adopt(&network->object, (uv_handle_t *)&network->tick);
    uv_timer_start(&network->tick, on_tick, IO_NETWORK_TICK_MS, IO_NETWORK_TICK_MS);
    (void)uv_poll_start(&network->poll, UV_READABLE, on_readable);
    *out = network;
    return 0;
}

void io_network_close(struct io_network *network)
{
    io_object_begin_close(&network->object);
    uv_poll_stop(&network->poll);
    io_object_close_handle((uv_handle_t *)&network->poll);
    close(network->fd);
    io_object_close_handle((uv_handle_t *)&network->settle);
    io_object_close_handle((uv_handle_t *)&network->tick);
}

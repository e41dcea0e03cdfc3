#include "daemon/notify.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if HAWSER_SYSTEMD
#include <systemd/sd-daemon.h>

bool notify_wanted(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

/* Without a manager there is nobody to tell; one that does not listen is its own affair. */
static void tell(const char *state)
{
    (void)sd_notify(0, state);
}

static void tell_with_fd(const char *state, int fd)
{
    (void)sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}

uint64_t notify_watchdog_us(void)
{
    uint64_t us;
    return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}
#else
bool notify_wanted(void)
{
    return false;
}

static void tell(const char *state)
{
    (void)state;
}

static void tell_with_fd(const char *state, int fd)
{
    (void)state;
    (void)fd;
}

uint64_t notify_watchdog_us(void)
{
    return 0;
}
#endif

void notify_ready(void)
{
    tell("READY=1");
}

void notify_reloading(void)
{
    char state[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(state);
}

void notify_checking(uint64_t bytes)
{
    char state[128];
    /* More than a silent disk is given (store/check.c). */
    snprintf(state, sizeof(state),
             "STATUS=checking the store: %llu MiB so far\nEXTEND_TIMEOUT_USEC=90000000",
             (unsigned long long)(bytes >> 20));
    tell(state);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_status(const char *text)
{
    char state[1024];
    snprintf(state, sizeof(state), "STATUS=%s", text);
    tell(state);
}

void notify_watchdog(void)
{
    tell("WATCHDOG=1");
}

void notify_store(int fd, const char *name)
{
    char state[320];
    snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
    tell_with_fd(state, fd);
}

void notify_unstore(const char *name)
{
    char state[320];
    snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    tell(state);
}

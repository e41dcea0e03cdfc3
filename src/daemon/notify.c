#include "daemon/notify.h"

#include <stdio.h>

#if HAWSER_SYSTEMD
#include <systemd/sd-daemon.h>

static void tell(const char *state)
{
    (void)sd_notify(0, state); /* without a manager there is nobody to tell */
}
#else
static void tell(const char *state)
{
    (void)state;
}
#endif

void notify_ready(void)
{
    tell("READY=1");
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

#include "daemon/notify.h"

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

void notify_stopping(void)
{
    tell("STOPPING=1");
}

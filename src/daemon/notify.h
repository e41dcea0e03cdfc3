/* notify: tells the service manager (sd_notify(3)) where there is one. */
#ifndef HAWSER_DAEMON_NOTIFY_H
#define HAWSER_DAEMON_NOTIFY_H

#include <stdint.h>

void notify_ready(void); /* listeners accept */
/* A start that takes its time, for the store is checked: so many bytes so far. Once a second. */
void notify_checking(uint64_t bytes);
void notify_stopping(void);

#endif

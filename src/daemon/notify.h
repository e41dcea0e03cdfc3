/*
 * notify: tells the service manager (sd_notify(3)) where there is one; else nothing happens.
 *
 * Decides: the words. Leaves: when to say them, to daemon, report and activation.
 */
#ifndef HAWSER_DAEMON_NOTIFY_H
#define HAWSER_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

bool notify_wanted(void); /* somebody listens */
void notify_ready(void);  /* listeners accept; or a reload is over */
void notify_reloading(void);
/* A start that takes its time, for the store is checked: so many bytes so far. Once a second. */
void notify_checking(uint64_t bytes);
void notify_stopping(void);
void notify_status(const char *text); /* one line of UTF-8 */
void notify_watchdog(void);           /* hawserd gets on */
/* Microseconds after which the manager kills whom it has not heard; 0: it has no watchdog. */
uint64_t notify_watchdog_us(void);
/* The manager keeps a copy of fd under that name, and gives it to the next hawserd; or gives it up.
 * Whether it does either it does not say. */
void notify_store(int fd, const char *name);
void notify_unstore(const char *name);

#endif

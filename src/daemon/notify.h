/* notify: tells the service manager (sd_notify(3)) where there is one. */
#ifndef HAWSER_DAEMON_NOTIFY_H
#define HAWSER_DAEMON_NOTIFY_H

void notify_ready(void); /* listeners accept */
void notify_stopping(void);

#endif

/* ends: how a link's or a request's end, as net tells it, looks to the session. */
#ifndef HAWSER_DAEMON_ENDS_H
#define HAWSER_DAEMON_ENDS_H

#include "net/net.h"
#include "profile/profile.h"

void end_from_net(const struct net_end *from, struct profile_end *to);
/* A failure of our own, before anything was on the wire. */
void end_from_error(enum profile_failure failure, const struct error *err, struct profile_end *to);
/* An answer that is not what the profile calls ok. */
void end_from_answer(const struct net_http_result *result, struct profile_end *to);

#endif

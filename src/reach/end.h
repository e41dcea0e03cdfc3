/* end: how the endings of net's links and requests look to the session. */
#ifndef HAWSER_REACH_END_H
#define HAWSER_REACH_END_H

#include "net/net.h"
#include "profile/profile.h"
#include "reach/redact.h"

void end_from_net(const struct redact *redact, const struct net_end *from, struct profile_end *to);
/* Text from outside: one printable line, secrets out before it is cut. */
void end_set_text(const struct redact *redact, struct profile_end *end, struct slice text);
/* The same for a refusal's body, of which the words that the policy looks for are kept. */
void end_set_body(const struct redact *redact, const struct profile *profile,
                  struct profile_end *end, struct slice body);

#endif

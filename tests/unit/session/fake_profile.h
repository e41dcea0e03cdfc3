/* A profile without files: the fields that session reads, and a small policy table. */
#ifndef HAWSER_TESTS_SESSION_FAKE_PROFILE_H
#define HAWSER_TESTS_SESSION_FAKE_PROFILE_H

#include "profile/profile.h"

/* Sensible values: live by rule, catch-up by http, the contract's heartbeat and backoff. */
void fake_profile(struct profile *profile);

struct profile_end fake_close(int code, const char *text);
struct profile_end fake_status(int status, int64_t retry_after_ms);
struct profile_end fake_failure(enum profile_failure failure);

#endif

/*
 * generation: a configuration that is in use, with a count of its users.
 *
 * Decides: nothing. A stream keeps the generation that it was made from for as long as it lives,
 * since much of it points there; the newest one is the daemon's. Owns: settings, profiles and
 * diagnostics. Fails: as configuration_load().
 */
#ifndef HAWSER_DAEMON_GENERATION_H
#define HAWSER_DAEMON_GENERATION_H

#include "profile/configuration.h"

struct generation {
    struct configuration configuration;
    char *path; /* of hawser.ini */
    unsigned users;
};

/* 0; ERR_PARSE: it is there, and so are the errors; ERR_NOMEM: *out may be NULL. Reads files only:
 * any thread may call it. */
int generation_load(const char *path, struct generation **out);
struct generation *generation_hold(struct generation *generation);
void generation_drop(struct generation *generation); /* NULL is allowed */
/* A newer one is in use: its profiles are those streams' that have them. */
void generation_retire(struct generation *generation);

#endif

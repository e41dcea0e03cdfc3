/*
 * configuration: hawser.ini, its conf.d and the profiles that its streams name, checked as a whole.
 * What `hawserd`, `hawserd --check` and `hawserctl check` have in common.
 *
 * Owns: settings, profiles and diagnostics, until configuration_fini().
 * Fails: every error of all files is in .diag, each as "FILE:LINE: message".
 */
#ifndef HAWSER_PROFILE_CONFIGURATION_H
#define HAWSER_PROFILE_CONFIGURATION_H

#include "profile/profile.h"

#define CONFIGURATION_DEFAULT "/etc/hawser/hawser.ini"

struct configuration {
    struct settings *settings; /* NULL only without memory */
    struct profile **profiles; /* [i] is that of stream i; NULL where it has errors */
    struct diag *diag;
    const char *profile_dirs[3]; /* NULL-terminated, first wins */
};

/* 0, or ERR_PARSE: see .diag. configuration_fini() either way. */
int configuration_load(const char *path, struct configuration *out);
void configuration_fini(struct configuration *configuration);
/* Where profiles are looked for when there is no configuration. */
const char *configuration_shipped_profiles(void);

#endif

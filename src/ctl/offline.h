/*
 * offline: the configuration and the profiles, read without a daemon.
 *
 * Decides: which file (--config) and which directories. Fails: what cannot be read is as if it were
 * not there, but for `check`, which says it.
 */
#ifndef HAWSER_CTL_OFFLINE_H
#define HAWSER_CTL_OFFLINE_H

#include "ctl/ctl.h"
#include "profile/configuration.h"

enum { OFFLINE_DIRS = 3 };

const char *offline_config(const struct ctl *ctl);
/* Where profiles are, NULL-terminated: the configuration's directory first; a configuration that is
 * missing or broken does not matter. The names are of the settings, which are the caller's, and may
 * be NULL. */
struct settings *offline_dirs(const struct ctl *ctl, const char **dirs);
void offline_print_diag(const struct diag *diag);

#endif

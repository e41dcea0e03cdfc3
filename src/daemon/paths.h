/* paths: where hawserd keeps things, by settings and by what systemd says in the environment. */
#ifndef HAWSER_DAEMON_PATHS_H
#define HAWSER_DAEMON_PATHS_H

#include "base/error.h"
#include "config/settings.h"

const char *paths_state_dir(const struct settings *settings);   /* $STATE_DIRECTORY wins */
const char *paths_runtime_dir(const struct settings *settings); /* $RUNTIME_DIRECTORY wins */
/* Makes the directory (not its parents) if it is missing. */
int paths_make(const char *path, unsigned mode, struct error *err);

#endif

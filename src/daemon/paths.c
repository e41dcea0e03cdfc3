#include "daemon/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *from_environment(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] == '/' ? value : otherwise;
}

const char *paths_state_dir(const struct settings *settings)
{
    return from_environment("STATE_DIRECTORY", settings->daemon.state_dir);
}

const char *paths_runtime_dir(const struct settings *settings)
{
    return from_environment("RUNTIME_DIRECTORY", settings->daemon.runtime_dir);
}

int paths_make(const char *path, unsigned mode, struct error *err)
{
    struct stat st;
    if (mkdir(path, mode) == 0 && chmod(path, mode) == 0) /* whatever umask says */
        return 0;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return error_set(err, errno == EACCES || errno == EPERM ? ERR_PERM : ERR_IO,
                     "directory %s: %s; make it, writable by hawserd", path, strerror(errno));
}

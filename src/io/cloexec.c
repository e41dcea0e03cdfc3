#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/io.h"

enum { FIRST = 3, FALLBACK_MAX = 65536 };

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static void mark(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0)
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

/* Before Linux 5.11, or under a filter that does not know the call. */
static void mark_each(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    struct rlimit limit;
    int max = FALLBACK_MAX;

    if (dir != NULL) {
        while ((entry = readdir(dir)) != NULL) {
            if (atoi(entry->d_name) >= FIRST)
                mark(atoi(entry->d_name));
        }
        closedir(dir);
        return;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FALLBACK_MAX)
        max = (int)limit.rlim_cur;
    for (int fd = FIRST; fd < max; fd++)
        mark(fd);
}

void io_cloexec_all(void)
{
    if (close_range(FIRST, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
        mark_each();
}

/*
 * setclock: clocks that are set, for a program that knows nothing of it (LD_PRELOAD).
 *
 * HAWSER_CLOCK names a file, read at each look at a clock, with two numbers of seconds: by so much
 * the wall clock is ahead of the machine's, and by so much the one that counts sleep, too. Without
 * the file all clocks are the machine's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long ahead_s(clockid_t clock)
{
    const char *path = getenv("HAWSER_CLOCK");
    long wall = 0, boot = 0;
    char text[64] = "";
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) > 0)
        (void)!sscanf(text, "%ld %ld", &wall, &boot);
    close(fd);
    return clock == CLOCK_REALTIME ? wall : boot;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long rc = syscall(SYS_clock_gettime, clock, now);

    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME))
        now->tv_sec += ahead_s(clock);
    return (int)rc;
}

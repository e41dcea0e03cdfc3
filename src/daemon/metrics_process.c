/* Of the process, under the names that all exporters give. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/metrics.h"
#include "io/io.h"

static const struct slice no_labels = {"", 0};

/* Newer kernels say it as the size of the directory; elsewhere it is counted. */
static int64_t count_descriptors(void)
{
    struct stat st;
    int64_t n = -3; /* ".", ".." and the directory itself are none */
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return st.st_size;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return -1;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void write_memory(struct metrics_page *page)
{
    long long pages[2] = {-1, -1};
    int64_t page_bytes = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return;
    int n = fscanf(file, "%lld %lld", &pages[0], &pages[1]);
    fclose(file);
    if (n != 2)
        return;
    metrics_family(page, METRIC_PROCESS_VIRTUAL);
    metrics_value(page, no_labels, NULL, NULL, pages[0] * page_bytes);
    metrics_family(page, METRIC_PROCESS_RESIDENT);
    metrics_value(page, no_labels, NULL, NULL, pages[1] * page_bytes);
}

static int64_t microseconds(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

void metrics_process(struct metrics_page *page, int64_t running_ms)
{
    struct rusage usage;
    struct rlimit limit;
    int64_t descriptors = count_descriptors();
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        metrics_family(page, METRIC_PROCESS_CPU);
        metrics_fraction(page, no_labels,
                         microseconds(usage.ru_utime) + microseconds(usage.ru_stime), 1000000);
    }
    write_memory(page);
    if (descriptors >= 0) {
        metrics_family(page, METRIC_PROCESS_FDS);
        metrics_value(page, no_labels, NULL, NULL, descriptors);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        metrics_family(page, METRIC_PROCESS_MAX_FDS);
        metrics_value(page, no_labels, NULL, NULL, (int64_t)limit.rlim_cur);
    }
    metrics_family(page, METRIC_PROCESS_START);
    metrics_fraction(page, no_labels, io_wall_us() - running_ms * 1000, 1000000);
}

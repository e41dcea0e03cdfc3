/*
 * bench: what the benchmark's programs share: clocks, an exit that says why, and the event that
 * travels from the load generator to the consumer.
 */
#ifndef HAWSER_BENCH_H
#define HAWSER_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_S 1000000000ll

/*
 * Each event's text begins `n=NUMBER t=TIME`, both of fixed width: NUMBER counts the events from
 * BENCH_FIRST, TIME is CLOCK_MONOTONIC in nanoseconds when the event was made, or 0.
 */
#define BENCH_MARK "\"body\":\"n="
#define BENCH_FIRST 100000000001ull
enum {
    BENCH_NUMBER_DIGITS = 12,
    BENCH_TIME_DIGITS = 19,
    BENCH_TIME_AT = BENCH_NUMBER_DIGITS + 3, /* from the number's first digit */
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t now_ns(void);
/* User and system time of this process. */
int64_t own_cpu_us(void);
/* The same of another, and its memory without what it maps from files. */
int64_t process_cpu_us(pid_t pid);
uint64_t process_rss_anon_kb(pid_t pid);

/* One line for whoever runs the program, at once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

#include "daemon/turns.h"

#include <stdio.h>

#include "base/log.h"

static const int64_t bounds_us[] = {250,    1000,   2500,   5000,    10000,   25000,   50000,
                                    100000, 250000, 500000, 1000000, 2500000, 10000000};

static void say(struct turns *turns, int64_t busy_us)
{
    int64_t now_ms = io_now_ms(turns->loop);
    char more[48] = "";
    if (turns->said_ms != 0 && now_ms - turns->said_ms < TURNS_SAID_MS) {
        turns->unsaid++;
        return;
    }
    if (turns->unsaid > 0)
        snprintf(more, sizeof(more), " (and %u more times since the last)", turns->unsaid);
    log_write_id(
        LOG_ID_LOOP_STALL, LOG_LEVEL_WARNING, NULL, NULL,
        "the event loop stood still for %.1f s%s: nothing was received or delivered then; is "
        "the machine overloaded?",
        (double)busy_us / 1e6, more);
    turns->said_ms = now_ms;
    turns->unsaid = 0;
}

static void on_turn(void *arg, int64_t busy_us)
{
    struct turns *turns = arg;
    histogram_add(&turns->busy_us, busy_us);
    if (busy_us > turns->longest_us)
        turns->longest_us = busy_us;
    if (busy_us >= TURNS_LONG_MS * 1000)
        say(turns, busy_us);
}

int turns_start(struct turns *turns, struct io_loop *loop)
{
    *turns = (struct turns){.loop = loop};
    histogram_init(&turns->busy_us, bounds_us, sizeof(bounds_us) / sizeof(bounds_us[0]));
    return io_loop_on_turn(loop, on_turn, turns);
}

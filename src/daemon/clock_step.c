#include "daemon/clock_step.h"

int64_t clock_step_look(struct clock_step *step, int64_t wall_us, int64_t run_ms)
{
    int64_t stepped_us;
    /* By any clock: the difference of two times that need not be sane. */
    if (!step->looked || __builtin_sub_overflow(wall_us, step->wall_us, &stepped_us) ||
        __builtin_sub_overflow(stepped_us, (run_ms - step->run_ms) * 1000, &stepped_us))
        stepped_us = 0;
    *step = (struct clock_step){.wall_us = wall_us, .run_ms = run_ms, .looked = true};
    bool small = stepped_us > -CLOCK_STEP_LEAST_US && stepped_us < CLOCK_STEP_LEAST_US;
    return small ? 0 : stepped_us;
}

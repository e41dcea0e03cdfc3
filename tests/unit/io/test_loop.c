#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

struct step {
    struct fixture *f;
    struct io_timer *timer;
    struct io_idle *idle;
    char name;
    int again; /* times to arm anew from the callback */
};

static char trace[64];

static void traced(char name)
{
    size_t len = strlen(trace);

    assert_true(len + 1 < sizeof trace);
    trace[len] = name;
    trace[len + 1] = '\0';
}

static void on_step(void *arg)
{
    struct step *step = arg;

    traced(step->name);
    fixture_event(step->f);
}

static struct io_timer *new_timer(struct step *step)
{
    assert_int_equal(io_timer_new(step->f->loop, on_step, step, &step->timer), 0);
    return step->timer;
}

static void test_timers_fire_in_order_of_time(void **state)
{
    struct step a = {.f = *state, .name = 'a'}, b = {.f = *state, .name = 'b'},
                c = {.f = *state, .name = 'c'};

    trace[0] = '\0';
    io_timer_set(new_timer(&a), 20);
    io_timer_set(new_timer(&b), 5);
    io_timer_set(new_timer(&c), 10);
    fixture_run(*state, 3);
    assert_string_equal(trace, "bca");
}

static void test_timer_is_one_shot_and_replaced(void **state)
{
    struct step a = {.f = *state, .name = 'a'};
    int64_t start = io_now_ms(a.f->loop);

    trace[0] = '\0';
    io_timer_set(new_timer(&a), 1);
    io_timer_set(a.timer, 30);
    fixture_run(*state, 1);
    assert_true(io_now_ms(a.f->loop) - start >= 30);
    fixture_run_ms(*state, 50);
    assert_string_equal(trace, "a");
}

static void test_cleared_and_closed_timers_are_silent(void **state)
{
    struct step a = {.f = *state, .name = 'a'}, b = {.f = *state, .name = 'b'};

    trace[0] = '\0';
    io_timer_set(new_timer(&a), 1);
    io_timer_set(new_timer(&b), 1);
    io_timer_clear(a.timer);
    io_timer_close(b.timer);
    fixture_run_ms(*state, 20);
    assert_string_equal(trace, "");
}

static void test_negative_delay_is_at_once_not_inline(void **state)
{
    struct step a = {.f = *state, .name = 'a'};

    trace[0] = '\0';
    io_timer_set(new_timer(&a), -5);
    assert_string_equal(trace, "");
    fixture_run(*state, 1);
    assert_string_equal(trace, "a");
}

static void on_close_self(void *arg)
{
    struct step *step = arg;

    io_timer_close(step->timer);
    fixture_event(step->f);
}

static void test_timer_closed_in_its_callback(void **state)
{
    struct step a = {.f = *state};

    assert_int_equal(io_timer_new(a.f->loop, on_close_self, &a, &a.timer), 0);
    io_timer_set(a.timer, 1);
    fixture_run(*state, 1);
}

/* Sets itself to fire at once, again and again, while somebody else waits for his turn. */
static void on_again(void *arg)
{
    struct step *step = arg;

    traced(step->name);
    assert_true(step->again-- > 0);
    io_timer_set(step->timer, 0);
}

static void test_a_timer_that_sets_itself_lets_others_run(void **state)
{
    struct step again = {.f = *state, .name = 'a', .again = 5}, other = {.f = *state, .name = 'o'};

    trace[0] = '\0';
    assert_int_equal(io_timer_new(again.f->loop, on_again, &again, &again.timer), 0);
    assert_int_equal(io_idle_new(other.f->loop, on_step, &other, &other.idle), 0);
    io_idle_arm(other.idle);
    io_timer_set(again.timer, 0);
    fixture_run(*state, 1);
    assert_non_null(strchr(trace, 'o'));
    io_timer_close(again.timer);
    io_idle_close(other.idle);
}

static void on_idle(void *arg)
{
    struct step *step = arg;

    traced(step->name);
    if (step->again-- > 0)
        io_idle_arm(step->idle);
    else
        fixture_event(step->f);
}

static void test_idle_armed_twice_fires_once(void **state)
{
    struct step a = {.f = *state, .name = 'i'};

    trace[0] = '\0';
    assert_int_equal(io_idle_new(a.f->loop, on_idle, &a, &a.idle), 0);
    io_idle_arm(a.idle);
    io_idle_arm(a.idle);
    assert_string_equal(trace, "");
    fixture_run(*state, 1);
    fixture_run_ms(*state, 10);
    assert_string_equal(trace, "i");
}

static void test_idle_does_not_sleep(void **state)
{
    struct step a = {.f = *state, .name = 'i', .again = 5};
    int64_t start = io_clock_ms();

    trace[0] = '\0';
    assert_int_equal(io_idle_new(a.f->loop, on_idle, &a, &a.idle), 0);
    io_idle_arm(a.idle);
    fixture_run(*state, 1);
    assert_string_equal(trace, "iiiiii");
    assert_true(io_clock_ms() - start < GUARD_MS / 2);
}

static void on_arm_other(void *arg)
{
    struct step *step = arg;

    traced('t');
    io_idle_arm(step->idle);
}

static void test_idle_armed_by_a_timer(void **state)
{
    struct step a = {.f = *state, .name = 'i'};

    trace[0] = '\0';
    assert_int_equal(io_idle_new(a.f->loop, on_idle, &a, &a.idle), 0);
    assert_int_equal(io_timer_new(a.f->loop, on_arm_other, &a, &a.timer), 0);
    io_timer_set(a.timer, 1);
    fixture_run(*state, 1);
    assert_string_equal(trace, "ti");
}

static void on_close_idle(void *arg)
{
    struct step *step = arg;

    io_idle_close(step->idle);
    fixture_event(step->f);
}

static void test_idle_closed_in_its_callback_and_while_armed(void **state)
{
    struct step a = {.f = *state}, b = {.f = *state, .name = 'b'};

    trace[0] = '\0';
    assert_int_equal(io_idle_new(a.f->loop, on_close_idle, &a, &a.idle), 0);
    assert_int_equal(io_idle_new(b.f->loop, on_idle, &b, &b.idle), 0);
    io_idle_arm(a.idle);
    io_idle_arm(b.idle);
    io_idle_close(b.idle);
    fixture_run(*state, 1);
    assert_string_equal(trace, "");
}

static void on_signal(void *arg, int signum)
{
    struct step *step = arg;

    assert_int_equal(signum, SIGUSR1);
    fixture_event(step->f);
}

static void test_signals(void **state)
{
    struct step a = {.f = *state};
    struct io_signal *sig;

    assert_int_equal(io_signal_start(a.f->loop, SIGUSR1, on_signal, &a, &sig), 0);
    kill(getpid(), SIGUSR1);
    fixture_run(*state, 1);
    io_signal_close(sig);
    assert_int_equal(io_signal_start(a.f->loop, 12345, on_signal, &a, &sig), ERR_INVAL);
}

static void test_stop_before_run(void **state)
{
    struct fixture *f = *state;

    io_loop_stop(f->loop);
    assert_int_equal(io_loop_run(f->loop), 0);
}

static void test_clocks(void **state)
{
    int64_t wall_us = io_wall_us();

    (void)state;
    assert_true(wall_us > INT64_C(1577836800000000)); /* 2020 */
    assert_true(io_clock_ms() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_timers_fire_in_order_of_time),
        io_test(test_timer_is_one_shot_and_replaced),
        io_test(test_cleared_and_closed_timers_are_silent),
        io_test(test_negative_delay_is_at_once_not_inline),
        io_test(test_timer_closed_in_its_callback),
        io_test(test_a_timer_that_sets_itself_lets_others_run),
        io_test(test_idle_armed_twice_fires_once),
        io_test(test_idle_does_not_sleep),
        io_test(test_idle_armed_by_a_timer),
        io_test(test_idle_closed_in_its_callback_and_while_armed),
        io_test(test_signals),
        io_test(test_stop_before_run),
        io_test(test_clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

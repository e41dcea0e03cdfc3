#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#define JOBS 100

struct test_job {
    struct io_job job; /* first: a job is its test_job */
    struct fixture *f;
    struct io_worker *worker;
    struct test_job *submits; /* by done() */
    bool stops;               /* by done() */
    int number, usec;
    pthread_t ran_on;
};

static _Atomic int runs; /* that have begun */
static int dones;
static int run_order[JOBS], done_order[JOBS];

static void run(struct io_job *job)
{
    struct test_job *test = (struct test_job *)job;

    run_order[runs++ % JOBS] = test->number;
    test->ran_on = pthread_self();
    if (test->usec != 0)
        usleep((useconds_t)test->usec);
}

static void done(struct io_job *job)
{
    struct test_job *test = (struct test_job *)job;

    assert_false(pthread_equal(test->ran_on, pthread_self()));
    done_order[dones++ % JOBS] = test->number;
    if (test->submits != NULL)
        io_worker_submit(test->worker, &test->submits->job);
    if (test->stops)
        io_worker_stop(test->worker);
    fixture_event(test->f);
}

static struct io_worker *start(struct fixture *f)
{
    struct io_worker *worker;
    struct error err;

    runs = dones = 0;
    assert_int_equal(io_worker_start(f->loop, "test", &worker, &err), 0);
    return worker;
}

static struct test_job make_job(struct fixture *f, struct io_worker *worker, int number)
{
    return (struct test_job){
        .job = {.run = run, .done = done}, .f = f, .worker = worker, .number = number};
}

static void test_jobs_run_in_order(void **state)
{
    static struct test_job jobs[JOBS];
    struct io_worker *worker = start(*state);
    int i;

    for (i = 0; i < JOBS; i++) {
        jobs[i] = make_job(*state, worker, i);
        io_worker_submit(worker, &jobs[i].job);
    }
    assert_int_equal(dones, 0);
    fixture_run(*state, JOBS);
    for (i = 0; i < JOBS; i++) {
        assert_int_equal(run_order[i], i);
        assert_int_equal(done_order[i], i);
    }
    io_worker_stop(worker);
}

static sigset_t mask_seen;

static void run_mask(struct io_job *job)
{
    pthread_sigmask(SIG_BLOCK, NULL, &mask_seen);
    run(job);
}

/* The kernel kills at once a thread that blocks the fault that it makes: no handler would see it.
 */
static void test_a_thread_takes_its_own_faults(void **state)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct io_worker *worker = start(*state);
    struct test_job job = make_job(*state, worker, 0);

    job.job.run = run_mask;
    io_worker_submit(worker, &job.job);
    fixture_run(*state, 1);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        assert_false(sigismember(&mask_seen, faults[i]));
    assert_true(sigismember(&mask_seen, SIGTERM)); /* that is the loop's */
    io_worker_stop(worker);
}

static void test_stop_waits_for_the_running_job_and_drops_the_rest(void **state)
{
    struct io_worker *worker = start(*state);
    struct test_job slow = make_job(*state, worker, 0), next = make_job(*state, worker, 1);

    slow.usec = 50000;
    io_worker_submit(worker, &slow.job);
    io_worker_submit(worker, &next.job);
    while (runs == 0)
        usleep(1000);
    io_worker_stop(worker);
    assert_int_equal(runs, 1);
    fixture_run_ms(*state, 20);
    assert_int_equal(runs, 1);
    assert_int_equal(dones, 0);
}

static void test_stop_within_done(void **state)
{
    struct io_worker *worker = start(*state);
    struct test_job a = make_job(*state, worker, 0), b = make_job(*state, worker, 1);

    a.stops = true;
    io_worker_submit(worker, &a.job);
    io_worker_submit(worker, &b.job);
    usleep(20000); /* both are done before the loop looks */
    fixture_run(*state, 1);
    fixture_run_ms(*state, 20);
    assert_int_equal(dones, 1);
}

static void test_submit_within_done(void **state)
{
    struct io_worker *worker = start(*state);
    struct test_job a = make_job(*state, worker, 0), b = make_job(*state, worker, 1);

    a.submits = &b;
    io_worker_submit(worker, &a.job);
    fixture_run(*state, 2);
    assert_int_equal(done_order[1], 1);
    io_worker_stop(worker);
}

static int dones_at_the_end_of_the_turn;

static void on_turn_over(void *arg)
{
    (void)arg;
    dones_at_the_end_of_the_turn = dones;
}

static struct test_job chain[3];
static struct io_idle *turn_over;

static void done_chain(struct io_job *job)
{
    io_idle_arm(turn_over);
    io_worker_submit(chain[0].worker, &chain[1].job);
    io_worker_submit(chain[0].worker, &chain[2].job);
    while (runs < 3) /* the second is done when the third has begun */
        usleep(1000);
    done(job);
}

/* A chain of jobs, each submitted when the last is done, leaves the others their turn. */
static void test_what_is_done_meanwhile_is_for_the_next_turn(void **state)
{
    struct fixture *f = *state;
    struct io_worker *worker = start(f);

    assert_int_equal(io_idle_new(f->loop, on_turn_over, NULL, &turn_over), 0);
    for (int i = 0; i < 3; i++) {
        chain[i] = make_job(f, worker, i);
        chain[i].worker = worker;
    }
    chain[0].job.done = done_chain;
    dones_at_the_end_of_the_turn = 0;
    io_worker_submit(worker, &chain[0].job);
    fixture_run(f, 3);
    assert_int_equal(dones_at_the_end_of_the_turn, 1);
    io_idle_close(turn_over);
    io_worker_stop(worker);
}

static void test_the_loop_stops_a_worker_that_was_left(void **state)
{
    struct io_worker *worker = start(*state);
    static struct test_job job;

    job = make_job(*state, worker, 0);
    io_worker_submit(worker, &job.job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        io_test(test_jobs_run_in_order),
        io_test(test_a_thread_takes_its_own_faults),
        io_test(test_stop_waits_for_the_running_job_and_drops_the_rest),
        io_test(test_stop_within_done),
        io_test(test_submit_within_done),
        io_test(test_what_is_done_meanwhile_is_for_the_next_turn),
        io_test(test_the_loop_stops_a_worker_that_was_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

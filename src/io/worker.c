/*
 * A job is in one of three places: `waiting`, under the thread's hands, or `done`. Both lists are
 * first in, first out, and guarded by the lock; the loop is told by an async handle, whose signals
 * libuv folds into one.
 */
#include "io/internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct job_queue {
    size_t count;
    struct io_job *first;
    struct io_job **end; /* where the next one is linked */
};

struct io_worker {
    struct io_object object;
    uv_async_t async;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a job waits, or stop */
    bool stop;
    struct job_queue waiting, done;
};

static void queue_init(struct job_queue *queue)
{
    queue->count = 0;
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_push(struct job_queue *queue, struct io_job *job)
{
    job->next = NULL;
    *queue->end = job;
    queue->end = &job->next;
    queue->count++;
}

static struct io_job *queue_pop(struct job_queue *queue)
{
    struct io_job *job = queue->first;

    if (job == NULL)
        return NULL;
    queue->count--;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    return job;
}

static void *worker_main(void *arg)
{
    struct io_worker *worker = arg;

    pthread_mutex_lock(&worker->lock);
    for (;;) {
        struct io_job *job;

        while (!worker->stop && worker->waiting.first == NULL)
            pthread_cond_wait(&worker->wake, &worker->lock);
        if (worker->stop)
            break;
        job = queue_pop(&worker->waiting);
        pthread_mutex_unlock(&worker->lock);
        job->run(job);
        pthread_mutex_lock(&worker->lock);
        queue_push(&worker->done, job);
        uv_async_send(&worker->async);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static void on_jobs_done(uv_async_t *async)
{
    struct io_worker *worker = async->data;
    size_t left;

    io_turn_begin(worker->object.loop);
    pthread_mutex_lock(&worker->lock);
    left = worker->done.count;
    pthread_mutex_unlock(&worker->lock);
    /* What becomes done meanwhile is for the next turn, or a done() that submits might make this
     * one last for ever. One at a time: done() may stop the worker, and then no other fires. */
    for (; left > 0 && !worker->object.closing; left--) {
        struct io_job *job;

        pthread_mutex_lock(&worker->lock);
        job = queue_pop(&worker->done);
        pthread_mutex_unlock(&worker->lock);
        job->done(job);
    }
}

static void worker_close(struct io_object *object)
{
    io_worker_stop((struct io_worker *)object);
}

static void worker_destroy(struct io_object *object)
{
    struct io_worker *worker = (struct io_worker *)object;

    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

int io_worker_start(struct io_loop *loop, const char *name, struct io_worker **out,
                    struct error *err)
{
    struct io_worker *worker = calloc(1, sizeof *worker);
    int rc;

    if (worker == NULL)
        return error_set(err, ERR_NOMEM, "start thread %s: out of memory", name);
    rc = uv_async_init(&loop->uv, &worker->async, on_jobs_done);
    if (rc != 0) {
        free(worker);
        return error_set(err, io_error_code(rc), "start thread %s: %s", name, uv_strerror(rc));
    }
    io_object_init(&worker->object, loop, worker_close);
    worker->object.destroy = worker_destroy;
    io_object_adopt(&worker->object, (uv_handle_t *)&worker->async);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    queue_init(&worker->waiting);
    queue_init(&worker->done);
    rc = io_thread_create(&worker->thread, worker_main, worker);
    if (rc != 0) {
        io_object_begin_close(&worker->object);
        io_object_close_handle((uv_handle_t *)&worker->async);
        return error_set(err, error_from_errno(rc), "start thread %s: %s", name, uv_strerror(-rc));
    }
    pthread_setname_np(worker->thread, name); /* fails for over 15 bytes: it is only for `ps` */
    *out = worker;
    return 0;
}

void io_worker_submit(struct io_worker *worker, struct io_job *job)
{
    assert(!worker->object.closing);
    pthread_mutex_lock(&worker->lock);
    queue_push(&worker->waiting, job);
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void io_worker_stop(struct io_worker *worker)
{
    io_object_begin_close(&worker->object);
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    io_object_close_handle((uv_handle_t *)&worker->async);
}

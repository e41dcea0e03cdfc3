#include "daemon/trust.h"

static void on_watch(void *arg)
{
    struct trust *trust = arg;
    trust->stale = true;
    trust->changed(trust->arg);
}

int trust_init(struct trust *trust, struct io_loop *loop, const char *path,
               void (*changed)(void *arg), void *arg, struct error *err)
{
    *trust = (struct trust){.path = path, .changed = changed, .arg = arg};
    return path != NULL ? io_watch_start(loop, path, on_watch, trust, &trust->watch, err) : 0;
}

void trust_fini(struct trust *trust)
{
    tls_context_unref(trust->tls);
    if (trust->watch != NULL)
        io_watch_close(trust->watch);
}

int trust_need(struct trust *trust, int64_t now_ms, bool anew, struct error *err)
{
    struct tls_context *fresh = NULL;
    bool stale = anew || trust->stale || now_ms - trust->loaded_ms > TRUST_MS;
    if (trust->tls != NULL && !stale)
        return 0;
    int status = tls_context_new(trust->path, &fresh, err);
    if (status != 0)
        return status;
    tls_context_unref(trust->tls);
    trust->tls = fresh;
    trust->loaded_ms = now_ms;
    trust->stale = false;
    return 0;
}

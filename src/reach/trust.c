#include "reach/trust.h"

#include <sys/stat.h>

static void on_watch(void *arg)
{
    struct trust_file *file = arg;
    struct trust *trust = file->trust;

    trust->stale = true;
    trust->changed(trust->arg, file->path);
}

/* The system's bundle changes seldom, and no stream waits for it: it has no watch. */
static int watch(struct trust *trust, struct io_loop *loop, struct trust_file *file,
                 const char *path, struct error *err)
{
    file->trust = trust;
    file->path = path;
    if (path == NULL)
        return 0;
    return io_watch_start(loop, path, on_watch, file, &file->watch, err);
}

int trust_init(struct trust *trust, struct io_loop *loop, const struct tls_context_options *options,
               void (*changed)(void *arg, const char *path), void *arg, struct error *err)
{
    *trust = (struct trust){.options = *options, .changed = changed, .arg = arg};
    int status = watch(trust, loop, &trust->files[0], options->ca_file, err);
    if (status == 0)
        status = watch(trust, loop, &trust->files[1], options->cert_file, err);
    if (status == 0)
        status = watch(trust, loop, &trust->files[2], options->key_file, err);
    if (options->ca_file == NULL)
        trust->files[0].path = TLS_SYSTEM_CA_FILE;
    return status;
}

void trust_fini(struct trust *trust)
{
    tls_context_unref(trust->tls);
    for (unsigned i = 0; i < TRUST_FILES; i++)
        if (trust->files[i].watch != NULL)
            io_watch_close(trust->files[i].watch);
}

/* Notes what the file is now; true: it is not what it was. */
static bool look(struct trust_file *file)
{
    struct trust_look now = {0};
    struct stat st;
    if (file->path != NULL && stat(file->path, &st) == 0)
        now = (struct trust_look){st.st_dev, st.st_ino, st.st_size, st.st_ctim};
    bool same = now.device == file->look.device && now.inode == file->look.inode &&
                now.size == file->look.size && now.changed.tv_sec == file->look.changed.tv_sec &&
                now.changed.tv_nsec == file->look.changed.tv_nsec;
    file->look = now;
    return !same;
}

int trust_need(struct trust *trust, int64_t now_ms, bool anew, struct error *err)
{
    struct tls_context *fresh = NULL;
    if (trust->tls != NULL && !trust->stale && !anew && now_ms - trust->looked_ms <= TRUST_MS)
        return 0;
    bool changed = trust->tls == NULL || trust->stale;
    trust->looked_ms = now_ms;
    for (unsigned i = 0; i < TRUST_FILES; i++)
        changed |= look(&trust->files[i]);
    if (!changed)
        return 0;
    trust->stale = true; /* until it has been read */
    int status = tls_context_new(&trust->options, &fresh, err);
    if (status != 0)
        return status;
    tls_context_unref(trust->tls);
    trust->tls = fresh;
    trust->stale = false;
    return 0;
}

bool trust_is_to_blame(int status)
{
    return status == ERR_NOTFOUND || status == ERR_PERM || status == ERR_PARSE || status == ERR_TLS;
}

/*
 * What is watched is found by walking the path as the kernel would: the directory that holds the
 * file, and each one that holds a symbolic link on the way (a link that is swapped changes what the
 * path means without a change where the file lies). Where the way ends, the last directory that
 * there is. An event only says "look": what is told is that the file is not the one it was, by its
 * inode, size, times and rights. A look without an event now and then covers file systems that
 * send none.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/internal.h"

enum {
    DIRS_MAX = 8,
    LINKS_MAX = 16, /* symbolic links on the way */
    ROUNDS_MAX = 4, /* of walking, while what is there changes under our feet */
    SETTLE_MS = 50, /* from an event to the look: a change is often several */
    FRESH_MS = 100, /* times of files have the grain of the kernel's tick */
};

struct dir {
    char path[PATH_MAX];
    dev_t dev;
    ino_t ino;
};

struct dirs {
    struct dir dir[DIRS_MAX];
    unsigned n;
    bool left_out; /* there are more */
};

/* What the path leads to; all zero where that is nothing. */
struct look {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool fresh; /* so new that another change may bear the same time */
};

struct watched {
    uv_fs_event_t *uv;
    dev_t dev;
    ino_t ino;
};

struct io_watch {
    struct io_object object;
    uv_timer_t timer;
    bool event; /* came, and the timer is set for it */
    struct watched watched[DIRS_MAX];
    unsigned n;
    bool blind; /* not all that is to be watched is */
    struct look look;
    void (*cb)(void *arg);
    void *arg;
    char path[];
};

/* ---- where to watch ---- */

static void add_dir(struct dirs *dirs, const char *path)
{
    struct dir *dir = &dirs->dir[dirs->n];
    struct stat st;

    if (stat(path, &st) != 0)
        return;
    for (unsigned i = 0; i < dirs->n; i++) {
        if (dirs->dir[i].dev == st.st_dev && dirs->dir[i].ino == st.st_ino)
            return;
    }
    if (dirs->n == DIRS_MAX) {
        dirs->left_out = true;
        return;
    }
    snprintf(dir->path, sizeof dir->path, "%s", path);
    dir->dev = st.st_dev;
    dir->ino = st.st_ino;
    dirs->n++;
}

/* The way: `at` has been walked and has no symbolic link in it, `rest` is to come. */
struct way {
    char at[PATH_MAX];
    char rest[PATH_MAX];
    unsigned links;
};

/* Takes the next name off the rest; false: there is none, or the path is too long to be one. */
static bool next_name(struct way *way, char *next, size_t size, bool *last)
{
    size_t skip = strspn(way->rest, "/");
    size_t n = strcspn(way->rest + skip, "/");
    int len = snprintf(next, size, "%s%s%.*s", way->at, strcmp(way->at, "/") == 0 ? "" : "/",
                       (int)n, way->rest + skip);

    memmove(way->rest, way->rest + skip + n, strlen(way->rest + skip + n) + 1);
    *last = way->rest[strspn(way->rest, "/")] == '\0';
    return n != 0 && len > 0 && (size_t)len < size;
}

/* `link` is one: its target comes before the rest. */
static bool enter_link(struct way *way, const char *link)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(link, target, sizeof target - 1);
    int len;

    if (n <= 0 || ++way->links > LINKS_MAX)
        return false;
    target[n] = '\0';
    len = snprintf(rest, sizeof rest, "%s%s", target, way->rest);
    if (len < 0 || (size_t)len >= sizeof rest)
        return false;
    memcpy(way->rest, rest, (size_t)len + 1);
    if (target[0] == '/')
        strcpy(way->at, "/");
    return true;
}

static void find_dirs(const char *path, struct dirs *dirs)
{
    struct way way = {.links = 0};
    char next[PATH_MAX];
    bool last;

    dirs->n = 0;
    dirs->left_out = false;
    strcpy(way.at, path[0] == '/' ? "/" : ".");
    snprintf(way.rest, sizeof way.rest, "%s", path);
    while (next_name(&way, next, sizeof next, &last)) {
        struct stat st;
        bool there = lstat(next, &st) == 0;

        if (there && S_ISLNK(st.st_mode)) {
            add_dir(dirs, way.at);
            if (!enter_link(&way, next))
                return;
        } else if (!there || last) {
            add_dir(dirs, way.at);
            return;
        } else {
            memcpy(way.at, next, sizeof next);
        }
    }
}

/* ---- watching ---- */

static void on_dir_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_look(uv_timer_t *timer);

static void on_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
    struct io_watch *watch = uv->data;

    (void)name;
    (void)events;
    (void)status;
    io_turn_begin(watch->object.loop);
    if (watch->event)
        return;
    watch->event = true;
    uv_timer_start(&watch->timer, on_look, SETTLE_MS, 0);
}

static bool has_dir(const struct io_watch *watch, const struct dir *dir)
{
    for (unsigned i = 0; i < watch->n; i++) {
        if (watch->watched[i].dev == dir->dev && watch->watched[i].ino == dir->ino)
            return true;
    }
    return false;
}

static void drop_dir(struct io_watch *watch, unsigned i)
{
    uv_close((uv_handle_t *)watch->watched[i].uv, on_dir_closed);
    watch->watched[i] = watch->watched[--watch->n];
}

/* Out of watches, or the directory has gone meanwhile: then the look comes sooner. */
static void watch_dir(struct io_watch *watch, const struct dir *dir)
{
    uv_fs_event_t *uv = malloc(sizeof *uv);

    if (uv == NULL || uv_fs_event_init(&watch->object.loop->uv, uv) != 0) {
        free(uv);
        watch->blind = true;
        return;
    }
    uv->data = watch;
    if (uv_fs_event_start(uv, on_event, dir->path, 0) != 0) {
        uv_close((uv_handle_t *)uv, on_dir_closed);
        watch->blind = true;
        return;
    }
    watch->watched[watch->n++] = (struct watched){uv, dir->dev, dir->ino};
}

static bool is_wanted(const struct dirs *dirs, const struct watched *watched)
{
    for (unsigned i = 0; i < dirs->n; i++) {
        if (dirs->dir[i].dev == watched->dev && dirs->dir[i].ino == watched->ino)
            return true;
    }
    return false;
}

/* True if something is watched that was not: it may have changed before. */
static bool watch_dirs(struct io_watch *watch, const struct dirs *dirs)
{
    unsigned before;

    for (unsigned i = watch->n; i-- > 0;) {
        if (!is_wanted(dirs, &watch->watched[i]))
            drop_dir(watch, i);
    }
    before = watch->n;
    watch->blind = dirs->left_out;
    for (unsigned i = 0; i < dirs->n; i++) {
        if (!has_dir(watch, &dirs->dir[i]))
            watch_dir(watch, &dirs->dir[i]);
    }
    return watch->n != before;
}

/* ---- looking ---- */

static bool is_fresh(const struct timespec *time)
{
    struct timespec now;
    int64_t age_ms;

    clock_gettime(CLOCK_REALTIME, &now);
    age_ms = ((int64_t)now.tv_sec - time->tv_sec) * 1000 + (now.tv_nsec - time->tv_nsec) / 1000000;
    return age_ms >= 0 && age_ms < FRESH_MS;
}

static struct look look_at(const char *path)
{
    struct stat st;
    struct look look;

    memset(&look, 0, sizeof look); /* compared as bytes */
    if (stat(path, &st) != 0)
        return look;
    look.dev = st.st_dev;
    look.ino = st.st_ino;
    look.size = st.st_size;
    look.mtime = st.st_mtim;
    look.ctime = st.st_ctim;
    look.mode = st.st_mode;
    look.uid = st.st_uid;
    look.gid = st.st_gid;
    look.fresh = is_fresh(&st.st_ctim);
    return look;
}

/* Watches what is to be watched now, then looks: in this order nothing is missed. */
static struct look refresh(struct io_watch *watch)
{
    struct dirs *dirs = malloc(sizeof *dirs);
    unsigned rounds = 0;

    if (dirs == NULL) {
        watch->blind = true;
        return look_at(watch->path);
    }
    do
        find_dirs(watch->path, dirs);
    while (watch_dirs(watch, dirs) && ++rounds < ROUNDS_MAX);
    free(dirs);
    return look_at(watch->path);
}

static void look_later(struct io_watch *watch)
{
    uv_timer_start(&watch->timer, on_look,
                   watch->look.fresh ? FRESH_MS
                   : watch->blind    ? IO_WATCH_BLIND_MS
                                     : IO_WATCH_LOOK_MS,
                   0);
}

static void on_look(uv_timer_t *timer)
{
    struct io_watch *watch = timer->data;
    struct look look;
    bool changed;

    watch->event = false;
    look = refresh(watch);
    changed = memcmp(&look, &watch->look, sizeof look) != 0;
    watch->look = look;
    look_later(watch);
    if (changed)
        watch->cb(watch->arg);
}

static void watch_close(struct io_object *object)
{
    io_watch_close((struct io_watch *)object);
}

int io_watch_start(struct io_loop *loop, const char *path, void (*cb)(void *arg), void *arg,
                   struct io_watch **out, struct error *err)
{
    size_t size = strlen(path) + 1;
    struct io_watch *watch = calloc(1, sizeof *watch + size);

    if (watch == NULL)
        return error_set(err, ERR_NOMEM, "watch %s: out of memory", path);
    memcpy(watch->path, path, size);
    watch->cb = cb;
    watch->arg = arg;
    io_object_init(&watch->object, loop, watch_close);
    uv_timer_init(&loop->uv, &watch->timer);
    io_object_adopt(&watch->object, (uv_handle_t *)&watch->timer);
    watch->look = refresh(watch);
    look_later(watch);
    *out = watch;
    return 0;
}

void io_watch_close(struct io_watch *watch)
{
    io_object_begin_close(&watch->object);
    while (watch->n != 0)
        drop_dir(watch, watch->n - 1);
    io_object_close_handle((uv_handle_t *)&watch->timer);
}

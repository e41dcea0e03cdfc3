#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "profile/profile.h"

struct found {
    char *name, *path;
};

struct found_list {
    struct found *at;
    size_t n, cap;
};

static bool has(const struct found_list *list, struct slice name)
{
    for (size_t i = 0; i < list->n; i++)
        if (slice_eq_str(name, list->at[i].name))
            return true;
    return false;
}

static int add(struct found_list *list, const char *dir, struct slice name)
{
    struct found found = {0};

    if (list->n == list->cap) {
        size_t cap = list->cap != 0 ? list->cap * 2 : 16;
        struct found *at = realloc(list->at, cap * sizeof(*at));

        if (at == NULL)
            return ERR_NOMEM;
        list->at = at;
        list->cap = cap;
    }
    found.name = slice_dup(name);
    if (found.name == NULL)
        return ERR_NOMEM;
    if (asprintf(&found.path, "%s/%s.ini", dir, found.name) < 0) {
        free(found.name);
        return ERR_NOMEM;
    }
    list->at[list->n++] = found;
    return 0;
}

/* A directory that is not there holds no profiles; that is no fault. */
static int read_dir(struct found_list *list, const char *path, struct error *err)
{
    static const char ending[] = ".ini";
    const size_t n = sizeof(ending) - 1;
    DIR *dir = opendir(path);
    struct dirent *entry;
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : error_set(err, error_from_errno(errno), "%s: %m", path);
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        struct slice name = slice_str(entry->d_name);

        if (name.len <= n || name.ptr[0] == '.' || memcmp(name.ptr + name.len - n, ending, n) != 0)
            continue;
        name.len -= n;
        if (!has(list, name))
            rc = add(list, path, name);
    }
    closedir(dir);
    return rc == 0 ? 0 : error_set(err, rc, "%s: %s", path, error_text(rc));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

int profile_list(const char *const *dirs,
                 void (*visit)(void *arg, const char *name, const char *path), void *arg,
                 struct error *err)
{
    struct found_list list = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && dirs[i] != NULL; i++)
        rc = read_dir(&list, dirs[i], err);
    if (rc == 0 && list.n != 0)
        qsort(list.at, list.n, sizeof(list.at[0]), by_name);
    for (size_t i = 0; i < list.n; i++) {
        if (rc == 0)
            visit(arg, list.at[i].name, list.at[i].path);
        free(list.at[i].name);
        free(list.at[i].path);
    }
    free(list.at);
    return rc;
}

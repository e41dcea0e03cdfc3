#include "tls/tls_anchors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/list.h"
#include "tls/tls_files.h"

struct tls_anchors {
    struct list_node node; /* in in_use */
    unsigned references;
    char *path;
    bool lenient;
    struct stat file; /* as it was before it was read; st_ino 0: it was not there */
    mbedtls_x509_crt chain;
};

static struct list_node in_use = {&in_use, &in_use};

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino != 0 && a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim) &&
           same_time(a->st_ctim, b->st_ctim);
}

static struct tls_anchors *find(const char *path, bool lenient, const struct stat *file)
{
    struct list_node *node, *after;

    list_for_each(node, after, &in_use)
    {
        struct tls_anchors *anchors = LIST_ENTRY(node, struct tls_anchors, node);

        if (anchors->lenient == lenient && same_file(&anchors->file, file) &&
            strcmp(anchors->path, path) == 0)
            return anchors;
    }
    return NULL;
}

int tls_anchors_get(const char *path, bool lenient, struct tls_anchors **out, struct error *err)
{
    struct stat file = {0};
    struct tls_anchors *anchors;
    int rc;

    if (stat(path, &file) != 0)
        file.st_ino = 0; /* reading it says why */
    anchors = find(path, lenient, &file);
    if (anchors != NULL) {
        anchors->references++;
        *out = anchors;
        return 0;
    }
    anchors = calloc(1, sizeof *anchors);
    if (anchors == NULL)
        return error_set(err, ERR_NOMEM, "CA file %s: %s", path, error_text(ERR_NOMEM));
    anchors->references = 1;
    anchors->lenient = lenient;
    anchors->file = file;
    list_push_back(&in_use, &anchors->node);
    mbedtls_x509_crt_init(&anchors->chain);
    anchors->path = strdup(path);
    rc = anchors->path != NULL
             ? tls_load_anchors(&anchors->chain, path, lenient, err)
             : error_set(err, ERR_NOMEM, "CA file %s: %s", path, error_text(ERR_NOMEM));
    if (rc != 0)
        tls_anchors_unref(anchors);
    else
        *out = anchors;
    return rc;
}

void tls_anchors_unref(struct tls_anchors *anchors)
{
    if (anchors == NULL)
        return;
    assert(anchors->references > 0);
    if (--anchors->references > 0)
        return;
    list_remove(&anchors->node);
    mbedtls_x509_crt_free(&anchors->chain);
    free(anchors->path);
    free(anchors);
}

mbedtls_x509_crt *tls_anchors_chain(struct tls_anchors *anchors)
{
    return &anchors->chain;
}

const char *tls_anchors_path(const struct tls_anchors *anchors)
{
    return anchors->path;
}

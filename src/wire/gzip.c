#include "wire/gzip.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_ONLY = 16 + MAX_WBITS }; /* inflateInit2: a gzip header is wanted, no zlib one */

enum gzip_state { GZIP_FRESH, GZIP_MEMBER, GZIP_BETWEEN, GZIP_FAILED };

struct gzip {
    z_stream zlib;
    enum gzip_state state;
};

/* zlib's memory is ours, so that it fails where ours does. */
static void *allocate(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return calloc(count, size);
}

static void release(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

int gzip_new(struct gzip **out)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);

    if (gzip == NULL)
        return ERR_NOMEM;
    gzip->zlib.zalloc = allocate;
    gzip->zlib.zfree = release;
    if (inflateInit2(&gzip->zlib, GZIP_ONLY) != Z_OK) {
        free(gzip);
        return ERR_NOMEM;
    }
    *out = gzip;
    return 0;
}

void gzip_free(struct gzip *gzip)
{
    if (gzip == NULL)
        return;
    (void)inflateEnd(&gzip->zlib);
    free(gzip);
}

static int fail(struct gzip *gzip, int rc, struct error *err)
{
    const char *why = gzip->zlib.msg;

    gzip->state = GZIP_FAILED;
    if (rc == Z_MEM_ERROR)
        return error_set(err, ERR_NOMEM, "gzip: %s", error_text(ERR_NOMEM));
    return error_set(err, ERR_PROTOCOL, "gzip: %s", why != NULL ? why : "malformed");
}

static unsigned at_most(size_t n)
{
    return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

/* One call of zlib, whose return code it returns. */
static int inflate_some(struct gzip *gzip, struct slice *in, char *out, size_t room, size_t *n)
{
    z_stream *zlib = &gzip->zlib;
    unsigned given = at_most(in->len);
    unsigned space = at_most(room);
    int rc;

    zlib->next_in = (Bytef *)(void *)(uintptr_t)slice_chars(*in);
    zlib->avail_in = given;
    zlib->next_out = (Bytef *)out;
    zlib->avail_out = space;
    rc = inflate(zlib, Z_SYNC_FLUSH);
    *in = slice_from(*in, given - zlib->avail_in);
    *n = space - zlib->avail_out;
    return rc;
}

int gzip_feed(struct gzip *gzip, struct slice *in, char *out, size_t room, size_t *n,
              struct error *err)
{
    *n = 0;
    if (gzip->state == GZIP_FAILED)
        return fail(gzip, Z_DATA_ERROR, err);
    for (;;) {
        size_t made = 0;
        int rc;

        if (gzip->state == GZIP_BETWEEN && in->len != 0 && inflateReset(&gzip->zlib) != Z_OK)
            return fail(gzip, Z_STREAM_ERROR, err);
        if (gzip->state != GZIP_MEMBER && in->len == 0)
            return 0;
        gzip->state = GZIP_MEMBER;
        rc = inflate_some(gzip, in, out + *n, room - *n, &made);
        *n += made;
        if (rc == Z_STREAM_END)
            gzip->state = GZIP_BETWEEN;
        else if (rc == Z_BUF_ERROR || (rc == Z_OK && (in->len == 0 || *n == room)))
            return 0;
        else if (rc != Z_OK)
            return fail(gzip, rc, err);
    }
}

bool gzip_complete(const struct gzip *gzip)
{
    return gzip->state == GZIP_FRESH || gzip->state == GZIP_BETWEEN;
}

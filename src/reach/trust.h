/*
 * trust: what one stream's TLS is made from: trust anchors, pins, the client's certificate and key.
 *
 * Decides: when their files are read anew: when one of them is not the file that was read, which is
 * looked at when its watch tells so, after a failed attempt, and each hour. The sessions that can
 * be resumed live as long as the files stay what they are. Owns: the TLS context, which links keep
 * for themselves as long as they need it. Fails: by trust_need(), with what is wrong with which
 * file.
 */
#ifndef HAWSER_REACH_TRUST_H
#define HAWSER_REACH_TRUST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "io/io.h"
#include "tls/tls.h"

#define TRUST_MS 3600000 /* the system's bundle is replaced now and then */
enum { TRUST_FILES = 3 };

/* What a file was when it was read; all zero: not there. */
struct trust_look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct trust;
struct trust_file {
    struct trust *trust;
    const char *path; /* NULL: there is none */
    struct io_watch *watch;
    struct trust_look look;
};

struct trust {
    struct tls_context_options options; /* borrowed */
    struct tls_context *tls;
    int64_t looked_ms;
    bool stale;
    struct trust_file files[TRUST_FILES];
    void (*changed)(void *arg, const char *path);
    void *arg;
};

/* changed is called when the file of path is not what it was. */
int trust_init(struct trust *trust, struct io_loop *loop, const struct tls_context_options *options,
               void (*changed)(void *arg, const char *path), void *arg, struct error *err);
void trust_fini(struct trust *trust);
/* Makes trust->tls good for use. anew: the last attempt failed, and they may have been renewed.
 * A file that cannot be used fails it, even while an older one is still loaded. */
int trust_need(struct trust *trust, int64_t now_ms, bool anew, struct error *err);
/* Whether what trust_need() returned is about the files, and so for someone to mend; else it is
 * this machine's want of memory or descriptors, which passes. */
bool trust_is_to_blame(int status);

#endif

/*
 * tls_anchors: the certificates of a CA file, parsed once for all contexts that name it.
 *
 * Decides: which contexts share: those that name the same path, while the file there is the one
 * that was parsed (device, inode, size and times). The system's bundle takes some 20 ms and half a
 * megabyte, and a start makes a context for each stream. Leaves: when a file is looked at again, to
 * who makes contexts. Owns: what is in use; the last to let go of it frees it.
 * Fails: as tls_load_certificates(). For one thread: contexts are made and freed on the loop's.
 */
#ifndef HAWSER_TLS_ANCHORS_H
#define HAWSER_TLS_ANCHORS_H

#include <mbedtls/x509_crt.h>
#include <stdbool.h>

#include "base/error.h"

struct tls_anchors;
/* lenient: certificates that cannot be read are left out, as long as there is one that can. */
int tls_anchors_get(const char *path, bool lenient, struct tls_anchors **out, struct error *err);
void tls_anchors_unref(struct tls_anchors *anchors);              /* NULL: nothing */
mbedtls_x509_crt *tls_anchors_chain(struct tls_anchors *anchors); /* nobody changes it */
const char *tls_anchors_path(const struct tls_anchors *anchors);

#endif

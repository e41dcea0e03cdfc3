/*
 * tls_files: what a context is made from, read from disk. Private to tls.
 *
 * Decides: what makes a file unusable, and says so with its name and what to do.
 * Owns: nothing for long: what was read is wiped.
 */
#ifndef HAWSER_TLS_FILES_H
#define HAWSER_TLS_FILES_H

#include "tls/tls_context.h"

/* Bounds of a file: bundles of trust anchors are some 200 KiB; a certificate or a key is small. */
enum { TLS_CA_FILE_MAX = 16 * 1024 * 1024, TLS_CERT_FILE_MAX = 256 * 1024 };

/* lenient: a certificate among others that the library cannot read is passed over. */
int tls_load_anchors(mbedtls_x509_crt *out, const char *path, bool lenient, struct error *err);
/* The client's certificate and key into context; key_path NULL: both are in cert_path. */
int tls_load_own(struct tls_context *context, const char *cert_path, const char *key_path,
                 struct error *err);

#endif
